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
    """Sleeps no longer than ``gate`` is shut, and remembers for how long it should have."""

    def __init__(self, woken: Callable[[], None]) -> None:
        self.at = datetime(2026, 11, 21, 3, tzinfo=UTC)
        self.slept: list[float] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._woken = woken

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)
        self._woken()
        await self.gate.wait()


class Journal:
    """What the handler was told, in order; ``until`` looks again whenever something happened."""

    def __init__(self) -> None:
        self.events: list[WatchEvent[Thing]] = []
        self.troubles: list[Trouble] = []
        self._happened = asyncio.Event()

    def on_event(self, event: WatchEvent[Thing]) -> None:
        self.events.append(event)
        self.poke()

    def poke(self) -> None:
        self._happened.set()

    async def until(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not enough():
                self._happened.clear()
                await self._happened.wait()

    def told(self) -> list[str]:
        return [f"{e.change} {e.key}{' unknown' if e.final_state_unknown else ''}".strip() for e in self.events]


class Rig:
    def __init__(self, server: FaultServer, kubernetes: Kubernetes, **options: Any) -> None:
        self.server = server
        self.journal = Journal()
        self.clock = FakeClock(self.journal.poke)
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


async def test_asks_for_metadata_alone_in_the_words_of_list_and_of_watch(
    server: FaultServer, kubernetes: Kubernetes
) -> None:
    server.will("GET", says(200, page(1)))
    server.will("watch", server.stream(line("ADDED", thing("a", 2)), hold=True))
    async with running(Rig(server, kubernetes, accept=METADATA_LIST)) as rig:
        await rig.journal.until(lambda: "ADDED a" in rig.journal.told())
    assert server.seen("GET")[0].headers["Accept"].startswith("application/json;as=PartialObjectMetadataList;")
    assert server.seen("watch")[0].headers["Accept"].startswith("application/json;as=PartialObjectMetadata;")


async def test_survives_every_fault_in_a_row_with_one_relist_for_each_410(
    server: FaultServer, kubernetes: Kubernetes
) -> None:
    """The change made during it all arrives."""
    server.will("GET", says(200, page(10, thing("a", 3))), says(200, page(20, thing("a", 3))))
    half = line("MODIFIED", thing("a", 11))[:40]
    server.will(
        "watch",
        says(429, status_document(429, "TooManyRequests", "storage is (re)initializing"), {"Retry-After": "7"}),
        says(502, b"<html><h1>Bad Gateway</h1></html>", {"Content-Type": "text/html"}),
        says(503, b""),
        server.stream(),
        server.stream(bookmark(12), half, cut=True),
        server.stream(half),
        server.stream(hold=True),
        says(401, status_document(401, "Unauthorized", "Unauthorized")),
        says(403, status_document(403, "Forbidden", "no watch for you")),
        server.stream(line("ERROR", status_document(410, "Expired", "too old resource version"))),
        says(410, status_document(410, "Expired", "too old resource version")),
        server.stream(line("MODIFIED", thing("a", 21)), hold=True),
    )
    async with running(Rig(server, kubernetes, silence=0.2)) as rig:
        await rig.journal.until(lambda: "MODIFIED a" in rig.journal.told())
    assert rig.journal.troubles == [
        Trouble.THROTTLED,
        Trouble.UNAVAILABLE,
        Trouble.UNAVAILABLE,
        Trouble.EOF,
        Trouble.EOF,
        Trouble.EOF,
        Trouble.SILENCE,
        Trouble.UNAUTHORIZED,
        Trouble.FORBIDDEN,
        Trouble.EXPIRED,
        Trouble.EXPIRED,
    ]
    assert rig.journal.told() == ["ADDED a", "RELISTED", "RELISTED", "RELISTED", "MODIFIED a"]
    assert [request.query["resourceVersion"] for request in server.seen("watch")] == ["10"] * 5 + ["12"] * 5 + [
        "20"
    ] * 2
    assert rig.clock.slept[0] == 7.0


async def test_a_change_and_a_deletion_made_while_away_are_found_by_the_relist(
    server: FaultServer, kubernetes: Kubernetes
) -> None:
    server.will(
        "GET",
        says(200, page(10, thing("kept", 1), thing("gone", 2), thing("changed", 3), thing("again", 4, uid="first"))),
        says(200, page(30, thing("kept", 1), thing("changed", 25), thing("again", 26, uid="second"), thing("new", 27))),
    )
    server.will("watch", says(410, status_document(410, "Gone", "")), server.stream(hold=True))
    async with running(Rig(server, kubernetes)) as rig:
        await rig.journal.until(lambda: rig.journal.told().count("RELISTED") == 2)
    assert rig.journal.told()[5:] == [
        "MODIFIED changed",
        "DELETED again unknown",
        "ADDED again",
        "ADDED new",
        "DELETED gone unknown",
        "RELISTED",
    ]


async def test_without_versions_a_relist_tells_every_object_again(server: FaultServer, kubernetes: Kubernetes) -> None:
    server.will("GET", says(200, page(10, thing("a", 1))))
    server.will("watch", says(410, b""), server.stream(hold=True))
    async with running(Rig(server, kubernetes, version=lambda _: ("", ""))) as rig:
        await rig.journal.until(lambda: rig.journal.told().count("RELISTED") == 2)
    assert rig.journal.told() == ["ADDED a", "RELISTED", "MODIFIED a", "RELISTED"]


async def test_a_deletion_seen_by_the_watch_carries_its_last_state(server: FaultServer, kubernetes: Kubernetes) -> None:
    server.will("GET", says(200, page(10, thing("a", 1))))
    server.will("watch", server.stream(line("DELETED", thing("a", 11)), hold=True))
    async with running(Rig(server, kubernetes)) as rig:
        await rig.journal.until(lambda: len(rig.journal.events) == 3)
    last = rig.journal.events[-1]
    assert (last.change, last.final_state_unknown) == (Change.DELETED, False)
    assert last.object is not None
    assert last.object.metadata.resource_version == "11"


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (says(200, b"<html>login</html>"), Trouble.MALFORMED),
        (says(200, {"kind": "ApplicationList"}), Trouble.MALFORMED),
        (says(404, b"404 page not found"), Trouble.ABSENT),
        (says(403, status_document(403, "Forbidden", "cannot list")), Trouble.FORBIDDEN),
        (says(410, status_document(410, "Expired", "continue token too old")), Trouble.EXPIRED),
    ],
)
async def test_a_list_that_fails_is_named_and_tried_again_without_deleting_anything(
    server: FaultServer, kubernetes: Kubernetes, answer: Any, trouble: Trouble
) -> None:
    server.will("GET", says(200, page(10, thing("a", 1))), answer, says(200, page(20, thing("a", 1))))
    server.will("watch", says(410, b""), server.stream(hold=True))
    async with running(Rig(server, kubernetes)) as rig:
        await rig.journal.until(lambda: rig.journal.told().count("RELISTED") == 2)
    assert rig.journal.told() == ["ADDED a", "RELISTED", "RELISTED"]
    assert rig.journal.troubles == [Trouble.EXPIRED, trouble]


