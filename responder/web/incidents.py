"""The incidents over the API: list, show, and what a named person does about one."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from aiohttp import web

from responder.core.actions import ActionKind, Decision, VerdictResult
from responder.core.argocd import AppKey
from responder.core.duration import parse_duration
from responder.core.failure import Category
from responder.core.incident import Incident, IncidentState
from responder.core.report import decision_out
from responder.core.reportshape import AppOut, DecisionOut, IncidentOut
from responder.ports import IncidentQuery
from responder.web.access import operator
from responder.web.faces import Faces, faces_of
from responder.web.parameters import body, query
from responder.web.problems import Problem
from responder.web.routes import Route, answer
from responder.web.showing import show

MUTE_AT_MOST = timedelta(days=7)


class ListQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    state: tuple[IncidentState, ...] = ()
    project: str = ""
    application: str = ""  # namespace/name; a name alone is one in Argo CD's own namespace, as its command line has it
    category: Category | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    cursor: str = ""


class SummaryOut(msgspec.Struct):
    id: str
    state: str
    opened_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    application: AppOut
    owner: str
    sync_phase: str
    opened_for: str
    category: str | None
    retry: str | None
    state_left: str | None
    confidence: str | None
    tool: str | None
    migration: str | None
    key_line: str | None
    acknowledged_by: str | None
    muted_until: datetime | None
    needs_approval: bool
    correlation: str | None
    parent: str | None
    children: list[str]
    links: dict[str, str]


class ListOut(msgspec.Struct):
    incidents: list[SummaryOut]
    next_cursor: str | None


class WhyIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    why: Annotated[str, msgspec.Meta(max_length=1000)] = ""


class MuteIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"lasts": "for"}):
    """``until`` or ``for`` (``2h``), and no longer than seven days."""

    until: datetime | None = None
    lasts: str = ""
    why: Annotated[str, msgspec.Meta(max_length=1000)] = ""


class ApproveIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    evidence_version: str


class EmptyIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


def summary(incident: Incident, url: str = "") -> SummaryOut:
    diagnosis = incident.diagnosis
    return SummaryOut(
        id=incident.id,
        state=incident.state.value,
        opened_at=incident.opened_at,
        updated_at=incident.updated_at,
        resolved_at=incident.resolved_at,
        application=AppOut(incident.app.namespace, incident.app.name, incident.project, incident.app_uid),
        owner=incident.owner,
        sync_phase=incident.sync_phase,
        opened_for=incident.opened_for,
        category=diagnosis.category.value if diagnosis else None,
        retry=diagnosis.retry.value if diagnosis else None,
        state_left=diagnosis.state_left.value if diagnosis else None,
        confidence=diagnosis.confidence.value if diagnosis else None,
        tool=diagnosis.tool if diagnosis else None,
        migration=diagnosis.migration if diagnosis else None,
        key_line=diagnosis.key_line if diagnosis else None,
        acknowledged_by=incident.acknowledged_by or None,
        muted_until=incident.muted_until,
        needs_approval=any(d.verdict.result is VerdictResult.NEEDS_APPROVAL for d in incident.decisions),
        correlation=incident.correlation or None,
        parent=incident.parent,
        children=list(incident.children),
        links={"self": f"{url}/v1/incidents/{incident.id}", "page": f"{url}/incidents/{incident.id}"},
    )


def application_key(text: str, control_plane: str) -> AppKey | None:
    """``namespace/name``, or a name in Argo CD's own namespace."""
    if not text:
        return None
    namespace, slash, name = text.rpartition("/")
    if (slash and not namespace) or not name or "/" in namespace:
        raise web.HTTPBadRequest(text=f"application is written namespace/name or name, not {text!r}")
    return AppKey(namespace or control_plane, name)


async def page_of(faces: Faces, asked: ListQuery) -> tuple[tuple[Incident, ...], str]:
    """Incidents, newest first, and the cursor of those after them."""
    wanted = IncidentQuery(
        states=asked.state,
        app=application_key(asked.application, faces.rules().control_plane),
        project=asked.project,
        category=asked.category.value if asked.category else "",
        limit=asked.limit,
        cursor=asked.cursor,
    )
    try:
        found = await faces.store.incidents(wanted)
    except ValueError as error:
        raise web.HTTPBadRequest(text="the cursor is not one of ours: begin without one") from error
    return found.incidents, found.next_cursor


async def list_incidents(request: web.Request) -> web.Response:
    faces = faces_of(request)
    incidents, cursor = await page_of(faces, query(request, ListQuery))
    url = faces.url.rstrip("/")
    return answer(ListOut([summary(i, url) for i in incidents], cursor or None))


async def show_incident(request: web.Request) -> web.Response:
    return answer((await show(faces_of(request), request.match_info["id"])).report)


async def _shown(request: web.Request, incident: Incident) -> web.Response:
    return answer((await show(faces_of(request), incident.id)).report)


