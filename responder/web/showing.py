"""An incident with everything that is shown of it: its operations joined, its diagnoses, deliveries, decisions."""

from urllib.parse import quote

import msgspec

from responder.core.attempts import Admission, OperationView, join
from responder.core.failure import Diagnosis
from responder.core.incident import Incident
from responder.core.report import report
from responder.core.reportshape import IncidentOut
from responder.desk import NotFoundError
from responder.web.faces import Faces

_DELIVERIES = 100


class Shown(msgspec.Struct, frozen=True):
    incident: Incident
    views: tuple[OperationView, ...]
    diagnoses: dict[tuple[str, int, str], Diagnosis]
    report: IncidentOut


def log_address(key: str) -> str:
    return f"/v1/logs/{quote(key, safe='/')}"


async def show(faces: Faces, incident_id: str) -> Shown:
    incident = await faces.store.incident(incident_id)
    if incident is None:
        raise NotFoundError(f"there is no incident {incident_id}")
    rules = faces.rules()
    views = await _views(faces, incident)
    app = faces.cluster.application(incident.app)
    diagnoses = dict(await faces.loader.diagnoses(views, app, rules.signatures))
    deliveries = await faces.store.deliveries(incident_id=incident_id, limit=_DELIVERIES)
    brings, url = app.resources if app is not None else (), faces.url.rstrip("/")
    told = report(incident, views, diagnoses, deliveries, log_address, url, brings)
    return Shown(incident, views, diagnoses, told)


async def _views(faces: Faces, incident: Incident) -> tuple[OperationView, ...]:
    if not incident.app_uid:
        return ()  # a parent: its children have operations
    rules, app = faces.rules(), faces.cluster.application(incident.app)
    if app is not None and app.uid == incident.app_uid:
        views = await faces.loader.views(incident.app, incident.app_uid, app, rules)
    else:
        views = await _remembered(faces, incident)
    return tuple(v for v in views if v.record.started_at in incident.operations)


async def _remembered(faces: Faces, incident: Incident) -> tuple[OperationView, ...]:
    """The Application is gone, or not seen yet: what it was permitted is told by the hooks that were decided upon."""
    rules = faces.rules()
    namespaces = {incident.destination_namespace, *(f.hook.namespace for f in incident.failing)}
    clusters = [f.hook.cluster for f in incident.failing if f.hook.cluster]
    admission = Admission(
        app=incident.app,
        control_plane=rules.control_plane,
        cluster=clusters[0] if clusters else rules.clusters.get(incident.destination, incident.destination),
        permits=namespaces.__contains__,
    )
    records = await faces.store.operations(incident.app_uid)
    runs = await faces.store.hook_runs(incident.app)
    return join(records, runs, admission)
