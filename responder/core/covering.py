"""Does one condition, or rule, hold whenever another does? True only when it is certain: rules are refused upon it."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from responder.core.rules import Condition, Rule, glob, is_glob
from responder.core.vocabulary import WORDS


def covers(earlier: Rule, later: Rule) -> bool:
    """The earlier one holds whenever the later one does."""
    known = {condition.field: condition for condition in later.conditions}
    return all(c.field in known and implied(known[c.field], c) for c in earlier.conditions)


def covered_by(later: Rule, earlier: Sequence[Rule]) -> list[Rule]:
    """Those of the earlier rules of which always one holds where the later one does; empty when that is not certain.

    One alone, or several that divide the words of one closed vocabulary among them.
    """
    for rule in earlier:
        if covers(rule, later):
            return [rule]
    for condition in later.conditions:
        if condition.field not in WORDS:
            continue
        words = [word for word in WORDS[condition.field] if condition.holds(word)]
        found = [_first_covering(later, condition, word, earlier) for word in words]
        if found and None not in found:
            return [rule for rule in earlier if rule in found]
    return []


def _first_covering(later: Rule, condition: Condition, word: str, earlier: Iterable[Rule]) -> Rule | None:
    """What covers the part of the later rule in which this fact is this word."""
    known = {c.field: c for c in later.conditions} | {condition.field: Condition(condition.field, (word,))}
    for rule in earlier:
        if all(c.field in known and implied(known[c.field], c) for c in rule.conditions):
            return rule
    return None


def implied(given: Condition, wanted: Condition) -> bool:
    """``wanted`` holds whenever ``given``, about the same fact, does."""
    if given.field == "attempts":
        return all(wanted.holds(n) for n in turning_points(given, wanted) if given.holds(n))
    if given.field in WORDS:
        return all(wanted.holds(word) for word in WORDS[given.field] if given.holds(word))
    if given.negated and wanted.negated:
        return all(any(within(w, g) for g in given.values) for w in wanted.values)
    if given.negated:
        return "*" in wanted.values
    if wanted.negated:
        return all(apart(g, w) for g in given.values for w in wanted.values)
    return all(any(within(g, w) for w in wanted.values) for g in given.values)


def turning_points(*conditions: Condition) -> set[int]:
    """Numbers of attempts at which a comparison may change its mind; there is no attempt 0."""
    bounds = {int(n) for c in conditions for value in c.values for n in re.findall("[0-9]+", value)}
    return {1, *(b + step for b in bounds for step in (-1, 0, 1) if b + step >= 1)}


def within(inner: str, outer: str) -> bool:
    """Every text that the inner glob matches, the outer one matches too."""
    if outer in (inner, "*"):
        return True
    if not is_glob(inner):
        return glob(outer, inner)
    if "[" in inner + outer or not _head(inner).startswith(_head(outer)):
        return False  # most pairs of a long file end here
    return _within(inner, outer)


@lru_cache(maxsize=4096)
def _head(pattern: str) -> str:
    """The plain text before the first wildcard."""
    return re.split(r"[*?\[]", pattern, maxsplit=1)[0]


@lru_cache(maxsize=4096)
def _within(inner: str, outer: str) -> bool:
    """The inner glob read as a text in which ``*`` stands for anything: only a ``*`` takes it."""
    reached = {0}  # places in the outer glob
    for sign in inner:
        reached = _past_stars(reached, outer)
        after = {at for at in reached if at < len(outer) and outer[at] == "*"}
        if sign != "*":
            after |= {at + 1 for at in reached if at < len(outer) and outer[at] in (sign, "?")}
        reached = after
    return len(outer) in _past_stars(reached, outer)


def _past_stars(reached: set[int], outer: str) -> set[int]:
    """A ``*`` may also stand for nothing."""
    stars = {at: len(outer[at:]) - len(outer[at:].lstrip("*")) for at in reached}
    return {at + step for at, count in stars.items() for step in range(count + 1)}


def apart(one: str, other: str) -> bool:
    """No text matches both."""
    if not is_glob(one):
        return not glob(other, one)
    if not is_glob(other):
        return not glob(one, other)
    (head, tail), (its_head, its_tail) = _ends(one), _ends(other)
    return _differ(head, its_head) or _differ(tail[::-1], its_tail[::-1])


def _ends(pattern: str) -> tuple[str, str]:
    """The plain text before the first wildcard and, where no character class confuses it, after the last."""
    return _head(pattern), "" if "[" in pattern else re.split(r"[*?]", pattern)[-1]


def _differ(one: str, other: str) -> bool:
    return any(a != b for a, b in zip(one, other, strict=False))
