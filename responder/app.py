"""The composition root: builds each adapter once, wires them, runs them under one TaskGroup.

Read top to bottom it says what the program is made of; nothing here decides anything.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry

from responder.auditing import log_entry
from responder.cluster.actuator import Actuator
from responder.cluster.reflector import Reflector
from responder.cluster.reviews import Permissions
from responder.config import Settings
from responder.configured import Configured
from responder.connecting import Connections, open_connections
from responder.core.argocd import AppKey
from responder.core.incident import Incident
from responder.desk import Desk
from responder.gatekeeper import Gatekeeper
from responder.gauges import Gauges
from responder.loading import Rules
from responder.metrics import Metrics
from responder.ports import Clock, Receiver, StoreError, Trigger
from responder.receivers.build import build_receivers
from responder.receivers.outbox import Outbox
from responder.reconcile import Reconciler
from responder.retention import keep_to
from responder.store.sqlite import SqliteStore
from responder.watches import Watches
from responder.web.access import Access, NamedToken, Role
from responder.web.app import build
from responder.web.changes import Changes
from responder.web.faces import Faces, OutboxStats
from responder.web.webhook import Intake

log = logging.getLogger("responder")

_RETRY_SECONDS = 5.0


class Responder:
    """Everything, wired. ``open`` builds it, ``run`` runs it until cancelled."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        store: SqliteStore,
        connections: Connections,
        metrics: Metrics,
        *,
        demo: bool = False,
    ) -> None:
        self._settings = settings
        self._demo = demo
        self._clock = clock
        self._store = store
        self.metrics = metrics
        store.observe_commit = metrics.store_commit_duration_seconds.observe
        store.observe_audit = log_entry
        self._configured = Configured(settings, clock, metrics)
        self.changes = Changes()
        self._watches = Watches(
            settings, connections, store, clock, metrics, scan=self._scan, wake=self._wake, resume=self._resume
        )
        self.cache = self._watches.cache
        self.actuator = self._actuator(connections)
        self.outbox = Outbox(store, self._receivers(), clock, metrics)
        self.reconciler = Reconciler(
            store=store,
            cluster=self.cache,
            actuator=self.actuator,
            clock=clock,
            rules=self._rules,
            outbox=self.outbox,
            metrics=metrics,
            changed=self._changed,
        )
        self.desk = Desk(
            store=store,
            loader=self.reconciler.loader,
            alerts=self.reconciler.alerts,
            clock=clock,
            rules=self._rules,
            wake=self.reconciler.wake,
            changed=self._changed,
            exclusive=self.reconciler.exclusive,
        )
        self._web = build(self._faces())
        self.listening = asyncio.Event()
        self.url = ""

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, *, clock: Clock, demo: bool = False) -> AsyncIterator["Responder"]:
        """Opens the store and the connections; closes them at the end. Raises ``ConfigError``, ``StoreError``."""
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(await SqliteStore.open(settings.store.path, clock=clock))
            metrics = Metrics(CollectorRegistry())
            connections = await open_connections(settings, metrics, stack)
            responder = cls(settings, clock, store, connections, metrics, demo=demo)
            stack.push_async_callback(responder.outbox.close)
            yield responder

    def _rules(self) -> Rules:
        """As they are now: they may change while we run."""
        return self._configured.rules

    def _scan(self, data: bytes) -> Iterable[tuple[int, int]]:
        return self._rules().signatures.scan(data)

    def _judge_anew(self) -> None:
        """Other rules are in force: what is open is looked at with them."""
        for incident in list(self.reconciler.loader.open.values()):
            self.reconciler.wake(incident.app, Trigger.TIMER)

    def _wake(self, key: AppKey, trigger: Trigger) -> None:
        self.reconciler.wake(key, trigger)

    def _resume(self) -> None:
        self.reconciler.resume()

    def _changed(self, incident: Incident) -> None:
        self.changes.publish(incident.id)

    def _actuator(self, connections: Connections) -> Actuator:
        settings = self._settings
        applications = (settings.argocd.namespace, *settings.argocd.application_namespaces)
        return Actuator(
            argocd=connections.argocd,
            clusters=connections.clusters,
            permissions=Permissions(connections.argocd, self._clock, applications, settings.clusters[0].namespaces),
            killswitch=(settings.killswitch.namespace, settings.killswitch.name),
            clock=self._clock,
            operations=self.cache.operations,
            runs=self.cache.hook_runs,
            window_open=lambda app, auto: self.cache.sync_window_open(app, automated=auto, now=self._clock.now()),
        )

    def _receivers(self) -> Mapping[str, Receiver]:
        receivers = build_receivers(self._settings.receivers, self.metrics)
        for name, receiver in receivers.items():
            self._configured.keep(f"receiver {name}", receiver.built)
        return receivers

    def _webhook_tokens(self) -> Callable[[], Iterable[str]]:
        secrets = [self._configured.secret(path) for path in self._settings.webhook.token_files]
        return lambda: [secret() for secret in secrets]

    def _named_tokens(self) -> Callable[[], Iterable[NamedToken]]:
        tokens = self._settings.access.static_tokens
        named = [(t.name, self._configured.secret(t.token_file), Role(t.role)) for t in tokens]
        return lambda: [NamedToken(name, secret(), role) for name, secret, role in named]

    def _faces(self) -> Faces:
        settings = self._settings
        return Faces(
            store=self._store,
            loader=self.reconciler.loader,
            desk=self.desk,
            gatekeeper=Gatekeeper(self.cache, self.reconciler.loader, self._clock, self._rules),
            cluster=self.cache,
            clock=self._clock,
            metrics=self.metrics,
            rules=self._rules,
            intake=Intake(
                self._store,
                self.reconciler.wake,
                self._clock,
                self.metrics,
                self._webhook_tokens(),
                heard_of=self.reconciler.heard_of,
                body_limit=settings.webhook.body_limit,
                read_deadline=settings.webhook.read_deadline,
            ),
            access=Access(self._named_tokens()),
            changes=self.changes,
            outbox=lambda: OutboxStats(self.outbox.pending, self.outbox.oldest_seconds),
            pending=lambda: self.reconciler.pending,
            in_force=lambda: self._configured.in_force,
            killswitch=f"{settings.killswitch.namespace}/{settings.killswitch.name}",
            switch=self.actuator.killswitch,
            url=settings.listen.url,
            demo=self._demo,
        )

    # Running.

    async def run(self) -> None:
        """Until cancelled: intake, watches, recorders, the loop, the outbox and the pages, under one parent."""
        async with asyncio.TaskGroup() as tasks:
            for name, part in self._parts():
                tasks.create_task(part, name=name)

    def _parts(self) -> Sequence[tuple[str, Coroutine[Any, Any, None]]]:
        return [
            ("web", self._serve()),
            *self._watches.parts(),
            ("reconcile", self.reconciler.run()),
            ("desk", self.desk.run()),
            ("outbox", self.outbox.run()),
            ("begin", self._begin()),
            ("gauges", self._gauges().run()),
            ("configuration", self._configured.run(self._judge_anew)),
            ("retention", keep_to(self._settings.retention, self._store, self._clock)),
        ]

    def _gauges(self) -> Gauges:
        return Gauges(
            metrics=self.metrics,
            cluster=self.cache,
            loader=self.reconciler.loader,
            store=self._store,
            actuator=self.actuator,
            clock=self._clock,
            watches=lambda: self._watches.lasting,
        )

    async def _serve(self) -> None:
        runner = web.AppRunner(self._web, access_log=None, shutdown_timeout=2.0, handler_cancellation=True)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._settings.listen.host, self._settings.listen.port)
            await site.start()
            host, port = runner.addresses[0][:2]
            self.url = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104 - compared, not bound
            self.listening.set()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    async def _begin(self) -> None:
        """When the watches have listed: what went while we were away, then every Application once."""
        await self._watches.caught_up()
        self.metrics.leader.set(1)
        while not await self._looked_at_all():
            await self._clock.sleep(_RETRY_SECONDS)

    async def _looked_at_all(self) -> bool:
        try:
            await self.reconciler.synced()
        except StoreError as error:
            log.warning("which wake-ups are due could not be read: %s", error)
            return False
        return True

    # How far we are: for the replayer and tests.

    @property
    def watches(self) -> list[Reflector[Any]]:
        return self._watches.all

    def scanned(self, pod_uid: str, container: str, restart: int) -> int:
        return self._watches.scanned(pod_uid, container, restart)

    @property
    def idle(self) -> bool:
        """Everything that was told is recorded and planned upon; timers may be set for later."""
        return self.reconciler.idle and self._watches.idle
