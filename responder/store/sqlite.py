"""The default store: one SQLite file, one process, one writer thread."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from responder.core.actions import ActionRecord
from responder.core.alert import Delivery
from responder.core.argocd import AppKey, OperationRecord
from responder.core.evidence import LogChunk
from responder.core.hooks import HookRun
from responder.core.incident import Incident
from responder.core.promotion import Block
from responder.ports import AppendAudit, AuditEntry, Clock, IncidentPage, IncidentQuery, Keep, Wakeup, Write
from responder.store import backup, reads, retention
from responder.store.errors import translated
from responder.store.lock import Lock
from responder.store.readers import Readers
from responder.store.schema import connect, create, migrate
from responder.store.writer import Limits, Writer
from responder.store.writes import apply, put_setting


class SqliteStore:
    """Implements ``ports.Store``. Make it with ``open``; it belongs to the event loop that opened it."""

    def __init__(self, path: Path, clock: Clock, lock: Lock, writer: Writer, readers: Readers) -> None:
        self._path = path
        self._clock = clock
        self._lock = lock
        self._writer = writer
        self._readers = readers
        self.observe_commit: Callable[[float], object] = lambda _seconds: None  # for a histogram
        self.observe_audit: Callable[[AuditEntry], object] = lambda _entry: None  # each that is stored

    @classmethod
    async def open(cls, path: Path, *, clock: Clock, limits: Limits | None = None) -> Self:
        """Makes the file when there is none, and brings an older one up to date."""
        limits = limits or Limits()
        lock = Lock(path)
        lock.acquire()
        try:
            connection = await asyncio.to_thread(_prepared, path, clock.now(), limits)
        except BaseException:
            lock.release()
            raise
        return cls(path, clock, lock, Writer(connection, path, limits), Readers(path, limits))

    async def close(self) -> None:
        """After everything that was asked for is done; twice does no harm."""
        await self._readers.close()  # first: only the last connection folds the journal in, and theirs may not write
        await self._writer.close()
        self._lock.release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()

    async def commit(self, *writes: Write) -> None:
        """When its deadline passes it raises StoreError, but the write may still happen."""
        began = time.perf_counter()
        now = self._clock.now()

        def work(db: sqlite3.Connection) -> None:
            for write in writes:
                apply(db, write, now)

        await self._writer.run(work)
        self.observe_commit(time.perf_counter() - began)
        for write in writes:
            if isinstance(write, AppendAudit):
                self.observe_audit(write.entry)

    async def wakeups(self) -> Sequence[Wakeup]:
        return await self._readers.run(reads.wakeups)

    async def operations(self, app_uid: str, *, limit: int = 50) -> Sequence[OperationRecord]:
        return await self._readers.run(lambda db: reads.operations(db, app_uid, limit))

    async def hook_runs(self, app: AppKey, *, since: datetime | None = None) -> Sequence[HookRun]:
        return await self._readers.run(lambda db: reads.hook_runs(db, app, since))

    async def hook_run(self, cluster: str, uid: str) -> HookRun | None:
        return await self._readers.run(lambda db: reads.hook_run(db, cluster, uid))

    async def unattributed(self, *, limit: int = 50) -> Sequence[HookRun]:
        return await self._readers.run(lambda db: reads.unattributed(db, limit))

    async def log(self, key: str) -> LogChunk | None:
        return await self._readers.run(lambda db: reads.log(db, key))

    async def incident(self, incident_id: str) -> Incident | None:
        return await self._readers.run(lambda db: reads.incident(db, incident_id))

    async def incidents(self, query: IncidentQuery) -> IncidentPage:
        return await self._readers.run(lambda db: reads.incidents(db, query))

    async def actions(
        self, *, app_uid: str = "", since: datetime | None = None, open_only: bool = False
    ) -> Sequence[ActionRecord]:
        return await self._readers.run(lambda db: reads.actions(db, app_uid, since, open_only=open_only))

    async def blocks(self, *, ended: bool = False, limit: int = 1000) -> Sequence[Block]:
        return await self._readers.run(lambda db: reads.blocks(db, limit, ended=ended))

    async def deliveries(
        self, *, due: datetime | None = None, incident_id: str = "", limit: int = 100
    ) -> Sequence[Delivery]:
        return await self._readers.run(lambda db: reads.deliveries(db, due, incident_id, limit))

    async def audit(self, *, incident_id: str = "", limit: int = 100) -> Sequence[AuditEntry]:
        return await self._readers.run(lambda db: reads.audit(db, incident_id, limit))

    async def settings(self) -> Mapping[str, str]:
        return await self._readers.run(reads.settings)

    async def size(self) -> int:
        """Bytes on disk, the journal with them."""
        journal = self._path.with_name(self._path.name + "-wal")
        return await self._readers.run(lambda _db: sum(p.stat().st_size for p in (self._path, journal) if p.exists()))

    async def purge(self, incident_id: str, *, by: str = "responder") -> None:
        now = self._clock.now()
        entry = await self._writer.run(lambda db: retention.purge(db, incident_id, by, now))
        if entry is not None:
            self.observe_audit(entry)

    async def prune(self, keep: Keep) -> int:
        """Commits of others go between its steps."""
        forgotten = 0
        for table in retention.AGED:
            while gone := await self._writer.run(partial(retention.forget_aged, table=table, keep=keep)):
                forgotten += gone
        forgotten += await self._forget_logs(keep.logs_since, down_to=0)
        forgotten += await self._forget_logs(None, down_to=keep.max_bytes)
        while await self._writer.run(retention.give_back):
            pass
        return forgotten

    async def _forget_logs(self, before: datetime | None, *, down_to: int) -> int:
        """The oldest first, until no more than so many bytes are in use."""
        keys = await self._readers.run(lambda db: retention.oldest_logs(db, before))
        for start in range(0, len(keys), retention.LOG_BATCH):
            if await self._readers.run(retention.live_bytes) <= down_to:
                return start
            await self._writer.run(partial(retention.forget_logs, keys=keys[start : start + retention.LOG_BATCH]))
        return len(keys)

    async def backup(self, target: Path) -> None:
        """A consistent copy; takes as long as the disk needs, and stops nobody."""
        await asyncio.to_thread(backup.backup, self._path, target)


def _prepared(path: Path, now: datetime, limits: Limits) -> sqlite3.Connection:
    """The writer's connection to a file of the newest schema."""
    create(path)
    try:
        with ExitStack() as opened:
            connection = connect(path, busy=limits.busy, write=True)
            opened.callback(connection.close)
            migrate(connection, path)
            if "installed_at" not in reads.settings(connection):
                put_setting(connection, "installed_at", now.isoformat())
            opened.pop_all()
    except sqlite3.Error as error:
        raise translated(error, path) from error
    return connection
