"""Which process is the active one: a Kubernetes Lease, taken and renewed by compare-and-swap.

It keeps a process that was cut off from working on beside its successor; that no act is done twice is the target's own
compare-and-swap. Nobody's clock but ours is trusted: a Lease has run out when we have seen it unchanged for as long as
it lasts. Ours counts as lost a third of that time before others may take it.
"""

import asyncio
import logging
from contextlib import suppress
from datetime import UTC
from typing import Final, Protocol

import msgspec

from responder.cluster.errors import UNREADABLE, ApiError, Conflict, NotFound
from responder.ports import Clock

logger = logging.getLogger(__name__)

GROUP: Final = "/apis/coordination.k8s.io/v1"
CALL_SECONDS: Final = 5.0


class LeaseLostError(Exception):
    """Another process has the Lease, or we could not renew it in time: stop at once."""


class Holds(Protocol):
    """What is needed of ``client.Kubernetes``."""

    async def get(self, path: str, *, deadline: float, attempts: int) -> bytes: ...

    async def create(self, path: str, body: bytes, *, deadline: float) -> bytes: ...

    async def replace(self, path: str, body: bytes, *, deadline: float) -> bytes: ...


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""


class _Spec(msgspec.Struct, rename="camel", omit_defaults=True):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class _Lease(msgspec.Struct, rename="camel"):
    metadata: _Meta
    spec: _Spec = msgspec.field(default_factory=_Spec)
    api_version: str = "coordination.k8s.io/v1"
    kind: str = "Lease"


class Lease:
    def __init__(
        self, kubernetes: Holds, *, namespace: str, name: str, identity: str, clock: Clock, lasts: float = 15.0
    ) -> None:
        """``identity``: of this process and no other. ``lasts``: seconds without a sign of its holder."""
        self._kubernetes = kubernetes
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._clock = clock
        self._lasts = lasts
        self._path = f"{GROUP}/namespaces/{namespace}/leases"
        self._seen = ""  # resourceVersion of the one last seen
        self._seen_at = 0.0
        self._renewed_at = 0.0
        self.holder = ""  # as last seen

    async def acquire(self) -> None:
        """Until it is ours. An API server that is away is waited for."""
        while not await self._take():
            await self._clock.sleep(self._lasts / 6)

    async def keep(self) -> None:
        """Renews it until cancelled, and gives it back then. Raises ``LeaseLostError``."""
        try:
            while True:
                await self._clock.sleep(self._lasts / 6)
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, self._left())):
                        await self._take()
                if self._left() <= 0:
                    raise LeaseLostError(f"the Lease {self._namespace}/{self._name} was not renewed in time")
        finally:
            await self._release()

    def _left(self) -> float:
        """Seconds until it counts as lost."""
        return self._renewed_at + self._lasts * 2 / 3 - self._clock.monotonic()

    async def _take(self) -> bool:
        """One round. Raises ``LeaseLostError`` when ours has become another's."""
        begun = self._clock.monotonic()
        try:
            held = await self._read()
            mine = held is not None and held.spec.holder_identity == self._identity
            if self._renewed_at and not mine:
                holder = held.spec.holder_identity if held is not None else "nobody"
                raise LeaseLostError(f"the Lease {self._namespace}/{self._name} is held by {holder or 'nobody'}")
            if held is not None and not mine and not self._ran_out(held):
                return False
            await self._write(held, mine=mine)
        except Conflict:
            return False  # somebody was faster: read again
        except (ApiError, *UNREADABLE) as error:
            logger.warning("Lease %s/%s: %s", self._namespace, self._name, error)
            return False
        self._renewed_at = begun
        return True

    async def _read(self) -> _Lease | None:
        try:
            raw = await self._kubernetes.get(f"{self._path}/{self._name}", deadline=CALL_SECONDS, attempts=1)
        except NotFound:
            return None
        return msgspec.json.decode(raw, type=_Lease)

    def _ran_out(self, held: _Lease) -> bool:
        now = self._clock.monotonic()
        self.holder = held.spec.holder_identity or ""
        if not self.holder:
            return True  # given back
        if held.metadata.resource_version != self._seen:
            self._seen, self._seen_at = held.metadata.resource_version, now
        return now - self._seen_at > float(held.spec.lease_duration_seconds or self._lasts)

    async def _write(self, held: _Lease | None, *, mine: bool) -> None:
        now = self._clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before = held.spec if held is not None else _Spec()
        transitions = (before.lease_transitions or 0) + (held is not None and not mine)
        since = before.acquire_time if mine else now
        spec = _Spec(self._identity, max(1, round(self._lasts)), since, now, transitions)
        meta = held.metadata if held is not None else _Meta(self._name, self._namespace)
        body = msgspec.json.encode(_Lease(meta, spec))
        if held is None:
            await self._kubernetes.create(self._path, body, deadline=CALL_SECONDS)
        else:
            await self._kubernetes.replace(f"{self._path}/{self._name}", body, deadline=CALL_SECONDS)

    async def _release(self) -> None:
        """So that a successor need not wait. It runs out by itself when this fails."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                held = await self._read()
                if held is not None and held.spec.holder_identity == self._identity:
                    spec = _Spec("", 1, held.spec.acquire_time, held.spec.renew_time, held.spec.lease_transitions)
                    body = msgspec.json.encode(_Lease(held.metadata, spec))
                    await self._kubernetes.replace(f"{self._path}/{self._name}", body, deadline=CALL_SECONDS)
        except (ApiError, TimeoutError, *UNREADABLE) as error:
            logger.info("Lease %s/%s was not given back: %s", self._namespace, self._name, str(error) or "no answer")
