"""What a person or a neighbour asks for: held still, bound to what was shown, audited with its name."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from responder.core.actions import ActionKind, Decision, Mode, OutcomeResult, VerdictResult
from responder.core.alert import AlertState
from responder.core.demoting import Demotion
from responder.core.failure import StateLeft
from responder.core.incident import IncidentState
from responder.core.rules import Rule, RuleAction, Rulebook
from responder.desk import ConflictError, Desk, NotFoundError
from responder.loading import put_demotion
from responder.ports import PutBlock, PutIncident, PutSetting, StoreError, Trigger
from tests.unit.core.deciding import block
from tests.unit.core.night import KEY, at
from tests.unit.reconciling import OTHERS, RULES_READ, Night, opened


class Office:
    """A desk before a night, and what it woke."""

    def __init__(self, night: Night) -> None:
        self.night = night
        self.woken: list[object] = []
        self.desk = Desk(
            store=night.store,
            loader=night.reconciler.loader,
            alerts=night.reconciler.alerts,
            clock=night.clock,
            rules=lambda: night.rules,
            wake=self._wake,
            changed=night.changed.append,
            exclusive=night.reconciler.exclusive,
        )

    def _wake(self, key: object, trigger: Trigger) -> None:
        assert trigger is Trigger.PERSON
        self.woken.append(key)

    async def audit(self) -> list[tuple[str, str, str]]:
        return [(e.who, e.what, e.why) for e in await self.night.store.audit()]


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with opened(tmp_path) as night:
        await night.reconciler.loader.start()
        await night.fails()
        await night.step(6)
        yield Office(night)


async def shown(office: Office) -> str:
    return (await office.night.incident()).id


async def test_an_acknowledgement_has_a_name_a_time_and_a_line(office: Office) -> None:
    office.night.clock.at = at(30)
    found = await office.desk.acknowledge(await shown(office), "ana", "on it")

    assert (found.state, found.acknowledged_by, found.acknowledged_at) == (IncidentState.ACKNOWLEDGED, "ana", at(30))
    assert found == await office.night.incident()
    assert (await office.audit())[0] == ("ana", "acknowledged", "on it")
    assert [(e.at, e.what, e.by) for e in found.timeline][-1] == (at(30), "acknowledged: on it", "ana")
    assert office.woken == [KEY]


async def test_a_person_may_resolve_it_and_answers_for_it(office: Office) -> None:
    office.night.clock.at = at(30)
    found = await office.desk.resolve(await shown(office), "ana", "mended by hand")

    assert (found.state, found.resolved_at, found.resolved_by) == (
        IncidentState.RESOLVED,
        at(30),
        "ana: mended by hand",
    )
    assert office.night.reconciler.loader.incident_of(KEY) is None
    await office.night.step(40)
    assert len(await office.night.incidents()) == 1  # the same failure opens no other


async def test_a_mute_ends(office: Office) -> None:
    found = await office.desk.mute(await shown(office), "ana", at(3600))

    assert found.muted_until == at(3600)
    assert found.state is IncidentState.FIRING


async def test_what_is_closed_or_unknown_is_not_changed(office: Office) -> None:
    incident = await shown(office)
    await office.desk.resolve(incident, "ana")

    with pytest.raises(ConflictError):
        await office.desk.acknowledge(incident, "bob")
    with pytest.raises(NotFoundError):
        await office.desk.acknowledge("nobody", "bob")


async def test_a_store_that_fails_changes_nothing(office: Office) -> None:
    incident = await shown(office)
    office.night.store.writes = False

    with pytest.raises(StoreError):
        await office.desk.acknowledge(incident, "ana")
    held = office.night.reconciler.loader.incident_of(KEY)
    assert held is not None
    assert held.state is IncidentState.FIRING
    assert office.woken == []


# Orders and approvals.


async def test_what_a_person_ordered_is_judged_at_once_and_done_by_the_next_step(office: Office) -> None:
    office.night.clock.at = at(60)
    decision = await office.desk.order(await shown(office), ActionKind.RESYNC, "ana", "the database is back")

    assert (decision.rule, decision.verdict.result, decision.approved_by) == ("by hand", VerdictResult.ALLOWED, "ana")
    await office.night.step(61)
    assert {a.by for a in await office.night.actions()} <= {"ana", "rule again"}
    assert len(office.night.wire.written) == 1


async def test_what_was_ordered_and_is_under_way_is_not_ordered_twice(office: Office) -> None:
    office.night.clock.at = at(60)
    incident = await shown(office)
    await office.desk.order(incident, ActionKind.RESYNC, "ana")

    with pytest.raises(ConflictError, match="resync was ordered already by ana, and is under way"):
        await office.desk.order(incident, ActionKind.RESYNC, "bob")


async def test_an_order_that_a_guard_refuses_is_told_why(office: Office) -> None:
    office.night.objects.delete("ConfigMap", "hook-responder", "responder-killswitch")
    decision = await office.desk.order(await shown(office), ActionKind.RESYNC, "ana")

    assert decision.verdict.result is VerdictResult.DENIED
    assert "the kill switch is absent" in [r.text for r in decision.verdict.reasons]


async def test_an_order_that_was_denied_is_not_carried_out_when_nothing_stands_in_its_way_any_more(
    office: Office,
) -> None:
    """Who was told no may have gone on by hand."""
    night, switch = office.night, ("ConfigMap", "hook-responder", "responder-killswitch")
    night.rules = msgspec.structs.replace(RULES_READ, rulebook=Rulebook())
    incident = await shown(office)
    night.clock.at = at(60)
    night.objects.patch(*switch, {"data": {"engaged": "true"}})
    decision = await office.desk.order(incident, ActionKind.RESYNC, "ana")
    night.objects.patch(*switch, {"data": {"engaged": "false"}})
    await night.step(61)

    assert await night.actions() == []
    (told,) = [d for d in (await office.night.incident()).decisions if d.id == decision.id]
    assert told.outcome is not None
    assert told.outcome.detail == "it was denied when it was ordered: order it anew"


async def asks(office: Office) -> Decision:
    """The same night under rules that ask."""
    asking = tuple(msgspec.structs.replace(rule, mode=Mode.APPROVE) for rule in RULES_READ.rulebook.rules)
    office.night.rules = msgspec.structs.replace(RULES_READ, rulebook=Rulebook(asking, Mode.APPROVE))
    await office.night.step(60)
    (decision,) = (await office.night.incident()).decisions
    assert decision.verdict.result is VerdictResult.NEEDS_APPROVAL
    return decision


async def test_an_approval_is_carried_out_in_the_name_of_who_gave_it(office: Office) -> None:
    decision = await asks(office)
    approved = await office.desk.approve(decision.id, "ana", (await office.night.incident()).evidence_version)

    assert (approved.approved_by, approved.approved_at) == ("ana", at(60))
    await office.night.step(61)
    (act,) = await office.night.actions()
    assert (act.by, act.outcome.result) == ("ana", OutcomeResult.BEGUN)


async def test_an_approval_of_evidence_that_changed_is_refused(office: Office) -> None:
    decision = await asks(office)

    with pytest.raises(ConflictError, match="look again"):
        await office.desk.approve(decision.id, "ana", "what was shown before")


async def test_what_needs_no_approval_gets_none(office: Office) -> None:
    incident = await office.night.incident()

    with pytest.raises(ConflictError, match="there is nothing to approve"):
        await office.desk.approve(incident.decisions[0].id, "ana", incident.evidence_version)
    with pytest.raises(NotFoundError):
        await office.desk.approve("nothing", "ana", incident.evidence_version)


async def test_what_was_declined_is_not_done(office: Office) -> None:
    decision = await asks(office)
    declined = await office.desk.decline(decision.id, "bob")
    await office.night.step(61)

    assert declined.declined_by == "bob"
    assert await office.night.actions() == []
    assert (await office.audit())[0][0] in ("bob", "rule again")


# Parents.


async def test_what_is_said_of_a_parent_wakes_its_children(office: Office) -> None:
    for key in OTHERS[:2]:
        await office.night.fails(key)
        await office.night.step(8, key)
    (parent,) = [i for i in await office.night.incidents() if i.children]
    await office.desk.acknowledge(parent.id, "ana")

    assert set(office.woken) == {KEY, *OTHERS[:2]}


# Blocks.


async def test_a_block_by_hand_has_a_name_and_may_end_by_time(office: Office) -> None:
    made = await office.desk.block("ana", "orders", ["staging"], ["r1"], "wait for me", timedelta(hours=1))

    assert (made.created_by, made.reason) == ("ana", "wait for me")
    assert made.expires_at == office.night.clock.at + timedelta(hours=1)
    assert office.desk.blocks() == [made]
    office.night.clock.at += timedelta(hours=2)
    assert office.desk.blocks() == []


async def test_a_block_holds_although_whoever_asked_for_it_went_away(office: Office) -> None:
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(office.desk.block("ana", "orders", [], [], "wait for me"))
        await asyncio.sleep(0)
        asked.cancel()
    assert [held.service for held in office.desk.blocks()] == ["orders"]


async def test_a_block_that_cannot_be_stored_does_not_hold(office: Office) -> None:
    office.night.store.writes = False
    with pytest.raises(StoreError):
        await office.desk.block("ana", "orders", [], [], "wait for me")
    assert office.desk.blocks() == []


async def test_the_end_by_time_of_a_block_by_hand_is_recorded(office: Office) -> None:
    loader = office.night.reconciler.loader
    await office.desk.block("ana", "orders", ["staging"], ["r1"], "wait for me", timedelta(hours=1))
    lasting = await office.desk.block("ana", "billing", ["staging"], ["r2"], "wait for ever")
    ours = block(expires_at=office.night.clock.now() + timedelta(minutes=1))
    loader.blocks[ours.id] = ours
    await office.desk.end_expired()
    assert len(loader.blocks) == 3
    await office.night.clock.sleep(3601)
    await office.desk.end_expired()
    assert set(loader.blocks) == {lasting.id, ours.id}  # of a rule's the plan tells the end
    assert (await office.audit())[0] == ("time", "ended the block of orders", "wait for me")


async def test_a_named_person_ends_a_block_whatever_was_left(office: Office) -> None:
    held = block(StateLeft.DIRTY)
    await office.night.store.commit(PutBlock(held))
    office.night.reconciler.loader.blocks[held.id] = held
    ended = await office.desk.unblock(held.id, "ana", "cleaned up")

    assert (ended.ended_by, office.desk.blocks()) == ("ana", [])
    assert (await office.audit())[0] == ("ana", "ended the block of orders", "cleaned up")
    with pytest.raises(NotFoundError):
        await office.desk.unblock(held.id, "ana")


async def test_a_block_that_was_lifted_is_not_put_back_before_something_fails_again(office: Office) -> None:
    holds = Rule("hold", (), (RuleAction(ActionKind.BLOCK, environments=("*",)),), Mode.LIVE, budget=2, cooldown=60.0)
    office.night.rules = msgspec.structs.replace(RULES_READ, rulebook=Rulebook((holds,), Mode.LIVE))
    await office.night.step(60)
    (made,) = office.desk.blocks()
    await office.desk.unblock(made.id, "ana", "cleaned up")
    await office.night.step(120)

    assert office.desk.blocks() == []
    incident = await office.night.incident()
    (told,) = [d for d in incident.decisions if d.action is ActionKind.BLOCK]
    assert (told.declined_by, told.verdict.result) == ("ana", VerdictResult.DENIED)
    assert ("lifted the promotion block", "ana") in [(entry.what, entry.by) for entry in incident.timeline]


async def test_a_rule_that_was_set_to_shadow_is_released_by_a_named_person(office: Office) -> None:
    held = Demotion("again", "a version", at(50), 5, 4, shown_id := await shown(office))
    await office.night.store.commit(put_demotion(held))
    await office.night.reconciler.loader.start()
    released = await office.desk.release_rule("again", "ana", "the database was upgraded")
    assert (released.released_at, released.released_by) == (office.night.clock.at, "ana")
    assert (await office.audit())[0] == ("ana", "released rule 'again'", "the database was upgraded")
    (told,) = [d for d in await office.night.store.deliveries() if d.alert.key == "hook-responder/rule/again"]
    assert (told.receiver, told.alert.state, told.alert.incident_id) == ("pager", AlertState.RESOLVED, shown_id)
    assert told.alert.what.endswith("ana has released it: it acts again, as its file says.")
    await office.night.reconciler.loader.start()
    assert office.night.reconciler.loader.demotions["again"] == released
    for name in ("again", "never heard of"):
        with pytest.raises(NotFoundError):
            await office.desk.release_rule(name, "ana")


async def test_a_restored_store_is_released_by_a_named_person(office: Office) -> None:
    await office.night.store.commit(PutSetting("restored", "true"))
    office.night.reconciler.loader.restored = True
    await office.desk.release_restored("ana")

    assert office.night.reconciler.loader.restored is False
    assert (await office.night.store.settings())["restored"] == "false"
    assert (await office.audit())[0] == ("ana", "released the restored store", "")


async def test_an_incident_that_moved_on_under_the_hand_is_read_anew(office: Office) -> None:
    """Between the page and the click a step ran."""
    incident = await office.night.incident()
    moved = msgspec.structs.replace(incident, changed="something")
    await office.night.store.commit(PutIncident(moved))

    assert (await office.desk.acknowledge(incident.id, "ana")).changed == "something"
