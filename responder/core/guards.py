"""May this be done now? Every guard speaks, not the first one only: a "no" always has all its reasons.

The invariants I1 to I12 of the design live here and in the actuator's compare-and-swap.
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from responder.core.actions import (
    ActionKind,
    ActionRecord,
    Mode,
    OutcomeResult,
    Reason,
    Switch,
    Verdict,
    VerdictResult,
)
from responder.core.argocd import OperationPhase, OperationRecord
from responder.core.attempts import OperationView, never_started
from responder.core.failure import Confidence, Diagnosis, Retry
from responder.core.hooks import ContainerKind, ContainerState, HookRun
from responder.core.idempotence import known_idempotent
from responder.core.promotion import LEFT_BEHIND
from responder.core.rules import Rule
from responder.core.situation import Situation

Guard = Callable[["Candidate"], Reason]
Guards = Mapping[ActionKind, tuple[Guard, ...]]

_MODE_ANNOTATION = "hook-responder.io/mode"
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_COOLDOWN_DOUBLINGS = 8
SPENT = frozenset({OutcomeResult.CONFLICT, OutcomeResult.REFUSED, OutcomeResult.EXPIRED})  # wrote nothing


class Candidate:
    """One action that one rule (or one person) wants, for the newest operation of the incident."""

    __slots__ = ("delay", "diagnosis", "kind", "opened_at", "person", "revisions", "rule", "situation", "view")

    def __init__(
        self,
        situation: Situation,
        view: OperationView,
        diagnosis: Diagnosis,
        kind: ActionKind,
        rule: Rule,
        *,
        opened_at: datetime,
        delay: float = 0.0,
        person: str = "",
    ) -> None:
        self.situation = situation
        self.view = view
        self.diagnosis = diagnosis
        self.kind = kind
        self.rule = rule
        self.opened_at = opened_at
        self.delay = delay
        self.person = person
        self.revisions = view.record.revisions or view.record.request.revisions

    @property
    def record(self) -> OperationRecord:
        return self.view.record

    @property
    def runs(self) -> tuple[HookRun, ...]:
        return tuple(h.run for a in self.view.attempts for h in a.hooks if h.run is not None)


def judge(candidate: Candidate, guards: Guards | None = None) -> Verdict:
    """The verdict with every reason. Approval is asked for only when nothing but the mode stands in the way."""
    reasons = tuple(guard(candidate) for guard in (GUARDS if guards is None else guards)[candidate.kind])
    refused = [r for r in reasons if not r.passed]
    if not refused:
        return Verdict(VerdictResult.ALLOWED, reasons)
    if all(r.guard in ("approval", "running-container") for r in refused):
        return Verdict(VerdictResult.NEEDS_APPROVAL, reasons)
    return Verdict(VerdictResult.DENIED, reasons)


def _word(guard: str, passed: bool, yes: str, no: str) -> Reason:
    return Reason(guard, yes if passed else no, passed)


# Guards of every act.


def _killswitch(c: Candidate) -> Reason:
    """I4 and I12."""
    if c.situation.restored:
        return Reason(
            "killswitch", "the store was restored from a backup: a named person has to release the kill switch"
        )
    state = c.situation.switch
    return _word(
        "killswitch", state is Switch.RELEASED, "the kill switch is released", f"the kill switch is {state.value}"
    )


def _permission(c: Candidate) -> Reason:
    allowed = c.kind.value in c.situation.permitted
    return _word(
        "rbac", allowed, "RBAC allows it", "read-only: RBAC does not allow it (the actuator role is not bound)"
    )


def _mode(c: Candidate) -> Reason:
    ours = c.situation.policy.mode
    if ours is Mode.SHADOW:
        return Reason("mode", f"actions.mode is {ours.value}")
    if c.rule.mode_of(c.kind) is Mode.SHADOW and not c.person:
        return Reason("mode", f"rule {c.rule.name!r} is in shadow mode")
    app = c.situation.app
    for source, said in (
        ("Application", app.annotation(_MODE_ANNOTATION) if app else None),
        ("AppProject", c.situation.project_mode),
    ):
        if said in ("off", "shadow"):
            return Reason("mode", f"the {source} says {_MODE_ANNOTATION}: {said}")
    return Reason("mode", "live", passed=True)


def _approval(c: Candidate) -> Reason:
    if c.person:
        return Reason("approval", f"ordered by {c.person}", passed=True)
    if c.situation.policy.mode is Mode.APPROVE:
        return Reason("approval", "actions.mode asks for a person's approval")
    needed = c.rule.mode_of(c.kind) is Mode.APPROVE
    return _word(
        "approval", not needed, "no approval is asked for", f"rule {c.rule.name!r} asks for a person's approval"
    )


def _fresh(c: Candidate) -> Reason:
    fresh = c.situation.freshness
    return _word(
        "freshness", fresh.synced and not fresh.trouble, "the watches are current", fresh.trouble or "not synced"
    )


def _present(c: Candidate) -> Reason:
    app = c.situation.app
    if app is None:
        return Reason("application", "the Application is gone")
    if app.deleting:
        return Reason("application", "the Application is being deleted")
    if app.annotation("argocd.argoproj.io/skip-reconcile") == "true":
        return Reason("application", "the Application is set to skip-reconcile")
    if str(app.key) in c.situation.policy.own_applications:
        return Reason("application", "it is our own Application, or an ancestor of it")
    return Reason("application", "the Application is there", passed=True)


def _owned_elsewhere(c: Candidate) -> Reason:
    app = c.situation.app
    if app is not None and app.annotation("kargo.akuity.io/authorized-stage"):
        return Reason("owner", "Kargo syncs this Application")
    if (
        app is not None
        and "ApplicationSet" in app.owner_kinds
        and c.record.request.username == "applicationset-controller"
    ):
        return Reason("owner", "an ApplicationSet's rolling sync runs this Application")
    return Reason("owner", "nobody else runs its syncs", passed=True)


def _not_twice(c: Candidate) -> Reason:
    """I1: never two operations of ours for one failed operation; one act at a time."""
    for action in c.situation.actions:
        if action.operation == c.record.started_at and action.kind is c.kind and action.outcome.result not in SPENT:
            return Reason("once", f"{c.kind.value} was already done for this operation ({action.outcome.result.value})")
        if action.outcome.result in (OutcomeResult.BEGUN, OutcomeResult.TAKEN):
            return Reason("once", f"our {action.kind.value} is still under way")
    return Reason("once", "not done before for this operation", passed=True)


# Guards of resync.


def _ended(c: Candidate) -> Reason:
    app, record = c.situation.app, c.record
    if app is not None and app.requested:
        return Reason("in-flight", "an operation is requested or runs")
    current = app.operation if app else None
    if current is not None and current.started_at != record.started_at:
        return Reason("in-flight", "another operation has begun since")
    ended = record.operation_phase in (OperationPhase.FAILED, OperationPhase.ERROR)
    waiting = "Argo CD itself will retry" if record.waiting else f"the operation is {record.operation_phase.value}"
    return _word("in-flight", ended, "the operation has ended", waiting)


def _harmless(c: Candidate) -> Reason:
    """I2: on our own only when safe; a person may order futile or unknown, never unsafe."""
    retry = c.diagnosis.retry
    if c.person:
        return _word(
            "retry", retry is not Retry.UNSAFE, f"ordered though {retry.value}", f"unsafe: {c.diagnosis.retry_reason}"
        )
    return _word("retry", retry is Retry.SAFE, "safe to run again", f"{retry.value}: {c.diagnosis.retry_reason}")


def _complete(c: Candidate) -> Reason:
    begun = c.opened_at.replace(microsecond=0)  # what had ended by then belongs to no incident, or to one before
    views = [v for v in c.situation.views if v.record.finished_at is None or v.record.finished_at >= begun]
    gaps = [gap for view in views for gap in view.gaps]
    if gaps and not c.person:
        return Reason("evidence", f"evidence is missing: {gaps[0].source} ({gaps[0].reason.value})")
    return Reason("evidence", "the evidence is complete", passed=True)


def _request_kind(c: Candidate) -> Reason:
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


def _initiator(c: Candidate) -> Reason:
    request = c.record.request
    if request.automated or request.action_id or c.person or c.rule.admits_people:
        return Reason("initiator", "started by automation, or allowed by the rule", passed=True)
    return Reason("initiator", f"a person started it ({request.username or 'unnamed'})")


def _auto_sync(c: Candidate) -> Reason:
    app = c.situation.app
    automated = app is not None and app.automated
    opted_in = c.situation.policy.opt_in_manual or (
        app is not None and app.annotation("hook-responder.io/resync") == "true"
    )
    allowed = automated or opted_in or bool(c.person)
    return _word(
        "auto-sync", allowed, "auto-sync is on, or opted in", "the Application has no auto-sync and is not opted in"
    )


def _sources(c: Candidate) -> Reason:
    app = c.situation.app
    same = app is not None and app.sources == c.record.sources and bool(app.sources)
    if not c.revisions:
        return Reason("sources", "the revisions that failed are not known")
    return _word(
        "sources", same, "the sources are those that failed", "the sources have changed since, or are not known"
    )


def _window(c: Candidate) -> Reason:
    is_open = c.situation.window_open
    closed = "a sync window is closed" if is_open is False else "whether a sync window is open is not known"
    return _word("sync-window", is_open is True, "no sync window stands in the way", closed)


def _idempotent(c: Candidate) -> Reason:
    for hook in (h for attempt in c.view.attempts for h in attempt.hooks):
        if hook.run is None and hook.result.status != "SyncFailed":
            return Reason("idempotent", f"hook {hook.result.name} was not seen: it is not known to be idempotent")
    for run in c.runs:
        if not (run.idempotent or never_started(run) or _only_migrates(run)):
            return Reason("idempotent", f"hook {run.name} is not known to be idempotent")
    return Reason("idempotent", "every hook that ran may run again", passed=True)


def _only_migrates(run: HookRun) -> bool:
    """Every command that is no sidecar's is a migration tool's own "apply what is pending"."""
    containers = [c for p in run.pods for c in p.containers if c.kind is not ContainerKind.SIDECAR]
    return bool(containers) and all(known_idempotent(c.command) for c in containers)


def _recent(c: Candidate) -> Reason:
    record, policy = c.record, c.situation.policy
    if record.finished_at is not None and record.finished_at < c.situation.installed_at:
        return Reason("historic", "it ended before the responder was installed")
    if record.finished_at is not None and record.first_seen_at - record.finished_at > policy.historic_after:
        return Reason("historic", "it ended long before we saw it")
    return Reason("historic", "it is recent", passed=True)


def _budget(c: Candidate) -> Reason:
    """I3: ours, per Application and revision."""
    used = [a for a in _resyncs(c) if set(a.revisions) & set(c.revisions)]
    return _word(
        "budget",
        len(used) < c.rule.budget,
        f"{len(used)} of {c.rule.budget} used",
        f"the budget of {c.rule.budget} is used up",
    )


def _ceilings(c: Candidate) -> Reason:
    """I3: Argo CD's own runs count too."""
    policy, now = c.situation.policy, c.situation.now
    today = [v for v in c.situation.views if now - v.record.started_at < _DAY and v.record.request.full and not v.held]
    runs = sum(max(1, len(v.attempts)) for v in today)
    if runs >= policy.per_application_day:
        return Reason(
            "ceiling", f"{runs} runs of this Application in 24 h, the ceiling is {policy.per_application_day}"
        )
    if c.situation.responder_hour >= policy.per_responder_hour:
        return Reason("ceiling", f"{c.situation.responder_hour} resyncs in this hour, the ceiling is reached")
    return Reason("ceiling", "below the ceilings", passed=True)


