"""How fast the store commits, how long one client waits, and what `kill -9` takes (nothing).

`python -m tests.bench.store [kills]`. Medians of several runs with their spread, on a fresh file each.
"""

import asyncio
import random
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

from responder.core.argocd import AppKey
from responder.ports import AddWakeup, Trigger, Wakeup
from responder.store.sqlite import SqliteStore
from tests.contract.store.examples import NIGHT, StandingClock

CLIENTS = 64
EACH = 300
ALONE = 2_000
RUNS = 5
KILLS = 50


def wakeup(name: str) -> AddWakeup:
    return AddWakeup(Wakeup(AppKey("argocd", name), Trigger.WEBHOOK, NIGHT))


async def rate(store: SqliteStore) -> float:
    """Commits a second when 64 wait at once, each for a row of its own."""

    async def client(number: int) -> None:
        for _ in range(EACH):
            await store.commit(wakeup(f"app-{number}"))

    began = time.perf_counter()
    async with asyncio.TaskGroup() as clients:
        for number in range(CLIENTS):
            clients.create_task(client(number))
    return CLIENTS * EACH / (time.perf_counter() - began)


async def waits(store: SqliteStore) -> tuple[float, float]:
    """p50 and p99 in milliseconds of one client alone."""
    took = []
    for _ in range(ALONE):
        began = time.perf_counter()
        await store.commit(wakeup("alone"))
        took.append((time.perf_counter() - began) * 1000)
    took.sort()
    return took[ALONE // 2], took[ALONE * 99 // 100]


async def killed_round(folder: Path, *, after: int) -> tuple[int, set[int]]:
    """Kills a committing child once it has acknowledged so many; how many it had, and those that are gone."""
    path = folder / "responder.db"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.unit.store.committer", str(path), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout
    said = [await child.stdout.readline() for _ in range(after)]
    child.send_signal(signal.SIGKILL)
    said += (await child.stdout.read()).splitlines(keepends=True)  # what it said before the signal came
    await child.wait()
    acknowledged = {int(line) for line in said if line.endswith(b"\n")}
    async with await SqliteStore.open(path, clock=StandingClock()) as store:
        kept = {int(entry.what) for entry in await store.audit(limit=10_000_000)}
    return len(acknowledged), acknowledged - kept


async def measured() -> tuple[float, tuple[float, float]]:
    with tempfile.TemporaryDirectory() as folder:
        async with await SqliteStore.open(Path(folder) / "responder.db", clock=StandingClock()) as store:
            await rate(store)  # warm
            return await rate(store), await waits(store)


def spread(values: list[float], form: str = ".2f") -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}}, {len(values)} runs)"


async def killed(times: int) -> tuple[int, int]:
    """How many commits were acknowledged in all, and how many of them were lost."""
    chance = random.Random()  # noqa: S311  # moments, no secrets
    acknowledged = lost = 0
    for _ in range(times):
        with tempfile.TemporaryDirectory() as folder:
            said, gone = await killed_round(Path(folder), after=chance.randrange(1, 500))
        acknowledged += said
        lost += len(gone)
    return acknowledged, lost


async def report(kills: int) -> None:
    results = [await measured() for _ in range(RUNS)]
    print(f"SQLite {sqlite3.sqlite_version}, WAL, synchronous=FULL, on the disk of {tempfile.gettempdir()}")
    print(f"commits a second, {CLIENTS} clients, a wake-up each: {spread([r for r, _ in results], ',.0f')}")
    print(f"one client alone, p50 ms: {spread([w[0] for _, w in results])}")
    print(f"one client alone, p99 ms: {spread([w[1] for _, w in results])}")
    acknowledged, lost = await killed(kills)
    print(f"kill -9, {kills} times: {acknowledged:,} commits acknowledged, {lost} lost")


def main() -> None:
    asyncio.run(report(int(sys.argv[1]) if len(sys.argv) > 1 else KILLS))


if __name__ == "__main__":
    main()
