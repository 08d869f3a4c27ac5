"""One night before a responder in small: the real store and actuator, an API server in memory, no cluster."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from responder.cluster.actuator import Actuator
from responder.cluster.reviews import Permissions
from responder.core.actions import ActionRecord, Mode
from responder.core.alert import Alert
from responder.core.appwire import decode_application
from responder.core.argocd import AppKey, OperationPhase, OperationRecord
from responder.core.evidence import LogChunk, LogSummary
from responder.core.hooks import HookRun
from responder.core.incident import Incident
from responder.core.rulesfile import parse_rules
from responder.core.situation import Policy, Routes
from responder.demo.api import Api
from responder.demo.objects import Objects
from responder.loading import Rules
from responder.metrics import Metrics
from responder.ports import AppendLog, IncidentQuery, Store, StoreError, Write
from responder.reconcile import Reconciler
from responder.shipped import signatures
from responder.store.sqlite import SqliteStore
from tests.contract.store.examples import StandingClock
from tests.unit.cluster.direct import SOURCE, Wire
from tests.unit.core.night import (
    KEY,
    REVISION,
    at,
    complete,
    container,
    failed,
    hook,
    job,
    operation,
    pod,
    told,
)
from tests.unit.web.world import WrittenCluster

SIGNATURES = signatures(())
OTHERS = [AppKey("argocd", f"app-{n}") for n in range(30)]
FAILED, SUCCEEDED = OperationPhase.FAILED, OperationPhase.SUCCEEDED
AWAY = 'psycopg2.OperationalError: connection to server at "db" (10.0.0.5), port 5432 failed: Connection refused'
RULES = """
version: 1
defaults: {mode: live}
rules:
  - name: again
    when: {retry: safe}
    do: [{resync: {delay: 30s}}, {alert: {severity: warning}}]
"""


class Outbox:
    def __init__(self) -> None:
        self.from_memory: list[tuple[str, str]] = []

    def wake(self) -> None: ...

    def deliver_from_memory(self, alert: Alert, receivers: Sequence[str]) -> None:
        self.from_memory += [(receiver, alert.state) for receiver in receivers]


class Failing:
    """The real store, until a test takes a part of it away."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.writes = True
        self.reads = True

    def __getattr__(self, name: str) -> Any:
        if not self.reads and name not in ("commit", "close"):
            return self._refuse
        return getattr(self._store, name)

    async def commit(self, *writes: Write) -> None:
        if not self.writes:
            raise StoreError("the disk is full")
        await self._store.commit(*writes)

    async def _refuse(self, *_: object, **__: object) -> object:
        raise StoreError("the store is closed")


