"""Why a log that shows nothing left behind may still hide something: done beside the tool, before it, or cut away."""

import re
from collections.abc import Iterable, Sequence

from responder.core import loglines
from responder.core.failure import Category
from responder.core.findings import Finding, Findings
from responder.core.logcause import Cause
from responder.core.signatures import Says
from responder.core.tooling import SPEAK_LIKE, Runtime, Tool

_DATABASE = 28  # weight from which on a database speaks
_BESIDE = frozenset(
    {
        "work", "trace", "commit", "cut", "other", "recording", "program", "item", "option", "ended", "began",
        "connected", "opens", "did", "ran", "bare", "stage", "procedure", "effect", "pooler", "committed",
        "died", "signal", "connection", "call", "sent",
        *Runtime,
    }
)  # fmt: skip
_DEFAULT_CONNECTIONS = frozenset({"default", "mariadb", "mysql", "pgsql", "postgres", "sqlite", "sqlsrv"})
_INNERMOST_FIRST = frozenset({"python", "go", "ruby", "node", "php"})
_NOT_AT_ITS_BEGINNING = frozenset({"frame", "late", "said", "line"})
# A traced command that changes nothing in a database.
_ASKS = re.compile(
    r"(?i)wait|ready|select 1\b|\bping\b|\bstatus\b|--?version|\bgenerate\b|\bcheck\b|config:|cache|\binstall\b"
)
_LIBRARY = re.compile(
    r"(?:site|dist)-packages|node_modules|/vendor/|/gems/|/lib/(?:python|ruby)|^/usr/(?:share|lib)/|/deps/"
)
# What a tool itself is begun from: its entry, its settings, a program that migrates or waits.
_ENTRY = re.compile(
    r"(?i)/(?:config|settings|migrat\w*|bin|bootstrap/app)[/.]"
    r"|(?:^|[/_-])(?:manage|env|[aw]sgi|settings|conf|config\w*|knexfile|data-?source\w*|orm\w*|drizzle|\w*migrat\w*|"
    r"wait\w*|entrypoint|artisan|console|rails|rake|rakefile|environment|boot|application|database|db|program|startup)"
    r"(?:[._-][\w.-]*)?$"
)
# What may stand before a connection that failed, so that it was not the first.
_BEFORE = (
    ({"died", "signal"}, "something was killed before this could not connect, and what it had done is not shown"),
    ({"began"}, "a migration had begun when something could not be reached"),
    ({"sent"}, "a log of statements shows one that was sent before a connection failed"),
    ({"ended"}, "the migrations were done: what could not connect ran after them"),
    ({"connected", "call"}, "the database had been reached before something else could not"),
)
_ANY = frozenset(
    {"all", "any", "app", "database", "databases", "db", "migration", "migrations", "pending", "schema", "the", "to"}
)
_RUNNER = re.compile(r"(?:npm|pnpm|yarn|bun|npx)\b(?: run\b)?(?! exec) \S+$|cd |set |export |echo ")
_WAITS = re.compile(r"(?i)wait|retr(?:y|ies)|attempt|connect|\btry|ready|sleep|validated|loaded")
# Lines after the last complaint that only end what it began: traces, members of an object, a shell's or runner's words.
_EPILOGUE = re.compile(
    r"(?i)^(?:[\s(\[{}\])#|^~+>*=-]|$|at |node\.js v|stack (?:back)?trace|note: (?:run with|some details)"
    r"|goroutine |main\.|created by |tasks: |npm |info |warn"
    r"|caused by|clientconnectionid|error number|(?:\w+ )?exit|make: |make\[)"
    r"|\bexit(?:ed|ing| code| status|$)|command failed|giving up|gave up|retr(?:y|ies)|waiting|sleeping|unavailable"
    r"|\bconnect|\bdatabase\b|\bserver\b|lifecycle|aborted|terminated|full trace|more information|background on"
    r"|migrat\w* (?:\w+ )?(?:failed|error)|fail\w* (?:to (?:run|apply|execute) )?(?:the )?(?:database )?migrat"
)


