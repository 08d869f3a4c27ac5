"""Blocks are looked through at once, and each is told its own."""

from collections.abc import Iterator

from responder.core.surveying import Survey, Surveying, rehearse
from responder.shipped import signatures

STAMP = b"2026-11-21T03:00:00.000000000Z "


def gone(data: bytes) -> Iterator[tuple[int, int]]:
    """Lines that say gone."""
    at = 0
    for line in data.splitlines(keepends=True):
        if b"gone" in line:
            yield at, at + len(line) - 1
        at += len(line)


def test_each_block_is_told_where_its_own_lines_begin() -> None:
    plain, known, secret = (STAMP + text for text in (b"all well\n", b"the ferry is gone\n", b"PASSWORD=hunter2\n"))

    assert Surveying((plain + known, secret, plain, plain + plain + secret + known), gone).finish() == [
        Survey([len(plain)], []),
        Survey([], [0]),
        Survey([], []),
        Survey([2 * len(plain) + len(secret)], [2 * len(plain)]),
    ]


def test_a_step_is_of_a_few_kilobytes_and_ends_with_a_line() -> None:
    line = STAMP + b"the ferry is gone\n"
    looked: list[bytes] = []

    def scan(data: bytes) -> Iterator[tuple[int, int]]:
        looked.append(data)
        return gone(data)

    long = STAMP + b"x" * 20_000 + b"\n"
    (survey,) = Surveying([line * 400 + long + line], scan).finish()

    assert b"".join(looked) == line * 400 + long + line
    assert all(piece.endswith(b"\n") and (len(piece) <= 4096 or piece == long) for piece in looked)
    assert survey.known == [*range(0, 400 * len(line), len(line)), 400 * len(line) + len(long)]


def test_no_blocks_are_none() -> None:
    assert Surveying((), gone).finish() == []


def test_what_is_rehearsed_is_known_to_a_signature() -> None:
    """Only then is everything compiled."""
    hits: list[tuple[int, int]] = []

    def scan(data: bytes) -> list[tuple[int, int]]:
        hits.extend(signatures().scan(data))
        return hits

    rehearse(scan)

    assert hits == [(0, len("ERROR: deadlock detected"))]
