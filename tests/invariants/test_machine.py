"""I1 to I7, I9, I10 and I12 hold whatever happens: faults, crashes, a second responder, people, rules that want
everything.

With I11 (``test_waves``) 2,000 examples; 50,000 with a printed seed: ``python -m tests.bench invariants``.
"""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from responder.core.actions import ActionKind
from tests.invariants.monitor import Kind
from tests.invariants.program import Program
from tests.invariants.theatre import APP, Theatre
from tests.invariants.transport import Fault

pytestmark = pytest.mark.timeout(900)  # hundreds of nights each: on a busy machine they take their time

_which = st.integers(0, 1)
_seldom = st.sampled_from([False, False, False, True])
_often = (Kind.LOCKED_OUT, Kind.LOCKED_OUT, Kind.DATABASE_AWAY, Kind.HALF_APPLIED, Kind.HALF_APPLIED)
_kinds = st.sampled_from((*Kind, *_often))


class Night(RuleBasedStateMachine):
    @initialize(
        responders=st.sampled_from([1, 2]),
        retries=st.sampled_from([0, 0, 2]),
        self_heal=st.booleans(),
        sibling=st.sampled_from([None, None, Kind.WORKS, Kind.RUNS_ON]),
        first=_seldom,
        kind=_kinds,
        again=_kinds,
        lives=st.integers(0, 8),
        looks=st.integers(0, 2),
    )
    def begin(
        self,
        *,
        responders: int,
        retries: int,
        self_heal: bool,
        sibling: Kind | None,
        first: bool,
        kind: Kind,
        again: Kind,
        lives: int,
        looks: int,
    ) -> None:
        """A version has just failed, or is about to; the next run may do something else. ``first``: the one before it
        did well."""
        self.theatre = Theatre(responders=responders, retries=retries, self_heal=self_heal, sibling=sibling)
        if first:
            self.theatre.live(8, every=8)
            self.theatre.fails(kind)
        else:
            self.theatre.next_runs = kind
        self.theatre.pass_time(lives)
        self.theatre.next_runs = again
        for _ in range(looks):
            self.theatre.look()

    def program(self, which: int) -> Program:
        return self.theatre.programs[which % len(self.theatre.programs)]

    # Time and the responders

    @rule(seconds=st.sampled_from([0.02, 0.3, 1.0, 2.5, 8.0, 40.0, 200.0, 1000.0]))
    def time_passes(self, seconds: float) -> None:
        self.theatre.pass_time(seconds)

    @rule(which=_which, most=st.sampled_from([None, None, 1, 4, 12]))
    def a_responder_looks(self, which: int, most: int | None) -> None:
        program = self.program(which)
        program.catch_up(most)
        program.step()

    @rule(looks=st.integers(1, 5), every=st.sampled_from([0.5, 1.5, 3.0, 30.0]))
    def they_live(self, looks: int, every: float) -> None:
        self.theatre.live(looks * every, every=every)

    # The cluster

    @rule(kind=_kinds, seconds=st.integers(0, 12))
    def a_version_is_pushed(self, kind: Kind, seconds: int) -> None:
        self.theatre.fails(kind)
        self.theatre.pass_time(seconds)

    @rule(kind=_kinds, looks=st.integers(2, 6), every=st.sampled_from([0.7, 2.0, 4.0]), fresh=_seldom)
    def a_version_fails_before_their_eyes(self, kind: Kind, looks: int, every: float, fresh: bool) -> None:
        if fresh:
            self.theatre.morning()
        self.theatre.fails(kind)
        self.theatre.live(looks * every, every=every)

    @rule(kind=_kinds)
    def from_now_on_runs_do(self, kind: Kind) -> None:
        self.theatre.next_runs = kind

    @rule()
    def something_drifts(self) -> None:
        self.theatre.world.controller.drift(APP, "ConfigMap", "config")

    @rule()
    def argo_cd_will_overlook_one(self) -> None:
        self.theatre.world.controller.overlook(APP)

    # What goes wrong with the responders, and passes

    @rule(which=_which, after=st.integers(1, 25), lag=st.integers(0, 8))
    def one_crashes(self, which: int, after: int, lag: int) -> None:
        program = self.program(which)
        program.catch_up()
        program.gate.crash_in = after
        program.step()
        program.catch_up(lag)
        program.step()
        program.gate.crash_in = None

    @rule(which=_which, fault=st.sampled_from(Fault))
    def a_write_will_fail(self, which: int, fault: Fault) -> None:
        self.program(which).transport.fault = fault

    @rule(which=_which, looks=st.integers(1, 3), every=st.sampled_from([1.0, 4.0, 400.0]))
    def the_store_is_away(self, which: int, looks: int, every: float) -> None:
        self.program(which).store.away = True
        self.theatre.live(looks * every, every=every)
        self.program(which).store.away = False

    @rule(looks=st.integers(0, 3))
    def the_store_is_restored(self, looks: int) -> None:
        self.theatre.restore()
        self.theatre.live(3 * looks, every=3)
        self.theatre.release_restored()

    @rule(data=st.sampled_from([{"engaged": "true"}, {"engaged": "off"}, {}, None]), seconds=st.integers(0, 10))
    def the_kill_switch_is_thrown(self, data: dict[str, str] | None, seconds: int) -> None:
        """At a moment of the cluster's own, between two looks; and released again."""
        agenda = self.theatre.world.agenda
        agenda.after(seconds / 3, lambda: self.theatre.switch(data))
        self.theatre.live(seconds + 1, every=3)
        self.theatre.switch(data)
        self.theatre.switch({"engaged": "false"})

    # People

    @rule()
    def somebody_syncs(self) -> None:
        self.theatre.world.sync("shop")

    @rule(every=st.sampled_from([1.0, 3.0]))
    def somebody_syncs_the_resources_alone(self, every: float) -> None:
        """Which runs no hook."""
        self.theatre.world.sync("shop", sync={"resources": [{"kind": "ConfigMap", "name": "config"}]})
        self.theatre.live(2 * every, every=every)

    @rule(kind=st.sampled_from([Kind.LOCKED_OUT, Kind.DATABASE_AWAY]))
    def it_fails_and_fails(self, kind: Kind) -> None:
        self.theatre.fails(kind)
        self.theatre.live(120, every=20)

    @rule()
    def somebody_terminates(self) -> None:
        self.theatre.world.terminate("shop")

    @rule(automated=st.booleans(), mode=st.sampled_from(["", "shadow", "off"]), seconds=st.integers(0, 10))
    def somebody_edits_the_application(self, automated: bool, mode: str, seconds: int) -> None:
        self.theatre.edit(automated=automated, mode=mode)
        self.theatre.live(seconds, every=4)
        self.theatre.edit(automated=True, mode="")

    @rule(which=_which, kind=st.sampled_from([ActionKind.RESYNC, ActionKind.TERMINATE, ActionKind.STOP_RETRIES]))
    def a_person_orders(self, which: int, kind: ActionKind) -> None:
        self.theatre.order(self.program(which), kind)

    @rule(which=_which)
    def a_person_resolves(self, which: int) -> None:
        self.theatre.resolve(self.program(which))

    @precondition(lambda self: hasattr(self, "theatre"))
    @invariant()
    def nothing_is_broken(self) -> None:
        self.theatre.check()
        broken = self.theatre.monitor.broken
        assert not broken, broken


def played(examples: int) -> settings:
    return settings(
        max_examples=examples, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck)
    )


# Apart only so that they can be played side by side: each draws its own nights.
class FirstWatch(Night): ...


class MiddleWatch(Night): ...


class MorningWatch(Night): ...


class ForenoonWatch(Night): ...


TestFirstWatch, TestMiddleWatch = FirstWatch.TestCase, MiddleWatch.TestCase
TestMorningWatch, TestForenoonWatch = MorningWatch.TestCase, ForenoonWatch.TestCase
TestFirstWatch.settings = TestMiddleWatch.settings = played(475)
TestMorningWatch.settings = TestForenoonWatch.settings = played(475)
