"""What is kept of a log: every line is kept, held, or counted as dropped."""

from collections.abc import Iterator
from itertools import cycle

from hypothesis import given
from hypothesis import strategies as st

from responder.core.evidence import LogChunk, LogSummary
from responder.core.logblock import unfold
from responder.core.logstream import LineCutter
from responder.core.logtape import Bounds, LogTape
from responder.core.redaction import Redactor

ROOM = 1 << 30


REDACTOR = Redactor(b"key")


def errors(block: bytes) -> Iterator[tuple[int, int]]:
    """Lines that say ERROR."""
    begin = 0
    for line in block.splitlines(keepends=True):
        if b"ERROR" in line:
            yield begin, begin + len(line) - 1
        begin += len(line)


def tape(*, head: int = 2000, tail: int = 2000, line: int = 1000, room: int = ROOM) -> LogTape:
    return LogTape("key", Bounds(head, tail, line), redactor=REDACTOR.stream(), scan=errors, room=lambda: room)


def raw(*texts: str) -> bytes:
    return "".join(f"2026-11-21T03:00:00.{number:09d}Z {text}\n" for number, text in enumerate(texts)).encode()


def take(log: LogTape, *, ended: bool = False) -> LogChunk:
    block = log.take(ended=ended)
    return unfold(block) if block else LogChunk(log.key, (), (), ())


def store(log: LogTape, *, ended: bool = False) -> list[int]:
    chunk = take(log, ended=ended)
    log.stored()
    return list(chunk.numbers)


def test_lines_are_numbered_from_one_and_redacted() -> None:
    log = tape()
    log.add(raw("first", "PASSWORD=hunter2"))
    chunk = take(log)

    assert (chunk.numbers, chunk.texts) == ((1, 2), ("first", f"PASSWORD={REDACTOR.value('hunter2')}"))
    assert chunk.stamps[0] == "2026-11-21T03:00:00.000000000Z"


def test_head_and_tail_are_kept_and_the_middle_is_counted() -> None:
    log = tape()
    log.add(raw(*(f"line {number}" for number in range(1, 201))))
    kept = store(log, ended=True)

    assert kept[0] == 1
    assert kept[-1] == 200
    assert len(kept) + log.dropped == 200
    assert log.dropped > 80


def test_a_line_that_a_signature_knows_is_kept_with_those_around_it() -> None:
    log = tape(tail=6000)
    texts = [f"line {number}" for number in range(1, 401)]
    texts[99] = "ERROR: deadlock"
    assert log.add(raw(*texts[:300]))
    assert not log.add(raw(*texts[300:]))
    kept = store(log, ended=True)

    assert {97, 98, 99, 100, 101, 108} <= set(kept)
    assert 60 not in kept


def test_lines_that_differ_in_their_numbers_alone_do_not_crowd_out_another() -> None:
    log = tape(tail=30_000)
    progress = [f"part {number} of 9000: no ERROR" for number in range(3000)]
    log.add(raw(*progress, "ERROR: deadlock", *progress))
    texts = take(log, ended=True).texts

    assert "ERROR: deadlock" in texts


def test_an_endless_flood_of_known_lines_is_bounded() -> None:
    log = tape(tail=4000)
    log.add(raw(*("ERROR" for _ in range(10_000))))
    kept = store(log, ended=True)

    assert len(kept) < 100
    assert len(kept) + log.dropped == 10_000


def test_what_is_stored_of_an_endless_log_grows_with_its_logarithm() -> None:
    log = tape()
    stored = 0
    for _ in range(1000):
        log.add(raw(*("noise" for _ in range(10))))
        stored += len(store(log))
    stored += len(store(log, ended=True))

    assert stored < 400
    assert stored == log.kept
    assert log.kept + log.dropped == 10_000


def test_lines_that_the_store_refused_are_offered_again() -> None:
    log = tape()
    log.add(raw("one", "two"))
    log.take(ended=False)
    log.give_back()
    log.add(raw("three"))

    assert store(log) == [1, 2, 3]
    assert store(log) == []


def test_a_store_that_is_away_for_long_costs_the_middle_and_no_memory() -> None:
    log = tape()
    for _ in range(500):
        log.add(raw(*("noise" for _ in range(10))))
        log.take(ended=False)
        log.give_back()
    kept = store(log, ended=True)

    assert kept[0] == 1
    assert kept[-1] == 5000
    assert len(kept) < 100
    assert len(kept) + log.dropped == 5000


def test_with_little_room_the_tail_is_short() -> None:
    log = tape(tail=100_000, room=1500)
    log.add(raw(*("noise" for _ in range(1000))))
    kept = store(log, ended=True)

    assert len(kept) < 100
    assert kept[-1] == 1000


