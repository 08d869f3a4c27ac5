"""The rules in force, what each came to, and why each did or did not decide upon one incident."""

import asyncio
from datetime import datetime, timedelta

import msgspec
from aiohttp import web

from responder.core.actions import ActionKind
from responder.core.attempts import OperationView
from responder.core.deciding import Case
from responder.core.demoting import Demotion
from responder.core.explaining import ExplainOut, explain
from responder.core.incident import Incident
from responder.core.replaying import How
from responder.core.rulehits import RuleHits, count_hits
from responder.core.rules import Rule, RuleAction
from responder.core.situation import Situation
from responder.core.trial import alert_line
from responder.desk import NotFoundError
from responder.ports import IncidentQuery, StoreError
from responder.web.access import operator
from responder.web.faces import Faces, faces_of
from responder.web.incidents import WhyIn
from responder.web.parameters import body
from responder.web.rendering import render
from responder.web.routes import HTML, Route, answer
from responder.web.showing import Shown, show

_SINCE = timedelta(days=30)
_PAGE = 200
_COUNTED = 2000  # incidents at most: the newest
_WORLD_DEADLINE = 2.0  # seconds for the API server's word, without which what is recorded has to do


class RuleHitsOut(msgspec.Struct):
    name: str
    in_force: bool
    line: int | None
    mode: str | None
    continues: bool
    conditions: list[str]
    actions: list[str]
    demoted: str | None  # why it is in shadow whatever it says
    matched: int  # incidents
    done: int
    asked: int
    would_have: int  # in shadow
    denied: int
    last_at: datetime | None
    last_incident: str | None


class RulesOut(msgspec.Struct):
    file: str
    loaded_at: datetime | None
    trouble: str
    problems: list[str]
    counted_since: datetime
    incidents: int  # counted, the newest at most
    rules: list[RuleHitsOut]


async def rules_of(faces: Faces) -> RulesOut:
    in_force, since = faces.in_force(), faces.clock.now() - _SINCE
    incidents = await _newest(faces, since)
    hits = count_hits(faces.rules().rulebook, incidents)
    return RulesOut(
        file=in_force.rules_file,
        loaded_at=in_force.loaded_at,
        trouble=in_force.trouble,
        problems=list(in_force.problems),
        counted_since=since,
        incidents=len(incidents),
        rules=[_hits_out(h, faces) for h in hits],
    )


async def _newest(faces: Faces, since: datetime) -> list[Incident]:
    found: list[Incident] = []
    cursor = ""
    while len(found) < _COUNTED:
        page = await faces.store.incidents(IncidentQuery(limit=_PAGE, cursor=cursor))
        found += [i for i in page.incidents if i.opened_at >= since]
        cursor = page.next_cursor
        if not cursor or page.incidents[-1].opened_at < since:
            break
    return found


def _hits_out(hits: RuleHits, faces: Faces) -> RuleHitsOut:
    rule = hits.rule
    return RuleHitsOut(
        name=hits.name,
        in_force=rule is not None,
        line=rule.line if rule is not None else None,
        mode=rule.matched_mode.value if rule is not None else None,
        continues=rule is not None and rule.goes_on,
        conditions=[str(c) for c in rule.conditions] if rule is not None else [],
        actions=[_action(rule, a) for a in rule.actions] if rule is not None else [],
        demoted=_demoted(rule, faces),
        matched=hits.matched,
        done=hits.by_how[How.DONE],
        asked=hits.by_how[How.ASKED],
        would_have=hits.by_how[How.SHADOW],
        denied=hits.by_how[How.DENIED],
        last_at=hits.last_at,
        last_incident=hits.last_incident or None,
    )


def _action(rule: Rule, action: RuleAction) -> str:
    if action.kind is ActionKind.ALERT:
        return alert_line(rule, action)
    params = ", ".join(f"{name} {value}" for name, value in action.params().items())
    return f"{action.kind.value} {params}".strip()


def _demoted(rule: Rule | None, faces: Faces) -> str | None:
    demotion = faces.loader.demotions.get(rule.name) if rule is not None else None
    return str(demotion) if demotion is not None and rule is not None and demotion.holds(rule) else None


async def explained(faces: Faces, shown: Shown) -> ExplainOut | None:
    """None: nothing to decide upon, a parent or an incident without a diagnosis."""
    incident, view = shown.incident, _decided_upon(shown.views)
    if incident.diagnosis is None or view is None:
        return None
    situation = await _world(faces, incident) if incident.state.open else None
    case = Case(situation or _remembered(faces, shown), incident, incident.diagnosis, view)
    return explain(case, judge_now=situation is not None)


def _decided_upon(views: tuple[OperationView, ...]) -> OperationView | None:
    return next((v for v in reversed(views) if v.failed or not v.held), None)


async def _world(faces: Faces, incident: Incident) -> Situation | None:
    """As the reconciler would be told now; None when the API server does not say it at once."""
    try:
        async with asyncio.timeout(_WORLD_DEADLINE):
            return await faces.loader.situation(incident.app, faces.rules())
    except (TimeoutError, StoreError):
        return None


def _remembered(faces: Faces, shown: Shown) -> Situation:
    """Enough for the facts that rules look at; not for guards."""
    incident, rules = shown.incident, faces.rules()
    app = faces.cluster.application(incident.app)
    return Situation(
        now=faces.clock.now(),
        installed_at=faces.loader.installed_at,
        app=app if app is not None and app.uid == incident.app_uid else None,
        views=shown.views,
        diagnoses=shown.diagnoses,
        incident=incident,
        previous=None,
        rulebook=rules.rulebook,
        policy=rules.policy,
        freshness=faces.cluster.freshness(),
    )


async def list_rules(request: web.Request) -> web.Response:
    return answer(await rules_of(faces_of(request)))


async def explain_incident(request: web.Request) -> web.Response:
    faces, incident_id = faces_of(request), request.match_info["id"]
    told = await explained(faces, await show(faces, incident_id))
    if told is None:
        raise NotFoundError(f"incident {incident_id} has nothing that rules decide upon")
    return answer(told)


async def release(request: web.Request) -> web.Response:
    who, said = operator(request), await body(request, WhyIn)
    return answer(await faces_of(request).desk.release_rule(request.match_info["name"], who, said.why))


async def rules_page(request: web.Request) -> web.Response:
    return render(request, "rules.html", it=await rules_of(faces_of(request)))


ROUTES = (
    Route(
        method="GET", path="/v1/rules", handler=list_rules, answer=RulesOut,
        summary="The rules in force, since when, and what each came to",
    ),
    Route(
        method="POST", path="/v1/rules/{name}/release", handler=release, body=WhyIn, answer=Demotion,
        problems=(400, 404, 415, 422), summary="Set to shadow since its resyncs failed: as the file says again",
    ),
    Route(
        method="GET", path="/v1/incidents/{id}/rules", handler=explain_incident, answer=ExplainOut, problems=(404,),
        summary="Every rule with each condition and the value seen, every guard with its reason",
    ),
    Route(method="GET", path="/rules", handler=rules_page, summary="Page: rules, and what each came to", media=HTML),
)  # fmt: skip
