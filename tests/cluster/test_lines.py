"""How lines are counted, without a cluster."""

from datetime import UTC, datetime
from pathlib import Path

from responder.core.evidence import LogChunk, LogSummary
from responder.core.hooks import ContainerRun, HookRun, PodRun
from responder.ports import AppendLog, PutHookRun, Write
from responder.store.sqlite import SqliteStore
from responder.wallclock import WallClock
from tests.cluster.kubelet.logs import Log
from tests.cluster.lines import Comparison, Recorded, count_recorded, count_written

NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)


def test_a_line_counts_once_whether_it_is_cut_in_pieces_rotated_or_without_an_end(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    log = Log(tmp_path / "0.log", rotate_at=2, kept=kept / "pod/migrate/0")
    log.write(b"stdout", b"one\n" + b"x" * 40_000 + b"\nthree\nno end")
    log.close()
    assert count_written(kept) == {"pod/migrate/0": 4}


def test_what_was_kept_and_what_was_dropped_must_make_up_what_was_written() -> None:
    recorded = {"a": Recorded(scanned=5, dropped=3, readable=2), "b": Recorded(scanned=5, dropped=0, readable=2)}
    found = Comparison({"a": 5, "b": 5, "c": 1}, recorded)
    assert found.differing == {"b": (5, recorded["b"]), "c": (1, Recorded(0, 0, 0))}
    assert (found.lines_written, found.lines_recorded) == (11, 7)


def test_what_was_recorded_of_a_log_that_nobody_wrote_does_not_add_up_either() -> None:
    recorded = {"a": Recorded(scanned=1, dropped=0, readable=1)}
    assert set(Comparison({}, recorded).differing) == {"a"}


async def test_a_hook_that_another_story_left_behind_is_not_counted(tmp_path: Path) -> None:
    """A responder that watches all namespaces records it too."""
    async with await SqliteStore.open(tmp_path / "responder.db", clock=WallClock()) as store:
        await store.commit(*recorded("mine"), *recorded("theirs"))
    assert count_recorded(tmp_path / "responder.db", "mine") == {"mine/migrate/0": Recorded(1, 0, 1)}


def recorded(namespace: str) -> list[Write]:
    """One line of one hook."""
    key = f"{namespace}/migrate/0"
    container = ContainerRun("migrate", log=LogSummary(key, lines=1, bytes=4, dropped=0, complete=True))
    pod = PodRun("migrate-1", namespace, NOW, containers=(container,))
    run = HookRun("in-cluster", "Job", namespace, "migrate", f"job of {namespace}", NOW, pods=(pod,))
    return [PutHookRun(None, run), AppendLog(LogChunk(key, (1,), ("2026-11-21T03:00:00Z",), ("one",)))]
