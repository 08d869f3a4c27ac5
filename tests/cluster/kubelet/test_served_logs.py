"""The log endpoint of the process kubelet, through a real API server."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.cluster.kubelet.conftest import Pods

pytestmark = pytest.mark.real_cluster


async def test_who_follows_gets_every_line_of_a_fast_writer(pods: Pods) -> None:
    await pods.run("fast", "read _ < /dev/null; seq 1 300000")
    await pods.until("fast", lambda status: status.get("phase") in ("Running", "Succeeded"))

    async with pods.kubernetes.follow_log(pods.namespace, "fast") as log:
        lines = (await log.read()).split()

    assert lines == [str(number).encode() for number in range(1, 300_001)]


async def test_a_follower_sees_lines_as_they_are_written(pods: Pods) -> None:
    await pods.run("slow", "while read -r line; do :; done < /dev/null; echo one; sleep 0.5; echo two; sleep 60")
    await pods.until_phase("slow", "Running")

    async with pods.kubernetes.follow_log(pods.namespace, "slow") as log:
        assert [await log.readline(), await log.readline()] == [b"one\n", b"two\n"]


async def test_the_options_of_a_log(pods: Pods) -> None:
    await pods.run("options", "seq 1 9; sleep 4; printf last")
    await pods.until_phase("options", "Succeeded")

    assert await pods.log("options", tailLines="2") == (200, "9\nlast")
    assert await pods.log("options", tailLines="0") == (200, "")
    assert await pods.log("options", limitBytes="5") == (200, "1\n2\n3")
    assert (await pods.log("options", tailLines="1000"))[1].count("\n") == 9
    stamped = (await pods.log("options", timestamps="true"))[1].splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ", line) for line in stamped)
    stamps = [line.split()[0] for line in stamped]
    assert stamps == sorted(set(stamps))  # no two lines share one
    middle = (datetime.fromisoformat(stamps[0]) + timedelta(seconds=2)).astimezone(UTC)
    assert await pods.log("options", sinceTime=f"{middle:%Y-%m-%dT%H:%M:%SZ}") == (200, "last")
    assert (await pods.log("options", sinceSeconds="3600"))[1].endswith("9\nlast")


async def test_long_lines_and_bytes_that_are_no_text_come_through(pods: Pods) -> None:
    await pods.run("long", "head -c 100000 /dev/zero | tr '\\0' x; echo; printf 'a\\377b\\n'")
    await pods.until_phase("long", "Succeeded")

    async with pods.kubernetes.session.get(f"{pods.at('long')}/log", params={"timestamps": "true"}) as response:
        first, second = (await response.read()).splitlines()

    assert first.split(b" ", 1)[1] == b"x" * 100_000
    assert second.split(b" ", 1)[1] == b"a\xffb"


async def test_the_answers_where_there_is_no_log(pods: Pods) -> None:
    await pods.run("two", "true", main={"name": "a"})
    await pods.until_phase("two", "Succeeded")

    status, text = await pods.log("two", previous="true")
    assert (status, 'previous terminated container \\"a\\" in pod \\"two\\" not found' in text) == (400, True)
    status, text = await pods.log("two", container="zz")
    assert (status, "container zz is not valid for pod two" in text) == (400, True)
