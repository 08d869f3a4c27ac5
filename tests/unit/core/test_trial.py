"""Rules tried on what was: as if each act that is allowed had been carried out."""

from datetime import timedelta

import msgspec

from responder.core.actions import ActionKind, VerdictResult
from responder.core.argocd import OperationPhase
from responder.core.past import Past
from responder.core.reenactment import tried
from responder.core.rules import Facts
from responder.core.rulesfile import parse_rules
from responder.core.shortcase import past_of_facts
from responder.core.situation import Policy
from responder.core.trial import World, lines

RULES = parse_rules(
    """
version: 1
defaults: {mode: live, budget: 1, cooldown: 2m}
rules:
  - {name: again, when: {retry: safe}, do: [{resync: {delay: 10m}}]}
""",
    "rules.yaml",
    None,
)
AFTERWARDS = timedelta(hours=1)
FREE = World(idempotent=True)


def failed_twice() -> Past:
    """Two operations of one incident; the second an hour after the first."""
    past = past_of_facts(Facts(category="deadlock", retry="safe"))
    (first,) = past.views
    record = first.record
    assert record.finished_at is not None
    moved = msgspec.structs.replace(
        record, started_at=record.started_at + AFTERWARDS, finished_at=record.finished_at + AFTERWARDS
    )
    second = msgspec.structs.replace(first, record=moved)
    diagnosis = past.incident.diagnosis
    assert diagnosis is not None
    hook = str(first.attempts[0].hooks[0].identity)
    incident = msgspec.structs.replace(past.incident, operations=(record.started_at, moved.started_at))
    return Past(incident, (first, second), {(record.id, 1, hook): diagnosis, (moved.id, 1, hook): diagnosis})


def test_what_is_delayed_is_judged_when_it_is_due() -> None:
    past = past_of_facts(Facts(category="deadlock", retry="safe"))
    (decision,) = tried(past, RULES, FREE, Policy()).decisions
    assert decision.verdict.result is VerdictResult.ALLOWED
    assert past.views[0].record.finished_at is not None
    assert decision.decided_at == past.views[0].record.finished_at + timedelta(minutes=10)


def test_an_act_that_was_allowed_counts_against_the_budget_of_the_next_operation() -> None:
    trial = tried(failed_twice(), RULES, FREE, Policy())
    assert lines(trial) == ["operation 1: resync allowed", "operation 2: resync denied by budget"]


def test_what_comes_before_a_delay_is_over_takes_its_place() -> None:
    past = failed_twice()
    first, second = past.views
    soon = msgspec.structs.replace(
        second.record,
        started_at=first.record.started_at + timedelta(minutes=2),
        finished_at=first.record.started_at + timedelta(minutes=3),
    )
    hook = str(first.attempts[0].hooks[0].identity)
    diagnosis = past.diagnoses[first.record.id, 1, hook]
    views = (first, msgspec.structs.replace(second, record=soon))
    known = {(view.record.id, 1, hook): diagnosis for view in views}
    trial = tried(Past(past.incident, views, known), RULES, FREE, Policy())
    assert lines(trial) == ["operation 1: resync denied by cooldown", "operation 2: resync allowed"]


def test_nothing_of_the_record_decides_anew() -> None:
    """What was decided, told or resolved then is left out: only what was true counts."""
    past = failed_twice()
    trial = tried(past, RULES, FREE, Policy())
    closed = msgspec.structs.replace(past.incident, decisions=trial.decisions, parent="another", correlation="a key")
    assert tried(msgspec.structs.replace(past, incident=closed), RULES, FREE, Policy()).decisions == trial.decisions


def test_an_operation_whose_retries_were_stopped_has_no_further_attempts() -> None:
    rules = parse_rules(
        "version: 1\ndefaults: {mode: live}\nrules:\n"
        "  - {name: stop, when: {retry: unsafe}, do: [{stop-retries: {}}]}\n", "rules.yaml", None,
    )  # fmt: skip
    past = past_of_facts(Facts(category="dirty-state", retry="unsafe", state_left="dirty", attempts=4))
    assert past.incident.diagnosis is not None
    hook = str(past.views[0].attempts[0].hooks[0].identity)
    known = {(past.views[0].record.id, n, hook): past.incident.diagnosis for n in range(1, 5)}
    (decision,) = tried(msgspec.structs.replace(past, diagnoses=known), rules, FREE, Policy()).decisions
    assert (decision.action, decision.verdict.result) == (ActionKind.STOP_RETRIES, VerdictResult.ALLOWED)
    assert past.views[0].record.operation_phase is OperationPhase.FAILED
