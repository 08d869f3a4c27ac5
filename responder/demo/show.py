"""``responder demo``: plays the story, or a recording, to the real responder and shows what comes of it."""

import asyncio
import json
import logging
import signal
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from responder.demo.clock import FastClock, SteppedClock
from responder.demo.expected import asked, differences
from responder.demo.recording import RecordingError, read_recording
from responder.demo.replay import Replay, ReplayError
from responder.demo.script import LASTS
from responder.demo.settings import TOKEN
from responder.demo.settling import NotSettledError
from responder.demo.stage import Stage
from responder.demo.telling import Teller

Json = Mapping[str, Any]

_SPEED = 5.0  # times the wall's
_POLL_SECONDS = 0.5


def run_demo(*, once: bool, as_json: bool, replay: Path | None, port: int) -> int:
    """The exit code: 0, 1 when what came out is not what must, 2 for a bad recording or a port that is taken."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    once = once or as_json
    try:
        if not once:
            _check_port(port)
        if replay is not None:
            return asyncio.run(_replay(replay, once=once, as_json=as_json, port=port))
        return asyncio.run(_once(as_json=as_json) if once else _live(port))
    except (RecordingError, PortTakenError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except BaseExceptionGroup as group:
        ours, others = group.split((ReplayError, NotSettledError))
        if ours is None or others is not None:
            raise
        sys.stderr.write(f"{_innermost(ours)}\n")
        return 1


def _innermost(error: BaseException) -> BaseException:
    return _innermost(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


class PortTakenError(Exception):
    """Somebody else listens there."""


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortTakenError(
                f"port {port} on localhost cannot be used ({error.strerror}): take another one by --port, 0 for any"
            ) from error


# The story


async def _once(*, as_json: bool) -> int:
    """Step by step: time moves when the responder is at rest, so that no machine is too slow for it."""
    teller = Teller(sys.stderr if as_json else sys.stdout)
    stage = Stage(SteppedClock(datetime.now(UTC)), note=teller.note)
    with tempfile.TemporaryDirectory(prefix="responder-demo-") as folder:
        async with stage.open(Path(folder), port=0):
            await stage.play()
            came = await _outcome(stage)
    if as_json:
        _print_json(came.incidents)
    else:
        teller.report(came.incidents, came.pages)
        teller.gates(came.gates)
    teller.verdict(came.wrong)
    return 1 if came.wrong else 0


class _Outcome(msgspec.Struct, frozen=True):
    incidents: list[dict[str, Any]]
    pages: dict[str, str]  # severity by incident id
    gates: dict[tuple[str, str], str]  # answer by service and environment

    @property
    def wrong(self) -> list[str]:
        return differences(self.incidents, self.pages, self.gates)


async def _outcome(stage: Stage) -> _Outcome:
    await stage.delivered()
    pages = {incident: alert.severity.value for incident, alert in stage.pager.pages.items()}
    gates = {
        (service, environment): (await stage.gate(service, environment, stage.story.revisions[name]))["result"]
        for service, environment, name in asked()
    }
    return _Outcome(await stage.incidents(), pages, gates)


async def _live(port: int) -> int:
    teller = Teller(sys.stdout)
    stopped = _stopped()
    stage = Stage(FastClock(_SPEED), note=teller.note)
    with tempfile.TemporaryDirectory(prefix="responder-demo-") as folder:
        async with stage.open(Path(folder), port=port) as responder:
            _introduce(teller, responder.url, f"five incidents in {LASTS / _SPEED:.0f} s, time runs {_SPEED:g} fold")
            teller.say("The demo's own rules are in mode `live`: acts are carried out on the cluster in memory.")

            async def tell() -> None:
                teller.progress(await stage.incidents())

            if await _played(stage.play, tell, stopped):
                came = await _outcome(stage)
                teller.say()
                teller.report(came.incidents, came.pages)
                teller.gates(came.gates)
                teller.verdict(came.wrong)
                _outlook(teller, responder.url)
                await stopped.wait()
    return 0


# A recording


async def _replay(folder: Path, *, once: bool, as_json: bool, port: int) -> int:
    replay = Replay(read_recording(folder))
    teller = Teller(sys.stderr if as_json else sys.stdout)
    stopped = _stopped() if not once else asyncio.Event()
    with tempfile.TemporaryDirectory(prefix="responder-replay-") as place:
        async with replay.running(Path(place), port=0 if once else port) as responder:
            if not once:
                _introduce(teller, responder.url, f"recording {folder.name}, read-only, at its own time")

            async def tell() -> None:
                if not once:
                    teller.progress(await replay.incidents())

            if not await _played(replay.play, tell, stopped):
                return 0
            await tell()
            incidents = await replay.incidents()
            if not once:
                teller.report(incidents, {})
                _outlook(teller, responder.url)
                await stopped.wait()
                return 0
    if as_json:
        _print_json(incidents)
    else:
        teller.report(incidents, {})
    return 0


# Both


async def _played(
    play: Callable[[], Coroutine[Any, Any, None]], tell: Callable[[], Awaitable[None]], stopped: asyncio.Event
) -> bool:
    """False when a signal came first. Meanwhile it is told what happens."""
    async with asyncio.TaskGroup() as group:
        playing = group.create_task(play())
        waiting = group.create_task(stopped.wait())
        while not playing.done() and not waiting.done():
            await asyncio.wait((playing, waiting), timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                await tell()
        playing.cancel()
        waiting.cancel()
    return not stopped.is_set()


def _stopped() -> asyncio.Event:
    """Set by Ctrl-C or SIGTERM."""
    event = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, event.set)
    return event


def _introduce(teller: Teller, url: str, what: str) -> None:
    teller.note(f"responder demo: {what}")
    teller.say(f"The page: {url}/incidents (log in with the token: {TOKEN})")


def _outlook(teller: Teller, url: str) -> None:
    teller.say()
    teller.note("what you can look at next; Ctrl-C ends the demo")
    for path, what in (
        ("/incidents", "every incident, with its cause, its log and each guard's word"),
        ("/blocks", "what is held back from promotion"),
        ("/metrics", "what Prometheus would scrape"),
        ("/openapi.json", "the HTTP API"),
    ):
        teller.say(f"  {url}{path:<14} {what}")


def _print_json(incidents: Sequence[Json]) -> None:
    for incident in incidents:
        sys.stdout.write(json.dumps(incident) + "\n")
