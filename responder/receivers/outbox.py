"""The durable outbox: every receiver has its own lane, so that a slow or dead one holds up nobody."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from itertools import product

from responder.core.alert import Alert, Delivery
from responder.metrics import DELIVERY_RESULTS, Metrics
from responder.ports import Clock, Receiver, Store, StoreError
from responder.receivers.lane import IDLE, LOADED, Lane, given_up, wait_for

log = logging.getLogger(__name__)


class Outbox:
    def __init__(self, store: Store, receivers: Mapping[str, Receiver], clock: Clock, metrics: Metrics) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._lanes = {name: Lane(receiver, store, clock, metrics) for name, receiver in receivers.items()}
        self._receivers = receivers
        for name, result in product(receivers, DELIVERY_RESULTS):
            metrics.deliveries_total(name, result)  # stands at 0 from the start
        self._wakened = asyncio.Event()
        self.pending = 0
        self.oldest_seconds = 0.0

    async def run(self) -> None:
        """Until cancelled. What was being sent then is sent again at the next start."""
        async with asyncio.TaskGroup() as group:
            for lane in self._lanes.values():
                group.create_task(lane.run())
            group.create_task(self._watch())

    def wake(self) -> None:
        """There is something new in the store."""
        self._wakened.set()
        for lane in self._lanes.values():
            lane.wakened.set()

    def deliver_from_memory(self, alert: Alert, receivers: Iterable[str]) -> None:
        """When the store is down: best effort, bounded, gone with the process."""
        for name in receivers:
            if lane := self._lanes.get(name):
                lane.remember(alert)

    async def close(self) -> None:
        for receiver in self._receivers.values():
            await receiver.close()

    async def _watch(self) -> None:
        """Keeps the gauges, and gives up what is meant for receivers that are configured no more."""
        while True:
            self._wakened.clear()
            try:
                pending = await self._store.deliveries(limit=LOADED)
                self._show(pending)
                for delivery in pending:
                    if delivery.receiver not in self._lanes:
                        await self._store.commit(*given_up(delivery, "no such receiver is configured", self._clock))
                        self._metrics.deliveries_total(delivery.receiver, "failed").inc()
            except StoreError as error:
                log.warning("outbox cannot be read", extra={"why": str(error)})
            await wait_for(self._wakened, self._clock, IDLE / 2)

    def _show(self, pending: Iterable[Delivery]) -> None:
        created = [delivery.created_at for delivery in pending]
        oldest = (self._clock.now() - min(created)).total_seconds() if created else 0.0
        self.pending, self.oldest_seconds = len(created), max(oldest, 0.0)
        self._metrics.outbox_pending.set(self.pending)
        self._metrics.outbox_oldest_seconds.set(self.oldest_seconds)
