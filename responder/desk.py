"""What a person or a neighbour asks for: acknowledge, resolve, mute, resync, approve, block; all of it audited."""

import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta

import msgspec

from responder.alerts import Alerts
from responder.auditing import of_block, of_person
from responder.core.actions import ActionKind, Decision, Outcome, OutcomeResult, Verdict, VerdictResult
from responder.core.alerting import told_of_rule
from responder.core.argocd import AppKey
from responder.core.attempts import OperationView
from responder.core.candidate import Candidate
from responder.core.deciding import BY_HAND, by_hand, decision_id
from responder.core.demoting import Demotion
from responder.core.failure import Diagnosis, StateLeft
from responder.core.guards import judge
from responder.core.incident import Incident, IncidentState, TimelineEntry
from responder.core.life import merge_timeline
from responder.core.promotion import Block
from responder.loading import Loader, Rules, put_demotion
from responder.ports import (
    AppendAudit,
    AuditEntry,
    Clock,
    PutBlock,
    PutIncident,
    PutSetting,
    Store,
    StoreError,
    Trigger,
    Write,
)

log = logging.getLogger("responder.desk")

_EXPIRED_EVERY = 60.0  # seconds: the gate knows at once


class NotFoundError(Exception):
    """There is no such incident, decision or block."""


class ConflictError(Exception):
    """It changed since it was shown, or it is not in a state in which this can be done."""


