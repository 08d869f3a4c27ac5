"""What concerns more than one incident: the parent of a common cause, whose turn it is, rules that mostly fail."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec

from responder.alerts import Alerts
from responder.core.actions import ActionRecord
from responder.core.alerting import plan_alerts, told_of_rule
from responder.core.argocd import AppKey
from responder.core.demoting import demoted
from responder.core.incident import Incident
from responder.core.parenting import parent_of
from responder.core.plan import Plan
from responder.core.situation import Situation
from responder.core.waves import turns, wave
from responder.loading import Loader, Rules, put_demotion
from responder.ports import AppendAudit, AuditEntry, Clock, PutIncident, Trigger, Write
from responder.wakeups import Wakeups

log = logging.getLogger("responder.relating")


class Relations:
    def __init__(
        self,
        loader: Loader,
        clock: Clock,
        rules: Callable[[], Rules],
        alerts: Alerts,
        wakeups: Wakeups,
        *,
        plan: Callable[[Situation], Plan],
        commit: Callable[[Sequence[Write]], Coroutine[Any, Any, None]],
        changed: Callable[[Incident], None],
    ) -> None:
        self._loader = loader
        self._clock = clock
        self._rules = rules
        self._alerts = alerts
        self._plan = plan
        self._commit = commit
        self._changed = changed
        self._wakeups = wakeups
        self._relating = asyncio.Lock()

    async def relate(self, situation: Situation, planned: Plan) -> None:
        """The parent of what it shares now, and of what it shared before; and whose turn it is in their wave."""
        after, before = planned.incident, situation.incident
        if after is None:
            return
        for key in dict.fromkeys((after.correlation, before.correlation if before is not None else "")):
            async with self._relating:  # two children at once must not make two parents
                await self._with_parent(after, key)
            if after is not before or planned.acts:
                self.next_in_wave(after.app, key)

    def next_in_wave(self, app: AppKey, correlation: str) -> None:
        """Something changed for all that share this cause: who is next looks again, and judges for itself."""
        policy, now = self._rules().policy, self._clock.now()
        cause = self._loader.cause(correlation)
        seen = wave(cause, cap=policy.per_cause, breaks_after=policy.breaks_after, cooldown=0)
        for child in turns(cause, seen, now)[: seen.free]:
            if child.app != app:
                self._wakeups.wake(child.app, Trigger.TIMER)

    async def _with_parent(self, incident: Incident, correlation: str) -> None:
        children, parent = self._loader.sharing(correlation)
        after = parent_of(children, parent, self._loader.cause(correlation).resyncs, self._clock.now())
        if after is None:
            return
        situation = msgspec.structs.replace(
            await self._loader.situation(incident.app, self._rules()), incident=parent, parent=None
        )
        matching = (
            self._plan(msgspec.structs.replace(situation, incident=incident)).matching if incident.state.open else None
        )
        alerting = plan_alerts(situation, after, matching)
        if alerting.wake_at is not None:
            self._wakeups.wake_at(incident.app, alerting.wake_at)
        after = msgspec.structs.replace(after, alerts=alerting.marks, updated_at=self._clock.now())
        if parent is not None and msgspec.structs.replace(after, updated_at=parent.updated_at) == parent:
            return
        follows = parent.updated_at if parent is not None else None
        await self._commit([PutIncident(after, follows), *self._alerts.writes(alerting.orders)])
        self._loader.keep(after)
        self._changed(after)
        self._alerts.stored(alerting.orders)
        for child in children:
            if child.parent is None and child.state.open:
                self._wakeups.wake(child.app, Trigger.TIMER)

    async def judge_rule(self, action: ActionRecord) -> None:
        """A rule whose resyncs mostly fail is set to shadow, and whoever owns us is told so once."""
        rules, now = self._rules(), self._clock.now()
        rule = next((r for r in rules.rulebook.rules if action.by == f"rule {r.name}"), None)
        if rule is None:
            return
        demotion = demoted(rule, self._loader.resyncs.within_a_day(now), self._loader.demotions.get(rule.name), now)
        if demotion is None:
            return
        orders = told_of_rule(demotion, rules.policy)
        entry = AuditEntry(now, "responder", "rule set to shadow", str(demotion), action.incident_id, after="shadow")
        await self._commit([put_demotion(demotion), AppendAudit(entry), *self._alerts.writes(orders)])
        self._loader.demotions[rule.name] = demotion
        self._alerts.stored(orders)
        log.warning("rule", extra={"rule": rule.name, "detail": str(demotion)})
