import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.demo.api import Api
from responder.demo.clock import SteppedClock
from responder.demo.logs import LogOptions, LogReader, RunLog, nanoseconds
from responder.demo.objects import Objects
from tests.unit.demo.cases import Json, pod

PATH = "/api/v1/namespaces/shop/pods/p/log"


def stamp(second: int, nanosecond: int = 0) -> str:
    return f"2026-11-21T03:00:{second:02}.{nanosecond:09}Z"


def log(objects: Objects, **query: str) -> tuple[int, bytes]:
    reply = Api(objects).handle("GET", PATH, query, {}, b"")
    return reply.status, reply.body


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("1970-01-01T00:00:00.5Z", 500_000_000),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1970-01-01T02:00:01+02:00", 1_000_000_000),
        ("2026-11-21T13:45:29.230582129Z", 1_795_268_729_230_582_129),
    ],
)
def test_stamps_are_read_to_the_nanosecond(text: str, expected: int) -> None:
    assert nanoseconds(text) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-21", "2026-11-21T03:00:00", "2026-13-01T03:00:00Z"])
def test_what_is_no_stamp_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an RFC 3339 time|month"):
        nanoseconds(text)


def test_lines_of_one_write_share_its_stamp_and_keep_their_bytes(objects: Objects) -> None:
    objects.put_raw("Pod", "ADDED", pod("p"))
    objects.append_log("shop", "p", "main", 0, stamp(1), b"one\r\n\xff\xfe\nno newline")
    assert objects.log_lines("shop", "p", "main", 0) == 3
    expected = b"".join([stamp(1).encode() + b" " + line for line in (b"one\r\n", b"\xff\xfe\n", b"no newline")])
    assert log(objects, timestamps="true") == (200, expected)


def test_since_time_counts_whole_seconds(objects: Objects) -> None:
    objects.put_raw("Pod", "ADDED", pod("p"))
    for second, nanosecond in ((1, 999_999_999), (2, 0), (2, 500)):
        objects.append_log("shop", "p", "main", 0, stamp(second, nanosecond), f"{second}.{nanosecond}\n")
    assert log(objects, sinceTime=stamp(2, 400)) == (200, b"2.0\n2.500\n")


def test_since_seconds_looks_back_from_now(objects: Objects, clock: SteppedClock) -> None:
    objects.put_raw("Pod", "ADDED", pod("p"))
    for second in (1, 5):
        objects.append_log("shop", "p", "main", 0, stamp(second), f"{second}\n")
    clock.move_to(clock.now().replace(second=10))
    assert log(objects, sinceSeconds="6") == (200, b"5\n")


def test_both_ways_to_look_back_are_one_too_many(objects: Objects) -> None:
    objects.put_raw("Pod", "ADDED", pod("p"))
    assert log(objects, sinceSeconds="6", sinceTime=stamp(1))[0] == 422


def with_state(restart: int, state: Json, last: Json | None = None) -> Json:
    item = pod("p")
    status = {"name": "main", "restartCount": restart, "state": state, "lastState": last or {}}
    item["status"]["containerStatuses"] = [status]
    return item


TERMINATED: Json = {"terminated": {"exitCode": 1}}


@pytest.mark.parametrize(
    ("item", "current", "previous"),
    [
        (with_state(1, {"running": {}}, TERMINATED), b"run 1\n", b"run 0\n"),
        (with_state(1, TERMINATED, TERMINATED), b"run 1\n", b"run 0\n"),
        (with_state(1, {"waiting": {"reason": "CrashLoopBackOff"}}, TERMINATED), b"run 1\n", b"run 1\n"),
    ],
)
def test_which_run_is_shown(objects: Objects, item: Json, current: bytes, previous: bytes) -> None:
    for restart in (0, 1):
        objects.append_log("shop", "p", "main", restart, stamp(restart), f"run {restart}\n")
    objects.put_raw("Pod", "ADDED", item)
    assert log(objects) == (200, current)
    assert log(objects, previous="true") == (200, previous)


def follow(objects: Objects) -> LogReader:
    reader = Api(objects).answer("GET", PATH, {"follow": "true"}, {}, b"")
    assert isinstance(reader, LogReader)
    return reader


def test_a_follower_gets_what_was_written_before_the_pod_went(objects: Objects) -> None:
    objects.put_raw("Pod", "ADDED", pod("p"))
    reader = follow(objects)
    objects.append_log("shop", "p", "main", 0, stamp(1), "last words\n")
    objects.remove_raw("Pod", pod("p"))
    assert not reader.ended
    assert reader.take() == b"last words\n"
    assert reader.ended


def test_a_follower_ends_with_its_run_and_not_with_the_next(objects: Objects) -> None:
    objects.put_raw("Pod", "ADDED", pod("p"))
    reader = follow(objects)
    assert (reader.take(), reader.ended) == (b"", False)
    objects.put_raw("Pod", "MODIFIED", pod("p", restart=1))
    assert reader.ended
    assert not follow(objects).ended


def test_a_follower_ends_when_the_log_is_ended(objects: Objects) -> None:
    objects.put_raw("Pod", "ADDED", pod("p"))
    reader = follow(objects)
    objects.end_log("shop", "p", "main", 0)
    assert reader.ended


def test_a_pod_of_the_same_name_has_a_log_of_its_own(objects: Objects) -> None:
    objects.put_raw("Pod", "ADDED", pod("p", uid="one"))
    objects.append_log("shop", "p", "main", 0, stamp(1), "first\n")
    objects.put_raw("Pod", "ADDED", pod("p", uid="two"))
    assert log(objects) == (200, b"")


LINES = st.lists(st.binary(max_size=5).map(lambda text: text.replace(b"\n", b"") + b"\n"), max_size=8)


@given(LINES, st.integers(0, 9), st.none() | st.integers(1, 40), st.integers(0, 8))
def test_followed_in_parts_or_read_at_the_end_it_is_the_same(
    lines: list[bytes], tail: int, limit: int | None, parted: int
) -> None:
    run = RunLog()
    for line in lines[:parted]:
        run.append(stamp(1), line)
    reader = LogReader(run, LogOptions(follow=True, limit_bytes=limit))
    taken = reader.take(most=1)
    for line in lines[parted:]:
        run.append(stamp(1), line)
        taken += reader.take(most=3)
    run.end()
    while not reader.ended:
        taken += reader.take(most=3)
    whole = b"".join(lines)
    assert taken == (whole if limit is None else whole[:limit])
    last = LogReader(run, LogOptions(tail_lines=tail)).take()
    assert last == b"".join(lines[len(lines) - min(tail, len(lines)) :])
