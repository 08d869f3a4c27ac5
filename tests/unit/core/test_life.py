"""When an incident opens, what belongs to it, and when it is over (truth 7)."""

from datetime import datetime
from typing import Any

import msgspec
import pytest

from responder.core.argocd import Application, OperationPhase, OperationRecord, SyncRequest
from responder.core.evidence import ClusterEvent, Freshness
from responder.core.hooks import ContainerKind, HookRun
from responder.core.incident import Incident, IncidentState, TimelineEntry
from responder.core.life import follow, merge_timeline, open_incident, settle, tell, troubles
from responder.core.rules import Rulebook
from responder.core.situation import Policy, Situation
from tests.unit.core.night import (
    AUTOMATED,
    application,
    at,
    complete,
    container,
    failed,
    gone,
    hook,
    job,
    operation,
    pod,
    running,
    told,
    views,
    waiting,
)

RUNNING, TERMINATING, FAILED, ERROR, SUCCEEDED = OperationPhase
GOES_ON = told(1, hook(hook_phase="Running"), 3)
BY_HAND = SyncRequest(username="ana", revisions=AUTOMATED.revisions)


def situation(
    records: list[OperationRecord],
    runs: list[HookRun],
    *,
    now: float = 600,
    app: Application | None = None,
    **more: Any,
) -> Situation:
    words = {
        "installed_at": at(-86400),
        "app": app or application(),
        "diagnoses": {},
        "incident": None,
        "previous": None,
        "rulebook": Rulebook(),
        "policy": Policy(),
        "freshness": Freshness(synced=True, observed_at=at(now)),
        **more,
    }
    return Situation(now=at(now), views=views(records, runs), **words)


def looked(seen: Situation, incident: Incident | None = None) -> Incident | None:
    """One look: open, follow, settle; as the plan does it."""
    found, _ = troubles(seen)
    if incident is None:
        if not found:
            return None
        incident = open_incident(seen, found[0])
    return settle(follow(incident, found, seen), found, seen)


def opened(*args: Any, **more: Any) -> Incident:
    incident = looked(situation(*args, **more))
    assert incident is not None
    return incident


def why(records: list[OperationRecord], runs: list[HookRun], **more: Any) -> list[tuple[float, str]]:
    found, _ = troubles(situation(records, runs, **more))
    return [((t.at - at(0)).total_seconds(), t.text) for t in found]


HOOK = "PreSync Job shop/db-migrate"


# It opens at the first of these, with the time of it.


def test_a_job_that_failed_opens_it_before_argo_cd_says_so() -> None:
    incident = opened([operation(RUNNING, GOES_ON)], [job(1, failed(4)[:1])])

    assert (incident.opened_at, incident.sync_phase, incident.state) == (at(4), "PreSync", IncidentState.FIRING)
    assert incident.opened_for == f"{HOOK} failed in attempt 1: Job has reached the specified backoff limit"


def test_argo_cds_word_on_a_hook_opens_it_without_a_job() -> None:
    incident = opened([operation(RUNNING, told(1, hook(message="it failed"), 5))], [])

    assert (incident.opened_at, incident.opened_for) == (at(5), f"{HOOK} failed in attempt 1: it failed")


@pytest.mark.parametrize("phase", [FAILED, ERROR])
def test_an_operation_that_ended_badly_opens_it_without_a_hook(phase: OperationPhase) -> None:
    incident = opened([operation(phase, finished=3, message="ComparisonError: no such path")], [])

    assert (incident.opened_at, incident.sync_phase) == (at(3), "")
    assert incident.opened_for == f"operation ended {phase}: ComparisonError: no such path"


def test_a_resource_that_went_wrong_opens_it_at_its_time_and_keeps_that() -> None:
    broken = told(1, hook("web", "", hook_type="", sync_phase="Sync", status="SyncFailed", message="invalid"), 3)
    record = operation(FAILED, broken, finished=4)
    seen_again = msgspec.structs.replace(record, last_seen_at=at(500))

    assert why([record], []) == [(3.0, "Job web: invalid")]
    assert why([seen_again], []) == [(3.0, "Job web: invalid")]


