import asyncio
import gzip
import io
import json
import logging
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import BaseTestServer, TestServer
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.core.argocd import AppKey
from responder.core.notification import Notification, Refusal, parse_notification
from responder.ports import Trigger
from responder.store.sqlite import SqliteStore
from responder.web.app import build
from tests.contract.store.examples import ORDERS
from tests.unit.web.world import WEBHOOK, Client, World, served

WEBHOOKS = Path(__file__).parents[2] / "data" / "webhooks"
PATH = "/v1/argocd/webhook"
BODIES = {file.name: file.read_bytes() for file in sorted(WEBHOOKS.glob("*.json"))}
OURS = json.dumps(
    {"version": 1, "trigger": "final-failure", "app": {"metadata": {"name": "orders", "namespace": "argocd"}}}
).encode()
AUTH = {"Authorization": f"Bearer {WEBHOOK[0]}"}


# Parsing: bytes in, a hint out.


def test_a_whole_application_as_argo_cd_sends_it_names_itself() -> None:
    names = {file: parse_notification(body) for file, body in BODIES.items()}

    assert names == {
        "application.json": Notification(AppKey("argocd", "s02-fail-default-policy")),
        "application-retrying.json": Notification(AppKey("argocd", "s05b-retry-dirty-version")),
        "application-stripped.json": Notification(AppKey("argocd", "s20c-receiver-slow-30s")),
    }


def test_our_template_names_its_application_and_trigger() -> None:
    assert parse_notification(OURS) == Notification(ORDERS, "final-failure")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'{"metadata": {"name": "orders"}}',
        b'{"metadata": {"name": "orders", "namespace": "../etc"}}',
        b'{"metadata": {"name": "orders\\u0000", "namespace": "argocd"}}',
        b'{"kind": "AppProject", "metadata": {"name": "orders", "namespace": "argocd"}}',
        b'{"metadata": {"name": 1, "namespace": []}}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_is_not_ours_is_refused_with_its_length_and_hash(body: bytes) -> None:
    found = parse_notification(body)

    assert isinstance(found, Refusal)
    assert found.length == len(body)
    assert len(found.sha256) == 64


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    """A real body with a few bytes changed, cut out, doubled or cut off."""
    body = bytearray(draw(st.sampled_from([*BODIES.values(), OURS])))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.integers(0, 40)))
        body[start:end] = draw(st.one_of(st.just(b""), st.binary(max_size=8), st.just(bytes(body[start:end]) * 2)))
    return bytes(body)


@given(mutilated())
@settings(max_examples=300)
def test_no_mutilated_body_raises_and_what_is_accepted_names_a_kubernetes_object(body: bytes) -> None:
    found = parse_notification(body)

    if isinstance(found, Notification):
        assert found.app is not None
        assert 0 < len(found.app.name) <= 253
        assert not set(f"{found.app.namespace}{found.app.name}") - set("abcdefghijklmnopqrstuvwxyz0123456789-.")
    else:
        assert found.length == len(body)


# Over HTTP.


@pytest.mark.parametrize("body", [*BODIES.values(), OURS])
async def test_an_accepted_webhook_is_in_the_store(stranger: Client, world: World, body: bytes) -> None:
    response = await stranger.post(PATH, data=body, headers=AUTH)

    assert response.status == 202
    (wakeup,) = await world.store.wakeups()
    assert wakeup.trigger is Trigger.WEBHOOK
    assert wakeup.app == getattr(parse_notification(body), "app", None)
    assert not world.reconciler.idle


async def test_many_at_once_are_all_in_the_store(stranger: Client, world: World) -> None:
    bodies = [json.dumps({"metadata": {"name": f"app-{n}", "namespace": "argocd"}}) for n in range(60)]

    answers = await asyncio.gather(*(stranger.post(PATH, data=body, headers=AUTH) for body in bodies))

    assert {a.status for a in answers} == {202}
    assert {str(w.app) for w in await world.store.wakeups()} == {f"argocd/app-{n}" for n in range(60)}


async def test_the_stock_template_wakes_every_application(stranger: Client, world: World) -> None:
    text = (WEBHOOKS / "stock.txt").read_bytes()

    response = await stranger.get(PATH, data=text, headers=AUTH)

    assert response.status == 202
    (wakeup,) = await world.store.wakeups()
    assert (wakeup.app, wakeup.trigger) == (None, Trigger.STOCK_TEMPLATE)
    assert 'responder_webhooks_total{result="stock-template"} 1.0' in world.metrics.render().decode()


