"""Why a rule did, or did not, decide."""

import msgspec

from responder.core.actions import Mode
from responder.core.deciding import Case, decide
from responder.core.explaining import explain, told_lines
from responder.core.rules import Rulebook
from responder.core.rulesfile import parse_rules
from tests.unit.core.deciding import SAFE, incident, situation

RULES = parse_rules(
    """
version: 1
defaults: {mode: live, budget: 2, cooldown: 2m}
rules:
  - name: bank
    when: {project: bank, tool: flyway}
    do: [{resync: {}}]
  - name: refused connections
    when: {category: connection-refused, retry: {not: unsafe}}
    do: [{resync: {delay: 30s}}, {alert: {severity: warning, after: 5m}}]
  - name: by people
    when: {initiated_by: user}
    do: [{resync: {}}]
  - name: the rest
    when: {}
    do: [{block: {environments: ["*"]}}]
""",
    "rules.yaml",
    None,
)


def case(rulebook: Rulebook = RULES) -> Case:
    seen = situation(rulebook=rulebook)
    return Case(seen, incident(), SAFE, seen.views[-1])


def test_every_rule_is_told_with_what_each_condition_saw() -> None:
    bank, refused, people, rest = explain(case(), judge_now=True).rules
    assert [rule.says for rule in (bank, refused, people, rest)] == [
        "does not hold",
        "decides",
        "does not hold",
        "would hold, an earlier rule decided",
    ]
    assert [(c.condition, c.seen, c.held) for c in bank.conditions] == [
        ("project bank", "shop", False),
        ("tool flyway", None, False),
    ]
    assert [(c.condition, c.seen, c.held) for c in refused.conditions] == [
        ("category connection-refused", "connection-refused", True),
        ("retry not unsafe", "safe", True),
    ]


def test_what_was_decided_is_told_as_recorded() -> None:
    asked = case()
    decided = decide(asked)
    told = explain(msgspec.structs.replace(asked, incident=incident(decisions=decided.decisions)), judge_now=False)
    resync, alert = told.rules[1].actions
    assert resync.recorded
    assert resync.decision is not None
    assert (resync.decision.id, resync.decision.verdict.result) == (decided.decisions[0].id, "allowed")
    assert (alert.recorded, alert.decision, alert.params["after"]) == (False, None, "5m")


def test_what_was_not_decided_is_judged_as_if_that_rule_alone_had_matched() -> None:
    (action,) = explain(case(), judge_now=True).rules[0].actions
    assert action.decision is not None
    assert (action.recorded, action.decision.rule, action.decision.verdict.result) == (False, "bank", "allowed")


def test_nothing_is_judged_where_the_world_is_not_known() -> None:
    assert [a.decision for rule in explain(case(), judge_now=False).rules for a in rule.actions] == [None] * 5


def test_a_rule_for_people_is_judged_as_one() -> None:
    seen = situation(rulebook=RULES)
    record = msgspec.structs.replace(
        seen.views[-1].record, request=msgspec.structs.replace(seen.views[-1].record.request, automated=False)
    )
    by_person = msgspec.structs.replace(seen.views[-1], record=record)
    asked = Case(msgspec.structs.replace(seen, views=(by_person,)), incident(), SAFE, by_person)
    bank, _, people, _ = explain(asked, judge_now=True).rules
    assert bank.actions[0].decision is not None
    assert people.actions[0].decision is not None
    refused = [g["guard"] for g in bank.actions[0].decision.verdict.guards if not g["passed"]]
    assert (refused, people.actions[0].decision.verdict.result) == (["initiator"], "allowed")


def test_on_a_terminal_the_rule_that_decided_shows_every_guard_and_others_those_that_refuse() -> None:
    shadow = parse_rules(
        "version: 1\nrules:\n"
        "  - {name: away, when: {retry: safe}, do: [{resync: {delay: 30s}}]}\n"
        "  - {name: bank, when: {project: bank}, mode: approve, do: [{resync: {}}]}\n",
        "rules.yaml",
        None,
    )
    told = msgspec.to_builtins(explain(case(shadow), judge_now=True))
    lines = told_lines(told)
    assert lines[0].startswith("incident-1: category connection-refused, retry safe, state_left none")
    assert lines[1:4] == [
        "* away (line 3): decides",
        "    + retry safe: it is safe",
        "    resync (shadow): denied, were it to decide now",
    ]
    assert "        - mode: rule 'away' is in shadow mode" in lines
    assert "        + killswitch: the kill switch is released" in lines
    assert lines[-4:] == [
        "  bank (line 4): does not hold",
        "    - project bank: it is shop",
        "    resync (approve): needs-approval, were it to decide now",
        "        - approval: rule 'bank' asks for a person's approval",
    ]
    assert shadow.rules[0].mode is Mode.SHADOW
