"""From rules to decisions, from allowed decisions to acts. The same question asked again gives the same decision id."""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from responder.core.actions import (
    Act,
    ActionKind,
    ActionRecord,
    Annotate,
    Decision,
    DeleteHook,
    Mode,
    Outcome,
    OutcomeResult,
    Resync,
    StopRetries,
    Terminate,
    Verdict,
    VerdictResult,
)
from responder.core.argocd import Application, OperationPhase
from responder.core.attempts import OperationView
from responder.core.blocking import new_block
from responder.core.candidate import Candidate, Guards
from responder.core.failure import Diagnosis
from responder.core.gate import subject_of
from responder.core.guards import GUARDS, judge
from responder.core.hooks import ContainerKind
from responder.core.incident import Incident
from responder.core.limiting import due_at
from responder.core.promotion import Block
from responder.core.rules import Facts, Matching, Rule, RuleAction, Rulebook, match
from responder.core.situation import Situation
from responder.core.stopping import half_way, in_the_way, running_container, stale_job

BY_HAND = "by hand"  # the rule's name of what a person orders
_APPROVAL_LASTS = timedelta(hours=1)
_TRIES = 5  # of one decision


def facts_of(situation: Situation, incident: Incident, diagnosis: Diagnosis, view: OperationView) -> Facts:
    """What the rules may look at. An old Job that stands in the way is the category, whatever failed before it: it is
    what can be done something about, and no retry of what failed first means anything until it is gone."""
    app = situation.app
    subject = subject_of(app, situation.policy) if app is not None else None
    hook = incident.failing[0].hook if incident.failing else None
    return Facts(
        category=in_the_way(view) or diagnosis.category,
        retry=diagnosis.retry,
        state_left=diagnosis.state_left,
        confidence=diagnosis.confidence,
        tool=diagnosis.tool,
        database=diagnosis.database,
        migration=diagnosis.migration,
        sync_phase=incident.sync_phase or None,
        project=incident.project,
        application=incident.app.name,
        namespace=incident.app.namespace,
        destination=incident.destination or None,
        destination_namespace=incident.destination_namespace or None,
        service=(subject.service if subject else incident.service) or None,
        environment=(subject.environment if subject else incident.environment) or None,
        owner=incident.owner or None,
        initiated_by="automated" if view.record.request.automated else "user",
        hook=hook.name if hook else None,
        hook_kind=hook.kind if hook else None,
        attempts=max((a.number for a in view.attempts), default=None),
    )


class Decided(msgspec.Struct, frozen=True):
    matching: Matching
    decisions: tuple[Decision, ...]
    acts: tuple[Act, ...]
    blocks: tuple[Block, ...]
    wake_at: datetime | None


class Case(msgspec.Struct, frozen=True):
    """What is decided upon: the newest operation of an incident."""

    situation: Situation
    incident: Incident
    diagnosis: Diagnosis
    view: OperationView
    guards: Guards = msgspec.field(default_factory=lambda: GUARDS)


def decide(case: Case) -> Decided:
    """Judge every action that the matching rules want."""
    situation, incident, diagnosis, view = case.situation, case.incident, case.diagnosis, case.view
    matching = match(situation.rulebook, facts_of(situation, incident, diagnosis, view))
    held = {d.id: d for d in incident.decisions}
    acts: list[Act] = []
    blocks: list[Block] = []
    wake: list[datetime] = []
    for rule in matching.matched:
        for action in rule.actions:
            if action.kind is ActionKind.ALERT and not _silenced(rule, action, incident, situation):
                continue  # a matter of time and of receivers: `alerting`
            if not view.failed and _past(action.kind, incident, rule, view):
                continue  # a run that goes on, our own too, is nothing to repeat, and brings back no block
            if not _its_moment(action.kind, view) and _judged_before(incident, rule, action.kind, view):
                continue  # the verdict of its moment stays
            if _carried_out(held.get(decision_id(incident, rule.name, action.kind, view)), situation):
                continue  # so does that of what was done
            decision, candidate = _judged(case, rule, action, held)
            held[decision.id] = decision
            if action.kind is ActionKind.BLOCK:
                blocks += new_block(situation, incident, diagnosis, rule, action, decision)
            elif decision.verdict.result is VerdictResult.ALLOWED and decision.outcome is None:
                acts += _act(candidate, decision, incident)
            elif decision.due_at is not None and decision.due_at > situation.now:
                wake.append(decision.due_at)
    for order in _orders(incident, view, situation):
        decision, candidate = _judged(case, by_hand(situation.rulebook), RuleAction(order.action), held, order.id)
        held[decision.id] = decision
        if decision.verdict.result is VerdictResult.ALLOWED and decision.outcome is None:
            acts += _act(candidate, decision, incident)
    decisions = told_outcomes(held.values(), situation)
    return Decided(matching, decisions, tuple(acts), tuple(blocks), min(wake, default=None))