async def test_what_a_person_must_mend_is_asked_for_slowly(server: FaultServer, kubernetes: Kubernetes) -> None:
    server.will("GET", says(404, b"404 page not found"), says(403, b""), says(200, page(1)))
    server.will("watch", server.stream(hold=True))
    async with running(Rig(server, kubernetes)) as rig:
        await rig.reflector.synced.wait()
    assert all(15 <= seconds <= 30 for seconds in rig.clock.slept)
    assert len(rig.clock.slept) == 2


async def test_what_was_allowed_before_is_asked_for_again_soon(server: FaultServer, kubernetes: Kubernetes) -> None:
    """An API server that has just started refuses everything for a second."""
    server.will("GET", says(200, page(1)))
    server.will("watch", says(403, b""), server.stream(line("ADDED", thing("a", 2)), hold=True))
    async with running(Rig(server, kubernetes)) as rig:
        await rig.journal.until(lambda: "ADDED a" in rig.journal.told())
    [slept] = rig.clock.slept
    assert slept <= 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reason": "Expired"},
        {"code": 500, "message": "etcd: no leader"},
        status_document(429, "TooManyRequests", "later"),
    ],
)
async def test_an_error_event_even_without_a_reason_leads_to_a_relist(
    server: FaultServer, kubernetes: Kubernetes, body: dict[str, Any]
) -> None:
    server.will("GET", says(200, page(10)), says(200, page(20, thing("a", 15))))
    server.will("watch", server.stream(line("ERROR", body), hold=True), server.stream(hold=True))
    async with running(Rig(server, kubernetes)) as rig:
        await rig.journal.until(lambda: rig.journal.told() == ["RELISTED", "ADDED a", "RELISTED"])


