import pytest
from yarl import URL

from responder.web.access import Access, Identity, NamedToken, Role
from tests.unit.web.world import OPERATOR, VIEWER, WEBHOOK, Client, World, served

CLOSED = [
    "/v1/incidents", "/v1/incidents/x", "/v1/logs/x", "/v1/gate", "/v1/blocks", "/v1/events", "/metrics",
    "/openapi.json", "/incidents", "/blocks", "/health", "/runbooks/unknown", "/", "/nowhere", "/healthz/x", "/login/x",
]  # fmt: skip
OPEN = ["/healthz", "/readyz", "/version", "/login", "/static/page.css"]


@pytest.mark.parametrize("path", CLOSED)
async def test_a_stranger_sees_nothing(stranger: Client, path: str) -> None:
    response = await stranger.get(path)

    assert response.status == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert (await response.json())["status"] == 401


@pytest.mark.parametrize("path", OPEN)
async def test_probes_and_the_login_are_open(stranger: Client, path: str) -> None:
    assert (await stranger.get(path)).status == 200


async def test_metrics_are_open_where_that_was_configured(world: World) -> None:
    async with served(world.faces(metrics_open=True), "") as client:
        assert (await client.get("/metrics")).status == 200


@pytest.mark.parametrize("token", ["", "wrong", OPERATOR[:-1], OPERATOR + "x", WEBHOOK[0], "\udcff", "é"])
def test_another_token_is_nobody(token: str) -> None:
    tokens = (NamedToken("ana", OPERATOR, Role.OPERATOR), NamedToken("nobody", "", Role.OPERATOR))
    access = Access(lambda: tokens)

    assert access.of_token(token) is None


def test_a_token_has_a_name_and_a_role() -> None:
    tokens = (NamedToken("ana", OPERATOR, Role.OPERATOR), NamedToken("grafana", VIEWER, Role.VIEWER))
    access = Access(lambda: tokens)

    assert access.of_token(OPERATOR) == Identity("ana", Role.OPERATOR)
    assert access.of_token(VIEWER) == Identity("grafana", Role.VIEWER)


async def test_nothing_is_there_is_told_to_who_may_know(client: Client) -> None:
    missing = await client.get("/v1/nowhere")
    wrong = await client.delete("/v1/incidents")

    assert missing.status == 404
    assert (await missing.json())["detail"] == "there is nothing at /v1/nowhere; /openapi.json lists what is"
    assert (wrong.status, wrong.headers["Allow"]) == (405, "GET,HEAD")


# Browsers.


async def test_a_page_without_a_cookie_leads_to_the_login_and_back(stranger: Client) -> None:
    response = await stranger.get(
        "/incidents?state=firing&limit=5", headers={"Accept": "text/html"}, allow_redirects=False
    )

    assert response.status == 303
    location = URL(response.headers["Location"])
    assert (location.path, dict(location.query)) == ("/login", {"next": "/incidents?state=firing&limit=5"})


async def test_a_token_is_changed_into_a_cookie_that_no_script_reads(stranger: Client) -> None:
    response = await stranger.post(
        "/login", data={"token": OPERATOR, "next": "/blocks"}, headers={"Sec-Fetch-Site": "same-origin"},
        allow_redirects=False,
    )  # fmt: skip

    assert (response.status, response.headers["Location"]) == (303, "/blocks")
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


async def test_behind_https_the_cookie_is_secure(world: World) -> None:
    async with served(world.faces(url="https://responder.example.com"), "") as client:
        response = await client.post(
            "/login", data={"token": OPERATOR}, headers={"Sec-Fetch-Site": "same-origin"}, allow_redirects=False
        )

        assert "Secure" in response.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "onwards", ["https://evil.example", "//evil.example", "/\\evil.example", "/login", "", "/a\r\nSet-Cookie: x=y", "x"]
)
async def test_a_login_never_leads_elsewhere(stranger: Client, onwards: str) -> None:
    response = await stranger.post(
        "/login", data={"token": OPERATOR, "next": onwards}, headers={"Sec-Fetch-Site": "same-origin"},
        allow_redirects=False,
    )  # fmt: skip

    assert response.headers["Location"] == "/incidents"


async def test_a_wrong_token_is_told_and_sets_no_cookie(stranger: Client) -> None:
    response = await stranger.post("/login", data={"token": "wrong"}, headers={"Sec-Fetch-Site": "same-origin"})

    assert response.status == 401
    assert "No such token" in await response.text()
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Origin": "http://{host}"}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://{host}"}, 403),
        ({}, 403),
    ],
)
async def test_a_cookie_changes_things_from_our_own_pages_only(
    world: World, stranger: Client, headers: dict[str, str], status: int
) -> None:
    opened = await world.fail("psql: error: connection refused")
    host = f"{stranger.host}:{stranger.port}"
    sent = {name: value.format(host=host) for name, value in headers.items()}

    response = await stranger.post(
        f"/incidents/{opened.id}", data={"do": "acknowledge"}, cookies={"responder_token": OPERATOR}, headers=sent,
        allow_redirects=False,
    )  # fmt: skip

    assert response.status == status
    stored = await world.store.incident(opened.id)
    assert stored is not None
    assert stored.acknowledged_by == ("ana" if status == 303 else "")


async def test_logging_out_drops_the_cookie(stranger: Client) -> None:
    response = await stranger.post(
        "/logout", cookies={"responder_token": OPERATOR}, headers={"Sec-Fetch-Site": "same-origin"},
        allow_redirects=False,
    )  # fmt: skip

    assert response.status == 303
    assert "responder_token=" in response.headers["Set-Cookie"]
    assert "Max-Age=0" in response.headers["Set-Cookie"]
