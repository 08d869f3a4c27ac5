"""Forgets what is older than the configuration says, a little at a time."""

import logging

from responder.config import Retention
from responder.ports import Clock, Keep, Store, StoreError

log = logging.getLogger("responder.retention")

_EVERY_SECONDS = 3600.0


async def keep_to(retention: Retention, store: Store, clock: Clock) -> None:
    """Until cancelled. What could not be forgotten now is forgotten an hour later."""
    while True:
        try:
            if gone := await store.prune(due(retention, clock)):
                log.info("forgot %d rows and logs that were kept for long enough", gone)
        except StoreError as error:
            log.warning("nothing could be forgotten: %s", error)
        await clock.sleep(_EVERY_SECONDS)


def due(retention: Retention, clock: Clock) -> Keep:
    now = clock.now()
    return Keep(
        incidents_since=now - retention.incidents,
        logs_since=now - retention.logs,
        audit_since=now - retention.audit,
        max_bytes=retention.size,
    )
