"""What is forgotten: by age, by size, or because a person wants one incident gone."""

import sqlite3
from collections.abc import Iterable
from datetime import datetime

from responder.core.hooks import HookRun
from responder.core.incident import Incident
from responder.ports import AuditEntry
from responder.store import reads
from responder.store.encoding import micros
from responder.store.writes import append_audit


def log_keys(runs: Iterable[HookRun]) -> list[str]:
    return [c.log.key for run in runs for pod in run.pods for c in pod.containers if c.log]


def purge(db: sqlite3.Connection, incident_id: str, by: str, now: datetime) -> None:
    """Actions and blocks stay, for budgets and safety count them; so do runs that ended well, for the gate."""
    incident = reads.incident(db, incident_id)
    if incident is None:
        return
    runs = _runs_of(db, incident)
    db.executemany("DELETE FROM logs WHERE key = ?", [(key,) for key in log_keys(runs)])
    db.executemany(
        "DELETE FROM hook_runs WHERE cluster = ? AND uid = ?", [(r.cluster, r.uid) for r in runs if not r.completed]
    )
    db.execute("DELETE FROM deliveries WHERE incident_id = ?", (incident_id,))
    db.execute("DELETE FROM incidents WHERE id = ?", (incident_id,))
    append_audit(db, AuditEntry(now, by, "purge", incident=incident_id, application=str(incident.app)))


def _runs_of(db: sqlite3.Connection, incident: Incident) -> list[HookRun]:
    """Between its first operation and its end; a Job is created at or after its operation's start."""
    begin = min((incident.opened_at, *incident.operations))
    end = incident.resolved_at
    return [
        run for run in reads.hook_runs(db, incident.app, begin) if end is None or micros(run.created_at) <= micros(end)
    ]
