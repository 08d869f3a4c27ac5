"""What a block holds back, what ends it, and what never does."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from responder.core.actions import ActionKind, Decision, Mode, Verdict, VerdictResult
from responder.core.argocd import OperationPhase
from responder.core.blocking import new_block, settle_blocks
from responder.core.failure import StateLeft
from responder.core.incident import FailingHook, HookIdentity, Incident, IncidentState
from responder.core.promotion import Block
from responder.core.rules import RuleAction
from tests.unit.core.deciding import BROKEN, DIRTY, FAILED, HOOK, LIVE, SAFE, block, incident, situation
from tests.unit.core.night import BEFORE, REVISION, application, at, complete, failed, hook, job, operation, told

RUNNING, TERMINATING, FAILED_PHASE, ERROR, SUCCEEDED = OperationPhase
replace = msgspec.structs.replace
CLOSED = incident(state=IncidentState.RESOLVED, resolved_at=at(64))
WELL = operation(SUCCEEDED, told(1, hook(hook_phase="Succeeded"), 65), started=60, finished=66)
RAN_WELL = job(61, complete(64))
LEFT = [StateLeft.PARTIAL, StateLeft.DIRTY, StateLeft.LOCKED]


def settled(held: Block, of: Incident | None = CLOSED, *, well: bool = True, **more: Any) -> Block:
    records, runs = ((FAILED, WELL), (BROKEN, RAN_WELL)) if well else ((FAILED,), (BROKEN,))
    seen = situation(more.pop("records", records), more.pop("runs", runs), blocks=(held,), **{"now": at(600), **more})
    (after,) = settle_blocks(seen, of) or [held]
    return after


def test_nothing_left_behind_ends_with_the_same_hook_at_that_revision() -> None:
    after = settled(block())

    assert (after.ended_at, after.ended_by) == (at(64), "the same hook ended well")


def test_it_does_so_after_a_person_resolved_the_incident() -> None:
    assert settled(block(), None).ended_at == at(64)
    assert settled(block(), None, well=False).ended_at is None


def test_another_revision_that_ends_well_proves_nothing_of_this_one() -> None:
    mended = replace(WELL, revisions=(BEFORE,))

    assert settled(block(), records=(FAILED, mended)).ended_at is None


@pytest.mark.parametrize("left", LEFT)
def test_what_was_left_behind_needs_a_person_too(left: StateLeft) -> None:
    mended = replace(WELL, revisions=(BEFORE,))

    after = settled(block(left), records=(FAILED, mended))
    assert (after.proven_at, after.ended_at) == (at(64), None)


def test_a_lock_that_the_tool_took_away_itself_needs_nobody() -> None:
    after = settled(block(StateLeft.LOCKED), unlocked=frozenset({RAN_WELL.uid}))

    assert (after.ended_at, after.ended_by) == (at(64), "the tool took away its own lock")


@pytest.mark.parametrize("left", [StateLeft.PARTIAL, StateLeft.DIRTY])
def test_a_lock_taken_away_says_nothing_of_anything_else_that_was_left(left: StateLeft) -> None:
    assert settled(block(left), unlocked=frozenset({RAN_WELL.uid})).ended_at is None


def test_a_lock_is_not_known_to_be_gone_by_another_run_another_hook_or_another_application() -> None:
    seed = HookIdentity("in-cluster", "Job", "shop", "seed", "PreSync")
    successor = replace(application(), uid="app-2")

    assert settled(block(StateLeft.LOCKED), unlocked=frozenset({BROKEN.uid})).ended_at is None
    assert settled(block(StateLeft.LOCKED, hook=f"{HOOK}, {seed}"), unlocked=frozenset({RAN_WELL.uid})).ended_at is None
    gone = settled(block(StateLeft.LOCKED), unlocked=frozenset({RAN_WELL.uid}), app=successor)
    assert (gone.flagged, gone.ended_at) == (True, None)


def test_a_hook_that_failed_again_afterwards_may_have_left_the_lock_again() -> None:
    again = operation(FAILED_PHASE, told(1, hook(), 125), started=120, finished=125)
    runs = (BROKEN, RAN_WELL, job(121, failed(124)))
    held = block(StateLeft.LOCKED, proven_at=at(64))

    after = settled(held, None, records=(FAILED, WELL, again), runs=runs, unlocked=frozenset({RAN_WELL.uid}))
    assert after.ended_at is None


@pytest.mark.parametrize("left", [*LEFT, StateLeft.UNKNOWN])
def test_no_time_ends_what_is_not_known_to_be_empty(left: StateLeft) -> None:
    assert settled(block(left), None, well=False, now=at(365 * 86400)).ended_at is None


def test_time_ends_a_block_where_nothing_was_left() -> None:
    short = block(expires_at=at(500))

    assert settled(short, None, well=False, now=at(499)).ended_at is None
    ended = settled(short, None, well=False, now=at(500))
    assert (ended.ended_at, ended.ended_by) == (at(500), "time")


def test_a_second_failing_hook_has_to_end_well_too() -> None:
    seed = HookIdentity("in-cluster", "Job", "shop", "seed", "PreSync")
    both = block(hook=f"{HOOK}, {seed}")
    more = operation(SUCCEEDED, told(1, hook("seed", "Succeeded"), 95), started=90, finished=96)
    runs = (BROKEN, RAN_WELL, job(91, complete(94), name="seed"))

    assert settled(both).ended_at is None
    assert settled(both, records=(FAILED, WELL, more), runs=runs).ended_at == at(94)


def test_a_hook_that_failed_again_after_it_ended_well_proves_nothing() -> None:
    again = operation(FAILED_PHASE, told(1, hook(), 125), started=120, finished=125)

    after = settled(block(), None, records=(FAILED, WELL, again), runs=(BROKEN, RAN_WELL, job(121, failed(124))))
    assert after.ended_at is None


def test_while_its_incident_is_open_it_only_worsens() -> None:
    seed = HookIdentity("in-cluster", "Job", "shop", "seed", "PreSync")
    worse = incident(
        diagnosis=DIRTY, revisions=(REVISION, BEFORE), failing=(FailingHook(HOOK, at(4)), FailingHook(seed, at(5)))
    )
    after = settled(block(expires_at=at(700)), worse)

    assert (after.state_left, after.expires_at, after.ended_at) == (StateLeft.DIRTY, None, None)
    assert (after.hook, after.revisions) == (f"{HOOK}, {seed}", (REVISION, BEFORE))


def test_a_lock_can_turn_out_to_hide_something_half_done() -> None:
    half = replace(DIRTY, state_left=StateLeft.PARTIAL)

    assert settled(block(StateLeft.LOCKED), incident(diagnosis=half)).state_left is StateLeft.PARTIAL
    assert settled(block(StateLeft.DIRTY), incident(diagnosis=half)).state_left is StateLeft.DIRTY


@pytest.mark.parametrize("left", [*LEFT, StateLeft.UNKNOWN])
def test_it_never_becomes_lighter_by_itself(left: StateLeft) -> None:
    assert settled(block(left), incident(diagnosis=SAFE)).state_left is left


def test_an_application_that_is_gone_leaves_its_block_flagged() -> None:
    after = settled(block(StateLeft.DIRTY), incident(state=IncidentState.SUPERSEDED), well=False, app=None)

    assert (after.flagged, after.ended_at) == (True, None)


def test_the_next_application_of_that_name_finds_it_flagged() -> None:
    successor = replace(application(), uid="app-2")

    assert settled(block(StateLeft.DIRTY), None, well=False, app=successor).flagged is True


def test_a_block_of_an_incident_without_a_hook_ends_with_a_full_sync() -> None:
    whole = operation(SUCCEEDED, started=60, finished=66)
    partial = replace(whole, request=replace(whole.request, selective=True))

    assert settled(block(hook=""), records=(FAILED, whole), runs=()).ended_at == at(66)
    assert settled(block(hook=""), records=(FAILED, partial), runs=()).ended_at is None


# Where it comes from.

DECISION = Decision("d-1", "hold", ActionKind.BLOCK, Mode.LIVE, at(0), Verdict(VerdictResult.ALLOWED), "seen", at(60))
HOLD = replace(LIVE, name="hold")


def wanted(diagnosis: Any = DIRTY, rule: Any = HOLD, lasts: float | None = None, **more: Any) -> list[Block]:
    action = RuleAction(ActionKind.BLOCK, environments=("*",), lasts=lasts)
    return new_block(situation(**more), incident(diagnosis=diagnosis), diagnosis, rule, action, DECISION)


def test_a_rule_blocks_the_revision_and_tells_why() -> None:
    (made,) = wanted()

    assert (made.service, made.revisions, made.state_left) == ("shop/orders", (REVISION,), StateLeft.DIRTY)
    assert (made.hook, made.created_by, made.owner) == (str(HOOK), "rule hold", "team-orders")
    assert made.reason == "argocd/orders failed: dirty-state; left behind: dirty"


def test_it_remembers_the_images_of_the_hooks_that_failed_and_of_those_that_fail_later() -> None:
    seed = HookIdentity("in-cluster", "Job", "shop", "seed", "PreSync")
    more = operation(FAILED_PHASE, told(1, hook("seed"), 65), started=60, finished=65)
    runs = (replace(BROKEN, images=("orders:5",)), job(61, failed(64), name="seed", images=("seed:2",)))
    (made,) = new_block(
        situation(runs=runs[:1]), incident(diagnosis=DIRTY), DIRTY, HOLD, RuleAction(ActionKind.BLOCK), DECISION
    )
    worse = incident(
        diagnosis=DIRTY,
        operations=(at(0), at(60)),
        failing=(FailingHook(HOOK, at(4)), FailingHook(seed, at(64))),
    )
    (after,) = settle_blocks(situation((FAILED, more), runs, blocks=(made,), incident=worse), worse)

    assert (made.images, after.images) == (("orders:5",), ("orders:5", "seed:2"))


def test_only_what_left_nothing_ends_by_time() -> None:
    (light,), (heavy,) = wanted(SAFE, lasts=3600.0), wanted(DIRTY, lasts=3600.0)

    assert (light.expires_at, heavy.expires_at) == (at(60) + timedelta(hours=1), None)


def test_it_is_made_once_an_incident_and_not_in_shadow_mode() -> None:
    (made,) = wanted()

    assert wanted(blocks=(made,)) == []
    assert wanted(rule=replace(HOLD, own_mode=Mode.SHADOW)) == []
    assert len(wanted(rule=replace(HOLD, mode=Mode.SHADOW))) == 1  # the default mode is of acts
