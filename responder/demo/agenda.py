"""What is to happen later, in order: the models' only way to let time pass.

They are plain functions of time, so that a test may move the clock and see every step; ``run`` drives them.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta

from responder.ports import Clock


class Agenda:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._entries: list[tuple[datetime, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._nearer = asyncio.Event()

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._entries, (self.clock.now() + timedelta(seconds=seconds), next(self._count), do))
        self._nearer.set()

    @property
    def next_due(self) -> datetime | None:
        return self._entries[0][0] if self._entries else None

    def run_due(self) -> bool:
        """Does what is due now, and what that makes due; answers whether there was anything."""
        done = False
        while self._entries and self._entries[0][0] <= self.clock.now():
            heapq.heappop(self._entries)[2]()
            done = True
        return done

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.run_due()
            self._nearer.clear()
            if not self._entries:
                await self._nearer.wait()
                continue
            left = (self._entries[0][0] - self.clock.now()).total_seconds()
            await self._sleep(left)

    async def _sleep(self, seconds: float) -> None:
        """Until then, or until something nearer is put in."""
        async with asyncio.TaskGroup() as group:
            waits = [group.create_task(self.clock.sleep(seconds)), group.create_task(self._rearmed())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    async def _rearmed(self) -> None:
        await self._nearer.wait()
