"""Guards of what ends something: of `stop-retries`, `terminate` and `delete-hook`; and what runs still."""

from responder.core.actions import Reason
from responder.core.argocd import OperationPhase
from responder.core.attempts import AttemptHook, OperationView
from responder.core.candidate import Candidate, word
from responder.core.failure import Category, Confidence, Retry
from responder.core.hooks import ContainerKind, ContainerState, HookRun

_IMMUTABLE = "field is immutable"  # what the API server says to an apply that would change a Job


def waits(c: Candidate) -> Reason:
    return word(
        "waiting",
        c.record.waiting,
        "the operation waits between attempts",
        f"the operation does not wait for a retry ({c.record.operation_phase.value})",
    )


def hopeless(c: Candidate) -> Reason:
    d = c.diagnosis
    sure = d.confidence in (Confidence.CERTAIN, Confidence.LIKELY)
    bad = d.retry in (Retry.UNSAFE, Retry.FUTILE)
    return word(
        "retry",
        sure and bad,
        f"another attempt is {d.retry.value}: {d.retry_reason}",
        f"retry is {d.retry.value}, {d.confidence.value}",
    )


def operation_runs(c: Candidate) -> Reason:
    runs = c.record.operation_phase is OperationPhase.RUNNING and c.record.finished_at is None and not c.record.replaced
    return word("running", runs, "the operation runs", f"the operation is {c.record.operation_phase.value}")


def no_running_container(c: Candidate) -> Reason:
    """I5: no running migration container is ended without a person, nor one that is about to run."""
    name = running_container(c.view)
    if name:
        return Reason("running-container", f"{name} runs", passed=bool(c.person))
    if half := half_way(c.view):
        return Reason("running-container", half, passed=bool(c.person))
    return Reason("running-container", "no migration container runs", passed=True)


def half_way(view: OperationView) -> str:
    """Of the newest attempt some containers have begun and others are still to come; empty when it is not so."""
    runs = [h.run for h in view.attempts[-1].hooks if h.run is not None and not h.stale] if view.attempts else []
    found = [(c, p) for r in runs for p in r.pods for c in p.containers if c.kind is not ContainerKind.SIDECAR]
    begun = next((c.name for c, _ in found if c.started_at is not None or c.restart), "")
    waits = next((c.name for c, p in found if c.state is ContainerState.WAITING and p.gone_at is None), "")
    return f"container {begun} has run and {waits} is still to run" if begun and waits else ""


def running_container(view: OperationView) -> str:
    """A container that runs and may be a migration, or a hook of which that is not known; empty when there is none."""
    for hook in (h for attempt in view.attempts for h in attempt.hooks):
        if hook.run is None and hook.result.hook_phase == "Running":
            return f"hook {hook.result.name}, of which nothing was seen,"
        if hook.run is not None and (found := running_in(hook.run)):
            return found
    return ""


def running_in(run: HookRun) -> str:
    """The same of one run."""
    standing = [pod for pod in run.pods if pod.gone_at is None]
    for pod in standing:
        for container in pod.containers:
            if container.kind is not ContainerKind.SIDECAR and container.state is ContainerState.RUNNING:
                return f"container {container.name} of {pod.name}"
    unseen = run.active > len(standing) and run.gone_at is None and not (run.failed or run.completed)
    return f"a Pod of {run.name} that was not seen" if unseen else ""


def stands(c: Candidate) -> Reason:
    standing = stale_job(c.view)
    return word("stale", standing is not None, "a finished Job stands in the way", "no finished Job stands in the way")


def kept(c: Candidate) -> Reason:
    """Its log goes with it: that of a Job that failed is read to its end first, or known to be lost."""
    run = stale_job(c.view)
    lost = {gap.source for gap in run.gaps} if run is not None else set()
    for pod in run.pods if run is not None and run.failed is not None else ():
        for container in pod.containers:
            whole = container.log is not None and container.log.complete
            if container.started_at is not None and not whole and f"{pod.name}/{container.name}" not in lost:
                return Reason("evidence", f"the log of {container.name} of {pod.name} is not kept yet")
    return Reason("evidence", "what is left of its logs is kept", passed=True)


def emptied(c: Candidate) -> Reason:
    """A Pod of it may still be on its way out."""
    run = stale_job(c.view)
    name = running_in(run) if run is not None else ""
    return word("still-running", not name, "no migration container of it runs", f"{name} still runs")


def stale_job(view: OperationView) -> HookRun | None:
    """The finished Job of an earlier operation that answers for, or cannot be replaced by, this one's hook."""
    hook = _stale_hook(view)
    return hook.run if hook is not None and hook.run is not None and hook.run.kind == "Job" else None


def in_the_way(view: OperationView) -> Category | None:
    """What kept the hook of an operation that has ended from running, while that Job still stands."""
    hook = _stale_hook(view) if view.record.ended else None
    if hook is None:
        return None
    return Category.IMMUTABLE_JOB if _IMMUTABLE in hook.result.message else Category.STALE_JOB


def _stale_hook(view: OperationView) -> AttemptHook | None:
    for attempt in view.attempts:
        for hook in attempt.hooks:
            stands = hook.run is not None and _finished_and_stays(hook.run)
            if stands and (hook.stale or _IMMUTABLE in hook.result.message):
                return hook
    return None


def _finished_and_stays(run: HookRun) -> bool:
    """One that is being deleted is held by Argo CD's finalizer at most: the next sync takes that off."""
    return (run.failed or run.completed) is not None and (run.deleting_at or run.gone_at) is None
