"""Guards against too much: budget, ceilings, cooldown (I3)."""

import hashlib
from datetime import datetime, timedelta

from responder.core.actions import ActionKind, ActionRecord, OutcomeResult, Reason
from responder.core.candidate import Candidate, word

SPENT = frozenset({OutcomeResult.CONFLICT, OutcomeResult.REFUSED, OutcomeResult.EXPIRED})  # wrote nothing
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
    today = [v for v in c.situation.views if now - v.record.started_at < _DAY and v.record.request.full and not v.held]
    runs = sum(max(1, len(v.attempts)) for v in today)
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


def parent_leads(c: Candidate) -> Reason:
    """I11: while a common cause is known, recovery goes by its wave."""
    leads = c.situation.parent is not None
    return word(
        "correlation",
        not leads,
        "no common cause is known",
        "many Applications fail for one cause: they recover in waves",
    )
