"""Each invariant broken once, on purpose: the monitor sees it, so its silence elsewhere means something.

Every proof has its control: the same night with nothing taken away breaks nothing.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from responder.cluster.actuator import Actuator
from responder.cluster.bodies import USERNAME
from responder.core import limiting, permitting, repeating, stopping
from responder.core.actions import Act, ActionKind, Outcome, Reason, Resync, Switch, Terminate
from responder.core.candidate import Candidate, Guard, Guards
from responder.core.guards import GUARDS
from responder.core.incident import IncidentState
from responder.core.plan import Plan
from responder.core.situation import Situation
from responder.demo.resources import Json
from responder.loading import Rules
from responder.ports import Write
from responder.reconcile import Reconciler
from responder.store import reads
from tests.invariants.monitor import Kind
from tests.invariants.program import Breaks
from tests.invariants.theatre import APP, Theatre, rules
from tests.invariants.transport import Fault

Night = Callable[[Breaks, Rules], Theatre]


def without(kind: ActionKind, *gone: Guard) -> Guards:
    assert set(gone) <= set(GUARDS[kind])
    return {**GUARDS, kind: tuple(guard for guard in GUARDS[kind] if guard not in gone)}


class Unguarded(Breaks):
    def __init__(self, table: Guards) -> None:
        self.guards = table


# I1


class BlindActuator(Actuator):
    """Writes the operation whatever is there now."""

    async def _resync(self, act: Resync) -> Outcome:
        app = await self._read(act.app, act.app_uid)
        request = {"sync": {"revision": act.revisions[0]}, "initiatedBy": {"username": USERNAME}}
        info = [{"name": "hook-responder.io/action", "value": act.action.id}]
        await self._patch(app, {"operation": {**request, "info": info}})
        return Outcome(msgspec.convert("begun", type(act.action.outcome.result)))


class WritesBlindly(Breaks):
    actuator = BlindActuator


def two_at_once(breaks: Breaks, configured: Rules) -> Theatre:
    """Both responders have seen the same failure, and neither has heard of the other's act."""
    night = Theatre(breaks=breaks, configured=configured)
    night.live(8)
    night.fails(Kind.LOCKED_OUT)
    night.pass_time(8)
    for program in night.programs:
        program.catch_up()
    for program in night.programs:
        program.transport.fault = None
        program.step()
    night.programs[1].restart()
    night.live(2)
    return night


class ForgetsActs(WritesBlindly):
    """Nor does it look at what was done before."""

    def __init__(self) -> None:
        self.guards = without(ActionKind.RESYNC, permitting.not_twice, repeating.ended, limiting.cooldown)

    def change(self, planned: Plan, situation: Situation) -> Plan:
        del situation
        acts = tuple(_renamed(act) for act in planned.acts)
        return msgspec.structs.replace(planned, acts=acts)


_serial = iter(range(10**6))


def _renamed(act: Act) -> Act:
    return msgspec.structs.replace(act, action=msgspec.structs.replace(act.action, id=f"new-{next(_serial)}"))


# I2, I3


def half_applied(breaks: Breaks, configured: Rules) -> Theatre:
    night = Theatre(breaks=breaks, configured=configured)
    night.live(8)
    night.fails(Kind.HALF_APPLIED)
    night.live(20)
    return night


def always_locked_out(breaks: Breaks, configured: Rules) -> Theatre:
    night = Theatre(breaks=breaks, configured=configured)
    night.live(8)
    night.fails(Kind.LOCKED_OUT)
    night.live(240, every=4)
    return night


# I4


class SwitchIgnored(Actuator):
    async def killswitch(self) -> Switch:
        return Switch.RELEASED


class IgnoresTheSwitch(Breaks):
    actuator = SwitchIgnored


def engaged(breaks: Breaks, configured: Rules) -> Theatre:
    night = Theatre(breaks=breaks, configured=configured)
    night.live(8)
    night.switch({"engaged": "true"})
    night.fails(Kind.LOCKED_OUT)
    night.live(20)
    return night


# I5


class BelievesTheWatch(Actuator):
    async def _see_that_nothing_migrates(self, act: Terminate) -> None:
        del act


class KillsWhatRuns(BelievesTheWatch):
    def _migrating(self, act: Terminate) -> bool:
        del act
        return False


