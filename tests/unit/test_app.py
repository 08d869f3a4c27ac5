"""The composition: the real parts, wired, before the in-memory API server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from responder.app import Responder
from responder.config import ClusterConfig, ConfigError, Settings
from responder.core.actions import Mode
from responder.core.argocd import AppKey
from responder.core.evidence import LogSummary
from responder.demo.api import Api
from responder.demo.apiserver import ApiServer
from responder.demo.objects import Objects
from responder.demo.settings import TOKEN, demo_settings, prepare
from responder.ports import StoreError
from responder.wallclock import WallClock
from tests.service.process import until
from tests.unit.cluster.fault_server import FaultServer, says

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    objects = Objects(WallClock())
    prepare(objects, ["shop"])
    async with ApiServer(Api(objects)) as server:
        yield server


@pytest.fixture
def settings(server: ApiServer, tmp_path: Path) -> Settings:
    return demo_settings(server.url, tmp_path, port=0)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Responder]:
    async with Responder.open(settings, clock=WallClock()) as responder, asyncio.TaskGroup() as tasks:
        task = tasks.create_task(responder.run())
        await responder.listening.wait()
        yield responder
        task.cancel()


def value(responder: Responder, name: str) -> float | None:
    return responder.metrics.registry.get_sample_value(name)


async def test_it_serves_when_every_watch_has_listed(settings: Settings) -> None:
    async with running(settings) as responder, aiohttp.ClientSession(responder.url, headers=HEADERS) as http:
        await until(lambda: value(responder, "responder_leader") == 1)
        await until(lambda: responder.idle)
        async with http.get("/readyz") as answer:
            assert (answer.status, (await answer.json())["waits_for"]) == (200, [])
        async with http.get("/v1/incidents") as answer:
            assert await answer.json() == {"incidents": [], "next_cursor": None}


async def test_what_operators_look_at_is_fed(settings: Settings) -> None:
    async with running(settings) as responder:
        await until(lambda: value(responder, "responder_store_available") == 1)
        await until(lambda: value(responder, "responder_leader") == 1)
        await until(lambda: value(responder, "responder_killswitch_engaged") == 0)
        assert value(responder, "responder_config_reload_success") == 1
        assert (value(responder, "responder_store_bytes") or 0) > 0
        assert value(responder, "responder_outbox_pending") == 0
        await until(lambda: (value(responder, "responder_loop_lag_seconds_count") or 0) > 0)


async def test_questions_to_the_gate_are_counted(settings: Settings) -> None:
    async with running(settings) as responder, aiohttp.ClientSession(responder.url, headers=HEADERS) as http:
        asked = {"service": "shop", "environment": "production", "revision": "abc"}
        async with http.get("/v1/gate", params=asked) as answer:
            assert (await answer.json())["result"] == "pending"
        counted = responder.metrics.registry.get_sample_value("responder_gate_requests_total", {"result": "pending"})
        assert counted == 1


async def test_an_api_server_that_is_away_is_waited_for(settings: Settings, server: ApiServer) -> None:
    await server.away()
    async with running(settings) as responder, aiohttp.ClientSession(responder.url, headers=HEADERS) as http:
        async with http.get("/readyz") as answer:
            assert answer.status == 503
            assert "the cluster" in (await answer.json())["waits_for"][0]
        async with http.post("/v1/argocd/webhook", json={}) as answer:
            assert answer.status == 422
        assert value(responder, "responder_leader") == 0
        await server.back()
        await until(lambda: value(responder, "responder_leader") == 1)


async def test_a_destination_cluster_that_is_away_is_not_waited_for(settings: Settings) -> None:
    far = ClusterConfig(name="far", server="https://far.example.com", url="http://127.0.0.1:1")
    async with running(settings.model_copy(update={"clusters": (*settings.clusters, far)})) as responder:
        await until(lambda: value(responder, "responder_leader") == 1)


async def test_it_ends_at_once_and_leaves_nothing_behind(settings: Settings, server: ApiServer) -> None:
    async with running(settings) as responder:
        await until(lambda: value(responder, "responder_leader") == 1)
        await until(lambda: server.streams > 0)
    await until(lambda: server.streams == 0)
    assert [task.get_name() for task in asyncio.all_tasks() if "watch" in task.get_name()] == []
    async with Responder.open(settings, clock=WallClock()):
        pass  # the store's lock is free again


async def test_a_second_one_on_the_same_store_is_refused(settings: Settings) -> None:
    async with running(settings):
        with pytest.raises(StoreError, match="the store is in use by another responder"):
            async with Responder.open(settings, clock=WallClock()):
                pytest.fail("two on one store")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, r"rules\.yaml: cannot be read: No such file"),
        ("version: 2\nrules: []\n", r"rules\.yaml:1:10: version: expected 1"),
        (
            "version: 1\nrules: [{name: a, when: {}, do: [{alert: {receiver: dba}}]}]\n",
            r"rules\.yaml:1?.*: receiver 'dba' is not configured",
        ),
    ],
)
async def test_rules_that_are_none_stop_the_start(settings: Settings, text: str | None, told: str) -> None:
    assert settings.rules is not None
    settings.rules.unlink()
    if text is not None:
        settings.rules.write_text(text)
    with pytest.raises(ConfigError, match=told):
        async with Responder.open(settings, clock=WallClock()):
            pytest.fail("it started")


async def test_rules_and_tokens_that_change_are_in_force_without_a_restart(settings: Settings) -> None:
    assert settings.rules is not None
    (token,) = settings.webhook.token_files  # of the demo: everybody has the same
    async with running(settings) as responder, aiohttp.ClientSession(responder.url) as http:
        assert (await _let_in(http, TOKEN), await _let_in(http, "renewed")) == ((200, 202), (401, 401))
        token.write_text("renewed\n")
        settings.rules.write_text("version: 1\nrules: [{name: the new one, when: {}, do: [{alert: {}}]}]\n")
        counted = {"rule": "the new one", "mode": "live"}
        await until(lambda: responder.metrics.registry.get_sample_value("responder_rule_matches_total", counted) == 0)
        assert (await _let_in(http, TOKEN), await _let_in(http, "renewed")) == ((401, 401), (200, 202))
        async with http.get("/v1/rules", headers={"Authorization": "Bearer renewed"}) as answer:
            told = await answer.json()
        assert ([rule["name"] for rule in told["rules"]], told["trouble"]) == (["the new one"], "")


async def _let_in(http: aiohttp.ClientSession, token: str) -> tuple[int, int]:
    """To the API, and to the webhook."""
    headers = {"Authorization": f"Bearer {token}"}
    async with http.get("/v1/rules", headers=headers) as api, http.get("/v1/argocd/webhook", headers=headers) as hook:
        return api.status, hook.status


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"redaction": {"key_file": "gone"}}, "gone: secret cannot be read"),
        ({"webhook": {"token_files": ["gone"]}}, "gone: secret cannot be read"),
        ({"access": {"static_tokens": [{"name": "a", "token_file": "gone"}]}}, "gone: secret cannot be read"),
        ({"signatures": ["gone"]}, "gone: cannot be read: No such file"),
        ({"receivers": [{"name": "a", "type": "slack", "url_file": "gone"}]}, "receiver a: gone: secret cannot be"),
    ],
)
async def test_a_file_that_is_missing_stops_the_start(settings: Settings, change: dict[str, object], told: str) -> None:
    changed = Settings.model_validate({**settings.model_dump(), **change, "routing": {}})
    with pytest.raises(ConfigError, match=told):
        async with Responder.open(changed, clock=WallClock()):
            pytest.fail("it started")


async def test_a_redaction_key_may_be_any_bytes(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(bytes(range(256)))
    keyed = Settings.model_validate({**settings.model_dump(), "redaction": {"key_file": str(tmp_path / "key")}})
    async with running(keyed) as responder:
        assert responder.url.startswith("http://127.0.0.1:")


def test_the_demo_says_that_it_acts(settings: Settings) -> None:
    assert settings.actions.mode is Mode.LIVE


async def test_a_hook_of_a_cluster_that_only_argo_cd_reaches_is_recorded_with_its_log(
    server: ApiServer, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "argocd-token").write_text("project-token", encoding="utf-8")
    async with FaultServer() as argocd:
        line = {"content": "ERROR: relation exists", "timeStampStr": "2026-11-21T03:00:01.5Z", "podName": "p"}
        argocd.will("GET", says(200, json.dumps({"result": line}).encode() + b'\n{"result":{"last":true}}\n'))
        api = {"url": argocd.url, "token_file": tmp_path / "argocd-token"}
        clusters = [*settings.model_dump()["clusters"], {"name": "far", "server": "https://far", "argocd_api": api}]
        async with running(Settings.model_validate(settings.model_dump() | {"clusters": clusters})) as responder:
            server.api.objects.create("Application", _failing_far_away())
            await until(lambda: _log_of(responder) is not None)

            log = _log_of(responder)
            assert log is not None
            assert (log.lines, log.complete) == (1, True)


def _failing_far_away() -> dict[str, object]:
    started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    result = {"group": "batch", "version": "v1", "kind": "Job", "namespace": "shop", "name": "db-migrate"}
    hook = {**result, "hookType": "PreSync", "hookPhase": "Failed", "syncPhase": "PreSync", "message": "backoff limit"}
    state = {"phase": "Failed", "startedAt": started, "finishedAt": started, "operation": {"sync": {}}}
    return {
        "metadata": {"name": "shop", "namespace": "argocd"},
        "spec": {"project": "default", "destination": {"server": "https://far", "namespace": "shop"}},
        "status": {"operationState": {**state, "syncResult": {"revision": "abc", "resources": [hook]}}},
    }


def _log_of(responder: Responder) -> LogSummary | None:
    runs = responder.cache.hook_runs(AppKey("argocd", "shop"))
    return next((c.log for run in runs for pod in run.pods for c in pod.containers if c.log and c.log.complete), None)