def doubt(log: Findings, cause: Cause, tool: Tool | None, migration: str | None) -> str:
    """What the tool's own transactions do not cover, or the log cannot show; empty where there is nothing to doubt."""
    beside = [f for f in log.saying(Says.TOOL) if _BESIDE & f.groups.keys()]
    if log.beheaded or any("cut" in f.groups for f in beside) or (cause.passes and _begins_later(log, tool)):
        return "a part of the log is missing"
    return (
        (_while_connecting(log, cause, migration, beside) if cause.connecting else "")
        or _beside(beside)
        or (_begun_again(log, cause, beside) or _ran_after(log, cause) if cause.passes else "")
        or _committing(log, cause, beside)
        or _elsewhere(log, cause, beside)
        or (_another(log, cause, tool, beside) if tool is not None and not cause.connecting else "")
    )


def _begins_later(log: Findings, tool: Tool | None) -> bool:
    """Cut where a container's log was rotated, or by `--tail`: what the tool says first is not there."""
    if tool is None or not tool.opens:
        return False
    begun = min((f.order for f in log.saying(Says.STARTED) if f.signature.tool == tool.name), default=None)
    return begun is not None and not any(
        "opens" in f.groups and f.order <= begun for f in log.found if f.signature.tool == tool.name
    )


def _while_connecting(log: Findings, cause: Cause, migration: str | None, beside: Sequence[Finding]) -> str:
    first = cause.finding.order if cause.finding is not None else 0
    if any(_said(f) and f.order < first for f in log.saying(Says.FAILURE)):
        return "the database was spoken to before it could not be reached; what was done until then is not shown"
    if not cause.passes:
        return ""
    before = {group for f in beside if f.order < first for group in f.groups}
    for groups, why in _BEFORE:
        if groups & before:
            return why
    if any(_raised(f) and f.order < first for f in log.saying(Says.FAILURE)):
        return "a program had failed by itself before this could not connect, and what it had done is not shown"
    if migration is not None:
        return "a migration had begun when something could not be reached"
    if any(f.order < first for f in log.saying(Says.DONE)):
        return "the migrations were done: what could not connect ran after them"
    if any("program" in f.groups and _own(f.groups["program"]) for f in beside):
        return "a program of the application's own could not connect, and what it had done until then is not shown"
    if any("did" in f.groups and f.order < first and not _WAITS.search(f.line.text) for f in beside):
        return "something had been done before it could not connect, and the log does not show by whom"
    if len(_things(f for f in beside if f.order < first)) > 1:
        return "more than one thing was at work before it could not connect"
    if _went_on(log, cause):
        return "the log goes on after it could not connect, in words that nobody documents"
    return ""


def _things(before: Iterable[Finding]) -> set[str]:
    """Commands that a runner echoed, files, stages: what a silent one of them did is not shown."""
    named = {
        word.strip().lower()
        for f in before
        if not _WAITS.search(f.line.text)
        for group in ("item", "stage", "ran", "bare")
        for word in re.split(r"&&|;", f.groups.get(group, ""))
    }
    return {word for word in named - _ANY if word and not _ASKS.search(word) and not _RUNNER.match(word)}


def _said(failure: Finding) -> bool:
    """A statement or its connection had failed, if only as a warning: a program that reconnects was at work."""
    heavy = failure.signature.weight >= _DATABASE
    return heavy and not failure.connecting and failure.category is not Category.UNKNOWN


def _raised(failure: Finding) -> bool:
    """In a language that tells of the innermost error first: no other error was its cause."""
    return failure.category is Category.CODE_ERROR and failure.signature.id.partition(".")[0] in _INNERMOST_FIRST


def _own(path: str) -> bool:
    return not _LIBRARY.search(path) and not _ENTRY.search(path)


def _went_on(log: Findings, cause: Cause) -> bool:
    failures = log.saying(Says.FAILURE)
    refused = {f.line.number for f in failures if f.connecting or f.category is cause.category}
    known = {f.line.number for f in log.found} - {f.line.number for f in failures}
    for line in reversed(log.tail):
        if line.number in refused:
            return False
        if line.number not in known and not _EPILOGUE.search(loglines.read(line.text).body):
            return True
    return False


def _beside(beside: Sequence[Finding]) -> str:
    groups = {group for f in beside for group in f.groups}
    if "recording" in groups:
        return "it failed while the migration was noted as done, which may come after its commit"
    if "option" in groups:
        return "an option takes away the transaction over the whole run"
    if "work" in groups:
        return "the log shows work beside the migrations, which their transactions do not take back"
    if "procedure" in groups:
        return "a procedure was called, which may have committed a part of its work"
    if "other" in groups:
        return "another command than the one that migrates was at work, and what it did is not shown"
    traced = {f.groups["trace"] for f in beside if "trace" in f.groups}
    if len([command for command in traced if not _ASKS.search(command)]) > 1:
        return "the shell ran more than one program, and what a silent one did is not shown"
    return ""


