import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from responder.cli import main


class Chat:
    """A Slack that keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.status = 200

    async def take(self, request: web.Request) -> web.Response:
        self.told.append(await request.text())
        return web.Response(text="ok" if self.status == 200 else "no_service", status=self.status)


@pytest.fixture
def chat() -> Chat:
    return Chat()


@pytest.fixture
async def config(chat: Chat, tmp_path: Path) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/hook", chat.take)
    async with TestServer(app) as server:
        (tmp_path / "url").write_text(str(server.make_url("/hook")))
        file = tmp_path / "responder.yaml"
        file.write_text(
            "receivers:\n  - {name: dba, type: slack, url_file: url}\n  - {name: hub, type: slack, url_file: gone}\n"
        )
        yield str(file)


async def test_a_test_alert_says_that_it_is_one(config: str, chat: Chat, capsys: pytest.CaptureFixture[str]) -> None:
    assert await asyncio.to_thread(main, ["receivers", "test", "dba", "--config", config]) == 0
    assert capsys.readouterr().out == "dba took a test alert\n"
    (told,) = chat.told
    assert "Test of the hook responder, nothing failed" in json.dumps(json.loads(told))


@pytest.mark.parametrize(("status", "told"), [(404, "dba: misconfigured: "), (500, "dba: server-error: ")])
async def test_what_the_receiver_refuses_is_told(
    config: str, chat: Chat, status: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    chat.status = status
    assert await asyncio.to_thread(main, ["receivers", "test", "dba", "--config", config]) == 4
    assert capsys.readouterr().err.startswith(told)


async def test_a_program_is_told_whether_it_was_taken(
    config: str, chat: Chat, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["receivers", "test", "dba", "--json", "--config", config]
    assert await asyncio.to_thread(main, command) == 0
    assert json.loads(capsys.readouterr().out) == {"receiver": "dba", "taken": True, "reason": "", "detail": ""}
    chat.status = 500
    assert await asyncio.to_thread(main, command) == 4
    told = capsys.readouterr()
    assert json.loads(told.out) == {
        "receiver": "dba", "taken": False, "reason": "server-error", "detail": "HTTP 500: no_service",
    }  # fmt: skip
    assert told.err == ""


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("pager", "receiver pager is not configured; there is: dba, hub\n"),
        ("hub", "receiver hub: {folder}/gone: secret cannot be read: No such file or directory\n"),
    ],
)
async def test_a_receiver_that_is_not_configured_rightly_is_bad_input(
    config: str, tmp_path: Path, name: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(main, ["receivers", "test", name, "--config", config]) == 2
    assert capsys.readouterr().err == told.format(folder=tmp_path)
