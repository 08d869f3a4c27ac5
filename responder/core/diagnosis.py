"""A log to a diagnosis: the cause, what was left behind, whether the same may run again. Never raises on any text."""

import re
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import pairwise

import msgspec

from responder.core.advice import fill
from responder.core.failure import Because, Category, Confidence, Diagnosis, Retry, StateLeft
from responder.core.findings import Finding, Findings, LogLine, collect
from responder.core.leftover import Left, assess
from responder.core.logcause import Cause, find_cause
from responder.core.signatures import Says, Signatures
from responder.core.tooling import SPEAK_LIKE, Tool

__all__ = [
    "ALIASES",
    "LogLine",
    "Run",
    "collect",
    "diagnose",
    "diagnose_lines",
    "diagnose_text",
    "judge",
    "kept_something",
    "numbered",
]

_SHOWN = 12  # lines a diagnosis rests on, at most
ALIASES = {
    "postgresql": "postgres", "pg": "postgres", "sqlite3": "sqlite", "cockroachdb": "cockroach", "sqlserver": "mssql"
}  # fmt: skip
_DATABASE = 28  # weight from which on a database speaks
_LONGEST = 2_000  # of a line that is shown
_BESIDE_CODE = 2  # lines between an error's code and its message
_ENDED_BY_SIGNAL = frozenset(range(129, 160))  # a loop that waits for its database may have got through before
_NOT_OF_THE_TOOL = frozenset({124, 126, 127})  # `timeout` ended it; a shell could not run its last command
# After a migration that ended: the commit's answer was lost, or the next one's file could not be loaded.
_OF_ANOTHER = frozenset({Category.SERVER_SHUTDOWN, Category.CODE_ERROR, Category.IMPORT_ERROR, Category.MISSING_CONFIG})
_COMPLAINS = re.compile(
    r"(?i)\berror\b|\bfail(?:ed|ure)?\b|\bexception\b|\bfatal\b|\bdenied\b|\babort(?:ed)?\b|\bcannot\b"
)


class Run(msgspec.Struct, frozen=True):
    """One run of one container. `complete`: its text is whole, with no gap."""

    lines: tuple[LogLine, ...] = ()
    exit_code: int | None = None
    complete: bool = True
    database: str | None = None  # a hint
    command: tuple[str, ...] = ()  # of the container, with its arguments


def diagnose(run: Run, signatures: Signatures) -> Diagnosis:
    return judge(collect(run.lines, signatures), run, signatures)


def diagnose_lines(
    lines: Iterable[str], signatures: Signatures, *, exit_code: int | None = None, database: str | None = None
) -> Diagnosis:
    """In bounded memory, whatever the length."""
    return judge(collect(numbered(lines), signatures), Run(exit_code=exit_code, database=database), signatures)


def numbered(lines: Iterable[str]) -> Iterator[LogLine]:
    return (LogLine(number, line.rstrip("\r\n")) for number, line in enumerate(lines, 1))


def diagnose_text(
    text: str, signatures: Signatures, exit_code: int | None = None, database: str | None = None
) -> Diagnosis:
    return diagnose_lines(text.split("\n"), signatures, exit_code=exit_code, database=database)


def judge(log: Findings, run: Run, signatures: Signatures) -> Diagnosis:
    """Of what was collected; `run` tells what the text does not, its lines are not read again."""
    cause = find_cause(log, run.exit_code)
    tool = _tool(log, cause, run, signatures)
    database = _database(log, run)
    log = _believed(log, cause, tool)
    migration = _migration(log, cause)
    left = assess(log, cause, tool, database, migration)
    retry, retry_reason = _retry(cause, left, tool, run)
    because = _because(log, cause)
    return Diagnosis(
        category=cause.category,
        retry=retry,
        retry_reason=retry_reason,
        state_left=left.state,
        state_reason=left.reason,
        confidence=cause.confidence,
        tool=tool.name if tool else None,
        database=database,
        migration=migration,
        key_line=_key_line(log, cause),
        because=because,
        advice=_advice(cause, left, tool, migration, signatures),
    )


def kept_something(lines: Iterable[LogLine], signatures: Signatures) -> bool:
    """Does the log of a run that ended well show migrations, statements, rows or what it told others, which stay?"""
    log = collect(lines, signatures)
    stated = [f for f in log.saying(Says.FAILURE) if not f.quiet and not f.connecting and f.category is not None]
    beside = [f for f in log.saying(Says.TOOL) if {"work", "effect", "committed", "sent"} & f.groups.keys()]
    return bool(stated or beside or log.saying(Says.STARTED, Says.FINISHED, Says.STEP, Says.KEPT))


