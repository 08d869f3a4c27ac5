"""The kubelet's own server, asked by the API server: logs."""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from aiohttp import web

from tests.cluster.kubelet.container import Container
from tests.cluster.kubelet.logs import Log, LogQuery, stamp
from tests.cluster.kubelet.worker import Worker

Find = Callable[[str, str], Worker | None]  # by namespace and name
_BLOCK: Final = 64 << 10


class LogError(Exception):
    """``str`` is the answer to a request that finds no log."""


def log_of(container: Container, *, previous: bool) -> Log:
    """The rules and texts of the kubelet's validateContainerLogStatus."""
    what = f'container "{container.name}" in pod "{container.pod.name}"'
    state = container.state
    if previous:
        if not container.last_state or (log := _ended_log(container)) is None:
            raise LogError(f"previous terminated {what} not found")
        return log
    if container.log is not None:
        return container.log
    reason = state.get("waiting", {}).get("reason", "")
    if "terminated" in state:
        raise LogError(f"{what} is terminated")
    told = {
        "ErrImagePull": "image can't be pulled",
        "ImagePullBackOff": "trying and failing to pull image",
    }
    raise LogError(f"{what} is waiting to start: {told.get(reason, reason)}")


def _ended_log(container: Container) -> Log | None:
    """Of the run that ``lastState`` tells of: it is the newest while the container waits to start again."""
    return container.log if "waiting" in container.state else container.previous_log


def read_query(query: Mapping[str, str]) -> LogQuery:
    since = ""
    if "sinceTime" in query:
        since = stamp(_nanoseconds(query["sinceTime"]))
    elif "sinceSeconds" in query:
        since = stamp(time.time_ns() - int(query["sinceSeconds"]) * 10**9)
    return LogQuery(
        follow=query.get("follow") == "true",
        timestamps=query.get("timestamps") == "true",
        tail_lines=int(query["tailLines"]) if "tailLines" in query else None,
        since=since,
        limit_bytes=int(query["limitBytes"]) if "limitBytes" in query else None,
    )


def _nanoseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return round(moment.replace(microsecond=0).timestamp()) * 10**9 + moment.microsecond * 1000


class Server:
    """``lost`` says whether the node is: then nobody answers."""

    def __init__(self, find: Find, lost: Callable[[], bool]) -> None:
        self._find = find
        self._lost = lost

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        return app

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        if self._lost():
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)
        names = request.match_info
        worker = self._find(names["namespace"], names["pod"])
        if worker is None:
            return web.Response(status=404, text=f'pod "{names["pod"]}" does not exist\n')
        if "log-refused" in worker.pod.faults:
            return web.Response(status=500, text="the log endpoint refuses\n")
        container = worker.container(names["container"])
        if container is None:
            text = f'container "{names["container"]}" not found in pod "{names["pod"]}"\n'
            return web.Response(status=404, text=text)
        try:
            log = log_of(container, previous=request.query.get("previous") == "true")
        except LogError as error:
            return web.Response(status=400, text=str(error))
        return await self._send(request, log, worker)

    async def _send(self, request: web.Request, log: Log, worker: Worker) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        held = bytearray()
        async for data in log.read(read_query(request.query)):
            held += data
            slow = worker.pod.faults.get("log-slow")
            if slow and data:
                await asyncio.sleep(float(slow))
            if len(held) < _BLOCK and data and not slow:
                continue
            if self._lost():
                return response
            await response.write(bytes(held))
            await asyncio.sleep(0)  # a long log is not the only thing there is to do
            held.clear()
        await response.write(bytes(held))
        return response


def server_tls(certificate: Path, key: Path, ca: Path) -> ssl.SSLContext:
    """Only who shows a certificate of the cluster's authority may read logs."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ca))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
    return context
