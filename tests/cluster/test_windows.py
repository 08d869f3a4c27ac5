"""A sync window that closes while a hook runs: Argo CD looks away, we do not."""

import pytest

from tests.cluster.app_project import AppProject
from tests.cluster.installation import rule
from tests.cluster.shown import phases
from tests.cluster.story import Story, diagnosed
from tests.cluster.volume import Volume

pytestmark = [pytest.mark.real_cluster, pytest.mark.timeout(120)]

REFUSED = "error: dial tcp 10.0.0.7:5432: connect: connection refused"
FAILS_LATER = f"until [ -e go ]; do sleep 0.1; done; echo '{REFUSED}'; exit 1"
AGAIN = rule("again", {"sync_phase": "PreSync"}, {"resync": {"delay": "1s"}}, cooldown="1s")


async def test_a_hook_that_fails_behind_a_closed_window_is_told_though_its_operation_stands_still(story: Story) -> None:
    await story.respond(rules=AGAIN, actions={"mode": "live", "opt_in_manual": True})
    database = Volume(story.installation.folder / "database")
    job = database.hook(FAILS_LATER, annotations={"hook-responder.io/idempotent": "true"})
    async with AppProject(story.kubernetes, story.namespace) as project:
        shop = await story.application({"hook.yaml": [job]}, project=project.name)
        started = await shop.sync(by="")
        await shop.until(lambda state: "waiting for completion of hook" in state.get("message", ""))
        await project.freeze(shop.name)
        (database.folder / "go").touch()

        refused = ["an operation is requested or runs", "a sync window is closed"]
        incident = await story.incident(
            lambda one: (
                diagnosed("connection-refused")(one)
                and one["decisions"]
                and one["decisions"][0]["verdict"]["reasons"] == refused
            )
        )
        assert phases(incident) == ["Running"]
        state = await shop.operation_state()
        assert (state["phase"], state["message"]) == ("Running", "Sync operation blocked by sync window")
        assert [one["hookPhase"] for one in state["syncResult"]["resources"]] == ["Running"]  # it never looks again

        await project.thaw()
        await shop.refresh()
        await shop.ended("Failed", started=started)
    assert database.tried == 1
