"""A real Alertmanager, and the pager that it calls: what a person would have been woken by."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import yaml
from aiohttp import web

from tests.cluster.kubernetes import Json
from tests.cluster.processes import Ports, Process, listens

PROGRAM = "prometheus-alertmanager"


class Pager:
    def __init__(self, url: str) -> None:
        self.url = url  # of Alertmanager
        self._rang = asyncio.Event()
        self.pages: list[Json] = []  # as Alertmanager tells them, each with the time at which it came

    @property
    def receiver(self) -> Json:
        """For ``receivers`` of the responder's settings."""
        return {"name": "alertmanager", "type": "alertmanager", "urls": [self.url], "timeout": "5s"}

    def firing(self) -> list[Json]:
        return [page for page in self.pages if page["status"] == "firing"]

    async def until(self, true: Callable[["Pager"], object], *, within: float = 60) -> None:
        try:
            async with asyncio.timeout(within):
                while not true(self):
                    self._rang.clear()
                    await self._rang.wait()
        except TimeoutError:
            raise AssertionError(f"not so within {within:.0f} s: {self.pages}") from None

    async def hear(self, request: web.Request) -> web.Response:
        self.pages.append({**await request.json(), "at": time.monotonic()})
        self._rang.set()
        return web.Response()


@asynccontextmanager
async def pager(folder: Path) -> AsyncIterator[Pager]:
    """Every alert is a page of its own, at once: nothing is grouped. The folder is there."""
    ports = Ports()
    port = ports.free()
    made = Pager(f"http://127.0.0.1:{port}")
    app = web.Application()
    app.router.add_post("/", made.hear)
    runner = web.AppRunner(app, handle_signals=False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    route = {"receiver": "pager", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"}
    hook = {"url": f"http://127.0.0.1:{runner.addresses[0][1]}/", "send_resolved": True}
    config = folder / "alertmanager.yml"
    receivers = [{"name": "pager", "webhook_configs": [hook]}]
    config.write_text(yaml.safe_dump({"route": route, "receivers": receivers}), encoding="utf-8")
    program = Process(
        PROGRAM,
        [
            shutil.which(PROGRAM) or PROGRAM,
            f"--config.file={config}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ],
        log=folder / "alertmanager.log",
        probe=listens(port),
    )
    ports.release()
    try:
        await program.start()
        yield made
    finally:
        await program.stop()
        await runner.cleanup()