def _tool(log: Findings, cause: Cause, run: Run, signatures: Signatures) -> Tool | None:
    """The one most of the log speaks of; the container's command breaks silence."""
    waits = set() if cause.connecting else {f.order for f in log.saying(Says.FAILURE) if f.connecting}
    spoken = [f for f in log.found if f.order not in waits]  # a client may have waited for the database
    votes = _votes(spoken, run) or _votes(log.found, run)
    if votes:
        return signatures.tools[max(votes, key=lambda name: (votes[name], name))]
    words = " ".join(run.command).replace("/", " ").split()
    return next((t for t in signatures.tools.values() if any(c in words for c in t.commands)), None)


def _votes(found: Iterable[Finding], run: Run) -> dict[str, tuple[int, int, int]]:
    votes: dict[str, tuple[int, int, int]] = {}
    for finding in found:
        signature = finding.signature
        if signature.tool and signature.exit_code in (None, run.exit_code):
            own, weight, count = votes.get(signature.tool, (0, 0, 0))
            own = max(own, signature.says is not Says.FAILURE)  # an error may sound alike in two tools
            votes[signature.tool] = (own, max(weight, signature.weight), count + 1)
    return votes


def _believed(log: Findings, cause: Cause, tool: Tool | None) -> Findings:
    """Without the ends of migrations that failed, where the tool prints one all the same or takes it back after it."""
    if tool is None or cause.connecting:
        return log
    told = log.saying(Says.STARTED, Says.FINISHED, Says.DONE)
    untrue = [
        end
        for n, (begun, end) in enumerate(pairwise(told))
        if (begun.signature.says, end.signature.says) == (Says.STARTED, Says.FINISHED)
        and begun.migration == end.migration
        and _failed_after(log, cause, tool, end, told[n + 2 :])
    ]
    return msgspec.structs.replace(log, found=tuple(f for f in log.found if f not in untrue)) if untrue else log


def _failed_after(log: Findings, cause: Cause, tool: Tool, end: Finding, later: Sequence[Finding]) -> bool:
    if later:  # it was begun again, so it was not recorded
        return tool.ends_anyway and later[0].signature.says is Says.STARTED and later[0].migration == end.migration
    begun = [f for f in log.saying(Says.STARTED) if f.migration == end.migration]
    if len(begun) == 1 and log.saying(Says.ROLLED_BACK) and cause.category not in _OF_ANOTHER:
        return True  # told on standard error, which may come first
    if not any(f.order >= end.order and f.category is cause.category for f in log.saying(Says.FAILURE)):
        return False
    return tool.ends_anyway and any(f.signature.tool == tool.name and f.order > end.order for f in log.found)


def _database(log: Findings, run: Run) -> str | None:
    if run.database:
        return ALIASES.get(run.database, run.database)
    votes: dict[str, int] = {}
    for finding in log.found:
        name = finding.signature.database
        if name and not finding.quiet | (finding.signature.says is Says.TOOL):
            votes[name] = votes.get(name, 0) + 1
        elif name:
            votes[name] = votes.get(name, 0) + 2
    for name, speaks in SPEAK_LIKE.items():
        if name in votes:
            votes[name] += votes.pop(speaks, 0)
    return max(votes, key=lambda name: votes[name]) if votes else None


def _migration(log: Findings, cause: Cause) -> str | None:
    if cause.category is Category.NONE:
        return None
    if cause.finding is not None and cause.finding.migration:
        return cause.finding.migration
    named = [f for f in log.saying(Says.TOOL) if f.migration]
    sure = [f for f in named if f.signature.weight >= 40]
    started = [f for f in log.saying(Says.STARTED) if f.migration]
    candidates = sure or started[::-1] or named[::-1]
    also = next((f.migration for f in (cause.because if cause.finding else ()) if f.migration), None)
    return also or (candidates[0].migration if candidates else None)


def _retry(cause: Cause, left: Left, tool: Tool | None, run: Run) -> tuple[Retry, str]:
    if cause.category is Category.NONE:
        return Retry.UNKNOWN, "nothing failed"
    if left.state in (StateLeft.PARTIAL, StateLeft.DIRTY):
        return Retry.UNSAFE, f"the run left something behind: {left.reason}"
    if run.exit_code is None or not run.complete:
        return Retry.UNKNOWN, "the exit code or a part of the log is not known"
    if run.exit_code in _ENDED_BY_SIGNAL and cause.category is not Category.KILLED:
        return Retry.UNKNOWN, "it was killed: its last words are not its end"
    if left.state is StateLeft.LOCKED:
        return Retry.FUTILE, f"a lock refuses the next run: {left.reason}"
    if left.state is StateLeft.UNKNOWN or cause.refused or cause.confidence is Confidence.GUESS:
        return Retry.UNKNOWN, "the log does not prove the cause, or what was left behind"
    if run.exit_code == 0:
        return Retry.UNKNOWN, "a statement failed, yet the tool reported success"
    if not cause.passes or _undecided(cause):
        return _futile(cause)
    if unproven := _unproven(cause, left, tool, run):
        return Retry.UNKNOWN, unproven
    return Retry.SAFE, f"{cause.category.replace('-', ' ')} passes by itself, and {left.reason}"


