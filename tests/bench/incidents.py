"""A very bad night: 10,000 incidents open at once. What they hold in memory, and what a step and the gate take then.

The incident is a real one (a half-applied migration with its diagnosis, decisions and timeline), stored under ten
thousand names; what is measured is read back from the store, as after a restart.
"""

import asyncio
import gc
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from responder.core.argocd import AppKey
from responder.core.incident import Incident
from responder.ports import PutIncident
from responder.store.sqlite import SqliteStore
from tests.bench.web import RunningClock
from tests.unit.web.world import REVISION, World, redacted

OPEN, BATCH, ASKED = 10_000, 500, 500


def resident() -> float:
    """MiB of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1024**2


def another(one: Incident, number: int) -> Incident:
    name = f"app-{number:05}"
    return msgspec.structs.replace(one, id=f"incident-{number:05}", app=AppKey("argocd", name), app_uid=f"uid-{name}")


async def fill(world: World) -> None:
    one = await world.fail(redacted("laravel__mariadb__partial-ddl.log"))
    for start in range(0, OPEN, BATCH):
        incidents = (another(one, number) for number in range(start, start + BATCH))
        await world.store.commit(*(PutIncident(incident) for incident in incidents))


async def took(act: Callable[[AppKey], Awaitable[object]]) -> list[float]:
    """Milliseconds of each, sorted."""
    found = []
    for number in range(ASKED):
        began = time.perf_counter()
        await act(AppKey("argocd", f"app-{number:05}"))
        found.append(1000 * (time.perf_counter() - began))
    return sorted(found)


def told(name: str, ms: list[float]) -> None:
    print(f"{name}, ms: p50 {statistics.median(ms):.2f}, p99 {ms[int(len(ms) * 0.99)]:.2f} ({len(ms)} Applications)")


async def measured(path: Path) -> None:
    clock = RunningClock()
    async with await SqliteStore.open(path, clock=clock) as store:
        await fill(World(store, clock))
    gc.collect()
    async with await SqliteStore.open(path, clock=clock) as store:
        world = World(store, clock)
        before, began = resident(), time.perf_counter()
        await world.reconciler.loader.start()
        print(f"read back after a restart: {time.perf_counter() - began:.1f} s")
        gc.collect()
        held, count = resident() - before, len(world.reconciler.loader.open)
        print(f"{count:,} open incidents held: {held:.0f} MiB, {held * 1024 / count:.1f} KiB each")
        for number in range(ASKED):
            world.deploy(AppKey("argocd", f"app-{number:05}"))
        told("a step of one of them", await took(world.reconciler.step))
        told("the gate, asked of one of them", await took(lambda key: world.gatekeeper.application(key, REVISION)))
    assert count == OPEN + 1


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="incidents-") as folder:
        asyncio.run(measured(Path(folder) / "responder.db"))


if __name__ == "__main__":
    main()
