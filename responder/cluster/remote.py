"""Records hooks of a cluster that only Argo CD reaches: their logs, followed through its REST API.

Which hooks there are, and how they ended, is what the Application says. Each log is read from its first line; one that
breaks off is read again from there, and lines that were read before are skipped.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from datetime import timedelta
from typing import Final

import msgspec

from responder.cluster.argologs import ArgoLogs, HookLog
from responder.cluster.errors import ApiError, Forbidden
from responder.cluster.remotehook import ONLY, RemoteHook, RereadTape
from responder.cluster.spilling import Spill
from responder.cluster.surroundings import Surroundings
from responder.core.argocd import Application
from responder.core.argologs import LogEntry, containers_of
from responder.core.evidence import Gap, GapReason
from responder.core.hooks import ContainerKind, HookRun
from responder.core.logtape import Bounds, LogTape, log_key
from responder.core.remotehooks import remote_runs
from responder.core.surveying import rehearse
from responder.ports import StoreError

logger = logging.getLogger(__name__)

TRIES_AFTER_ITS_END: Final = 3  # a hook's log that cannot be had by then is gone
STORE_SECONDS: Final = 10.0
RECENT: Final = timedelta(hours=1)  # an operation that ended longer ago than this when we first see it is not read
REMEMBERED: Final = 10_000  # hooks that are done

replace = msgspec.structs.replace


class Pauses(msgspec.Struct, frozen=True):
    """Seconds. ``drain``: after the hook's end; a stream that has not ended by then is dead."""

    first: float = 0.5
    longest: float = 5.0
    drain: float = 10.0


PAUSES: Final = Pauses()


