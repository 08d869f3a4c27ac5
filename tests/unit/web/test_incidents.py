from datetime import timedelta

import msgspec
import pytest

from responder.core.actions import ActionKind, Decision, Mode, Reason, Verdict, VerdictResult
from responder.core.argocd import AppKey
from responder.core.evidence import Gap, GapReason
from responder.core.failure import Category
from responder.core.incident import Incident, IncidentState
from responder.ports import PutIncident
from responder.store.sqlite import SqliteStore
from tests.contract.store.examples import BILLING, NIGHT, ORDERS, after, incident
from tests.unit.web.world import Client, World, redacted, served

HALF_APPLIED = "laravel__mariadb__partial-ddl.log"
REFUSED = "dbmate__postgres__conn-refused.log"


async def put(world: World, *incidents: Incident) -> None:
    await world.store.commit(*(PutIncident(i) for i in incidents))
    for one in incidents:
        world.reconciler.loader.keep(one)


async def ids(client: Client, query: str = "") -> list[str]:
    response = await client.get(f"/v1/incidents{query}")
    assert response.status == 200, await response.text()
    return [i["id"] for i in (await response.json())["incidents"]]


@pytest.fixture
async def three(world: World) -> World:
    """Newest last."""
    await put(
        world,
        incident("a", opened=1, category=Category.DNS_FAILURE),
        incident("b", opened=2, app=BILLING, project="finance", state=IncidentState.ACKNOWLEDGED),
        incident("c", opened=3, app=AppKey("team-a", "orders"), uid="uid-c", state=IncidentState.RESOLVED, resolved=4),
    )
    return world


# Listing.


@pytest.mark.usefixtures("three")
async def test_incidents_come_newest_first(client: Client) -> None:
    assert await ids(client) == ["c", "b", "a"]


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?state=firing", ["a"]),
        ("?state=firing&state=acknowledged", ["b", "a"]),
        ("?state=firing,resolved", ["c", "a"]),
        ("?project=finance", ["b"]),
        ("?category=dns-failure", ["a"]),
        ("?application=orders", ["a"]),  # a name alone is one in Argo CD's own namespace
        ("?application=team-a/orders", ["c"]),
        ("?application=nobody", []),
        ("?state=", ["c", "b", "a"]),
    ],
)
async def test_a_filter_keeps_what_fits(client: Client, query: str, expected: list[str]) -> None:
    assert await ids(client, query) == expected


@pytest.mark.usefixtures("three")
async def test_a_cursor_goes_on_where_the_page_ended(client: Client) -> None:
    first = await (await client.get("/v1/incidents?limit=2")).json()
    second = await (await client.get(f"/v1/incidents?limit=2&cursor={first['next_cursor']}")).json()

    assert [i["id"] for i in first["incidents"]] == ["c", "b"]
    assert [i["id"] for i in second["incidents"]] == ["a"]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("?state=open", "one of firing, acknowledged, resolved, superseded"),
        ("?category=bad-luck", "one of connection-refused, dns-failure"),
        ("?limit=0", "`int` >= 1"),
        ("?limit=many", "$.limit"),
        ("?limit=1000", "`int` <= 200"),
        ("?limit=1&limit=2", "given 2 times"),
        ("?colour=red", "unknown field `colour`: it knows application, category, cursor, limit, project, state"),
        ("?cursor=zzz", "the cursor is not one of ours"),
        ("?application=a/b/c", "namespace/name"),
        ("?application=/b", "namespace/name"),
    ],
)
async def test_a_question_that_is_not_understood_is_refused(client: Client, query: str, told: str) -> None:
    response = await client.get(f"/v1/incidents{query}")

    assert response.status == 400
    assert response.content_type == "application/problem+json"
    assert told in (await response.json())["detail"]


async def test_a_summary_says_what_a_list_needs(world: World, client: Client) -> None:
    opened = await world.fail(redacted(HALF_APPLIED))

    (found,) = (await (await client.get("/v1/incidents")).json())["incidents"]

    assert found["id"] == opened.id
    assert found["application"] == {"namespace": "argocd", "name": "orders", "project": "shop", "uid": "uid-orders"}
    assert (found["category"], found["retry"], found["state_left"]) == ("constraint-violation", "unsafe", "partial")
    assert found["migration"] == "2026_10_03_101500_invoices_and_unique_email"
    assert "ana@example.org" not in str(found)


# One incident.


