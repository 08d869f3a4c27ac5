"""Chunks into lines, and the way back to the line where a stream broke."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.core.logstream import LineCutter, LogMovedError, Position, all_told_by_container, told_by_container


def test_lines_are_whole_however_the_chunks_are_cut() -> None:
    cutter = LineCutter(100, 100)

    assert cutter.feed(b"one\ntw") == [b"one\n"]
    assert cutter.feed(b"o\n\nthree") == [b"two\n\n"]
    assert cutter.rest() == b"three"


def test_a_block_of_several_lines_is_no_longer_than_its_size() -> None:
    cutter = LineCutter(10, 30)

    assert cutter.feed(b"one\ntwo\nthree\n" + b"x" * 20 + b"\nend\n") == [
        b"one\ntwo\n",
        b"three\n",
        b"x" * 20 + b"\n",
        b"end\n",
    ]


@given(st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=20), st.data())
def test_any_cut_gives_the_same_lines(lines: list[bytes], data: st.DataObject) -> None:
    raw = b"".join(line + b"\n" for line in lines)
    cutter, found = LineCutter(8, 16), list[bytes]()
    while raw:
        size = data.draw(st.integers(1, len(raw)))
        found += cutter.feed(raw[:size])
        raw = raw[size:]

    assert b"".join(found) == b"".join(line[:16] + b"\n" for line in lines)
    assert all(len(block) <= 8 or block.count(b"\n") == 1 for block in found)
    assert cutter.cut_off == sum(max(0, len(line) - 16) for line in lines)


def test_an_endless_line_takes_no_memory() -> None:
    cutter = LineCutter(5, 10)
    for _ in range(1000):
        assert cutter.feed(b"x" * 1000) == []

    assert cutter.feed(b"\nnext\n") == [b"x" * 10 + b"\n", b"next\n"]
    assert cutter.cut_off == 1_000_000 - 10


def test_the_kubelets_own_words_have_no_stamp() -> None:
    assert told_by_container(b"2026-11-21T03:00:00.000000001Z text")
    assert told_by_container(b"2026-11-21T03:00:00.000000001+01:00 text")
    assert not told_by_container(b"unable to retrieve container logs for containerd://abc")
    assert not told_by_container(b"")


def test_a_time_that_the_program_printed_itself_is_no_stamp() -> None:
    assert not told_by_container(b"2026-11-21T03:00:00 INFO begins")
    assert not told_by_container(b"2026-11-21T03:00:00,123 INFO begins")
    assert not told_by_container(b"2026-11-21T03:00:00.123 INFO begins")
    assert told_by_container(b"2026-11-21T03:00:00.000000001Z")


def test_a_block_is_the_containers_when_every_line_is() -> None:
    line = b"2026-11-21T03:00:00.000000001Z text\n"

    assert all_told_by_container(line * 3)
    assert not all_told_by_container(line + b"unable to retrieve container logs\n" + line)
    assert not all_told_by_container(b"unable to retrieve container logs\n")


def stamped(second: int, nano: int, text: str = "x") -> bytes:
    return f"2026-11-21T03:00:{second:02d}.{nano:09d}Z {text}\n".encode()


def test_a_stream_is_resumed_from_the_beginning_of_its_last_second() -> None:
    position = Position()
    position.reopen(moved=False)
    position.fresh(stamped(1, 5) + stamped(2, 7) * 2)

    assert position.since == "2026-11-21T03:00:02Z"


def test_a_kubelet_in_another_zone_is_asked_in_its_own() -> None:
    position = Position()
    position.reopen(moved=False)
    position.fresh(b"2026-11-21T03:00:02.5+01:00 x\n")

    assert position.since == "2026-11-21T03:00:02+01:00"


def test_lines_that_were_read_are_not_read_again_even_with_equal_stamps() -> None:
    position = Position()
    position.reopen(moved=False)
    position.fresh(stamped(1, 5) + stamped(2, 7, "a") + stamped(2, 7, "b"))
    position.reopen(moved=False)

    assert position.fresh(stamped(2, 7, "a")) == b""
    assert position.fresh(stamped(2, 7, "b") + stamped(2, 7, "c")) == stamped(2, 7, "c")


LOG = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=30).map(
    lambda stamps: [stamped(s, n, f"{i}\r|") for i, (s, n) in enumerate(sorted(stamps, key=lambda pair: pair[0]))]
)


@given(LOG, st.data())
def test_a_log_that_breaks_anywhere_any_number_of_times_is_read_once(log: list[bytes], data: st.DataObject) -> None:
    position, found = Position(), b""
    while found.count(b"\n") < len(log):
        position.reopen(moved=False)
        since = (position.since or "").encode()[:19]
        sent = [line for line in log if line[:19] >= since]
        broken = data.draw(st.integers(1, len(sent)))
        middle = data.draw(st.integers(0, broken))
        found += position.fresh(b"".join(sent[:middle]))
        found += position.fresh(b"".join(sent[middle:broken]))

    assert found == b"".join(log)


def test_a_log_that_begins_elsewhere_was_rotated() -> None:
    position = Position()
    position.reopen(moved=False)
    position.fresh(stamped(1, 5))
    position.reopen(moved=False)
    with pytest.raises(LogMovedError):
        position.fresh(stamped(9, 1))


def test_of_a_rotated_log_only_newer_lines_are_read() -> None:
    position = Position()
    position.reopen(moved=False)
    position.fresh(stamped(1, 5))
    position.reopen(moved=True)

    assert position.fresh(stamped(1, 4)) == b""
    assert position.fresh(stamped(1, 5) + stamped(1, 6)) == stamped(1, 6)
