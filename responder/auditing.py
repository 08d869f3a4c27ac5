"""Who decided and did what, why, upon which evidence, and what it was before and after: entries of the audit.

The store keeps them, and lets nobody change one. Each goes to standard output as well, as one line of its own logger.
"""

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime

from responder.core.actions import ActionRecord, Decision
from responder.core.incident import Incident
from responder.core.plan import Plan
from responder.core.promotion import Block
from responder.core.situation import Situation
from responder.ports import AuditEntry

LOGGER = "responder.audit"

_log = logging.getLogger(LOGGER)


def log_entry(entry: AuditEntry) -> None:
    fields = ("who", "why", "incident", "application", "evidence", "before", "after")
    said = {name: value for name in fields if (value := getattr(entry, name))}
    _log.info(entry.what, extra=said)


def of_plan(situation: Situation, planned: Plan, now: datetime) -> list[AuditEntry]:
    """Of one step, in the order in which it came: the incident, what was decided, blocks, and what is begun now."""
    incident = planned.incident
    entries: list[AuditEntry] = []
    if incident is not None:
        entries += _of_incident(situation, planned, incident, now)
        entries += _of_decisions(situation, incident, now)
    known = {block.id: block for block in situation.blocks}
    entries += [of_block(known.get(block.id), block, now) for block in planned.blocks]
    held = [incident] if incident is not None else []
    entries += [of_act(None, act.action, held, now) for act in planned.acts]
    return entries


def _of_incident(situation: Situation, planned: Plan, incident: Incident, now: datetime) -> Iterator[AuditEntry]:
    before = situation.incident.state.value if situation.incident is not None else ""
    app, evidence = str(incident.app), incident.evidence_version
    if planned.opened:
        why = incident.opened_for
        yield AuditEntry(now, "responder", "incident opened", why, incident.id, app, before, "firing", evidence)
    if planned.closed:
        what, after = f"incident {incident.state}", incident.state.value
        yield AuditEntry(now, "responder", what, incident.resolved_by, incident.id, app, before, after, evidence)


def _of_decisions(situation: Situation, incident: Incident, now: datetime) -> Iterator[AuditEntry]:
    """Each whose verdict changed: while nothing changes a decision is made anew at every step."""
    known = {d.id: d.verdict.result for d in situation.incident.decisions} if situation.incident else {}
    for decision in incident.decisions:
        before = known.get(decision.id)
        if before != decision.verdict.result:
            yield of_decision(before or "", decision, incident, now)


def of_decision(before: str, decision: Decision, incident: Incident, now: datetime) -> AuditEntry:
    return AuditEntry(
        now,
        f"rule {decision.rule}",
        f"{decision.action} {decision.verdict.result}",
        "; ".join(r.text for r in decision.verdict.reasons if not r.passed) or "every guard agrees",
        incident.id,
        str(incident.app),
        before,
        decision.verdict.result,
        decision.evidence_version,
    )


def of_block(before: Block | None, after: Block, now: datetime, why: str | None = None) -> AuditEntry:
    """``why`` None: its own reason."""
    what, who = f"changed the block of {after.service}", "responder"
    if before is None:
        what, who = f"blocked {after.service}", after.created_by
    elif after.ended_at is not None:
        what, who = f"ended the block of {after.service}", after.ended_by
    app = str(after.app) if after.app.name else ""
    told = after.reason if why is None else why
    return AuditEntry(now, who, what, told, after.incident_id, app, _holding(before), _holding(after))


def _holding(block: Block | None) -> str:
    """What it holds, for whoever compares."""
    if block is None or block.ended_at is not None:
        return ""
    until = f" until {block.expires_at:%Y-%m-%dT%H:%M:%SZ}" if block.expires_at is not None else ""
    proven = ", its hook ended well since" if block.proven_at is not None else ""
    flagged = ", its Application is gone" if block.flagged else ""
    held = f"{', '.join(block.revisions) or 'every revision'} in {', '.join(block.environments)}"
    return f"{held}, left behind: {block.state_left}{until}{proven}{flagged}"


def of_person(who: str, what: str, why: str, before: Incident, after: Incident, now: datetime) -> AuditEntry:
    """``evidence`` is what was there to be seen when it was asked for."""
    was, became = _moved(before, after)
    return AuditEntry(now, who, what, why, after.id, str(after.app), was, became, before.evidence_version)


def _moved(before: Incident, after: Incident) -> tuple[str, str]:
    if before.state is not after.state:
        return before.state, after.state
    if before.muted_until != after.muted_until:
        return _muted(before), _muted(after)
    known = {d.id: d for d in before.decisions}
    changed = [d for d in after.decisions if d != known.get(d.id)]
    return "; ".join(_stands(known.get(d.id)) for d in changed), "; ".join(map(_stands, changed))


def _muted(incident: Incident) -> str:
    return f"muted until {incident.muted_until:%Y-%m-%dT%H:%M:%SZ}" if incident.muted_until is not None else ""


def _stands(decision: Decision | None) -> str:
    if decision is None:
        return ""
    by = f", approved by {decision.approved_by}" if decision.approved_by else ""
    by = f", declined by {decision.declined_by}" if decision.declined_by else by
    return f"{decision.action} {decision.verdict.result}{by}"


def of_act(
    before: ActionRecord | None, after: ActionRecord, incidents: Iterable[Incident], now: datetime
) -> AuditEntry:
    """``before`` None: it is about to be done, and is recorded first (I6). ``incidents``: those whose act it may be."""
    outcome = after.outcome
    what = f"{after.kind} begins" if before is None else f"{after.kind} {outcome.result}"
    return AuditEntry(
        now, after.by, what, outcome.detail, after.incident_id, str(after.app),
        before.outcome.result if before is not None else "", outcome.result, _evidence(after, incidents),
    )  # fmt: skip


def _evidence(action: ActionRecord, incidents: Iterable[Incident]) -> str:
    decisions = (d for i in incidents if i.id == action.incident_id for d in i.decisions)
    return next((d.evidence_version for d in decisions if d.id == action.decision_id), "")
