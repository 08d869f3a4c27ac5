"""A resync that Argo CD does not take up: woken once, and taken back after a minute. The controller stands still."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.cluster.application import API, Application
from tests.cluster.installation import rule
from tests.cluster.kubernetes import Json, path
from tests.cluster.running import Running
from tests.cluster.shown import phases, resolved
from tests.cluster.story import Story
from tests.cluster.volume import Volume

pytestmark = [pytest.mark.real_cluster, pytest.mark.alone, pytest.mark.timeout(180)]

REFUSED = "error: dial tcp 10.0.0.7:5432: connect: connection refused"
FAILS_ONCE = f"if [ -e tried.1 ]; then echo '42/u add_currency (12.3ms)'; else echo '{REFUSED}'; exit 1; fi"
LATER = rule("later", {"category": "connection-refused"}, {"resync": {"delay": "3s"}}, cooldown="1s")
CONTROLLER = "argocd-application-controller"


@pytest.fixture
async def unheard(story: Story, running: Running) -> AsyncIterator[tuple[Application, Volume]]:
    """An Application that failed, and a controller that has stood still since."""
    await story.respond(rules=LATER, webhooks=False, actions={"mode": "live", "opt_in_manual": True})
    database = Volume(story.installation.folder / "database")
    job = database.hook(FAILS_ONCE, annotations={"hook-responder.io/idempotent": "true"})
    shop = await story.application({"hook.yaml": [job]})
    await shop.ended("Failed", started=await shop.sync(by=""))
    await running.tell(CONTROLLER, "pause")
    try:
        yield shop, database
    finally:
        await running.tell(CONTROLLER, "resume")


async def until_requested(story: Story, app: Application, true: Callable[[Json], object], *, within: float) -> Json:
    """The Application as its ``.operation`` was when this was first true of it."""
    where = path(API, "Application", story.namespace, app.name)
    return await story.kubernetes.until(where, lambda found: true(found.get("operation") or {}), within=within)


def touched(operation: Json) -> bool:
    return any(one["name"] == "hook-responder.io/touched" for one in operation.get("info") or ())


async def test_overlooked_it_is_touched_once_and_then_taken_up(
    story: Story, running: Running, unheard: tuple[Application, Volume]
) -> None:
    shop, database = unheard
    await until_requested(story, shop, touched, within=30)
    await running.tell(CONTROLLER, "resume")

    incident = await story.incident(lambda one: resolved(one) and one["decisions"][0]["outcome"]["result"] != "taken")
    assert phases(incident) == ["Failed", "Succeeded"]
    assert incident["decisions"][0]["outcome"]["result"] == "succeeded"
    assert touched((await shop.operation_state())["operation"])
    assert database.tried == 2


async def test_not_taken_up_for_a_minute_it_is_withdrawn_and_nothing_runs(
    story: Story, running: Running, unheard: tuple[Application, Volume]
) -> None:
    shop, database = unheard
    failed = await shop.operation_state()
    await until_requested(story, shop, bool, within=30)
    await until_requested(story, shop, lambda operation: not operation, within=90)
    await running.tell(CONTROLLER, "resume")

    incident = await story.incident(lambda one: one["decisions"][0]["outcome"]["result"] == "not-taken")
    assert incident["decisions"][0]["outcome"]["detail"] == "withdrawn: Argo CD did not take it up"
    await shop.refresh()
    where = path(API, "Application", story.namespace, shop.name)
    now = await story.kubernetes.until(
        where, lambda app: "argocd.argoproj.io/refresh" not in app["metadata"].get("annotations", {})
    )  # the controller has looked at it
    assert (now["status"]["operationState"], now.get("operation")) == (failed, None)
    assert database.tried == 1
