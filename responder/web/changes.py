"""Which incident changed: told to every page that is open. Bounded, merged, and never in the way of who tells it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

SUBSCRIBERS = 200
PENDING = 256  # ids one subscriber may be behind; beyond that it is told to look at everything


class FullError(Exception):
    """As many listen as may."""


class Subscription:
    """What one listener has not been told yet. The same incident is told once, however often it changed."""

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}
        self._lost = False
        self._ended = False
        self._something = asyncio.Event()

    def add(self, incident_id: str) -> None:
        if len(self._ids) >= PENDING and incident_id not in self._ids:
            self._ids.clear()
            self._lost = True
        if not self._lost:
            self._ids[incident_id] = None
        self._something.set()

    def end(self) -> None:
        self._ended = True
        self._something.set()

    async def batches(self, every: float) -> AsyncIterator[list[str] | None]:
        """Ids that changed since the last batch; none after ``every`` seconds of silence; None: all may have."""
        while True:
            try:
                async with asyncio.timeout(every):
                    await self._something.wait()
            except TimeoutError:
                yield []
                continue
            if self._ended:
                return
            self._something.clear()
            ids, lost = list(self._ids), self._lost
            self._ids.clear()
            self._lost = False
            yield None if lost else ids


class Changes:
    def __init__(self, limit: int = SUBSCRIBERS) -> None:
        self._limit = limit
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    def publish(self, incident_id: str) -> None:
        for subscription in self._subscriptions:
            subscription.add(incident_id)

    @contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        if self._closed or len(self._subscriptions) >= self._limit:
            raise FullError
        subscription = Subscription()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def close(self) -> None:
        """Every stream ends: a browser comes back by itself, to whoever serves then."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.end()

    def __len__(self) -> int:
        return len(self._subscriptions)
