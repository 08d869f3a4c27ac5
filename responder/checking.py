"""``responder check``: every error of configuration, rules, signatures and templates, with file, line and column."""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from responder.casing import read_cases, read_rules
from responder.config import ConfigError, Settings, parse_settings, read_text
from responder.core.rulecases import holds_cases
from responder.core.signaturefile import SignatureError
from responder.core.strictyaml import Document, FileError, kind_of
from responder.receivers.template import parse_template
from responder.shipped import signatures

_TEMPLATE = ".j2"
_PLACED = re.compile(r"(?P<file>.+?):(?P<line>\d+):(?P<column>\d+): (?P<reason>.*)", re.DOTALL)


def problems_of(path: Path, settings: Settings | None = None) -> list[str]:
    """Which kind of file it is, is told by what stands in it; a template, by its name.

    ``settings``: whose receivers rules may name.
    """
    return _faults(lambda: _read(path, settings))


def as_json(problem: str) -> str:
    """One line of ``--json``; a file that cannot be read has no line and column."""
    placed = _PLACED.fullmatch(problem)
    if placed is None:
        file, _, reason = problem.partition(": ")
        return json.dumps({"file": file, "line": None, "column": None, "reason": reason})
    line, column = int(placed["line"]), int(placed["column"])
    return json.dumps({"file": placed["file"], "line": line, "column": column, "reason": placed["reason"]})


def _read(path: Path, settings: Settings | None) -> None:
    text = read_text(path)
    if path.suffix == _TEMPLATE:
        _read_template(path)
        return
    data = Document(text, str(path)).data
    if reason := _none_of_ours(data, text):
        raise FileError([f"{path}:1:1: {reason}"])
    if holds_cases(data):
        read_cases(path)
    elif _holds_signatures(data):
        signatures([path])  # with the shipped ones: they share tools, tables and names
    elif _holds_rules(data):
        read_rules(path, settings)
    elif found := _named_by(parse_settings(text, str(path), path.parent)):
        raise ConfigError(found)


def _none_of_ours(data: Any, text: str) -> str:
    """Why nothing of this file can be read; empty: it can."""
    if all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines()):
        return "is empty"
    if not isinstance(data, dict):
        return f"expected a configuration, rules, cases or signatures, found {kind_of(data)}"
    if {"apiVersion", "kind"} <= set(data):
        return f"is a Kubernetes object ({data['kind']}): `responder lint` reads hook manifests"
    return ""


def _holds_signatures(data: Any) -> bool:
    """A configuration has the key too: there it lists files."""
    if not isinstance(data, dict):
        return False
    listed = data.get("signatures")
    return bool({"tools", "tables", "advice"} & set(data)) or (
        isinstance(listed, list) and any(isinstance(item, dict) for item in listed)
    )


def _holds_rules(data: Any) -> bool:
    """A configuration has the key too: there it names a file."""
    return isinstance(data, dict) and ("version" in data or isinstance(data.get("rules"), list))


def _named_by(settings: Settings) -> list[str]:
    """Faults of the files that a configuration names. Secrets are not read: they need not be on this machine."""
    reads: list[Callable[[], object]] = []
    if settings.rules is not None:
        reads.append(partial(read_rules, settings.rules, _without_faulty_signatures(settings)))
    reads += [partial(signatures, [path]) for path in settings.signatures]
    reads += [partial(_read_template, r.template) for r in settings.receivers if r.template is not None]
    return [fault for read in reads for fault in _faults(read)]


def _without_faulty_signatures(settings: Settings) -> Settings:
    """What is wrong with a signature file is told of that file, not of the rules too."""
    sound = [path for path in settings.signatures if not _faults(partial(signatures, [path]))]
    return settings.model_copy(update={"signatures": tuple(sound)})


def _read_template(path: Path) -> None:
    parse_template(read_text(path), str(path))


def _faults(read: Callable[[], object]) -> list[str]:
    try:
        read()
    except (ConfigError, FileError, SignatureError) as error:
        return list(error.problems)
    except OSError as error:
        return [f"{error.filename}: cannot be read: {error.strerror}"]
    return []
