import asyncio

from responder.core.argocd import AppKey
from responder.ports import AddWakeup, DropWakeup, Store, Trigger, Wakeup
from tests.contract.store.conftest import Opened
from tests.contract.store.examples import BILLING, NIGHT, ORDERS, after


def wake(app: AppKey | None = ORDERS, *, trigger: Trigger = Trigger.WEBHOOK, minutes: float = 0) -> AddWakeup:
    return AddWakeup(Wakeup(app, trigger, after(minutes)))


async def test_a_new_store_holds_no_wakeup(store: Store) -> None:
    assert await store.wakeups() == []


async def test_one_row_a_key_the_newest_stays(store: Store) -> None:
    await store.commit(wake(ORDERS, trigger=Trigger.WEBHOOK))
    await store.commit(wake(BILLING))
    await store.commit(wake(ORDERS, trigger=Trigger.TIMER, minutes=1))
    billing, orders = await store.wakeups()
    assert (billing.app, orders.app, orders.trigger, orders.at) == (BILLING, ORDERS, Trigger.TIMER, after(1))
    assert 0 < billing.seq < orders.seq


async def test_all_applications_are_a_key_of_their_own(store: Store) -> None:
    await store.commit(wake(None), wake(ORDERS), wake(None))
    assert [w.app for w in await store.wakeups()] == [ORDERS, None]


async def test_a_drop_takes_what_was_seen_and_no_newer_one(store: Store) -> None:
    await store.commit(wake())
    (seen,) = await store.wakeups()
    await store.commit(wake())
    await store.commit(DropWakeup(seen))
    (newer,) = await store.wakeups()
    assert newer.seq > seen.seq
    await store.commit(DropWakeup(newer))
    assert await store.wakeups() == []


async def test_a_drop_concerns_its_own_key_only(store: Store) -> None:
    await store.commit(wake(ORDERS), wake(BILLING), wake(None))
    *_, everything = await store.wakeups()
    await store.commit(DropWakeup(everything))
    assert [w.app for w in await store.wakeups()] == [ORDERS, BILLING]


async def test_a_number_is_never_given_twice(opened: Opened) -> None:
    """Else a late drop of an earlier one would take a newer one away."""
    async with opened() as store:
        await store.commit(wake())
        (first,) = await store.wakeups()
        await store.commit(DropWakeup(first))
    async with opened() as store:
        await store.commit(wake())
        await store.commit(DropWakeup(first))
        (second,) = await store.wakeups()
    assert second.seq > first.seq


async def test_no_client_of_many_waits_for_ever(store: Store) -> None:
    """A batcher that looks at its queue, waits, and then says "idle" forgets those who came in between."""
    done = 0

    async def client(trigger: Trigger) -> None:
        nonlocal done
        for _ in range(60):
            await store.commit(AddWakeup(Wakeup(ORDERS, trigger, NIGHT)))
            done += 1

    async with asyncio.timeout(40), asyncio.TaskGroup() as clients:
        for _ in range(64):
            clients.create_task(client(Trigger.WEBHOOK))
    assert done == 64 * 60
    (last,) = await store.wakeups()
    assert last.seq >= 64 * 60
