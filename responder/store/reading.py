"""The store of a service that may be running, to be asked and never written: another connection, read-only."""

from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from responder.core.argocd import AppKey, OperationRecord
from responder.core.evidence import LogChunk
from responder.core.hooks import HookRun
from responder.core.incident import Incident
from responder.ports import IncidentPage, IncidentQuery, StoreError
from responder.store import reads
from responder.store.readers import Readers
from responder.store.writer import Limits


class StoreReader:
    """What is asked of history. Everything raises ``StoreError`` when it cannot."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise StoreError(f"{path}: there is no store here")
        self._readers = Readers(path, Limits())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._readers.close()

    async def incident(self, incident_id: str) -> Incident | None:
        return await self._readers.run(lambda db: reads.incident(db, incident_id))

    async def incidents(self, query: IncidentQuery) -> IncidentPage:
        return await self._readers.run(lambda db: reads.incidents(db, query))

    async def operations(self, app_uid: str) -> list[OperationRecord]:
        return list(await self._readers.run(lambda db: reads.operations(db, app_uid, reads.ALL)))

    async def hook_runs(self, app: AppKey, *, since: datetime) -> list[HookRun]:
        return list(await self._readers.run(lambda db: reads.hook_runs(db, app, since)))

    async def log(self, key: str) -> LogChunk | None:
        return await self._readers.run(lambda db: reads.log(db, key))
