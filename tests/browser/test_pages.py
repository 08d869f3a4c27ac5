"""The pages as people see them, on a wide and on a phone-sized screen."""

from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from responder.core.argocd import AppKey
from responder.core.failure import Category
from responder.core.incident import Incident
from responder.ports import PutIncident
from tests.browser.conftest import PHONE, WIDE, Screen
from tests.contract.store.examples import BILLING, incident
from tests.unit.web.world import OPERATOR, World, redacted

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

HALF_APPLIED = "laravel__mariadb__partial-ddl.log"
REFUSED = "dbmate__postgres__conn-refused.log"
LONG = AppKey("argocd", "a-very-long-application-name-that-somebody-really-gave-to-this-one-application")

LOOKS = Path(__file__).with_name("looks.js").read_text(encoding="utf-8").partition("\n")[2]


async def narrow_enough(page: Page) -> bool:
    fits: bool = await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    return fits


async def in_order(screen: Screen) -> None:
    """No sideways scrolling, nothing on top of another, nothing too faint, no complaint."""
    assert await narrow_enough(screen.page)
    assert await screen.page.evaluate(f"{LOOKS}.overlaps()") == []
    assert await screen.page.evaluate(f"{LOOKS}.faint()") == []
    assert screen.complaints == []


@pytest_asyncio.fixture(loop_scope="session")
async def opened(world: World) -> Incident:
    """A half-applied migration among others."""
    await world.fail(redacted(REFUSED), key=BILLING)
    await world.fail(
        redacted(REFUSED), key=LONG, image=f"registry.example.com/many/folders/and-a-name@sha256:{'a' * 64}"
    )
    half = await world.fail(redacted(HALF_APPLIED), dropped=1200)
    await world.clock.sleep(250)
    return half


async def test_the_list_shows_every_open_incident_with_its_verdict(screen: Screen, opened: Incident) -> None:
    await screen.go("/incidents")

    row = screen.page.locator("article", has=screen.page.locator(f"a[href='/incidents/{opened.id}']"))
    await expect(row).to_be_in_viewport()
    await expect(row).to_contain_text("Constraint violation")
    await expect(row.locator(".retry-unsafe")).to_have_text("unsafe")
    # Two lost one database: they stand below their common cause.
    await expect(screen.page.get_by_text("2 with this cause")).to_be_visible()
    await expect(screen.page.locator("article")).to_have_count(4)
    await in_order(screen)


async def test_an_incident_shows_cause_and_verdict_before_anything_is_scrolled(
    screen: Screen, opened: Incident
) -> None:
    await screen.go(f"/incidents/{opened.id}")

    page = screen.page
    await expect(page.get_by_role("heading", level=1)).to_be_in_viewport()
    await expect(page.get_by_text("unsafe: do not run it again")).to_be_in_viewport()
    await expect(page.get_by_text("partial: part of the migration")).to_be_in_viewport()
    await expect(page.locator(".key-line")).to_be_in_viewport()
    await expect(page.locator(".key-line")).to_contain_text("Duplicate entry")
    await in_order(screen)


async def test_the_lines_that_the_cause_rests_on_stand_out(screen: Screen, opened: Incident) -> None:
    await screen.go(f"/incidents/{opened.id}")

    marked = screen.page.locator("li.marked").filter(has_text="SQLSTATE[23000]").first
    await marked.scroll_into_view_if_needed()
    await expect(marked).to_be_in_viewport()
    await expect(marked.locator(".number")).to_have_text("2")
    await expect(marked.locator("mark")).to_contain_text("SQLSTATE[23000]")
    plain = screen.page.locator(".lines li:not(.marked):not(.hole)").first
    shade = "e => getComputedStyle(e).backgroundColor"
    assert await marked.evaluate(shade) != await plain.evaluate(shade)


async def test_everything_can_be_unfolded(screen: Screen, opened: Incident) -> None:
    await screen.go(f"/incidents/{opened.id}")

    await screen.page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")

    await expect(screen.page.get_by_text("the operation does not wait for a retry (Failed)")).to_be_visible()
    await expect(screen.page.get_by_text("state_left partial or dirty or locked")).to_be_visible()
    await in_order(screen)


async def test_the_other_pages_are_in_order(screen: Screen, opened: Incident) -> None:
    assert opened.state.open
    for path in ("/blocks", "/rules", "/health", "/runbooks/dirty-state", "/incidents?state="):
        await screen.go(path)
        await in_order(screen)


async def test_in_the_dark_it_can_be_read_too(screen: Screen, opened: Incident) -> None:
    await screen.page.emulate_media(color_scheme="dark")

    await screen.go(f"/incidents/{opened.id}")
    await in_order(screen)
    await screen.go("/incidents")
    await in_order(screen)