def _cooldown(c: Candidate) -> Reason:
    ready = cooled_at(c)
    return _word("cooldown", c.situation.now >= ready, "cooled down", f"cooling down until {ready:%H:%M:%SZ}")


def cooled_at(c: Candidate) -> datetime:
    """After the rule's delay, and after a cooldown that doubles with each resync of ours within a day."""
    first = (c.record.finished_at or c.opened_at) + timedelta(seconds=c.delay)
    done = [a for a in _resyncs(c) if c.situation.now - a.begun_at < _DAY]
    if not done:
        return first
    wait = c.rule.cooldown * 2 ** min(len(done) - 1, _COOLDOWN_DOUBLINGS)
    return max(first, done[-1].begun_at + timedelta(seconds=wait * (1 + _jitter(done[-1]))))


def _jitter(last: ActionRecord) -> float:
    """Up to a fifth, the same whenever it is asked: Applications that failed together do not come back together."""
    digest = hashlib.blake2b(f"{last.app_uid}/{last.id}".encode(), digest_size=2).digest()
    return int.from_bytes(digest) / 0xFFFF / 5


def _resyncs(c: Candidate) -> list[ActionRecord]:
    return [a for a in c.situation.actions if a.kind is ActionKind.RESYNC and a.outcome.result not in SPENT]


