"""One Lease, several processes that want it, on the in-memory API server; time leaps."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from responder.cluster.client import Kubernetes
from responder.cluster.lease import Lease, LeaseLostError
from responder.demo.api import Api
from responder.demo.apiserver import ApiServer
from responder.demo.faults import answers, internal_error, silent, when, writes
from responder.demo.objects import Objects
from responder.demo.status import ApiFault
from tests.unit.cluster.hook_world import LeapingClock

PLACE = ("Lease", "ours", "responder")


class Steady(LeapingClock):
    """Time passes by leaps alone."""

    def __init__(self) -> None:
        super().__init__()
        self._seconds = 100.0

    def monotonic(self) -> float:
        return self._seconds

    async def leap(self, seconds: float) -> None:
        self._seconds += seconds
        await super().leap(seconds)


class Court:
    def __init__(self, objects: Objects, server: ApiServer) -> None:
        self.objects = objects
        self.server = server
        self.clock = Steady()

    @asynccontextmanager
    async def wanting(self, identity: str) -> AsyncIterator[Lease]:
        async with Kubernetes.from_url(self.server.url) as kubernetes:
            yield Lease(kubernetes, namespace="ours", name="responder", identity=identity, clock=self.clock)

    @property
    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.objects.get(*PLACE)["spec"]
        return spec

    async def pass_until(self, task: asyncio.Task[None], *, most: float = 120) -> float:
        """Seconds that passed until the task was done."""
        passed = 0.0
        while not task.done():
            assert passed < most
            await self.clock.leap(0.5)
            passed += 0.5
            await asyncio.sleep(0.005)
        return passed


@pytest.fixture
async def court() -> AsyncIterator[Court]:
    objects = Objects(LeapingClock())
    async with ApiServer(Api(objects)) as server:
        yield Court(objects, server)


async def test_the_first_takes_it_and_the_second_waits_until_it_has_run_out(court: Court) -> None:
    async with court.wanting("a") as a, court.wanting("b") as b, asyncio.TaskGroup() as group:
        await a.acquire()
        assert (court.spec["holderIdentity"], court.spec["leaseDurationSeconds"]) == ("a", 15)
        waiting = group.create_task(b.acquire())
        assert await court.pass_until(waiting) > 15

        assert (court.spec["holderIdentity"], court.spec["leaseTransitions"]) == ("b", 1)
        with pytest.raises(LeaseLostError, match="held by b"):
            await a._take()


async def test_while_it_is_renewed_nobody_else_gets_it_and_when_given_back_it_goes_over_at_once(court: Court) -> None:
    async with court.wanting("a") as a, court.wanting("b") as b, asyncio.TaskGroup() as group:
        await a.acquire()
        keeping, waiting = group.create_task(a.keep()), group.create_task(b.acquire())
        for _ in range(60):
            await court.clock.leap(1)
            await asyncio.sleep(0.005)
        assert not waiting.done()
        keeping.cancel()
        await asyncio.wait([keeping])
        assert court.spec["holderIdentity"] == ""

        assert await court.pass_until(waiting) <= 5


async def test_of_two_that_want_one_that_ran_out_only_one_gets_it(court: Court) -> None:
    async with court.wanting("a") as a, court.wanting("b") as b, asyncio.TaskGroup() as group:
        wanting = [group.create_task(a.acquire()), group.create_task(b.acquire())]
        await asyncio.wait(wanting, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0.05)

        assert [task.done() for task in wanting].count(True) == 1
        for task in wanting:
            task.cancel()


@pytest.mark.parametrize("fault", [when(writes, internal_error()), silent(started=False)])
async def test_one_that_cannot_be_renewed_is_lost_before_others_may_take_it(court: Court, fault: Any) -> None:
    async with court.wanting("a") as a, asyncio.TaskGroup() as group:
        await a.acquire()
        court.server.faults.append(fault)

        async def kept() -> None:
            with pytest.raises(LeaseLostError, match="not renewed in time"):
                await a.keep()

        keeping = group.create_task(kept())
        while a._left() > 0:
            await court.clock.leap(1)
            await asyncio.sleep(0.005)
        if not keeping.done():  # the call that hangs is cut by the clock on the wall
            court.server.faults.remove(fault)
            await court.server.away()
        await court.pass_until(keeping)


async def test_an_api_server_that_forbids_it_is_waited_for(court: Court) -> None:
    forbids = when(lambda request: "leases" in request.path, answers(ApiFault(403, "Forbidden", "no")), times=3)
    court.server.faults.append(forbids)
    async with court.wanting("a") as a, asyncio.TaskGroup() as group:
        await court.pass_until(group.create_task(a.acquire()))

        assert court.spec["holderIdentity"] == "a"
