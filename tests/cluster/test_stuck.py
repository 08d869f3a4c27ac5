"""Hooks that never end: Argo CD waits for them without a word and without a limit."""

from collections.abc import Callable, Sequence

import pytest

from tests.cluster.installation import rule
from tests.cluster.kubernetes import Json
from tests.cluster.manifests import hook, secret
from tests.cluster.shown import containers, phases
from tests.cluster.story import Story, diagnosed

pytestmark = pytest.mark.real_cluster

SOON: Json = {"recorder": {"stuck_after": "4s"}}  # else 30 s
ENDS = rule("it will never start", {"state_left": "none"}, {"terminate": {}})


def forgotten_secret() -> Sequence[Json]:
    """It comes in the sync phase, for which the hook is waited for."""
    needs = [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]
    return hook("echo migrated", env=needs), secret("db", password="sw0rdfish")


def bad_image() -> Sequence[Json]:
    return (hook("echo migrated", container={"image": "registry.example.com/does-not-exist:1.4.2"}),)


def no_node() -> Sequence[Json]:
    return (hook("echo migrated", pod={"nodeSelector": {"disk": "ssd"}}),)


def endless_sidecar() -> Sequence[Json]:
    job = hook("echo migrated; sleep 1")
    sidecar = {"name": "istio-proxy", "image": "proxy:1", "command": ["sh", "-c", "echo ready; exec sleep 600"]}
    job["spec"]["template"]["spec"]["containers"].append(sidecar)
    return (job,)


@pytest.mark.parametrize(
    ("manifests", "category", "named"),
    [
        (forgotten_secret, "missing-reference", "only after its hooks, in the Sync phase"),
        (bad_image, "image-pull", "registry.example.com/does-not-exist:1.4.2"),
        (no_node, "unschedulable", "node affinity/selector"),
        (endless_sidecar, "sidecar-running", "istio-proxy"),
    ],
)
async def test_what_never_starts_or_never_ends_is_told_while_it_hangs_and_ended_by_rule(
    story: Story, manifests: Callable[[], Sequence[Json]], category: str, named: str
) -> None:
    await story.respond(rules=ENDS, **SOON)
    shop = await story.application({"migration.yaml": manifests()})
    started = await shop.sync()

    incident = await story.incident(diagnosed(category))
    assert named in str(incident["diagnosis"])

    state = await shop.ended("Failed", started=started)
    assert state["message"].startswith("Operation terminated")
    over = await story.incident(lambda found: acted(found, "succeeded"))
    assert [(one["action"], one["verdict"]["result"]) for one in over["decisions"]] == [("terminate", "allowed")]
    assert phases(over) == ["Failed"]


async def test_of_two_hooks_one_fails_and_one_hangs_which_only_a_person_may_end(story: Story) -> None:
    always = rule("end it", {"category": "missing-object"}, {"terminate": {}})
    await story.respond(rules=always, **SOON)
    fails = hook("echo 'ERROR:  relation \"order_items\" does not exist'; exit 3", name="fails")
    hangs = hook("trap 'echo interrupted; exit 143' TERM; while :; do echo working; sleep 0.2; done", name="hangs")
    shop = await story.application({"migrations.yaml": [fails, hangs]})
    started = await shop.sync()

    incident = await story.incident(lambda found: diagnosed("missing-object")(found) and found["decisions"])
    assert phases(incident) == ["Running"]
    [decision] = incident["decisions"]
    assert decision["verdict"]["result"] == "needs-approval"
    assert decision["outcome"] is None

    said = {"evidence_version": incident["evidence_version"]}
    await story.post(f"/v1/decisions/{decision['id']}/approve", said)
    await shop.ended("Failed", started=started)
    over = await story.incident(lambda found: acted(found, "succeeded") and 143 in exit_codes(found))
    assert over["decisions"][0]["approved_by"] == "on-call"
    assert exit_codes(over) == {3, 143}
    assert over["diagnosis"]["category"] == "missing-object"


def acted(incident: Json, result: str) -> bool:
    return any(one["outcome"] and one["outcome"]["result"] == result for one in incident["decisions"])


def exit_codes(incident: Json) -> set[int | None]:
    return {one["exit_code"] for one in containers(incident)}