async def test_an_incident_shows_its_attempts_with_the_way_to_their_logs(world: World, client: Client) -> None:
    opened = await world.fail(redacted(HALF_APPLIED), dropped=1200)

    found = await (await client.get(f"/v1/incidents/{opened.id}")).json()

    (operation,) = found["operations"]
    (attempt,) = operation["attempts"]
    (hook,) = attempt["hooks"]
    (container,) = hook["pods"][0]["containers"]
    assert (operation["operation_phase"], attempt["number"], hook["hook_phase"]) == ("Failed", 1, "Failed")
    assert container["exit_code"] == 1
    assert container["log"]["dropped"] == 1200
    assert container["log"]["href"] == "/v1/logs/pod-orders/migrate/0"
    assert hook["diagnosis"]["category"] == "constraint-violation"
    assert [d["receiver"] for d in found["deliveries"]] == ["pager"]
    assert {d["action"] for d in found["decisions"]} == {"stop-retries", "block"}


async def test_an_incident_is_shown_whole_while_its_application_cannot_be_seen(world: World, client: Client) -> None:
    opened = await world.fail(redacted(HALF_APPLIED))
    world.cluster.apps.clear()
    world.cluster.records.clear()
    world.cluster.runs.clear()

    found = await (await client.get(f"/v1/incidents/{opened.id}")).json()

    (hook,) = found["operations"][0]["attempts"][0]["hooks"]
    assert hook["pods"][0]["containers"][0]["log"]["href"] == "/v1/logs/pod-orders/migrate/0"


async def test_a_gap_is_shown_with_its_reason(world: World, client: Client) -> None:
    gap = Gap("db-migrate-x7k2p/migrate", GapReason.TTL, "the Pod was deleted before its log was read")
    opened = await world.fail(redacted(REFUSED), gaps=(gap,))

    found = await (await client.get(f"/v1/incidents/{opened.id}")).json()

    assert found["operations"][0]["gaps"] == [
        {"source": "db-migrate-x7k2p/migrate", "reason": "ttl", "detail": "the Pod was deleted before its log was read"}
    ]
    assert found["diagnosis"]["retry"] == "unknown"


async def test_an_unknown_incident_is_a_404(client: Client) -> None:
    response = await client.get("/v1/incidents/nothing")

    assert response.status == 404
    assert await response.json() == {"title": "Not Found", "status": 404, "detail": "there is no incident nothing"}


# What a person does.


async def test_acknowledging_carries_the_name_of_who_did(world: World, client: Client) -> None:
    opened = await world.fail(redacted(REFUSED))

    response = await client.post(f"/v1/incidents/{opened.id}/acknowledge", json={"why": "on it"})

    found = await response.json()
    assert (response.status, found["state"], found["acknowledged_by"]) == (200, "acknowledged", "ana")
    (entry, *_) = await world.store.audit(incident_id=opened.id)
    assert (entry.who, entry.what, entry.why) == ("ana", "acknowledged", "on it")


async def test_resolving_carries_the_name_and_the_reason(world: World, client: Client) -> None:
    opened = await world.fail(redacted(REFUSED))

    found = await (await client.post(f"/v1/incidents/{opened.id}/resolve", json={"why": "mended by hand"})).json()
    again = await client.post(f"/v1/incidents/{opened.id}/resolve")

    assert (found["state"], found["resolved_by"]) == ("resolved", "ana: mended by hand")
    assert again.status == 409
    assert "is resolved" in (await again.json())["detail"]


async def test_muting_lasts_as_long_as_was_said(world: World, client: Client) -> None:
    opened = await world.fail(redacted(REFUSED))

    found = await (await client.post(f"/v1/incidents/{opened.id}/mute", json={"for": "2h"})).json()
    until = await (
        await client.post(f"/v1/incidents/{opened.id}/mute", json={"until": "2026-11-21T05:00:00+01:00"})
    ).json()

    assert found["muted_until"] == "2026-11-21T05:00:00Z"
    assert until["muted_until"] == "2026-11-21T04:00:00Z"


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"for": "soon"},
        {"for": "0s"},
        {"for": "8d"},
        {"until": "2026-11-21T02:00:00Z"},
        {"until": "2026-11-21T05:00:00"},
        {"until": "tomorrow"},
        {"for": "1h", "until": "2026-11-21T05:00:00Z"},
        {"for": "1h", "who": "somebody else"},
    ],
)
async def test_muting_needs_a_moment_within_seven_days(world: World, client: Client, said: dict[str, str]) -> None:
    opened = await world.fail(redacted(REFUSED))

    response = await client.post(f"/v1/incidents/{opened.id}/mute", json=said)

    assert response.status == 422
    stored = await world.store.incident(opened.id)
    assert stored is not None
    assert stored.muted_until is None


