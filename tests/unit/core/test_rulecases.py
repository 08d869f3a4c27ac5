"""Cases of rules: read strictly, tried by the code that decides, told by difference."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.core.rulecases import CaseResult, parse_cases, run_case, untested
from responder.core.rulesfile import parse_rules
from responder.core.strictyaml import FileError

EXPORTED = Path(__file__).parents[1] / "exported"
RULES = parse_rules(
    """
version: 1
defaults: {mode: live, budget: 2, cooldown: 2m}
rules:
  - name: half applied
    when: {state_left: [partial, dirty]}
    do: [{stop-retries: {}}, {block: {environments: ["*"]}}, {alert: {severity: critical, receiver: dba}}]
  - name: trial of a new rule
    when: {category: lock-timeout}
    mode: shadow
    continue: true
    do: [{resync: {delay: 1m}}, {alert: {severity: info}}]
  - name: locked
    when: {category: lock-timeout, retry: safe, project: "shop-*"}
    do: [{resync: {delay: 2m}}, {alert: {severity: warning, after: 10m}}]
  - name: cannot start
    when: {category: missing-reference}
    do: [{terminate: {}}]
""",
    "rules.yaml",
    None,
)


def no_export(name: str) -> Mapping[str, Any]:
    raise FileNotFoundError(2, "No such file or directory", name)


def exported(name: str) -> Mapping[str, Any]:
    told: dict[str, Any] = json.loads((EXPORTED / name).read_text(encoding="utf-8"))
    return told


def result(case: str) -> CaseResult:
    (one,) = parse_cases(f"version: 1\ncases:\n  - name: one\n{case}", "cases.yaml", exported).cases
    return run_case(one, RULES)


def decided(given: str, world: str = "{}") -> tuple[str, ...]:
    return result(f"    given: {given}\n    world: {world}\n    expect: {{rule: none}}\n").decisions


SAFE = "{category: lock-timeout, retry: safe, project: shop-eu}"
DIRTY = "{category: dirty-state, retry: unsafe, state_left: dirty}"
HELD = ("block allowed", "alert critical to dba")


@pytest.mark.parametrize(
    ("given", "world", "lines"),
    [
        (DIRTY, "{operation: waiting}", ("stop-retries allowed", *HELD)),
        (DIRTY, "{}", ("stop-retries denied by waiting", *HELD)),
        (DIRTY, "{operation: waiting, mode: shadow}", ("stop-retries denied by mode", *HELD)),
        (DIRTY, "{operation: waiting, mode: approve}", ("stop-retries needs-approval", *HELD)),
        (
            SAFE,
            "{}",
            ("resync denied by mode", "alert info in shadow", "resync allowed", "alert warning after 10m"),
        ),
        ("{category: missing-reference, retry: futile}", "{operation: running}", ("terminate allowed",)),
        (
            "{category: missing-reference, retry: futile}",
            "{operation: running, container_runs: true}",
            ("terminate needs-approval",),
        ),
    ],
)  # fmt: skip
def test_a_short_case_is_decided_as_in_the_night(given: str, world: str, lines: tuple[str, ...]) -> None:
    assert decided(given, world) == lines


@pytest.mark.parametrize(
    ("world", "guard"),
    [
        ("{killswitch: engaged}", "killswitch"),
        ("{killswitch: absent}", "killswitch"),
        ("{rbac: false}", "rbac"),
        ("{annotation: off}", "mode"),
        ("{window: closed}", "sync-window"),
        ("{window: unknown}", "sync-window"),
        ("{auto_sync: false}", "auto-sync"),
        ("{idempotent: false}", "idempotent"),
        ("{same_sources: false}", "sources"),
        ("{full_sync: false}", "operation-kind"),
        ("{evidence_missing: true}", "evidence"),
        ("{left_earlier: dirty}", "block"),
        ("{resyncs: 2}", "budget"),
        ("{operation: waiting}", "in-flight"),
    ],
)
def test_every_circumstance_that_can_be_said_is_refused_by_its_guard(world: str, guard: str) -> None:
    assert decided(SAFE, world)[2] == f"resync denied by {guard}"


def test_facts_are_what_the_rules_see() -> None:
    facts = (
        "{category: lock-timeout, retry: safe, state_left: none, confidence: likely, tool: django, database: postgres,"
        " migration: a.0001, sync_phase: PostSync, project: shop-eu, application: orders, namespace: teams,"
        " destination: eu-1, destination_namespace: orders, service: shop, environment: staging, owner: team,"
        " initiated_by: user, hook: migrate-it, hook_kind: Job, attempts: 3}"
    )
    when = facts.replace("attempts: 3", 'attempts: "3"')
    rules = parse_rules(f"version: 1\nrules:\n  - name: r\n    when: {when}\n    do: [alert: {{}}]\n", "r", None)
    text = (
        f"version: 1\ncases:\n  - name: one\n    given: {facts}\n    expect: {{rule: r, decisions: [alert warning]}}\n"
    )
    (case,) = parse_cases(text, "cases.yaml", no_export).cases
    assert run_case(case, rules).passed


def test_an_exported_incident_is_tried_at_each_of_its_moments() -> None:
    came = result("    incident: dirty-version.json\n    expect: {rule: half applied}\n")
    assert came.passed
    assert came.decisions == ("stop-retries allowed", "block allowed", "alert critical to dba")


def test_what_recovered_by_itself_decides_nothing_at_its_end() -> None:
    came = result("    incident: recovered.json\n    expect: {rule: none, decisions: []}\n")
    assert (came.passed, came.decisions) == (True, ())


def test_a_difference_is_told_line_by_line_with_the_conditions_that_did_not_hold() -> None:
    came = result(
        "    given: {category: lock-timeout, retry: futile, project: shop-eu}\n"
        "    expect: {rule: [trial of a new rule, locked], decisions: [resync allowed, alert info]}\n"
    )
    assert came.differences == (
        "  rule trial of a new rule",
        "- rule locked",
        "- resync allowed",
        "+ resync denied by mode, retry",
        "  alert info in shadow",
    )
    assert came.unmet == ("locked: retry safe: futile",)


def test_an_expected_line_may_leave_out_its_end_and_nothing_else() -> None:
    met = "    given: {category: lock-timeout, retry: futile}\n    expect:\n      rule: trial of a new rule\n"
    assert result(f"{met}      decisions: [resync denied, alert info]\n").passed
    assert not result(f"{met}      decisions: [resync denied by mod, alert info]\n").passed
    assert not result(f"{met}      decisions: [resync denied]\n").passed
    assert result(met).passed


def test_a_rule_that_does_not_exist_is_named() -> None:
    came = result("    given: {category: killed}\n    expect: {rule: lockd}\n")
    assert came.unmet == ("lockd: there is no rule of this name, did you mean locked?",)


def test_a_rule_that_an_earlier_one_kept_from_deciding_is_told() -> None:
    given = "{category: lock-timeout, retry: safe, state_left: dirty, project: shop-eu}"
    came = result(f"    given: {given}\n    expect: {{rule: locked}}\n")
    assert came.unmet == ("locked: would hold, an earlier rule decided",)


def test_rules_without_a_case_are_known() -> None:
    results = [result(f"    given: {DIRTY}\n    expect: {{rule: half applied}}\n")]
    assert untested(RULES, results) == ["trial of a new rule", "locked", "cannot start"]


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ("    expect: {rule: none}\n", "3:5: cases.0: say either"),
        ("    given: {}\n    incident: a.json\n    expect: {rule: none}\n", "3:5: cases.0: say either"),
        (
            "    given: {categry: killed}\n    expect: {rule: x}\n",
            "4:13: categry: unknown fact, did you mean category?",
        ),
        ("    given: {retry: yes}\n    expect: {rule: x}\n", "4:20: retry: expected text in quotes, found True"),
        ("    given: {retry: sfe}\n    expect: {rule: x}\n", "4:20: 'sfe' is no retry, did you mean safe?"),
        (
            "    given: {attempts: 0}\n    expect: {rule: x}\n",
            "4:23: attempts: expected a number from 1 to 100, found 0",
        ),
        ("    given: {}\n    world: {windw: open}\n    expect: {rule: x}\n", "5:13: cases.0.world.windw: unknown key"),
        ("    given: {}\n    expect: {rule: x, decisions: [resnc allowed]}\n", "5:35: 'resnc allowed' begins with no"),
        ("    given: {}\n    expect: {rule: x, decisions: [resync]}\n", "5:35: resync: say what comes of it"),
        ("    given: {}\n    expect: {rule: x, decisions: [alert loud]}\n", "5:35: alert: say what comes of it"),
        ("    incident: gone.json\n    expect: {rule: x}\n", "4:15: gone.json: No such file or directory"),
    ],
)
def test_a_fault_has_its_place_and_what_would_be_right(case: str, problem: str) -> None:
    with pytest.raises(FileError) as caught:
        parse_cases(f"version: 1\ncases:\n  - name: one\n{case}", "cases.yaml", no_export)
    assert caught.value.problems[0].startswith(f"cases.yaml:{problem}")


EXAMPLE = """\
version: 1
rules: rules.yaml
cases:
  - name: one
    given: {category: deadlock, attempts: 2}
    world: {operation: waiting, resyncs: 1}
    expect: {rule: [a, b], decisions: [resync denied by mode, alert info]}
"""


@settings(max_examples=100)
@given(st.integers(0, len(EXAMPLE)), st.integers(0, 12), st.text(alphabet="[]{}:-, \n*'\"a1&!|", max_size=4))
def test_no_text_raises_anything_but_a_file_error(at: int, length: int, new: str) -> None:
    faults: list[str] = []
    try:
        parse_cases(EXAMPLE[:at] + new + EXAMPLE[at + length :], "cases.yaml", no_export)
    except FileError as error:
        faults = error.problems
    assert all(fault.startswith("cases.yaml:") for fault in faults)


def test_what_is_no_incident_is_told() -> None:
    def other(_name: str) -> Mapping[str, Any]:
        return {"incident": {"id": 7}}

    with pytest.raises(FileError, match=r"cases.yaml:4:15: x.json: is no incident as the API gives it: Expected `str`"):
        parse_cases(
            "version: 1\ncases:\n  - name: one\n    incident: x.json\n    expect: {rule: x}\n", "cases.yaml", other
        )
