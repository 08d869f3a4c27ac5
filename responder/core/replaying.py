"""What rules would have done, beside what was done: for each rule in numbers, for each incident in lines."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from enum import StrEnum

import msgspec

from responder.core.actions import ActionKind, Decision, Mode, OutcomeResult, VerdictResult
from responder.core.alert import Severity
from responder.core.deciding import BY_HAND
from responder.core.past import Past
from responder.core.reenactment import reenact
from responder.core.rules import Rulebook
from responder.core.situation import Policy
from responder.core.trial import Trial, World

_CAME_TO_NOTHING = frozenset(
    {OutcomeResult.CONFLICT, OutcomeResult.REFUSED, OutcomeResult.EXPIRED, OutcomeResult.NOT_TAKEN}
)
_URGENCY = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)
_SHADOW = frozenset({"mode"})


class How(StrEnum):
    DONE = "done"
    ASKED = "asked"  # a person's approval
    SHADOW = "shadow"  # would have been done, but for the mode
    DENIED = "denied"


class Effect(msgspec.Struct, frozen=True):
    """One thing that one rule wanted, and how far it came."""

    rule: str
    what: str  # "resync", "alert critical to dba"
    how: How

    def __str__(self) -> str:
        return f"{self.what} {self.how} ({self.rule})" if self.rule else f"{self.what} {self.how}"


class Row(msgspec.Struct, frozen=True):
    """One incident."""

    past: Past
    did: tuple[Effect, ...]
    would: tuple[Effect, ...]
    matched: tuple[str, ...]

    @property
    def differs(self) -> bool:
        return bool(self.difference)

    @property
    def difference(self) -> list[str]:
        """What was, or would be, done, asked or shown: not who wanted it, nor what was denied. `- ` was, `+ ` would."""
        did, would = _felt(self.did), _felt(self.would)
        gone = [f"- {told}" for key, told in did.items() if key not in would]
        return sorted(gone) + sorted(f"+ {told}" for key, told in would.items() if key not in did)


_WITH_OTHERS = Effect("", "alert with others of its cause", How.DONE)


class RuleCount(msgspec.Struct, frozen=True):
    """Of one rule over all incidents. The newer one would, the one of the same name in the record did."""

    rule: str
    matched: int
    would: dict[How, int]
    did: dict[How, int]


class Replay(msgspec.Struct, frozen=True):
    rows: tuple[Row, ...]
    counts: tuple[RuleCount, ...]

    @property
    def differing(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.differs)


def _felt(effects: Iterable[Effect]) -> dict[tuple[str, How], Effect]:
    return {(effect.what, effect.how): effect for effect in effects if effect.how is not How.DENIED}


def replay(histories: Iterable[Sequence[tuple[Past, World]]], rulebook: Rulebook, policy: Policy) -> Replay:
    """Each history is of one responder: what would have been done for one incident counts for the others of it."""
    trials = [trial for history in histories for trial in reenact(history, rulebook, policy)]
    rows = tuple(_row(trial, policy) for trial in trials)
    names = dict.fromkeys([rule.name for rule in rulebook.rules] + [e.rule for row in rows for e in row.did if e.rule])
    return Replay(rows, tuple(_count(name, rows) for name in names))


def _row(trial: Trial, policy: Policy) -> Row:
    return Row(trial.past, did(trial.past), would(trial, policy), tuple(rule.name for rule in trial.matched))


def _count(name: str, rows: Sequence[Row]) -> RuleCount:
    return RuleCount(
        name,
        sum(name in row.matched for row in rows),
        _by_how(e for row in rows for e in row.would if e.rule == name),
        _by_how(e for row in rows for e in row.did if e.rule == name),
    )


def _by_how(effects: Iterable[Effect]) -> dict[How, int]:
    counts = dict.fromkeys(How, 0)
    for effect in effects:
        counts[effect.how] += 1
    return counts


def did(past: Past) -> tuple[Effect, ...]:
    told = [mark.severity for mark in past.incident.alerts]
    alerts = [Effect("", _told(max(told, key=_URGENCY.index)), How.DONE)] if told else []
    alerts += [_WITH_OTHERS] if past.incident.parent is not None else []
    decided = [Effect(d.rule, d.action.value, how_far(d)) for d in past.incident.decisions if d.rule != BY_HAND]
    return tuple(dict.fromkeys([*decided, *alerts]))


def would(trial: Trial, policy: Policy) -> tuple[Effect, ...]:
    decided = [Effect(d.rule, d.action.value, how_far(d)) for d in trial.decisions if d.action is not ActionKind.ALERT]
    return tuple(dict.fromkeys([*decided, *_alerts(trial, policy)]))


def how_far(decision: Decision) -> How:
    verdict, outcome = decision.verdict, decision.outcome
    if verdict.result is VerdictResult.NEEDS_APPROVAL:
        return How.ASKED
    if verdict.result is VerdictResult.ALLOWED:
        return How.DENIED if outcome is not None and outcome.result in _CAME_TO_NOTHING else How.DONE
    refused = {reason.guard for reason in verdict.reasons if not reason.passed}
    return How.SHADOW if refused == _SHADOW else How.DENIED


def _alerts(trial: Trial, policy: Policy) -> Iterator[Effect]:
    """What goes out says one severity, the highest; who gets it is a matter of routing."""
    wanted = [(rule, a) for rule in trial.matched for a in rule.actions if a.kind is ActionKind.ALERT]
    loud = [(rule, a) for rule, a in wanted if rule.mode_of(ActionKind.ALERT) is not Mode.SHADOW]
    wait = policy.group_wait if trial.past.incident.correlation else timedelta(0)
    due = [(rule, a) for rule, a in loud if _is_due(trial, max(timedelta(seconds=a.after), wait))]
    if due:
        rule, action = max(due, key=lambda pair: _URGENCY.index(pair[1].severity))
        yield Effect(rule.name, _told(action.severity), How.DONE)
    elif not loud and _is_due(trial, policy.alert_floor):
        yield Effect("", _told(policy.floor_severity), How.DONE)
    if trial.parent_since is not None:
        yield _WITH_OTHERS
    for rule, action in wanted:
        if (rule, action) not in loud and not _over(trial, timedelta(seconds=action.after)):
            yield Effect(rule.name, _told(action.severity), How.SHADOW)


def _is_due(trial: Trial, after: timedelta) -> bool:
    """Its own alert: neither over by then, nor told of with the others that fail for its cause."""
    at = trial.past.incident.opened_at + after
    return not _over(trial, after) and (trial.parent_since is None or trial.parent_since > at)


def _over(trial: Trial, after: timedelta) -> bool:
    """Before the alert was due."""
    return trial.ended_at is not None and trial.ended_at < trial.past.incident.opened_at + after


def _told(severity: Severity) -> str:
    return f"alert {severity.value}"


def world_of(past: Past, *, told: bool) -> World:
    """The circumstances as the record has them; what it does not tell is in nobody's way.

    ``told``: the past was read from an answer of the API, which has no commands of containers.
    """
    words = {
        reason.guard: reason.passed
        for decision in past.incident.decisions
        if decision.action is ActionKind.RESYNC
        for reason in decision.verdict.reasons
    }
    return World(
        auto_sync=words.get("auto-sync", True),
        same_sources=words.get("sources", True),
        full_sync=words.get("operation-kind", True),
        window=words.get("sync-window", True),
        idempotent=words.get("idempotent", True) if told else None,
    )
