"""``responder diagnose``: a log file to a diagnosis, in bounded memory, redacted before anything is shown."""

import codecs
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

import msgspec

from responder.core.advice import Names, advised
from responder.core.diagnosis import ALIASES, Run, collect, judge, numbered
from responder.core.failure import Because, Category, Diagnosis
from responder.core.logreasons import Explanation, explain
from responder.core.nearest import suggest
from responder.core.redaction import Redactor
from responder.core.signatures import Says
from responder.shipped import signatures
from responder.terminal import plain

_SHOWN = 160  # of a line, where signatures are explained
_LONGEST_LINE = 64 << 10  # characters; the rest of a longer line is not looked at


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
    command: str  # to begin with; it changes no database
    owner: str  # who is likely to own it
    explain: Explanation | msgspec.UnsetType = msgspec.UNSET


def no_database(name: str | None) -> str:
    """What is wrong with the name that somebody gave; empty: it is one that is known."""
    ours = signatures()
    known = {s.database for s in ours.signatures if s.database}.union(*(t.scope for t in ours.tools.values()), ALIASES)
    return "" if name is None or name in known else f"--database: {name!r} is not known{suggest(name, known)}"


def diagnose_file(
    name: str, *, exit_code: int | None, database: str | None, explained: bool = False, own: Sequence[Path] = ()
) -> Finding:
    """``name``: a path, or ``-``; ``own``: files of the user's signatures. Raises ``OSError``, ``SignatureError``."""
    redactor = Redactor(os.urandom(16)).stream()
    known = signatures(own)
    log = collect(numbered(redactor.line(text) for text in _read(name)), known)
    found = judge(log, Run(exit_code=exit_code, database=database), known)
    why = explain(log, exit_code) if explained else msgspec.UNSET
    return _finding(name, advised(found, Names()) if found.category is not Category.NONE else found, why)


def _read(name: str) -> Iterator[str]:
    """Lines without their ends; an over-long one is cut, what follows its cut is skipped."""
    opened = nullcontext(sys.stdin.buffer) if name == "-" else open(name, "rb")  # noqa: SIM115, PTH123 - entered below
    with opened as file:
        text = io.TextIOWrapper(file, encoding=_encoding(file), errors="replace", newline="\n")
        try:
            while line := text.readline(_LONGEST_LINE):
                rest = line
                while rest and not rest.endswith("\n"):
                    rest = text.readline(_LONGEST_LINE)
                yield line.rstrip("\r\n")
        finally:
            text.detach()  # else it closes standard input


def _encoding(file: BinaryIO) -> str:
    """PowerShell's ``>`` writes UTF-16."""
    begin = file.peek(2)[:2] if isinstance(file, io.BufferedReader) else b""
    return "utf-16" if begin in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _finding(name: str, found: Diagnosis, why: Explanation | msgspec.UnsetType) -> Finding:
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
        command=found.command,
        owner=found.owner,
        explain=why,
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
        *([f"  begin with: {plain(finding.command)}"] if finding.command else []),
        *([f"  likely with: {finding.owner}"] if finding.owner else []),
        *(_explained(finding.explain, colours=colours) if isinstance(finding.explain, Explanation) else []),
    ]
    return "\n".join(lines)


def _explained(told: Explanation, *, colours: bool) -> Iterator[str]:
    yield f"  because {plain(told.why)}"
    shown = 0
    for m in told.matched:
        if m.line != shown:
            yield f"    {m.line:>6} | {plain(m.text[:_SHOWN])}"
        shown = m.line
        mark, name = ("*" if m.won else " "), f"{m.signature} ({m.category or m.says}, {m.weight})"
        if colours:
            name = f"\x1b[{'1;32' if m.won else '36' if m.says == Says.FAILURE else '90'}m{name}\x1b[0m"
        yield f"  {mark}        {name}: {m.why}{f'; on {m.again} more' if m.again else ''}"
    if told.more:
        yield f"    and {told.more} more"
