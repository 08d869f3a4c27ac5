"""What is remembered of an incident, moment by moment."""

import json
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.core.actions import ActionKind, Decision, Mode, Outcome, OutcomeResult, Verdict, VerdictResult
from responder.core.argocd import OperationPhase
from responder.core.failure import Category, Retry
from responder.core.past import Past, moments
from responder.core.reenactment import tried
from responder.core.replaying import replay, world_of
from responder.core.rules import Facts
from responder.core.rulesfile import parse_rules
from responder.core.shortcase import past_of_facts
from responder.core.situation import Policy
from responder.core.toldpast import past_of
from tests.unit.core.deciding import SAFE, incident
from tests.unit.core.night import at, failed, hook, job, operation, pod, told, views, waiting

RULES = parse_rules(
    "version: 1\nrules:\n"
    "  - {name: dirty, when: {state_left: dirty}, do: [{stop-retries: {}}, {alert: {}}]}\n"
    "  - {name: rest, when: {}, mode: live, do: [{resync: {}}, {terminate: {}}, {delete-hook: {}}]}\n",
    "rules.yaml",
    None,
)  # fmt: skip
STAMPS = ("2026-11-21T12:00:00Z", "2026-11-21T12:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
EXPORTED = Path(__file__).parents[1] / "exported"


def exported(name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((EXPORTED / name).read_text(encoding="utf-8"))
    return told


def test_every_attempt_that_failed_is_a_moment_with_what_was_known_then() -> None:
    found = list(moments(past_of(exported("dirty-version.json"))))
    stood = [(m.views[-1].record.operation_phase, m.views[-1].record.waiting, len(m.views[-1].attempts)) for m in found]
    assert stood == [
        (OperationPhase.RUNNING, True, 1),
        (OperationPhase.RUNNING, True, 2),
        (OperationPhase.RUNNING, True, 3),
        (OperationPhase.FAILED, False, 4),
    ]
    assert {m.diagnosis.category for m in found} == {Category.SYNTAX_ERROR}  # the first cause stays
    assert [m.diagnosis.retry for m in found][-1] is Retry.UNSAFE
    assert [m.at for m in found] == sorted(m.at for m in found)


def test_an_operation_that_ended_well_after_all_is_not_judged_at_its_end() -> None:
    found = list(moments(past_of(exported("recovered.json"))))
    assert [len(m.views[-1].attempts) for m in found] == [1, 2]
    assert all(m.views[-1].record.waiting for m in found)


def test_what_was_stuck_is_judged_while_it_was() -> None:
    run = job(1, failed(300), pods=(pod(waiting("CreateContainerConfigError", 'secret "db" not found')),))
    seen = views([operation(OperationPhase.FAILED, told(1, hook(), 300), finished=300)], [run])
    past = Past(
        incident(opened_at=at(40)), seen, {(seen[0].record.id, 1, str(seen[0].attempts[0].hooks[0].identity)): SAFE}
    )
    stuck, ended = moments(past)
    assert (stuck.at, stuck.views[-1].record.operation_phase, stuck.views[-1].failed) == (at(40), "Running", False)
    assert (ended.at, ended.views[-1].record.operation_phase, ended.views[-1].failed) == (at(300), "Failed", True)


def test_a_hook_that_never_began_is_told_to_have_failed_when_its_operation_ended() -> None:
    answer = {
        "id": "i", "state": "firing", "opened_at": "2026-11-21T03:00:40Z", "updated_at": "2026-11-21T03:05:00Z",
        "application": {"namespace": "argocd", "name": "mailer", "uid": "mailer"},
        "operations": [{
            "started_at": "2026-11-21T03:00:00Z", "finished_at": "2026-11-21T03:05:00Z", "operation_phase": "Failed",
            "attempts": [{"number": 1, "hooks": [{
                "kind": "Job", "namespace": "mailer", "name": "db-migrate", "uid": "job", "hook_phase": "Failed",
                "created_at": "2026-11-21T03:00:02Z", "pods": [{"name": "p", "containers": [
                    {"name": "migrate", "state": "waiting"}
                ]}],
                "diagnosis": {
                    "category": "missing-reference", "retry": "futile", "retry_reason": "until it exists",
                    "state_left": "none", "state_reason": "it never began", "confidence": "certain",
                },
            }]}],
        }],
    }  # fmt: skip
    stuck, ended = moments(past_of(answer))
    assert (stuck.at, stuck.views[-1].record.operation_phase) == (at(40), "Running")
    assert (ended.at, ended.views[-1].record.operation_phase) == (at(300), "Failed")


def test_an_operation_whose_retries_we_stopped_waited_after_its_last_attempt() -> None:
    seen = views([operation(OperationPhase.FAILED, told(1, hook(), 5), finished=10)], [job(1, failed(4))])
    key = (seen[0].record.id, 1, str(seen[0].attempts[0].hooks[0].identity))
    stopped = Decision(
        "d-1", "half applied", ActionKind.STOP_RETRIES, Mode.LIVE, at(0), Verdict(VerdictResult.ALLOWED), "", at(6),
        outcome=Outcome(OutcomeResult.SUCCEEDED),
    )  # fmt: skip
    waited, ended = moments(Past(incident(decisions=(stopped,)), seen, {key: SAFE}))
    assert (waited.at, waited.views[-1].record.waiting) == (at(4), True)
    assert (ended.at, ended.views[-1].record.waiting) == (at(10), False)


def test_a_past_without_any_diagnosis_has_no_moment() -> None:
    past = past_of_facts(Facts(category="killed"))
    bare = msgspec.structs.replace(past, incident=msgspec.structs.replace(past.incident, diagnosis=None))
    assert list(moments(bare)) == []


def test_an_export_tells_the_incident_as_it_was() -> None:
    past = past_of(exported("dirty-version.json"))
    (view,) = past.views
    assert str(past.incident.app) == "argocd/s05b-retry-dirty-version"
    assert past.incident.failing[0].hook.name == "db-migrate"
    assert [d.action for d in past.incident.decisions].count(ActionKind.STOP_RETRIES) == 3
    assert (len(view.attempts), view.record.operation_phase, len(past.diagnoses)) == (4, OperationPhase.FAILED, 4)
    assert all(h.failed and h.run is not None and h.run.failed for a in view.attempts for h in a.hooks)


def test_an_incident_alone_is_read_as_an_export_is() -> None:
    export = exported("recovered.json")
    assert past_of(export["incident"]) == past_of(export)


def test_a_newer_responder_may_tell_more() -> None:
    export = exported("recovered.json")
    assert past_of({"incident": {**export["incident"], "mood": "calm"}}) == past_of(export)


EXPORT = exported("dirty-version.json")["incident"]
leaves = st.one_of(st.none(), st.booleans(), st.integers(-3, 10**12), st.text(max_size=5), st.just([]), st.just({}))


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Of everything inside."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, inner in inside for found in [(*path, key), *places(inner, (*path, key))]]


def spoilt(path: tuple[str | int, ...], by: object) -> dict[str, Any]:
    told: Any = json.loads(json.dumps(EXPORT))
    place = told
    for step in path[:-1]:
        place = place[step]
    if by is DROPPED:
        del place[path[-1]]
    else:
        place[path[-1]] = by
    return dict(told)


DROPPED = object()


@settings(max_examples=100)
@given(st.sampled_from(places(EXPORT)), st.one_of(leaves, st.just(DROPPED), st.sampled_from(STAMPS)))
def test_an_export_that_is_spoilt_is_read_or_refused_and_never_breaks(path: tuple[str | int, ...], by: object) -> None:
    try:
        past = past_of(spoilt(path, by))
    except ValueError:
        return
    world = world_of(past, told=True)
    (row,) = replay([[(past, world)]], RULES, Policy()).rows
    assert row.matched == tuple(rule.name for rule in tried(past, RULES, world, Policy()).matched)
