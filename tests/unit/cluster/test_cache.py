"""The cache: what wakes whom, what is folded and stored, what is forgotten."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from responder.cluster.argowatch import ArgoWatch
from responder.cluster.cache import OPERATIONS, RUNS, ClusterCache
from responder.cluster.client import Kubernetes
from responder.core.argocd import AppKey, Application, OperationPhase, OperationRecord, OperationState
from responder.core.completions import Completion
from responder.core.hooks import HookRun
from responder.core.projects import Destination, Project
from responder.core.syncwindows import SyncWindow
from responder.demo.api import Api
from responder.demo.apiserver import ApiServer, Fault
from responder.demo.objects import Objects
from responder.demo.status import ApiFault
from responder.metrics import Metrics
from responder.ports import PutOperation, StoreError, Trigger, Write
from tests.unit.cluster.hook_world import FAST, WallClock, stamp

AT = datetime(2026, 11, 21, 3, tzinfo=UTC)
SHOP = AppKey("argocd", "shop")


class Remembered:
    """What the cache told the world."""

    def __init__(self) -> None:
        self.woken: list[tuple[AppKey, Trigger]] = []
        self.stored: list[Write] = []
        self.recalled: list[OperationRecord] = []
        self.refusals = 0
        self.holds: asyncio.Event | None = None  # set when somebody waits for a store that does not answer
        self.changed = asyncio.Event()

    def on_change(self, key: AppKey, trigger: Trigger) -> None:
        self.woken.append((key, trigger))
        self.changed.set()

    async def persist(self, writes: Sequence[Write]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise StoreError("disk full")
        if self.holds is not None:
            self.holds.set()
            await asyncio.Event().wait()
        self.stored += writes
        self.changed.set()

    async def recall(self, uid: str) -> Sequence[OperationRecord]:
        return [record for record in self.recalled if record.app_uid == uid]

    async def until(self, holds: Any) -> None:
        async with asyncio.timeout(5):
            while not holds():
                self.changed.clear()
                await self.changed.wait()

    @property
    def operations(self) -> list[OperationRecord]:
        return [write.operation for write in self.stored if isinstance(write, PutOperation)]


def cache_of(told: Remembered) -> ClusterCache:
    return ClusterCache(
        control_plane="argocd",
        clock=WallClock(),
        on_change=told.on_change,
        persist=told.persist,
        recall=told.recall,
    )


def app(version: int = 1, operation: OperationState | None = None, **more: Any) -> Application:
    return Application(
        "argocd", "shop", "app-uid", str(version), operation=operation, destination_server=IN_CLUSTER, **more
    )


IN_CLUSTER = "https://kubernetes.default.svc"


def operation(phase: OperationPhase = OperationPhase.RUNNING, started: datetime = AT, **more: Any) -> OperationState:
    return OperationState(started, phase, **more)


def run(uid: str = "job", tracked: str = "shop", **more: Any) -> HookRun:
    return HookRun("in-cluster", "Job", "shop", "db-migrate", uid, AT, tracked=tracked, **more)


@asynccontextmanager
async def saving(cache: ClusterCache) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(cache.run())
        yield
        task.cancel()


async def test_an_application_wakes_when_something_of_note_changed() -> None:
    told = Remembered()
    cache = cache_of(told)
    await cache.put_application(app(1))
    await cache.put_application(app(2))
    await cache.put_application(app(3, health="Degraded"))

    assert told.woken == [(SHOP, Trigger.APPLICATION)] * 2
    assert cache.application(SHOP) == app(3, health="Degraded")
    cache.drop_application(SHOP)
    assert cache.applications() == ()


async def test_a_failure_that_lived_for_one_version_is_folded_and_stored() -> None:
    told = Remembered()
    cache = cache_of(told)
    async with saving(cache):
        await cache.put_application(app(1, operation()))
        await cache.put_application(app(2, operation(OperationPhase.FAILED, finished_at=AT, message="failed")))
        await cache.put_application(app(3, operation(started=AT + timedelta(seconds=5))))
        await told.until(lambda: len({record.started_at for record in told.operations}) == 2)

    newest, failed = cache.operations(SHOP)
    assert failed.operation_phase is OperationPhase.FAILED
    assert newest.operation_phase is OperationPhase.RUNNING
    assert failed in told.operations


async def test_an_operation_that_does_not_change_is_stored_once() -> None:
    told = Remembered()
    cache = cache_of(told)
    async with saving(cache):
        for version in range(5):
            await cache.put_application(app(version, operation()))
        await told.until(lambda: told.operations)

    assert len(told.operations) == 1


async def test_what_the_store_refuses_is_stored_later() -> None:
    told = Remembered()
    told.refusals = 1
    cache = cache_of(told)
    await cache.put_application(app(1, operation()))
    async with saving(cache):
        await told.until(lambda: told.operations)

    assert told.refusals == 0


async def test_what_was_on_its_way_to_the_store_at_the_end_is_stored_in_the_end() -> None:
    told = Remembered()
    told.holds = asyncio.Event()
    cache = cache_of(told)
    await cache.put_application(app(1, operation()))
    async with saving(cache):
        async with asyncio.timeout(5):
            await told.holds.wait()
        told.holds = None

    assert len(told.operations) == 1


async def test_after_a_restart_attempts_that_were_folded_before_are_not_lost() -> None:
    told = Remembered()
    before = cache_of(told)
    waiting = operation(finished_at=AT + timedelta(seconds=3), retry_count=1)
    await before.put_application(app(1, waiting))
    told.recalled = list(before.operations(SHOP))
    after = cache_of(told)
    await after.put_application(app(2, operation(retry_count=1)))

    (record,) = after.operations(SHOP)
    assert record.attempts_ended == (AT + timedelta(seconds=3),)


async def test_only_the_newest_operations_are_held() -> None:
    cache = cache_of(Remembered())
    for minute in range(OPERATIONS + 3):
        started = AT + timedelta(minutes=minute)
        await cache.put_application(app(minute, operation(OperationPhase.SUCCEEDED, started)))

    held = cache.operations(SHOP)
    assert len(held) == OPERATIONS
    assert held[0].started_at == AT + timedelta(minutes=OPERATIONS + 2)


def test_a_hook_run_wakes_the_application_that_it_names() -> None:
    told = Remembered()
    cache = cache_of(told)
    cache.put_run(run())
    cache.put_run(run("b", tracked="team-a_shop"))
    cache.put_run(run("c", tracked=""))
    cache.put_run(run(active=1), woken=False)

    assert told.woken == [(SHOP, Trigger.HOOK), (AppKey("team-a", "shop"), Trigger.HOOK)]
    assert cache.hook_runs(SHOP) == (run(active=1),)
    assert cache.hook_run("c") == run("c", tracked="")
    assert cache.hook_run("nobody") is None


def test_hook_runs_that_went_long_ago_are_forgotten_and_many_are_bounded() -> None:
    cache = cache_of(Remembered())
    now = WallClock().now()
    cache.put_run(run("old", gone_at=now - timedelta(days=1)))
    for number in range(RUNS + 20):
        cache.put_run(run(f"gone-{number}", gone_at=now))
    cache.put_run(run("alive"))

    uids = {held.uid for held in cache.hook_runs(SHOP)}
    assert len(uids) == RUNS
    assert "alive" in uids
    assert "old" not in uids


async def test_projects_answer_for_destinations_windows_and_annotations() -> None:
    cache = cache_of(Remembered())
    denied = SyncWindow(allow=False, schedule="* * * * *", duration="24h", applications=("*",))
    cache.put_project(
        Project(
            "argocd",
            "default",
            annotations=(("hook-responder.io/owner", "team-a"),),
            destinations=(Destination(server=IN_CLUSTER, namespace="shop"),),
            windows=(denied,),
        )
    )

    assert cache.project_permits("default", IN_CLUSTER, "", "shop")
    assert not cache.project_permits("default", IN_CLUSTER, "", "kube-system")
    assert not cache.project_permits("unknown", IN_CLUSTER, "", "shop")
    assert cache.sync_window_open(app(), automated=True, now=AT) is False
    assert cache.sync_window_open(app(project="unknown"), automated=True, now=AT) is None
    assert cache.project_annotation("default", "hook-responder.io/owner") == "team-a"


async def test_a_project_that_changed_wakes_its_applications() -> None:
    told = Remembered()
    cache = cache_of(told)
    await cache.put_application(app())
    cache.put_project(Project("argocd", "default"))
    told.woken.clear()
    cache.put_project(Project("argocd", "default", resource_version="2"))
    assert told.woken == []
    cache.put_project(Project("argocd", "default", annotations=(("a", "b"),)))

    assert told.woken == [(SHOP, Trigger.APPLICATION)]


def manifest(name: str, **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "argocd", "uid": f"uid-{name}", "creationTimestamp": stamp()},
        "spec": {"project": "default", "destination": {"server": IN_CLUSTER, "namespace": "shop"}},
        **more,
    }


@asynccontextmanager
async def watched(
    told: Remembered, *faults: Fault
) -> AsyncIterator[tuple[Objects, ApiServer, ClusterCache, ArgoWatch]]:
    objects = Objects(WallClock())
    async with (
        ApiServer(Api(objects)) as server,
        Kubernetes.from_url(server.url) as kubernetes,
        asyncio.TaskGroup() as group,
    ):
        server.faults += faults
        cache = cache_of(told)
        watch = ArgoWatch(
            kubernetes,
            cache,
            control_plane="argocd",
            application_namespaces=("team-a",),
            redact=lambda text: text,
            clock=WallClock(),
            metrics=Metrics(CollectorRegistry()),
            on_recovery=lambda: None,
            pace=FAST,
        )
        task = group.create_task(watch.run())
        yield objects, server, cache, watch
        task.cancel()


async def test_applications_and_projects_are_watched() -> None:
    told = Remembered()
    async with watched(told) as (objects, _, cache, _):
        objects.put_raw("Application", "ADDED", manifest("shop"))
        objects.put_raw("AppProject", "ADDED", {"metadata": {"name": "default", "namespace": "argocd", "uid": "p"}})
        await told.until(lambda: cache.application(SHOP))
        objects.remove_raw("Application", manifest("shop"))
        await told.until(lambda: not cache.application(SHOP))

    assert told.woken[-1] == (SHOP, Trigger.APPLICATION)


@pytest.mark.parametrize(
    "state",
    [
        pytest.param({"phase": 7}, id="another type"),
        pytest.param({"phase": "Failed", "startedAt": "0001-01-01T00:00:00+14:00"}, id="a time before the year 1"),
        pytest.param({"phase": "Failed", "startedAt": "9999-12-31T23:00:00-14:00"}, id="a time after the year 9999"),
    ],
)
async def test_an_application_that_cannot_be_read_does_not_hide_the_others(state: dict[str, Any]) -> None:
    told = Remembered()
    async with watched(told) as (objects, _, cache, _):
        objects.put_raw("Application", "ADDED", manifest("broken", status={"operationState": state}))
        objects.put_raw("Application", "ADDED", manifest("shop"))
        await told.until(lambda: cache.application(SHOP))

        assert [held.name for held in cache.applications()] == ["shop"]


async def test_freshness_is_that_of_the_oldest_watch() -> None:
    assert not cache_of(Remembered()).freshness().synced
    async with watched(Remembered()) as (_, _, cache, watch):
        async with asyncio.timeout(5):
            for reflector in watch.reflectors:
                await reflector.synced.wait()

        fresh = cache.freshness()
        assert (fresh.synced, fresh.trouble) == (True, "")
        assert fresh.observed_at == min(r.last_event_at for r in watch.reflectors if r.last_event_at)


async def test_freshness_names_the_trouble() -> None:
    asked = asyncio.Semaphore(0)

    def refuse(request: web.Request) -> web.StreamResponse | None:
        if not request.path.endswith("/applications"):
            return None
        asked.release()
        return web.json_response(ApiFault(403, "Forbidden", "no").body(), status=403)

    async with watched(Remembered(), refuse) as (_, _, cache, _), asyncio.timeout(5):
        for _ in range(4):  # two watches, each the second time: then the first answer has been taken in
            await asked.acquire()

        fresh = cache.freshness()
        assert (fresh.synced, fresh.observed_at) == (False, None)
        assert fresh.trouble.startswith("the watch of applications is forbidden since ")


async def test_an_end_that_only_an_event_tells_of_is_kept() -> None:
    """As after a restart: the store knows that it ran, the Application shows the next one already."""
    told = Remembered()
    before = cache_of(Remembered())
    await before.put_application(app(1, operation(revisions=("abc",))))
    told.recalled = list(before.operations(SHOP))
    later = AT + timedelta(seconds=9)
    async with watched(told) as (objects, _, cache, _), saving(cache):
        objects.put_raw("Application", "ADDED", running_since("app-uid", later))
        await told.until(lambda: len(cache.operations(SHOP)) == 2)
        told.woken.clear()
        objects.put_raw("Event", "ADDED", failure("abc", AT + timedelta(seconds=7)))
        await told.until(lambda: told.woken)

        _, ended = cache.operations(SHOP)
        assert (ended.operation_phase, ended.finished_at) == (OperationPhase.FAILED, AT + timedelta(seconds=7))
        await told.until(lambda: ended in told.operations)


async def test_an_event_that_comes_first_ends_the_operation_when_the_next_one_is_seen() -> None:
    told = Remembered()
    cache = cache_of(told)
    await cache.put_application(app(1, operation(revisions=("abc",))))
    at = AT + timedelta(seconds=7)
    cache.put_completion(Completion(SHOP, "app-uid", at, "abc", "failed"))
    (record,) = cache.operations(SHOP)
    assert record.operation_phase is OperationPhase.RUNNING  # the watch tells of what is there

    await cache.put_application(app(2, operation(started=at)))
    _, ended = cache.operations(SHOP)
    assert (ended.operation_phase, ended.finished_at) == (OperationPhase.FAILED, at)


def written(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def running_since(uid: str, started: datetime) -> dict[str, Any]:
    state = {"phase": "Running", "startedAt": written(started), "operation": {"sync": {}}}
    held = manifest("shop", status={"operationState": state})
    held["metadata"]["uid"] = uid
    return held


def failure(revision: str, at: datetime) -> dict[str, Any]:
    return {
        "metadata": {"name": "shop.1", "namespace": "argocd", "uid": "event"},
        "involvedObject": {"kind": "Application", "name": "shop", "namespace": "argocd", "uid": "app-uid"},
        "reason": "OperationCompleted",
        "message": f"Sync operation to {revision} failed: one or more tasks completed unsuccessfully",
        "source": {"component": "argocd-application-controller"},
        "type": "Warning",
        "lastTimestamp": written(at),
    }
