"""What the cluster itself says of a hook: container states, conditions, Events, Argo CD's own words."""

from typing import Any

import msgspec
import pytest

from responder.core.argocd import OperationPhase, ResourceResult
from responder.core.attempts import AttemptHook
from responder.core.clusterfacts import OF_THE_CLUSTER, Sync, diagnose_cluster, stuck_reason
from responder.core.diagnosis import diagnose_text
from responder.core.evidence import ClusterEvent, Gap, GapReason
from responder.core.failure import Category, Diagnosis, Retry, StateLeft
from responder.core.hooks import ContainerKind, HookRun
from responder.core.signaturefile import parse_signatures
from responder.core.signatures import Signatures
from responder.shipped import signatures
from tests.unit.core.night import (
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

SIGNATURES = signatures()
RUNNING = OperationPhase.RUNNING
GOES_ON = hook(hook_phase="Running")


def seen(run: HookRun | None, result: ResourceResult = GOES_ON, **record: Any) -> AttemptHook:
    (view,) = views([operation(RUNNING, told(1, result, 3), **record)], [run] if run is not None else [])
    return view.attempts[0].hooks[0]


def judged(run: HookRun | None, *brings: tuple[str, str], **more: Any) -> Diagnosis | None:
    return diagnose_cluster(seen(run, **more), SIGNATURES, Sync(brings))


def pending(reason: str, message: str = "") -> HookRun:
    return job(1, pods=(pod(waiting(reason, message), pod_phase="Pending"),))


def event(reason: str, message: str) -> HookRun:
    return job(1, events=(ClusterEvent(reason, message, about="Job/db-migrate"),))


NOT_RUN: list[tuple[str, HookRun, Category, Retry]] = [
    ("no such image", pending("ErrImagePull", "manifest unknown"), Category.IMAGE_PULL, Retry.FUTILE),
    ("no right to it", pending("ImagePullBackOff", "unauthorized"), Category.IMAGE_PULL, Retry.FUTILE),
    ("a registry that is away", pending("ErrImagePull", "i/o timeout"), Category.IMAGE_PULL, Retry.UNKNOWN),
    ("a bad name", pending("InvalidImageName"), Category.IMAGE_PULL, Retry.FUTILE),
    (
        "a Secret",
        pending("CreateContainerConfigError", 'secret "db" not found'),
        Category.MISSING_REFERENCE,
        Retry.FUTILE,
    ),
    (
        "a key",
        pending("CreateContainerConfigError", "couldn't find key url in Secret shop/db"),
        Category.MISSING_REFERENCE,
        Retry.FUTILE,
    ),
    (
        "a volume",
        event("FailedMount", 'MountVolume.SetUp failed: configmap "cfg" not found'),
        Category.MISSING_REFERENCE,
        Retry.FUTILE,
    ),
    (
        "an account",
        event("FailedCreate", 'error looking up service account shop/migrator: serviceaccount "migrator" not found'),
        Category.MISSING_REFERENCE,
        Retry.FUTILE,
    ),
    ("a quota", event("FailedCreate", "exceeded quota: small"), Category.QUOTA_EXCEEDED, Retry.FUTILE),
    (
        "a policy",
        event("FailedCreate", 'admission webhook "x" denied the request'),
        Category.ADMISSION_DENIED,
        Retry.FUTILE,
    ),
    (
        "no such node",
        job(1, pods=(pod(unscheduled="0/3: didn't match Pod's node affinity/selector", pod_phase="Pending"),)),
        Category.UNSCHEDULABLE,
        Retry.FUTILE,
    ),
    (
        "no room",
        job(1, pods=(pod(unscheduled="0/3 nodes are available: 3 Insufficient cpu.", pod_phase="Pending"),)),
        Category.UNSCHEDULABLE,
        Retry.UNKNOWN,
    ),
    (
        "a node that refuses it",
        job(1, pods=(pod(reason="OutOfcpu", message="Node didn't have enough resource: cpu", pod_phase="Failed"),)),
        Category.UNSCHEDULABLE,
        Retry.UNKNOWN,
    ),
    (
        "no such priority",
        event("FailedCreate", 'pods "db-migrate-" is forbidden: no PriorityClass with name urgent was found'),
        Category.MISSING_REFERENCE,
        Retry.FUTILE,
    ),
    ("a Job that does not go", job(1, deleting_at=at(5)), Category.STUCK_DELETION, Retry.FUTILE),
]


@pytest.mark.parametrize(("what", "run", "category", "retry"), NOT_RUN, ids=[what for what, *_ in NOT_RUN])
def test_what_kept_a_hook_from_running_left_nothing_behind(
    what: str, run: HookRun, category: Category, retry: Retry
) -> None:
    found = judged(run)

    assert found is not None, what
    assert (found.category, found.retry, found.state_left) == (category, retry, StateLeft.NONE)
    assert found.because


def test_what_a_hook_lacks_is_named_and_whether_this_sync_would_bring_it() -> None:
    lacks = pending("CreateContainerConfigError", 'secret "db" not found')
    alone, brought = judged(lacks), judged(lacks, ("Secret", "db"))

    assert alone is not None
    assert brought is not None
    assert alone.retry_reason == "until secret db exists"
    assert brought.retry_reason.startswith(
        "until secret db exists; this sync brings it itself, but only after its hooks"
    )


@pytest.mark.parametrize(
    "more",
    [
        {"gaps": (Gap("pod", GapReason.RECORDER_AWAY),)},
        {"conditions": failed(60)},
        {"pods": (pod(container(0), waiting("ImagePullBackOff", "not found", name="two")),)},
    ],
    ids=["gap", "its Pods were counted", "another container ran"],
)
def test_of_what_may_have_run_nobody_says_that_it_did_not(more: dict[str, Any]) -> None:
    found = judged(job(1, more.pop("conditions", ()), deleting_at=at(5), **more))

    assert found is None or found.state_left is not StateLeft.NONE


@pytest.mark.parametrize(
    ("why", "category"),
    [
        ({"reason": "Evicted", "message": "low on memory"}, Category.EVICTED),
        ({"disrupted": "PreemptionByScheduler"}, Category.EVICTED),
        ({"disrupted": "TerminationByKubelet"}, Category.EVICTED),
        ({"reason": "NodeLost"}, Category.NODE_LOST),
        ({"disrupted": "DeletionByTaintManager"}, Category.NODE_LOST),
        ({"disrupted": "DeletionByPodGC"}, Category.NODE_LOST),
    ],
)
def test_a_pod_that_was_ended_from_outside_left_nobody_knows_what(why: dict[str, str], category: Category) -> None:
    found = judged(job(1, failed(9), pods=(pod(container(137), **why),)))

    assert found is not None
    assert (found.category, found.retry, found.state_left) == (category, Retry.UNKNOWN, StateLeft.UNKNOWN)


IMMUTABLE = 'Job.batch "db-migrate" is invalid: spec.template: Invalid value: {...}: field is immutable'


@pytest.mark.parametrize(
    ("message", "category"),
    [
        (IMMUTABLE, Category.IMMUTABLE_JOB),
        ("exceeded quota: jobs", Category.QUOTA_EXCEEDED),
        ('admission webhook "x" denied the request', Category.ADMISSION_DENIED),
        ("strict decoding error: unknown field", Category.MANIFEST_ERROR),
    ],
)
def test_what_argo_cd_could_not_apply_did_not_run(message: str, category: Category) -> None:
    found = judged(None, result=hook(status="SyncFailed", message=message))

    assert found is not None
    assert (found.category, found.retry, found.state_left) == (category, Retry.FUTILE, StateLeft.NONE)


def test_an_evicted_pod_of_which_no_container_was_told_is_not_said_to_have_done_nothing() -> None:
    run = job(1, pods=(pod(reason="Evicted", message="The node was low on resource: memory.", pod_phase="Failed"),))

    assert judged(run) is None


def test_an_immutable_job_is_told_before_a_stale_one() -> None:
    standing = job(-60, failed(-50), delete_policies=("HookSucceeded",))
    found = judged(standing, result=hook(status="SyncFailed", message=IMMUTABLE))
    stale = judged(standing, result=hook())

    assert found is not None
    assert stale is not None
    assert (found.category, stale.category) == (Category.IMMUTABLE_JOB, Category.STALE_JOB)


def test_a_hook_that_vanished_is_told_so() -> None:
    message = "Resource batch/Job/db-migrate is missing, it might have been deleted"
    found = judged(None, result=hook(hook_phase="Error", status="SyncFailed", message=message))

    assert found is not None
    assert (found.category, found.retry, found.state_left) == (
        Category.HOOK_VANISHED,
        Retry.UNKNOWN,
        StateLeft.UNKNOWN,
    )


def test_a_failure_of_the_containers_own_is_for_their_logs_to_tell() -> None:
    assert judged(job(1, failed(4), pods=(pod(container()),))) is None


# Does it get on?

PROXY = running("proxy", kind=ContainerKind.SIDECAR)


@pytest.mark.parametrize(
    "run",
    [
        job(1),
        job(1, failed(4)),
        job(1, complete(4)),
        job(1, pods=(pod(waiting("ContainerCreating"), pod_phase="Pending"),)),
        job(1, pods=(pod(running(), PROXY, pod_phase="Running"),)),
        job(1, pods=(pod(container(1), running("audit"), pod_phase="Running"),), restart_policy="OnFailure"),
        job(1, pods=(pod(waiting("ImagePullBackOff"), gone_at=at(5)),)),
        gone(job(1), 5),
    ],
    ids=["new", "failed", "complete", "creating", "runs", "restarts", "a Pod that is gone", "gone"],
)
def test_what_works_or_has_ended_is_not_stuck(run: HookRun) -> None:
    assert stuck_reason(run) == ""


@pytest.mark.parametrize("code", [0, 1])
def test_a_sidecar_that_outlives_the_migration_keeps_it_from_ending(code: int) -> None:
    assert stuck_reason(job(1, pods=(pod(container(code), PROXY, pod_phase="Running"),))) == "sidecar-running"


def test_a_migration_that_failed_beside_another_that_runs_can_never_succeed() -> None:
    assert stuck_reason(job(1, pods=(pod(container(1), running("audit"), pod_phase="Running"),))) == "sidecar-running"


def test_where_in_the_sync_a_missing_secret_would_come_from() -> None:
    lacks = pending("CreateContainerConfigError", 'secret "db" not found')

    def origin(*results: Any, phase: str = "PreSync") -> str:
        result = hook(hook_phase="Running", hook_type=phase, sync_phase=phase)
        brought = [told(1, hook("db", state, group="", hook_type=p, sync_phase=p), 3) for p, state in results]
        brought = [msgspec.structs.replace(b, result=msgspec.structs.replace(b.result, kind="Secret")) for b in brought]
        brings = () if brought else (("Secret", "db"),)
        found = diagnose_cluster(seen(lacks, result), SIGNATURES, Sync(brings, brought))
        assert found is not None
        return found.retry_reason.removeprefix("until secret db exists; ")

    assert origin(("PreSync", "Succeeded")).startswith("this sync made it as a PreSync hook, and it is gone again")
    assert origin(("PostSync", "")) == (
        "this sync brings it as a PostSync hook, but later: give it an earlier sync wave"
    )
    assert origin(phase="PostSync") == "this sync brings it itself: give it an earlier sync wave than the hook"
    assert "argocd.argoproj.io/hook: PreSync" in origin()


def test_a_key_that_is_missing_is_named() -> None:
    found = judged(pending("CreateContainerConfigError", "couldn't find key url in Secret shop/db"))

    assert found is not None
    assert found.retry_reason == "until Secret db has the key url"


def test_what_is_true_now_counts_more_than_an_event_of_long_ago() -> None:
    scheduled_by_now = job(
        1,
        pods=(pod(waiting("ErrImagePull", "manifest unknown"), pod_phase="Pending"),),
        events=(ClusterEvent("FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu.", about="Pod/x"),),
    )
    found = judged(scheduled_by_now)

    assert found is not None
    assert found.category is Category.IMAGE_PULL


def test_a_signature_of_ones_own_reads_events_as_well() -> None:
    own = signatures().signatures
    more = parse_signatures(
        {
            "own.yaml": b"signatures: [{id: freeze, pattern: 'change freeze until', category: admission-denied,"
            b" advice: 'Wait for the end of the freeze.', samples: ['change freeze until Monday']}]"
        }
    )
    both = Signatures((*own, *more.signatures), SIGNATURES.tools.values(), SIGNATURES.tables, SIGNATURES.advice)
    found = diagnose_cluster(seen(event("FailedCreate", "no: change freeze until Monday")), both)

    assert found is not None
    assert (found.category, found.advice) == (Category.ADMISSION_DENIED, "Wait for the end of the freeze.")


def test_words_of_a_database_in_an_event_are_no_fact_of_the_cluster() -> None:
    assert judged(event("FailedCreate", "permission denied for table orders")) is None


DESCRIBED = """\
Name:             db-migrate-x7k2p
Events:
  Type     Reason     Age                From               Message
  Normal   Scheduled  2m1s               default-scheduler  Successfully assigned shop/db-migrate-x7k2p to node-1
  Warning  Failed     9s (x10 over 2m)   kubelet            Error: secret "shop-db" not found
"""


def test_what_kubectl_describes_is_read_like_a_log_and_no_name_in_it_is_a_migration_or_a_tool() -> None:
    found = diagnose_text(DESCRIBED, SIGNATURES, exit_code=None)

    assert (found.category, found.migration, found.tool) == (Category.MISSING_REFERENCE, None, None)
    assert found.state_left is StateLeft.UNKNOWN


@pytest.mark.parametrize("reason", ["CreateContainerError", "RunContainerError"])
def test_a_container_that_the_runtime_cannot_make_is_stuck(reason: str) -> None:
    run = pending(reason, 'exec: "migrate": executable file not found in $PATH')
    found = judged(run)

    assert stuck_reason(run) == "not-created"
    assert found is not None
    assert (found.category, found.state_left) == (Category.MANIFEST_ERROR, StateLeft.NONE)


@pytest.mark.parametrize(
    "line",
    [
        "Insufficient privileges to alter table",
        "Evicted 5 entries from the metadata cache",
        "DeadlineExceeded: 504 Deadline Exceeded",
        "Migrating: 2014_10_12_000000_create_users_table",
        "Login: failed for nobody",
        "Operation terminated by the user's request",
        "rpc error: code = DeadlineExceeded",
        "the namespace public was not found",
    ],
)
def test_words_of_the_cluster_in_a_migrations_log_are_not_taken_for_facts(line: str) -> None:
    found = diagnose_text(line, SIGNATURES, exit_code=1)

    assert found.category not in OF_THE_CLUSTER
    assert found.tool != "atlas"
