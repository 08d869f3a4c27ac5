"""Failure signatures: what they are, and how a line is matched in linear time.

A signature is data. Most say what failed; the others say what a tool did, so that we know what it left behind.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cached_property
from typing import Any

import msgspec
import re2

from responder.core.failure import Category, StateLeft
from responder.core.scanning import Scanner, filters
from responder.core.tooling import Tool

WEIGHT = 30
_CLASSED = 5  # characters of a code that has a class (SQLSTATE, Oracle): in plain numbers the first digits are none


# What ends without anything being changed. A signature may know better (`passes`).
PASSING = frozenset(
    {
        Category.CONNECTION_REFUSED, Category.CONNECTION_TIMEOUT, Category.TOO_MANY_CONNECTIONS,
        Category.LOCK_TIMEOUT, Category.DEADLOCK, Category.SERVER_SHUTDOWN,
    }
)  # fmt: skip


class Says(StrEnum):
    """What a line that matches tells us."""

    FAILURE = "failure"
    TOOL = "tool"  # only which tool or database this is
    STARTED = "started"  # a migration was begun
    FINISHED = "finished"  # a migration was committed
    STEP = "step"  # a statement of the running migration was done
    ROLLED_BACK = "rolled-back"  # the tool says that nothing of the migration stays
    KEPT = "kept"  # the tool says, or the statement shows, that it cannot be rolled back
    READY = "ready"  # the database answers; what was complained of before is over
    DONE = "done"  # the tool says that all went well
    UNLOCKED = "unlocked"  # the tool took away a lock that another run had left


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One pattern. `weight` decides between causes: a tool says 40, a database 30, a runtime 20, an echo 5."""

    id: str
    pattern: str
    samples: tuple[str, ...]
    source: str = ""
    says: Says = Says.FAILURE
    category: Category | None = None
    codes: str | None = None  # name of a code table: the group `code` is looked up, an unlisted code is no match
    tool: str | None = None  # "" says that this line belongs to no tool in a file of one
    database: str | None = None  # the same
    left: StateLeft | None = None  # what such a failure leaves, whatever the tool
    passes: bool | None = None  # does it pass by itself? None: as the category has it
    connecting: bool | None = None  # did it fail before anything was started? None: as the category has it
    weight: int = WEIGHT
    exit_code: int | None = None  # it counts only in a run that ended so
    advice: str = ""


def passes(signature: Signature) -> bool:
    """Does such a failure end by itself? By its category where it does not say so itself."""
    fails = signature.says is Says.FAILURE
    return fails and (signature.category in PASSING if signature.passes is None else signature.passes)


class Match(msgspec.Struct, frozen=True):
    """A signature found in a line."""

    signature: Signature
    category: Category | None
    groups: dict[str, str]


class Signatures:
    """The compiled set: shared, immutable, safe in threads. Compiled at first use; a scan frees the GIL."""

    def __init__(
        self,
        signatures: Iterable[Signature],
        tools: Iterable[Tool] = (),
        tables: Mapping[str, Mapping[str, Category]] | None = None,
        advice: Mapping[str, str] | None = None,
    ) -> None:
        self.signatures = tuple(signatures)
        self.tools = {tool.name: tool for tool in tools}
        self.tables = dict(tables or {})
        self.advice = dict(advice or {})
        self._compiled: dict[int, Any] = {}

    def scan_line(self, text: str) -> bool:
        """Does any signature match? Cheap; used live on every line."""
        return self.first_hit(text.encode(errors="replace")) is not None

    def scan(self, data: bytes, start: int = 0) -> Iterable[tuple[int, int]]:
        """Begin and end of every line that may match, in order."""
        return self._scanner.lines(data, start)

    def first_hit(self, raw: bytes) -> int | None:
        """Where one line begins to look like a signature."""
        return self._scanner.first(raw)

    def matches(self, text: str) -> list[Match]:
        """Every signature that matches one line that was read (see `loglines`), in the files' order."""
        raw = text.encode(errors="replace")
        hits = (first + index for first, patterns in self._filters for index in patterns.Match(raw) or ())
        return [match for index in hits if (match := self._match(index, text)) is not None]

    def _match(self, index: int, text: str) -> Match | None:
        signature = self.signatures[index]
        pattern = self._pattern(index)
        hit = pattern.search(text)
        groups = {} if hit is None else {k: v for k, v in hit.groupdict().items() if v is not None}
        if signature.codes is None:
            return Match(signature, signature.category, groups)
        while hit is not None:
            category = self._coded(signature.codes, hit["code"])
            if category is not None:
                return Match(signature, category, {k: v for k, v in hit.groupdict().items() if v is not None})
            hit = pattern.search(text, hit.end())
        return None

    def matches_sample(self, index: int, sample: str) -> bool:
        return self._pattern(index).search(sample) is not None and self._match(index, sample) is not None

    def _coded(self, table: str, code: str) -> Category | None:
        codes = self.tables[table]
        return codes.get(code) or (codes.get(code[:2]) if len(code) == _CLASSED else None)

    def _pattern(self, index: int) -> Any:
        if index not in self._compiled:
            self._compiled[index] = re2.compile(self.signatures[index].pattern, re2_options())
        return self._compiled[index]

    @cached_property
    def _scanner(self) -> Scanner:
        return Scanner(signature.pattern for signature in self.signatures)

    @cached_property
    def _filters(self) -> list[tuple[int, Any]]:
        return filters([signature.pattern for signature in self.signatures], re2_options())


def re2_options() -> Any:
    options = re2.Options()
    options.log_errors = False
    return options
