"""The life of an incident: when it opens, what belongs to it, when it is over.

It opens at the first of: a Job that failed, Argo CD's word that a hook failed, an operation that ended badly, a hook
that is stuck for longer than its grace, a hook that was taken away while it ran. It is over when the same
hooks ran to a good end afterwards (truth 7) or a named person says so; time heals nothing.
"""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime

import msgspec

from responder.core.argocd import OperationPhase
from responder.core.attempts import AttemptHook, OperationView
from responder.core.clusterfacts import stuck_reason
from responder.core.hooks import ContainerState, HookRun
from responder.core.incident import FailingHook, HookIdentity, Incident, IncidentState, TimelineEntry
from responder.core.situation import Situation

_MAX_TIMELINE = 200
_MAX_OPERATIONS = 50
_FAILURE = re.compile(r"(.+) (?:failed|was taken away while it ran) in attempt ([0-9]+)(?:: |$)")  # as we tell it


class Trouble(msgspec.Struct, frozen=True):
    """One thing that went wrong, or does not get on."""

    at: datetime
    text: str
    by: str  # "argocd", "cluster"
    operation: datetime
    hook: HookIdentity | None = None
    stuck: str = ""  # closed reason


def troubles(situation: Situation) -> tuple[list[Trouble], datetime | None]:
    """All that went wrong and is not settled, oldest first; and when to look again for what may become stuck."""
    found: list[Trouble] = []
    look_again: list[datetime] = []
    for view in situation.views:
        if _historic(view, situation):
            continue
        found += _failures(view)
        for trouble, ripe_at in _stuck(view, situation):
            if situation.now >= ripe_at:
                found.append(trouble)
            else:
                look_again.append(ripe_at)
    unsettled = [t for t in found if not _settled(t, situation.previous)]
    return sorted(unsettled, key=lambda t: t.at), min(look_again, default=None)


def _settled(trouble: Trouble, previous: Incident | None) -> bool:
    """Over with the incident before. A hook that failed while that was open and was not known to it is news."""
    if previous is None or previous.resolved_at is None or trouble.at > previous.resolved_at:
        return False
    known = trouble.hook is None or any(f.hook == trouble.hook for f in previous.failing)
    return known or trouble.at < previous.opened_at


def _historic(view: OperationView, situation: Situation) -> bool:
    """It ended before we were installed and long before we saw it: nobody is to be woken for it."""
    ended = view.record.finished_at
    if ended is None or not view.record.operation_phase.terminal or ended >= situation.installed_at:
        return False
    return view.record.first_seen_at - ended > situation.policy.historic_after


def _failures(view: OperationView) -> list[Trouble]:
    record = view.record
    found = [_failure(view, attempt.number, hook) for attempt in view.attempts for hook in attempt.hooks if hook.failed]
    found += [
        Trouble(r.last_at, f"{r.result.kind} {r.result.name}: {r.result.message}", "argocd", record.started_at)
        for r in record.results
        if not r.result.hook_type
    ]
    if not found and not view.held and record.operation_phase in (OperationPhase.FAILED, OperationPhase.ERROR):
        at = record.finished_at or record.last_seen_at
        found.append(
            Trouble(at, f"operation ended {record.operation_phase}: {record.message}", "argocd", record.started_at)
        )
    return found


def _failure(view: OperationView, attempt: int, hook: AttemptHook) -> Trouble:
    condition = hook.run.failed if hook.run is not None and not hook.stale else None
    why = condition.message if condition is not None else hook.result.message
    by = "cluster" if condition is not None else "argocd"
    verb = "was taken away while it ran" if hook.lost else "failed"
    text = f"{hook.identity} {verb} in attempt {attempt}" + (f": {why}" if why and not hook.lost else "")
    return Trouble(hook.failed_at, text, by, view.record.started_at, hook.identity)


def _stuck(view: OperationView, situation: Situation) -> list[tuple[Trouble, datetime]]:
    """Hooks of a running operation that do not get on, with the moment from which it counts."""
    if view.record.ended or view.record.window_blocked:
        return []
    found = _stuck_deletion(view, situation)
    for attempt in view.attempts:
        for hook in attempt.hooks:
            if hook.run is None or hook.failed or hook.stale:
                continue
            stuck = _overlooked if hook.succeeded else _stuck_hook
            found += stuck(view, hook, hook.run, situation)
    return found


def _stuck_deletion(view: OperationView, situation: Situation) -> list[tuple[Trouble, datetime]]:
    """The old Job does not go, so the new one is not made: Argo CD names it, and shows no hook."""
    record, app = view.record, situation.app
    name = record.waits_for_deletion.rpartition("/")[2]
    if not name or record.message_at is None or app is None:
        return []
    ripe = record.message_at + situation.policy.stuck_after
    text = f"hook {name} waits for the deletion of its old Job"
    known = [h.identity for v in situation.views for a in v.attempts for h in a.hooks if h.result.name == name]
    hook = known[-1] if known else HookIdentity(view.cluster, "Job", app.destination_namespace, name, "PreSync")
    return [(Trouble(ripe, text, "argocd", record.started_at, hook, "stuck-deletion"), ripe)]


