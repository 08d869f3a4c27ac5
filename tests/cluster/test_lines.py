"""How lines are counted, without a cluster."""

from pathlib import Path

from tests.cluster.kubelet.logs import Log
from tests.cluster.lines import Comparison, Recorded, count_written


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
