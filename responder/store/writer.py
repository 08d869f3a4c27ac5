"""The one writer thread: it commits whatever has queued up, so that many waiting callers share one fsync.

There is no linger and no busy flag: the thread sleeps in ``get`` and takes all there is, so no wake-up can be lost
between "is it empty?" and "I am idle". Each caller has a savepoint and a result of its own.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from responder.ports import StoreError
from responder.store.errors import translated

T = TypeVar("T")

log = logging.getLogger(__name__)


class Limits(msgspec.Struct, frozen=True):
    """Every wait and every buffer of the store."""

    queue: int = 10_000  # commits that wait
    largest_group: int = 1_000  # commits that share one fsync
    deadline: float = 10.0  # seconds a caller waits
    busy: float = 5.0  # seconds for another program's lock
    readers: int = 4
    reads: int = 1_000  # reads that wait


class Job(NamedTuple):
    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]


class Result(NamedTuple):
    future: asyncio.Future[Any]
    value: object
    error: BaseException | None


class _LostError(Exception):
    """SQLite gave up the whole transaction, not only one caller's part of it."""


class _Deadlines:
    """All wait equally long, so the first in is the first due: one timer, where one for each costs more than SQLite."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._armed = False

    def add(self, future: asyncio.Future[Any]) -> None:
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()
        self._waiting.append((self._loop.time() + self._seconds, future))
        self._arm()

    def _arm(self) -> None:
        if self._waiting and not self._armed:
            self._armed = True
            self._loop.call_at(self._waiting[0][0], self._pass)

    def _pass(self) -> None:
        self._armed = False
        now = self._loop.time()
        while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= now):
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(TimeoutError())
        self._arm()


class Writer:
    """Belongs to the event loop it was started on; owns the connection until it is closed."""

    def __init__(self, connection: sqlite3.Connection, path: Path, limits: Limits) -> None:
        self._connection = connection
        self._path = path
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._deadlines = _Deadlines(self._loop, limits.deadline)
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="store-writer", daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Does ``work`` in the next transaction; durable when it returns.

        When the deadline passes the caller gets a StoreError, but the write may still happen.
        """
        if self._closed:
            raise StoreError(f"{self._path}: the store is closed")
        if self._queue.qsize() >= self._limits.queue:
            raise StoreError(
                f"{self._path}: {self._limits.queue} commits wait already: the disk is too slow, try later"
            )
        future: asyncio.Future[T] = self._loop.create_future()
        self._deadlines.add(future)
        self._queue.put(Job(work, future))
        try:
            return await future
        except TimeoutError as error:
            raise StoreError(
                f"{self._path}: not written within {self._limits.deadline:g} s (it may still be): is the disk slow?"
            ) from error

    async def close(self) -> None:
        """After what has queued up is done."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        serving = True
        while serving:
            group, serving = self._take()
            # Who no longer waits got an error already: better not done than done unseen.
            group = [job for job in group if not job.future.done()]
            try:
                results = self._commit(group)
            except Exception as error:
                log.exception("the store's writer failed")
                results = [Result(job.future, None, error) for job in group]
            self._tell(results)
        self._connection.close()

    def _take(self) -> tuple[list[Job], bool]:
        """Whatever has queued up, at least one; False when it was the last."""
        group: list[Job] = []
        job = self._queue.get()
        while job is not None:
            group.append(job)
            if len(group) == self._limits.largest_group:
                return group, True
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return group, True
        return group, False

    def _commit(self, group: Sequence[Job]) -> list[Result]:
        try:
            return self._together(group)
        except _LostError as lost:
            if len(group) == 1:
                return [Result(group[0].future, None, lost.__cause__)]
        # One of them was too much for the disk, say: alone, the others may well pass.
        return [result for job in group for result in self._commit([job])]

    def _together(self, group: Sequence[Job]) -> list[Result]:
        if not group:
            return []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            return [Result(job.future, None, translated(error, self._path)) for job in group]
        try:
            results = [self._one(job) for job in group]
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise _LostError from translated(error, self._path)
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        return results

    def _one(self, job: Job) -> Result:
        self._connection.execute("SAVEPOINT one")
        try:
            value = job.work(self._connection)
        except Exception as error:  # noqa: BLE001  # it is the caller's, who gets it
            if not self._connection.in_transaction:
                raise _LostError from (translated(error, self._path) if isinstance(error, sqlite3.Error) else error)
            self._connection.execute("ROLLBACK TO one")
            self._connection.execute("RELEASE one")
            return Result(
                job.future, None, translated(error, self._path) if isinstance(error, sqlite3.Error) else error
            )
        self._connection.execute("RELEASE one")
        return Result(job.future, value, None)

    def _tell(self, results: Sequence[Result]) -> None:
        """One crossing of threads a group. A loop that is closed has nobody left to tell."""
        try:
            self._loop.call_soon_threadsafe(_settle, results)
        except RuntimeError:
            log.warning("the event loop ended before the store: %d results have no reader", len(results))


def _settle(results: Sequence[Result]) -> None:
    for future, value, error in results:
        if future.done():  # its caller went away
            continue
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)