def _stuck_hook(
    view: OperationView, hook: AttemptHook, run: HookRun, situation: Situation
) -> list[tuple[Trouble, datetime]]:
    if reason := stuck_reason(run):
        ripe = _stuck_since(run, reason) + situation.policy.stuck_after
        text = f"{hook.identity} is stuck: {reason}"
        return [(Trouble(ripe, text, "cluster", view.record.started_at, hook.identity, reason), ripe)]
    ripe = run.created_at + situation.policy.running_limit
    text = f"{hook.identity} runs for longer than {int(situation.policy.running_limit.total_seconds() // 60)} minutes"
    return [(Trouble(ripe, text, "cluster", view.record.started_at, hook.identity, "running-long"), ripe)]


def _overlooked(
    view: OperationView, hook: AttemptHook, run: HookRun, situation: Situation
) -> list[tuple[Trouble, datetime]]:
    """The Job has ended well and Argo CD still waits for it. Nothing failed: it is over when the sync succeeds."""
    if run.completed is None or hook.result.hook_phase == "Succeeded":
        return []
    ripe = hook.ended_well_at + situation.policy.stuck_after
    text = f"{hook.identity} ended well and Argo CD still waits for it"
    return [(Trouble(ripe, text, "cluster", view.record.started_at, stuck="argocd-waits"), ripe)]


def _stuck_since(run: HookRun, reason: str) -> datetime:
    """Not before its newest Pod, nor before what ran in it had ended."""
    if reason == "stuck-deletion" and run.deleting_at is not None:
        return run.deleting_at
    standing = [pod for pod in run.pods if pod.gone_at is None]
    ended = [c.finished_at for p in standing for c in p.containers if c.state is ContainerState.TERMINATED]
    return max([run.created_at, *(p.created_at for p in standing), *(at for at in ended if at is not None)])


def open_incident(situation: Situation, first: Trouble) -> Incident:
    """A new incident for this Application; its id is the same wherever and whenever it is computed."""
    app = situation.app
    assert app is not None  # noqa: S101 - the caller has seen that it is there
    return Incident(
        id=incident_id(app.uid, first, situation.previous),
        app=app.key,
        app_uid=app.uid,
        project=app.project,
        argocd=situation.policy.argocd,
        destination=app.destination_name or app.destination_server,
        destination_namespace=app.destination_namespace,
        state=IncidentState.FIRING,
        opened_at=first.at,
        updated_at=situation.now,
        opened_for=first.text,
        seen_at=situation.now,
        sync_phase=first.hook.sync_phase if first.hook is not None else "",
    )


def incident_id(app_uid: str, first: Trouble, previous: Incident | None) -> str:
    """From what opened it, not from when we looked: after a crash the same trouble gets the same id."""
    seed = f"{app_uid}/{first.operation.isoformat()}/{first.hook}/{previous.id if previous else ''}"
    return hashlib.blake2b(seed.encode(), digest_size=6).hexdigest()


def follow(incident: Incident, found: Sequence[Trouble], situation: Situation) -> Incident:
    """What the newest observations add: operations that joined, failing hooks, good ends, the timeline."""
    failing = _failing(incident, found, situation.views)
    joined = sorted({*incident.operations, *(t.operation for t in found), *_later(incident, situation)})
    revisions = dict.fromkeys(r for v in situation.views if v.record.started_at in joined for r in v.record.revisions)
    return msgspec.structs.replace(
        incident,
        failing=failing,
        operations=tuple(joined if len(joined) <= _MAX_OPERATIONS else [joined[0], *joined[1 - _MAX_OPERATIONS :]]),
        revisions=tuple(revisions) or incident.revisions,
        sync_phase=incident.sync_phase or next((t.hook.sync_phase for t in found if t.hook), ""),
    )


def _later(incident: Incident, situation: Situation) -> list[datetime]:
    """Operations that began while the incident was open belong to it, those that recover included."""
    first = min(incident.operations, default=incident.opened_at)
    return [v.record.started_at for v in situation.views if v.record.started_at >= first]


def _failing(incident: Incident, found: Sequence[Trouble], views: Sequence[OperationView]) -> tuple[FailingHook, ...]:
    newest = {f.hook: f.failed_at for f in incident.failing}
    for trouble in found:
        if trouble.hook is not None:
            newest[trouble.hook] = max(trouble.at, newest.get(trouble.hook, trouble.at))
    ends = _good_ends(views)
    return tuple(
        FailingHook(hook, at, next((end for end in ends.get(hook, ()) if end >= at), None))
        for hook, at in newest.items()
    )


