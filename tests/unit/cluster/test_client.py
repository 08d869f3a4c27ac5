"""The transport against a server that misbehaves, with real sockets, files, processes and certificates."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from responder.cluster.client import (
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    Kubernetes,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unprocessable,
    resource_of,
)
from tests.unit.cluster.fault_server import FaultServer, says, status_document

JOB = "/apis/batch/v1/namespaces/shop/jobs/migrate"
POD_LOG = "/api/v1/namespaces/shop/pods/migrate-x/log"


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    async with FaultServer() as server:
        yield server


@pytest.fixture
async def kubernetes(server: FaultServer) -> AsyncIterator[Kubernetes]:
    async with Kubernetes.from_url(server.url, token="t0ken\n") as kubernetes:
        yield kubernetes


async def read_log(kubernetes: Kubernetes, **options: Any) -> bytes:
    async with kubernetes.follow_log("shop", "migrate-x", "main", **options) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def read_into(got: list[bytes], lines: AsyncIterator[bytes]) -> None:
    async for line in lines:
        got.append(line)  # noqa: PERF401  # what came before an error counts


async def test_a_get_gives_the_bytes_and_says_who_asks(server: FaultServer, kubernetes: Kubernetes) -> None:
    server.will("GET", says(200, b'{"a": 1.0}'))
    assert await kubernetes.get(JOB, [("pretty", False), ("labelSelector", "a in (b,c)")]) == b'{"a": 1.0}'
    request = server.requests[0]
    assert request.path == JOB
    assert dict(request.query) == {"pretty": "false", "labelSelector": "a in (b,c)"}
    assert request.headers["User-Agent"] == "argocd-hook-responder/0.1.0"
    assert request.headers["Authorization"] == "Bearer t0ken"
    assert request.headers["Accept"] == "application/json"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ApiError),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (410, Gone),
        (422, Unprocessable),
        (429, TooManyRequests),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
async def test_every_status_that_is_not_2xx_is_an_error(
    server: FaultServer, kubernetes: Kubernetes, status: int, kind: type[ApiError]
) -> None:
    server.will("GET", says(status, status_document(status, "Because", "of this")))
    with pytest.raises(ApiError) as caught:
        await kubernetes.get(JOB, attempts=1)
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.reason, caught.value.message) == (status, "Because", "of this")


async def test_a_body_that_is_no_status_is_described_and_never_quoted(
    server: FaultServer, kubernetes: Kubernetes
) -> None:
    server.will("GET", says(502, b"<html>password=hunter2</html>", {"Content-Type": "text/html"}))
    with pytest.raises(Unavailable, match="502 Bad Gateway: 29 bytes of text/html") as caught:
        await kubernetes.get(JOB, attempts=1)
    assert "hunter2" not in str(caught.value)


async def test_a_get_is_tried_again_after_429_and_5xx(server: FaultServer, kubernetes: Kubernetes) -> None:
    server.will("GET", says(429, b""), says(503, b""), says(200, b"{}"))
    assert await kubernetes.get(JOB) == b"{}"
    assert len(server.requests) == 3


async def test_a_get_is_tried_again_after_a_lost_connection(server: FaultServer, kubernetes: Kubernetes) -> None:
    server.will("GET", server.stream(b'{"half":', cut=True), says(200, b"{}"))
    assert await kubernetes.get(JOB) == b"{}"


async def test_retry_after_is_waited_for(server: FaultServer, kubernetes: Kubernetes) -> None:
    server.will("GET", says(429, b"", {"Retry-After": "0.5"}), says(200, b"{}"))
    before = time.monotonic()
    await kubernetes.get(JOB)
    assert time.monotonic() - before >= 0.5


async def test_a_retry_after_beyond_the_deadline_is_told_at_once(server: FaultServer, kubernetes: Kubernetes) -> None:
    server.will("GET", says(429, status_document(429, "TooManyRequests", "") | {"details": {"retryAfterSeconds": 60}}))
    before = time.monotonic()
    with pytest.raises(TooManyRequests) as caught:
        await kubernetes.get(JOB, deadline=5)
    assert caught.value.retry_after == 60
    assert time.monotonic() - before < 2
    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", [says(429, b""), says(503, b""), says(401, b"")])
async def test_writes_are_never_tried_again(server: FaultServer, kubernetes: Kubernetes, answer: object) -> None:
    for method in ("POST", "PATCH", "DELETE"):
        server.script[method] = [answer]  # type: ignore[assignment]  # a list of one repeats as well
    with pytest.raises(ApiError):
        await kubernetes.create(JOB, b"{}")
    with pytest.raises(ApiError):
        await kubernetes.merge_patch(JOB, b"{}")
    with pytest.raises(ApiError):
        await kubernetes.delete(JOB)
    assert [request.method for request in server.requests] == ["POST", "PATCH", "DELETE"]


async def test_a_cut_write_may_have_been_done_and_a_refused_connection_surely_not(server: FaultServer) -> None:
    server.will("PATCH", server.stream(b"{", cut=True))
    async with Kubernetes.from_url(server.url) as kubernetes:
        with pytest.raises(Unavailable) as cut:
            await kubernetes.merge_patch(JOB, b"{}")
    async with FaultServer() as gone:
        pass
    async with Kubernetes.from_url(gone.url) as kubernetes:
        with pytest.raises(Unavailable) as refused:
            await kubernetes.merge_patch(JOB, b"{}")
    assert (cut.value.reason, cut.value.sent) == ("Cut", True)
    assert (refused.value.reason, refused.value.sent) == ("Connection", False)


async def test_a_merge_patch_is_sent_as_one_and_strict(server: FaultServer, kubernetes: Kubernetes) -> None:
    server.will("PATCH", says(200, b'{"patched":true}'))
    body = {"metadata": {"resourceVersion": "7"}, "operation": {"info": [{"name": "é", "value": "1"}], "sync": None}}
    assert await kubernetes.merge_patch(JOB, json.dumps(body).encode()) == b'{"patched":true}'
    (strict,) = server.requests
    assert strict.headers["Content-Type"] == "application/merge-patch+json"
    assert strict.query["fieldValidation"] == "Strict"
    assert json.loads(strict.body) == body


async def test_create_and_delete_carry_their_bodies(server: FaultServer, kubernetes: Kubernetes) -> None:
    server.will("POST", says(201, b'{"made":1}'))
    server.will("DELETE", says(200, b"{}"))
    assert await kubernetes.create("/apis/batch/v1/namespaces/shop/jobs", b'{"kind":"Job"}') == b'{"made":1}'
    await kubernetes.delete(JOB, b'{"preconditions":{"uid":"u1"}}')
    assert [json.loads(request.body) for request in server.requests] == [
        {"kind": "Job"},
        {"preconditions": {"uid": "u1"}},
    ]


async def test_a_black_hole_ends_at_the_deadline(server: FaultServer, kubernetes: Kubernetes) -> None:
    server.will("GET", server.black_hole)
    server.will("PATCH", server.black_hole)
    before = time.monotonic()
    with pytest.raises(Unavailable, match="Timeout"):
        await kubernetes.get(JOB, deadline=0.2)
    with pytest.raises(Unavailable, match="Timeout") as caught:
        await kubernetes.merge_patch(JOB, b"{}", deadline=0.2)
    assert time.monotonic() - before < 3
    assert caught.value.sent


async def test_a_body_that_trickles_ends_at_the_deadline(server: FaultServer, kubernetes: Kubernetes) -> None:
    server.will("GET", server.stream(b'{"a":', hold=True))
    with pytest.raises(Unavailable, match="Timeout"):
        await kubernetes.get(JOB, deadline=0.2)


async def test_each_request_is_observed_once(server: FaultServer) -> None:
    seen: list[tuple[str, str, str]] = []
    server.will("GET", says(503, b""), says(200, b"{}"), server.stream(b"line\n", cut=True))
    server.will("PATCH", server.black_hole)
    async with Kubernetes.from_url(server.url, observe=lambda *what: seen.append(what)) as kubernetes:
        await kubernetes.get(JOB)
        with pytest.raises(Unavailable):
            await kubernetes.merge_patch(JOB, b"{}", deadline=0.1)
        with pytest.raises(Unavailable):
            await read_log(kubernetes)
    assert seen == [
        ("get", "jobs", "503"),
        ("get", "jobs", "200"),
        ("patch", "jobs", "timeout"),
        ("log", "pods/log", "200"),
    ]


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/api/v1/pods", "pods"),
        ("/api/v1/namespaces/shop", "namespaces"),
        (POD_LOG, "pods/log"),
        ("/apis/argoproj.io/v1alpha1/applications", "applications"),
        ("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/shop", "applications"),
        ("/apis/authentication.k8s.io/v1/tokenreviews", "tokenreviews"),
        ("/version", "other"),
        ("/apis", "other"),
    ],
)
def test_the_resource_of_a_path_is_a_closed_label(path: str, resource: str) -> None:
    assert resource_of(path) == resource


class TestWatch:
    async def test_gives_whole_lines_and_drops_the_half_one(self, server: FaultServer, kubernetes: Kubernetes) -> None:
        long = b'{"long":"' + b"x" * 300_000 + b'"}\n'
        server.will("watch", server.stream(b'{"a":', b"1}\n", long, b'{"half'))
        async with kubernetes.watch("/api/v1/pods", [], timeout_seconds=10, silence=5) as lines:
            assert [line async for line in lines] == [b'{"a":1}\n', long]

    async def test_a_cut_stream_gives_its_whole_lines_first(self, server: FaultServer, kubernetes: Kubernetes) -> None:
        server.will("watch", server.stream(b"{}\n", b'{"half', cut=True))
        got: list[bytes] = []
        async with kubernetes.watch("/api/v1/pods", []) as lines:
            with pytest.raises(Unavailable, match="Cut"):
                await read_into(got, lines)
        assert got == [b"{}\n"]

    async def test_silence_ends_it(self, server: FaultServer, kubernetes: Kubernetes) -> None:
        server.will("watch", server.stream(b"{}\n", hold=True))
        async with kubernetes.watch("/api/v1/pods", [], silence=0.1) as lines:
            assert await anext(lines) == b"{}\n"
            with pytest.raises(Unavailable, match="Silence"):
                await anext(lines)

    async def test_a_black_hole_is_silence(self, server: FaultServer, kubernetes: Kubernetes) -> None:
        server.will("watch", server.black_hole)
        with pytest.raises(Unavailable, match=r"Silence|Timeout"):
            async with kubernetes.watch("/api/v1/pods", [], silence=0.1):
                raise AssertionError("opened")

    async def test_an_error_of_whoever_reads_stays_theirs(self, server: FaultServer, kubernetes: Kubernetes) -> None:
        server.will("watch", server.stream(b"{}\n", hold=True))
        with pytest.raises(TimeoutError):
            async with kubernetes.watch("/api/v1/pods", []):
                raise TimeoutError

    async def test_many_streams_do_not_starve_the_short_calls(
        self, server: FaultServer, kubernetes: Kubernetes
    ) -> None:
        server.will("watch", server.stream(b"{}\n", hold=True))
        server.will("GET", says(200, b"{}"))
        opened = asyncio.Semaphore(0)
        done = asyncio.Event()

        async def follow() -> None:
            async with kubernetes.watch("/api/v1/pods", []) as lines:
                await anext(lines)
                opened.release()
                await done.wait()

        async with asyncio.TaskGroup() as group:
            for _ in range(120):
                group.create_task(follow())
            for _ in range(120):
                await opened.acquire()
            assert await kubernetes.get(JOB) == b"{}"
            done.set()


class TestLogs:
    @pytest.mark.parametrize(
        "log", [b'{"level":"info"}\n', b"1e5", b"\xff\xfe\x00 caf\xc3", b"", b"no newline at the end"]
    )
    async def test_come_back_byte_for_byte(self, server: FaultServer, kubernetes: Kubernetes, log: bytes) -> None:
        server.will("GET", says(200, log))
        assert await read_log(kubernetes) == log

    async def test_asks_for_stamps_and_for_what_came_after(self, server: FaultServer, kubernetes: Kubernetes) -> None:
        server.will("GET", says(200, b""))
        await read_log(kubernetes, since_time="2026-11-21T03:00:00.5Z", follow=False)
        assert server.requests[0].path == POD_LOG
        assert dict(server.requests[0].query) == {
            "container": "main",
            "timestamps": "true",
            "follow": "false",
            "previous": "false",
            "sinceTime": "2026-11-21T03:00:00.5Z",
        }

    async def test_a_waiting_container_is_an_error_and_no_log_line(
        self, server: FaultServer, kubernetes: Kubernetes
    ) -> None:
        waiting = 'container "main" in pod "migrate-x" is waiting to start: ContainerCreating'
        server.will("GET", says(400, status_document(400, "BadRequest", waiting)))
        with pytest.raises(ApiError, match="ContainerCreating") as caught:
            await read_log(kubernetes)
        assert caught.value.status == 400

    async def test_a_pod_that_is_not_bound_has_an_empty_log(self, server: FaultServer, kubernetes: Kubernetes) -> None:
        server.will("GET", says(204, b""))
        assert await read_log(kubernetes) == b""

    async def test_chunks_come_while_the_container_runs(self, server: FaultServer, kubernetes: Kubernetes) -> None:
        server.will("GET", server.stream(b"step 1\n", hold=True))
        async with kubernetes.follow_log("shop", "migrate-x", "main") as chunks, asyncio.timeout(5):
            assert await anext(chunks) == b"step 1\n"

    async def test_a_name_cannot_lead_elsewhere(self, server: FaultServer, kubernetes: Kubernetes) -> None:
        server.will("GET", says(200, b""))
        async with kubernetes.follow_log("shop", "../../secrets/x?y", "main") as chunks:
            assert [chunk async for chunk in chunks] == []
        assert server.requests[0].path == "/api/v1/namespaces/shop/pods/../../secrets/x?y/log"


async def test_proxies_of_the_environment_do_not_count(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.will("GET", says(200, b"{}"))
    async with FaultServer() as proxy:
        proxy.will("GET", says(200, b'{"proxied":true}'))
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        async with Kubernetes.from_url(server.url) as direct:
            assert await direct.get(JOB) == b"{}"
        assert proxy.requests == []


async def test_the_log_of_the_program_never_holds_a_body(
    server: FaultServer, kubernetes: Kubernetes, caplog: pytest.LogCaptureFixture
) -> None:
    server.will("GET", says(200, b'{"password":"hunter2"}'))
    with caplog.at_level("DEBUG"):
        await kubernetes.get(JOB)
    assert "hunter2" not in caplog.text


async def test_importing_the_client_does_not_import_kubernetes_asyncio() -> None:
    program = "import sys, responder.cluster.client; print('kubernetes_asyncio' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output == b"False\n"
