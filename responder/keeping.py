"""``backup``, ``restore``, ``purge``: what is done to the store beside the service, or while it stands still."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from responder.config import Settings
from responder.store.backup import backup, restore
from responder.store.sqlite import SqliteStore
from responder.wallclock import WallClock


def back_up(settings: Settings, target: Path) -> str:
    """Also while the service runs. Raises ``StoreError``."""
    backup(settings.store.path, target)
    return f"{target}: a copy of {settings.store.path}, {target.stat().st_size} bytes"


def put_back(settings: Settings, source: Path) -> str:
    """Refused while the service runs; acts stay off until a named person releases them (I12)."""
    restore(source, settings.store.path, now=datetime.now(UTC))
    return f"{settings.store.path} is {source} now; it acts again when a person has released it (PUT /v1/killswitch)"


def purge(settings: Settings, incident: str) -> str:
    return asyncio.run(_purge(settings.store.path, incident))


async def _purge(path: Path, incident: str) -> str:
    async with await SqliteStore.open(path, clock=WallClock()) as store:
        found = await store.incident(incident)
        if found is None:
            return f"there is no incident {incident}"
        await store.purge(incident, by="responder purge")
    return f"incident {incident} of {found.app} is gone, with its logs and deliveries"
