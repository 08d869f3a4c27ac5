"""What we ask of the world. Adapters implement these; the reconciler, the desk and the web know nothing else."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec

from responder.core.actions import Act, ActionRecord, Outcome, Switch
from responder.core.alert import Alert, Delivery
from responder.core.argocd import AppKey, Application, OperationRecord
from responder.core.evidence import Freshness, LogChunk
from responder.core.hooks import HookRun
from responder.core.incident import Incident, IncidentState
from responder.core.logblock import LogBlock
from responder.core.promotion import Block


class Clock(Protocol):
    """Time as the program sees it: the demo's runs faster, a replay's is stepped. Network deadlines stay real."""

    def now(self) -> datetime: ...  # aware, UTC

    def monotonic(self) -> float: ...  # seconds

    async def sleep(self, seconds: float) -> None: ...


class Trigger(StrEnum):
    """What woke us: a closed label."""

    WEBHOOK = "webhook"
    STOCK_TEMPLATE = "stock-template"
    APPLICATION = "application"
    HOOK = "hook"
    TIMER = "timer"
    PERSON = "person"
    RESTART = "restart"


class Wakeup(msgspec.Struct, frozen=True):
    """Look at this Application now. ``app`` None: at all of them. Merged by key."""

    app: AppKey | None
    trigger: Trigger
    at: datetime
    seq: int = 0  # given by the store; a newer one of the same key replaces an older


class AuditEntry(msgspec.Struct, frozen=True):
    """Who did what, when, why, upon which evidence, and what it changed. Append-only."""

    at: datetime
    who: str
    what: str
    why: str = ""
    incident: str = ""
    application: str = ""
    before: str = ""
    after: str = ""
    evidence: str = ""  # version that was decided upon


class StoreError(Exception):
    """The store cannot do it now (full, locked, broken, closed): nothing of the commit was kept."""


class StoreConflictError(StoreError):
    """The store is well, but this contradicts what it holds: a second open incident of one Application uid, or an
    incident that somebody else has changed."""


# What can be written. One ``commit`` of several is atomic and durable when it returns.


class AddWakeup(msgspec.Struct, frozen=True):
    wakeup: Wakeup


class DropWakeup(msgspec.Struct, frozen=True):
    """Done with it, unless a newer one of the same key came (seq is larger)."""

    wakeup: Wakeup


class PutOperation(msgspec.Struct, frozen=True):
    operation: OperationRecord


class PutHookRun(msgspec.Struct, frozen=True):
    app: AppKey | None  # that its tracking id names; None: unattributed
    run: HookRun


class AppendLog(msgspec.Struct, frozen=True):
    lines: LogBlock | LogChunk


class PutIncident(msgspec.Struct, frozen=True):
    """``follows``: ``updated_at`` of the version it was made from; another one stored is a conflict. None: any."""

    incident: Incident
    follows: datetime | None = None


class PutAction(msgspec.Struct, frozen=True):
    action: ActionRecord


class PutBlock(msgspec.Struct, frozen=True):
    block: Block


class PutDelivery(msgspec.Struct, frozen=True):
    delivery: Delivery


class AppendAudit(msgspec.Struct, frozen=True):
    entry: AuditEntry


class PutSetting(msgspec.Struct, frozen=True):
    """One of our own few facts: "installed_at", "restored", "killswitch"..."""

    name: str
    value: str


Write = (
    AddWakeup
    | DropWakeup
    | PutOperation
    | PutHookRun
    | AppendLog
    | PutIncident
    | PutAction
    | PutBlock
    | PutDelivery
    | AppendAudit
    | PutSetting
)


class IncidentQuery(msgspec.Struct, frozen=True):
    """Newest first. ``cursor`` is opaque, from the previous page; ValueError when it is not one of ours."""

    states: tuple[IncidentState, ...] = ()  # empty: all
    app: AppKey | None = None
    app_uid: str = ""
    project: str = ""
    category: str = ""
    correlation: str = ""
    limit: int = 50
    cursor: str = ""


class IncidentPage(msgspec.Struct, frozen=True):
    incidents: tuple[Incident, ...]
    next_cursor: str = ""


class Keep(msgspec.Struct, frozen=True):
    """What is not forgotten. Open incidents, and what they rest on, stay whatever this says."""

    incidents_since: datetime
    logs_since: datetime
    audit_since: datetime
    max_bytes: int  # above it the oldest logs go


class Store(Protocol):
    """What is remembered. Everything raises ``StoreError`` when it cannot."""

    async def commit(self, *writes: Write) -> None: ...

    async def wakeups(self) -> Sequence[Wakeup]: ...

    async def operations(self, app_uid: str, *, limit: int = 50) -> Sequence[OperationRecord]:
        """Newest first."""
        ...

    async def hook_runs(self, app: AppKey, *, since: datetime | None = None) -> Sequence[HookRun]:
        """By creation, oldest first; ``since`` is compared with ``created_at``."""
        ...

    async def hook_run(self, cluster: str, uid: str) -> HookRun | None: ...

    async def unattributed(self, *, limit: int = 50) -> Sequence[HookRun]: ...

    async def log(self, key: str) -> LogChunk | None:
        """All that is kept of one log, in order, as one chunk."""
        ...

    async def incident(self, incident_id: str) -> Incident | None: ...

    async def incidents(self, query: IncidentQuery) -> IncidentPage: ...

    async def actions(
        self, *, app_uid: str = "", since: datetime | None = None, open_only: bool = False
    ) -> Sequence[ActionRecord]:
        """Oldest first. ``open_only``: outcome pending, begun or taken."""
        ...

    async def blocks(self, *, ended: bool = False, limit: int = 1000) -> Sequence[Block]: ...

    async def deliveries(
        self, *, due: datetime | None = None, incident_id: str = "", limit: int = 100
    ) -> Sequence[Delivery]:
        """Pending ones due by then, oldest first; or all of one incident."""
        ...

    async def audit(self, *, incident_id: str = "", limit: int = 100) -> Sequence[AuditEntry]:
        """Newest first."""
        ...

    async def settings(self) -> Mapping[str, str]: ...

    async def size(self) -> int:
        """Bytes on disk."""
        ...

    async def purge(self, incident_id: str, *, by: str = "responder") -> None:
        """Its incident, logs and deliveries; the audit keeps a line."""
        ...

    async def prune(self, keep: Keep) -> int:
        """Forgets the rest in small steps; returns how many rows and logs went."""
        ...


class ReceiverError(Exception):
    """A delivery failed. ``retry_after`` in seconds when the receiver said so; ``final``: never try again."""

    def __init__(self, message: str, *, reason: str, retry_after: float | None = None, final: bool = False) -> None:
        super().__init__(message)
        self.reason = reason  # closed: unreachable, timeout, throttled, auth, rejected, server-error, misconfigured
        self.retry_after = retry_after
        self.final = final


class Receiver(Protocol):
    name: str
    repeat_every: float | None  # seconds after which a firing alert is sent again (Alertmanager); None: once a change

    async def send(self, alert: Alert, reference: str) -> str:
        """Deliver it; returns a reference for the next update of the same alert, or "". Raises ``ReceiverError``."""
        ...

    async def close(self) -> None: ...


class Cluster(Protocol):
    """What is true in the cluster, from the watches: no call of these goes over the network."""

    def application(self, key: AppKey) -> Application | None: ...

    def applications(self) -> Sequence[Application]: ...

    def hook_runs(self, key: AppKey) -> Sequence[HookRun]:
        """Runs that name this Application and are held in memory."""
        ...

    def operations(self, key: AppKey) -> Sequence[OperationRecord]: ...

    def project_permits(self, project: str, server: str, name: str, namespace: str) -> bool:
        """Does the AppProject let its Applications deploy there? False when it is not known."""
        ...

    def sync_window_open(self, app: Application, *, automated: bool, now: datetime) -> bool | None:
        """None: not known."""
        ...

    def project_annotation(self, project: str, name: str) -> str | None: ...

    def freshness(self) -> Freshness: ...


class Actuator(Protocol):
    """Every act on the cluster. Reads anew, checks the kill switch, compares, swaps; never raises for a refusal."""

    async def perform(self, act: Act) -> Outcome: ...

    async def follow(self, action: ActionRecord) -> ActionRecord:
        """Where an act that was begun or taken stands now: touches once, withdraws, or finds its end."""
        ...

    async def killswitch(self) -> Switch: ...

    async def permissions(self) -> frozenset[str]:
        """Actions that RBAC lets us do (SelfSubjectAccessReview), by ActionKind value."""
        ...
