"""From the wire to values: what one version of a Job, a Pod or an Event tells about a hook."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from sys import intern

import msgspec

from responder.core.evidence import ClusterEvent
from responder.core.hooknaming import delete_policies, generate_prefix, hook_types, instance
from responder.core.hooks import ContainerKind, ContainerRun, ContainerState, HookRun, JobCondition, PodRun
from responder.core.hookwire import (
    ConditionWire,
    ContainerStatusWire,
    ContainerWire,
    EventWire,
    JobSpecWire,
    JobStatusWire,
    JobWire,
    MetadataWire,
    NamedWire,
    PodSpecWire,
    PodStatusWire,
    PodWire,
    ProjectionWire,
    SeriesWire,
    StateWire,
    TerminatedWire,
    VolumeWire,
    WaitingWire,
)
from responder.core.wire import utc

Redact = Callable[[str], str]

CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
GATE = "hook-responder.io/gate"
IDEMPOTENT = "hook-responder.io/idempotent"
ROOT_CA = "kube-root-ca.crt"  # every namespace has it

_TOLD_EVENTS = frozenset({"BackOff", "Killing", "SuccessfulDelete", "Preempted"})  # of type Normal; warnings all count


class SeenJob(msgspec.Struct, frozen=True):
    """One version of a Job. ``whole`` is False for metadata alone."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    run: HookRun | None = None  # None: no hook
    whole: bool = False
    pods_made: int = 0  # that its status counts


class SeenPod(msgspec.Struct, frozen=True):
    namespace: str
    resource_version: str
    job_uid: str
    pod: PodRun


class SeenEvent(msgspec.Struct, frozen=True):
    key: str
    resource_version: str
    about_uid: str
    event: ClusterEvent | None = None  # None: tells nothing that we keep


def see_job(wire: JobWire, cluster: str, redact: Redact) -> SeenJob:
    meta, status = wire.metadata, wire.status or JobStatusWire()
    run = _run(wire, cluster, redact)
    made = status.active + status.failed + status.succeeded
    return SeenJob(meta.namespace, meta.name, meta.uid, meta.resource_version, run, wire.spec is not None, made)


def marked(meta: MetadataWire, group: str, kind: str, cluster: str) -> HookRun | None:
    """What the marks of an object say; None when it is no hook."""
    annotations, labels = meta.annotations or {}, meta.labels or {}
    types = hook_types(annotations)
    if not types:
        return None
    return HookRun(
        cluster=intern(cluster),
        kind=kind,
        namespace=intern(meta.namespace),
        name=meta.name,
        uid=meta.uid,
        created_at=utc(meta.creation_timestamp) or datetime.min.replace(tzinfo=UTC),
        tracked=instance(annotations, labels, f"{group}/{kind}", meta.namespace, meta.name),
        generate_name=generate_prefix(annotations, meta.generate_name, meta.name),
        hook_types=types,
        delete_policies=delete_policies(annotations),
        gate=labels.get(GATE, "false") != "false",
        idempotent=annotations.get(IDEMPOTENT) == "true",
        deleting_at=utc(meta.deletion_timestamp),
    )


def _run(wire: JobWire, cluster: str, redact: Redact) -> HookRun | None:
    spec, status = wire.spec or JobSpecWire(), wire.status or JobStatusWire()
    hook = marked(wire.metadata, "batch", "Job", cluster)
    if hook is None:
        return None
    pod = spec.template.spec
    containers = (*(pod.init_containers or ()), *(pod.containers or ()))
    return msgspec.structs.replace(
        hook,
        restart_policy=intern(pod.restart_policy),
        backoff_limit=spec.backoff_limit,
        deadline_seconds=spec.active_deadline_seconds,
        ttl_seconds=spec.ttl_seconds_after_finished,
        images=tuple(intern(c.image) for c in containers),
        secrets=_references(pod),
        conditions=tuple(_condition(c, redact) for c in status.conditions or () if c.status == "True"),
        active=status.active,
        suspended=spec.suspend is True,
    )


def _condition(wire: ConditionWire, redact: Redact) -> JobCondition:
    return JobCondition(intern(wire.type), wire.reason, redact(wire.message), utc(wire.last_transition_time))


def _references(pod: PodSpecWire) -> tuple[str, ...]:
    """What must exist before a container can start, ``Secret/db``; optional ones need not."""
    found: dict[str, None] = {}

    def add(kind: str, reference: NamedWire | None) -> None:
        name = (reference.secret_name or reference.name) if reference else ""
        if reference is not None and name and name != ROOT_CA and not reference.optional:
            found[f"{kind}/{name}"] = None

    for container in (*(pod.init_containers or ()), *(pod.containers or ())):
        for env in container.env or ():
            add("Secret", env.value_from.secret_key_ref if env.value_from else None)
            add("ConfigMap", env.value_from.config_map_key_ref if env.value_from else None)
        for source in container.env_from or ():
            add("Secret", source.secret_ref)
            add("ConfigMap", source.config_map_ref)
    for volume in pod.volumes or ():
        parts: tuple[VolumeWire | ProjectionWire, ...] = (volume,)
        if volume.projected is not None:
            parts += volume.projected.sources or ()
        for part in parts:
            add("Secret", part.secret)
            add("ConfigMap", part.config_map)
    return tuple(found)


