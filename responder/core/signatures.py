"""Failure signatures: what they are, how the files are read, and how a line is matched in linear time.

A signature is data. Most say what failed; the others say what a tool did, so that we know what it left behind.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cached_property
from typing import Any

import msgspec
import re2
import yaml

from responder.core.failure import Category, StateLeft
from responder.core.scanning import MAX_MEM, Scanner
from responder.core.tooling import Tool

_LARGEST_PATTERN = 1 << 20  # bytes that one compiled pattern may take; the largest of ours takes a tenth of it
_WEIGHT = 30


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
    weight: int = _WEIGHT
    exit_code: int | None = None  # it counts only in a run that ended so
    advice: str = ""


class Defaults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For each signature of a file that does not say it itself."""

    source: str | None = None
    tool: str | None = None
    database: str | None = None
    weight: int | None = None


class SignatureFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One YAML file."""

    defaults: Defaults = Defaults()
    tools: tuple[Tool, ...] = ()
    tables: dict[str, dict[str, tuple[str | int, ...]]] = {}  # table -> category -> codes; two characters are a class
    advice: dict[str, str] = {}
    signatures: tuple[Signature, ...] = ()


class SignatureError(ValueError):
    """A signature file that is not right; line and column count from 1."""

    def __init__(self, file: str, line: int, column: int, reason: str) -> None:
        super().__init__(f"{file}:{line}:{column}: {reason}")
        self.file, self.line, self.column, self.reason = file, line, column, reason


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
        found = []
        for index in sorted(self._set.Match(text.encode(errors="replace")) or ()):
            match = self._match(index, text)
            if match is not None:
                found.append(match)
        return found

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

    def _match_sample(self, index: int, sample: str) -> Match | None:
        return self._match(index, sample) if self._pattern(index).search(sample) else None

    def _coded(self, table: str, code: str) -> Category | None:
        codes = self.tables[table]
        return codes.get(code) or codes.get(code[:2])

    def _pattern(self, index: int) -> Any:
        if index not in self._compiled:
            self._compiled[index] = re2.compile(self.signatures[index].pattern, _options())
        return self._compiled[index]

    @cached_property
    def _scanner(self) -> Scanner:
        return Scanner(signature.pattern for signature in self.signatures)

    @cached_property
    def _set(self) -> Any:
        patterns = re2.Set.SearchSet(_options())
        for signature in self.signatures:
            patterns.Add(signature.pattern)
        patterns.Compile()
        return patterns


def _options() -> Any:
    options = re2.Options()
    options.max_mem = MAX_MEM
    options.log_errors = False
    return options


def parse_signatures(sources: Mapping[str, bytes], *, check_samples: bool = True) -> Signatures:
    """All files as one set. Raises `SignatureError` for the first fault; shipped files are checked by the tests."""
    signatures: list[Signature] = []
    tools: list[Tool] = []
    tables: dict[str, dict[str, Category]] = {}
    advice: dict[str, str] = {}
    for file, data in sources.items():
        parsed = _read(file, data)
        tools += parsed.tools
        advice |= parsed.advice
        for name, codes in parsed.tables.items():
            tables[name] = _table(file, data, name, codes)
        signatures += [_filled(parsed, signature) for signature in parsed.signatures]
    compiled = Signatures(signatures, tools, tables, advice)
    _check(compiled, sources, check_samples=check_samples)
    return compiled


def _read(file: str, data: bytes) -> SignatureFile:
    try:
        loaded = yaml.load(data, Loader=_LOADER)  # noqa: S506 - a safe loader, the C one where it was built
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise SignatureError(file, line, column, getattr(error, "problem", None) or "not YAML") from error
    except (ValueError, RecursionError) as error:
        raise SignatureError(file, 1, 1, str(error) or "not YAML") from error
    try:
        return msgspec.convert(loaded, SignatureFile)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        raise SignatureError(file, *_position(data, _steps(path.rstrip("`"))), reason) from error


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _table(file: str, data: bytes, name: str, codes: Mapping[str, Iterable[str | int]]) -> dict[str, Category]:
    table = {}
    for word, listed in codes.items():
        try:
            category = Category(word)
        except ValueError as error:
            where = _position(data, ("tables", name, word))
            raise SignatureError(file, *where, f"unknown category {word!r}") from error
        table.update(dict.fromkeys(map(str, listed), category))
    return table


def _filled(parsed: SignatureFile, signature: Signature) -> Signature:
    """With the file's defaults where the signature is silent."""
    defaults = {key: value for key, value in msgspec.structs.asdict(parsed.defaults).items() if value is not None}
    silent = {key: value for key, value in defaults.items() if getattr(signature, key) in (None, *_SILENT[key])}
    return msgspec.structs.replace(signature, **silent) if silent else signature


