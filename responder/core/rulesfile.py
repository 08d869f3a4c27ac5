"""``rules.yaml``: read strictly. What cannot be meant, or can never happen, is refused with its place and a remedy."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BeforeValidator, Field, model_validator

from responder.core.actions import ActionKind, Mode
from responder.core.alert import Severity
from responder.core.duration import Duration
from responder.core.failure import Category, Confidence, Retry, StateLeft
from responder.core.rules import COMPARISON, Condition, Facts, Rule, RuleAction, Rulebook, glob, is_glob
from responder.core.strictyaml import Document, FileError, Model, Path, kind_of, suggest

SYNC_PHASES = ("PreSync", "Sync", "PostSync", "SyncFail", "PreDelete", "PostDelete")
WORDS: dict[str, tuple[str, ...]] = {
    "category": tuple(Category),
    "retry": tuple(Retry),
    "state_left": tuple(StateLeft),
    "confidence": tuple(Confidence),
    "sync_phase": SYNC_PHASES,
    "initiated_by": ("user", "automated"),
}
FIELDS = tuple(field.name for field in msgspec.structs.fields(Facts))


class RulesError(FileError):
    """Every fault of a rules file: ``file:line:column: reason, what would be right``."""


Text = Annotated[str, Field(min_length=1, max_length=200)]
Empty = BeforeValidator(lambda value: {} if value is None else value)  # "- stop-retries:" is "- stop-retries: {}"


class _Resync(Model):
    delay: Duration = timedelta(0)


class _Block(Model):
    environments: tuple[Text, ...] = Field(min_length=1)
    lasts: Duration | None = Field(default=None, alias="for")


class _Alert(Model):
    severity: Severity = Severity.WARNING
    receiver: Text | None = None
    after: Duration = timedelta(0)


class _Do(Model):
    resync: Annotated[_Resync | None, Empty] = None
    stop_retries: Annotated[Model | None, Empty] = Field(default=None, alias="stop-retries")
    terminate: Annotated[Model | None, Empty] = None
    delete_hook: Annotated[Model | None, Empty] = Field(default=None, alias="delete-hook")
    annotate: Annotated[Model | None, Empty] = None
    block: Annotated[_Block | None, Empty] = None
    alert: Annotated[_Alert | None, Empty] = None

    @model_validator(mode="after")
    def _one(self) -> "_Do":
        if len(self.model_fields_set) != 1:
            raise ValueError('one action an item: "- resync: {delay: 30s}"')
        return self

    def action(self) -> RuleAction:
        if self.resync:
            return RuleAction(ActionKind.RESYNC, delay=self.resync.delay.total_seconds())
        if self.block:
            lasts = self.block.lasts.total_seconds() if self.block.lasts else None
            return RuleAction(ActionKind.BLOCK, environments=self.block.environments, lasts=lasts)
        if self.alert:
            return RuleAction(
                ActionKind.ALERT,
                severity=self.alert.severity,
                receiver=self.alert.receiver or "",
                after=self.alert.after.total_seconds(),
            )
        (name,) = self.model_fields_set
        return RuleAction(ActionKind(name.replace("_", "-")))


class _Defaults(Model):
    mode: Mode = Mode.SHADOW
    budget: int = Field(default=2, ge=0, le=100, strict=True)
    cooldown: Duration = timedelta(minutes=2)


class _Rule(Model):
    name: Annotated[str, Field(min_length=1, max_length=80)]
    when: dict[str, Any]
    do: tuple[_Do, ...] = Field(min_length=1)
    mode: Mode | None = None
    budget: int | None = Field(default=None, ge=0, le=100, strict=True)
    cooldown: Duration | None = None
    goes_on: bool = Field(default=False, alias="continue", strict=True)


class _File(Model):
    version: Literal[1]
    defaults: _Defaults = _Defaults()
    rules: tuple[_Rule, ...] = Field(max_length=1000)


def parse_rules(text: str, file: str, receivers: frozenset[str] | None) -> Rulebook:
    """Raises `RulesError` with everything that is wrong; nothing else. Without `receivers` any name may be one."""
    try:
        document = Document(text, file)
        reading = _Reading(document, document.read(_File), receivers)
    except FileError as error:
        raise RulesError(error.problems) from error
    rulebook = reading.rulebook()
    if reading.problems:
        raise RulesError(reading.problems)
    return rulebook


class _Reading:
    def __init__(self, document: Document, written: _File, receivers: frozenset[str] | None) -> None:
        self._document = document
        self._written = written
        self._receivers = receivers
        self.problems: list[str] = []

    def rulebook(self) -> Rulebook:
        rules = tuple(self._rule(at, rule) for at, rule in enumerate(self._written.rules))
        self._names(rules)
        if not self.problems:  # the rest reasons about rules that are whole
            for at, rule in enumerate(rules):
                self._combinations(at, rule)
            self._unreachable(rules)
        defaults = self._written.defaults
        return Rulebook(rules, defaults.mode, defaults.budget, defaults.cooldown.total_seconds())

    def _rule(self, at: int, written: _Rule) -> Rule:
        defaults = self._written.defaults
        cooldown = defaults.cooldown if written.cooldown is None else written.cooldown
        path: Path = ("rules", at)
        for number, do in enumerate(written.do):
            self._receiver(do, (*path, "do", number, "alert", "receiver"))
        return Rule(
            name=written.name,
            conditions=tuple(self._conditions(written.when, (*path, "when"))),
            actions=tuple(do.action() for do in written.do),
            mode=written.mode or defaults.mode,
            budget=defaults.budget if written.budget is None else written.budget,
            cooldown=cooldown.total_seconds(),
            goes_on=written.goes_on,
            own_mode=written.mode,
            line=self._document.position(path)[0],
        )

    def _fault(self, path: Path, reason: str, *, key: bool = False) -> None:
        self.problems.append(f"{self._document.place(path, key=key)}: {reason}")

    def _receiver(self, do: _Do, path: Path) -> None:
        name = do.alert.receiver if do.alert else None
        if name and self._receivers is not None and name not in self._receivers:
            known = suggest(name, self._receivers) or ", none is"
            self._fault(path, f"receiver {name!r} is not configured{known}")

    def _names(self, rules: tuple[Rule, ...]) -> None:
        seen: set[str] = set()
        for at, rule in enumerate(rules):
            if rule.name in seen:
                self._fault(("rules", at, "name"), f"{rule.name!r}: another rule has this name, give each its own")
            seen.add(rule.name)

    def _conditions(self, when: dict[str, Any], path: Path) -> Iterator[Condition]:
        for field, value in when.items():
            here: Path = (*path, field)
            negated = isinstance(value, dict) and set(value) == {"not"}
            if field not in FIELDS:
                self._fault(here, f"{field[:60]}: unknown condition{suggest(field, FIELDS)}", key=True)
            elif negated:
                yield self._condition(field, value["not"], (*here, "not"), negated=True)
            else:
                yield self._condition(field, value, here)

    def _condition(self, field: str, value: object, path: Path, *, negated: bool = False) -> Condition:
        if isinstance(value, list):
            values = tuple(self._value(field, item, (*path, at)) for at, item in enumerate(value))
        else:
            values = (self._value(field, value, path),)
        if not values:
            self._fault(path, f"{field}: an empty list matches nothing: leave the condition out, or name a value")
        condition = Condition(field, values, negated)
        if negated and ("*" in values or (field in WORDS and not any(map(condition.holds, WORDS[field])))):
            self._fault(path, f"{field}: leaves nothing that could match")
        return condition

    def _value(self, field: str, item: object, path: Path) -> str:
        """The value as text; a faulty one is reported, and empty."""
        if field == "attempts":
            text = str(item) if isinstance(item, str | int) and not isinstance(item, bool) else ""
            if not COMPARISON.fullmatch(text):
                self._fault(path, f'attempts: expected a number or a comparison like ">=3", found {kind_of(item)}')
            return text
        if not isinstance(item, str) or not item:
            self._fault(path, f"{field}: expected text in quotes, found {kind_of(item)}")
            return ""
        if field in WORDS and not any(glob(item, word) for word in WORDS[field]):
            self._fault(path, f"{item[:60]!r} is no {field}{suggest(item, WORDS[field])}")
        return item

    def _combinations(self, at: int, rule: Rule) -> None:
        kinds = [action.kind for action in rule.actions]
        for number, action in enumerate(rule.actions):
            path: Path = ("rules", at, "do", number)
            if action.kind is not ActionKind.ALERT and action.kind in kinds[:number]:
                self._fault(path, f"{action.kind}: written twice in one rule")
            if reason := _impossible(rule, action):
                self._fault(path, f"{action.kind}: {reason}")
        if ActionKind.RESYNC in kinds and ActionKind.STOP_RETRIES in kinds:
            self._fault(("rules", at, "do"), "resync and stop-retries contradict each other: make two rules of it")

    def _unreachable(self, rules: tuple[Rule, ...]) -> None:
        for at, rule in enumerate(rules):
            earlier = next((e for e in rules[:at] if not e.goes_on and _covers(e, rule)), None)
            if earlier:
                self._fault(
                    ("rules", at),
                    f"{rule.name!r} can never match: {earlier.name!r} (line {earlier.line}) always matches first; "
                    "put it before that one, or give that one continue: true",
                )


def _impossible(rule: Rule, action: RuleAction) -> str:
    """Why this action can never be carried out where this rule matches; empty when it can."""
    retry, state, confidence = (_accepted(rule, field) for field in ("retry", "state_left", "confidence"))
    match action.kind:
        case ActionKind.RESYNC if rule.mode is Mode.APPROVE:
            if retry <= {Retry.UNSAFE}:
                return "nobody may order it where retry is unsafe: resolve what was left behind first"
        case ActionKind.RESYNC:
            if Retry.SAFE not in retry:
                return "never done unless retry is safe: write retry: safe, or mode: approve"
            if state <= {StateLeft.PARTIAL, StateLeft.DIRTY, StateLeft.LOCKED}:
                return "retry is never safe where something was left behind: write state_left: none, or leave it out"
            if confidence <= {Confidence.GUESS}:
                return "retry is never safe on a guess: write confidence: [certain, likely]"
        case ActionKind.STOP_RETRIES:
            if not retry & {Retry.UNSAFE, Retry.FUTILE}:
                return "only done where another attempt is unsafe or futile: write retry: [unsafe, futile]"
            if confidence <= {Confidence.GUESS}:
                return "never done on a guess: write confidence: [certain, likely]"
        case ActionKind.BLOCK if action.lasts is not None and StateLeft.NONE not in state:
            return "for: a block ends by time only where nothing was left behind: leave it out"
        case _:
            pass
    return ""


def _accepted(rule: Rule, field: str) -> set[str]:
    """The words of a closed vocabulary that this rule's conditions let through."""
    conditions = [c for c in rule.conditions if c.field == field]
    return {word for word in WORDS[field] if all(c.holds(word) for c in conditions)}


