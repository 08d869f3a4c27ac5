"""From attempts to a diagnosis: the cause from the first failing run, what was left behind from the worst of all.

Attempt 1 says "syntax error", attempts 2 to 5 say "dirty database version 42": the cause is the first, and a retry is
as dangerous as the most dangerous of them.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from datetime import datetime
from typing import TypeVar

import msgspec

from responder.core.argocd import OperationPhase, OperationRecord
from responder.core.attempts import AttemptHook, OperationView, never_started
from responder.core.clusterfacts import Brings, diagnose_cluster, stuck_reason
from responder.core.diagnosis import LogLine, Run, diagnose
from responder.core.evidence import LogChunk
from responder.core.failure import Because, Category, Confidence, Diagnosis, Retry, StateLeft
from responder.core.hooks import ContainerKind, ContainerRun, ContainerState, HookRun, PodRun
from responder.core.signatures import Signatures

Logs = Callable[[str], LogChunk | None]

_WORST_STATE = (StateLeft.NONE, StateLeft.UNKNOWN, StateLeft.LOCKED, StateLeft.PARTIAL, StateLeft.DIRTY)
_WORST_RETRY = (Retry.SAFE, Retry.FUTILE, Retry.UNKNOWN, Retry.UNSAFE)
_SILENT = frozenset({Category.KILLED, Category.UNKNOWN, Category.NONE})  # a log that states no cause of its own
_ENDED_BY_SIGNAL = frozenset({137, 143})
_LOST_BY_DELETION = "ContainerStatusUnknown"
_MAX_BECAUSE = 20
_S = TypeVar("_S", bound=msgspec.Struct)


def diagnose_hook(
    hook: AttemptHook, record: OperationRecord, logs: Logs, signatures: Signatures, brings: Brings = ()
) -> Diagnosis:
    """One hook that failed or is stuck. ``logs`` gives what is kept of a log, already redacted, by its key."""
    outside = diagnose_cluster(hook, brings)
    if hook.run is None or hook.stale or (outside is not None and never_started(hook.run)):
        return outside or _unseen(hook, record)
    inside = [_diagnose_container(pod, c, logs, signatures) for pod, c in _ended_badly(hook.run)]
    circumstances = outside or _circumstances(hook, record)
    return _capped(_combine(inside, circumstances) or _kept_running(hook.run) or _silent(hook), hook.run)


def _ended_badly(run: HookRun) -> list[tuple[PodRun, ContainerRun]]:
    """Container runs that ended badly, in the order in which they ended; sidecars only when nothing else did."""
    ended = [
        (pod, container)
        for pod in run.pods
        for container in pod.containers
        if container.state is ContainerState.TERMINATED
        and container.exit_code not in (0, None)
        and container.reason != _LOST_BY_DELETION
    ]
    ended.sort(key=lambda pair: (pair[1].finished_at or pair[0].created_at, pair[1].restart))
    return [pair for pair in ended if pair[1].kind is not ContainerKind.SIDECAR] or ended


def _diagnose_container(pod: PodRun, container: ContainerRun, logs: Logs, signatures: Signatures) -> Diagnosis:
    source = f"{pod.name}/{container.name}"
    chunk = logs(container.log.key) if container.log else None
    texts = () if chunk is None else tuple(map(LogLine, chunk.numbers, chunk.texts))
    found = diagnose(
        Run(
            lines=texts,
            exit_code=container.exit_code,
            complete=container.log is not None and container.log.complete,
            command=container.command,
        ),
        signatures,
    )
    found = _replace(found, because=tuple(_replace(b, source=source) for b in found.because))
    if container.reason == "OOMKilled":
        return _out_of_memory(found, source)
    if container.exit_code in _ENDED_BY_SIGNAL and found.retry is Retry.SAFE:
        # A loop that waits for its database may have got through before it was killed.
        found = _replace(found, retry=Retry.UNKNOWN, retry_reason="it was killed: its last words are not its end")
    interrupted = pod.deleting_at is not None and container.exit_code in _ENDED_BY_SIGNAL
    if interrupted and found.category in _SILENT:
        return _replace(found, category=Category.KILLED)
    if container.kind is ContainerKind.INIT and found.category in _SILENT:
        # That it failed is certain; why, its log does not say.
        return _replace(found, category=Category.INIT_FAILED, confidence=Confidence.CERTAIN)
    return found


def _out_of_memory(found: Diagnosis, source: str) -> Diagnosis:
    harmless = found.state_left is StateLeft.NONE
    said = Because("the container was OOMKilled: it used more memory than its limit", source=source)
    return _replace(
        found,
        category=Category.OOM_KILLED,
        confidence=Confidence.CERTAIN,
        retry=Retry.FUTILE if harmless else found.retry if found.retry is Retry.UNSAFE else Retry.UNKNOWN,
        retry_reason="until its memory limit or its appetite changes" if harmless else "it was killed at its work",
        key_line=said.text,
        because=(said, *found.because),
    )


def _circumstances(hook: AttemptHook, record: OperationRecord) -> Diagnosis | None:
    """What ended a hook from above, when its own containers state no cause: deadline, time-out, a person."""
    run = hook.run
    failed = run.failed if run is not None else None
    if failed is not None and failed.reason == "DeadlineExceeded":
        return _stopped(Category.DEADLINE_EXCEEDED, f"{failed.reason}: {failed.message}", "job condition")
    if hook.result.message == "Terminated" or record.operation_phase is OperationPhase.TERMINATING:
        by_timeout = "controller sync timeout" in record.message
        category = Category.SYNC_TIMEOUT if by_timeout else Category.TERMINATED
        return _stopped(category, record.message or hook.result.message, "argocd")
    return None


def _stopped(category: Category, text: str, source: str) -> Diagnosis:
    return Diagnosis(
        category=category,
        retry=Retry.UNKNOWN,
        retry_reason="it was stopped at its work",
        state_left=StateLeft.UNKNOWN,
        state_reason="it was stopped at its work: how far it came is not known",
        confidence=Confidence.CERTAIN,
        key_line=text,
        because=(Because(text, source=source),),
    )


def _combine(inside: Sequence[Diagnosis], circumstances: Diagnosis | None) -> Diagnosis | None:
    """The first container that states a cause; else what ended the hook; safety is the worst of all."""
    stating = next((d for d in inside if d.category not in _SILENT and d.category is not Category.INIT_FAILED), None)
    cause = stating or circumstances or next(iter(inside), None)
    if cause is None:
        return None
    # What ended a run from above says nothing of the state; the container that was stopped does.
    found = worst(cause, inside or [cause])
    if cause is circumstances and _WORST_RETRY.index(found.retry) < _WORST_RETRY.index(cause.retry):
        return _replace(found, retry=cause.retry, retry_reason=cause.retry_reason)  # it would only be stopped again
    return found


def worst(cause: Diagnosis, everything: Sequence[Diagnosis]) -> Diagnosis:
    """``cause`` with the most dangerous state and retry of all, each with the reason of where it comes from."""
    state = max(everything, key=lambda d: _WORST_STATE.index(d.state_left), default=cause)
    retry = max(everything, key=lambda d: _WORST_RETRY.index(d.retry), default=cause)
    known = [d for d in (cause, *everything) if d.tool]
    return _replace(
        cause,
        state_left=state.state_left,
        state_reason=state.state_reason,
        retry=retry.retry,
        retry_reason=retry.retry_reason,
        tool=cause.tool or next((d.tool for d in known), None),
        database=cause.database or next((d.database for d in everything if d.database), None),
        migration=cause.migration or next((d.migration for d in everything if d.migration), None),
        because=_because(cause, state, retry),
    )


def _because(*diagnoses: Diagnosis) -> tuple[Because, ...]:
    return tuple(dict.fromkeys(b for d in diagnoses for b in d.because))[:_MAX_BECAUSE]


def _capped(found: Diagnosis, run: HookRun) -> Diagnosis:
    """Any gap, unread container or missing exit code caps a retry at ``unknown``."""
    missing = _missing(run)
    if not missing:
        return found
    capped = found.retry in (Retry.SAFE, Retry.FUTILE)
    unsure = found.state_left is StateLeft.NONE
    return _replace(
        found,
        retry=Retry.UNKNOWN if capped else found.retry,
        retry_reason=missing if capped else found.retry_reason,
        state_left=StateLeft.UNKNOWN if unsure else found.state_left,
        state_reason=missing if unsure else found.state_reason,
    )


def _missing(run: HookRun) -> str:
    if run.gaps:
        gap = run.gaps[0]
        return f"not everything was seen: {gap.source} ({gap.reason.value})"
    for pod in run.pods:
        if pod.node and not pod.containers:
            return f"what ran in {pod.name} was not seen"
        for container in pod.containers:
            if container.kind is ContainerKind.SIDECAR or container.state is ContainerState.WAITING:
                continue
            if container.reason == _LOST_BY_DELETION:
                return f"how {container.name} ended is not known: its node lost sight of it"
            if container.state is ContainerState.RUNNING:
                return f"container {container.name} still runs"
            if container.exit_code is None:
                return f"the exit code of {container.name} is not known"
            if container.log is None or not container.log.complete:
                return f"the log of {container.name} was not read to its end"
    if not run.pods and run.failed:
        return "its Pods were never seen"
    return ""


def _kept_running(run: HookRun) -> Diagnosis | None:
    """The migration ended well; its Pod does not, so the Job never will."""
    if stuck_reason(run) != "sidecar-running":
        return None
    still = [(p, c) for p in run.pods for c in p.containers if c.state is ContainerState.RUNNING]
    said = tuple(Because(f"container {c.name} still runs", source=f"{p.name}/{c.name}") for p, c in still)
    return Diagnosis(
        category=Category.SIDECAR_RUNNING,
        retry=Retry.FUTILE,
        retry_reason="until the sidecar ends with the migration, as a native sidecar does",
        state_left=StateLeft.NONE,
        state_reason="the migration itself ended well",
        confidence=Confidence.CERTAIN,
        key_line=next((b.text for b in said), None),
        because=said,
    )


def _silent(hook: AttemptHook) -> Diagnosis:
    text = hook.result.message
    return Diagnosis(
        category=Category.UNKNOWN,
        retry=Retry.UNKNOWN,
        retry_reason="nothing that was seen states a cause",
        state_left=StateLeft.UNKNOWN,
        state_reason="nothing that was seen tells",
        confidence=Confidence.GUESS,
        because=(Because(text, source="argocd"),) if text else (),
    )


def _unseen(hook: AttemptHook, record: OperationRecord) -> Diagnosis:
    if hook.result.kind != "Job":
        return _silent(hook)
    return _circumstances(hook, record) or _silent(hook)


def diagnose_operation(record: OperationRecord) -> Diagnosis:
    """An operation that failed without any hook: a manifest, a comparison, a person who stopped it."""
    stopped = record.message.startswith("Operation terminated")
    category = Category.MANIFEST_ERROR
    if stopped:
        by_timeout = "controller sync timeout" in record.message
        category = Category.SYNC_TIMEOUT if by_timeout else Category.TERMINATED
    said = [Because(record.message, source="argocd")] if record.message else []
    said += [Because(f"{r.result.kind} {r.result.name}: {r.result.message}", source="argocd") for r in record.results]
    return Diagnosis(
        category=category,
        retry=Retry.UNKNOWN if stopped else Retry.FUTILE,
        retry_reason="it was stopped before any hook ran" if stopped else "until the manifests or their source change",
        state_left=StateLeft.NONE,
        state_reason="no hook failed" if any(r.result.hook_type for r in record.results) else "no hook ran",
        confidence=Confidence.CERTAIN,
        key_line=record.message or None,
        because=tuple(said[:_MAX_BECAUSE]),
    )


def _waiting_for_deletion(record: OperationRecord) -> Diagnosis:
    return Diagnosis(
        category=Category.STUCK_DELETION,
        retry=Retry.FUTILE,
        retry_reason=f"until the old {record.waits_for_deletion} is gone: look at its finalizers",
        state_left=StateLeft.NONE,
        state_reason="the hook has not been started",
        confidence=Confidence.CERTAIN,
        key_line=record.message,
        because=(Because(record.message, source="argocd"),),
    )


Diagnoses = Mapping[tuple[str, int, str], Diagnosis]  # (operation id, attempt, hook identity) -> diagnosis


def diagnose_incident(
    views: Sequence[OperationView], diagnoses: Diagnoses, stuck: Set[tuple[datetime, str]]
) -> Diagnosis | None:
    """The incident's own: cause of the first failing run, worst of all for the rest. None: nothing failed yet.

    ``stuck``: (operation, hook, or closed reason) of what is stuck for longer than its grace; a hook that waits for a
    moment tells nothing.
    """
    found: list[Diagnosis] = []
    for view in views:
        of_hooks = [
            diagnoses[key]
            for attempt in view.attempts
            for hook in sorted(attempt.hooks, key=lambda h: h.failed_at)
            if (key := (view.record.id, attempt.number, str(hook.identity))) in diagnoses
            and (hook.failed or (view.record.started_at, str(hook.identity)) in stuck)
        ]
        if of_hooks:
            found += of_hooks
        elif view.failed:
            found.append(diagnose_operation(view.record))
        elif (view.record.started_at, "stuck-deletion") in stuck:
            found.append(_waiting_for_deletion(view.record))
    return worst(found[0], found) if found else None


def _replace(value: _S, **changes: object) -> _S:
    return msgspec.structs.replace(value, **changes)
