"""The log of one run of a container, in the file format of the CRI, and what ``GET .../log`` gives of it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

CHUNK: Final = 16 << 10  # a longer line is written in pieces (P ... F), and joined when read
_BLOCK: Final = 256 << 10


class LogQuery(msgspec.Struct, frozen=True):
    """``since`` in RFC 3339 with nine digits, so that it compares as text."""

    follow: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since: str = ""
    limit_bytes: int | None = None


def stamp(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 10**9)
    return f"{_second(seconds)}.{rest:09d}Z"


@lru_cache(maxsize=16)  # a fast writer writes 100,000 lines in one
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


class Log:
    """``rotate_at``: the file begins anew after so many lines; who asks later gets the newest file only.

    ``kept``: a folder in which each file has a second name, so that it can be counted when the Pod is gone.
    """

    def __init__(self, path: Path, rotate_at: int | None = None, kept: Path | None = None) -> None:
        self.path = path
        self.ended = False
        self._rotate_at = rotate_at
        self._kept = kept
        self._lines = 0
        self._generation = 0
        self._file: BinaryIO = self._open()
        self._last = 0
        self._rest = {b"stdout": b"", b"stderr": b""}
        self._grown = asyncio.Event()

    def write(self, stream: bytes, data: bytes) -> None:
        *lines, rest = (self._rest[stream] + data).split(b"\n")
        for line in lines:
            while len(line) > CHUNK:
                self._entry(stream, b"P", line[:CHUNK])
                line = line[CHUNK:]  # noqa: PLW2901  # what is left of it
            self._entry(stream, b"F", line)
        while len(rest) > CHUNK:
            self._entry(stream, b"P", rest[:CHUNK])
            rest = rest[CHUNK:]
        self._rest[stream] = rest
        self._tell()

    def close(self) -> None:
        """A last line without its newline is a piece without an end, as containerd writes it. May be called again."""
        if self.ended:
            return
        for stream, rest in self._rest.items():
            if rest:
                self._entry(stream, b"P", rest)
        self._file.close()
        self.ended = True
        self._tell()

    def rotate(self) -> None:
        self._file.close()
        self.path.unlink()  # who reads it now reads on to its end
        self._lines = 0
        self._generation += 1
        self._file = self._open()

    def _open(self) -> BinaryIO:
        file = self.path.open("wb")
        if self._kept is not None:
            self._kept.mkdir(parents=True, exist_ok=True)
            os.link(self.path, self._kept / f"{self._generation}.log")
        return file

    def _entry(self, stream: bytes, tag: bytes, content: bytes) -> None:
        if self._rotate_at is not None and self._lines >= self._rotate_at:
            self.rotate()
        self._last = max(self._last + 1, time.time_ns())  # two lines never share a time: it is what readers resume by
        self._file.write(b"%s %s %s %s\n" % (stamp(self._last).encode(), stream, tag, content))
        self._lines += 1

    def _tell(self) -> None:
        if not self._file.closed:
            self._file.flush()
        self._grown.set()
        self._grown = asyncio.Event()

    def last(self, lines: int, size: int) -> str:
        """The end of the log, for a termination message."""
        with self.path.open("rb") as file:
            _to_tail(file, lines)
            text = b"".join(b"" if entry is None else entry[1] for entry in map(_parse, file))
        return text[-size:].decode(errors="replace")

    async def read(self, query: LogQuery) -> AsyncIterator[bytes]:
        """Pieces of the log; an empty one whenever there is nothing more for now."""
        left = query.limit_bytes
        async for data in self._rendered(query):
            if left is None:
                yield data
                continue
            yield data[:left]
            left -= len(data)
            if left <= 0:
                return

    async def _rendered(self, query: LogQuery) -> AsyncIterator[bytes]:
        fresh = True  # at the beginning of a line
        async for entry in self._entries(query):
            parsed = _parse(entry)
            if parsed is None:
                yield b""
                continue
            written, content = parsed
            if written < query.since:
                continue
            prefix = f"{written} ".encode() if query.timestamps and fresh else b""
            yield prefix + content
            fresh = content.endswith(b"\n")

    async def _entries(self, query: LogQuery) -> AsyncIterator[bytes]:
        generation, file = self._generation, self.path.open("rb")
        try:
            if query.tail_lines is not None:
                _to_tail(file, query.tail_lines)
            while True:
                grown, rotated, ended = self._grown, self._generation != generation, self.ended
                for line in file:
                    yield line
                if rotated:
                    file.close()
                    generation, file = self._generation, self.path.open("rb")
                elif ended or not query.follow:
                    return
                else:
                    yield b""
                    await grown.wait()
        finally:
            file.close()


def _parse(entry: bytes) -> tuple[str, bytes] | None:
    """When it was written, and what; the content of a piece has no newline."""
    parts = entry.split(b" ", 3)
    if len(parts) < 4:
        return None
    content = parts[3]
    return parts[0].decode(), content if parts[2] == b"F" else content[:-1]


def _to_tail(file: BinaryIO, lines: int) -> None:
    """Counts entries, not joined lines, as the kubelet does."""
    position = file.seek(0, 2)
    wanted = lines + 1  # the newline before the first of them
    while position > 0:
        start = max(0, position - _BLOCK)
        file.seek(start)
        block = file.read(position - start)
        found = block.count(b"\n")
        if found >= wanted:
            at = len(block)
            for _ in range(wanted):
                at = block.rfind(b"\n", 0, at)
            file.seek(start + at + 1)
            return
        wanted -= found
        position = start
    file.seek(0)
