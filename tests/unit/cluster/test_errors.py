"""Error answers from anybody: an API server, a load balancer, a stranger."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.cluster.errors import ApiError, Unavailable, refused


@given(st.integers(300, 599), st.binary(max_size=200), st.text(max_size=20))
@settings(max_examples=200, deadline=None)
def test_any_body_and_any_retry_after_make_an_error(status: int, body: bytes, retry_after: str) -> None:
    error = refused(status, None, {"Retry-After": retry_after}, body)
    assert isinstance(error, ApiError)
    assert error.status == status
    assert error.retry_after is None or error.retry_after >= 0


@pytest.mark.parametrize("body", [b'{"a":' + b"[" * 60_000, b'{"details":' + b'{"a":' * 12_000])
def test_brackets_without_end_are_no_status(body: bytes) -> None:
    assert isinstance(refused(500, "Internal Server Error", {}, body), Unavailable)


@pytest.mark.parametrize(
    ("header", "body", "seconds"),
    [
        ("3", b"", 3.0),
        ("-3", b"", 0.0),
        ("nan", b"", 0.0),
        ("Sat, 21 Nov 2026 03:00:00 GMT", b"", None),
        ("", b'{"details":{"retryAfterSeconds":7}}', 7.0),
        ("2", b'{"details":{"retryAfterSeconds":7}}', 2.0),
        ("", b'{"details":{"retryAfterSeconds":"soon"}}', None),
    ],
)
def test_retry_after_is_seconds_from_the_header_or_the_status(header: str, body: bytes, seconds: float | None) -> None:
    assert refused(429, None, {"Retry-After": header}, body).retry_after == seconds


def test_a_long_message_is_cut() -> None:
    assert len(refused(422, None, {}, b'{"message":"' + b"x" * 9000 + b'"}').message) == 1024
