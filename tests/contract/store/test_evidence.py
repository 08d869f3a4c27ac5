"""Operations, hook runs and logs."""

from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from responder.ports import AppendLog, PutHookRun, PutOperation, Store
from tests.contract.store.examples import BILLING, ORDERS, after, chunk, hook_run, operation

FRESH = count()


async def test_operations_of_one_application_newest_first(store: Store) -> None:
    for started in (1, 3, 2):
        await store.commit(PutOperation(operation(started)), PutOperation(operation(started, app=BILLING)))
    assert await store.operations("uid-orders") == [operation(3), operation(2), operation(1)]
    assert await store.operations("uid-orders", limit=1) == [operation(3)]
    assert await store.operations("uid-unknown") == []


async def test_an_operation_is_folded_on(store: Store) -> None:
    await store.commit(PutOperation(operation(1, message="one or more hooks failed")))
    await store.commit(PutOperation(operation(1, message="retrying")))
    assert await store.operations("uid-orders") == [operation(1, message="retrying")]


async def test_hook_runs_of_one_application_oldest_first(store: Store) -> None:
    for uid, created in (("b", 2), ("a", 1), ("c", 3)):
        await store.commit(PutHookRun(ORDERS, hook_run(uid, created=created)))
    await store.commit(PutHookRun(BILLING, hook_run("other")))
    assert [r.uid for r in await store.hook_runs(ORDERS)] == ["a", "b", "c"]
    assert [r.uid for r in await store.hook_runs(ORDERS, since=after(2))] == ["b", "c"]


async def test_a_hook_run_is_found_by_cluster_and_uid(store: Store) -> None:
    await store.commit(PutHookRun(ORDERS, hook_run("a")))
    assert await store.hook_run("in-cluster", "a") == hook_run("a")
    assert await store.hook_run("elsewhere", "a") is None


async def test_a_run_without_an_application_is_kept_apart_until_it_has_one(store: Store) -> None:
    await store.commit(PutHookRun(None, hook_run("a", created=1)), PutHookRun(None, hook_run("b", created=2)))
    assert [r.uid for r in await store.unattributed()] == ["b", "a"]
    assert [r.uid for r in await store.unattributed(limit=1)] == ["b"]
    await store.commit(PutHookRun(ORDERS, hook_run("a", created=1)))
    assert [r.uid for r in await store.unattributed()] == ["b"]
    assert [r.uid for r in await store.hook_runs(ORDERS)] == ["a"]


async def test_a_long_value_comes_back_as_it_was(store: Store) -> None:
    """Above 4 KiB it lies compressed."""
    long = hook_run("a", images=300)
    await store.commit(PutHookRun(ORDERS, long))
    assert await store.hook_run("in-cluster", "a") == long


async def test_a_log_is_its_chunks_in_order(store: Store) -> None:
    await store.commit(AppendLog(chunk("pod/m/0", 900, 901)), AppendLog(chunk("pod/m/1", 1)))
    await store.commit(AppendLog(chunk("pod/m/0", 1, 2, 3)))
    assert await store.log("pod/m/0") == chunk("pod/m/0", 1, 2, 3, 900, 901)
    assert await store.log("pod/m/2") is None


async def test_a_chunk_that_is_appended_again_doubles_nothing(store: Store) -> None:
    await store.commit(AppendLog(chunk("k", 1, 2, 3)))
    await store.commit(AppendLog(chunk("k", 1, 2, 3)))
    assert await store.log("k") == chunk("k", 1, 2, 3)


async def test_a_chunk_cut_differently_after_a_crash_loses_nothing(store: Store) -> None:
    await store.commit(AppendLog(chunk("k", 1, 2, 3)), AppendLog(chunk("k", 4, 5)))
    await store.commit(AppendLog(chunk("k", 4, 5, 6, 7)), AppendLog(chunk("k", 3, 4)))
    assert await store.log("k") == chunk("k", 1, 2, 3, 4, 5, 6, 7)


async def test_a_chunk_without_lines_is_no_log(store: Store) -> None:
    await store.commit(AppendLog(chunk("k")))
    assert await store.log("k") is None


async def test_bytes_that_are_no_text_survive(store: Store) -> None:
    await store.commit(AppendLog(chunk("k", 1, text="\x00\x1b[31m\ufffd \U0001f4a5")))
    assert await store.log("k") == chunk("k", 1, text="\x00\x1b[31m\ufffd \U0001f4a5")


@given(cuts=st.lists(st.sets(st.integers(1, 40), min_size=1, max_size=12), min_size=1, max_size=8))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_is_appended_is_there_once_and_in_order(store: Store, cuts: list[set[int]]) -> None:
    """One storage for all examples, a log of its own for each."""
    key = f"log {next(FRESH)}"
    for numbers in cuts:
        await store.commit(AppendLog(chunk(key, *sorted(numbers))))
    assert await store.log(key) == chunk(key, *sorted(set().union(*cuts)))
