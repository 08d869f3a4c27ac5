"""A responder in small: the real store, loader, reconciler, desk and faces, before a cluster that is written down."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application as WebApplication
from aiohttp.web import Request
from prometheus_client import CollectorRegistry
from typing_extensions import override

from responder.core.actions import Act, ActionRecord, Outcome, OutcomeResult, Switch
from responder.core.alert import Alert
from responder.core.argocd import (
    AppKey,
    Application,
    AttemptResult,
    Deployment,
    OperationPhase,
    OperationRecord,
    OperationState,
    ResourceResult,
    SyncRequest,
)
from responder.core.evidence import Freshness, Gap, LogChunk, LogSummary
from responder.core.hooks import ContainerRun, ContainerState, HookRun, JobCondition, PodRun
from responder.core.incident import Incident
from responder.core.redaction import Redactor
from responder.core.rulesfile import parse_rules
from responder.core.situation import Policy, Routes
from responder.desk import Desk
from responder.gatekeeper import Gatekeeper
from responder.loading import Rules
from responder.metrics import Metrics
from responder.ports import Actuator, AppendLog, Cluster, PutHookRun, PutOperation, Store
from responder.reconcile import Reconciler
from responder.shipped import signatures
from responder.web.access import Access, NamedToken, Role
from responder.web.app import build
from responder.web.changes import Changes
from responder.web.faces import Faces
from responder.web.webhook import Intake
from tests.contract.store.examples import NIGHT, ORDERS, StandingClock, after

OPERATOR = "token-of-ana"
VIEWER = "token-of-grafana"
WEBHOOK = ("webhook-token-old", "webhook-token-new")
REVISION = "4f1d2c8a9b7e6f5d4c3b2a1908f7e6d5c4b3a291"
BEFORE = "1111111111111111111111111111111111111111"
SIGNATURES = signatures()
CORPUS = Path(__file__).parents[2] / "corpus" / "logs"

RULES = """
version: 1
rules:
  - name: half applied
    when: {state_left: [partial, dirty, locked]}
    do: [{stop-retries: {}}, {block: {environments: ["*"]}}, {alert: {severity: critical}}]
  - name: the database was away
    when: {category: [connection-refused, dns-failure], retry: safe, project: ["shop*"]}
    mode: approve
    do: [{resync: {delay: 30s}}, {alert: {severity: warning}}]
