"""The HTTP face of the in-memory Kubernetes API: sockets, streams, faults on purpose."""

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from aiohttp import web

from responder.demo.api import Api, Reply, stream_type
from responder.demo.logs import LogReader
from responder.demo.watching import Watch

FaultAnswer = web.StreamResponse | None
Fault = Callable[[web.Request], Awaitable[FaultAnswer] | FaultAnswer]

_HOST = "127.0.0.1"
_MOST_BODY = 4 << 20


class ApiServer:
    """``faults`` are asked before each request, in order; the first that answers has answered."""

    def __init__(self, api: Api, *, bookmark_seconds: float = 60) -> None:
        self.api = api
        self.faults: list[Fault] = []
        self.streams = 0  # watches and follows that are open
        self._port = 0
        self._bookmark_seconds = bookmark_seconds
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.back()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.away()

    @property
    def url(self) -> str:
        return f"http://{_HOST}:{self._port}"

    async def back(self) -> None:
        """Listens, on the same port as before."""
        app = web.Application(client_max_size=_MOST_BODY)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, _HOST, self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def away(self) -> None:
        """Cuts every connection and refuses new ones. What is stored stays."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        for fault in tuple(self.faults):
            answer = fault(request)
            response = await answer if inspect.isawaitable(answer) else answer
            if response is not None:
                return response
        result = await reply_to(self.api, request)
        if isinstance(result, Reply):
            return web.Response(status=result.status, headers=result.headers, body=result.body)
        response = web.StreamResponse(headers={"Content-Type": stream_type(result)})
        await response.prepare(request)
        await self._stream(response, result)
        return response

    async def _stream(self, response: web.StreamResponse, stream: Watch | LogReader) -> None:
        changed = asyncio.Event()
        unsubscribe = stream.subscribe(changed.set)
        self.streams += 1
        try:
            async with asyncio.TaskGroup() as group:
                timing = group.create_task(self._keep_time(stream, changed)) if isinstance(stream, Watch) else None
                await _pump(response, stream, changed)
                if timing is not None:
                    timing.cancel()
        except* ConnectionError:
            pass  # the reader went: nobody is left to tell
        finally:
            self.streams -= 1
            unsubscribe()

    async def _keep_time(self, watch: Watch, changed: asyncio.Event) -> None:
        left = watch.options.timeout or math.inf
        while left > 0:
            step = min(left, self._bookmark_seconds)
            await self.api.objects.clock.sleep(step)
            left -= step
            watch.ask_bookmark()
            if left <= 0:
                watch.end()
            changed.set()


async def reply_to(api: Api, request: web.Request) -> Reply | Watch | LogReader:
    return api.answer(request.method, request.path, request.query, request.headers, await request.read())


async def _pump(response: web.StreamResponse, stream: Watch | LogReader, changed: asyncio.Event) -> None:
    while True:
        changed.clear()
        if data := stream.take():
            await response.write(data)
        if stream.ended:
            return
        if not data:
            await changed.wait()
