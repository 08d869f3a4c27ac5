"""One log, from its first line to its end, as a kubelet may write it."""

import asyncio
import threading
from datetime import UTC, datetime

from responder.cluster.client import Kubernetes
from responder.cluster.following import Follow, Subject
from responder.core.evidence import GapReason
from responder.core.logblock import unfold
from responder.core.logtape import Bounds, LogTape
from responder.core.redaction import Redactor
from tests.unit.cluster.fault_server import FaultServer, says
from tests.unit.cluster.hook_world import never

ENDED = datetime(2026, 11, 21, 3, 0, 9, tzinfo=UTC)


async def followed(log: bytes) -> tuple[Follow, tuple[str, ...]]:
    """Of a container that has ended; and the lines that were kept."""
    subject = Subject("shop", "db-migrate-x", "migrate", 0)
    subject.tell(ended=True, finished_at=ENDED, current=0, gone=False)
    tape = LogTape(
        "log", Bounds(4096, 4096, 1024), redactor=Redactor(b"key").stream(), scan=never, room=lambda: 1 << 20
    )
    async with FaultServer() as server, Kubernetes.from_url(server.url) as kubernetes:
        server.will("GET", says(200, log))
        follow = Follow(kubernetes, subject, tape, line=1024, turns=asyncio.Lock(), on_lines=lambda _size, _known: None)
        await follow.run()
    block = tape.take(ended=True)
    return follow, unfold(block).texts if block is not None else ()


async def test_a_carriage_return_ends_no_line_beside_the_kubelets_own_words() -> None:
    follow, lines = await followed(
        b"2026-11-21T03:00:01.000000001Z 10%\r100% done\n"
        b"unable to retrieve container logs for containerd://x\n"
        b"2026-11-21T03:00:02.000000001Z the end\r\n"
    )
    assert lines == ("10%\r100% done", "the end\r")
    assert follow.tape.complete


async def test_lines_without_stamps_are_no_log_whatever_time_they_begin_with() -> None:
    follow, lines = await followed(b"2026-11-21T03:00:00 INFO begins\n2026-11-21T03:00:00.123 INFO ends\n")
    assert (lines, follow.gap) == ((), GapReason.LOG_UNREADABLE)


async def test_a_stamp_that_is_no_day_ends_nothing() -> None:
    follow, lines = await followed(b"2026-02-31T03:00:00.000000001Z begins\n")
    assert (lines, follow.tape.complete) == (("begins",), True)


async def test_a_log_of_words_that_nobody_saw_is_looked_through_while_others_go_on() -> None:
    goes_on = threading.Event()

    def scan(data: bytes) -> list[tuple[int, int]]:
        """As RE2 where it learns: it is done only after somebody else had the event loop."""
        assert goes_on.wait(30)
        return [(0, data.index(b"\n"))]

    log = LogTape("log", Bounds(), redactor=Redactor(b"key").stream(), scan=scan, room=lambda: 1 << 20)
    async with FaultServer() as server, Kubernetes.from_url(server.url) as kubernetes, asyncio.TaskGroup() as group:
        server.will("GET", says(200, b"2026-11-21T03:00:01.000000001Z all is new\n"))
        subject = Subject("shop", "db-migrate-x", "migrate", 0)
        subject.tell(ended=True, finished_at=ENDED, current=0, gone=False)
        read = asyncio.Event()
        follow = Follow(kubernetes, subject, log, line=1024, turns=asyncio.Lock(), on_lines=lambda *_: read.set())
        following = group.create_task(follow.run())
        await read.wait()
        assert not following.done()
        goes_on.set()
    assert (log.lines, log.complete) == (1, True)
