"""Intake, gate and /metrics against bare aiohttp in the same place: `python -m tests.bench.web [seconds]`.

Each server is a process of its own; the client takes the other core. Authentication, metrics and the real store (WAL,
FULL) are on. Rounds alternate between ours and the bare one, so that a busy machine is unjust to neither; medians of
the rounds and their spread. "Bare" reads the same body and answers as long a body, and does nothing else.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from aiohttp import web

from responder.core.argocd import AppKey
from responder.metrics import Metrics
from responder.ports import Write
from responder.store.sqlite import SqliteStore
from responder.store.writes import apply
from responder.web.app import build
from tests.bench.load import Load, load, request
from tests.contract.store.examples import StandingClock
from tests.unit.web.world import BEFORE, OPERATOR, WEBHOOK, World, failed_operation

ROUNDS = 5
CLIENTS = 64
APPLICATIONS = 10_000
BODY = Path(__file__).parents[1] / "data" / "webhooks" / "application-retrying.json"
HOOK = "/v1/argocd/webhook"
ANSWER = b'{"result":"success","reason":"argocd/app-00001 deployed 1111 before we watched (unobserved)"}'


class RunningClock(StandingClock):
    """Wall time for what is stored, real seconds for what is waited."""

    def monotonic(self) -> float:
        return time.monotonic()


class SlowDisk(SqliteStore):
    """Each commit takes 5 ms longer, in the writer's own thread, as a slow fsync does."""

    async def commit(self, *writes: Write) -> None:
        now = self._clock.now()

        def work(db: object) -> None:
            time.sleep(0.005)
            for write in writes:
                apply(db, write, now)  # type: ignore[arg-type] # the writer's connection

        await self._writer.run(work)


# The servers.


def bare() -> web.Application:
    async def read(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=202)

    async def told(_request: web.Request) -> web.Response:
        return web.Response(body=ANSWER, content_type="application/json")

    app = web.Application()
    app.router.add_post(HOOK, read)
    app.router.add_get("/v1/gate", told)
    return app


def populate(world: World) -> None:
    """Applications that were deployed once, a tenth of which failed since; and as many series as there may be."""
    for number in range(APPLICATIONS):
        key = AppKey("argocd", f"app-{number:05}")
        labels = {"app.kubernetes.io/part-of": f"app-{number:05}", "hook-responder.io/environment": "staging"}
        app = world.deploy(key, labels=labels)
        if number % 10 == 0:
            world.cluster.records[key] = [failed_operation(key, app.uid, "image")]
        world.metrics.application_incidents_total(key.namespace, key.name).inc()


@asynccontextmanager
async def serving(kind: str) -> AsyncIterator[web.Application]:
    if kind == "bare":
        yield bare()
        return
    with tempfile.TemporaryDirectory() as folder:
        clock, adapter = RunningClock(), SlowDisk if kind == "slow" else SqliteStore
        async with await adapter.open(Path(folder) / "responder.db", clock=clock) as store:
            world = World(store, clock)
            if kind == "many":
                populate(world)
            yield build(world.faces())


async def serve(kind: str) -> None:
    async with serving(kind) as app:
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.to_thread(sys.stdin.read)  # until whoever started us is done
        await runner.cleanup()


class Round(msgspec.Struct, frozen=True):
    load: Load
    cpu: float  # microseconds of the server, a request


