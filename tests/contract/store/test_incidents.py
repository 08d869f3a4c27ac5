import pytest

from responder.core.failure import Category
from responder.core.incident import IncidentState
from responder.ports import IncidentQuery, PutIncident, Store
from tests.contract.store.examples import BILLING, ORDERS, incident

RESOLVED = IncidentState.RESOLVED


async def ids(store: Store, query: IncidentQuery) -> list[str]:
    return [i.id for i in (await store.incidents(query)).incidents]


async def test_an_unknown_incident_is_none(store: Store) -> None:
    assert await store.incident("never") is None


async def test_an_incident_is_replaced_by_its_newer_self(store: Store) -> None:
    await store.commit(PutIncident(incident("i1")))
    later = incident("i1", state=RESOLVED, category=Category.DEADLOCK, resolved=5)
    await store.commit(PutIncident(later))
    assert await store.incident("i1") == later


async def test_newest_first_and_by_id_where_the_time_is_the_same(store: Store) -> None:
    for name, opened in (("b", 1), ("a", 1), ("c", 0), ("d", 2)):
        await store.commit(PutIncident(incident(name, opened=opened, state=RESOLVED)))
    assert await ids(store, IncidentQuery()) == ["d", "b", "a", "c"]


async def test_pages_join_without_a_hole_or_a_repetition_while_new_ones_come(store: Store) -> None:
    for n in range(5):
        await store.commit(PutIncident(incident(f"i{n}", opened=n // 2, state=RESOLVED)))
    first = await store.incidents(IncidentQuery(limit=2))
    await store.commit(PutIncident(incident("new", opened=9, state=RESOLVED)))
    second = await store.incidents(IncidentQuery(limit=2, cursor=first.next_cursor))
    third = await store.incidents(IncidentQuery(limit=2, cursor=second.next_cursor))
    seen = [i.id for page in (first, second, third) for i in page.incidents]
    assert seen == ["i4", "i3", "i2", "i1", "i0"]
    assert (bool(first.next_cursor), bool(second.next_cursor), third.next_cursor) == (True, True, "")


async def test_a_full_last_page_has_no_next(store: Store) -> None:
    await store.commit(PutIncident(incident("i1")), PutIncident(incident("i2", app=BILLING)))
    assert (await store.incidents(IncidentQuery(limit=2))).next_cursor == ""


@pytest.mark.parametrize("cursor", ["nonsense", "AAAA", "!!", "é", "MTIz"])
async def test_a_cursor_that_is_not_ours_is_a_bad_value(store: Store, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        await store.incidents(IncidentQuery(cursor=cursor))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (IncidentQuery(states=(IncidentState.FIRING, IncidentState.ACKNOWLEDGED)), ["billing", "orders"]),
        (IncidentQuery(states=(RESOLVED,)), ["old"]),
        (IncidentQuery(app=ORDERS), ["orders", "old"]),
        (IncidentQuery(app_uid="uid-billing"), ["billing"]),
        (IncidentQuery(project="money"), ["billing"]),
        (IncidentQuery(category="deadlock"), ["old"]),
        (IncidentQuery(correlation="db.shop:connection-refused"), ["billing", "orders"]),
        (IncidentQuery(app=ORDERS, states=(IncidentState.FIRING,)), ["orders"]),
        (IncidentQuery(project="' OR 1=1 --"), []),
    ],
)
async def test_filters_must_all_hold(store: Store, query: IncidentQuery, found: list[str]) -> None:
    key = "db.shop:connection-refused"
    await store.commit(
        PutIncident(incident("old", opened=0, state=RESOLVED, category=Category.DEADLOCK)),
        PutIncident(incident("orders", opened=1, correlation=key, category=Category.CONNECTION_REFUSED)),
        PutIncident(incident("billing", app=BILLING, opened=2, project="money", correlation=key)),
    )
    assert await ids(store, query) == found
