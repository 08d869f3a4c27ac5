"""The service as a process: signals, log lines, and how it ends."""

import asyncio
import gc
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

from aiohttp import web
from prometheus_client import CollectorRegistry

from responder import auditing
from responder.app import Responder
from responder.cluster.errors import ApiError
from responder.cluster.lease import Lease, LeaseLostError
from responder.config import ConfigError, Settings
from responder.connecting import connect
from responder.core.nearest import suggest
from responder.exits import COULD_NOT_ASK, GOOD
from responder.metrics import Metrics
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
        cannot, other = group.split((*_CANNOT, ConfigError))
        if other is not None or cannot is None:
            raise
        first = _first(cannot)
        if isinstance(first, ConfigError):
            raise first from group
        return _ended_by(first)
    return GOOD


_CANNOT = (StoreError, ApiError, OSError, LeaseLostError)  # a store in use, no credentials, a port that is taken


def _ended_by(error: BaseException) -> int:
    """A line for whoever started us; where it came from, for whoever has to find out why it ended in the night."""
    log.critical("ended", exc_info=error)
    sys.stderr.write(f"{str(error) or type(error).__name__}\n")
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
    async with _leading(settings, ended) as ours:
        if ours:
            await _serve(settings, ended)


async def _serve(settings: Settings, ended: asyncio.Event) -> None:
    async with Responder.open(settings, clock=WallClock()) as responder, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(responder.run())
        await responder.listening.wait()
        gc.collect()
        gc.freeze()  # modules and the like stay as they are: each look at all of them holds the event loop for 50 ms
        log.info("serving", extra={"url": responder.url})
        await ended.wait()
        log.info("draining")
        running.cancel()
        _, late = await asyncio.wait([running], timeout=_DRAIN_SECONDS)
        if late:
            log.error("did not end in time: cut off, as by kill -9; the next start goes on from what is recorded")
            os._exit(COULD_NOT_ASK)


@asynccontextmanager
async def _leading(settings: Settings, ended: asyncio.Event) -> AsyncIterator[bool]:
    """Holds the Lease, where one is wanted: the store is not opened before. False: told to end while we waited.

    Whoever loses it ends at once with everything it runs, and waits for it anew when it is started again.
    """
    if not settings.lease.enabled:
        yield True
        return
    wanted = settings.lease
    async with await connect(settings.clusters[0], Metrics(CollectorRegistry())) as kubernetes:
        lease = Lease(
            kubernetes,
            namespace=wanted.namespace,
            name=wanted.name,
            identity=f"{socket.gethostname()}_{uuid4()}",
            clock=WallClock(),
            lasts=wanted.lasts.total_seconds(),
        )
        async with _waiting(settings), asyncio.TaskGroup() as tasks:
            acquiring, told = tasks.create_task(lease.acquire()), tasks.create_task(ended.wait())
            await asyncio.wait([acquiring, told], return_when=asyncio.FIRST_COMPLETED)
            acquiring.cancel()
            told.cancel()
        if ended.is_set():
            yield False
            return
        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(lease.keep())
            log.info("the Lease is ours")
            yield True
            keeping.cancel()


@asynccontextmanager
async def _waiting(settings: Settings) -> AsyncIterator[None]:
    """Alive and not ready: so a Pod that waits for the Lease is not restarted for it."""
    app = web.Application()
    app.router.add_get("/healthz", _alive)
    app.router.add_route("*", "/{path:.*}", _elsewhere)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.listen.host, settings.listen.port).start()
        host, port = runner.addresses[0][:2]
        log.info("waiting for the Lease", extra={"url": f"http://{host}:{port}"})
        yield
    finally:
        await runner.cleanup()


async def _alive(_: web.Request) -> web.Response:
    return web.Response(text="ok, and another process does the work\n")


async def _elsewhere(_: web.Request) -> web.Response:
    return web.Response(status=503, text="another process does the work\n", headers={"Retry-After": "5"})


class JsonLines(logging.Formatter):
    """One JSON object a line, with all that the caller put into ``extra``."""

    _EVERY = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime"})

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in self._EVERY}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _log_as_json() -> None:
    level, known = os.environ.get("RESPONDER_LOG_LEVEL", "INFO").upper(), logging.getLevelNamesMapping()
    if level not in known:
        raise ConfigError([f"RESPONDER_LOG_LEVEL: {level!r} is no level{suggest(level, known)}"])
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler])
    logging.getLogger(auditing.LOGGER).setLevel(logging.INFO)  # however quiet the rest is
    # It quotes bytes of a request that it cannot parse, and those may be anybody's secret; faults of ours are logged
    # where requests are answered.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
