"""What a redaction rule is: a cheap hint that it may apply, and a rewrite of the line."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import re2

Seal = Callable[[bytes], bytes]  # a value in, its token out
Rewrite = Callable[[bytes, Seal], bytes]
Treat = Callable[[bytes, Seal], bytes]  # what becomes of one captured value


class Match(Protocol):
    """What we use of a match of re2, which ships no types."""

    def group(self, group: int = 0, /) -> bytes | None: ...
    def span(self, group: int = 0, /) -> tuple[int, int]: ...
    def start(self) -> int: ...
    def end(self) -> int: ...


class Pattern(Protocol):
    groups: int

    def search(self, text: bytes, pos: int = 0, endpos: int = ..., /) -> Match | None: ...
    def match(self, text: bytes, /) -> Match | None: ...
    def fullmatch(self, text: bytes, /) -> Match | None: ...
    def finditer(self, text: bytes, /) -> Iterator[Match]: ...


class Rule(NamedTuple):
    hint: bytes  # RE2, case ignored; no match means that the rewrite would change nothing
    rewrite: Rewrite


def latin1(pattern: str) -> Pattern:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.dot_nl = True
    options.log_errors = False
    compiled: Pattern = re2.compile(pattern.encode("latin-1"), options)
    return compiled


SEALED = latin1(r"(?:[^A-Za-z0-9\x80-\xff]*\[?redacted:[0-9a-f]{8}\]?)+[^A-Za-z0-9\x80-\xff]*")


def seal_whole(value: bytes, seal: Seal) -> bytes:
    return seal(value)


def captured(pattern: str, treat: Treat = seal_whole, bare: Treat | None = None) -> Rewrite:
    """A rewrite that treats what the pattern's groups captured and leaves the rest; `bare` is for the last group."""
    compiled = latin1(pattern)
    treats = [(group, treat) for group in range(1, compiled.groups)]
    treats.append((compiled.groups, bare or treat))

    def rewrite(line: bytes, seal: Seal) -> bytes:
        pieces: list[bytes] = []
        copied = 0
        for match in compiled.finditer(line):
            for group, treated in treats:
                start, end = match.span(group)
                if copied <= start < end:
                    pieces += line[copied:start], treated(line[start:end], seal)
                    copied = end
        return b"".join((*pieces, line[copied:])) if pieces else line

    return rewrite
