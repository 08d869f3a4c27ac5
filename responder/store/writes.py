"""What each Write does to the tables."""

import sqlite3
from datetime import datetime
from functools import cache

from responder.core.actions import ActionRecord, OutcomeResult
from responder.core.alert import Delivery
from responder.core.argocd import AppKey, OperationRecord
from responder.core.evidence import LogChunk
from responder.core.hooks import HookRun
from responder.core.incident import Incident
from responder.core.logblock import LogBlock, fold, unfold
from responder.core.promotion import Block
from responder.ports import (
    AddWakeup,
    AppendAudit,
    AppendLog,
    AuditEntry,
    DropWakeup,
    PutAction,
    PutBlock,
    PutDelivery,
    PutHookRun,
    PutIncident,
    PutOperation,
    PutSetting,
    Wakeup,
    Write,
)
from responder.store.encoding import micros, pack, pack_log, unpack_log
from responder.store.reads import merged

OPEN_OUTCOMES = (OutcomeResult.PENDING, OutcomeResult.BEGUN, OutcomeResult.TAKEN)


def apply(db: sqlite3.Connection, write: Write, now: datetime) -> None:
    match write:
        case AddWakeup(wakeup):
            add_wakeup(db, wakeup)
        case DropWakeup(wakeup):
            drop_wakeup(db, wakeup)
        case PutOperation(operation):
            put_operation(db, operation)
        case PutHookRun(app, run):
            put_hook_run(db, app, run, now)
        case AppendLog(lines):
            append_log(db, lines, now)
        case PutIncident(incident, follows):
            put_incident(db, incident, follows)
        case PutAction(action):
            put_action(db, action)
        case PutBlock(block):
            put_block(db, block)
        case PutDelivery(delivery):
            put_delivery(db, delivery)
        case AppendAudit(entry):
            append_audit(db, entry)
        case PutSetting(name, value):
            put_setting(db, name, value)


def add_wakeup(db: sqlite3.Connection, wakeup: Wakeup) -> None:
    app = wakeup.app or AppKey("", "")
    db.execute(
        "INSERT OR REPLACE INTO wakeups (namespace, name, trigger, at) VALUES (?, ?, ?, ?)",
        (app.namespace, app.name, wakeup.trigger, micros(wakeup.at)),
    )


def drop_wakeup(db: sqlite3.Connection, wakeup: Wakeup) -> None:
    app = wakeup.app or AppKey("", "")
    db.execute(
        "DELETE FROM wakeups WHERE namespace = ? AND name = ? AND seq <= ?", (app.namespace, app.name, wakeup.seq)
    )


def put_operation(db: sqlite3.Connection, operation: OperationRecord) -> None:
    upsert(
        db,
        "operations",
        "app_uid, started_at",
        app_uid=operation.app_uid,
        started_at=micros(operation.started_at),
        body=pack(operation),
    )


def put_hook_run(db: sqlite3.Connection, app: AppKey | None, run: HookRun, now: datetime) -> None:
    upsert(
        db,
        "hook_runs",
        "cluster, uid",
        cluster=run.cluster,
        uid=run.uid,
        app_namespace=app and app.namespace,
        app_name=app and app.name,
        created_at=micros(run.created_at),
        stored_at=micros(now),
        body=pack(run),
    )


def append_log(db: sqlite3.Connection, lines: LogBlock | LogChunk, now: datetime) -> None:
    """Lines again, or cut differently, double none and lose none: they are merged by number."""
    block = fold(lines) if isinstance(lines, LogChunk) else lines
    if not block.runs:
        return
    key, first, last = block.key, block.first, block.last
    query = "SELECT body FROM logs WHERE key = ? AND first = ? AND last = ?"
    for (stored,) in db.execute(query, (key, first, last)).fetchall():
        before = unpack_log(stored)
        if before == block:
            return
        block = fold(merged(key, (unfold(before), unfold(block))))
    upsert(db, "logs", "key, first, last", key=key, first=first, last=last, stored_at=micros(now), body=pack_log(block))


def put_incident(db: sqlite3.Connection, incident: Incident, follows: datetime | None = None) -> None:
    if follows is not None:
        held = db.execute("SELECT updated_at FROM incidents WHERE id = ?", (incident.id,)).fetchone()
        if held is None or held[0] != micros(follows):
            raise sqlite3.IntegrityError(f"incident {incident.id} was changed by somebody else")
    single = incident.state.open and not incident.children
    upsert(
        db,
        "incidents",
        "id",
        id=incident.id,
        state=incident.state,
        open_of=(incident.app_uid or None) if single else None,
        app_uid=incident.app_uid,
        namespace=incident.app.namespace,
        name=incident.app.name,
        project=incident.project,
        category=incident.diagnosis.category if incident.diagnosis else "",
        correlation=incident.correlation,
        opened_at=micros(incident.opened_at),
        updated_at=micros(incident.updated_at),
        body=pack(incident),
    )


def put_action(db: sqlite3.Connection, action: ActionRecord) -> None:
    upsert(
        db,
        "actions",
        "id",
        id=action.id,
        app_uid=action.app_uid,
        begun_at=micros(action.begun_at),
        open=action.outcome.result in OPEN_OUTCOMES,
        body=pack(action),
    )


def put_block(db: sqlite3.Connection, block: Block) -> None:
    upsert(
        db,
        "blocks",
        "id",
        id=block.id,
        created_at=micros(block.created_at),
        ended_at=micros(block.ended_at) if block.ended_at else None,
        body=pack(block),
    )


def put_delivery(db: sqlite3.Connection, delivery: Delivery) -> None:
    upsert(
        db,
        "deliveries",
        "id",
        id=delivery.id,
        incident_id=delivery.alert.incident_id,
        state=delivery.state,
        created_at=micros(delivery.created_at),
        not_before=micros(delivery.not_before),
        body=pack(delivery),
    )


def append_audit(db: sqlite3.Connection, entry: AuditEntry) -> None:
    db.execute(
        "INSERT INTO audit (at, incident, body) VALUES (?, ?, ?)", (micros(entry.at), entry.incident, pack(entry))
    )


def put_setting(db: sqlite3.Connection, name: str, value: str) -> None:
    upsert(db, "settings", "name", name=name, value=value)


def upsert(db: sqlite3.Connection, table: str, key: str, /, **row: object) -> None:
    """Never OR REPLACE: that would delete the Application's other open incident instead of refusing this one."""
    db.execute(_upsert(table, key, tuple(row)), row)


@cache
def _upsert(table: str, key: str, columns: tuple[str, ...]) -> str:
    names, values = ", ".join(columns), ", ".join(f":{c}" for c in columns)
    changes = ", ".join(f"{c} = excluded.{c}" for c in columns)
    return f"INSERT INTO {table} ({names}) VALUES ({values}) ON CONFLICT ({key}) DO UPDATE SET {changes}"  # noqa: S608  # our own words; every value is bound
