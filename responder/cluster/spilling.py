"""What was recorded goes to the store, then to whoever decides: they find the log that the value speaks of.

While the store is away, values are passed on all the same; logs are held as long as there is room.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from responder.cluster.recording import without_counters
from responder.cluster.surroundings import Surroundings
from responder.core.argocd import OperationRecord
from responder.core.evidence import Gap, GapReason
from responder.core.hooknaming import app_key
from responder.core.hooks import HookRun
from responder.core.logblock import LogBlock
from responder.core.logtape import LogTape
from responder.ports import AppendLog, PutHookRun, StoreError, Write

logger = logging.getLogger(__name__)

COMMIT_SECONDS: Final = 10.0
LAST_SECONDS: Final = 5.0  # at shutdown
BATCH_BYTES: Final = 4 << 20
GATHER_SECONDS: Final = 0.01  # what comes at the same time is stored together
PAUSE_SECONDS: Final = 1.0  # after the store refused


class Taped(Protocol):
    @property
    def tape(self) -> LogTape: ...


class Recorded(Protocol):
    """What is spilled: a hook of which somebody keeps a record. See ``recording.Recording``."""

    run: HookRun
    dirty: bool
    stored: HookRun | None
    published: HookRun | None

    @property
    def follows(self) -> Mapping[str, Taped]: ...

    @property
    def over(self) -> Mapping[str, GapReason | None]: ...

    def value(self, operations: Sequence[OperationRecord]) -> HookRun: ...

    def newly_final(self) -> Sequence[Gap]: ...


class _Part:
    """One recording's share of a commit."""

    def __init__(self, recording: Recorded, value: HookRun, blocks: list[tuple[LogTape, LogBlock]]) -> None:
        self.recording = recording
        self.value = value
        self.blocks = blocks
        self.size = sum(len(block.raw) for _, block in blocks)


class Spill:
    def __init__(
        self, around: Surroundings, *, operations_of: Callable[[HookRun], Sequence[OperationRecord]] = lambda _: ()
    ) -> None:
        self._around = around
        self._metrics = around.metrics
        self._operations_of = operations_of
        self._due = asyncio.Event()
        self._batch: list[_Part] = []  # on its way to the store
        self._working = False
        self._away = False  # the store refused the last commit: what is told does not wait for the next

    @property
    def idle(self) -> bool:
        """Nothing waits to be stored."""
        return not self._due.is_set() and not self._working

    def holds(self, recording: Recorded) -> bool:
        """Some of it is on its way to the store, and may come back."""
        return any(part.recording is recording for part in self._batch)

    def count_gaps(self, recording: Recorded) -> None:
        for gap in recording.newly_final():
            self._metrics.evidence_gaps_total(gap.reason).inc()

    def due(self) -> None:
        self._due.set()

    async def run(self, recordings: Iterable[Recorded]) -> None:
        """``recordings`` is looked through each time something is due."""
        while True:
            await self._due.wait()
            self._working = True
            await asyncio.sleep(GATHER_SECONDS)
            self._due.clear()
            if not await self.once(recordings):
                await asyncio.sleep(PAUSE_SECONDS)
            self._working = False

    async def last(self, recordings: Iterable[Recorded]) -> None:
        try:
            async with asyncio.timeout(LAST_SECONDS):
                await self.once(recordings)
        except TimeoutError:
            logger.warning("the store did not take the last of the recorded logs in time")

    async def once(self, recordings: Iterable[Recorded]) -> bool:
        """False when the store refused something: it stays to be stored."""
        well = True
        self._take_back()
        for recording in list(recordings):
            part = self._part(recording)
            if part is None:
                continue
            self._batch.append(part)
            if sum(part.size for part in self._batch) >= BATCH_BYTES:
                well &= await self._store_batch()
            await asyncio.sleep(0)  # a part of many lines takes milliseconds
        return await self._store_batch() and well

    def _take_back(self) -> None:
        """What was on its way when we were cancelled."""
        for part in self._batch:
            part.recording.dirty = True
            for tape, _ in part.blocks:
                tape.give_back()
        self._batch = []

    def _part(self, recording: Recorded) -> _Part | None:
        blocks = []
        for key, follow in recording.follows.items():
            block = follow.tape.take(ended=key in recording.over)
            if block is not None:
                blocks.append((follow.tape, block))
            self._metrics.recorder_lines_dropped_total.inc(follow.tape.newly_dropped())
        if not blocks and not recording.dirty:
            return None
        recording.dirty = False
        return _Part(recording, recording.value(self._operations_of(recording.run)), blocks)

    async def _store_batch(self) -> bool:
        early = self._away
        for part in self._batch if early else ():
            self._tell(part)
        stored = await self._commit([write for part in self._batch for write in self._writes(part)])
        self._away = not stored
        batch, self._batch = self._batch, []
        for part in batch:
            self._settle(part, stored=stored)
            self._tell(part, anew=early and stored)  # now its log can be read, too
        return stored

    def _writes(self, part: _Part) -> Iterator[Write]:
        for _, block in part.blocks:
            yield AppendLog(block)
        if part.value != part.recording.stored:
            yield PutHookRun(app_key(part.value.tracked, self._around.control_plane), part.value)

    async def _commit(self, writes: Sequence[Write]) -> bool:
        if not writes:
            return True
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                await self._around.store.commit(*writes)
        except (StoreError, TimeoutError) as error:
            logger.warning("recorded evidence could not be stored, it is held: %s", str(error) or type(error).__name__)
            return False
        return True

    def _settle(self, part: _Part, *, stored: bool) -> None:
        recording = part.recording
        for tape, _ in part.blocks:
            if stored:
                tape.stored()
            else:
                tape.give_back()
        if stored:
            recording.stored = part.value
        else:
            recording.dirty = True

    def _tell(self, part: _Part, *, anew: bool = False) -> None:
        recording = part.recording
        before, recording.published = recording.published, part.value
        self.count_gaps(recording)
        if anew or before != part.value:
            woken = anew or before is None or without_counters(before) != without_counters(part.value)
            self._around.publish(part.value, woken)
