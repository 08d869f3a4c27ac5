"""Signature files as people write them: read strictly, every fault with its place and what would be right."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec
import re2
import yaml

from responder.core.failure import Category, StateLeft
from responder.core.nearest import suggest
from responder.core.signatures import WEIGHT, Says, Signature, Signatures, passes, re2_options
from responder.core.tooling import Tool

_LARGEST_PATTERN = 1 << 20  # bytes that one compiled pattern may take; the largest of ours takes a tenth of it
_HEAVIEST = 100
_HARD = 24  # weight from which on a signature tells more than an echo
SHIPPED = "<shipped>/"  # how the names of our own files begin
_WEIGHTS = "a tool's own words weigh 40, a database's 30, a runtime's 20, an echo 5"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: Mapping[str, type[StrEnum]] = {"category": Category, "says": Says, "left": StateLeft}

Steps = tuple[str | int, ...]


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
    """Signature files that are not right: every fault as ``file:line:column: reason``, which count from 1."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class _Fault(msgspec.Struct, frozen=True):
    reason: str
    steps: Steps = ()  # to where it stands
    key: bool = False  # the last one's key is what is wrong, not its value

    def told(self, file: str, data: bytes) -> str:
        line, column = _position(data, self.steps, key=self.key)
        return f"{file}:{line}:{column}: {self.reason}"


def parse_signatures(sources: Mapping[str, bytes], *, check_samples: bool = True) -> Signatures:
    """All files as one set. Raises `SignatureError` for what is wrong; shipped files are checked by the tests."""
    signatures: list[Signature] = []
    tools: list[Tool] = []
    tables: dict[str, dict[str, Category]] = {}
    advice: dict[str, str] = {}
    ours = 0
    for file, data in sources.items():
        parsed = _read(file, data)
        tools += parsed.tools
        advice |= parsed.advice
        for name, codes in parsed.tables.items():
            if name in tables:
                fault = _Fault(f"{name}: there is a code table of this name already", ("tables", name), key=True)
                raise SignatureError([fault.told(file, data)])
            tables[name] = _table(file, data, name, codes)
        signatures += [_filled(parsed, signature) for signature in parsed.signatures]
        ours = len(signatures) if file.startswith(SHIPPED) else ours
    compiled = Signatures(signatures, tools, tables, advice)
    if problems := list(_checked(compiled, sources, ours, check_samples=check_samples)):
        raise SignatureError(problems)
    return compiled


def _read(file: str, data: bytes) -> SignatureFile:
    try:
        loaded = yaml.load(data, Loader=_LOADER)  # noqa: S506 - a safe loader, the C one where it was built
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise SignatureError([f"{file}:{line}:{column}: {getattr(error, 'problem', None) or 'not YAML'}"]) from error
    except (ValueError, RecursionError) as error:
        raise SignatureError([f"{file}:1:1: {str(error) or 'not YAML'}"]) from error
    try:
        return msgspec.convert(loaded, SignatureFile)
    except msgspec.ValidationError as error:
        raise SignatureError([fault.told(file, data) for fault in _shape(loaded)]) from error


def _shape(loaded: Any) -> Iterator[_Fault]:
    """msgspec stops at the first: each signature is asked for its own."""
    entries = loaded.get("signatures") if isinstance(loaded, dict) else None
    if not isinstance(entries, list):
        yield from _refused(loaded, SignatureFile, ())
        return
    yield from _refused({**loaded, "signatures": []}, SignatureFile, ())
    for number, entry in enumerate(entries):
        yield from _refused(entry, Signature, ("signatures", number))


def _refused(value: object, shape: type[msgspec.Struct], steps: Steps) -> Iterator[_Fault]:
    try:
        msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        yield _in_words(reason, (*steps, *_steps(path.rstrip("`"))), shape)


def _in_words(reason: str, steps: Steps, shape: type[msgspec.Struct]) -> _Fault:
    key, quoted = str(steps[-1]) if steps else "", reason.partition("`")[2].partition("`")[0]
    if reason.startswith("Object contains unknown field"):
        within = {"defaults": Defaults, "tools": Tool}.get(str(steps[0]) if steps else "", shape)
        return _Fault(f"{quoted}: unknown key{suggest(quoted, within.__struct_fields__)}", (*steps, quoted), key=True)
    if reason.startswith("Object missing required field"):
        return _Fault(f"{quoted}: missing", steps)
    if reason.startswith("Invalid enum value") and key in _WORDS:
        wrong = reason.removeprefix("Invalid enum value ")
        return _Fault(f"{wrong} is no {key}{suggest(wrong.strip(chr(39)), _WORDS[key])}", steps)
    return _Fault(f"{key}: {reason}" if key else reason, steps)


def _table(file: str, data: bytes, name: str, codes: Mapping[str, Iterable[str | int]]) -> dict[str, Category]:
    table = {}
    for word, listed in codes.items():
        try:
            category = Category(word)
        except ValueError as error:
            fault = _Fault(f"{word!r} is no category{suggest(word, Category)}", ("tables", name, word), key=True)
            raise SignatureError([fault.told(file, data)]) from error
        table.update(dict.fromkeys(map(str, listed), category))
    return table


def _filled(parsed: SignatureFile, signature: Signature) -> Signature:
    """With the file's defaults where the signature is silent."""
    defaults = {key: value for key, value in msgspec.structs.asdict(parsed.defaults).items() if value is not None}
    silent = {key: value for key, value in defaults.items() if getattr(signature, key) in (None, *_SILENT[key])}
    return msgspec.structs.replace(signature, **silent) if silent else signature