def _parent_leads(c: Candidate) -> Reason:
    """I11: while a common cause is known, recovery goes by its wave."""
    leads = c.situation.parent is not None
    return _word(
        "correlation",
        not leads,
        "no common cause is known",
        "many Applications fail for one cause: they recover in waves",
    )


def _not_blocked(c: Candidate) -> Reason:
    """Also for a person: what an earlier failure left behind is theirs to resolve first."""
    left = [b for b in c.situation.blocks if b.state_left in LEFT_BEHIND]
    if left:
        return Reason("block", f"an earlier failure left the database {left[0].state_left.value}")
    return Reason("block", "nothing is left behind by an earlier failure", passed=True)


def _all_ended(c: Candidate) -> Reason:
    """A Job that is being deleted may run on for its grace: no second migration beside it."""
    name = running_container(c.view)
    return _word("still-running", not name, "no migration container runs", f"{name} still runs")


# Guards of the other acts.


def _waits(c: Candidate) -> Reason:
    return _word(
        "waiting",
        c.record.waiting,
        "the operation waits between attempts",
        f"the operation does not wait for a retry ({c.record.operation_phase.value})",
    )


def _hopeless(c: Candidate) -> Reason:
    d = c.diagnosis
    sure = d.confidence in (Confidence.CERTAIN, Confidence.LIKELY)
    bad = d.retry in (Retry.UNSAFE, Retry.FUTILE)
    return _word(
        "retry",
        sure and bad,
        f"another attempt is {d.retry.value}: {d.retry_reason}",
        f"retry is {d.retry.value}, {d.confidence.value}",
    )


