"""A short case, as people write one: some facts, and a past in which they are true.

What is not said is as in the most common failure: a PreSync Job ``db-migrate`` of an automated sync, that ended.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

from responder.core.argocd import AppKey, AttemptResult, OperationPhase, OperationRecord, ResourceResult, SyncRequest
from responder.core.attempts import Attempt, AttemptHook, OperationView
from responder.core.evidence import Gap, GapReason, LogSummary
from responder.core.failure import Category, Confidence, Diagnosis, Retry, StateLeft
from responder.core.hooks import ContainerRun, ContainerState, HookRun, JobCondition, PodRun
from responder.core.incident import FailingHook, HookIdentity, Incident, IncidentState
from responder.core.past import Past
from responder.core.rules import Facts

_NIGHT = datetime(2026, 1, 1, 3, tzinfo=UTC)
_RUN = timedelta(minutes=1)
_REVISION = "0" * 40


class Stands(StrEnum):
    """The operation at the moment that is judged."""

    ENDED = "ended"
    WAITING = "waiting"  # between two attempts
    RUNNING = "running"


_PHASES = {
    Stands.ENDED: OperationPhase.FAILED,
    Stands.WAITING: OperationPhase.RUNNING,
    Stands.RUNNING: OperationPhase.RUNNING,
}


def past_of_facts(
    facts: Facts, stands: Stands = Stands.ENDED, *, gap: bool = False, container_runs: bool = False
) -> Past:
    """``gap``: a part of the log is missing. ``container_runs``: a migration container has not ended."""
    hook = HookIdentity(
        facts.destination or "in-cluster",
        facts.hook_kind or "Job",
        facts.destination_namespace or "default",
        facts.hook or "db-migrate",
        facts.sync_phase or "PreSync",
    )
    attempts = tuple(
        _attempt(number, hook, facts, gap=gap, container_runs=container_runs)
        for number in range(1, (facts.attempts or 1) + 1)
    )
    ended = attempts[-1].hooks[0].result_at
    record = _record(facts, stands, ended, attempts)
    incident = _incident(facts, hook, ended)
    return Past(incident, (OperationView(record, attempts, cluster=hook.cluster),))


def _record(facts: Facts, stands: Stands, ended: datetime, attempts: tuple[Attempt, ...]) -> OperationRecord:
    by_person = facts.initiated_by == "user"
    results = tuple(AttemptResult(a.number, h.result, h.result_at, h.result_at) for a in attempts for h in a.hooks)
    ends = tuple(h.result_at for a in attempts for h in a.hooks)
    return OperationRecord(
        app=AppKey(facts.namespace or "argocd", facts.application or "app"),
        app_uid="app",
        started_at=_NIGHT,
        operation_phase=_PHASES[stands],
        request=SyncRequest(username="somebody" if by_person else "", automated=not by_person, revisions=(_REVISION,)),
        first_seen_at=_NIGHT,
        last_seen_at=ended,
        finished_at=None if stands is Stands.RUNNING else ended,
        revisions=(_REVISION,),
        attempts_ended=ends if stands is Stands.WAITING else ends[:-1],
        results=results,
    )


def _attempt(number: int, hook: HookIdentity, facts: Facts, *, gap: bool, container_runs: bool) -> Attempt:
    created = _NIGHT + 2 * _RUN * (number - 1)
    at = created + _RUN
    stale = facts.category in (Category.STALE_JOB, Category.IMMUTABLE_JOB)
    result = ResourceResult(
        hook.kind, hook.namespace, hook.name, group="batch", status="Synced", hook_type=hook.sync_phase,
        hook_phase="Running" if container_runs else "Failed", sync_phase=hook.sync_phase,
    )  # fmt: skip
    container = ContainerRun(
        name="migrate",
        state=ContainerState.RUNNING if container_runs else ContainerState.TERMINATED,
        started_at=created,
        finished_at=None if container_runs else at,
        exit_code=None if container_runs else 1,
        log=LogSummary("migrate", complete=not (gap or container_runs)),
    )
    run = HookRun(
        cluster=hook.cluster,
        kind=hook.kind,
        namespace=hook.namespace,
        name=hook.name,
        uid=f"hook-{number}",
        created_at=created,
        hook_types=(hook.sync_phase,),
        conditions=() if container_runs else (JobCondition("Failed", at=at),),
        pods=(PodRun(f"{hook.name}-{number}", f"pod-{number}", created, containers=(container,)),),
        gaps=(Gap("migrate", GapReason.RECORDER_AWAY),) if gap else (),
    )
    return Attempt(number, (AttemptHook(hook, result, at, run, stale),))


def _incident(facts: Facts, hook: HookIdentity, ended: datetime) -> Incident:
    return Incident(
        id="case",
        app=AppKey(facts.namespace or "argocd", facts.application or "app"),
        app_uid="app",
        project=facts.project or "default",
        argocd="argocd",
        destination=hook.cluster,
        destination_namespace=hook.namespace,
        state=IncidentState.FIRING,
        opened_at=_NIGHT + _RUN,
        updated_at=ended,
        opened_for="a case",
        sync_phase=hook.sync_phase,
        operations=(_NIGHT,),
        revisions=(_REVISION,),
        diagnosis=_diagnosis(facts),
        failing=(FailingHook(hook, ended),),
        owner=facts.owner or "",
        service=facts.service or "",
        environment=facts.environment or "",
    )


def _diagnosis(facts: Facts) -> Diagnosis:
    retry = Retry(facts.retry or Retry.UNKNOWN)
    left = StateLeft.NONE if retry in (Retry.SAFE, Retry.FUTILE) else StateLeft.UNKNOWN
    sure = Confidence.CERTAIN if facts.category else Confidence.GUESS
    return Diagnosis(
        category=Category(facts.category or Category.UNKNOWN),
        retry=retry,
        retry_reason="the case says so",
        state_left=StateLeft(facts.state_left or left),
        state_reason="the case says so",
        confidence=Confidence(facts.confidence or sure),
        tool=facts.tool,
        database=facts.database,
        migration=facts.migration,
    )
