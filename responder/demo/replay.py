"""Plays a recording of a real cluster to the real responder, read-only, at the recording's own time.

Time stands still while the responder works off what it was told, so that a machine's speed changes nothing of what
comes out: after each happening we wait until every watch has seen it, every log line is scanned and no step is due.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any

import aiohttp

from responder.app import Responder
from responder.config import Settings
from responder.demo.api import Api, Ask
from responder.demo.apiserver import ApiServer
from responder.demo.clock import SteppedClock
from responder.demo.logs import runs_of
from responder.demo.objects import Objects
from responder.demo.recording import (
    Happening,
    Order,
    namespaces_of,
    namespaces_of_pods,
    projects_of,
    read_recording,
)
from responder.demo.settings import ARGOCD, TOKEN, demo_settings, prepare
from responder.demo.settling import LogKey, Settling

_LEAD = timedelta(seconds=1)  # before the first happening: the responder is there first
_AFTERWARDS = timedelta(seconds=10)  # so that what was delayed is decided
_STEP = timedelta(seconds=5)  # in which longer silences are passed
_BREATH = timedelta(milliseconds=10)
_READING = frozenset({"get", "list", "watch", "create"})


class ReplayError(Exception):
    """The responder did not take a webhook."""


def _read_only(ask: Ask) -> bool:
    """What the reader role may do; access reviews answer by this, too."""
    return ask.verb in _READING


def _of_one_breath(line: Happening, following: Happening | None) -> bool:
    """Lines that are printed at once: a traceback. They are waited for together."""
    if following is None or not line.order is following.order is Order.LINE:
        return False
    return following.at - line.at <= _BREATH


class Replay:
    """One recording, one responder. ``webhooks`` and ``watch`` can be left out, to see that nothing hangs on them."""

    def __init__(self, happenings: Sequence[Happening], *, webhooks: bool = True) -> None:
        self._happenings = happenings
        self._webhooks = webhooks
        self._pods = namespaces_of_pods(list(happenings))
        self.clock = SteppedClock(happenings[0].at - _LEAD)
        self.objects = Objects(self.clock)
        self.server = ApiServer(Api(self.objects, allow=_read_only, eager_bookmarks=True))
        self._printed: dict[LogKey, int] = {}
        self._unread: dict[LogKey, int] = {}  # lines of containers that nobody can know of yet
        self._settling: Settling | None = None
        pods = [h.object["metadata"] for h in happenings if h.kind == "Pod"]
        self._uids: dict[str, str] = {pod["name"]: pod["uid"] for pod in pods}
        self._http: aiohttp.ClientSession | None = None
        self.responder: Responder | None = None

    @asynccontextmanager
    async def running(self, folder: Path, *, port: int = 0) -> AsyncIterator[Responder]:
        """The in-memory API server and the real responder in front of it; its store is in ``folder``."""
        happenings = list(self._happenings)
        prepare(self.objects, namespaces_of(happenings), projects_of(happenings))
        async with self.server, aiohttp.ClientSession() as self._http:
            elsewhere = sorted(set(namespaces_of(happenings, "Application")) - {ARGOCD})
            settings = demo_settings(self.server.url, folder, port=port, application_namespaces=elsewhere)
            async with started(settings, self.clock) as self.responder:
                self._settling = Settling(self.objects, self.responder, self.clock, self._printed)
                await self.settle()
                yield self.responder

    async def play(self) -> None:
        for happening, following in zip_longest(self._happenings, self._happenings[1:]):
            await self._pass_time(happening.at)
            await self._happen(happening)
            if not _of_one_breath(happening, following):
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
        self.objects.put_raw(happening.kind, happening.event_type, happening.object)
        if happening.kind == "Pod" and happening.event_type != "DELETED":
            for container, restart, _ in runs_of(happening.object):
                key = (happening.object["metadata"]["uid"], container, restart)
                self._printed.setdefault(key, self._unread.pop(key, 0))

    def _namespace(self, happening: Happening) -> str:
        return self._pods.get(happening.pod, "")

    def _append(self, happening: Happening) -> None:
        whose = (happening.pod, happening.container, happening.restart)
        key = (self._uids.get(happening.pod, ""), happening.container, happening.restart)
        lines = self._printed if key in self._printed else self._unread
        lines[key] = lines.get(key, 0) + happening.text.endswith(b"\n")  # what has no end may go on
        self.objects.append_log(self._namespace(happening), *whose, happening.stamp, happening.text)

    async def _post(self, happening: Happening) -> None:
        assert self._http is not None  # noqa: S101 - we are running
        assert self.responder is not None  # noqa: S101 - we are running
        url = f"{self.responder.url}/v1/argocd/webhook"
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        async with self._http.request(happening.method, url, data=happening.body, headers=headers) as answer:
            if answer.status != 202:
                raise ReplayError(f"webhook was answered {answer.status}: {await answer.text()}")

    async def settle(self) -> None:
        assert self._settling is not None  # noqa: S101 - we are running
        await self._settling.settle()

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
    async with Responder.open(settings, clock=clock, demo=True) as responder, asyncio.TaskGroup() as group:
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
