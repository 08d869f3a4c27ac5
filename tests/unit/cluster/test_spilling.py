"""Evidence goes to the store first; while the store is away nobody waits for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import cast

import msgspec
from prometheus_client import CollectorRegistry

from responder.cluster.recording import Recording
from responder.cluster.spilling import Spill
from responder.cluster.surroundings import Surroundings
from responder.config import Recorder as Limits
from responder.core.hooks import HookRun, JobCondition
from responder.core.redaction import Redactor
from responder.core.sightings import SeenJob
from responder.metrics import Metrics
from responder.ports import Store, StoreError, Write
from tests.unit.cluster.hook_world import WallClock, never

AT = datetime(2026, 11, 21, 3, tzinfo=UTC)
RUN = HookRun("in-cluster", "Job", "shop", "db-migrate", "job", AT, tracked="shop")
FAILED = msgspec.structs.replace(RUN, conditions=(JobCondition("Failed", at=AT),))
Told = asyncio.Queue[tuple[HookRun, bool]]


class SlowStore:
    """Answers when it is told to, and as it is told to."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue()

    async def commit(self, *writes: Write) -> None:
        del writes
        answer = asyncio.get_running_loop().create_future()
        self.asked.put_nowait(answer)
        await answer


def spill_to(store: SlowStore, told: Told) -> Spill:
    return Spill(
        Surroundings(
            control_plane="argocd",
            limits=Limits(),
            redactor=Redactor(b"key"),
            scan=never,
            store=cast("Store", store),
            publish=lambda run, woken: told.put_nowait((run, woken)),
            operations=lambda _: (),
            clock=WallClock(),
            metrics=Metrics(CollectorRegistry()),
        )
    )


@asynccontextmanager
async def spilled() -> AsyncIterator[tuple[Spill, Recording, SlowStore, Told]]:
    """One hook's recording, just begun, whose spill is due."""
    store, told = SlowStore(), Told()
    spill, recording = spill_to(store, told), Recording(RUN, AT, away=False)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(spill.run([recording]))
        spill.due()
        yield spill, recording, store, told
        task.cancel()


async def test_what_is_on_its_way_is_held_until_the_store_has_answered() -> None:
    """Its log's memory is not freed before: the store may refuse it yet."""
    async with spilled() as (spill, recording, store, told):
        answer = await store.asked.get()
        assert (recording.dirty, spill.holds(recording)) == (False, True)
        answer.set_exception(StoreError("disk full"))
        await told.get()
        assert (recording.dirty, spill.holds(recording)) == (True, False)


async def test_while_the_store_is_away_values_are_told_at_once_and_again_when_they_are_stored() -> None:
    async with spilled() as (spill, recording, store, told):
        first = await store.asked.get()
        assert told.empty()  # whoever is woken finds in the store what the value speaks of
        first.set_exception(StoreError("disk full"))
        assert (await told.get())[1]

        recording.see_job(SeenJob("shop", "db-migrate", "job", "2", FAILED, whole=True))
        spill.due()
        second = await store.asked.get()
        while second.done():
            second = await store.asked.get()
        run, woken = await told.get()
        assert run.failed is not None
        assert woken
        second.set_result(None)
        again, woken = await told.get()
        assert again == run
        assert woken  # now its log can be read, too
