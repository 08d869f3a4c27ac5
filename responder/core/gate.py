"""May this revision go on? Fails closed: what is unknown, stale or unreadable is ``pending``, never ``success``.

A revision is what Argo CD resolved and synced, whole: a commit or a chart version, never a branch, a range or a prefix.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from responder.core.argocd import Application, Deployment, OperationPhase, OperationRecord
from responder.core.attempts import AttemptHook, OperationView
from responder.core.evidence import Freshness
from responder.core.failure import StateLeft
from responder.core.incident import Incident
from responder.core.promotion import LEFT_BEHIND, Block, GateAnswer, GateResult, Subject
from responder.core.rules import glob
from responder.core.situation import Policy

SEVERAL = ","  # between the revisions of an Application with several sources
_SHORT = 12


def subject_of(app: Application, policy: Policy) -> Subject:
    """Service and environment by the configured labels; without them project and name, and the destination."""
    service = app.label(policy.service_label) or f"{app.project}/{app.name}"
    cluster = app.destination_name or app.destination_server
    environment = app.label(policy.environment_label) or f"{cluster}/{app.destination_namespace}"
    return Subject(service, environment, SEVERAL.join(app.sync_revisions))


def syncing(apps: Sequence[Application]) -> str:
    """The revision of the operation that runs; empty when none does (an ended one tells another's), or two differ."""
    running = (app.operation for app in apps if app.operation and not app.operation.operation_phase.terminal)
    revisions = {SEVERAL.join(state.revisions or state.request.revisions) for state in running}
    return revisions.pop() if len(revisions) == 1 else ""


class Candidate(msgspec.Struct, frozen=True):
    """One Application that the question is about, with all that is known of it."""

    app: Application
    views: tuple[OperationView, ...]
    incident: Incident | None  # the open one


def carries(revisions: Sequence[str], asked: str) -> bool:
    """Of several sources any one may be asked for; with commas it is all of them, in their order."""
    return asked in revisions or (SEVERAL in asked and tuple(asked.split(SEVERAL)) == tuple(revisions))


def images_at(candidates: Sequence[Candidate], revision: str) -> frozenset[str]:
    """Of the hooks that ran here at this revision."""
    views = (v for c in candidates for v in c.views if carries(_revisions(v.record), revision))
    hooks = (hook for view in views for attempt in view.attempts for hook in attempt.hooks)
    return frozenset(image for hook in hooks for image in images_of(hook))


def images_of(hook: AttemptHook) -> tuple[str, ...]:
    return hook.run.images if hook.run is not None and not hook.stale else hook.result.images


def _revisions(record: OperationRecord) -> tuple[str, ...]:
    """As they were resolved. Before that only a failure is told by what was asked for: that may be a branch."""
    return record.revisions or record.request.revisions


# Blocks.


class Place(msgspec.Struct, frozen=True):
    """Where something is about to go, and what: ``images`` as far as they are known."""

    service: str
    environment: str
    revision: str
    images: frozenset[str] = frozenset()


def blocks_on(blocks: Sequence[Block], place: Place, now: datetime, order: Sequence[str] = ()) -> list[Block]:
    """Blocks that hold this service there, the newest first.

    Where it failed and left something behind every revision is held; elsewhere the same revision, and the same image.
    """
    held = [b for b in blocks if b.service == place.service and _holds(b, place, now, order)]
    return sorted(held, key=lambda b: b.created_at, reverse=True)


def _holds(block: Block, place: Place, now: datetime, order: Sequence[str]) -> bool:
    if block.ended_at is not None or (block.expires_at is not None and block.expires_at <= now):
        return False
    if block.environment == place.environment:
        return block.state_left in LEFT_BEHIND or _same_change(block, place)
    named = any(glob(name, place.environment) for name in block.environments if name != "*")
    if not named and ("*" not in block.environments or _comes_before(place.environment, block.environment, order)):
        return False
    return _same_change(block, place)


def _same_change(block: Block, place: Place) -> bool:
    """A migration is its image too: another environment may bring it in under another revision."""
    if not block.revisions or not set(place.revision.split(SEVERAL)).isdisjoint(block.revisions):
        return True
    return block.state_left is not StateLeft.NONE and not place.images.isdisjoint(block.images)


def _comes_before(environment: str, failed_in: str, order: Sequence[str]) -> bool:
    """What comes before it in promotion is not held by "every environment"."""
    return environment in order and failed_in in order and order.index(environment) < order.index(failed_in)


# The answer.


def answer(
    candidates: Sequence[Candidate], blocks: Sequence[Block], revision: str, fresh: Freshness, *, asked: str
) -> GateAnswer:
    """``blocks``: those that hold already; ``asked`` names the subject for people."""
    if blocks:
        return _blocked(blocks[0], fresh)
    if not fresh.synced or fresh.trouble:
        return pending(f"our picture of the cluster is not current: {fresh.trouble or 'not synced yet'}", fresh)
    if not candidates:
        return pending(f"no Application is known for {asked}", fresh)
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


def pending(reason: str, fresh: Freshness) -> GateAnswer:
    return GateAnswer(GateResult.PENDING, reason, observed_at=fresh.observed_at)


def _of_application(candidate: Candidate, revision: str, fresh: Freshness) -> GateAnswer:
    """The newest full sync of that revision counts; one that we did not see counts by the history."""
    name = str(candidate.app.key)
    full = [v for v in candidate.views if v.record.request.full and carries(_revisions(v.record), revision)]
    newest = full[-1] if full else None
    if newest is not None and newest.record.revisions and _succeeded(newest):
        return _succeeded_at(candidate, revision, f"{name} synced {revision} in full, hooks included", fresh)
    if newest is not None and newest.failed:
        return _failed(candidate, newest, revision, fresh)
    if newest is not None and not newest.record.ended:
        return pending(f"{name} syncs {revision} now", fresh)
    if any(carries(d.revisions, revision) for d in _unobserved(candidate)):
        return _succeeded_at(candidate, revision, f"{name} deployed {revision} before we watched (unobserved)", fresh)
    return pending(f"{name} {_why_not(candidate.app, newest, revision)}", fresh)


def _succeeded_at(candidate: Candidate, revision: str, reason: str, fresh: Freshness) -> GateAnswer:
    later = _since(candidate.app.history, revision)
    back = _went_back_to(candidate.app.history, later)
    if back is not None:
        return pending(f"{candidate.app.key} went back from {revision} to {SEVERAL.join(back.revisions)}", fresh)
    since = f"; {_short(later[-1].revisions)} came since" if later else ""
    return GateAnswer(GateResult.SUCCESS, reason + since, observed_at=fresh.observed_at)


def _since(history: Sequence[Deployment], revision: str) -> Sequence[Deployment]:
    """What was deployed after its last deployment; nothing where the history does not tell of it."""
    places = [n for n, d in enumerate(history) if carries(d.revisions, revision)]
    return history[places[-1] + 1 :] if places else ()


def _went_back_to(history: Sequence[Deployment], later: Sequence[Deployment]) -> Deployment | None:
    """What stood there before and was deployed again: somebody took the revision between them back, for a reason."""
    before = {d.revisions for d in history[: len(history) - len(later) - 1]}
    return next((d for d in later if d.revisions in before), None)


def _short(revisions: Sequence[str]) -> str:
    return SEVERAL.join(r[:_SHORT] for r in revisions)


def _unobserved(candidate: Candidate) -> list[Deployment]:
    """Of the history what ran before we watched: syncs that we saw without their hooks stand in it as well."""
    seen = frozenset(view.record.started_at for view in candidate.views)
    return [d for d in candidate.app.history if d.started_at not in seen]


def _succeeded(view: OperationView) -> bool:
    """It ended well, and so did each of its hooks in the attempt that counts."""
    return view.record.operation_phase is OperationPhase.SUCCEEDED and not _doubtful(view)


def _doubtful(view: OperationView) -> list[AttemptHook]:
    last = view.attempts[-1].hooks if view.attempts else ()
    return [hook for hook in last if not hook.succeeded]


def _why_not(app: Application, newest: OperationView | None, revision: str) -> str:
    if newest is None:
        compared = app.sync_status == "Synced" and carries(app.sync_revisions, revision)
        told = ": it compares as Synced, which runs no hook" if compared else ""
        return f"has not synced {revision} in full{told}"
    if newest.held:
        return f"was held by its own gate at {revision}"
    if newest.record.operation_phase is OperationPhase.SUCCEEDED:
        hooks = ", ".join(str(hook.identity) for hook in _doubtful(newest))
        return f"synced {revision}, but nobody saw {hooks} run to a good end"
    return f"did not finish the sync of {revision}: another took its place"


def _failed(candidate: Candidate, view: OperationView, revision: str, fresh: Freshness) -> GateAnswer:
    incident = candidate.incident
    if incident is not None and not _is_of(incident, view.record):
        incident = None
    cause = incident.diagnosis.category.value if incident and incident.diagnosis else "failed"
    return GateAnswer(
        GateResult.FAILURE,
        f"{candidate.app.key} failed at {revision}: {cause}",
        incident=incident.id if incident else None,
        owner=(incident.owner or None) if incident else None,
        observed_at=fresh.observed_at,
    )


def _is_of(incident: Incident, record: OperationRecord) -> bool:
    return record.started_at in incident.operations or not set(incident.revisions).isdisjoint(_revisions(record))
