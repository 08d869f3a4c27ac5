"""What is broken around the whole responder: it says so, makes nothing up, and goes on when it is mended."""

import asyncio
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web

from responder.app import Responder
from responder.core.argocd import AppKey
from responder.demo.apiserver import Fault
from responder.demo.clock import FastClock
from responder.demo.faults import answers, gone, lists, silent, slow, watches, when
from responder.demo.pager import Pager
from responder.demo.recording import Order
from responder.demo.replay import read_incidents, started
from responder.demo.settings import TOKEN, demo_settings
from responder.demo.status import ApiFault
from responder.ports import Store
from tests.replay.recorded import RECORDINGS
from tests.service.cluster import RecordedCluster, reading_only, recent
from tests.service.process import PATIENCE, Json

_FAILS = "s02-fail-default-policy"
_DIRTY = "s05b-retry-dirty-version"


class Place:
    """A recorded cluster, the real responder in front of it, both by a clock that runs fast."""

    def __init__(self, cluster: RecordedCluster, responder: Responder, http: aiohttp.ClientSession, clock: FastClock):
        self.cluster = cluster
        self.responder = responder
        self.http = http
        self.clock = clock

    async def ask(self, path: str) -> tuple[int, str]:
        async with self.http.get(f"{self.responder.url}{path}") as answer:
            return answer.status, await answer.text()

    async def read(self, path: str) -> Json:
        async with self.http.get(f"{self.responder.url}{path}") as answer:
            found: Json = await answer.json()
            return found

    async def incidents(self) -> list[Json]:
        return await read_incidents(self.http, self.responder.url)

    async def until(self, what: Callable[[Json], object], path: str = "/readyz") -> Json:
        """What is told at ``path``, as soon as it is so."""
        async with asyncio.timeout(PATIENCE):
            while not what(found := await self.read(path)):  # noqa: ASYNC110 - asked from outside
                await asyncio.sleep(0.02)
        return found

    async def until_incidents(self, what: Callable[[list[Json]], object]) -> list[Json]:
        async with asyncio.timeout(PATIENCE):
            while not what(found := await self.incidents()):  # noqa: ASYNC110 - asked from outside
                await asyncio.sleep(0.02)
        return found

    @property
    def store(self) -> Store:
        return self.responder._store

    async def tell(self, *, most: int = 1000) -> list[int]:
        """The webhooks of the recording, and how they were answered."""
        statuses = []
        bodies = [h.body for h in self.cluster.happenings if h.order is Order.WEBHOOK and h.method == "POST"]
        for body in bodies[:most]:
            url = f"{self.responder.url}/v1/argocd/webhook"
            async with self.http.post(url, data=body, headers=_JSON) as answer:
                statuses.append(answer.status)
        return statuses

    def metric(self, line: str) -> float:
        """Of the sample that begins so; 0 where there is none."""
        text = b"".join(self.responder.metrics.parts("")).decode()
        found = [sample for sample in text.splitlines() if sample.startswith(line)]
        return sum(float(sample.rpartition(" ")[2]) for sample in found)


_JSON: Mapping[str, str] = {"Content-Type": "application/json"}


@asynccontextmanager
async def place(
    tmp_path: Path, name: str, *, factor: float = 20.0, away: bool = False, faults: tuple[Fault, ...] = (),
    acts: bool = False, pager: str = "",
) -> AsyncIterator[Place]:  # fmt: skip
    clock = FastClock(factor)
    recording = recent(RECORDINGS / name, tmp_path / "recording")
    allow = (lambda _: True) if acts else reading_only
    async with (
        RecordedCluster(recording, allow=allow, clock=clock) as cluster,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as http,
    ):
        cluster.server.faults.extend(faults)
        if away:
            await cluster.server.away()
        async with started(demo_settings(cluster.server.url, tmp_path, port=0, pager=pager), clock) as responder:
            yield Place(cluster, responder, http, clock)


def _ready(told: Json) -> bool:
    return bool(told["ready"])


# Webhooks alone


@pytest.mark.parametrize("seen_before", [False, True])
async def test_webhooks_alone_open_nothing_and_wait_until_the_cluster_can_be_seen(
    tmp_path: Path, seen_before: bool
) -> None:
    async with place(tmp_path, _FAILS, away=not seen_before) as it:
        if seen_before:
            await it.until(_ready)
            await it.cluster.server.away()
            await it.until(lambda told: told["watches"]["trouble"])

        for happening in it.cluster.happenings:
            it.cluster.happen(happening)
        assert set(await it.tell()) == {202}

        told = await it.until(lambda told: told["waits_for"])
        assert (await it.ask("/readyz"))[0] == 503
        assert "the cluster" in told["waits_for"][0]
        assert told["pending_wakeups"] == 1  # merged
        assert await it.incidents() == []
        assert "We wait for the cluster" in (await it.ask("/"))[1]
        assert it.metric("responder_watch_restarts_total{") > 0
        asked = "/v1/gate?namespace=argocd&application=s02-fail-default-policy&revision=0164ce55e39c70aef340a0b4"
        assert (await it.read(asked))["result"] == "pending"

        await it.cluster.server.back()
        [incident] = await it.until_incidents(lambda found: found)
        assert incident["application"]["name"] == _FAILS
        await it.until(_ready)
        await it.until(lambda told: told["pending_wakeups"] == 0)


