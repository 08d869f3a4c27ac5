"""What is to be done and what was: actions, blocks, deliveries, audit."""

from responder.core.actions import OutcomeResult
from responder.core.alert import DeliveryState
from responder.ports import AppendAudit, AuditEntry, PutAction, PutBlock, PutDelivery, Store
from tests.contract.store.examples import BILLING, action, after, block, delivery


async def test_actions_oldest_first(store: Store) -> None:
    await store.commit(PutAction(action("b", begun=2)), PutAction(action("a", begun=1)))
    await store.commit(PutAction(action("c", begun=3, app=BILLING)))
    assert [a.id for a in await store.actions()] == ["a", "b", "c"]
    assert [a.id for a in await store.actions(app_uid="uid-orders")] == ["a", "b"]
    assert [a.id for a in await store.actions(since=after(2))] == ["b", "c"]


async def test_open_actions_are_those_that_may_still_come_to_something(store: Store) -> None:
    for result in OutcomeResult:
        await store.commit(PutAction(action(result.value, result=result)))
    assert {a.id for a in await store.actions(open_only=True)} == {"pending", "begun", "taken"}


async def test_an_action_that_ended_is_open_no_more(store: Store) -> None:
    await store.commit(PutAction(action("a")))
    await store.commit(PutAction(action("a", result=OutcomeResult.SUCCEEDED)))
    assert await store.actions(open_only=True) == []
    assert await store.actions() == [action("a", result=OutcomeResult.SUCCEEDED)]


async def test_blocks_that_hold(store: Store) -> None:
    await store.commit(PutBlock(block("old")), PutBlock(block("ended", created=5, ended=6)))
    await store.commit(PutBlock(block("new", created=1)))
    assert [b.id for b in await store.blocks()] == ["new", "old"]
    assert [b.id for b in await store.blocks(ended=True)] == ["new", "old", "ended"]


async def test_a_block_that_holds_is_never_hidden_behind_ended_ones(store: Store) -> None:
    await store.commit(PutBlock(block("holds")), *(PutBlock(block(f"e{n}", created=n, ended=n)) for n in range(1, 5)))
    assert [b.id for b in await store.blocks(ended=True, limit=1)] == ["holds"]


async def test_a_block_ends(store: Store) -> None:
    await store.commit(PutBlock(block("b")))
    await store.commit(PutBlock(block("b", ended=3)))
    assert await store.blocks() == []


async def test_deliveries_that_are_due_oldest_first(store: Store) -> None:
    await store.commit(
        PutDelivery(delivery("late", created=2, not_before=2)),
        PutDelivery(delivery("early", created=1, not_before=1)),
        PutDelivery(delivery("sent", state=DeliveryState.SENT)),
        PutDelivery(delivery("other", created=3, not_before=1, incident_id="i2")),
    )
    assert [d.id for d in await store.deliveries(due=after(1))] == ["early", "other"]
    assert [d.id for d in await store.deliveries(due=after(2))] == ["early", "late", "other"]
    assert [d.id for d in await store.deliveries(due=after(2), limit=2)] == ["early", "late"]
    assert [d.id for d in await store.deliveries()] == ["early", "late", "other"]
    assert [d.id for d in await store.deliveries(incident_id="i1")] == ["sent", "early", "late"]


async def test_a_delivery_that_was_sent_is_due_no_more(store: Store) -> None:
    await store.commit(PutDelivery(delivery("d")))
    await store.commit(PutDelivery(delivery("d", state=DeliveryState.SENT)))
    assert await store.deliveries(due=after(60)) == []
    assert await store.deliveries(incident_id="i1") == [delivery("d", state=DeliveryState.SENT)]


async def test_the_audit_newest_first_and_nothing_is_merged(store: Store) -> None:
    same = AuditEntry(after(1), "ann", "acknowledge", incident="i1")
    other = AuditEntry(after(0), "bob", "block", incident="i2", why="dirty", before="none", after="held")
    await store.commit(AppendAudit(same), AppendAudit(other))
    await store.commit(AppendAudit(same))
    assert await store.audit() == [same, other, same]
    assert await store.audit(incident_id="i1", limit=5) == [same, same]
    assert await store.audit(limit=1) == [same]
