"""From rules to decisions, and from allowed decisions to acts."""

from typing import Any

import msgspec
import pytest

from responder.core.actions import (
    Act,
    ActionKind,
    Decision,
    DeleteHook,
    Mode,
    OutcomeResult,
    Resync,
    StopRetries,
    Switch,
    Terminate,
    Verdict,
    VerdictResult,
)
from responder.core.argocd import OperationPhase
from responder.core.deciding import BY_HAND, Case, Decided, decide, decision_id, facts_of
from responder.core.failure import Diagnosis
from responder.core.hooks import ContainerRun
from responder.core.incident import Incident
from responder.core.rules import Condition, Rule, RuleAction, Rulebook
from responder.core.situation import Situation
from tests.unit.core.deciding import (
    BROKEN,
    DIRTY,
    FAILED,
    LIVE,
    SAFE,
    act,
    incident,
    only,
    situation,
)
from tests.unit.core.night import REVISION, at, failed, hook, job, operation, pod, running, told, waiting

RUNNING, TERMINATING, FAILED_PHASE, ERROR, SUCCEEDED = OperationPhase
replace = msgspec.structs.replace
WAITS = operation(RUNNING, told(1, hook(), 5), finished=5, attempts_ended=(at(5),), retry_count=1)


def rule(*kinds: ActionKind, **more: Any) -> Rule:
    return replace(LIVE, actions=tuple(RuleAction(kind) for kind in kinds), **more)


def decided(seen: Situation, of: Incident | None = None, diagnosis: Diagnosis = SAFE) -> Decided:
    return decide(Case(seen, of or incident(), diagnosis, seen.views[-1]))


def again(seen: Situation, before: Decided, **more: Any) -> Decided:
    return decided(replace(seen, **more), incident(decisions=before.decisions))


def acts(found: Decided) -> list[Act]:
    return list(found.acts)


def test_an_allowed_resync_becomes_an_act_with_what_was_judged() -> None:
    (resync,) = decided(situation()).acts

    assert isinstance(resync, Resync)
    assert (resync.started_at, resync.finished_at, resync.sources) == (at(0), at(5), "the sources")
    assert (resync.revisions, resync.app_uid, resync.action.by) == ((REVISION,), "app-1", "rule again")
    assert resync.action.outcome.result is OutcomeResult.BEGUN
    assert resync.action.id == f"{resync.action.decision_id}-0"


def test_a_block_comes_again_with_another_failure_and_not_with_a_run_that_goes_well() -> None:
    """It may have been lifted meanwhile; one that is in force stays so by itself."""
    book = Rulebook((rule(ActionKind.BLOCK),))
    before = decided(situation(rulebook=book), diagnosis=DIRTY)
    later = operation(RUNNING, told(1, hook(hook_phase="Running"), 93), started=90)
    fails = operation(FAILED_PHASE, told(1, hook(), 95), started=90, finished=96)
    runs, failed_again = (again(situation((FAILED, it), rulebook=book), before).blocks for it in (later, fails))

    assert len(before.blocks) == 1
    assert runs == ()
    assert len(failed_again) == 1


@pytest.mark.parametrize(("window_open", "manual"), [(True, False), (False, True)])
def test_a_persons_order_is_a_persons_sync_only_where_a_window_asks_for_one(window_open: bool, manual: bool) -> None:
    asked = rule(ActionKind.RESYNC, mode=Mode.APPROVE)
    seen = situation(rulebook=Rulebook((asked,)), window_open=window_open, open_to_people=True)
    waits = decided(situation(rulebook=Rulebook((asked,))))
    approved = tuple(replace(d, approved_by="ana", approved_at=at(60)) for d in waits.decisions)
    (resync,) = decided(seen, incident(decisions=approved)).acts

    assert isinstance(resync, Resync)
    assert resync.manual is manual


def test_a_denied_one_becomes_a_decision_with_its_reasons_and_the_time_to_look_again() -> None:
    found = decided(situation(now=at(20)))
    decision = only(found.decisions)

    assert (found.acts, found.wake_at, decision.due_at) == ((), at(35), at(35))
    assert decision.verdict.result is VerdictResult.DENIED
    assert [r.text for r in decision.verdict.reasons if not r.passed] == ["cooling down until 03:00:35Z"]


def test_the_same_question_has_the_same_id_whenever_it_is_asked() -> None:
    ids = {only(decided(situation(now=at(now), switch=switch)).decisions).id for now in (20, 60) for switch in Switch}

    assert len(ids) == 1


