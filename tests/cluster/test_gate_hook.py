"""Plain Argo CD, the shipped gate hook, the responder: what failed in staging is not synced in production."""

import copy
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.application import Application
from tests.cluster.installation import rule
from tests.cluster.kubernetes import Json, path, read_manifests
from tests.cluster.manifests import config_map, hook, secret
from tests.cluster.shown import resolved
from tests.cluster.story import Story
from tests.cluster.volume import Volume
from tests.service.process import TOKEN

pytestmark = [pytest.mark.real_cluster, pytest.mark.timeout(120)]

GATE = Path(__file__).parents[2] / "deploy/gate-hook/gate-job.yaml"
FAILS, WORKS = "echo no such table >&2; exit 3", "echo migrated"


def gate(story: Story, application: str) -> Json:
    """The shipped Job, told where it stands. Its program is this machine's, that only root may read."""
    (job,) = read_manifests(GATE)
    job = copy.deepcopy(job)
    pod = job["spec"]["template"]["spec"]
    pod["securityContext"] = {}
    (container,) = pod["containers"]
    container["command"] = [str(Path(sys.executable).parent / "responder")]
    values = {"APPLICATION": application, "APPLICATION_NAMESPACE": story.namespace, "RESPONDER": story.responder.url}
    container["env"] = [{"name": name, "value": value} for name, value in values.items()]
    return job


async def deployed(story: Story, migration: Json) -> tuple[Application, Application]:
    """One repository, one service, two environments."""
    await story.kubernetes.apply(secret("hook-responder-gate", token=TOKEN), story.namespace)

    def marks(environment: str) -> dict[str, str]:
        return {"app.kubernetes.io/part-of": "orders", "hook-responder.io/environment": environment}

    files = {
        "hook.yaml": [migration],
        "settings.yaml": [config_map()],
        "production/gate.yaml": [gate(story, "production")],
        "production/hook.yaml": [hook(WORKS, name="migrate-production")],
    }
    staging = await story.application(files, name="staging", labels=marks("staging"))
    source: dict[str, Any] = {
        "repoURL": f"{story.running.git_url}/{story.namespace}-staging.git",
        "targetRevision": "main",
        "path": "production",
    }
    return staging, await story.application({}, name="production", labels=marks("production"), source=source)


async def termination(story: Story, job: str) -> str:
    """Of the newest Pod of a Job; its log says the same."""
    selector = f"batch.kubernetes.io/job-name={job}"
    pods = (await story.kubernetes.call("GET", f"{path('v1', 'Pod', story.namespace)}?labelSelector={selector}"))[
        "items"
    ]
    newest = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    message: str = newest["status"]["containerStatuses"][0]["state"]["terminated"]["message"]
    async with story.kubernetes.follow_log(story.namespace, newest["metadata"]["name"]) as log:
        assert message in (await log.read()).decode()
    return message


async def migrated(story: Story) -> bool:
    """Was production's own migration ever begun?"""
    return await story.kubernetes.get(path("batch/v1", "Job", story.namespace, "migrate-production")) is not None


async def test_what_failed_in_staging_is_not_synced_in_production_and_what_worked_there_is(story: Story) -> None:
    await story.respond(promotion={"environments": ["staging", "production"]})
    staging, production = await deployed(story, hook(FAILS))
    failed = await staging.ended("Failed", started=await staging.sync())
    await story.incident(lambda incident: incident["diagnosis"])

    refused = await production.ended("Failed", started=await production.sync())

    revision = failed["syncResult"]["revision"]
    assert refused["syncResult"]["revision"] == revision
    told = await termination(story, "hook-responder-gate")
    assert told.startswith(f"failure: {story.namespace}/staging failed at {revision}: ")
    assert not await migrated(story)
    assert (await story.incident())["application"]["name"] == "staging"  # the gate's own refusal is none

    await staging.push({"hook.yaml": [hook(WORKS)]}, "mended")
    await staging.ended("Succeeded", started=await staging.sync())
    await production.ended("Succeeded", started=await production.sync())

    assert await termination(story, "hook-responder-gate") == "success: nothing holds orders back"
    assert await migrated(story)


WRONG = """\
INFO  [alembic.runtime.migration] Context impl PostgresqlImpl.
INFO  [alembic.runtime.migration] Will assume transactional DDL.
INFO  [alembic.runtime.migration] Running upgrade 4f1d2c8a9b7e -> 9b7e6f5d4c3b, add currency
sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedTable) relation "orders" does not exist"""
ONCE = f"if [ -e tried.1 ]; then echo migrated; else echo '{WRONG}'; exit 1; fi"
HOLDS = rule("hold it", {"tool": "alembic"}, {"block": {"environments": ["*"]}})


async def test_a_block_ends_when_the_same_hook_runs_well_and_not_by_a_sync_without_hooks(story: Story) -> None:
    await story.respond(rules=HOLDS, promotion={"environments": ["staging", "production"]})
    database = Volume(story.installation.folder / "database")
    staging, production = await deployed(story, database.hook(ONCE))
    revision = (await staging.ended("Failed", started=await staging.sync()))["syncResult"]["revision"]
    asked = f"/v1/gate?service=orders&environment=production&revision={revision}&for=sync"
    incident = await story.incident(lambda one: one["decisions"])

    await production.ended("Failed", started=await production.sync())
    assert (await termination(story, "hook-responder-gate")).startswith("failure: ")
    for by in ("alice", ""):  # a part of it by hand, and as a self-heal syncs it
        part = [{"kind": "ConfigMap", "name": "settings"}]
        await staging.ended("Succeeded", started=await staging.sync(by=by, revision=revision, resources=part))
        held = await story.responder.get(asked)
        assert (held["result"], held["incident"]) == ("failure", incident["id"])
        assert held["block"]
    assert (await story.incident())["state"] == "firing"

    await staging.ended("Succeeded", started=await staging.sync(revision=revision))
    await story.incident(resolved)
    assert (await story.responder.get(asked))["result"] == "success"
    await production.ended("Succeeded", started=await production.sync(revision=revision))
    assert await migrated(story)
