"""Argo CD's words: the Application, its operation, and the results of its resources.

``gc=False`` on what is held by the ten thousand: they form no cycles, and the collector need not walk them.
"""

from datetime import datetime
from enum import StrEnum

import msgspec

_WAITING_FOR_DELETION = "waiting for deletion of hook "


class AppKey(msgspec.Struct, frozen=True, order=True, gc=False):
    """Namespace and name of an Application object."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class OperationPhase(StrEnum):
    RUNNING = "Running"
    TERMINATING = "Terminating"
    FAILED = "Failed"
    ERROR = "Error"
    SUCCEEDED = "Succeeded"

    @property
    def terminal(self) -> bool:
        return self in (OperationPhase.FAILED, OperationPhase.ERROR, OperationPhase.SUCCEEDED)


class ResourceResult(msgspec.Struct, frozen=True, gc=False):
    """One line of ``syncResult.resources``; messages are redacted."""

    kind: str
    namespace: str
    name: str
    group: str = ""
    status: str = ""  # Synced, SyncFailed, Pruned, PruneSkipped
    message: str = ""
    hook_type: str = ""  # empty: no hook
    hook_phase: str = ""  # operation phase; Argo CD sets it for other resources too
    sync_phase: str = ""  # PreSync, Sync, PostSync, SyncFail
    images: tuple[str, ...] = ()


class SyncRequest(msgspec.Struct, frozen=True, gc=False):
    """What was asked for: the parts of ``operation`` that rules and guards look at."""

    username: str = ""
    automated: bool = False
    revisions: tuple[str, ...] = ()
    prune: bool = False
    dry_run: bool = False
    apply_strategy: bool = False  # runs no hooks
    selective: bool = False  # resources named: runs no hooks (self-heal is one)
    local_manifests: bool = False
    rollback: bool = False  # carries a source of its own
    sync_options: tuple[str, ...] = ()
    retry_limit: int = 0
    action_id: str = ""  # ours, carried in operation.info

    @property
    def full(self) -> bool:
        """Would run every hook and apply every resource."""
        return not (self.dry_run or self.apply_strategy or self.selective or self.local_manifests)


class OperationState(msgspec.Struct, frozen=True, gc=False):
    started_at: datetime
    operation_phase: OperationPhase
    finished_at: datetime | None = None  # also set while Running waits for a retry
    message: str = ""
    retry_count: int = 0
    request: SyncRequest = SyncRequest()
    revisions: tuple[str, ...] = ()  # resolved, of syncResult
    sources: str = ""  # fingerprint of the sources that were synced
    results: tuple[ResourceResult, ...] = ()

    @property
    def waiting(self) -> bool:
        """Between two attempts."""
        return self.operation_phase is OperationPhase.RUNNING and self.finished_at is not None


class Deployment(msgspec.Struct, frozen=True, gc=False):
    """One entry of ``status.history``: a full sync that succeeded."""

    revisions: tuple[str, ...]
    deployed_at: datetime | None = None
    started_at: datetime | None = None
    id: int = 0


class Application(msgspec.Struct, frozen=True, gc=False):
    """An Application as the watch showed it, trimmed to what is used."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    project: str = "default"
    deleting: bool = False
    annotations: tuple[tuple[str, str], ...] = ()  # those we read: ours, skip-reconcile, Kargo's
    labels: tuple[tuple[str, str], ...] = ()
    owner_kinds: tuple[str, ...] = ()  # "ApplicationSet"
    destination_server: str = ""
    destination_name: str = ""
    destination_namespace: str = ""
    automated: bool = False
    prune: bool = False
    sync_options: tuple[str, ...] = ()
    sources: str = ""  # fingerprint of spec.source or spec.sources
    multi_source: bool = False  # spec.sources, were it one: revisions are then asked for as a list
    requested: bool = False  # .operation is set
    requested_action_id: str = ""  # ours, of .operation.info
    operation: OperationState | None = None
    sync_status: str = ""
    sync_revisions: tuple[str, ...] = ()
    health: str = ""
    history: tuple[Deployment, ...] = ()
    resources: tuple[tuple[str, str], ...] = ()  # (kind, name) of status.resources: what the sync would bring

    @property
    def key(self) -> AppKey:
        return AppKey(self.namespace, self.name)

    def annotation(self, name: str) -> str | None:
        return next((v for k, v in self.annotations if k == name), None)

    def label(self, name: str) -> str | None:
        return next((v for k, v in self.labels if k == name), None)


class AttemptResult(msgspec.Struct, frozen=True):
    """What Argo CD last said of one resource in one attempt (hooks, and whatever failed)."""

    attempt: int
    result: ResourceResult
    first_at: datetime
    last_at: datetime


class OperationRecord(msgspec.Struct, frozen=True):
    """One operation folded from every version of the Application that was seen: a state of 30 ms is not lost."""

    app: AppKey
    app_uid: str
    started_at: datetime
    operation_phase: OperationPhase
    request: SyncRequest
    first_seen_at: datetime
    last_seen_at: datetime
    message: str = ""
    message_at: datetime | None = None  # when this message was first seen
    finished_at: datetime | None = None
    revisions: tuple[str, ...] = ()
    sources: str = ""
    retry_count: int = 0
    attempts_ended: tuple[datetime, ...] = ()  # finishedAt of each attempt after which a retry was scheduled
    results: tuple[AttemptResult, ...] = ()
    window_blocked: bool = False
    replaced: bool = False  # another operation began while this one had not ended

    @property
    def id(self) -> str:
        return f"{self.app_uid}/{self.started_at:%Y-%m-%dT%H:%M:%SZ}"

    @property
    def waiting(self) -> bool:
        return self.operation_phase is OperationPhase.RUNNING and self.finished_at is not None

    @property
    def ended(self) -> bool:
        return self.operation_phase.terminal or self.replaced

    @property
    def waits_for_deletion(self) -> str:
        """The hook whose old Job has to go before it can run again: ``batch/Job/name``; empty otherwise."""
        waiting = self.operation_phase is OperationPhase.RUNNING and self.message.startswith(_WAITING_FOR_DELETION)
        return self.message.removeprefix(_WAITING_FOR_DELETION).partition(" and ")[0] if waiting else ""
