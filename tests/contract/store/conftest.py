"""Each adapter is a way to open one and the same storage, again and again."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from responder.ports import Clock, Store
from responder.store.sqlite import SqliteStore
from tests.contract.store.examples import StandingClock

Opened = Callable[[], AbstractAsyncContextManager[Store]]


def sqlite(folder: Path, clock: Clock) -> Opened:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Store]:
        async with await SqliteStore.open(folder / "responder.db", clock=clock) as store:
            yield store

    return opened


ADAPTERS: dict[str, Callable[[Path, Clock], Opened]] = {"sqlite": sqlite}


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture(params=sorted(ADAPTERS))
def opened(request: pytest.FixtureRequest, tmp_path: Path, clock: StandingClock) -> Opened:
    return ADAPTERS[request.param](tmp_path, clock)


@pytest.fixture
async def store(opened: Opened) -> AsyncIterator[Store]:
    async with opened() as store:
        yield store
