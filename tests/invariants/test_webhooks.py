"""I8: what the webhook says changes no decision. It may come early, late, often, or for another Application."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from responder.core.actions import ActionKind
from responder.core.argocd import AppKey
from responder.core.candidate import Guards
from responder.core.guards import GUARDS
from responder.core.repeating import harmless, not_blocked
from responder.demo.resources import Json
from responder.ports import AddWakeup, Trigger, Wakeup
from responder.reconcile import Reconciler
from tests.invariants.inline import now
from tests.invariants.monitor import Kind
from tests.invariants.program import Breaks, Program
from tests.invariants.theatre import APP, Theatre, rules

SECONDS = 30
_OTHER = AppKey("argocd", "somebody-else")


def played(kind: Kind, retries: int, heard: Sequence[tuple[int, AppKey | None]], breaks: Breaks) -> list[object]:
    """What came of a night with webhooks at these seconds: writes, decisions with outcomes, the incident's end."""
    night = Theatre(responders=1, retries=retries, breaks=breaks, configured=rules())
    night.live(8)
    night.fails(kind)
    (program,) = night.programs
    for second in range(SECONDS):
        night.pass_time(1)
        for at, app in heard:
            if at == second:
                _hear(program, night, app)
        night.look()
    incidents = night.monitor._incidents()
    decided = [(d.action, d.verdict, d.outcome, d.decided_at) for i in incidents for d in i.decisions]
    return [_bodies(night), decided, [(i.state, i.resolved_at, i.diagnosis, i.timeline) for i in incidents]]


def _hear(program: Program, night: Theatre, app: AppKey | None) -> None:
    """As the intake does: a durable wake-up, and word to the loop."""
    trigger = Trigger.WEBHOOK if app is not None else Trigger.STOCK_TEMPLATE
    now(program.store.commit(AddWakeup(Wakeup(app, trigger, night.clock.now()))))
    program.reconciler.wake(app, trigger)


def _bodies(night: Theatre) -> list[Json]:
    return [written.body for written in night.monitor.wrote]


_webhooks = st.lists(st.tuples(st.integers(0, SECONDS), st.sampled_from([APP, APP, _OTHER, None])), max_size=12)


@settings(max_examples=25)
@given(kind=st.sampled_from(Kind), retries=st.sampled_from([0, 2]), heard=_webhooks)
def test_a_night_with_webhooks_comes_out_as_one_without(
    kind: Kind, retries: int, heard: list[tuple[int, AppKey | None]]
) -> None:
    assert played(kind, retries, heard, Breaks()) == played(kind, retries, [], Breaks())


class TrustsTheWebhook(Breaks):
    """Whoever calls it "failed" is believed, and the sync is asked for again."""

    def __init__(self) -> None:
        self._heard = False
        outer = self

        class Trusting(Reconciler):
            def wake(self, key: AppKey | None, trigger: Trigger) -> None:
                outer._heard |= trigger is Trigger.WEBHOOK
                super().wake(key, trigger)

        self.reconciler = Trusting

    @property
    def guards(self) -> Guards:  # type: ignore[override] # a table that changes with what was heard
        gone = (harmless, not_blocked) if self._heard else ()
        return {**GUARDS, ActionKind.RESYNC: tuple(g for g in GUARDS[ActionKind.RESYNC] if g not in gone)}


def test_a_responder_that_trusts_the_webhook_is_found_out() -> None:
    told = played(Kind.HALF_APPLIED, 0, [(5, APP)], TrustsTheWebhook())
    assert told != played(Kind.HALF_APPLIED, 0, [], TrustsTheWebhook())
