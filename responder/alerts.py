"""From what the plan wants said to the outbox; and past it while nothing can be stored."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from responder.core.alert import Alert, AlertState, Delivery
from responder.core.alerting import AlertOrder
from responder.ports import Clock, PutDelivery

_LASTS = timedelta(days=1)


class Outbox(Protocol):
    def wake(self) -> None: ...

    def deliver_from_memory(self, alert: Alert, receivers: Sequence[str]) -> None: ...


class Alerts:
    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock
        self._from_memory: dict[tuple[str, str], AlertState] = {}

    def writes(self, orders: Sequence[AlertOrder]) -> list[PutDelivery]:
        return [PutDelivery(self._delivery(order)) for order in orders]

    def _delivery(self, order: AlertOrder) -> Delivery:
        now = self._clock.now()
        return Delivery(
            id=f"{order.alert.incident_id}-{order.receiver}-{now.timestamp():.6f}",
            receiver=order.receiver,
            alert=order.alert,
            created_at=now,
            not_before=now,
            expires_at=now + _LASTS,
        )

    def stored(self, orders: Sequence[AlertOrder]) -> None:
        """They are in the outbox."""
        if orders:
            self._outbox.wake()
        for order in orders:
            self._from_memory.pop((order.receiver, order.alert.key), None)

    def from_memory(self, orders: Sequence[AlertOrder]) -> None:
        """The store is down: people are told all the same, once a state."""
        for order in orders:
            key = (order.receiver, order.alert.key)
            if self._from_memory.get(key) is not order.alert.state:
                self._from_memory[key] = order.alert.state
                self._outbox.deliver_from_memory(order.alert, [order.receiver])
