"""The past of an incident from what was told of it: the answer of ``GET /v1/incidents/{id}``, or an export.

It is read leniently: an older or a newer responder may have told it. What is not told is not known.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec

from responder.core.actions import (
    ActionKind,
    Decision,
    Mode,
    Outcome,
    OutcomeResult,
    Reason,
    Verdict,
    VerdictResult,
)
from responder.core.alert import AlertState, Severity
from responder.core.argocd import AppKey, AttemptResult, OperationPhase, OperationRecord, ResourceResult, SyncRequest
from responder.core.attempts import Attempt, AttemptHook, OperationView
from responder.core.evidence import Gap, GapReason, LogSummary
from responder.core.failure import Diagnosis
from responder.core.hooks import ContainerKind, ContainerRun, ContainerState, HookRun, JobCondition, PodRun
from responder.core.incident import AlertMark, FailingHook, HookIdentity, Incident, IncidentState
from responder.core.past import Past

At = Annotated[datetime, msgspec.Meta(tz=True)]


class _Log(msgspec.Struct):
    lines: int = 0
    complete: bool = False


class _Container(msgspec.Struct):
    name: str
    kind: ContainerKind = ContainerKind.MAIN
    restart: int = 0
    state: ContainerState = ContainerState.TERMINATED
    exit_code: int | None = None
    started_at: At | None = None
    finished_at: At | None = None
    log: _Log | None = None


class _Pod(msgspec.Struct):
    name: str
    uid: str = ""
    containers: tuple[_Container, ...] = ()


class _Hook(msgspec.Struct):
    kind: str
    namespace: str
    name: str
    uid: str | None = None
    sync_phase: str = "PreSync"
    hook_phase: str = ""
    message: str = ""
    stale: bool = False
    created_at: At | None = None
    pods: tuple[_Pod, ...] = ()
    diagnosis: Diagnosis | None = None


class _Attempt(msgspec.Struct):
    number: int
    hooks: tuple[_Hook, ...] = ()


class _Gap(msgspec.Struct):
    source: str
    reason: GapReason
    detail: str = ""


class _Operation(msgspec.Struct):
    started_at: At
    operation_phase: OperationPhase
    finished_at: At | None = None
    initiated_by: str = ""
    automated: bool = False
    message: str = ""
    revisions: tuple[str, ...] = ()
    action: str | None = None
    attempts: tuple[_Attempt, ...] = ()
    gaps: tuple[_Gap, ...] = ()


class _Verdict(msgspec.Struct):
    result: VerdictResult
    guards: tuple[Reason, ...] = ()


class _Outcome(msgspec.Struct):
    result: OutcomeResult
    detail: str = ""
    at: At | None = None


class _Decision(msgspec.Struct):
    id: str
    rule: str
    action: ActionKind
    mode: Mode
    operation: At
    verdict: _Verdict
    decided_at: At
    outcome: _Outcome | None = None
    approved_by: str | None = None


class _Delivery(msgspec.Struct):
    receiver: str
    alert_state: AlertState
    severity: Severity
    created_at: At


class _App(msgspec.Struct):
    namespace: str
    name: str
    project: str = ""
    uid: str = ""


class _Incident(msgspec.Struct):
    id: str
    state: IncidentState
    opened_at: At
    updated_at: At
    application: _App
    destination: dict[str, str] = {}
    opened_for: str = ""
    sync_phase: str = ""
    argocd: str = ""
    owner: str = ""
    service: str = ""
    environment: str = ""
    revisions: tuple[str, ...] = ()
    diagnosis: Diagnosis | None = None
    evidence_version: str = ""
    operations: tuple[_Operation, ...] = ()
    decisions: tuple[_Decision, ...] = ()
    correlation: str | None = None
    parent: str | None = None
    children: tuple[str, ...] = ()
    resolved_at: At | None = None
    deliveries: tuple[_Delivery, ...] = ()


def past_of(told: Mapping[str, Any]) -> Past:
    """An incident, or an export that holds one under ``incident``. ValueError says where it is none."""
    whole = told.get("incident") if "incident" in told and "id" not in told else told
    try:
        read = msgspec.convert(whole, _Incident)
    except msgspec.ValidationError as error:
        raise ValueError(f"is no incident as the API gives it: {error}") from error
    if not all(1970 <= at.year < 9000 for at in _times(read)):
        raise ValueError("is no incident as the API gives it: a time of it is none")
    incident = _incident(read)
    views = tuple(_view(operation, incident) for operation in read.operations)
    diagnoses = {key: found for o, v in zip(read.operations, views, strict=True) for key, found in _found(o, v)}
    failing = tuple({h.identity: FailingHook(h.identity, h.failed_at) for h in _failed(views)}.values())
    return Past(msgspec.structs.replace(incident, failing=failing), views, diagnoses)


def _times(read: _Incident) -> Iterator[datetime]:
    """Those that are reckoned with."""
    yield from filter(None, (read.opened_at, read.resolved_at, *(d.decided_at for d in read.decisions)))
    for operation in read.operations:
        yield from filter(None, (operation.started_at, operation.finished_at))
        for hook in (h for attempt in operation.attempts for h in attempt.hooks):
            containers = [c for pod in hook.pods for c in pod.containers]
            yield from filter(None, (hook.created_at, *(t for c in containers for t in (c.started_at, c.finished_at))))


def _failed(views: tuple[OperationView, ...]) -> Iterator[AttemptHook]:
    return (hook for view in views for attempt in view.attempts for hook in attempt.hooks if hook.failed)


def _found(operation: _Operation, view: OperationView) -> Iterator[tuple[tuple[str, int, str], Diagnosis]]:
    for told, attempt in zip(operation.attempts, view.attempts, strict=True):
        for hook, joined in zip(told.hooks, attempt.hooks, strict=True):
            if hook.diagnosis is not None:
                yield (view.record.id, attempt.number, str(joined.identity)), hook.diagnosis


def _incident(read: _Incident) -> Incident:
    return Incident(
        id=read.id,
        app=AppKey(read.application.namespace, read.application.name),
        app_uid=read.application.uid,
        project=read.application.project,
        argocd=read.argocd,
        destination=read.destination.get("cluster", ""),
        destination_namespace=read.destination.get("namespace", ""),
        state=read.state,
        opened_at=read.opened_at,
        updated_at=read.updated_at,
        opened_for=read.opened_for,
        sync_phase=read.sync_phase,
        operations=tuple(operation.started_at for operation in read.operations),
        revisions=read.revisions,
        diagnosis=read.diagnosis,
        evidence_version=read.evidence_version,
        decisions=tuple(_decision(d, read.evidence_version) for d in read.decisions),
        owner=read.owner,
        correlation=read.correlation or "",
        parent=read.parent,
        children=read.children,
        resolved_at=read.resolved_at,
        alerts=tuple(AlertMark(d.receiver, d.alert_state, d.severity, "", d.created_at) for d in read.deliveries),
        service=read.service,
        environment=read.environment,
    )


def _decision(told: _Decision, evidence_version: str) -> Decision:
    outcome = told.outcome
    return Decision(
        id=told.id,
        rule=told.rule,
        action=told.action,
        mode=told.mode,
        operation=told.operation,
        verdict=Verdict(told.verdict.result, told.verdict.guards),
        evidence_version=evidence_version,
        decided_at=told.decided_at,
        outcome=Outcome(outcome.result, outcome.detail, outcome.at) if outcome is not None else None,
        approved_by=told.approved_by or "",
    )


def _view(told: _Operation, incident: Incident) -> OperationView:
    ends = tuple(end for attempt in told.attempts[:-1] if (end := _end(attempt)) is not None)
    last = _end(told.attempts[-1], told.finished_at) if told.attempts else None
    waits = told.operation_phase is OperationPhase.RUNNING and last is not None
    finished = told.finished_at or (last if waits else None)
    record = OperationRecord(
        app=incident.app,
        app_uid=incident.app_uid,
        started_at=told.started_at,
        operation_phase=told.operation_phase,
        request=SyncRequest(
            username="" if told.automated else told.initiated_by,
            automated=told.automated,
            revisions=told.revisions,
            action_id=told.action or "",
        ),
        first_seen_at=finished or told.started_at,
        last_seen_at=finished or told.started_at,
        message=told.message,
        finished_at=finished,
        revisions=told.revisions,
        attempts_ended=(*ends, last) if waits and last is not None else ends,
    )
    attempts = tuple(_attempt(a, told, incident) for a in told.attempts)
    results = tuple(AttemptResult(a.number, h.result, h.result_at, h.result_at) for a in attempts for h in a.hooks)
    return OperationView(msgspec.structs.replace(record, results=results), attempts, cluster=incident.destination)


def _end(attempt: _Attempt, operation_ended: datetime | None = None) -> datetime | None:
    """When the last of its containers ended, or where none began its operation; None while one may still run."""
    if not all(hook.hook_phase in ("Failed", "Error", "Succeeded") for hook in attempt.hooks):
        return None
    ends = [c.finished_at for hook in attempt.hooks for pod in hook.pods for c in pod.containers if c.finished_at]
    created = max((h.created_at for h in attempt.hooks if h.created_at), default=None)
    return max(ends, default=operation_ended or created)


def _attempt(told: _Attempt, operation: _Operation, incident: Incident) -> Attempt:
    gaps = tuple(Gap(gap.source, gap.reason, gap.detail) for gap in operation.gaps)
    last = told is operation.attempts[-1]
    hooks = tuple(_hook(h, told, operation, incident, gaps if last else ()) for h in told.hooks)
    return Attempt(told.number, hooks)


def _hook(
    told: _Hook, attempt: _Attempt, operation: _Operation, incident: Incident, gaps: tuple[Gap, ...]
) -> AttemptHook:
    last = attempt is operation.attempts[-1]
    at = _end(attempt, operation.finished_at if last else None) or told.created_at or operation.started_at
    result = ResourceResult(
        told.kind, told.namespace, told.name, group="batch", status="Synced", message=told.message,
        hook_type=told.sync_phase, hook_phase=told.hook_phase, sync_phase=told.sync_phase,
    )  # fmt: skip
    identity = HookIdentity(incident.destination, told.kind, told.namespace, told.name, told.sync_phase)
    run = _run(told, at, incident, gaps) if told.uid is not None else None
    return AttemptHook(identity, result, at, run, told.stale)


def _run(told: _Hook, at: datetime, incident: Incident, gaps: tuple[Gap, ...]) -> HookRun:
    ended = {"Failed": "Failed", "Error": "Failed", "Succeeded": "Complete"}.get(told.hook_phase)
    created = told.created_at or at
    return HookRun(
        cluster=incident.destination,
        kind=told.kind,
        namespace=told.namespace,
        name=told.name,
        uid=told.uid or "",
        created_at=created,
        hook_types=(told.sync_phase,),
        conditions=(JobCondition(ended, at=at),) if ended else (),
        pods=tuple(PodRun(p.name, p.uid, created, containers=tuple(map(_container, p.containers))) for p in told.pods),
        gaps=gaps,
    )


def _container(told: _Container) -> ContainerRun:
    return ContainerRun(
        name=told.name,
        kind=told.kind,
        restart=told.restart,
        state=told.state,
        started_at=told.started_at,
        finished_at=told.finished_at,
        exit_code=told.exit_code,
        log=LogSummary("", told.log.lines, complete=told.log.complete) if told.log is not None else None,
    )
