"""``responder diagnose``: a log file to a diagnosis, in bounded memory, redacted before anything is shown."""

import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext

import msgspec

from responder.core.diagnosis import diagnose_lines
from responder.core.failure import Because, Diagnosis
from responder.core.redaction import Redactor
from responder.shipped import signatures
from responder.terminal import plain

_LONGEST_LINE = 64 << 10  # bytes; the rest of a longer line is not looked at


class Finding(msgspec.Struct):
    """One object a file, as documented in ``diagnose --help``; ``line`` counts from 1 in the original."""

    file: str
    category: str
    tool: str | None
    database: str | None
    migration: str | None
    state_left: str
    state_reason: str
    retry: str
    retry_reason: str
    confidence: str
    key_line: str | None
    because: list[dict[str, int | str]]
    advice: str


def diagnose_file(name: str, *, exit_code: int | None, database: str | None) -> Finding:
    """``name``: a path, or ``-``. Raises ``OSError``."""
    redactor = Redactor(os.urandom(16)).stream()
    lines = (redactor.line(text) for text in _read(name))
    return _finding(name, diagnose_lines(lines, signatures(), exit_code=exit_code, database=database))


def _read(name: str) -> Iterator[str]:
    """Lines without their ends; an over-long one is cut, what follows its cut is skipped."""
    opened = nullcontext(sys.stdin.buffer) if name == "-" else open(name, "rb")  # noqa: SIM115, PTH123 - entered below
    with opened as file:
        while line := file.readline(_LONGEST_LINE):
            rest = line
            while rest and not rest.endswith(b"\n"):
                rest = file.readline(_LONGEST_LINE)
            yield line.rstrip(b"\r\n").decode(errors="replace")


def _finding(name: str, found: Diagnosis) -> Finding:
    return Finding(
        file=os.fsencode(name).decode(errors="replace"),
        category=found.category.value,
        tool=found.tool,
        database=found.database,
        migration=found.migration,
        state_left=found.state_left.value,
        state_reason=found.state_reason,
        retry=found.retry.value,
        retry_reason=found.retry_reason,
        confidence=found.confidence.value,
        key_line=found.key_line,
        because=[_because(b) for b in found.because],
        advice=found.advice,
    )


def _because(because: Because) -> dict[str, int | str]:
    return {"line": because.line, "text": because.text}


_COLOURS = {"safe": "32", "futile": "33", "unsafe": "31", "unknown": "90"}


def as_json(finding: Finding) -> str:
    return msgspec.json.encode(finding).decode()


def as_text(finding: Finding, *, colours: bool) -> str:
    verdict = f"retry {finding.retry}"
    if colours:
        verdict = f"\x1b[1;{_COLOURS[finding.retry]}m{verdict}\x1b[0m"
    tool = " ".join(filter(None, (finding.tool, finding.database)))
    lines = [
        f"{plain(finding.file)}: {finding.category} ({finding.confidence}){f', {tool}' if tool else ''}",
        f"  {verdict}: {plain(finding.retry_reason)}",
        f"  left behind: {finding.state_left}: {plain(finding.state_reason)}",
        *([f"  migration: {plain(finding.migration)}"] if finding.migration else []),
        *(f"  {b['line']:>6} | {plain(str(b['text']))}" for b in finding.because),
        *([f"  now: {plain(finding.advice)}"] if finding.advice else []),
    ]
    return "\n".join(lines)
