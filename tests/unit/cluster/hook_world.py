"""One hook Job after another in a small cluster, with the recorder watching."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from responder.cluster.client import Kubernetes
from responder.cluster.recorder import Recorder
from responder.cluster.reflector import Pace
from responder.cluster.surroundings import Surroundings
from responder.config import Recorder as Limits
from responder.core.argocd import AppKey, OperationRecord
from responder.core.hooks import ContainerRun, HookRun
from responder.core.redaction import Redactor
from responder.core.surveying import Scan
from responder.demo.api import Api
from responder.demo.apiserver import ApiServer
from responder.demo.objects import KINDS, Objects
from responder.demo.resources import ATLAS
from responder.metrics import Metrics
from responder.store.sqlite import SqliteStore

Json = dict[str, Any]

NAMESPACE = "shop"
FAILED_AT = "2026-11-21T03:00:07Z"
FAST = Pace(first=0.01, longest=0.05, slow=0.05)


class WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class LeapingClock(WallClock):
    """Stands until it is told to leap; then everybody who slept that long wakes."""

    def __init__(self) -> None:
        self._leapt = timedelta()
        self._sleepers: list[tuple[datetime, asyncio.Event]] = []

    def now(self) -> datetime:
        return super().now() + self._leapt

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self.now() + timedelta(seconds=seconds), woken))
        await woken.wait()

    async def leap(self, seconds: float) -> None:
        self._leapt += timedelta(seconds=seconds)
        due = [woken for at, woken in self._sleepers if at <= self.now()]
        self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[1] not in due]
        for woken in due:
            woken.set()
        for _ in range(20):  # those who woke do what they have to do
            await asyncio.sleep(0)


def stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def log_stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000000000Z")


def running() -> Json:
    return {"running": {"startedAt": stamp()}}


def terminated(code: int, reason: str = "Error", **more: Any) -> Json:
    return {"terminated": {"exitCode": code, "reason": reason, "startedAt": stamp(), "finishedAt": stamp(), **more}}


def waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, "message": message}}


class HookWorld:
    """Objects are put as the API server would show them; no controller runs."""

    def __init__(self, objects: Objects, server: ApiServer, store: SqliteStore, metrics: Metrics) -> None:
        self.objects = objects
        self.server = server
        self.store = store
        self.metrics = metrics
        self.runs: dict[str, HookRun] = {}
        self.operations: dict[AppKey, list[OperationRecord]] = {}
        self.recorder: Recorder
        self.app = AppKey("argocd", "shop")
        self.task: asyncio.Task[None] | None = None
        self._published = asyncio.Event()

    def publish(self, run: HookRun, woken: bool) -> None:
        del woken
        self.runs[run.uid] = run
        self._published.set()

    async def until(self, holds: Callable[[], object], seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while not holds():
                self._published.clear()
                with suppress(TimeoutError):  # not all that is waited for is published
                    async with asyncio.timeout(0.1):
                        await self._published.wait()

    async def stop(self) -> None:
        """The recorder goes, the cluster stays."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])

    @property
    def run(self) -> HookRun:
        (run,) = self.runs.values()
        return run

    def container(self, name: str = "migrate", restart: int = 0, pod: int = 0) -> ContainerRun:
        found = [c for c in self.run.pods[pod].containers if (c.name, c.restart) == (name, restart)]
        return found[0]

    def whole(self, name: str = "migrate", restart: int = 0, pod: int = 0) -> bool:
        """Was this log read to its end?"""
        run = next(iter(self.runs.values()), None)
        if run is None or len(run.pods) <= pod:
            return False
        found = [c for c in run.pods[pod].containers if (c.name, c.restart) == (name, restart)]
        return any(c.log is not None and c.log.complete for c in found)

    def read_whole(self, hooks: int) -> bool:
        """Were the first containers' logs of so many hooks read to their end?"""
        logs = [run.pods[0].containers[0].log for run in self.runs.values() if run.pods]
        return sum(log is not None and log.complete for log in logs) == hooks

    def read(self) -> int:
        """Lines of the first container's log, as published."""
        run = next(iter(self.runs.values()), None)
        log = run.pods[0].containers[0].log if run is not None and run.pods else None
        return log.lines if log is not None else 0

    async def text(self, name: str = "migrate", restart: int = 0) -> list[str]:
        """What the store has of this log."""
        log = self.container(name, restart).log
        chunk = await self.store.log(log.key) if log else None
        return list(chunk.texts) if chunk else []

    def job(self, name: str = "db-migrate", *, uid: str = "", policy: str = "", **spec: Any) -> Json:
        annotations = {
            "argocd.argoproj.io/hook": "PreSync",
            "argocd.argoproj.io/tracking-id": f"shop:batch/Job:{NAMESPACE}/{name}",
        }
        if policy:
            annotations["argocd.argoproj.io/hook-delete-policy"] = policy
        template = {"spec": {"restartPolicy": spec.pop("restartPolicy", "Never"), "containers": [{"name": "migrate"}]}}
        item = {
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "uid": uid or f"job-{name}",
                "creationTimestamp": stamp(),
                "annotations": annotations,
            },
            "spec": {"backoffLimit": 0, "template": template, **spec},
            "status": {},
        }
        return self.objects.put_raw("Job", "ADDED", item)

    def migration(self, name: str = "shop", *, generation: int = 1, **ready: str) -> Json:
        """An AtlasMigration; ``ready``: status, reason and message of its Ready condition."""
        annotations = {
            "argocd.argoproj.io/hook": "PreSync",
            "argocd.argoproj.io/tracking-id": f"shop:db.atlasgo.io/AtlasMigration:{NAMESPACE}/{name}",
        }
        meta = {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"atlas-{name}",
            "creationTimestamp": stamp(),
            "generation": generation,
            "annotations": annotations,
        }
        conditions = [{"type": "Ready", "lastTransitionTime": stamp(), **ready}] if ready else []
        if ready.get("status") == "False" and ready["reason"] != "Reconciling":
            conditions.append({"type": "Stalled", "status": "True", "lastTransitionTime": FAILED_AT})
        change = "MODIFIED" if self.objects.find("AtlasMigration", NAMESPACE, name) else "ADDED"
        status = {"conditions": conditions, "observedGeneration": 1}
        return self.objects.put_raw("AtlasMigration", change, {"metadata": meta, "spec": {}, "status": status})

    def job_status(self, job: Json, *conditions: str, **status: Any) -> Json:
        """``conditions`` are like ``Failed/BackoffLimitExceeded``."""
        held = [
            {
                "type": c.partition("/")[0],
                "reason": c.partition("/")[2],
                "status": "True",
                "lastTransitionTime": stamp(),
            }
            for c in conditions
        ]
        return self.objects.put_raw("Job", "MODIFIED", {**job, "status": {**status, "conditions": held}})

    def deleting(self, kind: str, item: Json) -> Json:
        metadata = {**item["metadata"], "deletionTimestamp": stamp()}
        return self.objects.put_raw(kind, "MODIFIED", {**item, "metadata": metadata})

    def gone(self, kind: str, item: Json) -> None:
        self.objects.remove_raw(kind, item)

    def pod(
        self, job: Json, name: str = "", *, containers: tuple[str, ...] = ("migrate",), init: tuple[str, ...] = ()
    ) -> Json:
        uid = job["metadata"]["uid"]
        name = name or f"{job['metadata']['name']}-x"
        item = {
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "uid": f"pod-{uid}-{name}",
                "creationTimestamp": stamp(),
                "labels": {"batch.kubernetes.io/controller-uid": uid},
                "ownerReferences": [{"kind": "Job", "name": "x", "uid": uid, "controller": True}],
            },
            "spec": {
                "nodeName": "node-1",
                "containers": [{"name": c, "image": "registry.example/shop:1"} for c in containers],
                "initContainers": [{"name": c} for c in init],
            },
            "status": {"phase": "Pending"},
        }
        return self.objects.put_raw("Pod", "ADDED", item)

    def pod_status(self, pod: Json, phase: str, *, restarts: int = 0, last: Json | None = None, **states: Json) -> Json:
        """``states`` by container name."""
        inits = {c["name"] for c in pod["spec"]["initContainers"]}

        def statuses(*, init: bool) -> list[Json]:
            return [
                {"name": name, "state": state, "lastState": last or {}, "restartCount": restarts}
                for name, state in states.items()
                if (name in inits) == init
            ]

        status = {
            "phase": phase,
            "containerStatuses": statuses(init=False),
            "initContainerStatuses": statuses(init=True),
        }
        return self.objects.put_raw("Pod", "MODIFIED", {**pod, "status": status})

    def log(self, pod: Json, text: str | bytes, *, container: str = "migrate", restart: int = 0, at: str = "") -> None:
        name = pod["metadata"]["name"]
        self.objects.append_log(NAMESPACE, name, container, restart, at or log_stamp(), text)

    def event(self, about: Json, reason: str, message: str, kind: str = "Warning") -> None:
        meta = about["metadata"]
        self.objects.put_raw(
            "Event",
            "ADDED",
            {
                "metadata": {"name": f"{meta['name']}.{reason}", "namespace": NAMESPACE, "uid": f"event-{reason}"},
                "involvedObject": {"kind": about["kind"], "name": meta["name"], "uid": meta["uid"]},
                "reason": reason,
                "message": message,
                "type": kind,
                "count": 1,
                "firstTimestamp": stamp(),
                "lastTimestamp": stamp(),
            },
        )


