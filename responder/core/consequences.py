"""What later attempts met of what the first one left: told as its consequences, never as causes of their own."""

from collections.abc import Sequence
from itertools import groupby

import msgspec

from responder.core.failure import Category, Diagnosis, StateLeft

_MARKERS = frozenset({Category.DIRTY_STATE, Category.HISTORY_CONFLICT, Category.CHECKSUM_MISMATCH})
_REMAINS = frozenset({Category.ALREADY_EXISTS, Category.CONSTRAINT_VIOLATION, Category.MISSING_OBJECT})
_STANDING = frozenset({Category.STALE_JOB, Category.IMMUTABLE_JOB})
_MOST = 10


class Told(msgspec.Struct, frozen=True):
    """What one hook of one attempt said; operations and attempts count from 1, attempt 0 is the operation itself."""

    operation: int
    attempt: int
    hook: str
    diagnosis: Diagnosis
    failed: bool = True  # False: it only does not get on


class _Line(msgspec.Struct, frozen=True):
    told: Told
    text: str


def consequences(told: Sequence[Told]) -> tuple[str, ...]:
    """``told`` in the order in which it happened; attempts that met the same are one sentence."""
    several = len({t.operation for t in told}) > 1
    hooks = len({t.hook for t in told if t.hook}) > 1
    lines = [_Line(t, _met(t, told[:n], several=several)) for n, t in enumerate(told) if n]
    sentences = []
    for (_, hook, text), group in groupby(lines, key=lambda line: (line.told.operation, line.told.hook, line.text)):
        who = _attempts([line.told for line in group], several=several)
        sentences.append(f"{who}{f', {hook}' if hooks and hook else ''}: {text}")
    if len(sentences) > _MOST:
        sentences = [*sentences[:_MOST], f"and {len(sentences) - _MOST} more"]
    return tuple(sentences)


def _attempts(told: Sequence[Told], *, several: bool) -> str:
    first, last = told[0].attempt, told[-1].attempt
    operation = told[0].operation
    if not first:
        return f"operation {operation}"
    numbers = f"attempt {first}" if first == last else f"attempts {first} {'and' if last == first + 1 else 'to'} {last}"
    return f"{numbers} of operation {operation}" if several else numbers


def _met(told: Told, before: Sequence[Told], *, several: bool) -> str:
    diagnosis = told.diagnosis
    if not told.failed:
        return diagnosis.key_line or diagnosis.retry_reason
    left = next((t for t in before if _explains(t.diagnosis, diagnosis)), None)
    if left is not None:
        return _refused(diagnosis, left, several=several)
    cause = before[0].diagnosis
    if diagnosis.category is cause.category and diagnosis.migration in (None, cause.migration):
        return f"failed in the same way ({_word(diagnosis.category)})"
    line = f": {diagnosis.key_line}" if diagnosis.key_line else ""
    return f"failed otherwise, {_word(diagnosis.category)}{line}"


def _explains(earlier: Diagnosis, later: Diagnosis) -> bool:
    """Does what the earlier one left behind account for how the later one ended?"""
    category = later.category
    if category in _STANDING:
        return True
    if earlier.category is category:
        return False
    if category in _MARKERS:
        return earlier.state_left in (StateLeft.DIRTY, StateLeft.PARTIAL)
    return category is Category.MIGRATION_LOCK_HELD or (
        category in _REMAINS and earlier.state_left is StateLeft.PARTIAL
    )


def _refused(later: Diagnosis, left: Told, *, several: bool) -> str:
    who = _attempts([left], several=several)
    migration = later.migration or left.diagnosis.migration
    what = f"{'version ' if (migration or '').isdigit() else ''}{migration}" if migration else "its migration"
    if later.category in _STANDING:
        return f"did not run, because the Job of {who} still stood"
    if later.category is Category.MIGRATION_LOCK_HELD:
        return f"refused because {who} may still hold the migration lock"
    if later.category is Category.DIRTY_STATE:
        return f"refused because {who} left {what} dirty"
    if later.category in _MARKERS:
        return f"refused because {who} left {what} half done ({_word(later.category)})"
    return f"met what {who} had left of {what} ({_word(later.category)})"


def _word(category: Category) -> str:
    return category.value.replace("-", " ")