def test_a_failed_pod_in_a_job_that_may_still_succeed_is_evidence_and_no_incident() -> None:
    run = job(1, pods=(pod(container(1)), pod(running(), name="two", pod_phase="Running")), backoff_limit=2)

    assert why([operation(RUNNING, GOES_ON)], [run], now=60) == []


def test_nothing_wrong_opens_nothing() -> None:
    ended_well = told(1, hook(hook_phase="Succeeded"), 4)

    assert looked(situation([operation(SUCCEEDED, ended_well, finished=5)], [job(1, complete(3))])) is None
    assert looked(situation([], [])) is None


PROXY = running("proxy", kind=ContainerKind.SIDECAR)
STUCK: dict[str, tuple[HookRun, float]] = {
    "image-pull": (job(1, pods=(pod(waiting("ErrImagePull"), pod_phase="Pending"),)), 1),
    "missing-reference": (job(1, pods=(pod(waiting("CreateContainerConfigError"), pod_phase="Pending"),)), 1),
    "unschedulable": (job(1, pods=(pod(unscheduled="0/1 nodes are available", pod_phase="Pending"),)), 1),
    "not-created": (job(1, events=(ClusterEvent("FailedCreate", "exceeded quota"),)), 1),
    "sidecar-running": (job(1, pods=(pod(container(0), PROXY, pod_phase="Running"),)), 3),
    "stuck-deletion": (job(1, deleting_at=at(9)), 9),
}


@pytest.mark.parametrize("reason", STUCK)
def test_what_does_not_get_on_is_an_incident_after_its_grace(reason: str) -> None:
    run, since = STUCK[reason]
    record = operation(RUNNING, GOES_ON)
    early = situation([record], [run], now=since + 29)

    assert troubles(early) == ([], at(since + 30))
    assert why([record], [run], now=since + 30) == [(since + 30, f"{HOOK} is stuck: {reason}")]


def test_what_a_container_waited_for_before_it_ran_is_over() -> None:
    ran = running(waiting_reason="ErrImagePull")

    assert why([operation(RUNNING, GOES_ON)], [job(1, pods=(pod(ran, pod_phase="Running"),))], now=300) == []


def test_the_grace_of_a_second_pod_begins_with_it() -> None:
    second = msgspec.structs.replace(
        pod(waiting("ErrImagePull"), name="two", pod_phase="Pending"), created_at=at(100), gone_at=None
    )
    run = job(1, pods=(pod(container(1), gone_at=at(90)), second))

    assert troubles(situation([operation(RUNNING, GOES_ON)], [run], now=120)) == ([], at(130))


def test_a_job_that_ended_well_and_is_still_waited_for_is_stuck() -> None:
    record = operation(RUNNING, GOES_ON)

    assert troubles(situation([record], [job(1, complete(4))], now=33)) == ([], at(34))
    assert why([record], [job(1, complete(4))], now=34) == [(34.0, f"{HOOK} ended well and Argo CD still waits for it")]


def test_a_run_longer_than_the_limit_is_told() -> None:
    run = job(1, pods=(pod(running(), pod_phase="Running"),))

    assert why([operation(RUNNING, GOES_ON)], [run], now=1800) == []
    assert why([operation(RUNNING, GOES_ON)], [run], now=1801) == [(1801.0, f"{HOOK} runs for longer than 30 minutes")]


def test_a_sync_window_blocks_and_nothing_is_stuck() -> None:
    run, _ = STUCK["image-pull"]

    assert why([operation(RUNNING, GOES_ON, window_blocked=True)], [run]) == []


def test_a_hook_that_waits_for_its_old_job_is_stuck_and_known_by_its_name() -> None:
    before = operation(SUCCEEDED, told(1, hook(hook_phase="Succeeded", sync_phase="PostSync"), -60), started=-90)
    message = "waiting for deletion of hook batch/Job/db-migrate"
    record = operation(RUNNING, message=message, message_at=at(2))
    found, _ = troubles(situation([before, record], [], now=32))

    assert [(t.stuck, str(t.hook)) for t in found] == [("stuck-deletion", "PostSync Job shop/db-migrate")]


def test_a_migration_that_a_newer_operation_took_away_is_an_incident() -> None:
    cut_off = operation(RUNNING, GOES_ON, replaced=True)
    found = why([cut_off, operation(RUNNING, started=30)], [gone(job(1), 31)])

    assert [text for _, text in found] == [f"{HOOK} was taken away while it ran in attempt 1"]


