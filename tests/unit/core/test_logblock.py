"""Lines as one piece of bytes: cut anywhere between lines and put together, they are the same lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.core.evidence import LogChunk
from responder.core.logblock import LogBlock, Stretch, fold, join, unfold

STAMP = "2026-11-21T03:00:00.000000001Z"
TEXTS = st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=9), max_size=12)


@given(TEXTS, st.sets(st.integers(1, 40), min_size=12))
def test_single_lines_come_back_from_one_piece(texts: list[str], numbers: set[int]) -> None:
    chunk = LogChunk("k", tuple(sorted(numbers))[: len(texts)], (STAMP,) * len(texts), tuple(texts))

    assert unfold(fold(chunk)) == chunk


@given(TEXTS, st.sampled_from(["within", "reaching", "first", "last"]), st.integers(0, 900))
def test_a_cut_loses_no_line(texts: list[str], way: str, size: int) -> None:
    raw = "".join(f"{STAMP} {text}\n" for text in texts).encode()
    before, rest = getattr(Stretch(7, raw, len(texts)), way)(size)

    assert (before.raw + rest.raw, before.lines + rest.lines) == (raw, len(texts))
    assert (before.number, rest.number) == (7, 7 + before.lines)
    assert (before.raw.count(b"\n"), rest.raw.count(b"\n")) == (before.lines, rest.lines)


THREE = Stretch(1, b"s one\ns two\ns three\n", 3)


@pytest.mark.parametrize(
    ("part", "raw"),
    [
        (THREE.within(200 + 14)[0], b"s one\ns two\n"),
        (THREE.within(200 + 5)[0], b""),
        (THREE.reaching(6)[0], b"s one\n"),
        (THREE.reaching(7)[0], b"s one\ns two\n"),
        (THREE.first(2)[0], b"s one\ns two\n"),
        (THREE.last(2)[1], b"s two\ns three\n"),
        (THREE.newest(200 + 14), b"s two\ns three\n"),
        (THREE.newest(200 + 13), b"s three\n"),
        (THREE.newest(200 + 7), b""),
        (THREE.newest(10_000), THREE.raw),
    ],
)
def test_where_it_is_cut(part: Stretch, raw: bytes) -> None:
    assert part.raw == raw


def test_neighbours_become_one_run() -> None:
    pieces = (Stretch(1, b"s a\ns b\n", 2), Stretch(3, b"s c\n", 1), Stretch(9, b"s i\n", 1))

    assert join("k", pieces) == LogBlock("k", ((1, 3), (9, 1)), b"s a\ns b\ns c\ns i\n")
    assert (join("k", pieces).first, join("k", pieces).last) == (1, 9)


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    assert unfold(LogBlock("k", ((1, 2),), b"s\ns \xff!\n")) == LogChunk("k", (1, 2), ("s", "s"), ("", "\ufffd!"))
