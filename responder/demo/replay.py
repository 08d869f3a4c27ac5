"""Plays a recording of a real cluster to the real responder, read-only, at the recording's own time.

Time stands still while the responder works off what it was told, so that a machine's speed changes nothing of what
comes out: after each happening we wait until every watch has seen it, every log line is scanned and no step is due.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from responder.app import Responder
from responder.config import Settings
from responder.demo.api import Api, Ask
from responder.demo.apiserver import ApiServer
from responder.demo.clock import SteppedClock
from responder.demo.objects import Objects
from responder.demo.recording import Happening, Order, namespaces_of, namespaces_of_pods, read_recording
from responder.demo.settings import TOKEN, demo_settings, prepare

_LEAD = timedelta(seconds=1)  # before the first happening: the responder is there first
_AFTERWARDS = timedelta(seconds=10)  # so that what was delayed is decided
_STEP = timedelta(seconds=5)  # in which longer silences are passed
_SETTLE_SECONDS = 20.0
_TURN_SECONDS = 0.001  # between two looks: the watches, the store's thread and the loop would all have to tell us
_PATIENCE_SECONDS = 4.0  # a slow machine must not move time
_READING = frozenset({"get", "list", "watch", "create"})


class ReplayError(Exception):
    """The responder did not come to rest, or did not take a webhook."""


def _read_only(ask: Ask) -> bool:
    """What the reader role may do; access reviews answer by this, too."""
    return ask.verb in _READING


class Replay:
    """One recording, one responder. ``webhooks`` and ``watch`` can be left out, to see that nothing hangs on them."""

    def __init__(self, happenings: Sequence[Happening], *, webhooks: bool = True) -> None:
        self._happenings = happenings
        self._webhooks = webhooks
        self._pods = namespaces_of_pods(list(happenings))
        self.clock = SteppedClock(happenings[0].at - _LEAD)
        self.objects = Objects(self.clock)
        self.server = ApiServer(Api(self.objects, allow=_read_only, eager_bookmarks=True))
        self._lines: dict[tuple[str, str, int], int] = {}
        self._unread: dict[tuple[str, str, int], int] = {}
        self._uids: dict[str, str] = {}
        self._http: aiohttp.ClientSession | None = None
        self.responder: Responder | None = None

    @asynccontextmanager
    async def running(self, folder: Path, *, port: int = 0) -> AsyncIterator[Responder]:
        """The in-memory API server and the real responder in front of it; its store is in ``folder``."""
        prepare(self.objects, namespaces_of(list(self._happenings)))
        async with self.server, aiohttp.ClientSession() as self._http:
            settings = demo_settings(self.server.url, folder, port=port)
            async with started(settings, self.clock) as self.responder:
                await self.settle()
                yield self.responder

    async def play(self) -> None:
        for happening in self._happenings:
            await self._pass_time(happening.at)
            await self._happen(happening)
            await self.settle()
        await self._pass_time(self._happenings[-1].at + _AFTERWARDS)
        await self.settle()

    async def _pass_time(self, until: datetime) -> None:
        """In steps, so that what falls due in between is done at its time."""
        while self.clock.now() < until:
            due = self.clock.next_due
            step = min(until, self.clock.now() + _STEP)
            if due is not None and self.clock.now() < due < step:
                step = due
            self.clock.move_to(step)
            if due is not None and due <= step:
                await self.settle()

    async def _happen(self, happening: Happening) -> None:
        match happening.order:
            case Order.OBJECT:
                self._put(happening)
            case Order.LINE:
                self._append(happening)
            case Order.LOG_END:
                self.objects.end_log(self._namespace(happening), happening.pod, happening.container, happening.restart)
            case Order.WEBHOOK:
                if self._webhooks:
                    await self._post(happening)

    def _put(self, happening: Happening) -> None:
        if happening.kind == "Pod":
            self._uids[happening.object["metadata"]["name"]] = happening.object["metadata"]["uid"]
        self.objects.put_raw(happening.kind, happening.event_type, happening.object)

    def _namespace(self, happening: Happening) -> str:
        return self._pods.get(happening.pod, "")

    def _append(self, happening: Happening) -> None:
        key = (happening.pod, happening.container, happening.restart)
        self._lines[key] = self._unread[key] = self._lines.get(key, 0) + 1
        self.objects.append_log(self._namespace(happening), *key, happening.stamp, happening.text)

    async def _post(self, happening: Happening) -> None:
        assert self._http is not None  # noqa: S101 - we are running
        assert self.responder is not None  # noqa: S101 - we are running
        url = f"{self.responder.url}/v1/argocd/webhook"
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        async with self._http.request(happening.method, url, data=happening.body, headers=headers) as answer:
            if answer.status != 202:
                raise ReplayError(f"webhook was answered {answer.status}: {await answer.text()}")

    async def settle(self) -> None:
        """Until the responder has worked off all that the API server holds."""
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                moved = time.monotonic()
                while self._unsettled():
                    await asyncio.sleep(_TURN_SECONDS)
                    if self.clock.next_due is not None and time.monotonic() - moved > _PATIENCE_SECONDS:
                        self.clock.move_to(self.clock.next_due)  # a request that failed waits before it is tried anew
                        moved = time.monotonic()
        except TimeoutError as error:
            raise ReplayError(f"the responder did not come to rest: {self._unsettled()}") from error

    def _unsettled(self) -> str:
        responder = self.responder
        if responder is None:
            return "it has not started"
        version = self.objects.resource_version
        behind = [w.resource for w in responder.watches if int(w.resource_version or 0) < version or not w.drained]
        if behind:
            return f"watches behind {version}: {behind}"
        for (pod, container, restart), lines in list(self._unread.items()):
            if responder.scanned(self._uids.get(pod, ""), container, restart) < lines:
                return f"log of {pod}/{container} behind"
            del self._unread[pod, container, restart]  # a recorder may forget what it has read
        return "" if responder.idle else "steps or spills are due"

    async def incidents(self) -> list[dict[str, Any]]:
        """As ``GET /v1/incidents/{id}`` gives them, oldest first."""
        assert self._http is not None  # noqa: S101 - we are running
        assert self.responder is not None  # noqa: S101 - we are running
        return await read_incidents(self._http, self.responder.url)


async def read_incidents(http: aiohttp.ClientSession, url: str) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    found, cursor = [], ""
    while True:
        async with http.get(f"{url}/v1/incidents?limit=100&cursor={cursor}", headers=headers) as answer:
            page = await answer.json()
        for summary in page["incidents"]:
            async with http.get(f"{url}/v1/incidents/{summary['id']}", headers=headers) as answer:
                found.append(await answer.json())
        cursor = page.get("next_cursor") or ""
        if not cursor:
            return found[::-1]


@asynccontextmanager
async def started(settings: Settings, clock: Any) -> AsyncIterator[Responder]:
    """A responder that runs until the block ends."""
    async with Responder.open(settings, clock=clock) as responder, asyncio.TaskGroup() as group:
        task = group.create_task(responder.run())
        await responder.listening.wait()
        try:
            yield responder
        finally:
            task.cancel()


async def replay_once(folder: Path) -> list[dict[str, Any]]:
    """Play the recording in ``folder`` to its end; what came of it."""
    replay = Replay(read_recording(folder))
    with tempfile.TemporaryDirectory(prefix="responder-replay-") as place:
        async with replay.running(Path(place)):
            await replay.play()
            return await replay.incidents()
