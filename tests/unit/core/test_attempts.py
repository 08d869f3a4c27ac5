"""Which Job ran in which attempt of which operation, and whose it is."""

from typing import Any

import msgspec
import pytest

from responder.core.argocd import AppKey, OperationPhase
from responder.core.attempts import Admission, OperationView, never_started, refused
from responder.core.evidence import Gap, GapReason
from tests.unit.core.night import (
    ADMISSION,
    at,
    complete,
    container,
    failed,
    gone,
    hook,
    job,
    operation,
    pod,
    told,
    views,
    waiting,
)

RUNNING, TERMINATING, FAILED, ERROR, SUCCEEDED = OperationPhase


def ran(view: OperationView) -> list[list[str | None]]:
    """By attempt, the uids of the Jobs that ran in it."""
    return [[h.run.uid if h.run is not None else None for h in a.hooks] for a in view.attempts]


# Whose is it?


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"tracked": "payments"}, "its tracking id names payments"),
        ({"tracked": ""}, "its tracking id names nobody"),
        ({"cluster": "west"}, "it ran in cluster west, which is not this Application's destination"),
        ({"namespace": "payments"}, "the AppProject does not permit namespace payments"),
        ({"gate": True}, "it is the promotion gate's own hook"),
        ({}, ""),
    ],
)
def test_an_annotation_alone_steers_nobody(change: dict[str, Any], why: str) -> None:
    assert refused(job(**change), ADMISSION) == why


def test_a_destination_that_we_do_not_know_admits_nothing() -> None:
    nowhere = msgspec.structs.replace(ADMISSION, cluster=None)

    assert refused(job(), nowhere) == "it ran in cluster in-cluster, which is not this Application's destination"


def test_an_application_of_another_namespace_is_tracked_by_both_names() -> None:
    theirs = Admission(AppKey("team-a", "orders"), "argocd", "in-cluster", lambda _: True)

    assert refused(job(tracked="team-a_orders"), theirs) == ""
    assert refused(job(tracked="orders"), theirs) == "its tracking id names orders"


def test_another_teams_job_of_the_same_name_is_not_decided_upon() -> None:
    foreign = job(1, failed(3), tracked="payments")
    (view,) = views([operation(RUNNING, told(1, hook(hook_phase="Running"), 3))], [foreign])

    assert ran(view) == [[None]]
    assert view.failed is False


def test_a_job_that_the_operation_does_not_name_is_not_decided_upon() -> None:
    (view,) = views([operation(FAILED, told(1, hook(), 3), finished=4)], [job(name="another")])

    assert ran(view) == [[None]]


def test_a_job_of_another_api_group_is_another_thing() -> None:
    (view,) = views([operation(FAILED, told(1, hook(group="batch.volcano.sh"), 3), finished=4)], [job(1, failed(3))])

    assert ran(view) == [[None]]


def test_a_job_from_before_the_operation_is_not_its_own() -> None:
    before = gone(job(-60, failed(-50)), -40)
    (view,) = views([operation(FAILED, told(1, hook(), 3), finished=4)], [before])

    assert ran(view) == [[None]]


def test_a_job_made_in_the_second_of_the_start_is_its_own() -> None:
    (view,) = views([operation(FAILED, told(1, hook(), 3), finished=4)], [job(0, failed(3))])

    assert ran(view) == [["db-migrate@0"]]


# Which attempt?


def two_attempts(*more: float) -> OperationView:
    record = operation(FAILED, told(1, hook(), 5), told(2, hook(), 20), finished=20, attempts_ended=(at(5),))
    (view,) = views([record], [job(created, failed(created + 1)) for created in (1, 16, *more)])
    return view


def test_jobs_of_one_name_are_told_apart_by_the_time_of_their_attempt() -> None:
    assert ran(two_attempts()) == [["db-migrate@1"], ["db-migrate@16"]]
    assert [a.number for a in two_attempts().attempts] == [1, 2]


def test_a_job_made_in_the_second_of_an_end_belongs_to_the_attempt_that_ended() -> None:
    record = operation(FAILED, told(1, hook(), 5), told(2, hook(), 20), finished=20, attempts_ended=(at(1),))
    (view,) = views([record], [job(1, failed(1)), job(16, failed(19))])

    assert ran(view) == [["db-migrate@1"], ["db-migrate@16"]]


