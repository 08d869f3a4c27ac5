"""Any story can become a fast test: what was written down of it is played to the responder again."""

from pathlib import Path

import pytest

from responder.demo.replay import replay_once
from tests.cluster.application import QUICK_RETRY
from tests.cluster.kubernetes import Json
from tests.cluster.manifests import hook
from tests.cluster.shown import attempts, ended, gaps, hooks, phases
from tests.cluster.story import Story

pytestmark = [pytest.mark.real_cluster, pytest.mark.timeout(180)]

NO_SUCH_TABLE = 'ERROR:  relation "order_items" does not exist'


async def test_a_story_that_was_recorded_is_replayed_to_the_same_incident(story: Story, tmp_path: Path) -> None:
    recording = tmp_path / "recording"
    await story.respond(record=recording)
    job = hook(f"echo 'applying 0042'; sleep 1; echo '{NO_SUCH_TABLE}' >&2; exit 3", policy="HookFailed")
    shop = await story.application({"migration.yaml": [job]})
    await shop.ended("Failed", started=await shop.sync(retry={**QUICK_RETRY, "limit": 1}))
    real = await story.incident(ended("missing-object", "Failed"))
    # One of two: between attempts there are two seconds, and what Argo CD did not tell of then it never tells.
    await story.until_counted("responder_webhooks_total", 1, or_more=True, result="accepted")

    [replayed] = await replay_once(recording)

    assert told(replayed) == told(real)
    assert len(attempts(replayed)) == 2
    assert gaps(replayed) == set()
    assert "authorization" not in (recording / "webhooks.jsonl").read_text(encoding="utf-8").lower()


def told(incident: Json) -> Json:
    return {
        "state": incident["state"],
        "application": incident["application"],
        "diagnosis": {**incident["diagnosis"], "command": None},
        "phases": phases(incident),
        "attempts": [attempt["number"] for attempt in attempts(incident)],
        "hooks": [(one["uid"], one["hook_phase"]) for one in hooks(incident)],
        "lines": [
            (one["name"], one["exit_code"], one["log"]["lines"])
            for found in hooks(incident)
            for pod in found["pods"]
            for one in pod["containers"]
        ],
    }