def test_another_operation_rule_act_or_incident_has_another() -> None:
    view = situation().views[-1]
    later = situation((FAILED, operation(FAILED_PHASE, started=90, finished=95))).views[-1]
    ids = [
        decision_id(incident(), "again", ActionKind.RESYNC, view),
        decision_id(incident(), "again", ActionKind.RESYNC, later),
        decision_id(incident(), "other", ActionKind.RESYNC, view),
        decision_id(incident(), "again", ActionKind.TERMINATE, view),
        decision_id(replace(incident(), id="incident-2"), "again", ActionKind.RESYNC, view),
    ]

    assert len(set(ids)) == 5


def test_each_wait_of_an_operation_may_be_stopped() -> None:
    second = replace(WAITS, attempts_ended=(at(5), at(25)), finished_at=at(25), retry_count=2)
    ids = {
        decision_id(incident(), "again", ActionKind.STOP_RETRIES, situation((r,)).views[-1]) for r in (WAITS, second)
    }

    assert len(ids) == 2


def test_it_is_told_when_it_was_decided_and_not_when_it_was_looked_at() -> None:
    first = decided(situation(now=at(20)))
    second = again(situation(), first, now=at(25))
    third = again(situation(), second, now=at(40))

    assert [only(d.decisions).decided_at for d in (first, second, third)] == [at(20), at(20), at(40)]


# What came of it.


def test_what_was_done_is_not_done_again_and_keeps_its_verdict() -> None:
    first = decided(situation())
    (resync,) = first.acts
    taken = replace(resync.action, outcome=replace(resync.action.outcome, result=OutcomeResult.TAKEN))
    second = again(situation(), first, actions=(taken,))

    decision = only(second.decisions)
    assert second.acts == ()
    assert decision.verdict.result is VerdictResult.ALLOWED
    assert decision.outcome is not None
    assert decision.outcome.result is OutcomeResult.TAKEN


@pytest.mark.parametrize("result", [OutcomeResult.CONFLICT, OutcomeResult.REFUSED])
def test_what_wrote_nothing_is_judged_anew_under_another_name_some_times(result: OutcomeResult) -> None:
    first = decided(situation())
    key = only(first.decisions).id
    once = tuple(act(result, operation=0, id=f"{key}-{n}", decision_id=key) for n in range(1))
    often = tuple(act(result, operation=0, id=f"{key}-{n}", decision_id=key) for n in range(5))

    assert [a.action.id for a in again(situation(), first, actions=once).acts] == [f"{key}-1"]
    assert again(situation(), first, actions=often).acts == ()


def test_what_nobody_knows_the_end_of_is_never_repeated() -> None:
    first = decided(situation())
    key = only(first.decisions).id
    lost = act(OutcomeResult.UNKNOWN, operation=0, decision_id=key)

    assert again(situation(), first, actions=(lost,)).acts == ()


def test_an_act_expires_a_quarter_of_an_hour_after_it_became_allowed() -> None:
    allowed = replace(only(decided(situation()).decisions), allowed_since=at(60))
    in_time = decided(situation(now=at(60 + 900)), incident(decisions=(allowed,)))
    late = decided(situation(now=at(60 + 901)), incident(decisions=(allowed,)))

    assert len(in_time.acts) == 1
    assert late.acts == ()
    outcome = only(late.decisions).outcome
    assert outcome is not None
    assert outcome.result is OutcomeResult.EXPIRED
    later = decided(situation(now=at(9999)), incident(decisions=late.decisions))
    assert later.acts == ()


def test_the_time_begins_anew_when_something_stood_in_the_way() -> None:
    allowed = replace(only(decided(situation()).decisions), allowed_since=at(60))
    held = decided(situation(now=at(100), switch=Switch.ENGAGED), incident(decisions=(allowed,)))
    freed = decided(situation(now=at(2000)), incident(decisions=held.decisions))

    assert only(held.decisions).allowed_since is None
    assert only(freed.decisions).allowed_since == at(2000)
    assert len(freed.acts) == 1


# Approval.

ASKS = Rulebook((replace(LIVE, mode=Mode.APPROVE),), Mode.LIVE)


def approved(seen: Situation, evidence: str = "seen", when: float = 60) -> Incident:
    decision = only(decided(seen).decisions)
    decision = replace(decision, approved_by="ana", approved_at=at(when), evidence_version="seen")
    return incident(decisions=(decision,), evidence_version=evidence)


def test_what_a_person_approved_is_done_in_their_name() -> None:
    seen = situation(rulebook=ASKS)
    (resync,) = decided(seen, approved(seen)).acts

    assert resync.action.by == "ana"
    assert decided(seen).acts == ()


def test_an_approval_is_bound_to_the_evidence_that_was_shown() -> None:
    seen = situation(rulebook=ASKS)
    found = decided(seen, approved(seen, evidence="more was seen"))

    assert found.acts == ()
    assert only(found.decisions).verdict.result is VerdictResult.NEEDS_APPROVAL
    assert only(found.decisions).approved_by == ""