def _silenced(rule: Rule, action: RuleAction, incident: Incident, situation: Situation) -> bool:
    """An alert that would go out now, were its rule not in shadow: that is recorded, as of any other action."""
    due = incident.opened_at + timedelta(seconds=action.after)
    return rule.mode_of(ActionKind.ALERT) is Mode.SHADOW and due <= situation.now


def told_outcomes(decisions: Iterable[Decision], situation: Situation) -> tuple[Decision, ...]:
    """Each with what came of it so far."""
    return tuple(_with_outcome(d, situation) for d in decisions)


def _its_moment(kind: ActionKind, view: OperationView) -> bool:
    """Stopping is judged while there is something to stop: what was decided then is not told anew afterwards."""
    if kind is ActionKind.STOP_RETRIES:
        return view.record.waiting
    if kind is ActionKind.TERMINATE:
        return (
            view.record.operation_phase is OperationPhase.RUNNING and not view.record.waiting and not view.record.ended
        )
    return True


def _judged_before(incident: Incident, rule: Rule, kind: ActionKind, view: OperationView) -> bool:
    """Also true while its moment may still come: nothing is said too early."""
    if not view.record.ended:
        return True
    at = view.record.started_at
    return any(d.rule == rule.name and d.action is kind and d.operation == at for d in incident.decisions)


def _past(kind: ActionKind, incident: Incident, rule: Rule, view: OperationView) -> bool:
    """An answer to an operation before this one; a block that was lifted comes back with another failure only."""
    at, ours = view.record.started_at, [d for d in incident.decisions if d.rule == rule.name and d.action is kind]
    return kind is ActionKind.RESYNC or (kind is ActionKind.BLOCK and any(d.operation != at for d in ours))


def by_hand(rulebook: Rulebook) -> Rule:
    """The rule that a person's order stands for: nothing without that person, within the same budget and cooldown."""
    return Rule(
        name=BY_HAND, conditions=(), actions=(), mode=Mode.APPROVE, budget=rulebook.budget, cooldown=rulebook.cooldown
    )


def _carried_out(decision: Decision | None, situation: Situation) -> bool:
    """Or given up. What was refused, or met another version, wrote nothing: it is judged anew, some times."""
    if decision is None:
        return False
    tries = [a for a in situation.actions if a.decision_id == decision.id]
    outcome = tries[-1].outcome if tries else decision.outcome
    if outcome is None:
        return False
    return outcome.result not in (OutcomeResult.CONFLICT, OutcomeResult.REFUSED) or len(tries) >= _TRIES


def _orders(incident: Incident, view: OperationView, situation: Situation) -> list[Decision]:
    """What a person ordered for this very operation, and nobody has carried out."""
    return [
        d
        for d in incident.decisions
        if d.rule == BY_HAND and not _carried_out(d, situation) and d.operation == view.record.started_at
    ]


def decision_id(incident: Incident, rule: str, kind: ActionKind, view: OperationView) -> str:
    """Stable over steps, restarts and replicas: it is what makes an act happen once."""
    attempt = (
        view.record.attempts_ended[-1].isoformat()
        if kind is ActionKind.STOP_RETRIES and view.record.attempts_ended
        else ""
    )
    seed = f"{incident.id}/{rule}/{kind.value}/{view.record.started_at.isoformat()}/{attempt}"
    return hashlib.blake2b(seed.encode(), digest_size=6).hexdigest()


def _judged(
    case: Case, rule: Rule, action: RuleAction, held: dict[str, Decision], order: str = ""
) -> tuple[Decision, Candidate]:
    situation, incident, view = case.situation, case.incident, case.view
    key = order or decision_id(incident, rule.name, action.kind, view)
    before = held.get(key)
    person = _approver(before, incident, situation.now)
    candidate = Candidate(
        situation, view, case.diagnosis, action.kind, rule,
        incident=incident, delay=action.delay, person=person,
    )  # fmt: skip
    verdict = judge(candidate, case.guards)
    if before is not None and _would_have(before.verdict) and verdict.refused_by("mode"):
        verdict = before.verdict  # what it would have done then stays told, whatever others do since
    if before is not None and before.declined_by:
        verdict = Verdict(VerdictResult.DENIED, verdict.reasons)
    allowed = verdict.result is VerdictResult.ALLOWED
    decision = Decision(
        id=key,
        rule=rule.name,
        action=action.kind,
        mode=rule.mode_of(action.kind),
        operation=view.record.started_at,
        verdict=verdict,
        evidence_version=incident.evidence_version,
        decided_at=before.decided_at if before is not None and before.verdict == verdict else situation.now,
        params=action.params(),
        due_at=due_at(candidate) if action.kind is ActionKind.RESYNC else None,
        allowed_since=_allowed_since(key, before, situation) if allowed else None,
        approved_by=person,
        approved_at=before.approved_at if before is not None and person else None,
        declined_by=before.declined_by if before is not None else "",
    )
    return _expired(decision, situation), candidate


