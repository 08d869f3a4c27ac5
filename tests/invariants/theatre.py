"""One Application, its hook, two responders, a person, and a clock that only the test moves."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from responder.core.actions import ActionKind, Mode
from responder.core.argocd import AppKey
from responder.core.evidence import LogChunk
from responder.core.rulesfile import parse_rules
from responder.core.situation import Policy, Routes
from responder.demo.api import Api
from responder.demo.clock import SteppedClock
from responder.demo.jobs import Start
from responder.demo.kubelet import Run
from responder.demo.resources import Json
from responder.demo.settings import ARGOCD, prepare
from responder.demo.world import IN_CLUSTER, World, config_map, hook_job
from responder.desk import ConflictError, NotFoundError
from responder.loading import Rules
from responder.shipped import signatures
from responder.store.backup import make_harmless
from responder.store.writes import append_log, put_setting
from tests.invariants.inline import database, now
from tests.invariants.monitor import PER_DAY, PERSON, Kind, Monitor
from tests.invariants.passing import pass_time
from tests.invariants.program import SWITCH, Breaks, Program
from tests.invariants.remembering import Remembering
from tests.invariants.sights import CLUSTER, Sights
from tests.invariants.transport import Wrote

NIGHT = datetime(2026, 11, 21, 3, 0, 0, 250_000, tzinfo=UTC)
APP = AppKey(ARGOCD, "shop")
SIBLING = "search-index"
SIGNATURES = Remembering(signatures())

# As careless as rules can be: only the guards are between them and the cluster.
RULES = """
version: 1
defaults: {mode: live, budget: 2, cooldown: 10s}
rules:
  - name: end everything
    when: {}
    continue: true
    do: [{stop-retries: {}}, {terminate: {}}, {delete-hook: {}}]
  - name: begin everything
    when: {}
    do: [{resync: {delay: 0s}}, {block: {environments: ["*"], for: 1h}}]
"""
RULEBOOK = parse_rules(RULES, "rules.yaml", frozenset())


def rules(**policy: Any) -> Rules:
    return Rules(
        rulebook=RULEBOOK,
        policy=Policy(mode=Mode.LIVE, per_application_day=PER_DAY, routes=Routes(default=("pager",)), **policy),
        signatures=SIGNATURES,
        control_plane=ARGOCD,
        clusters={IN_CLUSTER: CLUSTER},
    )


class Theatre:
    """``sibling``: what a second hook beside the migration always does; None: there is none."""

    def __init__(
        self,
        *,
        responders: int = 2,
        retries: int = 0,
        self_heal: bool = True,
        sibling: Kind | None = None,
        breaks: Breaks | None = None,
        configured: Rules | None = None,
    ) -> None:
        self.clock = SteppedClock(NIGHT)
        self.next_runs = Kind.WORKS
        self.world = World(self.clock, self._play)
        self.database = database(NIGHT)
        self.monitor = Monitor(self.world, self.database)
        self._versions = 0
        self._sibling = sibling
        prepare(self.world.objects, ["shop"])
        sights = Sights(self.world.objects, self._store_log)
        api = Api(self.world.objects)
        settings = configured or rules()
        self.programs = [
            Program(api, self.clock, self.database, sights, settings, self._wrote, breaks or Breaks())
            for _ in range(responders)
        ]
        policy = {"automated": {"selfHeal": self_heal}, "retry": {"limit": retries}}
        self.world.deploy("shop", self._manifests(), policy=policy)

    def _play(self, start: Start) -> Run:
        beside = self._sibling if start.job == SIBLING else None
        kind = beside or self.next_runs
        self.monitor.started(kind)
        return kind.value

    def _manifests(self) -> Sequence[Json]:
        self._versions += 1
        marks = {"hook-responder.io/idempotent": "true"}
        beside = [hook_job(SIBLING, annotations=marks)] if self._sibling is not None else []
        migration = hook_job("db-migrate", annotations=marks)
        return [migration, *beside, config_map("config", version=str(self._versions))]

    def _store_log(self, chunk: LogChunk) -> None:
        append_log(self.database, chunk, self.clock.now())

    def _wrote(self, program: Program, written: Wrote) -> None:
        del program
        self.monitor.write(written)

    # Time, and the responders

    def pass_time(self, seconds: float) -> None:
        pass_time(self.clock, self.world.agenda, seconds)

    def look(self) -> None:
        """Every responder hears everything and looks once."""
        for program in self.programs:
            program.catch_up()
            program.step()

    def live(self, seconds: float, every: float = 1.0) -> None:
        for _ in range(int(seconds / every)):
            self.pass_time(every)
            self.look()

    def check(self) -> None:
        self.monitor.check()

    def broken(self) -> set[str]:
        self.check()
        return {invariant for invariant, _ in self.monitor.broken}

    # A person, and others

    def fails(self, kind: Kind) -> None:
        """A version whose hook does this is pushed, and Argo CD syncs it."""
        self.next_runs = kind
        self.world.push("shop", self._manifests())

    def morning(self) -> None:
        """People have put everything right: what ran is ended, blocks too, and a version that works is out."""
        self.world.terminate("shop")
        self.live(3, every=3)
        program = self.programs[0]
        for block in program.desk.blocks():
            now(program.desk.unblock(block.id, PERSON))
        for other in self.programs[1:]:
            other.restart()
        self.fails(Kind.WORKS)
        self.live(8, every=4)

    def switch(self, data: Json | None) -> None:
        """None: the ConfigMap is gone."""
        namespace, name = SWITCH
        if self.world.objects.find("ConfigMap", namespace, name) is not None:
            self.world.objects.delete("ConfigMap", namespace, name)
        if data is not None:
            self.world.objects.create("ConfigMap", {"metadata": {"name": name, "namespace": namespace}, "data": data})

    def order(self, program: Program, kind: ActionKind) -> bool:
        """By the page of one responder; False when there is nothing to order for, or it would not take it."""
        incident = program.open_incident(APP)
        if incident is None:
            return False
        try:
            now(program.desk.order(incident.id, kind, PERSON))
        except (ConflictError, NotFoundError):
            return False
        return True

    def resolve(self, program: Program) -> None:
        incident = program.open_incident(APP)
        if incident is not None:
            try:
                now(program.desk.resolve(incident.id, PERSON))
            except (ConflictError, NotFoundError):
                return

    def edit(self, *, automated: bool, mode: str) -> None:
        policy = {"automated": {"selfHeal": True} if automated else None}
        annotations = {"hook-responder.io/mode": mode or None}
        change = {"spec": {"syncPolicy": policy}, "metadata": {"annotations": annotations}}
        self.world.objects.patch("Application", ARGOCD, "shop", change)

    def restore(self, *, keeps: bool = False) -> None:
        """The store came back from a backup, and every responder starts on it. ``keeps``: what was pending, too."""
        if keeps:
            put_setting(self.database, "restored_at", self.clock.now().isoformat())
        else:
            make_harmless(self.database, self.clock.now())
        for program in self.programs:
            program.restart()

    def release_restored(self) -> None:
        for program in self.programs:
            now(program.desk.release_restored(PERSON))
