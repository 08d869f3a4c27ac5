"""A store that is in use is asked, and never written."""

from pathlib import Path

import pytest

from responder.ports import AppendLog, IncidentQuery, PutHookRun, PutIncident, PutOperation, StoreError
from responder.store.reading import StoreReader
from responder.store.sqlite import SqliteStore
from tests.contract.store.examples import NIGHT, ORDERS, StandingClock, chunk, hook_run, incident, operation


async def test_what_a_service_keeps_is_read_while_it_runs(tmp_path: Path) -> None:
    path = tmp_path / "responder.db"
    async with await SqliteStore.open(path, clock=StandingClock()) as store, StoreReader(path) as reader:
        kept, ran, run, log = incident("i1"), operation(0), hook_run("r1"), chunk("a/b/0", 1, 2)
        await store.commit(PutIncident(kept), PutOperation(ran), PutHookRun(ORDERS, run), AppendLog(log))
        assert await reader.incident("i1") == kept
        assert (await reader.incidents(IncidentQuery())).incidents == (kept,)
        assert await reader.operations(ran.app_uid) == [ran]
        assert await reader.hook_runs(ORDERS, since=NIGHT.replace(year=2000)) == [run]
        assert await reader.hook_runs(ORDERS, since=NIGHT.replace(year=3000)) == []
        assert await reader.log(log.key) == log


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store here"):
        StoreReader(tmp_path / "responder.db")
    assert list(tmp_path.iterdir()) == []
