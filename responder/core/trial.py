"""What rules are tried on: what was true at a moment, in circumstances that are said; and in words what came of it."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from responder.core.actions import (
    ActionKind,
    ActionRecord,
    Decision,
    Mode,
    Switch,
    VerdictResult,
)
from responder.core.argocd import Application, OperationState
from responder.core.attempts import Attempt, OperationView
from responder.core.duration import format_duration
from responder.core.evidence import Freshness
from responder.core.failure import StateLeft
from responder.core.incident import Incident
from responder.core.past import Moment, Past
from responder.core.permitting import MODE_ANNOTATION
from responder.core.promotion import Block
from responder.core.rules import Matching, Rule, RuleAction, Rulebook
from responder.core.situation import Policy, Situation

_ACTS = frozenset(kind.value for kind in ActionKind if kind.acts)
_LONG_AGO = timedelta(days=3650)
_DAY = timedelta(days=1)


class World(msgspec.Struct, frozen=True):
    """What the guards look at and no record tells; as it stands here, nothing is in the way."""

    mode: Mode = Mode.LIVE  # actions.mode
    switch: Switch = Switch.RELEASED
    may: frozenset[str] = _ACTS  # by RBAC
    window: bool | None = True  # is a sync window open?
    auto_sync: bool = True
    same_sources: bool = True  # the Application still asks for what failed
    full_sync: bool = True
    idempotent: bool | None = None  # of every hook; None: by its command and annotation
    annotation: str = ""  # hook-responder.io/mode of the Application
    earlier: StateLeft | None = None  # what an earlier failure left behind, held by a block
    resyncs: int = 0  # ours, of this revision, before


class Trial(msgspec.Struct, frozen=True):
    past: Past
    matched: tuple[Rule, ...]  # that decided at any of its moments, in the order in which they came
    decisions: tuple[Decision, ...]
    last: Matching | None  # of the last moment; None: nothing to decide upon was known
    ended_at: datetime | None = None  # under these rules; None: it is not over, or by itself nobody knows
    parent_since: datetime | None = None  # others fail for its cause too, and one alert tells of all


def situation_of(
    moment: Moment,
    incident: Incident,
    rulebook: Rulebook,
    world: World,
    policy: Policy,
    now: datetime,
    done: Sequence[ActionRecord] = (),
) -> Situation:
    views = tuple(_in_world(view, world) for view in moment.views)
    return Situation(
        now=now,
        installed_at=now - _LONG_AGO,
        app=_application(incident, views[-1], world, policy),
        views=views,
        diagnoses={},
        incident=incident,
        previous=None,
        rulebook=rulebook,
        policy=msgspec.structs.replace(policy, mode=world.mode),
        freshness=Freshness(synced=True, observed_at=now),
        switch=world.switch,
        permitted=world.may,
        window_open=world.window,
        actions=tuple(done),
        blocks=_left_earlier(incident, world),
    )


def _application(incident: Incident, view: OperationView, world: World, policy: Policy) -> Application:
    record = view.record
    labels = {policy.service_label: incident.service, policy.environment_label: incident.environment}
    return Application(
        namespace=incident.app.namespace,
        name=incident.app.name,
        uid=incident.app_uid,
        resource_version="",
        project=incident.project,
        annotations=((MODE_ANNOTATION, world.annotation),) if world.annotation else (),
        labels=tuple((name, value) for name, value in labels.items() if value),
        destination_name=incident.destination,
        destination_namespace=incident.destination_namespace,
        automated=world.auto_sync,
        sources=record.sources if world.same_sources else f"not {record.sources}",
        operation=OperationState(record.started_at, record.operation_phase, record.finished_at),
    )


def _in_world(view: OperationView, world: World) -> OperationView:
    record = msgspec.structs.replace(view.record, sources=view.record.sources or "as told")
    if not world.full_sync:
        record = msgspec.structs.replace(record, request=msgspec.structs.replace(record.request, selective=True))
    attempts = view.attempts
    if world.idempotent is not None:
        attempts = tuple(_known_idempotent(attempt, idempotent=world.idempotent) for attempt in attempts)
    return msgspec.structs.replace(view, record=record, attempts=attempts)


def _known_idempotent(attempt: Attempt, *, idempotent: bool) -> Attempt:
    hooks = tuple(
        msgspec.structs.replace(hook, run=msgspec.structs.replace(hook.run, idempotent=idempotent))
        if hook.run is not None
        else hook
        for hook in attempt.hooks
    )
    return msgspec.structs.replace(attempt, hooks=hooks)


def _left_earlier(incident: Incident, world: World) -> tuple[Block, ...]:
    if world.earlier is None:
        return ()
    return (
        Block(
            id="earlier",
            service=incident.service,
            environment=incident.environment,
            environments=("*",),
            revisions=(),
            state_left=world.earlier,
            reason="an earlier failure",
            incident_id="",
            app=incident.app,
            app_uid=incident.app_uid,
            hook="",
            owner=incident.owner,
            created_at=incident.opened_at - _DAY,
            created_by="before",
        ),
    )


# In words, a line for each thing that a rule wants: cases expect these lines, tables count them.


def lines(trial: Trial) -> list[str]:
    return [line for rule in trial.matched for line in dict.fromkeys(_lines_of(rule, trial))]  # each attempt says it


def _lines_of(rule: Rule, trial: Trial) -> Iterator[str]:
    operations = sorted({d.operation for d in trial.decisions})
    for action in rule.actions:
        if action.kind is ActionKind.ALERT:
            yield alert_line(rule, action)
            continue
        found = [d for d in trial.decisions if d.rule == rule.name and d.action is action.kind]
        for decision in sorted(found, key=lambda d: d.operation):
            place = f"operation {operations.index(decision.operation) + 1}: " if len(operations) > 1 else ""
            yield f"{place}{decision_line(decision)}"


def decision_line(decision: Decision) -> str:
    """``resync denied by killswitch, budget``"""
    refused = ", ".join(dict.fromkeys(r.guard for r in decision.verdict.reasons if not r.passed))
    by = f" by {refused}" if refused and decision.verdict.result is VerdictResult.DENIED else ""
    return f"{decision.action.value} {decision.verdict.result.value}{by}"


def alert_line(rule: Rule, action: RuleAction) -> str:
    """``alert critical to dba after 5m``"""
    to = f" to {action.receiver}" if action.receiver else ""
    after = f" after {format_duration(action.after)}" if action.after else ""
    shadow = " in shadow" if rule.mode_of(ActionKind.ALERT) is Mode.SHADOW else ""
    return f"alert {action.severity.value}{to}{after}{shadow}"
