"""Watches Argo CD's own objects, Applications and AppProjects, into the cache; and its Events on Applications."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from responder.cluster.cache import ClusterCache
from responder.cluster.client import Kubernetes
from responder.cluster.reflector import PACE, Change, Pace, Reflector, Trouble, WatchEvent
from responder.cluster.wire import decoders
from responder.core.appwire import NotAnApplicationError, decode_application
from responder.core.argocd import AppKey, Application
from responder.core.completions import REASON, Completion, read_completion
from responder.core.hookwire import EventWire
from responder.core.projects import Project, ProjectWire, project
from responder.metrics import Metrics
from responder.ports import Clock

logger = logging.getLogger(__name__)

API = "/apis/argoproj.io/v1alpha1"
EVERYWHERE = "*"


class _Meta(msgspec.Struct, rename="camel"):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class _Object(msgspec.Struct):
    metadata: _Meta


class SeenApplication(msgspec.Struct, frozen=True):
    key: AppKey
    uid: str
    resource_version: str
    app: Application | None  # None: one that we cannot read


class SeenCompletion(msgspec.Struct, frozen=True):
    key: str
    resource_version: str
    completion: Completion | None  # None: tells of no failure


_object = msgspec.json.Decoder(_Object)


class ArgoWatch:
    """``application_namespaces`` beside Argo CD's own; ``*`` is every namespace."""

    def __init__(  # noqa: PLR0913  # what it needs of the program, all by name
        self,
        kubernetes: Kubernetes,
        cache: ClusterCache,
        *,
        control_plane: str,
        application_namespaces: Sequence[str],
        redact: Callable[[str], str],
        clock: Clock,
        metrics: Metrics,
        on_recovery: Callable[[], None],
        pace: Pace = PACE,
    ) -> None:
        self._cache = cache
        self._redact = redact
        self._metrics = metrics
        self._common: dict[str, Any] = {
            "kubernetes": kubernetes,
            "clock": clock,
            "pace": pace,
            "on_recovery": on_recovery,
        }
        namespaces = dict.fromkeys((control_plane, *application_namespaces))
        places = ("",) if EVERYWHERE in namespaces else tuple(namespaces)
        self.reflectors: Sequence[Reflector[Any]] = (
            *(self._applications(place) for place in places),
            self._projects(control_plane),
        )
        cache.rely_on(*self.reflectors)
        self.events: Sequence[Reflector[Any]] = tuple(
            self._completions(place) for place in places
        )  # nobody waits for them

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for reflector in (*self.reflectors, *self.events):
                group.create_task(reflector.run(), name=f"watch {reflector.resource}")

    def _applications(self, namespace: str) -> Reflector[SeenApplication]:
        decode_list, decode_event = decoders(msgspec.Raw, self._seen)
        return Reflector(
            resource="applications",
            path=_path(namespace, "applications"),
            decode_list=decode_list,
            decode_event=decode_event,
            key=lambda seen: str(seen.key),
            version=lambda seen: (seen.uid, seen.resource_version),
            on_event=self._on_application,
            on_trouble=lambda trouble: self._troubled("applications", trouble),
            **self._common,
        )

    def _seen(self, raw: msgspec.Raw) -> SeenApplication:
        try:
            app = decode_application(raw, self._redact)
        except NotAnApplicationError as error:
            meta = _object.decode(raw).metadata
            key = AppKey(meta.namespace, meta.name)
            logger.warning("Application %s cannot be read and is not watched: %s", key, error)
            return SeenApplication(key, meta.uid, meta.resource_version, None)
        return SeenApplication(AppKey(app.namespace, app.name), app.uid, app.resource_version, app)

    async def _on_application(self, event: WatchEvent[SeenApplication]) -> None:
        if event.change is Change.RELISTED:
            return
        if event.change is Change.DELETED:
            self._cache.drop_application(AppKey(*event.key.split("/", 1)))
        elif event.object is not None and event.object.app is not None:
            await self._cache.put_application(event.object.app)

    def _completions(self, namespace: str) -> Reflector[SeenCompletion]:
        decode_list, decode_event = decoders(EventWire, self._seen_completion)
        where = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        return Reflector(
            resource="events",
            path=f"/api/v1{where}/events",
            query=(("fieldSelector", f"involvedObject.kind=Application,reason={REASON}"),),
            decode_list=decode_list,
            decode_event=decode_event,
            key=lambda seen: seen.key,
            version=lambda seen: (seen.key, seen.resource_version),
            on_event=self._on_completion,
            on_trouble=lambda trouble: self._troubled("events", trouble),
            **self._common,
        )

    def _seen_completion(self, wire: EventWire) -> SeenCompletion:
        meta = wire.metadata
        return SeenCompletion(
            f"{meta.namespace}/{meta.name}", meta.resource_version, read_completion(wire, self._redact)
        )

    def _on_completion(self, event: WatchEvent[SeenCompletion]) -> None:
        seen = event.object
        if seen is not None and seen.completion is not None and event.change is not Change.DELETED:
            self._cache.put_completion(seen.completion)

    def _projects(self, namespace: str) -> Reflector[Project]:
        decode_list, decode_event = decoders(ProjectWire, project)
        return Reflector(
            resource="appprojects",
            path=_path(namespace, "appprojects"),
            decode_list=decode_list,
            decode_event=decode_event,
            key=lambda held: held.name,
            version=lambda held: (held.uid, held.resource_version),
            on_event=self._on_project,
            on_trouble=lambda trouble: self._troubled("appprojects", trouble),
            **self._common,
        )

    def _on_project(self, event: WatchEvent[Project]) -> None:
        if event.change is Change.DELETED:
            self._cache.drop_project(event.key)
        elif event.object is not None:
            self._cache.put_project(event.object)

    def _troubled(self, resource: str, trouble: Trouble) -> None:
        self._metrics.watch_restarts_total(resource, trouble).inc()


def _path(namespace: str, plural: str) -> str:
    return f"{API}/namespaces/{quote(namespace, safe='')}/{plural}" if namespace else f"{API}/{plural}"
