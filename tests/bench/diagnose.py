"""How good is the diagnosis? The measures of the public corpus: `python -m tests.bench.diagnose [-v]`."""

import json
import sys
from collections import Counter
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from responder.core.diagnosis import diagnose_text
from responder.core.failure import Category, Diagnosis, Retry, StateLeft
from responder.core.signaturefile import parse_signatures
from responder.core.signatures import Signatures

CORPUS = Path(__file__).parent.parent / "corpus"
LEFT = {StateLeft.PARTIAL, StateLeft.DIRTY, StateLeft.LOCKED}


class Label(msgspec.Struct, frozen=True):
    file: str
    tool: str
    database: str
    scenario: str
    exit_code: int
    category: str
    transient: bool
    partial_apply: bool | None
    migration: str | None
    key_line: str | None


class Judged(msgspec.Struct, frozen=True):
    label: Label
    found: Diagnosis

    @property
    def failed(self) -> bool:
        return self.label.category != "none"


def sources() -> dict[str, bytes]:
    folder = resources.files("responder") / "signatures"
    files = (f for f in folder.iterdir() if f.name.endswith(".yaml"))
    return {f.name: f.read_bytes() for f in sorted(files, key=lambda f: f.name)}


@cache
def shipped() -> Signatures:
    return parse_signatures(sources(), check_samples=False)


@cache
def judge(corpus: Path = CORPUS) -> list[Judged]:
    labels = msgspec.json.Decoder(Label)
    judged = []
    for line in (corpus / "labels.jsonl").read_bytes().splitlines():
        label = labels.decode(line)
        text = (corpus / "logs" / label.file).read_text(errors="replace")
        judged.append(Judged(label, diagnose_text(text, shipped(), exit_code=label.exit_code)))
    return judged


def category_right(j: Judged) -> bool:
    if j.label.category == "unknown":
        return j.found.category is Category.UNKNOWN or j.found.confidence == "guess"
    return j.found.category == j.label.category


def state_right(j: Judged) -> bool:
    return (
        j.found.state_left in LEFT if j.label.partial_apply else j.found.state_left in (StateLeft.NONE, *_dead_lock(j))
    )


def _dead_lock(j: Judged) -> tuple[StateLeft, ...]:
    return (StateLeft.LOCKED,) if j.label.category == "migration-lock-held" else ()


def key_line_shown(j: Judged) -> bool:
    return j.label.key_line is not None and j.label.key_line.strip() in {b.text.strip() for b in j.found.because}


def measures(judged: list[Judged]) -> dict[str, tuple[int, int, list[Judged]]]:
    """Measure -> how many are right (or wrong, where 0 is the goal), of how many, and the others."""
    failed = [j for j in judged if j.failed]
    safe = [j for j in failed if j.found.retry is Retry.SAFE]
    harmless = [j for j in failed if j.label.transient and j.label.partial_apply is False]

    def share(of: list[Judged], right: Any) -> tuple[int, int, list[Judged]]:
        wrong = [j for j in of if not right(j)]
        return len(of) - len(wrong), len(of), wrong

    left = [j for j in safe if j.label.partial_apply]
    fails_again = [j for j in safe if not j.label.transient]
    stated = [j for j in failed if j.label.category != "unknown"]
    return {
        "category right": share(failed, category_right),
        "safe though something was left (0)": (len(left), len([j for j in failed if j.label.partial_apply]), left),
        "safe though it fails again (1 %)": (
            len(fails_again), len([j for j in failed if not j.label.transient]), fails_again),
        "safe found where it is": share(harmless, lambda j: j.found.retry is Retry.SAFE),
        "state left right": share([j for j in failed if j.label.partial_apply is not None], state_right),
        "migration right": share(
            [j for j in failed if j.label.migration], lambda j: j.found.migration == j.label.migration),
        "successes called none": share(
            [j for j in judged if not j.failed], lambda j: j.found.category is Category.NONE),
        "named where it is stated (99 %)": share(stated, lambda j: j.found.category is not Category.UNKNOWN),
        "key line shown": share([j for j in failed if j.label.key_line], key_line_shown),
        "certain is right (99 %)": share([j for j in failed if j.found.confidence == "certain"], category_right),
        "likely is right (90 %)": share([j for j in failed if j.found.confidence == "likely"], category_right),
    }  # fmt: skip


def main() -> None:
    judged = judge()
    verbose = "-v" in sys.argv
    for name, (count, of, others) in measures(judged).items():
        print(f"{name:40} {count:4} of {of:4}  {100 * count / max(of, 1):5.1f} %")
        for j in others if verbose else ():
            d = j.found
            print(
                f"      {j.label.file:56} {j.label.category} / {d.category} {d.retry} {d.state_left} {d.confidence}"
                f" [{d.tool}, {d.database}] {d.migration} ({j.label.migration})"
            )
    missed = Counter((j.label.tool, j.label.database) for j in judged if not category_right(j))
    print("missed by tool and database:", json.dumps({f"{t} {d}": n for (t, d), n in missed.items()}))


if __name__ == "__main__":
    main()
