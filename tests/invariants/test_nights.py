"""Single nights that once went wrong, or easily could: what a person would have to see afterwards."""

import pytest

from responder.core.actions import ActionKind, ActionRecord, OutcomeResult
from responder.core.failure import Category
from responder.core.incident import IncidentState
from responder.store import reads
from tests.invariants.monitor import Kind
from tests.invariants.theatre import APP, Theatre
from tests.invariants.transport import Fault


def failed(kind: Kind = Kind.LOCKED_OUT, *, responders: int = 1, retries: int = 0) -> Theatre:
    """The version has just failed (retries: its first attempt has), nobody has looked yet; the next run works."""
    night = Theatre(responders=responders, retries=retries)
    night.live(8)
    night.fails(kind)
    while "finishedAt" not in night.world.state("shop") or night.world.state("shop")["phase"] == "Succeeded":
        night.pass_time(0.5)
    night.next_runs = Kind.WORKS
    return night


def acts(night: Theatre) -> list[ActionRecord]:
    return list(reads.actions(night.database, "", None, open_only=False))


def test_a_failure_that_passes_is_run_again_and_the_end_is_told() -> None:
    night = failed()
    night.live(20)
    (action,) = acts(night)
    (incident,) = night.monitor._incidents()
    assert action.outcome.result is OutcomeResult.SUCCEEDED
    assert incident.state is IncidentState.RESOLVED
    (decision,) = [d for d in incident.decisions if d.action is ActionKind.RESYNC]
    assert decision.outcome is not None
    assert decision.outcome.result is OutcomeResult.SUCCEEDED
    assert decision.verdict.result == "allowed"


def test_two_that_act_at_once_ask_for_one_operation_and_both_know_it() -> None:
    night = failed(responders=2)
    first, second = night.programs
    for program in (first, second):
        program.catch_up()
    for _ in range(3):
        first.step()
        second.step()
    assert len(night.monitor.resyncs) == 1
    night.live(20)
    assert [a.outcome.result for a in acts(night)] == [OutcomeResult.SUCCEEDED]


@pytest.mark.parametrize("fault", [Fault.LOST_AFTER, Fault.ANNOTATED])
def test_a_write_whose_answer_is_lost_or_that_met_another_version_is_done_once(fault: Fault) -> None:
    night = failed()
    night.programs[0].transport.fault = fault
    night.live(20)
    assert sum(night.monitor.resyncs.values()) == 1
    assert [a.outcome.result for a in acts(night)] == [OutcomeResult.SUCCEEDED]


def test_a_write_that_never_arrived_is_not_repeated_but_told_as_unknown() -> None:
    night = failed()
    night.programs[0].transport.fault = Fault.LOST_BEFORE
    night.live(20)
    assert not night.monitor.resyncs
    assert [a.outcome.result for a in acts(night)] == [OutcomeResult.UNKNOWN]


def test_a_refusal_is_tried_again() -> None:
    night = failed()
    night.programs[0].transport.fault = Fault.FORBIDDEN
    night.live(20)
    assert [a.outcome.result for a in acts(night)][-1] is OutcomeResult.SUCCEEDED


@pytest.mark.parametrize("calls", range(1, 12))
def test_a_crash_at_any_call_leaves_one_operation_at_most_and_nothing_open(calls: int) -> None:
    night = failed()
    (program,) = night.programs
    program.catch_up()
    program.gate.crash_in = calls
    program.step()
    program.gate.crash_in = None
    night.live(20)
    assert sum(night.monitor.resyncs.values()) <= 1
    assert all(a.outcome.result not in (OutcomeResult.BEGUN, OutcomeResult.TAKEN) for a in acts(night))
    assert night.broken() == set()


def test_an_overlooked_operation_is_touched_but_not_while_the_kill_switch_is_engaged() -> None:
    night = failed()
    night.world.controller.overlook(APP)
    night.live(2)
    night.switch({"engaged": "true"})
    night.live(20)
    assert len(night.monitor.wrote) == 1
    night.switch({"engaged": "false"})
    night.live(10)
    assert [a.outcome.result for a in acts(night)] == [OutcomeResult.SUCCEEDED]
    assert night.broken() == set()


def test_an_operation_that_is_never_taken_up_is_withdrawn() -> None:
    night = failed()
    night.world.controller.overlook(APP)
    night.live(2)
    night.pass_time(90)
    night.look()
    assert [a.outcome.result for a in acts(night)] == [OutcomeResult.NOT_TAKEN]
    assert "operation" not in night.world.application("shop")


def test_the_old_jobs_deletion_between_two_attempts_is_no_cause() -> None:
    night = failed(Kind.LOCKED_OUT, retries=2)
    night.live(20, every=0.2)
    (incident,) = night.monitor._incidents()
    assert incident.diagnosis is not None
    assert incident.diagnosis.category is Category.LOCK_TIMEOUT
    assert incident.state is IncidentState.RESOLVED
