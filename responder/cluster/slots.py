"""How many logs are followed at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from responder.cluster.following import Subject

LOOK_AGAIN: Final = 0.2  # seconds


class Slots:
    """Beyond the cap a log waits until its container has ended; for those a quarter more are kept free.

    So many hooks that run for hours never keep the log of a failed one from being read.
    """

    def __init__(self, most: int, on_change: Callable[[int], None]) -> None:
        self.used = 0
        self._most = most
        self._reserve = max(1, most // 4)
        self._on_change = on_change

    @asynccontextmanager
    async def one(self, subject: Subject) -> AsyncIterator[bool]:
        """False: the Pod went before there was room."""
        waited = False
        while not self._room(subject) and not (waited and subject.gone):
            waited = True
            await asyncio.sleep(LOOK_AGAIN)
        if waited and subject.gone:
            yield False
            return
        self._count(1)
        try:
            yield True
        finally:
            self._count(-1)

    def _room(self, subject: Subject) -> bool:
        return self.used < self._most + (self._reserve if subject.ended and not subject.gone else 0)

    def _count(self, change: int) -> None:
        self.used += change
        self._on_change(self.used)
