"""Server-sent events: which incident changed. The page fetches what it shows again; nothing else travels here."""

import asyncio

import msgspec
from aiohttp import web

from responder.web.changes import FullError, Subscription
from responder.web.faces import faces_of
from responder.web.headers import SAFE
from responder.web.routes import Route

_BEAT = 15.0  # seconds: proxies end silent connections after 30 to 60
_WRITE_DEADLINE = 30.0
_COME_BACK = b"retry: 3000\n\n"
_EVERYTHING = b"event: reset\ndata: {}\n\n"


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={**SAFE, "X-Accel-Buffering": "no"})  # nginx would hold it back
    response.content_type = "text/event-stream"
    try:
        with faces_of(request).changes.subscribe() as subscription:
            await _tell(request, response, subscription)
    except FullError:
        raise web.HTTPServiceUnavailable(text="too many listen already", headers={"Retry-After": "10"}) from None
    return response


async def _tell(request: web.Request, response: web.StreamResponse, subscription: Subscription) -> None:
    try:
        await response.prepare(request)
        await _send(response, _COME_BACK)
        async for ids in subscription.batches(_BEAT):
            await _send(response, _event(ids))
    except (TimeoutError, ConnectionError):
        return  # nobody reads any more


async def _send(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(_WRITE_DEADLINE):
        await response.write(data)


def _event(ids: list[str] | None) -> bytes:
    if ids is None:
        return _EVERYTHING
    if not ids:
        return b": still here\n\n"
    return b"".join(b"event: changed\ndata: %s\n\n" % msgspec.json.encode({"incident": i}) for i in ids)


ROUTES = (
    Route(
        method="GET",
        path="/v1/events",
        handler=stream,
        media="text/event-stream",
        summary='Server-sent: "changed" with the incident\'s id; "reset" when so many did that you should look anew',
    ),
)
