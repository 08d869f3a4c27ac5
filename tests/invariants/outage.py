"""Several Applications with one database, one responder, and what I11 says of how they come back."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import msgspec

from responder.core.actions import Mode
from responder.core.argocd import AppKey
from responder.core.rulesfile import parse_rules
from responder.core.situation import Policy
from responder.demo.api import Api
from responder.demo.clock import SteppedClock
from responder.demo.comparing import in_progress
from responder.demo.jobs import Start
from responder.demo.kubelet import Run
from responder.demo.resources import Json
from responder.demo.settings import ARGOCD, prepare
from responder.demo.shelf import Change
from responder.demo.world import IN_CLUSTER, World, config_map, hook_job
from responder.loading import Rules
from responder.store.writes import append_log
from tests.invariants.inline import database
from tests.invariants.monitor import Kind
from tests.invariants.passing import pass_time
from tests.invariants.program import Breaks, Program
from tests.invariants.sights import CLUSTER, Sights
from tests.invariants.theatre import NIGHT, SIGNATURES
from tests.invariants.transport import Wrote

CAP = 4
COOLDOWN = 10
RULES = f"""
version: 1
defaults: {{mode: live, budget: 20, cooldown: {COOLDOWN}s}}
rules:
  - name: again, whatever it was
    when: {{}}
    do: [{{resync: {{delay: 0s}}}}]
"""


@cache
def rules(delay: int = 0) -> Rules:
    text = RULES.replace("delay: 0s", f"delay: {delay}s")
    return Rules(
        rulebook=parse_rules(text, "rules.yaml", frozenset()),
        policy=Policy(mode=Mode.LIVE, per_application_day=1000, per_responder_hour=1000, per_cause=CAP),
        signatures=SIGNATURES,
        control_plane=ARGOCD,
        clusters={IN_CLUSTER: CLUSTER},
    )


class Ended(msgspec.Struct, frozen=True):
    """A migration that ended. ``begun``: when we asked for it; None: somebody else did."""

    app: str
    at: datetime
    well: bool
    begun: datetime | None


class Outage:
    def __init__(
        self, *, applications: int = 5, retries: int = 0, breaks: Breaks | None = None, configured: Rules | None = None
    ) -> None:
        self.clock = SteppedClock(NIGHT)
        self.away = False  # the database that all of them use
        self.broken: set[str] = set()  # whose migration fails though the database is there
        self.world = World(self.clock, self._play)
        self.database = database(NIGHT)
        self.resyncs: list[tuple[datetime, str]] = []
        self.wrong: list[str] = []  # what I11 forbids and was done
        self._ended: list[Ended] = []
        self._group: set[str] = set()  # that fail together, until the last of them is back
        self._failing: set[str] = set()
        self._seen = NIGHT  # all that had happened by then was looked at
        self._versions = 0
        self.names = [f"app-{n}" for n in range(applications)]
        prepare(self.world.objects, self.names)
        self.world.objects.subscribe(self._changed)
        sights = Sights(self.world.objects, lambda chunk: append_log(self.database, chunk, self.clock.now()))
        api = Api(self.world.objects)
        self.program = Program(
            api, self.clock, self.database, sights, configured or rules(), self._wrote, breaks or Breaks()
        )
        policy = {"automated": {"selfHeal": True}, "retry": {"limit": retries}}
        for name in self.names:
            self.world.deploy(name, self._manifests(), policy=policy)

    def _play(self, start: Start) -> Run:
        if self.away or start.namespace in self.broken:
            return Kind.DATABASE_AWAY.value
        return Kind.WORKS.value

    def _manifests(self) -> Sequence[Json]:
        self._versions += 1
        migration = hook_job("db-migrate", annotations={"hook-responder.io/idempotent": "true"})
        return [migration, config_map("config", version=str(self._versions))]

    def push(self, *names: str) -> None:
        for name in names or self.names:
            self.world.push(name, self._manifests())

    # Time

    def pass_time(self, seconds: float) -> None:
        pass_time(self.clock, self.world.agenda, seconds)

    def look(self) -> None:
        crashes = self.program.crashes
        self.program.catch_up()
        self.program.step()
        if self.program.crashes == crashes:
            self._seen = self.clock.now()

    def live(self, seconds: float, every: float = 1.0) -> None:
        for _ in range(int(seconds / every)):
            self.pass_time(every)
            self.look()

    # What I11 says

    def _changed(self, change: Change) -> None:
        if change.kind != "Job" or change.type != "MODIFIED" or change.old is None:
            return
        new = _conditions(change.object) - _conditions(change.old)
        if "Complete" in new or "Failed" in new:
            self._end(change.object["metadata"]["namespace"], well="Complete" in new)

    def _end(self, app: str, *, well: bool) -> None:
        asked = [at for at, name in self.resyncs if name == app]
        ours = asked[-1] if asked and self._ours(app) else None
        self._ended.append(Ended(app, self.clock.now(), well, ours))
        if well:
            self._failing.discard(app)
        else:
            self._failing.add(app)
            self._group.add(app)
        if not self._failing:
            self._group.clear()

    def _ours(self, app: str) -> bool:
        info = (self.world.state(app).get("operation") or {}).get("info") or ()
        return bool(info)

    def _under_way(self, but: str) -> list[str]:
        found = []
        for name in self.names:
            app = self.world.application(name)
            asked = bool((app.get("operation") or {}).get("info"))
            running = in_progress((app.get("status") or {}).get("operationState")) and self._ours(name)
            if name != but and (asked or running):
                found.append(name)
        return found

    def _wrote(self, program: Program, written: Wrote) -> None:
        del program
        if "sync" not in (written.body.get("operation") or {}):
            return
        app, now = written.path.rpartition("/")[2], self.clock.now()
        if len(self._group) > 1:
            self._check(app, now)
        self.resyncs.append((now, app))

    def _check(self, app: str, now: datetime) -> None:
        """What had failed by the last look is known; what went well is, at the latest, known now."""
        failures = [e for e in self._ended if not e.well and e.at <= self._seen and e.app in self._group]
        newest = max((e.at for e in failures), default=NIGHT)
        well = [e for e in self._ended if e.well and e.app in self._group and (e.begun or e.at) >= _second(newest)]
        places = _places(len({e.app for e in well})) - len(self._under_way(app))
        if places < 1:
            self.wrong.append(f"{app} at {now}: {len(well)} are back, {self._under_way(app)} under way")
        tries = [e for e in failures if e.begun is not None and not any(w.at >= e.at for w in well)]
        if tries and now - max(e.at for e in tries) < timedelta(seconds=2 * COOLDOWN):
            self.wrong.append(f"{app} at {now}: the last try went wrong at {max(e.at for e in tries)}")

    def open_incidents(self) -> list[Any]:
        return [i for i in self.program.reconciler.loader.open.values() if not i.children]


def key_of(name: str) -> AppKey:
    return AppKey(ARGOCD, name)


def _places(back: int) -> int:
    """Of the wave that is on: 1, 2, 4, 4 ... and never more than that many behind the last one that came back."""
    size, through = 1, 1
    while back >= through:
        size = min(size * 2, CAP)
        through += size
    return through - back


def _second(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def _conditions(job: Json) -> set[str]:
    return {c["type"] for c in (job.get("status") or {}).get("conditions") or ()}
