"""The logs of all hooks of one cluster: begun when a container has started, read to the end, bounded together."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from responder.cluster.client import Kubernetes
from responder.cluster.following import Follow, Subject
from responder.cluster.recording import Recording
from responder.cluster.slots import Slots
from responder.cluster.surroundings import Surroundings
from responder.core.evidence import GapReason
from responder.core.hooks import ContainerRun, ContainerState, PodRun
from responder.core.logtape import Bounds, LogTape, log_key
from responder.ports import StoreError

logger = logging.getLogger(__name__)

STORE_SECONDS: Final = 10.0


class Readers:
    def __init__(
        self,
        kubernetes: Kubernetes,
        around: Surroundings,
        *,
        due: Callable[[], None],
    ) -> None:
        """``due``: something is to be stored at once."""
        self._kubernetes = kubernetes
        self._around = around
        self._limits = limits = around.limits
        self._bounds = Bounds(limits.head, limits.tail, limits.line)
        self._due = due
        self._slots = Slots(limits.follows, around.metrics.recorder_follows.set)
        self._turns = asyncio.Lock()
        self._tapes: dict[str, LogTape] = {}

    @property
    def follows(self) -> int:
        return self._slots.used

    def scanned(self, key: str) -> int:
        tape = self._tapes.get(key)
        return tape.lines if tape else 0

    def begin(
        self, group: asyncio.TaskGroup, recording: Recording, pod: PodRun, containers: Iterable[ContainerRun]
    ) -> None:
        for container in containers:
            key = log_key(pod.uid, container.name, container.restart)
            subject = Subject(recording.run.namespace, pod.name, container.name, container.restart)
            tape = self._tapes[key] = LogTape(
                key, self._bounds, redactor=self._around.redactor.stream(), scan=self._around.scan, room=self._room
            )
            follow = Follow(
                self._kubernetes,
                subject,
                tape,
                line=self._limits.line,
                turns=self._turns,
                on_lines=self._on_lines,
            )
            recording.follows[key] = follow
            group.create_task(self._read(recording, key, follow, container), name=f"log {key}")

    def tell(self, recording: Recording, pod: PodRun) -> None:
        """The Pod changed: its readers must know how their containers stand."""
        current: dict[str, int] = {}
        for run in pod.containers:
            if run.state is not ContainerState.WAITING:
                current[run.name] = run.restart
        for run in pod.containers:
            follow = recording.follows.get(log_key(pod.uid, run.name, run.restart))
            if follow is not None:
                follow.subject.tell(
                    ended=run.state is ContainerState.TERMINATED,
                    finished_at=run.finished_at,
                    current=current[run.name],
                    gone=pod.gone_at is not None,
                )

    def forget(self, recording: Recording) -> None:
        for key in recording.follows:
            self._tapes.pop(key, None)
        recording.follows.clear()

    async def _read(self, recording: Recording, key: str, follow: Follow, container: ContainerRun) -> None:
        async with self._slots.one(follow.subject) as free:
            gap = await self._followed(key, follow, container) if free else GapReason.RECORDER_BUSY
        recording.read(key, gap)
        self._due()

    async def _followed(self, key: str, follow: Follow, container: ContainerRun) -> GapReason | None:
        try:
            await self._recall(key, follow, container)
            await follow.run()
        except Exception:  # here and not atop all: a fault over one log must not end the recording of the others
            logger.exception("log %s could not be read to its end", key)
            return GapReason.LOG_UNREADABLE
        return follow.gap

    async def _recall(self, key: str, follow: Follow, container: ContainerRun) -> None:
        """What an earlier life of ours kept of this log."""
        if container.log is None or not container.log.lines:
            return
        try:
            async with asyncio.timeout(STORE_SECONDS):
                stored = await self._around.store.log(key)
        except (StoreError, TimeoutError):
            return  # the store takes the same lines again
        if stored is not None:
            follow.recall(stored, container.log)

    def _on_lines(self, size: int, matched: bool) -> None:
        self._around.metrics.recorder_bytes_total.inc(size)
        if matched:
            self._due()

    def _room(self) -> int:
        return self._limits.memory // max(1, self._slots.used)
