import pytest

from responder.core.evidence import LogChunk
from responder.ports import AppendLog
from responder.web.showing import log_address
from tests.contract.store.examples import chunk
from tests.unit.web.world import Client, World

KEY = "6f9b1c52-8f0e-4f7b-9d0e-1a2b3c4d5e6f/migrate/0"


async def test_lines_keep_the_numbers_of_the_original(world: World, client: Client) -> None:
    await world.store.commit(AppendLog(chunk(KEY, 1, 2, 101)))

    response = await client.get(f"/v1/logs/{KEY}")

    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert await response.text() == "  1  line 1\n  2  line 2\n     (98 lines not kept)\n101  line 101\n"


async def test_json_has_the_stamps_too(world: World, client: Client) -> None:
    await world.store.commit(AppendLog(chunk(KEY, 3)))

    found = await (await client.get(f"/v1/logs/{KEY}?format=json")).json()

    assert found == {
        "key": KEY,
        "lines": [{"number": 3, "at": "2026-11-21T03:00:00.000000003Z", "text": "line 3"}],
    }


@pytest.mark.parametrize("key", ["a b/c%d/0", "ä/<b>/0", "a/..%2f..%2fetc/0"])
async def test_any_key_is_looked_up_as_it_is(world: World, client: Client, key: str) -> None:
    await world.store.commit(AppendLog(LogChunk(key, (1,), ("2026-11-21T03:00:00Z",), ("<script>alert(1)</script>",))))

    response = await client.get(log_address(key))

    assert response.status == 200
    assert await response.text() == "1  <script>alert(1)</script>\n"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(("path", "status"), [("/v1/logs/nothing", 404), (f"/v1/logs/{KEY}?format=xml", 400)])
async def test_what_is_not_there_is_told(client: Client, path: str, status: int) -> None:
    assert (await client.get(path)).status == status
