"""Ending what Argo CD does on its own, and never a migration: ``stop-retries``, and a Job that stands in the way."""

import asyncio
from datetime import UTC, datetime

import pytest

from tests.cluster import figures
from tests.cluster.application import QUICK_RETRY, Application
from tests.cluster.installation import rule
from tests.cluster.kubernetes import Json
from tests.cluster.manifests import hook
from tests.cluster.shown import attempts, containers, phases, resolved
from tests.cluster.story import Story
from tests.cluster.volume import Volume

pytestmark = [pytest.mark.real_cluster, pytest.mark.timeout(120)]

DIRTY = "error: Dirty database version 42. Fix and force version."
REFUSED = "error: dial tcp 10.0.0.7:5432: connect: connection refused"
BY_ITSELF = "ended by itself"
MIGRATES = f"trap 'echo interrupted; exit 143' TERM\nsleep 1 & wait $!\necho '{DIRTY}'; echo '{BY_ITSELF}'; exit 1"
WAIT = 6  # seconds between attempts
RETRY: Json = {"limit": 1, "backoff": {"duration": f"{WAIT}s", "factor": 1}}


async def test_what_would_only_do_harm_again_is_not_retried(story: Story) -> None:
    stops = rule("no more of it", {"retry": ["unsafe", "futile"]}, {"stop-retries": {}})
    await story.respond(rules=stops)
    shop = await story.application({"hook.yaml": [hook(MIGRATES)]})
    state = await shop.ended("Failed", started=await shop.sync(retry=RETRY))

    assert state["message"].startswith("Operation terminated")
    incident = await story.incident(lambda one: phases(one) == ["Failed"] and one["decisions"][0]["outcome"])
    assert len(attempts(incident)) == 1
    assert incident["decisions"][0]["verdict"]["result"] == "allowed"
    assert [one["exit_code"] for one in containers(incident)] == [1]
    assert await story.log(containers(incident)[0]) == [DIRTY, BY_ITSELF]


AROUND = [-3.0, -0.5, -0.3, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.3, 0.6]  # seconds from the next attempt's start


async def test_stopped_around_the_start_of_the_next_attempt_no_hook_is_ever_killed(story: Story) -> None:
    """A person orders it at such moments. Either the attempt does not begin, or it runs to its own end."""
    await story.respond()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(stopped(story, f"shop-{n}", moment)) for n, moment in enumerate(AROUND)]

    stops = sum(task.result() for task in tasks)
    figures.record("stop-retries taken around the start of the next attempt", stops, f"of {len(AROUND)}")
    begun, ended = written(story)
    assert begun == ended == 2 * len(AROUND) - stops
    assert stops


async def stopped(story: Story, name: str, moment: float) -> bool:
    """Was the next attempt spared?"""
    app = await story.application({"hook.yaml": [hook(f"echo begun\n{MIGRATES}", name=f"{name}-migrate")]}, name=name)
    started = await app.sync(retry=RETRY)
    waits = await app.until(lambda state: state.get("finishedAt"))
    incident = await until_diagnosed(story, app)
    begins = datetime.fromisoformat(waits["finishedAt"]).timestamp() + WAIT
    await asyncio.sleep(begins + moment - datetime.now(UTC).timestamp())
    said = {"why": "it left the database dirty"}
    async with story.responder.http.post(f"{story.responder.url}/v1/incidents/{incident}/stop-retries", json=said):
        pass  # 202, or 409 when the attempt has begun
    state = await app.ended("Failed", started=started)
    return bool(state["message"].startswith("Operation terminated"))


async def until_diagnosed(story: Story, app: Application) -> str:
    def known(incidents: list[Json]) -> list[Json]:
        return [one for one in incidents if one["application"]["name"] == app.name and one["diagnosis"]]

    return str(known(await story.responder.until_incidents(known))[0]["id"])


def written(story: Story) -> tuple[int, int]:
    """Hooks that have begun, and those that ended by themselves, by the kubelet's own files."""
    logs = [file.read_text(encoding="utf-8") for file in story.kept.glob("*/*/*/*.log")]
    return sum("begun" in log for log in logs), sum(BY_ITSELF in log for log in logs)


async def test_a_finished_job_that_answers_for_the_next_sync_is_deleted_by_rule_and_the_hook_runs_again(
    story: Story,
) -> None:
    await story.respond(
        rules=rule("an old Job is in the way", {"category": ["stale-job", "immutable-job"]}, {"delete-hook": {}})
    )
    database = Volume(story.installation.folder / "database")
    script = f"if [ -e tried.1 ]; then echo '42/u add_currency (12.3ms)'; else echo '{REFUSED}'; exit 1; fi"
    shop = await story.application({"hook.yaml": [database.hook(script, policy="HookSucceeded")]})

    await shop.ended("Failed", started=await shop.sync())
    await story.until_jobs(1)
    await shop.ended("Failed", started=await shop.sync())
    assert database.tried == 1  # the Job of before answered

    told = await story.incident(lambda one: any(map(outcome, one["decisions"])))
    assert [outcome(one) for one in told["decisions"] if outcome(one)] == ["succeeded"]
    # Argo CD's own finalizer may hold the deleted Job: its next sync takes that off. One under load may still judge the
    # new Job by the old: it is retried.
    await shop.ended("Succeeded", started=await shop.sync(retry=QUICK_RETRY))
    incident = await story.incident(resolved)
    assert phases(incident) == ["Failed", "Failed", "Succeeded"]
    assert database.tried > 1
    await story.until_jobs(0)


def outcome(decision: Json) -> str:
    """Empty where nothing was done."""
    return str(decision["outcome"]["result"]) if decision["outcome"] else ""
