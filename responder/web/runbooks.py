"""What each failure category means: the page that every alert links."""

import tomllib
from functools import cache
from importlib.resources import files

import msgspec

from responder.core.advice import HISTORY, STATUS, fill
from responder.core.failure import Category, StateLeft
from responder.core.signatures import Signatures


class Runbook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    means: str
    look: tuple[str, ...]


class ByTool(msgspec.Struct, frozen=True):
    """What one tool's own advice is, and the command that tells what it has applied."""

    tool: str
    advice: str  # empty: none of its own for this category
    command: str


@cache
def runbooks() -> dict[Category, Runbook]:
    text = (files("responder.web") / "templates" / "runbooks.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[Category, Runbook])


def by_tool(category: Category, signatures: Signatures) -> list[ByTool]:
    """Where a tool says more than the category does."""
    told = (
        ByTool(name, fill(tool.advice.get(category, ""), None, name), STATUS.get(name, ""))
        for name, tool in sorted(signatures.tools.items())
    )
    return [t for t in told if t.advice or (t.command and category in HISTORY)]


def by_state(signatures: Signatures) -> dict[StateLeft, str]:
    """What to do about what was left behind, whatever the cause."""
    left = (StateLeft.PARTIAL, StateLeft.DIRTY, StateLeft.LOCKED)
    return {state: fill(signatures.advice[state], None, None) for state in left if state in signatures.advice}
