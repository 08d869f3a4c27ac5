"""The reflector against what servers, load balancers and networks really do."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from responder.cluster.client import METADATA_LIST, Kubernetes
from responder.cluster.reflector import Change, Pace, Reflector, Trouble, WatchEvent
from responder.cluster.wire import decoders
from tests.unit.cluster.fault_server import FaultServer, says, status_document

PATH = "/apis/argoproj.io/v1alpha1/applications"


class Meta(msgspec.Struct, rename="camel"):
    name: str
    uid: str
    resource_version: str


class Thing(msgspec.Struct):
    metadata: Meta


def thing(name: str, version: int, uid: str | None = None) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "uid": uid or f"uid-{name}", "resourceVersion": str(version)},
        "spec": {"big": 1},
    }


def page(version: int, *items: dict[str, Any], token: str = "") -> dict[str, Any]:
    return {"metadata": {"resourceVersion": str(version), "continue": token}, "items": list(items) or None}


def line(kind: str, body: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": body}).encode() + b"\n"


def bookmark(version: int) -> bytes:
    return line("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


class FakeClock:
    """Sleeps at once and remembers for how long."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 21, 3, tzinfo=UTC)
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)
        await asyncio.sleep(0)


class Journal:
    """What the handler was told, in order; ``until`` waits for it."""

    def __init__(self) -> None:
        self.events: list[WatchEvent[Thing]] = []
        self.troubles: list[Trouble] = []
        self._more = asyncio.Condition()

    async def on_event(self, event: WatchEvent[Thing]) -> None:
        async with self._more:
            self.events.append(event)
            self._more.notify_all()

    async def until(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(10), self._more:
            await self._more.wait_for(enough)

    def told(self) -> list[str]:
        return [f"{e.change} {e.key}{' unknown' if e.final_state_unknown else ''}".strip() for e in self.events]


class Rig:
    def __init__(self, server: FaultServer, kubernetes: Kubernetes, **options: Any) -> None:
        self.server = server
        self.clock = FakeClock()
        self.journal = Journal()
        decode_list, decode_event = decoders(Thing, lambda wire: wire)
        self.reflector = Reflector(
            kubernetes,
            **{
                "resource": "applications",
                "path": PATH,
                "decode_list": decode_list,
                "decode_event": decode_event,
                "key": lambda it: it.metadata.name,
                "version": lambda it: (it.metadata.uid, it.metadata.resource_version),
                "on_event": self.journal.on_event,
                "on_trouble": self.journal.troubles.append,
                "clock": self.clock,
                **options,
            },
        )


@asynccontextmanager
async def running(rig: Rig) -> AsyncIterator[Rig]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(rig.reflector.run())
        try:
            yield rig
        finally:
            task.cancel()


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    async with FaultServer() as server:
        yield server


@pytest.fixture
async def kubernetes(server: FaultServer) -> AsyncIterator[Kubernetes]:
    async with Kubernetes.from_url(server.url) as kubernetes:
        yield kubernetes


async def test_lists_in_pages_then_watches_from_the_version_of_the_list(
    server: FaultServer, kubernetes: Kubernetes
) -> None:
    server.will("GET", says(200, page(7, thing("a", 3), token="next")), says(200, page(7, thing("b", 5))))
    server.will("watch", server.stream(line("MODIFIED", thing("a", 8)), bookmark(12), hold=True))
    async with running(Rig(server, kubernetes)) as rig:
        await rig.journal.until(lambda: len(rig.journal.events) == 4)
        await rig.reflector.synced.wait()
        assert rig.journal.told() == ["ADDED a", "ADDED b", "RELISTED", "MODIFIED a"]
    first, second = server.seen("GET")
    assert (first.query["limit"], second.query["continue"]) == ("500", "next")
    asked = server.seen("watch")[0].query
    assert (asked["resourceVersion"], asked["allowWatchBookmarks"]) == ("7", "true")
    assert 150 <= int(asked["timeoutSeconds"]) <= 300
