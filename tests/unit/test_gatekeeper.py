"""The gate answers from memory, and never from yesterday's."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from responder.core.argocd import AppKey, AttemptResult, OperationPhase, OperationState
from responder.core.promotion import GateResult
from responder.gatekeeper import Gatekeeper, Subjects
from responder.ports import PutOperation
from responder.store.sqlite import SqliteStore
from tests.contract.store.examples import BILLING, NIGHT, ORDERS, StandingClock
from tests.unit.web.world import REVISION, World, failed_operation, redacted


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = StandingClock()
    async with await SqliteStore.open(tmp_path / "responder.db", clock=clock) as store:
        yield World(store, clock)


def keeper(world: World) -> Gatekeeper:
    return Gatekeeper(world.cluster, world.reconciler.loader, world.clock, lambda: world.rules)


STAGING = {"app.kubernetes.io/part-of": "orders", "hook-responder.io/environment": "staging"}
PRODUCTION = {**STAGING, "hook-responder.io/environment": "production"}


async def test_applications_are_found_by_what_they_are(world: World) -> None:
    subjects = Subjects(world.cluster, world.clock)
    world.deploy(ORDERS, labels=STAGING)
    world.deploy(BILLING, labels=PRODUCTION)

    assert list(await subjects.at("orders", "staging", world.rules.policy)) == [ORDERS]
    assert list(await subjects.at("orders", "production", world.rules.policy)) == [BILLING]
    assert list(await subjects.at("orders", "nowhere", world.rules.policy)) == []


async def test_what_changes_is_found_anew(world: World) -> None:
    subjects, policy = Subjects(world.cluster, world.clock), world.rules.policy
    world.deploy(ORDERS, labels=STAGING)
    await subjects.at("orders", "staging", policy)

    world.deploy(ORDERS, labels=PRODUCTION)
    await world.clock.sleep(0.3)
    moved = list(await subjects.at("orders", "production", policy))
    left = list(await subjects.at("orders", "staging", policy))
    world.cluster.apps.clear()
    await world.clock.sleep(0.3)

    assert (moved, left) == ([ORDERS], [])
    assert list(await subjects.at("orders", "production", policy)) == []


async def test_new_labels_in_the_configuration_count_at_once(world: World) -> None:
    subjects = Subjects(world.cluster, world.clock)
    world.deploy(ORDERS, labels={"team": "shop", **STAGING})
    await subjects.at("orders", "staging", world.rules.policy)

    policy = msgspec.structs.replace(world.rules.policy, service_label="team")

    assert list(await subjects.at("shop", "staging", policy)) == [ORDERS]


async def test_an_answer_follows_the_watch_and_not_the_memory_of_it(world: World) -> None:
    gate = keeper(world)
    app = world.deploy(ORDERS)
    failed = failed_operation(ORDERS, app.uid, "image")
    world.cluster.records[ORDERS] = [failed]
    before = await gate.application(ORDERS, REVISION)

    well = msgspec.structs.replace(failed.results[0].result, hook_phase="Succeeded")
    world.cluster.records[ORDERS] = [
        msgspec.structs.replace(
            failed,
            operation_phase=OperationPhase.SUCCEEDED,
            results=(AttemptResult(1, well, failed.started_at, failed.last_seen_at),),
        )
    ]
    after = await gate.application(ORDERS, REVISION)

    assert (before.result, after.result) == (GateResult.FAILURE, GateResult.SUCCESS)


async def test_what_only_the_store_remembers_counts(world: World) -> None:
    gate = keeper(world)
    app = world.deploy(ORDERS)
    await world.store.commit(PutOperation(failed_operation(ORDERS, app.uid, "image")))

    assert (await gate.application(ORDERS, REVISION)).result is GateResult.FAILURE


async def test_two_applications_of_one_subject_must_both_have_it(world: World) -> None:
    gate = keeper(world)
    one = world.deploy(ORDERS, labels=STAGING)
    world.deploy(AppKey("argocd", "orders-eu"), labels=STAGING)
    world.cluster.apps[ORDERS] = msgspec.structs.replace(
        one, history=(*one.history, msgspec.structs.replace(one.history[0], revisions=(REVISION,)))
    )

    assert (await gate.application(ORDERS, REVISION)).result is GateResult.SUCCESS
    assert (await gate.subject("orders", "staging", REVISION)).result is GateResult.PENDING


# Schema skew: half applied in staging.

IMAGE = "registry.example.com/shop/orders:5.2.0"
OWN_COMMIT = "9" * 40  # production's own, with the same image


async def half_applied_in_staging(world: World) -> None:
    world.deploy(ORDERS, labels=STAGING)
    await world.fail(redacted("laravel__mariadb__partial-ddl.log"), image=IMAGE)


async def test_what_is_half_applied_in_staging_holds_its_image_in_production(world: World) -> None:
    await half_applied_in_staging(world)
    gate = keeper(world)

    same = await gate.subject("orders", "production", OWN_COMMIT, images=(IMAGE,))
    newer = await gate.subject("orders", "production", OWN_COMMIT, images=("registry.example.com/shop/orders:5.3.0",))

    assert (same.result, same.incident is not None) == (GateResult.FAILURE, True)
    assert newer.result is GateResult.PENDING


async def test_an_image_that_ran_there_is_known_without_being_named(world: World) -> None:
    await half_applied_in_staging(world)
    app = world.deploy(BILLING, labels=PRODUCTION)
    first_attempt = failed_operation(BILLING, app.uid, IMAGE)
    world.cluster.records[BILLING] = [
        msgspec.structs.replace(first_attempt, operation_phase=OperationPhase.RUNNING, revisions=(OWN_COMMIT,))
    ]
    gate = keeper(world)

    held = await gate.application(BILLING, OWN_COMMIT, for_sync=True)

    assert (held.result, held.block is not None) == (GateResult.FAILURE, True)


async def test_a_sync_of_several_sources_waits_until_all_of_them_were_synced_before(world: World) -> None:
    asks = world.deploy(BILLING, labels=PRODUCTION)
    staging = world.deploy(ORDERS, labels=STAGING)
    syncs = OperationState(NIGHT, OperationPhase.RUNNING, revisions=("1.8.2", OWN_COMMIT))
    world.cluster.apps[BILLING] = msgspec.structs.replace(asks, operation=syncs)
    gate = keeper(world)

    results = []
    for deployed in (("1.8.2", REVISION), ("1.8.2", OWN_COMMIT)):
        history = (*staging.history, msgspec.structs.replace(staging.history[0], revisions=deployed))
        world.cluster.apps[ORDERS] = msgspec.structs.replace(staging, history=history)
        results.append((await gate.application(BILLING, "", for_sync=True)).result)

    assert results == [GateResult.PENDING, GateResult.SUCCESS]