class Desk:
    def __init__(
        self,
        *,
        store: Store,
        loader: Loader,
        alerts: Alerts,
        clock: Clock,
        rules: Callable[[], Rules],
        wake: Callable[[AppKey | None, Trigger], None],
        changed: Callable[[Incident], None],
        exclusive: Callable[[AppKey], AbstractAsyncContextManager[None]],
    ) -> None:
        """``exclusive``: no step of that Application runs meanwhile, so that neither overwrites the other."""
        self._store = store
        self._loader = loader
        self._alerts = alerts
        self._clock = clock
        self._rules = rules
        self._wake = wake
        self._changed = changed
        self._exclusive = exclusive

    # Incidents.

    async def acknowledge(self, incident_id: str, who: str, why: str = "") -> Incident:
        async with self._editing(incident_id) as incident:
            return await self._change(
                incident, who, "acknowledged", why,
                state=IncidentState.ACKNOWLEDGED, acknowledged_by=who, acknowledged_at=self._clock.now(),
            )  # fmt: skip

    async def mute(self, incident_id: str, who: str, until: datetime, why: str = "") -> Incident:
        async with self._editing(incident_id) as incident:
            return await self._change(incident, who, f"muted until {until:%Y-%m-%d %H:%MZ}", why, muted_until=until)

    async def resolve(self, incident_id: str, who: str, why: str = "") -> Incident:
        """By a named person: truth 7 has not come true, and they answer for it."""
        async with self._editing(incident_id) as incident:
            return await self._change(
                incident, who, "resolved", why,
                state=IncidentState.RESOLVED, resolved_at=self._clock.now(),
                resolved_by=f"{who}: {why}" if why else who,
            )  # fmt: skip

    async def order(self, incident_id: str, kind: ActionKind, who: str, why: str = "") -> Decision:
        """A person orders an act: every guard still speaks, and the reconciler carries out what they allow now."""
        async with self._editing(incident_id) as incident:
            decision = await self._ordered(incident, kind, who)
            for other in incident.decisions:
                if other.id == decision.id or _stands(other, decision):
                    raise ConflictError(f"{kind.value} was ordered already by {other.approved_by}, and is under way")
            what = f"ordered {kind.value}: {decision.verdict.result.value}"
            await self._change(incident, who, what, why, decisions=(*incident.decisions, decision))
            return decision

    async def _ordered(self, incident: Incident, kind: ActionKind, who: str) -> Decision:
        rules, now = self._rules(), self._clock.now()
        situation = await self._loader.situation(incident.app, rules)
        view, diagnosis = self._newest(situation.views, incident)
        rule = by_hand(rules.rulebook)
        verdict = judge(Candidate(situation, view, diagnosis, kind, rule, incident=incident, person=who))
        denied = Outcome(OutcomeResult.EXPIRED, "it was denied when it was ordered: order it anew", now)
        return Decision(
            id=decision_id(incident, f"{BY_HAND}/{now.isoformat()}", kind, view),
            rule=BY_HAND,
            action=kind,
            mode=rule.mode_of(kind),
            operation=view.record.started_at,
            verdict=verdict,
            evidence_version=incident.evidence_version,
            decided_at=now,
            outcome=None if verdict.result is VerdictResult.ALLOWED else denied,  # nobody who was told no is surprised
            approved_by=who,
            approved_at=now,
        )

    async def approve(self, decision_id: str, who: str, evidence_version: str) -> Decision:
        """Bound to the evidence that was shown: when it changed, the person has to look again."""
        async with self._editing(self._with_decision(decision_id)) as incident:
            decision = _decision(incident, decision_id)
            if evidence_version != incident.evidence_version:
                raise ConflictError("the evidence changed since it was shown: look again")
            if decision.verdict.result is not VerdictResult.NEEDS_APPROVAL:
                raise ConflictError(f"it is {decision.verdict.result.value}: there is nothing to approve")
            approved = msgspec.structs.replace(decision, approved_by=who, approved_at=self._clock.now())
            await self._decided(incident, approved, who, f"approved {decision.action.value} of rule {decision.rule!r}")
            return approved

    async def decline(self, decision_id: str, who: str) -> Decision:
        async with self._editing(self._with_decision(decision_id)) as incident:
            decision = _decision(incident, decision_id)
            verdict = Verdict(VerdictResult.DENIED, decision.verdict.reasons)
            declined = msgspec.structs.replace(decision, declined_by=who, approved_by="", verdict=verdict)
            await self._decided(incident, declined, who, f"declined {decision.action.value} of rule {decision.rule!r}")
            return declined

    @asynccontextmanager
    async def _editing(self, incident_id: str) -> AsyncIterator[Incident]:
        """The open incident as it is now, held still."""
        found = await self._open(incident_id)
        async with self._exclusive(found.app):
            yield await self._open(incident_id)

    async def _open(self, incident_id: str) -> Incident:
        incident = await self._store.incident(incident_id)
        if incident is None:
            raise NotFoundError(f"there is no incident {incident_id}")
        if not incident.state.open:
            raise ConflictError(f"incident {incident_id} is {incident.state.value}")
        return incident

    def _with_decision(self, decision_id: str) -> str:
        for incident in self._loader.open.values():
            if any(d.id == decision_id for d in incident.decisions):
                return incident.id
        raise NotFoundError(f"no open incident has a decision {decision_id}")

    def _newest(self, views: Sequence[OperationView], incident: Incident) -> tuple[OperationView, Diagnosis]:
        view = next((v for v in reversed(views) if v.record.started_at in incident.operations), None)
        if view is None or incident.diagnosis is None:
            raise ConflictError("there is no diagnosed operation to act upon")
        return view, incident.diagnosis

    async def _decided(self, incident: Incident, decision: Decision, who: str, what: str) -> None:
        decisions = tuple(decision if d.id == decision.id else d for d in incident.decisions)
        await self._change(incident, who, what, "", decisions=decisions)

    async def _change(self, incident: Incident, who: str, what: str, why: str, **fields: object) -> Incident:
        now = self._clock.now()
        entry = TimelineEntry(now, f"{what}: {why}" if why else what, who)
        after = msgspec.structs.replace(
            incident, **fields, updated_at=now, timeline=merge_timeline(incident.timeline, [entry])
        )
        audited = AppendAudit(of_person(who, what, why, incident, after, now))
        await self._store.commit(PutIncident(after, incident.updated_at), audited)
        self._loader.keep(after)
        self._changed(after)
        for app in self._concerned(after):
            self._wake(app, Trigger.PERSON)
        return after

    def _concerned(self, incident: Incident) -> list[AppKey]:
        """Its Application; of a parent, those of its children: its alerts are planned with theirs."""
        if not incident.children:
            return [incident.app]
        return [i.app for i in self._loader.open.values() if i.id in incident.children]

    # Promotion.

    async def block(
        self, who: str, service: str, environments: Sequence[str], revisions: Sequence[str], why: str,
        lasts: timedelta | None = None,
    ) -> Block:  # fmt: skip
        now = self._clock.now()
        seed = f"{who}/{service}/{now.isoformat()}"
        block = Block(
            id=hashlib.blake2b(seed.encode(), digest_size=6).hexdigest(),
            service=service,
            environment=environments[0] if environments and environments[0] != "*" else "",
            environments=tuple(environments) or ("*",),
            revisions=tuple(revisions),
            state_left=StateLeft.NONE,
            reason=why or f"blocked by {who}",
            incident_id="",
            app=AppKey("", ""),
            app_uid="",
            hook="",
            owner=who,
            created_at=now,
            created_by=who,
            expires_at=now + lasts if lasts is not None else None,
        )
        self._loader.blocks[block.id] = block  # first: who asked may go away while it is stored
        try:
            await self._store.commit(PutBlock(block), AppendAudit(of_block(None, block, now, why)))
        except StoreError:
            del self._loader.blocks[block.id]
            raise
        return block

    async def unblock(self, block_id: str, who: str, why: str = "") -> Block:
        """Its rule does not put it back before something fails again."""
        async with self._exclusive(self._block(block_id).app):
            block, now = self._block(block_id), self._clock.now()
            ended = msgspec.structs.replace(block, ended_at=now, ended_by=who)
            writes: list[Write] = [PutBlock(ended), AppendAudit(of_block(block, ended, now, why))]
            before = await self._store.incident(block.incident_id) if block.incident_id else None
            after = _lifted(before, block, who, now) if before is not None and before.state.open else None
            if before is not None and after is not None:
                writes.append(PutIncident(after, before.updated_at))
            await self._store.commit(*writes)
            self._loader.blocks.pop(block_id, None)
            if after is not None:
                self._loader.keep(after)
                self._changed(after)
            return ended

    def _block(self, block_id: str) -> Block:
        block = self._loader.blocks.get(block_id)
        if block is None:
            raise NotFoundError(f"there is no block {block_id} in force")
        return block

    async def run(self) -> None:
        """Until cancelled: what people held back for a time ends by it. Those of rules end in their incident's plan."""
        while True:
            try:
                await self.end_expired()
            except StoreError as error:
                log.warning("the end of a block could not be recorded: %s", error)
            await self._clock.sleep(_EXPIRED_EVERY)

    async def end_expired(self) -> None:
        now = self._clock.now()
        by_people = [b for b in self._loader.blocks.values() if not b.app_uid]
        for block in by_people:
            if block.expires_at is not None and block.expires_at <= now:
                ended = msgspec.structs.replace(block, ended_at=block.expires_at, ended_by="time")
                await self._store.commit(PutBlock(ended), AppendAudit(of_block(block, ended, now)))
                self._loader.blocks.pop(block.id, None)

    def blocks(self) -> list[Block]:
        now = self._clock.now()
        held = [b for b in self._loader.blocks.values() if b.expires_at is None or b.expires_at > now]
        return sorted(held, key=lambda b: b.created_at, reverse=True)

    # A rule that was set to shadow because its resyncs mostly failed.

    async def release_rule(self, name: str, who: str, why: str = "") -> Demotion:
        held = self._loader.demotions.get(name)
        if held is None or held.released_at is not None:
            raise NotFoundError(f"rule {name!r} was not set to shadow")
        now = self._clock.now()
        released = msgspec.structs.replace(held, released_at=now, released_by=who)
        orders = told_of_rule(released, self._rules().policy)
        entry = AuditEntry(now, who, f"released rule {name!r}", why, before="shadow", after="as the file says")
        await self._store.commit(put_demotion(released), AppendAudit(entry), *self._alerts.writes(orders))
        self._loader.demotions[name] = released
        self._alerts.stored(orders)
        self._wake(None, Trigger.PERSON)
        return released

    # The kill switch's other half: a restored store (I12).

    async def release_restored(self, who: str) -> None:
        entry = AuditEntry(self._clock.now(), who, "released the restored store", before="held", after="released")
        await self._store.commit(PutSetting("restored", "false"), AppendAudit(entry))
        self._loader.restored = False
        self._wake(None, Trigger.PERSON)


def _decision(incident: Incident, decision_id: str) -> Decision:
    found = next((d for d in incident.decisions if d.id == decision_id), None)
    if found is None:
        raise NotFoundError(f"incident {incident.id} has no decision {decision_id} any more")
    return found


def _lifted(incident: Incident, block: Block, who: str, now: datetime) -> Incident:
    """With what its rule decided declined in that person's name."""
    decisions = tuple(
        msgspec.structs.replace(d, declined_by=who, verdict=Verdict(VerdictResult.DENIED, d.verdict.reasons))
        if d.action is ActionKind.BLOCK and f"rule {d.rule}" == block.created_by
        else d
        for d in incident.decisions
    )
    timeline = merge_timeline(incident.timeline, [TimelineEntry(now, "lifted the promotion block", who)])
    return msgspec.structs.replace(incident, decisions=decisions, updated_at=now, timeline=timeline)


def _stands(earlier: Decision, order: Decision) -> bool:
    """A person's order of the same is still to be carried out."""
    same = (earlier.rule, earlier.action, earlier.operation) == (BY_HAND, order.action, order.operation)
    return same and earlier.outcome is None and earlier.verdict.result is VerdictResult.ALLOWED
