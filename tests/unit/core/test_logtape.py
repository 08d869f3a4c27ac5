"""What is kept of a log: every line is kept, held, or counted as dropped."""

from hypothesis import given
from hypothesis import strategies as st

from responder.core.evidence import LogChunk, LogSummary
from responder.core.logtape import Bounds, LogTape

ROOM = 1 << 30


def tape(*, head: int = 2000, tail: int = 2000, line: int = 1000, room: int = ROOM) -> LogTape:
    return LogTape(
        "key",
        Bounds(head, tail, line),
        redact=lambda text: text.replace("secret", "*"),
        scan=lambda text: "ERROR" in text,
        room=lambda: room,
    )


def raw(*texts: str) -> list[bytes]:
    return [f"2026-11-21T03:00:00.{number:09d}Z {text}".encode() for number, text in enumerate(texts)]


def store(log: LogTape, *, ended: bool = False) -> list[int]:
    chunk = log.take(ended=ended)
    log.stored()
    return list(chunk.numbers) if chunk else []


def test_lines_are_numbered_from_one_and_redacted() -> None:
    log = tape()
    log.add(raw("first", "a secret"))
    chunk = log.take(ended=False)

    assert chunk is not None
    assert (chunk.numbers, chunk.texts) == ((1, 2), ("first", "a *"))
    assert chunk.stamps[0] == "2026-11-21T03:00:00.000000000Z"


def test_head_and_tail_are_kept_and_the_middle_is_counted() -> None:
    log = tape()
    log.add(raw(*(f"line {number}" for number in range(1, 101))))
    kept = store(log, ended=True)

    assert kept[0] == 1
    assert kept[-1] == 100
    assert len(kept) + log.dropped == 100
    assert log.dropped > 50


def test_a_line_that_a_signature_knows_is_kept_with_those_around_it() -> None:
    log = tape()
    texts = [f"line {number}" for number in range(1, 201)]
    texts[99] = "ERROR: deadlock"
    assert log.add(raw(*texts))
    kept = store(log, ended=True)

    assert {97, 98, 99, 100, 101, 104} <= set(kept)
    assert 60 not in kept


def test_an_endless_flood_of_known_lines_is_bounded() -> None:
    log = tape(tail=4000)
    log.add(raw(*("ERROR" for _ in range(10_000))))
    kept = store(log, ended=True)

    assert len(kept) < 50
    assert len(kept) + log.dropped == 10_000


def test_what_is_stored_of_an_endless_log_grows_with_its_logarithm() -> None:
    log = tape()
    stored = 0
    for _ in range(1000):
        log.add(raw(*("noise" for _ in range(10))))
        stored += len(store(log))
    stored += len(store(log, ended=True))

    assert stored < 200
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
    assert len(kept) < 40
    assert len(kept) + log.dropped == 5000


def test_with_little_room_the_tail_is_short() -> None:
    log = tape(tail=100_000, room=1500)
    log.add(raw(*("noise" for _ in range(1000))))
    kept = store(log, ended=True)

    assert len(kept) < 30
    assert kept[-1] == 1000


def test_a_long_line_is_cut_and_so_is_what_straddles_the_cut() -> None:
    log = tape(line=100)
    log.add([b"2026-11-21T03:00:00.000000000Z " + b"x" * 100 + b"y" * 1024])
    log.add([b"2026-11-21T03:00:00.000000000Z " + b"x" * 300])
    chunk = log.take(ended=True)

    assert chunk is not None
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
            log.add(raw(*operation))
            given_lines += len(operation)
        else:
            chunk = log.take(ended=False)
            if operation == "refused":
                log.give_back()
            else:
                numbers = set(chunk.numbers) if chunk else set[int]()
                assert not numbers & seen
                seen |= numbers
                log.stored()
        assert log.lines == given_lines == log.kept + log.held + log.dropped
