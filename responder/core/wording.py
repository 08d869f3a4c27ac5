"""What a person is told, in three lines: what failed and why; what is left behind; what changed and what to do now."""

from datetime import datetime, timedelta

from responder.core.actions import OutcomeResult
from responder.core.alert import Alert, AlertState, Severity
from responder.core.argocd import Application
from responder.core.attempts import OperationView
from responder.core.failure import Category, Diagnosis, Retry, StateLeft
from responder.core.incident import Incident, IncidentState
from responder.core.situation import Policy

_MAX_DETAILS = 30
_TOLD_AT_ONCE = 2  # consequences in the first line; the others are details

_LEFT = {
    StateLeft.NONE: "Nothing was left behind",
    StateLeft.PARTIAL: "Statements of the failed migration stay in the database",
    StateLeft.DIRTY: "A marker was left that refuses the next run",
    StateLeft.LOCKED: "A lock was left that outlives its process",
    StateLeft.UNKNOWN: "What was left behind is not known",
}
_AGAIN = {
    Retry.SAFE: "running it again is harmless and may help",
    Retry.FUTILE: "running it again is harmless and will fail again",
    Retry.UNSAFE: "DO NOT run it again",
    Retry.UNKNOWN: "whether it may run again is not known",
}


_CAUSES = {Category.NONE: "ended well, Argo CD still waits", Category.UNKNOWN: "cause unknown"}


def impact(app: Application | None, sync_phase: str) -> str:
    """Does the old version still serve? A failed PreSync hook changes nothing of the workload."""
    if app is None:
        return "the Application is gone"
    health = f"its health is {app.health or 'not known'}"
    if sync_phase == "PreSync":
        if not app.history:
            return f"nothing was deployed: this would be its first version; {health}"
        return f"the version before still serves, nothing of the new one was applied; {health}"
    if sync_phase in ("PostSync", "SyncFail"):
        return f"the new version was applied, its {sync_phase} hook failed; {health}"
    return f"the sync did not finish; {health}"


def changed(app: Application | None, views: tuple[OperationView, ...]) -> str:
    """What is new since the last success: revisions and images."""
    if not views:
        return ""
    new = views[-1].record.revisions or views[-1].record.request.revisions
    last = app.history[-1].revisions if app is not None and app.history else ()
    to = ", ".join(short(r) for r in new) or "an unresolved revision"
    since = f"{', '.join(short(r) for r in last)} -> {to}" if last else f"first deployment, {to}"
    images = dict.fromkeys(i for v in views for a in v.attempts for h in a.hooks for i in h.result.images)
    return f"{since}; hook images: {', '.join(images)}" if images else since


def short(revision: str) -> str:
    return revision[:10] if len(revision) == 40 else revision


def next_step(diagnosis: Diagnosis | None, app_name: str) -> str:
    """What to do, in words."""
    if diagnosis is None:
        return f"argocd app get {app_name} --show-operation"
    return diagnosis.advice or f"read the log, then decide: argocd app get {app_name} --show-operation"


def unknown_acts(incident: Incident) -> tuple[str, ...]:
    """Acts of ours of which nobody knows what came: they are not repeated, a person has to look."""
    unknown = [d for d in incident.decisions if d.outcome is not None and d.outcome.result is OutcomeResult.UNKNOWN]
    return tuple(dict.fromkeys(d.action.value for d in unknown))


def _next(incident: Incident) -> str:
    acts, diagnosis = ", ".join(unknown_acts(incident)), incident.diagnosis
    command = diagnosis.command if diagnosis is not None else ""
    step = next_step(diagnosis, incident.app.name)
    parts = [
        f"What came of our {acts} is not known and it is not repeated: look at it first." if acts else "",
        f"{incident.changed}." if incident.changed else "",
        f"Next: {step}",
        f"Begin with: {command}" if command and command not in step else "",
        f"(likely with: {diagnosis.owner})" if diagnosis is not None and diagnosis.owner else "",
    ]
    return " ".join(filter(None, parts))


