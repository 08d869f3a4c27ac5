"""Evidence dies first: what eats Jobs, Pods and logs, and what is recorded all the same.

That no line was lost is checked at the end of every story, see ``Story.check_lines``.
"""

import pytest

from tests.cluster.application import QUICK_RETRY, Application
from tests.cluster.kubernetes import Json, path
from tests.cluster.manifests import hook
from tests.cluster.running import Running
from tests.cluster.shown import attempts, containers, ended, gaps, hooks, phases, read_to_their_end
from tests.cluster.story import Story, diagnosed

pytestmark = pytest.mark.real_cluster

NO_SUCH_TABLE = 'ERROR:  relation "order_items" does not exist'
STEPS = 10
TALKS = f"""\
n=0; while [ $n -lt {STEPS} ]; do n=$((n + 1)); echo "step $n"; sleep 0.2; done
echo '{NO_SUCH_TABLE}' >&2; exit 3"""
SAID = [*(f"step {n}" for n in range(1, STEPS + 1)), NO_SUCH_TABLE]
ENDLESS = """\
trap 'echo interrupted; exit 143' TERM
n=0; while :; do n=$((n + 1)); echo "step $n"; sleep 0.2; done"""
SHORT_GRACE: Json = {"terminationGracePeriodSeconds": 5}


async def sync(story: Story, job: Json, retry: Json | None = None) -> tuple[Application, str]:
    shop = await story.application({"migration.yaml": [job]})
    return shop, await shop.sync(retry=retry)


async def test_a_deadline_that_takes_the_pod_before_the_job_is_marked(story: Story) -> None:
    await story.respond()
    shop, started = await sync(story, hook(ENDLESS, pod=SHORT_GRACE, activeDeadlineSeconds=3))
    await shop.ended("Failed", started=started)

    incident = await story.incident(ended("deadline-exceeded", "Failed"))
    [ran] = containers(incident)
    said = await story.log(ran)
    assert (said[0], said[-1]) == ("step 1", "interrupted")
    assert ran["log"]["complete"]


async def test_on_failure_the_first_run_too(story: Story) -> None:
    """The second run is killed by the Job controller, as soon as it sees that the first failed once too often."""
    await story.respond()
    job = hook(TALKS, pod={"restartPolicy": "OnFailure", **SHORT_GRACE}, backoffLimit=1)
    shop, started = await sync(story, job)
    await shop.ended("Failed", started=started)

    incident = await story.incident(ended("missing-object", "Failed"))
    first, second = containers(incident)
    assert (first["restart"], first["exit_code"], second["restart"]) == (0, 3, 1)
    assert await story.log(first) == SAID
    assert await story.log(second) == SAID[: second["log"]["lines"]]


async def test_a_job_that_lives_no_second_longer_than_its_end(story: Story) -> None:
    await story.respond()
    shop, started = await sync(story, hook(TALKS, ttlSecondsAfterFinished=0))
    await shop.ended("Failed", started=started)

    [ran] = containers(await story.incident(ended("missing-object", "Failed")))
    assert await story.log(ran) == SAID
    await story.until_jobs(0)


async def test_a_log_that_is_longer_than_what_is_kept(story: Story) -> None:
    """Every line is read and scanned; those of the middle are counted."""
    await story.respond(recorder={"head": "4KiB", "tail": "16KiB"})
    lines = (
        f"echo begun; seq -f 'row %g copied' 1 20000; echo '{NO_SUCH_TABLE}'; seq -f 'row %g undone' 1 20000; exit 3"
    )
    shop, started = await sync(story, hook(lines, policy="HookFailed"))
    await shop.ended("Failed", started=started)

    [ran] = containers(await story.incident(ended("missing-object", "Failed")))
    assert (ran["log"]["lines"], ran["log"]["complete"]) == (40_002, True)
    assert ran["log"]["dropped"] > 30_000
    said = await story.log(ran)
    assert (said[0], said[-1]) == ("begun", "row 20000 undone")
    assert NO_SUCH_TABLE in said


async def test_a_person_terminates_it(story: Story) -> None:
    await story.respond()
    shop, started = await sync(story, hook(ENDLESS, pod=SHORT_GRACE))
    await story.until_written(5)
    await shop.terminate()
    await shop.ended("Failed", started=started)

    [ran] = containers(
        await story.incident(lambda found: ended("terminated", "Failed")(found) and read_to_their_end(found))
    )
    said = await story.log(ran)
    assert (said[0], said[-1]) == ("step 1", "interrupted")


async def test_the_application_is_deleted_in_mid_sync(story: Story) -> None:
    await story.respond()
    shop, started = await sync(story, hook(TALKS))
    await shop.ended("Failed", started=started)
    await story.incident(ended("missing-object", "Failed"))

    await shop.sync()
    await story.until_written(len(SAID) + 5)
    await shop.delete()

    incident = await story.incident(lambda found: found["state"] == "superseded")
    assert await story.log(containers(incident)[0]) == SAID


