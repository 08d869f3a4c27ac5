"""Commands that ask, against the real web application and made-up answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from responder.cli import main
from responder.core.actions import Mode
from responder.core.demoting import Demotion, version_of
from responder.core.rules import Rule
from responder.loading import put_demotion
from responder.store.sqlite import SqliteStore
from tests.contract.store.examples import NIGHT, ORDERS, StandingClock, after
from tests.unit.answering import SUBJECT, answering, run
from tests.unit.web.world import CORPUS, OPERATOR, REVISION, VIEWER, World, served

Ask = Callable[..., Awaitable[int]]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = StandingClock()
    async with await SqliteStore.open(tmp_path / "responder.db", clock=clock) as store:
        yield World(store, clock)


@pytest.fixture
async def ask(world: World, tmp_path: Path) -> AsyncIterator[Ask]:
    """A command of an operator's, asked of the real application."""
    token = tmp_path / "token"
    token.write_text(f"{OPERATOR}\n")
    async with served(world.faces(), token="") as client:
        server = str(client.make_url(""))

        async def asked(*arguments: str, as_viewer: bool = False) -> int:
            if as_viewer:
                token.write_text(VIEWER)
            return await asyncio.to_thread(main, [*arguments, "--server", server, "--token-file", str(token)])

        yield asked


async def half_applied(world: World) -> str:
    log = (CORPUS / "laravel__mariadb__partial-ddl.log").read_text(encoding="utf-8")
    return (await world.fail(log)).id


async def refused_connection(world: World) -> str:
    log = (CORPUS / "dbmate__postgres__conn-refused.log").read_text(encoding="utf-8")
    return (await world.fail(log)).id


async def waiting_for_a_person(world: World) -> str:
    """An incident with a resync that every guard allows, and that its rule wants approved."""
    policy = msgspec.structs.replace(world.rules.policy, mode=Mode.LIVE)
    world.rules = msgspec.structs.replace(world.rules, policy=policy)
    incident = await refused_connection(world)
    await world.clock.sleep(120)
    await world.reconciler.step(ORDERS)
    return incident


async def set_to_shadow(world: World) -> Rule:
    rule = world.rules.rulebook.rules[1]
    await world.store.commit(put_demotion(Demotion(rule.name, version_of(rule), NIGHT, ended=5, failed=4)))
    await world.reconciler.loader.start()
    return rule


# incidents


async def test_incidents_are_listed_and_shown(ask: Ask, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    incident = await half_applied(world)
    assert await ask("incidents") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{incident}  2026-11-21T03:00:00Z  firing        argocd/orders  ")
    assert line.endswith("  retry unsafe  left partial")
    assert await ask("incidents", "show", incident) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{incident}  firing  argocd/orders\n  PreSync Job ")
    assert "\n  opened 2026-11-21T03:00:00Z, owner platform\n  cause: constraint-violation (certain), laravel" in shown
    assert "\n  impact: the version before still serves" in shown
    assert "\n  now: " in shown.partition("\n  stop-retries (")[0]
    assert "\n  likely with: app team\n" in shown
    assert "\n  retry unsafe: " in shown
    assert "\n  left behind: partial: " in shown


async def test_lists_are_filtered_and_end_where_the_reader_says(
    ask: Ask, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await half_applied(world)
    assert await ask("incidents", "list", "--state", "resolved") == 0
    assert await ask("incidents", "list", "--project", "billing") == 0
    assert await ask("incidents", "list", "--limit", "0") == 0
    assert capsys.readouterr().out == ""
    assert await ask("incidents", "list", "--json", "--state", "firing", "--application", "argocd/orders") == 0
    assert json.loads(capsys.readouterr().out)["application"]["name"] == "orders"
    assert await ask("incidents", "list", "--state", "burning") == 2


async def test_long_lists_are_read_page_after_page(capsys: pytest.CaptureFixture[str]) -> None:
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.query["limit"], request.query.get("cursor", "")))
        at = int(request.query.get("cursor", "0"))
        page = [{"id": f"i{n}"} for n in range(at, at + int(request.query["limit"]))]
        return web.json_response({"incidents": [summary(i["id"]) for i in page], "next_cursor": str(at + len(page))})

    async with answering(answer) as server:
        assert await run("incidents", "list", "--limit", "450", "--server", server) == 0
    assert asked == [("200", ""), ("200", "200"), ("50", "400")]
    assert len(capsys.readouterr().out.splitlines()) == 450


