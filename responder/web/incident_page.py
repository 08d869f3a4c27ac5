"""What the page of one incident shows beyond the answer of the API: parts of logs, every rule, the first command."""

from datetime import datetime

import msgspec

from responder.core.deciding import facts_of
from responder.core.failure import Category
from responder.core.report import DecisionOut
from responder.core.rules import Matching, match
from responder.core.situation import Situation
from responder.core.wording import next_step
from responder.web.excerpts import Excerpt, excerpts
from responder.web.faces import Faces
from responder.web.incidents import SummaryOut, summary
from responder.web.runbooks import runbooks
from responder.web.showing import Shown, show

_CHILDREN = 100
_COMMANDS = ("kubectl ", "argocd ", "select ")


class IncidentPage(msgspec.Struct, frozen=True):
    shown: Shown
    excerpts: list[Excerpt]
    matching: Matching | None  # with the rules as they are now
    approvals: list[DecisionOut]
    children: list[SummaryOut]
    advice: str
    command: str  # empty: there is none to give
    read_at: datetime


async def incident_page(faces: Faces, incident_id: str) -> IncidentPage:
    shown = await show(faces, incident_id)
    incident = shown.incident
    return IncidentPage(
        shown=shown,
        excerpts=await excerpts(faces, shown),
        matching=_matching(faces, shown),
        approvals=[d for d in shown.report.decisions if d.verdict.result == "needs-approval" and incident.state.open],
        children=await _children(faces, incident.children),
        advice=next_step(incident.diagnosis, incident.app.name),
        command=_command(shown),
        read_at=faces.clock.now(),
    )


async def _children(faces: Faces, ids: tuple[str, ...]) -> list[SummaryOut]:
    found = [await faces.store.incident(i) for i in ids[:_CHILDREN]]
    return [summary(child) for child in found if child is not None]


def _matching(faces: Faces, shown: Shown) -> Matching | None:
    """Judged anew: the same rules on the same facts as the reconciler's, with each condition's result."""
    incident = shown.incident
    if incident.diagnosis is None or not shown.views:
        return None
    rules = faces.rules()
    situation = Situation(
        now=faces.clock.now(),
        installed_at=faces.loader.installed_at,
        app=faces.cluster.application(incident.app),
        views=shown.views,
        diagnoses=shown.diagnoses,
        incident=incident,
        previous=None,
        rulebook=rules.rulebook,
        policy=rules.policy,
        freshness=faces.cluster.freshness(),
    )
    return match(rules.rulebook, facts_of(situation, incident, incident.diagnosis, shown.views[-1]))


def _command(shown: Shown) -> str:
    """The runbook's first command with the names of this incident in it."""
    incident = shown.incident
    book = runbooks()[incident.diagnosis.category if incident.diagnosis else Category.UNKNOWN]
    if not book.next.startswith(_COMMANDS):
        return ""
    runs = [h.run for v in shown.views for a in v.attempts for h in a.hooks if h.run is not None and h.failed]
    hook = incident.failing[0].hook if incident.failing else None
    pods = runs[-1].pods if runs else ()
    known = {
        "NAMESPACE": hook.namespace if hook else incident.destination_namespace,
        "APPLICATION": incident.app.name,
        "JOB": runs[-1].name if runs else hook.name if hook else "JOB",
        "POD": pods[-1].name if pods else "POD",
        "NODE": (pods[-1].node if pods else "") or "NODE",
    }
    command = book.next
    for word, name in known.items():
        command = command.replace(f" {word}", f" {name or word}")
    return command
