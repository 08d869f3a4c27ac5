"""HookRun: a Job seen as a hook, the Pods it made, and how their containers stand.

Identity is (destination cluster, kind, uid). What a run may be used for is decided elsewhere (``attempts.Admission``):
an annotation alone must not steer another team's deployment.
"""

from datetime import datetime
from enum import StrEnum

import msgspec

from responder.core.evidence import ClusterEvent, Gap, LogSummary

UNTOLD = "Untold"  # reason of a container whose hook failed; how it ended itself nobody told


class ContainerKind(StrEnum):
    INIT = "init"
    MAIN = "main"
    SIDECAR = "sidecar"


class ContainerState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    TERMINATED = "terminated"


class ContainerRun(msgspec.Struct, frozen=True):
    """One run of one container; a restart is another run."""

    name: str
    kind: ContainerKind = ContainerKind.MAIN
    restart: int = 0
    state: ContainerState = ContainerState.WAITING
    waiting_reason: str = ""
    waiting_message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""  # of the termination: Completed, Error, OOMKilled, ContainerStatusUnknown...
    message: str = ""  # termination message, redacted
    command: tuple[str, ...] = ()  # command and args, redacted
    image: str = ""
    log: LogSummary | None = None


class PodRun(msgspec.Struct, frozen=True):
    name: str
    uid: str
    created_at: datetime
    node: str = ""
    pod_phase: str = "Pending"
    reason: str = ""  # Evicted, NodeLost, DeadlineExceeded...
    message: str = ""
    unscheduled: str = ""  # message of PodScheduled=False; empty when scheduled
    disrupted: str = ""  # reason of DisruptionTarget=True: PreemptionByScheduler, EvictionByEvictionAPI...
    containers: tuple[ContainerRun, ...] = ()
    deleting_at: datetime | None = None  # deletionTimestamp was seen
    gone_at: datetime | None = None


class JobCondition(msgspec.Struct, frozen=True):
    type: str  # FailureTarget, Failed, SuccessCriteriaMet, Complete, Suspended; Waiting of an operator's resource
    reason: str = ""
    message: str = ""
    at: datetime | None = None


class HookRun(msgspec.Struct, frozen=True):
    """Everything known of one hook Job, from its first sight until after it is gone.

    One of another kind is a resource whose operator runs the migration: no Pods, its conditions tell (``operated``).
    """

    cluster: str  # name of the destination cluster as configured; "in-cluster" for our own
    kind: str
    namespace: str
    name: str
    uid: str
    created_at: datetime
    tracked: str = ""  # instance name of the tracking id or label: "<app>" or "<namespace>_<app>"
    generate_name: str = ""  # the prefix, when the hook is generated
    hook_types: tuple[str, ...] = ()  # PreSync, Sync, PostSync, SyncFail (Helm's mapped)
    delete_policies: tuple[str, ...] = ()  # as Argo CD reads them; BeforeHookCreation when none
    gate: bool = False  # hook-responder.io/gate: held, never an incident
    idempotent: bool = False  # hook-responder.io/idempotent: "true"
    restart_policy: str = ""
    backoff_limit: int | None = None
    deadline_seconds: int | None = None
    ttl_seconds: int | None = None
    images: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()  # names of Secrets and ConfigMaps the Pod needs: "Secret/db"
    conditions: tuple[JobCondition, ...] = ()
    active: int = 0
    suspended: bool = False
    pods: tuple[PodRun, ...] = ()
    events: tuple[ClusterEvent, ...] = ()
    gaps: tuple[Gap, ...] = ()
    first_seen_at: datetime | None = None
    deleting_at: datetime | None = None
    gone_at: datetime | None = None

    def condition(self, *types: str) -> JobCondition | None:
        """The first condition of one of these types, in the order in which they were set."""
        return next((c for c in self.conditions if c.type in types), None)

    @property
    def failed(self) -> JobCondition | None:
        return self.condition("FailureTarget", "Failed")

    @property
    def completed(self) -> JobCondition | None:
        return self.condition("Complete", "SuccessCriteriaMet")
