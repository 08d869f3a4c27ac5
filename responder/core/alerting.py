"""When an alert goes out, and to whom: rules, the floor beneath them, one page for one cause, recovery in silence."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from responder.core.actions import ActionKind, Mode
from responder.core.alert import Alert, AlertState, Severity
from responder.core.demoting import Demotion, alert_of
from responder.core.failure import Category
from responder.core.hooks import ContainerState, HookRun
from responder.core.incident import AlertMark, Incident
from responder.core.rules import Matching
from responder.core.situation import Policy, Situation
from responder.core.wording import alert, unknown_acts

_ORDER = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)


class AlertOrder(msgspec.Struct, frozen=True):
    """Tell this receiver this."""

    receiver: str
    alert: Alert


class Alerting(msgspec.Struct, frozen=True):
    orders: tuple[AlertOrder, ...]
    marks: tuple[AlertMark, ...]
    wake_at: datetime | None = None


def plan_alerts(situation: Situation, incident: Incident, matching: Matching | None) -> Alerting:
    """What is to be said now, beside what was said before; and when to look again."""
    marks = {m.receiver: m for m in incident.alerts}
    if not incident.state.open:
        told = {r: m.severity for r, m in marks.items() if m.state is not AlertState.RESOLVED}
        return _orders(situation, incident, told, marks, None)
    if incident.parent is not None:
        return Alerting((), incident.alerts)
    if incident.muted_until is not None and situation.now < incident.muted_until:
        return Alerting((), incident.alerts, incident.muted_until)
    wanted, wake_at = _wanted(situation, incident, matching)
    for receiver, mark in marks.items():  # once told, kept informed; the severity never falls by itself
        wanted[receiver] = max(mark.severity, wanted.get(receiver, mark.severity), key=_ORDER.index)
    return _orders(situation, incident, wanted, marks, wake_at)


def told_of_rule(demotion: Demotion, policy: Policy) -> list[AlertOrder]:
    """That it was set to shadow, or is released: whoever owns the responder is told."""
    owner = policy.routes.default_owner
    alert = alert_of(demotion, owner=owner, url=policy.url)
    return [AlertOrder(receiver, alert) for receiver in policy.routes.of(owner)]


def _wanted(
    situation: Situation, incident: Incident, matching: Matching | None
) -> tuple[dict[str, Severity], datetime | None]:
    wanted: dict[str, Severity] = {}
    later: list[datetime] = []
    alone = _heard_out(situation, incident)
    asked = False
    for rule in matching.matched if matching is not None else ():
        for action in rule.actions:
            if action.kind is not ActionKind.ALERT or rule.mode_of(ActionKind.ALERT) is Mode.SHADOW:
                continue
            asked = True
            due = max(incident.opened_at + timedelta(seconds=action.after), alone)
            if due > situation.now:
                later.append(due)
                continue
            for receiver in _receivers(situation, incident, action.receiver):
                wanted[receiver] = max(action.severity, wanted.get(receiver, Severity.INFO), key=_ORDER.index)
    if unknown_acts(incident):
        wanted |= dict.fromkeys(_receivers(situation, incident, ""), Severity.CRITICAL)
    elif not asked and not incident.alerts:
        floor = max(incident.opened_at + situation.policy.alert_floor, alone)
        if floor > situation.now:
            later.append(floor)
        else:
            wanted |= dict.fromkeys(_receivers(situation, incident, ""), situation.policy.floor_severity)
    return wanted, min(later, default=None)


def _heard_out(situation: Situation, incident: Incident) -> datetime:
    """Until then others with its cause may turn up: after we were away all of them are seen at once."""
    if not incident.correlation and not _may_have_a_cause(situation, incident):
        return incident.opened_at
    seen_at = incident.seen_at or incident.opened_at
    return max(seen_at, situation.watching_since or seen_at) + situation.policy.group_wait


def _may_have_a_cause(situation: Situation, incident: Incident) -> bool:
    """It is not known yet, and what its hooks wrote is still being read."""
    if incident.diagnosis is None or incident.diagnosis.category is not Category.UNKNOWN:
        return False
    views = (v for v in situation.views if v.record.started_at in incident.operations)
    return any(_unread(hook.run) for v in views for a in v.attempts for hook in a.hooks if hook.failed)


def _unread(run: HookRun | None) -> bool:
    if run is None or (run.kind == "Job" and not run.pods):
        return True
    begun = (c for p in run.pods for c in p.containers if c.state is not ContainerState.WAITING)
    return any(c.log is None or not c.log.complete for c in begun)


def _receivers(situation: Situation, incident: Incident, named: str) -> tuple[str, ...]:
    return (named,) if named else situation.policy.routes.of(incident.owner)


def _orders(
    situation: Situation,
    incident: Incident,
    wanted: dict[str, Severity],
    marks: dict[str, AlertMark],
    wake_at: datetime | None,
) -> Alerting:
    orders: list[AlertOrder] = []
    for receiver, severity in wanted.items():
        message = alert(incident, severity, situation.policy, situation.now)
        said = _fingerprint(message, unknown_acts(incident))
        before = marks.get(receiver)
        if before is not None and before.fingerprint == said:
            continue
        orders.append(AlertOrder(receiver, message))
        marks[receiver] = AlertMark(receiver, message.state, severity, said, situation.now)
    return Alerting(tuple(orders), tuple(marks.values()), wake_at)


def _fingerprint(message: Alert, unknown: Sequence[str]) -> str:
    """Of what a person would want to be told again: not of counters or of the time."""
    parts: Sequence[str] = (
        message.state,
        message.severity,
        message.labels.get("category", ""),
        message.labels.get("retry", ""),
        message.labels.get("state_left", ""),
        message.owner,
        *unknown,
    )
    return hashlib.blake2b("\x00".join(parts).encode(), digest_size=8).hexdigest()
