"""From one hook's containers and circumstances to its diagnosis: the cause from the first that states one, what was
left behind from the worst of all.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from responder.core.advice import Names, advised
from responder.core.argocd import OperationPhase, OperationRecord
from responder.core.attempts import AttemptHook, never_started
from responder.core.clusterfacts import (
    CANNOT_START,
    Brings,
    Fact,
    Sync,
    advice_for,
    diagnose_cluster,
    recognise,
    refused_by_argocd,
    stuck_reason,
    vanished,
)
from responder.core.diagnosis import LogLine, Run, diagnose, kept_something
from responder.core.evidence import LogChunk
from responder.core.failure import Because, Category, Confidence, Diagnosis, Retry, StateLeft, undiagnosed
from responder.core.hooks import UNTOLD, ContainerKind, ContainerRun, ContainerState, HookRun, PodRun
from responder.core.safety import less_dangerous, worst
from responder.core.signatures import Signatures

Logs = Callable[[str], LogChunk | None]

_SILENT = frozenset({Category.KILLED, Category.UNKNOWN, Category.NONE})  # a log that states no cause of its own
_ENDED_BY_SIGNAL = frozenset({137, 143})
_LOST_ENDS = frozenset({"ContainerStatusUnknown", "Unknown"})  # its Pod was deleted; its runtime was restarted
_BY_OPERATOR = frozenset({"AtlasMigration", "AtlasSchema"})  # resources whose conditions tell, with no Pod of theirs
_S = TypeVar("_S", bound=msgspec.Struct)


def diagnose_hook(
    hook: AttemptHook, record: OperationRecord, logs: Logs, signatures: Signatures, brings: Brings = ()
) -> Diagnosis:
    """One hook that failed or is stuck. ``logs`` gives what is kept of a log, already redacted, by its key."""
    found = _diagnosed(hook, record, logs, signatures, Sync(brings, record.results))
    return advised(found, _names(hook, record, found))


def _names(hook: AttemptHook, record: OperationRecord, found: Diagnosis) -> Names:
    """Of the Pod and container that the diagnosis rests on; else of the newest."""
    pods = hook.run.pods if hook.run is not None and not hook.stale else ()
    source = next((b.source for b in found.because if "/" in b.source), "")
    pod = next((p for p in pods if p.name == source.partition("/")[0]), pods[-1] if pods else None)
    containers = [c.name for c in pod.containers] if pod is not None else []
    named = source.partition("/")[2]
    return Names(
        application=record.app.name,
        namespace=hook.result.namespace,
        job=hook.result.name if hook.result.kind == "Job" else "",
        pod=pod.name if pod is not None else "",
        container=named if named in containers else next(iter(containers), ""),
        node=pod.node if pod is not None else "",
    )


def _diagnosed(hook: AttemptHook, record: OperationRecord, logs: Logs, signatures: Signatures, sync: Sync) -> Diagnosis:
    if hook.run is not None and hook.run.kind in _BY_OPERATOR:
        return _diagnose_resource(hook, hook.run, signatures)
    outside = diagnose_cluster(hook, signatures, sync)
    if hook.run is None or hook.stale or (outside is not None and never_started(hook.run)):
        return outside or _unseen(hook, record, signatures)
    inside = [_diagnose_container(pod, c, logs, signatures) for pod, c in _ended_badly(hook.run)]
    circumstances = outside or _circumstances(hook, record, signatures)
    found = _combine(inside, circumstances) or _kept_running(hook.run, signatures) or _silent(hook)
    return _capped(found, _missing(hook.run) or _ended_well_and_kept(hook.run, logs, signatures))


def _diagnose_resource(hook: AttemptHook, run: HookRun, signatures: Signatures) -> Diagnosis:
    """An operator ran it, and says how that went in a condition; what it ran itself is in nobody's log."""
    if (refused := refused_by_argocd(hook, signatures)) is not None:
        return refused
    if hook.lost:
        gone = Because(f"{run.kind} {run.namespace}/{run.name} was deleted before it was ready", source="argocd")
        return vanished("it was taken away before its operator told an end", (gone,), signatures)
    condition = next((c for c in reversed(run.conditions) if c.message), None)
    text = f"{run.kind} {condition.reason}: {condition.message}" if condition is not None else hook.result.message
    lines = tuple(LogLine(n, line) for n, line in enumerate(text.splitlines(), 1))
    found = diagnose(Run(lines=lines, exit_code=1, complete=False), signatures)
    said = tuple(_replace(b, line=0, source=f"{run.kind} {run.name}") for b in found.because)
    return _replace(found, because=said or ((Because(text, source=f"{run.kind} {run.name}"),) if text else ()))


