"""From attempts and operations to the diagnosis of an incident: the cause from the first failing run, safety from the
worst of all, and what later attempts met told as its consequences.

Attempt 1 says "syntax error", attempts 2 to 5 say "dirty database version 42": the cause is the first, and a retry is
as dangerous as the most dangerous of them.
"""

from collections.abc import Mapping, Sequence, Set
from datetime import datetime

import msgspec

from responder.core.advice import Names, advised, named_later
from responder.core.argocd import OperationRecord
from responder.core.attempts import Attempt, AttemptHook, OperationView
from responder.core.clusterfacts import Fact, advice_for, recognise
from responder.core.consequences import Told, consequences
from responder.core.failure import Because, Category, Confidence, Diagnosis, Retry, StateLeft, undiagnosed
from responder.core.safety import MAX_BECAUSE, worst
from responder.core.signatures import Match, Signatures

WHOLE = (0, "")  # attempt and hook of what is said of an operation as a whole

Diagnoses = Mapping[tuple[str, int, str], Diagnosis]  # (operation id, attempt, hook identity) -> diagnosis


def diagnose_operation(record: OperationRecord, signatures: Signatures | None = None) -> Diagnosis:
    """An operation that failed without any hook: a manifest, a comparison, a person who stopped it."""
    stopped = record.message.startswith("Operation terminated")
    facts = [Fact(record.message, "argocd")] if record.message else []
    facts += [Fact(f"{r.result.kind} {r.result.name}: {r.result.message}", "argocd") for r in record.results]
    found = recognise(reversed(facts), signatures) if signatures is not None else None  # a resource tells more
    by_timeout = "controller sync timeout" in record.message
    category = _category(found)
    if stopped:
        category = Category.SYNC_TIMEOUT if by_timeout else Category.TERMINATED
    diagnosis = Diagnosis(
        category=category,
        retry=Retry.UNKNOWN if stopped or _may_pass(found) else Retry.FUTILE,
        retry_reason="it was stopped before any hook ran" if stopped else "until the manifests or their source change",
        state_left=StateLeft.NONE,
        state_reason="no hook failed" if any(r.result.hook_type for r in record.results) else "no hook ran",
        confidence=Confidence.CERTAIN,
        key_line=(found[0].text if found is not None and not stopped else record.message) or None,
        because=tuple(b for f in facts for b in f.because)[:MAX_BECAUSE],
        advice=advice_for(category, signatures, found[1] if found and not stopped else None) if signatures else "",
    )
    return advised(diagnosis, Names(application=record.app.name))


def _category(found: tuple[Fact, Match] | None) -> Category:
    return (found[1].category if found is not None else None) or Category.MANIFEST_ERROR


def _may_pass(found: tuple[Fact, Match] | None) -> bool:
    return found is not None and found[1].signature.passes is True


def diagnose_incident(
    views: Sequence[OperationView], diagnoses: Diagnoses, stuck: Set[tuple[datetime, str]]
) -> Diagnosis | None:
    """The incident's own: cause of the first failing run, worst of all for the rest. None: nothing failed yet.

    ``stuck``: (operation, hook, or closed reason) of what is stuck for longer than its grace; a hook that waits for a
    moment tells nothing.
    """
    told: list[Told] = []
    for number, view in enumerate(views, start=1):
        of_hooks = [
            Told(number, attempt.number, str(hook.identity), diagnoses[key])
            for attempt in view.attempts
            for hook in sorted(attempt.hooks, key=_failed)
            if (key := (view.record.id, attempt.number, str(hook.identity))) in diagnoses
            and (hook.failed or (view.record.started_at, str(hook.identity)) in stuck)
        ]
        told += of_hooks
        if not of_hooks and view.failed:
            whole = diagnoses.get((view.record.id, *WHOLE)) or diagnose_operation(view.record)
            told.append(Told(number, 0, "", whole))
        elif (waits := _waiting(number, view, stuck)) is not None:
            told.append(waits)
    if not told:
        return None
    diagnosis = worst(told[0].diagnosis, [t.diagnosis for t in told])
    advice = named_later(diagnosis.advice, diagnosis.migration)
    return msgspec.structs.replace(diagnosis, advice=advice, consequences=consequences(told))