"""


class WrittenCluster(Cluster):
    """Over dictionaries that a test fills."""

    def __init__(self) -> None:
        self.apps: dict[AppKey, Application] = {}
        self.records: dict[AppKey, list[OperationRecord]] = {}
        self.runs: dict[AppKey, list[HookRun]] = {}
        self.fresh = Freshness(synced=True, observed_at=NIGHT)

    def application(self, key: AppKey) -> Application | None:
        return self.apps.get(key)

    def applications(self) -> Sequence[Application]:
        return tuple(self.apps.values())

    def hook_runs(self, key: AppKey) -> Sequence[HookRun]:
        return self.runs.get(key, ())

    def operations(self, key: AppKey) -> Sequence[OperationRecord]:
        return self.records.get(key, ())

    @override
    def project_permits(self, project: str, server: str, name: str, namespace: str) -> bool:
        return project == "shop" and namespace == "shop"

    @override
    def sync_window_open(self, app: Application, *, automated: bool, now: datetime) -> bool | None:
        return True

    @override
    def project_annotation(self, project: str, name: str) -> str | None:
        return None

    def freshness(self) -> Freshness:
        return self.fresh


class IdleActuator(Actuator):
    """May do everything and is asked for nothing here."""

    async def perform(self, act: Act) -> Outcome:
        return Outcome(OutcomeResult.BEGUN, at=act.action.begun_at)

    async def follow(self, action: ActionRecord) -> ActionRecord:
        return action

    async def killswitch(self) -> Switch:
        return Switch.RELEASED

    async def permissions(self) -> frozenset[str]:
        return frozenset({"resync", "stop-retries", "terminate", "delete-hook"})


class IdleOutbox:
    def wake(self) -> None:
        pass

    def deliver_from_memory(self, alert: Alert, receivers: Sequence[str]) -> None:
        pass


class World:
    def __init__(self, store: Store, clock: StandingClock) -> None:
        self.store = store
        self.clock = clock
        self.cluster = WrittenCluster()
        self.metrics = Metrics(CollectorRegistry())
        self.changes = Changes()
        self.heard: list[str] = []  # whose failures texts told of
        self.rules = Rules(
            rulebook=parse_rules(RULES, "rules.yaml", frozenset()),
            policy=Policy(routes=Routes(default=("pager",)), environments=("staging", "production")),
            signatures=SIGNATURES,
            control_plane="argocd",
            clusters={"https://kubernetes.default.svc": "in-cluster"},
        )
        self.reconciler = Reconciler(
            store=store, cluster=self.cluster, actuator=IdleActuator(), clock=clock, rules=lambda: self.rules,
            outbox=IdleOutbox(), metrics=self.metrics, changed=self._changed,
        )  # fmt: skip
        self.desk = Desk(
            store=store, loader=self.reconciler.loader, alerts=self.reconciler.alerts, clock=clock,
            rules=lambda: self.rules, wake=self.reconciler.wake, changed=self._changed,
            exclusive=self.reconciler.exclusive,
        )  # fmt: skip
        self.gatekeeper = Gatekeeper(self.cluster, self.reconciler.loader, clock, lambda: self.rules)

    def _changed(self, incident: Incident) -> None:
        self.changes.publish(incident.id)

    def faces(self, **more: object) -> Faces:
        intake = Intake(
            self.store, self.reconciler.wake, self.clock, self.metrics, lambda: WEBHOOK,
            heard_of=self.heard.append, read_deadline=timedelta(seconds=0.2),
        )  # fmt: skip
        tokens = (NamedToken("ana", OPERATOR, Role.OPERATOR), NamedToken("grafana", VIEWER, Role.VIEWER))
        access = Access(lambda: tokens)
        settled = Faces(
            store=self.store, loader=self.reconciler.loader, desk=self.desk, gatekeeper=self.gatekeeper,
            cluster=self.cluster, clock=self.clock, metrics=self.metrics, rules=lambda: self.rules, intake=intake,
            access=access, changes=self.changes, version="0.1.0",
        )  # fmt: skip
        return replaced(settled, more)

    def deploy(self, key: AppKey, *, labels: dict[str, str] | None = None) -> Application:
        """An Application that was deployed once and stands still."""
        app = Application(
            namespace=key.namespace,
            name=key.name,
            uid=f"uid-{key.name}",
            resource_version="7",
            project="shop",
            automated=True,
            destination_server="https://kubernetes.default.svc",
            destination_namespace="shop",
            labels=tuple((labels or {}).items()),
            health="Healthy",
            sync_status="OutOfSync",
            sources="sources-1",
            history=(Deployment((BEFORE,), deployed_at=after(-1440)),),
        )
        self.cluster.apps[key] = app
        return app

    async def fail(
        self,
        log: str,
        *,
        key: AppKey = ORDERS,
        exit_code: int = 1,
        gaps: tuple[Gap, ...] = (),
        dropped: int = 0,
        image: str = "registry.example.com/shop/orders:5.2.0",
    ) -> Incident:
        """Its PreSync Job fails with this log, and the reconciler sees it."""
        app = self.deploy(key) if key not in self.cluster.apps else self.cluster.apps[key]
        lines = log.splitlines()
        run = failed_run(key, lines, exit_code=exit_code, gaps=gaps, dropped=dropped, image=image)
        record = failed_operation(key, app.uid, image)
        self.cluster.apps[key] = msgspec.structs.replace(app, operation=state_of(record))
        self.cluster.records[key] = [record]
        self.cluster.runs[key] = [run]
        kept = [AppendLog(chunk_of(f"pod-{key.name}/migrate/0", lines, dropped))] if lines else []
        await self.store.commit(PutOperation(record), PutHookRun(key, run), *kept)
        await self.reconciler.step(key)
        incident = self.reconciler.loader.incident_of(key)
        assert incident is not None
        return incident


def replaced(faces: Faces, more: dict[str, object]) -> Faces:
    values = {name: getattr(faces, name) for name in Faces.__dataclass_fields__}
    return Faces(**{**values, **more})


def redacted(name: str) -> str:
    """A log of the corpus as the recorder would keep it."""
    return Redactor(b"key of the tests").text((CORPUS / name).read_text(encoding="utf-8", errors="replace"))


def chunk_of(key: str, lines: Sequence[str], dropped: int = 0) -> LogChunk:
    """Of what is dropped the hole is before the last line."""
    numbers = [*range(1, len(lines)), len(lines) + dropped]
    stamps = tuple(f"2026-11-21T02:59:{n % 60:02d}.000000000Z" for n in numbers)
    return LogChunk(key, tuple(numbers), stamps, tuple(lines))


def failed_run(
    key: AppKey, lines: Sequence[str], *, exit_code: int, gaps: tuple[Gap, ...], dropped: int, image: str
) -> HookRun:
    log = LogSummary(
        f"pod-{key.name}/migrate/0",
        lines=len(lines) + dropped,
        bytes=sum(map(len, lines)),
        dropped=dropped,
        complete=True,
    )
    container = ContainerRun(
        "migrate", state=ContainerState.TERMINATED, started_at=after(-1), finished_at=after(-0.5), exit_code=exit_code,
        reason="Error", command=("php", "artisan", "migrate", "--force"), image=image, log=log,
    )  # fmt: skip
    pod = PodRun(
        name="db-migrate-x7k2p", uid=f"pod-{key.name}", created_at=after(-1.1), node="node-1", pod_phase="Failed",
        containers=(container,),
    )  # fmt: skip
    return HookRun(
        cluster="in-cluster", kind="Job", namespace="shop", name="db-migrate", uid=f"job-{key.name}",
        created_at=after(-1.2), tracked=key.name, hook_types=("PreSync",), images=(image,), idempotent=True,
        conditions=(JobCondition("Failed", "BackoffLimitExceeded", "the backoff limit is reached", NIGHT),),
        pods=(pod,), gaps=gaps,
    )  # fmt: skip


def failed_operation(key: AppKey, uid: str, image: str) -> OperationRecord:
    result = ResourceResult(
        kind="Job", namespace="shop", name="db-migrate", group="batch", hook_type="PreSync", hook_phase="Failed",
        sync_phase="PreSync", message="Job has reached the specified backoff limit", images=(image,),
    )  # fmt: skip
    return OperationRecord(
        app=key, app_uid=uid, started_at=after(-2), operation_phase=OperationPhase.FAILED,
        request=SyncRequest(automated=True, revisions=(REVISION,)), first_seen_at=after(-2), last_seen_at=NIGHT,
        message="one or more synchronization tasks completed unsuccessfully", finished_at=NIGHT, revisions=(REVISION,),
        sources="sources-1", results=(AttemptResult(1, result, after(-1), NIGHT),),
    )  # fmt: skip


def state_of(record: OperationRecord) -> OperationState:
    return OperationState(
        started_at=record.started_at, operation_phase=record.operation_phase, finished_at=record.finished_at,
        message=record.message, request=record.request, revisions=record.revisions, sources=record.sources,
        results=tuple(r.result for r in record.results),
    )  # fmt: skip


Client = TestClient[Request, WebApplication]


@asynccontextmanager
async def served(faces: Faces, token: str = OPERATOR) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with TestClient(TestServer(build(faces)), headers=headers) as client:
        yield client
