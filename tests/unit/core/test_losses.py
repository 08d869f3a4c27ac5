"""What ate a log, told from how the Job ended and what Argo CD was doing."""

from datetime import UTC, datetime, timedelta
from typing import Any

from responder.core.argocd import AppKey, OperationPhase, OperationRecord, SyncRequest
from responder.core.evidence import Gap, GapReason, LogSummary
from responder.core.hooks import ContainerRun, ContainerState, HookRun, JobCondition, PodRun
from responder.core.losses import gaps

AT = datetime(2026, 11, 21, 3, tzinfo=UTC)
LATER = AT + timedelta(seconds=30)
KEY = "pod-uid/migrate/0"
FAILED = JobCondition("Failed", "BackoffLimitExceeded", at=AT)
LOST: dict[str, GapReason | None] = {KEY: None}


def container(**more: Any) -> ContainerRun:
    return ContainerRun("migrate", state=ContainerState.TERMINATED, **more)


def hook(*containers: ContainerRun, **more: Any) -> HookRun:
    pod = PodRun("db-migrate-x", "pod-uid", AT, containers=containers or (container(),), gone_at=LATER)
    defaults: dict[str, Any] = {"delete_policies": ("BeforeHookCreation",), "pods": (pod,), "deleting_at": LATER}
    return HookRun("in-cluster", "Job", "shop", "db-migrate", "job", AT, **defaults | more)


def operation(phase: OperationPhase = OperationPhase.RUNNING, **more: Any) -> OperationRecord:
    defaults: dict[str, Any] = {"started_at": AT - timedelta(seconds=1)}
    fixed: dict[str, Any] = {"app": AppKey("argocd", "shop"), "app_uid": "a", "request": SyncRequest()}
    return OperationRecord(**fixed, operation_phase=phase, first_seen_at=AT, last_seen_at=AT, **defaults | more)


def reason(run: HookRun, *operations: OperationRecord) -> GapReason:
    (gap,) = gaps(run, LOST, operations, pods_made=1, away=False)
    return gap.reason


def test_a_log_that_was_read_to_its_end_is_no_gap() -> None:
    whole = container(log=LogSummary(KEY, lines=9, complete=True))

    assert gaps(hook(whole, conditions=(FAILED,)), LOST, (), pods_made=1, away=False) == ()


def test_a_log_that_is_still_being_read_is_no_gap() -> None:
    assert gaps(hook(conditions=(FAILED,)), {}, (), pods_made=1, away=False) == ()


def test_a_gap_says_where_and_how_far_the_log_was_read() -> None:
    cut = container(log=LogSummary(KEY, lines=9))
    found = gaps(hook(cut, conditions=(FAILED,)), LOST, (), pods_made=1, away=False)

    detail = "9 lines were read of run 1; its end was not read"
    assert found == (Gap("db-migrate-x/migrate", GapReason.DELETE_POLICY, detail, LATER),)


def test_what_the_reader_knows_goes_first() -> None:
    (gap,) = gaps(hook(conditions=(FAILED,)), {KEY: GapReason.FORBIDDEN}, (), pods_made=1, away=False)

    assert gap.reason is GapReason.FORBIDDEN


def test_a_deadline_kills_the_pod() -> None:
    assert reason(hook(conditions=(JobCondition("FailureTarget", "DeadlineExceeded"),))) is GapReason.DEADLINE


def test_on_failure_the_job_controller_kills_the_pod_and_leaves_the_job() -> None:
    run = hook(conditions=(FAILED,), restart_policy="OnFailure", deleting_at=None)

    assert reason(run) is GapReason.ON_FAILURE


def test_a_run_that_was_restarted_over_is_lost_to_the_restart() -> None:
    run = hook(container(), container(restart=1, log=LogSummary("pod-uid/migrate/1", complete=True)))

    assert reason(run) is GapReason.ON_FAILURE


def test_a_finished_job_goes_by_its_policy() -> None:
    assert reason(hook(conditions=(FAILED,), delete_policies=("HookFailed",))) is GapReason.DELETE_POLICY
    assert reason(hook(conditions=(FAILED,), delete_policies=("HookSucceeded",))) is GapReason.DELETED


def test_a_finished_job_with_a_ttl_goes_when_that_is_over() -> None:
    assert reason(hook(conditions=(FAILED,), ttl_seconds=30)) is GapReason.TTL
    assert reason(hook(conditions=(FAILED,), ttl_seconds=3600)) is GapReason.DELETE_POLICY


def test_a_running_job_goes_when_its_operation_is_terminated() -> None:
    assert reason(hook(), operation(OperationPhase.TERMINATING)) is GapReason.TERMINATE
    assert reason(hook(), operation(OperationPhase.FAILED, message="Operation terminated")) is GapReason.TERMINATE


def test_a_running_job_goes_when_another_operation_takes_its_place() -> None:
    newer = operation(started_at=LATER)

    assert reason(hook(), newer, operation(replaced=True)) is GapReason.REPLACED


def test_a_running_job_that_goes_without_a_reason_was_deleted_by_somebody() -> None:
    assert reason(hook(), operation()) is GapReason.DELETED
    assert reason(hook()) is GapReason.DELETED


def test_pods_that_nobody_saw_are_a_gap_once_no_more_can_come() -> None:
    read = {KEY: None}
    whole = container(log=LogSummary(KEY, complete=True))

    assert gaps(hook(whole), read, (), pods_made=3, away=True) == ()
    (gap,) = gaps(hook(whole, conditions=(FAILED,)), read, (), pods_made=3, away=True)
    assert (gap.source, gap.reason, gap.detail) == (
        "pod",
        GapReason.RECORDER_AWAY,
        "2 of 3 Pods were never seen",
    )