async def test_objects_too_large_for_a_page_are_asked_for_in_smaller_ones(
    server: FaultServer, kubernetes: Kubernetes
) -> None:
    server.will("GET", server.stream(*[bytes(1 << 20)] * 65), says(200, page(10, thing("a", 5))))
    server.will("watch", server.stream(hold=True))
    async with running(Rig(server, kubernetes)) as rig:
        await rig.journal.until(lambda: rig.journal.told() == ["ADDED a", "RELISTED"])
    assert [seen.query["limit"] for seen in server.seen("GET")] == ["500", "125"]


@pytest.mark.parametrize("garbage", [b"<html>\n", b"{}\n", b'{"type":"HELLO","object":{}}\n', b"\xff\xfe\n"])
async def test_a_line_that_is_no_event_is_malformed_and_healed_by_a_relist(
    server: FaultServer, kubernetes: Kubernetes, garbage: bytes
) -> None:
    server.will("GET", says(200, page(10)))
    server.will("watch", server.stream(garbage, hold=True), server.stream(hold=True))
    async with running(Rig(server, kubernetes)) as rig:
        await rig.journal.until(lambda: rig.journal.told() == ["RELISTED", "RELISTED"])
    assert rig.journal.troubles == [Trouble.MALFORMED]


@pytest.mark.parametrize("trouble", ["eof", "bookmark-then-eof", "refused-410"])
async def test_a_server_that_ends_every_watch_at_once_is_not_asked_in_a_hot_loop(
    server: FaultServer, kubernetes: Kubernetes, trouble: str
) -> None:
    server.will("GET", says(200, page(10)))
    answers = {"eof": server.stream(), "bookmark-then-eof": server.stream(bookmark(11)), "refused-410": says(410, b"")}
    server.will("watch", answers[trouble])
    async with running(Rig(server, kubernetes)) as rig:
        await rig.journal.until(lambda: len(rig.clock.slept) >= 12)
    slept = rig.clock.slept
    assert len(server.seen("watch")) <= len(slept) + 1
    for number, seconds in enumerate(slept):
        longest = min(30.0, 2.0**number)
        assert longest / 2 <= seconds <= longest


async def test_a_watch_that_lived_and_ended_is_resumed_at_once_and_is_no_trouble(
    server: FaultServer, kubernetes: Kubernetes
) -> None:
    server.will("GET", says(200, page(10)))
    server.will("watch", server.stream(bookmark(12)), server.stream(line("ADDED", thing("a", 13)), hold=True))
    async with running(Rig(server, kubernetes, pace=Pace(short=0, watch=(7, 7)))) as rig:
        await rig.journal.until(lambda: "ADDED a" in rig.journal.told())
    assert [request.query["resourceVersion"] for request in server.seen("watch")] == ["10", "12"]
    assert {request.query["timeoutSeconds"] for request in server.seen("watch")} == {"7"}
    assert (rig.journal.troubles, rig.clock.slept) == ([], [])


async def test_two_silences_in_a_row_lead_to_a_relist(server: FaultServer, kubernetes: Kubernetes) -> None:
    """A server restored from a backup never reaches the version we hold, and says nothing about it."""
    server.will("GET", says(200, page(900)), says(200, page(50, thing("a", 49))))
    server.will("watch", server.stream(hold=True))
    async with running(Rig(server, kubernetes, silence=0.1)) as rig:
        await rig.journal.until(lambda: "ADDED a" in rig.journal.told())
        assert rig.reflector.failing_since is not None
    assert rig.journal.troubles[:2] == [Trouble.SILENCE, Trouble.SILENCE]


