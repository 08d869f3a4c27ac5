"""The rules in force over API and page; why each did or did not decide."""

import re

import msgspec
import pytest

from responder.configured import InForce
from responder.core.actions import Mode
from responder.core.demoting import Demotion, version_of
from responder.loading import put_demotion
from tests.contract.store.examples import NIGHT
from tests.unit.web.world import CORPUS, Client, World, served

PARTIAL = (CORPUS / "laravel__mariadb__partial-ddl.log").read_text(encoding="utf-8")
REFUSED = (CORPUS / "dbmate__postgres__conn-refused.log").read_text(encoding="utf-8")


def text(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


async def test_rules_are_listed_with_what_each_came_to(client: Client, world: World) -> None:
    incident = await world.fail(PARTIAL)
    told = await (await client.get("/v1/rules")).json()
    half, away = told["rules"]
    assert tuple(half[name] for name in ("name", "mode", "matched", "done", "denied")) == (
        "half applied",
        "shadow",
        1,
        1,
        1,
    )
    assert half["conditions"] == ["state_left partial or dirty or locked"]
    assert half["actions"] == ["stop-retries", "block environments *", "alert critical"]
    assert half["last_incident"] == incident.id
    assert (away["name"], away["mode"], away["matched"], away["last_at"]) == (
        "the database was away",
        "approve",
        0,
        None,
    )
    assert told["incidents"] == 1


async def test_the_page_says_which_file_since_when_and_what_was_refused(world: World) -> None:
    in_force = InForce(
        rules_file="/etc/responder/rules.yaml", loaded_at=NIGHT, problems=("/etc/responder/rules.yaml:4:2: no",)
    )
    async with served(world.faces(in_force=lambda: in_force)) as client:
        page = text(await (await client.get("/rules")).text())
        ready = await client.get("/readyz")
        assert ready.status == 200
        assert (await ready.json())["configuration"] == {
            "rules_file": "/etc/responder/rules.yaml",
            "loaded_at": "2026-11-21T03:00:00Z",
            "trouble": "a changed configuration was refused, the one before stays in force: "
            "/etc/responder/rules.yaml:4:2: no",
        }
        assert "was refused" in text(await (await client.get("/health")).text())
    assert "/etc/responder/rules.yaml , in force since 03:00:00 UTC, just now" in page
    assert "The file was changed and refused; what stood there before stays in force." in page
    assert "/etc/responder/rules.yaml:4:2: no" in page


async def test_a_rule_that_left_the_file_is_remembered(client: Client, world: World) -> None:
    await world.fail(PARTIAL)
    rulebook = msgspec.structs.replace(world.rules.rulebook, rules=world.rules.rulebook.rules[1:])
    world.rules = msgspec.structs.replace(world.rules, rulebook=rulebook)
    page = text(await (await client.get("/rules")).text())
    assert "half applied not in the file any more Matched 1" in page


async def test_an_incident_is_explained_rule_by_rule(client: Client, world: World) -> None:
    incident = await world.fail(REFUSED)
    told = await (await client.get(f"/v1/incidents/{incident.id}/rules")).json()
    assert told["facts"]["category"] == "connection-refused"
    half, away = told["rules"]
    assert (half["says"], away["says"]) == ("does not hold", "decides")
    assert half["conditions"] == [{"condition": "state_left partial or dirty or locked", "seen": "none", "held": False}]
    resync, alert = away["actions"]
    assert (resync["action"], resync["recorded"], resync["decision"]["rule"]) == (
        "resync",
        True,
        "the database was away",
    )
    assert {g["guard"] for g in resync["decision"]["verdict"]["guards"]} >= {"killswitch", "budget", "idempotent"}
    assert (alert["action"], alert["decision"]) == ("alert", None)


async def test_its_page_shows_the_same(client: Client, world: World) -> None:
    incident = await world.fail(REFUSED)
    page = text(await (await client.get(f"/incidents/{incident.id}")).text())
    rules = page[page.index("Rules as they are now") :]
    assert "half applied does not hold" in rules
    assert "state_left partial or dirty or locked it is none" in rules
    assert "stop-retries shadow denied were it to decide now" in rules
    assert "the database was away decides" in rules
    assert "killswitch the kill switch is released" in rules


async def test_a_rule_that_was_set_to_shadow_is_released_by_an_operator(client: Client, world: World) -> None:
    _, away = world.rules.rulebook.rules
    held = Demotion(away.name, version_of(away), NIGHT, 5, 4)
    await world.store.commit(put_demotion(held))
    await world.reconciler.loader.start()
    (_, told) = (await (await client.get("/v1/rules")).json())["rules"]
    assert told["demoted"] == "rule 'the database was away' was set to shadow: 4 of its 5 resyncs of a day failed"
    assert "Let it act again" in text(await (await client.get("/rules")).text())

    where = "/v1/rules/the%20database%20was%20away/release"
    released = await client.post(where, json={"why": "it was upgraded"})
    assert (released.status, (await released.json())["released_by"]) == (200, "ana")
    (_, told) = (await (await client.get("/v1/rules")).json())["rules"]
    assert told["demoted"] is None
    assert (await client.post(where, json={})).status == 404


async def test_nothing_is_explained_of_what_does_not_exist(client: Client) -> None:
    assert (await client.get("/v1/incidents/nobody/rules")).status == 404


@pytest.mark.parametrize("path", ["/rules", "/v1/rules", "/v1/incidents/x/rules"])
async def test_who_asks_has_a_name(stranger: Client, path: str) -> None:
    assert (await stranger.get(path, allow_redirects=False)).status in (302, 303, 401)


async def test_a_rule_in_shadow_leaves_what_it_would_have_done(client: Client, world: World) -> None:
    first, *others = world.rules.rulebook.rules
    shadow = msgspec.structs.replace(first, mode=Mode.SHADOW, own_mode=Mode.SHADOW)
    rulebook = msgspec.structs.replace(world.rules.rulebook, rules=(shadow, *others))
    world.rules = msgspec.structs.replace(world.rules, rulebook=rulebook)
    incident = await world.fail(PARTIAL)
    told = {d.action.value: [r.guard for r in d.verdict.reasons if not r.passed] for d in incident.decisions}
    assert told["block"] == told["alert"] == ["mode"]
    assert incident.alerts == ()
    assert world.reconciler.loader.blocks == {}
    (half, _) = (await (await client.get("/v1/rules")).json())["rules"]
    assert (half["matched"], half["done"], half["would_have"]) == (1, 0, 2)
    sample = {"rule": "half applied", "mode": "shadow"}
    assert world.metrics.registry.get_sample_value("responder_rule_matches_total", sample) == 1
