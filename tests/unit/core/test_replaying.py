"""What other rules would have done, beside what was done."""

import json
from pathlib import Path
from typing import Any

import msgspec

from responder.core.actions import (
    ActionKind,
    Decision,
    Mode,
    Outcome,
    OutcomeResult,
    Reason,
    Verdict,
    VerdictResult,
)
from responder.core.alert import AlertState, Severity
from responder.core.argocd import AppKey
from responder.core.incident import AlertMark
from responder.core.past import Past
from responder.core.replaying import How, did, how_far, replay, world_of
from responder.core.rules import Facts, Rulebook
from responder.core.rulesfile import parse_rules
from responder.core.shortcase import past_of_facts
from responder.core.situation import Policy
from responder.core.toldpast import past_of
from responder.core.trial import World
from tests.unit.core.night import at

EXPORTED = Path(__file__).parents[1] / "exported"
NEW = """
version: 1
rules:
  - {name: dirty, when: {state_left: dirty}, mode: live, do: [{stop-retries: {}}, {alert: {severity: critical}}]}
  - {name: away, when: {retry: safe}, do: [{resync: {}}, {alert: {after: 1h}}]}
"""


def rules(text: str = NEW) -> Rulebook:
    return parse_rules(text, "rules.yaml", None)


def exported(name: str) -> Past:
    told: dict[str, Any] = json.loads((EXPORTED / name).read_text(encoding="utf-8"))
    return past_of(told)


def decision(result: VerdictResult, refused: tuple[str, ...] = (), outcome: OutcomeResult | None = None) -> Decision:
    return Decision(
        id="1",
        rule="old",
        action=ActionKind.RESYNC,
        mode=Mode.LIVE,
        operation=at(0),
        verdict=Verdict(result, (Reason("retry", "safe", passed=True), *(Reason(g, "no") for g in refused))),
        evidence_version="",
        decided_at=at(0),
        outcome=Outcome(outcome) if outcome else None,
    )


def test_how_far_a_decision_came() -> None:
    assert how_far(decision(VerdictResult.ALLOWED)) is How.DONE
    assert how_far(decision(VerdictResult.ALLOWED, outcome=OutcomeResult.FAILED)) is How.DONE
    assert how_far(decision(VerdictResult.ALLOWED, outcome=OutcomeResult.NOT_TAKEN)) is How.DENIED
    assert how_far(decision(VerdictResult.NEEDS_APPROVAL, ("approval",))) is How.ASKED
    assert how_far(decision(VerdictResult.DENIED, ("mode",))) is How.SHADOW
    assert how_far(decision(VerdictResult.DENIED, ("mode", "budget"))) is How.DENIED


def test_numbers_for_each_rule_and_lines_for_what_differs() -> None:
    told = exported("dirty-version.json")
    outcome = replay([[(told, world_of(told, told=True))]], rules(), Policy())
    (row,) = outcome.rows
    assert row.matched == ("dirty",)
    assert row.difference == [
        "- block done (half applied)",
        "+ alert critical done (dirty)",
        "+ stop-retries done (dirty)",
    ]
    dirty, away, gone = outcome.counts
    assert (dirty.rule, dirty.matched, dirty.would[How.DONE], dirty.did[How.DONE]) == ("dirty", 1, 2, 0)
    assert (away.rule, away.matched) == ("away", 0)
    assert (gone.rule, gone.matched, gone.did[How.DONE], gone.did[How.DENIED]) == ("half applied", 0, 1, 1)


def test_the_same_effect_by_another_rule_is_no_difference() -> None:
    text = """
version: 1
defaults: {mode: shadow}
rules:
  - {name: other name, when: {retry: unsafe}, do: [{block: {environments: ["*"]}}]}
"""
    told = exported("dirty-version.json")
    alerts = (AlertMark("pager", AlertState.FIRING, Severity.WARNING, "", at(600)),)  # of the floor, as it would be
    past = msgspec.structs.replace(told, incident=msgspec.structs.replace(told.incident, alerts=alerts))
    outcome = replay([[(past, World())]], rules(text), Policy())
    assert outcome.differing == ()


def test_an_alert_that_was_not_due_before_the_end_is_none() -> None:
    past = past_of_facts(Facts(category="deadlock", retry="safe"))
    soon = msgspec.structs.replace(past.incident, resolved_at=past.incident.opened_at)
    (row,) = replay([[(msgspec.structs.replace(past, incident=soon), World(idempotent=True))]], rules(), Policy()).rows
    assert [str(effect) for effect in row.would] == ["resync shadow (away)"]


def test_of_what_was_told_the_highest_severity_counts() -> None:
    marks = (
        AlertMark("pager", AlertState.FIRING, Severity.WARNING, "", at(0)),
        AlertMark("dba", AlertState.FIRING, Severity.CRITICAL, "", at(0)),
    )
    past = past_of_facts(Facts(category="deadlock"))
    told = msgspec.structs.replace(past, incident=msgspec.structs.replace(past.incident, alerts=marks))
    assert [str(effect) for effect in did(told)] == ["alert critical done"]


def test_the_circumstances_are_those_of_the_record() -> None:
    past = past_of_facts(Facts(category="deadlock", retry="safe"))
    refused = decision(VerdictResult.DENIED, ("idempotent", "auto-sync", "sync-window"))
    told = msgspec.structs.replace(past, incident=msgspec.structs.replace(past.incident, decisions=(refused,)))
    assert world_of(told, told=True) == World(auto_sync=False, window=False, idempotent=False)
    assert world_of(past, told=True) == World(idempotent=True)
    assert world_of(past, told=False) == World()


def test_who_was_told_with_others_would_be_so_again() -> None:
    """Two Applications, one database: one alert told of both. Then only one of them fails."""
    past = past_of_facts(Facts(category="connection-refused", retry="safe"))
    both = [
        msgspec.structs.replace(
            past,
            incident=msgspec.structs.replace(
                past.incident,
                id=name,
                app=AppKey("argocd", name),
                app_uid=name,
                correlation="database/db.shared.svc",
                parent="all",
            ),
        )
        for name in ("orders", "billing")
    ]
    text = "version: 1\nrules: [{name: tell, when: {}, do: [{alert: {severity: critical}}]}]\n"
    first, second = replay([[(told, World()) for told in both]], rules(text), Policy()).rows
    assert (first.difference, second.difference) == ([], [])
    (alone,) = replay([[(both[0], World())]], rules(text), Policy()).rows
    assert alone.difference == ["- alert with others of its cause done", "+ alert critical done (tell)"]