def test_what_the_gate_held_opens_nothing_and_what_failed_beside_it_does() -> None:
    gate = job(1, failed(3), name="gate", gate=True)
    held = told(1, hook("gate"), 3)

    assert why([operation(FAILED, held, finished=4)], [gate]) == []
    assert [at for at, _ in why([operation(FAILED, held, told(1, hook(), 4), finished=5)], [gate])] == [4.0]


def historic(ended: float, seen: float, installed: float) -> list[tuple[float, str]]:
    record = operation(FAILED, finished=ended, message="x", started=ended - 5)
    record = msgspec.structs.replace(record, first_seen_at=at(seen))
    return why([record], [], installed_at=at(installed), now=seen)


def test_what_ended_long_before_we_came_wakes_nobody() -> None:
    half_an_hour = 1800.0

    assert historic(ended=0, seen=half_an_hour + 1, installed=half_an_hour) == []
    assert historic(ended=0, seen=half_an_hour - 1, installed=half_an_hour - 1) == [(0.0, "operation ended Failed: x")]
    assert historic(ended=0, seen=half_an_hour + 1, installed=-60) == [(0.0, "operation ended Failed: x")]


# What belongs to it.


def test_its_name_is_the_same_whenever_it_is_looked_at() -> None:
    record, run = operation(FAILED, told(1, hook(), 5), finished=5), job(1, failed(4))

    assert opened([record], [run], now=10).id == opened([record], [run], now=4000).id


def test_later_operations_join_it_also_those_that_recover() -> None:
    first = operation(FAILED, told(1, hook(), 5), finished=5)
    second = operation(FAILED, finished=65, started=60, revisions=("b",))
    third = operation(SUCCEEDED, finished=95, started=90, revisions=("c",))
    incident = opened([first, second, third], [job(1, failed(4))])

    assert incident.operations == (at(0), at(60), at(90))
    assert incident.revisions == (*first.revisions, "b", "c")


def test_of_too_many_operations_the_first_stays() -> None:
    records = [operation(FAILED, told(1, hook(), 60 * n + 5), finished=60 * n + 5, started=60 * n) for n in range(70)]
    incident = opened(records, [], now=9999)

    assert (len(incident.operations), incident.operations[0], incident.operations[-1]) == (50, at(0), at(60 * 69))


def test_a_retry_of_the_hook_moves_its_failure_and_not_its_opening() -> None:
    record = operation(FAILED, told(1, hook(), 5), told(2, hook(), 20), finished=20, attempts_ended=(at(5),))
    incident = opened([record], [job(1, failed(4)), job(16, failed(19))])

    assert (incident.opened_at, incident.failing[0].failed_at) == (at(4), at(19))


# When it is over.

FIRST = operation(FAILED, told(1, hook(), 5), finished=5)
BROKEN = job(1, failed(4))
INCIDENT = opened([FIRST], [BROKEN])


def after(*records: OperationRecord, runs: tuple[HookRun, ...] = (), **more: Any) -> Incident:
    incident = looked(situation([FIRST, *records], [BROKEN, *runs], **more), INCIDENT)
    assert incident is not None
    return incident


def second(
    phase: OperationPhase = SUCCEEDED, hook_phase: str = "Succeeded", name: str = "db-migrate", **more: Any
) -> OperationRecord:
    return operation(phase, told(1, hook(name, hook_phase), 65), started=60, finished=66, **more)


def test_the_same_hook_that_ends_well_resolves_it_at_that_time() -> None:
    incident = after(second(), runs=(job(61, complete(64)),))

    assert (incident.state, incident.resolved_at) == (IncidentState.RESOLVED, at(64))
    assert incident.resolved_by == f"argocd: {HOOK} ended well"


def test_it_is_over_when_the_hook_ended_well_though_the_sync_goes_on() -> None:
    still = second(RUNNING, "Running", request=BY_HAND)

    assert after(still, runs=(job(61, complete(64)),)).state is IncidentState.RESOLVED


def test_a_retry_that_recovers_resolves_it() -> None:
    record = operation(
        SUCCEEDED, told(1, hook(), 5), told(2, hook(hook_phase="Succeeded"), 20), finished=21, attempts_ended=(at(5),)
    )
    incident = opened([record], [job(1, failed(4)), job(16, complete(19))])

    assert (incident.opened_at, incident.state, incident.resolved_at) == (at(4), IncidentState.RESOLVED, at(19))


