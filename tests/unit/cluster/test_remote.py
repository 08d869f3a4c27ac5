"""A cluster that only Argo CD reaches: what its logs API sends, and how, is what a real one was seen to do."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from responder.cluster.argologs import ArgoLogs, HookLog
from responder.cluster.credentials import TokenFile
from responder.cluster.errors import Unauthorized
from responder.cluster.remote import Pauses, RemoteRecorder
from responder.cluster.remotehook import ONLY
from responder.cluster.surroundings import Surroundings
from responder.config import Recorder as Limits
from responder.core.argocd import (
    Application,
    AttemptResult,
    OperationPhase,
    OperationRecord,
    ResourceResult,
    SyncRequest,
)
from responder.core.attempts import never_started
from responder.core.evidence import GapReason
from responder.core.hooks import ContainerKind, ContainerRun, HookRun
from responder.core.redaction import Redactor
from responder.core.surveying import Scan
from responder.metrics import Metrics
from responder.store.sqlite import SqliteStore
from tests.unit.cluster.fault_server import FaultServer, says
from tests.unit.cluster.hook_world import WallClock, never

NOW = datetime.now(UTC).replace(microsecond=0)
APP = Application("argocd", "shop", "app-uid", "1", project="shop", destination_server="https://far.example.com")
NEEDS_A_NAME = (
    "a container name must be specified for pod db-migrate-x, choose one of: [migrate proxy] "
    "or one of the init containers: [wait-for-db]"
)


def entry(content: str, second: int = 0, pod: str = "db-migrate-x") -> bytes:
    stamp = f"{NOW:%Y-%m-%dT%H:%M}:{second:02d}.000000001Z"
    told = {"content": content, "timeStamp": stamp, "timeStampStr": stamp, "podName": pod, "last": False}
    return json.dumps({"result": told}).encode() + b"\n"


def complaint(text: str) -> bytes:
    told = {"content": text, "timeStampStr": "0001-01-01T00:00:00Z", "podName": "", "last": False}
    return json.dumps({"result": told}).encode() + b"\n"


LAST = b'{"result":{"content":"","last":true,"timeStampStr":"","podName":""}}\n'


def record(hook_phase: str = "Running", name: str = "db-migrate") -> OperationRecord:
    result = ResourceResult(
        kind="Job", namespace="shop", name=name, group="batch", hook_type="PreSync", hook_phase=hook_phase
    )
    told = AttemptResult(1, result, NOW, NOW)
    return OperationRecord(APP.key, APP.uid, NOW, OperationPhase.RUNNING, SyncRequest(), NOW, NOW, results=(told,))


class Far:
    def __init__(self, server: FaultServer, store: SqliteStore, recorder: RemoteRecorder) -> None:
        self.server = server
        self.store = store
        self.recorder = recorder
        self.records: list[OperationRecord] = []
        self.runs: dict[str, HookRun] = {}
        self.changed = asyncio.Event()

    def publish(self, run: HookRun, woken: bool) -> None:
        del woken
        self.runs[run.uid] = run
        self.changed.set()

    def tells(self, *records: OperationRecord) -> None:
        """Argo CD's Application, as the watch shows it now."""
        self.records = list(records)
        self.recorder.notice(APP)

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self.changed.clear()
                await self.changed.wait()

    @property
    def run(self) -> HookRun:
        (run,) = self.runs.values()
        return run

    def containers(self) -> dict[str, ContainerRun]:
        runs = list(self.runs.values())
        return {c.name: c for c in runs[0].pods[0].containers} if runs and runs[0].pods else {}

    def whole(self, *names: str) -> bool:
        logs = {name: container.log for name, container in self.containers().items()}
        return all((log := logs.get(name)) is not None and log.complete for name in names)

    async def text(self, name: str = ONLY) -> list[str]:
        log = self.containers()[name].log
        chunk = await self.store.log(log.key) if log is not None else None
        return list(chunk.texts) if chunk is not None else []


