"""One receiver's way out of the outbox: in order for each alert, several alerts at once, nothing lost while it is away.

Delivered at least once: what was sent and could not be recorded is recorded later and holds up no other, what a crash
cut off is sent again.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from responder.core.alert import Alert, Delivery, DeliveryState
from responder.metrics import Metrics
from responder.ports import AppendAudit, AuditEntry, Clock, PutDelivery, Receiver, ReceiverError, Store, StoreError
from responder.receivers.backoff import backoff
from responder.receivers.kept import Kept, KeptAlive
from responder.receivers.outcomes import Outcomes

log = logging.getLogger(__name__)

AT_ONCE = 4
LOADED = 10_000  # pending deliveries looked at
REMEMBERED = 200  # alerts kept in memory while the store is down
IDLE = 30.0  # seconds after which the outbox is looked at unasked
STORE_AWAY = 2.0
OF_ONE_ALERT = "rejected"  # the one reason that says nothing about the next alert


class Lane:
    def __init__(self, receiver: Receiver, store: Store, clock: Clock, metrics: Metrics) -> None:
        self.wakened = asyncio.Event()
        self._receiver = receiver
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._kept = KeptAlive(receiver, store, clock)
        self._memory: dict[str, Alert] = {}
        self._told: dict[str, datetime] = {}  # alert key -> the newest that went out from memory
        self._outcomes = Outcomes(receiver.name, store)
        self._failures = 0
        self._paused_until = 0.0  # monotonic

    async def run(self) -> None:
        while True:
            self.wakened.clear()
            try:
                wait = await self._round()
            except* StoreError as group:
                log.warning("outbox cannot read the store", extra=self._extra(why=str(group.exceptions[0])))
                wait = STORE_AWAY
            except* Exception:
                log.exception("outbox lane failed", extra=self._extra())
                wait = IDLE
            wait = max(wait, self._pause())
            await wait_for(self.wakened, self._clock, min(wait, STORE_AWAY) if self._outcomes.waiting else wait)

    def remember(self, alert: Alert) -> None:
        """To be told although the store is down. Bounded: the oldest goes first."""
        self._memory.pop(alert.key, None)
        self._memory[alert.key] = alert
        if len(self._memory) > REMEMBERED:
            lost = self._memory.pop(next(iter(self._memory)))
            self._count("failed")
            log.error("alert lost: too many while the store is down", extra=self._extra(incident=lost.incident_id))
        self.wakened.set()

    async def _round(self) -> float:
        """Delivers what is due; returns the seconds until something is."""
        await self._from_memory()
        try:
            await self._deliver_due()
        except* StoreError:
            await self._keep_alive()  # whoever is not told again takes it for resolved
            raise
        await self._keep_alive()
        return await self._until_next()

    async def _deliver_due(self) -> None:
        await self._outcomes.record()
        pending = await self._pending()
        await self._settle(superseded(pending))
        await self._settle(filter(self._overtaken, newest(pending)))
        now = self._clock.now()
        for_now = [d for d in newest(pending) if d.not_before <= now and not self._overtaken(d)]
        for_now.sort(key=lambda d: d.attempts)  # one that always fails must not be first for ever
        while for_now and not self._pause():
            # One alone is the probe after a failure; a receiver that answers gets several at once.
            batch = for_now[: 1 if self._failures else AT_ONCE]
            del for_now[: len(batch)]
            # Before anything is sent: a store that fails must cut off none that is on its way, to be sent again.
            known = [(delivery, await self._history(delivery.alert)) for delivery in batch]
            async with asyncio.TaskGroup() as group:
                for delivery, history in known:
                    group.create_task(self._deliver(delivery, history))

    async def _until_next(self) -> float:
        """Read anew: what was put there since is seen too."""
        now = self._clock.now()
        times = [(d.not_before - now).total_seconds() for d in newest(await self._pending())]
        return max(min([IDLE, self._kept.next_in(), *times]), 0.0)

    async def _pending(self) -> list[Delivery]:
        found = [d for d in await self._store.deliveries(limit=LOADED) if d.receiver == self._receiver.name]
        return [self._outcomes.latest(d) for d in found if self._outcomes.pending(d)]

    def _pause(self) -> float:
        return max(self._paused_until - self._clock.monotonic(), 0.0)

    async def _deliver(self, delivery: Delivery, history: Sequence[Delivery]) -> None:
        """``history``: of its alert to this receiver, oldest first."""
        last = history[-1] if history else delivery
        if last.id != delivery.id:  # a newer one came meanwhile: the next round takes that
            self.wakened.set()
            await self._settle([delivery])
            return
        if self._clock.now() >= delivery.expires_at:
            await self._give_up(delivery, f"expired; {delivery.last_error or 'never tried'}")
            return
        reference = next((d.reference for d in reversed(history) if d.state is DeliveryState.SENT), "")
        delivery = msgspec.structs.replace(delivery, attempts=delivery.attempts + 1)
        try:
            reference = await self._send(delivery.alert, reference)
        except ReceiverError as error:
            await self._failed(delivery, error)
        else:
            await self._sent(delivery, reference)

    async def _history(self, alert: Alert) -> Sequence[Delivery]:
        found = await self._store.deliveries(incident_id=alert.incident_id, limit=LOADED)
        ours = [d for d in found if d.receiver == self._receiver.name and d.alert.key == alert.key]
        return [self._outcomes.latest(d) for d in ours]

    async def _send(self, alert: Alert, reference: str) -> str:
        """A fault of ours in one alert must not hold up the others: it is a failed delivery as any other."""
        try:
            reference = await self._receiver.send(alert, reference)
        except ReceiverError as error:
            if error.reason != OF_ONE_ALERT:
                self._failures += 1
                self._paused_until = self._clock.monotonic() + backoff(self._failures, error.retry_after)
            raise
        except Exception as error:
            log.exception("receiver failed on an alert", extra=self._extra(incident=alert.incident_id))
            raise ReceiverError(f"fault of the receiver: {type(error).__name__}", reason=OF_ONE_ALERT) from error
        self._failures = 0
        return reference

    async def _sent(self, delivery: Delivery, reference: str) -> None:
        done = msgspec.structs.replace(
            delivery, state=DeliveryState.SENT, finished_at=self._clock.now(), reference=reference, last_error=""
        )
        self._count("sent")
        self._kept.told(Kept(done.alert, reference))
        await self._outcomes.keep(done)

    async def _failed(self, delivery: Delivery, error: ReceiverError) -> None:
        log.warning(
            "alert not delivered",
            extra=self._extra(incident=delivery.alert.incident_id, why=f"{error.reason}: {error}"),
        )
        delivery = msgspec.structs.replace(delivery, last_error=f"{error.reason}: {error}")
        if error.final:
            await self._give_up(delivery, delivery.last_error)
            return
        self._count("retried")
        wait = self._pause() or backoff(delivery.attempts, error.retry_after)
        not_before = min(self._clock.now() + timedelta(seconds=wait), delivery.expires_at)
        await self._outcomes.keep(msgspec.structs.replace(delivery, not_before=not_before))

    async def _give_up(self, delivery: Delivery, why: str) -> None:
        self._count("failed")
        put, audit = given_up(delivery, why, self._clock)
        await self._outcomes.keep(put.delivery, audit)

    async def _settle(self, deliveries: Iterable[Delivery]) -> None:
        now = self._clock.now()
        for delivery in deliveries:
            self._count("superseded")
            done = msgspec.structs.replace(delivery, state=DeliveryState.SUPERSEDED, finished_at=now)
            await self._outcomes.keep(done)

    def _overtaken(self, delivery: Delivery) -> bool:
        """A newer word on the same alert went out from memory: this one would take it back."""
        return delivery.alert.updated_at < self._told.get(delivery.alert.key, delivery.alert.updated_at)

    def _told_from_memory(self, alert: Alert, reference: str) -> None:
        self._count("sent")
        self._kept.told(Kept(alert, reference))
        self._told.pop(alert.key, None)
        self._told[alert.key] = alert.updated_at
        if len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]

    async def _from_memory(self) -> None:
        for key, alert in list(self._memory.items()):
            if self._pause():
                return
            try:
                reference = await self._send(alert, "")
            except ReceiverError as error:
                log.warning("alert not delivered", extra=self._extra(incident=alert.incident_id, why=str(error)))
                self._count("failed" if error.reason == OF_ONE_ALERT else "retried")
                if error.reason != OF_ONE_ALERT:
                    return
            else:
                self._told_from_memory(alert, reference)
            if self._memory.get(key) is alert:
                del self._memory[key]

    async def _keep_alive(self) -> None:
        for kept in await self._kept.due() if not self._pause() else ():
            try:
                reference = await self._send(kept.alert, kept.reference)
            except ReceiverError as error:
                log.warning("alert not kept alive", extra=self._extra(incident=kept.alert.incident_id, why=str(error)))
                if error.reason != OF_ONE_ALERT:
                    return
                reference = kept.reference
            self._kept.told(Kept(kept.alert, reference))

    def _count(self, result: str) -> None:
        self._metrics.deliveries_total(self._receiver.name, result).inc()

    def _extra(self, **more: str) -> dict[str, str]:
        return {"receiver": self._receiver.name, **more}


def newest(pending: Iterable[Delivery]) -> list[Delivery]:
    """The last of each alert and receiver, oldest first."""
    return list({(d.receiver, d.alert.key): d for d in pending}.values())


def superseded(pending: Sequence[Delivery]) -> list[Delivery]:
    last = {d.id for d in newest(pending)}
    return [d for d in pending if d.id not in last]


def given_up(delivery: Delivery, why: str, clock: Clock) -> tuple[PutDelivery, AppendAudit]:
    now, alert = clock.now(), delivery.alert
    done = msgspec.structs.replace(delivery, state=DeliveryState.FAILED, finished_at=now, last_error=why)
    what = f"gave up telling {delivery.receiver}: {alert.state} {alert.title}"
    return PutDelivery(done), AppendAudit(
        AuditEntry(
            at=now,
            who="responder",
            what=what,
            why=why,
            incident=alert.incident_id,
            application=alert.labels.get("application", ""),
        )
    )


async def wait_for(event: asyncio.Event, clock: Clock, seconds: float) -> None:
    """Until the event, or as long on our clock."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(event.wait()), group.create_task(clock.sleep(seconds))]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