NO_SUCCESS: dict[str, tuple[OperationRecord, tuple[HookRun, ...]]] = {
    "self-heal runs no hooks": (
        operation(SUCCEEDED, started=60, finished=61, request=msgspec.structs.replace(AUTOMATED, selective=True)),
        (),
    ),
    "a sync without the hook": (operation(SUCCEEDED, started=60, finished=61), ()),
    "another hook": (second(name="seed"), (job(61, complete(64), name="seed"),)),
    "a hook of another phase": (
        operation(
            SUCCEEDED,
            told(1, hook(hook_phase="Succeeded", hook_type="PostSync", sync_phase="PostSync"), 65),
            started=60,
            finished=66,
        ),
        (job(61, complete(64)),),
    ),
    "a deleted Job": (second(RUNNING, "Running"), (gone(job(61), 64),)),
    "a Job that runs": (second(RUNNING, "Running"), (job(61),)),
    "a Job that failed again": (second(FAILED, "Failed"), (job(61, failed(64)),)),
}


@pytest.mark.parametrize("what", NO_SUCCESS)
def test_nothing_else_does(what: str) -> None:
    record, runs = NO_SUCCESS[what]

    assert after(record, runs=runs).state is IncidentState.FIRING


def test_an_old_job_that_answers_for_the_hook_does_not() -> None:
    """The Job that failed was mended by hand, still stands, and Argo CD takes its result."""
    mended = msgspec.structs.replace(BROKEN, conditions=complete(30))
    incident = looked(situation([second()], [mended]), INCIDENT)

    assert incident is not None
    assert incident.state is IncidentState.FIRING


def test_time_heals_nothing() -> None:
    assert after(now=30 * 86400.0).state is IncidentState.FIRING


def test_a_success_before_the_failure_does_not_count() -> None:
    earlier = operation(SUCCEEDED, told(1, hook(hook_phase="Succeeded"), -30), started=-60, finished=-29)

    assert after(earlier, runs=(job(-59, complete(-31)),)).state is IncidentState.FIRING


def test_a_success_between_two_failures_does_not_count() -> None:
    good, bad = second(), operation(FAILED, told(1, hook(), 125), started=120, finished=126)
    runs = (job(61, complete(64)), job(121, failed(124)))

    assert after(good, bad, runs=runs).state is IncidentState.FIRING


def test_both_of_two_failing_hooks_have_to_end_well() -> None:
    both = operation(FAILED, told(1, hook("a"), 5), told(1, hook("b"), 5), finished=5)
    broken = [job(1, failed(4), name="a"), job(1, failed(4), name="b")]
    incident = opened([both], broken)
    one = operation(FAILED, told(1, hook("a", "Succeeded"), 65), told(1, hook("b"), 65), started=60, finished=66)
    half = [*broken, job(61, complete(63), name="a"), job(61, failed(64), name="b")]
    other = operation(SUCCEEDED, told(1, hook("b", "Succeeded"), 125), started=120, finished=126)

    after_one = looked(situation([both, one], half), incident)
    after_both = looked(situation([both, one, other], [*half, job(121, complete(124), name="b")]), incident)
    assert after_one is not None
    assert after_both is not None
    assert (after_one.state, after_both.state) == (IncidentState.FIRING, IncidentState.RESOLVED)
    assert after_both.resolved_at == at(124)


def test_a_renamed_hook_needs_a_person() -> None:
    assert after(second(name="db-migrate-v2"), runs=(job(61, complete(64), name="db-migrate-v2"),)).state is (
        IncidentState.FIRING
    )


def test_a_stuck_run_that_at_last_ends_well_resolves_it() -> None:
    record = operation(RUNNING, GOES_ON)
    incident = opened([record], [STUCK["image-pull"][0]], now=40)
    pulled = job(1, complete(90), pods=(pod(container(0), pod_phase="Succeeded"),))

    ended = looked(situation([record], [pulled], now=91), incident)
    assert ended is not None
    assert (ended.state, ended.resolved_at) == (IncidentState.RESOLVED, at(90))


