"""The pages: incidents, one incident, blocks, health, runbooks, login. Plain forms, that work without any script."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from responder.core.actions import ActionKind, Switch
from responder.core.advice import begin_with, by_database, fill, owner_of_category
from responder.core.failure import Category
from responder.core.incident import IncidentState
from responder.desk import NotFoundError
from responder.ports import IncidentQuery, StoreError
from responder.web.access import drop_cookie, from_our_own_page, operator, set_cookie
from responder.web.faces import Faces, faces_of
from responder.web.gate import command
from responder.web.incident_page import incident_page
from responder.web.incidents import ListQuery, MuteIn, SummaryOut, muted_until, page_of, summary
from responder.web.parameters import query, read
from responder.web.probes import readiness
from responder.web.problems import Problem
from responder.web.rendering import render, static
from responder.web.routes import HTML, Handler, Route
from responder.web.runbooks import by_state, by_tool, runbooks

OPEN = (IncidentState.FIRING, IncidentState.ACKNOWLEDGED)
_RECENT = 8
_SWITCH_SECONDS = 2.0  # health is looked at while the API server is away, too


class Group(msgspec.Struct, frozen=True):
    """An incident, and below a parent its children."""

    incident: SummaryOut
    children: list[SummaryOut]


class LoginQuery(msgspec.Struct, frozen=True):
    next: str = "/incidents"


async def home(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/incidents")


async def list_page(request: web.Request) -> web.Response:
    faces, asked = faces_of(request), query(request, ListQuery)
    everything = "state" in request.query
    if not everything:
        asked = msgspec.structs.replace(asked, state=OPEN)
    incidents, cursor = await page_of(faces, asked)
    groups = await _grouped(faces, [summary(i) for i in incidents])
    return render(
        request,
        "incidents.html",
        groups=groups,
        asked=asked,
        chosen="open" if not everything else ",".join(asked.state) or "all",
        categories=list(Category),
        next=_next_page(request, cursor) if cursor else "",
        recent=[] if groups else await _recent(faces),
        fresh=faces.cluster.freshness(),
        pending=faces.pending(),
    )


async def _grouped(faces: Faces, found: Sequence[SummaryOut]) -> list[Group]:
    """Children stand below their parent, once, wherever they would have come in the order."""
    by_id = {i.id: i for i in found}
    below = {child for i in found for child in i.children}
    groups = []
    for incident in found:
        if incident.id in below:
            continue
        children = [by_id[c] if c in by_id else await _summary(faces, c) for c in incident.children]
        groups.append(Group(incident, [c for c in children if c is not None]))
    return groups


async def _summary(faces: Faces, incident_id: str) -> SummaryOut | None:
    incident = await faces.store.incident(incident_id)
    return summary(incident) if incident is not None else None


async def _recent(faces: Faces) -> list[SummaryOut]:
    page = await faces.store.incidents(IncidentQuery(limit=_RECENT))
    return [summary(i) for i in page.incidents]


def _next_page(request: web.Request, cursor: str) -> str:
    kept = [(k, v) for k, v in request.query.items() if k != "cursor"]
    return f"/incidents?{urlencode([*kept, ('cursor', cursor)])}"


async def show_page(request: web.Request) -> web.Response:
    page = await incident_page(faces_of(request), request.match_info["id"])
    return render(request, "incident.html", page=page, it=page.shown.report, incident=page.shown.incident)


class Deed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"lasts": "for"}):
    """What a form of ours sends."""

    do: str
    why: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    lasts: str = ""
    decision: str = ""
    evidence_version: str = ""


async def _form(request: web.Request) -> dict[str, str]:
    """Our own forms only; large or late ones are refused as any body is."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType(text="a form is application/x-www-form-urlencoded")
    await read(request)
    return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}


async def _deed(request: web.Request) -> Deed:
    try:
        return msgspec.convert(await _form(request), Deed)
    except msgspec.ValidationError as error:
        raise web.HTTPUnprocessableEntity(text=str(error)) from error


async def act_on_incident(request: web.Request) -> web.Response:
    who, deed, incident_id = operator(request), await _deed(request), request.match_info["id"]
    faces = faces_of(request)
    match deed.do:
        case "acknowledge":
            await faces.desk.acknowledge(incident_id, who, deed.why)
        case "resolve":
            await faces.desk.resolve(incident_id, who, deed.why)
        case "mute":
            until = muted_until(MuteIn(lasts=deed.lasts), faces.clock.now())
            await faces.desk.mute(incident_id, who, until, deed.why)
        case "resync":  # a denial stands there with its reasons
            await faces.desk.order(incident_id, ActionKind.RESYNC, who, deed.why)
            raise web.HTTPSeeOther(f"/incidents/{incident_id}#decisions")
        case "approve":
            await faces.desk.approve(deed.decision, who, deed.evidence_version)
        case "decline":
            await faces.desk.decline(deed.decision, who)
        case _:
            raise web.HTTPUnprocessableEntity(text=f"{deed.do!r} is nothing that can be done with an incident")
    raise web.HTTPSeeOther(f"/incidents/{incident_id}")


async def blocks_page(request: web.Request) -> web.Response:
    return render(request, "blocks.html", blocks=faces_of(request).desk.blocks())


async def act_on_block(request: web.Request) -> web.Response:
    who, deed = operator(request), await _deed(request)
    if deed.do != "lift":
        raise web.HTTPUnprocessableEntity(text=f"{deed.do!r} is nothing that can be done with a block")
    await faces_of(request).desk.unblock(request.match_info["id"], who, deed.why)
    raise web.HTTPSeeOther("/blocks")


