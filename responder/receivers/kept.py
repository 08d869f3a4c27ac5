"""Alerts that a receiver must hear again and again while they fire (Alertmanager forgets what is not repeated)."""

import math
from contextlib import suppress

import msgspec

from responder.core.alert import Alert, AlertState, DeliveryState
from responder.core.incident import IncidentState
from responder.ports import Clock, IncidentQuery, Receiver, Store, StoreError

_PAGE = 200


class Kept(msgspec.Struct, frozen=True):
    """The last of an alert that was taken, and what the receiver gave back for it."""

    alert: Alert
    reference: str


class KeptAlive:
    """Of one receiver; empty for one that wants no repetition."""

    def __init__(self, receiver: Receiver, store: Store, clock: Clock) -> None:
        self._name = receiver.name
        self._every = receiver.repeat_every
        self._store = store
        self._clock = clock
        self._kept: dict[str, tuple[Kept, float]] = {}  # alert key -> with the time of its next send
        self._loaded = False

    def told(self, kept: Kept) -> None:
        if self._every is None:
            return
        if kept.alert.state is AlertState.RESOLVED:
            self._kept.pop(kept.alert.key, None)
        else:
            self._kept[kept.alert.key] = (kept, self._clock.monotonic() + self._every)

    def next_in(self) -> float:
        """Seconds; infinite when nothing is kept."""
        now = self._clock.monotonic()
        return min((at - now for _, at in self._kept.values()), default=math.inf)

    async def due(self) -> list[Kept]:
        """Those to send now. An incident that is no longer open, or was purged, is let go.

        While the store is away nobody knows, and all that we remember is sent.
        """
        if self._every is None:
            return []
        if not self._loaded:
            with suppress(StoreError):
                await self._load()
        now = self._clock.monotonic()
        found = [kept for kept, at in self._kept.values() if at <= now]
        return [kept for kept in found if await self._open(kept)]

    async def _open(self, kept: Kept) -> bool:
        try:
            incident = await self._store.incident(kept.alert.incident_id)
        except StoreError:
            return True
        if incident is not None and incident.state.open:
            return True
        self._kept.pop(kept.alert.key, None)
        return False

    async def _load(self) -> None:
        """After a start: all that was told and is open is due at once, for nobody repeated it meanwhile."""
        cursor = ""
        while True:
            states = (IncidentState.FIRING, IncidentState.ACKNOWLEDGED)
            page = await self._store.incidents(IncidentQuery(states=states, limit=_PAGE, cursor=cursor))
            for incident in page.incidents:
                await self._load_one(incident.id)
            cursor = page.next_cursor
            if not cursor:
                break
        self._loaded = True

    async def _load_one(self, incident_id: str) -> None:
        deliveries = await self._store.deliveries(incident_id=incident_id, limit=10_000)
        told = [d for d in deliveries if d.receiver == self._name and d.state is DeliveryState.SENT]
        for last in {d.alert.key: d for d in told}.values():
            if last.alert.state is not AlertState.RESOLVED:
                self._kept.setdefault(last.alert.key, (Kept(last.alert, last.reference), -math.inf))
