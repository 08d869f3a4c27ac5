import pytest

from responder.core.evidence import Freshness
from responder.store.sqlite import SqliteStore
from tests.contract.store.examples import NIGHT
from tests.unit.web.world import Client, World, served


async def test_alive_is_alive_whatever_is_away(world: World, store: SqliteStore) -> None:
    await store.close()
    async with served(world.faces(), "") as client:
        assert (await client.get("/healthz")).status == 200


async def test_ready_when_the_store_takes_writes_and_the_cluster_is_seen(stranger: Client) -> None:
    response = await stranger.get("/readyz")

    assert response.status == 200
    assert await response.json() == {
        "ready": True,
        "waits_for": [],
        "store": "ok",
        "watches": {"synced": True, "observed_at": "2026-11-21T03:00:00Z", "trouble": ""},
        "leader": True,
        "configuration": {"rules_file": "", "loaded_at": None, "trouble": ""},
        "pending_wakeups": 0,
    }


@pytest.mark.parametrize(
    ("fresh", "told"),
    [
        (Freshness(synced=False, observed_at=None), "the cluster: not every watch has listed yet"),
        (Freshness(synced=True, observed_at=NIGHT, trouble="jobs: silent"), "the cluster: jobs: silent"),
    ],
)
async def test_until_the_cluster_is_seen_it_says_what_it_waits_for(world: World, fresh: Freshness, told: str) -> None:
    world.cluster.fresh = fresh
    async with served(world.faces(pending=lambda: 3), "") as client:
        response = await client.get("/readyz")

        found = await response.json()
        assert response.status == 503
        assert (found["waits_for"], found["pending_wakeups"]) == ([told], 3)


async def test_a_store_that_takes_no_writes_is_told(world: World, store: SqliteStore) -> None:
    await store.close()
    async with served(world.faces(), "") as client:
        response = await client.get("/readyz")

        assert response.status == 503
        assert (await response.json())["waits_for"][0].startswith("the store: ")


async def test_the_store_is_not_written_at_every_question(world: World, stranger: Client) -> None:
    """The route is open to everybody: it must not be a way to wear out a disk."""
    await stranger.get("/readyz")
    first = (await world.store.settings())["checked_at"]
    await world.clock.sleep(60)
    await stranger.get("/readyz")

    assert (await world.store.settings())["checked_at"] == first


async def test_the_version_is_the_package_s(stranger: Client) -> None:
    assert await (await stranger.get("/version")).json() == {"version": "0.1.0"}


@pytest.mark.parametrize(
    ("accept", "kind", "end"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8", ""),
        ("application/openmetrics-text;version=1.0.0,*/*;q=0.1", "application/openmetrics-text", "# EOF\n"),
    ],
)
async def test_metrics_come_as_they_are_asked_for(client: Client, accept: str, kind: str, end: str) -> None:
    response = await client.get("/metrics", headers={"Accept": accept})

    text = await response.text()
    assert response.headers["Content-Type"].startswith(kind)
    assert "responder_webhooks_total" in text
    assert text.endswith(end)
