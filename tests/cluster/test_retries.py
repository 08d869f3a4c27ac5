"""Argo CD's own retries: every attempt is a run of its own, and deletes the Job of the one before it."""

import pytest

from tests.cluster.application import QUICK_RETRY
from tests.cluster.kubernetes import Json
from tests.cluster.manifests import hook
from tests.cluster.shown import attempts, containers, ended, gaps, phases, resolved
from tests.cluster.story import Story

pytestmark = pytest.mark.real_cluster

SYNTAX = (
    'error: migration failed: syntax error at or near "COLUM" (column 25) in line 1: ALTER TABLE orders ADD COLUM'
    ' currency varchar(3); (details: pq: syntax error at or near "COLUM")'
)
DIRTY = "error: Dirty database version 42. Fix and force version."
REFUSED = "error: dial tcp 10.0.0.7:5432: connect: connection refused"


def migration(story: Story, first: str, then: str, *, policy: str = "BeforeHookCreation") -> Json:
    """The database remembers how often it was tried: a folder that outlives the Pods."""
    remembers = {"name": "database", "hostPath": {"path": str(story.installation.folder / "database")}}
    (story.installation.folder / "database").mkdir()
    script = f"""\
tried=$(ls /database | wc -l); touch /database/$tried; sleep 1
if [ $tried = 0 ]; then {first}; else {then}; fi"""
    mounted = {"volumeMounts": [{"name": "database", "mountPath": "/database"}]}
    return hook(script, policy=policy, pod={"volumes": [remembers]}, container=mounted)


@pytest.mark.parametrize("policy", ["BeforeHookCreation", "HookFailed"])
async def test_the_first_cause_is_kept_though_every_later_attempt_says_another(story: Story, policy: str) -> None:
    await story.respond()
    job = migration(story, f"echo '{SYNTAX}'; exit 1", f"echo '{DIRTY}'; exit 1", policy=policy)
    shop = await story.application({"migration.yaml": [job]})
    started = await shop.sync(retry=QUICK_RETRY)

    early = await story.incident(ended("syntax-error", "Running"))
    assert len(attempts(early)) < 4  # told while Argo CD goes on trying

    await shop.ended("Failed", started=started)
    incident = await story.incident(ended("syntax-error", "Failed"))
    assert [attempt["number"] for attempt in attempts(incident)] == [1, 2, 3, 4]
    said = [await story.log(one) for one in containers(incident)]
    assert said == [[SYNTAX], [DIRTY], [DIRTY], [DIRTY]]
    assert gaps(incident) == set()
    assert len({hook["uid"] for attempt in attempts(incident) for hook in attempt["hooks"]}) == 4
    cause = incident["diagnosis"]
    assert (cause["tool"], cause["state_left"], cause["retry"]) == ("golang-migrate", "dirty", "unsafe")
    await story.until_jobs(1 if policy == "BeforeHookCreation" else 0)


async def test_a_retry_that_recovers_leaves_an_incident_that_is_resolved_and_told_nobody(story: Story) -> None:
    await story.respond()
    job = migration(story, f"echo '{REFUSED}'; exit 1", "echo '42/u add_currency (12.3ms)'")
    shop = await story.application({"migration.yaml": [job]})
    await shop.ended("Succeeded", started=await shop.sync(retry=QUICK_RETRY))

    incident = await story.incident(resolved)
    assert phases(incident) == ["Succeeded"]
    assert [[hook["hook_phase"] for hook in attempt["hooks"]] for attempt in attempts(incident)] == [
        ["Failed"],
        ["Succeeded"],
    ]
    cause = incident["diagnosis"]
    assert (cause["category"], cause["state_left"]) == ("connection-refused", "none")
    assert [await story.log(one) for one in containers(incident)] == [[REFUSED], ["42/u add_currency (12.3ms)"]]
    assert incident["deliveries"] == []
