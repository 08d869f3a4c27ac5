"""Watches the resources of migration operators, where their kinds are declared; that is looked up now and then."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec

from responder.cluster.client import Kubernetes
from responder.cluster.errors import UNREADABLE, ApiError, NotFound
from responder.cluster.reflector import Reflector, WatchEvent
from responder.cluster.watching import Watches
from responder.core.operated import GROUP, KINDS, VERSION
from responder.core.sightings import SeenJob
from responder.ports import Clock

LOOK_AGAIN: Final = 300.0  # seconds
TRY_AGAIN: Final = 30.0


class _Kind(msgspec.Struct):
    name: str


class _Kinds(msgspec.Struct):
    resources: list[_Kind] | None = None


async def declared(kubernetes: Kubernetes) -> frozenset[str]:
    """Plurals of the operators' kinds that this cluster has. Raises ``ApiError``."""
    try:
        body = await kubernetes.get(f"/apis/{GROUP}/{VERSION}")
        found = {kind.name for kind in msgspec.json.decode(body, type=_Kinds).resources or ()}
    except NotFound:
        return frozenset()
    except UNREADABLE:
        raise ApiError(200, "Malformed", "the answer is no list of kinds") from None
    return frozenset(found & KINDS.keys())


class OperatedHooks:
    """``on_event`` gets them like Jobs."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        watches: Watches,
        *,
        namespaces: Sequence[str],
        on_event: Callable[[WatchEvent[SeenJob]], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._kubernetes = kubernetes
        self._watches = watches
        self._namespaces = tuple(namespaces)
        self._on_event = on_event
        self._clock = clock
        self._looked = False
        self._running: dict[str, list[tuple[Reflector[SeenJob], asyncio.Task[None]]]] = {}  # by plural

    @property
    def reflectors(self) -> Sequence[Reflector[Any]]:
        return [reflector for kind in self._running.values() for reflector, _ in kind]

    @property
    def synced(self) -> bool:
        """All there are have been told."""
        return self._looked and all(reflector.synced.is_set() for reflector in self.reflectors)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                pause = LOOK_AGAIN
                try:
                    self._follow(await declared(self._kubernetes), group)
                    self._looked = True
                except ApiError:  # the watches of Jobs tell of an API server that is away
                    pause = TRY_AGAIN
                await self._clock.sleep(pause)

    def _follow(self, plurals: frozenset[str], group: asyncio.TaskGroup) -> None:
        for plural in self._running.keys() - plurals:  # the operator was taken away
            for _, task in self._running.pop(plural):
                task.cancel()
        for plural in sorted(plurals - self._running.keys()):
            made = [self._watches.operated(plural, namespace, self._on_event) for namespace in self._namespaces]
            self._running[plural] = [(one, group.create_task(one.run(), name=f"watch {plural}")) for one in made]
