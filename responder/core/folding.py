"""From the versions of an Application to what its operations were: no state is lost because it was short.

A final ``Failed`` may live 30 ms when a newer revision waits, and a recovered retry leaves no trace in the end state.
"""

from datetime import datetime

import msgspec

from responder.core.argocd import (
    Application,
    AttemptResult,
    OperationPhase,
    OperationRecord,
    OperationState,
    ResourceResult,
)

_BLOCKED_BY_WINDOW = "blocked by sync window"
_MAX_RESULTS = 200  # of one operation; the rest is the same story


def fold(record: OperationRecord | None, app: Application, at: datetime) -> tuple[OperationRecord, ...]:
    """What to keep after this version was seen: the current operation's record, after it the one it cut off, if any.

    ``record`` is the newest one that is held; ``at`` is when the version was seen.
    """
    state = app.operation
    if state is None:
        # Cleared, as it is when the next sync is requested: the old one is judged when the next appears.
        return () if record is None else (record,)
    if record is None or record.app_uid != app.uid:
        return (_begin(app, state, at),)
    if record.started_at == state.started_at:
        return (_continue(record, state, at),)
    if state.started_at < record.started_at:
        return (record,)  # seen late
    fresh = _begin(app, state, at)
    return (fresh,) if record.ended else (fresh, _cut_off(record, at))


def _begin(app: Application, state: OperationState, at: datetime) -> OperationRecord:
    empty = OperationRecord(
        app=app.key,
        app_uid=app.uid,
        started_at=state.started_at,
        operation_phase=OperationPhase.RUNNING,
        request=state.request,
        first_seen_at=at,
        last_seen_at=at,
        retry_count=state.retry_count - state.waiting,
    )
    return _continue(empty, state, at)


def _cut_off(record: OperationRecord, at: datetime) -> OperationRecord:
    return msgspec.structs.replace(record, replaced=True, last_seen_at=at)


def _continue(record: OperationRecord, state: OperationState, at: datetime) -> OperationRecord:
    if _seen_late(record, state):
        return record
    ended = _ends(record, state)
    attempt = len(ended) if state.waiting else len(ended) + 1
    return msgspec.structs.replace(
        record,
        operation_phase=state.operation_phase,
        request=state.request,
        message=state.message,
        message_at=record.message_at if state.message == record.message and record.message_at is not None else at,
        finished_at=state.finished_at,
        revisions=state.revisions or record.revisions or state.request.revisions,
        sources=state.sources or record.sources,
        retry_count=state.retry_count,
        attempts_ended=ended,
        results=_merge(record, state, attempt, at),
        window_blocked=_BLOCKED_BY_WINDOW in state.message,
        last_seen_at=at,
    )


def _seen_late(record: OperationRecord, state: OperationState) -> bool:
    """An old version: an operation does not run again after its end, nor an attempt after the next has begun."""
    if record.operation_phase.terminal and not state.operation_phase.terminal:
        return True
    if record.operation_phase is OperationPhase.TERMINATING and state.operation_phase is OperationPhase.RUNNING:
        return True
    if state.retry_count < record.retry_count:
        return True
    return state.waiting and not record.waiting and state.finished_at in record.attempts_ended


def _ends(record: OperationRecord, state: OperationState) -> tuple[datetime, ...]:
    """When each attempt ended that is to be retried. One whose end nobody saw ended after it was last seen."""
    ended = record.attempts_ended
    if state.finished_at is not None and state.waiting and state.finished_at in ended:
        return ended
    missed = state.retry_count - record.retry_count - state.waiting
    if missed > 0:
        ended = (*ended, record.last_seen_at)
    return (*ended, state.finished_at) if state.waiting and state.finished_at is not None else ended


def _merge(record: OperationRecord, state: OperationState, attempt: int, at: datetime) -> tuple[AttemptResult, ...]:
    """The newest word on each resource, by attempt. A terminated wait repeats the last attempt's results."""
    if _repeats_the_last_attempt(record, state, attempt):
        attempt -= 1
    held = {(r.attempt, _identity(r.result)): r for r in record.results}
    for result in state.results:
        key = (attempt, _identity(result))
        before = held.get(key)
        if before is None:
            held[key] = AttemptResult(attempt, result, at, at)
        elif before.result != result:
            held[key] = AttemptResult(attempt, result, before.first_at, at)
    return _bounded(tuple(held.values()))


def _bounded(results: tuple[AttemptResult, ...]) -> tuple[AttemptResult, ...]:
    """The cause stands with the first, the present with the last: of too many those in between go."""
    half = _MAX_RESULTS // 2
    return results if len(results) <= _MAX_RESULTS else (*results[:half], *results[-half:])


def _repeats_the_last_attempt(record: OperationRecord, state: OperationState, attempt: int) -> bool:
    """Stopped in the wait: phase Terminating, or ended by it, ``syncResult`` still that of the attempt before."""
    if attempt == 1 or state.operation_phase is OperationPhase.RUNNING or not _terminated(state):
        return False
    if any(r.attempt == attempt for r in record.results):
        return False
    last = {_identity(r.result): r.result for r in record.results if r.attempt == attempt - 1}
    return bool(last) and all(last.get(_identity(r)) == r for r in state.results)


def _terminated(state: OperationState) -> bool:
    """By Argo CD's words; an attempt that failed unseen may look the same in all else."""
    return state.operation_phase is OperationPhase.TERMINATING or "operation terminat" in state.message.lower()


def _identity(result: ResourceResult) -> tuple[str, str, str, str, str]:
    return (result.group, result.kind, result.namespace, result.name, result.sync_phase)
