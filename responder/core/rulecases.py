"""Cases for rules: what happened, and what must be decided upon it. Read strictly, tried by the code that decides.

version: 1
rules: rules.yaml                      # beside this file
cases:
  - name: a lock was held
    given: {category: lock-timeout, retry: safe, project: shop}
    expect:
      rule: somebody held a lock
      decisions: [resync denied by mode, alert warning after 10m]
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from difflib import SequenceMatcher
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BeforeValidator, Field, model_validator

from responder.core.actions import ActionKind, Mode, Switch, VerdictResult
from responder.core.failure import StateLeft
from responder.core.nearest import suggest
from responder.core.past import Past
from responder.core.reenactment import tried
from responder.core.rules import Facts, Rulebook
from responder.core.rulesfile import FIELDS
from responder.core.shortcase import Stands, past_of_facts
from responder.core.situation import Policy
from responder.core.strictyaml import Document, FileError, Model, Path, kind_of
from responder.core.toldpast import past_of
from responder.core.trial import Trial, World, lines
from responder.core.vocabulary import WORDS

_VERDICTS = tuple(VerdictResult)
_SEVERITIES = ("critical", "warning", "info")
_WINDOW = {"open": True, "closed": False, "unknown": None}
_POLICY = Policy(
    per_application_day=1000, per_responder_hour=1000, expire_after=timedelta(days=3650)
)  # ceilings are responder.yaml's

Text = Annotated[str, Field(min_length=1, max_length=200)]
Off = BeforeValidator(lambda value: "off" if value is False else value)  # YAML's own reading of the word
Many = BeforeValidator(lambda value: [value] if isinstance(value, str) else value)


class _World(Model):
    operation: Stands = Stands.ENDED
    mode: Mode = Mode.LIVE
    killswitch: Switch = Switch.RELEASED
    rbac: bool = Field(default=True, strict=True)
    window: Literal["open", "closed", "unknown"] = "open"
    auto_sync: bool = Field(default=True, strict=True)
    idempotent: bool = Field(default=True, strict=True)
    same_sources: bool = Field(default=True, strict=True)
    full_sync: bool = Field(default=True, strict=True)
    annotation: Annotated[Literal["off", "shadow", ""], Off] = ""
    evidence_missing: bool = Field(default=False, strict=True)
    container_runs: bool = Field(default=False, strict=True)
    left_earlier: StateLeft | None = None
    resyncs: int = Field(default=0, ge=0, le=100, strict=True)

    def world(self) -> World:
        return World(
            mode=self.mode,
            switch=self.killswitch,
            may=World().may if self.rbac else frozenset(),
            window=_WINDOW[self.window],
            auto_sync=self.auto_sync,
            same_sources=self.same_sources,
            full_sync=self.full_sync,
            idempotent=self.idempotent,
            annotation=self.annotation,
            earlier=self.left_earlier,
            resyncs=self.resyncs,
        )


class _Expect(Model):
    rule: Annotated[tuple[Text, ...], Many]
    decisions: tuple[Text, ...] | None = None


class _Case(Model):
    name: Text
    given: dict[str, Any] | None = None
    incident: Text | None = None
    world: _World = _World()
    expect: _Expect

    @model_validator(mode="after")
    def _one(self) -> "_Case":
        if (self.given is None) == (self.incident is None):
            raise ValueError('say either "given" (facts) or "incident" (a file of `responder incidents export`)')
        return self


class _File(Model):
    version: Literal[1]
    rules: Text | None = None
    cases: tuple[_Case, ...] = Field(max_length=10_000)


class RuleCase(msgspec.Struct, frozen=True):
    name: str
    past: Past
    world: World
    rules: tuple[str, ...]  # that must decide, in order; empty: none
    decisions: tuple[str, ...] | None  # None: not asked
    settled: bool  # facts of one moment; an export has all its moments
    line: int = 0


class Cases(msgspec.Struct, frozen=True):
    rules: str | None  # the file that they are about, as written; None: it is named elsewhere
    cases: tuple[RuleCase, ...]


def holds_cases(data: object) -> bool:
    return isinstance(data, dict) and "cases" in data


def parse_cases(text: str, file: str, incident: Callable[[str], Mapping[str, Any]]) -> Cases:
    """``incident`` reads an exported one, by the name that a case gives; OSError, ValueError are told with their place.

    Raises `FileError` with everything that is wrong.
    """
    document = Document(text, file)
    reading = _Reading(document, incident)
    written = document.read(_File)
    cases = tuple(reading.case(at, case) for at, case in enumerate(written.cases))
    if not cases:
        raise FileError([f"{document.place(('cases',))}: cases: there is none"])
    if reading.problems:
        raise FileError(reading.problems)
    return Cases(written.rules, cases)


class _Reading:
    def __init__(self, document: Document, incident: Callable[[str], Mapping[str, Any]]) -> None:
        self._document = document
        self._incident = incident
        self.problems: list[str] = []

    def _fault(self, path: Path, reason: str, *, key: bool = False) -> None:
        self.problems.append(f"{self._document.place(path, key=key)}: {reason}")

    def case(self, at: int, written: _Case) -> RuleCase:
        here: Path = ("cases", at)
        for number, line in enumerate(written.expect.decisions or ()):
            if reason := _malformed(line):
                self._fault((*here, "expect", "decisions", number), reason)
        world = written.world
        past = (
            past_of_facts(
                self._facts(written.given, (*here, "given")),
                world.operation,
                gap=world.evidence_missing,
                container_runs=world.container_runs,
            )
            if written.given is not None
            else self._exported(written.incident or "", (*here, "incident"))
        )
        rules = () if written.expect.rule == ("none",) else written.expect.rule
        return RuleCase(
            name=written.name,
            past=past,
            world=world.world(),
            rules=rules,
            decisions=written.expect.decisions,
            settled=written.given is not None,
            line=self._document.position(here)[0],
        )

    def _exported(self, name: str, path: Path) -> Past:
        try:
            return past_of(self._incident(name))
        except (OSError, ValueError) as error:
            said = (error.strerror if isinstance(error, OSError) else "") or str(error)
            self._fault(path, f"{name}: {said}")
            return past_of_facts(Facts())

    def _facts(self, given: dict[str, Any], path: Path) -> Facts:
        known: dict[str, Any] = {}
        for field, value in given.items():
            here: Path = (*path, field)
            if field not in FIELDS:
                self._fault(here, f"{field[:60]}: unknown fact{suggest(field, FIELDS)}", key=True)
            elif field == "attempts":
                if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 100:
                    self._fault(here, f"attempts: expected a number from 1 to 100, found {kind_of(value)}")
                else:
                    known[field] = value
            elif not isinstance(value, str) or not value:
                self._fault(here, f"{field}: expected text in quotes, found {kind_of(value)}")
            elif field in WORDS and value not in WORDS[field]:
                self._fault(here, f"{value[:60]!r} is no {field}{suggest(value, WORDS[field])}")
            else:
                known[field] = value
        return Facts(**known)


def _malformed(line: str) -> str:
    """What is wrong with an expected line; empty: nothing."""
    place, colon, rest = line.partition(": ")
    words = (rest if colon and place.startswith("operation ") else line).split()
    kinds = [kind.value for kind in ActionKind]
    if not words or words[0] not in kinds:
        return f"{line[:60]!r} begins with no action{suggest(words[0] if words else '', kinds)}"
    second = _SEVERITIES if words[0] == ActionKind.ALERT else _VERDICTS
    if len(words) < 2 or words[1] not in second:
        return f"{words[0]}: say what comes of it{suggest(words[1] if len(words) > 1 else '', second)}"
    return ""


class CaseResult(msgspec.Struct, frozen=True):
    case: RuleCase
    rules: tuple[str, ...]  # that decided
    decisions: tuple[str, ...]
    differences: tuple[str, ...]  # lines of a diff, `- ` what was expected, `+ ` what came; empty: as expected
    unmet: tuple[str, ...] = ()  # where an expected rule decided nothing: its conditions that did not hold

    @property
    def passed(self) -> bool:
        return not self.differences


def run_case(case: RuleCase, rulebook: Rulebook, policy: Policy = _POLICY) -> CaseResult:
    trial = tried(case.past, rulebook, case.world, policy, settled=case.settled)
    rules, decided = [rule.name for rule in trial.matched], lines(trial)
    wanted = [f"rule {name}" for name in case.rules or ("none",)]
    came = [f"rule {name}" for name in rules or ("none",)]
    if case.decisions is not None:
        wanted += _completed(case.decisions, decided)
        came += decided
    differs = tuple(_difference(wanted, came)) if wanted != came else ()
    return CaseResult(case, tuple(rules), tuple(decided), differs, _unmet(case, trial, rulebook) if differs else ())


def _difference(wanted: Sequence[str], came: Sequence[str]) -> Iterator[str]:
    for tag, a, b, c, d in SequenceMatcher(a=wanted, b=came, autojunk=False).get_opcodes():
        if tag == "equal":
            yield from (f"  {line}" for line in wanted[a:b])
        else:
            yield from (f"- {line}" for line in wanted[a:b])
            yield from (f"+ {line}" for line in came[c:d])


def _completed(expected: Sequence[str], came: Sequence[str]) -> list[str]:
    """An expected line may leave out its end: ``resync denied`` is met by ``resync denied by mode``."""
    left, completed = list(came), []
    for line in expected:
        met = next((c for c in left if c == line or c.startswith(f"{line} ")), None)
        if met is not None:
            left.remove(met)
        completed.append(met or line)
    return completed


def _unmet(case: RuleCase, trial: Trial, rulebook: Rulebook) -> tuple[str, ...]:
    told: list[str] = []
    results = {result.rule.name: result for result in trial.last.results} if trial.last is not None else {}
    for name in case.rules:
        if name not in {rule.name for rule in rulebook.rules}:
            told.append(f"{name}: there is no rule of this name{suggest(name, [rule.name for rule in rulebook.rules])}")
        elif name in results and not results[name].held:
            told += [f"{name}: {c}" for c in results[name].conditions if not c.held]
        elif name in results and not results[name].tried:
            told.append(f"{name}: would hold, an earlier rule decided")
    return tuple(told)


def untested(rulebook: Rulebook, results: Sequence[CaseResult]) -> list[str]:
    """Rules that decided in no case."""
    seen = {name for result in results for name in result.rules}
    return [rule.name for rule in rulebook.rules if rule.name not in seen]