def _would_have(verdict: Verdict) -> bool:
    """Nothing but the mode stood in the way: in shadow."""
    return {r.guard for r in verdict.reasons if not r.passed} == {"mode"}


def _allowed_since(key: str, before: Decision | None, situation: Situation) -> datetime:
    """Also while it could not be recorded: a store that comes back does not make the moment a new one (I7)."""
    if before is not None and before.allowed_since is not None:
        return before.allowed_since
    return situation.allowed_since.get(key, situation.now)


def _approver(before: Decision | None, incident: Incident, now: datetime) -> str:
    """An approval holds for the evidence that was shown, for an hour."""
    if before is None or not before.approved_by or before.approved_at is None:
        return ""
    if before.evidence_version != incident.evidence_version or now - before.approved_at > _APPROVAL_LASTS:
        return ""
    return before.approved_by


def _expired(decision: Decision, situation: Situation) -> Decision:
    """I7: what was not carried out within its time after becoming allowed is not carried out any more."""
    since = decision.allowed_since
    if (
        not decision.action.acts
        or decision.outcome is not None
        or since is None
        or situation.now - since <= situation.policy.expire_after
    ):
        return decision
    outcome = Outcome(OutcomeResult.EXPIRED, "it was not carried out in time", situation.now)
    return msgspec.structs.replace(decision, outcome=outcome)


def _with_outcome(decision: Decision, situation: Situation) -> Decision:
    record = next((a for a in reversed(situation.actions) if a.decision_id == decision.id), None)
    return decision if record is None else msgspec.structs.replace(decision, outcome=record.outcome)


def _act(candidate: Candidate, decision: Decision, incident: Incident) -> list[Act]:
    situation, record = candidate.situation, candidate.record
    app = situation.app
    tries = sum(1 for a in situation.actions if a.decision_id == decision.id)
    assert app is not None  # noqa: S101 - a guard has seen that it is there
    action = ActionRecord(
        id=f"{decision.id}-{tries}",
        decision_id=decision.id,
        incident_id=incident.id,
        kind=candidate.kind,
        app=app.key,
        app_uid=app.uid,
        operation=record.started_at,
        revisions=candidate.revisions,
        begun_at=situation.now,
        by=candidate.person or f"rule {candidate.rule.name}",
        outcome=Outcome(OutcomeResult.BEGUN, at=situation.now),
        correlation=incident.correlation,
        wave=candidate.wave.size if candidate.kind is ActionKind.RESYNC and candidate.wave.leads else 0,
    )
    match candidate.kind:
        case ActionKind.RESYNC:
            return [
                Resync(
                    action, app.key, app.uid, record.started_at, record.finished_at, record.sources,
                    candidate.revisions, app.sync_options, app.prune,
                    manual=bool(candidate.person) and situation.window_open is not True,
                )
            ]  # fmt: skip
        case ActionKind.STOP_RETRIES:
            assert record.finished_at is not None  # noqa: S101 - it waits
            return [StopRetries(action, app.key, app.uid, record.started_at, record.finished_at)]
        case ActionKind.TERMINATE:
            return [_terminate(action, app, candidate)]
        case ActionKind.DELETE_HOOK:
            job = stale_job(candidate.view)
            if job is None:
                return []
            aimed = msgspec.structs.replace(action, target=f"{job.namespace}/{job.name}/{job.uid}")
            return [DeleteHook(aimed, job.cluster, job.namespace, job.name, job.uid)]
        case ActionKind.ANNOTATE:
            category = incident.diagnosis.category.value if incident.diagnosis else "unknown"
            return [
                Annotate(
                    action,
                    app.key,
                    app.uid,
                    {"hook-responder.io/incident": incident.id, "hook-responder.io/category": category},
                )
            ]
        case ActionKind.BLOCK | ActionKind.ALERT:
            return []


def _terminate(action: ActionRecord, app: Application, candidate: Candidate) -> Terminate:
    """With what the actuator needs to ask once more, right before it writes, what runs."""
    runs, view = candidate.runs, candidate.view
    containers = (c for r in runs for p in r.pods for c in p.containers)
    return Terminate(
        action,
        app.key,
        app.uid,
        candidate.record.started_at,
        run_uids=tuple(r.uid for r in runs),
        cluster=view.cluster,
        namespaces=tuple(sorted({app.destination_namespace, *(r.namespace for r in runs)} - {""})),
        sidecars=tuple(sorted({c.name for c in containers if c.kind is ContainerKind.SIDECAR})),
        ends_running=bool(candidate.person and (running_container(view) or half_way(view))),
    )
