"""What one version of a Job, a Pod or an Event tells; objects as a real API server sent them, shortened."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from responder.core.evidence import ClusterEvent
from responder.core.hooks import ContainerKind, ContainerRun, ContainerState, HookRun, JobCondition
from responder.core.hookwire import EventWire, JobWire, PodWire
from responder.core.redaction import Redactor
from responder.core.sightings import SeenJob, SeenPod, see_event, see_job, see_pod

Json = dict[str, Any]

AT = datetime(2026, 11, 21, 12, 10, 20, tzinfo=UTC)
REDACT = Redactor(b"key").text


def meta(name: str, **more: Any) -> Json:
    return {
        "name": name,
        "namespace": "shop",
        "uid": f"uid-{name}",
        "resourceVersion": "7",
        "creationTimestamp": "2026-11-21T12:10:20Z",
        **more,
    }


HOOK = {
    "argocd.argoproj.io/hook": "PreSync",
    "argocd.argoproj.io/tracking-id": "shop:batch/Job:shop/db-migrate",
}


def job(item: Json) -> SeenJob:
    return see_job(msgspec.json.decode(msgspec.json.encode(item), type=JobWire), "in-cluster", REDACT)


def pod(item: Json) -> SeenPod:
    wire = msgspec.json.decode(msgspec.json.encode(item), type=PodWire)
    return see_pod(wire, frozenset({"istio-proxy"}), REDACT)


def hook(item: Json) -> HookRun:
    run = job(item).run
    assert run is not None
    return run


def status(name: str, state: Json, *, restarts: int = 0, last: Json | None = None) -> Json:
    return {"name": name, "state": state, "lastState": last or {}, "restartCount": restarts}


def runs(*statuses: Json, init: tuple[Json, ...] = (), containers: tuple[Json, ...] = ()) -> tuple[ContainerRun, ...]:
    item = {
        "metadata": meta("db-migrate-x"),
        "spec": {"containers": list(containers) or [{"name": "migrate"}], "initContainers": list(init)},
        "status": {"phase": "Running", "containerStatuses": list(statuses)},
    }
    return pod(item).pod.containers


def test_metadata_alone_is_enough_to_know_a_hook() -> None:
    seen = job({"kind": "PartialObjectMetadata", "metadata": meta("db-migrate", annotations=HOOK)})

    assert not seen.whole
    assert seen.run is not None
    assert (seen.run.tracked, seen.run.hook_types, seen.run.created_at) == ("shop", ("PreSync",), AT)


def test_a_job_without_the_annotation_is_no_hook() -> None:
    assert job({"metadata": meta("cron"), "spec": {}, "status": {}}).run is None


def test_a_whole_job_tells_its_settings_and_conditions() -> None:
    run = hook(
        {
            "metadata": meta("db-migrate", annotations=HOOK, deletionTimestamp="2026-11-21T12:11:00Z"),
            "spec": {
                "backoffLimit": 1,
                "activeDeadlineSeconds": 5,
                "ttlSecondsAfterFinished": 0,
                "suspend": False,
                "template": {"spec": {"restartPolicy": "OnFailure", "containers": [{"name": "m", "image": "shop:1"}]}},
            },
            "status": {
                "failed": 1,
                "conditions": [
                    {"type": "FailureTarget", "status": "True", "reason": "BackoffLimitExceeded", "message": "limit",
                     "lastTransitionTime": "2026-11-21T12:10:20Z"},
                    {"type": "Suspended", "status": "False"},
                ],
            },
        }
    )  # fmt: skip

    assert run.conditions == (JobCondition("FailureTarget", "BackoffLimitExceeded", "limit", AT),)
    assert (run.backoff_limit, run.deadline_seconds, run.ttl_seconds, run.restart_policy) == (1, 5, 0, "OnFailure")
    assert run.images == ("shop:1",)
    assert run.deleting_at == datetime(2026, 11, 21, 12, 11, tzinfo=UTC)


def test_pods_are_counted_by_the_jobs_status() -> None:
    spec: Json = {"metadata": meta("db-migrate", annotations=HOOK), "spec": {}}

    assert job({**spec, "status": {"failed": 2, "active": 1}}).pods_made == 3


def test_what_a_pod_needs_before_it_can_start_is_named() -> None:
    run = hook(
        {
            "metadata": meta("db-migrate", annotations=HOOK),
            "spec": {"template": {"spec": {
                "containers": [{
                    "name": "migrate",
                    "env": [
                        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}},
                        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "may-miss", "optional": True}}},
                        {"name": "C", "value": "plain"},
                    ],
                    "envFrom": [{"configMapRef": {"name": "settings"}}],
                }],
                "volumes": [
                    {"name": "v", "secret": {"secretName": "files"}},
                    {"name": "t", "projected": {"sources": [{"configMap": {"name": "kube-root-ca.crt"}}]}},
                ],
            }}},
        }
    )  # fmt: skip

    assert run.secrets == ("Secret/db", "ConfigMap/settings", "Secret/files")


def test_the_gate_hook_and_idempotent_hooks_say_so() -> None:
    annotations = {**HOOK, "hook-responder.io/idempotent": "true"}
    run = hook({"metadata": meta("db-migrate", annotations=annotations, labels={"hook-responder.io/gate": "true"})})

    assert run.gate
    assert run.idempotent
    assert not hook({"metadata": meta("db-migrate", annotations=HOOK)}).gate


def test_a_pod_belongs_to_the_job_that_label_and_owner_name() -> None:
    label = {"batch.kubernetes.io/controller-uid": "uid-db-migrate"}
    owner = {"kind": "Job", "uid": "uid-db-migrate", "controller": True}

    assert pod({"metadata": meta("p", labels=label, ownerReferences=[owner])}).job_uid == "uid-db-migrate"
    assert pod({"metadata": meta("p", labels=label, ownerReferences=[{**owner, "uid": "other"}])}).job_uid == ""
    assert pod({"metadata": meta("p")}).job_uid == ""


def test_containers_are_init_main_or_sidecar() -> None:
    found = runs(
        init=({"name": "wait"}, {"name": "native", "restartPolicy": "Always"}),
        containers=({"name": "migrate"}, {"name": "istio-proxy"}),
    )

    assert [(c.name, c.kind) for c in found] == [
        ("wait", ContainerKind.INIT),
        ("native", ContainerKind.SIDECAR),
        ("migrate", ContainerKind.MAIN),
        ("istio-proxy", ContainerKind.SIDECAR),
    ]


def test_a_container_in_back_off_has_one_run_that_ended() -> None:
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": "2026-11-21T12:10:20Z"}}
    (run,) = runs(status("migrate", {"waiting": {"reason": "CrashLoopBackOff"}}, last=ended))

    assert (run.restart, run.state, run.exit_code) == (0, ContainerState.TERMINATED, 1)


def test_a_restarted_container_has_two_runs() -> None:
    ended = {"terminated": {"exitCode": 1, "startedAt": "2026-11-21T12:10:20Z"}}
    first, second = runs(status("migrate", {"running": {"startedAt": "2026-11-21T12:10:31Z"}}, restarts=1, last=ended))

    assert (first.restart, first.state, first.exit_code) == (0, ContainerState.TERMINATED, 1)
    assert (second.restart, second.state) == (1, ContainerState.RUNNING)


def test_a_container_that_was_never_located_has_not_run() -> None:
    killed = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None}}
    (run,) = runs(status("migrate", killed))

    assert (run.state, run.exit_code) == (ContainerState.WAITING, None)


def test_a_container_that_the_runtime_could_not_start_has_no_start() -> None:
    refused = {"exitCode": 128, "reason": "StartError", "startedAt": "1970-01-01T00:00:00Z"}
    (run,) = runs(status("migrate", {"terminated": refused}))

    assert (run.exit_code, run.reason, run.started_at) == (128, "StartError", None)


def test_commands_and_messages_are_redacted() -> None:
    (run,) = runs(
        status("migrate", {"terminated": {"exitCode": 1, "message": "DATABASE_URL=postgres://a:hunter2@db/x"}}),
        containers=({"name": "migrate", "command": ["migrate"], "args": ["-database", "postgres://a:hunter2@db/x"]},),
    )

    assert "hunter2" not in run.message
    assert "hunter2" not in " ".join(run.command)
    assert run.command[:2] == ("migrate", "-database")


def test_why_a_pod_is_not_scheduled_is_told() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    seen = pod({"metadata": meta("p"), "status": {"phase": "Pending", "conditions": [condition]}})

    assert seen.pod.unscheduled == "0/1 nodes"


def event(**more: Any) -> ClusterEvent | None:
    item = {
        "metadata": meta("e"),
        "involvedObject": {"kind": "Job", "name": "db-migrate", "uid": "u"},
        "message": "m",
        **more,
    }
    return see_event(msgspec.json.decode(msgspec.json.encode(item), type=EventWire), REDACT).event


def test_warnings_and_a_few_others_are_kept_of_events() -> None:
    assert event(reason="FailedCreate", type="Warning") is not None
    assert event(reason="BackOff", type="Normal") is not None
    assert event(reason="Scheduled", type="Normal") is None


def test_an_event_of_the_new_kind_counts_by_its_series() -> None:
    kept = event(
        reason="FailedScheduling",
        type="Warning",
        eventTime="2026-11-21T12:10:20.000000Z",
        firstTimestamp=None,
        lastTimestamp=None,
        series={"count": 4, "lastObservedTime": "2026-11-21T12:11:00.000000Z"},
    )

    assert kept == ClusterEvent(
        "FailedScheduling", "m", "Warning", 4, AT, datetime(2026, 11, 21, 12, 11, tzinfo=UTC), "Job/db-migrate"
    )
