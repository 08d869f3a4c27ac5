"""Reads one container run's log from its first line to its end, over as many connections as that takes.

The end of a stream says nothing: a connection was cut, the API server restarted, or the container ended. A log is
complete when a stream that was opened after the container's end was known has ended cleanly, or, where the Pod was
deleted before that, when the last stream ended cleanly and the container is known to have ended.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from enum import Enum, auto
from time import thread_time
from typing import Final

from responder.cluster.client import Kubernetes
from responder.cluster.errors import ApiError, Forbidden, NotFound
from responder.core.evidence import GapReason, LogChunk, LogSummary
from responder.core.logstream import (
    LineCutter,
    LogMovedError,
    Position,
    all_told_by_container,
    lines_of,
    stamp_of,
    told_by_container,
)
from responder.core.logtape import SLACK, LogTape
from responder.core.surveying import Survey, Surveying

STAMP_BYTES: Final = 64
DRAIN_SECONDS: Final = 10.0  # without a byte after the container's end: the stream is dead, not quiet
GONE_SECONDS: Final = 10.0  # for the Pod watch to say what a 404 means
MOVED_SECONDS: Final = 2.0
TURN_SECONDS: Final = 0.005
FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 5.0
FORBIDDEN_PAUSE: Final = 30.0


class Subject:
    """One run of one container, as the Pod watch tells a follower about it."""

    def __init__(self, namespace: str, pod: str, container: str, restart: int) -> None:
        self.namespace = namespace
        self.pod = pod
        self.container = container
        self.restart = restart
        self.current = restart  # the run that the container is in now
        self.finished_at: datetime | None = None
        self.ended = False
        self.gone = False
        self._changed = asyncio.Event()
        self._on_change: Callable[[], None] | None = None

    def tell(self, *, ended: bool, finished_at: datetime | None, current: int, gone: bool) -> None:
        before = (self.ended, self.current, self.gone)
        self.ended, self.finished_at = self.ended or ended or current > self.restart, finished_at or self.finished_at
        self.current, self.gone = max(current, self.current), self.gone or gone
        if before == (self.ended, self.current, self.gone):
            return
        self._changed.set()
        self._changed = asyncio.Event()
        if self._on_change:
            self._on_change()

    @property
    def over(self) -> bool:
        return self.ended or self.gone

    async def changed(self, seconds: float) -> None:
        """Returns after that time at the latest."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def until_gone(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.gone:
                    await self._changed.wait()

    def notify(self, on_change: Callable[[], None] | None) -> None:
        self._on_change = on_change


class _End(Enum):
    CLEAN = auto()
    CUT = auto()
    MOVED = auto()
    WAITING = auto()  # the container has no log yet
    ABSENT = auto()  # the Pod, or the previous run, is not there
    FORBIDDEN = auto()


