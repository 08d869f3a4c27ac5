"""What happens in a story's namespace, written down so that `responder demo --replay` can play it.

Format: README of the recordings. By watches and followers of its own: what the responder saw has no say in it.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import aiohttp
from aiohttp import web

from responder.demo.logs import runs_of
from tests.cluster.application import API
from tests.cluster.kubernetes import Json, Kubernetes, RefusedError, path
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
_BROKEN = (aiohttp.ClientError, ConnectionError, TimeoutError)
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
        self._held: dict[str, dict[str, Json]] = {name: {} for name in _WATCHED}  # the last of each object, by its uid
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
                self._followers.create_task(_again(partial(self._watch, name, kind, where)))

    async def _watch(self, name: str, kind: str, where: str) -> None:
        """What is there first: what went while a watch was broken is told as deleted."""
        listed = await self._kubernetes.call("GET", where)
        there = {item["metadata"]["uid"]: item for item in listed["items"]}
        for gone in self._held[name].keys() - there.keys():
            self._seen(name, "DELETED", self._held[name][gone])
        for item in there.values():
            self._seen(name, "ADDED", {"apiVersion": listed["apiVersion"], "kind": kind, **item})
        asked = {"watch": "true", "resourceVersion": listed["metadata"]["resourceVersion"]}
        async with self._kubernetes.session.get(where, params=asked, timeout=_ENDLESS) as response:
            try:
                response.raise_for_status()
                async for line in response.content:
                    change = json.loads(line)
                    if change["type"] == "ERROR":
                        return
                    self._seen(name, change["type"], change["object"])
            finally:
                hang_up(response)

    def _seen(self, name: str, change: str, item: Json) -> None:
        meta = item["metadata"]
        meta.pop("managedFields", None)
        held = self._held[name].get(meta["uid"], {"metadata": {}})
        if change == "ADDED" and held["metadata"].get("resourceVersion") == meta["resourceVersion"]:
            return  # a watch began anew
        if change == "DELETED":
            self._held[name].pop(meta["uid"], None)
        else:
            self._held[name][meta["uid"]] = item
        self._write(f"{name}.jsonl", {"t": _now(), "type": change, "object": item})
        for container, restart, _ in runs_of(item) if name == "pods" else ():
            run = (meta["name"], container, restart)
            if run not in self._followed:
                self._followed.add(run)
                self._followers.create_task(self._follow(meta["uid"], *run))

    async def _follow(self, uid: str, pod: str, container: str, restart: int) -> None:
        """From its first line, again from there while the container runs and a connection broke."""
        began, text = _now(), ""
        try:
            while True:
                read = await self._read(pod, container)
                text = read if read.startswith(text) else text
                await asyncio.sleep(_PAUSE)
                if (container, restart, False) not in runs_of(self._held["pods"].get(uid, {})):
                    return
        finally:
            told = {"t": began, "pod": pod, "container": container, "restart": restart, "text": text, "ended": _now()}
            self._write("logs/followed.jsonl", {**told, "status": 200})

    async def _read(self, pod: str, container: str) -> str:
        """As much as was to be had."""
        read = b""
        with contextlib.suppress(AssertionError, *_BROKEN):
            asked = {"container": container, "timestamps": "true"}
            async with self._kubernetes.follow_log(self._namespace, pod, **asked) as log:
                while part := await log.read(65536):
                    read += part
        return read.decode(errors="replace")

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
        with contextlib.suppress(RefusedError, *_BROKEN):
            await watch()
        await asyncio.sleep(_PAUSE)


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
