"""Guards of a resync: is it the same, complete, recent, harmless thing once more, and nobody else's to repeat?"""

from responder.core.actions import Reason
from responder.core.argocd import OperationPhase
from responder.core.attempts import never_started
from responder.core.candidate import Candidate, word
from responder.core.failure import Retry
from responder.core.hooks import ContainerKind, HookRun
from responder.core.idempotence import known_idempotent
from responder.core.promotion import LEFT_BEHIND
from responder.core.stopping import running_container

# The Secret or the account that a Job needs, made by a hook of an earlier wave: Argo CD applies it, nothing runs.
_RUNS_NOTHING = frozenset(
    {("", kind) for kind in ("ConfigMap", "PersistentVolumeClaim", "Secret", "ServiceAccount")}
    | {("rbac.authorization.k8s.io", kind) for kind in ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")}
    | {("networking.k8s.io", "NetworkPolicy")}
)


def ended(c: Candidate) -> Reason:
    app, record = c.situation.app, c.record
    if app is not None and app.requested:
        return Reason("in-flight", "an operation is requested or runs")
    current = app.operation if app else None
    if current is not None and current.started_at != record.started_at:
        return Reason("in-flight", "another operation has begun since")
    ended = record.operation_phase in (OperationPhase.FAILED, OperationPhase.ERROR)
    waiting = "Argo CD itself will retry" if record.waiting else f"the operation is {record.operation_phase.value}"
    return word("in-flight", ended, "the operation has ended", waiting)


def harmless(c: Candidate) -> Reason:
    """I2: on our own only when safe; a person may order futile or unknown, never unsafe."""
    retry = c.diagnosis.retry
    if c.person:
        return word(
            "retry", retry is not Retry.UNSAFE, f"ordered though {retry.value}", f"unsafe: {c.diagnosis.retry_reason}"
        )
    return word("retry", retry is Retry.SAFE, "safe to run again", f"{retry.value}: {c.diagnosis.retry_reason}")


def complete(c: Candidate) -> Reason:
    begun = c.incident.opened_at.replace(
        microsecond=0
    )  # what had ended by then belongs to no incident, or to one before
    views = [v for v in c.situation.views if v.record.finished_at is None or v.record.finished_at >= begun]
    gaps = [gap for view in views for gap in view.gaps]
    if gaps and not c.person:
        return Reason("evidence", f"evidence is missing: {gaps[0].source} ({gaps[0].reason.value})")
    return Reason("evidence", "the evidence is complete", passed=True)


def request_kind(c: Candidate) -> Reason:
    request = c.record.request
    for given, text in (
        (request.selective, "it synced selected resources only"),
        (request.dry_run, "it was a dry run"),
        (request.local_manifests, "it synced local manifests"),
        (request.rollback, "it was a rollback"),
        (request.apply_strategy, "it used the apply strategy, which runs no hooks"),
    ):
        if given:
            return Reason("operation-kind", text)
    return Reason("operation-kind", "it was a full sync", passed=True)


def initiator(c: Candidate) -> Reason:
    request = c.record.request
    if request.automated or request.action_id or c.rule.admits_people:
        return Reason("initiator", "started by automation, or allowed by the rule", passed=True)
    return Reason("initiator", f"a person started it ({request.username or 'unnamed'})")


def auto_sync(c: Candidate) -> Reason:
    app = c.situation.app
    automated = app is not None and app.automated
    opted_in = c.situation.policy.opt_in_manual or (
        app is not None and app.annotation("hook-responder.io/resync") == "true"
    )
    return word(
        "auto-sync",
        automated or opted_in,
        "auto-sync is on, or opted in",
        "the Application has no auto-sync and is not opted in",
    )


def sources(c: Candidate) -> Reason:
    app = c.situation.app
    same = app is not None and app.sources == c.record.sources and bool(app.sources)
    if not c.revisions:
        return Reason("sources", "the revisions that failed are not known")
    return word(
        "sources", same, "the sources are those that failed", "the sources have changed since, or are not known"
    )


def window(c: Candidate) -> Reason:
    is_open = c.situation.window_open
    if is_open is not True and c.person and c.situation.open_to_people:
        return Reason("sync-window", "its sync windows let people sync (manualSync)", passed=True)
    closed = "a sync window is closed" if is_open is False else "whether a sync window is open is not known"
    return word("sync-window", is_open is True, "no sync window stands in the way", closed)


def idempotent(c: Candidate) -> Reason:
    for hook in (h for attempt in c.view.attempts for h in attempt.hooks):
        applied = (hook.result.group, hook.result.kind) in _RUNS_NOTHING
        if hook.run is None and hook.result.status != "SyncFailed" and not applied:
            return Reason("idempotent", f"hook {hook.result.name} was not seen: it is not known to be idempotent")
    for run in c.runs:
        if not (run.idempotent or never_started(run) or _only_migrates(run)):
            return Reason("idempotent", f"hook {run.name} is not known to be idempotent")
    return Reason("idempotent", "every hook that ran may run again", passed=True)


def _only_migrates(run: HookRun) -> bool:
    """Every command that is no sidecar's is a migration tool's own "apply what is pending"."""
    containers = [c for p in run.pods for c in p.containers if c.kind is not ContainerKind.SIDECAR]
    return bool(containers) and all(known_idempotent(c.command) for c in containers)


def recent(c: Candidate) -> Reason:
    record, policy = c.record, c.situation.policy
    if record.finished_at is not None and record.finished_at < c.situation.installed_at:
        return Reason("historic", "it ended before the responder was installed")
    if record.finished_at is not None and record.first_seen_at - record.finished_at > policy.historic_after:
        return Reason("historic", "it ended long before we saw it")
    return Reason("historic", "it is recent", passed=True)


def not_blocked(c: Candidate) -> Reason:
    """Also for a person: what an earlier failure left behind is theirs to resolve first."""
    left = [b for b in c.situation.blocks if b.state_left in LEFT_BEHIND]
    if left:
        return Reason("block", f"an earlier failure left the database {left[0].state_left.value}")
    return Reason("block", "nothing is left behind by an earlier failure", passed=True)


def all_ended(c: Candidate) -> Reason:
    """A Job that is being deleted may run on for its grace: no second migration beside it."""
    name = running_container(c.view)
    return word("still-running", not name, "no migration container runs", f"{name} still runs")