@pytest.mark.parametrize(
    "deed", ["acknowledge", "resolve", "mute", "resync", "stop-retries", "terminate", "delete-hook"]
)
async def test_a_viewer_may_look_and_change_nothing(world: World, viewer: Client, deed: str) -> None:
    opened = await world.fail(redacted(REFUSED))

    response = await viewer.post(f"/v1/incidents/{opened.id}/{deed}", json={"for": "1h"} if deed == "mute" else {})

    assert response.status == 403
    assert await world.store.incident(opened.id) == opened


async def test_an_act_that_a_guard_denies_is_refused_with_every_reason(world: World, client: Client) -> None:
    """The policy of these tests is shadow: nothing is done on the cluster, whoever orders it."""
    opened = await world.fail(redacted(REFUSED))

    response = await client.post(f"/v1/incidents/{opened.id}/resync", json={})

    told = await response.json()
    assert (response.status, told["title"]) == (409, "resync is denied")
    assert "actions.mode is shadow" in told["reasons"]


async def test_an_act_that_every_guard_allows_is_accepted(world: World, client: Client) -> None:
    live = msgspec.structs.replace(world.rules.policy, mode=Mode.LIVE)
    world.rules = msgspec.structs.replace(world.rules, policy=live)
    opened = await world.fail(redacted(REFUSED))
    world.clock.at = after(5)

    response = await client.post(f"/v1/incidents/{opened.id}/resync", json={"why": "the database is back"})

    told = await response.json()
    assert (response.status, told["verdict"]["result"], told["approved_by"]) == (202, "allowed", "ana")


def waiting(decision_id: str, evidence_version: str) -> Decision:
    reason = Reason("approval", "rule 'the database was away' asks for a person's approval")
    return Decision(
        id=decision_id, rule="the database was away", action=ActionKind.RESYNC, mode=Mode.APPROVE, operation=NIGHT,
        verdict=Verdict(VerdictResult.NEEDS_APPROVAL, (reason,)), evidence_version=evidence_version,
        decided_at=NIGHT - timedelta(seconds=1),
    )  # fmt: skip


async def asking(world: World) -> None:
    one = incident("i1", category=Category.CONNECTION_REFUSED)
    await put(world, msgspec.structs.replace(one, decisions=(waiting("d1", "v2"),), evidence_version="v2"))


async def test_approving_is_bound_to_the_evidence_that_was_seen(world: World, client: Client) -> None:
    await asking(world)

    stale = await client.post("/v1/decisions/d1/approve", json={"evidence_version": "v1"})
    good = await client.post("/v1/decisions/d1/approve", json={"evidence_version": "v2"})

    assert (stale.status, good.status) == (409, 200)
    assert "the evidence changed since it was shown" in (await stale.json())["detail"]
    assert (await good.json())["approved_by"] == "ana"


@pytest.mark.parametrize(("said", "status"), [({}, 422), ({"evidence_version": 2}, 422), ([], 422)])
async def test_approving_needs_the_evidence_version(world: World, client: Client, said: object, status: int) -> None:
    await asking(world)

    response = await client.post("/v1/decisions/d1/approve", json=said)

    assert response.status == status


async def test_declining_denies_the_decision(world: World, client: Client) -> None:
    await asking(world)

    found = await (await client.post("/v1/decisions/d1/decline")).json()
    unknown = await client.post("/v1/decisions/d2/decline")

    assert (found["verdict"]["result"], found["declined_by"]) == ("denied", "ana")
    assert unknown.status == 404


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 50_000, "application/json", 422),
        (b"null", "application/json", 422),
        (b'{"why": 1}', "application/json", 422),
        (b'{"because": "x"}', "application/json", 422),
        (b"why=x", "application/x-www-form-urlencoded", 415),
        (b'{"why": "' + b"x" * 70_000 + b'"}', "application/json", 413),
    ],
)
async def test_a_body_that_is_not_understood_changes_nothing(
    world: World, client: Client, data: bytes, kind: str, status: int
) -> None:
    opened = await world.fail(redacted(REFUSED))

    response = await client.post(f"/v1/incidents/{opened.id}/acknowledge", data=data, headers={"Content-Type": kind})

    assert response.status == status
    assert response.content_type == "application/problem+json"
    assert await world.store.incident(opened.id) == opened


async def test_while_the_store_is_away_the_api_says_so(world: World, store: SqliteStore) -> None:
    faces = world.faces()
    await store.close()
    async with served(faces) as client:
        response = await client.get("/v1/incidents")

        assert (response.status, response.headers["Retry-After"]) == (503, "2")
        assert (await response.json())["title"] == "Store Unavailable"


async def test_a_name_with_markup_stays_a_name(world: World, client: Client) -> None:
    await put(world, incident("i1", app=ORDERS, project="<script>"))

    response = await client.get("/v1/incidents?project=<script>")

    assert response.content_type == "application/json"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert [i["id"] for i in (await response.json())["incidents"]] == ["i1"]
