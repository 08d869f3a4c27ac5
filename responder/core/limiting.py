"""Guards against too much: budget, ceilings, cooldown (I3), waves of recovery (I11)."""

from datetime import datetime, timedelta

from responder.core.actions import ActionKind, ActionRecord, OutcomeResult, Reason
from responder.core.candidate import Candidate, word
from responder.core.jitter import jitter
from responder.core.waves import GUARD, turns

SPENT = frozenset({OutcomeResult.CONFLICT, OutcomeResult.REFUSED, OutcomeResult.EXPIRED})  # wrote nothing
LOADED = 50  # operations of an Application that are looked at, the newest
_DAY = timedelta(days=1)
_COOLDOWN_DOUBLINGS = 8


def budget(c: Candidate) -> Reason:
    """I3: ours, per Application and revision."""
    used = [a for a in _resyncs(c) if set(a.revisions) & set(c.revisions)]
    return word(
        "budget",
        len(used) < c.rule.budget,
        f"{len(used)} of {c.rule.budget} used",
        f"the budget of {c.rule.budget} is used up",
    )


def ceilings(c: Candidate) -> Reason:
    """I3: Argo CD's own runs count too."""
    policy, now = c.situation.policy, c.situation.now
    today = [v for v in c.situation.views if now - v.record.started_at < _DAY]
    if len(today) >= LOADED:  # self-heal, say: full ones may stand behind them
        return Reason("ceiling", f"{len(today)} operations of this Application in 24 h: its runs cannot be counted")
    runs = sum(max(1, len(v.attempts)) for v in today if v.record.request.full and not v.held)
    if runs >= policy.per_application_day:
        return Reason(
            "ceiling", f"{runs} runs of this Application in 24 h, the ceiling is {policy.per_application_day}"
        )
    if c.situation.responder_hour >= policy.per_responder_hour:
        return Reason("ceiling", f"{c.situation.responder_hour} resyncs in this hour, the ceiling is reached")
    return Reason("ceiling", "below the ceilings", passed=True)


def cooldown(c: Candidate) -> Reason:
    ready = cooled_at(c)
    return word("cooldown", c.situation.now >= ready, "cooled down", f"cooling down until {ready:%H:%M:%SZ}")


def due_at(c: Candidate) -> datetime:
    """Not before: its own cooldown, and that of its cause."""
    closed_until = c.wave.closed_until if c.situation.cause.key == c.incident.correlation else None
    return max(cooled_at(c), closed_until or cooled_at(c))


def cooled_at(c: Candidate) -> datetime:
    """After the rule's delay, and after a cooldown that doubles with each resync of ours within a day."""
    first = (c.record.finished_at or c.incident.opened_at) + timedelta(seconds=c.delay)
    done = [a for a in _resyncs(c) if c.situation.now - a.begun_at < _DAY]
    if not done:
        return first
    wait = c.rule.cooldown * 2 ** min(len(done) - 1, _COOLDOWN_DOUBLINGS)
    return max(first, done[-1].begun_at + timedelta(seconds=wait * (1 + jitter(done[-1].app_uid, done[-1].id))))


def _resyncs(c: Candidate) -> list[ActionRecord]:
    return [a for a in c.situation.actions if a.kind is ActionKind.RESYNC and a.outcome.result not in SPENT]


def in_turn(c: Candidate) -> Reason:
    """I11: Applications that share a cause come back in waves, and each takes its place when it is free."""
    key, cause, now = c.incident.correlation, c.cause, c.situation.now
    if not key:
        return Reason(GUARD, "no common cause is known", passed=True)
    if cause.key != key:
        return Reason(GUARD, "who else fails for this cause is not looked up yet")
    seen = c.wave
    if not seen.leads:
        return Reason(GUARD, "nobody else fails for this cause", passed=True)
    if seen.closed_until is not None and now < seen.closed_until:
        return Reason(GUARD, f"the last try for this cause went wrong: the next one at {seen.closed_until:%H:%M:%SZ}")
    if not seen.free:
        return Reason(GUARD, "others with this cause try just now: they recover in waves")
    first = [i for i in turns(cause, seen, now) if cause.place(i) < cause.place(c.incident)]
    if len(first) >= seen.free and not c.person:
        return Reason(GUARD, "others with this cause are first: they recover in waves")
    return Reason(GUARD, "its turn in a wave of recovery", passed=True)
