"""I11: how many Applications that share a cause try again at a time: one canary, then 2, 4, ... while all goes well.

Nothing is remembered for this. The wave is computed from what is recorded of the incidents that share the cause (when
each last failed, when it ended well) and of our resyncs for it; after a crash, or for another who looks, it is the
same. The same computation is the circuit breaker: where nobody else shares the cause, it leads from the third of our
own resyncs in a row that failed.

Nobody can tell that a database is back but by trying: the canary is the probe. A child that Argo CD or a person
brought back is as good as one.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from responder.core.actions import ActionKind, ActionRecord, Decision, OutcomeResult
from responder.core.argocd import AppKey
from responder.core.incident import Incident
from responder.core.jitter import jitter

GUARD = "correlation"
LAG = timedelta(minutes=2)  # whose turn it is loses it when nothing came of it for so long
_DOUBLINGS = 8
_WENT_WRONG = (OutcomeResult.FAILED, OutcomeResult.UNKNOWN)  # what was never taken up says nothing of the cause


class Cause(msgspec.Struct, frozen=True):
    """What is recorded of one cause. ``incidents``: open ones, and those of its parent that are closed."""

    key: str = ""
    incidents: tuple[Incident, ...] = ()
    resyncs: tuple[ActionRecord, ...] = ()  # ours for it within a day

    @property
    def common(self) -> bool:
        """More than one Application fails for it, or did and is not back yet."""
        return len({i.app for i in self.incidents}) > 1

    def place(self, incident: Incident) -> tuple[int, datetime, AppKey, str]:
        """In the queue: the oldest first, but behind all that were tried less often: one that is broken for itself
        does not keep the others waiting."""
        tries = sum(1 for a in self.resyncs if a.incident_id == incident.id)
        return tries, incident.opened_at, incident.app, incident.id

    def now(self, incident: Incident) -> "Cause":
        """With this incident as it is planned just now."""
        others = (i for i in self.incidents if i.id != incident.id)
        return msgspec.structs.replace(self, incidents=(*others, incident))


class Wave(msgspec.Struct, frozen=True):
    leads: bool = False  # else everybody may try at their own time
    size: int = 1
    free: int = 1  # places that nobody has taken
    since: datetime | None = None  # when the newest of what it is computed from happened
    closed_until: datetime | None = None  # the last try went wrong: half open again then


def wave(cause: Cause, *, cap: int, breaks_after: int, cooldown: float) -> Wave:
    """``cooldown``: seconds, doubled for each try in a row that went wrong."""
    under_way = {a.app_uid for a in cause.resyncs if a.under_way}
    wrong = sorted((_end(a), a.begun_at, a.id) for a in cause.resyncs if a.outcome.result in _WENT_WRONG)
    failures = [at for incident in cause.incidents for at in _failed(incident)] + [at for at, _, _ in wrong]
    last_failure = max(failures, default=None)
    ends = list(_good_ends(cause))
    good = [at for at in ends if last_failure is None or at > last_failure]
    place, size = _place(len(good), cap)
    tries = _in_a_row(wrong, max(ends, default=None))
    closed = None
    if tries:
        wait = cooldown * 2 ** min(tries, _DOUBLINGS) * (1 + jitter(cause.key, wrong[-1][2]))
        closed = wrong[-1][0] + timedelta(seconds=wait)
    return Wave(
        leads=cause.common or tries >= breaks_after,
        size=size,
        free=max(0, place - len(under_way)),
        since=max([*failures, *ends, *(a.outcome.at for a in cause.resyncs if a.outcome.at is not None)], default=None),
        closed_until=closed,
    )


def _place(done: int, cap: int) -> tuple[int, int]:
    """Places left in the wave that is on when so many have come back, and its size."""
    size, through = 1, 1
    while done >= through:
        size = min(size * 2, cap)
        through += size
    return through - done, size


def _failed(incident: Incident) -> Iterable[datetime]:
    if incident.failing:
        return (f.failed_at for f in incident.failing)
    return (incident.opened_at,)


def _end(action: ActionRecord) -> datetime:
    return action.outcome.at or action.begun_at


def _good_ends(cause: Cause) -> Iterable[datetime]:
    """One for each child that came back. Ours count from their beginning: of what began before a failure, an end
    after it tells nothing of what comes next."""
    ours = {a.incident_id: a for a in cause.resyncs if a.outcome.result is not OutcomeResult.NOT_TAKEN}
    for action in ours.values():
        if action.outcome.result is OutcomeResult.SUCCEEDED:
            yield action.begun_at
    for incident in cause.incidents:
        back = [f.succeeded_at for f in incident.failing if f.succeeded_at is not None]
        if not back or len(back) < len(incident.failing):
            continue
        mine = ours.get(incident.id)
        if mine is None or (mine.outcome.result in _WENT_WRONG and max(back) > _end(mine)):
            yield max(back)


def _in_a_row(wrong: Sequence[tuple[datetime, datetime, str]], last_good: datetime | None) -> int:
    """Tries that went wrong one after another since the last good one; what failed side by side is one try."""
    tries, failed_at = 0, last_good
    for ended_at, begun_at, _ in wrong:
        if failed_at is None or (begun_at if tries else ended_at) > failed_at:
            tries, failed_at = tries + 1, ended_at
    return tries


def ready(incident: Incident, now: datetime) -> Decision | None:
    """The decision of a child that waits for nothing but its turn; a cooldown that is over holds it no more."""
    if not incident.state.open or not incident.operations:
        return None
    for decision in reversed(incident.decisions):
        if decision.action is not ActionKind.RESYNC or decision.operation != incident.operations[-1]:
            continue
        refused = {r.guard for r in decision.verdict.reasons if not r.passed}
        if decision.due_at is not None and decision.due_at <= now:
            refused.discard("cooldown")
        if decision.outcome is None and not decision.declined_by and refused <= {GUARD}:
            return decision
    return None


def turns(cause: Cause, seen: Wave, now: datetime) -> list[Incident]:
    """Who waits for a place, in the order in which they get one."""
    busy = {a.app_uid for a in cause.resyncs if a.under_way}
    waiting = []
    for incident in sorted(cause.incidents, key=cause.place):
        decision = ready(incident, now)
        if decision is None or incident.app_uid in busy:
            continue
        since = max(filter(None, (seen.since, seen.closed_until, decision.due_at)), default=now)
        if now - since <= LAG:
            waiting.append(incident)
    return waiting