async def acknowledge(request: web.Request) -> web.Response:
    who, said = operator(request), await body(request, WhyIn)
    return await _shown(request, await faces_of(request).desk.acknowledge(request.match_info["id"], who, said.why))


async def resolve(request: web.Request) -> web.Response:
    who, said = operator(request), await body(request, WhyIn)
    return await _shown(request, await faces_of(request).desk.resolve(request.match_info["id"], who, said.why))


async def mute(request: web.Request) -> web.Response:
    who, said = operator(request), await body(request, MuteIn)
    faces = faces_of(request)
    until = muted_until(said, faces.clock.now())
    return await _shown(request, await faces.desk.mute(request.match_info["id"], who, until, said.why))


def muted_until(said: MuteIn, now: datetime) -> datetime:
    """422 for what is no moment within the next seven days."""
    if bool(said.until) == bool(said.lasts):
        raise web.HTTPUnprocessableEntity(text='say either "until" (RFC 3339) or "for" (2h)')
    try:
        until = said.until.astimezone(UTC) if said.until else now + parse_duration(said.lasts)
    except ValueError as error:
        raise web.HTTPUnprocessableEntity(text=f"for: {error}") from error
    if said.until is not None and said.until.tzinfo is None:
        raise web.HTTPUnprocessableEntity(text="until: it needs a time zone, Z for UTC")
    if not now < until <= now + MUTE_AT_MOST:
        raise web.HTTPUnprocessableEntity(text="an incident is muted for some time, at most 7 days")
    return until


def _order(kind: ActionKind) -> Route:
    async def handler(request: web.Request) -> web.Response:
        who, said = operator(request), await body(request, WhyIn)
        return ordered(await faces_of(request).desk.order(request.match_info["id"], kind, who, said.why))

    return Route(
        method="POST",
        path=f"/v1/incidents/{{id}}/{kind.value}",
        handler=handler,
        summary=f"Order {kind.value} in your name: every guard still speaks, a denial is a 409 with all reasons",
        answer=DecisionOut,
        status=202,
        body=WhyIn,
        problems=(400, 404, 409, 415, 422),
    )


def ordered(decision: Decision) -> web.Response:
    """202: allowed, and the reconciler carries it out. A denied one is recorded, and not done later."""
    if decision.verdict.result is VerdictResult.ALLOWED:
        return answer(decision_out(decision), 202)
    reasons = tuple(r.text for r in decision.verdict.reasons if not r.passed)
    title = f"{decision.action.value} is {decision.verdict.result.value}"
    return Problem(title, 409, "; ".join(reasons), reasons).response()


async def approve(request: web.Request) -> web.Response:
    who, said = operator(request), await body(request, ApproveIn)
    decision = await faces_of(request).desk.approve(request.match_info["id"], who, said.evidence_version)
    return answer(decision_out(decision))


async def decline(request: web.Request) -> web.Response:
    who = operator(request)
    await body(request, EmptyIn)
    return answer(decision_out(await faces_of(request).desk.decline(request.match_info["id"], who)))


_CHANGE = (400, 404, 409, 415, 422)
ROUTES = (
    Route(
        method="GET", path="/v1/incidents", handler=list_incidents, query=ListQuery, answer=ListOut, problems=(400,),
        summary="Incidents, newest first",
    ),
    Route(
        method="GET", path="/v1/incidents/{id}", handler=show_incident, answer=IncidentOut, problems=(404,),
        summary="One incident: cause, what was left behind, attempts, decisions with every reason, timeline",
    ),
    Route(
        method="POST", path="/v1/incidents/{id}/acknowledge", handler=acknowledge, body=WhyIn, answer=IncidentOut,
        problems=_CHANGE, summary="Somebody is on it",
    ),
    Route(
        method="POST", path="/v1/incidents/{id}/resolve", handler=resolve, body=WhyIn, answer=IncidentOut,
        problems=_CHANGE, summary="Over, by your word: no success of the same hook was seen",
    ),
    Route(
        method="POST", path="/v1/incidents/{id}/mute", handler=mute, body=MuteIn, answer=IncidentOut,
        problems=_CHANGE, summary="No alerts about it for a while",
    ),
    *(_order(kind) for kind in (
        ActionKind.RESYNC, ActionKind.STOP_RETRIES, ActionKind.TERMINATE, ActionKind.DELETE_HOOK,
    )),
    Route(
        method="POST", path="/v1/decisions/{id}/approve", handler=approve, body=ApproveIn, answer=DecisionOut,
        problems=_CHANGE, summary="Approve what a rule wants, upon the evidence that you saw; 409 when it changed",
    ),
    Route(
        method="POST", path="/v1/decisions/{id}/decline", handler=decline, body=EmptyIn, answer=DecisionOut,
        problems=_CHANGE, summary="Decline what a rule wants",
    ),
)  # fmt: skip