_SILENT: dict[str, tuple[str | int, ...]] = {"source": ("",), "tool": (), "database": (), "weight": (_WEIGHT,)}


class _Fault(msgspec.Struct, frozen=True):
    reason: str
    key: str = ""  # of the signature's, where it stands


def _check(compiled: Signatures, sources: Mapping[str, bytes], *, check_samples: bool) -> None:
    seen: set[str] = set()
    for index, signature in enumerate(compiled.signatures):
        fault = _fault(compiled, signature, seen)
        if fault is None and check_samples:
            fault = _pattern_fault(signature) or _sample_fault(compiled, index)
        seen.add(signature.id)
        if fault is not None:
            raise _located(sources, signature.id, fault)


def _fault(compiled: Signatures, signature: Signature, seen: set[str]) -> _Fault | None:
    if signature.id in seen:
        return _Fault("there is a signature of this id already", "id")
    if not signature.samples:
        return _Fault("a signature needs a sample that it matches", "samples")
    if signature.codes is not None and signature.codes not in compiled.tables:
        return _Fault(f"there is no code table {signature.codes!r}", "codes")
    if signature.says is Says.FAILURE and signature.category is None and signature.codes is None:
        return _Fault("a failure needs a category or a code table")
    if signature.tool and signature.tool not in compiled.tools:
        return _Fault(f"there is no tool {signature.tool!r}", "tool")
    return None


def _pattern_fault(signature: Signature) -> _Fault | None:
    """One that is too large to be matched in bounded memory is refused before it takes any."""
    options = _options()
    options.max_mem = _LARGEST_PATTERN
    try:
        pattern = re2.compile(signature.pattern, options)
    except re2.error as error:
        text = _text(error.args[0]) if error.args else "not a pattern"
        if "too large" in text or "repetition size" in text:
            return _Fault("the pattern needs too much memory: repeat less, or fewer times", "pattern")
        return _Fault(f"RE2 refuses the pattern (no look-around, no back-references): {text}", "pattern")
    if pattern.search("") is not None:
        return _Fault("the pattern matches an empty line, and so every line", "pattern")
    if signature.codes and "(?P<code>" not in signature.pattern:
        return _Fault("a pattern with a code table needs a group named code", "pattern")
    return None


def _sample_fault(compiled: Signatures, index: int) -> _Fault | None:
    for sample in compiled.signatures[index].samples:
        if "\n" in sample.rstrip("\n"):
            return _Fault(f"the sample {sample!r} is more than a line: patterns see one line at a time", "samples")
        if compiled._match_sample(index, sample) is None:  # noqa: SLF001 - this module's own class
            return _Fault(f"the sample {sample!r} does not match", "samples")
    return None


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _located(sources: Mapping[str, bytes], identity: str, fault: _Fault) -> SignatureError:
    """The last one of that id: a second one is the fault."""
    for file, data in reversed(list(sources.items())):
        entries = _read(file, data).signatures
        for index in range(len(entries) - 1, -1, -1):
            if entries[index].id == identity:
                where = _position(data, ("signatures", index, fault.key) if fault.key else ("signatures", index))
                return SignatureError(file, *where, f"{identity}: {fault.reason}")
    return SignatureError(next(iter(sources), ""), 1, 1, f"{identity}: {fault.reason}")


def _steps(path: str) -> tuple[str | int, ...]:
    """`.signatures[3].category` as steps."""
    steps: list[str | int] = []
    for part in path.replace("[", ".[").split("."):
        if part.startswith("[") and part[1:-1].isdigit():
            steps.append(int(part[1:-1]))
        elif part and not part.startswith("["):
            steps.append(part)
    return tuple(steps)


def _position(data: bytes, steps: tuple[str | int, ...]) -> tuple[int, int]:
    """Where that value stands; of the nearest thing around it when it is not there."""
    node = yaml.compose(data, Loader=yaml.SafeLoader)
    for step in steps:
        inner = _child(node, step)
        if inner is None:
            break
        node = inner
    mark = node.start_mark if node is not None else None
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _child(node: yaml.Node | None, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item: yaml.Node = node.value[step]
        return item
    values = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for key, value in values if key.value == step), None)
