"""A real Chromium on a responder in small. It speaks to loopback only, as every test does."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, BrowserContext, Page, Request, async_playwright, expect

from responder.store.sqlite import SqliteStore
from responder.web.app import build
from tests.contract.store.examples import StandingClock
from tests.unit.web.world import OPERATOR, World

CHROMIUM = Path("/usr/bin/chromium")
HAS_CHROMIUM = CHROMIUM.exists()
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip
_PATIENCE = 20_000.0  # ms; a busy machine is no failure
expect.set_options(timeout=_PATIENCE)
WIDE, PHONE = (1280, 900), (390, 844)


class Screen:
    """One open page, and everything that it complained of."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.complaints: list[str] = []
        page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "requestfailed", lambda r: self.complaints.append(f"{r.url}: {r.failure}") if not _left_behind(r) else None
        )

    async def go(self, path: str) -> None:
        await self.page.goto(self.base + path, wait_until="load")


def _left_behind(request: Request) -> bool:
    """A stream ends with its page, and so does the wait for the page's icon, which is asked for when all else is there:
    no failures."""
    icon = "/static/icon.svg" in request.url and request.failure == "net::ERR_ABORTED"
    return icon or request.url.endswith("/v1/events")


@pytest_asyncio.fixture(loop_scope="session")
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = StandingClock()
    async with await SqliteStore.open(tmp_path / "responder.db", clock=clock) as store:
        yield World(store, clock)


@pytest_asyncio.fixture(loop_scope="session")
async def server(world: World) -> AsyncIterator[str]:
    async with TestServer(build(world.faces())) as server:
        yield str(server.make_url("")).rstrip("/")
        world.changes.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One for all tests, and so one loop for all of them."""
    if not HAS_CHROMIUM:
        pytest.skip("there is no /usr/bin/chromium (Debian: apt-get install chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture(params=[WIDE, PHONE], ids=["wide", "phone"])
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    found: tuple[int, int] = request.param
    return found


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser, server: str, size: tuple[int, int]) -> AsyncIterator[BrowserContext]:
    """Somebody who has logged in."""
    context = await browser.new_context(viewport={"width": size[0], "height": size[1]})
    context.set_default_timeout(_PATIENCE)
    await context.add_cookies([{"name": "responder_token", "value": OPERATOR, "url": server}])
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def screen(context: BrowserContext, server: str) -> Screen:
    return Screen(await context.new_page(), server)
