"""The model against what a real Argo CD v3.5.7 was recorded to do; the sequences are the recordings' own."""

from datetime import UTC, datetime

import pytest

from responder.core.argocd import AppKey
from responder.demo.world import ARGOCD, hook_job
from tests.unit.demo.plays import FAILS, RUNS_ON, WORKS, Stage, in_turn, manifests, shop

_CREATED = "db-migrate Running: job.batch/db-migrate created"
_BROKE = "db-migrate Failed: Job has reached the specified backoff limit"
_WORKED = "db-migrate Succeeded: Reached expected number of succeeded pods"
_COMPLETION = "waiting for completion of hook batch/Job/db-migrate"
_UNSUCCESSFUL = "one or more synchronization tasks completed unsuccessfully"
_BACKOFF = {"limit": 3, "backoff": {"duration": "2s", "factor": 2, "maxDuration": "1m"}}


def test_a_hook_that_ends_well_lets_the_rest_be_applied() -> None:
    stage = Stage(in_turn(WORKS))
    stage.deploy()
    stage.sync()
    stage.advance(5)
    assert stage.told == [
        "Running: ",
        f"Running: {_COMPLETION} | {_CREATED}",
        f"Succeeded finished: successfully synced (all tasks run) | {_WORKED}",
    ]
    status = shop(stage)["status"]
    assert (status["sync"]["status"], status["health"]["status"]) == ("Synced", "Healthy")
    assert [h["revision"] for h in status["history"]] == [status["sync"]["revision"]]
    assert "operation" not in shop(stage)


def test_a_hook_that_fails_fails_the_operation_and_its_job_stays() -> None:
    stage = Stage(in_turn(FAILS))
    stage.deploy()
    stage.sync()
    stage.advance(5)
    assert stage.told == [
        "Running: ",
        f"Running: {_COMPLETION} | {_CREATED}",
        f"Failed finished: {_UNSUCCESSFUL} | {_BROKE}",
    ]
    assert stage.jobs[0] == "ADDED db-migrate"
    assert stage.jobs[-1] == "MODIFIED db-migrate FailureTarget Failed"
    status = shop(stage)["status"]
    assert (status["sync"]["status"], status["health"]["status"]) == ("OutOfSync", "Missing")


def test_the_application_names_its_hook_two_seconds_after_the_job_was_made() -> None:
    stage = Stage(in_turn(FAILS))
    stage.deploy()
    stage.sync()
    while not stage.jobs:
        stage.advance(0.01)
    made = stage.since()
    while len(stage.told) == 1:
        stage.advance(0.01)
    assert stage.told[-1] == f"Running: {_COMPLETION} | {_CREATED}"
    assert stage.since() - made == pytest.approx(2.0, abs=0.1)


def test_an_attempt_that_fails_is_told_while_running_and_its_job_goes_before_the_next() -> None:
    stage = Stage(in_turn(FAILS, FAILS, WORKS))
    stage.deploy()
    stage.sync(retry=_BACKOFF)
    stage.advance(30)
    assert stage.told == [
        "Running: ",
        f"Running: {_COMPLETION} | {_CREATED}",
        f"Running retry=1 finished: {_UNSUCCESSFUL}. Retrying attempt #1 at TIME. | {_BROKE}",
        "Running retry=1: Retrying operation. Attempt #1",
        "Running retry=1: waiting for deletion of hook batch/Job/db-migrate",
        f"Running retry=1: {_COMPLETION} | {_CREATED}",
        f"Running retry=2 finished: {_UNSUCCESSFUL}. Retrying attempt #2 at TIME. | {_BROKE}",
        "Running retry=2: Retrying operation. Attempt #2",
        "Running retry=2: waiting for deletion of hook batch/Job/db-migrate",
        f"Running retry=2: {_COMPLETION} | {_CREATED}",
        f"Succeeded retry=2 finished: successfully synced (all tasks run) | {_WORKED}",
    ]


def test_the_last_retried_failure_and_the_final_one_carry_the_same_count() -> None:
    stage = Stage(in_turn(FAILS))
    stage.deploy()
    stage.sync(retry={**_BACKOFF, "limit": 1})
    stage.advance(20)
    ended = [line for line in stage.told if "finished" in line]
    assert ended == [
        f"Running retry=1 finished: {_UNSUCCESSFUL}. Retrying attempt #1 at TIME. | {_BROKE}",
        f"Failed retry=1 finished: {_UNSUCCESSFUL} (retried 1 times). | {_BROKE}",
    ]


def test_the_wait_before_a_retry_is_longer_than_its_message_says() -> None:
    stage = Stage(in_turn(FAILS))
    stage.deploy(policy={"automated": {}})
    stage.advance(5)
    finished = datetime.fromisoformat(stage.world.state("shop")["finishedAt"])
    while stage.world.state("shop").get("finishedAt"):
        stage.advance(0.1)
    waited = (stage.clock.now() - finished).total_seconds()
    assert waited == pytest.approx(10, abs=0.2)  # 5 s, the default, times the factor 2
    assert stage.world.state("shop")["operation"]["retry"] == {"limit": 5}


