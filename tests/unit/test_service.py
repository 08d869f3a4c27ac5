"""What the process says when it cannot start, and how it logs. How it ends is in ``tests/service``."""

import asyncio
import json
import logging
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from responder.config import ConfigError, Settings
from responder.demo.api import Api
from responder.demo.apiserver import ApiServer
from responder.demo.objects import Objects
from responder.demo.settings import prepare
from responder.service import JsonLines, run_service
from responder.wallclock import WallClock
from tests.service.process import write_config

RULES = "version: 1\nrules: []\n"


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    objects = Objects(WallClock())
    prepare(objects, [])
    async with ApiServer(Api(objects)) as server:
        yield server


async def serve(config: Path) -> tuple[int, str]:
    """Exit code and standard error of one that cannot start."""
    command = [sys.executable, "-m", "responder", "serve", "--config", str(config)]
    run = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30, check=False)
    return run.returncode, run.stderr


async def test_a_port_that_is_taken_is_said_in_one_line(server: ApiServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = write_config(tmp_path, server.url, RULES, listen={"host": "127.0.0.1", "port": port})
        code, told = await serve(config)
    assert (code, len(told.splitlines())) == (4, 1)
    assert "address already in use" in told


async def test_credentials_that_are_none_are_said_in_one_line(tmp_path: Path) -> None:
    config = write_config(tmp_path, "http://127.0.0.1:1", RULES)
    config.write_text(config.read_text().replace("url: http://127.0.0.1:1", f"kubeconfig: {tmp_path}/gone"))
    code, told = await serve(config)
    assert (code, len(told.splitlines())) == (4, 1)
    assert f"there is no kubeconfig at {tmp_path}/gone" in told


async def test_a_token_that_is_not_there_is_bad_configuration_with_a_lease_too(
    server: ApiServer, tmp_path: Path
) -> None:
    absent = {"static_tokens": [{"name": "dba", "token_file": "absent"}]}
    config = write_config(tmp_path, server.url, RULES, lease={"enabled": True}, access=absent)
    code, told = await serve(config)
    assert (code, told) == (2, f"{tmp_path}/absent: secret cannot be read: No such file or directory\n")


def test_a_log_level_that_is_none_is_bad_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESPONDER_LOG_LEVEL", "degub")
    with pytest.raises(ConfigError, match="RESPONDER_LOG_LEVEL: 'DEGUB' is no level, did you mean DEBUG"):
        run_service(Settings())


def test_a_log_line_is_one_json_object_with_what_the_caller_added() -> None:
    record = logging.LogRecord("responder.x", logging.WARNING, "x.py", 1, "line one\nline %s", ("two",), None)
    vars(record).update({"incident": "i1", "receiver": "dba"}, created=1_795_230_000.25)
    text = JsonLines().format(record)
    assert "\n" not in text
    assert json.loads(text) == {
        "time": "2026-11-21T03:00:00.250+00:00",
        "level": "warning",
        "logger": "responder.x",
        "message": "line one\nline two",
        "incident": "i1",
        "receiver": "dba",
    }


def test_an_exception_stays_within_its_line() -> None:
    error = ValueError("line one\nline two")
    record = logging.LogRecord("r", logging.ERROR, "x.py", 1, "failed", (), (ValueError, error, None))
    text = JsonLines().format(record)
    assert "\n" not in text
    assert json.loads(text)["exception"] == "ValueError: line one\nline two"