class Night:
    """One Application whose migration met an absent database, before a responder in small."""

    def __init__(self, store: SqliteStore, clock: StandingClock, objects: Objects) -> None:
        self.store = Failing(store)
        self.clock = clock
        self.objects = objects
        self.wire = Wire(Api(objects))
        self.cluster = WrittenCluster()
        self.outbox = Outbox()
        self.rules = RULES_READ
        self.changed: list[Incident] = []
        self.actuator = Actuator(
            argocd=self.wire,
            clusters={"in-cluster": self.wire},
            permissions=Permissions(self.wire, clock, ("argocd",)),
            killswitch=("hook-responder", "responder-killswitch"),
            clock=clock,
            operations=self.cluster.operations,
            runs=self.cluster.hook_runs,
            window_open=lambda *_: True,
        )
        self.metrics = Metrics(CollectorRegistry())
        self.reconciler = self.responder()

    def responder(self) -> Reconciler:
        """Another life of it, on the same store."""
        return Reconciler(
            store=self.store,
            cluster=self.cluster,
            actuator=self.actuator,
            clock=self.clock,
            rules=lambda: self.rules,
            outbox=self.outbox,
            metrics=self.metrics,
            changed=self.changed.append,
        )

    # What Argo CD and the cluster do.

    async def fails(self, key: AppKey = KEY, line: str = AWAY) -> None:
        """The Job found no database, and the automated operation failed."""
        self.show(key)
        record, run = self.failure(key)
        self.cluster.records[key] = [record]
        self.cluster.runs[key] = [run]
        summary = run.pods[0].containers[0].log
        assert summary is not None
        stamp = "2026-11-21T03:00:02.000000000Z"
        await self.store.commit(AppendLog(LogChunk(summary.key, (1,), (stamp,), (line,))))

    def failure(self, key: AppKey) -> tuple[OperationRecord, HookRun]:
        uid, sources = self.cluster.apps[key].uid, self.cluster.apps[key].sources
        record = operation(FAILED, told(1, hook(), 5), finished=5, sources=sources)
        read = LogSummary(f"{key.name}/migrate/0", lines=1, bytes=len(AWAY), complete=True)
        ended = container(command=("alembic", "upgrade", "head"), log=read)
        run = job(1, failed(4), uid=f"job-of-{key.name}", tracked=key.name, pods=(pod(ended),))
        return msgspec.structs.replace(record, app=key, app_uid=uid), run

    def show(self, key: AppKey) -> None:
        """What the API server holds, as the watch shows it."""
        if self.objects.find("Application", key.namespace, key.name) is None:
            self.objects.create("Application", failed_application(key))
        raw = msgspec.json.encode(self.objects.get("Application", key.namespace, key.name))
        self.cluster.apps[key] = decode_application(raw, str)

    def recovers(self, key: AppKey = KEY, phase: str = "Succeeded") -> None:
        """The operation that we asked for succeeds; or fails, of which no hook is seen."""
        asked = self.objects.get("Application", key.namespace, key.name)["operation"]
        state = {
            "phase": phase,
            "startedAt": "2026-11-21T03:01:05Z",
            "finishedAt": "2026-11-21T03:01:15Z",
            "operation": asked,
        }
        self.objects.patch(
            "Application", key.namespace, key.name, {"operation": None, "status": {"operationState": state}}
        )
        self.show(key)
        app = self.cluster.apps[key]
        if phase != "Succeeded":
            return
        assert app.operation is not None
        well = operation(SUCCEEDED, told(1, hook(hook_phase="Succeeded"), 74), started=65, finished=75)
        well = msgspec.structs.replace(well, app=key, app_uid=app.uid, request=app.operation.request)
        self.cluster.records[key] = [well, *self.cluster.records[key]]
        self.cluster.runs[key] = [*self.cluster.runs[key], job(66, complete(73), tracked=key.name)]

    # What came of it.

    async def incidents(self) -> list[Incident]:
        return list((await self.store._store.incidents(IncidentQuery())).incidents)

    async def incident(self) -> Incident:
        (found,) = await self.incidents()
        return found

    async def actions(self) -> list[ActionRecord]:
        return list(await self.store._store.actions())

    async def step(self, seconds: float, key: AppKey = KEY) -> None:
        self.clock.at = at(seconds)
        await self.reconciler.step(key)


def failed_application(key: AppKey) -> dict[str, Any]:
    return {
        "metadata": {"name": key.name, "namespace": key.namespace},
        "spec": {
            "project": "shop",
            "source": SOURCE,
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"},
            "syncPolicy": {"automated": {}},
        },
        "status": {
            "operationState": {
                "phase": "Failed",
                "startedAt": "2026-11-21T03:00:00Z",
                "finishedAt": "2026-11-21T03:00:05Z",
                "operation": {"initiatedBy": {"automated": True}, "sync": {"revision": REVISION}},
                "syncResult": {"revision": REVISION, "source": SOURCE},
            }
        },
    }


RULES_READ = Rules(
    rulebook=parse_rules(RULES, "rules.yaml", frozenset()),
    policy=Policy(mode=Mode.LIVE, routes=Routes(default=("pager",)), group_wait=Policy().group_wait * 0),
    signatures=SIGNATURES,
    control_plane="argocd",
    clusters={"https://kubernetes.default.svc": "in-cluster"},
)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Night]:
    clock = StandingClock()
    clock.at = at(0)
    objects = Objects(clock)
    objects.create(
        "ConfigMap", {"metadata": {"name": "responder-killswitch"}, "data": {"engaged": "false"}}, "hook-responder"
    )
    async with await SqliteStore.open(folder / "store.db", clock=clock) as store:
        yield Night(store, clock, objects)
