"""May this revision go on? Success is said only of what was seen, or stands in the history from before us."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.core.argocd import Deployment, OperationPhase, OperationRecord
from responder.core.evidence import Freshness
from responder.core.failure import StateLeft
from responder.core.gate import Candidate, Place, answer, blocks_on, images_at, subject_of, syncing
from responder.core.hooks import HookRun
from responder.core.promotion import Block, GateAnswer, GateResult
from responder.core.situation import Policy
from tests.unit.core.deciding import block, incident
from tests.unit.core.night import (
    AUTOMATED,
    BEFORE,
    REVISION,
    application,
    at,
    complete,
    failed,
    hook,
    job,
    operation,
    state,
    told,
    views,
)

RUNNING, TERMINATING, FAILED, ERROR, SUCCEEDED = OperationPhase
SUCCESS, FAILURE, PENDING = GateResult
FRESH = Freshness(synced=True, observed_at=at(100))
WELL = operation(SUCCEEDED, told(1, hook(hook_phase="Succeeded"), 5), finished=6)
RAN_WELL = job(1, complete(4))
BADLY = operation(FAILED, told(1, hook(), 65), started=60, finished=66)
RAN_BADLY = job(61, failed(64))
replace = msgspec.structs.replace


def asked(
    *records: OperationRecord, runs: tuple[HookRun, ...] = (), revision: str = REVISION, **more: Any
) -> GateAnswer:
    app = application(**more)
    return answer([Candidate(app, views(records, runs), None)], (), revision, FRESH, asked="orders in staging")


def test_a_full_sync_whose_hooks_ended_well_is_success() -> None:
    found = asked(WELL, runs=(RAN_WELL,))

    assert (found.result, found.reason) == (SUCCESS, f"argocd/orders synced {REVISION} in full, hooks included")
    assert found.observed_at == at(100)


def test_a_failure_of_that_revision_is_failure_with_its_incident() -> None:
    candidate = Candidate(application(), views((BADLY,), (RAN_BADLY,)), incident())
    found = answer([candidate], (), REVISION, FRESH, asked="orders")

    assert (found.result, found.reason) == (FAILURE, f"argocd/orders failed at {REVISION}: connection-refused")
    assert (found.incident, found.owner) == ("incident-1", "team-orders")


def test_the_newest_full_sync_of_a_revision_counts() -> None:
    healed = operation(SUCCEEDED, started=90, finished=91, request=replace(AUTOMATED, selective=True))

    assert asked(WELL, BADLY, runs=(RAN_WELL, RAN_BADLY)).result is FAILURE
    assert asked(WELL, BADLY, healed, runs=(RAN_WELL, RAN_BADLY)).result is FAILURE
    again = operation(SUCCEEDED, told(1, hook(hook_phase="Succeeded"), 125), started=120, finished=126)
    assert asked(BADLY, again, runs=(RAN_BADLY, job(121, complete(124)))).result is SUCCESS


def test_a_retry_that_recovered_is_success() -> None:
    record = operation(
        SUCCEEDED, told(1, hook(), 5), told(2, hook(hook_phase="Succeeded"), 20), finished=21, attempts_ended=(at(5),)
    )

    assert asked(record, runs=(job(1, failed(4)), job(16, complete(19)))).result is SUCCESS


# What a revision is.

CHART, VALUES, OTHER = "1.8.2", "7" * 40, "9" * 40
TWO_SOURCES = replace(WELL, revisions=(CHART, VALUES), request=replace(AUTOMATED, revisions=(CHART, VALUES)))


@pytest.mark.parametrize("revision", [CHART, VALUES, f"{CHART},{VALUES}"])
def test_of_several_sources_one_or_all_in_order_are_asked_for(revision: str) -> None:
    assert asked(TWO_SOURCES, runs=(RAN_WELL,), revision=revision).result is SUCCESS


@pytest.mark.parametrize("revision", [f"{VALUES},{CHART}", f"{CHART},{OTHER}", f"{CHART},", CHART[:3], VALUES[:7], ""])
def test_nothing_like_it_will_do(revision: str) -> None:
    assert asked(TWO_SOURCES, runs=(RAN_WELL,), revision=revision).result is PENDING


@pytest.mark.parametrize("moving", ["main", "1.8.*", "HEAD"])
def test_a_branch_or_a_range_is_no_revision(moving: str) -> None:
    """What it named then it may not name now."""
    record = replace(WELL, request=replace(AUTOMATED, revisions=(moving,)))

    assert asked(record, runs=(RAN_WELL,), revision=moving).result is PENDING
    assert asked(record, runs=(RAN_WELL,), revision=REVISION).result is SUCCESS


def test_a_sync_that_failed_before_its_revision_was_resolved_fails_what_was_asked_for() -> None:
    record = operation(ERROR, finished=1, revisions=(), request=replace(AUTOMATED, revisions=("1.8.*",)))

    assert asked(record, revision="1.8.*").result is FAILURE


def deployed(*revisions: str) -> tuple[Deployment, ...]:
    return tuple(Deployment((r,), at(n * 60 - 3600), at(n * 60 - 3605), n) for n, r in enumerate(revisions))


def test_what_was_superseded_stays_a_success_and_says_so() -> None:
    found = asked(history=deployed(BEFORE, REVISION, OTHER))

    assert found.result is SUCCESS
    assert found.reason.endswith("(unobserved); 999999999999 came since")


def test_what_was_rolled_back_waits_for_a_person_or_its_next_sync() -> None:
    found = asked(history=deployed(BEFORE, REVISION, BEFORE))

    assert (found.result, found.reason) == (PENDING, f"argocd/orders went back from {REVISION} to {BEFORE}")
    assert asked(history=deployed(BEFORE, REVISION, BEFORE, OTHER)).result is PENDING
    assert asked(history=deployed(BEFORE, REVISION, BEFORE, REVISION)).result is SUCCESS


def test_a_rollback_counts_for_what_it_brought_back() -> None:
    assert asked(history=deployed(BEFORE, REVISION, BEFORE), revision=BEFORE).result is SUCCESS


def test_a_revision_synced_twice_in_a_row_was_not_taken_back() -> None:
    assert asked(history=deployed(BEFORE, REVISION, REVISION)).result is SUCCESS


def test_that_it_compares_as_synced_is_told_and_is_no_success() -> None:
    found = asked(sync_status="Synced", sync_revisions=(REVISION,))

    expected = f"argocd/orders has not synced {REVISION} in full: it compares as Synced, which runs no hook"
    assert (found.result, found.reason) == (PENDING, expected)


def test_which_hook_nobody_saw_end_is_told() -> None:
    found = asked(WELL, runs=(STALE,))

    expected = f"argocd/orders synced {REVISION}, but nobody saw PreSync Job shop/db-migrate run to a good end"
    assert (found.result, found.reason) == (PENDING, expected)


def test_an_incident_of_another_revision_is_not_named() -> None:
    later = incident(operations=(at(600),), revisions=(OTHER,))
    found = answer([Candidate(application(), views((BADLY,), (RAN_BADLY,)), later)], (), REVISION, FRESH, asked="")

    assert (found.result, found.incident, found.reason) == (
        FAILURE,
        None,
        f"argocd/orders failed at {REVISION}: failed",
    )


RUNS = state(RUNNING, revisions=(CHART, VALUES))


def test_the_running_sync_tells_its_revision() -> None:
    asks = application(operation=RUNS)

    assert syncing([asks]) == f"{CHART},{VALUES}"
    assert syncing([application(operation=state(RUNNING, revisions=(), request=AUTOMATED))]) == REVISION


def test_an_ended_sync_or_two_that_differ_tell_none() -> None:
    assert syncing([application(operation=state(SUCCEEDED, revisions=(REVISION,)))]) == ""
    assert syncing([application(operation=RUNS), application(operation=state(RUNNING, revisions=(OTHER,)))]) == ""
    assert syncing([application(operation=RUNS), application(operation=RUNS)]) == f"{CHART},{VALUES}"


STALE = job(-60, complete(-50), delete_policies=("HookFailed",))
PENDING_BECAUSE: dict[str, tuple[tuple[OperationRecord, ...], tuple[HookRun, ...]]] = {
    "it was never synced": ((), ()),
    "another revision was": ((replace(WELL, revisions=(BEFORE,), request=replace(AUTOMATED, revisions=())),), ()),
    "it syncs now": ((operation(RUNNING, told(1, hook(hook_phase="Running"), 3)),), (job(1),)),
    "it was synced in part": ((operation(SUCCEEDED, finished=6, request=replace(AUTOMATED, selective=True)),), ()),
    "it was tried dry": ((operation(SUCCEEDED, finished=6, request=replace(AUTOMATED, dry_run=True)),), ()),
    "an old Job answered for its hook": ((WELL,), (STALE,)),
    "its hook was deleted": ((replace(WELL, results=(told(1, hook(hook_phase="Running"), 3),)),), ()),
}


@pytest.mark.parametrize("why", PENDING_BECAUSE)
def test_nothing_else_is_success(why: str) -> None:
    records, runs = PENDING_BECAUSE[why]

    assert asked(*records, runs=runs).result is PENDING


def test_what_the_gate_itself_held_is_no_failure_of_the_revision() -> None:
    held = operation(FAILED, told(1, hook("gate"), 3), finished=4)

    assert asked(held, runs=(job(1, failed(3), name="gate", gate=True),)).result is PENDING


def test_a_sync_from_before_us_counts_and_says_so() -> None:
    found = asked(history=(Deployment((REVISION,), at(-3600), at(-3605), 4),))

    assert (found.result, found.reason) == (
        SUCCESS,
        f"argocd/orders deployed {REVISION} before we watched (unobserved)",
    )


def test_the_history_does_not_speak_for_what_was_seen() -> None:
    found = asked(WELL, runs=(STALE,), history=(Deployment((REVISION,), at(6), at(0), 4),))

    assert found.result is PENDING


@pytest.mark.parametrize(
    ("fresh", "why"),
    [
        (Freshness(synced=False, observed_at=None), "not synced yet"),
        (Freshness(synced=True, observed_at=at(0), trouble="the watch is silent"), "the watch is silent"),
    ],
)
def test_a_stale_picture_is_pending_whatever_it_shows(fresh: Freshness, why: str) -> None:
    candidate = Candidate(application(), views((WELL,), (RAN_WELL,)), None)
    found = answer([candidate], (), REVISION, fresh, asked="orders")

    assert (found.result, found.reason) == (PENDING, f"our picture of the cluster is not current: {why}")


def test_an_unknown_application_is_pending() -> None:
    found = answer((), (), REVISION, FRESH, asked="orders in staging")

    assert (found.result, found.reason) == (PENDING, "no Application is known for orders in staging")


def test_of_several_applications_the_worst_answers() -> None:
    well = Candidate(application(), views((WELL,), (RAN_WELL,)), None)
    badly = Candidate(application(), views((BADLY,), (RAN_BADLY,)), None)
    silent = Candidate(application(), (), None)

    assert answer([well, silent], (), REVISION, FRESH, asked="").result is PENDING
    assert answer([well, silent, badly], (), REVISION, FRESH, asked="").result is FAILURE
    assert answer([well, well], (), REVISION, FRESH, asked="").result is SUCCESS


def test_a_block_is_failure_even_when_nothing_is_current() -> None:
    held = block(expires_at=at(900))
    found = answer((), [held], REVISION, Freshness(synced=False, observed_at=None), asked="")

    assert (found.result, found.reason, found.block, found.incident) == (FAILURE, "it failed", "block-1", "incident-1")
    assert (found.owner, found.expires_at) == ("team-orders", at(900))


# What a block holds.

ORDER = ("dev", "staging", "production")
LEFT = [StateLeft.PARTIAL, StateLeft.DIRTY, StateLeft.LOCKED]


def holds(
    held: Block,
    environment: str,
    revision: str = REVISION,
    service: str = "orders",
    now: float = 50,
    images: frozenset[str] = frozenset(),
) -> bool:
    return bool(blocks_on([held], Place(service, environment, revision, images), at(now), ORDER))


@pytest.mark.parametrize("left", list(StateLeft))
def test_it_holds_the_revision_where_it_failed_and_after_and_not_before(left: StateLeft) -> None:
    assert [holds(block(left), environment) for environment in ORDER] == [False, True, True]


@pytest.mark.parametrize("left", LEFT)
def test_what_was_left_behind_holds_every_revision_there_and_the_same_one_after(left: StateLeft) -> None:
    assert holds(block(left), "staging", BEFORE) is True
    assert holds(block(left), "production", BEFORE) is False


@pytest.mark.parametrize("left", [StateLeft.NONE, StateLeft.UNKNOWN])
def test_where_nothing_is_known_to_be_left_another_revision_goes_on(left: StateLeft) -> None:
    assert holds(block(left), "staging", BEFORE) is False


def test_an_environment_that_was_named_is_held_whatever_the_order() -> None:
    assert holds(block(environments=("dev",)), "dev") is True
    assert holds(block(environments=("production",)), "dev") is False
    assert holds(block(environments=("d*",)), "dev") is True
    assert holds(block(environments=("prod-*",)), "dev") is False


def test_it_holds_its_own_service_only() -> None:
    assert holds(block(), "staging", service="payments") is False


def test_without_revisions_it_holds_every_one() -> None:
    assert holds(block(revisions=()), "production", BEFORE) is True


def test_what_ended_or_expired_holds_nothing() -> None:
    assert holds(block(ended_at=at(40)), "staging") is False
    assert holds(block(expires_at=at(50)), "staging") is False
    assert holds(block(expires_at=at(51)), "staging") is True


IMAGE = "registry.example.com/shop/orders:5.2.0"
NEWER = "registry.example.com/shop/orders:5.3.0"


@pytest.mark.parametrize("left", [*LEFT, StateLeft.UNKNOWN])
def test_what_may_be_half_done_holds_the_same_image_under_another_revision(left: StateLeft) -> None:
    """Schema skew: production brings the migration in by a commit of its own."""
    held = block(left, images=(IMAGE,))

    assert holds(held, "production", BEFORE, images=frozenset({IMAGE, "proxy:1"})) is True
    assert holds(held, "production", BEFORE, images=frozenset({NEWER})) is False
    assert holds(held, "production", BEFORE) is False
    assert holds(held, "dev", BEFORE, images=frozenset({IMAGE})) is False


def test_where_nothing_was_left_the_image_alone_holds_nothing() -> None:
    assert holds(block(images=(IMAGE,)), "production", BEFORE, images=frozenset({IMAGE})) is False


def test_of_several_sources_any_that_failed_is_held() -> None:
    assert holds(block(revisions=(CHART, VALUES)), "production", f"{CHART},{OTHER}") is True
    assert holds(block(revisions=(CHART, VALUES)), "production", f"1.8.3,{OTHER}") is False


def test_the_newest_block_answers() -> None:
    old, new = block(id="old"), block(id="new", created_at=at(20))
    found = blocks_on([old, new], Place("orders", "staging", REVISION), at(50), ORDER)

    assert [b.id for b in found] == ["new", "old"]


def test_images_are_those_of_the_hooks_that_ran_at_a_revision() -> None:
    ran = job(1, complete(4), images=(IMAGE,))
    candidate = Candidate(application(), views((WELL,), (ran,)), None)

    assert images_at([candidate], REVISION) == {IMAGE}
    assert images_at([candidate], BEFORE) == frozenset()


# Subjects.


def test_a_subject_is_told_by_labels_or_by_project_name_and_destination() -> None:
    labels = (("app.kubernetes.io/part-of", "orders"), ("hook-responder.io/environment", "staging"))
    named = subject_of(application(labels=labels, sync_revisions=(REVISION,)), Policy())
    plain = subject_of(application(destination_name="east"), Policy())

    assert (named.service, named.environment, named.revision) == ("orders", "staging", REVISION)
    assert (plain.service, plain.environment) == ("shop/orders", "east/shop")


HOOKS = st.builds(hook, hook_phase=st.sampled_from(["Running", "Failed", "Succeeded"]))
RECORDS = st.lists(
    st.builds(
        operation,
        st.sampled_from(list(OperationPhase)),
        st.builds(told, st.just(1), HOOKS, st.just(3.0)),
        started=st.sampled_from([0.0, 60.0]),
        finished=st.sampled_from([None, 66.0]),
        revisions=st.sampled_from([(), (REVISION,), (BEFORE,)]),
    ),
    max_size=3,
)  # fmt: skip


@given(RECORDS, st.lists(st.sampled_from([RAN_WELL, RAN_BADLY, STALE, job(1), job(61)]), max_size=3, unique=True))
def test_success_is_never_said_without_a_sync_that_ended_well(
    records: list[OperationRecord], runs: list[HookRun]
) -> None:
    found = asked(*records, runs=tuple(runs))

    ended_well = [r for r in records if r.operation_phase is SUCCEEDED]
    assert found.result is not SUCCESS or ended_well
