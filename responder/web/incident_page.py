"""What the page of one incident shows beyond the answer of the API: parts of logs, every rule, the first command."""

from datetime import datetime
from urllib.parse import quote

import msgspec

from responder.core.actions import Mode
from responder.core.argocd import AppKey
from responder.core.explaining import ExplainOut
from responder.core.failure import Retry
from responder.core.incident import Incident
from responder.core.promotion import Block
from responder.core.reportshape import DecisionOut
from responder.core.wording import next_step
from responder.web.excerpts import Excerpt, excerpts
from responder.web.faces import Faces
from responder.web.incidents import SummaryOut, summary
from responder.web.rules import explained
from responder.web.showing import Shown, show

_CHILDREN = 100


class IncidentPage(msgspec.Struct, frozen=True):
    shown: Shown
    excerpts: list[Excerpt]
    rules: ExplainOut | None  # as they are now
    approvals: list[DecisionOut]
    children: list[SummaryOut]
    blocks: list[Block]  # that it holds
    argocd: str  # address of the Application there; empty: not known
    again: bool  # it is safe to run it again, and may be ordered here
    advice: str
    command: str  # empty: there is none to give
    owner: str  # likely; empty: not known
    read_at: datetime


async def incident_page(faces: Faces, incident_id: str) -> IncidentPage:
    shown = await show(faces, incident_id)
    incident = shown.incident
    return IncidentPage(
        shown=shown,
        excerpts=await excerpts(faces, shown),
        rules=await explained(faces, shown),
        approvals=[d for d in shown.report.decisions if d.verdict.result == "needs-approval" and incident.state.open],
        children=await _children(faces, incident.children),
        blocks=[b for b in faces.desk.blocks() if b.incident_id == incident.id],
        argocd=_in_argocd(faces, incident.app) if incident.app_uid else "",
        again=_again(faces, incident),
        advice=next_step(incident.diagnosis, incident.app.name),
        command=incident.diagnosis.command if incident.diagnosis else "",
        owner=incident.diagnosis.owner if incident.diagnosis else "",
        read_at=faces.clock.now(),
    )


def _again(faces: Faces, incident: Incident) -> bool:
    """Only what is safe has a button; the guards, which speak in any case, would refuse it in shadow."""
    safe = incident.diagnosis is not None and incident.diagnosis.retry is Retry.SAFE
    may = incident.state.open and bool(incident.app_uid) and faces.rules().policy.mode is not Mode.SHADOW
    return safe and may


def _in_argocd(faces: Faces, app: AppKey) -> str:
    url = faces.rules().policy.argocd_url.rstrip("/")
    return f"{url}/applications/{quote(app.namespace)}/{quote(app.name)}" if url else ""


async def _children(faces: Faces, ids: tuple[str, ...]) -> list[SummaryOut]:
    found = [await faces.store.incident(i) for i in ids[:_CHILDREN]]
    return [summary(child) for child in found if child is not None]
