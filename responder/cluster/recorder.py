"""Evidence dies first: records every hook of one destination cluster while it lives; nothing need be asked later.

Jobs, Pods and Events come in by ``watching``, logs by ``readers`` and ``following``; ``recording`` folds them;
``spilling`` takes them to the store, then to the cache, which wakes the Application.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

import msgspec

from responder.cluster.client import Kubernetes
from responder.cluster.errors import ApiError
from responder.cluster.operated import OperatedHooks
from responder.cluster.readers import Readers
from responder.cluster.recording import Recording
from responder.cluster.reflector import PACE, Change, Pace, Reflector, Trouble, WatchEvent
from responder.cluster.spilling import Spill
from responder.cluster.surroundings import Surroundings
from responder.cluster.unclaimed import Unclaimed
from responder.cluster.watching import OnDemand, Watches
from responder.core.argocd import AppKey, OperationRecord
from responder.core.hooknaming import app_key
from responder.core.hooks import HookRun, PodRun
from responder.core.hookwire import JobWire
from responder.core.logtape import log_key
from responder.core.sightings import SeenEvent, SeenJob, SeenPod
from responder.core.surveying import rehearse
from responder.ports import StoreError

logger = logging.getLogger(__name__)

LINGER: Final = timedelta(seconds=5)  # after a hook has settled: the next attempt is often near
FORGET_AFTER: Final = timedelta(hours=1)
RECENT: Final = timedelta(hours=1)  # a Job that ended well longer ago than this, at our start, is not read any more
RECOVERED: Final = timedelta(days=7)
PROBES: Final = 16
STORE_SECONDS: Final = 10.0

Namespaced = tuple[str, str]


class Recorder:
    """One per destination cluster."""

    def __init__(
        self, kubernetes: Kubernetes, around: Surroundings, *, namespaces: Sequence[str] = (), pace: Pace = PACE
    ) -> None:
        self.cluster = kubernetes.name
        self._kubernetes = kubernetes
        self._around = around
        self._store = around.store
        self._clock = around.clock
        self._watches = Watches(kubernetes, around, pace=pace, on_trouble=self._troubled)
        self._spill = Spill(around, operations_of=self._operations_of)
        self._readers = Readers(kubernetes, around, due=self._spill.due)
        self._recordings: dict[str, Recording] = {}  # by Job uid
        self._uids: dict[Namespaced, str] = {}  # the newest Job of a name
        self._owners: dict[str, str] = {}  # Pod uid -> Job uid
        self._living: dict[str, set[str]] = {}  # namespace -> uids of Pods that its watch shows
        self._unclaimed = Unclaimed()
        self._probing = asyncio.Semaphore(PROBES)
        self._to_probe: set[str] = set()
        self._group = asyncio.TaskGroup()
        self._on_demand = OnDemand(self._group)
        self._operated = OperatedHooks(
            kubernetes, self._watches, namespaces=namespaces or ("",), on_event=self._on_operated, clock=self._clock
        )
        self._metadata = tuple(self._watches.job_metadata(name, self._on_job) for name in namespaces or ("",))

    async def run(self) -> None:
        """Until cancelled; what is held then goes to the store."""
        try:
            async with self._group as group:
                for reflector in self._metadata:
                    group.create_task(reflector.run(), name=f"jobs of {self.cluster}")
                group.create_task(self._operated.run(), name=f"operated hooks of {self.cluster}")
                group.create_task(self._tick(), name=f"recorder of {self.cluster}")
                group.create_task(self._spill.run(self._recordings.values()), name=f"spill of {self.cluster}")
        finally:
            await self._spill.last(self._recordings.values())

    @property
    def idle(self) -> bool:
        """All that was told is stored and published, and the log of every container that ended has been read."""
        watching = all(reflector.drained for reflector in self.reflectors)
        reading = any(recording.reading for recording in self._recordings.values())
        return watching and not reading and not self._to_probe and self._spill.idle

    @property
    def follows(self) -> int:
        return self._readers.follows

    def scanned(self, pod_uid: str, container: str, restart: int) -> int:
        """Lines read so far of one container run's log."""
        return self._readers.scanned(log_key(pod_uid, container, restart))

    @property
    def lasting(self) -> Sequence[Reflector[SeenJob]]:
        """The watches that are open all the time: they tell how current our picture is."""
        return self._metadata

    @property
    def reflectors(self) -> Sequence[Reflector[Any]]:
        """All that are open now."""
        return (*self._metadata, *self._operated.reflectors, *self._on_demand.reflectors)

    async def recover(self, apps: Iterable[AppKey]) -> None:
        """After the first lists: hooks that an earlier life of ours recorded and that went while we were away."""
        since = self._clock.now() - RECOVERED
        for app in apps:
            async with asyncio.timeout(STORE_SECONDS):
                runs = await self._store.hook_runs(app, since=since)
            for run in runs:
                told = run.kind == "Job" or self._operated.synced
                if told and run.cluster == self.cluster and run.gone_at is None and run.uid not in self._recordings:
                    self._went_unseen(run)

    def _went_unseen(self, run: HookRun) -> None:
        now = self._clock.now()
        recording = self._recordings[run.uid] = Recording(run, now, away=True, stored=run)
        for pod in run.pods:
            recording.pod_gone(pod.uid, now, unseen=True)
        recording.job_gone(now, pods_watched=True)
        self._close(recording)
        self._spill.due()

    async def _on_job(self, event: WatchEvent[SeenJob]) -> None:
        if event.change is Change.RELISTED:
            return
        namespace, _, name = event.key.partition("/")
        seen = event.object
        uid = seen.uid if seen is not None else self._uids.get((namespace, name), "")
        recording = self._recordings.get(uid)
        if seen is not None and seen.run is not None:
            recording = recording or await self._register(seen, seen.run)
            recording.see_job(seen)
        if recording is None:
            return
        if event.change is Change.DELETED:
            watched = recording.closed or self._on_demand.synced("pods", namespace)
            recording.job_gone(self._clock.now(), pods_watched=watched)
        self._spill.due()

    async def _on_operated(self, event: WatchEvent[SeenJob]) -> None:
        """No Pods, no logs of its own: each version tells all there is."""
        seen = event.object
        namespace, _, name = event.key.partition("/")
        uid = seen.uid if seen is not None else self._uids.get((namespace, name), "")
        recording = self._recordings.get(uid)
        if seen is not None and seen.run is not None:
            if recording is None:
                stored = await self._recall(uid)
                recording = Recording(seen.run, self._clock.now(), away=not self._operated.synced, stored=stored)
                self._recordings[uid] = recording
                self._uids[namespace, name] = uid
            recording.see_job(seen)
        if recording is not None and event.change is Change.DELETED:
            recording.job_gone(self._clock.now(), pods_watched=True)
        self._spill.due()

    async def _register(self, seen: SeenJob, run: HookRun) -> Recording:
        stored = await self._recall(run.uid)
        if run.uid in self._recordings:  # another watch was faster
            return self._recordings[run.uid]
        now = self._clock.now()
        listed = not all(reflector.synced.is_set() for reflector in self._metadata)
        recording = self._recordings[run.uid] = Recording(run, now, away=listed, stored=stored)
        self._uids[seen.namespace, seen.name] = run.uid
        if stored is not None and recording.settled and not recording.unread:
            recording.close(self._operations_of(run))
        elif listed:
            self._to_probe.add(run.uid)
            self._group.create_task(self._probe(recording), name=f"probe {run.uid}")
        else:
            self._open(recording)
        return recording

    async def _recall(self, uid: str) -> HookRun | None:
        try:
            async with asyncio.timeout(STORE_SECONDS):
                return await self._store.hook_run(self.cluster, uid)
        except (StoreError, TimeoutError) as error:
            logger.warning("what was stored of hook %s cannot be read: %s", uid, str(error) or type(error).__name__)
            return None

    async def _probe(self, recording: Recording) -> None:
        """One of many Jobs that were there before us: watch it only if something may still come of it."""
        run = recording.run
        path = f"/apis/batch/v1/namespaces/{run.namespace}/jobs/{run.name}"
        try:
            async with self._probing:
                body = await self._kubernetes.get(path)
            recording.see_job(self._watches.seen_job(msgspec.json.decode(body, type=JobWire)))
        except (ApiError, msgspec.DecodeError) as error:
            logger.info("hook %s/%s is watched without having been read: %s", run.namespace, run.name, error)
        completed = recording.run.completed
        if completed is not None and completed.at is not None and self._clock.now() - completed.at > RECENT:
            self._close(recording)
        else:
            self._open(recording)
        self._to_probe.discard(run.uid)
        self._spill.due()

    def _open(self, recording: Recording) -> None:
        run = recording.run
        namespace = run.namespace
        self._group.create_task(asyncio.to_thread(rehearse, self._around.scan), name=f"rehearsal for {run.uid}")
        if run.gone_at is None:
            job = partial(self._watches.job, namespace, run.name, self._on_job)
            self._on_demand.open(job, "job", namespace, run.name)
        self._on_demand.open(
            partial(self._watches.pods, namespace, partial(self._on_pod, namespace)), "pods", namespace
        )
        self._on_demand.open(partial(self._watches.events, namespace, self._on_event), "events", namespace)
        for pod in self._unclaimed.pods(run.uid):
            self._see_pod(recording, pod)
        for event in self._unclaimed.events(run.uid):
            recording.see_event(event)
        if self._on_demand.synced("pods", namespace):
            self._find_vanished(recording)

    def _on_pod(self, namespace: str, event: WatchEvent[SeenPod]) -> None:
        living = self._living.setdefault(namespace, set())
        if event.change is Change.RELISTED:
            for recording in self._open_in(namespace):
                self._find_vanished(recording)
            return
        if event.change is Change.DELETED:
            living.discard(event.key)
        else:
            living.add(event.key)
        job_uid = event.object.job_uid if event.object is not None else self._owners.get(event.key, "")
        owner = self._recordings.get(job_uid)
        if owner is None:
            self._unclaimed.keep_pod(job_uid, event, self._clock.now())
            return
        if event.object is not None:
            self._see_pod(owner, event.object.pod)
        if event.change is Change.DELETED:
            self._pod_gone(owner, event.key, unseen=event.final_state_unknown)

    def _see_pod(self, recording: Recording, pod: PodRun) -> None:
        self._owners[pod.uid] = recording.run.uid
        merged, unread = recording.see_pod(pod)
        if not recording.closed:
            self._readers.begin(self._group, recording, merged, unread)
        self._readers.tell(recording, merged)
        for event in self._unclaimed.events(pod.uid):
            recording.see_event(event)
        self._spill.due()

    def _pod_gone(self, recording: Recording, uid: str, *, unseen: bool) -> None:
        recording.pod_gone(uid, self._clock.now(), unseen=unseen)
        for pod in recording.run.pods:
            if pod.uid == uid:
                self._readers.tell(recording, pod)
        self._spill.due()

    def _find_vanished(self, recording: Recording) -> None:
        """Pods that an earlier life recorded and that the first list does not show."""
        living = self._living.get(recording.run.namespace, set())
        for pod in recording.run.pods:
            if pod.uid not in living:
                self._pod_gone(recording, pod.uid, unseen=True)

    def _on_event(self, event: WatchEvent[SeenEvent]) -> None:
        seen = event.object
        if seen is None or seen.event is None or event.change is Change.DELETED:
            return
        uid = seen.about_uid
        recording = self._recordings.get(uid) or self._recordings.get(self._owners.get(uid, ""))
        if recording is None:
            self._unclaimed.keep_event(uid, seen.event)
            return
        recording.see_event(seen.event)
        self._spill.due()

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(self._around.limits.spill_every.total_seconds())
            self._spill.due()
            now = self._clock.now()
            for recording in list(self._recordings.values()):
                if recording.closed:
                    if recording.run.gone_at is not None and now - recording.run.gone_at > FORGET_AFTER:
                        self._forget(recording)
                elif not recording.settled:
                    recording.quiet_since = None
                elif recording.quiet_since is None:
                    recording.quiet_since = now
                elif now - recording.quiet_since >= LINGER and not (recording.dirty or self._spill.holds(recording)):
                    self._close(recording)

    def _close(self, recording: Recording) -> None:
        run = recording.run
        recording.close(self._operations_of(run))
        self._spill.count_gaps(recording)
        self._readers.forget(recording)
        same_namespace = self._open_in(run.namespace)
        if not any(other.run.name == run.name for other in same_namespace):
            self._on_demand.close("job", run.namespace, run.name)
        if not same_namespace:
            self._on_demand.close("pods", run.namespace)
            self._on_demand.close("events", run.namespace)
            self._living.pop(run.namespace, None)

    def _forget(self, recording: Recording) -> None:
        run = recording.run
        del self._recordings[run.uid]
        if self._uids.get((run.namespace, run.name)) == run.uid:
            del self._uids[run.namespace, run.name]
        for pod in run.pods:
            self._owners.pop(pod.uid, None)

    def _open_in(self, namespace: str) -> list[Recording]:
        return [r for r in self._recordings.values() if not r.closed and r.run.namespace == namespace]

    def _operations_of(self, run: HookRun) -> Sequence[OperationRecord]:
        app = app_key(run.tracked, self._around.control_plane)
        if app is None:
            return ()
        return sorted(self._around.operations(app), key=lambda record: record.started_at, reverse=True)

    def _troubled(self, resource: str, trouble: Trouble) -> None:
        self._around.metrics.watch_restarts_total(resource, trouble).inc()
