"""The user's rules: what they say, and which of them hold, with a reason for each condition.

How they are read from a file, and what is refused there, is in `rulesfile`.
"""

import re
from fnmatch import translate
from functools import lru_cache

import msgspec

from responder.core.actions import ActionKind, Mode
from responder.core.alert import Severity
from responder.core.duration import format_duration


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What rules may look at, by the name that a condition carries. None or empty: not known, and matches nothing."""

    category: str | None = None
    retry: str | None = None
    state_left: str | None = None
    confidence: str | None = None
    tool: str | None = None
    database: str | None = None
    migration: str | None = None
    sync_phase: str | None = None
    project: str | None = None
    application: str | None = None  # its name
    namespace: str | None = None  # of the Application object
    destination: str | None = None  # cluster
    destination_namespace: str | None = None
    service: str | None = None  # as promotion names it
    environment: str | None = None
    owner: str | None = None
    initiated_by: str | None = None  # user, automated
    hook: str | None = None  # name, or the generateName prefix
    hook_kind: str | None = None
    attempts: int | None = None  # of the operation, the failed one included


class Condition(msgspec.Struct, frozen=True):
    """Of one fact: any of the values, or none of them. Values are globs; of ``attempts``: ``3``, ``>=3``, ``<3``..."""

    field: str
    values: tuple[str, ...]
    negated: bool = False

    def holds(self, seen: str | int | None) -> bool:
        """Nothing known matches nothing, negated or not."""
        if seen is None or seen == "":
            return False
        if isinstance(seen, int):
            return any(compare(value, seen) for value in self.values) is not self.negated
        for value in self.values:  # no generator: a plan judges hundreds of these
            if glob(value, seen):
                return not self.negated
        return self.negated

    def __str__(self) -> str:
        return f"{self.field} {'not ' if self.negated else ''}{' or '.join(self.values)}"


class RuleAction(msgspec.Struct, frozen=True):
    """One thing that a rule wants done. Only the fields of its own kind are set; durations are seconds."""

    kind: ActionKind
    delay: float = 0.0  # resync
    severity: Severity = Severity.WARNING  # alert
    receiver: str = ""  # alert; empty: as routing says
    after: float = 0.0  # alert: only if still open then
    environments: tuple[str, ...] = ()  # block
    lasts: float | None = None  # block: ends by time, where nothing was left behind (I9)

    def params(self) -> dict[str, str]:
        """For the record of a decision."""
        match self.kind:
            case ActionKind.RESYNC:
                return {"delay": format_duration(self.delay)}
            case ActionKind.ALERT:
                after = {"after": format_duration(self.after)} if self.after else {}
                receiver = {"receiver": self.receiver} if self.receiver else {}
                return {"severity": self.severity, **after, **receiver}
            case ActionKind.BLOCK:
                lasts = {} if self.lasts is None else {"for": format_duration(self.lasts)}
                return {"environments": ",".join(self.environments), **lasts}
            case _:
                return {}


class Rule(msgspec.Struct, frozen=True):
    name: str
    conditions: tuple[Condition, ...]  # all must hold; none: holds always
    actions: tuple[RuleAction, ...]
    mode: Mode  # of its acts
    budget: int  # our resyncs per Application and revision
    cooldown: float  # seconds
    goes_on: bool = False  # continue: the rules after it are tried too
    own_mode: Mode | None = None  # as written in the rule itself
    line: int = 0

    def mode_of(self, kind: ActionKind) -> Mode:
        """`alert` and `block` are ours: always done, unless the rule itself says shadow."""
        if kind.acts:
            return self.mode
        return Mode.SHADOW if self.own_mode is Mode.SHADOW else Mode.LIVE

    @property
    def matched_mode(self) -> Mode:
        """How far it goes where it matches: as its acts do, else as its alerts and blocks do."""
        return next((self.mode for action in self.actions if action.kind.acts), self.mode_of(ActionKind.ALERT))

    @property
    def admits_people(self) -> bool:
        """Does it say in so many words that operations which a person started may be resynced?"""
        return any(c.field == "initiated_by" and not c.negated and "user" in c.values for c in self.conditions)


class Rulebook(msgspec.Struct, frozen=True):
    """Rules in the order in which they are tried: the first that holds decides, unless it goes on."""

    rules: tuple[Rule, ...] = ()
    mode: Mode = Mode.SHADOW
    budget: int = 2
    cooldown: float = 120.0


class ConditionResult(msgspec.Struct, frozen=True):
    condition: Condition
    seen: str | None  # None: not known
    held: bool

    def __str__(self) -> str:
        return f"{self.condition}: {self.seen or 'not known'}"


class RuleResult(msgspec.Struct, frozen=True):
    """Every rule is judged, also those that an earlier one kept from being tried."""

    rule: Rule
    conditions: tuple[ConditionResult, ...]
    held: bool  # every condition
    tried: bool  # no earlier rule had decided

    @property
    def matched(self) -> bool:
        return self.held and self.tried


class Matching(msgspec.Struct, frozen=True):
    results: tuple[RuleResult, ...] = ()

    @property
    def matched(self) -> tuple[Rule, ...]:
        """The rules that decide, in order."""
        return tuple(result.rule for result in self.results if result.matched)


def match(rulebook: Rulebook, facts: Facts) -> Matching:
    results: list[RuleResult] = []
    tried = True
    for rule in rulebook.rules:
        conditions = tuple(_judge(condition, facts) for condition in rule.conditions)
        held = all(condition.held for condition in conditions)
        results.append(RuleResult(rule=rule, conditions=conditions, held=held, tried=tried))
        tried = tried and (rule.goes_on or not held)
    return Matching(tuple(results))


def _judge(condition: Condition, facts: Facts) -> ConditionResult:
    seen: str | int | None = getattr(facts, condition.field)
    return ConditionResult(condition, None if seen is None else str(seen), condition.holds(seen))


def is_glob(pattern: str) -> bool:
    return any(char in pattern for char in "*?[")


def glob(pattern: str, text: str) -> bool:
    if pattern == text:
        return True
    compiled = _compiled(pattern)
    return compiled is not None and compiled.match(text) is not None


@lru_cache(maxsize=8192)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    return re.compile(translate(pattern)) if is_glob(pattern) else None


COMPARISON = re.compile(r"(<=|>=|<|>|)\s*([0-9]{1,9})")


def compare(comparison: str, number: int) -> bool:
    """``3``, ``>=3``, ``>3``, ``<3``, ``<=3``; anything else holds for no number."""
    found = COMPARISON.fullmatch(comparison)
    if found is None:
        return False
    bound = int(found[2])
    return {
        "": number == bound,
        "<": number < bound,
        "<=": number <= bound,
        ">": number > bound,
        ">=": number >= bound,
    }[found[1]]
