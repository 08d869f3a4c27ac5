from responder.core.actions import OutcomeResult
from responder.core.alert import DeliveryState
from responder.core.incident import IncidentState
from responder.ports import (
    AppendAudit,
    AppendLog,
    AuditEntry,
    IncidentQuery,
    Keep,
    PutAction,
    PutBlock,
    PutDelivery,
    PutHookRun,
    PutIncident,
    PutOperation,
    Store,
)
from tests.contract.store.conftest import Opened
from tests.contract.store.examples import (
    BILLING,
    NIGHT,
    ORDERS,
    StandingClock,
    action,
    after,
    block,
    chunk,
    delivery,
    hook_run,
    incident,
    operation,
)

DAY = 24 * 60
AMPLE = 1 << 40
RESOLVED = IncidentState.RESOLVED


def keep(*, incidents: float = 0, logs: float = 0, audit: float = 0, max_bytes: int = AMPLE) -> Keep:
    return Keep(after(incidents), after(logs), after(audit), max_bytes)


async def test_what_is_young_stays(store: Store) -> None:
    await store.commit(PutIncident(incident("i1", state=RESOLVED)), AppendLog(chunk("k", 1)))
    await store.commit(AppendAudit(AuditEntry(NIGHT, "ann", "resync")))
    assert await store.prune(keep()) == 0
    assert await store.log("k") == chunk("k", 1)


async def test_closed_incidents_go_with_what_belonged_to_them(store: Store) -> None:
    await store.commit(
        PutIncident(incident("i1", state=RESOLVED)),
        PutHookRun(ORDERS, hook_run("a")),
        PutOperation(operation(0)),
        PutOperation(operation(1)),
        PutDelivery(delivery("sent", state=DeliveryState.SENT)),
        PutAction(action("a", result=OutcomeResult.SUCCEEDED)),
        PutBlock(block("b", ended=1)),
        AppendAudit(AuditEntry(NIGHT, "ann", "resync", incident="i1")),
    )
    assert await store.prune(keep(incidents=DAY)) == 6
    assert await store.incident("i1") is None
    assert await store.hook_runs(ORDERS) == []
    assert await store.deliveries(incident_id="i1") == []
    assert await store.actions() == []
    assert await store.blocks(ended=True) == []
    assert await store.operations("uid-orders") == [operation(1)], "the newest of an Application stays, for the gate"
    assert len(await store.audit()) == 1, "the audit has an age of its own"


async def test_what_is_open_never_goes(store: Store) -> None:
    writes = (
        PutIncident(incident("i1")),
        PutHookRun(ORDERS, hook_run("a", log_key="k")),
        AppendLog(chunk("k", 1)),
        PutOperation(operation(0)),
        PutOperation(operation(1)),
        PutDelivery(delivery("sent", state=DeliveryState.SENT)),
        PutDelivery(delivery("pending", incident_id="gone")),
        PutAction(action("ended", result=OutcomeResult.SUCCEEDED)),
        PutAction(action("begun", app=BILLING)),
        PutBlock(block("b")),
    )
    await store.commit(*writes)
    assert await store.prune(keep(incidents=DAY, logs=DAY, audit=DAY, max_bytes=0)) == 0


async def test_logs_have_an_age_of_their_own_and_go_whole(store: Store, clock: StandingClock) -> None:
    await store.commit(AppendLog(chunk("old", 1)), AppendLog(chunk("growing", 1)))
    await clock.sleep(3600)
    await store.commit(AppendLog(chunk("growing", 2)))
    assert await store.prune(keep(logs=30)) == 1
    assert await store.log("old") is None
    assert await store.log("growing") == chunk("growing", 1, 2)


async def test_the_audit_has_an_age_of_its_own(store: Store) -> None:
    await store.commit(AppendAudit(AuditEntry(after(0), "ann", "old")), AppendAudit(AuditEntry(after(2), "ann", "new")))
    assert await store.prune(keep(audit=1)) == 1
    assert [e.what for e in await store.audit()] == ["new"]


async def test_more_than_one_step_is_taken(store: Store) -> None:
    await store.commit(*(PutIncident(incident(f"i{n}", state=RESOLVED)) for n in range(1_200)))
    assert await store.prune(keep(incidents=1)) == 1_200
    assert (await store.incidents(IncidentQuery())).incidents == ()


async def test_above_its_size_the_oldest_logs_go_and_the_disk_gets_room(opened: Opened, clock: StandingClock) -> None:
    async with opened() as store:
        for n in range(200):
            await store.commit(AppendLog(chunk(f"log{n:03}", *range(n * 1200, n * 1200 + 1200), text=f"{n:x}")))
            await clock.sleep(1)
    async with opened() as store:  # the journal is folded in
        full = await store.size()
        gone = await store.prune(keep(max_bytes=full // 2))
        assert 0 < gone < 200
        assert await store.log(f"log{gone - 1:03}") is None
        assert await store.log(f"log{gone:03}") is not None
    async with opened() as store:
        assert await store.size() < full * 0.6


async def test_a_purge_takes_the_evidence_and_leaves_a_line(store: Store, clock: StandingClock) -> None:
    mine = incident("i1", state=RESOLVED, opened=2, operations=(after(1),), resolved=9)
    await store.commit(
        PutIncident(mine),
        PutHookRun(ORDERS, hook_run("before", created=0, log_key="before")),
        PutHookRun(ORDERS, hook_run("failed", created=1, log_key="failed")),
        PutHookRun(ORDERS, hook_run("good", created=8, log_key="good", complete=True)),
        PutHookRun(ORDERS, hook_run("later", created=10, log_key="later")),
        *(AppendLog(chunk(key, 1)) for key in ("before", "failed", "good", "later")),
        PutDelivery(delivery("d")),
        PutAction(action("a")),
        PutBlock(block("b")),
    )
    await store.purge("i1", by="ann")
    assert await store.incident("i1") is None
    assert [r.uid for r in await store.hook_runs(ORDERS)] == ["before", "good", "later"]
    assert [key for key in ("before", "failed", "good", "later") if await store.log(key)] == ["before", "later"]
    assert await store.deliveries(incident_id="i1") == []
    assert await store.audit() == [AuditEntry(clock.now(), "ann", "purge", incident="i1", application="argocd/orders")]
    assert [a.id for a in await store.actions()] == ["a"], "budgets count it"
    assert [b.id for b in await store.blocks()] == ["b"], "what was left behind is still there"


async def test_a_purge_of_nothing_says_nothing(store: Store) -> None:
    await store.purge("never")
    assert await store.audit() == []