def test_with_hookfailed_the_job_goes_before_the_application_says_failed() -> None:
    stage = Stage(in_turn(FAILS))
    stage.deploy(hook_job("db-migrate", policy="HookFailed"))
    stage.sync()
    seen: list[str] = []
    stage.world.objects.subscribe(
        lambda change: seen.append(
            f"{change.kind} {change.type}"
            + (" failed" if "Failed" in str((change.object.get("status") or {}).get("operationState")) else "")
        )
    )
    stage.advance(5)
    assert seen.index("Job DELETED") < seen.index("Application MODIFIED failed")
    assert stage.world.objects.list("Pod", "shop") == []


def test_a_job_that_hooksucceeded_left_behind_answers_for_the_next_sync_without_running() -> None:
    stage = Stage(in_turn(FAILS, WORKS))
    stage.deploy(hook_job("db-migrate", policy="HookSucceeded"))
    stage.sync()
    stage.advance(5)
    stage.told.clear()
    stage.world.sync("shop")
    stage.advance(5)
    assert stage.told == [
        "Running: ",
        f"Running: {_COMPLETION} | db-migrate Running: job.batch/db-migrate configured",
        f"Failed finished: {_UNSUCCESSFUL} | {_BROKE}",
    ]
    assert len(stage.world.objects.list("Pod", "shop")) == 1


def test_another_template_for_a_job_that_stands_cannot_be_applied() -> None:
    stage = Stage(in_turn(FAILS))
    stage.deploy(hook_job("db-migrate", policy="HookSucceeded"))
    stage.sync()
    stage.advance(5)
    fixed = hook_job("db-migrate", policy="HookSucceeded", image="registry.example.com/app:2")
    stage.world.push("shop", manifests(fixed))
    stage.sync()
    stage.advance(5)
    message = stage.world.state("shop")["message"]
    assert message.startswith("one or more objects failed to apply, reason: error when patching ")
    assert message.endswith("field is immutable")
    assert "registry.example.com/app:2" in message


def test_terminate_kills_the_hook_that_runs_and_is_never_retried() -> None:
    stage = Stage(in_turn(RUNS_ON))
    stage.deploy()
    stage.sync(retry=_BACKOFF)
    stage.advance(5)
    assert stage.world.terminate("shop")
    stage.advance(20)
    assert stage.told[-2:] == [
        f"Terminating: {_COMPLETION} | {_CREATED}",
        "Failed finished: Operation terminated | db-migrate Failed: Terminated",
    ]
    assert [(s.container, s.namespace) for s in stage.world.jobs.kubelet.stopped] == [("migrate", "shop")]
    assert stage.world.objects.list("Job", "shop") == []


def test_terminate_in_the_wait_ends_the_retries_and_kills_nothing() -> None:
    stage = Stage(in_turn(FAILS))
    stage.deploy()
    stage.sync(retry=_BACKOFF)
    stage.advance(3)
    assert "finishedAt" in stage.world.state("shop")
    assert stage.world.terminate("shop")
    stage.advance(30)
    assert stage.told[-1] == f"Failed retry=1 finished: Operation terminated (retried 1 times). | {_BROKE}"
    assert stage.jobs.count("ADDED db-migrate") == 1
    assert stage.world.jobs.kubelet.stopped == []


def test_autosync_does_not_try_a_failed_revision_again_but_a_new_commit() -> None:
    stage = Stage(in_turn(FAILS, WORKS))
    stage.deploy(policy={"automated": {"selfHeal": True}, "retry": {"limit": 0}})
    stage.advance(60)
    assert stage.jobs.count("ADDED db-migrate") == 1
    assert stage.told[-1] == f"Failed finished: {_UNSUCCESSFUL} | {_BROKE}"
    assert shop(stage)["status"]["conditions"][0]["type"] == "SyncError"
    stage.world.refresh("shop")
    stage.advance(10)
    assert stage.jobs.count("ADDED db-migrate") == 1
    stage.world.push("shop", manifests(colour="green"))
    stage.advance(10)
    assert stage.world.state("shop")["phase"] == "Succeeded"
    assert shop(stage)["status"].get("conditions") is None


def test_selfheal_syncs_what_drifted_and_runs_no_hook() -> None:
    stage = Stage(in_turn(WORKS))
    stage.deploy(policy={"automated": {"selfHeal": True}})
    stage.advance(10)
    made = stage.jobs.count("ADDED db-migrate")
    stage.world.controller.drift(AppKey(ARGOCD, "shop"), "ConfigMap", "app-config")
    stage.advance(10)
    assert stage.jobs.count("ADDED db-migrate") == made
    request = stage.world.state("shop")["operation"]["sync"]
    assert [(r["kind"], r["name"]) for r in request["resources"]] == [("ConfigMap", "app-config")]
    assert shop(stage)["status"]["sync"]["status"] == "Synced"
    assert len(shop(stage)["status"]["history"]) == 1


