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
    result_at: datetime  # when Argo CD's word was first seen to be this one, or its attempt had ended
    run: HookRun | None = None
    stale: bool = False  # the Job is of an earlier operation: Argo CD took its old result
    lost: bool = False  # its Job was taken away before it had ended, and so was its end

    @property
    def failed(self) -> bool:
        """Seen to have failed, by Argo CD or by its own Job, whichever came first."""
        if self.result.hook_phase in ("Failed", "Error") or self.result.status == "SyncFailed" or self.lost:
            return True
        return self.run is not None and not self.stale and self.run.failed is not None

    @property
    def succeeded(self) -> bool:
        """The Job itself ended well; a Job that is merely gone has not."""
        if self.failed or self.stale:
            return False
        if self.run is None:
            return self.result.hook_phase == "Succeeded"
        if self.run.completed is not None:
            return True
        return self.result.hook_phase == "Succeeded" and self.run.gone_at is None

    @property
    def terminated(self) -> bool:
        """Argo CD ended it with its operation."""
        return self.result.message == "Terminated"

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
    return "it is the promotion gate's own hook" if run.gate else _foreign(run, admission)


def _foreign(run: HookRun, admission: Admission) -> str:
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
    ours = sorted((r for r in runs if not _foreign(r, admission)), key=lambda r: (r.created_at, r.name, r.uid))
    ordered = sorted(records, key=lambda r: r.started_at)
    views = []
    for record, following in zip(ordered, [*ordered[1:], None], strict=False):
        known = [run for run in ours if following is None or run.created_at < following.started_at]
        views.append(_view(record, known, admission.cluster or ""))
    return tuple(views)


def _view(record: OperationRecord, known: Sequence[HookRun], cluster: str) -> OperationView:
    """``known``: every run of the Application until the next operation, gates included, oldest first."""
    gates = tuple(r for r in record.results if _is_gate(r.result, known))
    hooks = [run for run in known if not run.gate]
    rest = msgspec.structs.replace(record, results=tuple(r for r in record.results if r not in gates))
    last = max((r.attempt for r in record.results), default=0)
    held = any(g.attempt == last and g.result.hook_phase == "Failed" for g in gates)
    numbers = sorted({r.attempt for r in rest.results})
    attempts = [_attempt(number, rest, cluster, hooks) for number in numbers]
    attempts = _with_unreported(attempts, rest, cluster, [run for run in hooks if run.created_at >= record.started_at])
    return OperationView(rest, tuple(_numbered(attempts)), held, cluster)


def _is_gate(result: ResourceResult, known: Sequence[HookRun]) -> bool:
    """The newest Job of that name tells: a label on one of long ago hides nothing."""
    same = [run for run in known if _names(run, result)]
    return bool(same) and same[-1].gate


def _numbered(attempts: Sequence[Attempt]) -> list[Attempt]:
    return [msgspec.structs.replace(attempt, number=n) for n, attempt in enumerate(attempts, start=1)]


def _attempt(number: int, record: OperationRecord, cluster: str, known: Sequence[HookRun]) -> Attempt:
    hooks: list[AttemptHook] = []
    others: list[ResourceResult] = []
    for entry in record.results:
        if entry.attempt != number:
            continue
        if entry.result.hook_type:
            hooks.append(_hook(entry, record, cluster, known))
        else:
            others.append(entry.result)
    return Attempt(number, tuple(hooks), tuple(others))


def _hook(entry: AttemptResult, record: OperationRecord, cluster: str, known: Sequence[HookRun]) -> AttemptHook:
    result, stale = entry.result, False
    run = _select(entry, record, known)
    if run is None and result.kind == "Job":
        run = _reused(entry, record, known)
        stale = run is not None
    identity = _identity(result, run, record, cluster)
    over = record.ended or entry.attempt <= len(record.attempts_ended)
    lost = over and not stale and run is not None and _unended(result, run)
    return AttemptHook(identity, result, _told_at(entry, record), run, stale, lost)


def _told_at(entry: AttemptResult, record: OperationRecord) -> datetime:
    """A watch that is behind sees the word late; it was given by the end of its attempt."""
    ended = _ended(entry.attempt, record) or record.finished_at
    return min(entry.last_at, ended) if ended is not None else entry.last_at


def _ended(number: int, record: OperationRecord) -> datetime | None:
    return record.attempts_ended[number - 1] if number <= len(record.attempts_ended) else None


def _identity(result: ResourceResult, run: HookRun | None, record: OperationRecord, cluster: str) -> HookIdentity:
    name = run.generate_name if run is not None and run.generate_name else _ungenerated(result, record)
    return HookIdentity(cluster, result.kind, result.namespace, name, result.sync_phase)


