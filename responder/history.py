"""The past of incidents as the store has it: operations and hooks joined, each failed hook diagnosed anew."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta

from responder.config import Settings
from responder.core.attempts import Admission, OperationView, join
from responder.core.causes import diagnose_hook
from responder.core.failure import Diagnosis
from responder.core.incident import Incident
from responder.core.past import Past
from responder.core.signatures import Signatures
from responder.ports import IncidentQuery
from responder.store.reading import StoreReader

_PAGE = 200
_LOOK_BACK = timedelta(days=1)  # a Job of before may stand in the way of an operation


class History:
    def __init__(self, store: StoreReader, settings: Settings, signatures: Signatures) -> None:
        self._store = store
        self._control_plane = settings.argocd.namespace
        self._clusters = {
            address: c.name for c in settings.clusters for address in (c.server.rstrip("/"), c.name) if address
        }
        self._signatures = signatures

    async def since(self, at: datetime) -> AsyncIterator[Past]:
        """Newest first; a parent has no operations and is left out."""
        cursor = ""
        while True:
            page = await self._store.incidents(IncidentQuery(limit=_PAGE, cursor=cursor))
            for incident in page.incidents:
                if incident.opened_at < at:
                    return
                if incident.app_uid:
                    yield await self._past(incident)
            cursor = page.next_cursor
            if not cursor:
                return

    async def one(self, incident_id: str) -> Past | None:
        incident = await self._store.incident(incident_id)
        return await self._past(incident) if incident is not None else None

    async def _past(self, incident: Incident) -> Past:
        records = await self._store.operations(incident.app_uid)
        runs = await self._store.hook_runs(incident.app, since=incident.opened_at - _LOOK_BACK)
        views = join(records, runs, self._admission(incident))
        ours = tuple(v for v in views if v.record.started_at in incident.operations)
        return Past(incident, ours, await self._diagnoses(ours))

    def _admission(self, incident: Incident) -> Admission:
        """What the AppProject permitted then is told by the hooks that were decided upon."""
        namespaces = {incident.destination_namespace, *(f.hook.namespace for f in incident.failing)}
        clusters = [f.hook.cluster for f in incident.failing if f.hook.cluster]
        return Admission(
            app=incident.app,
            control_plane=self._control_plane,
            cluster=clusters[0] if clusters else self._clusters.get(incident.destination, incident.destination),
            permits=namespaces.__contains__,
        )

    async def _diagnoses(self, views: tuple[OperationView, ...]) -> Mapping[tuple[str, int, str], Diagnosis]:
        """Of a log that is forgotten nothing is said: what the incident says stands then."""
        found: dict[tuple[str, int, str], Diagnosis] = {}
        for view in views:
            for attempt in view.attempts:
                for hook in (h for h in attempt.hooks if h.failed):
                    keys = [c.log for p in hook.run.pods for c in p.containers if c.log] if hook.run else []
                    logs = {log.key: await self._store.log(log.key) for log in keys}
                    if all(logs[log.key] is not None for log in keys if log.lines > log.dropped):
                        diagnosis = diagnose_hook(hook, view.record, logs.get, self._signatures)
                        found[view.record.id, attempt.number, str(hook.identity)] = diagnosis
        return found
