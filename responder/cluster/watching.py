"""What the recorder watches: Jobs by metadata alone all the time, the rest only where a hook lives.

A hook Job is watched in full by its name, from its first sight until nothing more is to come. Its Pods and Events come
by watches of its namespace, shared by all hooks there: two connections a namespace, not three a hook. They stay open
while a hook lives, so that the Pods of a next attempt are seen from their first state.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import quote

from responder.cluster.client import JSON, METADATA_LIST, Kubernetes, Query
from responder.cluster.reflector import Pace, Reflector, Trouble, WatchEvent
from responder.cluster.surroundings import Surroundings
from responder.cluster.wire import decoders
from responder.core.hookwire import EventWire, JobWire, OperatedWire, PodWire
from responder.core.operated import GROUP, KINDS, VERSION, see_operated
from responder.core.sightings import CONTROLLER_UID, Redact, SeenEvent, SeenJob, SeenPod, see_event, see_job, see_pod

OnJob = Callable[[WatchEvent[SeenJob]], Awaitable[None]]
OnPod = Callable[[WatchEvent[SeenPod]], None]
OnEvent = Callable[[WatchEvent[SeenEvent]], None]


class Watches:
    """Makes the reflectors of one cluster."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        around: Surroundings,
        *,
        pace: Pace,
        on_trouble: Callable[[str, Trouble], None],
    ) -> None:
        self._kubernetes = kubernetes
        self._redact: Redact = around.redactor.text
        self._sidecars = frozenset(around.limits.sidecars)
        self._clock = around.clock
        self._pace = pace
        self._on_trouble = on_trouble

    def job_metadata(self, namespace: str, on_event: OnJob) -> Reflector[SeenJob]:
        """Of every Job; ``namespace`` empty: of the whole cluster."""
        return self._jobs(namespace, (), METADATA_LIST, on_event)

    def job(self, namespace: str, name: str, on_event: OnJob) -> Reflector[SeenJob]:
        return self._jobs(namespace, (("fieldSelector", f"metadata.name={name}"),), JSON, on_event)

    def _jobs(self, namespace: str, query: Query, accept: str, on_event: OnJob) -> Reflector[SeenJob]:
        decode_list, decode_event = decoders(JobWire, self.seen_job)
        return Reflector(
            self._kubernetes,
            resource="jobs",
            path=_path("/apis/batch/v1", namespace, "jobs"),
            query=query,
            accept=accept,
            decode_list=decode_list,
            decode_event=decode_event,
            key=lambda job: f"{job.namespace}/{job.name}",
            version=lambda job: (job.uid, job.resource_version),
            on_event=on_event,
            clock=self._clock,
            pace=self._pace,
            on_trouble=lambda trouble: self._on_trouble("jobs", trouble),
        )

    def seen_job(self, wire: JobWire) -> SeenJob:
        return see_job(wire, self._kubernetes.name, self._redact)

    def operated(self, plural: str, namespace: str, on_event: OnJob) -> Reflector[SeenJob]:
        kind = KINDS[plural]
        decode_list, decode_event = decoders(
            OperatedWire, lambda wire: see_operated(wire, kind, self._kubernetes.name, self._redact)
        )
        return Reflector(
            self._kubernetes,
            resource=plural,
            path=_path(f"/apis/{GROUP}/{VERSION}", namespace, plural),
            decode_list=decode_list,
            decode_event=decode_event,
            key=lambda seen: f"{seen.namespace}/{seen.name}",
            version=lambda seen: (seen.uid, seen.resource_version),
            on_event=on_event,
            clock=self._clock,
            pace=self._pace,
            on_trouble=lambda trouble: self._on_trouble(plural, trouble),
        )

    def pods(self, namespace: str, on_event: OnPod) -> Reflector[SeenPod]:
        decode_list, decode_event = decoders(PodWire, lambda wire: see_pod(wire, self._sidecars, self._redact))
        return Reflector(
            self._kubernetes,
            resource="pods",
            path=_path("/api/v1", namespace, "pods"),
            query=(("labelSelector", CONTROLLER_UID),),
            decode_list=decode_list,
            decode_event=decode_event,
            key=lambda seen: seen.pod.uid,
            version=lambda seen: (seen.pod.uid, seen.resource_version),
            on_event=on_event,
            clock=self._clock,
            pace=self._pace,
            on_trouble=lambda trouble: self._on_trouble("pods", trouble),
        )

    def events(self, namespace: str, on_event: OnEvent) -> Reflector[SeenEvent]:
        decode_list, decode_event = decoders(EventWire, lambda wire: see_event(wire, self._redact))
        return Reflector(
            self._kubernetes,
            resource="events",
            path=_path("/api/v1", namespace, "events"),
            decode_list=decode_list,
            decode_event=decode_event,
            key=lambda seen: seen.key,
            version=lambda seen: (seen.key, seen.resource_version),
            on_event=on_event,
            clock=self._clock,
            pace=self._pace,
            on_trouble=lambda trouble: self._on_trouble("events", trouble),
        )


class OnDemand:
    """Those that are open now, each by what it watches: its kind, its namespace, perhaps a name."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._open: dict[tuple[str, ...], tuple[Reflector[Any], asyncio.Task[None]]] = {}

    def open(self, make: Callable[[], Reflector[Any]], *what: str) -> None:
        """Unless it is open already."""
        if what not in self._open:
            reflector = make()
            self._open[what] = reflector, self._group.create_task(reflector.run(), name=" ".join(("watch", *what)))

    def close(self, *what: str) -> None:
        if what in self._open:
            _, task = self._open.pop(what)
            task.cancel()

    def synced(self, *what: str) -> bool:
        """It is open and has told what was there."""
        return what in self._open and self._open[what][0].synced.is_set()

    @property
    def reflectors(self) -> Sequence[Reflector[Any]]:
        return [reflector for reflector, _ in self._open.values()]


def _path(group: str, namespace: str, plural: str) -> str:
    return f"{group}/namespaces/{quote(namespace, safe='')}/{plural}" if namespace else f"{group}/{plural}"
