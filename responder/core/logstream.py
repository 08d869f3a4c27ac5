"""A followed log as it comes from the kubelet: chunks cut anywhere, lines with stamps, connections that break.

``sinceTime`` counts whole seconds and stamps repeat, so a log is resumed by (second, lines already read of it): the
server filters line by line, the same lines come again in the same order.
"""

_SECOND = 19  # characters of 2026-11-21T12:10:20


class LineCutter:
    """Whole lines out of chunks. What is longer than ``limit`` bytes is cut there; memory stays bounded."""

    def __init__(self, limit: int) -> None:
        self.cut_off = 0  # bytes, so far
        self._limit = limit
        self._rest = b""
        self._skipping = False

    def feed(self, chunk: bytes) -> list[bytes]:
        lines: list[bytes] = []
        if self._skipping:
            at = chunk.find(b"\n")
            self.cut_off += len(chunk) if at < 0 else at
            if at < 0:
                return lines
            lines.append(self._rest)
            self._rest, self._skipping, chunk = b"", False, chunk[at + 1 :]
        pieces = (self._rest + chunk).split(b"\n")
        self._rest = pieces.pop()
        lines += pieces if len(max(pieces, key=len, default=b"")) <= self._limit else [self._cut(p) for p in pieces]
        if len(self._rest) > self._limit:
            self._rest, self._skipping = self._cut(self._rest), True
        return lines

    def _cut(self, line: bytes) -> bytes:
        self.cut_off += max(0, len(line) - self._limit)
        return line[: self._limit]

    def rest(self) -> bytes:
        """The last line, when it ended without a newline; also half a line, when the connection was cut."""
        rest, self._rest, self._skipping = self._rest, b"", False
        return rest


def told_by_container(line: bytes) -> bool:
    """False for a line without a stamp: the kubelet wrote it itself, an error in place of a log."""
    return line[10:11] == b"T" and line[:2] == b"20" and line[4:5] == b"-"


class LogMovedError(Exception):
    """A resumed log does not begin where it was left: rotated, or another run of the container answers."""


class Position:
    """How far a log was read, and the way back there."""

    def __init__(self) -> None:
        self.last = b""  # stamp of the last line
        self._second = b""  # the newest one read
        self._first = b""  # stamp of its first line
        self._count = 0  # lines read of it
        self._left = 0  # of them a resumed stream still repeats
        self._resumed = False
        self._moved = False

    @property
    def since(self) -> str | None:
        """``sinceTime`` of the next stream: the beginning of the last second, in the kubelet's zone."""
        if not self._first:
            return None
        zone = self._first[_SECOND:].lstrip(b".0123456789")
        return (self._second + zone).decode("ascii")

    def reopen(self, *, moved: bool) -> None:
        """Before each stream. ``moved``: known to be rotated; what is not newer than the last line is then skipped."""
        self._resumed = bool(self._first)
        self._moved = moved
        self._left = self._count if self._resumed and not moved else 0

    def skip_to(self, stamp: bytes) -> None:
        """An earlier life of ours read up to here, and the log has been rotated since."""
        self.last, self._resumed, self._moved = stamp, True, True

    def fresh(self, lines: list[bytes]) -> list[bytes]:
        """Those of a stream's stamped lines that were not read yet, in order. Raises ``LogMovedError``."""
        if self._resumed and lines:
            lines = self._unread(lines)
        if lines:
            self._advance(lines)
        return lines

    def _unread(self, lines: list[bytes]) -> list[bytes]:
        if self._moved:
            lines = [line for line in lines if _stamp(line) > self.last]
            self._resumed = not lines
            return lines
        if self._left == self._count and _stamp(lines[0]) != self._first:
            raise LogMovedError
        repeated = min(self._left, len(lines))
        self._left -= repeated
        self._resumed = self._left > 0
        return lines[repeated:]

    def _advance(self, lines: list[bytes]) -> None:
        self.last = _stamp(lines[-1])
        seconds = [line[:_SECOND] for line in lines]
        newest = max(seconds)
        if newest > self._second:
            self._second, self._first = newest, _stamp(lines[seconds.index(newest)])
            self._count = seconds.count(newest)
        else:  # a line that comes late, of an older second, is not sent again
            self._count += seconds.count(self._second)


def _stamp(line: bytes) -> bytes:
    return line[: line.find(b" ")] if b" " in line else line
