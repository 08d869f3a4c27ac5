"""``backup``, ``restore``, ``migrate``, ``purge``: work on the store beside the service.

Each gives what was done as a sentence for people and as values for a program.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from responder.config import Settings
from responder.ports import StoreError
from responder.store.backup import backup, restore
from responder.store.sqlite import SqliteStore
from responder.wallclock import WallClock

Told = tuple[str, dict[str, object]]


def back_up(settings: Settings, target: Path) -> Told:
    """Also while the service runs. Raises ``StoreError``."""
    backup(settings.store.path, target)
    store, size = settings.store.path, target.stat().st_size
    return f"{target}: a copy of {store}, {size} bytes", {"store": str(store), "file": str(target), "bytes": size}


def put_back(settings: Settings, source: Path) -> Told:
    """Refused while the service runs; acts stay off until a named person releases them (I12)."""
    restore(source, settings.store.path, now=datetime.now(UTC))
    store = settings.store.path
    text = f"{store} is {source} now; it acts again when a person has released it (PUT /v1/killswitch)"
    return text, {"store": str(store), "file": str(source), "released": False}


def migrate(settings: Settings) -> Told:
    """``serve`` does the same at its start; here it is seen before an upgrade. Refused while the service runs."""
    _existing(settings.store.path)
    asyncio.run(_opened(settings.store.path))
    return f"{settings.store.path} has the schema of this version", {"store": str(settings.store.path)}


async def _opened(path: Path) -> None:
    async with await SqliteStore.open(path, clock=WallClock()):
        pass


def purge(settings: Settings, incident: str) -> Told:
    """Refused while the service runs. Raises ``StoreError``, ``LookupError`` when there is no such incident."""
    _existing(settings.store.path)
    return asyncio.run(_purged(settings.store.path, incident))


async def _purged(path: Path, incident: str) -> Told:
    async with await SqliteStore.open(path, clock=WallClock()) as store:
        found = await store.incident(incident)
        if found is None:
            raise LookupError(f"there is no incident {incident}")
        await store.purge(incident, by="responder purge")
    text = f"incident {incident} of {found.app} is gone, with its logs and deliveries"
    return text, {"store": str(path), "incident": incident, "application": str(found.app)}


def _existing(path: Path) -> None:
    """A mistyped path must not make an empty store."""
    if not path.exists():
        raise StoreError(f"{path}: there is no store here")
