"""What is kept of one container's log: its head, its tail, and every line between that a signature knows.

Each line is redacted whole, then scanned, then kept or counted. ``lines == kept + dropped + held`` at any moment.
"""

from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from responder.core.evidence import LogChunk, LogSummary

SLACK = 1024  # a secret that straddles the cut of a long line is not recognised: this much before it is thrown away
_OVERHEAD = 200  # bytes that a held line costs beside its text
_MATCHES = 2000  # lines kept from the middle
_BEFORE, _AFTER = 3, 8  # lines kept around one that matched: databases explain themselves on the next ones


class Held(msgspec.Struct, frozen=True, gc=False):
    number: int
    stamp: str
    text: str

    @property
    def size(self) -> int:
        return len(self.text) + _OVERHEAD


class Bounds(msgspec.Struct, frozen=True):
    """Bytes. ``line`` is of one line's text."""

    head: int = 64 << 10
    tail: int = 448 << 10
    line: int = 16 << 10


class LogTape:
    def __init__(
        self,
        key: str,
        bounds: Bounds,
        *,
        redact: Callable[[str], str],
        scan: Callable[[str], bool],
        room: Callable[[], int],
    ) -> None:
        """``redact`` sees every line in order; ``room`` tells how many bytes this log may hold just now."""
        self.key = key
        self.lines = 0
        self.bytes = 0
        self.kept = 0
        self.dropped = 0
        self.complete = False
        self._bounds = bounds
        self._redact = redact
        self._scan = scan
        self._room = room
        self._stored: frozenset[int] = frozenset()
        self._told = 0
        self._head_left = bounds.head
        self._matches_left = _MATCHES
        self._middle_left = bounds.tail // 2
        self._after = 0
        self._pending: list[Held] = []  # goes to the store next
        self._pending_size = 0
        self._tail: deque[Held] = deque()
        self._tail_size = 0
        self._taken: list[Held] = []  # on its way to the store
        self._tail_budget = bounds.tail
        self._tail_taken_at = 0  # line number at which the tail was last stored

    def add(self, raw_lines: Iterable[bytes]) -> bool:
        """Stamped lines as the kubelet sent them, without newlines. True when a signature knows one of them."""
        matched = False
        longest = self._bounds.line + SLACK
        for raw in raw_lines:
            stamp, _, body = raw.partition(b" ")
            self.lines += 1
            self.bytes += len(body) + 1
            text = self._redact(body.decode("utf-8", "replace"))
            if len(body) > self._bounds.line:
                text = self._cut(text, whole=len(body) < longest)
            hit = self._scan(text)
            matched |= hit
            if self.lines in self._stored:
                self.kept += 1
            else:
                self._hold(Held(self.lines, stamp.decode("ascii", "replace"), text), hit)
        return matched

    def _cut(self, text: str, *, whole: bool) -> str:
        return text[: min(self._bounds.line, len(text) if whole else max(0, len(text) - SLACK))]

    def _hold(self, line: Held, hit: bool) -> None:
        if self._head_left > 0:
            self._head_left -= line.size
            self._keep(line)
        elif hit and self._matches_left > 0 and self._middle_left > 0:
            before = [self._tail.pop() for _ in range(min(_BEFORE, len(self._tail)))]
            self._tail_size -= sum(held.size for held in before)
            for held in (*reversed(before), line):
                self._keep_of_middle(held)
            self._after = _AFTER
        elif self._after > 0:
            self._after -= 1
            self._keep_of_middle(line)
        else:
            self._tail.append(line)
            self._tail_size += line.size
            self._evict()

    def _keep(self, line: Held) -> None:
        self._pending.append(line)
        self._pending_size += line.size

    def _keep_of_middle(self, line: Held) -> None:
        self._matches_left -= 1
        self._middle_left -= line.size
        self._keep(line)

    def _evict(self) -> None:
        limit = min(self._bounds.tail, max(self._room() - self._pending_size, SLACK))
        while self._tail_size > limit and self._tail:
            self._tail_size -= self._tail.popleft().size
            self.dropped += 1

    @property
    def held(self) -> int:
        """Lines read that are neither stored nor dropped."""
        return len(self._pending) + len(self._tail) + len(self._taken)

    def take(self, *, ended: bool) -> LogChunk | None:
        """What goes to the store now; then ``stored`` or ``give_back``. The tail goes when the log has ended.

        Before that it goes as long as it is within its budget, then each time the log has doubled: what is stored of
        an endless log grows with its logarithm, and a crash costs half of it at most.
        """
        lines = self._pending
        if ended or self._tail_size <= self._tail_budget or self.lines >= 2 * self._tail_taken_at:
            self._tail_budget -= self._tail_size
            self._tail_taken_at = max(self.lines, 1)
            lines = sorted([*lines, *self._tail], key=lambda held: held.number)
            self._tail.clear()
            self._tail_size = 0
        self._pending, self._pending_size = [], 0
        self._taken = lines
        if not lines:
            return None
        numbers, stamps, texts = zip(*((h.number, h.stamp, h.text) for h in lines), strict=True)
        return LogChunk(self.key, numbers, stamps, texts)

    def stored(self) -> None:
        self.kept += len(self._taken)
        self._taken = []

    def give_back(self) -> None:
        """The store did not take it: the beginning waits, the newest lines are the tail again."""
        lines, self._taken = [*self._taken, *self._pending], []
        self._pending, self._pending_size = [], 0
        waiting = self._bounds.head + self._bounds.tail // 2
        for line in lines:
            if self._pending_size + line.size <= waiting:
                self._keep(line)
            else:
                self._tail.append(line)
                self._tail_size += line.size
        self._tail = deque(sorted(self._tail, key=lambda held: held.number))
        self._evict()

    def recall(self, stored: LogChunk) -> None:
        """What an earlier life of ours kept; the log is read again from its first line, or goes on by ``skip``."""
        self._stored = frozenset(stored.numbers)

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


def log_key(pod_uid: str, container: str, restart: int) -> str:
    return f"{pod_uid}/{container}/{restart}"