async def test_an_away_server_is_unreachable_and_listed_when_it_is_back() -> None:
    async with FaultServer() as gone:
        pass
    async with Kubernetes.from_url(gone.url) as kubernetes, running(Rig(gone, kubernetes)) as rig:
        rig.clock.gate.clear()
        await rig.journal.until(lambda: len(rig.clock.slept) == 1)
        assert rig.reflector.trouble is Trouble.UNREACHABLE
        assert rig.reflector.failing_since is not None
        assert not rig.reflector.synced.is_set()
        async with FaultServer(port=gone.port) as back:
            back.will("GET", says(200, page(1, thing("a", 1))))
            back.will("watch", back.stream(line("ADDED", thing("b", 2)), hold=True))
            rig.clock.gate.set()
            await rig.journal.until(lambda: rig.journal.told() == ["ADDED a", "RELISTED", "ADDED b"])
            assert rig.reflector.synced.is_set()


async def test_says_since_when_it_fails_and_when_it_last_heard_something(
    server: FaultServer, kubernetes: Kubernetes
) -> None:
    server.will("GET", says(200, page(10)))
    server.will("watch", says(503, b""), says(503, b""), server.stream(line("ADDED", thing("a", 11)), hold=True))
    async with running(Rig(server, kubernetes)) as rig:
        await rig.journal.until(lambda: "ADDED a" in rig.journal.told())
        assert rig.reflector.failing_since is None
        assert rig.reflector.trouble is None
        assert rig.reflector.last_event_at == rig.clock.at


async def test_a_slow_handler_holds_the_reader_and_is_never_called_twice_at_once(
    server: FaultServer, kubernetes: Kubernetes
) -> None:
    """What is held for it is the queue, however much the server has to say."""
    server.will("GET", says(200, page(10)))
    server.will("watch", server.stream(*(line("MODIFIED", thing("a", n)) for n in range(11, 511)), hold=True))
    release = asyncio.Event()
    busy = asyncio.Lock()
    handled: list[str] = []
    taken: list[str] = []

    async def slow(event: WatchEvent[Thing]) -> None:
        assert not busy.locked()
        async with busy:
            if event.object is not None:
                await release.wait()
                handled.append(event.object.metadata.resource_version)
                rig.journal.poke()

    def key(it: Thing) -> str:
        taken.append(it.metadata.resource_version)
        rig.journal.poke()
        return it.metadata.name

    rig = Rig(server, kubernetes, on_event=slow, queue_size=20, key=key)
    async with running(rig):
        await rig.journal.until(lambda: len(taken) == 22)  # one in the handler, 20 in the queue, one that waits
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(taken) == 22
        assert rig.reflector.resource_version == "31"
        release.set()
        await rig.journal.until(lambda: len(handled) == 500)
    assert handled == [str(n) for n in range(11, 511)]


async def test_an_error_of_the_handler_is_not_hidden(server: FaultServer, kubernetes: Kubernetes) -> None:
    server.will("GET", says(200, page(10)))
    server.will("watch", server.stream(hold=True))

    def broken(event: WatchEvent[Thing]) -> None:
        raise LookupError(event.change)

    with pytest.raises(ExceptionGroup, match="unhandled") as caught:
        await Rig(server, kubernetes, on_event=broken).reflector.run()
    assert isinstance(caught.value.exceptions[0], LookupError)


async def test_the_pace_is_a_setting(server: FaultServer, kubernetes: Kubernetes) -> None:
    server.will("GET", says(503, b""), says(404, b""), says(200, page(1)))
    server.will("watch", server.stream(hold=True))
    async with running(Rig(server, kubernetes, pace=Pace(first=0.01, longest=0.02, slow=0.5))) as rig:
        await rig.reflector.synced.wait()
    assert rig.clock.slept[0] <= 0.01
    assert 0.25 <= rig.clock.slept[1] <= 0.5
