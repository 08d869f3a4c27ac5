"""The cluster itself: what every story relies on."""

import asyncio
import re
from pathlib import Path

import pytest

from tests.cluster.databases import PASSWORD
from tests.cluster.kubernetes import Kubernetes, path
from tests.cluster.manifests import config_map, hook
from tests.cluster.running import Running
from tests.cluster.story import Story

pytestmark = pytest.mark.real_cluster


async def test_it_is_the_version_that_the_facts_were_measured_on(running: Running, kubernetes: Kubernetes) -> None:
    assert (await kubernetes.call("GET", "/version"))["gitVersion"] == "v1.36.3"
    async with kubernetes.session.get(f"{running.argocd_url}/api/version") as answer:
        assert (await answer.json())["Version"].startswith("v3.5.7")


async def test_an_application_without_hooks_is_synced_from_its_repository(story: Story) -> None:
    shop = await story.application({"settings.yaml": [config_map(colour="blue")]})
    started = await shop.sync()
    await shop.ended("Succeeded", started=started)
    synced = await story.kubernetes.get(path("v1", "ConfigMap", story.namespace, "settings"))
    assert synced is not None
    assert synced["data"] == {"colour": "blue"}


async def test_a_hook_runs_before_the_rest_and_its_log_can_be_read(story: Story) -> None:
    shop = await story.application(
        {"hook.yaml": [hook("echo migrated; sleep 1")], "settings.yaml": [config_map(colour="blue")]}
    )
    state = await shop.ended("Succeeded", started=await shop.sync())
    [ran] = [one for one in state["syncResult"]["resources"] if one["kind"] == "Job"]
    assert (ran["name"], ran["hookType"], ran["hookPhase"]) == ("db-migrate", "PreSync", "Succeeded")
    pods = await story.kubernetes.call("GET", path("v1", "Pod", story.namespace))
    [pod] = pods["items"]
    async with story.kubernetes.follow_log(story.namespace, pod["metadata"]["name"]) as log:
        assert await log.read() == b"migrated\n"


async def test_a_hook_that_fails_fails_the_operation(story: Story) -> None:
    shop = await story.application({"hook.yaml": [hook("echo no such table >&2; exit 3")]})
    state = await shop.ended("Failed", started=await shop.sync())
    assert state["message"].startswith("one or more synchronization tasks completed unsuccessfully")


@pytest.mark.alone
async def test_programs_can_be_stopped_frozen_and_started_again(running: Running, kubernetes: Kubernetes) -> None:
    before = await running.tell("apiserver", "pid")
    after = await running.tell("apiserver", "restart")
    assert after not in (None, before)
    assert (await kubernetes.call("GET", "/version"))["gitVersion"] == "v1.36.3"
    assert await running.tell("argocd-application-controller", "pause") is not None
    assert await running.tell("argocd-application-controller", "resume") is not None
    with pytest.raises(RuntimeError, match="there are redis, git, etcd"):
        await running.tell("nonsense", "stop")


async def test_golang_migrate_reaches_both_databases(running: Running, scenario: str, tmp_path: Path) -> None:
    (tmp_path / "1_orders.up.sql").write_text("CREATE TABLE orders (id int);")
    await told("psql", running.postgres, "-c", f'CREATE DATABASE "{scenario}"')
    mariadb = ["mariadb", "--host=127.0.0.1", f"--port={running.mariadb_port}", "--user=root", f"-p{PASSWORD}"]
    await told(*mariadb, "-e", f"CREATE DATABASE `{scenario}`")
    postgres = running.postgres.removesuffix("postgres") + f"{scenario}?sslmode=disable"
    for database in (postgres, running.mariadb + scenario):
        migrate = (str(running.binaries / "migrate"), f"-path={tmp_path}", f"-database={database}")
        assert re.match(r"1/u orders \(", await told(*migrate, "up"))
        assert await told(*migrate, "version") == "1\n"


async def told(*command: str) -> str:
    """What it said, on both streams."""
    pipe, stdout = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=stdout)
    said, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, said
    return said.decode()
