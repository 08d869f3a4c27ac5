"""`responder demo` as people run it, in this process."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from responder.core.replaying import replay, world_of
from responder.core.rulesfile import parse_rules
from responder.core.situation import Policy
from responder.core.toldpast import past_of
from responder.demo.expected import PAGES, differences, expectations
from responder.demo.resources import Json
from responder.demo.shelf import Change
from responder.demo.show import run_demo
from tests.unit.demo.plays import FAILS, Stage, in_turn

DEMO = Path(run_demo.__code__.co_filename).parent
FILES = {"Application": "applications", "Job": "jobs", "Pod": "pods", "Event": "events"}


def demo(*, once: bool = True, as_json: bool = False, replay: Path | None = None, port: int = 0) -> int:
    return run_demo(once=once, as_json=as_json, replay=replay, port=port)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """One failing hook of the model, written down as a recording of a real cluster is."""
    stage = Stage(in_turn(FAILS))
    rows: dict[str, list[str]] = {name: [] for name in FILES.values()}

    def write(change: Change) -> None:
        if change.kind in FILES:
            row = {"t": stage.clock.now().isoformat(), "type": change.type, "object": change.object}
            rows[FILES[change.kind]].append(json.dumps(row))

    stage.world.objects.subscribe(write)
    stage.deploy()
    stage.sync()
    stage.advance(5)
    for name, lines in rows.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "followed.jsonl").write_text(_log_of(stage), encoding="utf-8")
    return tmp_path


def _log_of(stage: Stage) -> str:
    (pod,) = stage.world.objects.list("Pod", "shop")
    name = pod["metadata"]["name"]
    lines = stage.world.objects.logs.run(("shop", name, "migrate", 0)).lines
    text = "".join(f"{line.stamp} {line.data.decode()}" for line in lines)
    row = {"t": lines[0].stamp, "pod": name, "container": "migrate", "restart": 0, "text": text}
    return json.dumps({**row, "ended": stage.clock.now().isoformat()})


def test_once_plays_the_story_and_finds_what_must_come_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo() == 0
    said = capsys.readouterr().out
    assert "verified: all of this is what must come of it" in said
    assert "stop-retries allowed by rule 'half applied': succeeded" in said
    assert "\x1b" not in said  # no terminal, no colours


def test_json_is_incidents_upon_which_its_rules_would_decide_the_same_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo(as_json=True) == 0
    incidents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {i["schema"] for i in incidents} == {1}
    names = {i["application"]["name"] for i in incidents if not i["children"]}
    assert names == {expected.application for expected in expectations()}

    pasts = [past for past in map(past_of, incidents) if past.incident.app_uid]
    rulebook = parse_rules((DEMO / "rules.yaml").read_text(encoding="utf-8"), "rules.yaml", None)
    again = replay([[(past, world_of(past, told=True)) for past in pasts]], rulebook, Policy())
    assert [line for row in again.differing for line in (str(row.past.incident.app), *row.difference)] == []


def test_a_recording_is_played_read_only(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo(as_json=True, replay=recording) == 0
    (incident,) = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    (attempt,) = incident["operations"][0]["attempts"]
    assert incident["state"] == "firing"
    assert attempt["hooks"][0]["pods"][0]["containers"][0]["log"]["lines"] == 2


def test_a_folder_that_is_no_recording_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo(as_json=True, replay=tmp_path / "nowhere") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "is no recording: it has no applications.jsonl" in said.err


def test_a_port_that_is_taken_is_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert demo(once=False, port=other.getsockname()[1]) == 2
    assert "take another one by --port" in capsys.readouterr().err


# What is verified can be found wrong


def _incident(**changes: Any) -> Json:
    name = changes.pop("application", "search-production")
    base: Json = {
        "id": "i",
        "state": "firing",
        "application": {"name": name},
        "diagnosis": {"category": "missing-object", "retry": "futile", "state_left": "none"},
        "operations": [{"gaps": [], "attempts": [{"hooks": []}]}],
        "decisions": [],
        "parent": None,
        "children": [],
    }
    return {**base, **changes}


def test_a_difference_names_the_application_and_what_it_should_have_been() -> None:
    unsafe = {"category": "missing-object", "retry": "unsafe", "state_left": "none"}
    wrong = differences([_incident(diagnosis=unsafe)], {}, {})
    assert "search-production: retry: 'unsafe' instead of 'futile'" in wrong
    assert "search-production: page: '' instead of 'warning'" in wrong
    assert "billing-staging: no incident" in wrong
    assert "0 common causes instead of 1" in wrong
    assert f"0 pages instead of {PAGES}" in wrong
    assert "gate for billing in production: None instead of failure" in wrong


def test_an_incident_that_nobody_expected_is_a_difference() -> None:
    assert "ghost: an incident that nobody expected" in differences([_incident(application="ghost")], {}, {})


def test_a_log_that_was_not_read_to_its_end_is_a_difference() -> None:
    container = {"started_at": "2026-11-21T03:00:00Z", "log": {"lines": 3, "complete": False, "dropped": 0}}
    hooks = [{"pods": [{"containers": [container]}]}]
    operations = [{"gaps": [], "attempts": [{"hooks": hooks}]}]
    wrong = differences([_incident(operations=operations)], {}, {})
    assert "search-production: containers without their whole log: 1 instead of 0" in wrong
