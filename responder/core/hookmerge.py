"""Versions of a hook folded into one: states only move forward.

A container that ended with exit code 1 keeps it when its Pod is killed afterwards, and a state that was seen for an
instant is not unseen. What is stored merges with what the cluster shows after a restart by the same rules.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from responder.core.evidence import ClusterEvent
from responder.core.hooks import ContainerRun, ContainerState, HookRun, JobCondition, PodRun

_RANK = {ContainerState.WAITING: 0, ContainerState.RUNNING: 1, ContainerState.TERMINATED: 2}
_HARMLESS = frozenset({"", "ContainerCreating", "PodInitializing", "CrashLoopBackOff"})
_REPEATS = {"ImagePullBackOff": "ErrImagePull"}  # says the same with less
_PASSING = frozenset({"Suspended", "Waiting"})  # conditions that are taken back
_TERMINAL = ("Succeeded", "Failed")
_EVENTS = 50

replace = msgspec.structs.replace


def merge_run(old: HookRun, new: HookRun, *, whole: bool = True) -> HookRun:
    """``new`` seen after ``old``. ``whole`` False: metadata alone, which says nothing of spec and status."""
    kept = replace(
        old,
        pods=merge_pods(old.pods, new.pods),
        events=merge_events(old.events, new.events),
        first_seen_at=_earliest(old.first_seen_at, new.first_seen_at),
        deleting_at=old.deleting_at or new.deleting_at,
        gone_at=old.gone_at or new.gone_at,
    )
    if not whole:
        return kept
    return replace(
        new,
        pods=kept.pods,
        events=kept.events,
        gaps=old.gaps,
        conditions=_merge_conditions(old.conditions, new.conditions),
        first_seen_at=kept.first_seen_at,
        deleting_at=kept.deleting_at,
        gone_at=kept.gone_at,
    )


def _merge_conditions(old: Iterable[JobCondition], new: Sequence[JobCondition]) -> tuple[JobCondition, ...]:
    """In the order in which they were set."""
    held = {c.type: c for c in old if c.type not in _PASSING}
    for condition in new:
        held.setdefault(condition.type, condition)
    return tuple(held.values())


def merge_pods(old: Iterable[PodRun], new: Iterable[PodRun]) -> tuple[PodRun, ...]:
    held = {pod.uid: pod for pod in old}
    for pod in new:
        before = held.get(pod.uid)
        held[pod.uid] = pod if before is None else merge_pod(before, pod)
    return tuple(sorted(held.values(), key=lambda p: (p.created_at, p.name)))


def merge_pod(old: PodRun, new: PodRun) -> PodRun:
    ended = old.pod_phase in _TERMINAL and new.pod_phase not in _TERMINAL
    return replace(
        new,
        node=new.node or old.node,
        pod_phase=old.pod_phase if ended else new.pod_phase,
        reason=new.reason or old.reason,
        message=new.message or old.message,
        disrupted=new.disrupted or old.disrupted,
        containers=_merge_containers(old.containers, new.containers),
        deleting_at=old.deleting_at or new.deleting_at,
        gone_at=old.gone_at or new.gone_at,
    )


def _merge_containers(old: Iterable[ContainerRun], new: Iterable[ContainerRun]) -> tuple[ContainerRun, ...]:
    """Containers in the Pod's order, the runs of each in theirs."""
    order: dict[str, dict[int, ContainerRun]] = {}
    for run in (*old, *new):
        runs = order.setdefault(run.name, {})
        before = runs.get(run.restart)
        runs[run.restart] = run if before is None else merge_container(before, run)
    return tuple(runs[restart] for runs in order.values() for restart in sorted(runs))


def merge_container(old: ContainerRun, new: ContainerRun) -> ContainerRun:
    if _RANK[new.state] < _RANK[old.state] or old.state is ContainerState.TERMINATED:
        return replace(old, log=new.log or old.log)
    reason, message = _waiting(old, new)
    return replace(
        new,
        started_at=new.started_at or old.started_at,
        waiting_reason=reason,
        waiting_message=message,
        log=new.log or old.log,
    )


def _waiting(old: ContainerRun, new: ContainerRun) -> tuple[str, str]:
    """What it waited for is kept when it goes on; of reasons that repeat one another the first says most."""
    if old.waiting_reason in _HARMLESS:
        return new.waiting_reason, new.waiting_message
    if new.waiting_reason in _HARMLESS or _REPEATS.get(new.waiting_reason) == old.waiting_reason:
        return old.waiting_reason, old.waiting_message
    return new.waiting_reason, new.waiting_message


def merge_events(old: Iterable[ClusterEvent], new: Iterable[ClusterEvent]) -> tuple[ClusterEvent, ...]:
    """The same words about the same object are one event that came again. The first ones are kept, and the last."""
    held: dict[tuple[str, str, str], ClusterEvent] = {}
    for event in (*old, *new):
        identity = (event.about, event.reason, event.message)
        before = held.get(identity)
        held[identity] = event if before is None else _again(before, event)
    events = tuple(held.values())
    return events if len(events) <= _EVENTS else (*events[: _EVENTS // 2], *events[-(_EVENTS // 2) :])


def _again(before: ClusterEvent, event: ClusterEvent) -> ClusterEvent:
    return replace(event, count=max(before.count, event.count), first_at=_earliest(before.first_at, event.first_at))


def _earliest(*stamps: datetime | None) -> datetime | None:
    return min((s for s in stamps if s is not None), default=None)
