import asyncio
from datetime import timedelta

import msgspec
import pytest

from responder.core.incident import IncidentState
from responder.ports import AppendAudit, AuditEntry, PutIncident, PutSetting, Store, StoreConflictError
from tests.contract.store.conftest import Opened
from tests.contract.store.examples import NIGHT, StandingClock, incident


async def test_what_was_committed_is_there_after_opening_again(opened: Opened) -> None:
    async with opened() as store:
        await store.commit(PutIncident(incident("i1")), PutSetting("killswitch", "engaged"))
    async with opened() as store:
        assert await store.incident("i1") == incident("i1")
        assert (await store.settings())["killswitch"] == "engaged"


async def test_the_day_of_installation_is_set_once(opened: Opened, clock: StandingClock) -> None:
    async with opened():
        pass
    await clock.sleep(3600)
    async with opened() as store:
        assert (await store.settings())["installed_at"] == "2026-11-21T03:00:00+00:00"


async def test_several_writes_are_one(store: Store) -> None:
    await store.commit(PutIncident(incident("i1")))
    with pytest.raises(StoreConflictError):
        await store.commit(PutSetting("killswitch", "engaged"), PutIncident(incident("i2")))
    assert "killswitch" not in await store.settings()
    assert await store.incident("i2") is None


async def test_an_application_has_one_open_incident_at_most(store: Store) -> None:
    await store.commit(PutIncident(incident("i1")))
    with pytest.raises(StoreConflictError):
        await store.commit(PutIncident(incident("i2", state=IncidentState.ACKNOWLEDGED)))
    assert await store.incident("i1") == incident("i1")
    await store.commit(PutIncident(incident("i1", state=IncidentState.RESOLVED)), PutIncident(incident("i2")))
    assert await store.incident("i2") == incident("i2")


async def test_an_incident_that_somebody_else_has_changed_is_not_overwritten(store: Store) -> None:
    """Two responders that both believe to be the active one: what the first wrote, a person's word say, stays."""
    first = incident("i1")
    await store.commit(PutIncident(first))
    later = msgspec.structs.replace(first, updated_at=first.updated_at + timedelta(seconds=1), owner="ana")
    await store.commit(PutIncident(later, first.updated_at))
    with pytest.raises(StoreConflictError):
        await store.commit(PutIncident(first, first.updated_at), PutSetting("killswitch", "engaged"))
    assert await store.incident("i1") == later
    assert "killswitch" not in await store.settings()
    with pytest.raises(StoreConflictError):
        await store.commit(PutIncident(incident("gone"), first.updated_at))


async def test_a_parent_is_open_beside_its_children(store: Store) -> None:
    await store.commit(PutIncident(incident("i1")), PutIncident(incident("p1", children=("i1",))))
    assert await store.incident("p1") == incident("p1", children=("i1",))


async def test_who_fails_does_not_fail_the_others(store: Store) -> None:
    """Thirty commits wait at once; every third is refused."""
    await store.commit(PutIncident(incident("i0")))
    commits = [
        store.commit(PutIncident(incident("second"))) if n % 3 == 0 else store.commit(PutSetting(f"n{n}", "kept"))
        for n in range(30)
    ]
    results = await asyncio.gather(*commits, return_exceptions=True)
    assert [isinstance(r, StoreConflictError) for r in results] == [n % 3 == 0 for n in range(30)]
    kept = {name for name, value in (await store.settings()).items() if value == "kept"}
    assert kept == {f"n{n}" for n in range(30) if n % 3}


async def test_a_mistake_of_the_caller_comes_back_to_the_caller(store: Store) -> None:
    """A time without a zone is no time."""
    with pytest.raises(TypeError):
        await store.commit(PutSetting("a", "b"), AppendAudit(AuditEntry(NIGHT.replace(tzinfo=None), "ann", "resync")))
    assert "a" not in await store.settings()


async def test_a_commit_of_nothing_is_good(store: Store) -> None:
    await store.commit()


async def test_later_writes_of_one_caller_win(store: Store) -> None:
    await store.commit(PutSetting("a", "1"), PutSetting("a", "2"))
    assert (await store.settings())["a"] == "2"
