"""The tables, and how an older file becomes a newer one.

A migration only adds (tables, columns with a default, indexes), so that the version before can go on with the file
after a roll-back; ``readable_from`` is that promise, kept in the file. For the same reason every INSERT names its
columns.
"""

import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from responder.ports import StoreError
from responder.store.errors import translated

APPLICATION_ID = 0x68726573  # "hres": tells our files from any other SQLite file


class Migration(msgspec.Struct, frozen=True):
    """One step of the schema; its version is its place in the list, from 1."""

    readable_from: int  # the oldest schema version whose program can still use the file
    statements: tuple[str, ...]


FIRST = Migration(
    readable_from=1,
    statements=(
        "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        # AUTOINCREMENT: a seq is never given twice, also after its row is gone. Empty names: all Applications.
        """CREATE TABLE wakeups (seq INTEGER PRIMARY KEY AUTOINCREMENT, namespace TEXT NOT NULL, name TEXT NOT NULL,
            trigger TEXT NOT NULL, at INTEGER NOT NULL, UNIQUE (namespace, name))""",
        """CREATE TABLE operations (app_uid TEXT NOT NULL, started_at INTEGER NOT NULL, body BLOB NOT NULL,
            PRIMARY KEY (app_uid, started_at))""",
        """CREATE TABLE hook_runs (cluster TEXT NOT NULL, uid TEXT NOT NULL, app_namespace TEXT, app_name TEXT,
            created_at INTEGER NOT NULL, stored_at INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (cluster, uid))""",
        "CREATE INDEX hook_runs_by_app ON hook_runs (app_namespace, app_name, created_at, uid)",
        "CREATE INDEX hook_runs_by_age ON hook_runs (stored_at)",
        """CREATE TABLE logs (key TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
            stored_at INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (key, first, last))""",
        "CREATE INDEX logs_by_age ON logs (key, stored_at)",
        # open_of: the Application uid while the incident is open and no parent; null otherwise, and nulls never clash.
        """CREATE TABLE incidents (id TEXT PRIMARY KEY, state TEXT NOT NULL, open_of TEXT UNIQUE, app_uid TEXT NOT NULL,
            namespace TEXT NOT NULL, name TEXT NOT NULL, project TEXT NOT NULL, category TEXT NOT NULL,
            correlation TEXT NOT NULL, opened_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, body BLOB NOT NULL)""",
        "CREATE INDEX incidents_by_time ON incidents (opened_at, id)",
        "CREATE INDEX incidents_by_app ON incidents (app_uid, opened_at, id)",
        "CREATE INDEX incidents_by_state ON incidents (state, opened_at, id)",
        """CREATE TABLE actions (id TEXT PRIMARY KEY, app_uid TEXT NOT NULL, begun_at INTEGER NOT NULL,
            open INTEGER NOT NULL, body BLOB NOT NULL)""",
        "CREATE INDEX actions_by_app ON actions (app_uid, begun_at)",
        "CREATE INDEX actions_by_time ON actions (begun_at, id)",
        "CREATE INDEX actions_open ON actions (begun_at, id) WHERE open",
        """CREATE TABLE blocks (id TEXT PRIMARY KEY, created_at INTEGER NOT NULL, ended_at INTEGER,
            body BLOB NOT NULL)""",
        """CREATE TABLE deliveries (id TEXT PRIMARY KEY, incident_id TEXT NOT NULL, state TEXT NOT NULL,
            created_at INTEGER NOT NULL, not_before INTEGER NOT NULL, body BLOB NOT NULL)""",
        "CREATE INDEX deliveries_by_incident ON deliveries (incident_id, created_at)",
        "CREATE INDEX deliveries_pending ON deliveries (created_at, id) WHERE state = 'pending'",
        """CREATE TABLE audit (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, incident TEXT NOT NULL,
            body BLOB NOT NULL)""",
        "CREATE INDEX audit_by_incident ON audit (incident, id)",
        "CREATE INDEX audit_by_age ON audit (at)",
        """CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit
            BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END""",
    ),
)

AUDIT_FORGOTTEN = "audit_forgotten_until"  # microseconds: retention says so before it forgets

AUDIT_KEPT = Migration(
    readable_from=1,
    statements=(
        f"""CREATE TRIGGER audit_is_forgotten_by_age BEFORE DELETE ON audit
            WHEN OLD.at >= (SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM settings
                WHERE name = '{AUDIT_FORGOTTEN}')
            BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END""",  # noqa: S608 - our own word
    ),
)

MIGRATIONS: tuple[Migration, ...] = (FIRST, AUDIT_KEPT)


def connect(path: Path, *, busy: float, write: bool) -> sqlite3.Connection:
    """``busy``: seconds to wait for another program's lock. Nothing is created: ``create`` does that."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'rw' if write else 'ro'}",
        uri=True,
        timeout=busy,
        isolation_level=None,
        check_same_thread=False,
    )


def create(path: Path) -> None:
    """An empty file for our eyes only; SQLite gives its journal files the same rights."""
    try:
        path.touch(mode=0o600, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: cannot be created ({error.strerror}): is its folder there and ours?") from error


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Makes this connection the writer's: brings the file to the newest version, each step whole or not at all.

    Refuses what is not ours.
    """
    try:
        version = _version(connection, path, len(migrations))
        if version == 0:
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # must come before the first table
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # what is acknowledged survives a power cut
        connection.execute("PRAGMA journal_size_limit=67108864")
        for number, step in enumerate(migrations[version:], start=version + 1):
            _step(connection, number, step)
    except sqlite3.Error as error:
        raise translated(error, path) from error


def _version(connection: sqlite3.Connection, path: Path, known: int) -> int:
    """The file's version, when this program may use it."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    ours = int(connection.execute("PRAGMA application_id").fetchone()[0]) == APPLICATION_ID
    empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if not ours and not empty:
        raise StoreError(f"{path}: it belongs to another program: correct `store.url`")
    if version > known and _readable_from(connection) > known:
        raise StoreError(
            f"{path}: its schema is version {version}, this program knows {known}:"
            " run the newer responder again, or bring back a backup from before the upgrade"
        )
    return version


def _readable_from(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT value FROM settings WHERE name = 'schema_readable_from'").fetchone()
    return int(row[0]) if row else sys.maxsize


def _step(connection: sqlite3.Connection, number: int, step: Migration) -> None:
    connection.execute("BEGIN EXCLUSIVE")
    try:
        for statement in step.statements:
            connection.execute(statement)
        connection.execute(
            """INSERT INTO settings (name, value) VALUES ('schema_readable_from', ?)
            ON CONFLICT (name) DO UPDATE SET value = excluded.value""",
            (str(step.readable_from),),
        )
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={number}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
