"""Operations and hook runs joined: which Job ran in which attempt of which operation, and what may be decided upon.

An attempt is a new set of hook Job uids, numbered from 1 as they appear; ``retryCount`` only hints at the order.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from responder.core.argocd import AppKey, AttemptResult, OperationPhase, OperationRecord, ResourceResult
from responder.core.evidence import Gap
from responder.core.hooks import ContainerState, HookRun
from responder.core.incident import HookIdentity


class AttemptHook(msgspec.Struct, frozen=True):
    """One hook in one attempt: Argo CD's word on it, and the Job that ran, if one did."""

    identity: HookIdentity
    result: ResourceResult
    result_at: datetime  # when Argo CD's word was first seen to be this one
    run: HookRun | None = None
    stale: bool = False  # the Job is of an earlier operation: Argo CD took its old result
    lost: bool = False  # taken away while it had not ended

    @property
    def failed(self) -> bool:
        """Seen to have failed, by Argo CD or by its own Job, whichever came first."""
        if self.result.hook_phase in ("Failed", "Error") or self.result.status == "SyncFailed" or self.lost:
            return True
        return self.run is not None and self.run.failed is not None

    @property
    def succeeded(self) -> bool:
        """The Job itself ended well; a Job that is merely gone has not."""
        if self.failed or self.stale:
            return False
        return self.result.hook_phase == "Succeeded" or (self.run is not None and self.run.completed is not None)

    @property
    def failed_at(self) -> datetime:
        condition = self.run.failed if self.run is not None and not self.stale else None
        return condition.at if condition is not None and condition.at is not None else self.result_at

    @property
    def ended_well_at(self) -> datetime:
        condition = self.run.completed if self.run is not None else None
        return condition.at if condition is not None and condition.at is not None else self.result_at


class Attempt(msgspec.Struct, frozen=True):
    number: int
    hooks: tuple[AttemptHook, ...] = ()
    resources: tuple[ResourceResult, ...] = ()  # others that went wrong

    @property
    def failed(self) -> bool:
        return any(hook.failed for hook in self.hooks) or bool(self.resources)


class OperationView(msgspec.Struct, frozen=True):
    """One operation with its attempts, in order."""

    record: OperationRecord
    attempts: tuple[Attempt, ...] = ()
    held: bool = False  # by the promotion gate's own hook: no failure of anybody's
    cluster: str = ""  # its destination, as we name it

    @property
    def gaps(self) -> tuple[Gap, ...]:
        return tuple(gap for a in self.attempts for h in a.hooks if h.run and not h.stale for gap in h.run.gaps)

    @property
    def failed(self) -> bool:
        ended_badly = self.record.operation_phase in (OperationPhase.FAILED, OperationPhase.ERROR) and not self.held
        return ended_badly or any(attempt.failed for attempt in self.attempts)


class Admission(msgspec.Struct, frozen=True):
    """What of an Application decides whether a run may be decided upon."""

    app: AppKey
    control_plane: str  # namespace of Argo CD itself
    cluster: str | None  # name of the destination cluster as we know it; None: we do not
    permits: Callable[[str], bool]  # does the AppProject permit this namespace?

    @property
    def instance(self) -> str:
        """How Argo CD names this Application on its resources."""
        return self.app.name if self.app.namespace == self.control_plane else f"{self.app.namespace}_{self.app.name}"


def refused(run: HookRun, admission: Admission) -> str:
    """Why this run may not be decided upon for this Application; empty when it may."""
    if run.gate:
        return "it is the promotion gate's own hook"
    if run.tracked != admission.instance:
        return f"its tracking id names {run.tracked or 'nobody'}"
    if admission.cluster is None or run.cluster != admission.cluster:
        return f"it ran in cluster {run.cluster}, which is not this Application's destination"
    if not admission.permits(run.namespace):
        return f"the AppProject does not permit namespace {run.namespace}"
    return ""


def join(
    records: Sequence[OperationRecord], runs: Sequence[HookRun], admission: Admission
) -> tuple[OperationView, ...]:
    """``records`` and ``runs`` in any order; the views come oldest first."""
    admitted = sorted((r for r in runs if not refused(r, admission)), key=lambda r: (r.created_at, r.name, r.uid))
    gates = frozenset((r.namespace, r.name) for r in runs if r.gate and r.tracked == admission.instance)
    ordered = sorted(records, key=lambda r: r.started_at)
    views = []
    for record, following in zip(ordered, [*ordered[1:], None], strict=False):
        shown, held = _without_gates(record, gates)
        until = following.started_at if following else None
        views.append(_view(shown, admitted, admission.cluster or "", until, held=held))
    return tuple(views)