def _begun(number: int, record: OperationRecord) -> datetime | None:
    """When the attempt before ended; None for the first."""
    return record.attempts_ended[number - 2] if 2 <= number <= len(record.attempts_ended) + 1 else None


def _select(entry: AttemptResult, record: OperationRecord, known: Sequence[HookRun]) -> HookRun | None:
    """The Job of this name that was made in this attempt: after the attempt before it ended, before its own end.

    Stamps are whole seconds: a Job made in the second of an end belongs to the attempt that ended.
    """
    number = entry.attempt
    begun = _begun(number, record)
    ended = _ended(number, record)
    fitting = [
        run
        for run in known
        if _names(run, entry.result)
        and run.created_at >= record.started_at
        and (begun is None or run.created_at > begun)
        and (ended is None or run.created_at <= ended)
    ]
    return fitting[-1] if fitting else None


def _names(run: HookRun, result: ResourceResult) -> bool:
    same = (run.kind, run.namespace, run.name) == (result.kind, result.namespace, result.name)
    return same and (run.kind != "Job" or result.group in ("batch", ""))


def _reused(entry: AttemptResult, record: OperationRecord, known: Sequence[HookRun]) -> HookRun | None:
    """A Job of before that still stood when Argo CD took this hook up: it answers for it without running.

    One that had to go by then was about to be replaced, and one that ended otherwise than Argo CD says has been: its
    successor was not seen, or not yet.
    """
    begun = _begun(entry.attempt, record)
    standing = [
        run
        for run in known
        if _names(run, entry.result)
        and not _ended_otherwise(run, entry.result)
        and (run.created_at < record.started_at or (begun is not None and run.created_at <= begun))
        and all(went is None or went > entry.first_at for went in (run.deleting_at, run.gone_at))
    ]
    return standing[-1] if standing else None


def _ended_otherwise(run: HookRun, result: ResourceResult) -> bool:
    told = {"Succeeded": run.failed, "Failed": run.completed, "Error": run.completed}
    return told.get(result.hook_phase) is not None


def _with_unreported(
    attempts: Sequence[Attempt], record: OperationRecord, cluster: str, own: Sequence[HookRun]
) -> list[Attempt]:
    """Jobs that no version of the Application named in their attempt: it came and went unseen, or is only beginning.

    What they left behind counts like that of any other.
    """
    told = list(attempts)
    selected = {hook.run.uid for attempt in told for hook in attempt.hooks if hook.run is not None}
    for run in own:
        result = next((r.result for r in record.results if r.result.hook_type and _names(run, r.result)), None)
        if run.uid in selected or result is None:
            continue
        result = msgspec.structs.replace(result, status="", message="", hook_phase="")
        identity = _identity(result, run, record, cluster)
        hook = AttemptHook(identity, result, run.created_at, run, lost=_unended(result, run))
        _insert(told, hook, run.created_at)
    return told


def _insert(attempts: list[Attempt], hook: AttemptHook, created_at: datetime) -> None:
    """Into the attempt of its time when that lacks this hook; else it is an attempt of its own."""
    place = next((n for n, attempt in enumerate(attempts) if _later(attempt, created_at)), len(attempts))
    before = attempts[place - 1] if place else None
    if before is not None and all(h.identity != hook.identity for h in before.hooks):
        attempts[place - 1] = msgspec.structs.replace(before, hooks=(*before.hooks, hook))
    else:
        attempts.insert(place, Attempt(0, (hook,)))


def _later(attempt: Attempt, than: datetime) -> bool:
    return any(h.run is not None and not h.stale and h.run.created_at > than for h in attempt.hooks)


def _unended(result: ResourceResult, run: HookRun) -> bool:
    """Taken away while it ran, and Argo CD told no end of it either: nobody knows how far that migration came."""
    if result.hook_phase in ("Failed", "Error", "Succeeded"):
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
    """Known: no container of any of its Pods ever ran. Where something was not seen, nothing is known."""
    if run.kind != "Job":  # its operator's Pod did the work
        return False
    if run.gaps or (not run.pods and (run.completed is not None or _ran_into_its_limit(run))):
        return False
    return not any(c.started_at or c.state is not ContainerState.WAITING for p in run.pods for c in p.containers)


def _ran_into_its_limit(run: HookRun) -> bool:
    """A Job counts Pods that failed: there was one."""
    return run.failed is not None and run.failed.reason == "BackoffLimitExceeded"
