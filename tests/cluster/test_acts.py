"""What we do to a cluster by rule, and what we refuse to do."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from tests.cluster.app_project import AppProject
from tests.cluster.application import API, Application
from tests.cluster.installation import rule
from tests.cluster.kubernetes import Json, path
from tests.cluster.manifests import config_map
from tests.cluster.shown import containers, phases, resolved
from tests.cluster.story import Story
from tests.cluster.volume import Volume

pytestmark = [pytest.mark.real_cluster, pytest.mark.timeout(120)]

REFUSED = "error: dial tcp 10.0.0.{}:5432: connect: connection refused"
DIRTY = "error: Dirty database version 42. Fix and force version."
APPLIED = "42/u add_currency (12.3ms)"
KNOWN = {"hook-responder.io/idempotent": "true"}
AGAIN = rule("again", {"sync_phase": "PreSync"}, {"resync": {"delay": "0s"}}, cooldown="1s")
LATER = rule("later", {"sync_phase": "PreSync"}, {"resync": {"delay": "5s"}}, cooldown="1s")
OURS = "argocd-hook-responder"


FAILS_ONCE = f"if [ -e tried.1 ]; then echo '{APPLIED}'; else echo '{REFUSED.format(7)}'; exit 1; fi"


async def test_what_the_database_s_absence_broke_is_run_again_by_rule_once_and_recovers(story: Story) -> None:
    await story.respond(rules=AGAIN)
    database = Volume(story.installation.folder / "database")
    migration = database.hook(FAILS_ONCE, annotations=KNOWN)
    retry = {"limit": 0}
    shop = await story.application(
        {"hook.yaml": [migration], "settings.yaml": [config_map()]}, syncPolicy={"automated": {}, "retry": retry}
    )

    incident = await story.incident(lambda one: resolved(one) and one["decisions"][0]["outcome"]["result"] != "taken")

    assert phases(incident) == ["Failed", "Succeeded"]
    state = await shop.operation_state()
    first, ours = incident["operations"]
    assert state["startedAt"] == ours["started_at"]
    assert state["operation"]["initiatedBy"] == {"username": OURS, "automated": True}
    assert state["syncResult"]["revision"] == incident["revisions"][0]
    [decision] = incident["decisions"]
    assert decision["operation"] == first["started_at"]
    assert (decision["verdict"]["result"], decision["outcome"]["result"]) == ("allowed", "succeeded")
    assert [await story.log(one) for one in containers(incident)] == [[REFUSED.format(7)], [APPLIED]]
    assert database.tried == 2


# Refused.


class Refusal(msgspec.Struct, frozen=True):
    """``then`` happens to the Application, or its project, when the operation has ended."""

    reason: str
    log: str = REFUSED
    by: str = ""
    retry: Json | None = None
    annotations: dict[str, str] = msgspec.field(default_factory=lambda: KNOWN)
    then: Callable[[Application, AppProject], Awaitable[None]] | None = None


async def moves(app: Application, _: AppProject) -> None:
    await app.patch({"spec": {"source": {"path": "elsewhere"}}})


async def freezes(app: Application, project: AppProject) -> None:
    await project.freeze(app.name)


REFUSALS = {
    "unsafe": Refusal("unsafe: the run left something behind: the tool says so", log=DIRTY),
    "in-flight": Refusal("an operation is requested or runs", retry={"limit": 1, "backoff": {"duration": "10m"}}),
    "frozen": Refusal("a sync window is closed", then=freezes),
    "moved": Refusal("the sources have changed since, or are not known", then=moves),
    "manual": Refusal("a person started it (alice)", by="alice"),
    "unknown": Refusal("hook unknown-migrate is not known to be idempotent", annotations={}),
}


async def test_what_is_not_to_be_run_again_is_refused_each_with_its_reason_and_nothing_runs(story: Story) -> None:
    await story.respond(rules=LATER, actions={"mode": "live", "opt_in_manual": True})
    database = Volume(story.installation.folder / "database")
    async with AppProject(story.kubernetes, story.namespace) as project:
        async with asyncio.TaskGroup() as group:
            begun = {name: group.create_task(failing(story, database, project, name)) for name in REFUSALS}
        reasons = {name: [[refusal.reason]] for name, refusal in REFUSALS.items()}
        await story.responder.until_incidents(lambda incidents: refused(incidents) == reasons, within=45)
        for name, task in begun.items():
            app, started = task.result()
            now = await app.get() or {}
            assert (name, now["status"]["operationState"]["startedAt"]) == (name, started)
            assert now.get("operation", {}).get("initiatedBy", {}).get("username") != OURS
    assert database.tried == len(REFUSALS)


def refused(incidents: list[Json]) -> dict[str, list[list[str]]]:
    """Why, by Application; each decision has its reasons."""
    return {
        one["application"]["name"]: [
            d["verdict"]["reasons"] for d in one["decisions"] if d["verdict"]["result"] == "denied"
        ]
        for one in incidents
    }


async def failing(story: Story, database: Volume, project: AppProject, name: str) -> tuple[Application, str]:
    """Each has a database host of its own."""
    refusal = REFUSALS[name]
    script = f"echo '{refusal.log.format(list(REFUSALS).index(name))}'; exit 1"
    job = database.hook(script, name=f"{name}-migrate", annotations=refusal.annotations)
    app = await story.application({"hook.yaml": [job]}, name=name, project=project.name)
    started = await app.sync(by=refusal.by, retry=refusal.retry)
    await app.until(lambda state: state.get("finishedAt"))
    if refusal.then is not None:
        await refusal.then(app, project)
    return app, started


# Once, whatever happens meanwhile.


async def test_killed_between_the_write_and_its_record_it_is_found_again_and_not_repeated(story: Story) -> None:
    await story.respond(rules=LATER, actions={"mode": "live", "opt_in_manual": True})
    database = Volume(story.installation.folder / "database")
    shop = await story.application({"hook.yaml": [database.hook(FAILS_ONCE, annotations=KNOWN)]})
    await shop.ended("Failed", started=await shop.sync(by=""))

    with await held_after_the_intent(story.installation.folder / "responder.db"):
        asked = await requested(story, shop)
        await story.responder.kill()
    await shop.until(lambda state: action_of(state.get("operation", {})) == asked)
    await story.responder.start()

    incident = await story.incident(lambda one: resolved(one) and one["decisions"][0]["outcome"]["result"] != "taken")
    assert phases(incident) == ["Failed", "Succeeded"]
    [decision] = incident["decisions"]
    assert asked == f"{decision['id']}-0"
    assert decision["outcome"]["result"] == "succeeded"
    assert database.tried == 2


async def held_after_the_intent(database: Path) -> contextlib.closing[sqlite3.Connection]:
    """From when an act is recorded that is about to be done, nothing more is recorded: until this is closed."""
    held = sqlite3.connect(database, isolation_level=None, timeout=0)
    async with asyncio.timeout(30):
        while not held.execute("SELECT count(*) FROM actions").fetchone()[0]:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.001)
    held.execute("BEGIN IMMEDIATE")
    return contextlib.closing(held)


async def requested(story: Story, app: Application) -> str:
    """Our action's id, as soon as the watch of this test sees it in the Application."""
    where = f"{path(API, 'Application', story.namespace)}?watch=true&fieldSelector=metadata.name%3D{app.name}"
    async with asyncio.timeout(30), story.kubernetes.session.get(where) as events:
        async for line in events.content:
            if found := action_of(json.loads(line)["object"].get("operation", {})):
                return found
    raise AssertionError("the watch ended")


def action_of(operation: Json) -> str:
    told = {one["name"]: one["value"] for one in operation.get("info") or ()}
    return str(told.get("hook-responder.io/action", ""))
