"""The outbox over the real store and real HTTP; only the clock is stepped."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from responder.core.alert import Alert, AlertState, Delivery, DeliveryState
from responder.core.argocd import AppKey
from responder.core.incident import Incident, IncidentState
from responder.metrics import Metrics
from responder.ports import PutDelivery, PutIncident, Receiver, StoreError, Write
from responder.receivers.alertmanager import Alertmanager
from responder.receivers.http import Endpoint
from responder.receivers.outbox import Outbox
from responder.receivers.webhook import Webhook
from responder.store.sqlite import SqliteStore
from tests.unit.receivers.neighbours import NOW, Neighbour, Request, SteppedClock, alert, delivery, neighbour

FIRING, RESOLVED = AlertState.FIRING, AlertState.RESOLVED
PENDING, SENT, FAILED, SUPERSEDED = (
    DeliveryState.PENDING, DeliveryState.SENT, DeliveryState.FAILED, DeliveryState.SUPERSEDED,
)  # fmt: skip


class Store(SqliteStore):
    """The real one, which can be made to fail."""

    away = False
    full = False  # it can be read

    async def commit(self, *writes: Write) -> None:
        self._check()
        if self.full:
            raise StoreError("database or disk is full")
        await super().commit(*writes)

    async def deliveries(self, **query: object) -> Sequence[Delivery]:
        self._check()
        return await super().deliveries(**query)  # type: ignore[arg-type] # passed on as it is

    async def incident(self, incident_id: str) -> Incident | None:
        self._check()
        return await super().incident(incident_id)

    def _check(self) -> None:
        if self.away:
            raise StoreError("unable to open database file")


class World:
    """An outbox and what is around it."""

    def __init__(self, store: Store, clock: SteppedClock) -> None:
        self.store = store
        self.clock = clock
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)
        self.lanes = 0

    @asynccontextmanager
    async def outbox(self, *receivers: Receiver) -> AsyncIterator[Outbox]:
        """Running, with nothing more to do at this moment."""
        outbox = Outbox(self.store, {receiver.name: receiver for receiver in receivers}, self.clock, self.metrics)
        self.lanes = len(receivers)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(outbox.run())
            try:
                await asyncio.sleep(0)
                yield outbox
            finally:
                task.cancel()
                await asyncio.wait([task])
                await outbox.close()

    async def put(self, *deliveries: Delivery) -> None:
        await self.store.commit(*(PutDelivery(one) for one in deliveries))

    async def quiet(self) -> None:
        await self.clock.quiet(self.lanes + 1)

    async def advance(self, seconds: float) -> None:
        await self.clock.advance(seconds, self.lanes + 1)

    async def states(self, incident: str = "i1") -> list[str]:
        return [one.state.value for one in await self.store.deliveries(incident_id=incident)]

    def counted(self, result: str, receiver: str = "hub") -> float | None:
        labels = {"receiver": receiver, "result": result}
        return self.registry.get_sample_value("responder_deliveries_total", labels)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = SteppedClock()
    async with await Store.open(tmp_path / "responder.db", clock=clock) as store:
        yield World(store, clock)


@pytest.fixture
async def hub() -> AsyncIterator[Neighbour]:
    async with neighbour() as one:
        yield one


def webhook(hub: Neighbour, name: str = "hub") -> Webhook:
    return Webhook(name, Endpoint(hub.url(), timeout=10), os.urandom(32))


def incident(name: str = "i1", state: IncidentState = IncidentState.FIRING) -> Incident:
    return Incident(
        id=name, app=AppKey("argocd", "orders"), app_uid="u1", project="shop", argocd="argocd",
        destination="in-cluster", destination_namespace="shop", state=state, opened_at=NOW, updated_at=NOW,
        opened_for="Job db-migrate failed",
    )  # fmt: skip


async def test_a_delivery_is_sent_once_and_recorded(world: World, hub: Neighbour) -> None:
    await world.put(delivery("d1", alert()))
    async with world.outbox(webhook(hub)):
        await world.advance(300)
    (done,) = await world.store.deliveries(incident_id="i1")
    assert hub.subjects() == ["i1 firing"]
    assert (done.state, done.attempts, done.finished_at, done.last_error) == (SENT, 1, NOW, "")
    assert world.counted("sent") == 1


async def test_it_wakes_at_once_when_told(world: World, hub: Neighbour) -> None:
    async with world.outbox(webhook(hub)) as outbox:
        await world.quiet()
        await world.put(delivery("d1", alert()))
        outbox.wake()
        async with asyncio.timeout(10):
            await hub.arrived.get()
        assert world.clock.now() == NOW


async def test_a_newer_word_on_the_same_alert_replaces_an_unsent_one(world: World, hub: Neighbour) -> None:
    await world.put(
        delivery("d1", alert(), at=NOW - timedelta(minutes=2)),
        delivery("d2", alert(what="now known"), at=NOW - timedelta(minutes=1)),
        delivery("d3", alert("i2"), at=NOW - timedelta(minutes=1)),
    )
    async with world.outbox(webhook(hub)):
        await world.quiet()
    assert sorted(hub.subjects()) == ["i1 firing", "i2 firing"]
    assert await world.states() == [SUPERSEDED, SENT]
    assert world.counted("superseded") == 1


async def test_the_end_is_told_after_the_beginning(world: World, hub: Neighbour) -> None:
    async with world.outbox(webhook(hub)) as outbox:
        await world.put(delivery("d1", alert()))
        outbox.wake()
        await world.quiet()
        await world.put(delivery("d2", alert(state=RESOLVED), at=NOW + timedelta(seconds=1)))
        await world.advance(60)
    assert hub.subjects() == ["i1 firing", "i1 resolved"]
    assert await world.states() == [SENT, SENT]


async def test_an_end_is_told_though_the_beginning_never_arrived(world: World, hub: Neighbour) -> None:
    hub.always = (503, {}, "")
    await world.put(delivery("d1", alert()))
    async with world.outbox(webhook(hub)):
        await world.advance(10)
        await world.put(delivery("d2", alert(state=RESOLVED), at=world.clock.now()))
        await world.advance(120)
        assert await world.states() == [SUPERSEDED, PENDING]
        hub.always = (200, {}, "")
        await world.advance(120)
    assert hub.subjects()[-1] == "i1 resolved"
    assert await world.states() == [SUPERSEDED, SENT]


async def test_nothing_is_lost_while_a_receiver_is_away_for_an_hour(world: World, hub: Neighbour) -> None:
    hub.always = (503, {}, "maintenance")
    await world.put(*(delivery(f"d{n}", alert(f"i{n}")) for n in range(30)))
    async with world.outbox(webhook(hub)):
        await world.advance(3600)
        tried = len(hub.requests)
        hub.requests.clear()
        assert 60 <= tried <= 150  # one probe at a time, at most a minute apart, not thirty at once
        hub.always = (200, {}, "")
        await world.advance(120)
    assert Counter(hub.subjects()) == Counter(f"i{n} firing" for n in range(30))
    assert await world.store.deliveries() == []
    assert world.counted("sent") == 30
    assert world.counted("retried") == tried


async def test_a_receiver_that_asks_for_time_gets_it(world: World, hub: Neighbour) -> None:
    hub.always = (429, {"Retry-After": "300"}, "")
    await world.put(delivery("d1", alert()), delivery("d2", alert("i2")))
    async with world.outbox(webhook(hub)):
        await world.quiet()
        first = len(hub.requests)
        await world.advance(299)
        assert len(hub.requests) == first
        hub.always = (200, {}, "")
        await world.advance(62)
    assert await world.states("i1") == [SENT]
    assert await world.states("i2") == [SENT]


async def test_what_cannot_be_delivered_in_time_is_given_up_and_audited(world: World, hub: Neighbour) -> None:
    hub.always = (503, {}, "")
    await world.put(delivery("d1", alert(), keep=600))
    async with world.outbox(webhook(hub)):
        await world.advance(700)
    (given_up,) = await world.store.deliveries(incident_id="i1")
    assert (given_up.state, given_up.last_error) == (FAILED, "expired; server-error: HTTP 503")
    (entry,) = await world.store.audit(incident_id="i1")
    assert (entry.what, entry.why) == ("gave up telling hub: firing i1", "expired; server-error: HTTP 503")
    assert world.counted("failed") == 1


async def test_what_a_receiver_refuses_for_its_content_is_not_sent_again(world: World, hub: Neighbour) -> None:
    hub.refused = lambda request: 400 if b'"i1"' in request.body else None
    await world.put(delivery("d1", alert("i1")), delivery("d2", alert("i2")))
    async with world.outbox(webhook(hub)):
        await world.advance(300)
    assert Counter(hub.subjects()) == {"i1 firing": 1, "i2 firing": 1}
    assert await world.states("i1") == [FAILED]
    assert await world.states("i2") == [SENT]


async def test_alerts_on_which_a_receiver_always_fails_hold_up_no_other(world: World, hub: Neighbour) -> None:
    hub.refused = lambda request: 500 if any(f'"i{n}"'.encode() in request.body for n in range(4)) else None
    await world.put(*(delivery(f"d{n}", alert(f"i{n}")) for n in range(8)))
    async with world.outbox(webhook(hub)):
        await world.advance(120)
    assert [await world.states(f"i{n}") for n in range(8)] == [[PENDING]] * 4 + [[SENT]] * 4


async def test_a_slow_receiver_holds_up_no_other(world: World, hub: Neighbour) -> None:
    hub.released.clear()
    async with neighbour() as quick:
        await world.put(delivery("d1", alert(), "hub"), delivery("d2", alert(), "quick"))
        async with world.outbox(webhook(hub), webhook(quick, "quick")), asyncio.timeout(10):
            await hub.arrived.get()
            await quick.arrived.get()
    assert quick.subjects() == ["i1 firing"]


async def test_a_receiver_gets_four_alerts_at_once_at_most(world: World, hub: Neighbour) -> None:
    hub.released.clear()
    await world.put(*(delivery(f"d{n}", alert(f"i{n}")) for n in range(20)))
    async with world.outbox(webhook(hub)):
        async with asyncio.timeout(10):
            for _ in range(4):
                await hub.arrived.get()
        hub.released.set()
        await world.quiet()
    assert len(hub.requests) == 20
    assert hub.at_once == 4


async def test_what_was_being_sent_at_a_crash_is_sent_again_under_the_same_id(world: World, hub: Neighbour) -> None:
    hub.released.clear()
    await world.put(delivery("d1", alert()))
    async with world.outbox(webhook(hub)), asyncio.timeout(10):
        await hub.arrived.get()
    hub.released.set()
    async with world.outbox(webhook(hub)):
        await world.quiet()
    before, after = hub.requests
    assert before.headers["webhook-id"] == after.headers["webhook-id"]
    assert await world.states() == [SENT]


async def test_what_was_sent_while_the_store_failed_is_recorded_later_and_not_sent_again(
    world: World, hub: Neighbour
) -> None:
    def fill_the_disk(_: Request) -> None:
        world.store.away = True

    hub.refused = fill_the_disk
    await world.put(delivery("d1", alert()))
    async with world.outbox(webhook(hub)):
        await world.advance(30)
        world.store.away = False
        await world.advance(30)
    assert hub.subjects() == ["i1 firing"]
    assert await world.states() == [SENT]


async def test_on_a_full_disk_everything_is_sent_once_and_recorded_when_there_is_room(
    world: World, hub: Neighbour
) -> None:
    def fill_the_disk(_: Request) -> None:
        world.store.full = True

    hub.refused = fill_the_disk
    await world.put(*(delivery(f"d{n}", alert(f"i{n}")) for n in range(10)))
    async with world.outbox(webhook(hub)):
        await world.advance(300)
        assert Counter(hub.subjects()) == {f"i{n} firing": 1 for n in range(10)}
        hub.refused = lambda _: None
        world.store.full = False
        await world.advance(30)
    assert len(hub.requests) == 10
    assert [await world.states(f"i{n}") for n in range(10)] == [[SENT]] * 10
    assert world.counted("sent") == 10


async def test_on_a_full_disk_a_receiver_that_is_away_is_asked_no_more_often(world: World, hub: Neighbour) -> None:
    hub.always = (503, {}, "")
    await world.put(delivery("d1", alert()))
    async with world.outbox(webhook(hub)):
        await world.quiet()
        world.store.full = True
        await world.advance(3600)
        assert 60 <= len(hub.requests) <= 150
        world.store.full = False
        await world.advance(120)
    (one,) = await world.store.deliveries(incident_id="i1")
    assert (one.state, one.attempts) == (PENDING, len(hub.requests))


async def test_on_a_full_disk_what_is_refused_is_given_up_once(world: World, hub: Neighbour) -> None:
    hub.always = (400, {}, "")
    await world.put(delivery("d1", alert()), delivery("d2", alert(what="now known"), at=NOW + timedelta(seconds=1)))
    world.store.full = True
    async with world.outbox(webhook(hub)):
        await world.advance(300)
        world.store.full = False
        await world.advance(30)
    assert len(hub.requests) == 1
    assert await world.states() == [SUPERSEDED, FAILED]
    assert [entry.what for entry in await world.store.audit(incident_id="i1")] == ["gave up telling hub: firing i1"]
    assert (world.counted("superseded"), world.counted("failed")) == (1, 1)


async def test_on_a_full_disk_the_end_that_was_told_from_memory_stays_the_last_word(
    world: World, hub: Neighbour
) -> None:
    hub.always = (503, {}, "")
    await world.put(delivery("d1", alert()))
    async with world.outbox(webhook(hub)) as outbox:
        await world.quiet()
        world.store.full = True
        outbox.deliver_from_memory(alert(state=RESOLVED, updated_at=NOW + timedelta(minutes=1)), ["hub"])
        hub.requests.clear()
        hub.always = (200, {}, "")
        await world.advance(120)
        world.store.full = False
        await world.advance(30)
    assert hub.subjects() == ["i1 resolved"]
    assert await world.states() == [SUPERSEDED]


async def test_alerts_go_out_from_memory_when_the_store_is_down(world: World, hub: Neighbour) -> None:
    world.store.away = True
    hub.always = (503, {}, "")
    async with world.outbox(webhook(hub)) as outbox:
        await world.quiet()
        outbox.deliver_from_memory(alert(), ["hub", "nobody"])
        await world.advance(30)
        outbox.deliver_from_memory(alert(state=RESOLVED), ["hub"])
        hub.requests.clear()
        hub.always = (200, {}, "")
        await world.advance(120)
    assert hub.subjects() == ["i1 resolved"]


async def test_memory_is_bounded_and_the_oldest_goes_first(world: World, hub: Neighbour) -> None:
    world.store.away = True
    async with world.outbox(webhook(hub)) as outbox:
        for n in range(250):
            outbox.deliver_from_memory(alert(f"i{n}"), ["hub"])
        await world.quiet()
    assert hub.subjects() == [f"i{n} firing" for n in range(50, 250)]
    assert world.counted("failed") == 50


async def test_a_receiver_that_is_configured_no_more_is_given_up(world: World, hub: Neighbour) -> None:
    await world.put(delivery("d1", alert(), "former"))
    async with world.outbox(webhook(hub)):
        await world.quiet()
    assert await world.states() == [FAILED]
    (entry,) = await world.store.audit(incident_id="i1")
    assert entry.why == "no such receiver is configured"


class Broken:
    """A receiver with a fault of our own making."""

    name = "hub"
    repeat_every: float | None = None

    def __init__(self, inner: Webhook) -> None:
        self._inner = inner

    async def send(self, told: Alert, reference: str) -> str:
        if told.incident_id in {"i1", "i2", "i3", "i4"}:
            raise KeyError("a bug")
        return await self._inner.send(told, reference)

    async def close(self) -> None:
        await self._inner.close()


async def test_a_fault_of_our_own_in_one_alert_holds_up_no_other(world: World, hub: Neighbour) -> None:
    await world.put(*(delivery(f"d{n}", alert(f"i{n}"), keep=3600) for n in range(1, 7)))
    async with world.outbox(Broken(webhook(hub))):
        await world.quiet()
        assert sorted(hub.subjects()) == ["i5 firing", "i6 firing"]
        await world.advance(3700)
    assert await world.states("i1") == [FAILED]


def alertmanager(hub: Neighbour) -> Alertmanager:
    return Alertmanager("hub", [Endpoint(hub.url(), timeout=10)], repeat_every=60)


async def test_a_firing_alert_is_repeated_until_it_is_resolved(world: World, hub: Neighbour) -> None:
    await world.store.commit(PutIncident(incident()))
    await world.put(delivery("d1", alert()))
    async with world.outbox(alertmanager(hub)):
        await world.advance(300)
        assert len(hub.requests) == 6  # at once, then each minute
        await world.put(delivery("d2", alert(state=RESOLVED), at=world.clock.now()))
        await world.advance(600)
    assert len(hub.requests) == 7


async def test_a_firing_alert_is_repeated_while_the_store_is_away(world: World, hub: Neighbour) -> None:
    """Alertmanager would tell whoever holds the pager that it is resolved."""
    await world.store.commit(PutIncident(incident()), PutDelivery(delivery("d1", alert())))
    async with world.outbox(alertmanager(hub)):
        await world.quiet()
        world.store.away = True
        await world.advance(60)
        await world.advance(60)
        world.store.away = False
    assert len(hub.requests) == 3


async def test_repetition_ends_with_the_incident(world: World, hub: Neighbour) -> None:
    await world.store.commit(PutIncident(incident()))
    await world.put(delivery("d1", alert()))
    async with world.outbox(alertmanager(hub)):
        await world.advance(60)
        await world.store.commit(PutIncident(incident(state=IncidentState.SUPERSEDED)))
        await world.advance(600)
    assert len(hub.requests) == 2


async def test_after_a_restart_what_was_told_is_repeated_at_once(world: World, hub: Neighbour) -> None:
    await world.store.commit(PutIncident(incident()), PutIncident(incident("i2", IncidentState.RESOLVED)))
    await world.put(delivery("d1", alert()), delivery("d2", alert("i2")))
    async with world.outbox(alertmanager(hub)):
        await world.quiet()
    hub.requests.clear()
    async with world.outbox(alertmanager(hub)):
        await world.quiet()
    (request,) = hub.requests
    assert b'"incident":"i1"' in request.body


async def test_a_repetition_that_fails_is_made_up_for(world: World, hub: Neighbour) -> None:
    await world.store.commit(PutIncident(incident()))
    await world.put(delivery("d1", alert()))
    async with world.outbox(alertmanager(hub)):
        await world.advance(59)
        hub.always = (500, {}, "")
        await world.advance(60)
        hub.always = (200, {}, "")
        hub.requests.clear()
        await world.advance(60)
    assert len(hub.requests) >= 1


async def test_the_gauges_show_how_far_behind_it_is(world: World, hub: Neighbour) -> None:
    hub.always = (503, {}, "")
    await world.put(delivery("d1", alert()), delivery("d2", alert("i2")))
    async with world.outbox(webhook(hub)):
        await world.advance(600)
        assert world.registry.get_sample_value("responder_outbox_pending") == 2
        assert world.registry.get_sample_value("responder_outbox_oldest_seconds") == pytest.approx(600, abs=15)
        hub.always = (200, {}, "")
        await world.advance(120)
        assert world.registry.get_sample_value("responder_outbox_pending") == 0
        assert world.registry.get_sample_value("responder_outbox_oldest_seconds") == 0
