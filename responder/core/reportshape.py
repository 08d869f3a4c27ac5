"""The shape of ``GET /v1/incidents/{id}`` (schema 1): an incident as programs are shown it.

Absent is ``null`` or an empty list, never a missing key; times are RFC 3339 in UTC.
"""

from datetime import datetime

import msgspec

from responder.core.failure import Diagnosis
from responder.core.incident import TimelineEntry
from responder.core.weakpoints import WeakPoint

SCHEMA = 1


class AppOut(msgspec.Struct):
    namespace: str
    name: str
    project: str
    uid: str


class LogOut(msgspec.Struct):
    lines: int
    bytes: int
    dropped: int
    complete: bool
    href: str


class ContainerOut(msgspec.Struct):
    name: str
    kind: str
    restart: int
    state: str
    exit_code: int | None
    signal: int | None
    reason: str
    message: str
    started_at: datetime | None
    finished_at: datetime | None
    log: LogOut | None


class PodOut(msgspec.Struct):
    name: str
    uid: str
    node: str
    pod_phase: str
    containers: list[ContainerOut]


class HookOut(msgspec.Struct):
    kind: str
    namespace: str
    name: str
    uid: str | None
    sync_phase: str
    hook_phase: str
    message: str
    stale: bool
    created_at: datetime | None
    images: list[str]
    pods: list[PodOut]
    diagnosis: Diagnosis | None


class ResourceOut(msgspec.Struct):
    """No hook: what the sync could not apply, or what failed of it."""

    group: str
    kind: str
    namespace: str
    name: str
    status: str
    sync_phase: str
    message: str


class AttemptOut(msgspec.Struct):
    number: int
    hooks: list[HookOut]
    resources: list[ResourceOut]


class GapOut(msgspec.Struct):
    source: str
    reason: str
    detail: str


class OperationOut(msgspec.Struct):
    started_at: datetime
    finished_at: datetime | None
    initiated_by: str
    automated: bool
    operation_phase: str
    message: str
    revisions: list[str]
    action: str | None  # ours, when we asked for it
    attempts: list[AttemptOut]
    gaps: list[GapOut]


class VerdictOut(msgspec.Struct):
    result: str
    reasons: list[str]  # of those that stand in the way; of an allowed one, why it is
    guards: list[dict[str, str | bool]]


class OutcomeOut(msgspec.Struct):
    result: str
    detail: str
    at: datetime | None


class DecisionOut(msgspec.Struct):
    id: str
    rule: str
    action: str
    mode: str
    operation: datetime
    params: dict[str, str]
    verdict: VerdictOut
    outcome: OutcomeOut | None
    decided_at: datetime
    evidence_version: str
    approved_by: str | None
    declined_by: str | None


class DeliveryOut(msgspec.Struct):
    id: str
    receiver: str
    alert_state: str
    severity: str
    state: str
    attempts: int
    last_error: str
    created_at: datetime
    finished_at: datetime | None


class IncidentOut(msgspec.Struct):
    schema: int
    id: str
    state: str
    opened_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    acknowledged_by: str | None
    muted_until: datetime | None
    opened_for: str
    sync_phase: str
    argocd: str
    destination: dict[str, str]
    application: AppOut
    owner: str
    service: str  # as promotion names it
    environment: str
    revisions: list[str]
    impact: str
    changed: str
    diagnosis: Diagnosis | None
    evidence_version: str
    operations: list[OperationOut]
    findings: list[WeakPoint]
    decisions: list[DecisionOut]
    deliveries: list[DeliveryOut]
    timeline: list[TimelineEntry]
    correlation: str | None
    parent: str | None
    children: list[str]
    links: dict[str, str]
