"""``responder lint``: manifests of hooks to findings with file and line, for CI."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path as FilePath
from typing import Any

import msgspec
import yaml

from responder.core.hookshape import Path, Shape, shape_of_manifest
from responder.core.lint import Context, Finding, Severity, lint
from responder.core.lintrules import RULES
from responder.terminal import plain

_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_LARGEST = 32 << 20  # bytes of one file
_DEEPEST = 60
_DEFAULT_RETRIES = 5  # of Argo CD's automated syncs that say nothing


class LintError(Exception):
    """A file that cannot be read as manifests; the message has its place."""


class Manifest(msgspec.Struct, frozen=True):
    """One object: the file as it was named, its node for lines, its shape."""

    file: str
    node: yaml.Node
    data: dict[str, Any]
    shape: Shape


class Found(msgspec.Struct, frozen=True):
    """One line of ``--json``."""

    file: str
    line: int
    object: str  # "Job/db-migrate"
    rule: str
    severity: Severity
    what: str
    why: str
    instead: str
    source: str


def lint_files(names: Sequence[str]) -> tuple[list[Found], list[str]]:
    """All files as one sync; and, as sentences, what could not be read."""
    manifests: list[Manifest] = []
    problems: list[str] = []
    for name in dict.fromkeys(names):
        try:
            manifests += _manifests(name)
        except LintError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"{name}: cannot be read: {error.strerror}")
    if not manifests and not problems:  # what was to render them has failed, say: no findings would be a lie
        problems.append(f"{', '.join(names)}: no Kubernetes object to look at")
    kustomized = any(m.shape.kind == "Kustomization" for m in manifests)
    found = []
    for manifest in manifests:
        context = Context(
            objects=[m.shape for m in manifests],
            kustomized=kustomized or _beside_a_kustomization(manifest.file),
            retry_limit=_retry_limit(manifests),
        )
        found += [_found(manifest, finding) for finding in lint(manifest.shape, context, RULES)]
    return sorted(found, key=lambda f: (names.index(f.file), f.line)), problems


def _manifests(name: str) -> Iterator[Manifest]:
    try:
        for node in yaml.compose_all(_text(name), Loader=yaml.SafeLoader):
            yield from _of_node(name, node)
    except yaml.YAMLError as error:
        raise LintError(_place(name, error)) from error
    except (ValueError, RecursionError) as error:
        raise LintError(f"{name}: is no YAML: {str(error) or 'nested too deep'}") from error


def _text(name: str) -> str:
    data = sys.stdin.buffer.read(_LARGEST + 1) if name == "-" else _read(FilePath(name))
    if len(data) > _LARGEST:
        raise LintError(f"{name}: larger than {_LARGEST >> 20} MiB: is it a manifest?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LintError(f"{name}: is no UTF-8 text") from error


def _read(path: FilePath) -> bytes:
    with path.open("rb") as file:
        return file.read(_LARGEST + 1)


def _place(name: str, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark is not None else name
    template = mark is not None and "{{" in str(mark.get_snippet() or "")
    hint = "; a Helm template has to be rendered first (helm template)" if template else ""
    return f"{place}: is no YAML: {getattr(error, 'problem', None) or error}{hint}"


def _of_node(name: str, node: yaml.Node) -> Iterator[Manifest]:
    """A ``List`` is its items."""
    data = _value(node)
    if data is None:  # nothing between two marks
        return
    if not isinstance(data, dict):
        raise LintError(f"{_at(name, node)}: is no Kubernetes object")
    if str(data.get("kind", "")).endswith("List") and isinstance(data.get("items"), list):
        items = next(v for k, v in node.value if k.value == "items")
        for item, value in zip(items.value, data["items"], strict=True):
            if isinstance(value, dict) and (shape := shape_of_manifest(value)) is not None:
                yield Manifest(name, item, value, shape)
    elif (shape := shape_of_manifest(data)) is not None:
        if shape.kind == "Job" and not shape.name:
            raise LintError(f"{_at(name, node)}: is a Job without metadata.name")
        yield Manifest(name, node, data, shape)
    elif FilePath(name).name not in _KUSTOMIZATIONS:  # they need not say what they are
        raise LintError(f"{_at(name, node)}: is no Kubernetes object: no apiVersion and kind")


def _at(name: str, node: yaml.Node) -> str:
    return f"{name}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"


def _value(node: yaml.Node, known: dict[int, Any] | None = None, depth: int = 0) -> Any:
    """Plain data; tags, dates and the like stay text. What an anchor names is read once, however often it is used."""
    known = {} if known is None else known
    if depth > _DEEPEST:
        raise ValueError("nested too deep")
    if id(node) not in known:
        known[id(node)] = _read_node(node, known, depth + 1)
    return known[id(node)]


def _read_node(node: yaml.Node, known: dict[int, Any], depth: int) -> Any:
    match node:
        case yaml.MappingNode():
            return _mapping(node, known, depth)
        case yaml.SequenceNode():
            return [_value(item, known, depth) for item in node.value]
        case yaml.ScalarNode(tag="tag:yaml.org,2002:int") if node.value.removeprefix("-").isdecimal():
            return int(node.value[:20])
        case yaml.ScalarNode(tag="tag:yaml.org,2002:bool"):
            return node.value.lower() in ("true", "yes", "on")
        case yaml.ScalarNode(tag="tag:yaml.org,2002:null"):
            return None
        case _:
            return str(node.value)


def _mapping(node: yaml.MappingNode, known: dict[int, Any], depth: int) -> dict[str, Any]:
    own, merged = {}, {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):  # {{ .Release.Name }} is such YAML, by chance
            raise yaml.MarkedYAMLError(problem="a key that is no word", problem_mark=key.start_mark)
        read = _value(value, known, depth)
        if key.tag == "tag:yaml.org,2002:merge":
            for part in read if isinstance(read, list) else [read]:
                merged.update(part if isinstance(part, dict) else {})
        else:
            own[str(_value(key, known, depth))] = read
    return {**merged, **own}


def _beside_a_kustomization(file: str) -> bool:
    return file != "-" and any((FilePath(file).parent / name).is_file() for name in _KUSTOMIZATIONS)


def _retry_limit(manifests: Sequence[Manifest]) -> int | None:
    """Of the Applications among the files; None when there are none."""
    applications = [m.data for m in manifests if m.shape.kind == "Application"]
    return max((_limit(a) for a in applications), default=None)


def _limit(application: dict[str, Any]) -> int:
    found: Any = application
    for step in ("spec", "syncPolicy", "retry", "limit"):
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, int) else _DEFAULT_RETRIES


def _found(manifest: Manifest, finding: Finding) -> Found:
    return Found(
        file=manifest.file,
        line=_line(manifest.node, finding.path),
        object=f"{manifest.shape.kind}/{manifest.shape.name}",
        rule=finding.rule,
        severity=finding.severity,
        what=finding.what,
        why=finding.why,
        instead=finding.instead,
        source=finding.source,
    )


def _line(node: yaml.Node, path: Path) -> int:
    """Of the key or item there, or of the nearest thing around it, from 1."""
    line: int = node.start_mark.line
    for step in path:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == step), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            pair = (node.value[step], node.value[step])
        else:
            pair = None
        if pair is None:
            break
        line, node = pair[0].start_mark.line, pair[1]
    return line + 1


_COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.NOTE: "36"}


def as_json(found: Found) -> str:
    return msgspec.json.encode(found).decode()


def as_text(found: Found, *, colours: bool) -> str:
    severity = f"\x1b[1;{_COLOURS[found.severity]}m{found.severity.value}\x1b[0m" if colours else found.severity.value
    place = f"{os.fsencode(found.file).decode(errors='replace')}:{found.line}"
    return "\n".join(
        (
            f"{plain(place)}: {severity} {found.rule}: {plain(found.object)}: {plain(found.what)}",
            f"    {found.why}",
            f"    instead: {found.instead}",
            f"    see {found.source}",
        )
    )


def summary(found: Sequence[Found], files: int) -> str:
    counts = [(s, sum(f.severity is s for f in found)) for s in Severity]
    told = ", ".join(f"{n} {s.value}{'s' * (n != 1)}" for s, n in counts if n)
    return f"{files} file{'s' * (files != 1)} looked at: {told or 'no findings'}"
