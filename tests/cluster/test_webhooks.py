"""Webhooks that say little, are refused, come to nobody, or are never sent: what failed is found all the same."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from tests.cluster.application import QUICK_RETRY
from tests.cluster.argocd import notify, notify_by_the_catalog
from tests.cluster.kubernetes import Json
from tests.cluster.manifests import config_map, hook
from tests.cluster.shown import attempts, ended, phases, resolved
from tests.cluster.story import Story
from tests.service.process import TOKEN, until

pytestmark = [pytest.mark.real_cluster, pytest.mark.timeout(240)]

NO_SUCH_TABLE = 'ERROR:  relation "order_items" does not exist'
FAILS = f"echo '{NO_SUCH_TABLE}' >&2; exit 3"
TRIES = 4  # of one delivery, at 0, 1, 3 and 7 s; then the catalog's trigger has had its turn for that revision


async def test_the_catalogs_template_names_nobody_and_tells_the_second_failure_of_a_revision_to_nobody(
    story: Story,
) -> None:
    await story.respond(webhooks=False)
    await notify_by_the_catalog(story.kubernetes, webhook(story), TOKEN, story.namespace)
    shop = await story.application({"migration.yaml": [hook(FAILS)]})

    await shop.ended("Failed", started=await shop.sync())
    await story.incident(ended("missing-object", "Failed"))
    await story.until_counted("responder_webhooks_total", 1, result="stock-template")

    await shop.ended("Failed", started=await shop.sync())
    await story.incident(ended("missing-object", "Failed", "Failed"))
    assert await story.counted("responder_webhooks_total") == 1


async def test_a_retry_that_recovers_is_told_by_nobody(story: Story) -> None:
    await story.respond(webhooks=False)
    await notify_by_the_catalog(story.kubernetes, webhook(story), TOKEN, story.namespace)
    folder = story.installation.folder / "database"
    folder.mkdir()
    script = f"[ -e /database/up ] && exit 0; touch /database/up; {FAILS}"
    volume = {"name": "database", "hostPath": {"path": str(folder)}}
    mounted = {"volumeMounts": [{"name": "database", "mountPath": "/database"}]}
    shop = await story.application({"migration.yaml": [hook(script, pod={"volumes": [volume]}, container=mounted)]})

    await shop.ended("Succeeded", started=await shop.sync(retry=QUICK_RETRY))

    incident = await story.incident(resolved)
    assert len(attempts(incident)) == 2
    assert await story.counted("responder_webhooks_total") == 0


async def test_a_final_failure_that_is_gone_at_once_because_a_newer_revision_waits(story: Story) -> None:
    """Argo CD starts the next operation some 30 ms later: no trigger ever sees that phase."""
    await story.respond()
    gate = story.installation.folder / "gate"
    gate.mkdir()
    volume = {"name": "gate", "hostPath": {"path": str(gate)}}
    mounted = {"volumeMounts": [{"name": "gate", "mountPath": "/gate"}]}
    waits = f"echo waiting; while [ ! -e /gate/open ]; do sleep 0.1; done; {FAILS}"
    job = hook(waits, pod={"volumes": [volume]}, container=mounted)
    manifests = {"migration.yaml": [job], "settings.yaml": [config_map(colour="blue")]}
    shop = await story.application(manifests, syncPolicy={"automated": {}, "retry": {"limit": 0}})
    await story.until_written(1)
    first = await shop.operation_state()
    newer = await shop.push({"migration.yaml": [hook("echo migrated")]}, "mended")
    await shop.refresh()
    await shop.until_compared(newer)
    (gate / "open").touch()

    incident = await story.incident(resolved)
    assert phases(incident) == ["Failed", "Succeeded"]
    failed, _ = incident["operations"]
    assert failed["started_at"].replace("+00:00", "Z") == first["startedAt"]
    assert incident["diagnosis"]["category"] == "missing-object"


async def test_webhooks_that_are_refused_or_come_to_nobody_are_counted_as_missed(story: Story) -> None:
    await story.respond(webhooks=False)
    await notify_by_the_catalog(story.kubernetes, webhook(story), TOKEN, story.namespace)
    away = await story.application({"migration.yaml": [hook(FAILS, name="away")]}, name="away")
    await story.responder.kill()
    async with nobody(story.installation.port) as heard:
        await away.ended("Failed", started=await away.sync())
        await until(lambda: len(heard) >= TRIES, within=60)
    await story.responder.start()
    await found(story, "away")

    await notify(story.kubernetes, f"http://127.0.0.1:{story.installation.port}", "another", story.namespace)
    shop = await story.application({"migration.yaml": [hook(FAILS, name="refused")]}, name="refused")
    await shop.ended("Failed", started=await shop.sync())
    await found(story, "refused")

    await story.until_counted("responder_webhooks_missed_total", 2, within=120)
    assert await story.counted("responder_webhooks_total", result="unauthorized") > 0
    assert await story.counted("responder_webhooks_total", result="accepted") == 0


@asynccontextmanager
async def nobody(port: int) -> AsyncIterator[Sequence[str]]:
    """Who answers at the responder's address while it is away: a load balancer with no Pod behind it."""
    heard: list[str] = []

    async def refuse(request: web.Request) -> web.Response:
        heard.append(request.method)
        return web.Response(status=503)

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", refuse)
    runner = web.AppRunner(app, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
        yield heard
    finally:
        await runner.cleanup()


def webhook(story: Story) -> str:
    return f"http://127.0.0.1:{story.installation.port}/v1/argocd/webhook"


async def found(story: Story, name: str) -> None:
    def is_there(incidents: list[Json]) -> bool:
        mine = [one for one in incidents if one["application"]["name"] == name]
        return bool(mine) and ended("missing-object", "Failed")(mine[0])

    await story.responder.until_incidents(is_there, within=60)
