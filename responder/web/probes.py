"""Operators' faces: alive, ready and what we wait for, version, metrics."""

import asyncio
from datetime import datetime

import msgspec
from aiohttp import web

from responder.metrics import content_type
from responder.ports import PutSetting, StoreError
from responder.web.faces import Faces, faces_of
from responder.web.routes import TEXT, Route, answer

_STORE_DEADLINE = 2.0
_STORE_EVERY = 5.0  # seconds for which one check of the store holds: a probe is open to everybody


class HealthOut(msgspec.Struct):
    status: str


class WatchesOut(msgspec.Struct):
    synced: bool
    observed_at: datetime | None
    trouble: str


class ConfigurationOut(msgspec.Struct):
    rules_file: str
    loaded_at: datetime | None
    trouble: str  # of a newer version that was refused; empty: what stands in the files is in force


class ReadyOut(msgspec.Struct):
    ready: bool
    waits_for: list[str]  # sentences; empty when ready
    store: str  # "ok", or its trouble
    watches: WatchesOut
    leader: bool
    configuration: ConfigurationOut  # a refused change keeps nobody from being ready: what was in force stays so
    pending_wakeups: int  # they wait for the cluster: no incident is made up from half a picture


class VersionOut(msgspec.Struct):
    version: str


class StoreCheck:
    """Is the store usable: does it take a write? Asked at most every few seconds, whoever asks us."""

    def __init__(self) -> None:
        self._trouble = ""
        self._checked = float("-inf")
        self._one = asyncio.Lock()

    async def trouble(self, faces: Faces) -> str:
        async with self._one:
            now = asyncio.get_running_loop().time()
            if now - self._checked >= _STORE_EVERY:
                self._trouble = await _written(faces)
                self._checked = now
            return self._trouble


async def _written(faces: Faces) -> str:
    try:
        async with asyncio.timeout(_STORE_DEADLINE):
            await faces.store.commit(PutSetting("checked_at", faces.clock.now().isoformat()))
    except TimeoutError:
        return f"it took no write within {_STORE_DEADLINE:g} s"
    except StoreError as error:
        return str(error)
    return ""


STORE_CHECK = web.AppKey("store_check", StoreCheck)


async def readiness(request: web.Request) -> ReadyOut:
    faces = faces_of(request)
    trouble = await request.app[STORE_CHECK].trouble(faces)
    fresh, pending = faces.cluster.freshness(), faces.pending()
    waits = [f"the store: {trouble}"] if trouble else []
    if not fresh.synced or fresh.trouble:
        waits.append(f"the cluster: {fresh.trouble or 'not every watch has listed yet'}")
    return ReadyOut(
        ready=not waits,
        waits_for=waits,
        store=trouble or "ok",
        watches=WatchesOut(fresh.synced, fresh.observed_at, fresh.trouble),
        leader=faces.leader(),
        configuration=_configuration(faces),
        pending_wakeups=pending,
    )


def _configuration(faces: Faces) -> ConfigurationOut:
    in_force = faces.in_force()
    return ConfigurationOut(in_force.rules_file, in_force.loaded_at, in_force.trouble)


async def healthz(_request: web.Request) -> web.Response:
    return answer(HealthOut("ok"))


async def readyz(request: web.Request) -> web.Response:
    ready = await readiness(request)
    return answer(ready, 200 if ready.ready else 503)


async def version(request: web.Request) -> web.Response:
    return answer(VersionOut(faces_of(request).version))


async def metrics(request: web.Request) -> web.Response:
    accept = request.headers.get("Accept", "")
    parts = []
    for part in faces_of(request).metrics.parts(accept):
        parts.append(part)
        await asyncio.sleep(0)  # all families at once would hold the loop for tens of milliseconds
    return web.Response(body=b"".join(parts), headers={"Content-Type": content_type(accept)})


def routes(*, metrics_open: bool) -> tuple[Route, ...]:
    return (
        Route(
            method="GET", path="/healthz", handler=healthz, answer=HealthOut, identity=False,
            summary="The process answers",
        ),
        Route(
            method="GET", path="/readyz", handler=readyz, answer=ReadyOut, identity=False,
            summary="200: the store takes writes and our picture of the cluster is current; 503: what is waited for",
        ),
        Route(method="GET", path="/version", handler=version, answer=VersionOut, identity=False, summary="What runs"),
        Route(
            method="GET", path="/metrics", handler=metrics, media=TEXT, identity=not metrics_open,
            summary="Prometheus metrics, and OpenMetrics with exemplars for who asks for it",
        ),
    )  # fmt: skip
