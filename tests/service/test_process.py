"""How the process begins and ends."""

import asyncio
import json
import signal
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from responder.demo.api import Api
from responder.demo.apiserver import ApiServer
from responder.demo.objects import Objects
from responder.demo.settings import prepare
from responder.wallclock import WallClock
from tests.service.process import PATIENCE, Service, write_config

_RULES = "version: 1\nrules: []\n"
_NOBODY = "http://127.0.0.1:9"


async def _run(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "responder", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, error = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_in_order_when_asked_to(tmp_path: Path, by: signal.Signals) -> None:
    objects = Objects(WallClock())
    prepare(objects, [])
    async with ApiServer(Api(objects)) as server, Service(write_config(tmp_path, server.url, _RULES)) as service:
        await service.until_ready()
        began = time.monotonic()
        status = await service.end(by)
        took = time.monotonic() - began

    assert status == 0
    assert took < 20
    assert '"message": "draining"' in service.said.read_text()
    assert "Traceback" not in service.said.read_text()


async def test_it_ends_in_order_while_its_cluster_is_away(tmp_path: Path) -> None:
    async with Service(write_config(tmp_path, _NOBODY, _RULES)) as service:
        assert await service.end(signal.SIGTERM) == 0


async def test_a_second_process_on_the_same_store_is_refused(tmp_path: Path) -> None:
    config = write_config(tmp_path, _NOBODY, _RULES)
    async with Service(config) as service:
        status, _, error = await _run("serve", "--config", str(config))

        assert status == 4
        assert "in use by another responder" in error
        assert str(tmp_path / "responder.db") in error
        assert (await service.get("/healthz")) == {"status": "ok"}  # the first one goes on


async def test_serve_with_a_bad_configuration_names_each_place(tmp_path: Path) -> None:
    config = tmp_path / "responder.yaml"
    config.write_text("listen:\n  port: eighty\nretenton: {}\n", encoding="utf-8")

    status, out, error = await _run("serve", "--config", str(config))

    assert status == 2
    assert f"{config}:2:9: " in error
    assert f"{config}:3:1: " in error
    assert "retention" in error  # what would be right
    assert out == ""


async def test_serve_with_bad_rules_names_their_place(tmp_path: Path) -> None:
    config = write_config(
        tmp_path, _NOBODY, "version: 1\nrules:\n  - name: x\n    when: {category: deadlok}\n    do: [{alert: {}}]\n"
    )

    status, _, error = await _run("serve", "--config", str(config))

    assert status == 2
    assert "rules.yaml:4:22: " in error
    assert "deadlock" in error


async def test_serve_without_its_configuration_says_so(tmp_path: Path) -> None:
    status, _, error = await _run("serve", "--config", str(tmp_path / "absent.yaml"))

    assert status == 2
    assert "absent.yaml" in error
    assert "Traceback" not in error


async def test_check_names_every_error_of_every_file(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("listen: [1, 2\n", encoding="utf-8")
    rules = tmp_path / "rules.yaml"
    rules.write_text("version: 1\nrules:\n  - name: x\n    do: [{resinc: {}}]\n", encoding="utf-8")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\x00\xff\xfe\x01" * 64)

    status, out, error = await _run("check", str(broken), str(rules), str(binary), str(tmp_path / "absent.yaml"))

    assert status == 2
    lines = error.splitlines()
    for file in (broken, rules, binary, tmp_path / "absent.yaml"):
        assert any(line.startswith(str(file)) for line in lines), error
    assert "resync" in error
    assert "Traceback" not in error
    assert out == ""


async def test_check_of_what_we_ship_finds_nothing() -> None:
    status, out, error = await _run("check", "config/rules.yaml")

    assert (status, error) == (0, "")
    assert "no errors" in out


async def test_with_a_lease_a_second_process_waits_and_takes_over_when_the_first_is_killed(tmp_path: Path) -> None:
    objects = Objects(WallClock())
    prepare(objects, [])
    async with ApiServer(Api(objects)) as server:
        config = write_config(tmp_path, server.url, _RULES, lease={"enabled": True, "lasts": "3s"})
        async with Service(config) as first:
            await first.until_ready()
            holder = objects.get("Lease", "hook-responder", "hook-responder")["spec"]["holderIdentity"]
            second = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "responder", "serve", "--config", str(config), stdout=asyncio.subprocess.PIPE
            )
            waits = await _said(second, "waiting for the Lease")
            assert await _status(f"{waits}/healthz") == 200
            assert await _status(f"{waits}/readyz") == 503
            await first.kill()

            serves = await _said(second, "serving")
            assert await _status(f"{serves}/healthz") == 200
            lease = objects.get("Lease", "hook-responder", "hook-responder")["spec"]
            assert lease["holderIdentity"] not in ("", holder)
            objects.delete("Lease", "hook-responder", "hook-responder")  # as if another had taken it

            assert await second.wait() == 4


async def _said(process: asyncio.subprocess.Process, message: str) -> str:
    """The address in that line of its log."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        while line := await process.stdout.readline():
            told = json.loads(line)
            if told["message"] == message:
                return str(told["url"])
    raise AssertionError(f"it ended without saying {message!r}")


async def _status(url: str) -> int:
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return answer.status
