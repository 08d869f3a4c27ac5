"""``responder demo --replay DIR --once --json``: a recording in, its incidents out, and nothing else."""

import asyncio
import json
import sys
from pathlib import Path

from tests.replay.recorded import RECORDINGS, lasting, play


async def _replayed(folder: Path) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "responder", "demo", "--replay", str(folder), "--once", "--json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, error = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


async def test_it_prints_each_incident_as_the_api_gives_it() -> None:
    status, out, _ = await _replayed(RECORDINGS / "s05b-retry-dirty-version")

    assert status == 0
    assert lasting([json.loads(line) for line in out.splitlines()]) == lasting(
        (await play("s05b-retry-dirty-version")).incidents
    )


async def test_it_prints_nothing_where_nothing_failed() -> None:
    assert (await _replayed(RECORDINGS / "s01-success"))[:2] == (0, "")


async def test_a_folder_that_is_no_recording_is_told(tmp_path: Path) -> None:
    status, out, error = await _replayed(tmp_path)

    assert (status, out) == (2, "")
    assert f"{tmp_path} is no recording" in error
    assert "Traceback" not in error


async def test_a_recording_that_is_cut_off_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "applications.jsonl").write_text(
        '{"t": "2026-11-21T12:09:31Z", "type": "ADDED", "obj', encoding="utf-8"
    )

    status, out, error = await _replayed(tmp_path)

    assert (status, out) == (2, "")
    assert "applications.jsonl:1: " in error
