from urllib.parse import urlencode

import msgspec
import pytest

from responder.core.argocd import OperationPhase, OperationState
from responder.core.evidence import Freshness
from responder.ports import PutSetting
from responder.store.sqlite import SqliteStore
from tests.contract.store.examples import NIGHT, ORDERS, after
from tests.unit.web.world import BEFORE, REVISION, Client, World, redacted, served

HALF_APPLIED = "laravel__mariadb__partial-ddl.log"
SYNTAX = "django__postgres__syntax-error.log"


async def ask(client: Client, **query: str) -> dict[str, object]:
    response = await client.get("/v1/gate", params=query)
    assert response.status == 200, await response.text()
    answer: dict[str, object] = await response.json()
    return answer


async def test_what_failed_is_a_failure_with_its_incident(world: World, client: Client) -> None:
    opened = await world.fail(redacted(SYNTAX))

    found = await ask(client, namespace="argocd", application="orders", revision=REVISION)

    assert (found["result"], found["incident"]) == ("failure", opened.id)
    assert found["reason"] == f"argocd/orders failed at {REVISION}: syntax-error"


async def test_what_was_left_behind_holds_every_environment(world: World, client: Client) -> None:
    await world.fail(redacted(HALF_APPLIED))
    (block,) = world.desk.blocks()

    found = await ask(client, service="shop/orders", environment="production", revision=REVISION)

    assert (found["result"], found["block"]) == ("failure", block.id)


async def test_it_holds_the_same_image_under_another_revision(world: World, client: Client) -> None:
    await world.fail(redacted(HALF_APPLIED), image="shop/orders:5.2.0")
    where = {"service": "shop/orders", "environment": "production", "revision": BEFORE}

    async def result(*images: str) -> object:
        named = "".join(f"&image={image}" for image in images)
        response = await client.get(f"/v1/gate?{urlencode(where)}{named}")
        return (await response.json())["result"]

    assert await result("proxy:1", "shop/orders:5.2.0") == "failure"
    assert await result("shop/orders:5.3.0") == "pending"


async def test_it_says_how_old_its_knowledge_is(world: World, client: Client) -> None:
    world.deploy(ORDERS)
    world.cluster.fresh = Freshness(synced=True, observed_at=after(-3))

    found = await ask(client, namespace="argocd", application="orders", revision=REVISION)

    assert found["observed_at"] == "2026-11-21T02:57:00Z"


async def test_what_was_deployed_before_is_a_success(world: World, client: Client) -> None:
    world.deploy(ORDERS)

    found = await ask(client, namespace="argocd", application="orders", revision=BEFORE)

    assert found["result"] == "success"
    assert "unobserved" in str(found["reason"])


@pytest.mark.parametrize(
    "query",
    [
        {"namespace": "argocd", "application": "nobody", "revision": REVISION},
        {"service": "nothing", "environment": "nowhere", "revision": REVISION},
        {"namespace": "argocd", "application": "orders", "revision": "a-revision-that-nobody-saw"},
    ],
)
async def test_what_is_not_known_is_pending(world: World, client: Client, query: dict[str, str]) -> None:
    world.deploy(ORDERS)

    assert (await ask(client, **query))["result"] == "pending"


async def test_a_picture_that_is_not_current_is_pending(world: World, client: Client) -> None:
    world.deploy(ORDERS)
    world.cluster.fresh = Freshness(synced=True, observed_at=None, trouble="the watch of Applications is silent")

    found = await ask(client, namespace="argocd", application="orders", revision=BEFORE)

    assert found["result"] == "pending"
    assert "the watch of Applications is silent" in str(found["reason"])


async def test_a_store_that_is_away_is_pending(world: World, store: SqliteStore) -> None:
    world.deploy(ORDERS)
    await store.close()
    async with served(world.faces()) as client:
        found = await ask(client, namespace="argocd", application="orders", revision=BEFORE)

    assert found["result"] == "pending"


async def test_a_gate_hook_asks_without_a_revision(world: World, client: Client) -> None:
    app = world.deploy(ORDERS, labels={"hook-responder.io/environment": "staging"})
    syncs = OperationState(NIGHT, OperationPhase.RUNNING, revisions=(REVISION,))
    world.cluster.apps[ORDERS] = msgspec.structs.replace(app, operation=syncs)

    found = await ask(client, namespace="argocd", application="orders", **{"for": "sync"})

    assert found["result"] == "success"


async def test_a_gate_hook_waits_until_the_operation_that_it_is_of_is_seen(world: World, client: Client) -> None:
    """What is seen is the operation before: its revision is another's."""
    app = world.deploy(ORDERS, labels={"hook-responder.io/environment": "staging"})
    ended = OperationState(NIGHT, OperationPhase.SUCCEEDED, finished_at=NIGHT, revisions=(BEFORE,))
    world.cluster.apps[ORDERS] = msgspec.structs.replace(app, operation=ended)

    found = await ask(client, namespace="argocd", application="orders", **{"for": "sync"})

    assert (found["result"], found["reason"]) == (
        "pending",
        "no revision was named, and no single running sync tells it",
    )


