"""What each Write does to the tables."""

import sqlite3
from datetime import datetime

from responder.core.actions import ActionRecord, OutcomeResult
from responder.core.alert import Delivery
from responder.core.argocd import AppKey, OperationRecord
from responder.core.evidence import LogChunk
from responder.core.hooks import HookRun
from responder.core.incident import Incident
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
from responder.store.encoding import micros, pack
from responder.store.reads import Select, merged

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
        case AppendLog(chunk):
            append_log(db, chunk, now)
        case PutIncident(incident):
            put_incident(db, incident)
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
    db.execute(
        "INSERT INTO operations VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body",
        (operation.app_uid, micros(operation.started_at), pack(operation)),
    )


def put_hook_run(db: sqlite3.Connection, app: AppKey | None, run: HookRun, now: datetime) -> None:
    namespace, name = (app.namespace, app.name) if app else (None, None)
    db.execute(
        """INSERT INTO hook_runs VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
            app_namespace = excluded.app_namespace, app_name = excluded.app_name, created_at = excluded.created_at,
            stored_at = excluded.stored_at, body = excluded.body""",
        (run.cluster, run.uid, namespace, name, micros(run.created_at), micros(now), pack(run)),
    )


def append_log(db: sqlite3.Connection, chunk: LogChunk, now: datetime) -> None:
    """A chunk again, or cut differently, doubles no line and loses none: they are merged by number."""
    if not chunk.numbers:
        return
    place = (chunk.key, chunk.numbers[0], chunk.numbers[-1])
    before = Select("logs", "first").where("key = ? AND first = ? AND last = ?", *place).first(db, LogChunk)
    whole = merged(chunk.key, (before, chunk)) if before else chunk
    if whole != before:
        db.execute(
            "INSERT OR REPLACE INTO logs VALUES (?, ?, ?, ?, ?)", (*place, micros(now), pack(whole, always=True))
        )


def put_incident(db: sqlite3.Connection, incident: Incident) -> None:
    """Never OR REPLACE: it would delete the Application's other open incident instead of refusing this one."""
    single = incident.state.open and not incident.children
    db.execute(
        """INSERT INTO incidents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
            state = excluded.state, open_of = excluded.open_of, app_uid = excluded.app_uid,
            namespace = excluded.namespace, name = excluded.name, project = excluded.project,
            category = excluded.category, correlation = excluded.correlation, opened_at = excluded.opened_at,
            updated_at = excluded.updated_at, body = excluded.body""",
        (
            incident.id,
            incident.state,
            (incident.app_uid or None) if single else None,
            incident.app_uid,
            incident.app.namespace,
            incident.app.name,
            incident.project,
            incident.diagnosis.category if incident.diagnosis else "",
            incident.correlation,
            micros(incident.opened_at),
            micros(incident.updated_at),
            pack(incident),
        ),
    )


def put_action(db: sqlite3.Connection, action: ActionRecord) -> None:
    db.execute(
        """INSERT INTO actions VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET app_uid = excluded.app_uid,
            begun_at = excluded.begun_at, open = excluded.open, body = excluded.body""",
        (action.id, action.app_uid, micros(action.begun_at), action.outcome.result in OPEN_OUTCOMES, pack(action)),
    )


def put_block(db: sqlite3.Connection, block: Block) -> None:
    ended_at = micros(block.ended_at) if block.ended_at else None
    db.execute(
        """INSERT INTO blocks VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET created_at = excluded.created_at,
            ended_at = excluded.ended_at, body = excluded.body""",
        (block.id, micros(block.created_at), ended_at, pack(block)),
    )


def put_delivery(db: sqlite3.Connection, delivery: Delivery) -> None:
    db.execute(
        """INSERT INTO deliveries VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
            incident_id = excluded.incident_id, state = excluded.state, created_at = excluded.created_at,
            not_before = excluded.not_before, body = excluded.body""",
        (
            delivery.id,
            delivery.alert.incident_id,
            delivery.state,
            micros(delivery.created_at),
            micros(delivery.not_before),
            pack(delivery),
        ),
    )


def append_audit(db: sqlite3.Connection, entry: AuditEntry) -> None:
    db.execute(
        "INSERT INTO audit (at, incident, body) VALUES (?, ?, ?)", (micros(entry.at), entry.incident, pack(entry))
    )


def put_setting(db: sqlite3.Connection, name: str, value: str) -> None:
    db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))
