"""What the commands make of servers that misbehave, addresses and tokens that are none."""

import socket
from pathlib import Path

import pytest
from aiohttp import web

from tests.unit.answering import SUBJECT, answering, run


async def test_nobody_there_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = f"http://127.0.0.1:{taken.getsockname()[1]}"
    assert await run("gate", *SUBJECT, "--server", server) == 4
    assert await run("gate", *SUBJECT, "--server", server, "--fail-open") == 0
    told = capsys.readouterr().out.splitlines()
    hint = "(--server or $RESPONDER_SERVER says where it is)"
    assert told[0] == told[1] == f"could not ask: {server} cannot be asked: Connection refused {hint}"


async def test_a_silent_server_is_given_up(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert await run("gate", *SUBJECT, "--server", server, "--timeout", "0.1") == 4
    assert capsys.readouterr().out == f"could not ask: {server} cannot be asked: timed out\n"


async def test_an_answer_that_is_cut_is_none() -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"result": "success"}')
        assert request.transport is not None
        request.transport.close()
        return response

    async with answering(cut) as server:
        assert await run("gate", *SUBJECT, "--server", server) == 4


@pytest.mark.parametrize("body", ["<html>", "[]", "{}", '{"incidents": [{}]}', '{"incidents": 3}', "\x00", ""])
async def test_a_server_that_is_no_responder_is_told(body: str, capsys: pytest.CaptureFixture[str]) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=body)

    async with answering(answer) as server:
        assert await run("incidents", "--server", server) == 4
        assert f"{server} does not answer like" in capsys.readouterr().err
        assert await run("gate", *SUBJECT, "--server", server) == 4


async def test_a_token_goes_to_the_server_that_was_named_and_to_no_other(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret")
    seen: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization", ""))
        return web.json_response({"result": "success", "reason": ""})

    async with answering(elsewhere) as other:

        async def sent_on(_request: web.Request) -> web.Response:
            raise web.HTTPTemporaryRedirect(other)

        async with answering(sent_on) as server:
            code = await run("gate", *SUBJECT, "--server", server, "--token-file", str(tmp_path / "token"))
    assert (code, seen) == (4, [])


@pytest.mark.parametrize("server", ["ftp://responder", "file:///etc/passwd", "responder:8080", ""])
async def test_an_address_that_is_none_is_bad_input(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run("blocks", "--server", server) == 2
    assert capsys.readouterr().err == f"{server} is no http(s) address\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\xff\xfe", "cannot be read: it is no text"),
        (b"", "a token is one line of printable ASCII"),
        (b"s3cret\nX-Evil: 1", "a token is one line of printable ASCII"),
    ],
)
async def test_a_token_file_that_holds_no_token_is_told_without_its_content(
    content: bytes | None, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    assert await run("blocks", "--token-file", str(file)) == 2
    assert capsys.readouterr().err == f"{file}: {told}\n"