class EndsWhatItHasNotSeen(Breaks):
    actuator = BelievesTheWatch


def a_watch_is_behind(breaks: Breaks, configured: Rules) -> Theatre:
    """A responder looks after it has heard of the operation, and before it hears of its hooks, which run already."""
    night = Theatre(responders=1, self_heal=False, sibling=Kind.RUNS_ON, breaks=breaks, configured=configured)
    night.next_runs = Kind.WORKS
    night.pass_time(3)
    night.world.terminate("shop")
    night.live(2)
    night.fails(Kind.WORKS)
    night.pass_time(3)
    night.programs[0].catch_up(4)
    night.programs[0].step()
    night.live(20, every=5)
    return night


class EndsWhatRuns(Breaks):
    actuator = KillsWhatRuns

    def __init__(self) -> None:
        self.guards = without(ActionKind.TERMINATE, stopping.no_running_container)


def a_sibling_runs_on(breaks: Breaks, configured: Rules) -> Theatre:
    """One hook of the group has failed, the other one migrates still."""
    night = Theatre(sibling=Kind.RUNS_ON, breaks=breaks, configured=configured)
    night.fails(Kind.BROKEN)
    night.live(30)
    return night


# I6


class ActsFirst(Reconciler):
    async def _store_all(self, writes: Any) -> None:
        await super()._store_all([w for w in writes if not _is_begun(w)])


def _is_begun(write: Write) -> bool:
    action = getattr(write, "action", None)
    return action is not None and action.outcome.result == "begun"


class RecordsNothingBefore(Breaks):
    reconciler = ActsFirst


def locked_out(breaks: Breaks, configured: Rules) -> Theatre:
    night = Theatre(breaks=breaks, configured=configured)
    night.live(8)
    night.fails(Kind.LOCKED_OUT)
    night.live(12)
    return night


# I7


def refused_once(breaks: Breaks, configured: Rules) -> Theatre:
    """The write was allowed and refused; before it is tried again the responder is away for twenty minutes."""
    night = Theatre(responders=1, breaks=breaks, configured=configured)
    night.live(8)
    night.fails(Kind.LOCKED_OUT)
    night.pass_time(8)
    night.programs[0].transport.fault = Fault.FORBIDDEN
    night.look()
    night.pass_time(20 * 60)
    night.live(10)
    return night


# I9


class BlocksEndByTime(Breaks):
    def change(self, planned: Plan, situation: Situation) -> Plan:
        hour = situation.now + timedelta(hours=1)
        return msgspec.structs.replace(
            planned, blocks=tuple(msgspec.structs.replace(b, expires_at=hour) for b in planned.blocks)
        )


# I10


class AnySuccessHeals(Breaks):
    """Argo CD says Succeeded, so all is well: also after a self-heal, which runs no hook."""

    def change(self, planned: Plan, situation: Situation) -> Plan:
        app = situation.app
        well = app is not None and app.operation is not None and app.operation.operation_phase == "Succeeded"
        if planned.incident is None or not well:
            return planned
        end = {"state": IncidentState.RESOLVED, "resolved_at": situation.now, "resolved_by": "argocd: it succeeded"}
        closed = msgspec.structs.replace(planned.incident, **end)
        return msgspec.structs.replace(planned, incident=closed, closed=True, acts=())


def healed_without_a_hook(breaks: Breaks, configured: Rules) -> Theatre:
    """The hook fails; then somebody syncs the resources alone, which succeeds."""
    night = Theatre(breaks=breaks, configured=configured)
    night.live(8)
    night.fails(Kind.BROKEN)
    night.live(10)
    only: Json = {"sync": {"resources": [{"kind": "ConfigMap", "name": "config"}]}}
    night.world.sync("shop", **only)
    night.live(10)
    assert night.world.state("shop")["phase"] == "Succeeded"
    return night


# I12


def ignores_the_restore(c: Candidate) -> Reason:
    return permitting.killswitch(Candidate(
        msgspec.structs.replace(c.situation, restored=False), c.view, c.diagnosis, c.kind, c.rule, incident=c.incident,
    ))  # fmt: skip


def restored(breaks: Breaks, configured: Rules) -> Theatre:
    """The store comes back from a backup between a failure and the look at it."""
    night = Theatre(breaks=breaks, configured=configured)
    night.live(8)
    night.fails(Kind.LOCKED_OUT)
    night.pass_time(8)
    night.restore()
    night.live(12)
    return night


