"""The parent of incidents that share a cause: it alone raises alerts, its children are listed and not hidden."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec

from responder.core.actions import ActionRecord, OutcomeResult
from responder.core.argocd import AppKey
from responder.core.failure import Diagnosis
from responder.core.incident import Incident, IncidentState, TimelineEntry
from responder.core.life import merge_timeline
from responder.core.safety import worst

_NAMED = 20
_ENDED = (OutcomeResult.SUCCEEDED, OutcomeResult.FAILED, OutcomeResult.UNKNOWN, OutcomeResult.NOT_TAKEN)
AT_LEAST = 2  # that many Applications make a common cause


def parent_of(
    children: Sequence[Incident], parent: Incident | None, resyncs: Sequence[ActionRecord], now: datetime
) -> Incident | None:
    """The parent as it is now; None while there is no common cause. ``children``: all that share the key."""
    open_children = [c for c in children if c.state.open]
    if parent is None:
        return _new(open_children, now) if len({c.app for c in open_children}) >= AT_LEAST else None
    ids = tuple(dict.fromkeys((*parent.children, *(c.id for c in open_children))))
    parent = msgspec.structs.replace(
        parent,
        children=ids,
        diagnosis=_diagnosis(open_children) or parent.diagnosis,
        impact=_impact(open_children) or parent.impact,
        timeline=merge_timeline(parent.timeline, _recovery(parent, resyncs)),
    )
    if open_children or not parent.state.open:
        return parent
    entry = TimelineEntry(now, "resolved: every child is closed", "responder")
    return msgspec.structs.replace(
        parent,
        state=IncidentState.RESOLVED,
        resolved_at=now,
        resolved_by="responder: every child is closed",
        timeline=merge_timeline(parent.timeline, [entry]),
    )


def _recovery(parent: Incident, resyncs: Sequence[ActionRecord]) -> list[TimelineEntry]:
    """The waves, as they went."""
    entries = []
    for action in resyncs:
        if action.incident_id not in parent.children:
            continue
        entries.append(TimelineEntry(action.begun_at, f"resync of {action.app} begun{_place(action.wave)}", action.by))
        if action.outcome.result in _ENDED and action.outcome.at is not None:
            said = f"resync of {action.app} {action.outcome.result.value}"
            entries.append(TimelineEntry(action.outcome.at, said, "argocd"))
    return entries


def _place(size: int) -> str:
    return f" in a wave of {size}" if size > 1 else " as the canary" if size else ""


def _new(children: Sequence[Incident], now: datetime) -> Incident:
    first = min(children, key=lambda c: c.opened_at)
    text = f"{len(children)} Applications fail for one cause: {first.correlation}"
    return Incident(
        id=hashlib.blake2b(f"{first.correlation}/{first.id}".encode(), digest_size=6).hexdigest(),
        app=AppKey("", first.correlation),
        app_uid="",
        project=first.project,
        argocd=first.argocd,
        destination=first.destination,
        destination_namespace=first.destination_namespace,
        state=IncidentState.FIRING,
        opened_at=first.opened_at,
        updated_at=now,
        opened_for=text,
        seen_at=min(c.seen_at or c.opened_at for c in children),
        sync_phase=first.sync_phase,
        diagnosis=_diagnosis(children),
        impact=_impact(children),
        owner=first.owner,
        correlation=first.correlation,
        children=tuple(c.id for c in children),
        timeline=(TimelineEntry(now, text, "responder"),),
    )


def _diagnosis(children: Sequence[Incident]) -> Diagnosis | None:
    """The cause as the first tells it; what was left behind, and may it run again, as the worst: it speaks for all."""
    told = [c.diagnosis for c in sorted(children, key=lambda c: c.opened_at) if c.diagnosis is not None]
    return worst(told[0], told) if told else None


def _impact(children: Sequence[Incident]) -> str:
    """Which Applications, and whose they are: nobody has to open forty pages to know whom to call."""
    named = [f"{c.app.name} ({c.owner})" if c.owner else c.app.name for c in children]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return f"failing: {', '.join(named[:_NAMED])}{more}" if named else ""
