"""What scenarios measured, gathered over all their processes and printed at the end of a run."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

VARIABLE = "RESPONDER_TEST_FIGURES"


class Figure(msgspec.Struct, frozen=True):
    name: str
    value: float
    unit: str


def record(name: str, value: float, unit: str = "s", environ: Mapping[str, str] = os.environ) -> None:
    """One line, appended in one write: processes do not mix theirs."""
    if file := environ.get(VARIABLE):
        line = msgspec.json.encode(Figure(name, value, unit)) + b"\n"
        with Path(file).open("ab", buffering=0) as figures:
            figures.write(line)


def read_figures(file: Path) -> list[Figure]:
    if not file.exists():
        return []
    return [msgspec.json.decode(line, type=Figure) for line in file.read_bytes().splitlines()]


def table(figures: Iterable[Figure]) -> list[str]:
    """A line for each name: how many, median, 99th percentile, greatest, sum."""
    by_name: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for figure in figures:
        by_name[figure.name, figure.unit].append(figure.value)
    lines = [f"{'figure':44} {'n':>5} {'p50':>10} {'p99':>10} {'max':>10} {'sum':>12}"]
    for (name, unit), values in sorted(by_name.items()):
        p50, p99, largest = _rank(values, 0.50), _rank(values, 0.99), max(values)
        lines.append(f"{name:44} {len(values):5} {p50:10.3f} {p99:10.3f} {largest:10.3f} {sum(values):12.3f} {unit}")
    return lines


def _rank(values: list[float], share: float) -> float:
    """The smallest value that at least this share is not above."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * int(share * 100) // 100) - 1)]