async def test_a_gate_hook_of_an_environment_that_is_not_in_the_order_waits(world: World, client: Client) -> None:
    world.deploy(ORDERS, labels={"hook-responder.io/environment": "elsewhere"})

    found = await ask(client, namespace="argocd", application="orders", revision=REVISION, **{"for": "sync"})

    assert found["result"] == "pending"
    assert found["reason"] == "elsewhere is not in promotion.environments: what comes before it is not known"


async def test_a_gate_hook_of_a_subject_that_nobody_knows_waits(client: Client) -> None:
    query = {"service": "nobody", "environment": "staging", "revision": REVISION, "for": "sync"}

    assert (await ask(client, **query))["result"] == "pending"


async def test_a_gate_hook_waits_for_the_environment_before(world: World, client: Client) -> None:
    world.deploy(ORDERS, labels={"hook-responder.io/environment": "production"})

    found = await ask(client, namespace="argocd", application="orders", revision=REVISION, **{"for": "sync"})

    assert found["result"] == "pending"


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"service": "orders", "revision": "x"},
        {"namespace": "argocd", "revision": "x"},
        {"namespace": "argocd", "application": "orders"},
        {"namespace": "argocd", "application": "orders", "service": "a", "revision": "x"},
        {"namespace": "argocd", "application": "o", "service": "a", "environment": "b", "revision": "x"},
        {"namespace": "argocd", "application": "orders", "revision": "x", "for": "fun"},
        {"namespace": "argocd", "application": "orders", "revision": "x" * 600},
        {"namespace": "argocd", "application": "orders", "revision": "x", "wait": "true"},
    ],
)
async def test_half_a_question_is_refused(client: Client, query: dict[str, str]) -> None:
    response = await client.get("/v1/gate", params=query)

    assert response.status == 400


async def test_answers_are_counted(world: World, client: Client) -> None:
    await ask(client, namespace="argocd", application="nobody", revision="x")

    assert 'responder_gate_requests_total{result="pending"} 1.0' in world.metrics.render().decode()


# Blocks.


async def test_a_person_holds_a_service_back_and_lets_it_go(world: World, client: Client) -> None:
    world.deploy(ORDERS)
    said = {"service": "shop/orders", "why": "release freeze", "environments": ["production"], "for": "2h"}

    made = await client.post("/v1/blocks", json=said)
    block = await made.json()
    held = await ask(client, service="shop/orders", environment="production", revision=REVISION)
    listed = await (await client.get("/v1/blocks")).json()
    lifted = await client.delete(f"/v1/blocks/{block['id']}?why=over")
    again = await client.delete(f"/v1/blocks/{block['id']}")

    assert (made.status, block["created_by"], block["expires_at"]) == (201, "ana", "2026-11-21T05:00:00Z")
    assert (held["result"], held["reason"], held["block"]) == ("failure", "release freeze", block["id"])
    assert [b["id"] for b in listed["blocks"]] == [block["id"]]
    assert (lifted.status, (await lifted.json())["ended_by"]) == (200, "ana")
    assert again.status == 404
    assert await world.store.blocks() == []


@pytest.mark.parametrize(
    "said",
    [
        {"service": "orders"},
        {"why": "x"},
        {"service": "", "why": "x"},
        {"service": "orders", "why": "x", "for": "a while"},
        {"service": "orders", "why": "x", "for": "0s"},
        {"service": "orders", "why": "x", "environments": "production"},
    ],
)
async def test_half_a_block_is_refused(world: World, client: Client, said: dict[str, str]) -> None:
    response = await client.post("/v1/blocks", json=said)

    assert response.status == 422
    assert world.desk.blocks() == []


async def test_a_viewer_neither_holds_back_nor_lets_go(world: World, viewer: Client) -> None:
    await world.fail(redacted(HALF_APPLIED))
    (block,) = world.desk.blocks()

    made = await viewer.post("/v1/blocks", json={"service": "orders", "why": "x"})
    lifted = await viewer.delete(f"/v1/blocks/{block.id}")

    assert (made.status, lifted.status) == (403, 403)
    assert world.desk.blocks() == [block]


# The kill switch's other half.


async def test_a_restored_store_is_released_by_a_named_person(world: World, client: Client) -> None:
    await world.store.commit(PutSetting("restored", "true"))
    await world.reconciler.loader.start()

    told = await (await client.put("/v1/killswitch", json={"engaged": False})).json()

    assert told["restored_store_released"] is True
    assert "kubectl -n hook-responder patch configmap responder-killswitch" in told["detail"]
    assert (await world.store.settings())["restored"] == "false"
    (entry, *_) = await world.store.audit()
    assert (entry.who, entry.what) == ("ana", "released the restored store")


async def test_engaging_it_is_left_to_the_cluster_and_says_how(client: Client) -> None:
    response = await client.put("/v1/killswitch", json={"engaged": True})

    assert response.status == 501
    assert '{"data":{"engaged":"true"}}' in (await response.json())["detail"]


async def test_a_viewer_releases_nothing(world: World, viewer: Client) -> None:
    world.reconciler.loader.restored = True

    response = await viewer.put("/v1/killswitch", json={"engaged": False})

    assert response.status == 403
    assert world.reconciler.loader.restored
