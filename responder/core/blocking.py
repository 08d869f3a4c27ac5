"""Blocks over time: what a rule holds back, what ends that, what worsens it. None becomes lighter by itself (I9)."""

from datetime import datetime, timedelta

import msgspec

from responder.core.actions import ActionKind, Decision, Mode
from responder.core.argocd import OperationPhase
from responder.core.attempts import AttemptHook, OperationView
from responder.core.failure import Diagnosis, StateLeft
from responder.core.gate import images_of, subject_of
from responder.core.incident import Incident
from responder.core.promotion import LEFT_BEHIND, Block
from responder.core.rules import Rule, RuleAction
from responder.core.safety import leaves_more
from responder.core.situation import Situation

_BETWEEN_HOOKS = ", "


def new_block(
    situation: Situation, incident: Incident, diagnosis: Diagnosis, rule: Rule, action: RuleAction, decision: Decision
) -> list[Block]:
    """The block that a rule wants, once an incident; none in shadow mode, nor one that a named person lifted."""
    if rule.mode_of(ActionKind.BLOCK) is Mode.SHADOW or decision.declined_by or situation.app is None:
        return []
    if any(b.incident_id == incident.id and b.created_by == f"rule {rule.name}" for b in situation.blocks):
        return []
    subject = subject_of(situation.app, situation.policy)
    ends_by_time = action.lasts is not None and diagnosis.state_left is StateLeft.NONE
    return [
        Block(
            id=decision.id,
            service=subject.service,
            environment=subject.environment,
            environments=action.environments or ("*",),
            revisions=incident.revisions,
            state_left=diagnosis.state_left,
            reason=_reason(incident, diagnosis),
            incident_id=incident.id,
            app=incident.app,
            app_uid=incident.app_uid,
            hook=_hooks(incident),
            owner=incident.owner,
            created_at=situation.now,
            created_by=f"rule {rule.name}",
            images=_images(incident, situation.views),
            expires_at=situation.now + timedelta(seconds=action.lasts) if ends_by_time and action.lasts else None,
        )
    ]


def _reason(incident: Incident, diagnosis: Diagnosis) -> str:
    return f"{incident.app} failed: {diagnosis.category.value}; left behind: {diagnosis.state_left.value}"


def _hooks(incident: Incident) -> str:
    return _BETWEEN_HOOKS.join(str(f.hook) for f in incident.failing)


def _images(incident: Incident, views: tuple[OperationView, ...]) -> tuple[str, ...]:
    """Of the hooks that failed: a migration is its image, under whatever revision another environment brings it in."""
    failing = {f.hook for f in incident.failing}
    ours = (v for v in views if v.record.started_at in incident.operations)
    hooks = (h for v in ours for a in v.attempts for h in a.hooks if h.identity in failing)
    return tuple(dict.fromkeys(image for hook in hooks for image in images_of(hook)))


def settle_blocks(situation: Situation, incident: Incident | None) -> list[Block]:
    """Those that change now: ended, proven, worsened, or flagged because their Application is gone."""
    settled = [(block, _settled(block, situation, incident)) for block in situation.blocks]
    return [after for block, after in settled if after != block]


def _settled(block: Block, situation: Situation, incident: Incident | None) -> Block:
    if situation.app is None or situation.app.uid != block.app_uid:
        block = msgspec.structs.replace(block, flagged=True)
    if incident is not None and incident.id == block.incident_id and incident.state.open:
        return _worsened(block, incident, situation.views)
    if block.expires_at is not None and block.expires_at <= situation.now:
        return msgspec.structs.replace(block, ended_at=block.expires_at, ended_by="time")
    proven = _proven_at(block, situation.views)
    if proven is None:
        return block
    if block.state_left not in LEFT_BEHIND:
        return msgspec.structs.replace(block, proven_at=proven, ended_at=proven, ended_by="the same hook ended well")
    # That the same hook runs again does not tell that what was left behind is in order.
    block = msgspec.structs.replace(block, proven_at=block.proven_at or proven)
    if not _given_back(block, situation):
        return block
    return msgspec.structs.replace(block, ended_at=block.proven_at, ended_by="the tool took away its own lock")


def _given_back(block: Block, situation: Situation) -> bool:
    """Each of its hooks ended well in a run in which the tool itself took the lock away."""
    if block.state_left is not StateLeft.LOCKED or block.flagged or not block.hook:
        return False
    hooks = [_good_runs(hook, block, situation.views) for hook in block.hook.split(_BETWEEN_HOOKS)]
    return all(any(h.run is not None and h.run.uid in situation.unlocked for _, h in runs) for runs in hooks)


def _worsened(block: Block, incident: Incident, views: tuple[OperationView, ...]) -> Block:
    """What was left behind can turn out worse, other hooks can fail, other revisions too."""
    block = msgspec.structs.replace(
        block,
        hook=_hooks(incident) or block.hook,
        revisions=tuple(dict.fromkeys((*block.revisions, *incident.revisions))) if block.revisions else (),
        images=tuple(dict.fromkeys((*block.images, *_images(incident, views)))),
    )
    diagnosis = incident.diagnosis
    if diagnosis is None or not leaves_more(diagnosis.state_left, block.state_left):
        return block
    reason = _reason(incident, diagnosis)
    return msgspec.structs.replace(block, state_left=diagnosis.state_left, expires_at=None, reason=reason)


def _proven_at(block: Block, views: tuple[OperationView, ...]) -> datetime | None:
    """When the last of its hooks had ended well, after each had failed. At the very revision where nothing was left."""
    counted = [v for v in views if block.state_left in LEFT_BEHIND or _of_revision(v, block)]
    if not block.hook:
        return next((v.record.finished_at for v in counted if _synced_since(v, block)), None)
    ends = [_good_end(hook, block, views, counted) for hook in block.hook.split(_BETWEEN_HOOKS)]
    known = [end for end in ends if end is not None]
    return max(known) if len(known) == len(ends) else None


def _of_revision(view: OperationView, block: Block) -> bool:
    return not block.revisions or bool(set(view.record.revisions) & set(block.revisions))


def _synced_since(view: OperationView, block: Block) -> bool:
    record = view.record
    ended_well = record.operation_phase is OperationPhase.SUCCEEDED and record.request.full
    return ended_well and record.finished_at is not None and record.finished_at > block.created_at


def _good_end(
    hook: str, block: Block, views: tuple[OperationView, ...], counted: list[OperationView]
) -> datetime | None:
    return next((h.ended_well_at for view, h in _good_runs(hook, block, views) if view in counted), None)


def _good_runs(hook: str, block: Block, views: tuple[OperationView, ...]) -> list[tuple[OperationView, AttemptHook]]:
    """Since it failed last."""
    runs = [(view, h) for view in views for a in view.attempts for h in a.hooks if str(h.identity) == hook]
    failed_at = max((h.failed_at for _, h in runs if h.failed), default=block.created_at)
    return [(view, h) for view, h in runs if h.succeeded and h.ended_well_at >= failed_at]
