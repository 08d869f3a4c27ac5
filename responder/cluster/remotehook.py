"""What is recorded of one hook of a cluster that only Argo CD reaches; see ``spilling.Recorded``."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import msgspec

from responder.cluster.argologs import HookLog
from responder.core.argocd import OperationRecord
from responder.core.evidence import Gap, GapReason
from responder.core.hooks import ContainerKind, HookRun
from responder.core.logtape import LogTape
from responder.core.remotehooks import with_logs

ONLY: Final = "main"  # name of a container that nobody named

replace = msgspec.structs.replace


class RereadTape:
    """Of a log that is read from its first line each time."""

    def __init__(self, tape: LogTape) -> None:
        self.tape = tape
        self.read = 0  # lines, this time


class RemoteHook:
    def __init__(self, run: HookRun, log: HookLog, sidecars: Collection[str], drain: float) -> None:
        """``drain``: seconds after its end in which a stream of its log must end."""
        self.run = run
        self.log = log
        self.dirty = True
        self.stored: HookRun | None = None
        self.published: HookRun | None = None
        self.follows: dict[str, RereadTape] = {}
        self.over: dict[str, GapReason | None] = {}
        self.tapes: dict[tuple[str, str], RereadTape] = {}  # by Pod and container
        self.kinds: dict[str, ContainerKind] = dict.fromkeys(sidecars, ContainerKind.SIDECAR)
        self.missing: Gap | None = None
        self.done = False  # nothing more is read
        self._changed = asyncio.Event()
        self._streams: set[asyncio.Timeout] = set()  # that are open
        self._drain = drain
        self._told: set[tuple[str, GapReason]] = set()

    @property
    def ended(self) -> bool:
        return bool(self.run.failed or self.run.completed)

    def of(self, container: str) -> list[RereadTape]:
        return [held for (_, name), held in self.tapes.items() if name == (container or ONLY)]

    def see(self, run: HookRun) -> None:
        run = replace(run, first_seen_at=self.run.first_seen_at)
        if run != self.run:
            self.run, self.dirty = run, True
            if self.ended:
                self._hurry()
            self._changed.set()
            self._changed = asyncio.Event()

    async def changed_within(self, seconds: float) -> None:
        """Returns after that time at the latest."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    @asynccontextmanager
    async def limited(self) -> AsyncIterator[None]:
        """For a stream of its log: cut off a while after the hook's end; ``TimeoutError`` then."""
        async with asyncio.timeout(None) as limit:
            self._streams.add(limit)
            try:
                if self.ended:
                    self._hurry()
                yield
            finally:
                self._streams.discard(limit)

    def _hurry(self) -> None:
        for limit in self._streams:
            limit.reschedule(asyncio.get_running_loop().time() + self._drain)

    def value(self, operations: Sequence[OperationRecord]) -> HookRun:
        del operations
        logs = {place: held.tape.summary() for place, held in self.tapes.items()}
        run = with_logs(self.run, logs, self.kinds)
        return replace(run, gaps=(*run.gaps, self.missing)) if self.missing is not None else run

    def newly_final(self) -> Sequence[Gap]:
        gaps = self.published.gaps if self.published is not None else ()
        new = [gap for gap in gaps if (gap.source, gap.reason) not in self._told]
        self._told.update((gap.source, gap.reason) for gap in new)
        return new
