import asyncio
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
SKIPS_ONE = """
import pytest

def test_runs():
    assert True

@pytest.mark.skip(reason="no database here")
def test_skips():
    assert False
"""


def run_in_ci(folder: Path, listed: str, *, ci: str = "true") -> "subprocess.CompletedProcess[str]":
    shutil.copy(TESTS / "conftest.py", folder)
    (folder / "skips.txt").write_text(listed)
    (folder / "test_it.py").write_text(SKIPS_ONE)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), "."],
        cwd=folder,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_a_skip_that_is_not_listed_fails_the_run_in_ci_and_names_the_test(tmp_path: Path) -> None:
    run = run_in_ci(tmp_path, "")
    assert run.returncode == 1
    assert "not in tests/skips.txt: test_it.py::test_skips" in run.stdout


def test_a_listed_skip_passes_but_not_without_its_reason(tmp_path: Path) -> None:
    assert run_in_ci(tmp_path, "test_it.py::test_skips # needs a database\n").returncode == 0
    assert run_in_ci(tmp_path, "test_it.py::test_skips\n").returncode == 1


def test_outside_ci_a_skip_is_told_and_no_failure(tmp_path: Path) -> None:
    run = run_in_ci(tmp_path, "", ci="")
    assert run.returncode == 0
    assert "not in tests/skips.txt" in run.stdout


async def test_traffic_to_another_machine_is_refused_before_it_leaves() -> None:
    # 192.0.2.1 is set apart for documentation: nobody has it
    with pytest.raises(Exception, match="loopback only"):
        await asyncio.open_connection("192.0.2.1", 80)
    with pytest.raises(Exception, match="loopback only"):
        socket.getaddrinfo("example.com", 443)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out, pytest.raises(Exception, match="loopback only"):
        out.sendto(b"x", ("192.0.2.1", 9))
    with socket.socket() as server, pytest.raises(Exception, match="loopback only"):
        server.bind(("0.0.0.0", 0))  # noqa: S104  # that it is refused is the point


async def test_loopback_is_free() -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    reader, writer = await asyncio.open_connection(host, port)
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
