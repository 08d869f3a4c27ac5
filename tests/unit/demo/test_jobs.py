"""Jobs and Pods of the model, as a real Job controller and a kubelet were seen to treat them."""

from responder.demo.kubelet import Run, Script
from responder.demo.resources import Json
from responder.demo.world import hook_job
from tests.unit.demo.plays import FAILS, RUNS_ON, WORKS, Stage, in_turn


def started(stage: Stage, **spec: object) -> None:
    job = {**hook_job("db-migrate", spec=dict(spec))}
    job["metadata"] = {"name": "db-migrate", "namespace": "shop"}
    stage.world.objects.create("Job", job)


def pods(stage: Stage) -> list[Json]:
    return stage.world.objects.list("Pod", "shop")


def conditions(stage: Stage) -> list[tuple[str, str, str]]:
    job = stage.world.objects.get("Job", "shop", "db-migrate")
    return [(c["type"], c["reason"], c["message"]) for c in (job.get("status") or {}).get("conditions") or ()]


def test_a_failed_pod_is_counted_about_a_second_later() -> None:
    stage = Stage(in_turn(FAILS))
    started(stage)
    stage.advance(1.5)
    (pod,) = pods(stage)
    assert pod["status"]["phase"] == "Failed"
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 1
    assert conditions(stage) == []
    stage.advance(1)
    why = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
    assert conditions(stage) == [("FailureTarget", *why), ("Failed", *why)]


def test_what_a_container_prints_is_its_log_until_it_ends() -> None:
    stage = Stage(in_turn(FAILS))
    started(stage)
    stage.advance(0.5)
    (pod,) = pods(stage)
    name = pod["metadata"]["name"]
    assert stage.world.objects.log_lines("shop", name, "migrate", 0) == 1
    stage.advance(2)
    run = stage.world.objects.logs.run(("shop", name, "migrate", 0))
    assert [line.data for line in run.lines] == [b"applying 0042\n", b"ERROR: it broke\n"]
    assert run.ended


def test_below_its_backoff_limit_a_job_makes_another_pod_after_ten_seconds() -> None:
    stage = Stage(in_turn(FAILS, WORKS))
    started(stage, backoffLimit=1)
    stage.advance(9)
    assert len(pods(stage)) == 1
    stage.advance(10)
    assert [p["status"]["phase"] for p in sorted(pods(stage), key=lambda p: p["metadata"]["creationTimestamp"])] == [
        "Failed",
        "Succeeded",
    ]
    assert [c[0] for c in conditions(stage)] == ["SuccessCriteriaMet", "Complete"]


def test_a_deadline_takes_the_pod_away_before_the_job_is_marked_failed() -> None:
    stage = Stage(in_turn(RUNS_ON))
    started(stage, activeDeadlineSeconds=5)
    stage.advance(5.5)
    assert pods(stage) == []
    assert [c[:2] for c in conditions(stage)] == [("FailureTarget", "DeadlineExceeded")]
    assert [s.container for s in stage.world.jobs.kubelet.stopped] == ["migrate"]
    stage.advance(1)
    assert [c[0] for c in conditions(stage)] == ["FailureTarget", "Failed"]


def test_a_ttl_removes_the_job_when_it_has_ended() -> None:
    stage = Stage(in_turn(WORKS))
    started(stage, ttlSecondsAfterFinished=0)
    stage.advance(10)
    assert stage.world.objects.find("Job", "shop", "db-migrate") is None
    assert pods(stage) == []


def test_a_container_without_its_secret_waits_and_an_event_says_so() -> None:
    waiting = ("CreateContainerConfigError", 'secret "db-credentials" not found')
    stage = Stage(in_turn(Run({"migrate": Script(waiting=waiting)})))
    started(stage)
    stage.advance(30)
    (pod,) = pods(stage)
    assert pod["status"]["phase"] == "Pending"
    state = pod["status"]["containerStatuses"][0]["state"]
    assert state == {"waiting": {"reason": waiting[0], "message": waiting[1]}}
    events = [(e["reason"], e["message"]) for e in stage.world.objects.list("Event", "shop") if e["type"] == "Warning"]
    assert events == [("Failed", 'Error: secret "db-credentials" not found')]


def test_a_pod_that_never_started_is_not_stopped_when_it_is_deleted() -> None:
    stage = Stage(in_turn(Run({"migrate": Script(waiting=("ImagePullBackOff", "Back-off pulling image"))})))
    started(stage)
    stage.advance(1)
    stage.world.objects.delete("Job", "shop", "db-migrate", propagation="Foreground")
    stage.advance(1)
    assert stage.world.jobs.kubelet.stopped == []
    assert stage.world.objects.find("Job", "shop", "db-migrate") is None
    assert pods(stage) == []


def test_a_quota_refuses_pods_again_and_again_and_each_time_an_event_counts_it() -> None:
    stage = Stage(in_turn(Run(refused='pods "db-migrate-x" is forbidden: exceeded quota: small')))
    started(stage)
    stage.advance(8)
    assert pods(stage) == []
    (event,) = [e for e in stage.world.objects.list("Event", "shop") if e["reason"] == "FailedCreate"]
    assert event["count"] == 4  # at 0, 1, 3 and 7 s
    assert event["message"].startswith("Error creating: pods ")


def test_a_pod_that_fits_on_no_node_stays_pending_with_its_reason() -> None:
    stage = Stage(in_turn(Run(unschedulable="0/1 nodes are available")))
    started(stage)
    stage.advance(5)
    (pod,) = pods(stage)
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["conditions"][0]["reason"] == "Unschedulable"
    assert "nodeName" not in pod["spec"]


def test_init_containers_run_before_the_others_and_their_failure_ends_the_pod() -> None:
    stage = Stage(in_turn(Run({"wait": Script(exit_code=1)})))
    job = hook_job("db-migrate")
    job["metadata"] = {"name": "db-migrate", "namespace": "shop"}
    job["spec"]["template"]["spec"]["initContainers"] = [{"name": "wait", "image": "busybox"}]
    stage.world.objects.create("Job", job)
    stage.advance(3)
    (pod,) = pods(stage)
    assert pod["status"]["phase"] == "Failed"
    assert "waiting" in pod["status"]["containerStatuses"][0]["state"]
    assert [c[0] for c in conditions(stage)] == ["FailureTarget", "Failed"]
