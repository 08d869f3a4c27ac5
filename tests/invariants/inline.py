"""The real store and the real loop without threads and without waiting: nothing yields but where a test says so."""

import sqlite3
from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from responder.ports import Clock, StoreError, Write
from responder.store.errors import translated
from responder.store.lock import Lock
from responder.store.readers import Readers
from responder.store.schema import migrate
from responder.store.sqlite import SqliteStore
from responder.store.writer import Writer
from responder.store.writes import put_setting

T = TypeVar("T")


def now(work: Coroutine[Any, Any, T]) -> T:
    """Runs it to its end in this very call; everything it awaits is there at once."""
    try:
        work.send(None)
    except StopIteration as end:
        return cast("T", end.value)
    work.close()
    raise AssertionError("it waits for something that nobody will bring")


class Crash(BaseException):
    """The process is gone, as by kill -9: no handler of ours may catch it."""


class Gate:
    """Stands before and after each thing that leaves the process: it may be the last."""

    def __init__(self) -> None:
        self.crash_in: int | None = None

    def passed(self) -> None:
        if self.crash_in is None:
            return
        self.crash_in -= 1
        if self.crash_in <= 0:
            self.crash_in = None
            raise Crash


class _Inline:
    """In place of the writer's thread and the readers' ones."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(self._connection)
        except sqlite3.Error as error:
            self._connection.execute("ROLLBACK")
            raise translated(error, Path(":memory:")) from error
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
        return result


@cache
def _empty() -> bytes:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, Path(":memory:"))
    return connection.serialize()


def database(installed: datetime) -> sqlite3.Connection:
    """What outlives every crash."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.deserialize(_empty())
    put_setting(connection, "installed_at", installed.isoformat())
    return connection


class InlineStore(SqliteStore):
    """``away``: commits raise, as with a full disk. ``gate``: of the process that this store belongs to."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock, gate: Gate) -> None:
        inline = _Inline(connection)
        path = Path(":memory:")
        super().__init__(path, clock, Lock(path), cast("Writer", inline), cast("Readers", inline))
        self._gate = gate
        self.away = False

    async def commit(self, *writes: Write) -> None:
        self._gate.passed()
        if self.away:
            raise StoreError("the disk is full")
        await super().commit(*writes)
        self._gate.passed()
