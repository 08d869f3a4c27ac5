"""A server that answers as a test says, and the command line in a thread of its own beside it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer

from responder.cli import main
from tests.unit.web.world import REVISION

Answers = Callable[[web.Request], Awaitable[web.StreamResponse]]
SUBJECT = ("--service", "shop", "--environment", "in-cluster", "--revision", REVISION)


@asynccontextmanager
async def answering(answer: Answers) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url(""))


async def run(*arguments: str) -> int:
    return await asyncio.to_thread(main, list(arguments))