class Follow:
    """Feeds ``tape``. ``gap`` tells why lines are or may be missing; None while all is well."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        subject: Subject,
        tape: LogTape,
        *,
        line: int,
        turns: asyncio.Lock,
        on_lines: Callable[[int, bool], None],
    ) -> None:
        """``turns`` is shared by all: one works at a time, and not long. ``on_lines`` gets bytes read, and whether a
        signature knows one of the lines.
        """
        self.subject = subject
        self.tape = tape
        self.gap: GapReason | None = None
        self.detail = ""
        self._kubernetes = kubernetes
        self._line = line
        self._turns = turns
        self._on_lines = on_lines
        self._position = Position()
        self._cutter = self._new_cutter()
        self._clean = False  # how the last stream ended
        self._familiar = False  # what was read last was looked through quickly
        self._moved = False
        self._complaint = ""
        self._pause = FIRST_PAUSE
        self._recalled: tuple[LogChunk, LogSummary] | None = None

    def recall(self, stored: LogChunk, summary: LogSummary) -> None:
        """What an earlier life of ours read: the same log is read again, lines that are stored are not stored twice."""
        self.tape.recall(stored)
        self._recalled = stored, summary

    async def run(self) -> None:
        """Until the log is complete or nothing more can be had."""
        while True:
            sure = self.subject.ended
            read = self.tape.lines
            end = await self._stream()
            if await self._finished(end, sure=sure):
                return
            if self.tape.lines > read:
                self._pause = FIRST_PAUSE
            await self.subject.changed(FORBIDDEN_PAUSE if end is _End.FORBIDDEN else self._pause)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)

    async def _finished(self, end: _End, *, sure: bool) -> bool:
        subject = self.subject
        if end is _End.CLEAN and sure:
            self._complete()
            return True
        if end is _End.ABSENT:
            return await self._absent()
        if end is _End.MOVED:
            await subject.changed(MOVED_SECONDS)  # the watch may be about to say that the container was restarted
            self._moved = subject.current == subject.restart and self._position.since is not None
            return False
        if subject.gone and end is _End.CUT:
            self.gap = GapReason.CLUSTER_UNREACHABLE
        return (subject.over and end is _End.FORBIDDEN) or (subject.gone and end in (_End.CUT, _End.WAITING))

    async def _absent(self) -> bool:
        subject = self.subject
        restarted = subject.current > subject.restart  # what was not read until now nobody has any more
        if not restarted and not (self._clean and subject.ended):
            await subject.until_gone(GONE_SECONDS)
        if self._clean and subject.ended:
            self._complete()
            return True
        return subject.gone or restarted

    def _complete(self) -> None:
        if self._complaint and not self.tape.lines:
            self.gap, self.detail = GapReason.LOG_UNREADABLE, self._complaint
            return
        if rest := self._cutter.rest():
            self._add(rest + b"\n")
            self.tape.bytes -= 1  # it had no newline
        self.gap = GapReason.LOG_ROTATED if self._moved else None
        self.tape.complete = not self._moved

    async def _stream(self) -> _End:
        subject = self.subject
        if subject.current > subject.restart + 1:
            return _End.ABSENT  # only the last run before the present one is kept
        held = self._cutter.rest() if self._clean else b""
        self._position.reopen(moved=self._moved)
        self._cutter = self._new_cutter()
        try:
            end = await self._read()
        except LogMovedError:
            return _End.MOVED
        except (ApiError, TimeoutError) as error:
            end = self._refused(error)
        if end is _End.ABSENT and held and self._clean:
            self._cutter.feed(held)  # nothing newer came: the last line really had no newline
        elif end is not _End.ABSENT:
            self._clean = end is _End.CLEAN
        return end

    async def _read(self) -> _End:
        subject = self.subject
        loop = asyncio.get_running_loop()
        async with (
            asyncio.timeout(None) as limit,
            self._kubernetes.follow_log(
                subject.namespace,
                subject.pod,
                subject.container,
                since_time=self._position.since,
                previous=subject.current > subject.restart,
                follow=not subject.ended,
            ) as chunks,
        ):

            def hurry() -> None:
                if subject.over:
                    limit.reschedule(loop.time() + DRAIN_SECONDS)

            subject.notify(hurry)
            try:
                async for chunk in chunks:
                    hurry()
                    await self._take(chunk)
            finally:
                subject.notify(None)
        return _End.CLEAN

    def _new_cutter(self) -> LineCutter:
        return LineCutter(self._line, self._line + SLACK + STAMP_BYTES)

    async def _take(self, chunk: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.gap = None
        self._on_lines(len(chunk), False)
        async with self._turns:
            until = loop.time() + TURN_SECONDS
            blocks = self._cutter.feed(chunk)
            surveys = await self._survey(blocks)
            for block, seen in zip(blocks, surveys, strict=True):
                if loop.time() >= until:
                    await asyncio.sleep(0)
                    until = loop.time() + TURN_SECONDS
                self._add(block, seen)
        self.tape.bytes += self._cutter.cut_off
        self._cutter.cut_off = 0

    async def _survey(self, blocks: Sequence[bytes]) -> Sequence[Survey]:
        """In a thread where RE2 may meet many new words: 100 KB of them take it 0.2 s, in which it frees the GIL."""
        surveying = self.tape.survey(blocks)
        began = thread_time()
        while self._familiar and not surveying.done:
            surveying.step()
            self._familiar = thread_time() - began < TURN_SECONDS
        if not surveying.done:
            self._familiar = await asyncio.to_thread(_quickly, surveying)
        return surveying.finish()

    def _add(self, block: bytes, seen: Survey | None = None) -> None:
        fresh = block if self._position.goes_on(block) else self._fresh(block)
        if fresh and self.tape.add(fresh, seen if fresh is block else None):
            self._on_lines(0, True)

    def _fresh(self, block: bytes) -> bytes:
        if not all_told_by_container(block):
            block = self._without_complaints(block)
        if block and self._position.last == b"":
            if self._foreign(block):
                raise LogMovedError
            self._compare_recalled(block)
        return self._position.fresh(block)

    def _without_complaints(self, block: bytes) -> bytes:
        lines = lines_of(block)
        complaints = [line for line in lines if not told_by_container(line)]
        if complaints:
            self._complaint = complaints[0].decode("utf-8", "replace").rstrip()
        return b"".join(line for line in lines if told_by_container(line))

    def _compare_recalled(self, first: bytes) -> None:
        if self._recalled is None:
            return
        (stored, summary), self._recalled = self._recalled, None
        if stored.numbers[0] == 1 and first.startswith(stored.stamps[0].encode()):
            return
        self._moved = True
        self._position.skip_to(stored.stamps[-1].encode())
        self.tape.skip(summary)

    def _foreign(self, line: bytes) -> bool:
        """Written after this run had ended: the container was restarted already and its next run answers."""
        ended = self.subject.finished_at
        if ended is None or self.subject.current > self.subject.restart:
            return False
        try:
            return datetime.fromisoformat(stamp_of(line).decode("ascii", "replace")) > ended + timedelta(seconds=1)
        except ValueError:  # the 31st of February
            return False

    def _refused(self, error: ApiError | TimeoutError) -> _End:
        if isinstance(error, NotFound):
            return _End.ABSENT
        if isinstance(error, Forbidden):
            self.gap, self.detail = GapReason.FORBIDDEN, error.message
            return _End.FORBIDDEN
        if isinstance(error, ApiError) and error.status == 400:
            return _End.ABSENT if "previous terminated container" in error.message else _End.WAITING
        return _End.CUT


def _quickly(surveying: Surveying) -> bool:
    """Whether the rest took little."""
    began = thread_time()
    surveying.finish()
    return thread_time() - began < TURN_SECONDS