def _ended_badly(run: HookRun) -> list[tuple[PodRun, ContainerRun]]:
    """Container runs that ended badly, in the order in which they ended; sidecars only when nothing else did."""
    ended = [
        (pod, container)
        for pod in run.pods
        for container in pod.containers
        if container.state is ContainerState.TERMINATED
        and (container.exit_code not in (0, None) or container.reason == UNTOLD)
        and container.reason not in _LOST_ENDS
    ]
    ended.sort(key=lambda pair: (pair[1].finished_at or pair[0].created_at, pair[1].restart))
    return [pair for pair in ended if pair[1].kind is not ContainerKind.SIDECAR] or ended


def _diagnose_container(pod: PodRun, container: ContainerRun, logs: Logs, signatures: Signatures) -> Diagnosis:
    source = f"{pod.name}/{container.name}"
    chunk = logs(container.log.key) if container.log else None
    if container.reason in CANNOT_START and container.started_at is None:
        return _could_not_start(container, source, signatures)
    texts = _last_words(container) if chunk is None else tuple(map(LogLine, chunk.numbers, chunk.texts))
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
        return _out_of_memory(found, source, signatures)
    if container.exit_code in _ENDED_BY_SIGNAL and found.retry is Retry.SAFE:
        # A loop that waits for its database may have got through before it was killed.
        found = _replace(found, retry=Retry.UNKNOWN, retry_reason="it was killed: its last words are not its end")
    interrupted = pod.deleting_at is not None and container.exit_code in _ENDED_BY_SIGNAL
    if interrupted and found.category in _SILENT:
        return _renamed(found, Category.KILLED, signatures)
    if container.kind is ContainerKind.INIT and found.category in _SILENT:
        # That it failed is certain; why, its log does not say.
        return _replace(_renamed(found, Category.INIT_FAILED, signatures), confidence=Confidence.CERTAIN)
    return found


def _renamed(found: Diagnosis, category: Category, signatures: Signatures) -> Diagnosis:
    return _replace(found, category=category, advice=advice_for(category, signatures))


def _last_words(container: ContainerRun) -> tuple[LogLine, ...]:
    """Its termination message, which may be the end of its log, when that could not be read."""
    return tuple(LogLine(0, line) for line in container.message.splitlines())


def _could_not_start(container: ContainerRun, source: str, signatures: Signatures) -> Diagnosis:
    """The runtime could not execute its command: a program that is not in the image, a file that is no program."""
    text = f"{container.reason}: {container.message}"
    found = diagnose(Run(lines=(LogLine(0, text),), exit_code=container.exit_code), signatures)
    known = found.category not in _SILENT
    return _replace(
        found,
        category=found.category if known else Category.IMPORT_ERROR,
        confidence=Confidence.CERTAIN if known else Confidence.LIKELY,
        retry=Retry.FUTILE,
        retry_reason="until its command can be executed in that image",
        state_left=StateLeft.NONE,
        state_reason="its program was never started",
        key_line=text,
        because=(Because(text, source=source),),
        advice=found.advice if known else advice_for(Category.IMPORT_ERROR, signatures),
    )


def _out_of_memory(found: Diagnosis, source: str, signatures: Signatures) -> Diagnosis:
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
        advice=" ".join(dict.fromkeys((advice_for(Category.OOM_KILLED, signatures), found.advice))).strip(),
    )


def _circumstances(hook: AttemptHook, record: OperationRecord, signatures: Signatures) -> Diagnosis | None:
    """What ended a hook from above, when its own containers state no cause: deadline, time-out, a person."""
    run = hook.run
    failed = run.failed if run is not None else None
    if failed is not None:
        said = Fact(f"{failed.reason}: {failed.message}", "job condition")
        found = recognise([said], signatures)
        late = found is not None and found[1].category is Category.DEADLINE_EXCEEDED
        if late or failed.reason == "DeadlineExceeded":
            return _stopped(Category.DEADLINE_EXCEEDED, said, signatures)
    if hook.terminated or record.operation_phase is OperationPhase.TERMINATING:
        said = Fact(record.message or hook.result.message, "argocd")
        return _stopped(_stopped_by(said, signatures), said, signatures)
    return None


