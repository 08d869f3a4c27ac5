"""What is kept of one container's log: its head, its tail, and every line between that a signature knows.

Each line is redacted whole, then scanned, then kept or counted: ``lines == kept + dropped + held`` at any moment.
A block in which neither redaction nor a signature finds anything is not cut up: it is text already.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from responder.core import loglines
from responder.core.evidence import LogChunk, LogSummary
from responder.core.logblock import LogBlock, Stretch, join
from responder.core.logstream import stamp_of
from responder.core.surveying import Scan, Survey, Surveying

SLACK = 1024  # a secret that straddles the cut of a long line is not recognised: this much before it is thrown away
_MATCHES = 2000  # lines kept from the middle
_ALIKE = 20  # of those, that differ in their numbers alone: a loop's progress must not crowd out what failed in it
_SHAPES = 1000
_BEFORE, _AFTER = 3, 8  # lines kept around one that matched: databases explain themselves on the next ones


class Redacts(Protocol):
    """``redaction.LineRedactor``: sees every line of one log that it may have to change, in order."""

    @property
    def within(self) -> bool: ...

    def line(self, text: str) -> str: ...


class Bounds(msgspec.Struct, frozen=True):
    """Bytes. ``line`` is of one line's text."""

    head: int = 64 << 10
    tail: int = 448 << 10
    line: int = 16 << 10


