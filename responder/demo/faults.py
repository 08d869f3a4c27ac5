"""Ways for the API server to fail, to be put into ``ApiServer.faults``."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from responder.demo.api import Api, Reply
from responder.demo.apiserver import Fault, FaultAnswer, reply_to
from responder.demo.request import truth
from responder.demo.status import ApiFault, expired

Matches = Callable[[web.Request], bool]


def watches(plural: str) -> Matches:
    return lambda request: request.path.endswith(f"/{plural}") and truth(request.query.get("watch"))


def lists(plural: str) -> Matches:
    return lambda request: (
        request.method == "GET" and request.path.endswith(f"/{plural}") and not truth(request.query.get("watch"))
    )


def follows(request: web.Request) -> bool:
    return request.path.endswith("/log") and truth(request.query.get("follow"))


def writes(request: web.Request) -> bool:
    return request.method in {"POST", "PUT", "PATCH", "DELETE"}


def when(matches: Matches, fault: Fault, *, times: int | None = None) -> Fault:
    """The fault for requests that match; for the first ``times`` of them."""
    left = times

    def chosen(request: web.Request) -> Awaitable[FaultAnswer] | FaultAnswer:
        nonlocal left
        if left == 0 or not matches(request):
            return None
        left = None if left is None else left - 1
        return fault(request)

    return chosen


def answers(fault: ApiFault, headers: dict[str, str] | None = None) -> Fault:
    def answer(_: web.Request) -> web.Response:
        return web.json_response(fault.body(), status=fault.status, headers=headers)

    return answer


def too_many_requests(retry_after: int) -> Fault:
    message = "the server has received too many requests and has asked us to try again later"
    return answers(ApiFault(429, "TooManyRequests", message), {"Retry-After": str(retry_after)})


def gone() -> Fault:
    return answers(expired(1, 1000))


def internal_error() -> Fault:
    return answers(ApiFault(500, "InternalError", "Internal error occurred: etcdserver: request timed out"))


def bad_gateway(_: web.Request) -> web.Response:
    page = "<html>\n<head><title>502 Bad Gateway</title></head>\n<body>nginx</body>\n</html>\n"
    return web.Response(status=502, text=page, content_type="text/html")


def ends_at_once(_: web.Request) -> web.Response:
    """A stream without a word."""
    return web.Response(content_type="application/json")


def cut_line(line: bytes = b'{"type":"MODIFIED","object":{"kind":"Appl', *, clean: bool = True) -> Fault:
    """A stream that ends within a line; not ``clean``: within the transfer, too."""

    async def cut(request: web.Request) -> web.StreamResponse:
        response = await _started(request)
        await response.write(line)
        return response if clean else _aborted(request)

    return cut


def silent(*, started: bool = True) -> Fault:
    """Takes the request and says nothing more, with or without the headers of an answer."""

    async def wait(request: web.Request) -> web.StreamResponse:
        response = await _started(request) if started else web.StreamResponse()
        await asyncio.Event().wait()  # until the client goes, or the server
        return response

    return wait


def slow(seconds: float) -> Fault:
    """Answers as ever, but late, by the clock on the wall."""

    async def wait(_: web.Request) -> None:
        await asyncio.sleep(seconds)

    return wait


def reset(request: web.Request) -> web.StreamResponse:
    """Cuts the connection instead of answering."""
    return _aborted(request)


def answer_lost(api: Api) -> Fault:
    """Does what is asked, and cuts the connection before it can say so."""

    async def lose(request: web.Request) -> web.StreamResponse:
        answer = await reply_to(api, request)
        assert isinstance(answer, Reply), "only what is not a stream has an answer to lose"  # noqa: S101 - a test's slip
        return _aborted(request)

    return lose


async def _started(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    return response


def _aborted(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
