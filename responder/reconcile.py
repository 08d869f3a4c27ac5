"""The loop. Read this file first.

Whatever happens becomes the same ``wake(application)``: a webhook, a change that a watch saw, a timer, a person, a
restart. Wake-ups of one Application are merged and run one at a time, Applications side by side. One step is:
load what is true now, plan (pure), record what we are about to do, do it, record what came of it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

import msgspec

from responder.alerts import Alerts, Outbox
from responder.auditing import of_act, of_plan
from responder.core.actions import Act, ActionRecord, Outcome
from responder.core.argocd import AppKey
from responder.core.incident import Incident
from responder.core.plan import Plan, plan
from responder.core.promotion import Block
from responder.core.situation import Situation
from responder.counting import Tally
from responder.loading import Loader, Rules
from responder.metrics import Metrics
from responder.ports import (
    Actuator,
    AppendAudit,
    Clock,
    Cluster,
    DropWakeup,
    PutAction,
    PutBlock,
    PutIncident,
    Store,
    StoreConflictError,
    StoreError,
    Trigger,
    Wakeup,
    Write,
)
from responder.relating import Relations
from responder.wakeups import Wakeups

log = logging.getLogger("responder.reconcile")

_WORKERS = 8
_RETRY_STORE = timedelta(seconds=2)
_LOOK_AGAIN = timedelta(seconds=60)
_FOLLOW_EVERY = timedelta(seconds=1)
_DURABLE = frozenset({Trigger.WEBHOOK, Trigger.STOCK_TEMPLATE, Trigger.RESTART})


class Reconciler:
    def __init__(
        self,
        *,
        store: Store,
        cluster: Cluster,
        actuator: Actuator,
        clock: Clock,
        rules: Callable[[], Rules],
        outbox: Outbox,
        metrics: Metrics,
        changed: Callable[[Incident], None],
    ) -> None:
        self._store = store
        self._cluster = cluster
        self._actuator = actuator
        self._clock = clock
        self._rules = rules
        self._metrics = metrics
        self._tally = Tally(metrics, clock)
        self.alerts = Alerts(outbox, clock)
        self._changed = changed
        self.loader = Loader(store, cluster, actuator, clock)
        self._wakeups = Wakeups(cluster, clock)
        self._durable: set[AppKey] = set()
        self._everybody: set[AppKey] = set()  # that a wake-up of all Applications still waits for
        self._outdated = False  # the store said that what we hold in memory is not what it holds
        self._relations = Relations(
            self.loader, clock, rules, self.alerts, self._wakeups,
            plan=self.plan, commit=self._store_all, changed=changed,
        )  # fmt: skip

    # What wakes us.

    def wake(self, key: AppKey | None, trigger: Trigger) -> None:
        """Look at this Application soon; ``None``: at all of them. Cheap, never blocks, merges."""
        if key is None:
            for app in self._cluster.applications():
                self.wake(app.key, trigger)
                if trigger in _DURABLE:
                    self._everybody.add(app.key)
            return
        if trigger is Trigger.WEBHOOK:
            self._tally.heard(key)
        if trigger in _DURABLE:
            self._durable.add(key)
        self._wakeups.wake(key, trigger)

    def heard_of(self, name: str) -> None:
        """Argo CD told of the failure of an Application of this name, in whatever namespace."""
        for app in self._cluster.applications():
            if app.name == name:
                self._tally.heard(app.key)

    def wake_at(self, key: AppKey, at: datetime) -> None:
        self._wakeups.wake_at(key, at)

    def resume(self) -> None:
        """The cluster can be seen (again): what was denied because it could not is judged anew at once."""
        self._wakeups.resume()
        for incident in self.loader.open.values():
            if any(decision.verdict.refused_by("freshness") for decision in incident.decisions):
                self.wake(incident.app, Trigger.TIMER)

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing runs; timers may be set for later."""
        return self._wakeups.idle

    @property
    def pending(self) -> int:
        """Applications that wait to be looked at."""
        return self._wakeups.pending

    def exclusive(self, key: AppKey) -> AbstractAsyncContextManager[None]:
        """No step of this Application runs meanwhile: for what a person changes by hand."""
        return self._wakeups.exclusive(key)

    async def run(self) -> None:
        await self.loader.start()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._wakeups.ring())
            for _ in range(_WORKERS):
                tasks.create_task(self._worker())

    async def synced(self) -> None:
        """The watches have listed once: whatever was recorded, or missed, is looked at now."""
        self.loader.watching_since = self._clock.now()
        for wakeup in await self._store.wakeups():
            self.wake(wakeup.app, Trigger.RESTART)
        self.wake(None, Trigger.RESTART)
        for incident in list(self.loader.open.values()):
            if not incident.children:
                self.wake(incident.app, Trigger.RESTART)

    async def _worker(self) -> None:
        while True:
            key, triggers = await self._wakeups.take()
            try:
                await self._guarded(key, triggers)
            finally:
                await self._wakeups.free(key)

    # One step.

    async def _guarded(self, key: AppKey, triggers: set[Trigger]) -> None:
        begun = time.perf_counter()
        result = "ok"
        try:
            await self.step(key)
        except StoreConflictError as error:
            result, self._outdated = "store-error", True
            log.warning("what we remember is outdated: %s", error, extra={"application": str(key)})
            self.wake_at(key, self._clock.now() + _RETRY_STORE)
        except StoreError as error:
            result = "store-error"
            log.warning("store: %s", error, extra={"application": str(key)})
            self.wake_at(key, self._clock.now() + _RETRY_STORE)
        except Exception:
            result = "error"
            log.exception("reconcile failed", extra={"application": str(key)})
            self.wake_at(key, self._clock.now() + 5 * _RETRY_STORE)
        for trigger in triggers:
            self._metrics.reconciles_total(trigger.value, result).inc()
        self._metrics.reconcile_duration_seconds.observe(time.perf_counter() - begun)

    async def step(self, key: AppKey) -> None:
        """Load, plan, record, carry out, record."""
        self._tally.look(key)
        if self._outdated:
            await self.loader.start()
            self._outdated = False
        if self.loader.quiet(key):
            await self._store_all([DropWakeup(w) for w in await self._recorded(key)])
            self._answered(key)
            return
        try:
            recorded = await self._recorded(key)
            situation = await self.loader.situation(key, self._rules())
            situation = await self._followed(situation)
        except StoreConflictError:
            raise
        except StoreError:
            self.alerts.from_memory(self.plan(await self.loader.from_memory(key, self._rules())).alerts)
            raise
        planned = self._planned(situation)
        try:
            await self._record(situation, planned, recorded)
        except StoreError as error:
            if not isinstance(error, StoreConflictError):
                self.alerts.from_memory(planned.alerts)
            self._release(planned)
            raise
        self._answered(key)
        for act in planned.acts:
            await self._carry_out(act)
        await self._relations.relate(situation, planned)
        self._look_again(key, situation, planned)

    def _answered(self, key: AppKey) -> None:
        self._durable.discard(key)
        self._everybody.discard(key)

    def _planned(self, situation: Situation) -> Plan:
        """Counts and reserves in one go, without an await: steps of other Applications run between our awaits.

        That is what keeps two of them from taking one place of a wave, or the last one of the hour (I3, I11). There is
        one process for one store (its lock file, later the lease), so no place has to be reserved in the store.
        """
        key = situation.incident.correlation if situation.incident is not None else ""
        planned = self.plan(self.loader.related(situation, key))
        if planned.incident is not None and planned.incident.correlation != key:
            planned = self.plan(self.loader.related(situation, planned.incident.correlation))
        for act in planned.acts:
            self.loader.resyncs.note(act.action)
        return planned

    def _release(self, planned: Plan) -> None:
        """What was planned could not be recorded and is not done; since when it was allowed is not forgotten."""
        for act in planned.acts:
            self.loader.resyncs.release(act.action)
        for decision in planned.incident.decisions if planned.incident is not None else ():
            if decision.allowed_since is not None:
                self.loader.unsaved.setdefault(decision.id, decision.allowed_since)

    def _look_again(self, key: AppKey, situation: Situation, planned: Plan) -> None:
        if planned.closed:
            self.wake(key, Trigger.TIMER)  # its name may be another Application's by now
        if planned.acts or any(action.under_way for action in situation.actions):
            self.wake_at(key, self._clock.now() + _FOLLOW_EVERY)
        if planned.wake_at is not None:
            self.wake_at(key, planned.wake_at)
        if planned.incident is not None and not planned.closed:
            # What stands in the way may go without a word to us: a kill switch, a right, a window.
            self.wake_at(key, self._clock.now() + _LOOK_AGAIN)
        if (until := self._tally.awaited(key)) is not None:
            self.wake_at(key, until)

    def plan(self, situation: Situation) -> Plan:
        """Apart, so that a test can break a guard and see that it was needed."""
        return plan(situation)

    async def _recorded(self, key: AppKey) -> list[Wakeup]:
        """The durable wake-ups that this step answers: dropped when its outcome is recorded."""
        if key not in self._durable:
            return []
        others = self._everybody - {key}
        return [w for w in await self._store.wakeups() if w.app == key or (w.app is None and not others)]

    async def _followed(self, situation: Situation) -> Situation:
        """Acts that were begun are followed to their end, also those of a process that died.

        Not on a restored store (I12): to nudge or to withdraw is to write, upon what may be long past.
        """
        if self.loader.restored:
            return situation
        actions = list(situation.actions)
        for index, action in enumerate(actions):
            if not action.under_way:
                continue
            actions[index] = await self._actuator.follow(action)
            if actions[index] != action:
                await self._note_outcome(action, actions[index])
        return msgspec.structs.replace(situation, actions=tuple(actions))

    async def _record(self, situation: Situation, planned: Plan, recorded: Sequence[Wakeup]) -> None:
        incident = planned.incident
        writes: list[Write] = []
        if incident is not None and incident is not situation.incident:
            follows = situation.incident.updated_at if situation.incident is not None else None
            writes.append(PutIncident(incident, follows))
        writes += [PutBlock(block) for block in planned.blocks]
        writes += [PutAction(act.action) for act in planned.acts]
        writes += self.alerts.writes(planned.alerts)
        writes += [AppendAudit(entry) for entry in of_plan(situation, planned, self._clock.now())]
        writes += [DropWakeup(wakeup) for wakeup in recorded]
        await self._store_all(writes)
        if incident is not None:
            for decision in incident.decisions:
                self.loader.unsaved.pop(decision.id, None)
            self._noted(situation, planned, incident)
        for block in planned.blocks:
            self._keep_block(block)
        self.alerts.stored(planned.alerts)

    def _keep_block(self, block: Block) -> None:
        if block.ended_at is None:
            self.loader.blocks[block.id] = block
        else:
            self.loader.blocks.pop(block.id, None)

    async def _store_all(self, writes: Sequence[Write]) -> None:
        if writes:
            await self._store.commit(*writes)

    def _noted(self, situation: Situation, planned: Plan, incident: Incident) -> None:
        """Memory, metrics, one log line, and word to whoever looks at the page."""
        self.loader.keep(incident)
        if incident is situation.incident:
            return
        self._changed(incident)
        self._tally.planned(situation, planned, incident)
        category = incident.diagnosis.category.value if incident.diagnosis else None
        fields = {"incident": incident.id, "application": str(incident.app), "state": incident.state.value}
        log.info("incident", extra={**fields, "category": category})

    async def _carry_out(self, act: Act) -> None:
        outcome = await self._actuator.perform(act)
        await self._note_outcome(act.action, msgspec.structs.replace(act.action, outcome=outcome))

    async def _note_outcome(self, before: ActionRecord, action: ActionRecord) -> None:
        outcome: Outcome = action.outcome
        self._metrics.actions_total(action.kind.value, outcome.result.value).inc()
        entry = of_act(before, action, self.loader.open.values(), self._clock.now())
        await self._store_all([PutAction(action), AppendAudit(entry), *await self._told_afterwards(action)])
        self.loader.note(action)
        self._relations.next_in_wave(action.app, action.correlation)
        await self._relations.judge_rule(action)
        fields = {"incident": action.incident_id, "application": str(action.app), "action": action.kind.value}
        log.info("act", extra={**fields, "outcome": outcome.result.value, "detail": outcome.detail})

    async def _told_afterwards(self, action: ActionRecord) -> list[Write]:
        """An incident may close before the act that ended it has: its decision is told the end all the same."""
        if any(i.id == action.incident_id for i in self.loader.open.values()):
            return []
        incident = await self._store.incident(action.incident_id)
        if incident is None or not any(d.id == action.decision_id for d in incident.decisions):
            return []
        decisions = tuple(
            msgspec.structs.replace(d, outcome=action.outcome) if d.id == action.decision_id else d
            for d in incident.decisions
        )
        return [PutIncident(msgspec.structs.replace(incident, decisions=decisions))]