def _stopped_by(said: Fact, signatures: Signatures) -> Category:
    found = recognise([said], signatures)
    by_timeout = found is not None and found[1].category is Category.SYNC_TIMEOUT
    return Category.SYNC_TIMEOUT if by_timeout else Category.TERMINATED


def _stopped(category: Category, said: Fact, signatures: Signatures) -> Diagnosis:
    return Diagnosis(
        category=category,
        retry=Retry.UNKNOWN,
        retry_reason="it was stopped at its work",
        state_left=StateLeft.UNKNOWN,
        state_reason="it was stopped at its work: how far it came is not known",
        confidence=Confidence.CERTAIN,
        key_line=said.text,
        because=said.because,
        advice=advice_for(category, signatures),
    )


def _combine(inside: Sequence[Diagnosis], circumstances: Diagnosis | None) -> Diagnosis | None:
    """The first container that states a cause; else what ended the hook; safety is the worst of all."""
    stating = next((d for d in inside if d.category not in _SILENT and d.category is not Category.INIT_FAILED), None)
    cause = stating or circumstances or next(iter(inside), None)
    if cause is None:
        return None
    # What ended a run from above says nothing of the state; the container that was stopped does.
    found = worst(cause, inside or [cause])
    if cause is circumstances and less_dangerous(found.retry, cause.retry):
        return _replace(found, retry=cause.retry, retry_reason=cause.retry_reason)  # it would only be stopped again
    return found


def _capped(found: Diagnosis, missing: str) -> Diagnosis:
    """Any gap, unread container or missing exit code caps a retry at ``unknown``."""
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
        if unseen := _unseen_restart(pod):
            return unseen
        if unsure := next(filter(None, map(_untold_end, pod.containers)), ""):
            return unsure
    if not run.pods and run.failed:
        return "its Pods were never seen"
    return ""


def _untold_end(container: ContainerRun) -> str:
    if container.kind is ContainerKind.SIDECAR or container.state is ContainerState.WAITING:
        return ""
    if container.reason in CANNOT_START and container.started_at is None:
        return ""
    if container.reason in _LOST_ENDS:
        return f"how {container.name} ended is not known: its node lost sight of it"
    if container.state is ContainerState.RUNNING:
        return f"container {container.name} still runs"
    if container.exit_code is None:
        return f"the exit code of {container.name} is not known"
    if container.log is None or not container.log.complete:
        return f"the log of {container.name} was not read to its end"
    return ""


def _unseen_restart(pod: PodRun) -> str:
    """The kubelet keeps the last run before the present one: of those before it nobody knows."""
    seen: dict[str, set[int]] = {}
    for container in pod.containers:
        if container.kind is not ContainerKind.SIDECAR:
            seen.setdefault(container.name, set()).add(container.restart)
    unseen = ((name, n) for name, runs in seen.items() for n in range(max(runs)) if n not in runs)
    return next((f"run {n + 1} of container {name} was not seen" for name, n in unseen), "")


def _ended_well_and_kept(run: HookRun, logs: Logs, signatures: Signatures) -> str:
    """What a container did that ended well beside one that did not stays, whatever the other's cause."""
    for container in (c for p in run.pods for c in p.containers if c.exit_code == 0):
        chunk = logs(container.log.key) if container.log and container.kind is not ContainerKind.SIDECAR else None
        lines = tuple(map(LogLine, chunk.numbers, chunk.texts)) if chunk is not None else ()
        if lines and kept_something(lines, signatures):
            return f"container {container.name} ended well, and what it did stays"
    return ""


def _kept_running(run: HookRun, signatures: Signatures) -> Diagnosis | None:
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
        advice=advice_for(Category.SIDECAR_RUNNING, signatures),
    )


def _silent(hook: AttemptHook) -> Diagnosis:
    text = hook.result.message
    because = (Because(text, source="argocd"),) if text else ()
    return undiagnosed("nothing that was seen states a cause", "nothing that was seen tells", because)


def _unseen(hook: AttemptHook, record: OperationRecord, signatures: Signatures) -> Diagnosis:
    if hook.result.kind != "Job":
        return _silent(hook)
    return _circumstances(hook, record, signatures) or _silent(hook)


def _replace(value: _S, **changes: object) -> _S:
    return msgspec.structs.replace(value, **changes)
