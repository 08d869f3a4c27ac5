"""AppProject: where its Applications may deploy, and when they may sync."""

from collections.abc import Callable
from datetime import datetime, tzinfo

import msgspec

from responder.core.argocd import Application
from responder.core.globs import glob_matches
from responder.core.syncwindows import SyncWindow, may_sync
from responder.core.wire import Wire

IN_CLUSTER = ("https://kubernetes.default.svc", "in-cluster")


class _Metadata(Wire):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    annotations: dict[str, str] | None = None


class Destination(msgspec.Struct, frozen=True):
    server: str = ""
    name: str = ""
    namespace: str = ""


class _WindowWire(Wire):
    kind: str = ""
    schedule: str = ""
    duration: str = ""
    applications: tuple[str, ...] | None = None
    namespaces: tuple[str, ...] | None = None
    clusters: tuple[str, ...] | None = None
    manual_sync: bool = False
    time_zone: str = ""
    and_operator: bool = False


class _Spec(Wire):
    destinations: tuple[Destination, ...] | None = None
    sync_windows: tuple[_WindowWire, ...] | None = None


class ProjectWire(Wire):
    metadata: _Metadata
    spec: _Spec = msgspec.field(default_factory=_Spec)


class Project(msgspec.Struct, frozen=True):
    namespace: str
    name: str
    uid: str = ""
    resource_version: str = ""
    annotations: tuple[tuple[str, str], ...] = ()
    destinations: tuple[Destination, ...] = ()
    windows: tuple[SyncWindow, ...] = ()

    def annotation(self, name: str) -> str | None:
        return next((value for key, value in self.annotations if key == name), None)


def project(wire: ProjectWire) -> Project:
    meta = wire.metadata
    annotations = {k: v for k, v in (meta.annotations or {}).items() if not k.startswith("kubectl.kubernetes.io/")}
    return Project(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        resource_version=meta.resource_version,
        annotations=tuple(sorted(annotations.items())),
        destinations=wire.spec.destinations or (),
        windows=tuple(_window(window) for window in wire.spec.sync_windows or ()),
    )


def _window(wire: _WindowWire) -> SyncWindow:
    return SyncWindow(
        allow=wire.kind == "allow",
        schedule=wire.schedule,
        duration=wire.duration,
        applications=wire.applications or (),
        namespaces=wire.namespaces or (),
        clusters=wire.clusters or (),
        manual_sync=wire.manual_sync,
        zone=wire.time_zone or "UTC",
        all_must_match=wire.and_operator,
    )


def permits(project: Project, server: str, name: str, namespace: str) -> bool:
    """As ``AppProject.IsDestinationPermitted``: one entry must fit, and no ``!`` pattern may speak against it."""
    server, name = _completed(server, name)
    fitting = False
    for entry in project.destinations:
        by_server = server != "" and _fits(entry.server, server)
        by_name = name != "" and _fits(entry.name, name)
        by_namespace = _fits(entry.namespace, namespace)
        if (by_server or by_name) and by_namespace:
            fitting = True
        elif (
            (_denies(entry.server) and not by_server)
            or (_denies(entry.name) and not by_name)
            or (_denies(entry.namespace) and not by_namespace)
        ):
            return False
    return fitting


def _completed(server: str, name: str) -> tuple[str, str]:
    """Applications name their cluster by one of both; of Argo CD's own we know the other."""
    if server == IN_CLUSTER[0] or (not server and name == IN_CLUSTER[1]):
        return IN_CLUSTER
    return server, name


def _denies(pattern: str) -> bool:
    return pattern.startswith("!")


def _fits(pattern: str, text: str) -> bool:
    return not glob_matches(pattern[1:], text) if _denies(pattern) else glob_matches(pattern, text)


def window_open(
    project: Project, app: Application, *, automated: bool, now: datetime, zone: Callable[[str], tzinfo | None]
) -> bool | None:
    """May this Application sync now? None: a window cannot be understood. ``zone`` finds a time zone by name."""
    clusters = tuple(word for word in _completed(app.destination_server, app.destination_name) if word)
    matching = [w for w in project.windows if w.concerns(app.name, app.destination_namespace, clusters)]
    return may_sync(matching, automated=automated, now=now, zone=zone)
