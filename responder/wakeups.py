"""Which Applications wait to be looked at: merged by Application, each by one worker at a time, at once or later."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime

from responder.core.argocd import AppKey
from responder.ports import Clock, Cluster, Trigger

_TOLD = frozenset({Trigger.WEBHOOK, Trigger.STOCK_TEMPLATE})


class Wakeups:
    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._pending: dict[AppKey, set[Trigger]] = {}
        self._busy: set[AppKey] = set()
        self._timers: list[tuple[datetime, int, AppKey]] = []
        self._due: dict[AppKey, datetime] = {}
        self._count = itertools.count()
        self._work = asyncio.Event()
        self._rearmed = asyncio.Event()
        self._freed = asyncio.Condition()

    def wake(self, key: AppKey, trigger: Trigger) -> None:
        """Cheap, never blocks, merges."""
        self._pending.setdefault(key, set()).add(trigger)
        self._work.set()

    def wake_at(self, key: AppKey, at: datetime) -> None:
        """One timer an Application, the nearest: the step it wakes says anew when to look again."""
        held = self._due.get(key)
        if held is not None and held <= at:
            return
        self._due[key] = at
        heapq.heappush(self._timers, (at, next(self._count), key))
        self._rearmed.set()

    def resume(self) -> None:
        """The cluster can be seen (again)."""
        self._work.set()

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing runs; timers may be set for later."""
        return not self._pending and not self._busy

    @property
    def pending(self) -> int:
        """Applications that wait to be looked at."""
        return len(self._pending)

    async def ring(self) -> None:
        """Timers: wake what is due, sleep until the next, or until a nearer one is set."""
        while True:
            now = self._clock.now()
            while self._timers and self._timers[0][0] <= now:
                at, _, key = heapq.heappop(self._timers)
                if self._due.get(key) == at:  # else a nearer one replaced it
                    del self._due[key]
                    self.wake(key, Trigger.TIMER)
            self._rearmed.clear()
            if not self._timers:
                await self._rearmed.wait()
                continue
            await _either(self._clock.sleep((self._timers[0][0] - now).total_seconds()), self._rearmed.wait())

    async def take(self) -> tuple[AppKey, set[Trigger]]:
        """The next Application, and what woke it; nobody else is given it until it is freed."""
        while (key := self._next()) is None:
            self._work.clear()
            await self._work.wait()
        self._busy.add(key)
        return key, self._pending.pop(key)

    def _next(self) -> AppKey | None:
        fresh = self._cluster.freshness()
        if not fresh.synced:
            return None  # wake-ups stay pending: no incident is made up from half a picture
        # A webhook says "look", so it waits until there is something new to be seen.
        held = _TOLD if fresh.trouble else frozenset()
        return next((k for k, why in self._pending.items() if k not in self._busy and not why <= held), None)

    async def free(self, key: AppKey) -> None:
        self._busy.discard(key)
        self._work.set()
        async with self._freed:
            self._freed.notify_all()

    @asynccontextmanager
    async def exclusive(self, key: AppKey) -> AsyncIterator[None]:
        """Nobody is given this Application meanwhile: for what a person changes by hand."""
        async with self._freed:
            await self._freed.wait_for(lambda: key not in self._busy)
            self._busy.add(key)
        try:
            yield
        finally:
            await self.free(key)


async def _either(*waits: Coroutine[object, object, object]) -> None:
    """Until the first of them is done; the others are cancelled."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(w) for w in waits]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