def _begun_again(log: Findings, cause: Cause, beside: Sequence[Finding]) -> str:
    """A loop over databases or attempts, each with its own transaction: did each fail, and of the same cause?"""
    begun = [f for f in log.saying(Says.STARTED) if f.migration and not _NOT_AT_ITS_BEGINNING & f.groups.keys()]
    said = [f for f in log.saying(Says.FAILURE) if not f.quiet and f.signature.weight >= _DATABASE]
    other = any(f.category is not cause.category for f in said)

    def ended_alike(before: int, start: int) -> bool:
        return not other and any(before <= f.order < start for f in said)

    last: dict[tuple[str, str | None], int] = {}
    for start in begun:
        before = last.get((start.signature.id, start.migration))
        last[start.signature.id, start.migration] = start.order
        if before is not None and not ended_alike(before, start.order):
            return "the same migration was begun more than once: what became of the first is not shown"
    first = min((f.order for f in begun), default=1 << 62)
    opened = (f.order for f in beside if {"opens", "connected"} & f.groups.keys())
    if any(order > first and not ended_alike(first, order) for order in opened):
        return "the tool was started again after it had begun a migration: what became of that is not shown"
    return ""


def _ran_after(log: Findings, cause: Cause) -> str:
    """Something else failed when the migrations were done."""
    first = cause.finding.order if cause.finding is not None else 1 << 62
    if any(f.order < first for f in log.saying(Says.DONE)):
        return "the tool was done: what failed or was ended ran after it"
    return ""


def _committing(log: Findings, cause: Cause, beside: Sequence[Finding]) -> str:
    if not any("commit" in f.groups for f in beside):
        return ""
    if cause.category is Category.SERVER_SHUTDOWN:
        return "the connection was lost while the transaction was committed: whether it was is not known"
    if any("frame" in f.groups for f in log.saying(Says.STARTED)):
        return "the migration commits by itself, and what it had committed until then is not shown"
    return ""


def _elsewhere(log: Findings, cause: Cause, beside: Sequence[Finding]) -> str:
    """What no transaction of this database takes back, or gives back."""
    begun = _begun(log)
    if any("committed" in f.groups and f.order > begun for f in beside):
        return "something was committed after the migration had begun"
    if any("effect" in f.groups and f.order >= begun for f in beside):
        return "the migration had told others what it did, which no transaction takes back"
    if log.saying(Says.UNLOCKED):
        return "it takes away a lock by force before it begins, and would take another runner's, too"
    if cause.category is Category.MIGRATION_LOCK_HELD and any("pooler" in f.groups for f in beside):
        return "behind a pooler, the lock may be held by a session that is nobody's any more"
    named = {f.groups["connection"] for f in beside if "connection" in f.groups} - _DEFAULT_CONNECTIONS
    if named and not cause.connecting:
        return f"it failed on the connection {min(named)}, which the migration's transaction may not cover"
    spoken = {f.signature.database for f in log.saying(Says.TOOL) if f.signature.database}
    if not cause.connecting and len({SPEAK_LIKE.get(name, name) for name in spoken}) > 1:
        return "the log speaks of two databases, and a transaction covers one"
    return ""


def _another(log: Findings, cause: Cause, tool: Tool, beside: Sequence[Finding]) -> str:
    """Who failed after the migration had begun may not be who ran it."""
    called = any("program" in f.groups and _own(f.groups["program"]) for f in beside)
    if called and log.saying(Says.KEPT):
        return "the migration called a program of the application's own, and what that had done is not shown"
    at = cause.finding.order if cause.finding is not None else None
    if any(f.order == at and f.signature.tool not in (None, "", tool.name) for f in log.found):
        return f"what failed says so in other words than {tool.name} does"
    spoken = {group for f in beside if f.order >= _begun(log) for group in f.groups} & set(Runtime)
    if tool.runtime is not None and spoken - {tool.runtime}:
        return f"a program failed that is written in another language than {tool.name}"
    return ""


def _begun(log: Findings) -> int:
    return min((f.order for f in log.saying(Says.STARTED)), default=1 << 62)
