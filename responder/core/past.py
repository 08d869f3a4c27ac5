"""An incident that is remembered, moment by moment: what was true after each attempt, when rules had their say."""

from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec

from responder.core.argocd import OperationPhase
from responder.core.attempts import Attempt, OperationView
from responder.core.failure import Diagnosis
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
    """The end of each attempt that failed, in order; the last one with the diagnosis that stands in the incident."""
    for number, view in enumerate(past.views):
        before = past.views[:number]
        for attempt in view.attempts[:-1]:
            ended = _ended_at(attempt)
            if attempt.failed and ended is not None:
                views = (*before, _as_it_waited(view, attempt.number, ended))
                yield from _moment(past, ended, views)
        if view.failed or view is past.views[-1]:
            ended = view.record.finished_at or _latest(view) or past.incident.opened_at
            last = view is past.views[-1] or not any(v.failed for v in past.views[number + 1 :])
            yield from _moment(past, ended, (*before, view), past.incident.diagnosis if last else None)


def _moment(
    past: Past, at: datetime, views: tuple[OperationView, ...], standing: Diagnosis | None = None
) -> Iterator[Moment]:
    """What was not diagnosed, or not any more, is passed over: nothing is made up."""
    known = {key: d for key, d in past.diagnoses.items() if any(_in(key, view) for view in views)}
    if found := standing or (diagnose_incident(views, known, frozenset()) if known else None):
        yield Moment(at, views, found)


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


def _latest(view: OperationView) -> datetime | None:
    return max(filter(None, map(_ended_at, view.attempts)), default=None)


def _ended_at(attempt: Attempt) -> datetime | None:
    return max((hook.failed_at for hook in attempt.hooks if hook.failed), default=None)