def _covers(earlier: Rule, later: Rule) -> bool:
    """Does the earlier one hold whenever the later one does? True only when it is certain."""
    known = {condition.field: condition for condition in later.conditions}
    return all(c.field in known and _implied(known[c.field], c) for c in earlier.conditions)


def _implied(given: Condition, wanted: Condition) -> bool:
    """Does `wanted` hold whenever `given`, about the same fact, does?"""
    if given.field == "attempts":
        return all(wanted.holds(n) for n in _turning_points(given, wanted) if given.holds(n))
    if given.field in WORDS:
        return all(wanted.holds(word) for word in WORDS[given.field] if given.holds(word))
    if given.negated:
        return "*" in wanted.values if not wanted.negated else set(wanted.values) <= set(given.values)
    if wanted.negated:
        return not any(is_glob(value) or not wanted.holds(value) for value in given.values)
    return all(value in wanted.values or "*" in wanted.values or _inside(value, wanted) for value in given.values)


def _inside(value: str, wanted: Condition) -> bool:
    return not is_glob(value) and wanted.holds(value)


def _turning_points(*conditions: Condition) -> set[int]:
    bounds = {int(n) for c in conditions for value in c.values for n in re.findall("[0-9]+", value)}
    return {0, *(b + step for b in bounds for step in (-1, 0, 1) if b + step >= 0)}
