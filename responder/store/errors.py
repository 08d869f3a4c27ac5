"""SQLite's errors in our language: what is wrong, and what to do."""

import sqlite3
from pathlib import Path

from responder.ports import StoreConflictError, StoreError

LOCKED = "another program holds it locked: end that program (a shell or a copy job left open?)"
CLOSED_TO_US = "it cannot be opened: its folder must be there, and the responder's user must be able to write in it"

ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full: make room or shorten `retention`; writing then goes on by itself",
    sqlite3.SQLITE_IOERR: "the disk failed: look at the volume; writing goes on by itself when it is back",
    sqlite3.SQLITE_BUSY: LOCKED,
    sqlite3.SQLITE_LOCKED: LOCKED,
    sqlite3.SQLITE_CANTOPEN: CLOSED_TO_US,
    sqlite3.SQLITE_PERM: CLOSED_TO_US,
    sqlite3.SQLITE_READONLY: "it is read-only: the responder's user must be able to write to it and in its folder",
    sqlite3.SQLITE_CORRUPT: "it is damaged: stop the responder and bring a backup back with `responder restore`",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database: correct `store.url`, or bring a backup back with"
    " `responder restore`",
}


def translated(error: sqlite3.Error, path: Path) -> StoreError:
    """``sqlite_errorcode`` is extended: its low byte is the family. Errors of the module itself have none."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_CONSTRAINT or isinstance(error, sqlite3.IntegrityError):
        return StoreConflictError(f"{path}: it contradicts what is stored ({error})")
    return StoreError(f"{path}: {ADVICE.get(code, 'it refuses')} ({error})")