class FollowsOnARestoredStore(Reconciler):
    async def _followed(self, situation: Situation) -> Situation:
        self.loader.restored, held = False, self.loader.restored
        try:
            return await super()._followed(situation)
        finally:
            self.loader.restored = held


class NudgesOnARestoredStore(Breaks):
    reconciler = FollowsOnARestoredStore


def restored_while_one_waits(breaks: Breaks, configured: Rules) -> Theatre:
    """A resync was asked for and overlooked, when the store is put back."""
    night = Theatre(breaks=breaks, configured=configured)
    night.live(8)
    night.fails(Kind.LOCKED_OUT)
    night.pass_time(8)
    night.world.controller.overlook(APP)
    night.look()
    night.restore()
    night.live(80, every=4)
    return night


def restored_with_an_alert_to_send(breaks: Breaks, configured: Rules) -> Theatre:
    night = Theatre(breaks=breaks, configured=configured)
    night.live(8)
    night.fails(Kind.BROKEN)
    night.live(700, every=20)
    assert reads.deliveries(night.database, None, "", 10)
    night.restore(keeps=isinstance(breaks, SendsWhatWasPending))
    return night


class SendsWhatWasPending(Breaks):
    """The backup is put back as it was."""


def _without_the_restore() -> Guards:
    table = GUARDS[ActionKind.RESYNC]
    kept = tuple(ignores_the_restore if guard is permitting.killswitch else guard for guard in table)
    return {**GUARDS, ActionKind.RESYNC: kept}


PROOFS: list[tuple[str, Night, Callable[[], Breaks], Rules]] = [
    ("I1", two_at_once, ForgetsActs, rules()),
    (
        "I2",
        half_applied,
        lambda: Unguarded(without(ActionKind.RESYNC, repeating.harmless, repeating.not_blocked)),
        rules(),
    ),
    ("I3", always_locked_out, lambda: Unguarded(without(ActionKind.RESYNC, limiting.budget)), rules()),
    ("I4", engaged, IgnoresTheSwitch, rules()),
    ("I5", a_sibling_runs_on, EndsWhatRuns, rules()),
    ("I5", a_watch_is_behind, EndsWhatItHasNotSeen, rules()),
    ("I6", locked_out, RecordsNothingBefore, rules()),
    ("I9", half_applied, BlocksEndByTime, rules()),
    ("I10", healed_without_a_hook, AnySuccessHeals, rules()),
    ("I12", restored, lambda: Unguarded(_without_the_restore()), rules()),
    ("I12", restored_while_one_waits, NudgesOnARestoredStore, rules()),
    ("I12", restored_with_an_alert_to_send, SendsWhatWasPending, rules()),
]


@pytest.mark.parametrize(
    ("invariant", "night", "breaks", "configured"), PROOFS, ids=[f"{p[0]} {p[1].__name__}" for p in PROOFS]
)
def test_without_its_guard_it_is_broken_and_with_it_it_holds(
    invariant: str, night: Night, breaks: Callable[[], Breaks], configured: Rules
) -> None:
    assert night(Breaks(), configured).broken() == set()
    assert invariant in night(breaks(), configured).broken()


def test_what_is_allowed_expires() -> None:
    """I7: its guard is a time in the policy, that the monitor does not look at."""
    assert refused_once(Breaks(), rules()).broken() == set()
    assert refused_once(Breaks(), rules(expire_after=timedelta(days=1))).broken() == {"I7"}


def test_the_nights_are_no_quiet_ones() -> None:
    """What must be allowed is done: an invariant that nothing ever touches would hold for nothing."""
    assert sum(always_locked_out(Breaks(), rules()).monitor.resyncs.values()) == 2
    stopped = Theatre(retries=3)
    stopped.live(8)
    stopped.fails(Kind.HALF_APPLIED)
    stopped.live(15)
    assert stopped.world.state("shop")["message"] == "Operation terminated (retried 1 times)."
    cannot = Theatre()
    cannot.live(8)
    cannot.fails(Kind.CANNOT_START)
    cannot.live(60, every=5)
    assert cannot.world.state("shop")["message"] == "Operation terminated"
    assert cannot.programs[0].open_incident(APP) is not None
    for night in (stopped, cannot):
        assert night.broken() == set()
