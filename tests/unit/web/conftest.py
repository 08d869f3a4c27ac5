from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from responder.store.sqlite import SqliteStore
from responder.store.writer import Limits
from tests.contract.store.examples import StandingClock
from tests.unit.web.world import VIEWER, Client, World, served


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
async def store(tmp_path: Path, clock: StandingClock) -> AsyncIterator[SqliteStore]:
    async with await SqliteStore.open(tmp_path / "responder.db", clock=clock, limits=Limits(busy=0.05)) as store:
        yield store


@pytest.fixture
def world(store: SqliteStore, clock: StandingClock) -> World:
    return World(store, clock)


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    """An operator's."""
    async with served(world.faces()) as client:
        yield client


@pytest.fixture
async def viewer(world: World) -> AsyncIterator[Client]:
    async with served(world.faces(), VIEWER) as client:
        yield client


@pytest.fixture
async def stranger(world: World) -> AsyncIterator[Client]:
    """Without a token."""
    async with served(world.faces(), "") as client:
        yield client
