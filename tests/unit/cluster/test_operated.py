"""AtlasMigration as a hook: recorded like a Job, from its operator's conditions alone."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from responder.core.attempts import never_started
from responder.demo.objects import Objects
from responder.demo.resources import ATLAS, RESOURCES, discovery
from tests.unit.cluster.hook_world import HookWorld, LeapingClock, hook_world

REASON = 'sql/migrate: executing statement "ALTER TABLE t ADD c int;" from version "2024": Error 1060: Duplicate column'


async def test_a_migration_that_fails_is_recorded_with_what_its_operator_says(tmp_path: Path) -> None:
    async with hook_world(tmp_path, operators=True) as world:
        world.migration()
        await world.until(lambda: world.runs)
        assert world.run.active == 1  # nobody knows whether it runs: nothing may end it unasked
        world.migration(status="False", reason="Reconciling", message="Reconciling")
        await world.until(lambda: world.run.conditions)
        assert world.run.failed is None
        world.migration(status="False", reason="Migrating", message=REASON)
        await world.until(lambda: world.run.failed)

        run = world.run
        assert (run.kind, run.tracked, run.hook_types, run.active) == ("AtlasMigration", "shop", ("PreSync",), 0)
        [failed] = run.conditions
        assert (failed.reason, failed.message) == ("Migrating", REASON)
        assert failed.at == datetime(2026, 11, 21, 3, 0, 7, tzinfo=UTC)
        assert not never_started(run)
        assert run.gaps == ()
        assert await world.store.hook_run("in-cluster", "atlas-shop") == run


async def test_one_that_ends_well_is_complete_and_its_end_is_kept_when_it_is_deleted(tmp_path: Path) -> None:
    async with hook_world(tmp_path, operators=True) as world:
        world.migration(status="False", reason="Reconciling", message="Reconciling")
        await world.until(lambda: world.runs)
        done = world.migration(status="True", reason="Applied", message="")
        world.gone("AtlasMigration", done)
        await world.until(lambda: world.runs and world.run.gone_at)

        assert world.run.completed is not None
        assert world.run.failed is None


async def test_conditions_of_an_older_spec_say_nothing_of_this_one(tmp_path: Path) -> None:
    async with hook_world(tmp_path, operators=True) as world:
        world.migration(generation=2, status="True", reason="Applied", message="")
        await world.until(lambda: world.runs)

        assert world.run.completed is None


async def test_one_that_went_while_we_were_away_is_gone(tmp_path: Path) -> None:
    async with hook_world(tmp_path, operators=True) as world:
        held = world.migration()
        await world.until(lambda: world.runs)
        await world.stop()
        world.gone("AtlasMigration", held)
        async with hook_world(tmp_path, world=world):
            await _synced(world)
            await world.recorder.recover([world.app])
            await world.until(lambda: world.run.gone_at)


async def _synced(world: HookWorld) -> None:
    async with asyncio.timeout(10):
        while not world.recorder._operated.synced:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)


async def test_an_operator_that_is_installed_later_is_found_and_its_absence_is_no_trouble(tmp_path: Path) -> None:
    clock = LeapingClock()
    async with hook_world(tmp_path, clock=clock) as world:
        await _synced(world)
        assert [reflector.resource for reflector in world.recorder.reflectors] == ["jobs"]
        _install(world.server.api.objects, world)
        while not world.recorder._operated.reflectors:
            await clock.leap(300)
            await asyncio.sleep(0.01)
        world.migration(status="False", reason="Migrating", message=REASON)
        await world.until(lambda: world.runs and world.run.failed)

        assert 'resource="atlasmigrations"' not in world.metrics.render().decode()


def _install(objects: Objects, world: HookWorld) -> None:
    """Its CustomResourceDefinitions, in the server that runs."""
    other = Objects(objects.clock)
    objects._shelves |= {kind: other._shelves[kind] for kind in ATLAS}
    world.server.api._documents.update(discovery(RESOURCES))
    world.server.api._routes = type(world.server.api._routes)(RESOURCES)