def summary(incident: str) -> dict[str, object]:
    app = {"namespace": "argocd", "name": "orders"}
    unknown = {"category": None, "retry": None, "state_left": None}
    return {"id": incident, "opened_at": "2026-11-21T03:00:00Z", "state": "firing", "application": app, **unknown}


async def test_an_export_has_the_incident_and_its_logs_and_no_secret(
    ask: Ask, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    incident = await refused_connection(world)
    assert await ask("incidents", "export", incident) == 0
    case = json.loads(capsys.readouterr().out)
    assert (case["schema"], case["incident"]["id"]) == (1, incident)
    container = case["incident"]["operations"][0]["attempts"][0]["hooks"][0]["pods"][0]["containers"][0]
    kept = case["logs"][container["log"]["href"]]
    assert len(kept) == container["log"]["lines"]
    assert [line["number"] for line in kept] == list(range(1, len(kept) + 1))


async def test_a_container_that_printed_nothing_is_exported_too(
    ask: Ask, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    incident = await world.fail("")
    assert await ask("incidents", "export", incident.id) == 0
    assert list(json.loads(capsys.readouterr().out)["logs"].values()) == [[]]


async def test_an_incident_whose_logs_are_forgotten_by_now_is_exported_without_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path.startswith("/v1/logs/"):
            forgotten = {"title": "Not Found", "detail": "no log p/migrate/0 is kept"}
            return web.json_response(forgotten, status=404, content_type="application/problem+json")
        log = {"href": "/v1/logs/p/migrate/0", "lines": 12}
        return web.json_response({"id": "i1", "operations": [{"containers": [{"log": log}]}]})

    async with answering(answer) as server:
        assert await run("incidents", "export", "i1", "--server", server) == 0
    assert json.loads(capsys.readouterr().out)["logs"] == {"/v1/logs/p/migrate/0": []}


async def test_an_unknown_incident_is_said_to_be_one(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    assert await ask("incidents", "show", "../blocks") == 2
    assert capsys.readouterr().err == "404 Not Found: there is no incident ../blocks\n"


async def test_a_wrong_token_is_told_and_never_shown(
    ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text("wrong-token")
    assert await ask("incidents") == 4
    told = capsys.readouterr().err
    assert told.startswith("401 Unauthorized: a token is needed")
    assert "wrong-token" not in told


# the gate


async def test_the_gate_says_no_where_something_was_left_behind(
    ask: Ask, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await half_applied(world)
    assert await ask("gate", "--namespace", "argocd", "--application", "orders", "--revision", REVISION) == 1
    assert capsys.readouterr().out.startswith("failure: ")


async def test_the_gate_is_pending_for_what_nobody_knows(
    ask: Ask, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await ask("gate", *SUBJECT, "--json") == 3
    assert json.loads(capsys.readouterr().out)["result"] == "pending"
    assert 'responder_gate_requests_total{result="pending"} 1.0' in world.metrics.render().decode()


async def test_a_question_that_is_none_is_bad_input_and_is_not_asked_again(
    ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await ask("gate", "--wait", "--fail-open", "--service", "shop") == 2
    assert capsys.readouterr().out.startswith("could not ask: 400 Bad Request: name either service and environment")


async def gate_of(results: list[str], *arguments: str) -> int:
    """The exit code where a gate answers these in turn; the last one again and again."""

    async def answer(_request: web.Request) -> web.Response:
        result = results.pop(0) if len(results) > 1 else results[0]
        if result.isdigit():
            return web.json_response({"detail": "the store is away"}, status=int(result))
        return web.json_response({"result": result, "reason": "because"})

    async with answering(answer) as server:
        return await run("gate", *SUBJECT, "--server", server, *arguments)


@pytest.mark.parametrize(
    ("results", "code"),
    [(["success"], 0), (["failure"], 1), (["pending"], 3), (["503"], 4), (["401"], 4), (["400"], 2), (["perhaps"], 4)],
)
async def test_each_answer_has_its_exit_code(results: list[str], code: int) -> None:
    assert await gate_of(results) == code


@pytest.mark.parametrize(
    ("results", "code"),
    [
        (["pending", "503", "success"], 0),
        (["503", "pending", "failure"], 1),
        (["429", "success"], 0),
        (["pending", "401", "success"], 4),
    ],
)
async def test_waiting_asks_until_there_is_an_answer_or_a_refusal(results: list[str], code: int) -> None:
    assert await gate_of(results, "--wait", "1") == code


@pytest.mark.parametrize(("results", "code"), [(["pending"], 3), (["503"], 4)])
async def test_waiting_has_an_end(results: list[str], code: int) -> None:
    assert await gate_of(results, "--wait", "0.1") == code


@pytest.mark.parametrize(
    ("results", "code"), [(["503"], 0), (["pending"], 3), (["failure"], 1), (["401"], 4), (["302"], 4), (["400"], 2)]
)
async def test_it_opens_only_where_nobody_can_answer(results: list[str], code: int) -> None:
    assert await gate_of(results, "--fail-open") == code


async def test_a_server_cannot_write_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"result": "failure", "reason": "\x1b[2J all is well"})

    async with answering(answer) as server:
        assert await run("gate", *SUBJECT, "--server", server) == 1
    assert capsys.readouterr().out == "failure: \ufffd[2J all is well\n"


# blocks and decisions


async def test_a_service_is_held_back_by_name(ask: Ask, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    freeze = ("--why", "release freeze", "--environment", "production", "--for", "2h")
    assert await ask("blocks", "add", "shop/orders", *freeze) == 0
    (block,) = world.desk.blocks()
    assert capsys.readouterr().out == f"{block.id}: holds shop/orders\n"
    assert (block.service, block.environments, block.revisions) == ("shop/orders", ("production",), ())
    assert (block.reason, block.created_by, block.expires_at) == ("release freeze", "ana", after(120))
    assert await ask("blocks", "add", "shop/orders") == 2
    assert await ask("blocks", "add") == 2


async def test_a_block_is_listed_and_lifted_by_name(ask: Ask, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    await half_applied(world)
    assert await ask("blocks", "--json") == 0
    block = json.loads(capsys.readouterr().out)
    assert block["state_left"] == "partial"
    assert await ask("blocks") == 0
    assert capsys.readouterr().out.startswith(f"{block['id']}  {block['service']}  *  partial  ")
    assert await ask("blocks", "lift", block["id"], "--why", "table dropped by hand") == 0
    assert capsys.readouterr().out == f"{block['id']}: lifted\n"
    assert await ask("blocks") == 0
    assert capsys.readouterr().out == ""
    (entry,) = [e for e in await world.store.audit() if e.why == "table dropped by hand"]
    assert entry.who == "ana"


async def test_a_decision_is_approved_upon_the_evidence_that_was_seen(
    ask: Ask, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    incident = await waiting_for_a_person(world)
    assert await ask("incidents", "show", incident) == 0
    (command,) = [line.split() for line in capsys.readouterr().out.splitlines() if "decisions approve" in line]
    decision, evidence = command[3], command[5]
    assert await ask("decisions", "approve", decision, "--evidence", "an older one") == 1
    assert "the evidence changed since it was shown" in capsys.readouterr().err
    assert await ask("decisions", "approve", decision, "--evidence", evidence) == 0
    assert capsys.readouterr().out == f"{decision}: approved\n"


async def test_a_decision_can_be_declined(ask: Ask, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    incident = await waiting_for_a_person(world)
    assert await ask("incidents", "show", incident, "--json") == 0
    waiting = [d for d in json.loads(capsys.readouterr().out)["decisions"] if d["action"] == "resync"]
    assert await ask("decisions", "decline", waiting[0]["id"], "--json") == 0
    assert json.loads(capsys.readouterr().out)["declined_by"] == "ana"


async def test_no_rule_is_released_that_is_not_held_nor_by_a_viewer(
    ask: Ask, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = await set_to_shadow(world)
    assert await ask("rules", "release", "half applied") == 2
    assert "404 Not Found: rule 'half applied' was not set to shadow" in capsys.readouterr().err
    assert await ask("rules", "release", rule.name, as_viewer=True) == 4
    assert "403 Forbidden: grafana may look" in capsys.readouterr().err


async def test_a_rule_is_released_once_in_the_name_of_who_asks(
    ask: Ask, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = await set_to_shadow(world)
    assert await ask("rules", "release", rule.name, "--why", "the database was upgraded") == 0
    assert capsys.readouterr().out == "the database was away: acts again, as its file says\n"
    assert not world.reconciler.loader.demotions[rule.name].holds(rule)
    (entry,) = [e for e in await world.store.audit() if e.why == "the database was upgraded"]
    assert (entry.who, entry.what) == ("ana", "released rule 'the database was away'")
    assert await ask("rules", "release", rule.name) == 2


async def test_a_viewer_changes_nothing(ask: Ask, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    await half_applied(world)
    (block,) = world.desk.blocks()
    assert await ask("blocks", "lift", block.id, as_viewer=True) == 4
    assert "403 Forbidden: grafana may look" in capsys.readouterr().err
    assert world.desk.blocks() == [block]
