"""Hooks of a cluster that only Argo CD reaches: what Applications say of them is all that is known beside their log.

No uid, no Pod states, no exit code, no Event: each such run has a gap that says so, and so nothing that rests on it is
ever called safe.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from sys import intern
from typing import Final

import msgspec

from responder.core.argocd import AttemptResult, OperationRecord
from responder.core.evidence import Gap, GapReason, LogSummary
from responder.core.hooks import UNTOLD, ContainerKind, ContainerRun, ContainerState, HookRun, JobCondition, PodRun

replace = msgspec.structs.replace

_ENDED: Final = {"Failed": "Failed", "Error": "Failed", "Succeeded": "Complete"}
_SECOND: Final = timedelta(seconds=1)


def remote_runs(record: OperationRecord, cluster: str, instance: str) -> Iterator[HookRun]:
    """``instance``: how Argo CD names the Application on its resources."""
    for told in record.results:
        if told.result.hook_type and told.result.kind == "Job" and told.result.hook_phase:
            yield _run(told, record, cluster, instance)


def _run(told: AttemptResult, record: OperationRecord, cluster: str, instance: str) -> HookRun:
    result = told.result
    before = record.attempts_ended[told.attempt - 2] if 2 <= told.attempt <= len(record.attempts_ended) + 1 else None
    ended = _ENDED.get(result.hook_phase)
    condition = JobCondition(ended, result.hook_phase, result.message, told.last_at) if ended else None
    return HookRun(
        cluster=intern(cluster),
        kind="Job",
        namespace=result.namespace,
        name=result.name,
        uid=f"{record.id}/{told.attempt}/{result.namespace}/{result.name}",
        created_at=record.started_at if before is None else before + _SECOND,
        tracked=instance,
        hook_types=(result.hook_type,),
        conditions=(condition,) if condition is not None else (),
        active=0 if condition is not None else 1,
        gaps=(Gap(f"cluster {cluster}", GapReason.CLUSTER_UNREACHABLE, "its logs alone are read, through Argo CD"),),
    )


def with_logs(run: HookRun, logs: Mapping[tuple[str, str], LogSummary], kinds: Mapping[str, ContainerKind]) -> HookRun:
    """``logs`` by Pod and container, as far as they were read; ``kinds`` of containers that are not main ones."""
    pods: dict[str, list[ContainerRun]] = {}
    for (pod, container), log in logs.items():
        pods.setdefault(pod, []).append(_container(run, container, log, kinds.get(container, ContainerKind.MAIN)))
    found = tuple(
        PodRun(name, f"{run.uid}/{name}", run.created_at, pod_phase=_pod_phase(run), containers=tuple(containers))
        for name, containers in pods.items()
    )
    return replace(run, pods=found)


def _pod_phase(run: HookRun) -> str:
    return "Failed" if run.failed else "Succeeded" if run.completed else "Running"


def _container(run: HookRun, name: str, log: LogSummary, kind: ContainerKind) -> ContainerRun:
    seen = ContainerRun(name, kind, state=ContainerState.RUNNING, started_at=run.created_at, log=log)
    ended = run.failed or run.completed
    if ended is None:
        return seen
    reason = UNTOLD if run.failed else "Completed"
    return replace(seen, state=ContainerState.TERMINATED, reason=reason, finished_at=ended.at)