class Server(msgspec.Struct, frozen=True):
    port: int
    pid: int

    def cpu(self) -> float:
        """Microseconds of processor time so far: what a busy machine does not change."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf("SC_CLK_TCK")

    async def load(self, requests: Sequence[bytes], *, connections: int, seconds: float) -> Round:
        before = self.cpu()
        found = await load(self.port, requests, connections=connections, seconds=seconds)
        return Round(found, (self.cpu() - before) / found.requests)


@asynccontextmanager
async def started(kind: str) -> AsyncIterator[Server]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.web", "serve", kind, stdin=PIPE, stdout=PIPE
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    yield Server(int(await process.stdout.readline()), process.pid)
    process.stdin.close()
    await process.wait()


# The measurements.


def bodies(size: int) -> list[bytes]:
    """The webhook of a real Argo CD, under many names, filled up with resources."""
    application = json.loads(BODY.read_bytes())
    application["status"]["resources"] = []
    made = []
    for number in range(500):
        application["metadata"]["name"] = f"app-{number:05}"
        while len(json.dumps(application)) < size:
            item = {"kind": "Deployment", "name": f"d{len(application['status']['resources'])}", "status": "Synced"}
            application["status"]["resources"].append(item)
        made.append(json.dumps(application).encode())
    return made


async def compared(
    ours: Server, base: Server, requests: Sequence[bytes], seconds: float
) -> tuple[list[Round], list[Round]]:
    mine, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(await base.load(requests, connections=CLIENTS, seconds=seconds))
        mine.append(await ours.load(requests, connections=CLIENTS, seconds=seconds))
    return mine, theirs


def rate(one: Round) -> float:
    return one.load.rate


def p99(one: Round) -> float:
    return one.load.percentile(0.99)


def cpu(one: Round) -> float:
    return one.cpu


def spread(rounds: Sequence[Round], of: Callable[[Round], float]) -> str:
    values = sorted(of(one) for one in rounds)
    return f"{statistics.median(values):,.1f} ({values[0]:,.1f} to {values[-1]:,.1f})"


def ratio(mine: Sequence[Round], theirs: Sequence[Round], of: Callable[[Round], float]) -> float:
    return statistics.median(of(a) / of(b) for a, b in zip(mine, theirs, strict=True))


def show(name: str, mine: Sequence[Round], theirs: Sequence[Round], goal: str) -> None:
    wrong = {s: n for one in mine for s, n in one.load.statuses.items() if s not in (200, 202)}
    print(f"{name}\n  ours, requests a second  {spread(mine, rate)}")
    print(f"  bare aiohttp             {spread(theirs, rate)}")
    print(f"  ratio                    {ratio(mine, theirs, rate):.2f}   goal {goal}")
    print(f"  processor, µs a request  {spread(mine, cpu)}, bare {spread(theirs, cpu)}")
    print(f"  ours, p99 ms             {spread(mine, p99)}")
    if wrong:
        print(f"  WRONG ANSWERS            {wrong}")


async def intake(seconds: float) -> None:
    async with started("ours") as ours, started("bare") as base:
        for size, goal in ((2600, "0.40"), (20_000, "0.30")):
            requests = [request("POST", HOOK, WEBHOOK[0], body) for body in bodies(size)]
            mine, theirs = await compared(ours, base, requests, seconds)
            show(f"durable intake, {size:,} bytes, {CLIENTS} connections, {ROUNDS} rounds", mine, theirs, goal)
    async with started("slow") as slow:
        requests = [request("POST", HOOK, WEBHOOK[0], body) for body in bodies(2600)]
        rounds = [await slow.load(requests, connections=1, seconds=seconds) for _ in range(ROUNDS)]
        told = spread(rounds, p99)
        print(f"webhook at one connection, each commit 5 ms slower\n  p99 ms  {told}   goal 20")


async def gate(seconds: float) -> None:
    asked = [f"/v1/gate?service=app-{n:05}&environment=staging&revision={BEFORE}" for n in range(0, APPLICATIONS, 37)]
    asked += [f"/v1/gate?namespace=argocd&application=app-{n:05}&revision={BEFORE}" for n in range(0, APPLICATIONS, 41)]
    requests = [request("GET", path, OPERATOR) for path in asked]
    async with started("many") as ours, started("bare") as base:
        mine, theirs = await compared(ours, base, requests, seconds)
        show(f"gate, {APPLICATIONS:,} Applications, {CLIENTS} connections, {ROUNDS} rounds", mine, theirs, "0.5")
        for connections in (1, 8):
            rounds = [await ours.load(requests, connections=connections, seconds=seconds) for _ in range(ROUNDS)]
            print(f"  {connections} connections, p99 ms    {spread(rounds, p99)}   goal 5")


async def metrics(seconds: float) -> None:
    async with started("many") as ours:
        scrape = [request("GET", "/metrics", OPERATOR)]
        rounds = [await ours.load(scrape, connections=1, seconds=seconds) for _ in range(ROUNDS)]
        told = spread(rounds, p99)
    print(f"/metrics, {APPLICATIONS:,} Applications\n  p99 ms  {told}   goal 50\n  series  {series():,}   goal 5,000")


def series() -> int:
    from prometheus_client import CollectorRegistry  # noqa: PLC0415 - only here

    made = Metrics(CollectorRegistry())
    for number in range(APPLICATIONS):
        made.application_incidents_total("argocd", f"app-{number:05}").inc()
    return sum(1 for line in made.render().splitlines() if line and not line.startswith(b"#"))


async def main(seconds: float) -> None:
    await intake(seconds)
    await gate(seconds)
    await metrics(seconds)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(sys.argv[2]))
    else:
        asyncio.run(main(float(sys.argv[1]) if sys.argv[1:] else 3.0))
