"""``rules.yaml``: read strictly. What cannot be meant, or can never happen, is refused with its place and a remedy."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BeforeValidator, Field, model_validator

from responder.core.actions import ActionKind, Mode
from responder.core.alert import Severity
from responder.core.duration import Duration
from responder.core.impossible import contradictions, never_done, never_matches, unreachable
from responder.core.nearest import suggest
from responder.core.rules import COMPARISON, Condition, Facts, Rule, RuleAction, Rulebook, glob
from responder.core.signatures import Signatures
from responder.core.strictyaml import Document, FileError, Model, Path, kind_of
from responder.core.vocabulary import WORDS

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


class Known(msgspec.Struct, frozen=True):
    """What a rule may name beside the closed vocabularies. None, or no such field: any name may be one."""

    receivers: frozenset[str] | None = None
    environments: tuple[str, ...] = ()  # of promotion, in their order; none: any may be named
    names: Mapping[str, frozenset[str]] = msgspec.field(default_factory=dict)  # by condition: tool, database
    passing: frozenset[str] = frozenset()  # categories that a signature says to pass by themselves


def known(
    receivers: frozenset[str] | None, signatures: Signatures | None = None, environments: Sequence[str] = ()
) -> Known:
    """With the tools and databases that the signatures can recognise."""
    if signatures is None:
        return Known(receivers, tuple(environments))
    names = {
        "tool": frozenset(signatures.tools) | {s.tool for s in signatures.signatures if s.tool},
        "database": frozenset(s.database for s in signatures.signatures if s.database),
    }
    passing = frozenset(s.category.value for s in signatures.signatures if s.passes and s.category)
    return Known(receivers, tuple(environments), names, passing)


def parse_rules(
    text: str,
    file: str,
    receivers: frozenset[str] | None,
    signatures: Signatures | None = None,
    environments: Sequence[str] = (),
) -> Rulebook:
    """Raises `RulesError` with everything that is wrong; nothing else. Without `receivers` any name may be one."""
    names = known(receivers, signatures, environments)
    try:
        document = Document(text, file)
        reading = _Reading(document, _written(document, names), names)
    except FileError as error:
        raise RulesError(error.problems) from error
    rulebook = reading.rulebook()
    if reading.problems:
        raise RulesError(reading.problems)
    return rulebook


def _written(document: Document, names: Known) -> _File:
    try:
        return document.read(_File)
    except FileError as error:  # conditions are told of too: they are read apart from the rest
        reading = _Reading(document, _File(version=1, rules=()), names)
        raise FileError(document.in_order([*error.problems, *reading.faulty_conditions()])) from error


class _Reading:
    def __init__(self, document: Document, written: _File, known: Known) -> None:
        self._document = document
        self._written = written
        self._known = known
        self.problems: list[str] = []

    def rulebook(self) -> Rulebook:
        rules = tuple(self._rule(at, rule) for at, rule in enumerate(self._written.rules))
        self._names(rules)
        if not self.problems:  # the rest reasons about rules that are whole
            for at, rule in enumerate(rules):
                self._combinations(at, rule)
            for at, reason in unreachable(rules):
                self._fault(("rules", at), reason)
        defaults = self._written.defaults
        return Rulebook(rules, defaults.mode, defaults.budget, defaults.cooldown.total_seconds())

    def faulty_conditions(self) -> list[str]:
        """Of a file that is not right elsewhere."""
        rules = self._document.data.get("rules") if isinstance(self._document.data, dict) else None
        for at, rule in enumerate(rules if isinstance(rules, list) else ()):
            when = rule.get("when") if isinstance(rule, dict) else None
            if isinstance(when, dict):
                list(self._conditions(when, ("rules", at, "when")))
        return self.problems

    def _rule(self, at: int, written: _Rule) -> Rule:
        defaults = self._written.defaults
        cooldown = defaults.cooldown if written.cooldown is None else written.cooldown
        path: Path = ("rules", at)
        for number, do in enumerate(written.do):
            self._receiver(do, (*path, "do", number, "alert", "receiver"))
            self._held(do, (*path, "do", number, "block"))
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
        receivers = self._known.receivers
        if name and receivers is not None and name not in receivers:
            self._fault(path, f"receiver {name!r} is not configured{suggest(name, receivers) or ', none is'}")

    def _held(self, do: _Do, path: Path) -> None:
        """A block of an environment that there is not would hold nothing, and nobody would notice."""
        order = self._known.environments
        for at, name in enumerate(do.block.environments if do.block and order else ()):
            if not any(glob(name, environment) for environment in order):
                self._fault(
                    (*path, "environments", at), f"{name!r} is none of promotion.environments{suggest(name, order)}"
                )
        if do.block is not None and do.block.lasts == timedelta(0):
            self._fault((*path, "for"), "a block that lasts no time holds nothing: leave `for` out, or write 2h")

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
            turned = ", or {not: ...} for none of them" if isinstance(item, dict) else ""
            self._fault(path, f"{field}: expected text in quotes{turned}, found {kind_of(item)}")
            return ""
        if field in WORDS and not any(glob(item, word) for word in WORDS[field]):
            self._fault(path, f"{item[:60]!r} is no {field}{suggest(item, WORDS[field])}")
        named = self._known.names.get(field)
        if named is not None and not any(glob(item, name) for name in named):
            self._fault(path, f"{item[:60]!r}: no signature knows this {field}{suggest(item, named)}")
        return item

    def _combinations(self, at: int, rule: Rule) -> None:
        passing = self._known.passing
        if reason := never_matches(rule, passing):
            self._fault(("rules", at, "when"), f"{rule.name!r} can never match: {reason}")
            return
        kinds = [action.kind for action in rule.actions]
        for number, action in enumerate(rule.actions):
            path: Path = ("rules", at, "do", number)
            if action.kind is not ActionKind.ALERT and action.kind in kinds[:number]:
                self._fault(path, f"{action.kind}: written twice in one rule")
            if reason := never_done(rule, action, passing):
                self._fault(path, f"{action.kind}: {reason}")
        for reason in contradictions(rule):
            self._fault(("rules", at, "do"), reason)
