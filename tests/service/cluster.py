"""Clusters for a responder that runs as its own process, by the wall's clock: what a recording tells, or a model."""

import asyncio
import re
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from responder.demo.api import Api, Ask, Reply
from responder.demo.apiserver import ApiServer, reply_to
from responder.demo.objects import Objects
from responder.demo.recording import Happening, Order, namespaces_of, namespaces_of_pods, read_recording
from responder.demo.settings import prepare
from responder.ports import Clock
from responder.wallclock import WallClock

_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_READING = frozenset({"get", "list", "watch", "create"})


def reading_only(ask: Ask) -> bool:
    return ask.verb in _READING


def recent(folder: Path, copy: Path, edit: Callable[[str], str] = lambda text: text) -> Path:
    """A copy of a recording whose last moment is this one: else all of it is history to who watches now."""
    shutil.copytree(folder, copy)
    ended = read_recording(folder)[-1].at
    shift = timedelta(seconds=round((datetime.now(UTC) - ended).total_seconds()))

    def moved(match: re.Match[str]) -> str:
        return (datetime.fromisoformat(match[0]) + shift).isoformat()

    for path in [*copy.glob("*.jsonl"), *(copy / "logs").glob("followed.jsonl")]:
        path.write_text(edit(_STAMP.sub(moved, path.read_text(encoding="utf-8"))), encoding="utf-8")
    return copy


class Writes:
    """Keeps what was written to the cluster, and how it was answered."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self.accepted: list[tuple[str, bytes]] = []  # path, body
        server.faults.append(self._note)

    async def _note(self, request: web.Request) -> web.Response | None:
        if request.method not in ("PATCH", "DELETE", "PUT"):
            return None
        body = await request.read()
        reply = await reply_to(self._server.api, request)
        assert isinstance(reply, Reply)
        if reply.status < 300:
            self.accepted.append((request.path, body))
        return web.Response(status=reply.status, headers=reply.headers, body=reply.body)


class RecordedCluster:
    """``play`` lets happen what the recording has, its pauses shortened; its webhooks stay with who wants them."""

    def __init__(
        self, folder: Path, *, allow: Callable[[Ask], bool] = lambda _: True, clock: Clock | None = None
    ) -> None:
        self.happenings: Sequence[Happening] = read_recording(folder)
        self.objects = Objects(clock or WallClock())
        self.server = ApiServer(Api(self.objects, allow=allow))
        self.writes = Writes(self.server)
        self._pods = namespaces_of_pods(list(self.happenings))
        prepare(self.objects, namespaces_of(list(self.happenings)))

    async def __aenter__(self) -> Self:
        await self.server.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.server.__aexit__(kind, error, trace)

    async def play(self, pause: float = 0.05) -> None:
        """No pause is longer than ``pause`` seconds."""
        before = self.happenings[0].at
        for happening in self.happenings:
            await asyncio.sleep(min(pause, (happening.at - before).total_seconds()))
            before = happening.at
            self.happen(happening)

    def happen(self, it: Happening) -> None:
        namespace = self._pods.get(it.pod, "")
        if it.order is Order.OBJECT:
            self.objects.put_raw(it.kind, it.event_type, it.object)
        elif it.order is Order.LINE:
            self.objects.append_log(namespace, it.pod, it.container, it.restart, it.stamp, it.text)
        elif it.order is Order.LOG_END:
            self.objects.end_log(namespace, it.pod, it.container, it.restart)
