"""May this revision go on? Fails closed: what is unknown, stale or unreadable is ``pending``, never ``success``."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from responder.core.argocd import Application, Deployment, OperationPhase
from responder.core.attempts import OperationView
from responder.core.evidence import Freshness
from responder.core.incident import Incident
from responder.core.promotion import LEFT_BEHIND, Block, GateAnswer, GateResult, Subject
from responder.core.situation import Policy


def subject_of(app: Application, policy: Policy) -> Subject:
    """Service and environment by the configured labels; without them project and name, and the destination."""
    service = app.label(policy.service_label) or f"{app.project}/{app.name}"
    cluster = app.destination_name or app.destination_server
    environment = app.label(policy.environment_label) or f"{cluster}/{app.destination_namespace}"
    return Subject(service, environment, ",".join(app.sync_revisions))


class Candidate(msgspec.Struct, frozen=True):
    """One Application that the question is about, with all that is known of it."""

    app: Application
    views: tuple[OperationView, ...]
    incident: Incident | None  # the open one


def blocks_on(
    blocks: Sequence[Block], service: str, environment: str, revision: str, now: datetime, order: Sequence[str] = ()
) -> list[Block]:
    """Blocks that hold this service there. Where it failed every revision is held; elsewhere the same one."""
    return [b for b in blocks if b.service == service and _holds(b, environment, revision, now, order)]


def _holds(block: Block, environment: str, revision: str, now: datetime, order: Sequence[str]) -> bool:
    if block.ended_at is not None or (block.expires_at is not None and block.expires_at <= now):
        return False
    if block.environment == environment:
        return block.state_left in LEFT_BEHIND or not block.revisions or revision in block.revisions
    named = environment in block.environments
    if not named and ("*" not in block.environments or _comes_before(environment, block.environment, order)):
        return False
    return not block.revisions or revision in block.revisions


def _comes_before(environment: str, failed_in: str, order: Sequence[str]) -> bool:
    """What comes before it in promotion is not held by "every environment"."""
    return environment in order and failed_in in order and order.index(environment) < order.index(failed_in)


def answer(
    candidates: Sequence[Candidate], blocks: Sequence[Block], revision: str, fresh: Freshness, *, asked: str
) -> GateAnswer:
    """``blocks``: those that hold already; ``asked`` names the subject for people."""
    if blocks:
        return _blocked(blocks[0], fresh)
    if not fresh.synced or fresh.trouble:
        return _pending(f"our picture of the cluster is not current: {fresh.trouble or 'not synced yet'}", fresh)
    if not candidates:
        return _pending(f"no Application is known for {asked}", fresh)
    answers = [_of_application(c, revision, fresh) for c in candidates]
    order = (GateResult.FAILURE, GateResult.PENDING, GateResult.SUCCESS)
    return min(answers, key=lambda a: order.index(a.result))


def _blocked(block: Block, fresh: Freshness) -> GateAnswer:
    return GateAnswer(
        GateResult.FAILURE,
        block.reason,
        incident=block.incident_id or None,
        block=block.id,
        owner=block.owner or None,
        expires_at=block.expires_at,
        observed_at=fresh.observed_at,
    )


def _pending(reason: str, fresh: Freshness) -> GateAnswer:
    return GateAnswer(GateResult.PENDING, reason, observed_at=fresh.observed_at)


def _of_application(candidate: Candidate, revision: str, fresh: Freshness) -> GateAnswer:
    name = str(candidate.app.key)
    of_revision = [
        v
        for v in candidate.views
        if v.record.request.full and (revision in v.record.revisions or revision in v.record.request.revisions)
    ]
    newest = of_revision[-1] if of_revision else None
    if newest is not None and _succeeded(newest):
        return GateAnswer(
            GateResult.SUCCESS, f"{name} synced {revision} in full, hooks included", observed_at=fresh.observed_at
        )
    if newest is not None and newest.failed:
        return _failed(candidate, revision, fresh)
    if newest is not None and not newest.record.ended:
        return _pending(f"{name} syncs {revision} now", fresh)
    if any(revision in d.revisions for d in _unobserved(candidate)):
        return GateAnswer(
            GateResult.SUCCESS,
            f"{name} deployed {revision} before we watched (unobserved)",
            observed_at=fresh.observed_at,
        )
    return _pending(f"{name} has not synced {revision}", fresh)


def _unobserved(candidate: Candidate) -> list[Deployment]:
    """Of the history what ran before we watched: syncs that we saw without their hooks stand in it as well."""
    seen = frozenset(view.record.started_at for view in candidate.views)
    return [d for d in candidate.app.history if d.started_at not in seen]


def _succeeded(view: OperationView) -> bool:
    """It ended well, and so did each of its hooks in the attempt that counts."""
    if view.record.operation_phase is not OperationPhase.SUCCEEDED:
        return False
    last = view.attempts[-1].hooks if view.attempts else ()
    return all(hook.succeeded for hook in last)


def _failed(candidate: Candidate, revision: str, fresh: Freshness) -> GateAnswer:
    incident = candidate.incident
    cause = incident.diagnosis.category.value if incident and incident.diagnosis else "failed"
    return GateAnswer(
        GateResult.FAILURE,
        f"{candidate.app.key} failed at {revision}: {cause}",
        incident=incident.id if incident else None,
        owner=(incident.owner or None) if incident else None,
        observed_at=fresh.observed_at,
    )
