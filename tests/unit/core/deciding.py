"""One situation in which a resync is allowed, for tests that change one thing of it."""

from typing import Any

import msgspec

from responder.core.actions import ActionKind, ActionRecord, Decision, Mode, Outcome, OutcomeResult, Switch
from responder.core.argocd import OperationPhase, OperationRecord
from responder.core.candidate import Candidate
from responder.core.evidence import Freshness
from responder.core.failure import Category, Confidence, Diagnosis, Retry, StateLeft
from responder.core.hooks import HookRun
from responder.core.incident import FailingHook, HookIdentity, Incident, IncidentState
from responder.core.promotion import Block
from responder.core.rules import Rule, RuleAction, Rulebook
from responder.core.situation import Policy, Situation
from tests.unit.core.night import KEY, REVISION, application, at, failed, hook, job, operation, pod, state, told, views
from tests.unit.core.night import container as ended

SAFE = Diagnosis(
    Category.CONNECTION_REFUSED, Retry.SAFE, "it passes by itself", StateLeft.NONE, "nothing began", Confidence.CERTAIN
)
DIRTY = Diagnosis(
    Category.DIRTY_STATE, Retry.UNSAFE, "a marker was left", StateLeft.DIRTY, "the log says so", Confidence.CERTAIN
)
FAILED = operation(OperationPhase.FAILED, told(1, hook(), 5), finished=5)
BROKEN = job(1, failed(4), pods=(pod(ended(command=("alembic", "upgrade", "head"))),))
HOOK = HookIdentity("in-cluster", "Job", "shop", "db-migrate", "PreSync")
POLICY = Policy(mode=Mode.LIVE)
LIVE = Rule("again", (), (RuleAction(ActionKind.RESYNC, delay=30.0),), Mode.LIVE, budget=2, cooldown=120.0)
ACTS = frozenset(k.value for k in ActionKind if k.acts)


def incident(**more: Any) -> Incident:
    words = {
        "opened_at": at(4),
        "updated_at": at(5),
        "opened_for": "the hook failed",
        "sync_phase": "PreSync",
        "operations": (at(0),),
        "revisions": (REVISION,),
        "diagnosis": SAFE,
        "failing": (FailingHook(HOOK, at(4)),),
        "evidence_version": "seen",
        "owner": "team-orders",
        **more,
    }
    return Incident(
        id="incident-1",
        app=KEY,
        app_uid="app-1",
        project="shop",
        argocd="argocd",
        destination="in-cluster",
        destination_namespace="shop",
        state=words.pop("state", IncidentState.FIRING),
        **words,
    )


def situation(
    records: tuple[OperationRecord, ...] = (FAILED,), runs: tuple[HookRun, ...] = (BROKEN,), **more: Any
) -> Situation:
    newest = records[-1]
    shown = state(newest.operation_phase, started=(newest.started_at - at(0)).total_seconds())
    words = {
        "now": at(60),
        "installed_at": at(-86400),
        "app": application(operation=shown),
        "diagnoses": {},
        "incident": incident(),
        "previous": None,
        "rulebook": Rulebook((LIVE,), Mode.LIVE),
        "policy": POLICY,
        "freshness": Freshness(synced=True, observed_at=at(60)),
        "switch": Switch.RELEASED,
        "permitted": ACTS,
        "window_open": True,
        **more,
    }
    return Situation(views=views(records, runs), **words)


def candidate(
    seen: Situation | None = None,
    kind: ActionKind = ActionKind.RESYNC,
    diagnosis: Diagnosis = SAFE,
    rule: Rule = LIVE,
    **more: Any,
) -> Candidate:
    seen = seen or situation()
    words = {"incident": incident(), "delay": 30.0, **more}
    return Candidate(seen, seen.views[-1], diagnosis, kind, rule, **words)


def act(result: OutcomeResult, begun: float = 10, operation: float = -600, **more: Any) -> ActionRecord:
    words = {
        "decision_id": "a decision",
        "incident_id": "incident-1",
        "kind": ActionKind.RESYNC,
        "revisions": (REVISION,),
        "by": "rule again",
        **more,
    }
    return ActionRecord(
        id=words.pop("id", f"act@{begun:g}"),
        app=KEY,
        app_uid="app-1",
        operation=at(operation),
        begun_at=at(begun),
        outcome=Outcome(result),
        **words,
    )


def block(left: StateLeft = StateLeft.NONE, **more: Any) -> Block:
    words = {
        "environments": ("*",),
        "revisions": (REVISION,),
        "incident_id": "incident-1",
        "app_uid": "app-1",
        "hook": str(HOOK),
        "created_at": at(10),
        "environment": "staging",
        "service": "orders",
        **more,
    }
    return Block(
        id=words.pop("id", "block-1"),
        state_left=left,
        reason="it failed",
        app=KEY,
        owner="team-orders",
        created_by="rule hold",
        **words,
    )


def only(decisions: tuple[Decision, ...], kind: ActionKind = ActionKind.RESYNC) -> Decision:
    (found,) = [d for d in decisions if d.action is kind]
    return found


def with_app(**more: Any) -> Situation:
    seen = situation()
    assert seen.app is not None
    return msgspec.structs.replace(seen, app=msgspec.structs.replace(seen.app, **more))