def test_an_attempt_that_no_version_told_of_is_one_by_its_job() -> None:
    record = operation(FAILED, told(1, hook(), 5), told(3, hook(), 40), finished=40, attempts_ended=(at(5), at(6)))
    (view,) = views([record], [job(1, failed(4)), job(16, failed(19)), job(31, failed(39))])

    assert ran(view) == [["db-migrate@1"], ["db-migrate@16"], ["db-migrate@31"]]
    assert [a.number for a in view.attempts] == [1, 2, 3]
    assert all(a.failed for a in view.attempts)


def test_several_hooks_of_an_untold_attempt_are_in_it_together() -> None:
    record = operation(
        FAILED,
        *(told(1, hook(name), 5) for name in ("a", "b")),
        *(told(3, hook(name), 40) for name in ("a", "b")),
        finished=40,
        attempts_ended=(at(5), at(6)),
    )
    jobs = [job(created, failed(created + 2), name=name) for created in (1, 16, 31) for name in ("a", "b")]
    (view,) = views([record], jobs)

    assert ran(view) == [["a@1", "b@1"], ["a@16", "b@16"], ["a@31", "b@31"]]


def test_a_retry_whose_job_is_not_named_yet_has_begun() -> None:
    record = operation(RUNNING, told(1, hook(), 5), attempts_ended=(at(5),), retry_count=1)
    (view,) = views([record], [job(1, failed(4)), job(16)])

    assert ran(view) == [["db-migrate@1"], ["db-migrate@16"]]
    assert [a.failed for a in view.attempts] == [True, False]


def test_a_second_hook_of_the_running_attempt_that_is_not_named_yet_joins_it() -> None:
    record = operation(
        RUNNING,
        told(1, hook("a"), 5),
        told(1, hook("b", "Succeeded"), 5),
        told(2, hook("a", "Running"), 18),
        attempts_ended=(at(5),),
        retry_count=1,
    )
    runs = [job(1, failed(4), name="a"), job(1, complete(3), name="b"), job(16, name="a"), job(17, name="b")]
    (view,) = views([record], runs)

    assert ran(view) == [["a@1", "b@1"], ["a@16", "b@17"]]


def test_the_jobs_of_two_operations_are_not_mixed() -> None:
    first = operation(FAILED, told(1, hook(), 5), finished=5)
    second = operation(RUNNING, told(1, hook(hook_phase="Running"), 63), started=60)
    older, newer = views([second, first], [job(61), job(1, failed(4))])

    assert (ran(older), ran(newer)) == ([["db-migrate@1"]], [["db-migrate@61"]])


def test_a_stop_in_the_wait_has_one_attempt() -> None:
    record = operation(FAILED, told(1, hook(), 5), finished=6, attempts_ended=(at(5),), message="Operation terminated")
    (view,) = views([record], [job(1, failed(4))])

    assert ran(view) == [["db-migrate@1"]]


def test_a_generated_hook_is_the_same_over_operations() -> None:
    name = "db-migrate-4f1d2c8-presync-1795230000"
    first = operation(FAILED, told(1, hook(name), 5), finished=5)
    (seen,) = views([first], [job(1, failed(4), name=name, generate_name="db-migrate-")])
    (unseen,) = views([first])

    assert int(at(0).timestamp()) == 1795230000
    assert seen.attempts[0].hooks[0].identity.name == "db-migrate-"
    assert unseen.attempts[0].hooks[0].identity.name == "db-migrate-"


# Stale: Argo CD took the result of a Job that ran before.


def answered_by_an_old_job(old_ends: float | None = None) -> OperationView:
    old = job(-60, failed(-50), delete_policies=("HookSucceeded",))
    old = old if old_ends is None else gone(old, old_ends)
    (view,) = views([operation(FAILED, told(1, hook(), 2.5), finished=3)], [old])
    return view


def test_a_job_that_still_stood_answered_for_the_operation() -> None:
    (attempt,) = answered_by_an_old_job().attempts

    assert (attempt.hooks[0].stale, attempt.hooks[0].failed) == (True, True)
    assert attempt.hooks[0].failed_at == at(2.5)  # not when the old one failed


def test_a_job_that_had_gone_by_then_did_not() -> None:
    (attempt,) = answered_by_an_old_job(old_ends=0.5).attempts

    assert (attempt.hooks[0].run, attempt.hooks[0].stale) == (None, False)


