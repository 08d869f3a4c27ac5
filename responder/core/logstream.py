"""A followed log as it comes from the kubelet: chunks cut anywhere, lines with stamps, connections that break.

``sinceTime`` counts whole seconds and stamps repeat, so a log is resumed by (second, lines already read of it): the
server filters line by line, the same lines come again in the same order.

Lines travel in *blocks*: whole lines with their newlines. Most blocks are never cut up: nothing in them is of interest.
"""

import re

_SECOND = 19  # characters of 2026-11-21T12:10:20
_DAY = 11  # of 2026-11-21T
_STAMP = re.compile(rb"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)(?![^ \n])")


class LineCutter:
    """Blocks out of chunks. A line longer than ``longest`` bytes is cut there; memory stays bounded.

    A block of several lines has at most ``size`` bytes, so no line in it is longer than that.
    """

    def __init__(self, size: int, longest: int) -> None:
        self.cut_off = 0  # bytes, so far
        self._size = size
        self._longest = max(size, longest)
        self._rest = b""
        self._skipping = False

    def feed(self, chunk: bytes) -> list[bytes]:
        blocks: list[bytes] = []
        if self._skipping:
            at = chunk.find(b"\n")
            self.cut_off += len(chunk) if at < 0 else at
            if at < 0:
                return blocks
            blocks.append(self._rest + b"\n")
            self._rest, self._skipping, chunk = b"", False, chunk[at + 1 :]
        data, start = self._rest + chunk, 0
        while (end := self._end(data, start)) > 0:
            blocks.append(data[start:end] if end - start <= self._longest else self._cut(data[start : end - 1]) + b"\n")
            start = end
        self._rest = data[start:]
        if len(self._rest) > self._longest:
            self._rest, self._skipping = self._cut(self._rest), True
        return blocks

    def _end(self, data: bytes, start: int) -> int:
        """Behind the last newline that fits, else behind the first that does not; 0 when there is none."""
        return (data.rfind(b"\n", start, start + self._size) + 1) or (data.find(b"\n", start + self._size) + 1)

    def _cut(self, line: bytes) -> bytes:
        self.cut_off += max(0, len(line) - self._longest)
        return line[: self._longest]

    def rest(self) -> bytes:
        """The last line, when it ended without a newline; also half a line, when the connection was cut."""
        rest, self._rest, self._skipping = self._rest, b"", False
        return rest


def told_by_container(line: bytes) -> bool:
    """False for a line without a stamp: the kubelet wrote it itself, an error in place of a log."""
    return _STAMP.match(line) is not None


def lines_of(block: bytes) -> list[bytes]:
    """Each with its newline. A carriage return ends none: progress is shown with it."""
    return [line + b"\n" for line in block.split(b"\n")[:-1]]


def all_told_by_container(block: bytes) -> bool:
    """May say False of a block that spans midnight."""
    return told_by_container(block) and _all_begin(block, block[:_DAY])


def _all_begin(block: bytes, prefix: bytes) -> bool:
    return block.startswith(prefix) and block.count(b"\n" + prefix) == block.count(b"\n") - 1


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

    def goes_on(self, block: bytes) -> bool:
        """Takes a block as read whose lines are all new and of the second that was read last; False of any other."""
        if self._resumed or not self._second or not block.startswith(self._second):
            return False
        lines = block.count(b"\n")
        if block.count(b"\n" + self._second) < lines - 1:
            return False
        self._count += lines
        self.last = stamp_of(block[block.rfind(b"\n", 0, -1) + 1 :])
        return True

    def fresh(self, block: bytes) -> bytes:
        """Those of a stream's stamped lines that were not read yet, in order. Raises ``LogMovedError``."""
        if self._resumed and block:
            block = b"".join(self._unread(lines_of(block)))
        if block:
            self._advance(block)
        return block

    def _unread(self, lines: list[bytes]) -> list[bytes]:
        if self._moved:
            lines = [line for line in lines if stamp_of(line) > self.last]
            self._resumed = not lines
            return lines
        if self._left == self._count and stamp_of(lines[0]) != self._first:
            raise LogMovedError
        repeated = min(self._left, len(lines))
        self._left -= repeated
        self._resumed = self._left > 0
        return lines[repeated:]

    def _advance(self, block: bytes) -> None:
        self.last = stamp_of(block[block.rfind(b"\n", 0, -1) + 1 :])
        lines = block.split(b"\n")[:-1]
        seconds = [line[:_SECOND] for line in lines]
        newest = max(seconds)
        if newest > self._second:
            self._second, self._first = newest, stamp_of(lines[seconds.index(newest)])
            self._count = seconds.count(newest)
        else:  # a line that comes late, of an older second, is not sent again
            self._count += seconds.count(self._second)


def stamp_of(line: bytes) -> bytes:
    """Of a stamped line; a line may be empty behind its stamp."""
    end = line.find(b" ")
    return line[:end] if end >= 0 else line.rstrip(b"\n")
