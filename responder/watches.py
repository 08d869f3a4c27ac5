"""All that watches: Argo CD's objects, hook Jobs with their Pods and logs, and the picture that is made of them."""

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Iterable, Iterator
from functools import partial
from typing import Any

from responder.cluster.argowatch import ArgoWatch
from responder.cluster.cache import ClusterCache
from responder.cluster.recorder import Recorder
from responder.cluster.reflector import Reflector
from responder.cluster.remote import RemoteRecorder
from responder.cluster.surroundings import Surroundings
from responder.config import ClusterConfig, Settings, read_key
from responder.connecting import Connections
from responder.core.argocd import AppKey, Application
from responder.core.hooks import HookRun
from responder.core.redaction import Redactor
from responder.gauges import HookCounter
from responder.metrics import Metrics
from responder.ports import Clock, Store, StoreError, Trigger

log = logging.getLogger("responder.watches")

Scan = Callable[[bytes], Iterable[tuple[int, int]]]


class Watches:
    def __init__(
        self,
        settings: Settings,
        connections: Connections,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        *,
        scan: Scan,
        wake: Callable[[AppKey, Trigger], None],
        resume: Callable[[], None],
    ) -> None:
        """``scan`` finds lines that signatures match; ``resume``: an API server is back."""
        self._settings = settings
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._scan = scan
        self._wake_app = wake
        self._hooks = HookCounter(metrics, since=clock.now())
        self._redactor = Redactor(_redaction_key(settings))
        self.cache = ClusterCache(
            control_plane=settings.argocd.namespace,
            clock=clock,
            on_change=self._wake,
            persist=lambda writes: store.commit(*writes),
            recall=lambda uid: store.operations(uid, limit=20),
        )
        self._argocd = ArgoWatch(
            connections.argocd,
            self.cache,
            control_plane=settings.argocd.namespace,
            application_namespaces=settings.argocd.application_namespaces,
            redact=self._redactor.text,
            clock=clock,
            metrics=metrics,
            on_recovery=resume,
        )
        around = Surroundings(
            control_plane=settings.argocd.namespace,
            limits=settings.recorder,
            redactor=self._redactor,
            scan=scan,
            store=store,
            publish=self._publish,
            operations=self.cache.operations,
            clock=clock,
            metrics=metrics,
        )
        self._recorders = {
            c.name: Recorder(connections.clusters[c.name], around, namespaces=c.namespaces)
            for c in settings.clusters
            if not c.argocd_api
        }
        self._recovered = {name: asyncio.Event() for name in self._recorders}
        self._remote = [
            RemoteRecorder(connections.unreached[c.name], around, cluster=c.name, ours=partial(_goes_to, c))
            for c in settings.clusters
            if c.argocd_api
        ]

    def _wake(self, key: AppKey, trigger: Trigger) -> None:
        app = self.cache.application(key) if self._remote and trigger is Trigger.APPLICATION else None
        if app is not None:
            for remote in self._remote:
                remote.notice(app)
        self._wake_app(key, trigger)

    def _publish(self, run: HookRun, woken: bool) -> None:
        self._hooks.see(run)
        self.cache.put_run(run, woken)

    def parts(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """What runs all the time, each with its name."""
        yield "operations", self.cache.run()
        yield "watch Argo CD", self._argocd.run()
        yield from ((f"record {name}", recorder.run()) for name, recorder in self._recorders.items())
        yield from ((f"recover {name}", self._recover(name)) for name in self._recorders)
        yield from ((f"record {remote.cluster}", remote.run()) for remote in self._remote)

    async def _recover(self, name: str) -> None:
        """What went there while we were away: as soon as its watches have listed."""
        recorder = self._recorders[name]
        for reflector in (*self._argocd.reflectors, *recorder.lasting):
            await reflector.synced.wait()
        try:
            await recorder.recover([app.key for app in self.cache.applications()])
        except (StoreError, TimeoutError) as error:
            log.warning("what was recorded before could not be read: %s", error)
        self._recovered[name].set()

    async def caught_up(self) -> None:
        """Argo CD's objects are listed, and it is known what went while we were away; but in clusters that are away."""
        for reflector in self._argocd.reflectors:
            await reflector.synced.wait()
        for name, recorder in self._recorders.items():
            for reflector in recorder.lasting:
                await reflector.tried.wait()
            if all(reflector.synced.is_set() for reflector in recorder.lasting):
                await self._recovered[name].wait()

    @property
    def lasting(self) -> list[Reflector[Any]]:
        """Open all the time: our picture is as fresh as these."""
        return [*self._argocd.reflectors, *(w for r in self._recorders.values() for w in r.lasting)]

    @property
    def all(self) -> list[Reflector[Any]]:
        argocd = (*self._argocd.reflectors, *self._argocd.events)
        return [*argocd, *(w for r in self._recorders.values() for w in r.reflectors)]

    def scanned(self, pod_uid: str, container: str, restart: int) -> int:
        return max(r.scanned(pod_uid, container, restart) for r in self._recorders.values())

    @property
    def idle(self) -> bool:
        """Everything that was seen is recorded."""
        recorded = all(r.idle for r in self._recorders.values()) and all(r.idle for r in self._remote)
        return self.cache.saved and recorded


def _goes_to(cluster: ClusterConfig, app: Application) -> bool:
    return app.destination_name == cluster.name or app.destination_server.rstrip("/") == cluster.server.rstrip("/")


def _redaction_key(settings: Settings) -> bytes:
    if settings.redaction.key_file is None:
        return os.urandom(32)
    return read_key(settings.redaction.key_file)