# The API server


_FORBIDDEN = answers(ApiFault(403, "Forbidden", 'applications.argoproj.io is forbidden: User "x" cannot list'))


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (when(lists("applications"), _FORBIDDEN), "forbidden"),
        (when(lists("applications"), gone()), "expired"),
        (when(lists("applications"), answers(ApiFault(503, "ServiceUnavailable", "etcd is away"))), "unavailable"),
    ],
    ids=["forbids", "forgets", "fails"],
)
async def test_what_an_api_server_does_to_us_is_told_and_passes_with_it(
    tmp_path: Path, fault: Fault, word: str
) -> None:
    async with place(tmp_path, _FAILS, factor=40.0, faults=(fault,)) as it:
        told = await it.until(lambda told: told["watches"]["trouble"])
        assert not told["ready"]
        assert f"the watch of applications is {word}" in told["waits_for"][0]
        for happening in it.cluster.happenings:
            it.cluster.happen(happening)
        assert await it.incidents() == []

        it.cluster.server.faults.remove(fault)
        await it.until_incidents(lambda found: found)
        await it.until(_ready)
        assert it.metric(f'responder_watch_restarts_total{{reason="{word}",resource="applications"}}') > 0


async def test_an_api_server_that_forgets_in_the_middle_of_a_watch_costs_a_list(tmp_path: Path) -> None:
    async with place(tmp_path, _FAILS) as it:
        await it.until(_ready)
        it.cluster.server.faults.append(when(watches("applications"), gone(), times=1))
        await it.cluster.server.away()
        for happening in it.cluster.happenings:
            it.cluster.happen(happening)
        await it.cluster.server.back()

        [incident] = await it.until_incidents(lambda found: found)
        assert incident["state"] == "firing"
        assert it.metric('responder_watch_restarts_total{reason="expired",resource="applications"}') == 1


async def test_a_slow_api_server_makes_it_late_and_nothing_else(tmp_path: Path) -> None:
    async with place(tmp_path, _FAILS, faults=(slow(0.1),)) as it:
        await it.cluster.play(pause=0.02)

        [incident] = await it.until_incidents(lambda found: found and found[0]["diagnosis"]["category"] != "unknown")
        assert incident["diagnosis"]["category"] == "already-exists"
        await it.until(_ready)


async def test_an_api_server_that_says_nothing_holds_up_neither_webhooks_nor_pages(tmp_path: Path) -> None:
    async with place(tmp_path, _FAILS, faults=(silent(started=False),)) as it:
        assert set(await it.tell()) == {202}
        assert (await it.ask("/healthz"))[0] == 200
        assert (await it.ask("/"))[0] == 200
        assert not (await it.read("/readyz"))["ready"]


# Objects as they should not be


async def test_an_application_without_operation_state_is_no_failure(tmp_path: Path) -> None:
    async with place(tmp_path, _FAILS) as it:
        spec = {"project": "default", "destination": {"server": "https://kubernetes.default.svc", "namespace": "x"}}
        for name, more in (("bare", {}), ("null", {"status": None}), ("empty", {"status": {"operationState": None}})):
            app = {"metadata": {"name": name, "namespace": "argocd", "uid": f"uid-{name}"}, "spec": spec, **more}
            it.cluster.objects.put_raw("Application", "ADDED", {**app, "kind": "Application"})
        body = b'{"metadata": {"namespace": "argocd", "name": "bare"}}'
        async with it.http.post(f"{it.responder.url}/v1/argocd/webhook", data=body, headers=_JSON) as answer:
            assert answer.status == 202
        await it.until(lambda told: told["ready"] and told["pending_wakeups"] == 0)

        assert await it.incidents() == []
        for name in ("bare", "null", "empty"):
            asked = await it.read(f"/v1/gate?namespace=argocd&application={name}&revision=abc")
            assert asked["result"] == "pending"
        await it.cluster.play(pause=0.02)  # and the others are still looked after
        assert len(await it.until_incidents(lambda found: found)) == 1
        assert it.metric('responder_reconciles_total{result="error"') == 0


