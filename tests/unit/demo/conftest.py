from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import pytest

from responder.demo.api import Api
from responder.demo.apiserver import ApiServer
from responder.demo.clock import SteppedClock
from responder.demo.objects import Objects

NIGHT = datetime(2026, 11, 21, 3, tzinfo=UTC)


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(NIGHT)


@pytest.fixture
def objects(clock: SteppedClock) -> Objects:
    return Objects(clock)


@pytest.fixture
async def server(objects: Objects) -> AsyncIterator[ApiServer]:
    async with ApiServer(Api(objects)) as server:
        yield server


@pytest.fixture
async def http(server: ApiServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.url) as session:
        yield session
