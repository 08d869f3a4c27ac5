"""What happens in a story's namespace, written down so that `responder demo --replay` can play it.

Format: README of the recordings. By watches and followers of its own: what the responder saw has no say in it.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.cluster.application import API
from tests.cluster.kubernetes import Json, Kubernetes, path
from tests.contract.kubernetes.cluster import hang_up

VARIABLE = "RESPONDER_TEST_RECORD"  # the folder: each story writes one below it
_WATCHED = {
    "applications": (API, "Application"),
    "jobs": ("batch/v1", "Job"),
    "pods": ("v1", "Pod"),
    "events": ("v1", "Event"),
}
_ENDLESS = aiohttp.ClientTimeout(total=None)
_PAUSE = 0.2
_SECRET = {"authorization", "cookie"}  # headers that no recording has
_HOP = {"host", "content-length", "transfer-encoding", "connection"}


class Recording:
    def __init__(self, kubernetes: Kubernetes, namespace: str, folder: Path, target: str) -> None:
        """``target``: the responder's address, to which webhooks are handed on."""
        self.url = ""  # where Argo CD shall send them
        self._kubernetes = kubernetes
        self._namespace = namespace
        self._folder = folder
        self._target = target
        self._followed: set[tuple[str, str, int]] = set()
        self._followers = asyncio.TaskGroup()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Webhooks are taken, written down and handed on."""
        (self._folder / "logs").mkdir(parents=True)
        app = web.Application()
        app.router.add_route("*", "/{any:.*}", self._hand_on)
        runner = web.AppRunner(app, handle_signals=False)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield
        finally:
            await runner.cleanup()

    async def run(self) -> None:
        """Until cancelled."""
        async with self._followers:
            for name, (version, kind) in _WATCHED.items():
                where = path(version, kind, self._namespace)
                self._followers.create_task(_again(partial(self._watch, name, where)))

    async def _watch(self, name: str, where: str) -> None:
        async with self._kubernetes.session.get(where, params={"watch": "true"}, timeout=_ENDLESS) as response:
            try:
                async for line in response.content:
                    self._seen(name, json.loads(line))
            finally:
                hang_up(response)

    def _seen(self, name: str, change: Json) -> None:
        changed = change["object"]
        changed.get("metadata", {}).pop("managedFields", None)
        self._write(f"{name}.jsonl", {"t": _now(), "type": change["type"], "object": changed})
        if name == "pods":
            for container, restart in _begun(changed):
                run = (changed["metadata"]["name"], container, restart)
                if run not in self._followed:
                    self._followed.add(run)
                    self._followers.create_task(self._follow(*run))

    async def _follow(self, pod: str, container: str, restart: int) -> None:
        began, text = _now(), ""
        try:
            with contextlib.suppress(AssertionError, aiohttp.ClientError):  # it is gone: that much was to be had
                asked = {"container": container, "timestamps": "true"}
                async with self._kubernetes.follow_log(self._namespace, pod, **asked) as log:
                    while part := await log.read(65536):
                        text += part.decode(errors="replace")
        finally:
            told = {"t": began, "pod": pod, "container": container, "restart": restart, "text": text, "ended": _now()}
            self._write("logs/followed.jsonl", {**told, "status": 200})

    async def _hand_on(self, request: web.Request) -> web.Response:
        body, came = await request.read(), _now()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        where = f"{self._target}{request.path_qs}"
        try:
            async with aiohttp.request(request.method, where, data=body, headers=headers) as answer:
                status = answer.status
        except aiohttp.ClientError:  # it is down
            status = 502
        kept = {name: value for name, value in request.headers.items() if name.lower() not in _SECRET}
        told = {"t": came, "service": "hook-responder", "method": request.method, "path": request.path, "headers": kept}
        self._write("webhooks.jsonl", {**told, "body": _parsed(body), "answered": {"t": _now(), "status": status}})
        return web.Response(status=status)

    def _write(self, name: str, what: Mapping[str, object]) -> None:
        with (self._folder / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(what, separators=(",", ":")) + "\n")


async def _again(watch: Callable[[], Awaitable[None]]) -> None:
    """A watch that broke begins anew, and tells again what is there."""
    while True:
        with contextlib.suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
            await watch()
        await asyncio.sleep(_PAUSE)


def _begun(pod: Json) -> Iterator[tuple[str, int]]:
    """Containers that run or have run, with the number of that run."""
    status = pod.get("status", {})
    for one in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        if one["state"].keys() & {"running", "terminated"}:
            yield one["name"], one["restartCount"]


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
