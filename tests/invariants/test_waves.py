"""I11: a wave of recovery starts with one canary, grows 1, 2, 4, and stops at the first failure."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from responder.core.actions import ActionKind, ActionRecord
from responder.core.guards import GUARDS
from responder.core.limiting import in_turn
from responder.ports import Write
from tests.invariants.inline import InlineStore, now
from tests.invariants.monitor import PERSON
from tests.invariants.outage import Outage, key_of, rules
from tests.invariants.program import Breaks
from tests.invariants.transport import Fault

pytestmark = pytest.mark.timeout(900)


def lost(applications: int = 5, breaks: Breaks | None = None) -> Outage:
    """All of them have just lost their database."""
    night = Outage(applications=applications, breaks=breaks)
    night.live(10)
    night.away = True
    night.push()
    night.live(6)
    return night


def begun_at_once(night: Outage) -> list[int]:
    """How many resyncs began in the same second, in order."""
    return [count for _, count in sorted(Counter(at.replace(microsecond=0) for at, _ in night.resyncs).items())]


def test_while_the_database_is_away_there_is_one_canary_at_a_time_and_ever_longer_between() -> None:
    night = lost(applications=3)
    night.live(300, every=2)
    times = [at for at, _ in night.resyncs]
    waits = [(b - a).total_seconds() for a, b in pairwise(times)]
    assert len(times) in (4, 5)
    assert all(later > 1.5 * sooner for sooner, later in pairwise(waits))
    assert night.wrong == []


def test_when_it_is_back_they_come_back_in_waves() -> None:
    night = lost(applications=12)
    night.away = False
    night.live(60)
    assert night.open_incidents() == []
    assert begun_at_once(night) == [1, 2, 4, 4, 1]
    assert night.wrong == []


def test_a_failure_in_a_wave_stops_it() -> None:
    night = lost(applications=6)
    night.away = False
    night.broken = {"app-3"}
    night.live(200, every=2)
    names = [name for _, name in night.resyncs]
    assert len(night.open_incidents()) == 1
    assert names.count("app-3") >= 1
    assert night.wrong == []


class Everybody(Breaks):
    """Each as soon as it may for itself."""

    def __init__(self) -> None:
        kept = tuple(guard for guard in GUARDS[ActionKind.RESYNC] if guard is not in_turn)
        self.guards = {**GUARDS, ActionKind.RESYNC: kept}


def test_without_its_guard_it_is_broken() -> None:
    assert lost(breaks=Everybody()).wrong != []


class Slow(InlineStore):
    """Others get their turn at every call, as with the real one."""

    async def commit(self, *writes: Write) -> None:
        await asyncio.sleep(0)
        await super().commit(*writes)
        await asyncio.sleep(0)

    async def actions(
        self, *, app_uid: str = "", since: datetime | None = None, open_only: bool = False
    ) -> Sequence[ActionRecord]:
        await asyncio.sleep(0)
        return await super().actions(app_uid=app_uid, since=since, open_only=open_only)


def all_at_once(night: Outage, reserves: Callable[[ActionRecord], None] | None = None) -> list[str]:
    """Every Application is looked at side by side, as soon as a place is free. Answers who was run again."""
    night.program.catch_up()
    reconciler = night.program.reconciler
    slow = Slow(night.database, night.clock, night.program.gate)
    reconciler._store = reconciler.loader._store = slow
    if reserves is not None:
        setattr(reconciler.loader.resyncs, "note", reserves)  # noqa: B010 - taken away, to see it needed

    async def look() -> None:
        await asyncio.gather(*(reconciler.step(key_of(name)) for name in night.names))

    asyncio.run(look())
    return [name for _, name in night.resyncs]


def just_failed() -> Outage:
    """All have failed, their incidents are open, and the cooldown of nobody is over before the next look."""
    night = Outage(configured=rules(delay=20))
    night.live(10)
    night.away = True
    night.push()
    night.live(10)
    night.pass_time(30)
    return night


def everybody_ordered() -> Outage:
    """A person has ordered each of them by hand, and so none waits for its turn: only for a place."""
    night = just_failed()
    for name in night.names:
        incident = night.program.open_incident(key_of(name))
        assert incident is not None
        now(night.program.desk.order(incident.id, ActionKind.RESYNC, PERSON))
    return night


def test_of_all_that_look_at_the_same_moment_one_takes_the_place() -> None:
    assert all_at_once(just_failed()) == ["app-0"]
    assert len(all_at_once(everybody_ordered())) == 1


def test_a_place_that_is_not_reserved_before_anything_is_awaited_is_taken_twice() -> None:
    assert len(all_at_once(everybody_ordered(), reserves=lambda _: None)) > 1


class Recovery(RuleBasedStateMachine):
    """Whatever happens while the database comes and goes."""

    @initialize(retries=st.sampled_from([0, 0, 1]), lives=st.integers(0, 8))
    def begin(self, retries: int, lives: int) -> None:
        self.night = Outage(applications=3, retries=retries)
        self.night.away = True
        self.night.live(lives, every=2)

    @rule(away=st.booleans())
    def the_database_goes_or_returns(self, away: bool) -> None:
        self.night.away = away

    @rule(broken=st.sets(st.sampled_from(["app-0", "app-1"])))
    def some_fail_for_themselves(self, broken: set[str]) -> None:
        self.night.broken = broken

    @rule(names=st.lists(st.sampled_from(["app-0", "app-1", "app-2"]), max_size=3, unique=True))
    def versions_are_pushed(self, names: list[str]) -> None:
        self.night.push(*names)

    @rule(name=st.sampled_from(["app-0", "app-2"]))
    def somebody_syncs(self, name: str) -> None:
        self.night.world.sync(name)

    @rule(looks=st.integers(1, 4), every=st.sampled_from([0.6, 1.0, 2.5]))
    def it_lives(self, looks: int, every: float) -> None:
        self.night.live(looks * every, every=every)

    @rule(seconds=st.sampled_from([5.0, 25.0, 90.0]))
    def time_passes(self, seconds: float) -> None:
        self.night.pass_time(seconds)
        self.night.look()

    @rule(after=st.integers(1, 30))
    def it_crashes(self, after: int) -> None:
        self.night.program.gate.crash_in = after
        self.night.look()
        self.night.program.gate.crash_in = None
        self.night.look()

    @rule(fault=st.sampled_from(Fault))
    def a_write_will_fail(self, fault: Fault) -> None:
        self.night.program.transport.fault = fault

    @rule(name=st.sampled_from(["app-1", "app-2"]))
    def argo_cd_will_overlook_one(self, name: str) -> None:
        self.night.world.controller.overlook(key_of(name))

    @precondition(lambda self: hasattr(self, "night"))
    @invariant()
    def nothing_is_wrong(self) -> None:
        assert not self.night.wrong, self.night.wrong


TestRecovery = Recovery.TestCase
TestRecovery.settings = settings(
    max_examples=100, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck)
)
