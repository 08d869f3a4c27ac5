from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.kubelet.logs import CHUNK, Log, LogQuery, stamp

Read = LogQuery


async def text(log: Log, query: LogQuery) -> str:
    return b"".join([data async for data in log.read(query)]).decode()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(tmp_path / "0.log")
    yield made
    made.close()


def test_a_stamp_has_nine_digits_whatever_the_time() -> None:
    assert stamp(1_700_000_000_000_000_000) == "2023-11-14T22:13:20.000000000Z"
    assert stamp(1_700_000_000_000_000_007) == "2023-11-14T22:13:20.000000007Z"


async def test_both_streams_are_in_one_log_and_lines_are_whole(log: Log) -> None:
    log.write(b"stdout", b"on")
    log.write(b"stderr", b"bad\n")
    log.write(b"stdout", b"e\ntwo\nthr")
    assert await text(log, Read()) == "bad\none\ntwo\n"

    log.close()

    assert await text(log, Read()) == "bad\none\ntwo\nthr"


async def test_the_tail(log: Log) -> None:
    log.write(b"stdout", b"".join(b"%d\n" % number for number in range(20_000)))

    assert await text(log, Read(tail_lines=3)) == "19997\n19998\n19999\n"
    assert await text(log, Read(tail_lines=0)) == ""
    assert (await text(log, Read(tail_lines=20_000))).startswith("0\n1\n")
    assert (await text(log, Read(tail_lines=30_000))).startswith("0\n1\n")
    assert (await text(log, Read(tail_lines=15_000))).startswith("5000\n")  # further back than one block


async def test_a_limit_cuts_in_the_middle_of_a_line(log: Log) -> None:
    log.write(b"stdout", b"first\nsecond\n")

    assert await text(log, Read(limit_bytes=8)) == "first\nse"


async def test_a_long_line_is_cut_in_the_file_and_joined_for_the_reader(log: Log) -> None:
    line = b"x" * (3 * CHUNK + 5)
    log.write(b"stdout", line[:100])
    log.write(b"stdout", line[100:] + b"\nnext\n")

    stamped = (await text(log, Read(timestamps=True))).splitlines()

    assert log.path.read_bytes().count(b" P ") == 3
    assert [line.split(" ")[1] for line in stamped] == [line.decode(), "next"]


async def test_no_two_lines_have_the_same_time(log: Log) -> None:
    log.write(b"stdout", b"a\n" * 1000)

    stamps = [line.split(" ")[0] for line in (await text(log, Read(timestamps=True))).splitlines()]

    assert len(set(stamps)) == 1000
    assert await text(log, Read(since=stamps[998])) == "a\na\n"


async def test_a_follower_is_told_of_all_until_the_end(log: Log) -> None:
    log.write(b"stdout", b"one\n")
    reader = log.read(Read(follow=True))
    assert [await anext(reader), await anext(reader)] == [b"one\n", b""]

    log.write(b"stdout", b"two\n")
    assert [await anext(reader), await anext(reader)] == [b"two\n", b""]
    log.close()

    assert [data async for data in reader] == []


async def test_rotation_loses_lines_for_who_comes_later_but_not_for_who_follows(tmp_path: Path) -> None:
    log = Log(tmp_path / "0.log", rotate_at=2)
    log.write(b"stdout", b"1\n2\n")
    reader = log.read(Read(follow=True))
    seen = [await anext(reader)]

    log.write(b"stdout", b"3\n")
    log.close()

    assert b"".join([*seen, *[data async for data in reader]]) == b"1\n2\n3\n"
    assert await text(log, Read()) == "3\n"


async def test_last_words(log: Log) -> None:
    log.write(b"stdout", b"one\ntwo\nthree\n")

    assert log.last(2, 100) == "two\nthree\n"
    assert log.last(9, 5) == "hree\n"
