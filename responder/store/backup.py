"""A copy of the store while it is in use, and the way back. Both block: call them in a thread."""

import os
import sqlite3
from datetime import datetime
from pathlib import Path

import msgspec

from responder.core.alert import Delivery, DeliveryState
from responder.ports import StoreError
from responder.store.errors import translated
from responder.store.lock import Lock
from responder.store.reads import deliveries
from responder.store.schema import connect, create, migrate
from responder.store.writes import put_delivery, put_setting

BUSY = 5.0
ANY = 1 << 31


def backup(source: Path, target: Path) -> None:
    """A whole, compact, consistent copy, also while a responder uses the store. ``target`` must not exist yet."""
    if not source.exists():
        raise StoreError(f"{source}: there is no store to copy")
    if target.exists():
        raise StoreError(f"{target}: is there already: name another file, or remove it first")
    partial = _copied(source, target)
    _settled(partial, target)


def restore(source: Path, target: Path, *, now: datetime) -> None:
    """Puts a backup in the store's place; the store that was there stays beside it as ``<name>.replaced``.

    What time it shows may be long ago: it counts as kill switch engaged until a named person releases it, and what
    was pending is never sent (I12). Refused while a responder runs.
    """
    if not source.exists():
        raise StoreError(f"{source}: there is no such backup")
    with Lock(target):
        partial = _copied(source, target)
        try:
            _marked(partial, now)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        _set_aside(target)
        _settled(partial, target)


def _copied(source: Path, target: Path) -> Path:
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    create(partial)  # before SQLite does: with our rights
    try:
        connection = connect(source, busy=BUSY, write=False)
        try:
            connection.execute("VACUUM INTO ?", (str(partial),))
        finally:
            connection.close()
    except sqlite3.Error as error:
        partial.unlink(missing_ok=True)
        raise translated(error, source) from error
    return partial


def _marked(copy: Path, now: datetime) -> None:
    """Proves that it is sound and ours, and makes it harmless."""
    connection = connect(copy, busy=BUSY, write=True)
    try:
        verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict != "ok":
            raise StoreError(f"{copy}: the backup is damaged ({verdict}): take another one")
        migrate(connection, copy)
        connection.execute("BEGIN IMMEDIATE")
        make_harmless(connection, now)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode=DELETE")  # one file to move
    except sqlite3.Error as error:
        raise translated(error, copy) from error
    finally:
        connection.close()


def make_harmless(connection: sqlite3.Connection, now: datetime) -> None:
    """I12: no act until a named person releases it, and what was pending is never sent."""
    put_setting(connection, "restored", "true")
    put_setting(connection, "restored_at", now.isoformat())
    for delivery in deliveries(connection, None, "", ANY):
        put_delivery(connection, _given_up(delivery, now))


def _given_up(delivery: Delivery, now: datetime) -> Delivery:
    return msgspec.structs.replace(
        delivery, state=DeliveryState.FAILED, last_error="pending when the store was restored", finished_at=now
    )


def _set_aside(target: Path) -> None:
    """A second name for the old store, so that there is one under its own name at every moment.

    Its journal goes first: beside the new file it would be taken for that one's.
    """
    replaced = target.with_name(target.name + ".replaced")
    for suffix in ("-shm", "-wal"):
        old, kept = (path.with_name(path.name + suffix) for path in (target, replaced))
        kept.unlink(missing_ok=True)
        if old.exists():
            old.rename(kept)
    replaced.unlink(missing_ok=True)
    if target.exists():
        replaced.hardlink_to(target)


def _settled(partial: Path, target: Path) -> None:
    """In place, whole, and still there after a power cut."""
    _synced(partial)
    partial.rename(target)
    _synced(target.parent)


def _synced(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
