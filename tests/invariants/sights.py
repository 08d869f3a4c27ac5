"""What the watches and the recorder would have told, in order; each responder hears it as late as a test likes."""

from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from responder.cluster.following import Follow
from responder.cluster.recording import Recording
from responder.core.appwire import decode_application
from responder.core.argocd import AppKey, Application
from responder.core.evidence import LogChunk, LogSummary
from responder.core.hooks import ContainerState, HookRun, PodRun
from responder.core.hookwire import JobWire, PodWire
from responder.core.logtape import log_key
from responder.core.projects import Project, ProjectWire, project
from responder.core.sightings import see_job, see_pod
from responder.demo.objects import Objects
from responder.demo.resources import Json
from responder.demo.shelf import Change, key_of

Sight = Application | AppKey | HookRun | Project  # AppKey: that Application is gone
CLUSTER = "in-cluster"


def _as_is(text: str) -> str:
    return text


class Sights:
    """One recorder for all: what it reads is stored before anybody hears of it. ``tell`` gets each sight at once."""

    def __init__(self, objects: Objects, store_log: Callable[[LogChunk], None]) -> None:
        self._objects = objects
        self._store_log = store_log
        self._recordings: dict[str, Recording] = {}
        self._stored: dict[str, int] = {}
        self.listeners: list[Callable[[Sight], None]] = []
        objects.subscribe(self._changed)

    def present(self) -> list[Sight]:
        """What a new list shows."""
        found: list[Sight] = [_project(item) for item in self._objects.list("AppProject")]
        found += [_application(item) for item in self._objects.list("Application")]
        return [*found, *(recording.value(()) for recording in self._recordings.values())]

    def _changed(self, change: Change) -> None:
        item = change.object
        gone = change.type == "DELETED"
        match change.kind:
            case "Application":
                self._tell(AppKey(*key_of(item)) if gone else _application(item))
            case "AppProject" if not gone:
                self._tell(_project(item))
            case "Job":
                self._job(item, gone=gone)
            case "Pod":
                self._pod(item, gone=gone)
            case _:
                pass

    def _job(self, item: Json, *, gone: bool) -> None:
        now = self._objects.clock.now()
        seen = see_job(msgspec.convert(item, JobWire), CLUSTER, _as_is)
        if seen.run is None:
            return
        recording = self._recordings.setdefault(seen.uid, Recording(seen.run, now, away=False))
        recording.see_job(seen)
        if gone:
            recording.job_gone(now, pods_watched=True)
        self._tell(recording.value(()))

    def _pod(self, item: Json, *, gone: bool) -> None:
        now = self._objects.clock.now()
        seen = see_pod(msgspec.convert(item, PodWire), (), _as_is)
        recording = self._recordings.get(seen.job_uid)
        if recording is None:
            return
        pod, _ = recording.see_pod(seen.pod)
        for container in pod.containers:
            if container.state is not ContainerState.WAITING and container.started_at is not None:
                ended = container.state is ContainerState.TERMINATED
                self._read(recording, seen.namespace, pod, container.name, ended=ended)
        if gone:
            recording.pod_gone(pod.uid, now, unseen=False)
        self._tell(recording.value(()))

    def _read(self, recording: Recording, namespace: str, pod: PodRun, container: str, *, ended: bool) -> None:
        key = log_key(pod.uid, container, 0)
        if self._objects.find("Pod", namespace, pod.name) is None and key in recording.follows:
            return
        lines = self._objects.logs.run((namespace, pod.name, container, 0)).lines
        known = self._stored.get(key, 0)
        if fresh := lines[known:]:
            numbers = tuple(range(known + 1, len(lines) + 1))
            texts = tuple(line.data.decode().rstrip("\n") for line in fresh)
            self._store_log(LogChunk(key, numbers, tuple(line.stamp for line in fresh), texts))
            self._stored[key] = len(lines)
        summary = LogSummary(key, len(lines), sum(len(line.data) for line in lines), 0, complete=ended)
        tape: Any = SimpleNamespace(summary=lambda: summary)
        recording.follows[key] = cast("Follow", SimpleNamespace(tape=tape, subject=SimpleNamespace(over=ended)))
        if ended:
            recording.read(key, None)

    def _tell(self, sight: Sight) -> None:
        for listener in tuple(self.listeners):
            listener(sight)


def _application(item: Json) -> Application:
    return decode_application(msgspec.json.encode(item), _as_is)


def _project(item: Json) -> Project:
    return project(msgspec.convert(item, ProjectWire))


class Watched:
    """Stands for the watches where only their freshness is asked."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.resource = "everything"
        self.synced = SimpleNamespace(is_set=lambda: True)
        self.trouble = None
        self.failing_since = None

    @property
    def last_event_at(self) -> datetime:
        return self._now()