def test_a_failure_is_gone_in_a_moment_when_a_newer_revision_waits() -> None:
    stage = Stage(in_turn(FAILS, WORKS))
    stage.deploy(policy={"automated": {}, "retry": {"limit": 0}})
    stage.advance(1.5)
    stage.world.push("shop", manifests(colour="green"))
    stage.advance(12)
    assert f"Failed finished: {_UNSUCCESSFUL} | {_BROKE}" in stage.told
    assert stage.world.state("shop")["phase"] == "Succeeded"


def test_an_operation_over_a_running_one_is_accepted_and_lost() -> None:
    stage = Stage(in_turn(WORKS))
    stage.deploy()
    stage.sync()
    stage.advance(1)
    begun = stage.world.state("shop")["startedAt"]
    second = {"operation": {"initiatedBy": {"username": "bob"}, "sync": {"syncStrategy": {"hook": {}}}}}
    stage.world.objects.patch("Application", ARGOCD, "shop", second)
    stage.advance(20)
    assert stage.world.state("shop")["startedAt"] == begun
    assert stage.world.state("shop")["phase"] == "Succeeded"
    assert "operation" not in shop(stage)


def test_clearing_the_state_of_a_running_operation_kills_its_migration() -> None:
    stage = Stage(in_turn(RUNS_ON, WORKS))
    stage.deploy()
    stage.sync()
    stage.advance(4)
    cleared = {"operation": {"sync": {"syncStrategy": {"hook": {}}}}, "status": {"operationState": None}}
    stage.world.objects.patch("Application", ARGOCD, "shop", cleared)
    stage.advance(10)
    assert [s.container for s in stage.world.jobs.kubelet.stopped] == ["migrate"]
    assert stage.world.state("shop")["phase"] == "Succeeded"


def test_a_generated_hook_is_named_after_revision_phase_and_start_and_tracked_without_a_name() -> None:
    stage = Stage(in_turn(FAILS))
    revision = stage.deploy(hook_job("seed-", generate=True))
    stage.sync()
    stage.advance(5)
    begun = int(datetime.fromisoformat(stage.world.state("shop")["startedAt"]).astimezone(UTC).timestamp())
    (job,) = stage.world.objects.list("Job", "shop")
    assert job["metadata"]["name"] == f"seed-{revision[:7]}-presync-{begun}"
    assert job["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] == "shop:batch/Job:shop/"


def test_the_failed_hook_of_a_group_is_told_while_its_sibling_runs() -> None:
    stage = Stage(lambda start: FAILS if start.job == "a-migrate" else RUNS_ON)
    stage.deploy(hook_job("a-migrate"), hook_job("b-check"))
    stage.sync()
    stage.advance(20)
    second = "b-check Running: job.batch/b-check created"
    first = f"a-migrate Running: job.batch/a-migrate created | {second}"
    failed = "a-migrate Failed: Job has reached the specified backoff limit"
    assert stage.told == [
        "Running: ",
        f"Running: waiting for completion of hook batch/Job/a-migrate and 1 more hooks | {first}",
        f"Running: waiting for completion of hook batch/Job/b-check | {failed} | {second}",
    ]


def test_postsync_hooks_run_after_the_resources() -> None:
    stage = Stage(in_turn(WORKS))
    stage.deploy(hook_job("db-migrate"), hook_job("smoke-test", phase="PostSync"))
    stage.sync()
    stage.advance(15)
    rows = stage.world.state("shop")["syncResult"]["resources"]
    assert [(r["syncPhase"], r["name"]) for r in rows] == [
        ("PreSync", "db-migrate"),
        ("Sync", "app-config"),
        ("PostSync", "smoke-test"),
    ]
    assert stage.world.state("shop")["phase"] == "Succeeded"


def test_a_window_that_is_closed_holds_the_operation_and_terminate_ends_it() -> None:
    stage = Stage(in_turn(WORKS))
    stage.deploy()
    window = {"kind": "deny", "schedule": "* * * * *", "duration": "24h", "applications": ["*"]}
    stage.world.objects.patch("AppProject", ARGOCD, "default", {"spec": {"syncWindows": [window]}})
    stage.sync()
    stage.advance(30)
    assert stage.told == ["Running: ", "Running: Sync operation blocked by sync window"]
    assert stage.world.terminate("shop")
    stage.advance(1)
    assert stage.told[-1] == "Failed finished: Operation terminated"


def test_an_overlooked_operation_sits_until_it_is_touched() -> None:
    stage = Stage(in_turn(WORKS))
    stage.deploy()
    stage.advance(1)
    stage.world.controller.overlook(AppKey(ARGOCD, "shop"))
    stage.world.sync("shop")
    stage.advance(60)
    assert stage.told == []
    stage.world.objects.patch("Application", ARGOCD, "shop", {"operation": {"info": [{"name": "n", "value": "1"}]}})
    stage.advance(10)
    assert stage.world.state("shop")["phase"] == "Succeeded"
