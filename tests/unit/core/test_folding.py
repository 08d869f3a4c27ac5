"""Versions of an Application, folded into what its operations were."""

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.core.appwire import decode_application
from responder.core.argocd import Application, OperationPhase, OperationRecord, OperationState
from responder.core.folding import fold
from tests.unit.core.night import BEFORE, application, at, hook, state

RECORDINGS = Path(__file__).parents[2] / "recordings"
RUNNING, TERMINATING, FAILED, ERROR, SUCCEEDED = OperationPhase

ONE = state(RUNNING, hook(hook_phase="Running"))
FIRST_WAIT = state(RUNNING, hook(), finished=5, retry=1, message="Retrying attempt #1")
TWO_BEGINS = state(RUNNING, retry=1, message="Retrying operation. Attempt #1")
TWO = state(RUNNING, hook(hook_phase="Running"), retry=1)
SECOND_WAIT = state(RUNNING, hook(), finished=25, retry=2, message="Retrying attempt #2")
THREE_RUNS = state(RUNNING, hook(hook_phase="Running"), retry=2)
FAILED_AT_LAST = state(FAILED, hook(), finished=60, retry=2, message="(retried 2 times)")
STORY = (ONE, FIRST_WAIT, TWO_BEGINS, TWO, SECOND_WAIT, THREE_RUNS, FAILED_AT_LAST)


def told(*states: OperationState | None) -> tuple[OperationRecord, ...]:
    """Seen one second apart; newest first."""
    return folded([application(operation=s) for s in states])


def folded(versions: Sequence[Application]) -> tuple[OperationRecord, ...]:
    held: dict[str, OperationRecord] = {}
    newest: OperationRecord | None = None
    for second, version in enumerate(versions):
        records = fold(newest, version, at(second))
        newest = records[0] if records else None
        held |= {record.id: record for record in records}
    return tuple(sorted(held.values(), key=lambda r: r.started_at, reverse=True))


def phases(record: OperationRecord) -> list[tuple[int, str]]:
    return [(r.attempt, r.result.hook_phase) for r in record.results]


def test_each_attempt_keeps_its_own_results() -> None:
    (record,) = told(*STORY)

    assert phases(record) == [(1, "Failed"), (2, "Failed"), (3, "Failed")]
    assert record.attempts_ended == (at(5), at(25))
    assert (record.operation_phase, record.finished_at, record.ended) == (FAILED, at(60), True)


def test_the_last_retried_failure_and_the_final_one_carry_the_same_number_and_are_two() -> None:
    (record,) = told(ONE, FIRST_WAIT, TWO, state(FAILED, hook(), finished=25, retry=1))

    assert phases(record) == [(1, "Failed"), (2, "Failed")]


def test_a_recovered_retry_leaves_its_failed_attempts() -> None:
    (record,) = told(ONE, FIRST_WAIT, TWO, state(SUCCEEDED, hook(hook_phase="Succeeded"), finished=30, retry=1))

    assert phases(record) == [(1, "Failed"), (2, "Succeeded")]


def test_an_end_in_the_wait_adds_no_attempt() -> None:
    stopping = state(TERMINATING, hook(), finished=5, retry=1)
    stopped = state(FAILED, hook(), finished=5, retry=1, message="Operation terminated (retried 1 times).")
    (record,) = told(ONE, FIRST_WAIT, stopping, stopped)

    assert phases(record) == [(1, "Failed")]
    assert record.message == "Operation terminated (retried 1 times)."


def test_a_wait_that_nobody_saw_still_parts_two_attempts() -> None:
    (record,) = told(ONE, TWO, FAILED_AT_LAST)

    assert phases(record) == [(1, "Running"), (2, "Running"), (3, "Failed")]
    assert record.attempts_ended == (at(0), at(1))  # when each was last seen


def test_a_whole_attempt_that_nobody_saw_is_not_numbered() -> None:
    (record,) = told(ONE, FIRST_WAIT, THREE_RUNS, FAILED_AT_LAST)

    assert [r.attempt for r in record.results] == [1, 3]
    assert record.attempts_ended == (at(5), at(1))


def test_an_operation_met_in_its_third_attempt_begins_with_one() -> None:
    (record,) = told(THREE_RUNS, FAILED_AT_LAST)

    assert phases(record) == [(1, "Failed")]
    assert record.attempts_ended == ()


def test_an_operation_met_while_it_waits_has_had_one_attempt() -> None:
    (record,) = told(SECOND_WAIT, THREE_RUNS)

    assert phases(record) == [(1, "Failed"), (2, "Running")]
    assert record.attempts_ended == (at(25),)


def test_a_state_of_thirty_milliseconds_is_kept_when_a_newer_revision_takes_over() -> None:
    failed = state(FAILED, hook(), finished=5)
    newer, older = told(ONE, failed, None, state(RUNNING, started=5))

    assert (older.operation_phase, older.replaced, older.ended) == (FAILED, False, True)
    assert newer.started_at == at(5)


def test_an_operation_cut_off_by_another_is_told_as_replaced() -> None:
    newer, older = told(ONE, None, state(RUNNING, started=7))

    assert (older.operation_phase, older.replaced, older.ended) == (RUNNING, True, True)
    assert newer.replaced is False