_SILENT: dict[str, tuple[str | int, ...]] = {"source": ("",), "tool": (), "database": (), "weight": (WEIGHT,)}


def _checked(compiled: Signatures, sources: Mapping[str, bytes], ours: int, *, check_samples: bool) -> Iterator[str]:
    """``ours``: how many of them we ship; they stand first."""
    seen: set[str] = set()
    for index, signature in enumerate(compiled.signatures):
        fault = _fault(compiled, signature, seen)
        if fault is None and check_samples:
            fault = _pattern_fault(signature) or _sample_fault(compiled, index)
            fault = fault or (_breadth_fault(compiled, index, ours) if index >= ours else None)
        seen.add(signature.id)
        if fault is not None:
            yield _located(sources, signature.id, fault)


def _fault(compiled: Signatures, signature: Signature, seen: set[str]) -> _Fault | None:
    if signature.id in seen:
        return _Fault("there is a signature of this id already", ("id",))
    if not signature.samples:
        return _Fault("a signature needs a sample that it matches", ("samples",))
    if signature.codes is not None and signature.codes not in compiled.tables:
        return _Fault(f"there is no code table {signature.codes!r}", ("codes",))
    if signature.says is Says.FAILURE and signature.category is None and signature.codes is None:
        return _Fault("a failure needs a category or a code table")
    if signature.tool and signature.tool not in compiled.tools:
        return _Fault(f"there is no tool {signature.tool!r}", ("tool",))
    if not 1 <= signature.weight <= _HEAVIEST:
        return _Fault(f"weight: expected 1 to {_HEAVIEST}, found {signature.weight}; {_WEIGHTS}", ("weight",))
    if signature.source and not signature.source.startswith(("https://", "http://")):
        return _Fault(f"source: expected the address of a page that says so, found {signature.source!r}", ("source",))
    return None


def _pattern_fault(signature: Signature) -> _Fault | None:
    """One that is too large to be matched in bounded memory is refused before it takes any."""
    options = re2_options()
    options.max_mem = _LARGEST_PATTERN
    try:
        pattern = re2.compile(signature.pattern, options)
    except re2.error as error:
        text = _text(error.args[0]) if error.args else "not a pattern"
        if "too large" in text or "repetition size" in text:
            return _Fault("the pattern needs too much memory: repeat less, or fewer times", ("pattern",))
        return _Fault(f"RE2 refuses the pattern (no look-around, no back-references): {text}", ("pattern",))
    if pattern.search("") is not None:
        return _Fault("the pattern matches an empty line, and so every line", ("pattern",))
    if signature.codes and "(?P<code>" not in signature.pattern:
        return _Fault("a pattern with a code table needs a group named code", ("pattern",))
    return None


def _sample_fault(compiled: Signatures, index: int) -> _Fault | None:
    for sample in compiled.signatures[index].samples:
        if "\n" in sample.rstrip("\n"):
            return _Fault(f"the sample {sample!r} is more than a line: patterns see one line at a time", ("samples",))
        if not compiled.matches_sample(index, sample):
            return _Fault(f"the sample {sample!r} does not match", ("samples",))
    return None


def _breadth_fault(compiled: Signatures, index: int, ours: int) -> _Fault | None:
    """One that says of a failure that it passes may not say so of others, which do not: it would be run again."""
    wide = compiled.signatures[index]
    if not passes(wide):
        return None
    lasting = (s for s in compiled.signatures[:ours] if s.weight >= _HARD and s.category is not wide.category)
    for other in (s for s in lasting if s.says is Says.FAILURE and s.category not in (None, Category.UNKNOWN)):
        met = next((sample for sample in other.samples if compiled.matches_sample(index, sample)), None)
        if met is not None and not passes(other):
            return _Fault(f"it passes, and its pattern matches {met!r} too, which does not: narrow it", ("pattern",))
    return None


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _located(sources: Mapping[str, bytes], identity: str, fault: _Fault) -> str:
    """The last one of that id: a second one is the fault."""
    told = f"{identity}: {fault.reason}"
    for file, data in reversed(list(sources.items())):
        entries = _read(file, data).signatures
        for index in range(len(entries) - 1, -1, -1):
            if entries[index].id == identity:
                return _Fault(told, ("signatures", index, *fault.steps)).told(file, data)
    return f"{next(iter(sources), '')}:1:1: {told}"


def _steps(path: str) -> Steps:
    """`.signatures[3].category` as steps."""
    steps: list[str | int] = []
    for part in path.replace("[", ".[").split("."):
        if part.startswith("[") and part[1:-1].isdigit():
            steps.append(int(part[1:-1]))
        elif part and not part.startswith("["):
            steps.append(part)
    return tuple(steps)


def _position(data: bytes, steps: Steps, *, key: bool = False) -> tuple[int, int]:
    """Where that value, or its key, stands; of the nearest thing around it when it is not there."""
    node = at = yaml.compose(data, Loader=yaml.SafeLoader)
    for step in steps:
        found = _child(node, step)
        if found is None:
            break
        at, node = found
    wanted = at if key else node
    return (wanted.start_mark.line + 1, wanted.start_mark.column + 1) if wanted else (1, 1)


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """Key and value of one step; an item of a list is its own key."""
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    values = node.value if isinstance(node, yaml.MappingNode) else ()
    return next(((key, value) for key, value in values if key.value == step), None)
