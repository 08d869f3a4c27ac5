import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.core.duration import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("2m", 120), ("1h30m", 5400), ("7d", 604800), ("250ms", 0.25), ("1.5h", 5400)]
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "30", "s", "-5s", "1 h", "30sec", "1h 30m", "٣s", 30, None, True, ["30s"]])
def test_anything_else_is_refused_with_what_would_be_right(text: object) -> None:
    with pytest.raises(ValueError, match="write it like 30s, 2m, 1h30m or 7d"):
        parse_duration(text)


def test_a_duration_beyond_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="hundred years"):
        parse_duration("999999999d")


@given(st.text(alphabet="0123456789.smhd ", max_size=30))
def test_no_text_does_worse_than_being_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_duration(text) >= timedelta(0)


@given(st.integers(min_value=0, max_value=10**8))
def test_whole_seconds_are_written_so_that_they_are_read_again(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == timedelta(seconds=seconds)
