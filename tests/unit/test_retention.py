from datetime import timedelta
from pathlib import Path

import pytest

from responder.config import Retention
from responder.core.incident import IncidentState
from responder.ports import AppendLog, PutIncident, StoreError
from responder.retention import keep_to
from responder.store.sqlite import SqliteStore
from tests.contract.store.examples import StandingClock, chunk, incident


class EndedError(Exception):
    """The clock has run for long enough."""


class Hours(StandingClock):
    """Passes an hour whenever somebody sleeps, some times."""

    def __init__(self, hours: int) -> None:
        super().__init__()
        self.left = hours

    async def sleep(self, seconds: float) -> None:
        assert seconds == 3600
        if not self.left:
            raise EndedError
        self.left -= 1
        await super().sleep(seconds)


async def test_what_is_older_than_the_configuration_says_is_forgotten_and_open_incidents_are_not(
    tmp_path: Path,
) -> None:
    clock = Hours(2)
    async with await SqliteStore.open(tmp_path / "responder.db", clock=clock) as store:
        await store.commit(
            PutIncident(incident("over", state=IncidentState.RESOLVED, resolved=0)),
            PutIncident(incident("open", uid="uid-open")),
        )
        with pytest.raises(EndedError):
            await keep_to(Retention(incidents=timedelta(minutes=90)), store, clock)
        assert await store.incident("over") is None
        assert await store.incident("open") is not None


async def test_nothing_is_forgotten_before_its_time(tmp_path: Path) -> None:
    clock = Hours(2)
    async with await SqliteStore.open(tmp_path / "responder.db", clock=clock) as store:
        await store.commit(
            PutIncident(incident("over", state=IncidentState.RESOLVED, resolved=0)), AppendLog(chunk("pod/m/0", 1, 2))
        )
        with pytest.raises(EndedError):
            await keep_to(Retention(incidents=timedelta(minutes=150)), store, clock)
        assert await store.incident("over") is not None
        assert await store.log("pod/m/0") is not None


async def test_a_store_that_cannot_is_asked_again_an_hour_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Hours(2)
    store = await SqliteStore.open(tmp_path / "responder.db", clock=clock)
    await store.close()
    with pytest.raises(EndedError):
        await keep_to(Retention(), store, clock)
    with pytest.raises(StoreError):
        await store.settings()
    assert [record.message.split(":")[0] for record in caplog.records] == ["nothing could be forgotten"] * 3
