"""Errors as RFC 9457 problem+json: what went wrong and what would be right. Whoever opens a page is shown a page."""

import logging
from collections.abc import Callable

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from responder.desk import ConflictError, NotFoundError
from responder.ports import StoreError
from responder.web.access import wants_page
from responder.web.headers import secure

log = logging.getLogger("responder.web")

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER = "2"  # seconds; Argo CD honours it without a cap, in its only worker

Page = Callable[[web.Request, "Problem"], web.Response]


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    title: str
    status: int
    detail: str = ""
    reasons: tuple[str, ...] = ()  # of a denied act, every guard that stands in the way

    def response(self, headers: dict[str, str] | None = None) -> web.Response:
        body = msgspec.json.encode(self)
        return web.Response(status=self.status, body=body, content_type=CONTENT_TYPE, headers=headers)


def problem(status: int, title: str, detail: str = "", headers: dict[str, str] | None = None) -> web.Response:
    return Problem(title, status, detail).response(headers)


def shaped(admit: Callable[[web.Request], None], page: Page) -> Middleware:
    """The one middleware: each more would be paid for by every webhook. ``page`` shows a problem to people."""

    @web.middleware
    async def shape(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await _answered(request, handler)
        if not response.prepared:  # a stream is under way, or over
            secure(response)
        return response

    async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            admit(request)
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                secure(error)
                raise
            told, headers = Problem(error.reason, error.status, _detail(request, error)), _kept(error)
        except NotFoundError as error:
            told, headers = Problem("Not Found", 404, str(error)), {}
        except ConflictError as error:
            told, headers = Problem("Conflict", 409, str(error)), {}
        except StoreError as error:
            log.warning("store: %s", error)
            told, headers = (
                Problem("Store Unavailable", 503, "the store is not available"),
                {"Retry-After": RETRY_AFTER},
            )
        except Exception:
            log.exception("request failed", extra={"method": request.method, "path": request.path})
            told, headers = Problem("Internal Server Error", 500, "this is a fault of ours; the log tells more"), {}
        if wants_page(request):
            response = page(request, told)
            response.headers.update(headers)
            return response
        return told.response(headers)

    return shape


def _detail(request: web.Request, error: web.HTTPException) -> str:
    """Ours, or instead of aiohttp's bare status line what would have been right."""
    text = error.text or ""
    if text != f"{error.status}: {error.reason}":
        return text
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"{request.path} takes {', '.join(sorted(error.allowed_methods))}"
    return f"there is nothing at {request.path}; /openapi.json lists what is" if error.status == 404 else ""


def _kept(error: web.HTTPException) -> dict[str, str]:
    return {
        name: value for name, value in error.headers.items() if name in ("Allow", "Retry-After", "WWW-Authenticate")
    }
