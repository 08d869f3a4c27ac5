"""Faults that the process kubelet plays on demand."""

import asyncio

import pytest

from tests.cluster.kubelet.conftest import Pods
from tests.cluster.kubelet.test_pods import condition, ended, started
from tests.cluster.kubernetes import path

pytestmark = pytest.mark.real_cluster


async def test_out_of_memory_at_a_word(pods: Pods) -> None:
    await pods.run("oom", "echo loading; sleep 0.2; echo copying rows; sleep 60", fault="oom=copying")

    status = await pods.until_phase("oom", "Failed")

    assert (ended(status)["reason"], ended(status)["exitCode"]) == ("OOMKilled", 137)
    assert await pods.log("oom") == (200, "loading\ncopying rows\n")


async def test_evicted_while_it_runs(pods: Pods) -> None:
    await started(pods, await pods.run("evicted", "echo at work; sleep 60"))
    await pods.order(f"fault {pods.namespace}/evicted evict")

    status = await pods.until_phase("evicted", "Failed")

    assert status["reason"] == "Evicted"
    assert condition(status, "DisruptionTarget")["reason"] == "TerminationByKubelet"
    assert (await pods.event("evicted", "Evicted"))["type"] == "Warning"


async def test_the_log_endpoint_refuses_until_mended(pods: Pods) -> None:
    await pods.run("refused", "echo hello", fault="log-refused")
    await pods.until_phase("refused", "Succeeded")

    assert (await pods.log("refused"))[0] == 500
    await pods.order(f"mend {pods.namespace}/refused")
    assert await pods.log("refused") == (200, "hello\n")


async def test_a_rotated_log_has_lost_its_first_lines(pods: Pods) -> None:
    await pods.run("rotated", "seq 1 25", fault="log-rotate=10")
    await pods.until_phase("rotated", "Succeeded")

    assert await pods.log("rotated") == (200, "21\n22\n23\n24\n25\n")


async def test_a_follower_reads_across_a_rotation(pods: Pods) -> None:
    await started(pods, await pods.run("turned", "echo one; sleep 1; echo two; sleep 60"))
    async with pods.kubernetes.follow_log(pods.namespace, "turned") as log:
        assert await log.readline() == b"one\n"
        await pods.order(f"rotate {pods.namespace}/turned/main")
        assert await log.readline() == b"two\n"

    assert await pods.log("turned") == (200, "two\n")


async def test_a_slow_log_comes_line_by_line(pods: Pods) -> None:
    await pods.run("slow", "seq 1 5", fault="log-slow=0.1")
    await pods.until_phase("slow", "Succeeded")
    began = asyncio.get_running_loop().time()

    assert await pods.log("slow") == (200, "1\n2\n3\n4\n5\n")
    assert asyncio.get_running_loop().time() - began >= 0.5


async def test_an_order_that_makes_no_sense_is_refused(pods: Pods) -> None:
    with pytest.raises(ValueError, match="no Pod nobody/knows on this node"):
        await pods.order("fault nobody/knows oom")
    with pytest.raises(ValueError, match="unknown order"):
        await pods.order("explode")


@pytest.mark.alone
async def test_a_lost_node_tells_nothing_until_it_is_back(pods: Pods) -> None:
    await started(pods, await pods.run("cut", "trap : TERM; echo before; sleep 3; echo after; exit 0"))
    node = path("v1", "Node", name="node-1")
    await pods.order("node lost")
    try:
        found = await pods.kubernetes.call("GET", node)
        ready = condition(found["status"], "Ready")
        assert (ready["status"], ready["reason"]) == ("Unknown", "NodeStatusUnknown")
        assert (await pods.log("cut"))[0] == 500
        status = (await pods.kubernetes.call("GET", pods.at("cut")))["status"]
        assert (status["phase"], condition(status, "Ready")["status"]) == ("Running", "False")
        await pods.run("new", "true")
        event = await pods.event("new", "FailedScheduling")
        assert "node.kubernetes.io/unreachable" in event["message"]
    finally:
        await pods.order("node back")

    await pods.until_phase("cut", "Succeeded")
    assert await pods.log("cut") == (200, "before\nafter\n")
    await pods.until_phase("new", "Succeeded")