class LogTape:
    def __init__(self, key: str, bounds: Bounds, *, redactor: Redacts, scan: Scan, room: Callable[[], int]) -> None:
        """``room`` tells how many bytes this log may hold just now."""
        self.key = key
        self.lines = 0
        self.bytes = 0
        self.kept = 0
        self.dropped = 0
        self.complete = False
        self._bounds = bounds
        self._redactor = redactor
        self._scan = scan
        self._room = room
        self._stored: frozenset[int] = frozenset()
        self._stored_to = 0
        self._told = 0
        self._head_left = bounds.head
        self._matches_left = _MATCHES
        self._middle_left = bounds.tail // 2
        self._alike: dict[int, int] = {}  # how often a line of a shape came
        self._after = 0
        self._pending: list[Stretch] = []  # goes to the store next
        self._pending_size = 0
        self._tail: deque[Stretch] = deque()
        self._tail_size = 0
        self._taken: list[Stretch] = []  # on its way to the store
        self._tail_budget = bounds.tail
        self._tail_taken_at = 0  # line number at which the tail was last stored

    def survey(self, blocks: Sequence[bytes]) -> Surveying:
        """Of blocks that may be added next: to look at them together is quicker."""
        return Surveying(blocks, self._scan)

    def add(self, block: bytes, seen: Survey | None = None) -> bool:
        """Stamped lines, each with its newline. True when a signature may know one of them."""
        seen = seen or self.survey((block,)).finish()[0]
        known, suspect = set(seen.known if self._has_room_for_matches else ()), set(seen.suspect)
        special = deque(sorted(known | suspect))
        at = 0
        while at < len(block):
            while special and special[0] < at:
                special.popleft()
            alone = self._alone(block, at)
            line = at if alone else special[0] if special else len(block)
            if line > at:
                self._hold_plain(block[at:line])
            if line >= len(block):
                break
            at = block.index(b"\n", line) + 1
            self._hold_line(block[line : at - 1], line in known, clean=not alone and line not in suspect)
        return bool(seen.known)

    @property
    def _has_room_for_matches(self) -> bool:
        return self._matches_left > 0 and self._middle_left > 0

    def _alone(self, block: bytes, at: int) -> bool:
        """Must the line that begins here be looked at by itself, whatever it says?"""
        return self._redactor.within or (at == 0 and len(block) > self._bounds.line)  # a line that long comes alone

    def _hold_plain(self, raw: bytes) -> None:
        """Lines without anything in them: nearly all of them stay one piece."""
        at = 0
        while at < len(raw) and self.lines < self._stored_to:
            end = raw.index(b"\n", at)
            self._hold_line(raw[at:end], known=False, clean=True)
            at = end + 1
        rest = Stretch(self.lines + 1, raw[at:], raw.count(b"\n", at))
        self._count(rest.lines, len(rest.raw) - _stamp_bytes(rest.raw, rest.lines))
        if rest.lines and self._head_left > 0:
            head, rest = rest.reaching(self._head_left)
            self._keep_of_head(head)
        if rest.lines and self._after > 0:
            after, rest = rest.first(self._after)
            self._hold_after(after)
        if rest.lines:
            self._hold_in_tail(rest)

    def _hold_line(self, raw: bytes, known: bool, *, clean: bool) -> None:
        stamp, _, body = raw.partition(b" ")
        self._count(1, len(body) + 1)
        text = body if clean else self._redactor.line(body.decode("utf-8", "replace")).encode()
        if len(body) > self._bounds.line:
            text = self._cut(text, whole=len(body) < self._bounds.line + SLACK)
        if self.lines in self._stored:
            self.kept += 1
        else:
            self._hold(Stretch(self.lines, b"%s %s\n" % (stamp, text), 1), known)

    def _count(self, lines: int, size: int) -> None:
        self.lines += lines
        self.bytes += size

    def _cut(self, text: bytes, *, whole: bool) -> bytes:
        kept = text[: min(self._bounds.line, len(text) if whole else max(0, len(text) - SLACK))]
        return kept.decode("utf-8", "ignore").encode()  # not through a letter

    def _hold(self, line: Stretch, known: bool) -> None:
        if self._head_left > 0:
            self._keep_of_head(line)
        elif known and self._has_room_for_matches and self._is_new(line):
            for held in (*self._last(_BEFORE), line):
                self._keep_of_middle(held)
            self._after = _AFTER
        elif self._after > 0:
            self._hold_after(line)
        else:
            self._hold_in_tail(line)

    def _is_new(self, line: Stretch) -> bool:
        shape = hash(loglines.shape(line.raw))
        if shape in self._alike or len(self._alike) < _SHAPES:
            self._alike[shape] = self._alike.get(shape, 0) + 1
        return self._alike.get(shape, 0) <= _ALIKE

    def _hold_after(self, lines: Stretch) -> None:
        """Lines that follow one that matched."""
        if lines.size <= self._middle_left:
            self._after -= lines.lines
            self._keep_of_middle(lines)
        else:
            self._after = 0
            self._hold_in_tail(lines)

    def _last(self, count: int) -> list[Stretch]:
        """Takes so many lines off the tail's end; they come in order."""
        taken: list[Stretch] = []
        while self._tail and count > 0:
            newest = self._tail.pop()
            self._tail_size -= newest.size
            before, end = newest.last(count)
            taken.insert(0, end)
            count -= end.lines
            if before.lines:
                self._tail.append(before)
                self._tail_size += before.size
        return taken

    def _keep(self, lines: Stretch) -> None:
        self._pending.append(lines)
        self._pending_size += lines.size

    def _keep_of_head(self, lines: Stretch) -> None:
        self._head_left -= len(lines.raw)
        self._keep(lines)

    def _keep_of_middle(self, lines: Stretch) -> None:
        self._matches_left -= lines.lines
        self._middle_left -= lines.size
        self._keep(lines)

    def _hold_in_tail(self, lines: Stretch) -> None:
        self._tail.append(lines)
        self._tail_size += lines.size
        self._evict()

    def _evict(self) -> None:
        limit = min(self._bounds.tail, max(self._room() - self._pending_size, SLACK))
        while self._tail_size > limit and self._tail:
            oldest = self._tail.popleft()
            self._tail_size -= oldest.size
            self.dropped += oldest.lines
            if not self._tail and (newest := oldest.newest(limit)).lines:
                self._tail.append(newest)
                self._tail_size += newest.size
                self.dropped -= newest.lines

    @property
    def held(self) -> int:
        """Lines read that are neither stored nor dropped."""
        return sum(part.lines for parts in (self._pending, self._tail, self._taken) for part in parts)

    def take(self, *, ended: bool) -> LogBlock | None:
        """What goes to the store now; then ``stored`` or ``give_back``. The tail goes when the log has ended.

        Before that it goes as long as it is within its budget, then each time the log has doubled: what is stored of
        an endless log grows with its logarithm, and a crash costs half of it at most.
        """
        taken = self._pending
        if ended or self._tail_size <= self._tail_budget or self.lines >= 2 * self._tail_taken_at:
            self._tail_budget -= self._tail_size
            self._tail_taken_at = max(self.lines, 1)
            taken = sorted([*taken, *self._tail], key=_number)
            self._tail.clear()
            self._tail_size = 0
        self._pending, self._pending_size = [], 0
        self._taken = taken
        return join(self.key, taken) if taken else None

    def stored(self) -> None:
        self.kept += sum(part.lines for part in self._taken)
        self._taken = []

    def give_back(self) -> None:
        """The store did not take it: the beginning waits, the newest lines are the tail again."""
        parts, self._taken = [*self._taken, *self._pending], []
        self._pending, self._pending_size = [], 0
        waiting = self._bounds.head + self._bounds.tail // 2
        for part in parts:
            begin, rest = part.within(waiting - self._pending_size)
            if begin.lines:
                self._keep(begin)
            if rest.lines:
                self._tail.append(rest)
                self._tail_size += rest.size
        self._tail = deque(sorted(self._tail, key=_number))
        self._evict()

    def recall(self, stored: LogChunk) -> None:
        """What an earlier life of ours kept; the log is read again from its first line, or goes on by ``skip``."""
        self._stored, self._stored_to = frozenset(stored.numbers), stored.numbers[-1]

    def skip(self, summary: LogSummary) -> None:
        """Lines of an earlier life that cannot be read again: numbers go on after them."""
        self.lines, self.bytes = summary.lines, summary.bytes
        self.kept = len(self._stored)
        self.dropped = max(0, self.lines - self.kept)
        self._head_left = 0

    def newly_dropped(self) -> int:
        told, self._told = self._told, self.dropped
        return self.dropped - told

    def summary(self) -> LogSummary:
        """What the store has: lines that are still on their way to it are not dropped."""
        return LogSummary(self.key, self.lines, self.bytes, self.dropped, self.complete)


def _number(part: Stretch) -> int:
    return part.number


def _stamp_bytes(raw: bytes, lines: int) -> int:
    """The kubelet's stamps are all of one length, with a space behind them."""
    return (len(stamp_of(raw)) + 1) * lines


def log_key(pod_uid: str, container: str, restart: int) -> str:
    return f"{pod_uid}/{container}/{restart}"