def _unproven(cause: Cause, left: Left, tool: Tool | None, run: Run) -> str:
    """Why a cause that passes by itself is not enough to run it again."""
    if run.exit_code in _NOT_OF_THE_TOOL:
        return f"exit code {run.exit_code} is not the tool's own: something else ended the run"
    if tool is None:
        return "the cause passes by itself, but the tool is not known"
    if not cause.connecting and tool.stops_with not in (None, run.exit_code):
        return f"{tool.name} may have gone on after the statement that failed"
    if not left.shown:
        return f"the cause passes by itself, but nothing proves that the run left nothing: {left.reason}"
    return ""


def _undecided(cause: Cause) -> bool:
    """By the message beside a code as well; not where another line tells which it was."""
    either = {f.order for f in cause.because if "either" in f.groups}
    others = [f for f in cause.because if "either" not in f.groups]
    return bool(either) and not any(f.signature.passes is False or _tells(f, either) for f in others)


def _tells(finding: Finding, either: Set[int]) -> bool:
    """On a line of its own, in words: a code stands for all that the message may say."""
    worded = finding.signature.codes is None and finding.signature.weight >= _DATABASE
    return worded and finding.order not in either


def _futile(cause: Cause) -> tuple[Retry, str]:
    if _undecided(cause):
        return (
            Retry.UNKNOWN,
            f"{cause.category.replace('-', ' ')} may pass by itself or not: the log does not tell which",
        )
    if cause.category in (Category.KILLED, Category.MIGRATION_LOCK_HELD):
        return Retry.UNKNOWN, "the log does not show whether what stopped it is over"
    if cause.category is Category.CONNECTION_REFUSED:
        return Retry.UNKNOWN, "it tried its own Pod: the host is not configured, or a proxy beside it was not up"
    if cause.category is Category.SERVER_SHUTDOWN:
        return Retry.UNKNOWN, "the migration itself may have brought the server down"
    return Retry.FUTILE, f"{cause.category.replace('-', ' ')} does not pass by itself"


def _because(log: Findings, cause: Cause) -> tuple[Because, ...]:
    """The lines that state the cause, each text once, then those that show how far the run came."""
    lines = [f.line for f in sorted(cause.because, key=lambda f: -f.signature.weight)]
    if cause.category is not Category.NONE:
        lines += [f.line for f in log.saying(Says.ROLLED_BACK, Says.KEPT)[:2]]
        lines += [f.line for f in _how_far(log)]
        if cause.refused or cause.signal:
            lines += _last_words(log)
        lines += [f.line for f in _messages(log, cause)]
    texts: dict[str, LogLine] = {}
    for line in lines:
        if len(texts) < _SHOWN:
            texts.setdefault(line.text.strip(), line)
    return tuple(Because(line.text[:_LONGEST], line.number) for line in sorted(texts.values(), key=lambda n: n.number))


def _messages(log: Findings, cause: Cause) -> list[Finding]:
    """Beside a line that has only the code of an error, the one that has its message."""
    if cause.finding is None or cause.finding.signature.codes is None:
        return []
    at = cause.finding.order
    beside = [f for f in log.saying(Says.TOOL) if "message" in f.groups and abs(f.order - at) <= _BESIDE_CODE]
    return sorted(beside, key=lambda f: abs(f.order - at))[:1]


def _how_far(log: Findings) -> list[Finding]:
    """In the tool's words; the frames of a trace only where it has none."""
    told = log.saying(Says.STARTED, Says.FINISHED)
    return ([f for f in told if "frame" not in f.groups] or told)[-2:]


def _last_words(log: Findings) -> list[LogLine]:
    complaints = [line for line in log.tail if _COMPLAINS.search(line.text)]
    return [*complaints[-3:], *log.tail[-2:]]


def _key_line(log: Findings, cause: Cause) -> str | None:
    if cause.category is Category.NONE:
        return None
    if cause.finding is not None:
        told = _messages(log, cause) or [cause.finding]
        return told[0].line.text[:_LONGEST]
    if cause.signal:
        return log.tail[-1].text[:_LONGEST] if log.tail else None
    complaints = [line for line in log.tail if _COMPLAINS.search(line.text)]
    return complaints[-1].text[:_LONGEST] if complaints else None


def _advice(cause: Cause, left: Left, tool: Tool | None, migration: str | None, signatures: Signatures) -> str:
    if cause.category is Category.NONE:
        return ""
    parts = []
    own = cause.finding.signature.advice if cause.finding is not None else ""
    by_tool = tool.advice if tool is not None else {}
    parts.append(own or by_tool.get(cause.category) or signatures.advice.get(cause.category, ""))
    if left.state not in (StateLeft.NONE, StateLeft.UNKNOWN):
        parts.append(by_tool.get(left.state) or signatures.advice.get(left.state, ""))
    text = " ".join(dict.fromkeys(part for part in parts if part))
    return fill(text, migration, tool.name if tool else None)
