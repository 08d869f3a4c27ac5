"""Neighbours for the tests of receivers: HTTP servers that answer as told, a clock that is stepped, alerts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer

from responder.core.alert import Alert, AlertState, Delivery, Severity

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)

ALERT = Alert(
    key="hook-responder/i1",
    incident_id="i1",
    state=AlertState.FIRING,
    severity=Severity.WARNING,
    title="shop/orders: db-migrate already-exists",
    what='already-exists (alembic): relation "orders" already exists',
    left="Statements stay in the database; DO NOT run it again.",
    next="abc -> def. Next: argocd app get orders",
    labels={
        "application": "orders",
        "namespace": "argocd",
        "project": "shop",
        "owner": "orders-team",
        "category": "already-exists",
        "retry": "unsafe",
        "state_left": "partial",
    },
    starts_at=NOW,
    updated_at=NOW,
    owner="orders-team",
    incident_url="https://responder.example.com/incidents/i1",
    runbook_url="https://responder.example.com/runbooks/already-exists",
    details=("12: ERROR: relation exists", "13: at line 3"),
)


def alert(incident: str = "i1", state: AlertState = AlertState.FIRING, **more: Any) -> Alert:
    return msgspec.structs.replace(
        ALERT, key=f"hook-responder/{incident}", incident_id=incident, state=state, title=incident, **more
    )


def delivery(name: str, told: Alert, receiver: str = "hub", at: datetime = NOW, keep: float = 86400) -> Delivery:
    return Delivery(
        id=name,
        receiver=receiver,
        alert=told,
        created_at=at,
        not_before=at,
        expires_at=at + timedelta(seconds=keep),
    )


class Request(msgspec.Struct, frozen=True):
    path: str
    headers: Mapping[str, str]
    body: bytes


class Neighbour:
    """An HTTP server: takes what comes, answers 200 unless told otherwise."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.refused: Callable[[Request], int | None] = lambda _: None  # a status for some requests
        self.at_once = 0  # most requests that were being answered at the same time
        self._answering = 0
        self.always: tuple[int, Mapping[str, str], str] = (200, {}, "ok")
        self.released = asyncio.Event()  # requests wait for it
        self.released.set()
        self.arrived: asyncio.Queue[Request] = asyncio.Queue()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self.server = TestServer(app)

    async def _handle(self, request: web.Request) -> web.Response:
        seen = Request(request.path, dict(request.headers), await request.read())
        self.requests.append(seen)
        self.arrived.put_nowait(seen)
        self._answering += 1
        self.at_once = max(self.at_once, self._answering)
        try:
            await self.released.wait()
        finally:
            self._answering -= 1
        status, headers, text = self.always
        return web.Response(status=self.refused(seen) or status, headers=headers, text=text)

    def url(self, path: str = "/hook") -> str:
        return str(self.server.make_url(path))

    def subjects(self) -> list[str]:
        """Of CloudEvents, with their state, in the order in which they came."""
        events = [msgspec.json.decode(request.body) for request in self.requests]
        return [f"{event['subject']} {event['data']['state']}" for event in events]


@asynccontextmanager
async def neighbour() -> AsyncIterator[Neighbour]:
    one = Neighbour()
    await one.server.start_server(access_log=None)
    try:
        yield one
    finally:
        one.released.set()
        await one.server.close()


class SteppedClock:
    """Stands still until stepped. ``quiet`` waits until as many tasks sleep on it as there are, so that everything
    that was to happen at this moment has happened.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []
        self._changed = asyncio.Event()

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        sleeper = (self._seconds + seconds, asyncio.Event())
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        self._sleepers.append(sleeper)
        self._changed.set()
        try:
            await sleeper[1].wait()
        finally:
            self._sleepers.remove(sleeper)

    async def quiet(self, tasks: int) -> None:
        async with asyncio.timeout(20):
            await self._settle()
            while len(self._sleepers) < tasks:
                self._changed.clear()
                await self._changed.wait()
                await self._settle()

    async def advance(self, seconds: float, tasks: int) -> None:
        """From one sleeper's end to the next, each waited for."""
        end = self._seconds + seconds
        await self.quiet(tasks)
        while (due := min(at for at, _ in self._sleepers)) <= end:
            self._seconds = max(due, self._seconds)
            for at, event in self._sleepers:
                if at <= self._seconds:
                    event.set()
            await self.quiet(tasks)
        self._seconds = end

    @staticmethod
    async def _settle() -> None:
        """Tasks that were woken take a few turns of the loop until they are seen to be awake."""
        for _ in range(10):
            await asyncio.sleep(0)