def test_an_approval_holds_for_an_hour() -> None:
    seen = situation(rulebook=ASKS)

    assert len(decided(replace(seen, now=at(60 + 3600)), approved(seen)).acts) == 1
    assert decided(replace(seen, now=at(60 + 3601)), approved(seen)).acts == ()


def test_what_was_declined_stays_so() -> None:
    seen = situation(rulebook=ASKS)
    declined = replace(only(decided(seen).decisions), declined_by="ana")
    found = decided(seen, incident(decisions=(declined,)))

    assert (found.acts, only(found.decisions).verdict.result) == ((), VerdictResult.DENIED)


def ordered(when: float = 60, evidence: str = "seen") -> Decision:
    return Decision(
        id="order-1",
        rule=BY_HAND,
        action=ActionKind.RESYNC,
        mode=Mode.APPROVE,
        operation=at(0),
        verdict=Verdict(VerdictResult.ALLOWED),
        evidence_version=evidence,
        decided_at=at(when),
        approved_by="ana",
        approved_at=at(when),
    )


NO_RULES = Rulebook((), Mode.SHADOW)


def test_what_a_person_ordered_is_done_without_any_rule() -> None:
    seen = situation(rulebook=NO_RULES)
    (resync,) = decided(seen, incident(decisions=(ordered(),))).acts

    assert (resync.action.by, resync.action.decision_id) == ("ana", "order-1")


@pytest.mark.parametrize("order", [ordered(when=-3541), ordered(evidence="less was seen")], ids=["an hour", "evidence"])
def test_an_order_that_lapsed_is_nobodys(order: Decision) -> None:
    """Safe or not: no rule said so."""
    found = decided(situation(rulebook=NO_RULES), incident(decisions=(order,)))

    assert (found.acts, only(found.decisions).verdict.result) == ((), VerdictResult.NEEDS_APPROVAL)


def test_an_order_of_another_operation_is_not_carried_over() -> None:
    later = operation(FAILED_PHASE, told(1, hook(), 95), started=90, finished=95)
    seen = situation((FAILED, later), (BROKEN,), now=at(200), rulebook=NO_RULES)

    assert decided(seen, incident(decisions=(ordered(),), operations=(at(0), at(90)))).acts == ()


def test_a_person_cannot_order_what_is_unsafe() -> None:
    found = decided(situation(rulebook=NO_RULES), incident(decisions=(ordered(),)), DIRTY)

    assert (found.acts, only(found.decisions).verdict.result) == ((), VerdictResult.DENIED)


# The other acts.


def test_retries_are_stopped_in_the_wait_that_was_judged() -> None:
    seen = situation((WAITS,), rulebook=Rulebook((rule(ActionKind.STOP_RETRIES),)))
    (stop,) = decided(seen, diagnosis=DIRTY).acts

    assert isinstance(stop, StopRetries)
    assert (stop.started_at, stop.finished_at) == (at(0), at(5))


def test_the_verdict_on_stopping_is_that_of_its_moment() -> None:
    book = Rulebook((rule(ActionKind.STOP_RETRIES),))
    waits = decided(situation((WAITS,), rulebook=book), diagnosis=SAFE)
    runs_on = replace(WAITS, finished_at=None)
    after = decided(situation((runs_on,), rulebook=book), incident(decisions=waits.decisions), SAFE)
    early = operation(RUNNING, told(1, hook(), 4))

    assert [r.guard for r in only(waits.decisions, ActionKind.STOP_RETRIES).verdict.reasons if not r.passed] == [
        "retry"
    ]
    assert after.decisions == waits.decisions
    assert decided(situation((early,), rulebook=book), diagnosis=DIRTY).decisions == ()


def test_a_termination_names_the_runs_that_were_judged() -> None:
    record = operation(RUNNING, told(1, hook(hook_phase="Running"), 3))
    stuck = job(1, pods=(pod(waiting("ImagePullBackOff"), pod_phase="Pending"),), active=1)
    seen = situation((record,), (stuck,), rulebook=Rulebook((rule(ActionKind.TERMINATE),)))
    (terminate,) = decided(seen).acts

    assert isinstance(terminate, Terminate)
    assert terminate.run_uids == ("db-migrate@1",)


def test_what_a_rule_in_shadow_would_have_done_stays_told_when_another_does_it() -> None:
    book = Rulebook((replace(LIVE, name="trial", mode=Mode.SHADOW, goes_on=True), LIVE), Mode.LIVE)
    first = decided(situation(rulebook=book))
    done = (act(OutcomeResult.TAKEN, 60, 0),)
    later = again(situation(rulebook=book), first, actions=done, now=at(70))
    released = Rulebook((replace(LIVE, name="trial", goes_on=True), LIVE), Mode.LIVE)

    for found in (first, later):
        trial = next(d for d in found.decisions if d.rule == "trial")
        assert [r.guard for r in trial.verdict.reasons if not r.passed] == ["mode"]
    live = next(d for d in again(situation(rulebook=released), later, actions=done).decisions if d.rule == "trial")
    assert live.verdict.refused_by("once")