def test_an_incident_without_a_hook_ends_with_a_full_sync() -> None:
    broken = operation(FAILED, finished=3, message="no such path")
    incident = opened([broken], [])
    healed = operation(SUCCEEDED, started=60, finished=61, request=msgspec.structs.replace(AUTOMATED, selective=True))
    full = operation(SUCCEEDED, started=90, finished=95)

    partial_only, then_full = (
        looked(situation([broken, healed], []), incident),
        looked(situation([broken, healed, full], []), incident),
    )
    assert partial_only is not None
    assert then_full is not None
    assert (partial_only.state, then_full.state) == (IncidentState.FIRING, IncidentState.RESOLVED)
    assert then_full.resolved_at == at(95)


def test_a_sync_that_ended_before_an_operation_failed_in_the_same_second_does_not_end_it() -> None:
    well = operation(SUCCEEDED, started=-10, finished=0)
    broken = operation(ERROR, started=0, finished=0, message="no such path")

    assert opened([well, broken], []).state is IncidentState.FIRING


def test_a_resource_that_a_retry_mended_leaves_a_resolved_incident() -> None:
    broken = told(1, hook("web", "Failed", hook_type="", sync_phase="Sync", status="SyncFailed", message="busy"), 3)
    record = operation(SUCCEEDED, broken, finished=20, attempts_ended=(at(3),))

    assert opened([record], []).state is IncidentState.RESOLVED


def test_a_job_that_was_overlooked_is_over_when_the_sync_succeeds() -> None:
    record = operation(RUNNING, GOES_ON)
    incident = opened([record], [job(1, complete(4))], now=40)
    done = operation(SUCCEEDED, told(1, hook(hook_phase="Succeeded"), 200), finished=201)

    ended = looked(situation([done], [job(1, complete(4))], now=202), incident)
    assert ended is not None
    assert (incident.state, ended.state, ended.resolved_at) == (IncidentState.FIRING, IncidentState.RESOLVED, at(201))


@pytest.mark.parametrize("uid", ["", "app-2"])
def test_it_is_superseded_only_when_its_application_is_gone(uid: str) -> None:
    app = msgspec.structs.replace(application(), uid=uid) if uid else None
    seen = msgspec.structs.replace(situation([FIRST], [BROKEN]), app=app)
    incident = settle(INCIDENT, (), seen)

    assert (incident.state, incident.resolved_by) == (IncidentState.SUPERSEDED, "cluster: the Application is gone")


# What an earlier incident settled does not open another.


def closed(resolved: float, incident: Incident = INCIDENT) -> Incident:
    return msgspec.structs.replace(incident, state=IncidentState.RESOLVED, resolved_at=at(resolved))


def test_what_a_person_resolved_stays_so_however_often_it_is_seen() -> None:
    assert why([FIRST], [BROKEN], previous=closed(30)) == []
    assert why([msgspec.structs.replace(FIRST, last_seen_at=at(900))], [BROKEN], previous=closed(30)) == []


def test_a_failure_after_it_was_resolved_opens_another() -> None:
    again = second(FAILED, "Failed")
    found = why([FIRST, again], [BROKEN, job(61, failed(64))], previous=closed(30))
    incident = opened([FIRST, again], [BROKEN, job(61, failed(64))], previous=closed(30))

    assert [when for when, _ in found] == [64.0]
    assert incident.id != INCIDENT.id
    assert incident.operations == (at(60),)


def test_another_hook_that_failed_in_the_second_of_a_good_end_is_news() -> None:
    both = operation(FAILED, told(1, hook("db-migrate", "Succeeded"), 65), told(1, hook("seed"), 65), started=60)
    runs = [BROKEN, job(61, complete(64)), job(61, failed(64), name="seed")]

    assert [text.split()[2] for _, text in why([FIRST, both], runs, previous=closed(64))] == ["shop/seed"]


def test_what_is_older_than_the_last_incident_is_settled_with_it() -> None:
    seed = operation(FAILED, told(1, hook("seed"), -500), started=-510, finished=-500)

    assert why([seed, FIRST], [job(-509, failed(-501), name="seed"), BROKEN], previous=closed(30)) == []


# What is told of it.