def _failed(hook: AttemptHook) -> tuple[datetime, bool]:
    """Jobs tell whole seconds: of hooks of one second, what failed by itself came before the end of the others."""
    return hook.failed_at.replace(microsecond=0), hook.terminated


def _waiting(number: int, view: OperationView, stuck: Set[tuple[datetime, str]]) -> Told | None:
    """What has not failed and does not get on, as Argo CD or the clock has it."""
    at = view.record.started_at
    if (at, "stuck-deletion") in stuck and view.record.waits_for_deletion:
        return Told(number, 0, "", _waiting_for_deletion(view.record), failed=False)
    for attempt in reversed(view.attempts):
        for hook in attempt.hooks:
            name = str(hook.identity)
            if (at, "running-long") in stuck and (at, name) in stuck and not hook.failed:
                return Told(number, attempt.number, name, _running_long(view, attempt, hook), failed=False)
            if (at, "argocd-waits") in stuck and hook.succeeded and hook.result.hook_phase != "Succeeded":
                return Told(number, attempt.number, name, _overlooked(view, hook), failed=False)
    return None


def _waiting_for_deletion(record: OperationRecord) -> Diagnosis:
    found = Diagnosis(
        category=Category.STUCK_DELETION,
        retry=Retry.FUTILE,
        retry_reason=f"until the old {record.waits_for_deletion} is gone: look at its finalizers",
        state_left=StateLeft.NONE,
        state_reason="the hook has not been started",
        confidence=Confidence.CERTAIN,
        key_line=record.message,
        because=(Because(record.message, source="argocd"),),
    )
    return advised(found, Names(application=record.app.name))


def _running_long(view: OperationView, attempt: Attempt, hook: AttemptHook) -> Diagnosis:
    """Nothing failed: it may still end well, and stopping it may do harm."""
    found = undiagnosed(
        "it still runs, and nothing has failed",
        "it is still at work",
        advice="See whether it works or waits for a lock: its log, and the sessions of the database. Do not stop it"
        " before that is known. If it only takes long, raise `recorder.running_limit`.",
    )
    line = f"{hook.identity} has been running for longer than the limit, in attempt {attempt.number}"
    return _seen(line, found, view, hook)


def _overlooked(view: OperationView, hook: AttemptHook) -> Diagnosis:
    found = Diagnosis(
        category=Category.NONE,
        retry=Retry.UNKNOWN,
        retry_reason="nothing failed",
        state_left=StateLeft.NONE,
        state_reason="the hook's own Job ended well",
        confidence=Confidence.CERTAIN,
        advice="The migration is done. Let Argo CD look again (a refresh); if it still waits, see whether its"
        " application controller keeps up.",
    )
    line = f"{hook.identity} has ended well, and Argo CD still waits for it"
    command = f"argocd app get {view.record.app.name} --hard-refresh"
    return msgspec.structs.replace(_seen(line, found, view, hook), command=command)


def _seen(line: str, found: Diagnosis, view: OperationView, hook: AttemptHook) -> Diagnosis:
    """``line`` says what was seen of the Job: no log does."""
    shown = msgspec.structs.replace(found, key_line=line, because=(Because(line, source="job"),))
    return advised(shown, _names(view, hook))


def _names(view: OperationView, hook: AttemptHook) -> Names:
    pod = hook.run.pods[-1] if hook.run is not None and hook.run.pods else None
    return Names(
        application=view.record.app.name,
        namespace=hook.result.namespace,
        job=hook.result.name,
        pod=pod.name if pod else "",
        container=pod.containers[0].name if pod and pod.containers else "",
    )