@asynccontextmanager
async def far(folder: Path, server: FaultServer, scan: Scan = never) -> AsyncIterator[Far]:
    """A responder's recorder before that Argo CD; begun anew it is as after a restart."""
    (folder / "token").write_text("project-token\n", encoding="utf-8")
    async with (
        await SqliteStore.open(folder / "responder.db", clock=WallClock()) as store,
        ArgoLogs(server.url, TokenFile(folder / "token"), observe=lambda *_: None) as logs,
        asyncio.TaskGroup() as group,
    ):
        it: Far
        around = Surroundings(
            control_plane="argocd",
            limits=Limits(),
            redactor=Redactor(b"key"),
            scan=scan,
            store=store,
            publish=lambda *told: it.publish(*told),  # noqa: PLW0108 - `it` is made from this
            operations=lambda _: it.records,
            clock=WallClock(),
            metrics=Metrics(CollectorRegistry()),
        )
        recorder = RemoteRecorder(
            logs,
            around,
            cluster="far",
            ours=lambda app: app.destination_server == "https://far.example.com",
            pauses=Pauses(first=0.01, longest=0.02, drain=0.05),
        )
        it = Far(server, store, recorder)
        task = group.create_task(recorder.run())
        yield it
        task.cancel()


async def test_a_hook_is_followed_while_it_runs_and_read_to_its_end(tmp_path: Path) -> None:
    async with FaultServer() as server, far(tmp_path, server) as it:
        ended = says(200, entry("applying 0042") + entry("ERROR: password=hunter2 refused", 1) + LAST)
        server.will("GET", server.stream(entry("applying 0042"), hold=True), ended)
        it.tells(record())
        await it.until(it.containers)
        assert it.run.active == 1
        assert not never_started(it.run)
        server.will("GET", ended)
        it.tells(record("Failed"))
        await it.until(lambda: it.whole(ONLY))

        text = await it.text()
        assert text[0] == "applying 0042"
        assert "hunter2" not in text[1]
        run = it.run
        assert (run.cluster, run.namespace, run.name, run.tracked) == ("far", "shop", "db-migrate", "shop")
        assert run.failed is not None
        assert [(gap.source, gap.reason) for gap in run.gaps] == [("cluster far", GapReason.CLUSTER_UNREACHABLE)]
        assert it.containers()[ONLY].exit_code is None
        asked = server.seen("GET")[0]
        assert asked.path == "/api/v1/applications/shop/logs"
        assert asked.headers["Authorization"] == "Bearer project-token"
        assert dict(asked.query) == {
            "appNamespace": "argocd",
            "project": "shop",
            "namespace": "shop",
            "group": "batch",
            "kind": "Job",
            "resourceName": "db-migrate",
            "follow": "true",
        }


async def test_a_log_that_breaks_off_is_read_again_and_no_line_is_kept_twice(tmp_path: Path) -> None:
    async with FaultServer() as server, far(tmp_path, server) as it:
        first, second, third = entry("one"), entry("two", 1), entry("three", 2)
        server.will("GET", server.stream(first, second, cut=True), says(200, first + second + third + LAST))
        it.tells(record("Succeeded"))
        await it.until(lambda: it.whole(ONLY))

        assert await it.text() == ["one", "two", "three"]
        assert it.run.completed is not None


async def several(request: web.Request) -> web.StreamResponse:
    """A Pod of three containers."""
    name = request.query.get("container", "")
    return web.Response(body=entry(f"said by {name}") + LAST if name else complaint(NEEDS_A_NAME))


async def test_where_a_pod_has_several_containers_each_is_read_by_its_name(tmp_path: Path) -> None:
    async with FaultServer() as server, far(tmp_path, server) as it:
        server.will("GET", several)
        it.tells(record("Failed"))
        await it.until(lambda: it.whole("wait-for-db", "migrate", "proxy"))

        kinds = {name: container.kind for name, container in it.containers().items()}
        assert kinds == {
            "wait-for-db": ContainerKind.INIT,
            "migrate": ContainerKind.MAIN,
            "proxy": ContainerKind.MAIN,
        }
        assert await it.text("migrate") == ["said by migrate"]


