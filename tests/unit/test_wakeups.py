"""Who waits to be looked at, and when."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from responder.cluster.cache import ClusterCache
from responder.core.argocd import AppKey
from responder.core.evidence import Freshness
from responder.demo.clock import SteppedClock
from responder.ports import Trigger
from responder.wakeups import Wakeups

SHOP, CART = AppKey("argocd", "shop"), AppKey("argocd", "cart")
NIGHT = datetime(2026, 11, 21, 3, tzinfo=UTC)


class Watched(ClusterCache):
    """A cache whose watches stand as a test says."""

    def __init__(self, clock: SteppedClock) -> None:
        async def nothing(_: object) -> tuple[()]:
            return ()

        async def stored(_: object) -> None: ...

        super().__init__(control_plane="argocd", clock=clock, on_change=lambda *_: None, persist=stored, recall=nothing)
        self.stands = Freshness(synced=True, observed_at=NIGHT)

    def freshness(self) -> Freshness:
        return self.stands


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(NIGHT)


@pytest.fixture
def watched(clock: SteppedClock) -> Watched:
    return Watched(clock)


@pytest.fixture
def wakeups(watched: Watched, clock: SteppedClock) -> Wakeups:
    return Wakeups(watched, clock)


async def take(wakeups: Wakeups) -> tuple[AppKey, set[Trigger]] | None:
    """Who is to be looked at now, if anybody."""
    try:
        async with asyncio.timeout(0.01):
            return await wakeups.take()
    except TimeoutError:
        return None


async def test_wakeups_of_one_application_are_merged(wakeups: Wakeups) -> None:
    wakeups.wake(SHOP, Trigger.WEBHOOK)
    wakeups.wake(SHOP, Trigger.HOOK)

    assert await take(wakeups) == (SHOP, {Trigger.WEBHOOK, Trigger.HOOK})
    assert wakeups.pending == 0
    assert not wakeups.idle


async def test_an_application_is_with_one_worker_and_another_is_not_kept_waiting(wakeups: Wakeups) -> None:
    wakeups.wake(SHOP, Trigger.HOOK)
    await wakeups.take()
    wakeups.wake(SHOP, Trigger.APPLICATION)
    wakeups.wake(CART, Trigger.APPLICATION)

    assert await take(wakeups) == (CART, {Trigger.APPLICATION})
    assert await take(wakeups) is None

    await wakeups.free(SHOP)

    assert await take(wakeups) == (SHOP, {Trigger.APPLICATION})


async def test_what_a_person_changes_by_hand_is_not_looked_at_meanwhile(wakeups: Wakeups) -> None:
    async with wakeups.exclusive(SHOP):
        wakeups.wake(SHOP, Trigger.HOOK)

        assert await take(wakeups) is None

    assert await take(wakeups) == (SHOP, {Trigger.HOOK})


async def test_nobody_is_looked_at_before_the_watches_have_listed(wakeups: Wakeups, watched: Watched) -> None:
    watched.stands = Freshness(synced=False, observed_at=None)
    wakeups.wake(SHOP, Trigger.APPLICATION)

    assert await take(wakeups) is None
    assert wakeups.pending == 1

    watched.stands = Freshness(synced=True, observed_at=NIGHT)

    assert await take(wakeups) == (SHOP, {Trigger.APPLICATION})


async def test_a_webhook_alone_waits_while_a_watch_is_in_trouble(wakeups: Wakeups, watched: Watched) -> None:
    watched.stands = Freshness(synced=True, observed_at=NIGHT, trouble="the watch of applications is unreachable")
    wakeups.wake(SHOP, Trigger.WEBHOOK)
    wakeups.wake(CART, Trigger.TIMER)

    assert await take(wakeups) == (CART, {Trigger.TIMER})
    assert await take(wakeups) is None


async def test_the_nearest_of_an_applications_timers_rings_and_only_that(wakeups: Wakeups, clock: SteppedClock) -> None:
    async with asyncio.TaskGroup() as tasks:
        ringing = tasks.create_task(wakeups.ring())
        wakeups.wake_at(SHOP, NIGHT + timedelta(minutes=5))
        wakeups.wake_at(SHOP, NIGHT + timedelta(minutes=1))
        wakeups.wake_at(SHOP, NIGHT + timedelta(minutes=9))
        assert await take(wakeups) is None

        clock.move_to(NIGHT + timedelta(minutes=1))
        assert await take(wakeups) == (SHOP, {Trigger.TIMER})
        await wakeups.free(SHOP)

        clock.move_to(NIGHT + timedelta(minutes=10))
        assert await take(wakeups) is None
        ringing.cancel()
