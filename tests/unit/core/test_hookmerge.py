"""Versions of a hook in the order in which they come, and sometimes out of it."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from responder.core.evidence import ClusterEvent, LogSummary
from responder.core.hookmerge import merge_container, merge_events, merge_pod, merge_run
from responder.core.hooks import ContainerRun, ContainerState, HookRun, JobCondition, PodRun

AT = datetime(2026, 11, 21, 3, tzinfo=UTC)


def container(state: ContainerState = ContainerState.WAITING, **more: object) -> ContainerRun:
    return ContainerRun(name="migrate", state=state, **more)  # type: ignore[arg-type]  # the tests' own words


WAITING, RUNNING, TERMINATED = ContainerState


def pod(*containers: ContainerRun, phase: str = "Running") -> PodRun:
    return PodRun(name="p", uid="u", created_at=AT, pod_phase=phase, containers=containers)


def run(**more: object) -> HookRun:
    return HookRun("in-cluster", "Job", "shop", "db-migrate", "uid", AT, **more)  # type: ignore[arg-type]  # as above


@given(st.lists(st.sampled_from(list(ContainerState)), min_size=1, max_size=6))
def test_states_only_move_forward(states: list[ContainerState]) -> None:
    merged = container(states[0])
    for state in states[1:]:
        merged = merge_container(merged, container(state))

    rank = [WAITING, RUNNING, TERMINATED].index
    assert rank(merged.state) == max(rank(state) for state in states)


def test_the_first_exit_code_stays() -> None:
    merged = merge_container(container(TERMINATED, exit_code=1), container(TERMINATED, exit_code=137))

    assert merged.exit_code == 1


def test_what_a_container_waited_for_is_known_after_it_has_started() -> None:
    merged = merge_container(container(waiting_reason="ErrImagePull"), container(RUNNING))

    assert (merged.state, merged.waiting_reason) == (RUNNING, "ErrImagePull")


def test_of_reasons_that_repeat_one_another_the_first_stays() -> None:
    first = container(waiting_reason="ErrImagePull", waiting_message="not found")
    merged = merge_container(first, container(waiting_reason="ImagePullBackOff", waiting_message="Back-off"))

    assert (merged.waiting_reason, merged.waiting_message) == ("ErrImagePull", "not found")


def test_a_new_reason_to_wait_replaces_the_old_one() -> None:
    merged = merge_container(
        container(waiting_reason="ErrImagePull"), container(waiting_reason="CreateContainerConfigError")
    )

    assert merged.waiting_reason == "CreateContainerConfigError"


def test_creating_does_not_hide_why_it_could_not_be_created() -> None:
    merged = merge_container(
        container(waiting_reason="CreateContainerConfigError"), container(waiting_reason="ContainerCreating")
    )

    assert merged.waiting_reason == "CreateContainerConfigError"


def test_a_log_that_is_known_stays_known() -> None:
    log = LogSummary("u/migrate/0", lines=3)

    assert merge_container(container(RUNNING, log=log), container(TERMINATED, exit_code=1)).log == log


def test_runs_of_a_container_are_kept_apart() -> None:
    merged = merge_pod(pod(container(TERMINATED, exit_code=1)), pod(container(RUNNING, restart=1)))

    assert [(c.restart, c.state) for c in merged.containers] == [(0, TERMINATED), (1, RUNNING)]


def test_a_pod_that_ended_does_not_run_again() -> None:
    assert merge_pod(pod(phase="Failed"), pod(phase="Running")).pod_phase == "Failed"


def test_conditions_stay_in_the_order_in_which_they_were_set() -> None:
    target, failed = JobCondition("FailureTarget"), JobCondition("Failed")
    merged = merge_run(run(conditions=(target,)), run(conditions=(failed, target)))

    assert merged.conditions == (target, failed)


def test_a_job_that_was_resumed_is_not_suspended() -> None:
    merged = merge_run(run(conditions=(JobCondition("Suspended"),), suspended=True), run(suspended=False))

    assert merged.conditions == ()
    assert not merged.suspended


def test_metadata_alone_unsays_nothing() -> None:
    whole = run(restart_policy="Never", conditions=(JobCondition("Failed"),), images=("shop:1",))
    merged = merge_run(whole, run(deleting_at=AT), whole=False)

    assert (merged.restart_policy, merged.images, merged.deleting_at) == ("Never", ("shop:1",), AT)
    assert merged.failed is not None


def test_an_event_that_comes_again_is_counted() -> None:
    first = ClusterEvent("BackOff", "m", count=1, first_at=AT)
    later = ClusterEvent("BackOff", "m", count=5, first_at=AT.replace(hour=4), last_at=AT.replace(hour=5))

    assert merge_events((first,), (later,)) == (
        ClusterEvent("BackOff", "m", count=5, first_at=AT, last_at=AT.replace(hour=5)),
    )


def test_of_very_many_events_the_first_and_the_last_are_kept() -> None:
    events = [ClusterEvent("FailedCreate", f"quota {number}") for number in range(200)]
    kept = merge_events((), events)

    assert len(kept) == 50
    assert (kept[0].message, kept[-1].message) == ("quota 0", "quota 199")
