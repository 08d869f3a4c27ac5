"""What the tests of the core are told: one Application, its operations, Jobs and Pods, by the second of one night."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from responder.core.argocd import (
    AppKey,
    Application,
    AttemptResult,
    Deployment,
    OperationPhase,
    OperationRecord,
    OperationState,
    ResourceResult,
    SyncRequest,
)
from responder.core.attempts import Admission, OperationView, join
from responder.core.evidence import LogSummary
from responder.core.hooks import ContainerRun, ContainerState, HookRun, JobCondition, PodRun

THREE = datetime(2026, 11, 21, 3, tzinfo=UTC)
KEY = AppKey("argocd", "orders")
REVISION = "4f1d2c8a9b7e6f5d4c3b2a1908f7e6d5c4b3a291"
BEFORE = "1111111111111111111111111111111111111111"
AUTOMATED = SyncRequest(automated=True, revisions=(REVISION,), retry_limit=5)
ADMISSION = Admission(app=KEY, control_plane="argocd", cluster="in-cluster", permits="shop".__eq__)


def at(seconds: float) -> datetime:
    """That many seconds after three o'clock."""
    return THREE + timedelta(seconds=seconds)


def hook(name: str = "db-migrate", hook_phase: str = "Failed", **more: Any) -> ResourceResult:
    words = {"group": "batch", "status": "Synced", "hook_type": "PreSync", "sync_phase": "PreSync", **more}
    return ResourceResult("Job", words.pop("namespace", "shop"), name, hook_phase=hook_phase, **words)


def told(attempt: int, result: ResourceResult, first: float, last: float | None = None) -> AttemptResult:
    return AttemptResult(attempt, result, at(first), at(first if last is None else last))


def operation(
    phase: OperationPhase = OperationPhase.FAILED,
    *results: AttemptResult,
    started: float = 0,
    finished: float | None = None,
    **more: Any,
) -> OperationRecord:
    return OperationRecord(
        app=KEY,
        app_uid="app-1",
        started_at=at(started),
        operation_phase=phase,
        request=more.pop("request", AUTOMATED),
        first_seen_at=at(started),
        last_seen_at=at(finished if finished is not None else started),
        finished_at=None if finished is None else at(finished),
        revisions=more.pop("revisions", (REVISION,)),
        sources=more.pop("sources", "the sources"),
        results=results,
        **more,
    )


def failed(condition_at: float, reason: str = "BackoffLimitExceeded") -> tuple[JobCondition, ...]:
    message = "Job has reached the specified backoff limit"
    return (
        JobCondition("FailureTarget", reason, message, at(condition_at)),
        JobCondition("Failed", reason, message, at(condition_at)),
    )


def complete(condition_at: float) -> tuple[JobCondition, ...]:
    return (JobCondition("SuccessCriteriaMet", at=at(condition_at)), JobCondition("Complete", at=at(condition_at)))


def log(lines: int = 2, *, whole: bool = True) -> LogSummary:
    return LogSummary(key="pod-1/migrate/0", lines=lines, bytes=40 * lines, complete=whole)


def container(exit_code: int | None = 1, **more: Any) -> ContainerRun:
    words = {
        "name": "migrate",
        "state": ContainerState.TERMINATED,
        "started_at": at(2),
        "finished_at": at(3),
        "log": log(),
        **more,
    }
    return ContainerRun(exit_code=exit_code, **words)


def running(name: str = "migrate", **more: Any) -> ContainerRun:
    return container(None, name=name, state=ContainerState.RUNNING, finished_at=None, **more)


def waiting(reason: str, message: str = "", name: str = "migrate") -> ContainerRun:
    return ContainerRun(name=name, waiting_reason=reason, waiting_message=message)


def pod(*containers: ContainerRun, name: str = "db-migrate-1", **more: Any) -> PodRun:
    words = {"pod_phase": "Failed", **more}
    return PodRun(name=name, uid=f"uid-of-{name}", created_at=at(1), containers=containers, **words)


def job(
    created: float = 1,
    conditions: Sequence[JobCondition] = (),
    *,
    name: str = "db-migrate",
    uid: str = "",
    **more: Any,
) -> HookRun:
    words = {
        "cluster": "in-cluster",
        "kind": "Job",
        "namespace": "shop",
        "tracked": "orders",
        "hook_types": ("PreSync",),
        "delete_policies": ("BeforeHookCreation",),
        "restart_policy": "Never",
        **more,
    }
    return HookRun(
        name=name, uid=uid or f"{name}@{created:g}", created_at=at(created), conditions=tuple(conditions), **words
    )


def gone(run: HookRun, seconds: float) -> HookRun:
    return msgspec.structs.replace(run, deleting_at=at(seconds), gone_at=at(seconds))


def views(records: Sequence[OperationRecord], runs: Sequence[HookRun] = ()) -> tuple[OperationView, ...]:
    return join(records, runs, ADMISSION)


def application(**more: Any) -> Application:
    words = {
        "project": "shop",
        "destination_server": "https://kubernetes.default.svc",
        "destination_namespace": "shop",
        "automated": True,
        "sources": "the sources",
        "health": "Healthy",
        "history": (Deployment((BEFORE,), at(-3600), at(-3605), 1),),
        **more,
    }
    return Application(namespace=KEY.namespace, name=KEY.name, uid="app-1", resource_version="7", **words)


def state(phase: OperationPhase, *results: ResourceResult, retry: int = 0, **more: Any) -> OperationState:
    finished = more.pop("finished", None)
    return OperationState(
        started_at=at(more.pop("started", 0)),
        operation_phase=phase,
        finished_at=None if finished is None else at(finished),
        retry_count=retry,
        request=more.pop("request", AUTOMATED),
        revisions=more.pop("revisions", (REVISION,)),
        sources="the sources",
        results=results,
        **more,
    )
