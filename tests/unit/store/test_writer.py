"""A disk that is full, a file that somebody locks, callers who leave: each is told, and writing goes on."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from responder.ports import AppendLog, PutSetting, StoreError
from responder.store.sqlite import SqliteStore
from responder.store.writer import Limits
from tests.contract.store.examples import StandingClock, chunk

LARGE = AppendLog(chunk("large", *range(1, 60_000), text="no two lines are equal"))


class Gate:
    """Holds the writer thread inside a transaction until the test lets it go on."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._go_on = threading.Event()

    def hold(self, _db: sqlite3.Connection | None = None) -> None:
        self._loop.call_soon_threadsafe(self.entered.set)
        assert self._go_on.wait(30)

    def open(self) -> None:
        self._go_on.set()


async def limit_pages(store: SqliteStore, spare: int) -> None:
    """As a disk that has so many pages left; a huge number is a disk that was cleared."""

    def work(db: sqlite3.Connection) -> None:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count={pages + spare}")

    await store._writer.run(work)


async def test_a_full_disk_is_said_and_writing_goes_on_when_there_is_room(store: SqliteStore) -> None:
    await limit_pages(store, 4)
    with pytest.raises(StoreError, match="the disk is full: make room or shorten `retention`"):
        await store.commit(PutSetting("half", "written"), LARGE)
    assert "half" not in await store.settings()
    await limit_pages(store, 1_000_000)
    await store.commit(LARGE)
    assert await store.log("large") == LARGE.lines


async def test_who_is_too_large_for_the_disk_does_not_fail_the_small_ones(store: SqliteStore) -> None:
    """All of one group: the thread is held until everybody has queued up."""
    await limit_pages(store, 4)
    gate = Gate()
    async with asyncio.TaskGroup() as group:
        held = group.create_task(store._writer.run(gate.hold))
        await gate.entered.wait()
        writes: list[PutSetting | AppendLog] = [PutSetting("a", "1"), LARGE, PutSetting("b", "2")]
        waiting = [group.create_task(refusal(store, write)) for write in writes]
        await asyncio.sleep(0)
        gate.open()
        await held
    refusals = [task.result() for task in waiting]
    assert ["full" in r for r in refusals] == [False, True, False]
    settings = await store.settings()
    assert (settings["a"], settings["b"], await store.log("large")) == ("1", "2", None)


async def refusal(store: SqliteStore, write: PutSetting | AppendLog) -> str:
    try:
        await store.commit(write)
    except StoreError as error:
        return str(error)
    return ""


async def test_a_lock_of_another_program_is_said_and_writing_goes_on_after_it(store: SqliteStore, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as shell:
        shell.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="another program holds it locked: end that program"):
            await store.commit(PutSetting("a", "1"))
        assert "a" not in await store.settings(), "reading goes on meanwhile"
        shell.execute("ROLLBACK")
    await store.commit(PutSetting("a", "1"))
    assert (await store.settings())["a"] == "1"


async def test_a_caller_waits_no_longer_than_its_deadline(path: Path) -> None:
    async with await SqliteStore.open(path, clock=StandingClock(), limits=Limits(deadline=0.05)) as store:
        gate = Gate()
        with pytest.raises(StoreError, match=r"not written within 0.05 s \(it may still be\)"):
            await store._writer.run(gate.hold)
        with pytest.raises(StoreError, match="not written within"):
            await store.commit(PutSetting("never", "begun"))
        gate.open()
        await patient(store, PutSetting("after", "it"))
    async with await SqliteStore.open(path, clock=StandingClock()) as store:
        settings = await store.settings()
    assert settings["after"] == "it"
    assert "never" not in settings, "it had not begun when its caller gave up"


async def patient(store: SqliteStore, write: PutSetting) -> None:
    async with asyncio.timeout(10):
        while await refusal(store, write):
            pass


async def test_more_than_the_queue_holds_is_refused_at_once(path: Path) -> None:
    async with await SqliteStore.open(path, clock=StandingClock(), limits=Limits(queue=3)) as store:
        gate = Gate()
        async with asyncio.TaskGroup() as group:
            group.create_task(store._writer.run(gate.hold))
            await gate.entered.wait()
            waiting = [group.create_task(refusal(store, PutSetting(f"n{n}", "kept"))) for n in range(5)]
            await asyncio.sleep(0)
            gate.open()
        assert ["3 commits wait already" in task.result() for task in waiting] == [False, False, False, True, True]
        assert len([v for v in (await store.settings()).values() if v == "kept"]) == 3


async def test_the_loop_turns_while_the_disk_is_waited_for(store: SqliteStore) -> None:
    gate = Gate()
    async with asyncio.TaskGroup() as group:
        group.create_task(store._writer.run(gate.hold))
        group.create_task(store.commit(PutSetting("a", "1")))
        await gate.entered.wait()
        assert "a" not in await store.settings(), "also reading goes on"
        gate.open()
    assert (await store.settings())["a"] == "1"


async def test_a_caller_who_was_cancelled_harms_nobody(store: SqliteStore) -> None:
    gate = Gate()
    async with asyncio.TaskGroup() as group:
        group.create_task(store._writer.run(gate.hold))
        await gate.entered.wait()
        leaving = group.create_task(store.commit(PutSetting("left", "1")))
        staying = group.create_task(store.commit(PutSetting("stayed", "1")))
        await asyncio.sleep(0)
        leaving.cancel()
        gate.open()
        await staying
    settings = await store.settings()
    assert ("left" in settings, "stayed" in settings) == (False, True)


async def test_waiting_commits_share_one_transaction(store: SqliteStore) -> None:
    """Twenty callers queue up behind a held one."""
    gate = Gate()
    statements: list[str] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(store._writer.run(gate.hold))
        await gate.entered.wait()
        store._writer._connection.set_trace_callback(statements.append)
        for n in range(20):
            group.create_task(store.commit(PutSetting(f"n{n}", "1")))
        await asyncio.sleep(0)
        gate.open()
    assert len([s for s in statements if s.startswith("INSERT")]) == 20
    assert statements.count("COMMIT") == 2, "the held one's, and one for the twenty"


async def test_nobody_is_told_before_the_commit_is_through(store: SqliteStore) -> None:
    gate = Gate()
    store._writer._connection.set_trace_callback(lambda statement: gate.hold() if statement == "COMMIT" else None)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(store.commit(PutSetting("a", "1")))
        await gate.entered.wait()
        assert "a" not in await store.settings()
        assert not waiting.done()
        gate.open()
    assert (await store.settings())["a"] == "1"


async def test_closing_finishes_what_was_asked_for_and_refuses_the_rest(path: Path) -> None:
    store = await SqliteStore.open(path, clock=StandingClock())
    async with asyncio.TaskGroup() as group:
        for n in range(50):
            group.create_task(store.commit(PutSetting(f"n{n}", "kept")))
        await asyncio.sleep(0)
        await store.close()
    for refused in (store.commit(PutSetting("late", "1")), store.settings()):
        with pytest.raises(StoreError, match="closed"):
            await refused
    await store.close()
    async with await SqliteStore.open(path, clock=StandingClock()) as store:
        assert len([v for v in (await store.settings()).values() if v == "kept"]) == 50


async def test_each_commit_is_timed(store: SqliteStore) -> None:
    seconds: list[float] = []
    store.observe_commit = seconds.append
    await store.commit(PutSetting("a", "1"))
    assert len(seconds) == 1
    assert 0 < seconds[0] < 10
