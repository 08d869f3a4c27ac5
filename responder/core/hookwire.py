"""Jobs, Pods and Events as the API server sends them: the parts that are read; what is not named is skipped unread.

The same struct reads a whole Job and its ``PartialObjectMetadata``, which has neither spec nor status.
"""

from datetime import datetime

import msgspec

from responder.core.wire import Wire


class OwnerWire(Wire):
    kind: str = ""
    uid: str = ""
    controller: bool | None = None


class MetadataWire(Wire):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generate_name: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    generation: int = 0
    annotations: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    owner_references: tuple[OwnerWire, ...] | None = None


class NamedWire(Wire):
    name: str = ""
    secret_name: str = ""
    optional: bool | None = None


class ValueFromWire(Wire):
    secret_key_ref: NamedWire | None = None
    config_map_key_ref: NamedWire | None = None


class EnvWire(Wire):
    value_from: ValueFromWire | None = None


class EnvFromWire(Wire):
    secret_ref: NamedWire | None = None
    config_map_ref: NamedWire | None = None


class ContainerWire(Wire):
    name: str
    image: str = ""
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    env: tuple[EnvWire, ...] | None = None
    env_from: tuple[EnvFromWire, ...] | None = None
    restart_policy: str = ""


class ProjectionWire(Wire):
    secret: NamedWire | None = None
    config_map: NamedWire | None = None


class ProjectedWire(Wire):
    sources: tuple[ProjectionWire, ...] | None = None


class VolumeWire(Wire):
    secret: NamedWire | None = None
    config_map: NamedWire | None = None
    projected: ProjectedWire | None = None


class PodSpecWire(Wire):
    node_name: str = ""
    restart_policy: str = ""
    containers: tuple[ContainerWire, ...] | None = None
    init_containers: tuple[ContainerWire, ...] | None = None
    volumes: tuple[VolumeWire, ...] | None = None


class TemplateWire(Wire):
    spec: PodSpecWire = msgspec.field(default_factory=PodSpecWire)


class JobSpecWire(Wire):
    template: TemplateWire = msgspec.field(default_factory=TemplateWire)
    backoff_limit: int | None = None
    active_deadline_seconds: int | None = None
    ttl_seconds_after_finished: int | None = None
    suspend: bool | None = None


class ConditionWire(Wire):
    type: str
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None


class JobStatusWire(Wire):
    conditions: tuple[ConditionWire, ...] | None = None
    active: int = 0
    failed: int = 0
    succeeded: int = 0


class JobWire(Wire):
    metadata: MetadataWire
    spec: JobSpecWire | None = None
    status: JobStatusWire | None = None


class OperatedStatusWire(Wire):
    conditions: tuple[ConditionWire, ...] | None = None
    observed_generation: int | None = None


class OperatedWire(Wire):
    """A resource whose operator runs the migration."""

    metadata: MetadataWire
    status: OperatedStatusWire | None = None


class WaitingWire(Wire):
    reason: str = ""
    message: str = ""


class RunningWire(Wire):
    started_at: datetime | None = None


class TerminatedWire(Wire):
    exit_code: int = 0
    signal: int | None = None
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class StateWire(Wire):
    waiting: WaitingWire | None = None
    running: RunningWire | None = None
    terminated: TerminatedWire | None = None


class ContainerStatusWire(Wire):
    name: str
    state: StateWire = msgspec.field(default_factory=StateWire)
    last_state: StateWire = msgspec.field(default_factory=StateWire)
    restart_count: int = 0


class PodStatusWire(Wire):
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    conditions: tuple[ConditionWire, ...] | None = None
    container_statuses: tuple[ContainerStatusWire, ...] | None = None
    init_container_statuses: tuple[ContainerStatusWire, ...] | None = None


class PodWire(Wire):
    metadata: MetadataWire
    spec: PodSpecWire = msgspec.field(default_factory=PodSpecWire)
    status: PodStatusWire = msgspec.field(default_factory=PodStatusWire)


class InvolvedWire(Wire):
    kind: str = ""
    name: str = ""
    uid: str = ""


class SeriesWire(Wire):
    count: int = 0
    last_observed_time: datetime | None = None


class EventSourceWire(Wire):
    component: str = ""


class EventWire(Wire):
    metadata: MetadataWire
    source: EventSourceWire = msgspec.field(default_factory=EventSourceWire)
    involved_object: InvolvedWire = msgspec.field(default_factory=InvolvedWire)
    reason: str = ""
    message: str = ""
    type: str = "Normal"
    count: int | None = None
    series: SeriesWire | None = None
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    event_time: datetime | None = None
