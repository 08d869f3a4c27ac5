"""The composition root: builds each adapter once, wires them, runs them under one TaskGroup.

Read top to bottom it says what the program is made of; nothing here decides anything.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry

from responder.auditing import log_entry
from responder.cluster.actuator import Actuator
from responder.cluster.argologs import ArgoLogs
from responder.cluster.argowatch import ArgoWatch
from responder.cluster.cache import ClusterCache
from responder.cluster.client import Kubernetes, Observe
from responder.cluster.recorder import Recorder
from responder.cluster.reflector import Reflector
from responder.cluster.remote import RemoteRecorder
from responder.cluster.reviews import Permissions
from responder.config import ArgoCDApi, ClusterConfig, Settings, read_key, read_secret
from responder.configured import Configured
from responder.core.argocd import AppKey
from responder.core.hooks import HookRun
from responder.core.redaction import Redactor
from responder.desk import Desk
from responder.gauges import Gauges, HookCounter
from responder.loading import Rules
from responder.metrics import Metrics
from responder.ports import Clock, StoreError, Trigger
from responder.receivers.build import build_receivers
from responder.receivers.outbox import Outbox
from responder.reconcile import Reconciler
from responder.retention import keep_to
from responder.store.sqlite import SqliteStore
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
        clusters: Mapping[str, Kubernetes],
        unreached: Mapping[str, ArgoLogs],
        metrics: Metrics,
    ) -> None:
        """``unreached``: clusters of which Argo CD gives us the logs."""
        self._settings = settings
        self._clock = clock
        self._store = store
        self.metrics = metrics
        store.observe_commit = metrics.store_commit_duration_seconds.observe
        store.observe_audit = log_entry
        self._hooks = HookCounter(metrics, since=clock.now())
        self._configured = Configured(settings, clock, metrics)
        redactor = Redactor(_redaction_key(settings))
        self.changes = Changes()
        argocd = clusters[settings.clusters[0].name]
        self.cache = ClusterCache(
            control_plane=settings.argocd.namespace,
            clock=clock,
            on_change=self._wake,
            persist=lambda writes: store.commit(*writes),
            recall=lambda uid: store.operations(uid, limit=20),
        )
        self._argowatch = ArgoWatch(
            argocd,
            self.cache,
            control_plane=settings.argocd.namespace,
            application_namespaces=settings.argocd.application_namespaces,
            redact=redactor.text,
            clock=clock,
            metrics=self.metrics,
            on_recovery=self._resume,
        )
        self._recorders = {
            c.name: self._recorder(c, clusters[c.name], redactor) for c in settings.clusters if not c.argocd_api
        }
        self._remote = [
            self._remote_recorder(c, unreached[c.name], redactor) for c in settings.clusters if c.argocd_api
        ]
        self.actuator = self._actuator(argocd, clusters)
        self._receivers = build_receivers(settings.receivers, self.metrics)
        self.outbox = Outbox(store, self._receivers, clock, self.metrics)
        self.reconciler = Reconciler(
            store=store,
            cluster=self.cache,
            actuator=self.actuator,
            clock=clock,
            rules=self._rules,
            outbox=self.outbox,
            metrics=self.metrics,
            changed=lambda incident: self.changes.publish(incident.id),
        )
        self.desk = Desk(
            store=store,
            cluster=self.cache,
            loader=self.reconciler.loader,
            clock=clock,
            rules=self._rules,
            wake=self.reconciler.wake,
            changed=lambda incident: self.changes.publish(incident.id),
            exclusive=self.reconciler.exclusive,
        )
        self._gauges = Gauges(
            metrics=self.metrics,
            cluster=self.cache,
            loader=self.reconciler.loader,
            store=store,
            actuator=self.actuator,
            clock=clock,
            watches=lambda: self._lasting,
        )
        self._web = build(self._faces())
        self.listening = asyncio.Event()
        self.url = ""

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, *, clock: Clock) -> AsyncIterator["Responder"]:
        """Opens the store and the connections; closes them at the end. Raises ``ConfigError``, ``StoreError``."""
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(await SqliteStore.open(settings.store.path, clock=clock))
            metrics = Metrics(CollectorRegistry())
            clusters: dict[str, Kubernetes] = {}
            unreached: dict[str, ArgoLogs] = {}
            for config in settings.clusters:
                if config.argocd_api is None:
                    clusters[config.name] = await stack.enter_async_context(await connect(config, metrics))
                else:
                    unreached[config.name] = await stack.enter_async_context(_argo_logs(config.argocd_api, metrics))
            responder = cls(settings, clock, store, clusters, unreached, metrics)
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
        app = self.cache.application(key) if self._remote and trigger is Trigger.APPLICATION else None
        if app is not None:
            for remote in self._remote:
                remote.notice(app)
        self.reconciler.wake(key, trigger)

    def _resume(self) -> None:
        self.reconciler.resume()

    def _publish(self, run: HookRun, woken: bool) -> None:
        self._hooks.see(run)
        self.cache.put_run(run, woken)

    def _recorder(self, config: ClusterConfig, kubernetes: Kubernetes, redactor: Redactor) -> Recorder:
        return Recorder(
            kubernetes,
            namespaces=config.namespaces,
            control_plane=self._settings.argocd.namespace,
            limits=self._settings.recorder,
            redactor=redactor,
            scan=self._scan,
            store=self._store,
            publish=self._publish,
            operations=self.cache.operations,
            clock=self._clock,
            metrics=self.metrics,
        )

    def _remote_recorder(self, config: ClusterConfig, logs: ArgoLogs, redactor: Redactor) -> RemoteRecorder:
        return RemoteRecorder(
            logs,
            cluster=config.name,
            ours=lambda app: (
                app.destination_name == config.name or app.destination_server.rstrip("/") == config.server.rstrip("/")
            ),
            control_plane=self._settings.argocd.namespace,
            limits=self._settings.recorder,
            redactor=redactor,
            scan=self._scan,
            store=self._store,
            publish=self._publish,
            operations=self.cache.operations,
            clock=self._clock,
            metrics=self.metrics,
        )

    def _actuator(self, argocd: Kubernetes, clusters: Mapping[str, Kubernetes]) -> Actuator:
        settings = self._settings
        applications = (settings.argocd.namespace, *settings.argocd.application_namespaces)
        return Actuator(
            argocd=argocd,
            clusters=clusters,
            permissions=Permissions(argocd, self._clock, applications, settings.clusters[0].namespaces),
            killswitch=(settings.killswitch.namespace, settings.killswitch.name),
            clock=self._clock,
            operations=self.cache.operations,
            runs=self.cache.hook_runs,
            window_open=lambda app: self.cache.sync_window_open(app, automated=True, now=self._clock.now()),
        )

    def _faces(self) -> Faces:
        settings = self._settings
        return Faces(
            store=self._store,
            loader=self.reconciler.loader,
            desk=self.desk,
            cluster=self.cache,
            clock=self._clock,
            metrics=self.metrics,
            rules=self._rules,
            intake=Intake(
                self._store,
                self.reconciler.wake,
                self._clock,
                self.metrics,
                [read_secret(path) for path in settings.webhook.token_files],
                heard_of=self.reconciler.heard_of,
                body_limit=settings.webhook.body_limit,
                read_deadline=settings.webhook.read_deadline,
            ),
            access=Access(
                [NamedToken(t.name, read_secret(t.token_file), Role(t.role)) for t in settings.access.static_tokens]
            ),
            changes=self.changes,
            outbox=lambda: OutboxStats(self.outbox.pending, self.outbox.oldest_seconds),
            pending=lambda: self.reconciler.pending,
            in_force=lambda: self._configured.in_force,
            killswitch=f"{settings.killswitch.namespace}/{settings.killswitch.name}",
            url=settings.listen.url,
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
            ("operations", self.cache.run()),
            ("watch Argo CD", self._argowatch.run()),
            *((f"record {name}", recorder.run()) for name, recorder in self._recorders.items()),
            *((f"record {remote.cluster}", remote.run()) for remote in self._remote),
            ("reconcile", self.reconciler.run()),
            ("outbox", self.outbox.run()),
            ("begin", self._begin()),
            ("gauges", self._gauges.run()),
            ("configuration", self._configured.run(self._judge_anew)),
            ("retention", keep_to(self._settings.retention, self._store, self._clock)),
        ]

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
        """When every watch has listed: what went while we were away, then every Application once."""
        for reflector in self._lasting:
            await reflector.synced.wait()
        keys = [app.key for app in self.cache.applications()]
        for recorder in self._recorders.values():
            try:
                await recorder.recover(keys)
            except (StoreError, TimeoutError) as error:
                log.warning("what was recorded before could not be read: %s", error)
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

    @property
    def _lasting(self) -> list[Reflector[Any]]:
        """Watches that are open all the time: our picture is as fresh as these."""
        return [*self._argowatch.reflectors, *(w for r in self._recorders.values() for w in r.lasting)]

    # How far we are: for the replayer and tests.

    @property
    def watches(self) -> list[Reflector[Any]]:
        argocd = (*self._argowatch.reflectors, *self._argowatch.events)
        return [*argocd, *(w for r in self._recorders.values() for w in r.reflectors)]

    def scanned(self, pod_uid: str, container: str, restart: int) -> int:
        return max(r.scanned(pod_uid, container, restart) for r in self._recorders.values())

    @property
    def idle(self) -> bool:
        """Everything that was told is recorded and planned upon; timers may be set for later."""
        recorded = all(r.idle for r in self._recorders.values()) and all(r.idle for r in self._remote)
        return self.reconciler.idle and self.cache.saved and recorded


def _redaction_key(settings: Settings) -> bytes:
    if settings.redaction.key_file is None:
        return os.urandom(32)
    return read_key(settings.redaction.key_file)


def _argo_logs(config: ArgoCDApi, metrics: Metrics) -> ArgoLogs:
    ca = str(config.ca_file) if config.ca_file is not None else None
    return ArgoLogs(config.url, read_secret(config.token_file), ca=ca, observe=_observer(metrics))


def _observer(metrics: Metrics) -> Observe:
    def observe(verb: str, resource: str, code: str) -> None:
        metrics.kubernetes_requests_total(verb, resource, code).inc()

    return observe


async def connect(config: ClusterConfig, metrics: Metrics) -> Kubernetes:
    """By plain URL, by kubeconfig, or as the Pod that we are."""
    observe = _observer(metrics)
    if config.url:
        token = read_secret(config.token_file) if config.token_file is not None else None
        return Kubernetes.from_url(config.url, token, name=config.name, observe=observe)
    if config.kubeconfig is not None or config.context is not None:
        path = str(config.kubeconfig) if config.kubeconfig is not None else None
        return await Kubernetes.from_kubeconfig(path, config.context, name=config.name, observe=observe)
    return await Kubernetes.from_in_cluster(name=config.name, observe=observe)
