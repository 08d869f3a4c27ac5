"""Errors as RFC 9457 problem+json: what went wrong and what would be right."""

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from responder.ports import StoreError

CONTENT_TYPE = "application/problem+json"


def problem(status: int, title: str, detail: str = "", headers: dict[str, str] | None = None) -> web.Response:
    body = msgspec.json.encode({"title": title, "status": status, "detail": detail})
    return web.Response(status=status, body=body, content_type=CONTENT_TYPE, headers=headers)


@web.middleware
async def problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Every error of the API in one shape; pages keep their own."""
    try:
        return await handler(request)
    except StoreError as error:
        return problem(503, "store unavailable", str(error), {"Retry-After": "2"})
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return problem(error.status, error.reason, error.text or "", _kept(error))


def _kept(error: web.HTTPException) -> dict[str, str]:
    return {
        name: value for name, value in error.headers.items() if name in ("Allow", "Retry-After", "WWW-Authenticate")
    }
