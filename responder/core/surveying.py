"""Looks through lines as they come, whole blocks at once: which does a signature know, which must redaction look at?

Most are neither.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from responder.core.redaction import next_suspect

Scan = Callable[[bytes], Iterable[tuple[int, int]]]  # begin and end of the lines of a block that a signature may know


_FAMILIAR = b"ERROR: deadlock detected\n"


class Survey(NamedTuple):
    """Of one block: where those lines begin, in order."""

    known: Sequence[int]
    suspect: Sequence[int]


def survey(blocks: Sequence[bytes], scan: Scan) -> list[Survey]:
    """Blocks of whole lines, in order."""
    data = b"".join(blocks)
    known = [begin for begin, _ in scan(data)]
    suspect = _suspects(data)
    edges = accumulate((len(block) for block in blocks), initial=0)
    return [Survey(_between(known, *edge), _between(suspect, *edge)) for edge in pairwise(edges)]


def rehearse(scan: Scan) -> None:
    """RE2 compiles at its first search and once more at its first hit, 0.1 s together: in a thread, before a log comes.

    Half of that frees the GIL.
    """
    list(scan(_FAMILIAR))


def _suspects(data: bytes) -> list[int]:
    found: list[int] = []
    at = 0
    while at < len(data) and (line := next_suspect(data, at)) is not None:
        found.append(line[0])
        at = line[1] + 1
    return found


def _between(places: Sequence[int], begin: int, end: int) -> Sequence[int]:
    return [place - begin for place in places[bisect_left(places, begin) : bisect_left(places, end)]]
