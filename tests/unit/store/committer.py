"""Commits for ever and says each number only when it is durable; the test kills it."""

import asyncio
import sys
from pathlib import Path

from responder.ports import AppendAudit, AuditEntry
from responder.store.sqlite import SqliteStore
from tests.contract.store.examples import NIGHT, StandingClock

CLIENTS = 8


async def client(store: SqliteStore, first: int) -> None:
    number = first
    while True:
        await store.commit(AppendAudit(AuditEntry(NIGHT, "committer", str(number))))
        print(number, flush=True)
        number += CLIENTS


async def main(path: Path) -> None:
    async with await SqliteStore.open(path, clock=StandingClock()) as store, asyncio.TaskGroup() as clients:
        for first in range(CLIENTS):
            clients.create_task(client(store, first))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