def _without_gates(record: OperationRecord, gates: frozenset[tuple[str, str]]) -> tuple[OperationRecord, bool]:
    """The record without the gate's own hooks, and whether one of them held the sync back."""
    ours = [r for r in record.results if (r.result.namespace, r.result.name) in gates]
    if not ours:
        return record, False
    rest = tuple(r for r in record.results if r not in ours)
    return msgspec.structs.replace(record, results=rest), any(r.result.hook_phase == "Failed" for r in ours)


def _view(
    record: OperationRecord, runs: Sequence[HookRun], cluster: str, until: datetime | None, *, held: bool
) -> OperationView:
    own = [run for run in runs if run.created_at >= record.started_at and (until is None or run.created_at < until)]
    numbers = sorted({r.attempt for r in record.results})
    attempts = tuple(_attempt(number, record, cluster, own, runs) for number in numbers)
    return OperationView(record, attempts, held, cluster)


def _attempt(
    number: int, record: OperationRecord, cluster: str, own: Sequence[HookRun], known: Sequence[HookRun]
) -> Attempt:
    hooks: list[AttemptHook] = []
    others: list[ResourceResult] = []
    for entry in record.results:
        if entry.attempt != number:
            continue
        if not entry.result.hook_type:
            others.append(entry.result)
            continue
        run = _select(number, entry.result, record, own)
        hooks.append(_hook(entry, record, cluster, run, known))
    return Attempt(number, tuple(hooks), tuple(others))


def _hook(
    entry: AttemptResult, record: OperationRecord, cluster: str, run: HookRun | None, known: Sequence[HookRun]
) -> AttemptHook:
    result, stale = entry.result, False
    if run is None and result.kind == "Job":
        run = _reused(result, record, known)
        stale = run is not None
    name = run.generate_name if run is not None and run.generate_name else _ungenerated(result, record)
    identity = HookIdentity(cluster, result.kind, result.namespace, name, result.sync_phase)
    return AttemptHook(identity, result, entry.last_at, run, stale, lost=_lost(result, record, run, stale))


def _select(number: int, result: ResourceResult, record: OperationRecord, own: Sequence[HookRun]) -> HookRun | None:
    """The Job of this name that was made in this attempt: after the attempt before it ended, before its own end.

    Stamps are whole seconds: a Job made in the second of an end belongs to the attempt that ended.
    """
    same = [run for run in own if _names(run, result)]
    begun = record.attempts_ended[number - 2] if 2 <= number <= len(record.attempts_ended) + 1 else None
    ended = record.attempts_ended[number - 1] if number <= len(record.attempts_ended) else None
    fitting = [
        run for run in same if (begun is None or run.created_at > begun) and (ended is None or run.created_at <= ended)
    ]
    return fitting[-1] if fitting else None


def _names(run: HookRun, result: ResourceResult) -> bool:
    return (run.kind, run.namespace, run.name) == (result.kind, result.namespace, result.name)


def _reused(result: ResourceResult, record: OperationRecord, known: Sequence[HookRun]) -> HookRun | None:
    """A Job of an earlier operation that still stood when this one began: it answers for it without running."""
    standing = [
        run
        for run in known
        if _names(run, result)
        and run.created_at < record.started_at
        and (run.gone_at is None or run.gone_at > record.started_at)
    ]
    return standing[-1] if standing else None


def _lost(result: ResourceResult, record: OperationRecord, run: HookRun | None, stale: bool) -> bool:
    """Taken away by a newer operation while it ran: nobody else records that migration's end."""
    if not record.replaced or stale or run is None or result.hook_phase in ("Failed", "Error", "Succeeded"):
        return False
    return run.failed is None and run.completed is None and (run.deleting_at or run.gone_at) is not None


def _ungenerated(result: ResourceResult, record: OperationRecord) -> str:
    """``<generateName><rev7>-<phase>-<unix start>`` back to its prefix, when the Job itself was not seen."""
    tail = f"-{result.sync_phase.lower()}-{int(record.started_at.timestamp())}"
    if not result.name.endswith(tail):
        return result.name
    stem = result.name.removesuffix(tail)
    for revision in (*record.revisions, *record.request.revisions):
        short = revision[:7] if len(revision) >= 8 else revision
        if short and stem.endswith(short):
            return stem.removesuffix(short)
    return stem


def never_started(run: HookRun) -> bool:
    """No container of any of its Pods ever ran."""
    return not any(c.started_at or c.state is not ContainerState.WAITING for p in run.pods for c in p.containers)
