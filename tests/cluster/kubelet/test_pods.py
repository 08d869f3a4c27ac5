"""Pods and Jobs on a real API server, run by the process kubelet."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from tests.cluster.kubelet.conftest import Pods
from tests.cluster.kubernetes import Json, path

pytestmark = pytest.mark.real_cluster
_MARK = 100_000 + os.getpid()  # seconds that nobody else sleeps


def main_of(status: Json) -> Json:
    return dict(status["containerStatuses"][0])


def ended(status: Json) -> Json:
    return dict(main_of(status)["state"]["terminated"])


def condition(status: Json, kind: str) -> Json:
    return next(dict(one) for one in status["conditions"] if one["type"] == kind)


async def test_a_job_succeeds_and_its_pod_is_completed(pods: Pods) -> None:
    await pods.job("good", "echo out; echo err >&2")

    await pods.until("good", lambda status: status.get("succeeded") == 1, kind="Job")

    [pod] = await pods.of_job("good")
    assert pod["status"]["phase"] == "Succeeded"
    assert ended(pod["status"])["reason"] == "Completed"
    assert condition(pod["status"], "Ready")["reason"] == "PodCompleted"
    assert sorted((await pods.log(pod["metadata"]["name"]))[1].split()) == ["err", "out"]


async def test_a_job_fails_after_its_backoff_limit(pods: Pods) -> None:
    await pods.job("bad", "exit 3", backoff_limit=1)

    status = await pods.until("bad", lambda status: status.get("conditions"), kind="Job")

    assert status["conditions"][0]["reason"] == "BackoffLimitExceeded"
    found = await pods.of_job("bad")
    assert [ended(pod["status"])["exitCode"] for pod in found] == [3, 3]
    assert [ended(pod["status"])["reason"] for pod in found] == ["Error", "Error"]


async def test_when_an_init_container_fails_the_main_one_never_starts(pods: Pods) -> None:
    first = {"name": "first", "image": "app:1", "command": ["sh", "-c", "echo no database; exit 1"]}
    await pods.run("init", "echo never", initContainers=[first])

    status = await pods.until_phase("init", "Failed")

    assert status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 1
    assert main_of(status)["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert condition(status, "Initialized")["message"] == "containers with incomplete status: [first]"
    assert await pods.log("init", container="first") == (200, "no database\n")
    refused = await pods.log("init", container="main")
    assert refused[0] == 400
    assert 'container \\"main\\" in pod \\"init\\" is waiting to start: PodInitializing' in refused[1]


async def test_init_containers_run_one_after_the_other(pods: Pods) -> None:
    place = {"name": "shared", "mountPath": "/shared"}
    inits = [
        {
            "name": name,
            "image": "app:1",
            "command": ["sh", "-c", f"echo {name} >> /shared/order"],
            "volumeMounts": [place],
        }
        for name in ("one", "two")
    ]
    volumes = [{"name": "shared", "emptyDir": {}}]
    await pods.run("order", "cat /shared/order", main={"volumeMounts": [place]}, initContainers=inits, volumes=volumes)

    await pods.until_phase("order", "Succeeded")

    assert await pods.log("order") == (200, "one\ntwo\n")


async def test_on_failure_a_container_is_restarted_and_its_previous_log_kept(pods: Pods) -> None:
    place = {"name": "kept", "mountPath": "/kept"}
    command = "echo x >> /kept/runs; n=$(wc -l < /kept/runs); echo run $n; exit $((3 - n))"
    volumes = [{"name": "kept", "emptyDir": {}}]
    await pods.run("again", command, main={"volumeMounts": [place]}, restartPolicy="OnFailure", volumes=volumes)

    waiting = await pods.until_waits("again", "CrashLoopBackOff")

    assert waiting["message"].startswith("back-off 10s restarting failed container=main pod=again_")
    # the log is that of the run that ended last, which is the previous one as well
    assert await pods.log("again") == (200, "run 2\n")
    assert await pods.log("again", previous="true") == (200, "run 2\n")
    status = await pods.until_phase("again", "Succeeded")
    assert main_of(status)["restartCount"] == 2
    assert main_of(status)["lastState"]["terminated"]["exitCode"] == 1
    assert await pods.log("again") == (200, "run 3\n")
    assert await pods.log("again", previous="true") == (200, "run 2\n")


async def test_a_missing_secret_is_waited_for(pods: Pods) -> None:
    variable = {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "late", "key": "password"}}}
    await pods.run("secret", "echo got $PASSWORD", main={"env": [variable]})

    waiting = await pods.until_waits("secret", "CreateContainerConfigError")
    assert waiting["message"] == 'secret "late" not found'
    await pods.create("v1", "Secret", {"metadata": {"name": "late"}, "stringData": {"other": "x"}})
    where = pods.at("secret")
    await pods.kubernetes.until(
        where,
        lambda pod: (
            main_of(pod["status"])["state"]["waiting"]["message"]
            == f"couldn't find key password in Secret {pods.namespace}/late"
        ),
    )
    await pods.kubernetes.patch(path("v1", "Secret", pods.namespace, "late"), {"stringData": {"password": "abc"}})

    await pods.until_phase("secret", "Succeeded")
    assert await pods.log("secret") == (200, "got abc\n")
    assert ("Warning", "Failed", 'Error: secret "late" not found') in await pods.events("secret")


async def test_a_missing_volume_source_is_told_by_an_event_only(pods: Pods) -> None:
    volumes = [{"name": "settings", "secret": {"secretName": "late"}}]
    mount = {"name": "settings", "mountPath": "/settings"}
    await pods.run("volume", "cat /settings/key", main={"volumeMounts": [mount]}, volumes=volumes)

    event = await pods.event("volume", "FailedMount")
    assert event["message"] == 'MountVolume.SetUp failed for volume "settings" : secret "late" not found'
    assert event["source"]["component"] == "kubelet"
    assert (await pods.until_waits("volume", "ContainerCreating")) == {"reason": "ContainerCreating"}
    await pods.create("v1", "Secret", {"metadata": {"name": "late"}, "stringData": {"key": "value"}})

    await pods.until_phase("volume", "Succeeded")
    assert await pods.log("volume") == (200, "value")


async def test_an_image_that_is_not_there_is_tried_again_until_it_is_pushed(pods: Pods) -> None:
    image = f"does-not-exist/{pods.namespace}:1"
    await pods.run("image", "echo pulled", main={"image": image})

    await pods.until_waits("image", "ErrImagePull")
    assert "image can't be pulled" in (await pods.log("image"))[1]
    waiting = await pods.until_waits("image", "ImagePullBackOff")
    assert waiting["message"].startswith(f'Back-off pulling image "{image}": ErrImagePull: rpc error: code = NotFound')
    assert "trying and failing to pull image" in (await pods.log("image"))[1]
    await pods.order(f"push {image}")

    await pods.until_phase("image", "Succeeded")
    assert ("Warning", "Failed", "Error: ImagePullBackOff") in await pods.events("image")


async def test_a_pod_that_no_node_fits_is_unschedulable(pods: Pods) -> None:
    await pods.run("homeless", "true", nodeSelector={"disk": "ssd"})
    requests = {"resources": {"requests": {"memory": "2Ti"}}}
    await pods.run("greedy", "true", main=requests)

    status = await pods.until("homeless", lambda status: status.get("conditions"))

    assert condition(status, "PodScheduled")["reason"] == "Unschedulable"
    assert condition(status, "PodScheduled")["message"].startswith(
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
    )
    event = await pods.event("greedy", "FailedScheduling")
    assert event["message"].startswith("0/1 nodes are available: 1 Insufficient memory.")
    assert event["reportingComponent"] == "default-scheduler"
    assert await pods.log("homeless") == (204, "")


async def test_a_native_sidecar_runs_first_and_ends_last(pods: Pods) -> None:
    place = {"name": "shared", "mountPath": "/shared"}
    command = "trap 'echo bye; exit 0' TERM; echo up > /shared/up; while :; do sleep 0.05; done"
    sidecar = {"name": "proxy", "image": "app:1", "restartPolicy": "Always", "command": ["sh", "-c", command]}
    waits = "until cat /shared/up; do sleep 0.05; done"
    await pods.run(
        "sidecar",
        waits,
        main={"volumeMounts": [place]},
        initContainers=[sidecar | {"volumeMounts": [place]}],
        volumes=[{"name": "shared", "emptyDir": {}}],
    )

    status = await pods.until_phase("sidecar", "Succeeded")

    assert await pods.log("sidecar", container="proxy") == (200, "bye\n")
    proxy = status["initContainerStatuses"][0]["state"]["terminated"]
    assert proxy["exitCode"] == 0
    assert proxy["startedAt"] <= ended(status)["startedAt"] <= ended(status)["finishedAt"] <= proxy["finishedAt"]


async def test_a_pod_past_its_deadline_is_ended(pods: Pods) -> None:
    await pods.run("late", "trap 'echo stopping; exit 9' TERM; while :; do sleep 0.05; done", activeDeadlineSeconds=4)

    status = await pods.until_phase("late", "Failed")

    assert status["reason"] == "DeadlineExceeded"
    assert status["message"] == "Pod was active on the node longer than the specified deadline"
    assert ended(status)["exitCode"] == 9
    assert await pods.log("late") == (200, "stopping\n")


async def test_a_deleted_pod_may_end_in_its_grace_period(pods: Pods) -> None:
    await pods.run("polite", "trap 'echo leaving; sleep 1; exit 4' TERM; echo ready; while :; do sleep 0.05; done")
    async with pods.kubernetes.follow_log(pods.namespace, await started(pods, "polite")) as log:
        assert await log.readline() == b"ready\n"
        await pods.delete("polite")

        assert await log.read() == b"leaving\n"  # it is followed to its very end
    await until_gone(pods, "polite")
    assert ("Normal", "Killing", "Stopping container main") in await pods.events("polite")


async def test_who_does_not_heed_the_signal_is_killed_when_the_grace_is_over(pods: Pods) -> None:
    # no handler at all: the first process of a container does not even notice SIGTERM
    await pods.run("deaf", "sleep 600", terminationGracePeriodSeconds=2)
    await started(pods, "deaf")
    began = time.monotonic()
    where = path("v1", "Pod", pods.namespace) + "?watch=true"
    async with pods.kubernetes.session.get(where) as watch:
        await pods.delete("deaf")
        last = b""
        while b'"type":"DELETED"' not in (line := await watch.content.readline()):
            last = line

    assert 2 <= time.monotonic() - began < 12
    assert b'"exitCode":137' in last
    assert b'"phase":"Failed"' in last


@pytest.mark.parametrize(
    ("reason", "spec"),
    [
        ("ErrImagePull", {"main": {"image": "does-not-exist:1"}}),
        ("CreateContainerConfigError", {"main": {"envFrom": [{"secretRef": {"name": "none"}}]}}),
        ("ContainerCreating", {"volumes": [{"name": "none", "configMap": {"name": "none"}}]}),
        ("PodInitializing", {"initContainers": [{"name": "i", "image": "i:1", "command": ["sleep", "600"]}]}),
    ],
)
async def test_a_pod_that_waits_goes_when_it_is_deleted(pods: Pods, reason: str, spec: Json) -> None:
    await pods.run("waits", "true", terminationGracePeriodSeconds=1, **spec)
    await pods.until_waits("waits", reason)

    await pods.delete("waits")

    await until_gone(pods, "waits")


async def test_a_pod_deleted_by_force_is_killed(pods: Pods) -> None:
    await started(pods, await pods.run("forced", f"exec sleep {_MARK}.25"))
    assert is_running(f"sleep {_MARK}.25")

    await pods.delete("forced", gracePeriodSeconds=0)

    async with asyncio.timeout(20):
        while is_running(f"sleep {_MARK}.25"):  # noqa: ASYNC110  # no event tells of the end of another's process
            await asyncio.sleep(0.05)


async def test_a_secret_by_sub_path_is_one_file(pods: Pods) -> None:
    await pods.create("v1", "Secret", {"metadata": {"name": "env"}, "stringData": {"env": "DB=x\n", "other": "y"}})
    mount = {"name": "env", "mountPath": "/app/.env", "subPath": "env", "readOnly": True}
    volumes = [{"name": "env", "secret": {"secretName": "env"}}]
    command = "cat /app/.env; ls -A /app; echo z > /app/.env"
    await pods.run("subpath", command, main={"volumeMounts": [mount], "workingDir": "/app"}, volumes=volumes)

    status = await pods.until_phase("subpath", "Failed")

    assert ended(status)["exitCode"] == 2
    text = (await pods.log("subpath"))[1]
    assert text.startswith("DB=x\n.env\n")
    assert "Read-only file system" in text


async def test_a_container_has_the_environment_that_its_pod_says_and_no_other(pods: Pods) -> None:
    await pods.create("v1", "ConfigMap", {"metadata": {"name": "settings"}, "data": {"MODE": "fast"}})
    env = [
        {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "GREETING", "value": "$(WHO) is $(MODE), $$(WHO) costs $(NOTHING)"},
    ]
    main = {"env": env, "envFrom": [{"configMapRef": {"name": "settings"}}], "securityContext": {"runAsUser": 1234}}
    await pods.run("environment", 'echo "$GREETING"; hostname; id -u; env | cut -d= -f1 | sort | xargs', main=main)

    await pods.until_phase("environment", "Succeeded")

    greeting, host, user, names = (await pods.log("environment"))[1].splitlines()
    assert greeting == "environment is fast, $(WHO) costs $(NOTHING)"
    assert (host, user) == ("environment", "1234")
    assert set(names.split()) - {"PWD", "OLDPWD", "SHLVL", "_"} == {
        "GREETING", "HOME", "HOSTNAME", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT",
        "KUBERNETES_SERVICE_PORT_HTTPS", "MODE", "PATH", "WHO",
    }  # fmt: skip


async def test_a_container_without_a_command_runs_what_its_image_brings(pods: Pods) -> None:
    image = f"registry.test/{pods.namespace}/migrate"
    await pods.order(f'image {image} {{"entrypoint": ["sh", "-c", "echo $TOOL $0 $1; pwd"], "env": {{"TOOL": "m"}}}}')
    await pods.create(
        "v1",
        "Pod",
        {
            "metadata": {"name": "entry"},
            "spec": {
                "restartPolicy": "Never",
                "containers": [
                    {"name": "main", "image": f"{image}:v4", "args": ["-path", "up"], "workingDir": "/work-dir"}
                ],
            },
        },
    )

    await pods.until_phase("entry", "Succeeded")

    assert await pods.log("entry") == (200, "m -path up\n/work-dir\n")


async def test_a_container_may_ask_the_api_server_with_its_own_token(pods: Pods) -> None:
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    command = (
        f'curl -s --cacert {folder}/ca.crt -H "Authorization: Bearer $(cat {folder}/token)" '
        "https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/apis/authentication.k8s.io/v1/selfsubjectreviews "
        "-H 'Content-Type: application/json' "
        '-d \'{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}\''
    )
    await pods.run("token", command)

    await pods.until_phase("token", "Succeeded")

    assert f"system:serviceaccount:{pods.namespace}:default" in (await pods.log("token"))[1]


async def test_last_words_are_told_from_the_file_or_from_the_log(pods: Pods) -> None:
    await pods.run("file", "echo in the log; echo -n in the file > /dev/termination-log; exit 1")
    fallback = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    await pods.run("fallback", "echo in the log; exit 1", main=fallback)

    assert ended(await pods.until_phase("file", "Failed"))["message"] == "in the file"
    assert ended(await pods.until_phase("fallback", "Failed"))["message"] == "in the log\n"


async def test_a_command_that_is_not_there_is_a_start_error(pods: Pods) -> None:
    await pods.run("nothing", "", main={"command": ["migrate-it"]})

    status = await pods.until_phase("nothing", "Failed")

    assert ended(status)["reason"] == "StartError"
    assert ended(status)["exitCode"] == 128
    assert 'exec: "migrate-it": executable file not found in $PATH' in ended(status)["message"]


async def test_nothing_that_a_container_writes_or_starts_outlives_it(pods: Pods) -> None:
    file = Path("/var/tmp") / pods.namespace  # noqa: S108  # the point: the host has none
    await pods.run("traces", f"setsid sleep {_MARK}.5 & touch {file}; ls {file}; sleep 2")
    await started(pods, "traces")

    await pods.until_phase("traces", "Succeeded")

    assert await pods.log("traces") == (200, f"{file}\n")
    assert not file.exists()
    assert not is_running(f"sleep {_MARK}.5")


def is_running(command: str) -> bool:
    """On this machine, which is the node."""
    wanted = command.encode().split()
    return any(_words(process) == wanted for process in Path("/proc").glob("[0-9]*"))


def _words(process: Path) -> list[bytes]:
    try:
        return (process / "cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:  # it has just ended
        return []


async def started(pods: Pods, name: str) -> str:
    await pods.until_phase(name, "Running")
    return name


async def until_gone(pods: Pods, name: str) -> None:
    async with asyncio.timeout(30):
        while not await pods.gone(name):  # noqa: ASYNC110  # the API server is asked: there is no event to await
            await asyncio.sleep(0.05)