class RemoteRecorder:
    """One per such cluster."""

    def __init__(
        self,
        logs: ArgoLogs,
        around: Surroundings,
        *,
        cluster: str,
        ours: Callable[[Application], bool],
        pauses: Pauses = PAUSES,
    ) -> None:
        """``ours``: is this Application's destination the cluster?"""
        self.cluster = cluster
        self._logs = logs
        self._ours = ours
        self._around = around
        self._limits = around.limits
        self._store = around.store
        self._clock = around.clock
        self._pauses = pauses
        self._hooks: dict[str, RemoteHook] = {}
        self._done: OrderedDict[str, None] = OrderedDict()
        self._spill = Spill(around)
        self._noticed: asyncio.Queue[Application] = asyncio.Queue()
        self._room = asyncio.Semaphore(self._limits.follows)
        self._reading = 0

    @property
    def idle(self) -> bool:
        return self._noticed.empty() and not self._reading and self._spill.idle

    def notice(self, app: Application) -> None:
        """It changed, or was just seen."""
        if self._ours(app):
            self._noticed.put_nowait(app)

    async def run(self) -> None:
        """Until cancelled; what is held then goes to the store."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._spill.run(self._hooks.values()), name=f"spill of {self.cluster}")
                group.create_task(self._tick(), name=f"recorder of {self.cluster}")
                while True:
                    self._look(await self._noticed.get(), group)
        finally:
            await self._spill.last(self._hooks.values())

    def _look(self, app: Application, group: asyncio.TaskGroup) -> None:
        self._tidy()
        instance = app.name if app.namespace == self._around.control_plane else f"{app.namespace}_{app.name}"
        for record in self._around.operations(app.key)[:1]:
            if record.finished_at is not None and self._clock.now() - record.finished_at > RECENT:
                continue
            for run in remote_runs(record, self.cluster, instance):
                if run.uid in self._hooks:
                    self._hooks[run.uid].see(run)
                elif run.uid not in self._done:
                    self._begin(run, app, group)
        self._spill.due()

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(self._limits.spill_every.total_seconds())
            if self._hooks:
                self._spill.due()

    def _tidy(self) -> None:
        for uid, hook in list(self._hooks.items()):
            if hook.done and not (hook.dirty or self._spill.holds(hook)) and hook.stored is not None:
                del self._hooks[uid]
                self._done[uid] = None
        while len(self._done) > REMEMBERED:
            self._done.popitem(last=False)

    def _begin(self, run: HookRun, app: Application, group: asyncio.TaskGroup) -> None:
        log = HookLog(app.name, app.namespace, app.project, run.namespace, run.name)
        hook = RemoteHook(replace(run, first_seen_at=self._clock.now()), log, self._limits.sidecars, self._pauses.drain)
        self._hooks[run.uid] = hook
        group.create_task(asyncio.to_thread(rehearse, self._around.scan), name=f"rehearsal for {run.uid}")
        group.create_task(self._record(hook), name=f"logs of {run.uid}")

    async def _record(self, hook: RemoteHook) -> None:
        """The one container; where a Pod has several, each by its name."""
        self._reading += 1
        try:
            with self._apart(hook, ""):
                if await self._recall(hook):
                    return
                complaint = await self._follow(hook, "")
                mains, inits = containers_of(complaint)
                hook.kinds |= dict.fromkeys(inits, ContainerKind.INIT)
                async with asyncio.TaskGroup() as several:
                    for name in (*inits, *mains):
                        several.create_task(self._follow_one(hook, name), name=f"log of {name} of {hook.run.uid}")
        finally:
            self._reading -= 1
            hook.done = hook.dirty = True
            self._spill.due()

    async def _follow_one(self, hook: RemoteHook, container: str) -> None:
        with self._apart(hook, container):
            await self._follow(hook, container)

    @contextmanager
    def _apart(self, hook: RemoteHook, container: str) -> Iterator[None]:
        try:
            yield
        except Exception:  # here and not atop all: a fault over one log must not end the recording of the others
            logger.exception(
                "logs of hook %s of cluster %s could not be read to their end", hook.run.name, self.cluster
            )
            self._over(hook, container, GapReason.LOG_UNREADABLE)

    async def _recall(self, hook: RemoteHook) -> bool:
        """What an earlier life of ours kept of it; True when that is all there is to be had."""
        try:
            async with asyncio.timeout(STORE_SECONDS):
                held = await self._store.hook_run(self.cluster, hook.run.uid)
                kept = [(p.name, c) for p in (held.pods if held is not None else ()) for c in p.containers if c.log]
                for pod, container in kept:
                    tape = self._tape_of(hook, pod, container.name)
                    stored = await self._store.log(tape.key)
                    if stored is not None and container.log is not None:
                        tape.recall(stored)
                        tape.skip(container.log)
                        tape.complete = container.log.complete
        except (StoreError, TimeoutError) as error:
            logger.warning("what was stored of hook %s cannot be read: %s", hook.run.uid, str(error) or "no answer")
            return False
        whole = bool(kept) and all(c.log is not None and c.log.complete for _, c in kept)
        return whole and held is not None and bool(held.failed or held.completed)

    async def _follow(self, hook: RemoteHook, container: str) -> str:
        """Until the hook has ended and its log was read after that; what the last reading complained of."""
        pause, tries = self._pauses.first, 0
        while True:
            sure = hook.ended
            trouble, reason = await self._read(hook, container, follow=not sure)
            if containers_of(trouble)[0] and not container:
                return trouble
            got = hook.of(container)
            if sure and not trouble and got:
                moved = any(held.read < held.tape.lines for held in got)
                for held in got:
                    held.tape.complete = not moved
                self._over(hook, container, GapReason.LOG_ROTATED if moved else None)
                return ""
            tries += sure
            if tries >= TRIES_AFTER_ITS_END:
                self._over(hook, container, reason)
                return trouble
            await hook.changed_within(pause)
            pause = self._pauses.first if sure else min(2 * pause, self._pauses.longest)

    def _over(self, hook: RemoteHook, container: str, reason: GapReason | None) -> None:
        hook.over |= {held.tape.key: reason for held in hook.of(container)}
        if reason is not None:
            what = f"the log of {container or 'its container'} could not be read to its end, through Argo CD"
            hook.missing = Gap(f"cluster {self.cluster}: {hook.run.name}", reason, what, self._clock.now())
        hook.dirty = True
        self._spill.due()

    async def _read(self, hook: RemoteHook, container: str, *, follow: bool) -> tuple[str, GapReason | None]:
        """What went wrong, if anything did, and how that is called."""
        for held in hook.of(container):
            held.read = 0
        nothing, log = True, replace(hook.log, container=container)
        try:
            async with self._room, hook.limited(), aclosing(self._logs.read(log, follow=follow)) as entries:
                async for entry in entries:
                    nothing = False
                    if not entry.pod and not entry.last:
                        return entry.text, GapReason.LOG_UNREADABLE
                    if entry.pod:
                        self._take(hook, container or ONLY, entry)
        except Forbidden as error:
            return error.message, GapReason.FORBIDDEN
        except (ApiError, TimeoutError) as error:
            logger.info("log of hook %s of cluster %s breaks off: %s", hook.run.name, self.cluster, error)
            return str(error), GapReason.CLUSTER_UNREACHABLE
        return "", GapReason.DELETED if nothing else None

    def _take(self, hook: RemoteHook, container: str, entry: LogEntry) -> None:
        held = hook.tapes.get((entry.pod, container))
        if held is None:
            self._tape_of(hook, entry.pod, container)
            held = hook.tapes[entry.pod, container]
        held.read += 1
        if held.read <= held.tape.lines:
            return
        text = entry.text.encode("utf-8", "replace")[: self._limits.line].replace(b"\n", b" ")
        if held.tape.add(entry.stamp.encode("ascii", "replace") + b" " + text + b"\n"):
            self._spill.due()
        self._around.metrics.recorder_bytes_total.inc(len(text))

    def _tape_of(self, hook: RemoteHook, pod: str, container: str) -> LogTape:
        bounds = Bounds(self._limits.head, self._limits.tail, self._limits.line)
        room = self._limits.memory // max(1, self._limits.follows)
        key = log_key(f"{hook.run.uid}/{pod}", container, 0)
        redactor = self._around.redactor.stream()
        tape = LogTape(key, bounds, redactor=redactor, scan=self._around.scan, room=lambda: room)
        hook.follows[key] = hook.tapes[pod, container] = RereadTape(tape)
        hook.dirty = True
        return tape
