import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from responder.ports import (
    AddWakeup,
    AppendAudit,
    AppendLog,
    AuditEntry,
    Keep,
    PutAction,
    PutBlock,
    PutDelivery,
    PutHookRun,
    PutIncident,
    PutOperation,
    PutSetting,
    StoreError,
    Trigger,
    Wakeup,
)
from responder.store.schema import MIGRATIONS, Migration, connect, create, migrate
from responder.store.sqlite import SqliteStore
from tests.contract.store.examples import (
    NIGHT,
    ORDERS,
    StandingClock,
    action,
    after,
    block,
    chunk,
    delivery,
    hook_run,
    incident,
    operation,
)

TABLES = (
    *("settings", "wakeups", "operations", "hook_runs", "logs"),
    *("incidents", "actions", "blocks", "deliveries", "audit"),
)
ADDED = Migration(
    readable_from=1,
    statements=(
        "CREATE TABLE extra (name TEXT)",
        *(f"ALTER TABLE {table} ADD COLUMN added TEXT NOT NULL DEFAULT ''" for table in TABLES),
    ),
)
BREAKING = Migration(readable_from=3, statements=("ALTER TABLE settings ADD COLUMN by TEXT NOT NULL DEFAULT ''",))
BROKEN = Migration(readable_from=1, statements=("CREATE TABLE extra (name TEXT)", "CREATE TABLE extra (name TEXT)"))


def upgraded(path: Path, *steps: Migration) -> None:
    create(path)
    with closing(connect(path, busy=1, write=True)) as connection:
        migrate(connection, path, (*MIGRATIONS, *steps))


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


async def opened(path: Path) -> SqliteStore:
    return await SqliteStore.open(path, clock=StandingClock())


async def test_an_older_file_is_brought_forward_with_what_it_holds(path: Path) -> None:
    async with await opened(path) as store:
        await store.commit(PutSetting("killswitch", "engaged"))
    upgraded(path, ADDED)
    assert version(path) == len(MIGRATIONS) + 1
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM extra").fetchone() == (0,)
        assert connection.execute("SELECT value FROM settings WHERE name = 'killswitch'").fetchone() == ("engaged",)


async def test_the_version_before_goes_on_with_a_file_that_was_only_added_to(path: Path) -> None:
    """A column more in every table, and one write of every kind."""
    upgraded(path, ADDED)
    writes = (
        AddWakeup(Wakeup(ORDERS, Trigger.WEBHOOK, NIGHT)),
        PutOperation(operation(0)),
        PutHookRun(ORDERS, hook_run("a")),
        AppendLog(chunk("k", 1)),
        PutIncident(incident("i1")),
        PutAction(action("a")),
        PutBlock(block("b")),
        PutDelivery(delivery("d")),
        AppendAudit(AuditEntry(NIGHT, "ann", "resync")),
        PutSetting("killswitch", "engaged"),
    )
    async with await opened(path) as store:
        await store.commit(*writes)
        assert (await store.settings())["killswitch"] == "engaged"
        assert await store.incident("i1") == incident("i1")
        assert await store.log("k") == chunk("k", 1)
    assert len(writes) == len(TABLES)
    assert version(path) == len(MIGRATIONS) + 1


async def test_a_schema_that_is_too_new_is_refused_with_both_versions(path: Path) -> None:
    upgraded(path, BREAKING)
    with pytest.raises(StoreError, match=r"schema is version 3, this program knows 2: run the newer responder again"):
        await opened(path)


async def test_a_migration_that_fails_leaves_the_file_as_it_was(path: Path) -> None:
    async with await opened(path):
        pass
    with pytest.raises(StoreError, match="already exists"):
        upgraded(path, BROKEN)
    assert version(path) == len(MIGRATIONS)
    async with await opened(path) as store:
        assert "installed_at" in await store.settings()


async def test_the_file_of_another_program_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE customers (name TEXT)")
    with pytest.raises(StoreError, match="belongs to another program"):
        await opened(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("customers",)]
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


async def test_what_is_acknowledged_survives_a_power_cut(store: SqliteStore) -> None:
    """WAL with synchronous=FULL (2): every commit is on the disk before it is acknowledged."""
    pragmas = await store._writer.run(
        lambda db: [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    )
    assert pragmas == ["wal", 2]


async def test_the_audit_is_append_only(store: SqliteStore) -> None:
    await store.commit(AppendAudit(AuditEntry(NIGHT, "ann", "resync")))
    with pytest.raises(StoreError, match="append-only"):
        await store._writer.run(lambda db: db.execute("UPDATE audit SET incident = 'other'"))
    with pytest.raises(StoreError, match="append-only"):
        await store._writer.run(lambda db: db.execute("DELETE FROM audit"))
    assert [entry.who for entry in await store.audit()] == ["ann"]


async def test_retention_forgets_of_the_audit_what_it_said_and_no_more(store: SqliteStore) -> None:
    old, new = AuditEntry(after(0), "ann", "old"), AuditEntry(after(60), "ann", "new")
    await store.commit(AppendAudit(old), AppendAudit(new))
    keep = Keep(after(0), after(0), audit_since=after(30), max_bytes=1 << 40)
    assert await store.prune(keep) == 1
    with pytest.raises(StoreError, match="append-only"):
        await store._writer.run(lambda db: db.execute("DELETE FROM audit"))
    assert await store.audit() == [new]


async def test_each_entry_that_is_stored_is_told_to_whoever_listens(store: SqliteStore) -> None:
    entry, heard = AuditEntry(NIGHT, "ann", "resync"), list[AuditEntry]()
    store.observe_audit = heard.append
    await store.commit(PutIncident(incident("i1")), AppendAudit(entry))
    await store.purge("i1", by="ann")
    assert [(e.who, e.what) for e in heard] == [("ann", "resync"), ("ann", "purge")]
    await store.close()
    with pytest.raises(StoreError):
        await store.commit(AppendAudit(entry))
    assert len(heard) == 2
