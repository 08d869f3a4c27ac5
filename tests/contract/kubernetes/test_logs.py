import asyncio

import pytest

from tests.contract.kubernetes.cluster import PATIENCE, Answer, Cluster
from tests.contract.kubernetes.pods import Pods, spec

LINES = "".join(f"line {number}\n" for number in range(1, 6)) + "no newline"


async def log(cluster: Cluster, pod: str, **query: str | int) -> Answer:
    return await cluster.call("GET", cluster.path("pods", pod, "log"), query=query)


def refused(reason: str) -> tuple[int, str, str]:
    return 400, "BadRequest", reason


async def test_a_pod_on_no_node_has_an_empty_answer(cluster: Cluster) -> None:
    await cluster.create("pods", "unbound", spec=spec("main", schedulerName="nobody"))
    answer = await log(cluster, "unbound")
    assert (answer.status, answer.text) == (204, b"")


async def test_among_two_containers_one_must_be_named(cluster: Cluster) -> None:
    await cluster.create("pods", "two", spec=spec("main", "other", schedulerName="nobody"))
    answer = await log(cluster, "two")
    assert answer.failure == refused("a container name must be specified for pod two, choose one of: [main other]")


async def test_init_containers_are_offered_first(cluster: Cluster) -> None:
    init = [{"name": "wait", "image": "busybox"}]
    await cluster.create("pods", "two", spec=spec("main", "other", schedulerName="nobody", initContainers=init))
    answer = await log(cluster, "two")
    assert answer.body["message"].endswith("choose one of: [wait main other]")


async def test_a_container_that_does_not_exist_is_refused(cluster: Cluster) -> None:
    await cluster.create("pods", "two", spec=spec("main", "other", schedulerName="nobody"))
    answer = await log(cluster, "two", container="zz")
    assert answer.failure == refused("container zz is not valid for pod two")


async def test_a_pod_that_does_not_exist_is_not_found(cluster: Cluster) -> None:
    assert (await log(cluster, "zz")).failure == (404, "NotFound", 'pods "zz" not found')


async def test_a_container_that_waits_says_for_what(cluster: Cluster, pods: Pods) -> None:
    await pods.without_secret("waiting")
    why = 'container "main" in pod "waiting" is waiting to start: CreateContainerConfigError'
    assert (await log(cluster, "waiting")).failure == refused(why)


async def test_a_container_without_image_says_so(cluster: Cluster, pods: Pods) -> None:
    await pods.without_image("pull")
    why = 'container "main" in pod "pull" is waiting to start: trying and failing to pull image'
    assert (await log(cluster, "pull")).failure == refused(why)


async def test_all_lines_come_as_they_were_printed(cluster: Cluster, pods: Pods) -> None:
    await pods.finished("lines", LINES)
    answer = await log(cluster, "lines")
    assert (answer.status, answer.text) == (200, LINES.encode())
    assert answer.headers["Content-Type"] == "text/plain"


async def test_the_last_lines(cluster: Cluster, pods: Pods) -> None:
    await pods.finished("lines", LINES)
    assert (await log(cluster, "lines", tailLines=2)).text == b"line 5\nno newline"
    assert (await log(cluster, "lines", tailLines=0)).text == b""


async def test_a_limit_of_bytes_cuts_within_a_line(cluster: Cluster, pods: Pods) -> None:
    await pods.finished("lines", LINES)
    assert (await log(cluster, "lines", limitBytes=10)).text == b"line 1\nlin"


async def test_timestamps_stand_before_each_line(cluster: Cluster, pods: Pods) -> None:
    await pods.finished("lines", LINES)
    stamp, _, line = (await log(cluster, "lines", timestamps="true", tailLines=1)).text.partition(b" ")
    assert line == b"no newline"
    assert stamp.startswith(b"20")
    assert stamp.endswith(b"Z")


async def test_a_time_far_ahead_gives_nothing(cluster: Cluster, pods: Pods) -> None:
    await pods.finished("lines", LINES)
    answer = await log(cluster, "lines", sinceTime="2099-01-01T00:00:00Z")
    assert (answer.status, answer.text) == (200, b"")


@pytest.mark.parametrize(
    ("query", "cause"),
    [
        ({"sinceSeconds": 0}, "sinceSeconds: Invalid value: 0: must be greater than 0"),
        ({"tailLines": 2, "stream": "Stderr"}, "stream: Forbidden: may not be specified"),
        ({"stream": "Stderr"}, "stream: Forbidden: may not be specified"),
    ],
)
async def test_options_that_make_no_sense_are_refused(
    cluster: Cluster, query: dict[str, str | int], cause: str
) -> None:
    await cluster.create("pods", "lines", spec=spec("main", schedulerName="nobody"))
    answer = await log(cluster, "lines", **query)
    assert answer.failure == (422, "Invalid", f'PodLogOptions "lines" is invalid: {cause}')


async def test_there_is_no_previous_run_without_a_restart(cluster: Cluster, pods: Pods) -> None:
    await pods.finished("lines", LINES)
    answer = await log(cluster, "lines", previous="true")
    assert answer.failure == refused('previous terminated container "main" in pod "lines" not found')


async def test_between_two_runs_the_last_one_is_shown(cluster: Cluster, pods: Pods) -> None:
    await pods.crashed("crash", "run\n")
    assert (await log(cluster, "crash")).text == b"run\n"


async def test_following_ends_with_the_container(cluster: Cluster, pods: Pods) -> None:
    await pods.running("main", "first\n", "last\n")
    async with cluster.following("main") as log_lines:
        assert await log_lines.readline() == b"first\n"
        await pods.finish("main")
        assert await asyncio.wait_for(log_lines.read(), PATIENCE) == b"last\n"


async def test_following_what_has_ended_gives_all_and_ends(cluster: Cluster, pods: Pods) -> None:
    await pods.finished("lines", LINES)
    answer = await asyncio.wait_for(log(cluster, "lines", follow="true"), PATIENCE)
    assert answer.text == LINES.encode()


async def test_following_ends_with_the_pod(cluster: Cluster, pods: Pods) -> None:
    await pods.running("main", "first\n")
    async with cluster.following("main") as log_lines:
        assert await log_lines.readline() == b"first\n"
        await cluster.call("DELETE", cluster.path("pods", "main"))
        assert await asyncio.wait_for(log_lines.read(), 3 * PATIENCE) == b""


async def test_the_log_of_a_deleted_pod_is_gone(cluster: Cluster, pods: Pods) -> None:
    await pods.finished("lines", LINES)
    assert (await cluster.call("DELETE", cluster.path("pods", "lines"))).status == 200
    await cluster.gone("pods", "lines")
    assert (await log(cluster, "lines")).failure == (404, "NotFound", 'pods "lines" not found')
