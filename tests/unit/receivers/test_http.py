import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from responder.ports import ReceiverError
from responder.receivers.http import Endpoint, retry_after
from tests.unit.cluster.authority import write_authority
from tests.unit.receivers.neighbours import Neighbour, neighbour

SECRET = "T0KEN-in-the-path"


@pytest.fixture
async def hub() -> AsyncIterator[Neighbour]:
    async with neighbour() as one:
        yield one


async def post(url: str, timeout: float = 5, token: str = "") -> None:  # noqa: ASYNC109 - the receiver's own
    endpoint = Endpoint(url, timeout=timeout, token=token)
    try:
        await endpoint.post(b"{}", {})
    finally:
        await endpoint.close()


async def failure(url: str, timeout: float = 5) -> ReceiverError:  # noqa: ASYNC109 - the receiver's own
    with pytest.raises(ReceiverError) as caught:
        await post(url, timeout)
    return caught.value


async def test_what_is_sent_names_us_and_carries_the_token(hub: Neighbour) -> None:
    await post(hub.url(), token="secret")
    (request,) = hub.requests
    assert request.headers["User-Agent"].startswith("argocd-hook-responder/")
    assert request.headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_2xx_is_taken(hub: Neighbour, status: int) -> None:
    hub.always = (status, {}, "")
    await post(hub.url())


@pytest.mark.parametrize(
    ("status", "reason", "final"),
    [
        (301, "misconfigured", False),
        (400, "rejected", True),
        (401, "auth", False),
        (403, "auth", False),
        (404, "misconfigured", False),
        (408, "server-error", False),
        (410, "rejected", True),
        (413, "rejected", True),
        (422, "rejected", True),
        (429, "throttled", False),
        (500, "server-error", False),
        (503, "server-error", False),
    ],
)
async def test_a_refusal_has_a_reason_and_is_final_only_for_its_content(
    hub: Neighbour, status: int, reason: str, final: bool
) -> None:
    hub.always = (status, {"Location": "/elsewhere"} if status == 301 else {}, "no such luck")
    error = await failure(hub.url())
    assert (error.reason, error.final, str(error)) == (reason, final, f"HTTP {status}: no such luck")
    assert len(hub.requests) == 1  # a redirect is not followed


async def test_retry_after_is_told(hub: Neighbour) -> None:
    hub.always = (429, {"Retry-After": "17"}, "")
    assert (await failure(hub.url())).retry_after == 17


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "999999999999999999"}, 3600),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Sun, 01 Mar 2026 03:00:30 GMT", "Date": "Sun, 01 Mar 2026 03:00:00 GMT"}, 30),
        ({"Retry-After": "Sun, 01 Mar 2026 02:00:00 GMT", "Date": "Sun, 01 Mar 2026 03:00:00 GMT"}, 0),
        ({"Retry-After": "Sun, 99 Mar 2026 02:00:00 GMT"}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


async def test_a_receiver_that_does_not_answer_is_given_up_in_time(hub: Neighbour) -> None:
    hub.released.clear()
    error = await failure(hub.url(), timeout=0.1)
    assert (error.reason, str(error)) == ("timeout", "no answer within 0.1 s")


async def test_nobody_there_is_unreachable() -> None:
    error = await failure(f"http://127.0.0.1:{unused_port()}/{SECRET}")
    assert (error.reason, str(error)) == ("unreachable", "cannot connect: Connection refused")


async def test_a_connection_cut_off_is_unreachable() -> None:
    async def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        await asyncio.Event().wait()
        raise AssertionError

    app = web.Application()
    app.router.add_post("/", hang_up)
    async with TestServer(app) as server:
        error = await failure(str(server.make_url("/")))
    assert (error.reason, str(error)) == ("unreachable", "connection lost: ServerDisconnectedError")


async def test_an_address_that_is_none_is_misconfigured() -> None:
    error = await failure(f"http://[{SECRET}")
    assert (error.reason, error.final) == ("misconfigured", True)
    assert SECRET not in str(error)


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    server = TestServer(web.Application(), scheme="https")
    await server.start_server(ssl=write_authority(tmp_path))
    try:
        error = await failure(f"https://127.0.0.1:{server.port}/{SECRET}")
    finally:
        await server.close()
    assert error.reason == "unreachable"
    assert str(error).startswith("TLS: ")


async def test_an_answer_that_echoes_the_secret_is_not_repeated(
    hub: Neighbour, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hub.always = (500, {}, f"cannot handle {hub.url(f'/{SECRET}')}\nat all\x00")
    error = await failure(hub.url(f"/{SECRET}"))
    assert str(error) == "HTTP 500: cannot handle [redacted] at all"
    assert SECRET not in caplog.text


async def test_a_huge_answer_is_not_read(hub: Neighbour) -> None:
    hub.always = (500, {}, "x" * 5_000_000)
    assert str(await failure(hub.url())) == f"HTTP 500: {'x' * 200}"
