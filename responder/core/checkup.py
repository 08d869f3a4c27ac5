"""What ``responder doctor`` may find, and how it is told: the worst first, each with what to do about it."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec


class Severity(StrEnum):
    """A critical finding keeps us from our work, a warning from a part of it; a note is nothing to mend."""

    CRITICAL = "critical"
    WARNING = "warning"
    NOTE = "note"


class Finding(msgspec.Struct, frozen=True):
    id: str  # stable, for scripts
    severity: Severity
    title: str  # a sentence
    details: tuple[str, ...] = ()
    remedy: str = ""  # a command, a snippet, or where to look; may have lines


class Document(msgspec.Struct, frozen=True):
    """A ConfigMap as far as it could be read: ``data`` None and no ``trouble`` is one that is not there."""

    data: Mapping[str, str] | None = None
    trouble: str = ""


class Fingerprint(msgspec.Struct, frozen=True):
    """A secret value without the value: SHA-256 of it, and of it without white space around."""

    exact: str
    stripped: str


class Fingerprints(msgspec.Struct, frozen=True):
    """A Secret, as ``Document``."""

    data: Mapping[str, Fingerprint] | None = None
    trouble: str = ""


_ORDER: Final = tuple(Severity)
_NAMED: Final = 8  # of many things of one kind


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: (_ORDER.index(finding.severity), finding.id))


def mended_by_somebody(findings: Iterable[Finding]) -> bool:
    """Is there anything to be done? Notes are not."""
    return any(finding.severity is not Severity.NOTE for finding in findings)


def count(findings: Sequence[Finding]) -> str:
    """``1 critical, 2 warnings, 3 notes``"""
    if not findings:
        return "nothing to mend"
    told = []
    for severity in Severity:
        number = sum(finding.severity is severity for finding in findings)
        if number:
            plural = "s" * (number > 1 and severity is not Severity.CRITICAL)
            told.append(f"{number} {severity}{plural}")
    return ", ".join(told)


def a_few(names: Sequence[str]) -> tuple[str, ...]:
    more = len(names) - _NAMED
    return (*names[:_NAMED], f"and {more} more") if more > 0 else tuple(names)