async def test_a_change_comes_to_the_page_by_itself(screen: Screen, world: World, opened: Incident) -> None:
    await screen.go(f"/incidents/{opened.id}")
    await expect(screen.page.locator("#live")).to_have_text("live")
    last = screen.page.locator("details").last
    await last.evaluate("d => { d.open = true; }")

    await world.desk.acknowledge(opened.id, "bob", "on it")

    await expect(screen.page.locator(".state-acknowledged")).to_be_visible()
    await expect(screen.page.get_by_text("acknowledged: on it bob")).to_be_visible()
    assert await last.evaluate("d => d.open")  # what was opened stays open
    assert screen.complaints == []


async def test_a_new_incident_comes_to_the_list_by_itself(screen: Screen, world: World) -> None:
    await screen.go("/incidents")
    await expect(screen.page.get_by_text("Nothing is open.")).to_be_visible()
    await expect(screen.page.locator("#live")).to_have_text("live")

    await world.fail(redacted(REFUSED))

    await expect(screen.page.get_by_role("link", name="Connection refused")).to_be_visible()
    assert screen.complaints == []


async def test_what_somebody_writes_is_not_taken_away(screen: Screen, world: World, opened: Incident) -> None:
    await screen.go(f"/incidents/{opened.id}")
    await expect(screen.page.locator("#live")).to_have_text("live")
    why = screen.page.get_by_label("Why")
    await why.fill("I am")

    await world.desk.acknowledge(opened.id, "bob")
    await why.press_sequentially(" on it")
    await why.blur()

    await expect(screen.page.locator(".state-acknowledged")).to_be_visible()
    await expect(why).to_have_value("I am on it")


async def test_the_keyboard_is_enough_and_shows_where_it_is(screen: Screen, world: World, opened: Incident) -> None:
    await screen.go(f"/incidents/{opened.id}")
    page = screen.page

    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    for _ in range(60):
        await page.keyboard.press("Tab")
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", await page.evaluate("document.activeElement.outerHTML.slice(0, 120)")
        if await page.evaluate("document.activeElement.value") == "acknowledge":
            break
    await page.keyboard.press("Enter")

    await expect(page.locator(".state-acknowledged")).to_be_visible()
    stored = await world.store.incident(opened.id)
    assert stored is not None
    assert stored.acknowledged_by == "ana"


async def test_muting_is_two_choices_and_a_click(screen: Screen, world: World, opened: Incident) -> None:
    await screen.go(f"/incidents/{opened.id}")

    await screen.page.get_by_label("for").select_option("4h")
    await screen.page.get_by_role("button", name="Mute").click()

    await expect(screen.page.get_by_text("muted, in 4 h again")).to_be_visible()
    stored = await world.store.incident(opened.id)
    assert stored is not None
    assert stored.muted_until is not None


async def test_an_outage_of_forty_applications_is_one_entry(screen: Screen, world: World) -> None:
    children = [
        incident(f"c{n}", app=AppKey("argocd", f"service-{n:02}"), opened=n / 60, category=Category.DNS_FAILURE)
        for n in range(40)
    ]
    parent = incident(
        "p",
        app=AppKey("", "db.shop.svc"),
        uid="",
        children=tuple(c.id for c in children),
        category=Category.DNS_FAILURE,
    )
    await world.store.commit(*(PutIncident(i) for i in (*children, parent)))

    await screen.go("/incidents")

    await expect(screen.page.locator("article:visible")).to_have_count(1)
    await screen.page.get_by_text("40 with this cause").click()
    await expect(screen.page.locator("article:visible")).to_have_count(41)
    await in_order(screen)


@pytest.mark.parametrize("viewport", [WIDE, PHONE])
async def test_a_stranger_logs_in_and_comes_where_they_wanted(
    browser: Browser, server: str, opened: Incident, viewport: tuple[int, int]
) -> None:
    context = await browser.new_context(viewport={"width": viewport[0], "height": viewport[1]})
    screen = Screen(await context.new_page(), server)
    await screen.go(f"/incidents/{opened.id}")

    await in_order(screen)
    await screen.page.get_by_label("Your token").fill(OPERATOR)
    await screen.page.keyboard.press("Enter")
    await screen.page.wait_for_url(f"**/incidents/{opened.id}")
    await expect(screen.page.get_by_role("heading", level=1)).to_contain_text("Constraint violation")
    await screen.page.get_by_role("button", name="ana").click()
    await screen.page.wait_for_url("**/login")
    assert await context.cookies() == []
    await context.close()
