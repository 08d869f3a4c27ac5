"""What is true now, what to do about it, when to look again. PURE: this is where the program can be understood.

Made anew at every wake-up from what is true, so that lost, doubled and late events need no code of their own.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec

from responder.core.actions import Act, ActionKind, Mode
from responder.core.alerting import AlertOrder, plan_alerts
from responder.core.attempts import OperationView
from responder.core.blocking import settle_blocks
from responder.core.candidate import Guards
from responder.core.correlation import correlation_key
from responder.core.deciding import Case, Decided, decide, told_outcomes
from responder.core.failure import Category, Confidence, Diagnosis, Retry, StateLeft
from responder.core.gate import subject_of
from responder.core.guards import GUARDS
from responder.core.incident import Incident, RuleHit, TimelineEntry
from responder.core.incidentcause import diagnose_incident
from responder.core.life import Trouble, follow, merge_timeline, open_incident, settle, tell, troubles
from responder.core.promotion import LEFT_BEHIND, Block
from responder.core.rules import Matching
from responder.core.safety import worst
from responder.core.situation import Situation
from responder.core.stopping import half_way, running_container
from responder.core.wording import changed, impact, owner_of


class Plan(msgspec.Struct, frozen=True):
    incident: Incident | None = None  # as it is to be stored; None: nothing is wrong
    opened: bool = False
    closed: bool = False
    acts: tuple[Act, ...] = ()
    blocks: tuple[Block, ...] = ()  # new and changed
    alerts: tuple[AlertOrder, ...] = ()
    matching: Matching | None = None
    wake_at: datetime | None = None


def plan(situation: Situation, guards: Guards = GUARDS) -> Plan:
    """``guards``: another table than ours only where a test proves that each of them is needed."""
    found, look_again = troubles(situation)
    incident, opened = situation.incident, False
    if incident is None:
        if situation.app is None or not found:
            return Plan(
                blocks=tuple(settle_blocks(situation, None)), wake_at=_sooner(look_again, *_expiries(situation))
            )
        incident, opened = open_incident(situation, found[0]), True
    if situation.app is not None and situation.app.uid == incident.app_uid:
        incident = follow(incident, found, situation)
        incident = _described(incident, situation, found)
    incident = _affecting(settle(incident, found, situation), situation)
    incident = msgspec.structs.replace(incident, timeline=tell(situation, incident, found))
    decided = _decided(situation, incident, guards)
    decisions = decided.decisions if decided is not None else told_outcomes(incident.decisions, situation)
    hits = _hits(incident, decided, situation.now)
    incident = msgspec.structs.replace(incident, decisions=decisions, hits=hits)
    alerting = plan_alerts(situation, incident, decided.matching if decided else None)
    incident = msgspec.structs.replace(incident, alerts=alerting.marks)
    incident = _told(incident, _done(incident))
    return Plan(
        incident=_stamped(incident, situation),
        opened=opened,
        closed=not incident.state.open,
        acts=decided.acts if decided else (),
        blocks=(*(decided.blocks if decided else ()), *settle_blocks(situation, incident)),
        alerts=alerting.orders,
        matching=decided.matching if decided else None,
        wake_at=_sooner(look_again, decided.wake_at if decided else None, alerting.wake_at, *_expiries(situation)),
    )


def _sooner(*times: datetime | None) -> datetime | None:
    return min(filter(None, times), default=None)


def _expiries(situation: Situation) -> list[datetime]:
    return [b.expires_at for b in situation.blocks if b.expires_at is not None and b.expires_at > situation.now]


def _described(incident: Incident, situation: Situation, found: Sequence[Trouble]) -> Incident:
    """Cause, impact and what changed, as the newest evidence has it."""
    views = tuple(v for v in situation.views if v.record.started_at in incident.operations)
    stuck = {(t.operation, word) for t in found if t.stuck for word in (str(t.hook), t.stuck)}
    diagnosis = _feared(diagnose_incident(views, situation.diagnoses, stuck), incident, situation)
    runs = tuple(h.run for v in views for a in v.attempts for h in a.hooks if h.run is not None)
    cluster = runs[0].cluster if runs else incident.destination
    key = correlation_key(diagnosis, cluster, incident.destination_namespace, runs) if diagnosis else ""
    subject = subject_of(situation.app, situation.policy) if situation.app is not None else None
    leads = situation.parent is not None and situation.parent.correlation == key
    return msgspec.structs.replace(
        incident,
        diagnosis=diagnosis,
        owner=owner_of(situation.app, situation.policy, incident.project, situation.project_owner),
        correlation=key,
        parent=situation.parent.id if situation.parent is not None and leads else None,
        service=subject.service if subject else incident.service,
        environment=subject.environment if subject else incident.environment,
        evidence_version=_evidence_version(incident, views, situation),
    )


def _affecting(incident: Incident, situation: Situation) -> Incident:
    """As long as it lasts, and not as its end left it: what was deployed then is not what served before."""
    app = situation.app
    if app is None or app.uid != incident.app_uid or (incident.impact and not incident.state.open):
        return incident
    if not incident.state.open:
        before = tuple(d for d in app.history if d.deployed_at is not None and d.deployed_at < incident.opened_at)
        app = msgspec.structs.replace(app, history=before)
    views = tuple(v for v in situation.views if v.record.started_at in incident.operations)
    return msgspec.structs.replace(
        incident, impact=impact(app, incident.sync_phase), changed=changed(app, views) or incident.changed
    )


def _feared(found: Diagnosis | None, incident: Incident, situation: Situation) -> Diagnosis | None:
    """Also what is not seen any more counts: operations that are forgotten, blocks of an Application of this name."""
    held = incident.diagnosis
    if found is None:
        return held
    loaded = {view.record.started_at for view in situation.views}
    if held is not None and any(operation not in loaded for operation in incident.operations):
        found = worst(held, (held, found))
    return worst(found, (found, *(_left_by(b) for b in situation.blocks if b.flagged)))


def _left_by(block: Block) -> Diagnosis:
    unsafe = block.state_left in LEFT_BEHIND
    return Diagnosis(
        category=Category.UNKNOWN,
        retry=Retry.UNSAFE if unsafe else Retry.SAFE if block.state_left is StateLeft.NONE else Retry.UNKNOWN,
        retry_reason=f"an Application of this name was deleted and left the database {block.state_left.value}",
        state_left=block.state_left,
        state_reason=f"left by an Application of this name that was deleted (block {block.id})",
        confidence=Confidence.CERTAIN,
    )


def _evidence_version(incident: Incident, views: tuple[OperationView, ...], situation: Situation) -> str:
    """Changes with whatever a person who approves would want to have seen."""
    seen = [
        (
            v.record.started_at.isoformat(), str(v.record.operation_phase), len(v.record.attempts_ended), len(v.gaps),
            running_container(v) or half_way(v),
        )
        for v in views
    ]  # fmt: skip
    verdicts = [(d.category.value, d.retry.value, d.state_left.value) for _, d in sorted(situation.diagnoses.items())]
    payload = msgspec.json.encode([incident.id, seen, verdicts])
    return hashlib.blake2b(payload, digest_size=6).hexdigest()


def _hits(incident: Incident, decided: Decided | None, now: datetime) -> tuple[RuleHit, ...]:
    known = {hit.rule for hit in incident.hits}
    matched = decided.matching.matched if decided is not None else ()
    return (*incident.hits, *(RuleHit(r.name, r.matched_mode, now) for r in matched if r.name not in known))


def _told(incident: Incident, entries: list[TimelineEntry]) -> Incident:
    timeline = merge_timeline(incident.timeline, entries)
    return msgspec.structs.replace(incident, timeline=timeline)


def _done(incident: Incident) -> list[TimelineEntry]:
    """What we did ourselves: acts and blocks by their rule, alerts by us."""
    entries = []
    for decision in incident.decisions:
        by = decision.approved_by or f"rule {decision.rule}"
        if decision.outcome is not None and decision.outcome.at is not None:
            detail = f": {decision.outcome.detail}" if decision.outcome.detail else ""
            what = f"{decision.action.value} {decision.outcome.result.value}{detail}"
            entries.append(TimelineEntry(decision.outcome.at, what, by))
        elif decision.action is ActionKind.BLOCK and decision.mode is not Mode.SHADOW:
            entries.append(TimelineEntry(decision.decided_at, "promotion blocked", by))
    entries += [
        TimelineEntry(m.at, f"told {m.receiver}: {m.state.value}, {m.severity.value}", "responder")
        for m in incident.alerts
    ]
    return entries


def _decided(situation: Situation, incident: Incident, guards: Guards) -> Decided | None:
    """Only an open incident with a diagnosis is decided upon, and only for its newest operation."""
    belonging = [v for v in situation.views if v.record.started_at in incident.operations]
    newest = next((v for v in reversed(belonging) if v.failed or not v.held), None)  # a gate that refused is no failure
    if not incident.state.open or incident.diagnosis is None or newest is None:
        return None
    return decide(Case(situation, incident, incident.diagnosis, newest, guards))


def _stamped(incident: Incident, situation: Situation) -> Incident:
    """``updated_at`` moves only when something else did: an unchanged incident is not written again."""
    before = situation.incident
    if before is not None and msgspec.structs.replace(incident, updated_at=before.updated_at) == before:
        return before
    return msgspec.structs.replace(incident, updated_at=situation.now)
