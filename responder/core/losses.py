"""What of a hook's evidence was lost, and what ate it. A log that was read to its end is no gap."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from responder.core.argocd import OperationPhase, OperationRecord
from responder.core.evidence import Gap, GapReason
from responder.core.hooks import ContainerRun, ContainerState, HookRun, PodRun
from responder.core.logtape import log_key

PODS: Final = "pod"  # source of the gap of Pods that a Job counted and nobody saw
_SECOND = timedelta(seconds=1)  # Kubernetes' stamps are cut to seconds


def gaps(
    run: HookRun,
    reading: Mapping[str, GapReason | None],
    operations: Sequence[OperationRecord],
    *,
    pods_made: int,
    away: bool,
) -> tuple[Gap, ...]:
    """``reading``: logs whose reading is over, by key; a reason where the reader knows it, None where the Pod went.

    ``pods_made``: how many the Job's status counted. ``away``: the hook had begun before we watched.
    """
    found = [gap for pod in run.pods for gap in _of_pod(run, pod, reading, operations)]
    missing = pods_made - len(run.pods)
    if missing > 0 and _no_more_comes(run):
        reason = GapReason.RECORDER_AWAY if away else taken_by(run, run.gone_at, operations)
        found.append(Gap(PODS, reason, f"{missing} of {pods_made} Pods were never seen", run.gone_at))
    return tuple(found)


def _no_more_comes(run: HookRun) -> bool:
    return run.gone_at is not None or run.failed is not None or run.completed is not None


def _of_pod(
    run: HookRun, pod: PodRun, reading: Mapping[str, GapReason | None], operations: Sequence[OperationRecord]
) -> list[Gap]:
    found = []
    for container in pod.containers:
        key = log_key(pod.uid, container.name, container.restart)
        if key not in reading or (container.log is not None and container.log.complete):
            continue
        reason = reading[key] or _taken(run, pod, container, operations)
        found.append(Gap(f"{pod.name}/{container.name}", reason, _detail(container), pod.gone_at))
    return found


def _detail(container: ContainerRun) -> str:
    read = container.log.lines if container.log else 0
    how = "it was not seen to end" if container.state is not ContainerState.TERMINATED else "its end was not read"
    return f"{read} lines were read of run {container.restart + 1}; {how}"


def _taken(run: HookRun, pod: PodRun, container: ContainerRun, operations: Sequence[OperationRecord]) -> GapReason:
    if any(c.name == container.name and c.restart > container.restart for c in pod.containers):
        return GapReason.ON_FAILURE  # restarted in place: only the last run before the present one is kept
    return taken_by(run, pod.deleting_at or pod.gone_at, operations)


def taken_by(run: HookRun, at: datetime | None, operations: Sequence[OperationRecord]) -> GapReason:
    """What removed a Pod of this run, or the Job itself. ``operations`` of its Application, newest first."""
    failed, completed = run.failed, run.completed
    ended = failed or completed
    if failed is not None and failed.reason == "DeadlineExceeded":
        return GapReason.DEADLINE
    if failed is not None and run.restart_policy == "OnFailure" and _pod_went_first(run, at):
        return GapReason.ON_FAILURE
    if ended is None:
        return _taken_while_it_ran(run, operations)
    if _outlived(run, ended.at, at):
        return GapReason.TTL
    asked = "HookFailed" if failed is not None else "HookSucceeded"
    if asked in run.delete_policies or "BeforeHookCreation" in run.delete_policies:
        return GapReason.DELETE_POLICY
    return GapReason.DELETED


def _pod_went_first(run: HookRun, at: datetime | None) -> bool:
    """The Job controller kills a Pod that would restart for ever; the Job stays."""
    return run.deleting_at is None or (at is not None and at < run.deleting_at)


def _outlived(run: HookRun, ended: datetime | None, at: datetime | None) -> bool:
    if run.ttl_seconds is None or ended is None or at is None:
        return False
    return at - ended >= timedelta(seconds=run.ttl_seconds) - _SECOND and "HookFailed" not in run.delete_policies


def _taken_while_it_ran(run: HookRun, operations: Sequence[OperationRecord]) -> GapReason:
    owner = next((o for o in operations if o.started_at <= run.created_at + _SECOND), None)
    if owner is None:
        return GapReason.DELETED
    if owner.operation_phase is OperationPhase.TERMINATING or "terminated" in owner.message.lower():
        return GapReason.TERMINATE
    if owner.replaced or any(o.started_at > owner.started_at for o in operations):
        return GapReason.REPLACED
    if owner.attempts_ended or owner.ended:
        return GapReason.DELETE_POLICY  # a sibling failed: the policies of every hook are carried out
    return GapReason.DELETED
