"""What the shipped roles let us do, and what we say and do when they let us do less."""

import re
from collections.abc import AsyncIterator

import pytest

from responder.core.actions import ActionKind
from tests.cluster.application import Application
from tests.cluster.checkup import doctor
from tests.cluster.git import Repository
from tests.cluster.installation import LEASE, READER, rule, rules
from tests.cluster.kubernetes import Json, Kubernetes, path
from tests.cluster.manifests import config_map, hook
from tests.cluster.story import Story

pytestmark = pytest.mark.real_cluster

REFUSED = "error: dial tcp 10.0.0.7:5432: connect: connection refused"
FAILS = f"echo '{REFUSED}'; exit 1"
KNOWN = {"hook-responder.io/idempotent": "true"}
READ_ONLY = "read-only: RBAC does not allow it (the actuator role is not bound)"
ACTS = [kind for kind in ActionKind if kind.acts]
ALL = rules(
    *(
        {
            "name": kind.value,
            "when": {"category": ["connection-refused", "stale-job"]},  # of these a hook's Job may be deleted
            "do": [{kind.value: {}}],
            "mode": "live",
            "continue": True,
        }
        for kind in ACTS
    )
)


def automated() -> Json:
    """As Argo CD does on its own, once."""
    return {"syncPolicy": {"automated": {}, "retry": {"limit": 0}}}


async def versions(story: Story) -> dict[str, str]:
    """Of each Application and each Job there is."""
    kinds = (("argoproj.io/v1alpha1", "Application"), ("batch/v1", "Job"))
    items = [
        item
        for api, kind in kinds
        for item in (await story.kubernetes.call("GET", path(api, kind, story.namespace)))["items"]
    ]
    return {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in items}


async def written(story: Story) -> set[str]:
    """Verbs by which the responder's own requests would have changed something."""
    async with story.responder.http.get(f"{story.responder.url}/metrics") as answer:
        told = await answer.text()
    verbs = set(re.findall(r'responder_kubernetes_requests_total\{[^}]*verb="(\w+)"', told))
    assert "GET" in {verb.upper() for verb in verbs}
    return {verb for verb in verbs if verb.upper() in ("PATCH", "PUT", "DELETE")}


def judged(incident: Json) -> dict[str, Json]:
    return {decision["action"]: decision["verdict"] for decision in incident["decisions"]}


async def test_with_the_reader_role_alone_every_act_is_denied_and_nothing_changes(story: Story) -> None:
    await story.respond(rules=ALL, roles=(READER, LEASE), webhooks=False)
    manifests = {"hook.yaml": [hook(FAILS, annotations=KNOWN)], "settings.yaml": [config_map()]}
    shop = await story.application(manifests, **automated())
    await shop.ended("Failed", within=30)
    await story.until_jobs(1)
    incident = await story.incident(lambda found: len(judged(found)) == len(ACTS))
    before = await versions(story)

    for kind, verdict in judged(incident).items():
        assert verdict["result"] == "denied"
        assert READ_ONLY in verdict["reasons"], kind
    assert all(decision["outcome"] is None for decision in incident["decisions"])
    ordered = f"{story.responder.url}/v1/incidents/{incident['id']}/resync"
    async with story.responder.http.post(ordered, json={"why": "it is up again"}) as answer:
        assert (answer.status, READ_ONLY in (await answer.json())["reasons"]) == (409, True)

    assert await versions(story) == before
    assert await written(story) == set()


async def test_with_roles_in_some_namespaces_only_those_are_watched_and_acted_in(
    story: Story, neighbour: str, repository: Repository
) -> None:
    marks = rule("mark it", {"category": "connection-refused"}, {"annotate": {}})
    await story.respond(rules=marks, namespaced=True)
    theirs = Application(story.kubernetes, repository, neighbour, "billing")
    await theirs.push({"hook.yaml": [hook(FAILS)]})
    await theirs.create()
    await theirs.ended("Failed", started=await theirs.sync())
    ours = await story.application({"hook.yaml": [hook(FAILS)]})
    await ours.ended("Failed", started=await ours.sync())

    incident = await story.incident(lambda found: found["decisions"] and found["decisions"][0]["outcome"])

    assert (incident["application"]["namespace"], incident["application"]["name"]) == (story.namespace, "shop")
    assert incident["decisions"][0]["outcome"]["result"] == "succeeded"
    marked = (await ours.get() or {})["metadata"]["annotations"]
    assert marked["hook-responder.io/incident"] == incident["id"]
    found = await doctor(story)
    assert not [finding for finding in found.to_mend if finding.startswith("rbac")]
    said = found.told("namespaced")
    assert f"Applications in argocd, {story.namespace}" in said
    assert f"hooks in {story.namespace}" in said


@pytest.fixture
async def neighbour(kubernetes: Kubernetes, scenario: str) -> AsyncIterator[str]:
    name = f"{scenario}-b"
    await kubernetes.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    await kubernetes.delete(path("v1", "Namespace", name=name))