def never(block: bytes) -> Iterable[tuple[int, int]]:
    del block
    return ()


@asynccontextmanager
async def hook_world(
    folder: Path,
    *,
    limits: Limits | None = None,
    scan: Scan = never,
    world: HookWorld | None = None,
    clock: WallClock | None = None,
    operators: bool = False,
) -> AsyncIterator[HookWorld]:
    """``world``: the same cluster and store, with a new recorder, as after a restart. ``operators``: of Atlas."""
    clock = clock or WallClock()
    if world is not None:
        await world.stop()
        async with _recording(world, limits or Limits(), scan, clock):
            yield world
        return
    objects = Objects(WallClock(), kinds=KINDS if operators else [kind for kind in KINDS if kind not in ATLAS])
    async with (
        ApiServer(Api(objects)) as server,
        await SqliteStore.open(folder / "responder.db", clock=clock) as store,
    ):
        world = HookWorld(objects, server, store, Metrics(CollectorRegistry()))
        async with _recording(world, limits or Limits(), scan, clock):
            yield world


@asynccontextmanager
async def _recording(world: HookWorld, limits: Limits, scan: Scan, clock: WallClock) -> AsyncIterator[None]:
    async with Kubernetes.from_url(world.server.url) as kubernetes, asyncio.TaskGroup() as group:
        around = Surroundings(
            control_plane="argocd",
            limits=limits,
            redactor=Redactor(b"key"),
            scan=scan,
            store=world.store,
            publish=world.publish,
            operations=lambda app: world.operations.get(app, []),
            clock=clock,
            metrics=world.metrics,
        )
        world.recorder = Recorder(kubernetes, around, pace=FAST)
        task = world.task = group.create_task(world.recorder.run())
        async with asyncio.timeout(10):
            for reflector in world.recorder.lasting:
                await reflector.synced.wait()
        yield
        task.cancel()
