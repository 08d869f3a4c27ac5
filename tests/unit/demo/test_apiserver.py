import asyncio
import json
from typing import Any

import aiohttp
import pytest

from responder.demo import faults
from responder.demo.api import Api
from responder.demo.apiserver import ApiServer
from responder.demo.clock import FastClock
from responder.demo.objects import Objects
from tests.unit.demo.cases import config, pod

CONFIGMAPS = "/api/v1/namespaces/shop/configmaps"
WATCH = {"watch": "true", "resourceVersion": "1", "allowWatchBookmarks": "true"}


async def event(response: aiohttp.ClientResponse) -> dict[str, Any]:
    line = await asyncio.wait_for(response.content.readline(), 10)
    decoded: dict[str, Any] = json.loads(line)
    return decoded


async def test_what_a_script_does_is_seen_over_http(objects: Objects, http: aiohttp.ClientSession) -> None:
    async with http.get(CONFIGMAPS, params=WATCH) as response:
        objects.create("ConfigMap", config("a"))
        assert (await event(response))["object"]["metadata"]["name"] == "a"


async def test_eager_bookmarks_follow_every_change_of_anything(objects: Objects) -> None:
    async with (
        ApiServer(Api(objects, eager_bookmarks=True)) as server,
        aiohttp.ClientSession(server.url) as http,
        http.get(CONFIGMAPS, params=WATCH) as response,
    ):
        objects.create("Secret", config("s"))
        seen = await event(response)
    assert (seen["type"], seen["object"]["metadata"]["resourceVersion"]) == ("BOOKMARK", "2")


async def test_a_client_that_wants_no_bookmarks_gets_no_eager_ones(objects: Objects) -> None:
    async with (
        ApiServer(Api(objects, eager_bookmarks=True)) as server,
        aiohttp.ClientSession(server.url) as http,
        http.get(CONFIGMAPS, params={**WATCH, "allowWatchBookmarks": "false"}) as response,
    ):
        objects.create("Secret", config("s"))
        objects.create("ConfigMap", config("a"))
        assert (await event(response))["type"] == "ADDED"


async def test_bookmarks_come_now_and_then_by_the_servers_clock() -> None:
    objects = Objects(FastClock(1000))
    async with (
        ApiServer(Api(objects), bookmark_seconds=60) as server,
        aiohttp.ClientSession(server.url) as http,
        http.get(CONFIGMAPS, params=WATCH) as response,
    ):
        assert [(await event(response))["type"] for _ in range(2)] == ["BOOKMARK", "BOOKMARK"]


async def test_away_cuts_and_refuses_and_back_is_at_the_same_place(
    objects: Objects, server: ApiServer, http: aiohttp.ClientSession
) -> None:
    objects.create("ConfigMap", config("a"))
    url = server.url
    async with http.get(CONFIGMAPS, params=WATCH) as response:
        await event(response)
        await server.away()
        with pytest.raises(aiohttp.ClientError):
            await asyncio.wait_for(response.content.read(), 10)
    with pytest.raises(aiohttp.ClientConnectionError):
        await http.get(CONFIGMAPS)
    await server.back()
    assert server.url == url
    async with http.get(f"{CONFIGMAPS}/a") as found:
        assert found.status == 200


async def test_a_log_is_followed_as_it_is_written(objects: Objects, http: aiohttp.ClientSession) -> None:
    objects.put_raw("Pod", "ADDED", pod("p"))
    async with http.get("/api/v1/namespaces/shop/pods/p/log", params={"follow": "true"}) as response:
        objects.append_log("shop", "p", "main", 0, "2026-11-21T03:00:00Z", "one\n")
        assert await response.content.readline() == b"one\n"
        objects.append_log("shop", "p", "main", 0, "2026-11-21T03:00:00Z", "two\n")
        objects.remove_raw("Pod", pod("p"))
        assert await response.content.read() == b"two\n"


