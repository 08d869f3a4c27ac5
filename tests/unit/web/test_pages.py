import re

import msgspec
import pytest
from aiohttp import FormData

from responder.core.actions import Mode, Switch
from responder.core.advice import begin_with
from responder.core.argocd import AppKey
from responder.core.evidence import Freshness
from responder.core.failure import Category
from responder.core.incident import IncidentState
from responder.ports import PutIncident
from responder.store.sqlite import SqliteStore
from responder.web.faces import OutboxStats
from responder.web.rendering import apart, begin, moment, since, size, ticked, words
from responder.web.runbooks import runbooks
from tests.contract.store.examples import NIGHT, after, incident
from tests.unit.web.test_incidents import asking
from tests.unit.web.world import REVISION, Client, World, redacted, served

HALF_APPLIED = "laravel__mariadb__partial-ddl.log"
REFUSED = "dbmate__postgres__conn-refused.log"
PAGE = {"Accept": "text/html"}


async def shown(client: Client, path: str) -> str:
    response = await client.get(path, headers=PAGE)
    assert response.status == 200, await response.text()
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    return await response.text()


def text_of(page: str) -> str:
    """What a person reads, on one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.split("<main", 1)[1]).split())


# The list.


async def test_the_list_shows_what_is_open_with_its_verdict(world: World, client: Client) -> None:
    opened = await world.fail(redacted(HALF_APPLIED))
    await world.store.commit(PutIncident(incident("old", uid="u", state=IncidentState.RESOLVED, resolved=1)))

    page = await shown(client, "/incidents")

    assert f'href="/incidents/{opened.id}"' in page
    assert 'href="/incidents/old"' not in page
    assert "Constraint violation shop/orders" in text_of(page)
    assert "firing" in text_of(page)
    assert "unsafe" in text_of(page)
    assert "left: partial" in text_of(page)


async def test_children_stand_below_their_parent_and_once(world: World, client: Client) -> None:
    children = [
        incident(f"child-{n}", app=AppKey("argocd", f"app-{n}"), opened=n, category=Category.DNS_FAILURE)
        for n in range(3)
    ]
    parent = incident(
        "parent", app=AppKey("", "db:orders/dns-failure"), uid="", opened=0, children=tuple(c.id for c in children)
    )
    await world.store.commit(*(PutIncident(i) for i in (*children, parent)))

    page = await shown(client, "/incidents")

    assert "3 Applications" in text_of(page)
    links = re.findall(r'href="/incidents/([\w-]+)"', page)
    assert links == ["parent", "child-0", "child-1", "child-2"]


async def test_an_empty_list_says_so_and_shows_what_was_before(world: World, client: Client) -> None:
    await world.store.commit(PutIncident(incident("old", uid="u", state=IncidentState.RESOLVED, resolved=1)))

    page = text_of(await shown(client, "/incidents"))

    assert "Nothing is open." in page
    assert "Before that" in page


async def test_the_list_says_that_we_wait_for_the_cluster(world: World) -> None:
    world.cluster.fresh = Freshness(synced=False, observed_at=None, trouble="the API server does not answer")
    async with served(world.faces(pending=lambda: 7)) as client:
        page = text_of(await shown(client, "/incidents"))

    assert "We wait for the cluster. The API server does not answer" in page
    assert "7 wake-ups wait" in page


# One incident.


async def test_the_page_says_cause_state_left_and_whether_it_may_run_again(world: World, client: Client) -> None:
    opened = await world.fail(redacted(HALF_APPLIED))

    page = text_of(await shown(client, f"/incidents/{opened.id}"))

    assert "Constraint violation shop/orders" in page
    assert "unsafe : do not run it again" in page
    assert "partial : part of the migration" in page
    assert "The version before still serves" in page
    assert f"1111111111 -&gt; {REVISION[:10]}" in page
    assert "2026_10_03_101500_invoices_and_unique_email" in page


async def test_the_page_tells_who_owns_it_what_promotion_it_holds_and_where_it_is_in_argo_cd(
    world: World, client: Client
) -> None:
    policy = msgspec.structs.replace(world.rules.policy, argocd_url="https://argocd.example.com/")
    world.rules = msgspec.structs.replace(world.rules, policy=policy)
    opened = await world.fail(redacted(HALF_APPLIED))

    page = await shown(client, f"/incidents/{opened.id}")

    assert 'href="https://argocd.example.com/applications/argocd/orders"' in page
    assert "owner: platform" in text_of(page)
    assert "Promotion is held : shop/orders, every environment" in text_of(page)


async def test_what_was_left_behind_is_not_said_twice(world: World, client: Client) -> None:
    opened = await world.fail(redacted(HALF_APPLIED))

    page = text_of(await shown(client, f"/incidents/{opened.id}"))

    assert "unsafe : do not run it again The run left something behind Left behind partial" in page


async def test_the_page_tells_consequences_weak_points_the_next_command_and_whose_it_likely_is(
    world: World, client: Client
) -> None:
    opened = await world.fail(redacted(HALF_APPLIED))
    assert opened.diagnosis is not None
    later = msgspec.structs.replace(opened.diagnosis, consequences=("attempts 2 to 5: met what attempt 1 had left",))
    await world.store.commit(PutIncident(msgspec.structs.replace(opened, diagnosis=later)))

    page = text_of(await shown(client, f"/incidents/{opened.id}"))

    assert "Then Attempts 2 to 5: met what attempt 1 had left" in page
    assert "php artisan migrate:status" in page
    assert "Likely with: app team" in page
    assert "Weak points of how the hook is written" in page
    assert "activeDeadlineSeconds is not set Job shop/" in page


async def test_a_runbook_tells_each_tools_own_command_and_what_the_database_can_be_asked(client: Client) -> None:
    dirty = text_of(await shown(client, "/runbooks/dirty-state"))
    lock = text_of(await shown(client, "/runbooks/lock-timeout"))

    assert "flyway info" in dirty
    assert "npx prisma migrate status" in dirty
    assert "When something was left behind" in dirty
    assert "show full processlist" in lock
    assert "Likely with: DBA" in lock


async def test_the_lines_that_the_cause_rests_on_are_marked(world: World, client: Client) -> None:
    opened = await world.fail(redacted(HALF_APPLIED), dropped=1200)

    page = await shown(client, f"/incidents/{opened.id}")

    marked = re.findall(r'<li class="marked"><span class="number">(\d+)</span>', page)
    assert "2" in marked
    assert "1200 lines not kept" in text_of(page)
    assert 'href="/v1/logs/pod-orders/migrate/0"' in page
    assert "ana@example.org" not in page


async def test_every_rule_and_every_guard_stands_with_its_reason(world: World, client: Client) -> None:
    opened = await world.fail(redacted(REFUSED))

    page = text_of(await shown(client, f"/incidents/{opened.id}"))

    assert "the database was away decides" in page
    assert "half applied does not hold" in page
    assert "state_left partial or dirty or locked it is none" in page
    assert "mode actions.mode is shadow" in page
    assert "retry safe to run again" in page


async def test_a_log_is_text_whatever_it_holds(world: World, client: Client) -> None:
    opened = await world.fail('ERROR:  syntax error at or near "<script>alert(1)</script>"\n<img src=x onerror=y>')

    page = await shown(client, f"/incidents/{opened.id}")

    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=y&gt;" in page


async def test_of_a_container_that_printed_nothing_no_log_is_offered(world: World, client: Client) -> None:
    page = await shown(client, f"/incidents/{(await world.fail('', exit_code=137)).id}")

    assert "exit code 137, Error · printed nothing" in text_of(page)
    assert "/v1/logs/" not in page


async def test_a_line_of_a_megabyte_does_not_make_a_page_of_a_megabyte(world: World, client: Client) -> None:
    opened = await world.fail("x" * (1 << 20) + "\nError: dial tcp: connect: connection refused")

    assert len(await shown(client, f"/incidents/{opened.id}")) < 60_000


async def test_a_parent_lists_its_children(world: World, client: Client) -> None:
    child = incident("child", category=Category.DNS_FAILURE)
    parent = incident("parent", app=AppKey("", "db"), uid="", children=("child",), category=Category.DNS_FAILURE)
    await world.store.commit(PutIncident(child), PutIncident(parent))

    page = await shown(client, "/incidents/parent")

    assert 'href="/incidents/child"' in page
    assert 'data-live="parent child"' in page


async def test_a_viewer_is_shown_no_buttons(world: World, viewer: Client) -> None:
    opened = await world.fail(redacted(HALF_APPLIED))

    page = await shown(viewer, f"/incidents/{opened.id}")
    blocks = await shown(viewer, "/blocks")

    assert f'action="/incidents/{opened.id}"' not in page
    assert "Lift this block" not in blocks


async def test_an_unknown_incident_is_a_page_that_says_so(client: Client) -> None:
    response = await client.get("/incidents/nothing", headers=PAGE)

    assert response.status == 404
    assert "there is no incident nothing" in text_of(await response.text())


# What a form does.


async def send(client: Client, path: str, **form: str) -> int:
    response = await client.post(path, data=form, headers=PAGE, allow_redirects=False)
    return response.status


async def test_the_buttons_acknowledge_mute_and_resolve(world: World, client: Client) -> None:
    opened = await world.fail(redacted(REFUSED))
    path = f"/incidents/{opened.id}"

    assert await send(client, path, do="acknowledge", why="on it") == 303
    assert await send(client, path, do="mute", **{"for": "4h"}) == 303
    muted = await world.store.incident(opened.id)
    assert await send(client, path, do="resolve", why="mended") == 303
    resolved = await world.store.incident(opened.id)

    assert muted is not None
    assert resolved is not None
    assert (muted.acknowledged_by, muted.muted_until) == ("ana", after(240))
    assert resolved.resolved_by == "ana: mended"


async def test_what_is_safe_is_run_again_from_its_page(world: World, client: Client) -> None:
    live = msgspec.structs.replace(world.rules.policy, mode=Mode.LIVE)
    world.rules = msgspec.structs.replace(world.rules, policy=live)
    opened = await world.fail(redacted(REFUSED))
    world.clock.at = after(5)

    assert "Run it again</button>" in await shown(client, f"/incidents/{opened.id}")
    assert await send(client, f"/incidents/{opened.id}", do="resync", why="the database is back") == 303

    stored = await world.store.incident(opened.id)
    assert stored is not None
    ordered = [d for d in stored.decisions if d.approved_by == "ana"]
    assert [(d.action.value, d.verdict.result) for d in ordered] == [("resync", "allowed")]


async def test_neither_what_is_unsafe_nor_anything_in_shadow_has_that_button(world: World, client: Client) -> None:
    in_shadow = await world.fail(redacted(REFUSED))
    assert "Run it again</button>" not in await shown(client, f"/incidents/{in_shadow.id}")

    live = msgspec.structs.replace(world.rules.policy, mode=Mode.LIVE)
    world.rules = msgspec.structs.replace(world.rules, policy=live)
    unsafe = await world.fail(redacted(HALF_APPLIED), key=AppKey("argocd", "billing"))
    assert "Run it again</button>" not in await shown(client, f"/incidents/{unsafe.id}")


async def test_a_decision_is_approved_upon_the_evidence_that_the_page_showed(world: World, client: Client) -> None:
    await asking(world)
    page = await shown(client, "/incidents/i1")
    version = re.search(r'name="evidence_version" value="(\w+)"', page)
    assert version is not None

    old = {"do": "approve", "decision": "d1", "evidence_version": "v1"}
    refused = await client.post("/incidents/i1", data=old, headers=PAGE)
    assert 'href="/incidents/i1">Back to the incident' in await refused.text()
    stale = refused.status
    good = await send(client, "/incidents/i1", do="approve", decision="d1", evidence_version=version[1])

    stored = await world.store.incident("i1")
    assert stored is not None
    assert (stale, good, stored.decisions[0].approved_by) == (409, 303, "ana")


async def test_a_block_is_lifted_with_a_reason(world: World, client: Client) -> None:
    await world.fail(redacted(HALF_APPLIED))
    (block,) = world.desk.blocks()
    page = text_of(await shown(client, "/blocks"))

    status = await send(client, f"/blocks/{block.id}", do="lift", why="undone by hand")

    assert "ends well and a person says so" in page
    assert (status, world.desk.blocks()) == (303, [])
    (entry, *_) = await world.store.audit()
    assert (entry.who, entry.why) == ("ana", "undone by hand")


@pytest.mark.parametrize(
    ("path", "form", "status"),
    [
        ("/incidents/{id}", {"do": "delete"}, 422),
        ("/incidents/{id}", {"why": "x"}, 422),
        ("/incidents/{id}", {"do": "mute", "for": "a while"}, 422),
        ("/incidents/{id}", {"do": "resolve", "why": "x" * 2000}, 422),
        ("/incidents/{id}", {"do": "resolve", "surprise": "x"}, 422),
        ("/incidents/nothing", {"do": "resolve"}, 404),
        ("/blocks/nothing", {"do": "lift"}, 404),
        ("/blocks/nothing", {"do": "add"}, 422),
        ("/health", {"do": "stop"}, 422),
    ],
)
async def test_a_form_that_is_not_ours_changes_nothing(
    world: World, client: Client, path: str, form: dict[str, str], status: int
) -> None:
    opened = await world.fail(redacted(REFUSED))

    assert await send(client, path.format(id=opened.id), **form) == status
    assert await world.store.incident(opened.id) == opened


async def test_a_file_is_no_form(client: Client) -> None:
    upload = FormData({"do": "release-restored"}, default_to_multipart=True)

    assert (await client.post("/health", data=upload, headers=PAGE)).status == 415
    assert (await client.post("/health", json={"do": "release-restored"}, headers=PAGE)).status == 415


# Health, runbooks, and what all pages have.


async def test_health_is_shown_while_the_store_is_away(world: World, store: SqliteStore) -> None:
    await store.close()
    async with served(world.faces()) as client:
        page = text_of(await shown(client, "/health"))

    assert "Not ready." in page
    assert "On disk not known" in page


async def test_health_tells_of_alerts_that_wait(world: World) -> None:
    async with served(world.faces(outbox=lambda: OutboxStats(3, 300.4))) as client:
        page = text_of(await shown(client, "/health"))

    assert "To be delivered 3 The oldest waits 300 s" in page


async def test_health_tells_how_the_kill_switch_stands_and_waits_for_nobody(world: World) -> None:
    async def engaged() -> Switch:
        return Switch.ENGAGED

    async with served(world.faces(switch=engaged)) as client:
        page = text_of(await shown(client, "/health"))
    assert "Kill switch engaged The ConfigMap hook-responder/responder-killswitch" in page

    async with served(world.faces()) as client:
        assert "Kill switch unreadable" in text_of(await shown(client, "/health"))


async def test_a_restored_store_is_released_on_the_page(world: World, client: Client) -> None:
    world.reconciler.loader.restored = True

    assert "The store was restored from a backup." in text_of(await shown(client, "/health"))
    assert await send(client, "/health", do="release-restored") == 303
    assert not world.reconciler.loader.restored


@pytest.mark.parametrize("category", list(Category))
async def test_every_category_has_a_runbook(client: Client, category: Category) -> None:
    page = text_of(await shown(client, f"/runbooks/{category.value}"))

    assert "What to look at" in page
    assert "Begin with" in page


def test_a_runbook_never_says_that_it_may_run_again() -> None:
    """That is decided by what a run left behind, not by a category."""
    for category, book in runbooks().items():
        assert "safe" not in " ".join((book.means, *book.look)), category
        assert "delete pod" not in begin_with(category)


async def test_an_unknown_category_has_none(client: Client) -> None:
    assert (await client.get("/runbooks/bad-luck")).status == 404


PAGES = ["/incidents", "/incidents/{id}", "/blocks", "/health", "/runbooks/unknown", "/login"]


@pytest.mark.parametrize("path", PAGES)
async def test_no_page_has_script_or_style_within_or_anything_from_elsewhere(
    world: World, client: Client, path: str
) -> None:
    opened = await world.fail(redacted(HALF_APPLIED))

    response = await client.get(path.format(id=opened.id), headers=PAGE)

    page = await response.text()
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?! src=\"/static/)", page)
    assert not re.search(r"(?:src|href|action)=\"(?!/|#)", page)


async def test_style_and_script_may_be_kept_for_ever_under_their_name(stranger: Client) -> None:
    page = await (await stranger.get("/login", headers=PAGE)).text()
    address = re.search(r'href="(/static/page\.css\?v=\w+)"', page)
    assert address is not None

    response = await stranger.get(address[1])

    assert response.status == 200
    assert response.content_type == "text/css"
    assert "immutable" in response.headers["Cache-Control"]


@pytest.mark.parametrize("name", ["nothing.css", "..%2fpages.py", "%2e%2e/pages.py"])
async def test_nothing_else_is_served_as_a_file(client: Client, name: str) -> None:
    assert (await client.get(f"/static/{name}")).status == 404


async def test_the_demo_says_that_it_is_one(world: World) -> None:
    async with served(world.faces(demo=True)) as client:
        assert "This is the demo" in await shown(client, "/incidents")


# Words.


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [(0, "just now"), (-4, "4 min ago"), (-150, "2 h ago"), (-3000, "2 d ago"), (5, "in 5 min")],
)
def test_how_long_ago(minutes: float, expected: str) -> None:
    assert since(after(minutes), NIGHT) == expected


@pytest.mark.parametrize(
    ("reason", "said", "left"),
    [
        ("the run left something behind: half of it", "half of it", "the run left something behind"),
        ("deadlock passes by itself, and it rolled back", "it rolled back", "deadlock passes by itself"),
        ("until secret mail exists", "no container ran", "until secret mail exists"),
        ("the same", "the same", "the same"),
        ("nothing proves it", "", "nothing proves it"),
    ],
)
def test_a_reason_leaves_out_what_stands_beside_it(reason: str, said: str, left: str) -> None:
    assert apart(reason, said) == left


def test_when() -> None:
    assert moment(after(-1), NIGHT) == "02:59:00 UTC"
    assert moment(after(-1440), NIGHT) == "2026-11-20 03:00 UTC"


def test_wording() -> None:
    assert words("dns-failure") == "DNS failure"
    assert words("oom-killed") == "OOM killed"
    assert begin("") == ""
    assert [size(n) for n in (12, 2048, 3 << 20, 5 << 30)] == ["12 B", "2.0 KiB", "3.0 MiB", "5.0 GiB"]
    assert ticked("`a<b>` & c") == "<code>a&lt;b&gt;</code> &amp; c"


async def test_a_request_that_fails_in_us_tells_no_details(world: World) -> None:
    broken = msgspec.structs.replace(incident("i1"), app=AppKey("argocd", "orders"))
    await world.store.commit(PutIncident(broken))

    def rules() -> object:
        raise RuntimeError("hunter2")

    async with served(world.faces(rules=rules)) as client:
        response = await client.get("/v1/incidents/i1")

        assert response.status == 500
        assert "hunter2" not in await response.text()