def owner_of(app: Application | None, policy: Policy, project: str, project_owner: str | None) -> str:
    routes = policy.routes
    said = app.annotation(routes.annotation) if app is not None else None
    return said or project_owner or routes.projects.get(project) or routes.default_owner


def alert(incident: Incident, severity: Severity, policy: Policy, now: datetime) -> Alert:
    """The alert of an incident as it stands; its key stays the same for the incident's whole life."""
    diagnosis = incident.diagnosis
    title = _title(incident)
    because = diagnosis.because if diagnosis is not None else ()
    later = diagnosis.consequences[_TOLD_AT_ONCE:] if diagnosis is not None else ()
    return Alert(
        key=f"hook-responder/{incident.id}",
        incident_id=incident.id,
        state=_state(incident.state),
        severity=severity,
        title=title,
        what=_what(incident),
        left=_left(incident),
        next=_next(incident),
        labels=_labels(incident),
        starts_at=incident.opened_at,
        updated_at=now,
        owner=incident.owner,
        ends_at=incident.resolved_at,
        incident_url=f"{policy.url}/incidents/{incident.id}" if policy.url else "",
        runbook_url=f"{policy.url}/runbooks/{diagnosis.category.value}" if policy.url and diagnosis else "",
        details=(*later, *(f"{b.line}: {b.text}" if b.line else b.text for b in because))[:_MAX_DETAILS],
        children=incident.children,
    )


def _state(state: IncidentState) -> AlertState:
    if state is IncidentState.ACKNOWLEDGED:
        return AlertState.ACKNOWLEDGED
    return AlertState.FIRING if state.open else AlertState.RESOLVED


def _title(incident: Incident) -> str:
    cause = (
        _CAUSES.get(incident.diagnosis.category, incident.diagnosis.category.value) if incident.diagnosis else "failed"
    )
    if incident.children:
        return f"{len(incident.children)} Applications: {cause} ({incident.correlation})"
    hooks = ", ".join(dict.fromkeys(f.hook.name for f in incident.failing))
    return f"{incident.project}/{incident.app.name}: {hooks + ' ' if hooks else ''}{cause}"


def _what(incident: Incident) -> str:
    diagnosis = incident.diagnosis
    if diagnosis is None:
        return incident.opened_for
    tool = (
        f" ({diagnosis.tool}{f', migration {diagnosis.migration}' if diagnosis.migration else ''})"
        if diagnosis.tool
        else ""
    )
    line = diagnosis.key_line or incident.opened_for
    then = "".join(f" Then {text}." for text in diagnosis.consequences[:_TOLD_AT_ONCE])
    return f"{_CAUSES.get(diagnosis.category, diagnosis.category.value)}{tool}: {line}{'.' * bool(then)}{then}"


def _left(incident: Incident) -> str:
    diagnosis = incident.diagnosis
    if diagnosis is None:
        return incident.impact
    return (
        f"{_LEFT[diagnosis.state_left]}; {_AGAIN[diagnosis.retry]} ({diagnosis.retry_reason})."
        f" {incident.impact[:1].upper()}{incident.impact[1:]}."
    )


def _labels(incident: Incident) -> dict[str, str]:
    diagnosis = incident.diagnosis
    labels = {
        "incident": incident.id,
        "argocd": incident.argocd,
        "namespace": incident.app.namespace,
        "application": incident.app.name,
        "project": incident.project,
        "owner": incident.owner,
        "sync_phase": incident.sync_phase,
    }
    if diagnosis is not None:
        labels |= {
            "category": diagnosis.category.value,
            "retry": diagnosis.retry.value,
            "state_left": diagnosis.state_left.value,
        }
    return {k: v for k, v in labels.items() if v}


def ago(then: datetime, now: datetime) -> str:
    seconds = int(max(timedelta(0), now - then).total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
