"""What became of deliveries: in the store or, while that takes nothing (a full disk), here until it does."""

import logging

from responder.core.alert import Delivery, DeliveryState
from responder.ports import PutDelivery, Store, StoreError, Write

log = logging.getLogger(__name__)


class Outcomes:
    """Of one receiver. Bounded by what is pending in the store, which takes no more meanwhile."""

    def __init__(self, receiver: str, store: Store) -> None:
        self._receiver = receiver
        self._store = store
        self._waiting: dict[str, tuple[Delivery, tuple[Write, ...]]] = {}

    @property
    def waiting(self) -> bool:
        return bool(self._waiting)

    def latest(self, delivery: Delivery) -> Delivery:
        """As the store would have it if it took writes."""
        found = self._waiting.get(delivery.id)
        return found[0] if found is not None else delivery

    def pending(self, delivery: Delivery) -> bool:
        return self.latest(delivery).state is DeliveryState.PENDING

    async def keep(self, delivery: Delivery, *more: Write) -> None:
        """``more`` is written together with it."""
        self._waiting[delivery.id] = (delivery, more)
        await self._record(delivery.id)

    async def record(self) -> None:
        for waiting in list(self._waiting):
            if not await self._record(waiting):
                return

    async def _record(self, waiting: str) -> bool:
        delivery, more = self._waiting[waiting]
        try:
            await self._store.commit(PutDelivery(delivery), *more)
        except StoreError as error:
            log.warning("outbox cannot write the store", extra={"receiver": self._receiver, "why": str(error)})
            return False
        del self._waiting[waiting]
        return True
