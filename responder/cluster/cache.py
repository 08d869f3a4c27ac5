"""What is true in the cluster, from the watches: implements ``ports.Cluster`` without a call over the network.

Applications are trimmed and interned (see ``core.appwire``); of operations the newest few are held, of hook runs those
that still exist or belong to a recent operation. Everything older is in the store.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from responder.cluster.reflector import Reflector, Trouble
from responder.core.argocd import AppKey, Application, OperationRecord
from responder.core.completions import Completion, ended_by
from responder.core.evidence import Freshness
from responder.core.folding import fold
from responder.core.hooknaming import app_key
from responder.core.hooks import HookRun
from responder.core.projects import Project, permits, window_open
from responder.ports import Clock, PutOperation, StoreError, Trigger, Write

logger = logging.getLogger(__name__)

OPERATIONS: Final = 5  # held of one Application
COMPLETIONS: Final = 10_000  # Applications of which failures were told by Events
RUNS: Final = 100  # held of one Application
KEEP_GONE: Final = timedelta(hours=6)  # a hook run whose Job is gone
RETRY_SECONDS: Final = 1.0
GATHER_SECONDS: Final = 0.005  # versions that come together are stored together

replace = msgspec.structs.replace


class ClusterCache:
    def __init__(
        self,
        *,
        control_plane: str,
        clock: Clock,
        on_change: Callable[[AppKey, Trigger], None],
        persist: Callable[[Sequence[Write]], Awaitable[None]],
        recall: Callable[[str], Awaitable[Sequence[OperationRecord]]],
    ) -> None:
        """``persist`` commits to the store; ``recall`` gives the newest operations stored of an Application uid."""
        self._control_plane = control_plane
        self._clock = clock
        self._on_change = on_change
        self._persist = persist
        self._recall = recall
        self._applications: dict[AppKey, Application] = {}
        self._projects: dict[str, Project] = {}
        self._operations: dict[AppKey, tuple[OperationRecord, ...]] = {}  # newest first
        self._completions: OrderedDict[str, tuple[Completion, ...]] = OrderedDict()  # by Application uid
        self._runs: dict[AppKey | None, dict[str, HookRun]] = {}  # None: names no Application
        self._watches: list[Reflector[Any]] = []
        self._unsaved: dict[str, OperationRecord] = {}
        self._in_flight = False
        self._saving = asyncio.Event()

    # What is asked

    def application(self, key: AppKey) -> Application | None:
        return self._applications.get(key)

    def applications(self) -> Sequence[Application]:
        return tuple(self._applications.values())

    def hook_runs(self, key: AppKey) -> Sequence[HookRun]:
        return tuple(self._runs.get(key, {}).values())

    def hook_run(self, uid: str) -> HookRun | None:
        return next((runs[uid] for runs in self._runs.values() if uid in runs), None)

    def operations(self, key: AppKey) -> Sequence[OperationRecord]:
        """Newest first."""
        return self._operations.get(key, ())

    def project_permits(self, project: str, server: str, name: str, namespace: str) -> bool:
        held = self._projects.get(project)
        return held is not None and permits(held, server, name, namespace)

    def sync_window_open(self, app: Application, *, automated: bool, now: datetime) -> bool | None:
        held = self._projects.get(app.project)
        return window_open(held, app, automated=automated, now=now, zone=_zone) if held is not None else None

    def project_annotation(self, project: str, name: str) -> str | None:
        held = self._projects.get(project)
        return held.annotation(name) if held is not None else None

    def freshness(self) -> Freshness:
        if not self._watches:
            return Freshness(synced=False, observed_at=None, trouble="nothing is watched yet")
        words = [watch.last_event_at for watch in self._watches]
        oldest = None if None in words else min(word for word in words if word is not None)
        synced = all(watch.synced.is_set() for watch in self._watches)
        return Freshness(synced, oldest, next((_describe(w) for w in self._watches if w.trouble is not None), ""))

    # What is told

    def rely_on(self, *watches: Reflector[Any]) -> None:
        """Our picture is as fresh as the oldest of these."""
        self._watches += watches

    async def put_application(self, app: Application) -> None:
        before = self._applications.get(app.key)
        self._applications[app.key] = app
        if before is None or before.uid != app.uid:
            await self._recall_operations(app)
        noted = self._fold(app)
        if noted or before is None or not _same(before, app):
            self._on_change(app.key, Trigger.APPLICATION)

    async def _recall_operations(self, app: Application) -> None:
        """What an earlier life of ours folded: attempts that the Application no longer tells of."""
        self._operations.pop(app.key, None)
        if app.operation is None:
            return
        try:
            stored = await self._recall(app.uid)
        except StoreError as error:
            logger.warning("what was stored of the operations of %s cannot be read: %s", app.key, error)
            return
        self._operations[app.key] = tuple(sorted(stored, key=lambda r: r.started_at, reverse=True)[:OPERATIONS])

    def _fold(self, app: Application) -> bool:
        """Did this version tell anything of note about an operation?"""
        held = {record.id: record for record in self._operations.get(app.key, ())}
        newest = next(iter(self._operations.get(app.key, ())), None)
        noted = False
        for record in fold(newest, app, self._clock.now()):
            before = held.get(record.id)
            held[record.id] = record
            if before is None or replace(before, last_seen_at=record.last_seen_at) != record:
                self._unsaved[record.id] = record
                noted = True
        if held:
            newest_first = sorted(held.values(), key=lambda r: r.started_at, reverse=True)
            self._operations[app.key] = tuple(newest_first[:OPERATIONS])
        noted |= self._end_replaced(app.key, app.uid)
        if noted:
            self._saving.set()
        return noted

    def _end_replaced(self, key: AppKey, uid: str) -> bool:
        """Operations whose end was told by an Event alone; were there any?"""
        told, held = self._completions.get(uid, ()), self._operations.get(key, ())
        if not told:
            return False
        ended = tuple(ended_by(r, following, told) for r, following in zip(held, (None, *held), strict=False))
        changed = [after for before, after in zip(held, ended, strict=True) if after is not before]
        self._operations[key] = ended
        self._unsaved |= {record.id: record for record in changed}
        return bool(changed)

    def put_completion(self, completion: Completion) -> None:
        """From an Event: see ``core.completions`` for what it may say."""
        uid = completion.app_uid
        self._completions[uid] = (*self._completions.pop(uid, ()), completion)[-OPERATIONS:]
        if len(self._completions) > COMPLETIONS:
            self._completions.popitem(last=False)
        held = self._applications.get(completion.app)
        if held is not None and held.uid == uid and self._end_replaced(completion.app, uid):
            self._saving.set()
            self._on_change(completion.app, Trigger.APPLICATION)

    def drop_application(self, key: AppKey) -> None:
        if self._applications.pop(key, None) is not None:
            self._operations.pop(key, None)
            self._on_change(key, Trigger.APPLICATION)

    def put_project(self, project: Project) -> None:
        before = self._projects.get(project.name)
        self._projects[project.name] = project
        if before is None or replace(before, resource_version=project.resource_version) == project:
            return
        for app in self._applications.values():
            if app.project == project.name:
                self._on_change(app.key, Trigger.APPLICATION)

    def drop_project(self, name: str) -> None:
        self._projects.pop(name, None)

    def put_run(self, run: HookRun, woken: bool = True) -> None:
        """From a recorder. ``woken``: something changed that somebody should look at."""
        key = app_key(run.tracked, self._control_plane)
        runs = self._runs.setdefault(key, {})
        runs[run.uid] = run
        self._bound(runs)
        if woken and key is not None:
            self._on_change(key, Trigger.HOOK)

    def _bound(self, runs: dict[str, HookRun]) -> None:
        now = self._clock.now()
        for uid in [uid for uid, run in runs.items() if run.gone_at is not None and now - run.gone_at > KEEP_GONE]:
            del runs[uid]
        if len(runs) > RUNS:
            oldest = sorted(runs.values(), key=lambda run: (run.gone_at is None, run.created_at))
            for run in oldest[: len(runs) - RUNS]:
                del runs[run.uid]

    # What is remembered

    async def run(self) -> None:
        """Stores operations as they change, until cancelled; then what is left."""
        try:
            while True:
                await self._saving.wait()
                await asyncio.sleep(GATHER_SECONDS)
                self._saving.clear()
                if not await self._save():
                    await asyncio.sleep(RETRY_SECONDS)
                    self._saving.set()
        finally:
            await self._save()

    @property
    def saved(self) -> bool:
        """No operation waits to be stored."""
        return not (self._unsaved or self._in_flight or self._saving.is_set())

    async def _save(self) -> bool:
        unsaved, self._unsaved = self._unsaved, {}
        if not unsaved:
            return True
        self._in_flight, stored = True, False
        try:
            await self._persist([PutOperation(record) for record in unsaved.values()])
            stored = True
        except StoreError as error:
            logger.warning("%d operations could not be stored, they are held: %s", len(unsaved), error)
        finally:
            self._in_flight = False
            if not stored:  # when we are cancelled, too
                self._unsaved = {**unsaved, **self._unsaved}
        return stored


def _same(before: Application, app: Application) -> bool:
    """Most versions of an Application differ in nothing that we read."""
    return replace(before, resource_version=app.resource_version) == app


_SAID: dict[Trouble | None, str] = {Trouble.SILENCE: "silent", Trouble.EOF: "broken off"}


def _describe(watch: Reflector[Any]) -> str:
    since = f" since {watch.failing_since:%H:%M:%S}" if watch.failing_since else ""
    return f"the watch of {watch.resource} is {_SAID.get(watch.trouble) or watch.trouble}{since}"


def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
