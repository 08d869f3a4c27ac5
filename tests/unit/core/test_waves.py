"""How many that share a cause try again at a time: one, two, four; and none for a while when a try went wrong."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from responder.core.actions import ActionKind, ActionRecord, Decision, Mode, Outcome, OutcomeResult, Reason, Verdict
from responder.core.actions import VerdictResult as Result
from responder.core.incident import FailingHook, Incident, IncidentState
from responder.core.waves import Cause, Wave, ready, turns, wave
from tests.unit.core.deciding import HOOK, act, incident
from tests.unit.core.night import at

KEY = "database/db.example.com/connection-refused"
replace = msgspec.structs.replace


def child(number: int, back: float | None = None, failed: float = 0, **more: Any) -> Incident:
    """The Application of this number: its hook failed then, and ended well then."""
    end = None if back is None else at(back)
    words = {
        "failing": (FailingHook(HOOK, at(failed), end),),
        "state": IncidentState.FIRING if back is None else IncidentState.RESOLVED,
        "opened_at": at(failed),
        "correlation": KEY,
        **more,
    }
    made = incident(**words)
    app = replace(made.app, name=f"app-{number}")
    return replace(made, id=f"child-{number}", app=app, app_uid=f"uid-{number}")


def tried(number: int, begun: float, result: OutcomeResult, ended: float | None = None) -> ActionRecord:
    """Our resync of the Application of this number."""
    made = act(result, begun=begun, correlation=KEY, incident_id=f"child-{number}", id=f"try-{number}@{begun:g}")
    when = at(begun if ended is None else ended)
    return replace(made, app_uid=f"uid-{number}", outcome=Outcome(result, at=when))


def seen(children: list[Incident], *resyncs: ActionRecord, cap: int = 8) -> Wave:
    cause = Cause(KEY, tuple(children), tuple(sorted(resyncs, key=lambda a: a.begun_at)))
    return wave(cause, cap=cap, breaks_after=3, cooldown=60)


UNDER_WAY, WELL, WRONG = OutcomeResult.TAKEN, OutcomeResult.SUCCEEDED, OutcomeResult.FAILED
FORTY = [child(n) for n in range(40)]


def test_one_alone_is_led_by_nobody() -> None:
    assert not seen([child(1)]).leads
    assert not seen([]).leads


def test_the_first_wave_is_one_canary() -> None:
    first = seen(FORTY)
    assert (first.leads, first.size, first.free, first.closed_until) == (True, 1, 1, None)
    assert seen(FORTY, tried(0, 10, UNDER_WAY)).free == 0


def test_waves_grow_one_two_four_up_to_the_cap_and_each_waits_for_the_one_before() -> None:
    """Of so many that came back, so large a wave, with so many places left in it."""
    expected = {0: (1, 1), 1: (2, 2), 2: (2, 1), 3: (4, 4), 6: (4, 1), 7: (8, 8), 14: (8, 1), 15: (8, 8), 23: (8, 8)}
    for done, place in expected.items():
        now = seen(FORTY, *(tried(n, 10 + n, WELL, 12 + n) for n in range(done)))
        assert (now.size, now.free) == place, done


def test_the_cap_is_what_the_policy_says() -> None:
    assert seen(FORTY, *(tried(n, 10 + n, WELL) for n in range(7)), cap=3).size == 3


def test_places_that_are_taken_are_not_free() -> None:
    canary = tried(0, 10, WELL, 15)
    assert seen(FORTY, canary, tried(1, 20, UNDER_WAY)).free == 1
    assert seen(FORTY, canary, tried(1, 20, UNDER_WAY), tried(2, 20, UNDER_WAY)).free == 0


def test_a_child_that_came_back_by_itself_is_as_good_as_a_canary() -> None:
    one_back = [child(0, back=30), *FORTY[1:]]
    assert (seen(one_back).size, seen(one_back).free) == (2, 2)


def test_a_child_that_a_person_called_resolved_proves_nothing() -> None:
    said = child(0, state=IncidentState.RESOLVED, resolved_at=at(30), resolved_by="ana")
    assert seen([said, *FORTY[1:]]).size == 1


def test_a_failure_stops_the_wave_and_after_the_doubled_cooldown_there_is_one_canary_again() -> None:
    canary, second, third = tried(0, 10, WELL, 15), tried(1, 20, WRONG, 25), tried(2, 20, UNDER_WAY)
    stopped = seen(FORTY, canary, second, third)
    assert stopped.free == 0
    assert stopped.closed_until is not None
    assert at(25 + 120) <= stopped.closed_until <= at(25 + 120 * 1.2)  # a cooldown of a minute, doubled; jitter
    half_open = seen(FORTY, canary, second, tried(2, 20, WELL, 26))
    assert (half_open.size, half_open.free) == (1, 1)  # what had begun before tells nothing


def test_each_try_in_a_row_that_goes_wrong_doubles_the_wait() -> None:
    twice = seen(FORTY, tried(0, 10, WRONG, 15), tried(1, 200, WRONG, 205))
    assert twice.closed_until is not None
    assert at(205 + 240) <= twice.closed_until <= at(205 + 240 * 1.2)


def test_a_wave_that_goes_wrong_as_a_whole_is_one_try() -> None:
    wrong = seen(FORTY, *(tried(n, 20, WRONG, 25 + n) for n in range(4)))
    assert wrong.closed_until is not None
    assert wrong.closed_until <= at(28 + 120 * 1.2)


def test_after_a_good_one_the_wait_begins_anew() -> None:
    again = seen(FORTY, tried(0, 10, WRONG, 15), tried(1, 200, WELL, 205), tried(2, 210, WRONG, 215))
    assert again.closed_until is not None
    assert again.closed_until <= at(215 + 120 * 1.2)


def test_a_new_failure_of_anybody_begins_with_a_canary_again_without_a_wait() -> None:
    later = [*FORTY[:-1], child(39, failed=50)]
    now = seen(later, tried(0, 10, WELL, 15), tried(1, 20, WELL, 25))
    assert (now.size, now.free, now.closed_until) == (1, 1, None)


def test_what_argo_cd_never_took_up_says_nothing_of_the_cause() -> None:
    overlooked = seen(FORTY, tried(0, 10, OutcomeResult.NOT_TAKEN, 70))
    assert (overlooked.free, overlooked.closed_until) == (1, None)


def test_what_we_cannot_tell_the_end_of_counts_as_gone_wrong() -> None:
    assert seen(FORTY, tried(0, 10, OutcomeResult.UNKNOWN, 20)).closed_until is not None


def test_a_child_that_failed_for_us_and_came_back_later_counts() -> None:
    back = [child(0, failed=25, back=300), *FORTY[1:]]
    now = seen(back, tried(0, 20, WRONG, 25))
    assert (now.size, now.closed_until) == (2, None)


def test_three_tries_in_a_row_that_went_wrong_open_the_circuit_for_one_alone() -> None:
    """Other Applications may come and go: what counts is the cause."""
    wrong = [tried(n, 100.0 * n, WRONG, 100 * n + 5) for n in range(3)]
    assert not seen([child(7)], *wrong[:2]).leads
    broken = seen([child(7)], *wrong)
    assert broken.leads
    assert broken.closed_until is not None
    assert broken.closed_until >= at(205 + 480)
    closed = seen([child(7)], *wrong, tried(3, 900, WELL))
    assert not closed.leads


# Whose turn it is.


def waiting(number: int, *refused: str, due: float = 30, **more: Any) -> Incident:
    """A child whose resync these guards refuse, and no other."""
    reasons = tuple(Reason(guard, "no") for guard in refused)
    verdict = Verdict(Result.DENIED if refused else Result.ALLOWED, reasons)
    words = {"id": f"d{number}", "operation": at(0), "due_at": at(due), **more}
    decision = Decision(
        rule="again", action=ActionKind.RESYNC, mode=Mode.LIVE, verdict=verdict,
        evidence_version="seen", decided_at=at(5), **words,
    )  # fmt: skip
    return child(number, decisions=(decision,))


def order(children: list[Incident], now: datetime, *resyncs: ActionRecord) -> list[str]:
    cause = Cause(KEY, tuple(children), resyncs)
    return [i.id for i in turns(cause, wave(cause, cap=8, breaks_after=3, cooldown=60), now)]


def test_the_oldest_is_next_and_among_equals_the_name_decides() -> None:
    young, old = waiting(1, "correlation"), waiting(2, "correlation")
    old = replace(old, opened_at=at(-10))
    assert order([young, waiting(0), old], at(40)) == ["child-2", "child-0", "child-1"]


def test_who_is_refused_for_another_reason_does_not_wait_for_a_turn() -> None:
    assert ready(waiting(1, "correlation", "sync-window"), at(40)) is None
    assert ready(waiting(1, "retry"), at(40)) is None


def test_a_decision_of_an_older_operation_one_that_was_declined_or_done_is_no_turn() -> None:
    assert ready(waiting(1, operation=at(-60)), at(40)) is None
    assert ready(waiting(1, declined_by="ana"), at(40)) is None
    assert ready(waiting(1, outcome=Outcome(OutcomeResult.EXPIRED)), at(40)) is None
    assert ready(waiting(1), at(40)) is not None


def test_a_cooldown_holds_until_it_is_over() -> None:
    cooling = waiting(1, "correlation", "cooldown", due=30)
    assert ready(cooling, at(29)) is None
    assert ready(cooling, at(30)) is not None


def test_who_is_under_way_has_had_its_turn() -> None:
    assert order([waiting(0), waiting(1)], at(40), tried(0, 35, UNDER_WAY)) == ["child-1"]


def test_who_lets_its_turn_pass_holds_up_nobody() -> None:
    assert order([waiting(0), waiting(1, due=200)], at(30) + timedelta(seconds=121)) == ["child-1"]
