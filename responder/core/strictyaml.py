"""YAML that people write: read strictly, every fault with ``file:line:column`` and what would be right.

Plain YAML only: no duplicate keys, no merge keys, no tags of one's own; dates stay text. Nothing here raises anything
but `FileError`, whatever the text is.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from responder.core.nearest import suggest

_CORE = "tag:yaml.org,2002:"
_DEEPEST = 30
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{0,18}")
_TRUE, _FALSE = {"true", "yes", "on"}, {"false", "no", "off"}

Path = tuple[str | int, ...]


class FileError(Exception):
    """Every fault of one file: ``file:line:column: reason``."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Model(BaseModel):
    """A part of a configuration file: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


M = TypeVar("M", bound=BaseModel)


class Document:
    """One file: its data, and where each value stands."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self._root = _compose(text, file)
        reader = _Reader(file)
        self.data = reader.value(self._root) if self._root else {}
        if reader.problems:
            raise FileError(reader.problems)

    def place(self, path: Path, *, key: bool = False) -> str:
        """Of a value, or of its key; of the nearest thing around it when it is not there."""
        line, column = self.position(path, key=key)
        return f"{self.file}:{line}:{column}"

    def position(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        node = at = self._root
        for step in path:
            found = _child(node, step) if node else None
            if found is not None:
                at, node = found
        wanted = at if key else node
        return (wanted.start_mark.line + 1, wanted.start_mark.column + 1) if wanted else (1, 1)

    def in_order(self, problems: Iterable[str]) -> list[str]:
        """By line and column."""
        return sorted(problems, key=lambda told: [int(n) for n in told.removeprefix(f"{self.file}:").split(":", 2)[:2]])

    def read(self, model: type[M]) -> M:
        """The data as a model; raises `FileError` with everything that is wrong with it."""
        try:
            return model.model_validate(self.data)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False, include_context=False)
            raise FileError([self._describe(dict(e), model) for e in found if not _follows(dict(e), found)]) from error

    def _describe(self, error: Mapping[str, Any], model: type[BaseModel]) -> str:
        path: Path = error["loc"]
        where = ".".join(str(step) for step in path) or "file"
        if error["type"] == "extra_forbidden":
            known = _keys(_model_at(model, path[:-1]))
            return f"{self.place(path, key=True)}: {where}: unknown key{suggest(str(path[-1]), known)}"
        if error["type"] == "missing":
            return f"{self.place(path)}: {where}: missing"
        return f"{self.place(path)}: {where}: {_said(error)}"


def _follows(error: Mapping[str, Any], found: Iterable[Mapping[str, Any]]) -> bool:
    """A list is called too short when its only item is faulty: that one is told already."""
    inside = [e for e in found if len(e["loc"]) > len(error["loc"]) and e["loc"][: len(error["loc"])] == error["loc"]]
    return error["type"] == "too_short" and bool(inside)


_EXPECTED = {
    "tuple_type": "expected a list",
    "dict_type": "expected a mapping",
    "mapping_type": "expected a mapping",
    "model_type": "expected a mapping",
    "string_type": "expected text, quote it",
}


def _said(error: Mapping[str, Any]) -> str:
    """pydantic's reason in the words of YAML."""
    text = str(error["msg"]).removeprefix("Value error, ").replace("Input should be", "expected")
    text = re.sub(r"Tuple should have (.*) after validation, not (\d+)", r"expected \1, found \2", text)
    return _EXPECTED.get(error["type"], text)


def kind_of(value: object) -> str:
    """What somebody wrote, for a message; never its content when it may be large."""
    if isinstance(value, str):
        return f"{value[:60]!r}"
    names = {list: "a list", dict: "a mapping", type(None): "nothing"}
    return names.get(type(value), str(value))


def _compose(text: str, file: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else f"{file}:1:1"
        begun = getattr(error, "context_mark", None)
        if begun and mark and begun.line != mark.line:  # a quote that was never closed shows at the end of the file
            reason = f"{reason}, {getattr(error, 'context', '')} that began in line {begun.line + 1}"
        raise FileError([f"{place}: {reason}{_meant(reason)}"]) from error
    except RecursionError as error:
        raise FileError([f"{file}:1:1: nested too deeply"]) from error
    except (ValueError, OverflowError) as error:  # PyYAML lets an escape like "\UFFFFFFFF" through to chr()
        raise FileError([f"{file}:1:1: holds an escape or a number that is none: {error}"]) from error


def _meant(reason: str) -> str:
    """What would be right, of the faults that everybody makes."""
    if "'\\t'" in reason:
        return ": indent with spaces, YAML allows no tabs"
    if "alias" in reason or "expected alphabetic or numeric character" in reason:
        return ': text that begins with * or & needs quotes, as in "*-prod"'
    if "mapping values are not allowed" in reason:
        return ": text with a colon in it needs quotes, or the line is indented otherwise than the one before"
    if "cannot start any token" in reason:
        return ": put the text into quotes"
    return ""


class _Reader:
    """Nodes to plain values. PyYAML's own constructors raise whatever they like on hostile input."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[str] = []
        self._done: dict[int, object] = {}
        self._open: set[int] = set()

    def value(self, node: yaml.Node) -> Any:
        if id(node) in self._open:
            return self._fault(node, "refers to itself")
        if len(self._open) > _DEEPEST:
            return self._fault(node, "nested too deeply")
        if id(node) not in self._done:
            self._open.add(id(node))
            self._done[id(node)] = self._plain(node)
            self._open.discard(id(node))
        return self._done[id(node)]

    def _plain(self, node: yaml.Node) -> object:
        kind = node.tag.removeprefix(_CORE)
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return [self.value(child) for child in node.value]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, kind)
        return self._fault(node, f"unexpected tag {node.tag[:60]}")

    def _mapping(self, node: yaml.MappingNode) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == f"{_CORE}merge":
                self._fault(key, "a key must be plain text")
            elif key.value in found:
                self._fault(key, f"{key.value[:60]}: written twice")
            else:
                found[self._text(key)] = self.value(value)
        return found

    def _scalar(self, node: yaml.ScalarNode, kind: str) -> object:
        text = self._text(node)
        if kind in ("str", "timestamp"):
            return text
        if kind == "null":
            return None
        if kind == "bool" and text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        if kind == "int" and _INTEGER.fullmatch(text):
            return int(text)
        if kind == "float" and _DECIMAL.fullmatch(text):
            return float(text)
        reason = "write the number plainly, or quote it" if kind in ("int", "float") else f"unexpected tag {kind[:60]}"
        return self._fault(node, reason)

    def _text(self, node: yaml.ScalarNode) -> str:
        text = str(node.value)
        if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
            self._fault(node, "holds half a character")
        return text

    def _fault(self, node: yaml.Node, reason: str) -> object:
        self.problems.append(f"{self.file}:{node.start_mark.line + 1}:{node.start_mark.column + 1}: {reason}")
        return None


def _child(node: yaml.Node, step: object) -> tuple[yaml.Node, yaml.Node] | None:
    """Key and value of one step; an item of a list is its own key."""
    if isinstance(node, yaml.MappingNode):
        return next(((k, v) for k, v in node.value if k.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def _keys(model: type[BaseModel] | None) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _model_at(model: type[BaseModel] | None, path: Path) -> type[BaseModel] | None:
    for step in path:
        if isinstance(step, str) and model is not None:
            fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
            model = next(models_in(fields.get(step)), None)
    return model


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The models inside ``X``, ``tuple[X, ...]``, ``X | None`` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)
