"""May this be done now? Each guard alone says no, and everything else then still speaks."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.core.actions import ActionKind, Mode, OutcomeResult, Reason, Switch, VerdictResult
from responder.core.argocd import OperationPhase, SyncRequest
from responder.core.candidate import Candidate, Guard
from responder.core.evidence import Freshness, Gap, GapReason
from responder.core.failure import Confidence, Retry, StateLeft
from responder.core.guards import GUARDS, judge
from responder.core.hooks import ContainerKind, HookRun
from responder.core.limiting import cooled_at
from responder.core.rules import Condition
from responder.core.situation import Situation
from tests.unit.core.deciding import (
    BROKEN,
    DIRTY,
    FAILED,
    LIVE,
    POLICY,
    SAFE,
    act,
    block,
    candidate,
    incident,
    situation,
    with_app,
)
from tests.unit.core.night import (
    AUTOMATED,
    REVISION,
    at,
    container,
    failed,
    gone,
    hook,
    job,
    log,
    operation,
    pod,
    running,
    state,
    told,
    waiting,
)

RUNNING, TERMINATING, FAILED_PHASE, ERROR, SUCCEEDED = OperationPhase
replace = msgspec.structs.replace


def refused(seen: Candidate) -> list[str]:
    return [reason.guard for reason in judge(seen).reasons if not reason.passed]


def why(seen: Candidate) -> str:
    (reason,) = [reason.text for reason in judge(seen).reasons if not reason.passed]
    return reason


def requested(**more: Any) -> Situation:
    record = replace(FAILED, request=replace(AUTOMATED, **more))
    return situation((record,))


def rule(**more: Any) -> Candidate:
    return candidate(rule=replace(LIVE, **more))


def ended(**more: Any) -> HookRun:
    return replace(BROKEN, pods=(pod(container(**more)),))


def test_a_safe_failure_of_an_automated_sync_is_run_again() -> None:
    verdict = judge(candidate())

    assert (verdict.result, [r.guard for r in verdict.reasons if not r.passed]) == (VerdictResult.ALLOWED, [])
    assert len(verdict.reasons) == len(GUARDS[ActionKind.RESYNC])


@pytest.mark.parametrize(("kind", "refusing"), [("Secret", []), ("Workflow", ["idempotent"])])
def test_a_hook_that_is_only_applied_runs_nothing_that_could_run_twice(kind: str, refusing: list[str]) -> None:
    applied = replace(hook("db-credentials", "Succeeded", group=""), kind=kind)
    record = replace(FAILED, results=(told(1, applied, 1), *FAILED.results))
    assert refused(candidate(situation((record,)))) == refusing


FUTILE = replace(SAFE, retry=Retry.FUTILE, retry_reason="it will fail again")
SEEDS = ended(command=("sh", "-c", "./seed"))
PROXY = running("proxy", kind=ContainerKind.SIDECAR)
ALEMBIC = ("alembic", "upgrade", "head")
HELD_BY: list[tuple[str, str, Candidate]] = [
    ("killswitch", "the kill switch is engaged", candidate(situation(switch=Switch.ENGAGED))),
    ("killswitch", "the kill switch is absent", candidate(situation(switch=Switch.ABSENT))),
    ("killswitch", "the kill switch is unreadable", candidate(situation(switch=Switch.UNREADABLE))),
    (
        "killswitch",
        "the store was restored from a backup: a named person has to release the kill switch",
        candidate(situation(restored=True)),
    ),
    (
        "rbac",
        "read-only: RBAC does not allow it (the actuator role is not bound)",
        candidate(situation(permitted=frozenset({"terminate"}))),
    ),
    ("mode", "actions.mode is shadow", candidate(situation(policy=replace(POLICY, mode=Mode.SHADOW)))),
    ("mode", "rule 'again' is in shadow mode", rule(mode=Mode.SHADOW)),
    (
        "mode",
        "the Application says hook-responder.io/mode: off",
        candidate(with_app(annotations=(("hook-responder.io/mode", "off"),))),
    ),
    ("mode", "the AppProject says hook-responder.io/mode: shadow", candidate(situation(project_mode="shadow"))),
    (
        "freshness",
        "the watch of jobs is silent",
        candidate(situation(freshness=Freshness(synced=True, observed_at=None, trouble="the watch of jobs is silent"))),
    ),
    ("freshness", "not synced", candidate(situation(freshness=Freshness(synced=False, observed_at=None)))),
    ("application", "the Application is being deleted", candidate(with_app(deleting=True))),
    (
        "application",
        "the Application is set to skip-reconcile",
        candidate(with_app(annotations=(("argocd.argoproj.io/skip-reconcile", "true"),))),
    ),
    (
        "application",
        "it is our own Application, or an ancestor of it",
        candidate(situation(policy=replace(POLICY, own_applications=("*/root", "argocd/ord*")))),
    ),
    (
        "once",
        "resync was already done for this operation (failed)",
        candidate(situation(actions=(act(OutcomeResult.FAILED, begun=-600, operation=0, revisions=("old",)),))),
    ),
    (
        "once",
        "our terminate is still under way",
        candidate(situation(actions=(act(OutcomeResult.TAKEN, kind=ActionKind.TERMINATE),))),
    ),
    (
        "owner",
        "Kargo syncs this Application",
        candidate(with_app(annotations=(("kargo.akuity.io/authorized-stage", "shop:test"),))),
    ),
    ("in-flight", "an operation is requested or runs", candidate(with_app(requested=True))),
    (
        "in-flight",
        "another operation has begun since",
        candidate(with_app(operation=state(RUNNING, started=50))),
    ),
    ("retry", "futile: it will fail again", candidate(diagnosis=FUTILE)),
    ("retry", "unknown: a gap", candidate(diagnosis=replace(SAFE, retry=Retry.UNKNOWN, retry_reason="a gap"))),
    ("retry", "unsafe: a marker was left", candidate(diagnosis=DIRTY)),
    ("operation-kind", "it synced selected resources only", candidate(requested(selective=True))),
    ("operation-kind", "it was a dry run", candidate(requested(dry_run=True))),
    ("operation-kind", "it synced local manifests", candidate(requested(local_manifests=True))),
    ("operation-kind", "it was a rollback", candidate(requested(rollback=True))),
    ("operation-kind", "it used the apply strategy, which runs no hooks", candidate(requested(apply_strategy=True))),
    ("initiator", "a person started it (ana)", candidate(requested(automated=False, username="ana"))),
    ("initiator", "a person started it (unnamed)", candidate(requested(automated=False))),
    (
        "auto-sync",
        "the Application has no auto-sync and is not opted in",
        candidate(with_app(automated=False)),
    ),
    (
        "sources",
        "the sources have changed since, or are not known",
        candidate(with_app(sources="others")),
    ),
    (
        "sources",
        "the sources have changed since, or are not known",
        candidate(situation((replace(FAILED, sources=""),))),
    ),
    (
        "sources",
        "the revisions that failed are not known",
        candidate(situation((replace(FAILED, revisions=(), request=replace(AUTOMATED, revisions=())),))),
    ),
    ("sync-window", "a sync window is closed", candidate(situation(window_open=False))),
    ("sync-window", "whether a sync window is open is not known", candidate(situation(window_open=None))),
    ("idempotent", "hook db-migrate is not known to be idempotent", candidate(situation(runs=(SEEDS,)))),
    ("idempotent", "hook db-migrate was not seen: it is not known to be idempotent", candidate(situation(runs=()))),
    (
        "historic",
        "it ended before the responder was installed",
        candidate(situation(installed_at=at(6))),
    ),
    (
        "historic",
        "it ended long before we saw it",
        candidate(situation((replace(FAILED, first_seen_at=at(5 + 1801)),))),
    ),
    (
        "budget",
        "the budget of 2 is used up",
        candidate(situation(actions=(act(OutcomeResult.FAILED, -90000), act(OutcomeResult.SUCCEEDED, -86500)))),
    ),
    (
        "ceiling",
        "1 runs of this Application in 24 h, the ceiling is 1",
        candidate(situation(policy=replace(POLICY, per_application_day=1))),
    ),
    (
        "ceiling",
        "20 resyncs in this hour, the ceiling is reached",
        candidate(situation(responder_hour=20)),
    ),
    ("cooldown", "cooling down until 03:01:05Z", candidate(delay=60.0)),
    (
        "correlation",
        "who else fails for this cause is not looked up yet",
        candidate(incident=incident(correlation="database/db")),
    ),
    (
        "evidence",
        "evidence is missing: db-migrate-1/migrate (delete-policy)",
        candidate(situation(runs=(replace(BROKEN, gaps=(Gap("db-migrate-1/migrate", GapReason.DELETE_POLICY),)),))),
    ),
    (
        "still-running",
        "container migrate of db-migrate-1 still runs",
        candidate(situation(runs=(replace(BROKEN, pods=(pod(running(command=ALEMBIC)),)),))),
    ),
    ("block", "an earlier failure left the database dirty", candidate(situation(blocks=(block(StateLeft.DIRTY),)))),
]  # fmt: skip


def refusing(seen: Candidate) -> list[Guard]:
    return [guard for guard in GUARDS[seen.kind] if not guard(seen).passed]


@pytest.mark.parametrize(("guard", "text", "seen"), HELD_BY, ids=[text for _, text, _ in HELD_BY])
def test_without_that_guard_it_would_be_done(guard: str, text: str, seen: Candidate) -> None:
    """The mutation proof of each guard: nothing else stands where it stands."""
    (alone,) = refusing(seen)
    broken = {**GUARDS, seen.kind: tuple(g for g in GUARDS[seen.kind] if g is not alone)}

    assert alone(seen) == Reason(guard, text)
    assert judge(seen, broken).result is VerdictResult.ALLOWED


def test_no_guard_of_a_resync_is_without_its_proof() -> None:
    proven = {guard for _, _, seen in HELD_BY for guard in refusing(seen)}

    assert {g.__name__ for g in GUARDS[ActionKind.RESYNC]} - {g.__name__ for g in proven} == {"approval"}


@pytest.mark.parametrize(("guard", "text", "seen"), HELD_BY, ids=[text for _, text, _ in HELD_BY])
def test_each_guard_alone_holds_it_and_says_why(guard: str, text: str, seen: Candidate) -> None:
    assert judge(seen).result is VerdictResult.DENIED
    assert refused(seen) == [guard]
    assert why(seen) == text


def test_every_guard_of_a_resync_is_seen_to_hold_it() -> None:
    """`approval` only asks."""
    of_all = {reason.guard for reason in judge(candidate()).reasons}

    assert of_all - {guard for guard, _, _ in HELD_BY} == {"approval"}


def test_an_application_that_is_gone_is_left_alone() -> None:
    verdict = judge(candidate(situation(app=None)))

    assert verdict.result is VerdictResult.DENIED
    assert "the Application is gone" in [r.text for r in verdict.reasons]


def test_a_no_has_all_its_reasons() -> None:
    seen = candidate(situation(switch=Switch.ABSENT, window_open=None, responder_hour=99), diagnosis=DIRTY)

    assert refused(seen) == ["killswitch", "retry", "sync-window", "ceiling"]


def test_an_operation_that_waits_is_argo_cds_to_retry() -> None:
    record = operation(RUNNING, told(1, hook(), 5), finished=5, attempts_ended=(at(5),), retry_count=1)
    seen = candidate(situation((record,)))

    assert why(seen) == "Argo CD itself will retry"


def test_an_applicationset_that_rolls_out_runs_its_own_syncs() -> None:
    record = replace(FAILED, request=SyncRequest(username="applicationset-controller", revisions=(REVISION,)))
    seen = with_app(owner_kinds=("ApplicationSet",))
    rolling = candidate(
        replace(seen, views=situation((record,)).views),
        rule=replace(LIVE, conditions=(Condition("initiated_by", ("user",)),)),
    )

    assert why(rolling) == "an ApplicationSet's rolling sync runs this Application"
    assert judge(candidate(seen)).result is VerdictResult.ALLOWED


# Evidence.

GAP = (Gap("db-migrate-1/migrate", GapReason.DELETE_POLICY),)


def test_a_gap_anywhere_in_the_incident_holds_it() -> None:
    first = operation(FAILED_PHASE, told(1, hook(), 5), finished=5)
    second = operation(FAILED_PHASE, told(1, hook(), 25), started=20, finished=25)
    runs = (replace(BROKEN, gaps=GAP), replace(BROKEN, uid="two", created_at=at(21), conditions=failed(24)))
    seen = candidate(situation((first, second), runs))

    assert why(seen) == "evidence is missing: db-migrate-1/migrate (delete-policy)"


def test_a_gap_of_an_incident_before_does_not() -> None:
    before = operation(FAILED_PHASE, told(1, hook(), -300), started=-310, finished=-300)
    old = job(-309, failed(-301), gaps=GAP)

    assert judge(candidate(situation((before, FAILED), (old, BROKEN)))).result is VerdictResult.ALLOWED


# Containers that run.


@pytest.mark.parametrize(
    ("run", "name"),
    [
        (job(1, failed(4), pods=(pod(running(command=ALEMBIC)),)), "container migrate of db-migrate-1"),
        (job(1, pods=(), active=1, idempotent=True), "a Pod of db-migrate that was not seen"),
    ],
    ids=["in its grace", "unseen"],
)  # fmt: skip
def test_a_migration_that_still_runs_gets_no_second_beside_it(run: HookRun, name: str) -> None:
    seen = candidate(situation(runs=(run,)))

    assert why(seen) == f"{name} still runs"
    assert judge(seen).result is VerdictResult.DENIED  # nobody may approve that


def test_a_container_of_a_pod_that_is_gone_does_not_run() -> None:
    vanished = gone(job(1, failed(4), pods=(pod(running(command=ALEMBIC), gone_at=at(5)),)), 5)

    assert judge(candidate(situation(runs=(vanished,)))).result is VerdictResult.ALLOWED


# Idempotence.


@pytest.mark.parametrize(
    "run",
    [
        ended(command=("sh", "-c", "alembic upgrade head")),
        replace(ended(command=("./whatever",)), idempotent=True),
        job(1, failed(4, "DeadlineExceeded"), pods=(pod(waiting("ImagePullBackOff")),)),
        replace(BROKEN, pods=(pod(container(command=("flyway", "migrate")), PROXY),)),
    ],
    ids=["a tool", "annotated", "never started", "a sidecar beside it"],
)  # fmt: skip
def test_what_is_known_to_be_idempotent_may_run_again(run: HookRun) -> None:
    assert judge(candidate(situation(runs=(run,)))).result is VerdictResult.ALLOWED


def test_a_hook_that_ended_well_runs_again_too_and_has_to_be_known() -> None:
    record = replace(FAILED, results=(told(1, hook("seed", "Succeeded"), 3), *FAILED.results))
    seed = job(1, name="seed", pods=(pod(container(0, command=("./seed.sh",))),))

    assert why(candidate(situation((record,), (BROKEN, seed)))) == "hook seed is not known to be idempotent"


# What is spent, and how long to wait.


def test_acts_that_wrote_nothing_are_not_counted() -> None:
    nothing = [OutcomeResult.CONFLICT, OutcomeResult.REFUSED, OutcomeResult.EXPIRED]
    done = tuple(act(result, operation=0) for result in nothing)

    assert judge(candidate(situation(actions=done))).result is VerdictResult.ALLOWED


def test_another_revision_has_its_own_budget() -> None:
    done = tuple(act(OutcomeResult.FAILED, -90000 + n, revisions=("other",)) for n in range(5))

    assert judge(candidate(situation(actions=done))).result is VerdictResult.ALLOWED


def test_runs_that_may_stand_behind_very_many_operations_are_not_counted_as_none() -> None:
    healed = replace(AUTOMATED, selective=True)
    many = [operation(SUCCEEDED, started=-100 * n, finished=-100 * n + 1, request=healed) for n in range(49, 0, -1)]
    counted = situation((*many[1:], FAILED))

    assert judge(candidate(counted)).result is VerdictResult.ALLOWED
    assert refused(candidate(situation((*many, FAILED)))) == ["ceiling"]


def test_argo_cds_own_retries_count_towards_the_ceiling() -> None:
    record = operation(
        FAILED_PHASE, told(1, hook(), 5), told(2, hook(), 20), finished=20, attempts_ended=(at(5),), retry_count=1
    )
    runs = (BROKEN, replace(BROKEN, uid="two", created_at=at(16), conditions=failed(19)))
    seen = situation((record,), runs, policy=replace(POLICY, per_application_day=2))

    assert why(candidate(seen)) == "2 runs of this Application in 24 h, the ceiling is 2"


def test_runs_of_another_day_partial_ones_and_those_the_gate_held_do_not() -> None:
    old = operation(FAILED_PHASE, told(1, hook(), -86395), started=-86400, finished=-86395)
    partial = operation(SUCCEEDED, started=-60, finished=-59, request=replace(AUTOMATED, selective=True))
    held = operation(FAILED_PHASE, told(1, hook("gate"), -25), started=-30, finished=-25)
    gate = job(-29, failed(-26), name="gate", gate=True)
    seen = situation((old, partial, held, FAILED), (gate, BROKEN), policy=replace(POLICY, per_application_day=2))

    assert judge(candidate(seen)).result is VerdictResult.ALLOWED


def test_the_cooldown_doubles_with_each_resync_of_a_day_and_is_spread() -> None:
    def waits(*begun: float) -> float:
        done = tuple(act(OutcomeResult.FAILED, b) for b in begun)
        return (cooled_at(candidate(situation(actions=done, now=at(3600)), delay=0.0)) - at(begun[-1])).total_seconds()

    assert 120 <= waits(3000) <= 144
    assert 240 <= waits(2000, 3000) <= 288
    assert 480 <= waits(1000, 2000, 3000) <= 576
    assert waits(3000) == waits(3000)
    assert 120 <= waits(-90000, 3000) <= 144  # that of another day is forgotten


def test_the_delay_counts_from_the_end_of_the_operation() -> None:
    assert cooled_at(candidate()) == at(35)


# Persons.


def test_approval_is_asked_for_when_nothing_else_stands_in_the_way() -> None:
    verdict = judge(rule(mode=Mode.APPROVE))

    assert verdict.result is VerdictResult.NEEDS_APPROVAL
    assert judge(rule(mode=Mode.APPROVE)).reasons != judge(candidate()).reasons


def test_actions_mode_approve_asks_for_every_act() -> None:
    seen = situation(policy=replace(POLICY, mode=Mode.APPROVE))

    assert judge(candidate(seen)).result is VerdictResult.NEEDS_APPROVAL
    assert judge(candidate(seen, person="ana")).result is VerdictResult.ALLOWED


def test_what_is_denied_anyway_is_not_shown_for_approval() -> None:
    seen = candidate(situation(switch=Switch.ENGAGED), rule=replace(LIVE, mode=Mode.APPROVE))

    assert judge(seen).result is VerdictResult.DENIED
    assert refused(seen) == ["killswitch", "approval"]


@pytest.mark.parametrize("retry", [Retry.SAFE, Retry.FUTILE, Retry.UNKNOWN])
def test_a_named_person_may_order_what_is_not_unsafe(retry: Retry) -> None:
    runs = (replace(BROKEN, gaps=GAP),)
    seen = candidate(situation(runs=runs), diagnosis=replace(SAFE, retry=retry), person="ana")

    assert judge(seen).result is VerdictResult.ALLOWED


def test_nobody_may_order_what_is_unsafe() -> None:
    assert refused(candidate(diagnosis=DIRTY, person="ana")) == ["retry"]


def test_nobody_may_order_it_before_what_was_left_behind_is_resolved() -> None:
    seen = situation(blocks=(block(StateLeft.PARTIAL),))

    assert refused(candidate(seen, person="ana")) == ["block"]


ANYWAY = [
    (guard, seen)
    for guard, text, seen in HELD_BY
    if guard not in ("retry", "evidence") and text != "rule 'again' is in shadow mode"
]


@pytest.mark.parametrize(("guard", "seen"), ANYWAY)
def test_every_other_guard_holds_for_a_person_too(guard: str, seen: Candidate) -> None:
    ordered = Candidate(
        seen.situation, seen.view, seen.diagnosis, seen.kind, seen.rule,
        incident=seen.incident, delay=seen.delay, person="ana",
    )  # fmt: skip

    assert refused(ordered) == [guard]


def test_rules_and_applications_may_opt_in() -> None:
    by_ana = requested(automated=False, username="ana")
    says_user = replace(LIVE, conditions=(Condition("initiated_by", ("user",)),))
    annotated = with_app(automated=False, annotations=(("hook-responder.io/resync", "true"),))
    configured = with_app(automated=False)
    configured = replace(configured, policy=replace(POLICY, opt_in_manual=True))

    assert judge(candidate(by_ana, rule=says_user)).result is VerdictResult.ALLOWED
    assert judge(candidate(annotated)).result is VerdictResult.ALLOWED
    assert judge(candidate(configured)).result is VerdictResult.ALLOWED


# The other acts.

WAITS = operation(RUNNING, told(1, hook(), 5), finished=5, attempts_ended=(at(5),), retry_count=1)


@pytest.mark.parametrize(
    ("retry", "confidence", "allowed"),
    [
        (Retry.UNSAFE, Confidence.CERTAIN, True),
        (Retry.FUTILE, Confidence.LIKELY, True),
        (Retry.UNSAFE, Confidence.GUESS, False),
        (Retry.UNKNOWN, Confidence.CERTAIN, False),
        (Retry.SAFE, Confidence.CERTAIN, False),
    ],
)
def test_retries_are_stopped_when_another_would_do_no_good_for_sure(
    retry: Retry, confidence: Confidence, allowed: bool
) -> None:
    found = replace(SAFE, retry=retry, confidence=confidence)
    seen = candidate(situation((WAITS,)), ActionKind.STOP_RETRIES, found)

    assert (judge(seen).result is VerdictResult.ALLOWED) is allowed
    assert refused(seen) == ([] if allowed else ["retry"])


def test_an_operation_that_does_not_wait_is_not_stopped() -> None:
    runs = operation(RUNNING, told(1, hook(hook_phase="Running"), 3))

    assert refused(candidate(situation((runs,)), ActionKind.STOP_RETRIES, DIRTY)) == ["waiting"]
    assert refused(candidate(situation(), ActionKind.STOP_RETRIES, DIRTY)) == ["waiting"]


STUCK = operation(RUNNING, told(1, hook(hook_phase="Running"), 3))


@pytest.mark.parametrize(
    ("run", "free"),
    [
        (job(1, pods=(pod(waiting("ImagePullBackOff"), pod_phase="Pending"),), active=1), True),
        (job(1), True),
        (job(1, pods=(pod(container(), PROXY),), active=1), True),
        (job(1, pods=(pod(running()),), active=1), False),
        (job(1, pods=(pod(container(), running("other")),), active=1), False),
        (job(1, pods=(pod(container(), pod_phase="Failed"), pod(running(), name="two")), active=1), False),
        (job(1, active=1), False),
        (None, False),
        (job(1, pods=(pod(container(), waiting("ImagePullBackOff", name="second")),), active=1), False),
        (job(1, pods=(pod(container()), pod(waiting("ContainerCreating"), name="two")), active=1), False),
    ],
    ids=[
        "image", "no pod", "sidecar", "runs", "in doubt a migration", "second pod", "unseen pod", "unseen job",
        "half way", "about to run again",
    ],
)  # fmt: skip
def test_only_what_runs_no_migration_is_terminated_without_a_person(run: HookRun | None, free: bool) -> None:
    seen = situation((STUCK,), (run,) if run else ())
    alone = judge(candidate(seen, ActionKind.TERMINATE))

    assert alone.result is (VerdictResult.ALLOWED if free else VerdictResult.NEEDS_APPROVAL)
    assert judge(candidate(seen, ActionKind.TERMINATE, person="ana")).result is VerdictResult.ALLOWED


@pytest.mark.parametrize(
    "record", [FAILED, WAITS, replace(STUCK, replaced=True), replace(STUCK, operation_phase=TERMINATING)]
)
def test_what_does_not_run_is_not_terminated(record: Any) -> None:
    assert "running" in refused(candidate(situation((record,), ()), ActionKind.TERMINATE))


def test_a_finished_job_that_answers_for_the_hook_may_be_deleted() -> None:
    stale = job(-60, failed(-50), delete_policies=("HookSucceeded",))
    seen = situation((FAILED,), (stale,))

    assert judge(candidate(seen, ActionKind.DELETE_HOOK)).result is VerdictResult.ALLOWED
    assert refused(candidate(situation(), ActionKind.DELETE_HOOK)) == ["stale"]


def test_a_finished_job_that_cannot_be_changed_may_be_deleted() -> None:
    refused_job = hook(status="SyncFailed", message='Job.batch "db-migrate" is invalid: field is immutable')
    record = operation(FAILED_PHASE, told(1, refused_job, 2), finished=2)
    standing = job(-60, failed(-50), delete_policies=("HookSucceeded",))

    assert judge(candidate(situation((record,), (standing,)), ActionKind.DELETE_HOOK)).result is VerdictResult.ALLOWED


READ = pod(container())
UNREAD = pod(container(log=log(whole=False)))
LOST = (Gap("db-migrate-1/migrate", GapReason.LOG_ROTATED),)


@pytest.mark.parametrize(
    ("changes", "guards"),
    [
        ({"pods": (READ,)}, []),
        ({"pods": (UNREAD,)}, ["evidence"]),
        ({"pods": (pod(container(log=None)),)}, ["evidence"]),
        ({"pods": (UNREAD,), "gaps": LOST}, []),
        ({"pods": (pod(running()),)}, ["still-running"]),
        ({"kind": "AtlasMigration"}, ["stale"]),
    ],
    ids=["read", "not to its end", "not at all", "lost", "a Pod on its way out", "no Job"],
)
def test_a_failed_job_is_deleted_when_its_log_is_kept(changes: dict[str, Any], guards: list[str]) -> None:
    stale = replace(job(-60, failed(-50), delete_policies=("HookSucceeded",)), **changes)

    assert refused(candidate(situation((FAILED,), (stale,)), ActionKind.DELETE_HOOK)) == guards


@pytest.mark.parametrize(("person", "held"), [("", ["sync-window"]), ("ana", [])])
def test_a_window_that_lets_people_sync_lets_only_a_person_s_order_pass(person: str, held: list[str]) -> None:
    closed = situation(window_open=False, open_to_people=True)

    assert refused(candidate(closed, person=person)) == held
    assert refused(candidate(situation(window_open=False), person=person)) == ["sync-window"]


def test_a_rule_that_was_set_to_shadow_does_nothing_that_was_approved_before() -> None:
    seen = candidate(rule=replace(LIVE, mode=Mode.SHADOW), person="ana")

    assert refused(seen) == ["mode"]


def test_a_job_that_runs_is_not_deleted() -> None:
    unfinished = job(-60, delete_policies=("HookSucceeded",), active=1)

    assert "stale" in refused(candidate(situation((FAILED,), (unfinished,)), ActionKind.DELETE_HOOK))


# Properties.

RETRIES = st.sampled_from(list(Retry))
SITUATIONS = st.builds(
    situation,
    switch=st.sampled_from(list(Switch)),
    permitted=st.sampled_from([frozenset(), frozenset({"resync"})]),
    window_open=st.sampled_from([True, False, None]),
    responder_hour=st.integers(0, 25),
    restored=st.booleans(),
    runs=st.sampled_from([(BROKEN,), (), (replace(BROKEN, gaps=GAP),)]),
    project_mode=st.sampled_from([None, "off"]),
)


@given(SITUATIONS, RETRIES, st.sampled_from(["", "ana"]), st.sampled_from(list(Mode)))
def test_a_verdict_is_what_its_reasons_are(seen: Situation, retry: Retry, person: str, mode: Mode) -> None:
    asked = candidate(seen, diagnosis=replace(SAFE, retry=retry), person=person, rule=replace(LIVE, mode=mode))
    verdict = judge(asked)
    against = {r.guard for r in verdict.reasons if not r.passed}

    assert verdict == judge(asked)
    assert (verdict.result is VerdictResult.ALLOWED) == (not against)
    assert (verdict.result is VerdictResult.NEEDS_APPROVAL) == (against == {"approval"})
    if verdict.result is VerdictResult.ALLOWED:
        assert seen.switch is Switch.RELEASED
        assert retry is not Retry.UNSAFE
        assert person or retry is Retry.SAFE


def test_the_time_of_a_verdict_is_an_argument() -> None:
    seen = situation(now=at(34))

    assert refused(candidate(seen)) == ["cooldown"]
    assert refused(candidate(replace(seen, now=seen.now + timedelta(seconds=1)))) == []