def _good_ends(views: Sequence[OperationView]) -> dict[HookIdentity, list[datetime]]:
    ends: dict[HookIdentity, list[datetime]] = {}
    for view in views:
        for attempt in view.attempts:
            for hook in attempt.hooks:
                if hook.succeeded:
                    ends.setdefault(hook.identity, []).append(hook.ended_well_at)
    return ends


def settle(incident: Incident, found: Sequence[Trouble], situation: Situation) -> Incident:
    """I10: resolved only by truth 7 (or by a person, elsewhere); superseded only when that uid is gone."""
    if situation.app is None or situation.app.uid != incident.app_uid:
        return _close(incident, IncidentState.SUPERSEDED, situation.now, "the Application is gone", "cluster")
    if incident.failing:
        ends = [f.succeeded_at for f in incident.failing if f.succeeded_at is not None]
        if len(ends) < len(incident.failing):
            return incident
        hooks = ", ".join(str(f.hook) for f in incident.failing)
        return _close(incident, IncidentState.RESOLVED, max(ends), f"{hooks} ended well", "argocd")
    newest = max(found, key=lambda t: t.at, default=None)
    since = (newest.at if newest else incident.opened_at).replace(microsecond=0)
    begun = newest.operation if newest else min(incident.operations, default=since)
    for view in situation.views:
        record = view.record
        ended_well = record.operation_phase is OperationPhase.SUCCEEDED and record.request.full
        if ended_well and record.finished_at is not None and record.finished_at >= since and record.started_at >= begun:
            return _close(incident, IncidentState.RESOLVED, record.finished_at, "a full sync succeeded", "argocd")
    return incident


def _close(incident: Incident, state: IncidentState, at: datetime, why: str, by: str) -> Incident:
    entry = TimelineEntry(at, f"{state.value}: {why}", by)
    return msgspec.structs.replace(
        incident,
        state=state,
        resolved_at=at,
        resolved_by=f"{by}: {why}",
        timeline=merge_timeline(incident.timeline, [entry]),
    )


def merge_timeline(held: Sequence[TimelineEntry], new: Sequence[TimelineEntry]) -> tuple[TimelineEntry, ...]:
    """Sorted, each thing once, the first and the newest kept when there are too many."""
    merged = sorted(dict.fromkeys((*held, *new)), key=lambda e: e.at)
    return tuple(merged if len(merged) <= _MAX_TIMELINE else [*merged[:20], *merged[20 - _MAX_TIMELINE :]])


def tell(situation: Situation, incident: Incident, found: Sequence[Trouble]) -> tuple[TimelineEntry, ...]:
    """The timeline with what is known now. A failure is told once: as it is known now, not as it was told before.

    Argo CD's word may come before the Job's own, and attempts are counted anew when an earlier one is found.
    """
    new = _history(situation, incident, found)
    begun = sorted(view.record.started_at for view in situation.views)
    known, facts = set(new), {fact for entry in new for fact in _facts(entry, begun)}
    held = [entry for entry in incident.timeline if entry in known or facts.isdisjoint(_facts(entry, begun))]
    return merge_timeline(held, new)


def _facts(entry: TimelineEntry, begun: Sequence[datetime]) -> list[tuple[object, ...]]:
    """By which a failure is known again: a hook fails once an attempt, and once at a time."""
    failure = _FAILURE.match(entry.what)
    if failure is None:
        return []
    operation, hook = bisect_right(begun, entry.at), failure[1]
    return [(operation, hook, failure[2]), (operation, hook, entry.at)]


def _history(situation: Situation, incident: Incident, found: Sequence[Trouble]) -> list[TimelineEntry]:
    """What happened, told from the operations that belong to the incident."""
    entries = [TimelineEntry(t.at, t.text, t.by) for t in found if not _told_stuck(t, incident)]
    for view in situation.views:
        record = view.record
        if record.started_at not in incident.operations:
            continue
        who = "automatically" if record.request.automated else f"by {record.request.username or 'somebody'}"
        entries.append(TimelineEntry(record.started_at, f"operation started {who}", "argocd"))
        entries += [
            TimelineEntry(at, f"attempt {n} ended, a retry is scheduled", "argocd")
            for n, at in enumerate(record.attempts_ended, start=1)
        ]
        if record.operation_phase.terminal and record.finished_at is not None:
            text = f"operation ended {record.operation_phase}: {record.message}"
            entries.append(TimelineEntry(record.finished_at, text, "argocd"))
    return entries


def _told_stuck(trouble: Trouble, incident: Incident) -> bool:
    """Already, with an earlier Pod of it."""
    return trouble.stuck != "" and any(
        entry.what == trouble.text and trouble.operation <= entry.at for entry in incident.timeline
    )
