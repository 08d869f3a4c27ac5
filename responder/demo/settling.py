"""When has the responder worked off all that its cluster holds? Asked wherever time only moves after that."""

import asyncio
import time
from collections.abc import Mapping

from responder.app import Responder
from responder.demo.clock import SteppedClock
from responder.demo.objects import Objects

LogKey = tuple[str, str, int]  # Pod uid, container, restart

_SETTLE_SECONDS = 60.0  # without an end in sight; a machine with much else to do is slow
_TURN_SECONDS = 0.001  # between two looks: the watches, the store's thread and the loop would all have to tell us
_TURNS = 10
_PATIENCE_SECONDS = 4.0  # a slow machine must not move time


class NotSettledError(Exception):
    """The responder did not come to rest; the message says what is behind."""


class Settling:
    """``printed``: lines so far, by log; it grows while we look."""

    def __init__(self, objects: Objects, responder: Responder, clock: SteppedClock, printed: Mapping[LogKey, int]):
        self._objects = objects
        self._responder = responder
        self._clock = clock
        self._printed = printed
        self._read: dict[LogKey, int] = {}  # a recorder may forget what it has read: it is asked once

    async def settle(self) -> None:
        """Until every watch has seen every change, every line is scanned and no step is due."""
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                moved = time.monotonic()
                for _ in range(_TURNS):  # whoever slept until now wakes, and whom that wakes
                    await asyncio.sleep(0)
                while self._behind():
                    await asyncio.sleep(_TURN_SECONDS)
                    if self._clock.next_due is not None and time.monotonic() - moved > _PATIENCE_SECONDS:
                        self._clock.move_to(self._clock.next_due)  # a request that failed waits for its next try
                        moved = time.monotonic()
        except TimeoutError as error:
            raise NotSettledError(f"the responder did not come to rest: {self._behind()}") from error

    def _behind(self) -> str:
        version = self._objects.resource_version
        behind = [
            w.resource for w in self._responder.watches if int(w.resource_version or 0) < version or not w.drained
        ]
        if behind:
            return f"watches behind {version}: {behind}"
        for key, lines in self._printed.items():
            if self._read.get(key, 0) < lines:
                if self._responder.scanned(*key) < lines:
                    return f"the log of {key[1]} in Pod {key[0]}"
                self._read[key] = lines
        return "" if self._responder.idle else "steps or spills are due"
