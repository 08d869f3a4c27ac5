"""The loop, step by step, from a failure to its good end; and what must hold when something is taken away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from responder.core.actions import OutcomeResult
from responder.core.argocd import AppKey
from responder.core.evidence import Freshness
from responder.core.incident import IncidentState
from responder.metrics import Metrics
from responder.ports import AddWakeup, PutAction, StoreError, Trigger, Wakeup
from responder.reconcile import Reconciler
from tests.unit.core.deciding import act
from tests.unit.core.night import KEY, at
from tests.unit.reconciling import AWAY, OTHERS, RULES_READ, Night, opened


@pytest.fixture
async def night(tmp_path: Path) -> AsyncIterator[Night]:
    async with opened(tmp_path) as night:
        await night.reconciler.loader.start()
        yield night


def engage(night: Night, word: str) -> None:
    night.objects.patch("ConfigMap", "hook-responder", "responder-killswitch", {"data": {"engaged": word}})


# One incident, from its first failure to its good end.


async def test_a_failure_is_recorded_decided_carried_out_and_followed_to_its_end(night: Night) -> None:
    await night.fails()
    await night.step(6)
    waits = await night.incident()
    assert (waits.state, [d.verdict.result.value for d in waits.decisions]) == (IncidentState.FIRING, ["denied"])
    assert [r.guard for r in waits.decisions[0].verdict.reasons if not r.passed] == ["cooldown"]
    assert night.wire.written == []

    await night.step(60)
    (act,) = await night.actions()
    assert (act.outcome.result, act.by, len(night.wire.written)) == (OutcomeResult.BEGUN, "rule again", 1)

    night.recovers()
    await night.step(80)
    (done,) = await night.actions()
    ended = await night.incident()
    assert (done.outcome.result, done.new_operation) == (OutcomeResult.SUCCEEDED, at(65))
    assert (ended.state, ended.resolved_at) == (IncidentState.RESOLVED, at(73))
    assert ended.decisions[0].outcome is not None
    assert ended.decisions[0].outcome.result is OutcomeResult.SUCCEEDED
    assert len(night.wire.written) == 1


async def test_the_first_step_judges_with_the_switch_and_the_rights_as_they_are(night: Night) -> None:
    await night.fails()
    await night.step(40)

    (decision,) = (await night.incident()).decisions
    assert [r.text for r in decision.verdict.reasons if not r.passed] == []


async def test_looking_again_changes_nothing_and_writes_nothing(night: Night) -> None:
    await night.fails()
    await night.step(6)
    first, told_of = await night.incident(), len(night.changed)
    for second in (7, 8, 9):
        await night.step(second)

    assert await night.incident() == first
    assert len(night.changed) == told_of


@pytest.mark.parametrize(("told_of", "missed"), [("nobody", 1), (KEY.name, 0)])
async def test_a_failure_of_which_argo_cd_told_nothing_is_counted(night: Night, told_of: str, missed: int) -> None:
    await night.fails()
    await night.step(6)
    night.reconciler.heard_of(told_of)
    await night.step(70)

    assert night.metrics.registry.get_sample_value("responder_webhooks_missed_total") == missed


async def test_what_was_done_is_in_the_audit_with_its_reasons(night: Night) -> None:
    await night.fails()
    await night.step(6)
    await night.step(60)
    incident = await night.incident()
    said = [(e.who, e.what, e.before, e.after) for e in await night.store.audit(incident_id=incident.id)]

    assert list(reversed(said)) == [
        ("responder", "incident opened", "", "firing"),
        ("rule again", "resync denied", "", "denied"),
        ("rule again", "resync allowed", "denied", "allowed"),
        ("rule again", "resync begins", "", "begun"),
        ("rule again", "resync begun", "begun", "begun"),
    ]
    assert {e.evidence for e in await night.store.audit(incident_id=incident.id)} == {incident.evidence_version}


async def test_an_application_that_is_well_asks_the_store_for_nothing(night: Night) -> None:
    night.show(KEY)
    night.objects.patch("Application", KEY.namespace, KEY.name, {"status": {"operationState": {"phase": "Succeeded"}}})
    night.show(KEY)
    night.store.reads = False

    await night.step(6)
    assert night.reconciler.loader.quiet(KEY)


async def test_what_became_allowed_while_nothing_could_be_recorded_expires_all_the_same(night: Night) -> None:
    """I7: the store is full for twenty minutes."""
    await night.fails()
    await night.step(6)
    night.store.writes = False
    with pytest.raises(StoreError):
        await night.step(40)
    night.store.writes = True
    await night.step(40 + 20 * 60)

    (decision,) = (await night.incident()).decisions
    assert decision.outcome is not None
    assert decision.outcome.result is OutcomeResult.EXPIRED
    assert night.wire.written == []


async def test_a_rule_whose_resyncs_mostly_fail_is_set_to_shadow_told_once_and_released_by_a_person(
    night: Night,
) -> None:
    for n in range(4):
        await night.store.commit(PutAction(act(OutcomeResult.FAILED, begun=-600 - n, id=f"before-{n}")))
    await night.reconciler.loader.start()
    await night.fails()
    await night.step(60)
    night.recovers(phase="Failed")
    await night.step(80)

    (told,) = [d.alert for d in await night.store.deliveries() if d.alert.key == "hook-responder/rule/again"]
    assert told.what.startswith("rule 'again' was set to shadow: 5 of its 5 resyncs of a day failed")
    other = AppKey("argocd", "other")
    await night.fails(other)
    again = night.responder()
    await again.loader.start()
    await again.step(other)
    (held,) = [i for i in await night.incidents() if i.app == other]
    assert "mode" in [r.guard for d in held.decisions for r in d.verdict.reasons if not r.passed]
    assert len([d for d in await night.store.deliveries() if d.alert.key == told.key]) == 1


# Crashes.


async def test_a_crash_between_the_record_and_the_write_is_never_repeated(night: Night) -> None:
    await night.fails()
    await night.step(6)

    def dies() -> None:
        raise asyncio.CancelledError

    night.wire.before_write = dies
    with pytest.raises(asyncio.CancelledError):
        await night.step(60)
    (recorded,) = await night.actions()
    assert recorded.outcome.result is OutcomeResult.BEGUN

    night.wire.before_write = lambda: None
    night.reconciler = night.responder()
    await night.reconciler.loader.start()
    await night.step(62)
    await night.step(80)
    await night.step(600)

    (found,) = await night.actions()
    assert found.outcome.result is OutcomeResult.UNKNOWN
    assert night.wire.written == []


async def test_a_crash_after_the_write_finds_it_again(night: Night) -> None:
    await night.fails()
    await night.step(6)

    def dies() -> None:
        raise asyncio.CancelledError

    night.wire.after_write = dies
    with pytest.raises(asyncio.CancelledError):
        await night.step(60)
    night.wire.after_write = lambda: None
    night.recovers()
    night.reconciler = night.responder()
    await night.reconciler.loader.start()
    await night.step(80)

    (found,) = await night.actions()
    assert (found.outcome.result, len(night.wire.written)) == (OutcomeResult.SUCCEEDED, 1)
    assert (await night.incident()).state is IncidentState.RESOLVED


async def test_what_nobody_knows_the_end_of_is_told_to_people(night: Night) -> None:
    await night.fails()
    await night.step(6)

    def dies() -> None:
        raise asyncio.CancelledError

    night.wire.before_write = dies
    with pytest.raises(asyncio.CancelledError):
        await night.step(60)
    night.reconciler = night.responder()
    await night.reconciler.loader.start()
    await night.step(80)

    told_last = (await night.store.deliveries(incident_id=(await night.incident()).id))[-1].alert
    assert told_last.severity == "critical"
    assert "What came of our resync is not known and it is not repeated" in told_last.next


# The store.


async def test_a_store_that_is_full_alerts_from_memory_once_and_nothing_is_done(night: Night) -> None:
    await night.fails()
    night.store.writes = False
    for second in (40, 42, 44):
        with pytest.raises(StoreError):
            await night.step(second)

    assert night.outbox.from_memory == [("pager", "firing")]
    assert (night.wire.written, await night.actions(), await night.incidents()) == ([], [], [])


async def test_a_store_that_cannot_even_be_read_alerts_from_memory_by_the_floor(night: Night) -> None:
    """Without the log no rule about its cause can match."""
    await night.fails()
    night.store.reads = night.store.writes = False
    for second in (40, 605):
        with pytest.raises(StoreError):
            await night.step(second)

    assert night.outbox.from_memory == [("pager", "firing")]
    assert night.wire.written == []


async def test_what_was_over_before_we_began_wakes_nobody_while_the_store_is_away(night: Night) -> None:
    night.clock.at = at(3600)
    night.reconciler = night.responder()
    await night.fails()
    night.store.reads = night.store.writes = False
    with pytest.raises(StoreError):
        await night.step(3700)

    assert night.outbox.from_memory == []


async def test_what_was_settled_stays_so_while_the_store_is_away(night: Night) -> None:
    await night.fails()
    await night.step(6)
    await night.step(60)
    night.recovers()
    await night.step(80)
    night.store.reads = night.store.writes = False
    with pytest.raises(StoreError):
        await night.step(3700)

    assert night.outbox.from_memory == []


async def test_it_goes_on_when_the_store_is_back(night: Night) -> None:
    await night.fails()
    night.store.writes = False
    with pytest.raises(StoreError):
        await night.step(40)
    night.store.writes = True
    await night.step(60)

    assert (await night.incident()).opened_at == at(4)
    assert len(night.wire.written) == 1


# The kill switch.


async def test_an_engaged_switch_holds_it_and_it_goes_on_when_released(night: Night) -> None:
    engage(night, "true")
    await night.fails()
    await night.step(60)
    held = (await night.incident()).decisions[0]
    engage(night, "false")
    await night.step(120)

    assert [r.guard for r in held.verdict.reasons if not r.passed] == ["killswitch"]
    assert len(night.wire.written) == 1


# Many.


async def test_the_ceiling_of_the_hour_holds_for_steps_side_by_side(night: Night) -> None:
    """None of them has seen what the others are about to do."""
    for key in OTHERS:
        await night.fails(key, AWAY.replace('"db"', f'"db-of-{key.name}"'))
    night.clock.at = at(60)
    await asyncio.gather(*(night.reconciler.step(key) for key in OTHERS))

    assert len(await night.actions()) == RULES_READ.policy.per_responder_hour == 20
    assert len(night.wire.written) == 20


async def test_when_a_canary_did_well_the_next_two_are_woken_and_the_parent_tells_of_it(night: Night) -> None:
    billing, cart = AppKey("argocd", "billing"), AppKey("argocd", "cart")
    for key in (KEY, cart, billing):
        await night.fails(key)
        await night.step(6, key)
    for key in (KEY, cart, billing):
        await night.step(60, key)
    assert [a.app for a in await night.actions()] == [billing]

    night.recovers(billing)
    night.reconciler._wakeups._pending.clear()
    await night.step(80, billing)
    assert {cart, KEY} <= set(night.reconciler._wakeups._pending)
    for key in (cart, KEY):
        await night.step(81, key)
    assert [(a.app, a.wave) for a in await night.actions()] == [(billing, 1), (cart, 2), (KEY, 2)]
    (parent,) = [i for i in await night.incidents() if i.children]
    assert "resync of argocd/billing begun as the canary" in [e.what for e in parent.timeline]

    again = night.responder()  # after a crash the wave is where it was
    await again.loader.start()
    night.reconciler = again
    late = AppKey("argocd", "late")
    await night.fails(late)
    await night.step(90, late)
    assert len(await night.actions()) == 3


async def test_applications_that_lose_one_database_get_one_parent(night: Night) -> None:
    for key in OTHERS[:8]:
        await night.fails(key)
    night.clock.at = at(10)
    await asyncio.gather(*(night.reconciler.step(key) for key in OTHERS[:8]))
    await asyncio.gather(*(night.reconciler.step(key) for key in OTHERS[:8]))

    found = await night.incidents()
    (parent,) = [i for i in found if i.children]
    assert len(parent.children) == 8
    assert {i.parent for i in found if not i.children} == {parent.id}


async def test_one_whose_cause_is_known_late_leaves_it_to_the_parent_at_once(night: Night) -> None:
    """Its log came only when the moment in which others are waited for was over."""
    first, second, late = OTHERS[:3]
    for key in (first, second, late):
        await night.fails(key)
    for key in (first, second):
        await night.step(10, key)
    await night.step(40, late)

    (parent,) = [i for i in await night.incidents() if i.children]
    (child,) = [i for i in await night.incidents() if i.app == late]
    assert (child.parent, child.id in parent.children) == (parent.id, True)
    assert child.id not in {d.alert.incident_id for d in await night.store.deliveries()}


# The loop.


@asynccontextmanager
async def running(reconciler: Reconciler) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(reconciler.run())
        try:
            yield
        finally:
            loop.cancel()


async def idle(reconciler: Reconciler) -> None:
    async with asyncio.timeout(10):
        while not reconciler.idle:  # noqa: ASYNC110 - nobody is told when it comes to rest
            await asyncio.sleep(0.005)


class Slow(Reconciler):
    """Steps that wait, to see who runs beside whom."""

    def hold(self) -> None:
        self.log: list[AppKey] = []
        self.now: list[AppKey] = []
        self.most: dict[AppKey, int] = {}
        self.side_by_side = 0

    async def step(self, key: AppKey) -> None:
        self.now.append(key)
        self.log.append(key)
        self.most[key] = max(self.most.get(key, 0), self.now.count(key))
        self.side_by_side = max(self.side_by_side, len(self.now))
        for _ in range(5):
            await asyncio.sleep(0)
        self.now.remove(key)


def slow(night: Night) -> Slow:
    held = Slow(
        store=night.store,
        cluster=night.cluster,
        actuator=night.actuator,
        clock=night.clock,
        rules=lambda: RULES_READ,
        outbox=night.outbox,
        metrics=Metrics(CollectorRegistry()),
        changed=night.changed.append,
    )
    held.hold()
    return held


async def test_steps_of_one_application_never_run_side_by_side_and_those_of_many_do(night: Night) -> None:
    reconciler = slow(night)
    async with running(reconciler):
        for _ in range(20):
            for key in OTHERS[:4]:
                reconciler.wake(key, Trigger.HOOK)
            await asyncio.sleep(0)
        await idle(reconciler)

    assert set(reconciler.most.values()) == {1}
    assert reconciler.side_by_side == 4


async def test_wake_ups_of_one_application_are_merged(night: Night) -> None:
    reconciler = slow(night)
    for trigger in Trigger:
        reconciler.wake(KEY, trigger)
    async with running(reconciler):
        await idle(reconciler)

    assert reconciler.log == [KEY]


async def test_a_person_who_changes_something_holds_the_step_back(night: Night) -> None:
    reconciler = slow(night)
    async with running(reconciler):
        async with reconciler.exclusive(KEY):
            reconciler.wake(KEY, Trigger.PERSON)
            for _ in range(20):
                await asyncio.sleep(0)
            assert reconciler.log == []
        await idle(reconciler)

    assert reconciler.log == [KEY]


async def test_nothing_is_made_up_from_half_a_picture(night: Night) -> None:
    reconciler = slow(night)
    night.cluster.fresh = Freshness(synced=False, observed_at=None)
    async with running(reconciler):
        reconciler.wake(KEY, Trigger.WEBHOOK)
        for _ in range(20):
            await asyncio.sleep(0)
        assert (reconciler.log, reconciler.pending) == ([], 1)
        night.cluster.fresh = Freshness(synced=True, observed_at=at(0))
        reconciler.resume()
        await idle(reconciler)

    assert reconciler.log == [KEY]


async def test_what_was_denied_while_the_watch_was_blind_is_judged_anew_as_soon_as_it_sees(night: Night) -> None:
    """Nothing of the Application itself has changed since."""
    await night.fails()
    night.cluster.fresh = Freshness(synced=True, observed_at=at(0), trouble="the watch of applications is gone")
    await night.step(10)
    [incident] = await night.incidents()
    assert incident.decisions[0].verdict.refused_by("freshness")
    night.cluster.fresh = Freshness(synced=True, observed_at=at(11))
    night.reconciler.resume()
    assert night.reconciler.pending == 1


async def test_a_step_that_fails_is_tried_again_and_stops_nobody_else(night: Night) -> None:
    await night.fails()
    night.store.writes = False
    async with running(night.reconciler):
        night.reconciler.wake(KEY, Trigger.HOOK)
        await idle(night.reconciler)
        night.store.writes = True
        night.clock.at = at(60)
        night.reconciler.wake_at(OTHERS[0], at(60))  # the ring looks at the clock
        async with asyncio.timeout(10):
            while not night.changed:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.005)
    assert [i.state for i in await night.incidents()] == [IncidentState.FIRING]


# Wake-ups that are on disk.


async def kept(night: Night) -> list[AppKey | None]:
    return [w.app for w in await night.store._store.wakeups()]


async def test_a_wake_up_is_dropped_with_the_outcome_of_its_step(night: Night) -> None:
    await night.fails()
    await night.store.commit(AddWakeup(Wakeup(KEY, Trigger.WEBHOOK, at(5))))
    night.reconciler.wake(KEY, Trigger.WEBHOOK)
    night.store.writes = False
    with pytest.raises(StoreError):
        await night.step(6)
    assert await kept(night) == [KEY]
    night.store.writes = True
    await night.step(8)

    assert await kept(night) == []
    assert (await night.incident()).state is IncidentState.FIRING


async def test_a_wake_up_of_an_application_that_is_well_is_dropped(night: Night) -> None:
    await night.store.commit(AddWakeup(Wakeup(KEY, Trigger.WEBHOOK, at(5))))
    night.reconciler.wake(KEY, Trigger.WEBHOOK)
    await night.step(6)

    assert await kept(night) == []


async def test_a_wake_up_of_all_is_dropped_when_all_were_looked_at(night: Night) -> None:
    for key in OTHERS[:3]:
        await night.fails(key)
    await night.store.commit(AddWakeup(Wakeup(None, Trigger.STOCK_TEMPLATE, at(5))))
    night.reconciler.wake(None, Trigger.STOCK_TEMPLATE)
    await night.step(6, OTHERS[0])
    await night.step(6, OTHERS[1])
    assert await kept(night) == [None]
    await night.step(6, OTHERS[2])

    assert await kept(night) == []


async def test_after_a_restart_what_was_left_is_looked_at(night: Night) -> None:
    await night.fails()
    await night.store.commit(AddWakeup(Wakeup(OTHERS[0], Trigger.WEBHOOK, at(5))))
    reconciler = slow(night)
    async with running(reconciler):
        await reconciler.synced()
        await idle(reconciler)

    assert set(reconciler.log) == {KEY, OTHERS[0]}


# Applications that go.


async def test_an_application_that_is_deleted_supersedes_its_incident_and_the_next_of_its_name_begins_anew(
    night: Night,
) -> None:
    await night.fails()
    await night.step(6)
    first = await night.incident()
    night.objects.delete("Application", KEY.namespace, KEY.name)
    for held in (night.cluster.apps, night.cluster.records, night.cluster.runs):
        held.pop(KEY)
    await night.step(20)

    gone = await night.incident()
    assert (gone.state, gone.diagnosis) == (IncidentState.SUPERSEDED, first.diagnosis)
    await night.fails()
    await night.step(30)
    assert sorted(i.state.value for i in await night.incidents()) == ["firing", "superseded"]
