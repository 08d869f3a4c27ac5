"""Lists and watch lines, typed with the few fields that are read."""

import contextlib

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from responder.cluster.wire import Event, Page, decoders


class Meta(msgspec.Struct, rename="camel"):
    name: str


class Thing(msgspec.Struct):
    metadata: Meta


DECODE_LIST, DECODE_EVENT = decoders(Thing, lambda wire: wire.metadata.name)


def test_a_page_gives_its_version_the_token_and_trimmed_items() -> None:
    body = b'{"metadata":{"resourceVersion":"7","continue":"abc"},"items":[{"metadata":{"name":"a"},"spec":{"x":[1]}}]}'
    assert DECODE_LIST(body) == Page("7", "abc", ["a"])


@pytest.mark.parametrize("items", [b"null", b"[]"])
def test_an_empty_list_may_be_null(items: bytes) -> None:
    assert DECODE_LIST(b'{"metadata":{"resourceVersion":"7"},"items":' + items + b"}") == Page("7", None, [])


def test_an_event_gives_its_version_and_the_trimmed_object() -> None:
    line = b'{"type":"ADDED","object":{"metadata":{"name":"a","resourceVersion":"8"}}}\n'
    assert DECODE_EVENT(line) == Event("ADDED", "8", "a")


def test_a_bookmark_has_a_version_and_no_object() -> None:
    line = b'{"type":"BOOKMARK","object":{"kind":"Thing","metadata":{"resourceVersion":"9"}}}'
    assert DECODE_EVENT(line) == Event("BOOKMARK", "9")


def test_an_error_event_carries_its_status() -> None:
    event = DECODE_EVENT(b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}')
    assert event.status is not None
    assert (event.object, event.status.code, event.status.reason) == (None, 410, "Expired")


def test_an_object_that_nests_deeper_than_a_decoder_goes_hides_no_other() -> None:
    strange = (
        b'{"metadata":{"name":"a","resourceVersion":"8"},"spec":{"of":"]}\\"{","deep":'
        + b'[{"x":' * 10_000
        + b"1"
        + b"}]" * 10_000
        + b"}}"
    )
    other = b'{"metadata":{"name":"b","resourceVersion":"9"}}'
    listed = b'{"metadata":{"resourceVersion":"9"},"items":[' + strange + b"," + other + b"]}"

    assert DECODE_LIST(listed) == Page("9", None, ["a", "b"])
    assert DECODE_EVENT(b'{"type":"MODIFIED","object":' + strange + b"}") == Event("MODIFIED", "8", "a")


@given(st.binary(max_size=200))
@example(b'{"type":"ADDED","object":' + b"[" * 20_000)
@settings(max_examples=200, deadline=None)
def test_hostile_lines_raise_only_what_the_reflector_expects(line: bytes) -> None:
    for decode in (DECODE_EVENT, DECODE_LIST):
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            decode(line)