async def act_on_rule(request: web.Request) -> web.Response:
    who, deed = operator(request), await _deed(request)
    if deed.do != "release":
        raise web.HTTPUnprocessableEntity(text=f"{deed.do!r} is nothing that can be done with a rule")
    await faces_of(request).desk.release_rule(request.match_info["name"], who, deed.why)
    raise web.HTTPSeeOther("/rules")


async def health_page(request: web.Request) -> web.Response:
    """Works while the store does not: that is when it is looked at."""
    faces = faces_of(request)
    ready = await readiness(request)
    try:
        stored: int | None = await faces.store.size()
    except StoreError:
        stored = None
    return render(
        request,
        "health.html",
        ready=ready,
        stored=stored,
        outbox=faces.outbox(),
        open=len(faces.loader.open),
        blocks=len(faces.desk.blocks()),
        restored=faces.loader.restored,
        listeners=len(faces.changes),
        rules=faces.rules().rulebook,
        mode=faces.rules().policy.mode.value,
        killswitch=faces.killswitch,
        switch=await _switch(faces),
        engage=command(faces, engaged=True),
        release=command(faces, engaged=False),
        version=faces.version,
    )


async def _switch(faces: Faces) -> Switch:
    try:
        async with asyncio.timeout(_SWITCH_SECONDS):
            return await faces.switch()
    except TimeoutError:
        return Switch.UNREADABLE


async def act_on_health(request: web.Request) -> web.Response:
    who, deed = operator(request), await _deed(request)
    if deed.do != "release-restored":
        raise web.HTTPUnprocessableEntity(text=f"{deed.do!r} is nothing that can be done here")
    await faces_of(request).desk.release_restored(who)
    raise web.HTTPSeeOther("/health")


async def runbook_page(request: web.Request) -> web.Response:
    name = request.match_info["category"]
    if name not in {c.value for c in Category}:
        raise NotFoundError(f"there is no category {name}")
    category, signatures = Category(name), faces_of(request).rules().signatures
    return render(
        request,
        "runbook.html",
        category=category,
        book=runbooks()[category],
        advice=fill(signatures.advice.get(name, ""), None, None),
        command=begin_with(category),
        owner=owner_of_category(category).value,
        ask=by_database(category),
        tools=by_tool(category, signatures),
        left=by_state(signatures),
    )


async def login_page(request: web.Request) -> web.Response:
    return render(request, "login.html", next=_inside(query(request, LoginQuery).next), wrong=False)


async def login(request: web.Request) -> web.Response:
    from_our_own_page(request)
    given = await _form(request)
    faces, onwards = faces_of(request), _inside(given.get("next", ""))
    if faces.access.of_token(given.get("token", "").strip()) is None:
        return render(request, "login.html", 401, next=onwards, wrong=True)
    response = web.Response(status=303, headers={"Location": onwards})
    secure = request.secure or faces.url.startswith("https://")
    set_cookie(response, given["token"].strip(), secure=secure)
    return response


async def logout(_request: web.Request) -> web.Response:
    response = web.Response(status=303, headers={"Location": "/login"})
    drop_cookie(response)
    return response


def _inside(address: str) -> str:
    """A path of ours: whoever makes the link must not choose where a login leads."""
    ours = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if ours and not address.startswith("/login") else "/incidents"


def problem_page(request: web.Request, told: Problem) -> web.Response:
    """Whoever sent a form goes back to its page: what it said has changed."""
    back = request.path if request.method == "POST" and request.path.startswith("/incidents/") else "/incidents"
    return render(request, "problem.html", told.status, problem=told, back=back)


def _page(path: str, handler: Handler, summary: str, **more: Any) -> Route:
    return Route(method="GET", path=path, handler=handler, summary=summary, media=HTML, **more)


def _form_of(path: str, handler: Handler, summary: str, **more: Any) -> Route:
    return Route(method="POST", path=path, handler=handler, summary=summary, media=HTML, status=303, **more)


ROUTES = (
    _page("/", home, "The incidents", status=302),
    _page("/incidents", list_page, "Page: incidents", query=ListQuery, problems=(400,)),
    _page("/incidents/{id}", show_page, "Page: one incident", problems=(404,)),
    _form_of("/incidents/{id}", act_on_incident, "Form of that page", problems=(404, 409, 415, 422)),
    _page("/blocks", blocks_page, "Page: promotion blocks"),
    _form_of("/blocks/{id}", act_on_block, "Form of that page", problems=(404, 415, 422)),
    _form_of("/rules/{name}", act_on_rule, "Form of the page of rules", problems=(404, 415, 422)),
    _page("/health", health_page, "Page: the responder's own health"),
    _form_of("/health", act_on_health, "Form of that page", problems=(415, 422)),
    _page("/runbooks/{category}", runbook_page, "Page: what a category means, what to look at", problems=(404,)),
    _page("/login", login_page, "Page: log in with a token", query=LoginQuery, identity=False),
    _form_of("/login", login, "A token for a cookie", identity=False, problems=(401, 403, 415)),
    _form_of("/logout", logout, "The cookie is dropped"),
    Route(
        method="GET", path="/static/{name}", handler=static, summary="Style and script", media="*/*", identity=False,
        problems=(404,),
    ),
)  # fmt: skip
