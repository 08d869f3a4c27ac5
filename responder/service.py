"""The service as a process: signals, log lines, and how it ends."""

import asyncio
import json
import logging
import os
import signal
import sys
from datetime import UTC, datetime

from responder import auditing
from responder.app import Responder
from responder.cluster.errors import ApiError
from responder.config import Settings
from responder.exits import COULD_NOT_ASK, GOOD
from responder.ports import StoreError
from responder.wallclock import WallClock

log = logging.getLogger("responder")

_DRAIN_SECONDS = 20.0


def run_service(settings: Settings) -> int:
    """Until SIGTERM or SIGINT; 0 after a clean end. Raises ``ConfigError``."""
    _log_as_json()
    try:
        asyncio.run(_service(settings))
    except _CANNOT as error:
        return _ended_by(error)
    except BaseExceptionGroup as group:
        cannot, other = group.split(_CANNOT)
        if other is not None or cannot is None:
            raise
        return _ended_by(_first(cannot))
    return GOOD


_CANNOT = (StoreError, ApiError, OSError)  # a store in use, credentials that are none, a port that is taken


def _ended_by(error: BaseException) -> int:
    sys.stderr.write(f"{error}\n")
    return COULD_NOT_ASK


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _service(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with Responder.open(settings, clock=WallClock()) as responder, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(responder.run())
        await responder.listening.wait()
        log.info("serving", extra={"url": responder.url})
        await ended.wait()
        log.info("draining")
        running.cancel()
        _, late = await asyncio.wait([running], timeout=_DRAIN_SECONDS)
        if late:
            log.error("did not end in time: cut off, as by kill -9; the next start goes on from what is recorded")
            os._exit(COULD_NOT_ASK)


class JsonLines(logging.Formatter):
    """One JSON object a line, with what the caller put into ``extra``."""

    _OURS = (
        *("incident", "application", "state", "category", "action", "outcome", "detail", "url", "why"),
        *("who", "before", "after", "evidence"),  # of the audit
    )

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in self._OURS if hasattr(record, name)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _log_as_json() -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=os.environ.get("RESPONDER_LOG_LEVEL", "INFO").upper(), handlers=[handler])
    logging.getLogger(auditing.LOGGER).setLevel(logging.INFO)  # however quiet the rest is
    # It quotes bytes of a request that it cannot parse, and those may be anybody's secret; faults of ours are logged
    # where requests are answered.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
