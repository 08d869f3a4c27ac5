"""Forty Applications on one database that goes down: one page, and no forty resyncs at once when it is back."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

import pytest

from tests.cluster import figures
from tests.cluster.application import Application
from tests.cluster.door import Door
from tests.cluster.git import Repository
from tests.cluster.installation import rule
from tests.cluster.kubernetes import Json
from tests.cluster.manifests import config_map, hook, written
from tests.cluster.pager import pager
from tests.cluster.running import Running
from tests.cluster.story import Story

pytestmark = [pytest.mark.real_cluster, pytest.mark.alone, pytest.mark.timeout(300)]

APPLICATIONS = 40
AT_A_TIME = 16
WAVES = (1, 2, 4, 8, AT_A_TIME, 9)
DATABASE = (
    "10.96.14.7:5432"  # by which its Service is known; a process of this machine can be reached by loopback alone
)
SETTINGS: Json = {
    "actions": {"mode": "live", "ceilings": {"per_responder_hour": 500, "per_cause": AT_A_TIME}},
    "routing": {"default": ["alertmanager"]},
}
AGAIN = rule(
    "the database was away",
    {"category": "connection-refused", "retry": "safe"},
    {"resync": {"delay": "2s"}},
    {"alert": {"severity": "critical"}},
    budget=5,
    cooldown="2s",
)


async def test_forty_applications_lose_one_database(story: Story, running: Running) -> None:
    folder = story.installation.folder
    async with pager(folder) as page, Door(running.postgres_port) as database:
        await story.respond(rules=AGAIN, receivers=[page.receiver], **SETTINGS)
        await database.shut()
        began = time.monotonic()
        names = await deploy_all(story, database.port)

        parent = await until_parent(story, lambda found: len(found["children"]) == APPLICATIONS)
        figures.record(f"{APPLICATIONS} deployments to one incident that lists them", time.monotonic() - began)
        asked = await story.counted("responder_kubernetes_requests_total") * 60 / (time.monotonic() - began)
        figures.record("API requests a minute, outage", asked, "")
        children = await incidents_of(story)
        assert set(parent["children"]) == children.keys()
        assert {child["application"]["name"] for child in children.values()} == names
        assert {child["category"] for child in children.values()} == {"connection-refused"}
        await page.until(lambda page: page.pages)
        last_failure = max(datetime.fromisoformat(child["opened_at"]) for child in children.values())
        await until_canary_failed(story, parent["id"], since=last_failure)

        await database.open()
        opened = time.monotonic()
        await until_parent(story, lambda found: found["state"] == "resolved", within=150)
        figures.record(f"{APPLICATIONS} recovered after", time.monotonic() - opened)
        await page.until(lambda page: len(page.pages) > 1)
        assert [told["status"] for told in page.pages] == ["firing", "resolved"]
        assert page.pages[0]["commonLabels"]["incident"] == parent["id"]
        check_recovery(await until_all_succeeded(story))


def check_recovery(operations: list[Json]) -> None:
    """All by us, in waves: nobody begins before each of the wave before has ended well."""
    in_order = sorted(operations, key=lambda one: str(one["started_at"]))
    told = "\n".join(f"{one['started_at']} to {one['finished_at']}" for one in in_order)
    assert all(one["action"] for one in in_order)
    begun, ended = 0, ""
    for size in WAVES:
        wave = in_order[begun : begun + size]
        assert wave[0]["started_at"] >= ended, told
        ended = max(one["finished_at"] for one in wave)
        begun += size
    assert begun == APPLICATIONS


async def deploy_all(story: Story, port: int) -> set[str]:
    """From one repository, each of a folder of its own; Argo CD syncs them on its own, once."""
    image = await story.image(
        migrate=f"""\
sleep 0.5
if bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}' 2>/dev/null; then echo '42/u add_currency (12.3ms)'; exit 0; fi
echo 'error: failed to open database: dial tcp {DATABASE}: connect: connection refused'; exit 1"""
    )
    repository = Repository(story.running.git_root, story.running.git_url, story.namespace)
    await repository.create()
    names = [f"shop-{number:02}" for number in range(APPLICATIONS)]
    command = {"image": image, "command": ["migrate", "-path", "/migrations", "-database", "$(URL)", "up"]}
    for name in names:
        job = hook("", name=name, container=command)
        await repository.commit({f"{name}/all.yaml": written(job, config_map(name))})
    for name in names:
        source = {"repoURL": repository.url, "targetRevision": "main", "path": name}
        application = Application(story.kubernetes, repository, story.namespace, name)
        await application.create(source=source, syncPolicy={"automated": {}, "retry": {"limit": 0}})
    return set(names)


async def until_parent(story: Story, true: Callable[[Json], object], *, within: float = 120) -> Json:
    found: list[Json] = []
    try:
        async with asyncio.timeout(within):
            while True:
                found = [one for one in await summaries(story) if one["children"]]
                assert len(found) < 2, found
                if found and true(found[0]):
                    return found[0]
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"not so within {within:.0f} s: {found}") from None


async def until_canary_failed(story: Story, parent: str, *, since: datetime) -> None:
    """One that began when all had failed, and nobody tries just now: what comes next is the first of the recovery."""

    async def so() -> bool:
        told = (await story.responder.get(f"/v1/incidents/{parent}"))["timeline"]
        tries = [one for one in told if one["what"].startswith("resync of ")]
        begun = [datetime.fromisoformat(one["at"]) for one in tries if " begun" in one["what"]]
        return 2 * len(begun) == len(tries) and bool(begun) and begun[-1] > since

    async with asyncio.timeout(120):
        while not await so():  # noqa: ASYNC110 - another process cannot set our events
            await asyncio.sleep(0.2)


async def summaries(story: Story) -> list[Json]:
    page = await story.responder.get("/v1/incidents?limit=200")
    return list(page["incidents"])


async def incidents_of(story: Story) -> dict[str, Json]:
    """One of each Application, by its id."""
    return {one["id"]: one for one in await summaries(story) if not one["children"]}


async def until_all_succeeded(story: Story) -> list[Json]:
    """The last operation of each Application: a hook ends well before its operation does."""

    def last(incidents: list[Json]) -> list[Json]:
        operations = [one["operations"][-1] for one in incidents if not one["children"]]
        return [one for one in operations if one["operation_phase"] == "Succeeded"]

    return last(await story.responder.until_incidents(lambda found: len(last(found)) == APPLICATIONS, within=90))
