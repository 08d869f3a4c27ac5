"""list + watch that survives 410, 429, EOF, cut lines and silence: one resource, one path.

A reader follows the server, a deliverer hands one event after another to the handler; between them is a bounded queue.
When the handler is slow the queue fills, the reader stops, TCP pushes back and the server at last ends the watch: it is
then resumed from the last event read, or relisted when the server has forgotten that. Nothing is lost but time.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from responder.cluster.client import JSON, Kubernetes, Query
from responder.cluster.errors import (
    UNREADABLE,
    ApiError,
    Forbidden,
    Gone,
    NotFound,
    Status,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    api_error,
)
from responder.cluster.wire import Event
from responder.ports import Clock

T = TypeVar("T")

logger = logging.getLogger(__name__)

PAGE = 500
PAGE_SECONDS = 60.0
QUEUE = 1000
SILENCE_SECONDS = 75.0  # the server sends a bookmark about every minute
LONGEST_RETRY_AFTER = 300.0


class Change(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    RELISTED = "RELISTED"  # what the server holds has been told completely


class WatchEvent(msgspec.Struct, Generic[T], frozen=True):
    """``object`` is None for RELISTED, and for a deletion found by a relist (``final_state_unknown``)."""

    change: Change
    key: str = ""
    object: T | None = None
    final_state_unknown: bool = False


class Trouble(StrEnum):
    """Why a watch had to begin anew: a closed label."""

    EXPIRED = "expired"
    EOF = "eof"
    SILENCE = "silence"
    THROTTLED = "throttled"
    FORBIDDEN = "forbidden"
    UNAUTHORIZED = "unauthorized"
    UNAVAILABLE = "unavailable"
    MALFORMED = "malformed"
    UNREACHABLE = "unreachable"
    ABSENT = "absent"  # the server has no such kind


class Pace(msgspec.Struct, frozen=True):
    """Seconds. Back-off doubles from ``first`` to ``longest``; ``slow`` is for what a person must mend: what
    was refused from the beginning.

    ``watch``: how long a watch is asked for, at random in between; one that ends within ``short`` was none.
    """

    first: float = 1.0
    longest: float = 30.0
    slow: float = 30.0
    watch: tuple[int, int] = (150, 300)
    short: float = 5.0


PACE = Pace()


def _unversioned(thing: object) -> tuple[str, str]:
    del thing
    return "", ""


def _untroubled(trouble: Trouble) -> None:
    del trouble


def _unmoved() -> None:
    pass


class Reflector(Generic[T]):
    def __init__(  # noqa: PLR0913  # one resource's whole description, all by name
        self,
        kubernetes: Kubernetes,
        *,
        resource: str,
        path: str,
        query: Query = (),
        accept: str = JSON,
        decode_list: Callable[[bytes], tuple[str, str | None, Sequence[T]]],
        decode_event: Callable[[bytes], Event[T]],
        key: Callable[[T], str],
        on_event: Callable[[WatchEvent[T]], Awaitable[None] | None],
        clock: Clock,
        version: Callable[[T], tuple[str, str]] = _unversioned,
        on_trouble: Callable[[Trouble], None] = _untroubled,
        on_recovery: Callable[[], None] = _unmoved,
        silence: float = SILENCE_SECONDS,
        pace: Pace = PACE,
        queue_size: int = QUEUE,
    ) -> None:
        """``version`` gives (uid, resourceVersion): without it a relist tells every object again as MODIFIED.

        ``accept`` METADATA_LIST asks for metadata alone.
        """
        self.resource = resource
        self.resource_version: str | None = None
        self.synced = asyncio.Event()
        self.tried = asyncio.Event()  # synced, or refused for the first time
        self.last_event_at: datetime | None = None
        self.failing_since: datetime | None = None
        self.trouble: Trouble | None = None  # the present one, None while all is well
        self._kubernetes = kubernetes
        self._path = path
        self._query = tuple(query)
        self._accept = accept
        self._decode_list = decode_list
        self._decode_event = decode_event
        self._key = key
        self._on_event = on_event
        self._clock = clock
        self._version = version
        self._on_trouble = on_trouble
        self._on_recovery = on_recovery
        self._silence = silence
        self._pace = pace
        self._known: dict[str, tuple[str, str]] = {}
        self._queue: asyncio.Queue[WatchEvent[T]] = asyncio.Queue(queue_size)
        self._handling = False
        self._page = PAGE
        self._failures = 0
        self._silences = 0

    async def run(self) -> None:
        """Until cancelled, or until the handler raises."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._deliver(), name=f"deliver {self.resource}")
            group.create_task(self._read(), name=f"reflect {self.resource}")

    async def _deliver(self) -> None:
        while True:
            event = await self._queue.get()
            self._handling = True
            handled = self._on_event(event)
            if handled is not None:
                await handled
            if event.change is Change.RELISTED:
                self.synced.set()
                self.tried.set()
            self._handling = False

    @property
    def drained(self) -> bool:
        """All that was read has been handled."""
        return self._queue.empty() and not self._handling

    async def _read(self) -> None:
        while True:
            try:
                if self.resource_version is None:
                    await self._list()
                await self._watch(self.resource_version or "")
            except ApiError as error:
                await self._clock.sleep(self._struck(error))

    async def _list(self) -> None:
        seen: set[str] = set()
        token: str | None = None
        while True:
            query = [*self._query, ("limit", self._page), *([("continue", token)] if token else [])]
            body = await self._kubernetes.get(
                self._path, query, accept=self._accept, deadline=PAGE_SECONDS, attempts=1, verb="list"
            )
            with _malformed():
                version, token, items = self._decode_list(body)
            for item in items:
                seen.add(self._key(item))
                await self._tell_listed(item)
            if not token:
                break
        for key in [key for key in self._known if key not in seen]:
            await self._tell_vanished(key)
        await self._queue.put(WatchEvent(Change.RELISTED))
        self.resource_version = version
        self._heard()

    async def _tell_listed(self, item: T) -> None:
        key, version = self._key(item), self._version(item)
        before = self._known.get(key)
        if before == version and version[1]:
            return
        if before is not None and before[0] != version[0]:  # deleted and made again under the same name
            await self._tell_vanished(key)
            before = None
        self._known[key] = version
        await self._queue.put(WatchEvent(Change.MODIFIED if before is not None else Change.ADDED, key, item))

    async def _tell_vanished(self, key: str) -> None:
        del self._known[key]
        await self._queue.put(WatchEvent(Change.DELETED, key, final_state_unknown=True))

    async def _watch(self, since: str) -> None:
        """Returns when the server ended a watch that had lived; everything else is an ApiError."""
        loop = asyncio.get_running_loop()
        opened, began = loop.time(), self._clock.monotonic()  # deadlines are real, a watch lives by our clock
        seconds = random.randint(*self._pace.watch)  # noqa: S311  # spreads load, keeps no secret
        try:
            await self._stream(since, seconds)
        except Unavailable as error:
            if error.reason == "Timeout" and loop.time() - opened >= seconds:
                return  # the server forgot the end we asked for
            raise
        if self._clock.monotonic() - began < self._pace.short:
            raise Unavailable(200, "Eof", "the watch ended at once")

    async def _stream(self, since: str, seconds: int) -> None:
        query = [*self._query, ("resourceVersion", since)]
        accept = self._accept.replace("PartialObjectMetadataList", "PartialObjectMetadata")
        async with self._kubernetes.watch(
            self._path, query, accept=accept, timeout_seconds=seconds, silence=self._silence
        ) as lines:
            timer = asyncio.get_running_loop().call_later(self._pace.short, self._lived)
            try:
                async for line in lines:
                    await self._take(line)
            finally:
                timer.cancel()

    async def _take(self, line: bytes) -> None:
        with _malformed():
            event = self._decode_event(line)
            if event.type == "ERROR":
                self.resource_version = None  # whatever it says, only a list is sure to heal it
                raise _told(event.status or Status())
            change = None if event.type == "BOOKMARK" else Change(event.type)
        if change is not None and event.object is not None:
            key = self._key(event.object)
            if change is Change.DELETED:
                self._known.pop(key, None)
            else:
                self._known[key] = self._version(event.object)
            await self._queue.put(WatchEvent(change, key, event.object))
        self.resource_version = event.resource_version or self.resource_version
        self._heard()
        self._watching()

    def _heard(self) -> None:
        self.last_event_at = self._clock.now()
        self._silences = 0

    def _watching(self) -> None:
        self.failing_since = None
        if self.trouble is not None:
            self.trouble = None
            self._on_recovery()

    def _lived(self) -> None:
        self._failures = 0
        if not self._silences:  # after silence only a line proves that the server speaks
            self._watching()

    def _struck(self, error: ApiError) -> float:
        """Note it down; the seconds to wait."""
        trouble = trouble_of(error)
        if trouble is not self.trouble:
            logger.warning("watch of %s begins anew: %s (%s)", self.resource, trouble, error)
        self.trouble = trouble
        self.tried.set()
        self.failing_since = self.failing_since or self._clock.now()
        self._on_trouble(trouble)
        self._silences += trouble is Trouble.SILENCE
        if error.reason == "TooLarge":
            self._page = max(1, self._page // 4)
        # silent twice: the version may be one that a restored server has not reached yet
        if trouble in _FORGETS or self._silences > 1:
            self.resource_version = None
        return self._delay(trouble, error.retry_after or 0.0)

    def _delay(self, trouble: Trouble, retry_after: float) -> float:
        pace = self._pace
        delay = min(pace.longest, pace.first * 2.0 ** min(self._failures, 10))
        self._failures += 1
        if trouble in _SLOW and not self.synced.is_set():  # an API server that has just started refuses everything
            delay = pace.slow
        jittered = delay * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, keeps no secret
        return max(jittered, min(retry_after, LONGEST_RETRY_AFTER))


_FORGETS = frozenset({Trouble.EXPIRED, Trouble.MALFORMED, Trouble.ABSENT})
_SLOW = frozenset({Trouble.FORBIDDEN, Trouble.ABSENT})
_BY_TYPE: tuple[tuple[type[ApiError], Trouble], ...] = (
    (Gone, Trouble.EXPIRED),
    (TooManyRequests, Trouble.THROTTLED),
    (Forbidden, Trouble.FORBIDDEN),
    (Unauthorized, Trouble.UNAUTHORIZED),
    (NotFound, Trouble.ABSENT),
)
_BY_REASON = {"Eof": Trouble.EOF, "Cut": Trouble.EOF, "Silence": Trouble.SILENCE}


def trouble_of(error: ApiError) -> Trouble:
    for kind, trouble in _BY_TYPE:
        if isinstance(error, kind):
            return trouble
    if isinstance(error, Unavailable):
        return _BY_REASON.get(error.reason) or (Trouble.UNAVAILABLE if error.status else Trouble.UNREACHABLE)
    return Trouble.MALFORMED


def _told(status: Status) -> ApiError:
    code = status.code or (410 if status.reason in {"Expired", "Gone"} else 500)
    return api_error(code, status.reason or "Unknown", status.message)


@contextmanager
def _malformed() -> Iterator[None]:
    try:
        yield
    except (*UNREADABLE, ValueError, OverflowError) as error:  # the last of a time before the year 1
        # not the text: it quotes the object
        raise ApiError(200, "Malformed", f"not what was asked for: {type(error).__name__}") from None