def test_the_timeline_tells_each_thing_once_in_order() -> None:
    record = operation(
        FAILED,
        told(1, hook(), 5),
        told(2, hook(), 20),
        finished=20,
        attempts_ended=(at(5),),
        message="it failed",
        request=BY_HAND,
    )
    seen = situation([record], [job(1, failed(4)), job(16, failed(19))])

    assert timeline(seen, seen) == [
        (at(0), "operation started by ana"),
        (at(4), f"{HOOK} failed in attempt 1"),
        (at(5), "attempt 1 ended, a retry is scheduled"),
        (at(19), f"{HOOK} failed in attempt 2"),
        (at(20), "operation ended Failed"),
    ]


def timeline(*looks: Situation) -> list[tuple[datetime, str]]:
    """As it stands after these looks at one incident."""
    incident: Incident | None = None
    for seen in looks:
        incident = looked(seen, incident)
        assert incident is not None
        incident = msgspec.structs.replace(incident, timeline=tell(seen, incident, troubles(seen)[0]))
    assert incident is not None
    return [(entry.at, entry.what.split(": Job ")[0].split(": it ")[0]) for entry in incident.timeline]


def test_argo_cds_word_on_a_failure_and_the_jobs_own_are_one_thing() -> None:
    record = operation(RUNNING, told(1, hook(), 5), request=BY_HAND)

    assert timeline(situation([record], [job(1)]), situation([record], [job(1, failed(4))])) == [
        (at(0), "operation started by ana"),
        (at(4), f"{HOOK} failed in attempt 1"),
    ]


def test_a_failure_whose_attempt_is_counted_anew_is_told_once() -> None:
    record = operation(RUNNING, told(1, hook(), 5), told(2, hook(), 40), attempts_ended=(at(5),), request=BY_HAND)
    both = [job(1, failed(4)), job(36, failed(39))]

    assert timeline(situation([record], both), situation([record], [*both, job(16, failed(19))])) == [
        (at(0), "operation started by ana"),
        (at(4), f"{HOOK} failed in attempt 1"),
        (at(5), "attempt 1 ended, a retry is scheduled"),
        (at(19), f"{HOOK} failed in attempt 2"),
        (at(39), f"{HOOK} failed in attempt 3"),
    ]


def test_the_first_attempts_of_two_operations_are_two_things() -> None:
    first = operation(FAILED, told(1, hook(), 5), finished=6, message="it failed", request=BY_HAND)
    second = operation(FAILED, told(1, hook(), 65), started=60, finished=66, message="it failed", request=BY_HAND)
    runs = [job(1, failed(4)), job(61, failed(64))]

    assert timeline(situation([first], runs[:1]), situation([first, second], runs)) == [
        (at(0), "operation started by ana"),
        (at(4), f"{HOOK} failed in attempt 1"),
        (at(6), "operation ended Failed"),
        (at(60), "operation started by ana"),
        (at(64), f"{HOOK} failed in attempt 1"),
        (at(66), "operation ended Failed"),
    ]


def test_what_is_told_of_an_operation_that_is_forgotten_stays() -> None:
    first = operation(FAILED, told(1, hook(), 5), finished=6, message="it failed", request=BY_HAND)
    second = operation(RUNNING, told(1, hook(), 65), started=60, request=BY_HAND)
    runs = [job(1, failed(4)), job(61, failed(64))]

    assert (at(4), f"{HOOK} failed in attempt 1") in timeline(situation([first], runs), situation([second], runs))


def test_a_hook_that_stays_stuck_in_its_next_pod_is_told_once() -> None:
    record = operation(RUNNING, GOES_ON, request=BY_HAND)
    stuck = pod(waiting("ImagePullBackOff"))
    first, second = (job(1, pods=(msgspec.structs.replace(stuck, created_at=at(when)),)) for when in (2, 200))

    assert timeline(situation([record], [first]), situation([record], [second])) == [
        (at(0), "operation started by ana"),
        (at(32), f"{HOOK} is stuck: image-pull"),
    ]


def test_a_long_timeline_keeps_its_beginning_and_its_end() -> None:
    entries = [TimelineEntry(at(n), str(n), "argocd") for n in range(500)]
    kept = merge_timeline(entries, ())

    assert (len(kept), kept[0].what, kept[19].what, kept[20].what, kept[-1].what) == (200, "0", "19", "320", "499")
