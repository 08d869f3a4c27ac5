"""Reads run in a few threads, each with a connection of its own; WAL lets them see past the writer."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from responder.ports import StoreError
from responder.store.errors import translated
from responder.store.schema import connect
from responder.store.writer import Limits

T = TypeVar("T")


class Readers:
    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._waiting = 0
        self._closed = False
        self._thread = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._executor = ThreadPoolExecutor(limits.readers, thread_name_prefix="store-reader")

    async def run(self, query: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise StoreError(f"{self._path}: the store is closed")
        if self._waiting >= self._limits.reads:
            raise StoreError(f"{self._path}: {self._waiting} reads wait already: the disk is too slow, try later")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._limits.deadline):
                return await asyncio.get_running_loop().run_in_executor(self._executor, self._ask, query)
        except TimeoutError as error:
            raise StoreError(f"{self._path}: not read within {self._limits.deadline:g} s: is the disk slow?") from error
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """After the reads that run are done."""
        self._closed = True
        await asyncio.to_thread(self._executor.shutdown)
        while self._connections:
            self._connections.pop().close()

    def _ask(self, query: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return query(self._connection())
        except sqlite3.Error as error:
            raise translated(error, self._path) from error

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._thread, "connection", None)
        if connection is None:
            connection = self._thread.connection = connect(self._path, busy=self._limits.busy, write=False)
            self._connections.append(connection)
        return connection
