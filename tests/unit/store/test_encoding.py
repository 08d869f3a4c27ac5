from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.core.incident import Incident
from responder.core.logblock import fold
from responder.ports import AppendLog, PutIncident, StoreError
from responder.store.encoding import from_cursor, instant, micros, pack, pack_log, to_cursor, unpack
from responder.store.sqlite import SqliteStore
from tests.contract.store.examples import chunk, hook_run, incident


def test_a_short_value_lies_readable_and_a_long_one_compressed() -> None:
    assert pack(incident("i1")).startswith(b'{"id":"i1"')
    assert pack(hook_run("a", images=300))[:4] == b"\x28\xb5\x2f\xfd", "the mark of zstd"
    assert pack_log(fold(chunk("k", 1)))[:4] == b"\x28\xb5\x2f\xfd"
    assert unpack(pack(incident("i1")), Incident) == incident("i1")


@pytest.mark.parametrize("body", [b"", b"{", b"\x28\xb5\x2f\xfdcut", b'{"id": 1}', pack(incident("i1"))[:-1]])
def test_what_cannot_be_read_is_said(body: bytes) -> None:
    with pytest.raises(StoreError, match="a stored Incident cannot be read"):
        unpack(body, Incident)


def test_what_a_newer_version_added_is_passed_over() -> None:
    newer = pack(incident("i1"))[:-1] + b',"added_later":true}'
    assert unpack(newer, Incident) == incident("i1")


async def test_one_damaged_row_is_said_and_the_others_are_read(store: SqliteStore) -> None:
    await store.commit(PutIncident(incident("i1")), AppendLog(chunk("k", 1)))
    await store._writer.run(lambda db: db.execute("UPDATE logs SET body = x'28b52ffd00'"))
    with pytest.raises(StoreError, match="a stored LogBlock cannot be read"):
        await store.log("k")
    assert await store.incident("i1") == incident("i1")


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_comes_back_to_the_microsecond(at: datetime) -> None:
    assert instant(micros(at)) == at


def test_times_of_other_zones_are_the_same_instants() -> None:
    there = timezone(timedelta(hours=2))
    assert micros(datetime(2026, 11, 21, 5, 0, tzinfo=there)) == micros(datetime(2026, 11, 21, 3, 0, tzinfo=UTC))


@given(st.integers(0, 1 << 60), st.text())
def test_a_cursor_comes_back(at: int, key: str) -> None:
    assert from_cursor(to_cursor(at, key)) == (at, key)


@given(st.text(max_size=40))
def test_any_other_text_is_a_bad_value_or_a_cursor(text: str) -> None:
    try:
        at, key = from_cursor(text)
    except ValueError:
        return
    assert from_cursor(to_cursor(at, key)) == (at, key)
