"""Following 200 logs at once, stamped, redacted and scanned, against reading and discarding them.

`python -m tests.bench.follow`. The server is a process of its own that does nothing but send; each side is another, so
that its memory is its own. Lines are those of a migration: one in fifty is known to a signature. They repeat: words
that RE2 never saw would take it ten times as long, in a thread.
"""

import asyncio
import gc
import json
import resource
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from itertools import cycle, islice

from responder.cluster.client import Kubernetes
from responder.cluster.following import Follow, Subject
from responder.cluster.spilling import GATHER_SECONDS
from responder.core.logtape import Bounds, LogTape
from responder.core.redaction import Redactor
from responder.core.surveying import rehearse
from responder.shipped import signatures

LOGS = 200
BLOCKS = 40  # of each log
ROUNDS = 5
BLOCK = 32 << 10
KNOWN_EVERY = 50
SPILL_SECONDS = 2.0
LOOK_SECONDS = 0.005

TEXTS = (
    "INFO  compared part 8333 of 120000 of orders_old with orders in 12 ms",
    '{"level":"info","msg":"refreshed rates","n":9477,"took_ms":12}',
    "worker 3: 8,333 rows a second, lag 0.2 s, 14 of 96 partitions",
    "    at java.base/java.util.ArrayList.forEach(ArrayList.java:1511)",
)
KNOWN = "INFO  [alembic.runtime.migration] Running upgrade 4b7d20c9e613 -> 8ac3f15d6e02, add invoices"


def block() -> tuple[bytes, int]:
    """About 32 KiB of stamped lines, and how many."""
    lines, size = list[bytes](), 0
    for number, text in enumerate(cycle(TEXTS), start=1):
        said = KNOWN if number % KNOWN_EVERY == 0 else text
        lines.append(f"2026-11-21T03:00:00.{number:09d}Z {said}\n".encode())
        size += len(lines[-1])
        if size >= BLOCK:
            return b"".join(lines), len(lines)
    raise AssertionError("cycle does not end")


async def serve() -> None:
    """Any request is answered with the same log."""
    piece, _ = block()
    chunk = b"%x\r\n%s\r\n" % (len(piece), piece)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(BLOCKS):
            writer.write(chunk)
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


async def discard(kubernetes: Kubernetes, number: int) -> None:
    async with kubernetes.follow_log("shop", f"pod-{number}", "migrate") as chunks:
        async for _ in chunks:
            pass


class Recording:
    def __init__(self) -> None:
        self._redactor = Redactor(b"a key of this installation")
        self._scan = signatures().scan
        rehearse(self._scan)
        piece, lines = block()
        assert len(list(self._scan(piece))) == lines // KNOWN_EVERY, "one of TEXTS is known to a signature by now"
        self._turns = asyncio.Lock()
        self.due = asyncio.Event()
        self.tapes: list[LogTape] = []

    async def follow(self, kubernetes: Kubernetes, number: int) -> None:
        subject = Subject("shop", f"pod-{number}", "migrate", 0)
        subject.tell(ended=True, finished_at=None, current=0, gone=False)
        tape = LogTape(
            str(number),
            Bounds(),
            redactor=self._redactor.stream(),
            scan=self._scan,
            room=lambda: (64 << 20) // LOGS,
        )
        self.tapes.append(tape)
        follow = Follow(
            kubernetes,
            subject,
            tape,
            line=16 << 10,
            turns=self._turns,
            on_lines=lambda _, known: self.due.set() if known else None,
        )
        await follow.run()


async def one_side(port: int, side: str) -> None:
    recording = Recording() if side == "record" else None
    longest = 0.0

    async def watch_loop() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()  # what others on the machine take is not ours
            await asyncio.sleep(LOOK_SECONDS)
            longest = max(longest, time.thread_time() - before)

    async def store() -> None:
        """What a store would take, as often as it does: at once where a signature knows a line."""
        while recording:
            with suppress(TimeoutError):
                async with asyncio.timeout(SPILL_SECONDS):
                    await recording.due.wait()
            await asyncio.sleep(GATHER_SECONDS)
            recording.due.clear()
            for tape in list(recording.tapes):
                tape.take(ended=tape.complete)
                tape.stored()
                await asyncio.sleep(0)

    async with Kubernetes.from_url(f"http://127.0.0.1:{port}") as kubernetes, asyncio.TaskGroup() as group:
        await discard(kubernetes, 0)  # warm
        gc.collect()
        gc.freeze()  # as the service does
        idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        watching = [group.create_task(watch_loop()), group.create_task(store())]
        began, spent = time.perf_counter(), time.process_time()
        async with asyncio.TaskGroup() as logs:
            for number in range(LOGS):
                logs.create_task(recording.follow(kubernetes, number) if recording else discard(kubernetes, number))
        took, spent = time.perf_counter() - began, time.process_time() - spent
        for task in watching:
            task.cancel()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lines = LOGS * BLOCKS * block()[1]
    if recording:
        assert all(tape.complete and tape.lines == BLOCKS * block()[1] for tape in recording.tapes)
    print(json.dumps({"rate": lines / took, "cpu": spent, "memory": (peak - idle) / 1024, "held": longest * 1000}))


def measure(port: int, side: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.follow", side, str(port)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def main() -> None:
    server = subprocess.Popen([sys.executable, "-m", "tests.bench.follow", "serve"], stdout=subprocess.PIPE, text=True)
    assert server.stdout
    try:
        port = int(server.stdout.readline())
        sides = {side: [measure(port, side) for _ in range(ROUNDS)] for side in ("discard", "record")}
    finally:
        server.terminate()
        server.wait()
    for side, rounds in sides.items():
        rates = [r["rate"] for r in rounds]
        print(
            f"{side:8} {statistics.median(rates):>12,.0f} lines/s ({min(rates):,.0f} to {max(rates):,.0f})"
            f"  {statistics.median(r['cpu'] for r in rounds):.2f} s of CPU"
            f"  +{statistics.median(r['memory'] for r in rounds):.0f} MiB"
            f"  loop held {statistics.median(r['held'] for r in rounds):.0f} ms at most"
        )
    each = BLOCKS * BLOCK >> 10
    print(
        f"recorded against discarded: {_share(sides, 'rate'):.2f} of the lines a second, {1 / _share(sides, 'cpu'):.2f}"
        f" of the lines for each second of CPU ({LOGS} logs of {each} KiB, {ROUNDS} rounds)"
    )


def _share(sides: dict[str, list[dict[str, float]]], what: str) -> float:
    record, discarded = (statistics.median(r[what] for r in sides[side]) for side in ("record", "discard"))
    return record / discarded


if __name__ == "__main__":
    match list(islice(sys.argv, 1, None)):
        case ["serve"]:
            asyncio.run(serve())
        case [side, port]:
            asyncio.run(one_side(int(port), side))
        case _:
            main()