def test_a_job_deleted_after_it_answered_did() -> None:
    assert answered_by_an_old_job(old_ends=30).attempts[0].hooks[0].stale is True


def test_a_hook_whose_new_job_is_not_seen_yet_has_not_failed_by_its_old_one() -> None:
    """Its policy deletes the old one as the operation begins."""
    old = gone(job(-60, failed(-50)), 0.2)
    (view,) = views([operation(RUNNING, told(1, hook(hook_phase="Running"), 2.5))], [old])

    assert view.attempts[0].hooks[0].failed is False


def test_a_hook_that_ended_while_we_were_away_is_not_judged_by_the_old_job_that_it_replaced() -> None:
    """Back again we know the old Job, not yet that it is gone, and the new one from Argo CD's word alone."""
    (view,) = views(
        [operation(SUCCEEDED, told(1, hook(hook_phase="Succeeded"), 9), finished=5)], [job(-60, failed(-50))]
    )

    (ended,) = view.attempts[0].hooks
    assert (ended.run, ended.stale, ended.failed, ended.succeeded) == (None, False, False, True)


def test_an_old_job_s_failure_is_none_of_this_operation_until_argo_cd_takes_it_for_one() -> None:
    (view,) = views([operation(RUNNING, told(1, hook(hook_phase="Running"), 2.5))], [job(-60, failed(-50))])

    (waited_for,) = view.attempts[0].hooks
    assert (waited_for.stale, waited_for.failed) == (True, False)


def test_a_job_that_ended_well_before_is_no_success_now() -> None:
    old = job(-60, complete(-50), delete_policies=("HookFailed",))
    (view,) = views([operation(SUCCEEDED, told(1, hook(hook_phase="Succeeded"), 3), finished=3)], [old])

    (reused,) = view.attempts[0].hooks
    assert (reused.stale, reused.succeeded, reused.failed) == (True, False, False)


def test_a_retry_may_be_answered_by_the_job_of_the_attempt_before() -> None:
    record = operation(FAILED, told(1, hook(), 5), told(2, hook(), 18), finished=18, attempts_ended=(at(5),))
    (view,) = views([record], [job(1, failed(4), delete_policies=("HookSucceeded",))])

    assert [(h.run.uid, h.stale) for a in view.attempts for h in a.hooks if h.run] == [
        ("db-migrate@1", False),
        ("db-migrate@1", True),
    ]


# How did it end?


@pytest.mark.parametrize(
    ("phase", "run", "failed_then", "succeeded_then"),
    [
        ("Running", job(1), False, False),
        ("Running", job(1, failed(4)[:1]), True, False),  # FailureTarget alone
        ("Failed", job(1), True, False),
        ("Error", None, True, False),
        ("Running", job(1, complete(4)), False, True),
        ("Running", gone(job(1), 4), False, False),  # a deleted Job has not succeeded
        ("Succeeded", gone(job(1), 4), False, False),
        ("Succeeded", gone(job(1, complete(3)), 4), False, True),
        ("Succeeded", job(1), False, True),  # Argo CD was faster than our watch
        ("Succeeded", None, False, True),
    ],
)
def test_a_hook_ends_as_its_job_did(phase: str, run: object, failed_then: bool, succeeded_then: bool) -> None:
    (view,) = views([operation(RUNNING, told(1, hook(hook_phase=phase), 3))], [run] if run else [])  # type: ignore[list-item]

    (seen,) = view.attempts[0].hooks
    assert (seen.failed, seen.succeeded) == (failed_then, succeeded_then)


def test_a_hook_that_could_not_be_applied_has_failed() -> None:
    refused_job = hook(hook_phase="Failed", status="SyncFailed", message="field is immutable")
    (view,) = views([operation(FAILED, told(1, refused_job, 3), finished=3)])

    assert view.attempts[0].hooks[0].failed is True


def test_the_jobs_own_time_of_failing_is_the_first() -> None:
    (view,) = views([operation(FAILED, told(1, hook(), 5.2), finished=5)], [job(1, failed(4))])

    assert view.attempts[0].hooks[0].failed_at == at(4)


@pytest.mark.parametrize(("seen", "failed_at"), [(3, 3), (9, 4)])
def test_what_a_late_watch_sees_was_said_by_the_end_of_its_attempt(seen: float, failed_at: float) -> None:
    """Else the next run, which may end well before we look, would be taken for an earlier one."""
    (view,) = views([operation(FAILED, told(1, hook(), seen), finished=4)], [])

    assert view.attempts[0].hooks[0].failed_at == at(failed_at)