@pytest.mark.parametrize("moment", ["before it starts", "while it runs"])
async def test_we_are_killed_and_are_back_before_it_ends(story: Story, moment: str) -> None:
    """As if nothing had been."""
    await story.respond()
    gate = story.installation.folder / "gate"
    gate.mkdir()
    waits = TALKS.replace(f"[ $n -lt {STEPS} ]", "[ ! -e /gate/open ]")
    told_to_end = {"name": "gate", "hostPath": {"path": str(gate)}}
    mounted = {"volumeMounts": [{"name": "gate", "mountPath": "/gate"}]}
    if moment == "before it starts":
        await story.responder.kill()
    shop, started = await sync(
        story, hook(waits, policy="HookFailed", pod={"volumes": [told_to_end]}, container=mounted)
    )
    await story.until_written(5)
    if moment == "while it runs":
        await story.until_recorded(2)
        await story.responder.kill()
    await story.responder.start()
    await story.responder.until_ready()
    (gate / "open").touch()
    await shop.ended("Failed", started=started)

    incident = await story.incident(ended("missing-object", "Failed"))
    [ran] = containers(incident)
    said = await story.log(ran)
    assert said == [*(f"step {n}" for n in range(1, len(said))), NO_SUCH_TABLE]
    assert ran["log"]["complete"]
    assert gaps(incident) == set()


async def test_we_are_killed_as_soon_as_it_has_failed(story: Story) -> None:
    await story.respond()
    shop, started = await sync(story, hook(TALKS, policy="HookFailed"))
    await story.incident(diagnosed("missing-object"))
    await story.responder.kill()
    await shop.ended("Failed", started=started)
    await story.responder.start()

    incident = await story.incident(ended("missing-object", "Failed"))
    [ran] = containers(incident)
    assert await story.log(ran) == SAID
    assert gaps(incident) == set()


async def test_we_are_killed_and_the_job_is_gone_before_we_are_back(story: Story) -> None:
    story.loses_lines = "nobody read them"
    await story.respond()
    shop, started = await sync(story, hook(TALKS, policy="HookFailed"))
    await story.until_recorded(5)
    await story.responder.kill()
    await shop.ended("Failed", started=started)
    await story.until_jobs(0)
    await story.responder.start()

    incident = await story.incident(lambda found: bool(found["diagnosis"]) and phases(found) == ["Failed"])
    [ran] = containers(incident)
    kept = await story.log(ran)
    assert kept == SAID[: len(kept)]
    assert len(kept) >= 5
    assert gaps(incident) >= {("migrate", "recorder-away")}
    assert incident["diagnosis"]["retry"] == "unknown"


async def test_we_are_killed_between_attempts(story: Story) -> None:
    await story.respond()
    shop, started = await sync(story, hook(TALKS), retry={**QUICK_RETRY, "limit": 1})
    await shop.until(lambda state: state.get("phase") == "Running" and state.get("finishedAt"))
    await story.incident(diagnosed("missing-object"))
    await story.responder.kill()
    await story.until_written(len(SAID) + 3)  # the second attempt took the first's Job away
    await story.responder.start()
    await shop.ended("Failed", started=started)

    incident = await story.incident(
        lambda found: phases(found) == ["Failed"] and len(containers(found)) == 2 and read_to_their_end(found)
    )
    assert [attempt["number"] for attempt in attempts(incident)] == [1, 2]
    assert len({one["uid"] for one in hooks(incident)}) == 2
    assert [await story.log(one) for one in containers(incident)] == [SAID, SAID]
    assert gaps(incident) == set()


@pytest.mark.alone
async def test_the_controller_is_restarted(story: Story, running: Running) -> None:
    await story.respond()
    shop, started = await sync(story, hook(TALKS))
    await story.until_written(5)
    await running.tell("argocd-application-controller", "kill")
    await running.tell("argocd-application-controller", "start")
    await shop.ended("Failed", started=started)

    [ran] = containers(await story.incident(ended("missing-object", "Failed")))
    assert await story.log(ran) == SAID


@pytest.mark.alone
async def test_the_api_server_is_restarted(story: Story, running: Running) -> None:
    """The Pod goes on writing; nobody can read it, nor be told of it."""
    await story.respond()
    story.stopwatch.name += ", API server restarted"
    shop, started = await sync(story, hook(TALKS.replace("0.2", "0.5")))
    await story.until_written(5)
    await running.tell("apiserver", "kill")
    await story.until_written(8)
    await running.tell("apiserver", "start")
    await shop.ended("Failed", started=started)

    incident = await story.incident(ended("missing-object", "Failed"))
    [ran] = containers(incident)
    assert await story.log(ran) == SAID
    assert gaps(incident) == set()
    job = await story.kubernetes.get(path("batch/v1", "Job", story.namespace, "db-migrate"))
    assert job is not None
