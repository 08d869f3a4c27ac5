"""One responder: the real loop, plan, actuator and desk over a lagging view, and a store that outlives it."""

import sqlite3
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from prometheus_client import CollectorRegistry

from responder.cluster.actuator import Actuator
from responder.cluster.cache import ClusterCache
from responder.cluster.reflector import Reflector
from responder.cluster.reviews import Permissions
from responder.core.alert import Alert
from responder.core.argocd import AppKey, Application
from responder.core.candidate import Guards
from responder.core.guards import GUARDS
from responder.core.hooks import HookRun
from responder.core.incident import Incident
from responder.core.plan import Plan, plan
from responder.core.projects import Project
from responder.core.situation import Situation
from responder.demo.api import Api
from responder.demo.clock import SteppedClock
from responder.demo.settings import ARGOCD, OURS
from responder.desk import Desk
from responder.loading import Rules
from responder.metrics import Metrics
from responder.ports import StoreConflictError, StoreError
from responder.reconcile import Reconciler
from tests.invariants.inline import Crash, Gate, InlineStore, now
from tests.invariants.sights import CLUSTER, Sight, Sights, Watched
from tests.invariants.transport import Transport, Wrote

SWITCH = (OURS, "responder-killswitch")
_METRICS = Metrics(CollectorRegistry())


class _NoOutbox:
    def wake(self) -> None: ...

    def deliver_from_memory(self, alert: Alert, receivers: Any) -> None: ...


class Breaks:
    """What a mutation proof takes away from the program; nothing, where the program itself is tested."""

    guards: Guards = GUARDS
    reconciler: type[Reconciler] = Reconciler
    actuator: type[Actuator] = Actuator

    def change(self, planned: Plan, situation: Situation) -> Plan:
        del situation
        return planned


class Program:
    """``catch_up`` hears what the watches told, ``step`` looks at every Application once. A crash starts it anew."""

    def __init__(
        self,
        api: Api,
        clock: SteppedClock,
        database: sqlite3.Connection,
        sights: Sights,
        rules: Rules,
        wrote: Callable[["Program", Wrote], None],
        breaks: Breaks,
    ) -> None:
        self._api = api
        self._clock = clock
        self._database = database
        self._sights = sights
        self._rules = rules
        self._wrote = wrote
        self._breaks = breaks
        self.gate = Gate()
        self.crashes = 0
        self._unheard: deque[Sight] = deque()
        sights.listeners.append(self._unheard.append)
        self._begin()

    def _begin(self) -> None:
        """A fresh process over the same store; its watches list anew."""
        breaks, clock = self._breaks, self._clock
        self.store = InlineStore(self._database, clock, self.gate)
        self.transport = Transport(self._api, self.gate, lambda written: self._wrote(self, written))
        self.cache = ClusterCache(
            control_plane=ARGOCD,
            clock=clock,
            on_change=lambda _key, _trigger: None,
            persist=lambda writes: self.store.commit(*writes),
            recall=lambda uid: self.store.operations(uid, limit=20),
        )
        self.cache.rely_on(cast("Reflector[Any]", Watched(clock.now)))
        actuator = breaks.actuator(
            argocd=self.transport,
            clusters={CLUSTER: self.transport},
            permissions=Permissions(self.transport, clock, (ARGOCD,)),
            killswitch=SWITCH,
            clock=clock,
            operations=self.cache.operations,
            runs=self.cache.hook_runs,
            window_open=lambda app, auto: self.cache.sync_window_open(app, automated=auto, now=clock.now()),
        )

        class _Planning(breaks.reconciler):  # type: ignore[name-defined, misc] # the class is a value here
            def plan(self, situation: Situation) -> Plan:
                return breaks.change(plan(situation, breaks.guards), situation)

        self.reconciler: Reconciler = _Planning(
            store=self.store,
            cluster=self.cache,
            actuator=actuator,
            clock=clock,
            rules=lambda: self._rules,
            outbox=_NoOutbox(),
            metrics=_METRICS,
            changed=lambda _incident: None,
        )
        self.desk = Desk(
            store=self.store,
            loader=self.reconciler.loader,
            alerts=self.reconciler.alerts,
            clock=clock,
            rules=lambda: self._rules,
            wake=self.reconciler.wake,
            changed=lambda _incident: None,
            exclusive=self.reconciler.exclusive,
        )
        now(self.reconciler.loader.start())
        self._unheard.clear()
        self._unheard.extend(self._sights.present())
        self.catch_up()

    def catch_up(self, most: int | None = None) -> None:
        count = len(self._unheard) if most is None else min(most, len(self._unheard))
        try:
            for _ in range(count):
                self._hear(self._unheard.popleft())
            now(self.cache._save())
        except Crash:
            self.restart()

    def _hear(self, sight: Sight) -> None:
        match sight:
            case Application():
                now(self.cache.put_application(sight))
            case AppKey():
                self.cache.drop_application(sight)
            case HookRun():
                self.cache.put_run(sight)
            case Project():
                self.cache.put_project(sight)

    def step(self) -> None:
        keys = {app.key for app in self.cache.applications()}
        keys |= {i.app for i in self.reconciler.loader.open.values() if not i.children}
        keys |= set(self.reconciler.loader.acting.values())
        try:
            for key in sorted(keys):
                try:
                    now(self.reconciler.step(key))
                except StoreConflictError:
                    now(self.reconciler.loader.start())  # as `_guarded` has it: what we remember is outdated
                except StoreError:
                    continue  # as `_guarded` has it: looked at again later
        except Crash:
            self.restart()

    def restart(self) -> None:
        self.crashes += 1
        self.gate.crash_in = None
        self._begin()

    def open_incident(self, key: AppKey) -> Incident | None:
        return self.reconciler.loader.incident_of(key)
