"""What may be done, what was decided about it, and what came of it: as data."""

from datetime import datetime
from enum import StrEnum

import msgspec

from responder.core.argocd import AppKey


class ActionKind(StrEnum):
    RESYNC = "resync"
    STOP_RETRIES = "stop-retries"
    TERMINATE = "terminate"
    DELETE_HOOK = "delete-hook"
    ANNOTATE = "annotate"
    BLOCK = "block"
    ALERT = "alert"

    @property
    def acts(self) -> bool:
        """Does it change the cluster? The others are ours."""
        return self not in (ActionKind.BLOCK, ActionKind.ALERT)


class Mode(StrEnum):
    SHADOW = "shadow"
    APPROVE = "approve"
    LIVE = "live"


class VerdictResult(StrEnum):
    ALLOWED = "allowed"
    DENIED = "denied"
    NEEDS_APPROVAL = "needs-approval"


class Reason(msgspec.Struct, frozen=True):
    """One guard's word. ``guard`` is a closed label (metrics), ``text`` a sentence for people."""

    guard: str
    text: str
    passed: bool = False


class Verdict(msgspec.Struct, frozen=True):
    """All reasons, not the first: those that passed too."""

    result: VerdictResult
    reasons: tuple[Reason, ...] = ()

    def refused_by(self, guard: str) -> bool:
        return any(reason.guard == guard and not reason.passed for reason in self.reasons)


class OutcomeResult(StrEnum):
    PENDING = "pending"  # allowed, not begun
    BEGUN = "begun"  # recorded before the write
    TAKEN = "taken"  # Argo CD took it up
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    NOT_TAKEN = "not-taken"  # withdrawn
    CONFLICT = "conflict"  # refused by the compare-and-swap: judged anew
    REFUSED = "refused"  # by the API server: RBAC, admission, validation
    EXPIRED = "expired"
    UNKNOWN = "unknown"  # begun, and we cannot tell


class Outcome(msgspec.Struct, frozen=True):
    result: OutcomeResult
    detail: str = ""
    at: datetime | None = None


class Decision(msgspec.Struct, frozen=True):
    """One action that one rule wants for one operation, with its verdict: planned anew at every step, same id."""

    id: str
    rule: str
    action: ActionKind
    mode: Mode
    operation: datetime  # startedAt of the operation it is about
    verdict: Verdict
    evidence_version: str
    decided_at: datetime
    params: dict[str, str] = msgspec.field(default_factory=dict)
    due_at: datetime | None = None  # not before
    allowed_since: datetime | None = None  # I7: expires 15 minutes after
    outcome: Outcome | None = None
    approved_by: str = ""
    approved_at: datetime | None = None
    declined_by: str = ""


class ActionRecord(msgspec.Struct, frozen=True):
    """One act on the cluster, recorded before (``begun``) and after."""

    id: str  # carried in operation.info: found again after a crash
    decision_id: str
    incident_id: str
    kind: ActionKind
    app: AppKey
    app_uid: str
    operation: datetime  # of the failed or waiting operation it answers
    revisions: tuple[str, ...]
    begun_at: datetime
    by: str  # "rule <name>" or a person
    outcome: Outcome
    new_operation: datetime | None = None  # startedAt of the operation it made
    touched: bool = False  # the one nudge was given
    target: str = ""  # delete-hook: "namespace/name/uid"
    correlation: str = ""  # the cause that its incident had when it was begun
    wave: int = 0  # size of the wave of recovery that it belongs to (1: a canary); 0: to none

    @property
    def under_way(self) -> bool:
        """Begun, and its end is not known."""
        return self.outcome.result in (OutcomeResult.BEGUN, OutcomeResult.TAKEN)


class Switch(StrEnum):
    """The kill switch as read from its ConfigMap just now."""

    RELEASED = "released"
    ENGAGED = "engaged"
    ABSENT = "absent"
    UNREADABLE = "unreadable"


class Resync(msgspec.Struct, frozen=True):
    """The same revisions again, as judged: each field is compared before the write; the write is compare-and-swap."""

    action: ActionRecord
    app: AppKey
    app_uid: str
    started_at: datetime
    finished_at: datetime | None
    sources: str
    revisions: tuple[str, ...]
    sync_options: tuple[str, ...]
    prune: bool
    manual: bool = False  # a person's, where a sync window lets people only


class StopRetries(msgspec.Struct, frozen=True):
    action: ActionRecord
    app: AppKey
    app_uid: str
    started_at: datetime
    finished_at: datetime  # of the attempt after which it waits


class Terminate(msgspec.Struct, frozen=True):
    action: ActionRecord
    app: AppKey
    app_uid: str
    started_at: datetime
    run_uids: tuple[str, ...]  # hooks that were judged: none of their migration containers runs
    cluster: str  # its destination, as we name it; empty: not known
    namespaces: tuple[str, ...]  # where its hooks may run
    sidecars: tuple[str, ...] = ()  # names of the containers that were judged to be no migration
    ends_running: bool = False  # a person was shown that a migration runs, and wants it ended


class DeleteHook(msgspec.Struct, frozen=True):
    action: ActionRecord
    cluster: str
    namespace: str
    name: str
    uid: str


class Annotate(msgspec.Struct, frozen=True):
    action: ActionRecord
    app: AppKey
    app_uid: str
    annotations: dict[str, str]


Act = Resync | StopRetries | Terminate | DeleteHook | Annotate