def test_a_cleared_operation_is_kept_until_the_next_appears() -> None:
    (record,) = told(ONE, None, None)

    assert record.replaced is False


def test_nothing_is_kept_of_an_application_without_operations() -> None:
    assert told(None, None) == ()


def test_another_application_of_the_same_name_begins_anew() -> None:
    (first,) = fold(None, application(operation=ONE), at(0))
    again = msgspec.structs.replace(application(operation=TWO), uid="app-2")

    (record,) = fold(first, again, at(1))
    assert (record.app_uid, phases(record)) == ("app-2", [(1, "Running")])


def test_the_revision_that_a_retry_refreshed_is_the_newest() -> None:
    refreshed = msgspec.structs.replace(TWO, revisions=(BEFORE,))
    (record,) = told(ONE, FIRST_WAIT, TWO_BEGINS, refreshed)

    assert record.revisions == (BEFORE,)


def test_an_operation_held_by_a_sync_window_says_so_and_no_longer_when_it_goes_on() -> None:
    held = state(RUNNING, message="Sync operation blocked by sync window")

    assert told(held)[0].window_blocked is True
    assert told(held, ONE)[0].window_blocked is False


def test_words_keep_the_time_when_they_were_first_seen() -> None:
    (record,) = told(ONE, ONE, state(RUNNING, hook()), state(RUNNING, hook()))

    (result,) = record.results
    assert (result.first_at, result.last_at) == (at(0), at(2))


def test_of_too_many_results_the_first_and_the_newest_stay() -> None:
    first = state(RUNNING, *(hook(f"first-{n}") for n in range(150)), finished=5, retry=1)
    last = state(FAILED, *(hook(f"last-{n}") for n in range(150)), finished=25, retry=1)
    (record,) = told(first, TWO_BEGINS, last)

    names = [r.result.name for r in record.results]
    assert (len(names), names[0], names[99], names[-1]) == (200, "first-0", "first-99", "last-149")


LATER_STORY = (*STORY, None, state(RUNNING, started=90), state(ERROR, started=90, finished=92))


def without_sightings(records: Sequence[OperationRecord]) -> list[OperationRecord]:
    """All but when it was seen: what was seen late was seen later."""
    return [
        msgspec.structs.replace(
            record,
            first_seen_at=at(0),
            last_seen_at=at(0),
            message_at=None,
            results=tuple(msgspec.structs.replace(r, first_at=at(0), last_at=at(0)) for r in record.results),
        )
        for record in records
    ]


@given(st.data())
def test_versions_that_come_twice_or_again_later_change_nothing(data: st.DataObject) -> None:
    order = list(range(len(LATER_STORY)))
    for _ in range(data.draw(st.integers(0, 6))):
        version = data.draw(st.integers(0, len(LATER_STORY) - 1))
        seen = order.index(version)
        order.insert(data.draw(st.integers(seen + 1, len(order))), version)

    assert without_sightings(told(*(LATER_STORY[n] for n in order))) == without_sightings(told(*LATER_STORY))


@given(st.sets(st.integers(0, len(STORY) - 2)))
def test_versions_that_were_missed_never_put_two_attempts_into_one(missed: set[int]) -> None:
    seen = [s for n, s in enumerate(STORY) if n not in missed]
    (record,) = told(*seen)

    number = {id(ONE): 1, id(FIRST_WAIT): 1, id(TWO): 2, id(SECOND_WAIT): 2, id(THREE_RUNS): 3, id(FAILED_AT_LAST): 3}
    named = {number[id(s)] for s in seen if s is not TWO_BEGINS}
    assert len({r.attempt for r in record.results}) == len(named)
    assert all(a <= b for a, b in pairwise(r.attempt for r in record.results))


def recorded(name: str) -> list[Application]:
    lines = (RECORDINGS / name / "applications.jsonl").read_bytes().splitlines()
    objects = [msgspec.json.decode(line, type=dict[str, msgspec.Raw])["object"] for line in lines]
    return [decode_application(raw, lambda text: text) for raw in objects]


@pytest.mark.parametrize(
    ("name", "operations"),
    [
        ("s02-fail-default-policy", [(FAILED, 1)]),
        ("s05b-retry-dirty-version", [(FAILED, 4)]),
        ("s05c-retry-recovers-third", [(SUCCEEDED, 3)]),
        ("s04-fail-hooksucceeded-policy", [(FAILED, 1), (FAILED, 1), (FAILED, 1)]),
        ("a01-stop-retries-in-the-wait", [(FAILED, 1)]),
        ("s13c-retry-refresh-takes-new-commit", [(SUCCEEDED, 2), (SUCCEEDED, 0)]),
        ("s18-deny-window", [(FAILED, 0)]),
    ],
)
def test_what_a_real_argo_cd_did(name: str, operations: list[tuple[OperationPhase, int]]) -> None:
    records = folded(recorded(name))

    seen = [(r.operation_phase, len({result.attempt for result in r.results})) for r in reversed(records)]
    assert seen == operations


def test_a_recorded_story_told_with_every_version_twice_is_the_same() -> None:
    versions = recorded("s05b-retry-dirty-version")
    doubled: list[Application] = reduce(lambda told, version: [*told, version, version], versions, [])

    assert without_sightings(folded(doubled)) == without_sightings(folded(versions))
