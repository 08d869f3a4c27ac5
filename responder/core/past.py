"""An incident that is remembered, moment by moment: what was true after each attempt, when rules had their say."""

from collections.abc import Iterator, Mapping, Set
from datetime import datetime

import msgspec

from responder.core.actions import ActionKind, OutcomeResult
from responder.core.argocd import OperationPhase
from responder.core.attempts import Attempt, AttemptHook, OperationView
from responder.core.failure import Diagnosis
from responder.core.hooks import ContainerRun, ContainerState
from responder.core.incident import Incident
from responder.core.incidentcause import diagnose_incident


class Past(msgspec.Struct, frozen=True):
    """``views``: the operations of the incident, oldest first."""

    incident: Incident
    views: tuple[OperationView, ...]
    diagnoses: Mapping[tuple[str, int, str], Diagnosis] = msgspec.field(default_factory=dict)


class Moment(msgspec.Struct, frozen=True):
    at: datetime
    views: tuple[OperationView, ...]  # as they were then; the last one is decided upon
    diagnosis: Diagnosis  # by what was known then


def moments(past: Past) -> Iterator[Moment]:
    """The end of each attempt that failed, in order; the last one with the diagnosis that stands in the incident.

    An operation that ended well after all has nothing to decide upon at its end, unless nothing else is known.
    """
    found = [moment for number in range(len(past.views)) for moment in _of_operation(past, number)]
    if not found and past.views:
        ended = past.views[-1].record.finished_at or past.incident.opened_at
        found = list(_moment(past, ended, past.views, past.incident.diagnosis))
    yield from found


def _of_operation(past: Past, number: int) -> Iterator[Moment]:
    before, view = past.views[:number], past.views[number]
    opened = past.incident.opened_at
    if number == 0 and _was_stuck(view, opened):
        stuck = frozenset((view.record.started_at, str(h.identity)) for a in view.attempts for h in a.hooks)
        alone = past.incident.diagnosis if len(past.views) == 1 and not _known(past, (view,)) else None
        yield from _moment(past, opened, (_as_it_stuck(view, opened),), alone, stuck)
    for attempt in view.attempts if _was_stopped(past, view) else view.attempts[:-1]:
        ended = _ended_at(attempt)
        if attempt.failed and ended is not None:
            yield from _moment(past, ended, (*before, _as_it_waited(view, attempt.number, ended)))
    if view.failed and view.record.operation_phase is not OperationPhase.SUCCEEDED:
        ended = view.record.finished_at or _latest(view) or past.incident.opened_at
        last = not any(later.failed for later in past.views[number + 1 :])
        yield from _moment(past, ended, (*before, view), past.incident.diagnosis if last else None)


def _moment(
    past: Past,
    at: datetime,
    views: tuple[OperationView, ...],
    standing: Diagnosis | None = None,
    stuck: Set[tuple[datetime, str]] = frozenset(),
) -> Iterator[Moment]:
    """What was not diagnosed, or not any more, is passed over: nothing is made up."""
    known = _known(past, views)
    if found := standing or (diagnose_incident(views, known, stuck) if known else None):
        yield Moment(at, views, found)


def _known(past: Past, views: tuple[OperationView, ...]) -> Mapping[tuple[str, int, str], Diagnosis]:
    return {key: d for key, d in past.diagnoses.items() if any(_in(key, view) for view in views)}


def _in(key: tuple[str, int, str], view: OperationView) -> bool:
    operation, attempt, _ = key
    return operation == view.record.id and (not attempt or any(a.number == attempt for a in view.attempts))


def _as_it_waited(view: OperationView, attempt: int, ended: datetime) -> OperationView:
    """Between this attempt and the next one."""
    record = msgspec.structs.replace(
        view.record,
        operation_phase=OperationPhase.RUNNING,
        finished_at=ended,
        attempts_ended=(*view.record.attempts_ended[: attempt - 1], ended),
        replaced=False,
    )
    attempts = tuple(a for a in view.attempts if a.number <= attempt)
    return msgspec.structs.replace(view, record=record, attempts=attempts)


def _was_stopped(past: Past, view: OperationView) -> bool:
    """Its retries were, by us: it waited after its last attempt too."""
    return any(
        d.action is ActionKind.STOP_RETRIES
        and d.operation == view.record.started_at
        and d.outcome is not None
        and d.outcome.result is OutcomeResult.SUCCEEDED
        for d in past.incident.decisions
    )


def _was_stuck(view: OperationView, opened: datetime) -> bool:
    """The incident was opened while it ran, and before anything of it had failed."""
    ended = view.record.finished_at
    first = min((h.failed_at for a in view.attempts for h in a.hooks if h.failed), default=None)
    return ended is not None and opened < ended and (first is None or opened < first)


def _as_it_stuck(view: OperationView, at: datetime) -> OperationView:
    record = msgspec.structs.replace(
        view.record, operation_phase=OperationPhase.RUNNING, finished_at=None, attempts_ended=(), replaced=False
    )
    attempts = tuple(
        msgspec.structs.replace(a, hooks=tuple(_running(hook, at) for hook in a.hooks)) for a in view.attempts[:1]
    )
    return msgspec.structs.replace(view, record=record, attempts=attempts)


def _running(hook: AttemptHook, at: datetime) -> AttemptHook:
    result = msgspec.structs.replace(hook.result, hook_phase="Running", status="Synced")
    if hook.run is None:
        return msgspec.structs.replace(hook, result=result, lost=False)
    pods = tuple(
        msgspec.structs.replace(pod, gone_at=None, containers=tuple(_container_at(c, at) for c in pod.containers))
        for pod in hook.run.pods
        if pod.created_at <= at
    )
    run = msgspec.structs.replace(hook.run, conditions=(), pods=pods, deleting_at=None, gone_at=None)
    return msgspec.structs.replace(hook, result=result, run=run, lost=False)


def _container_at(container: ContainerRun, at: datetime) -> ContainerRun:
    if container.started_at is None or container.started_at > at:
        return msgspec.structs.replace(container, state=ContainerState.WAITING, exit_code=None)
    if container.finished_at is None or container.finished_at > at:
        return msgspec.structs.replace(container, state=ContainerState.RUNNING, exit_code=None, finished_at=None)
    return container


def _latest(view: OperationView) -> datetime | None:
    return max(filter(None, map(_ended_at, view.attempts)), default=None)


def _ended_at(attempt: Attempt) -> datetime | None:
    return max((hook.failed_at for hook in attempt.hooks if hook.failed), default=None)
