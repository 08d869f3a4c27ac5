"""config/SAFETY.md: the tests that it names exist, and what it quotes of guards is what they say."""

import re
from pathlib import Path

from responder.core.guards import GUARDS
from tests.unit.core.test_guards import HELD_BY

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "config" / "SAFETY.md").read_text(encoding="utf-8")


def named() -> list[tuple[str, str]]:
    return re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)


def has(file: str, name: str) -> bool:
    path = ROOT / file
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return bool(text) and (not name or re.search(rf"^(async def |def |class ){name}\b", text, re.MULTILINE) is not None)


def test_every_test_that_it_names_exists() -> None:
    assert len(named()) > 30
    assert [f"{file}::{name}" for file, name in named() if not has(file, name)] == []


def test_every_invariant_is_told_and_has_a_test() -> None:
    rows = re.findall(r"^\| I(\d+) \|.*?\| (.*) \|$", PAGE, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 13))
    assert all("::" in tests for _, tests in rows)


def quoted() -> list[tuple[str, str]]:
    table = PAGE[PAGE.index("| not resynced") : PAGE.index("## Nor this")]
    return re.findall(r"^\| .* \| `([\w-]+)` \| ?(.*?) ?\|$", table, re.MULTILINE)


def test_what_guards_are_quoted_with_is_what_they_say() -> None:
    said = {(guard, text) for guard, text, _ in HELD_BY}
    own_tests = {"Argo CD itself will retry", "an ApplicationSet's rolling sync runs this Application", ""}
    assert len(quoted()) == 25
    assert [(guard, text) for guard, text in quoted() if (guard, text) not in said and text not in own_tests] == []


def test_every_guard_of_whether_it_is_ours_to_repeat_is_told() -> None:
    """The others are told by the invariants."""
    told = {guard for guard, _ in quoted()}
    by_invariant = {
        "killswitch",
        "approval",
        "once",
        "retry",
        "evidence",
        "budget",
        "ceiling",
        "cooldown",
        "correlation",
    }
    known = {guard for guard, _, _ in HELD_BY} | {"still-running", "approval", "evidence"}
    assert known - told - by_invariant == set()
    assert len(GUARDS) == 7