def test_a_hook_taken_away_by_a_newer_operation_is_lost() -> None:
    cut_off = operation(RUNNING, told(1, hook(hook_phase="Running"), 3), replaced=True)
    newer = operation(RUNNING, started=30)
    view, _ = views([cut_off, newer], [gone(job(1), 31)])

    assert (view.attempts[0].hooks[0].lost, view.failed) == (True, True)


def test_a_hook_that_ended_before_it_was_taken_away_is_not() -> None:
    cut_off = operation(RUNNING, told(1, hook(hook_phase="Running"), 3), replaced=True)
    view, _ = views([cut_off, operation(RUNNING, started=30)], [gone(job(1, complete(29)), 31)])

    assert (view.attempts[0].hooks[0].lost, view.failed) == (False, False)


def test_another_resource_that_went_wrong_is_told_beside_the_hooks() -> None:
    broken = hook("web", "Failed", hook_type="", sync_phase="Sync", status="SyncFailed")
    (view,) = views([operation(FAILED, told(1, broken, 3), finished=3)])

    assert ([r.name for r in view.attempts[0].resources], view.attempts[0].hooks) == (["web"], ())


# The promotion gate's own hook.


def with_gate(gate_phase: str, *more: object, gate_job: object = None) -> OperationView:
    record = operation(FAILED, told(1, hook("gate", gate_phase), 3), *more, finished=4)  # type: ignore[arg-type]
    gate = gate_job or job(1, failed(3), name="gate", gate=True)
    (view,) = views([record], [gate, job(1, failed(3))])  # type: ignore[list-item]
    return view


def test_a_gate_that_refused_is_held_and_nobodys_failure() -> None:
    view = with_gate("Failed")

    assert (view.held, view.failed, view.attempts) == (True, False, ())


def test_a_gate_beside_a_failing_migration_hides_nothing() -> None:
    view = with_gate("Failed", told(1, hook(), 3))

    assert (view.held, view.failed) == (True, True)
    assert ran(view) == [["db-migrate@1"]]


def test_a_gate_that_let_pass_holds_nothing() -> None:
    assert with_gate("Succeeded").held is False


def test_a_gate_that_refused_once_and_then_let_pass_holds_nothing() -> None:
    gates = told(1, hook("gate", "Failed"), 3), told(2, hook("gate", "Succeeded"), 20)
    record = operation(FAILED, *gates, finished=30, attempts_ended=(at(4),))
    (view,) = views([record], [job(1, name="gate", gate=True), job(15, name="gate", gate=True)])

    assert (view.held, view.failed) == (False, True)


@pytest.mark.parametrize("change", [{"cluster": "west"}, {"tracked": "payments"}, {"namespace": "payments"}])
def test_another_teams_gate_hides_no_failure(change: dict[str, Any]) -> None:
    foreign = job(1, name="gate", gate=True, **change)

    assert with_gate("Failed", gate_job=foreign).failed is True


def test_a_gate_of_long_ago_does_not_hide_a_migration_of_its_name() -> None:
    record = operation(FAILED, told(1, hook(), 3), finished=4)
    (view,) = views([record], [gone(job(-90, gate=True), -80), job(1, failed(3))])

    assert (view.held, view.failed) == (False, True)


# What is known of a run's beginning.


def test_a_run_whose_containers_wait_never_started() -> None:
    assert never_started(job(pods=(pod(waiting("ImagePullBackOff"), pod_phase="Pending"),))) is True


def test_a_run_without_pods_never_started() -> None:
    assert never_started(job()) is True
    assert never_started(job(1, failed(60, "DeadlineExceeded"))) is True


@pytest.mark.parametrize(
    "run",
    [
        job(pods=(pod(container()),)),
        job(pods=(pod(waiting("PodInitializing"), container(0, name="init")),)),
        job(1, failed(3)),  # it counted a Pod that failed
        job(1, complete(3)),
        job(gaps=(Gap("pod", GapReason.RECORDER_AWAY),)),
    ],
    ids=["ended", "init ended", "limit", "complete", "gap"],
)
def test_of_what_ran_or_was_not_seen_nobody_can_say_that_it_never_started(run: object) -> None:
    assert never_started(run) is False  # type: ignore[arg-type]