async def test_a_fault_over_one_log_is_a_gap_and_ends_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(block: bytes) -> list[tuple[int, int]]:
        if b"said by proxy" in block:
            raise ValueError("a fault of ours")
        return []

    faulted = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        if request.query.get("container") == "migrate":
            await faulted.wait()
        return await several(request)

    async with FaultServer() as server, far(tmp_path, server, scan=faulty) as it:
        server.will("GET", slow)
        it.tells(record("Failed"))
        await it.until(lambda: it.runs and len(it.run.gaps) == 2)
        faulted.set()
        await it.until(lambda: it.whole("wait-for-db", "migrate"))

        assert (it.run.gaps[1].source, it.run.gaps[1].reason) == ("cluster far: db-migrate", GapReason.LOG_UNREADABLE)
        assert "ValueError: a fault of ours" in caplog.text
        it.tells(record("Failed", "another"))
        await it.until(lambda: len(it.runs) == 2)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (says(200, b""), GapReason.DELETED),  # no Pod of it is there any more
        (says(403, {"error": "permission denied"}), GapReason.FORBIDDEN),
        (says(502, b"<html>"), GapReason.CLUSTER_UNREACHABLE),
        (says(200, complaint("unable to retrieve container logs for containerd://x")), GapReason.LOG_UNREADABLE),
        (says(200, b"hello\n"), GapReason.CLUSTER_UNREACHABLE),
    ],
)
async def test_what_cannot_be_read_is_a_gap_that_names_the_cluster(
    tmp_path: Path, answer: Any, reason: GapReason
) -> None:
    async with FaultServer() as server, far(tmp_path, server) as it:
        server.will("GET", answer)
        it.tells(record("Failed"))
        await it.until(lambda: it.runs and len(it.run.gaps) == 2)

        assert it.run.gaps[1].source == "cluster far: db-migrate"
        assert it.run.gaps[1].reason is reason


async def test_after_a_restart_what_was_read_whole_is_neither_read_again_nor_lost(tmp_path: Path) -> None:
    async with FaultServer() as server:
        server.will("GET", says(200, entry("one") + LAST))
        async with far(tmp_path, server) as it:
            it.tells(record("Failed"))
            await it.until(lambda: it.whole(ONLY))
        asked = len(server.requests)
        server.will("GET", says(200, b""))
        async with far(tmp_path, server) as it:
            it.tells(record("Failed"))
            await it.until(lambda: it.whole(ONLY))

            assert await it.text() == ["one"]
            assert len(server.requests) == asked


async def test_applications_of_other_clusters_and_old_operations_are_none_of_its_business(tmp_path: Path) -> None:
    async with FaultServer() as server, far(tmp_path, server) as it:
        server.will("GET", says(200, entry("one") + LAST))
        it.recorder.notice(
            Application("argocd", "near", "uid", "1", destination_server="https://kubernetes.default.svc")
        )
        assert it.recorder._noticed.empty()
        it.tells(_ended_at(record("Failed", "old"), NOW - timedelta(hours=2)))
        it.tells(_ended_at(record("Failed"), NOW))
        await it.until(lambda: it.whole(ONLY))

        assert it.run.name == "db-migrate"


def _ended_at(held: OperationRecord, at: datetime) -> OperationRecord:
    return msgspec.structs.replace(held, finished_at=at)


async def test_a_token_that_was_replaced_is_read_again_when_the_old_one_is_refused(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old", encoding="utf-8")
    log = HookLog("shop", "argocd", "shop", "shop", "db-migrate")
    async with FaultServer() as server, ArgoLogs(server.url, TokenFile(token), observe=lambda *_: None) as logs:
        server.will("GET", says(401, b"{}"), says(200, LAST))
        with pytest.raises(Unauthorized):
            await anext(logs.read(log, follow=False))
        token.write_text("new", encoding="utf-8")
        assert (await anext(logs.read(log, follow=False))).last
    assert [seen.headers["Authorization"] for seen in server.requests] == ["Bearer old", "Bearer new"]
