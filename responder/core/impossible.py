"""What a rule says and can never happen, with what would be right: found before the night in which it is needed."""

from collections.abc import Iterator, Sequence, Set

from responder.core.actions import ActionKind, Mode
from responder.core.covering import covered_by, turning_points
from responder.core.failure import Category, Confidence, Retry, StateLeft
from responder.core.rules import Rule, RuleAction
from responder.core.vocabulary import LASTING, WORDS

_LEFT = {StateLeft.PARTIAL, StateLeft.DIRTY, StateLeft.LOCKED}
_STANDING = {Category.STALE_JOB, Category.IMMUTABLE_JOB}
_DELETING = {"PreDelete", "PostDelete"}


def never_matches(rule: Rule, passing: Set[str] = frozenset()) -> str:
    """Why its conditions never hold together; empty when they can. ``passing``: categories said to pass after all."""
    attempts = [c for c in rule.conditions if c.field == "attempts"]
    if attempts and not any(all(c.holds(n) for c in attempts) for n in turning_points(*attempts)):
        return "attempts: no number of attempts is meant by this, they count from 1"
    if not _accepted(rule, "retry") <= {Retry.SAFE}:
        return ""
    if StateLeft.NONE not in _accepted(rule, "state_left"):
        return (
            "retry is never safe where something was, or may be, left behind: write state_left: none, or leave it out"
        )
    if _accepted(rule, "confidence") <= {Confidence.GUESS}:
        return "retry is never safe on a guess: write confidence: [certain, likely]"
    if lasting := _lasting(rule, passing):
        return f"retry is never safe with {lasting}, somebody has to change something first: leave one of them out"
    return ""


def never_done(rule: Rule, action: RuleAction, passing: Set[str] = frozenset()) -> str:
    """Why this action can never be carried out where this rule matches; empty when it can."""
    match action.kind:
        case ActionKind.RESYNC:
            return _never_resynced(rule, passing)
        case ActionKind.STOP_RETRIES:
            if not _accepted(rule, "retry") & {Retry.UNSAFE, Retry.FUTILE}:
                return "only done where another attempt is unsafe or futile: write retry: [unsafe, futile]"
            if _accepted(rule, "confidence") <= {Confidence.GUESS}:
                return "never done on a guess: write confidence: [certain, likely]"
        case ActionKind.DELETE_HOOK if not _accepted(rule, "category") & _STANDING:
            return "only done where a finished Job stands in the way: write category: [stale-job, immutable-job]"
        case ActionKind.BLOCK if action.lasts is not None and StateLeft.NONE not in _accepted(rule, "state_left"):
            return "for: a block ends by time only where nothing was left behind: leave it out"
        case _:
            pass
    return ""


def _never_resynced(rule: Rule, passing: Set[str]) -> str:
    retry = _accepted(rule, "retry")
    if rule.budget == 0:
        return "a budget of 0 allows none: write budget: 1 or more, or leave resync out"
    if _accepted(rule, "sync_phase") <= _DELETING:
        return "an Application that is being deleted is never resynced: leave resync out"
    if rule.mode is Mode.APPROVE:
        if retry <= {Retry.UNSAFE}:
            return "nobody may order it where retry is unsafe: resolve what was left behind first"
        return ""
    if Retry.SAFE not in retry:
        return "never done unless retry is safe: write retry: safe, or mode: approve"
    if _accepted(rule, "state_left") <= _LEFT:
        return "retry is never safe where something was left behind: write state_left: none, or leave it out"
    if _accepted(rule, "confidence") <= {Confidence.GUESS}:
        return "retry is never safe on a guess: write confidence: [certain, likely]"
    if lasting := _lasting(rule, passing):
        return f"retry is never safe with {lasting}: leave resync out, or write mode: approve"
    return ""


def _lasting(rule: Rule, passing: Set[str]) -> str:
    """The rule's categories when none of them ever passes by itself."""
    accepted = _accepted(rule, "category")
    lasting = accepted <= LASTING - {Category(name) for name in passing}
    return " or ".join(sorted(accepted)) if lasting else ""


def contradictions(rule: Rule) -> Iterator[str]:
    """Actions that cannot stand in one rule."""
    kinds = {action.kind for action in rule.actions}
    if {ActionKind.RESYNC, ActionKind.STOP_RETRIES} <= kinds:
        yield "resync and stop-retries contradict each other: make two rules of it"


def unreachable(rules: Sequence[Rule]) -> Iterator[tuple[int, str]]:
    """Place and reason of every rule that can never match, because earlier ones always do."""
    for at, rule in enumerate(rules):
        first = covered_by(rule, [earlier for earlier in rules[:at] if not earlier.goes_on])
        if first:
            names = " or ".join(f"{earlier.name!r} (line {earlier.line})" for earlier in first)
            remedy = (
                "put it before that one, or give that one continue: true"
                if len(first) == 1
                else "put it before them, or give them continue: true"
            )
            yield at, f"{rule.name!r} can never match: {names} always matches first; {remedy}"


def _accepted(rule: Rule, field: str) -> set[str]:
    """The words of a closed vocabulary that this rule's conditions let through."""
    conditions = [c for c in rule.conditions if c.field == field]
    return {word for word in WORDS[field] if all(c.holds(word) for c in conditions)}
