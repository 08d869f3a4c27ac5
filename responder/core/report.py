"""An incident as people and programs are shown it: from what is decided and remembered to its shape."""

from collections.abc import Callable, Mapping, Sequence

from responder.core.actions import Decision
from responder.core.alert import Delivery
from responder.core.argocd import ResourceResult
from responder.core.attempts import Attempt, AttemptHook, OperationView
from responder.core.clusterfacts import Brings
from responder.core.evidence import Gap
from responder.core.failure import Diagnosis
from responder.core.hooks import ContainerRun, PodRun
from responder.core.incident import Incident
from responder.core.reportshape import (
    SCHEMA,
    AppOut,
    AttemptOut,
    ContainerOut,
    DecisionOut,
    DeliveryOut,
    GapOut,
    HookOut,
    IncidentOut,
    LogOut,
    OperationOut,
    OutcomeOut,
    PodOut,
    ResourceOut,
    VerdictOut,
)
from responder.core.weakpoints import weak_points


def report(
    incident: Incident,
    views: Sequence[OperationView],
    diagnoses: Mapping[tuple[str, int, str], Diagnosis],
    deliveries: Sequence[Delivery] = (),
    href: Callable[[str], str] = lambda key: f"/v1/logs/{key}",
    url: str = "",
    brings: Brings = (),
) -> IncidentOut:
    """``views``: of this Application, oldest first; those that do not belong to the incident are left out.

    ``brings``: kind and name of what its sync applies that is no hook.
    """
    category = incident.diagnosis.category.value if incident.diagnosis else "unknown"
    ours = [v for v in views if v.record.started_at in incident.operations]
    return IncidentOut(
        schema=SCHEMA,
        id=incident.id,
        state=incident.state.value,
        opened_at=incident.opened_at,
        updated_at=incident.updated_at,
        resolved_at=incident.resolved_at,
        resolved_by=incident.resolved_by or None,
        acknowledged_by=incident.acknowledged_by or None,
        muted_until=incident.muted_until,
        opened_for=incident.opened_for,
        sync_phase=incident.sync_phase,
        argocd=incident.argocd,
        destination={"cluster": incident.destination, "namespace": incident.destination_namespace},
        application=AppOut(incident.app.namespace, incident.app.name, incident.project, incident.app_uid),
        owner=incident.owner,
        service=incident.service,
        environment=incident.environment,
        revisions=list(incident.revisions),
        impact=incident.impact,
        changed=incident.changed,
        diagnosis=incident.diagnosis,
        evidence_version=incident.evidence_version,
        operations=[_operation(v, diagnoses, href) for v in ours],
        findings=weak_points(ours, brings),
        decisions=[decision_out(d) for d in incident.decisions],
        deliveries=[_delivery(d) for d in deliveries],
        timeline=list(incident.timeline),
        correlation=incident.correlation or None,
        parent=incident.parent,
        children=list(incident.children),
        links={
            "self": f"{url}/v1/incidents/{incident.id}",
            "page": f"{url}/incidents/{incident.id}",
            "runbook": f"{url}/runbooks/{category}",
        },
    )


def _operation(
    view: OperationView, diagnoses: Mapping[tuple[str, int, str], Diagnosis], href: Callable[[str], str]
) -> OperationOut:
    record = view.record
    return OperationOut(
        started_at=record.started_at,
        finished_at=record.finished_at if record.operation_phase.terminal else None,
        initiated_by=record.request.username or ("automated" if record.request.automated else ""),
        automated=record.request.automated,
        operation_phase=record.operation_phase.value,
        message=record.message,
        revisions=list(record.revisions),
        action=record.request.action_id or None,
        attempts=[_attempt(record.id, attempt, diagnoses, href) for attempt in view.attempts],
        gaps=[_gap(gap) for gap in view.gaps],
    )


def _attempt(
    operation: str,
    attempt: Attempt,
    diagnoses: Mapping[tuple[str, int, str], Diagnosis],
    href: Callable[[str], str],
) -> AttemptOut:
    hooks = [
        _hook(hook, diagnoses.get((operation, attempt.number, str(hook.identity))), href) for hook in attempt.hooks
    ]
    return AttemptOut(attempt.number, hooks, [_resource(r) for r in attempt.resources])


def _resource(result: ResourceResult) -> ResourceOut:
    return ResourceOut(
        group=result.group,
        kind=result.kind,
        namespace=result.namespace,
        name=result.name,
        status=result.status,
        sync_phase=result.sync_phase,
        message=result.message,
    )


def _hook(hook: AttemptHook, diagnosis: Diagnosis | None, href: Callable[[str], str]) -> HookOut:
    run, result = hook.run, hook.result
    return HookOut(
        kind=result.kind,
        namespace=result.namespace,
        name=result.name,
        uid=run.uid if run is not None else None,
        sync_phase=result.sync_phase,
        hook_phase=result.hook_phase,
        message=result.message,
        stale=hook.stale,
        created_at=run.created_at if run is not None else None,
        images=list(result.images),
        pods=[_pod(pod, href) for pod in run.pods] if run is not None and not hook.stale else [],
        diagnosis=diagnosis,
    )


def _pod(pod: PodRun, href: Callable[[str], str]) -> PodOut:
    return PodOut(pod.name, pod.uid, pod.node, pod.pod_phase, [_container(c, href) for c in pod.containers])


def _container(container: ContainerRun, href: Callable[[str], str]) -> ContainerOut:
    log = container.log
    return ContainerOut(
        name=container.name,
        kind=container.kind.value,
        restart=container.restart,
        state=container.state.value,
        exit_code=container.exit_code,
        signal=container.signal,
        reason=container.reason or container.waiting_reason,
        message=container.message or container.waiting_message,
        started_at=container.started_at,
        finished_at=container.finished_at,
        log=LogOut(log.lines, log.bytes, log.dropped, log.complete, href(log.key)) if log is not None else None,
    )


def _gap(gap: Gap) -> GapOut:
    return GapOut(gap.source, gap.reason.value, gap.detail)


def decision_out(decision: Decision) -> DecisionOut:
    verdict = decision.verdict
    allowed = verdict.result == "allowed"
    return DecisionOut(
        id=decision.id,
        rule=decision.rule,
        action=decision.action.value,
        mode=decision.mode.value,
        operation=decision.operation,
        params=decision.params,
        verdict=VerdictOut(
            result=verdict.result.value,
            reasons=[r.text for r in verdict.reasons if allowed or not r.passed],
            guards=[{"guard": r.guard, "passed": r.passed, "text": r.text} for r in verdict.reasons],
        ),
        outcome=OutcomeOut(decision.outcome.result.value, decision.outcome.detail, decision.outcome.at)
        if decision.outcome is not None
        else None,
        decided_at=decision.decided_at,
        evidence_version=decision.evidence_version,
        approved_by=decision.approved_by or None,
        declined_by=decision.declined_by or None,
    )


def _delivery(delivery: Delivery) -> DeliveryOut:
    return DeliveryOut(
        id=delivery.id,
        receiver=delivery.receiver,
        alert_state=delivery.alert.state.value,
        severity=delivery.alert.severity.value,
        state=delivery.state.value,
        attempts=delivery.attempts,
        last_error=delivery.last_error,
        created_at=delivery.created_at,
        finished_at=delivery.finished_at,
    )
