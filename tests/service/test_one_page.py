"""One dead database is one page, also when the responder was away while it went, or was started again in the middle."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from responder.config import Settings
from responder.demo.api import Api
from responder.demo.apiserver import ApiServer
from responder.demo.clock import SteppedClock
from responder.demo.jobs import Start
from responder.demo.kubelet import Run, Script
from responder.demo.pager import Pager
from responder.demo.replay import read_incidents, started
from responder.demo.settings import demo_settings, prepare
from responder.demo.settling import Settling
from responder.demo.world import World, deployment, hook_job

APPLICATIONS = [f"shop-{number}" for number in range(5)]
REFUSED = "error: failed to open database: dial tcp 10.96.14.7:5432: connect: connection refused"
STAGGER = 0.5  # seconds between two deployments
CAUSE = "database/in-cluster/10.96.14.7/connection-refused"  # by which the parent is known
AWAY = 700  # seconds: longer than anybody stays untold
ALERT = "do: [{alert: {severity: critical}}]"
RULES = {
    "by cause": f"[{{name: told, when: {{category: connection-refused}}, {ALERT}}}]",
    "whatever it is": f"[{{name: told, when: {{}}, {ALERT}}}]",
    "no rule": "[]",
}


class Night:
    """Five Applications that are deployed one after another while their database is away."""

    def __init__(self, folder: Path, rules: str) -> None:
        self._folder = folder
        self._rules = rules
        self.clock = SteppedClock(datetime(2026, 11, 21, 3, tzinfo=UTC))
        self.world = World(self.clock, _refused)
        self.pager = Pager()
        self._server = ApiServer(Api(self.world.objects, eager_bookmarks=True))

    @asynccontextmanager
    async def begun(self) -> AsyncIterator[None]:
        prepare(self.world.objects, APPLICATIONS)
        async with self._server, self.pager:
            for number, name in enumerate(APPLICATIONS):
                self.world.agenda.after(number * STAGGER, self._deployment(name))
            yield

    def _deployment(self, name: str) -> Callable[[], None]:
        job = hook_job("db-migrate", container={"command": ["migrate", "up"]})
        manifests = [job, deployment(name, "registry.example.com/app:1")]

        def deploy() -> None:
            self.world.deploy(name, manifests, policy={"automated": {}, "retry": {"limit": 0}})

        return deploy

    def pass_time(self, seconds: float) -> None:
        """Nobody watches."""
        until = self.clock.now() + timedelta(seconds=seconds)
        agenda = self.world.agenda
        while (due := agenda.next_due) is not None and due <= until:
            self.clock.move_to(due)
            agenda.run_due()
        self.clock.move_to(until)

    async def watch(self, seconds: float) -> list[str]:
        """The responder runs for so long, and is ended. Answers of what somebody was told until then."""
        until = self.clock.now() + timedelta(seconds=seconds)
        agenda = self.world.agenda
        async with started(self._settings(), self.clock) as responder:
            settling = Settling(self.world.objects, responder, self.clock, {})  # it may have read them in another life
            await settling.settle()
            while self.clock.now() < until:
                due = [at for at in (agenda.next_due, self.clock.next_due) if at is not None and at > self.clock.now()]
                self.clock.move_to(min((*due, self.clock.now() + timedelta(seconds=1), until)))
                agenda.run_due()
                await settling.settle()
            async with aiohttp.ClientSession() as http:
                found = await read_incidents(http, responder.url)
            return [one["application"]["name"] for one in found if one["deliveries"]]

    def _settings(self) -> Settings:
        settings = demo_settings(self._server.url, self._folder, port=0, pager=self.pager.url)
        (self._folder / "rules.yaml").write_text(self._rules, encoding="utf-8")
        return settings


def _refused(start: Start) -> Run:
    del start
    return Run({"migrate": Script(lines=((0.0, REFUSED),), exit_code=1)})


@pytest.fixture
async def night(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Night]:
    night = Night(tmp_path, f"version: 1\nrules: {RULES[request.param]}\n")
    async with night.begun():
        yield night


@pytest.mark.parametrize("night", ["by cause", "whatever it is"], indirect=True)
async def test_it_was_away_when_they_failed(night: Night) -> None:
    night.pass_time(AWAY)
    assert await night.watch(12) == [CAUSE]


@pytest.mark.parametrize("night", list(RULES), indirect=True)
async def test_it_was_started_again_in_the_middle(night: Night) -> None:
    await night.watch(3)
    night.pass_time(AWAY)
    assert await night.watch(12) == [CAUSE]
