"""``responder rules replay`` and ``explain``, over a store, a served application and a recording."""

import asyncio
import io
import json
import sys
from pathlib import Path

import pytest
from aiohttp import web

from responder.cli import build_parser
from responder.ruling import run_explain
from responder.store.sqlite import SqliteStore
from tests.contract.store.examples import StandingClock
from tests.unit.answering import answering, run
from tests.unit.web.world import CORPUS, OPERATOR, RULES, World, served

NEW = """\
version: 1
rules:
  - name: anything that stays
    when: {state_left: {not: none}}
    do: [{block: {environments: [production]}}, {annotate: {}}]
"""
RECORDING = Path(__file__).parents[1] / "recordings" / "s03-fail-hookfailed-policy"
LONG = "36500d"  # the world of these tests stands in its own night


class Closed(io.StringIO):
    def write(self, _: str) -> int:
        raise BrokenPipeError

    def writelines(self, _: object) -> None:
        raise BrokenPipeError


async def half_applied(world: World) -> str:
    return (await world.fail((CORPUS / "laravel__mariadb__partial-ddl.log").read_text(encoding="utf-8"))).id


@pytest.fixture
def new_rules(tmp_path: Path) -> Path:
    file = tmp_path / "new.yaml"
    file.write_text(NEW)
    return file


@pytest.fixture
async def kept(tmp_path: Path) -> tuple[Path, str]:
    """A configuration whose store has one incident, and its id."""
    clock = StandingClock()
    async with await SqliteStore.open(tmp_path / "responder.db", clock=clock) as store:
        identity = await half_applied(World(store, clock))
    (tmp_path / "rules.yaml").write_text(RULES)
    config = tmp_path / "responder.yaml"
    config.write_text(f"store: {{url: 'sqlite://{tmp_path}/responder.db'}}\nrules: rules.yaml\n")
    return config, identity


async def test_a_store_is_replayed_without_being_written(
    kept: tuple[Path, str], new_rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, identity = kept
    assert await run("rules", "replay", str(new_rules), "--config", str(config), "--since", LONG) == 0
    table, _, differences = capsys.readouterr().out.partition("\n\n")
    assert [line.split("  ")[0] for line in table.splitlines()] == ["rule", "anything that stays", "half applied"]
    assert table.splitlines()[1].split()[3:] == ["1", "1", "-", "1", "-", "-", "-", "-", "-"]
    found, _, assumed = differences.partition("\n\nPlayed in the order of time")
    assert found.splitlines() == [
        "1 incidents, 1 would have gone otherwise",
        "",
        f"{identity}  2026-11-21 03:00  argocd/orders  constraint-violation",
        "  - alert critical done",
        "  + alert warning done",
        "  + annotate shadow (anything that stays)",
    ]
    assert "\n  - a person approves what was approved then, " in assumed


async def test_the_rules_that_decided_would_decide_the_same(
    kept: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, _ = kept
    assert await run("rules", "replay", str(tmp_path / "rules.yaml"), "--config", str(config), "--since", LONG) == 0
    assert "\n1 incidents, 0 would have gone otherwise\n" in capsys.readouterr().out


async def test_older_incidents_are_left_out(
    kept: tuple[Path, str], new_rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, _ = kept
    assert await run("rules", "replay", str(new_rules), "--config", str(config), "--since", "1ms") == 0
    assert "\n0 incidents, 0 would have gone otherwise\n" in capsys.readouterr().out


async def test_one_object_an_incident_and_one_a_rule(
    kept: tuple[Path, str], new_rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, identity = kept
    await run("rules", "replay", str(new_rules), "--config", str(config), "--since", LONG, "--json")
    incident, rule, *old, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert (incident["incident"], incident["matched"], incident["differs"]) == (identity, ["anything that stays"], True)
    assert {"rule": "anything that stays", "what": "annotate", "how": "shadow"} in incident["would"]
    assert (rule["rule"], rule["matched"], rule["would"]["done"]) == ("anything that stays", 1, 1)
    assert [line["rule"] for line in old] == ["half applied"]
    assert all(isinstance(line, str) for line in last["assumed"])


async def test_a_recording_is_replayed_where_nobody_responded(
    new_rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run("rules", "replay", str(new_rules), "--recording", str(RECORDING)) == 0
    told = capsys.readouterr().out
    assert "\n1 incidents, 1 would have gone otherwise\n" in told
    assert "argocd/s03-fail-hookfailed-policy  already-exists\n" in told


async def test_a_service_is_asked_by_its_api(
    tmp_path: Path, new_rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "token"
    token.write_text(OPERATOR)
    clock = StandingClock()
    async with await SqliteStore.open(tmp_path / "responder.db", clock=clock) as store:
        world = World(store, clock)
        identity = await half_applied(world)
        async with served(world.faces(), token="") as client:
            server = ("--server", str(client.make_url("")), "--token-file", str(token))
            assert await run("rules", "replay", str(new_rules), "--since", LONG, "--json", *server) == 0
            assert json.loads(capsys.readouterr().out.splitlines()[0])["matched"] == ["anything that stays"]
            assert await run("rules", "explain", identity, *server) == 0
            told = capsys.readouterr().out
            assert "* half applied (line 4): decides\n" in told
            assert "    stop-retries (shadow): denied\n" in told
            assert await run("rules", "explain", "nobody", *server) == 2
            assert "404 Not Found: there is no incident nobody" in capsys.readouterr().err


@pytest.mark.parametrize("body", ["[]", "{}", '{"incidents": [{}]}', '{"facts": {}, "rules": [1], "incident": ""}'])
async def test_a_server_that_is_no_responder_could_not_be_asked(
    body: str, new_rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=body)

    async with answering(answer) as server:
        assert await run("rules", "replay", str(new_rules), "--server", server) == 4
        assert await run("rules", "explain", "x", "--server", server) == 4
    assert capsys.readouterr().err.count(f"{server} does not answer like") == 2


async def test_a_reader_that_has_had_enough_is_no_fault_of_a_file(
    kept: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, identity = kept
    arguments = build_parser().parse_args(["rules", "explain", identity, "--config", str(config)])
    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(BrokenPipeError):  # `main` ends with the exit code of a broken pipe
        await asyncio.to_thread(run_explain, arguments)


async def test_a_store_explains_what_was_recorded(kept: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    config, identity = kept
    assert await run("rules", "explain", identity, "--config", str(config)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "* half applied (line 4): decides" in lines
    assert "    + state_left partial or dirty or locked: it is partial" in lines
    assert "    block (live): allowed" in lines
    assert "  the database was away (line 7): does not hold" in lines
    assert not any("were it to decide now" in line for line in lines)


async def test_what_is_not_there_is_told(
    kept: tuple[Path, str], new_rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, _ = kept
    assert await run("rules", "explain", "nobody", "--config", str(config)) == 2
    assert "there is no incident nobody that was decided upon" in capsys.readouterr().err
    assert await run("rules", "replay", str(new_rules), "--config", str(config), "--since", "soon") == 2
    assert "no duration: write it like 30s" in capsys.readouterr().err
    assert await run("rules", "replay", str(new_rules), "--recording", "/nowhere") == 2
    (config.parent / "responder.db").unlink()
    assert await run("rules", "replay", str(new_rules), "--config", str(config)) == 4
    assert "there is no store here" in capsys.readouterr().err
