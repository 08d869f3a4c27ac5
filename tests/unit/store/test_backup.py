import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from responder.core.alert import DeliveryState
from responder.ports import PutDelivery, PutIncident, PutSetting, StoreError
from responder.store.backup import backup, restore
from responder.store.sqlite import SqliteStore
from tests.contract.store.examples import StandingClock, after, delivery, incident


async def opened(path: Path) -> SqliteStore:
    return await SqliteStore.open(path, clock=StandingClock())


async def test_a_store_in_use_is_copied_whole(store: SqliteStore, path: Path) -> None:
    await store.commit(PutIncident(incident("i1")))
    await store.backup(path.with_name("from inside"))
    backup(path, path.with_name("from outside"))
    await store.commit(PutSetting("after", "the copy"))
    for name in ("from inside", "from outside"):
        copy = path.with_name(name)
        assert copy.stat().st_mode & 0o777 == 0o600
        async with await opened(copy) as kept:
            assert await kept.incident("i1") == incident("i1")
            assert "after" not in await kept.settings()


async def test_a_backup_never_overwrites(store: SqliteStore, garbage: Path) -> None:
    with pytest.raises(StoreError, match="is there already"):
        await store.backup(garbage)


def test_there_must_be_something_to_copy(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store to copy"):
        backup(tmp_path / "nothing.db", tmp_path / "copy")
    with pytest.raises(StoreError, match="there is no such backup"):
        restore(tmp_path / "nothing", tmp_path / "responder.db", now=after(0))
    assert list(tmp_path.glob("*copy*")) == []


async def test_a_restored_store_says_so_and_sends_nothing_that_was_pending(path: Path) -> None:
    copy = path.with_name("backup")
    async with await opened(path) as store:
        await store.commit(PutIncident(incident("i1")), PutDelivery(delivery("pending")))
        await store.commit(PutDelivery(delivery("sent", state=DeliveryState.SENT)))
        await store.backup(copy)
        await store.commit(PutSetting("after", "the copy"))
    restore(copy, path, now=after(60))
    async with await opened(path) as store:
        settings = await store.settings()
        assert (settings["restored"], settings["restored_at"]) == ("true", "2026-11-21T04:00:00+00:00")
        assert "after" not in settings
        assert await store.incident("i1") == incident("i1")
        assert await store.deliveries(due=after(10_000)) == []
        states = {d.id: (d.state, d.last_error) for d in await store.deliveries(incident_id="i1")}
    assert states == {
        "pending": (DeliveryState.FAILED, "pending when the store was restored"),
        "sent": (DeliveryState.SENT, ""),
    }
    async with await opened(copy) as untouched:
        assert "restored" not in await untouched.settings()


async def test_the_store_that_was_replaced_stays_beside_it(path: Path) -> None:
    copy = path.with_name("backup")
    async with await opened(path) as store:
        await store.backup(copy)
        await store.commit(PutSetting("after", "the copy"))
    restore(copy, path, now=after(60))
    async with await opened(path.with_name("responder.db.replaced")) as replaced:
        assert (await replaced.settings())["after"] == "the copy"


async def test_a_damaged_store_can_be_replaced(path: Path, garbage: Path) -> None:
    copy = path.with_name("backup")
    async with await opened(path) as store:
        await store.commit(PutIncident(incident("i1")))
        await store.backup(copy)
    shutil.copy(garbage, path)
    shutil.copy(garbage, path.with_name("responder.db-wal"))
    restore(copy, path, now=after(60))
    async with await opened(path) as store:
        assert await store.incident("i1") == incident("i1")


async def test_a_restore_waits_for_no_running_responder(store: SqliteStore, path: Path) -> None:
    copy = path.with_name("backup")
    await store.backup(copy)
    with pytest.raises(StoreError, match="in use by another responder"):
        restore(copy, path, now=after(60))


async def test_what_is_no_backup_replaces_nothing(path: Path, garbage: Path) -> None:
    async with await opened(path) as store:
        await store.commit(PutIncident(incident("i1")))
    foreign = path.with_name("foreign")
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE customers (name TEXT)")
    with pytest.raises(StoreError, match="no SQLite database"):
        restore(garbage, path, now=after(60))
    with pytest.raises(StoreError, match="belongs to another program"):
        restore(foreign, path, now=after(60))
    async with await opened(path) as store:
        assert await store.incident("i1") == incident("i1")
        assert "restored" not in await store.settings()
    assert not path.with_name("responder.db.partial").exists()