def see_pod(wire: PodWire, sidecars: Collection[str], redact: Redact) -> SeenPod:
    meta, status = wire.metadata, wire.status
    unscheduled = _held(status, "PodScheduled", "False")
    disrupted = _held(status, "DisruptionTarget", "True")
    pod = PodRun(
        name=meta.name,
        uid=meta.uid,
        created_at=utc(meta.creation_timestamp) or datetime.min.replace(tzinfo=UTC),
        node=intern(wire.spec.node_name),
        pod_phase=intern(status.phase),
        reason=status.reason,
        message=redact(status.message),
        unscheduled=redact(unscheduled.message or unscheduled.reason) if unscheduled else "",
        disrupted=disrupted.reason if disrupted else "",
        containers=_containers(wire, sidecars, redact),
        deleting_at=utc(meta.deletion_timestamp),
    )
    return SeenPod(meta.namespace, meta.resource_version, _owner(meta), pod)


def _owner(meta: MetadataWire) -> str:
    """Uid of the Job that made it. Label and owner reference must agree: a label alone is soon copied."""
    labelled = (meta.labels or {}).get(CONTROLLER_UID, "")
    owners = [o.uid for o in meta.owner_references or () if o.controller]
    return labelled if not owners or labelled in owners else ""


def _held(status: PodStatusWire, type_: str, value: str) -> ConditionWire | None:
    return next((c for c in status.conditions or () if c.type == type_ and c.status == value), None)


def _containers(wire: PodWire, sidecars: Collection[str], redact: Redact) -> tuple[ContainerRun, ...]:
    statuses = {s.name: s for s in (wire.status.init_container_statuses or ())}
    statuses |= {s.name: s for s in (wire.status.container_statuses or ())}
    found: list[ContainerRun] = []
    for spec in wire.spec.init_containers or ():
        native = spec.restart_policy == "Always"
        kind = ContainerKind.SIDECAR if native or spec.name in sidecars else ContainerKind.INIT
        found += _container_runs(spec, kind, statuses.get(spec.name), redact)
    for spec in wire.spec.containers or ():
        kind = ContainerKind.SIDECAR if spec.name in sidecars else ContainerKind.MAIN
        found += _container_runs(spec, kind, statuses.get(spec.name), redact)
    return tuple(found)


def _container_runs(
    spec: ContainerWire, kind: ContainerKind, status: ContainerStatusWire | None, redact: Redact
) -> tuple[ContainerRun, ...]:
    """The present run, before it the last one while the status still tells of it."""
    empty = ContainerRun(
        name=intern(spec.name),
        kind=kind,
        command=tuple(redact(word) for word in (*(spec.command or ()), *(spec.args or ()))),
        image=intern(spec.image),
    )
    if status is None:
        return (empty,)
    now, last, count = status.state, status.last_state.terminated, status.restart_count
    lost = last is not None and _never_located(last)
    if now.waiting is not None and last is not None and not lost:
        # waits to be started again: until then the count is that of the run which ended
        return (_stated(empty, count, StateWire(terminated=last), redact),)
    present = _stated(empty, count, now, redact)
    if last is None or lost or count == 0:
        return (present,)
    return (_stated(empty, count - 1, StateWire(terminated=last), redact), present)


def _stated(empty: ContainerRun, restart: int, state: StateWire, redact: Redact) -> ContainerRun:
    ended, waiting = state.terminated, state.waiting or WaitingWire()
    if ended is not None and not _never_located(ended):
        return msgspec.structs.replace(
            empty,
            restart=restart,
            state=ContainerState.TERMINATED,
            started_at=_started(ended.started_at),
            finished_at=utc(ended.finished_at),
            exit_code=ended.exit_code,
            signal=ended.signal or None,
            reason=intern(ended.reason),
            message=redact(ended.message),
        )
    if state.running is not None:
        started = _started(state.running.started_at)
        return msgspec.structs.replace(empty, restart=restart, state=ContainerState.RUNNING, started_at=started)
    reason, message = intern(waiting.reason), redact(waiting.message)
    return msgspec.structs.replace(empty, restart=restart, waiting_reason=reason, waiting_message=message)


def _never_located(ended: TerminatedWire) -> bool:
    """The kubelet writes exit code 137 for containers that it could not find: no run, and no end of one."""
    return ended.reason == "ContainerStatusUnknown" and ended.started_at is None


def _started(stamp: datetime | None) -> datetime | None:
    """None for 1970, which the runtime gives for a container that could not be started."""
    return utc(stamp) if stamp is not None and stamp.year > 1970 else None


def see_event(wire: EventWire, redact: Redact) -> SeenEvent:
    meta, about = wire.metadata, wire.involved_object
    key = f"{meta.namespace}/{meta.name}"
    if wire.type != "Warning" and wire.reason not in _TOLD_EVENTS:
        return SeenEvent(key, meta.resource_version, about.uid)
    series = wire.series or SeriesWire()
    event = ClusterEvent(
        reason=intern(wire.reason),
        message=redact(wire.message),
        type=intern(wire.type),
        count=max(wire.count or 0, series.count, 1),
        first_at=utc(wire.first_timestamp or wire.event_time or meta.creation_timestamp),
        last_at=utc(series.last_observed_time or wire.last_timestamp or wire.event_time or meta.creation_timestamp),
        about=f"{about.kind}/{about.name}",
    )
    return SeenEvent(key, meta.resource_version, about.uid, event)
