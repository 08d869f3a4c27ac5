"""Whoever would have been paged: a receiver of our signed webhooks, on localhost, that counts."""

from types import TracebackType
from typing import Self

import msgspec
from aiohttp import web

from responder.core.alert import Alert, AlertState


class _Event(msgspec.Struct):
    type: str
    data: Alert


_decoder = msgspec.json.Decoder(_Event)


class Pager:
    def __init__(self) -> None:
        self.alerts: list[Alert] = []
        self.url = ""
        app = web.Application()
        app.router.add_post("/", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    @property
    def pages(self) -> dict[str, Alert]:
        """What somebody was woken for, once each: the first alert of every incident, by its id."""
        first: dict[str, Alert] = {}
        for alert in self.alerts:
            if alert.state is AlertState.FIRING:
                first.setdefault(alert.incident_id, alert)
        return first

    async def _take(self, request: web.Request) -> web.Response:
        self.alerts.append(_decoder.decode(await request.read()).data)
        return web.Response(status=204)
