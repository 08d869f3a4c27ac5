"""A log as it was kept: redacted, with the line numbers of the original, and what was left out between them."""

from collections.abc import Iterator

import msgspec
from aiohttp import web

from responder.core.evidence import LogChunk
from responder.desk import NotFoundError
from responder.web.faces import faces_of
from responder.web.parameters import query
from responder.web.routes import TEXT, Route, answer


class LogQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str = "text"


class LineOut(msgspec.Struct):
    number: int  # from 1 in the container's original log
    at: str  # RFC 3339 with nanoseconds, as the container runtime stamped it
    text: str


class LogLinesOut(msgspec.Struct):
    key: str
    lines: list[LineOut]


async def show_log(request: web.Request) -> web.Response:
    asked, key = query(request, LogQuery), request.match_info["key"]
    if asked.format not in ("text", "json"):
        raise web.HTTPBadRequest(text=f"format is text or json, not {asked.format!r}")
    chunk = await faces_of(request).store.log(key)
    if chunk is None:
        raise NotFoundError(f"no log {key} is kept")
    if asked.format == "json":
        lines = zip(chunk.numbers, chunk.stamps, chunk.texts, strict=True)
        return answer(LogLinesOut(key, [LineOut(*line) for line in lines]))
    return web.Response(text="".join(as_text(chunk)), content_type=TEXT, charset="utf-8")


def as_text(chunk: LogChunk) -> Iterator[str]:
    width = len(str(chunk.numbers[-1])) if chunk.numbers else 1
    before = 0
    for number, text in zip(chunk.numbers, chunk.texts, strict=True):
        if left_out := number - before - 1:
            yield f"{'':>{width}}  ({left_out} {'line' if left_out == 1 else 'lines'} not kept)\n"
        yield f"{number:>{width}}  {text}\n"
        before = number


ROUTES = (
    Route(
        method="GET",
        path="/v1/logs/{key}",
        greedy="key",
        handler=show_log,
        summary="A container's log, redacted; lines keep the numbers of the original. format=json gives stamps too",
        query=LogQuery,
        answer=LogLinesOut,
        media=TEXT,
        problems=(400, 404),
    ),
)