@pytest.mark.parametrize("forged", [False, True], ids=["copied", "forged"])
async def test_another_teams_job_that_names_our_application_is_recorded_and_steers_nothing(
    tmp_path: Path, forged: bool
) -> None:
    async with place(tmp_path, "s01-success", factor=2.0) as it:
        await it.until(_ready)
        ours = next(h.object for h in it.cluster.happenings if h.kind == "Job")
        marks = dict(ours["metadata"]["annotations"])
        if forged:  # else the mark is that of our Job, copied with its manifest
            marks["argocd.argoproj.io/tracking-id"] = "s01-success:batch/Job:default/theirs"
        meta = ours["metadata"] | {"namespace": "default", "name": "theirs", "uid": _THEIRS, "annotations": marks}
        failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "x"}
        theirs = {**ours, "metadata": meta, "status": {"failed": 1, "conditions": [failed]}}
        it.cluster.objects.put_raw("Job", "ADDED", {**theirs, "status": {}})
        await it.cluster.play(pause=0.02)
        it.cluster.objects.put_raw("Job", "MODIFIED", theirs)
        asked = "/v1/gate?namespace=argocd&application=s01-success&revision=ebc30a5dbd95e377a6e17d067572187f82fa3129"
        await it.until(lambda told: told["result"] == "success", asked)
        async with asyncio.timeout(PATIENCE):
            while _THEIRS not in (kept := await _failed(it)):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.02)

        assert _THEIRS in kept
        assert await it.incidents() == []
        assert (await it.read(asked))["result"] == "success"


_THEIRS = "00000000-0000-4000-8000-000000000001"


async def _failed(it: Place) -> list[str]:
    """Of the runs that are kept, as ours or as nobody's, those that failed."""
    key = AppKey("argocd", "s01-success")
    kept = [*await it.store.unattributed(), *it.responder.cache.hook_runs(key)]
    return [run.uid for run in kept if run.failed is not None]


# The store


async def test_a_store_that_takes_no_writes_turns_webhooks_away_alerts_from_memory_and_acts_on_nothing(
    tmp_path: Path,
) -> None:
    async with Pager() as pager, place(tmp_path, _DIRTY, factor=100.0, acts=True, pager=pager.url) as it:
        await it.until(_ready)
        with _locked(tmp_path / "responder.db"):
            await it.cluster.play(pause=0.01)
            async with asyncio.timeout(PATIENCE):  # the floor beneath all rules: 10 minutes
                while not pager.alerts:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.05)
            assert await it.tell(most=1) == [503]
            told = await it.read("/readyz")
            assert not told["ready"]
            assert "the store" in told["waits_for"][0]
            assert it.cluster.writes.accepted == []
        await it.until(_ready)
        [incident] = await it.until_incidents(lambda found: found)
        assert incident["state"] == "firing"
        assert {alert.incident_id for alert in pager.alerts} == {incident["id"]}


class _locked:  # noqa: N801 - reads as what it is: with _locked(path)
    """Another program holds the write lock of the file."""

    def __init__(self, path: Path) -> None:
        self._other = sqlite3.connect(path, isolation_level=None)

    def __enter__(self) -> None:
        self._other.execute("PRAGMA busy_timeout = 10000")
        self._other.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_: object) -> None:
        self._other.execute("ROLLBACK")
        self._other.close()


# Receivers


async def test_a_receiver_that_is_down_for_an_hour_gets_what_it_missed(tmp_path: Path) -> None:
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))  # and does not listen: connections are refused
        async with place(tmp_path, _DIRTY, factor=900.0, pager=f"http://127.0.0.1:{port.getsockname()[1]}/") as it:
            await it.cluster.play(pause=0.01)
            [incident] = await it.until_incidents(lambda found: found and found[0]["deliveries"])
            since = it.clock.monotonic()
            while it.clock.monotonic() - since < 3600:
                await it.clock.sleep(60)
            [missed] = (await it.incidents())[0]["deliveries"]
            assert (missed["state"], missed["attempts"] > 1) == ("pending", True)
            assert it.metric("responder_outbox_pending") == 1
            assert it.metric("responder_outbox_oldest_seconds") > 3000

            async with _listening(port) as bodies:
                async with asyncio.timeout(PATIENCE):
                    told = await bodies.get()
                found = await it.until_incidents(lambda found: found[0]["deliveries"][0]["state"] == "sent")
    assert told["data"]["incident_id"] == incident["id"]
    assert len(found[0]["deliveries"]) == 1


@asynccontextmanager
async def _listening(port: socket.socket) -> AsyncIterator[asyncio.Queue[Json]]:
    bodies: asyncio.Queue[Json] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        bodies.put_nowait(msgspec.json.decode(await request.read()))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.SockSite(runner, port).start()
    yield bodies
    await runner.cleanup()
