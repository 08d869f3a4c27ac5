import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from responder.ports import StoreError
from responder.store.sqlite import SqliteStore
from tests.contract.store.examples import StandingClock


async def test_a_second_process_is_refused_and_told_who_holds_it(path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.unit.store.committer", str(path), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout
    await child.stdout.readline()  # it has the store
    with pytest.raises(StoreError, match=rf"in use by another responder \(pid {child.pid} on .*responder.db.lock"):
        await SqliteStore.open(path, clock=StandingClock())
    child.send_signal(signal.SIGKILL)
    await child.stdout.read()
    await child.wait()
    async with await SqliteStore.open(path, clock=StandingClock()) as store:
        assert await store.audit(limit=1)


async def test_the_same_process_is_refused_too(store: SqliteStore, path: Path) -> None:
    with pytest.raises(StoreError, match=f"pid {os.getpid()} "):
        await SqliteStore.open(path, clock=StandingClock())
    assert await store.wakeups() == []


async def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is its folder there"):
        await SqliteStore.open(tmp_path / "nowhere" / "responder.db", clock=StandingClock())


async def test_a_store_that_could_not_be_opened_is_not_held(garbage: Path) -> None:
    for _ in range(2):
        with pytest.raises(StoreError, match="no SQLite database"):
            await SqliteStore.open(garbage, clock=StandingClock())


async def test_a_damaged_file_is_said_with_the_remedy(damaged: Path) -> None:
    with pytest.raises(StoreError, match=r"it is damaged: stop the responder and bring a backup back"):
        await SqliteStore.open(damaged, clock=StandingClock())


async def test_nobody_else_may_read_it(store: SqliteStore, path: Path) -> None:
    await store.wakeups()
    modes = {p.name: p.stat().st_mode & 0o777 for p in path.parent.iterdir()}
    assert set(modes) == {"responder.db", "responder.db-wal", "responder.db-shm", "responder.db.lock"}
    assert set(modes.values()) == {0o600}


async def test_a_folder_in_its_place_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        await SqliteStore.open(tmp_path, clock=StandingClock())
