"""What is forgotten: by age, by size, or because a person wants one incident gone."""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice

from responder.core.argocd import AppKey
from responder.core.hooks import HookRun
from responder.core.incident import Incident
from responder.ports import AuditEntry, Keep
from responder.store import reads
from responder.store.encoding import micros
from responder.store.schema import AUDIT_FORGOTTEN
from responder.store.writes import append_audit, put_setting

BATCH = 500  # rows that one transaction forgets, so that no commit waits long behind it
LOG_BATCH = 50
MOST_LOGS = 20_000
PAGES = 1_000  # that one transaction gives back to the disk

# Whatever an open incident may rest on stays, and so does the newest operation of every Application.
AGED: dict[str, str] = {
    "operations": """started_at < :incidents AND app_uid NOT IN
        (SELECT app_uid FROM incidents WHERE state IN ('firing', 'acknowledged')) AND started_at <
        (SELECT max(newest.started_at) FROM operations AS newest WHERE newest.app_uid = operations.app_uid)""",
    "hook_runs": """stored_at < :incidents AND NOT EXISTS (SELECT 1 FROM incidents AS open WHERE
        open.namespace = app_namespace AND open.name = app_name AND open.state IN ('firing', 'acknowledged'))""",
    "deliveries": """state <> 'pending' AND created_at < :incidents AND incident_id NOT IN
        (SELECT id FROM incidents WHERE state IN ('firing', 'acknowledged'))""",
    "actions": """NOT open AND begun_at < :incidents AND app_uid NOT IN
        (SELECT app_uid FROM incidents WHERE state IN ('firing', 'acknowledged'))""",
    "blocks": "ended_at < :incidents",
    "incidents": "state NOT IN ('firing', 'acknowledged') AND updated_at < :incidents",
    "audit": "at < :audit",
}


def forget_aged(db: sqlite3.Connection, table: str, keep: Keep) -> int:
    """One batch of what is too old; how many rows went. Of the audit it is said first up to when: see the schema."""
    if table == "audit":
        put_setting(db, AUDIT_FORGOTTEN, str(micros(keep.audit_since)))
    statement = f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE {AGED[table]} LIMIT {BATCH})"  # noqa: S608  # our own words
    ages = {"incidents": micros(keep.incidents_since), "audit": micros(keep.audit_since)}
    return db.execute(statement, ages).rowcount


def oldest_logs(db: sqlite3.Connection, before: datetime | None) -> Sequence[str]:
    """Keys of whole logs, the longest untouched first; never one of an Application with an open incident.

    At most ``MOST_LOGS``: the next time finds the others.
    """
    held = set(log_keys(run for app in _open_apps(db) for run in reads.hook_runs(db, app, None)))
    rows = db.execute(
        "SELECT key FROM logs GROUP BY key HAVING max(stored_at) < ? ORDER BY max(stored_at)",
        (micros(before) if before else reads.ALL,),
    )
    return list(islice((key for (key,) in rows if key not in held), MOST_LOGS))


def forget_logs(db: sqlite3.Connection, keys: Sequence[str]) -> int:
    db.executemany("DELETE FROM logs WHERE key = ?", [(key,) for key in keys])
    return len(keys)


def live_bytes(db: sqlite3.Connection) -> int:
    """Without the pages that are free."""
    return (_pragma(db, "page_count") - _pragma(db, "freelist_count")) * _pragma(db, "page_size")


def give_back(db: sqlite3.Connection) -> int:
    """A batch of free pages back to the disk; how many are still free."""
    db.execute(f"PRAGMA incremental_vacuum({PAGES})").fetchall()
    return _pragma(db, "freelist_count")


def purge(db: sqlite3.Connection, incident_id: str, by: str, now: datetime) -> AuditEntry | None:
    """Actions and blocks stay, for budgets and safety count them; so do runs that ended well, for the gate."""
    incident = reads.incident(db, incident_id)
    if incident is None:
        return None
    runs = _runs_of(db, incident)
    forget_logs(db, log_keys(runs))
    db.executemany(
        "DELETE FROM hook_runs WHERE cluster = ? AND uid = ?", [(r.cluster, r.uid) for r in runs if not r.completed]
    )
    db.execute("DELETE FROM deliveries WHERE incident_id = ?", (incident_id,))
    db.execute("DELETE FROM incidents WHERE id = ?", (incident_id,))
    entry = AuditEntry(now, by, "purge", incident=incident_id, application=str(incident.app))
    append_audit(db, entry)
    return entry


def log_keys(runs: Iterable[HookRun]) -> list[str]:
    return [c.log.key for run in runs for pod in run.pods for c in pod.containers if c.log]


def _runs_of(db: sqlite3.Connection, incident: Incident) -> list[HookRun]:
    """Between its first operation and its end; a Job is created at or after its operation's start."""
    begin = min((incident.opened_at, *incident.operations))
    end = incident.resolved_at
    return [r for r in reads.hook_runs(db, incident.app, begin) if end is None or r.created_at <= end]


def _open_apps(db: sqlite3.Connection) -> list[AppKey]:
    rows = db.execute("SELECT DISTINCT namespace, name FROM incidents WHERE state IN ('firing', 'acknowledged')")
    return [AppKey(namespace, name) for namespace, name in rows]


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])
