"""A World on a clock that only we move, and what its containers do."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from responder.demo.clock import SteppedClock
from responder.demo.jobs import Start
from responder.demo.kubelet import Run, Script
from responder.demo.resources import Json
from responder.demo.settings import prepare
from responder.demo.shelf import Change
from responder.demo.world import ARGOCD, World, config_map, hook_job

BEGIN = datetime(2026, 11, 21, 3, 0, 0, 250_000, tzinfo=UTC)
FAILS = Run({"migrate": Script(lines=((0.0, "applying 0042"), (1.0, "ERROR: it broke")), exit_code=1)})
WORKS = Run({"migrate": Script(lines=((0.0, "applying 0042"), (1.0, "done")))})
RUNS_ON = Run({"migrate": Script(lines=((0.0, "applying 0042"),), forever=True)})


def in_turn(*runs: Run) -> Callable[[Start], Run]:
    """The last one goes on for ever."""
    return lambda start: runs[min(start.number, len(runs)) - 1]


class Stage:
    """Writes down what a watch of the one Application ``shop`` would show."""

    def __init__(self, plays: Callable[[Start], Run]) -> None:
        self.clock = SteppedClock(BEGIN)
        self.world = World(self.clock, plays)
        self.told: list[str] = []
        self.jobs: list[str] = []
        prepare(self.world.objects, [])
        self.world.objects.subscribe(self._note)

    def deploy(self, *hooks: Json, policy: Json | None = None) -> str:
        return self.world.deploy("shop", manifests(*hooks), policy=policy)

    def advance(self, seconds: float) -> None:
        until = self.clock.now() + timedelta(seconds=seconds)
        self.world.agenda.run_due()
        while (due := self.world.agenda.next_due) is not None and due <= until:
            self.clock.move_to(due)
            self.world.agenda.run_due()
        self.clock.move_to(until)

    def sync(self, **how: Any) -> None:
        """By a person, a second later."""
        self.advance(1)
        self.world.sync("shop", **how)

    def since(self) -> float:
        return round((self.clock.now() - BEGIN).total_seconds(), 1)

    def _note(self, change: Change) -> None:
        meta = change.object["metadata"]
        if change.kind == "Job":
            going = " deleting" if "deletionTimestamp" in meta else ""
            conditions = [c["type"] for c in (change.object.get("status") or {}).get("conditions") or ()]
            self.jobs.append(" ".join((change.type, meta["name"], *conditions)) + going)
        if change.kind == "Application":
            line = told(change.object)
            if line and (not self.told or self.told[-1] != line):
                self.told.append(line)


def manifests(*hooks: Json, colour: str = "blue") -> Sequence[Json]:
    return (*(hooks or (hook_job("db-migrate"),)), config_map("app-config", colour=colour))


def told(app: Json) -> str:
    """Phase, retry count, whether it finished, message; then each hook with its phase and message."""
    state = (app.get("status") or {}).get("operationState")
    if state is None:
        return ""
    finished = " finished" if "finishedAt" in state else ""
    retries = f" retry={state['retryCount']}" if "retryCount" in state else ""
    message = re.sub(r"at \d+:\d\d[AP]M", "at TIME", state.get("message", ""))
    rows = (state.get("syncResult") or {}).get("resources") or ()
    hooks = [f" | {r['name']} {r['hookPhase']}: {r['message']}" for r in rows if r.get("hookType")]
    return f"{state['phase']}{retries}{finished}: {message}{''.join(hooks)}"


def shop(stage: Stage) -> Json:
    return stage.world.objects.get("Application", ARGOCD, "shop")
