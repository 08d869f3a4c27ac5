"""Lines of a log as one piece of bytes: as the kubelet stamps them, each with its newline, redacted.

So they come, are held and are stored; they become single lines when somebody reads them.
"""

from collections.abc import Iterable

import msgspec

from responder.core.evidence import LogChunk

_OVERHEAD = 200  # bytes that a piece costs beside its text


class Stretch(msgspec.Struct, frozen=True, gc=False):
    """Lines that follow one another."""

    number: int  # of the first
    raw: bytes
    lines: int

    @property
    def size(self) -> int:
        return len(self.raw) + _OVERHEAD

    def within(self, size: int) -> "tuple[Stretch, Stretch]":
        """The first lines, of that size at most, and the rest. Either may be empty."""
        return self._apart(self.raw.rfind(b"\n", 0, max(0, size - _OVERHEAD)) + 1)

    def reaching(self, length: int) -> "tuple[Stretch, Stretch]":
        """The first lines, of that many bytes at least, and the rest."""
        return self._apart(self.raw.find(b"\n", length - 1) + 1 or len(self.raw))

    def first(self, lines: int) -> "tuple[Stretch, Stretch]":
        """So many of the first lines, and the rest."""
        at = 0
        for _ in range(min(lines, self.lines)):
            at = self.raw.index(b"\n", at) + 1
        return self._apart(at)

    def last(self, lines: int) -> "tuple[Stretch, Stretch]":
        """All but so many of the last lines, and these."""
        at = len(self.raw)
        for _ in range(min(lines, self.lines)):
            at = self.raw.rfind(b"\n", 0, at - 1) + 1
        return self._apart(at)

    def newest(self, size: int) -> "Stretch":
        """The last lines, of that size at most."""
        over = len(self.raw) - max(0, size - _OVERHEAD)
        return self if over <= 0 else self._apart(self.raw.find(b"\n", over - 1) + 1)[1]

    def _apart(self, at: int) -> "tuple[Stretch, Stretch]":
        lines = self.raw.count(b"\n", 0, at)
        before = Stretch(self.number, self.raw[:at], lines)
        return before, Stretch(self.number + lines, self.raw[at:], self.lines - lines)


class LogBlock(msgspec.Struct, frozen=True):
    """What is stored of a log at a time. ``runs``: where lines follow one another, the first number and how many."""

    key: str
    runs: tuple[tuple[int, int], ...]
    raw: bytes

    @property
    def first(self) -> int:
        return self.runs[0][0]

    @property
    def last(self) -> int:
        number, lines = self.runs[-1]
        return number + lines - 1


def join(key: str, stretches: Iterable[Stretch]) -> LogBlock:
    """Stretches in order."""
    runs: list[tuple[int, int]] = []
    pieces = []
    for stretch in stretches:
        pieces.append(stretch.raw)
        number, lines = runs[-1] if runs else (stretch.number, 0)
        if runs and number + lines == stretch.number:
            runs[-1] = (number, lines + stretch.lines)
        else:
            runs.append((stretch.number, stretch.lines))
    return LogBlock(key, tuple(runs), b"".join(pieces))


def fold(chunk: LogChunk) -> LogBlock:
    lines = zip(chunk.numbers, chunk.stamps, chunk.texts, strict=True)
    return join(chunk.key, (Stretch(number, f"{stamp} {text}\n".encode(), 1) for number, stamp, text in lines))


def unfold(block: LogBlock) -> LogChunk:
    lines = block.raw.decode("utf-8", "replace").split("\n")[:-1]
    parted = [line.partition(" ") for line in lines]
    numbers = tuple(number for first, count in block.runs for number in range(first, first + count))
    return LogChunk(block.key, numbers, tuple(p[0] for p in parted), tuple(p[2] for p in parted))
