"""In which order a recording is played: what a container wrote is there before anybody is told that it has ended."""

import json
from pathlib import Path
from typing import Any

import pytest

from responder.demo.recording import Happening, Order, RecordingError, read_recording

RUNNING: dict[str, Any] = {"running": {}}
TERMINATED = {"terminated": {"exitCode": 1}}


def pod(second: float, *states: dict[str, Any], restarts: int = 0) -> dict[str, Any]:
    statuses = [{"name": "migrate", "restartCount": restarts, "state": state} for state in states]
    meta = {"name": "db-1", "namespace": "shop", "uid": "pod-1"}
    return {
        "t": at(second),
        "type": "MODIFIED",
        "object": {"metadata": meta, "status": {"containerStatuses": statuses}},
    }


def log(begun: float, *lines: tuple[float, str], restart: int = 0) -> dict[str, Any]:
    text = "".join(f"{at(second)} {said}\n" for second, said in lines)
    whose = {"pod": "db-1", "container": "migrate", "restart": restart}
    return {"t": at(begun), **whose, "text": text, "status": 200, "ended": at(begun + 1)}


def at(second: float) -> str:
    return f"2026-11-21T03:00:{second:06.3f}Z"


def played(folder: Path, pods: list[dict[str, Any]], *logs: dict[str, Any]) -> list[str]:
    """Each Pod by what it says, each line, the end of a log."""
    (folder / "logs").mkdir()
    write(folder / "applications.jsonl", [])
    write(folder / "pods.jsonl", pods)
    write(folder / "logs" / "followed.jsonl", list(logs))
    return [name_of(happening) for happening in read_recording(folder)]


def write(file: Path, rows: list[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def name_of(happening: Happening) -> str:
    match happening.order:
        case Order.OBJECT:
            [status] = happening.object["status"]["containerStatuses"]
            return f"{next(iter(status['state']))} {status['restartCount']}"
        case Order.LINE:
            return happening.text.decode().strip()
        case _:
            return "end"


def test_lines_come_when_they_were_written(tmp_path: Path) -> None:
    found = played(tmp_path, [pod(1, RUNNING), pod(5, TERMINATED)], log(1.1, (2, "a"), (3, "b")))
    assert found == ["running 0", "a", "b", "end", "terminated 0"]


def test_whoever_began_to_read_after_the_end_read_what_was_there_before(tmp_path: Path) -> None:
    """Both states came at once, and the reader a moment later: so it is on a machine with much to do."""
    found = played(tmp_path, [pod(2, RUNNING), pod(2, TERMINATED)], log(2.03, (1.9, "a"), (1.95, "b")))
    assert found == ["running 0", "a", "b", "terminated 0", "end"]


def test_a_container_that_was_never_seen_to_run_wrote_all_the_same(tmp_path: Path) -> None:
    assert played(tmp_path, [pod(2, TERMINATED)], log(2.1, (1.9, "a"))) == ["a", "terminated 0", "end"]


def test_each_run_has_its_own_lines(tmp_path: Path) -> None:
    pods = [pod(1, RUNNING), pod(4, RUNNING, restarts=1), pod(6, TERMINATED, restarts=1)]
    found = played(tmp_path, pods, log(1.1, (4.2, "a")), log(4.1, (5, "b"), restart=1))
    assert found == ["running 0", "a", "running 1", "end", "b", "end", "terminated 1"]


def test_a_log_that_was_read_again_after_a_broken_connection_is_one(tmp_path: Path) -> None:
    first, again = log(1.1, (2, "a")), log(3, (2, "a"), (3.5, "b"), (3.5, "b"))
    assert played(tmp_path, [pod(1, RUNNING)], first, again) == ["running 0", "a", "b", "b", "end"]


def test_a_terminal_s_ways_to_end_a_line_are_text(tmp_path: Path) -> None:
    printed = {**log(1.1), "text": f"{at(2)} 10 %\r20 %\x0c\n{at(2)} not done"}
    assert played(tmp_path, [pod(1, RUNNING)], printed) == ["running 0", "10 %\r20 %", "not done", "end"]


def test_what_is_no_stamp_is_told(tmp_path: Path) -> None:
    broken = {**log(1.1), "text": "unable to retrieve container logs\n"}
    with pytest.raises(RecordingError, match="is no time stamp of a log line"):
        played(tmp_path, [pod(1, RUNNING)], broken)