def test_a_long_line_is_cut_and_so_is_what_straddles_the_cut() -> None:
    log = tape(line=100)
    log.add(b"2026-11-21T03:00:00.000000000Z " + b"x" * 100 + b"y" * 1024 + b"\n")
    log.add(b"2026-11-21T03:00:00.000000000Z " + b"x" * 300 + b"\n")
    chunk = take(log, ended=True)

    assert chunk.texts == ("x" * 100, "x" * 100)


def test_a_log_that_is_read_again_after_a_restart_is_not_stored_twice() -> None:
    log = tape()
    log.recall(LogChunk("key", (1, 2), ("", ""), ("one", "two")))
    log.add(raw("one", "two", "three"))

    assert store(log, ended=True) == [3]
    assert (log.lines, log.kept, log.dropped) == (3, 3, 0)


def test_numbers_go_on_after_lines_that_cannot_be_read_again() -> None:
    log = tape()
    log.recall(LogChunk("key", (1, 2, 9), ("", "", ""), ("one", "two", "nine")))
    log.skip(LogSummary("key", lines=9, bytes=50))
    log.add(raw("ten"))

    assert store(log, ended=True) == [10]
    assert (log.kept, log.dropped) == (4, 6)


def test_dropped_lines_are_told_once() -> None:
    log = tape(head=0, tail=1000)
    log.add(raw(*("noise" for _ in range(100))))

    assert log.newly_dropped() == log.dropped > 0
    assert log.newly_dropped() == 0


LINES = (
    "plain",
    "",
    "  indented",
    "ERROR: deadlock",
    "PASSWORD=hunter2",
    "connecting to postgres://app:hunter2@db/shop",
    "DETAIL:  Key (email)=(ana@example.org) already exists.",
    "LINE 1: ...7, 'ana', 'x')",
    "VALUES",
    "  ('ana', 3),",
    "params: ana",
    "UPDATE customers",
    "SET email = 'ana@example.org'",
    "WHERE id = 3;",
    "-----BEGIN RSA PRIVATE KEY-----",
    "MIIEowIBAAKCAQEA1234567890abcdefghij",
    "-----END RSA PRIVATE KEY-----",
)


@given(st.lists(st.lists(st.sampled_from(LINES), min_size=1, max_size=6), max_size=10), st.sampled_from([0, 500, 5000]))
def test_blocks_are_redacted_as_line_by_line(blocks: list[list[str]], head: int) -> None:
    log = tape(head=head, tail=100_000)
    for block in blocks:
        log.add(raw(*block))
    chunk = take(log, ended=True)

    stream = REDACTOR.stream()
    assert list(chunk.texts) == [stream.line(line) for block in blocks for line in block]
    assert list(chunk.numbers) == list(range(1, log.lines + 1))


@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=20), st.lists(st.integers(1, 120), min_size=1))
def test_a_secret_that_is_cut_by_the_network_is_redacted_as_a_whole(lines: list[str], sizes: list[int]) -> None:
    """Chunks as they come, blocks of at most 200 bytes, and each chunk looked through at once."""
    log, cutter, data = tape(tail=100_000, line=200), LineCutter(200, 2000), raw(*lines)
    size = cycle(sizes)
    while data:
        chunk, data = data[: (n := next(size))], data[n:]
        blocks = cutter.feed(chunk)
        for block, seen in zip(blocks, log.survey(blocks).finish(), strict=True):
            log.add(block, seen)

    stream = REDACTOR.stream()
    assert take(log, ended=True).texts == tuple(stream.line(line) for line in lines)


def test_bytes_are_those_of_the_log_without_its_stamps() -> None:
    log = tape(head=300)
    log.add(raw("one", "two", "three"))
    log.add(raw("four", "PASSWORD=hunter2"))

    assert log.bytes == len("one\ntwo\nthree\nfour\nPASSWORD=hunter2\n")


OPERATIONS = st.lists(
    st.one_of(
        st.lists(st.sampled_from(["noise", "ERROR", "x" * 400]), max_size=8),
        st.sampled_from(["stored", "refused"]),
    ),
    max_size=40,
)


@given(OPERATIONS, st.integers(0, 3000))
def test_every_line_is_kept_held_or_counted(operations: list[list[str] | str], room: int) -> None:
    log, given_lines, seen = tape(room=room), 0, set[int]()
    for operation in operations:
        if isinstance(operation, list):
            if operation:
                log.add(raw(*operation))
            given_lines += len(operation)
        else:
            chunk = take(log)
            if operation == "refused":
                log.give_back()
            else:
                numbers = set(chunk.numbers)
                assert not numbers & seen
                seen |= numbers
                log.stored()
        assert log.lines == given_lines == log.kept + log.held + log.dropped