@pytest.mark.parametrize(
    ("person", "made", "ends_running"),
    [
        ("", waiting("ImagePullBackOff"), False),
        ("ana", waiting("ImagePullBackOff"), False),
        ("ana", running(), True),
    ],
    ids=["nobody was asked", "ana saw nothing run", "ana saw it run"],
)
def test_only_who_saw_a_migration_run_ends_one(person: str, made: ContainerRun, ends_running: bool) -> None:
    record = operation(RUNNING, told(1, hook(hook_phase="Running"), 3))
    asked = rule(ActionKind.TERMINATE, mode=Mode.APPROVE if person else Mode.LIVE)
    seen = situation((record,), (job(1, pods=(pod(made),), active=1),), rulebook=Rulebook((asked,)))
    first = decided(seen)
    approved = tuple(replace(d, approved_by=person, approved_at=at(60)) for d in first.decisions)
    (terminate,) = decided(seen, incident(decisions=approved)).acts if person else first.acts

    assert isinstance(terminate, Terminate)
    assert terminate.ends_running is ends_running


def test_the_job_to_delete_is_named_with_its_uid() -> None:
    stale = job(-60, failed(-50), delete_policies=("HookSucceeded",))
    seen = situation((FAILED,), (stale,), rulebook=Rulebook((rule(ActionKind.DELETE_HOOK),)))
    (delete,) = decided(seen).acts

    assert isinstance(delete, DeleteHook)
    assert (delete.cluster, delete.namespace, delete.name, delete.uid) == (
        "in-cluster",
        "shop",
        "db-migrate",
        "db-migrate@-60",
    )
    assert delete.action.target == "shop/db-migrate/db-migrate@-60"


def test_an_old_job_in_the_way_is_what_rules_see_as_long_as_it_stands() -> None:
    """Whatever the incident began with: nothing of it can run again before."""
    old = job(-60, failed(-50), delete_policies=("HookSucceeded",))
    immutable = hook(status="SyncFailed", hook_phase="Failed", message="spec.template: field is immutable")
    refused = operation(FAILED_PHASE, told(1, immutable, 4), finished=5)
    runs = operation(RUNNING, told(1, hook(hook_phase="Running"), 3))

    assert category(situation((FAILED,), (old,))) == "stale-job"
    assert category(situation((refused,), (old,))) == "immutable-job"
    for going in ({"gone_at": at(6)}, {"deleting_at": at(6)}):
        assert category(situation((FAILED,), (replace(old, **going),))) == SAFE.category
    assert category(situation((runs,), (old,))) == SAFE.category  # Argo CD may be about to replace it
    assert category(situation()) == SAFE.category


def category(seen: Situation) -> str | None:
    return facts_of(seen, incident(), SAFE, seen.views[-1]).category


def test_a_run_that_goes_on_is_nothing_to_repeat() -> None:
    runs = operation(RUNNING, told(1, hook(hook_phase="Running"), 93), started=90)

    assert decided(situation((FAILED, runs), (BROKEN, job(91)))).decisions == ()


def test_the_first_rule_that_matches_decides_and_one_that_goes_on_lets_the_next() -> None:
    first = replace(LIVE, name="first", goes_on=False)
    second = replace(LIVE, name="second")

    alone = decided(situation(rulebook=Rulebook((first, second))))
    both = decided(situation(now=at(20), rulebook=Rulebook((replace(first, goes_on=True), second))))
    assert [d.rule for d in alone.decisions] == ["first"]
    assert [d.rule for d in both.decisions] == ["first", "second"]


def test_rules_look_at_what_is_known() -> None:
    view = situation().views[-1]
    facts = facts_of(situation(), incident(), SAFE, view)

    assert (facts.category, facts.retry, facts.state_left, facts.sync_phase) == (
        "connection-refused",
        "safe",
        "none",
        "PreSync",
    )
    assert (facts.application, facts.project, facts.owner, facts.hook, facts.hook_kind) == (
        "orders",
        "shop",
        "team-orders",
        "db-migrate",
        "Job",
    )
    assert (facts.initiated_by, facts.attempts, facts.service) == ("automated", 1, "shop/orders")


def test_a_rule_that_does_not_match_decides_nothing() -> None:
    elsewhere = replace(LIVE, conditions=(Condition("project", ("payments",)),))

    assert decided(situation(rulebook=Rulebook((elsewhere,)))).decisions == ()
