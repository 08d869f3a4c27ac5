"""What is loaded for a plan, over the real store."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from responder.core.argocd import AttemptResult, OperationPhase
from responder.core.evidence import LogChunk, LogSummary
from responder.core.failure import Category, Diagnosis, Retry, StateLeft
from responder.core.hooks import JobCondition
from responder.core.signatures import Signature, Signatures
from responder.ports import AppendLog, IncidentQuery, PutHookRun, PutOperation
from responder.store.sqlite import SqliteStore
from tests.contract.store.examples import ORDERS, StandingClock, after
from tests.unit.web.world import World, failed_operation, state_of

replace = msgspec.structs.replace
KILLED = ["Liquibase Community 4.29.2 by Liquibase", "Running Changeset: changes/003-x.sql::3::dev"]
RELEASED = (
    "Successfully released all database change log locks for 'ledger@jdbc:postgresql://db:5432/ledger'",
    "Running Changeset: changes/003-x.sql::3::dev",
    "Liquibase command 'update' was executed successfully.",
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = StandingClock()
    async with await SqliteStore.open(tmp_path / "responder.db", clock=clock) as store:
        yield World(store, clock)


async def killed(world: World) -> None:
    """While it held the tool's lock; the rule of what was left behind blocks the promotion."""
    await world.fail("\n".join(KILLED), exit_code=137)
    (block,) = world.desk.blocks()
    assert block.state_left is StateLeft.LOCKED


async def ends_well(world: World, *lines: str) -> None:
    """The same hook, in an operation five minutes later."""
    (record,), (run,) = world.cluster.records[ORDERS], world.cluster.runs[ORDERS]
    log = LogSummary("pod-again/migrate/0", lines=len(lines), bytes=100, complete=True)
    (pod,) = run.pods
    container = replace(pod.containers[0], exit_code=0, reason="Completed", log=log)
    good = replace(
        run, uid="job-again", created_at=after(5), conditions=(JobCondition("Complete", at=after(6)),),
        pods=(replace(pod, uid="pod-again", created_at=after(5), containers=(container,)),),
    )  # fmt: skip
    result = AttemptResult(1, replace(record.results[0].result, hook_phase="Succeeded"), after(5), after(6))
    synced = replace(
        record, started_at=after(5), operation_phase=OperationPhase.SUCCEEDED, finished_at=after(6), results=(result,),
        first_seen_at=after(5), last_seen_at=after(6),
    )  # fmt: skip
    chunk = LogChunk("pod-again/migrate/0", tuple(range(1, len(lines) + 1)), ("",) * len(lines), lines)
    await world.store.commit(PutOperation(synced), PutHookRun(ORDERS, good), AppendLog(chunk))
    world.cluster.records[ORDERS], world.cluster.runs[ORDERS] = [record, synced], [run, good]
    await world.clock.sleep(600)
    for _ in range(2):  # it ends the incident, then the block
        await world.reconciler.step(ORDERS)


async def test_a_lock_that_the_tool_took_away_in_a_good_run_ends_its_block(world: World) -> None:
    await killed(world)
    await ends_well(world, *RELEASED)
    assert world.desk.blocks() == []
    (ended,) = [entry for entry in await world.store.audit() if "the tool took away its own lock" in str(entry)]
    assert ended.application == str(ORDERS)


async def test_a_good_run_that_says_nothing_of_a_lock_leaves_that_to_a_person(world: World) -> None:
    await killed(world)
    await ends_well(world, *RELEASED[1:], "jdbc:postgresql://db:5432/ledger")
    (block,) = world.desk.blocks()
    assert (block.proven_at, block.ended_at) == (after(6), None)


async def test_a_fault_in_our_diagnosis_opens_an_incident_all_the_same(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.rules = replace(world.rules, signatures=Signatures([unchecked("no-such-table")]))
    judged_by_nobody((await world.fail("ERROR 1062")).diagnosis, caplog)


async def test_so_does_one_over_an_operation_that_ran_no_hook(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.rules = replace(world.rules, signatures=Signatures([unchecked("argocd.no-such-table")]))
    app = world.deploy(ORDERS)
    record = replace(failed_operation(ORDERS, app.uid, ""), message="ERROR 1062", results=())
    world.cluster.apps[ORDERS] = replace(app, operation=state_of(record))
    world.cluster.records[ORDERS] = [record]
    await world.reconciler.step(ORDERS)

    (incident,) = (await world.store.incidents(IncidentQuery())).incidents
    judged_by_nobody(incident.diagnosis, caplog)


def unchecked(name: str) -> Signature:
    """As no file can hold it."""
    return Signature(id=name, pattern=r"ERROR (?P<code>\d+)", codes="nowhere", source="", samples=())


def judged_by_nobody(told: Diagnosis | None, caplog: pytest.LogCaptureFixture) -> None:
    assert told is not None
    assert (told.category, told.retry, told.state_left) == (Category.UNKNOWN, Retry.UNKNOWN, StateLeft.UNKNOWN)
    assert "its own log has the fault" in told.retry_reason
    assert "KeyError: 'nowhere'" in caplog.text
