"""How soon, and what it costs: measured, printed with the figures of the run, and bounded so that a slip is seen."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from responder.metrics import FAST
from tests.cluster import figures
from tests.cluster.application import API
from tests.cluster.installation import rule
from tests.cluster.kubernetes import Json
from tests.cluster.manifests import hook
from tests.cluster.pager import pager
from tests.cluster.story import Story

pytestmark = [pytest.mark.real_cluster, pytest.mark.alone, pytest.mark.timeout(300)]

NO_SUCH_TABLE = 'ERROR:  relation "order_items" does not exist'
FAILURES = 12
APPLICATIONS, RUNNING = 1000, 100
SIDE_BY_SIDE = 16
IDLE = 30.0  # seconds
TELLS = rule("tell", {"category": "missing-object"}, {"alert": {"severity": "critical"}})


async def test_from_a_failure_to_the_pager(story: Story) -> None:
    """Through the shipped webhooks, the watch, the log, the cause, the rules and a real Alertmanager."""
    async with pager(story.installation.folder) as page:
        await story.respond(rules=TELLS, receivers=[page.receiver], routing={"default": ["alertmanager"]})
        names = [f"shop-{number}" for number in range(FAILURES)]
        script = f"sleep 1; echo '{NO_SUCH_TABLE}' >&2; exit 3"
        shops = [await story.application({"job.yaml": [hook(script, name=name)]}, name=name) for name in names]
        for shop in shops:
            await shop.sync()
        await page.until(lambda page: len(page.firing()) == FAILURES)
    failed = story.stopwatch.failed
    told = {one["commonLabels"]["application"]: one["at"] for one in page.firing()}
    lags = [told[name] - failed[name] for name in names]
    for lag in lags:
        figures.record("hook failed to Alertmanager's pager", lag)
    assert max(lags) < 30, lags
    await check_webhooks(story)


async def test_with_a_thousand_applications_and_a_hundred_running_hooks(story: Story) -> None:
    for batch in batched([finished(number) for number in range(APPLICATIONS)]):
        await apply(story, batch)
    await story.respond(webhooks=False)
    figures.record(f"memory with {APPLICATIONS} Applications", memory(story), "MiB")

    before = await story.counted("responder_kubernetes_requests_total")
    await asyncio.sleep(IDLE)
    asked = (await story.counted("responder_kubernetes_requests_total") - before) * 60 / IDLE
    figures.record("API requests a minute, idle", asked, "")

    for batch in batched([running(story.namespace, number) for number in range(RUNNING)]):
        await apply(story, batch)
    await story.until_counted("responder_hooks_running", RUNNING, within=120)
    await story.until_counted("responder_recorder_follows", RUNNING, within=120)
    held = memory(story)
    figures.record(f"memory with {APPLICATIONS} Applications and {RUNNING} running hooks", held, "MiB")
    print(f"{asked:.0f} requests a minute, {held:.0f} MiB")
    assert asked < 120
    assert held < 400


async def check_webhooks(story: Story) -> None:
    """The notifications controller has one worker: it is let go at once. A machine that is busy with other things may
    make one wait; if it were for the cluster that we let it wait, it would be for longer."""
    answered, before = 1.0, 0.0
    within: dict[float, float] = {}
    while answered != before:  # none came between the questions
        before = await story.counted("responder_webhook_duration_seconds_count")
        for bound in FAST:
            within[bound] = await story.counted("responder_webhook_duration_seconds_bucket", le=str(float(bound)))
        answered = await story.counted("responder_webhook_duration_seconds_count")
    p99 = next((bound for bound, count in within.items() if count >= 0.99 * answered), float("inf"))
    figures.record("webhook answered, p99 at most", p99)
    assert (answered > 0, within[1]) == (True, answered), within


def finished(number: int) -> Json:
    """As Argo CD leaves an Application of twenty resources after a sync; it is to leave this one alone."""
    kinds = ("ConfigMap", "Service", "Deployment", "ServiceAccount")
    resources = [
        {
            "group": "",
            "kind": kinds[n % 4],
            "version": "v1",
            "name": f"part-{n}",
            "namespace": f"shop-{number}",
            "status": "Synced",
        }
        for n in range(20)
    ]
    source = {"repoURL": "https://git.example.com/shop", "path": f"deploy/{number}", "targetRevision": "main"}
    synced = {"revision": f"{number:040x}", "source": source, "resources": resources}
    state = {
        "operation": {"sync": {"revision": f"{number:040x}"}, "initiatedBy": {"automated": True}},
        "phase": "Succeeded",
        "message": "successfully synced (all tasks run)",
        "startedAt": "2026-11-21T03:00:00Z",
        "finishedAt": "2026-11-21T03:00:30Z",
        "syncResult": synced,
    }
    return {
        "apiVersion": API,
        "kind": "Application",
        "metadata": {"name": f"shop-{number}", "annotations": {"argocd.argoproj.io/skip-reconcile": "true"}},
        "spec": {
            "project": "default",
            "source": source,
            "destination": {"server": "https://kubernetes.default.svc", "namespace": f"shop-{number}"},
            "syncPolicy": {"automated": {"selfHeal": True}},
        },
        "status": {
            "health": {"status": "Healthy"},
            "sync": {"status": "Synced", "revision": f"{number:040x}"},
            "resources": resources,
            "operationState": state,
        },
    }


def running(namespace: str, number: int) -> Json:
    """A hook of one of them, as Argo CD makes it."""
    tracked = f"{namespace}_shop-{number}:batch/Job:{namespace}/migrate-{number}"
    talks = "while :; do echo working; sleep 5; done"
    return hook(talks, name=f"migrate-{number}", annotations={"argocd.argoproj.io/tracking-id": tracked})


async def apply(story: Story, items: Sequence[Json]) -> None:
    async with asyncio.TaskGroup() as group:
        for item in items:
            group.create_task(story.kubernetes.apply(item, story.namespace))


def batched(items: Sequence[Json]) -> list[Sequence[Json]]:
    return [items[first : first + SIDE_BY_SIDE] for first in range(0, len(items), SIDE_BY_SIDE)]


def memory(story: Story) -> float:
    """MiB of the responder that are resident."""
    status = Path(f"/proc/{story.responder.pid}/status").read_text(encoding="utf-8")
    [kib] = re.findall(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    return int(kib) / 1024
