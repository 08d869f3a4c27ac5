"""What is asked of the tables; each is one SELECT, so one consistent view."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Self, TypeVar

from responder.core.actions import ActionRecord
from responder.core.alert import Delivery
from responder.core.argocd import AppKey, OperationRecord
from responder.core.evidence import LogChunk
from responder.core.hooks import HookRun
from responder.core.incident import Incident
from responder.core.logblock import unfold
from responder.core.promotion import Block
from responder.ports import AuditEntry, IncidentPage, IncidentQuery, Trigger, Wakeup
from responder.store.encoding import from_cursor, instant, micros, to_cursor, unpack, unpack_log

T = TypeVar("T")

ALL = 1 << 62


class Select:
    """Bodies of one table, with conditions that must all hold."""

    def __init__(self, table: str, order: str) -> None:
        self._table = table
        self._order = order
        self._conditions: list[str] = []
        self._values: list[object] = []

    def where(self, condition: str, *values: object) -> Self:
        self._conditions.append(condition)
        self._values.extend(values)
        return self

    def fetch(self, db: sqlite3.Connection, kind: type[T], limit: int = ALL) -> list[T]:
        conditions = " AND ".join(self._conditions) or "true"
        query = f"SELECT body FROM {self._table} WHERE {conditions} ORDER BY {self._order} LIMIT ?"  # noqa: S608  # our own words; every value is bound
        return [unpack(body, kind) for (body,) in db.execute(query, [*self._values, max(limit, 0)])]

    def first(self, db: sqlite3.Connection, kind: type[T]) -> T | None:
        return next(iter(self.fetch(db, kind, 1)), None)


def wakeups(db: sqlite3.Connection) -> Sequence[Wakeup]:
    """In the order in which they came."""
    rows = db.execute("SELECT namespace, name, trigger, at, seq FROM wakeups ORDER BY seq")
    return [
        Wakeup(AppKey(namespace, name) if name else None, Trigger(trigger), instant(at), seq)
        for namespace, name, trigger, at, seq in rows
    ]


def operations(db: sqlite3.Connection, app_uid: str, limit: int) -> Sequence[OperationRecord]:
    return Select("operations", "started_at DESC").where("app_uid = ?", app_uid).fetch(db, OperationRecord, limit)


def hook_runs(db: sqlite3.Connection, app: AppKey, since: datetime | None) -> Sequence[HookRun]:
    select = Select("hook_runs", "created_at, uid")
    select.where("app_namespace = ? AND app_name = ?", app.namespace, app.name)
    if since:
        select.where("created_at >= ?", micros(since))
    return select.fetch(db, HookRun)


def hook_run(db: sqlite3.Connection, cluster: str, uid: str) -> HookRun | None:
    return Select("hook_runs", "uid").where("cluster = ? AND uid = ?", cluster, uid).first(db, HookRun)


def unattributed(db: sqlite3.Connection, limit: int) -> Sequence[HookRun]:
    return Select("hook_runs", "created_at DESC, uid").where("app_namespace IS NULL").fetch(db, HookRun, limit)


def log(db: sqlite3.Connection, key: str) -> LogChunk | None:
    rows = db.execute("SELECT body FROM logs WHERE key = ? ORDER BY first, last", (key,)).fetchall()
    return merged(key, [unfold(unpack_log(body)) for (body,) in rows]) if rows else None


def merged(key: str, chunks: Iterable[LogChunk]) -> LogChunk:
    """Chunks may overlap after a crash of the recorder: of each number the first is taken."""
    lines: dict[int, tuple[str, str]] = {}
    for chunk in chunks:
        for number, stamp, text in zip(chunk.numbers, chunk.stamps, chunk.texts, strict=True):
            lines.setdefault(number, (stamp, text))
    numbers = tuple(sorted(lines))
    return LogChunk(key, numbers, tuple(lines[n][0] for n in numbers), tuple(lines[n][1] for n in numbers))


def incident(db: sqlite3.Connection, incident_id: str) -> Incident | None:
    return Select("incidents", "id").where("id = ?", incident_id).first(db, Incident)


def incidents(db: sqlite3.Connection, query: IncidentQuery) -> IncidentPage:
    select = Select("incidents", "opened_at DESC, id DESC")
    for condition, values in _conditions(query):
        select.where(condition, *values)
    limit = max(query.limit, 1)
    found = select.fetch(db, Incident, limit + 1)
    if len(found) <= limit:
        return IncidentPage(tuple(found))
    last = found[limit - 1]
    return IncidentPage(tuple(found[:limit]), to_cursor(micros(last.opened_at), last.id))


def _conditions(query: IncidentQuery) -> Iterator[tuple[str, Sequence[object]]]:
    if query.states:
        yield f"state IN ({', '.join('?' * len(query.states))})", query.states
    if query.app:
        yield "namespace = ? AND name = ?", (query.app.namespace, query.app.name)
    if query.cursor:
        yield "(opened_at, id) < (?, ?)", from_cursor(query.cursor)
    for column in ("app_uid", "project", "category", "correlation"):
        if value := getattr(query, column):
            yield f"{column} = ?", (value,)


def actions(db: sqlite3.Connection, app_uid: str, since: datetime | None, *, open_only: bool) -> Sequence[ActionRecord]:
    select = Select("actions", "begun_at, id")
    if app_uid:
        select.where("app_uid = ?", app_uid)
    if since:
        select.where("begun_at >= ?", micros(since))
    if open_only:
        select.where("open")
    return select.fetch(db, ActionRecord)


def blocks(db: sqlite3.Connection, limit: int, *, ended: bool) -> Sequence[Block]:
    """Those that hold come first: a limit must not hide one behind those that ended."""
    select = Select("blocks", "ended_at IS NOT NULL, created_at DESC, id")
    if not ended:
        select.where("ended_at IS NULL")
    return select.fetch(db, Block, limit)


def deliveries(db: sqlite3.Connection, due: datetime | None, incident_id: str, limit: int) -> Sequence[Delivery]:
    select = Select("deliveries", "created_at, id")
    if incident_id:
        select.where("incident_id = ?", incident_id)
    if due or not incident_id:
        select.where("state = 'pending'")
    if due:
        select.where("not_before <= ?", micros(due))
    return select.fetch(db, Delivery, limit)


def audit(db: sqlite3.Connection, incident_id: str, limit: int) -> Sequence[AuditEntry]:
    select = Select("audit", "id DESC")
    if incident_id:
        select.where("incident = ?", incident_id)
    return select.fetch(db, AuditEntry, limit)


def settings(db: sqlite3.Connection) -> Mapping[str, str]:
    return dict(db.execute("SELECT name, value FROM settings"))
