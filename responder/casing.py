"""``responder rules test``: cases of a rules file, for a pull request. What differs is shown line by line."""

import json
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from responder.config import ConfigError, Settings, load_settings, read_text
from responder.configured import read_rulebook
from responder.core.rulecases import CaseResult, Cases, parse_cases, run_case, untested
from responder.core.rules import Rulebook
from responder.core.rulesfile import parse_rules
from responder.core.signaturefile import SignatureError
from responder.core.strictyaml import FileError
from responder.exits import BAD_INPUT, GOOD, NO
from responder.shipped import signatures
from responder.terminal import coloured, complain, plain

_LARGEST = 64 << 20  # bytes of an exported incident
_RED, _GREEN, _DIM, _RESET = "\x1b[31m", "\x1b[32m", "\x1b[2m", "\x1b[0m"


def read_cases(path: Path) -> Cases:
    """Raises ``FileError``, ``ConfigError`` and OSError."""

    def incident(name: str) -> Mapping[str, Any]:
        return read_incident(path.parent / name)

    return parse_cases(read_text(path), str(path), incident)


def read_incident(path: Path) -> Mapping[str, Any]:
    """An export. OSError, ValueError."""
    with path.open("rb") as file:
        raw = file.read(_LARGEST + 1)
    if len(raw) > _LARGEST:
        raise ValueError("is larger than any export")
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"is no JSON object: {error}") from error


def read_rules(path: Path, settings: Settings | None = None) -> Rulebook:
    """Without settings any name may be one. Raises ``FileError``, ``ConfigError``, ``SignatureError`` and OSError."""
    if settings is None:
        return parse_rules(read_text(path), str(path), None)
    return read_rulebook(path, settings, signatures(settings.signatures))


def run_tests(arguments: Namespace) -> int:
    """0: all as expected; 1: something differs, or a rule has no case and each should; 2: a file is not right."""
    show = _as_json if arguments.json else _as_text
    status, failed, count = GOOD, 0, 0
    tested: dict[Path, list[CaseResult]] = {}
    try:
        settings = load_settings(arguments.config) if arguments.config is not None else None
    except ConfigError as error:
        complain(*error.problems)
        return BAD_INPUT
    for path in arguments.files:
        try:
            cases = read_cases(path)
            rules = _rules_of(path, cases, arguments.rules)
            rulebook = read_rules(rules, settings)
        except (FileError, ConfigError, SignatureError, OSError) as error:
            complain(*problems_of_error(error))
            status = BAD_INPUT
            continue
        results = [run_case(case, rulebook) for case in cases.cases]
        sys.stdout.writelines(f"{line}\n" for line in show(path, results))
        tested.setdefault(rules.resolve(), []).extend(results)
        failed, count = failed + sum(not r.passed for r in results), count + len(results)
    bare = [(rules, name) for rules, results in tested.items() for name in untested(read_rules(rules), results)]
    if count and not arguments.json:
        sys.stdout.write(f"{count} case{'s' * (count != 1)}, {failed} failed\n")
    if bare and not arguments.json:
        names = "\n".join(f"  {rules.name}: {plain(name)}" for rules, name in bare)
        sys.stdout.write(f"rules that decided in no case:\n{names}\n")
    return status or (NO if failed or (bare and arguments.every_rule) else GOOD)


def _rules_of(path: Path, cases: Cases, asked: Path | None) -> Path:
    if asked is not None:
        return asked
    if cases.rules is None:
        raise FileError(
            [f"{path}:1:1: which rules? Write `rules: rules.yaml` (beside this file), or give --rules FILE"]
        )
    return path.parent / cases.rules


def problems_of_error(error: Exception) -> list[str]:
    """What a file that is not right, or not there, is told to be."""
    if isinstance(error, FileError | ConfigError | SignatureError):
        return list(error.problems)
    if isinstance(error, OSError):
        return [f"{error.filename}: cannot be read: {error.strerror}"]
    return [str(error)]


def _as_json(path: Path, results: Sequence[CaseResult]) -> Iterator[str]:
    for result in results:
        expected = {"rules": result.case.rules, "decisions": result.case.decisions}
        yield json.dumps(
            {
                "file": str(path),
                "line": result.case.line,
                "name": result.case.name,
                "passed": result.passed,
                "expected": expected,
                "came": {"rules": result.rules, "decisions": result.decisions},
                "differences": result.differences,
                "unmet": result.unmet,
            }
        )


def _as_text(path: Path, results: Sequence[CaseResult]) -> Iterator[str]:
    colours = coloured(sys.stdout)
    for result in results:
        word, colour = ("ok  ", _GREEN) if result.passed else ("FAIL", _RED)
        head = f"{path}:{result.case.line}: {result.case.name}"
        yield f"{_in(colour, word, colours=colours)} {plain(head)}"
        yield from _difference(result, colours=colours)


def _difference(result: CaseResult, *, colours: bool) -> Iterable[str]:
    for line in result.differences:
        colour = {"-": _RED, "+": _GREEN}.get(line[0], _DIM)
        yield _in(colour, f"       {plain(line)}", colours=colours)
    yield from (f"       {plain(line)}" for line in result.unmet)


def _in(colour: str, text: str, *, colours: bool) -> str:
    return f"{colour}{text}{_RESET}" if colours else text
