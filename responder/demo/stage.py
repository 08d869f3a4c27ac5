"""The story on its stage: in-memory cluster, the real responder in front of it, a pager behind it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from responder.app import Responder
from responder.demo.api import Api
from responder.demo.apiserver import ApiServer
from responder.demo.clock import FastClock, SteppedClock
from responder.demo.pager import Pager
from responder.demo.replay import read_incidents, started
from responder.demo.script import APPROVED, LASTS, Story
from responder.demo.settings import TOKEN, demo_settings
from responder.demo.settling import Settling

_STEP = timedelta(seconds=1)
_DELIVERED_SECONDS = 10.0


class Stage:
    """One performance. ``clock`` decides how it is played: step by step, or by the wall's clock, only faster."""

    def __init__(self, clock: FastClock | SteppedClock, *, note: Callable[[str], None] = lambda _: None) -> None:
        self.clock = clock
        self._note = note
        self.story = Story(clock, note=note)
        self.pager = Pager()
        self._server = ApiServer(Api(self.story.world.objects, eager_bookmarks=True))
        self._responder: Responder | None = None
        self._settling: Settling | None = None
        self._http: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def open(self, folder: Path, *, port: int) -> AsyncIterator[Responder]:
        self.story.begin()
        async with self._server, self.pager, aiohttp.ClientSession() as self._http:
            settings = demo_settings(self._server.url, folder, port=port, pager=self.pager.url)
            async with started(settings, self.clock) as self._responder, asyncio.TaskGroup() as group:
                if isinstance(self.clock, SteppedClock):
                    yield self._responder
                    return
                agenda = group.create_task(self.story.world.agenda.run())
                try:
                    yield self._responder
                finally:
                    agenda.cancel()

    async def play(self) -> None:
        """From the first deployment to the end of the story."""
        self.story.deploy()
        await self._go_on(APPROVED)
        await self._approve()
        await self._go_on(LASTS - APPROVED)

    async def _go_on(self, seconds: float) -> None:
        if isinstance(self.clock, SteppedClock):
            await self._step_to(self.clock, self.clock.now() + timedelta(seconds=seconds))
        else:
            await self.clock.sleep(seconds)

    async def _approve(self) -> None:
        """Somebody has looked at what waits for a person, and approves it as it was shown."""
        for incident in await self.incidents():
            for decision in incident["decisions"]:
                if decision["verdict"]["result"] == "needs-approval":
                    self._note(f"somebody approves: {decision['action']} of {incident['application']['name']}")
                    seen = {"evidence_version": incident["evidence_version"]}
                    await self._post(f"/v1/decisions/{decision['id']}/approve", seen)

    async def _step_to(self, clock: SteppedClock, until: datetime) -> None:
        assert self._responder is not None  # noqa: S101 - the stage is open
        world = self.story.world
        if self._settling is None:  # one for the whole story: it remembers which logs were read
            self._settling = Settling(world.objects, self._responder, clock, world.jobs.kubelet.printed)
        settling = self._settling
        await settling.settle()
        while clock.now() < until:
            due = [at for at in (world.agenda.next_due, clock.next_due) if at is not None and at > clock.now()]
            clock.move_to(min((*due, clock.now() + _STEP, until)))
            world.agenda.run_due()
            await settling.settle()

    # What came of it

    async def incidents(self) -> list[dict[str, Any]]:
        """As ``GET /v1/incidents/{id}`` gives them, oldest first."""
        assert self._responder is not None  # noqa: S101 - the stage is open
        assert self._http is not None  # noqa: S101 - the stage is open
        return await read_incidents(self._http, self._responder.url)

    async def gate(self, service: str, environment: str, revision: str) -> dict[str, Any]:
        return await self._get(f"/v1/gate?service={service}&environment={environment}&revision={revision}")

    async def delivered(self) -> None:
        """Until every alert that was decided is told, or a while has passed."""
        deadline = asyncio.get_running_loop().time() + _DELIVERED_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            found = await self.incidents()
            if all(d["state"] != "pending" for incident in found for d in incident["deliveries"]):
                return
            await asyncio.sleep(0.05)

    async def _post(self, path: str, body: dict[str, Any]) -> None:
        assert self._responder is not None  # noqa: S101 - the stage is open
        assert self._http is not None  # noqa: S101 - the stage is open
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with self._http.post(f"{self._responder.url}{path}", headers=headers, json=body) as answer:
            answer.raise_for_status()

    async def _get(self, path: str) -> dict[str, Any]:
        assert self._responder is not None  # noqa: S101 - the stage is open
        assert self._http is not None  # noqa: S101 - the stage is open
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with self._http.get(f"{self._responder.url}{path}", headers=headers) as answer:
            found: dict[str, Any] = await answer.json()
            return found
