"""An HTTP server that answers from a script: what a broken API server, a load balancer or a bad network would say."""

import asyncio
import json
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import NamedTuple, Self

from aiohttp import web
from multidict import MultiMapping


class Seen(NamedTuple):
    method: str
    path: str
    query: MultiMapping[str]
    headers: Mapping[str, str]
    body: bytes


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FaultServer:
    """``script[verb]`` holds the answers to come; the last one repeats. Verbs: watch, and HTTP's methods."""

    def __init__(self, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.script: dict[str, deque[Answer]] = {}
        self.requests: list[Seen] = []
        self.url = ""
        self.port = port
        self._tls = tls
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls)
        await self._site.start()
        self.port = self._runner.addresses[0][1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        await self._site.stop()
        for _ in range(5):  # a connection accepted just now reaches aiohttp, which then closes it
            await asyncio.sleep(0)
        await self._runner.cleanup()

    def will(self, verb: str, *answers: Answer) -> None:
        self.script[verb] = deque(answers)

    def seen(self, verb: str) -> list[Seen]:
        return [request for request in self.requests if _verb(request.method, request.query) == verb]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(Seen(request.method, request.path, request.query, request.headers, await request.read()))
        answers = self.script[_verb(request.method, request.query)]
        answer = answers.popleft() if len(answers) > 1 else answers[0]
        return await answer(request)

    async def black_hole(self, request: web.Request) -> web.StreamResponse:
        """Takes the request and never says a word."""
        del request
        await self._closing.wait()
        return web.Response(status=503)

    def stream(self, *parts: bytes, cut: bool = False, hold: bool = False) -> Answer:
        """Chunked. ``cut``: the connection ends inside the body; ``hold``: it stays open, silent."""

        async def answer(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            response.enable_chunked_encoding()
            await response.prepare(request)
            for part in parts:
                await response.write(part)
            if hold:
                await self._closing.wait()
            if cut and request.transport is not None:
                request.transport.abort()
            return response

        return answer


def says(status: int, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
    """A body that is bytes goes out as it is, anything else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def answer(request: web.Request) -> web.StreamResponse:
        del request
        return web.Response(
            status=status, body=content, headers={"Content-Type": "application/json", **(headers or {})}
        )

    return answer


def status_document(code: int, reason: str, message: str) -> dict[str, object]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }


def _verb(method: str, query: MultiMapping[str]) -> str:
    return "watch" if query.get("watch") == "true" else method