async def test_the_stock_template_is_heard_of_whom_it_names(stranger: Client, world: World) -> None:
    for text in ((WEBHOOKS / "stock.txt").read_bytes(), b"Application orders has been created."):
        assert (await stranger.get(PATH, data=text, headers=AUTH)).status == 202

    assert world.heard == ["s05b-retry-dirty-version"]


@pytest.mark.parametrize("token", WEBHOOK)
async def test_two_tokens_live_at_once_so_that_one_can_be_rotated(stranger: Client, token: str) -> None:
    bearer = await stranger.post(PATH, data=OURS, headers={"Authorization": f"Bearer {token}"})
    basic = await stranger.post(
        PATH, data=OURS, headers={"Authorization": f"Basic {b64encode(f'argocd:{token}'.encode()).decode()}"}
    )

    assert (bearer.status, basic.status) == (202, 202)


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic !!!", "Basic Og==", "Digest x", "Bearer token-of-ana"]
)
async def test_a_wrong_token_is_refused_before_the_body_is_looked_at(
    stranger: Client, world: World, value: str
) -> None:
    response = await stranger.post(PATH, data=OURS, headers={"Authorization": value})

    assert response.status == 401
    assert await world.store.wakeups() == []


async def test_a_body_of_4_mib_is_refused(stranger: Client, world: World) -> None:
    response = await stranger.post(PATH, data=io.BytesIO(b'{"x": "' + b"a" * (4 << 20) + b'"}'), headers=AUTH)

    assert response.status == 413
    assert response.content_type == "application/problem+json"
    assert await world.store.wakeups() == []


async def test_a_body_of_4_mib_in_chunks_without_a_length_is_refused(stranger: Client) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"a" * (64 << 10)

    response = await stranger.post(PATH, data=chunks(), headers=AUTH)

    assert response.status == 413


async def test_a_small_body_that_unpacks_to_much_is_refused(stranger: Client) -> None:
    packed = gzip.compress(b'{"x": "' + b"a" * (64 << 20) + b'"}')
    assert len(packed) < 100_000

    response = await stranger.post(PATH, data=packed, headers={**AUTH, "Content-Encoding": "gzip"})

    assert response.status == 413


async def test_a_body_that_does_not_come_is_given_up(world: World) -> None:
    async with TestServer(build(world.faces())) as server:
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {WEBHOOK[0]}\r\nContent-Length: 500\r\n\r\n{{"

        assert await spoken(server, head.encode()) == b"HTTP/1.1 408 Request Timeout"


async def test_a_body_that_cannot_be_unpacked_is_refused(stranger: Client) -> None:
    response = await stranger.post(PATH, data=b"no gzip!!", headers={**AUTH, "Content-Encoding": "gzip"})

    assert response.status == 400


async def spoken(server: BaseTestServer, request: bytes) -> bytes:
    """The status line of what comes back."""
    assert server.port is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    line = await reader.readline()
    writer.close()
    return line.strip()


async def test_a_body_that_is_not_ours_is_told_why_and_never_logged(
    stranger: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        response = await stranger.post(PATH, data=b'{"password": "hunter2"}', headers=AUTH)
        broken = await stranger.post(PATH, data=b'{"hunter2', headers=AUTH)

    assert (response.status, broken.status) == (422, 422)
    told = await response.json()
    assert told["status"] == 422
    assert "metadata.name and metadata.namespace are needed (23 bytes, sha256 " in told["detail"]
    assert "hunter2" not in caplog.text
    assert "hunter2" not in await broken.text()


async def test_while_the_store_is_away_argo_cd_is_told_to_come_back(world: World, store: SqliteStore) -> None:
    faces = world.faces()
    await store.close()
    async with served(faces, "") as client:
        response = await client.post(PATH, data=OURS, headers=AUTH)

        assert response.status == 503
        assert response.headers["Retry-After"] == "2"
        assert 'responder_webhooks_total{result="unavailable"} 1.0' in world.metrics.render().decode()
        assert world.reconciler.idle


async def test_no_field_of_a_webhook_opens_an_incident(stranger: Client, world: World) -> None:
    world.deploy(AppKey("argocd", "s02-fail-default-policy"))

    await stranger.post(PATH, data=BODIES["application.json"], headers=AUTH)
    await world.reconciler.step(AppKey("argocd", "s02-fail-default-policy"))

    assert world.reconciler.loader.open == {}
