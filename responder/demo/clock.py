"""Clocks for the demo: one that runs faster than the wall's, one that moves only when it is told to.

Both serve program, API server and stamps alike; network deadlines stay real.
"""

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta


class FastClock:
    """Runs ``factor`` times as fast as the wall's, from now."""

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._begun = datetime.now(UTC)
        self._base = time.monotonic()

    def now(self) -> datetime:
        return self._begun + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return (time.monotonic() - self._base) * self._factor

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / self._factor)


class SteppedClock:
    """Stands still until it is moved; whoever sleeps wakes when it passes their time, in order."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._now = start
        self._sleepers: list[tuple[datetime, int, asyncio.Event]] = []
        self._count = itertools.count()

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.Event()
        heapq.heappush(self._sleepers, (self._now + timedelta(seconds=seconds), next(self._count), woken))
        await woken.wait()

    @property
    def next_due(self) -> datetime | None:
        """When the next sleeper wakes."""
        return self._sleepers[0][0] if self._sleepers else None

    def move_to(self, then: datetime) -> None:
        """Forward only. Sleepers due by then are woken; they run when the loop next turns."""
        self._now = max(self._now, then)
        while self._sleepers and self._sleepers[0][0] <= self._now:
            heapq.heappop(self._sleepers)[2].set()
