"""Values as the program stores them, small and whole, and a clock that stands still."""

from datetime import UTC, datetime, timedelta

from responder.core.actions import ActionKind, ActionRecord, Outcome, OutcomeResult
from responder.core.alert import Alert, AlertState, Delivery, DeliveryState, Severity
from responder.core.argocd import AppKey, OperationPhase, OperationRecord, SyncRequest
from responder.core.evidence import LogChunk, LogSummary
from responder.core.failure import Category, Confidence, Diagnosis, Retry, StateLeft
from responder.core.hooks import ContainerRun, HookRun, JobCondition, PodRun
from responder.core.incident import Incident, IncidentState
from responder.core.promotion import Block

NIGHT = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
ORDERS = AppKey("argocd", "orders")
BILLING = AppKey("argocd", "billing")


def after(minutes: float) -> datetime:
    return NIGHT + timedelta(minutes=minutes)


class StandingClock:
    """Stands still until the test moves it."""

    def __init__(self) -> None:
        self.at = NIGHT

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def diagnosis(category: Category) -> Diagnosis:
    return Diagnosis(
        category=category,
        retry=Retry.SAFE,
        retry_reason="the server was away",
        state_left=StateLeft.NONE,
        state_reason="nothing was started",
        confidence=Confidence.CERTAIN,
    )


def incident(
    incident_id: str,
    *,
    app: AppKey = ORDERS,
    opened: float = 0,
    state: IncidentState = IncidentState.FIRING,
    uid: str | None = None,
    project: str = "shop",
    category: Category | None = None,
    correlation: str = "",
    children: tuple[str, ...] = (),
    operations: tuple[datetime, ...] = (),
    resolved: float | None = None,
) -> Incident:
    return Incident(
        id=incident_id,
        app=app,
        app_uid=f"uid-{app.name}" if uid is None else uid,
        project=project,
        argocd="main",
        destination="in-cluster",
        destination_namespace="shop",
        state=state,
        opened_at=after(opened),
        updated_at=after(opened),
        opened_for="Job db-migrate failed",
        diagnosis=diagnosis(category) if category else None,
        correlation=correlation,
        children=children,
        operations=operations,
        resolved_at=None if resolved is None else after(resolved),
    )


def operation(started: float, *, app: AppKey = ORDERS, message: str = "") -> OperationRecord:
    return OperationRecord(
        app=app,
        app_uid=f"uid-{app.name}",
        started_at=after(started),
        operation_phase=OperationPhase.FAILED,
        request=SyncRequest(automated=True),
        first_seen_at=after(started),
        last_seen_at=after(started),
        message=message,
    )


def hook_run(uid: str, *, created: float = 0, log_key: str = "", complete: bool = False, images: int = 0) -> HookRun:
    log = LogSummary(log_key, lines=1) if log_key else None
    pod = PodRun(name=f"{uid}-x", uid=f"pod-{uid}", created_at=after(created), containers=(ContainerRun("m", log=log),))
    return HookRun(
        cluster="in-cluster",
        kind="Job",
        namespace="shop",
        name="db-migrate",
        uid=uid,
        created_at=after(created),
        conditions=(JobCondition("Complete" if complete else "Failed"),),
        images=tuple(f"registry.example.com/shop/orders:{n}" for n in range(images)),
        pods=(pod,),
    )


def chunk(key: str, *numbers: int, text: str = "line") -> LogChunk:
    return LogChunk(
        key=key,
        numbers=numbers,
        stamps=tuple(f"2026-11-21T03:00:00.{n:09d}Z" for n in numbers),
        texts=tuple(f"{text} {n}" for n in numbers),
    )


def action(
    action_id: str, *, begun: float = 0, result: OutcomeResult = OutcomeResult.BEGUN, app: AppKey = ORDERS
) -> ActionRecord:
    return ActionRecord(
        id=action_id,
        decision_id=f"decision-{action_id}",
        incident_id="i1",
        kind=ActionKind.RESYNC,
        app=app,
        app_uid=f"uid-{app.name}",
        operation=NIGHT,
        revisions=("abc123",),
        begun_at=after(begun),
        by="rule the database was away",
        outcome=Outcome(result),
    )


def block(block_id: str, *, created: float = 0, ended: float | None = None) -> Block:
    return Block(
        id=block_id,
        service="orders",
        environment="staging",
        environments=("*",),
        revisions=("abc123",),
        state_left=StateLeft.DIRTY,
        reason="dirty database version 42",
        incident_id="i1",
        app=ORDERS,
        app_uid="uid-orders",
        hook="PreSync Job shop/db-migrate",
        owner="team-shop",
        created_at=after(created),
        created_by="rule half applied",
        ended_at=None if ended is None else after(ended),
    )


def delivery(
    delivery_id: str,
    *,
    created: float = 0,
    not_before: float = 0,
    state: DeliveryState = DeliveryState.PENDING,
    incident_id: str = "i1",
) -> Delivery:
    alert = Alert(
        key=f"hook-responder/{incident_id}",
        incident_id=incident_id,
        state=AlertState.FIRING,
        severity=Severity.CRITICAL,
        title="shop/orders: db-migrate failed: dirty-state",
        what="db-migrate failed: dirty database version 42",
        left="a dirty marker; the old version still serves",
        next="look at version 42, then: migrate force 41",
        labels={"application": "orders"},
        starts_at=NIGHT,
        updated_at=NIGHT,
    )
    return Delivery(
        id=delivery_id,
        receiver="pager",
        alert=alert,
        created_at=after(created),
        not_before=after(not_before),
        expires_at=after(1440),
        state=state,
    )
