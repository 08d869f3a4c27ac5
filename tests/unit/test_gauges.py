from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from responder.core.hooks import ContainerRun, HookRun, JobCondition, PodRun
from responder.gauges import Gauges, HookCounter
from responder.metrics import Metrics
from responder.ports import PutAction
from responder.store.sqlite import SqliteStore
from tests.contract.store.examples import NIGHT, ORDERS, StandingClock, action, after
from tests.unit.web.world import CORPUS, IdleActuator, World


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


# Hooks, counted as they end.


def run(uid: str = "job-1", *, ended: float | None = None, condition: str = "", **more: object) -> HookRun:
    conditions = (JobCondition(condition, at=after(ended or 0)),) if condition else ()
    made = HookRun(
        cluster="in-cluster", kind="Job", namespace="shop", name="db-migrate", uid=uid, created_at=after(-2),
        tracked="orders", hook_types=("PreSync",), conditions=conditions,
    )  # fmt: skip
    return msgspec.structs.replace(made, **more)


@pytest.fixture
def counted() -> tuple[HookCounter, Metrics]:
    metrics = Metrics(CollectorRegistry())
    return HookCounter(metrics, since=NIGHT), metrics


def attempts(metrics: Metrics, result: str, sync_phase: str = "PreSync") -> float | None:
    return value(metrics, "responder_hook_attempts_total", sync_phase=sync_phase, result=result)


@pytest.mark.parametrize(
    ("ended", "result"),
    [
        (run(condition="Complete", ended=1), "succeeded"),
        (run(condition="SuccessCriteriaMet", ended=1), "succeeded"),
        (run(condition="Failed", ended=1), "failed"),
        (run(condition="FailureTarget", ended=1), "failed"),
        (run(gone_at=after(1)), "vanished"),
        (run(gone_at=after(1), deleting_at=after(0.5)), "terminated"),
        (run(condition="Failed", ended=1, gone_at=after(2)), "failed"),
    ],
)
def test_a_hook_is_counted_by_how_it_ended(counted: tuple[HookCounter, Metrics], ended: HookRun, result: str) -> None:
    counter, metrics = counted
    counter.see(ended)
    assert attempts(metrics, result) == 1
    assert value(metrics, "responder_hook_duration_seconds_count", result=result) == 1
    assert value(metrics, "responder_hook_duration_seconds_sum", result=result) == 180


def test_a_hook_is_counted_once_however_often_it_is_seen(counted: tuple[HookCounter, Metrics]) -> None:
    counter, metrics = counted
    for seen in (run(), run(), run(condition="FailureTarget", ended=1), run(condition="Failed", ended=1)):
        counter.see(seen)
    counter.see(run(condition="Failed", ended=1, gone_at=after(2)))
    counter.see(run("job-2", condition="Complete", ended=1))
    assert (attempts(metrics, "failed"), attempts(metrics, "succeeded"), attempts(metrics, "vanished")) == (1, 1, 0)


def test_what_ended_before_we_started_is_no_burst_after_a_restart(counted: tuple[HookCounter, Metrics]) -> None:
    counter, metrics = counted
    counter.see(run(condition="Failed", ended=-1))
    assert attempts(metrics, "failed") == 0


def test_a_gate_hook_is_a_question_and_no_attempt(counted: tuple[HookCounter, Metrics]) -> None:
    counter, metrics = counted
    counter.see(run(condition="Failed", ended=1, gate=True))
    assert attempts(metrics, "failed") == 0


def test_a_phase_that_nobody_told_of_is_none(counted: tuple[HookCounter, Metrics]) -> None:
    counter, metrics = counted
    counter.see(run(condition="Failed", ended=1, hook_types=()))
    assert attempts(metrics, "failed", sync_phase="none") == 1


# The whole picture.


class Watch(msgspec.Struct):
    resource: str
    last_event_at: datetime | None


class Stop(Exception):  # noqa: N818 - ends a loop that runs for ever
    pass


class Twice(StandingClock):
    """Lets a loop go round twice."""

    rounds = 2

    async def sleep(self, seconds: float) -> None:
        self.rounds -= 1
        if not self.rounds:
            raise Stop
        await super().sleep(seconds)


@pytest.fixture
async def world(tmp_path: Path) -> World:
    clock = StandingClock()
    return World(await SqliteStore.open(tmp_path / "responder.db", clock=clock), clock)


def gauges_of(world: World, watches: Callable[[], list[Watch]] = list) -> Gauges:
    return Gauges(
        metrics=world.metrics, cluster=world.cluster, loader=world.reconciler.loader, store=world.store,
        actuator=IdleActuator(), clock=Twice(), watches=watches,
    )  # fmt: skip


async def close(world: World) -> None:
    assert isinstance(world.store, SqliteStore)
    await world.store.close()


async def test_an_incident_and_its_block_show_and_go_again(world: World) -> None:
    gauges = gauges_of(world)
    found = await world.fail((CORPUS / "laravel__mariadb__partial-ddl.log").read_text(encoding="utf-8"))
    assert found.diagnosis is not None
    category = found.diagnosis.category.value
    (block,) = world.desk.blocks()
    gauges.show()
    assert value(world.metrics, "responder_incidents_firing", category=category) == 1
    assert value(world.metrics, "responder_blocks", environment=block.environment) == 1
    await world.desk.acknowledge(found.id, "ana")
    await world.desk.unblock(block.id, "ana")
    gauges.show()
    assert value(world.metrics, "responder_incidents_firing", category=category) == 0
    assert value(world.metrics, "responder_blocks", environment=block.environment) == 0
    await close(world)


async def test_hooks_that_run_and_hooks_that_are_stuck_show(world: World) -> None:
    world.deploy(ORDERS)
    waits = ContainerRun("migrate", waiting_reason="ImagePullBackOff")
    stuck = run("stuck", pods=(PodRun(name="p", uid="p", created_at=NIGHT, containers=(waits,)),))
    world.cluster.runs[ORDERS] = [run("works"), stuck, run("over", condition="Failed", ended=1)]
    gauges_of(world).show()
    assert value(world.metrics, "responder_hooks_running") == 2
    assert value(world.metrics, "responder_hooks_stuck", reason="image-pull") == 1
    assert value(world.metrics, "responder_hooks_stuck", reason="other") is None
    await close(world)


async def test_of_many_watches_of_one_resource_the_most_silent_shows(world: World) -> None:
    watches = [Watch("jobs", NIGHT), Watch("jobs", NIGHT - timedelta(minutes=9)), Watch("applications", None)]
    gauges_of(world, lambda: watches).show()
    name = "responder_watch_last_event_timestamp_seconds"
    assert value(world.metrics, name, resource="jobs") == (NIGHT - timedelta(minutes=9)).timestamp()
    assert value(world.metrics, name, resource="applications") == world.clock.now().timestamp()  # since our start
    await close(world)


async def test_the_store_and_the_kill_switch_show_and_a_store_that_is_away_does_too(world: World) -> None:
    await world.store.commit(PutAction(action("a1")))
    with pytest.raises(ExceptionGroup):
        await gauges_of(world).run()
    assert value(world.metrics, "responder_store_available") == 1
    assert value(world.metrics, "responder_actions_pending") == 1
    assert (value(world.metrics, "responder_store_bytes") or 0) > 0
    assert value(world.metrics, "responder_killswitch_engaged") == 0
    await close(world)
    with pytest.raises(ExceptionGroup):
        await gauges_of(world).run()
    assert value(world.metrics, "responder_store_available") == 0