def _operation_runs(c: Candidate) -> Reason:
    runs = c.record.operation_phase is OperationPhase.RUNNING and c.record.finished_at is None and not c.record.replaced
    return _word("running", runs, "the operation runs", f"the operation is {c.record.operation_phase.value}")


def _no_running_container(c: Candidate) -> Reason:
    """I5: no running migration container is ended without a person."""
    name = running_container(c.view)
    if name:
        return Reason("running-container", f"{name} runs", passed=bool(c.person))
    return Reason("running-container", "no migration container runs", passed=True)


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


def _stands(c: Candidate) -> Reason:
    standing = stale_job(c.view)
    return _word("stale", standing is not None, "a finished Job stands in the way", "no finished Job stands in the way")


def stale_job(view: OperationView) -> HookRun | None:
    """The finished Job of an earlier operation that answers for, or cannot be replaced by, this one's hook."""
    for attempt in view.attempts:
        for hook in attempt.hooks:
            finished = hook.run is not None and (hook.run.failed or hook.run.completed) and hook.run.gone_at is None
            if finished and (hook.stale or "field is immutable" in hook.result.message):
                return hook.run
    return None


_ACTING: tuple[Guard, ...] = (_killswitch, _permission, _mode, _approval, _fresh, _present, _not_twice)
GUARDS: Guards = {
    ActionKind.RESYNC: (
        *_ACTING, _owned_elsewhere, _ended, _harmless, _complete, _request_kind, _initiator, _auto_sync, _sources,
        _window, _all_ended, _idempotent, _recent, _budget, _ceilings, _cooldown, _parent_leads, _not_blocked,
    ),
    ActionKind.STOP_RETRIES: (*_ACTING, _waits, _hopeless),
    ActionKind.TERMINATE: (*_ACTING, _operation_runs, _no_running_container),
    ActionKind.DELETE_HOOK: (*_ACTING, _ended, _stands),
    ActionKind.ANNOTATE: _ACTING,
    ActionKind.BLOCK: (),
    ActionKind.ALERT: (),
}  # fmt: skip
