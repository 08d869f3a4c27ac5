"""A route with what is said of it in /openapi.json: one table for both, so that they agree."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HTML = "text/html"
JSON = "application/json"
TEXT = "text/plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    method: str
    path: str  # as OpenAPI writes it; ``greedy`` parameters hold slashes
    handler: Handler
    summary: str
    answer: type | None = None  # of the body, when it is JSON
    media: str = JSON
    status: int = 200
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    problems: tuple[int, ...] = ()  # beyond 401, 403 and 503
    identity: bool = True  # is a token needed?
    greedy: str = ""

    @property
    def pattern(self) -> str:
        """As aiohttp writes it."""
        return self.path.replace(f"{{{self.greedy}}}", f"{{{self.greedy}:.+}}") if self.greedy else self.path


def answer(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value), content_type=JSON)