async def test_who_hangs_up_is_no_longer_told(objects: Objects, server: ApiServer, http: aiohttp.ClientSession) -> None:
    async with http.get(CONFIGMAPS, params=WATCH) as response:
        objects.create("ConfigMap", config("a"))
        await event(response)
        assert server.streams == 1
    async with asyncio.timeout(10):
        while server.streams:  # noqa: ASYNC110 - the server learns of it when the socket tells
            await asyncio.sleep(0.01)


class TestFaults:
    async def test_one_of_many_requests_fails(self, server: ApiServer, http: aiohttp.ClientSession) -> None:
        server.faults.append(faults.when(faults.lists("configmaps"), faults.too_many_requests(7), times=1))
        async with http.get(CONFIGMAPS) as first, http.get(CONFIGMAPS) as second:
            assert (first.status, first.headers["Retry-After"], second.status) == (429, "7", 200)
            assert (await first.json())["reason"] == "TooManyRequests"

    async def test_only_what_matches_fails(self, server: ApiServer, http: aiohttp.ClientSession) -> None:
        server.faults.append(faults.when(faults.watches("configmaps"), faults.gone()))
        async with http.get(CONFIGMAPS) as listed, http.get(CONFIGMAPS, params=WATCH) as watched:
            assert (listed.status, watched.status) == (200, 410)

    async def test_a_proxy_answers_in_html(self, server: ApiServer, http: aiohttp.ClientSession) -> None:
        server.faults.append(faults.bad_gateway)
        async with http.get(CONFIGMAPS) as response:
            assert (response.status, response.content_type) == (502, "text/html")

    async def test_an_internal_error_is_a_status(self, server: ApiServer, http: aiohttp.ClientSession) -> None:
        server.faults.append(faults.internal_error())
        async with http.get(CONFIGMAPS) as response:
            assert (response.status, (await response.json())["reason"]) == (500, "InternalError")

    async def test_a_watch_that_ends_at_once(self, server: ApiServer, http: aiohttp.ClientSession) -> None:
        server.faults.append(faults.ends_at_once)
        async with http.get(CONFIGMAPS, params=WATCH) as response:
            assert (response.status, await response.read()) == (200, b"")

    async def test_a_line_that_is_cut_cleanly(self, server: ApiServer, http: aiohttp.ClientSession) -> None:
        server.faults.append(faults.cut_line(b'{"type":'))
        async with http.get(CONFIGMAPS, params=WATCH) as response:
            assert await response.read() == b'{"type":'

    async def test_a_line_that_is_cut_with_its_connection(self, server: ApiServer, http: aiohttp.ClientSession) -> None:
        server.faults.append(faults.cut_line(b'{"type":', clean=False))
        async with http.get(CONFIGMAPS, params=WATCH) as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()

    @pytest.mark.parametrize("started", [True, False])
    async def test_silence_lasts_until_the_server_goes(
        self, server: ApiServer, http: aiohttp.ClientSession, started: bool
    ) -> None:
        server.faults.append(faults.silent(started=started))

        async def ask() -> bytes:
            async with http.get(CONFIGMAPS, params=WATCH) as response:
                return await response.read()

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(), 0.1)
        await server.away()

    async def test_a_connection_is_reset(self, server: ApiServer, http: aiohttp.ClientSession) -> None:
        server.faults.append(faults.when(faults.writes, faults.reset))
        with pytest.raises(aiohttp.ClientConnectionError):
            await http.post(CONFIGMAPS, json=config("a"))

    async def test_a_write_is_done_and_its_answer_lost(
        self, objects: Objects, server: ApiServer, http: aiohttp.ClientSession
    ) -> None:
        server.faults.append(faults.when(faults.writes, faults.answer_lost(server.api), times=1))
        with pytest.raises(aiohttp.ClientConnectionError):
            await http.post(CONFIGMAPS, json=config("a"))
        assert objects.find("ConfigMap", "shop", "a") is not None

    async def test_a_slow_answer_is_the_right_one(self, server: ApiServer, http: aiohttp.ClientSession) -> None:
        server.faults.append(faults.slow(0.01))
        async with http.get(CONFIGMAPS) as response:
            assert response.status == 200
