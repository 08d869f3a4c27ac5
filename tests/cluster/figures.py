"""What scenarios measured, gathered over all their processes and printed at the end of a run."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

VARIABLE = "RESPONDER_TEST_FIGURES"
_WIDTH = 60  # of a name
_SLOWEST = 5


class Figure(msgspec.Struct, frozen=True):
    name: str
    value: float
    unit: str
    story: str = ""  # the test that measured it


def record(name: str, value: float, unit: str = "s", environ: Mapping[str, str] = os.environ) -> None:
    """One line, appended in one write: processes do not mix theirs."""
    if file := environ.get(VARIABLE):
        story = environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0].rpartition("::")[2]
        line = msgspec.json.encode(Figure(name, value, unit, story)) + b"\n"
        with Path(file).open("ab", buffering=0) as figures:
            figures.write(line)


def read_figures(file: Path) -> list[Figure]:
    if not file.exists():
        return []
    return [msgspec.json.decode(line, type=Figure) for line in file.read_bytes().splitlines()]


def table(figures: Iterable[Figure]) -> list[str]:
    """A line for each name: how many, median, 99th percentile, greatest, sum. Then the slowest, and in which story."""
    by_name: defaultdict[tuple[str, str], list[Figure]] = defaultdict(list)
    for figure in figures:
        by_name[figure.name, figure.unit].append(figure)
    lines = [f"{'figure':{_WIDTH}} {'n':>5} {'p50':>10} {'p99':>10} {'max':>10} {'sum':>12}"]
    for (name, unit), found in sorted(by_name.items()):
        values = [figure.value for figure in found]
        p50, p99, largest = _rank(values, 0.50), _rank(values, 0.99), max(values)
        numbers = f"{len(values):5} {p50:10.3f} {p99:10.3f} {largest:10.3f} {sum(values):12.3f}"
        lines.append(f"{name:{_WIDTH}} {numbers} {unit}")
    for (name, unit), found in sorted(by_name.items()):
        if unit == "s" and len(found) > _SLOWEST:
            lines += [f"slowest, {name}:", *_slowest(found)]
    return lines


def _slowest(found: Iterable[Figure]) -> list[str]:
    ordered = sorted(found, key=lambda figure: figure.value, reverse=True)
    return [f"  {figure.value:8.3f} s  {figure.story}" for figure in ordered[:_SLOWEST]]


def _rank(values: list[float], share: float) -> float:
    """The smallest value that at least this share is not above."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * int(share * 100) // 100) - 1)]
