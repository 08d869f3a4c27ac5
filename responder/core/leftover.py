"""What a failed run left in the database: from the tool, the database and what the log shows as begun and done."""

import re

import msgspec

from responder.core import naming, sent
from responder.core.doubt import doubt
from responder.core.failure import Category, StateLeft
from responder.core.findings import Finding, Findings
from responder.core.logcause import Cause
from responder.core.signatures import Says
from responder.core.tooling import Lock, Scope, Shows, Tool, family

# Ends of a statement after which an index that was being built CONCURRENTLY stays behind, invalid.
_HARMLESS_BEFORE = frozenset(
    {
        Category.SYNTAX_ERROR, Category.MISSING_OBJECT, Category.PERMISSION_DENIED, Category.ALREADY_EXISTS,
        Category.READ_ONLY, Category.CODE_ERROR, Category.IMPORT_ERROR,
    }
)  # fmt: skip
# What a tool says before it begins.
_REFUSALS = frozenset({Category.HISTORY_CONFLICT, Category.CHECKSUM_MISMATCH, Category.MIGRATION_LOCK_HELD})
_RAISED = frozenset({Category.CODE_ERROR, Category.IMPORT_ERROR, Category.MISSING_CONFIG})
_LATE = frozenset({"frame", "late", "said"})
_DATABASE = 28  # weight from which on a database speaks
# A class, its method, the first statement: the earliest line, and no loop around it.
_FIRST_STATEMENT = re.compile(r"[1-3]:in [`'](?:\w+#)?(?:up|change|down)")
_SEVERAL = re.compile(
    r"(?i)\bforce\b|execute\(\W*(?:call|do|begin|declare|exec\w*)\b|;\s*[a-z]"
)  # more than one statement
# Of Rails' methods, those that send one statement; add_reference, add_timestamps and others send several.
_ONE_STATEMENT = frozenset(
    {
        "execute", "add_column", "add_index", "add_foreign_key", "change_column", "create_table", "drop_table",
        "remove_column", "remove_index", "remove_foreign_key",
    }
)  # fmt: skip


class Left(msgspec.Struct, frozen=True):
    """`shown`: the log and the tool prove it, rather than make it likely. Only then may a retry be called safe."""

    state: StateLeft
    reason: str
    shown: bool = False


class _Run(msgspec.Struct, frozen=True):
    """What the log shows of the run."""

    log: Findings
    cause: Cause
    tool: Tool | None
    database: str | None
    migration: str | None
    started: tuple[str, ...]  # migrations, each once, in order; "" where the log does not name it
    finished: int
    steps: int
    scope: Scope

    @property
    def begun(self) -> bool:
        return bool(self.started or self.finished or self.steps)

    @property
    def reconnecting(self) -> bool:
        """Once begun, a setting that is missing is the migration's own affair."""
        return self.cause.connecting and not (self.begun and self.cause.category is Category.MISSING_CONFIG)

    @property
    def torn(self) -> bool:
        """The client or its connection was cut off: nobody could clean up."""
        return self.cause.category is Category.KILLED or (
            self.cause.category is Category.SERVER_SHUTDOWN and not self.cause.connecting
        )


def assess(log: Findings, cause: Cause, tool: Tool | None, database: str | None, migration: str | None) -> Left:
    if cause.category is Category.NONE:
        return Left(StateLeft.NONE, "nothing failed", shown=True)
    told = cause.finding.signature.left if cause.finding is not None else None
    if told is not None and told is not StateLeft.NONE:
        return Left(told, "the tool says so", shown=True)
    if any(f.category is Category.DIRTY_STATE and not f.quiet for f in log.saying(Says.FAILURE)):
        return Left(StateLeft.DIRTY, "an earlier migration failed and is marked so", shown=True)
    run = _run(log, cause, tool, database, migration)
    left = (
        _done_beside(run)
        or _before_anything(run)
        or _marked(run)
        or _not_taken_back(run)
        or _by_scope(run)
        or Left(StateLeft.UNKNOWN, "the log does not show which tool ran, or on which database")
    )
    if told is StateLeft.NONE and left.state in (StateLeft.NONE, StateLeft.UNKNOWN):
        left = Left(told, "its signature says so", shown=True)
    hidden = doubt(log, cause, tool, migration) if left.state is StateLeft.NONE else ""
    return Left(StateLeft.UNKNOWN, hidden) if hidden else left


def _run(log: Findings, cause: Cause, tool: Tool | None, database: str | None, migration: str | None) -> _Run:
    started = dict.fromkeys(f.migration or "" for f in log.saying(Says.STARTED))
    if len(started) > 1:
        started.pop("", None)
    finished = log.saying(Says.FINISHED)
    scope = tool.scope_on(database) if tool is not None else Scope.STATEMENT
    shown_outside = tool is not None and tool.prints and sent.outside_transaction(_sent(log, cause))
    if shown_outside or any(f.signature.left is None for f in log.saying(Says.KEPT)):
        scope = Scope.STATEMENT
    return _Run(log, cause, tool, database, migration, tuple(started), len(finished), _steps(log), scope)


def _steps(log: Findings) -> int:
    """Statements that were done. Of those that the tool sends for its own table, it says so on the next line."""
    own = {f.order - 1 for f in log.saying(Says.TOOL) if "own" in f.groups}
    return sum(f.order not in own for f in log.saying(Says.STEP))


def _before_anything(run: _Run) -> Left | None:
    if run.begun:
        return None
    if run.cause.connecting:
        return Left(StateLeft.NONE, "it failed before any migration was started", shown=True)
    if run.tool is None or run.cause.refused or run.cause.category is Category.KILLED:
        return None
    if run.tool.shows is Shows.NOTHING and run.cause.category not in _REFUSALS:
        return None
    shown = _silence_proves(run, run.tool) or run.cause.category in _REFUSALS
    return Left(StateLeft.NONE, f"{run.tool.name} had started no migration", shown)


def _silence_proves(run: _Run, tool: Tool) -> bool:
    """Most tools can be told to be quiet: only where one transaction covers the whole run does it not matter."""
    if run.torn or tool.silent_end or run.log.saying(Says.DONE):  # done: something else ran after it
        return False
    if tool.announces and run.migration is None and (tool.loud or _not_told_to_be_quiet(run)):
        return True
    if run.scope is Scope.MIGRATION:
        return run.migration is None and (tool.loud or tool.shows is Shows.BEGINNING)
    return run.scope is Scope.RUN and _migrates(run)


def _not_told_to_be_quiet(run: _Run) -> bool:
    return any("speaks" in f.groups for f in run.log.saying(Says.TOOL))


def _migrates(run: _Run) -> bool:
    """The name of a tool's library in a trace is not its command: a program of one's own may use it."""
    return bool(run.started) or any("migrates" in f.groups for f in run.log.saying(Says.TOOL))


def _marked(run: _Run) -> Left | None:
    """A marker or a lock that refuses the next run."""
    tool = run.tool
    if tool is None:
        return None
    outlives = tool.lock is Lock.TABLE and run.scope is not Scope.RUN  # else it is taken in the same transaction
    if run.torn and outlives and (run.begun or run.cause.category is Category.KILLED):
        reason = f"{tool.name} keeps its lock in a table, and had no chance to give it back"
        return Left(StateLeft.LOCKED, reason)
    if run.cause.category is Category.READ_ONLY and family(run.database) == "mysql":
        return None  # the whole server: no marker could be written either
    marks = "*" in tool.marks_failed or (family(run.database) or "") in tool.marks_failed
    if marks and run.begun and not _ended_well(run) and run.scope is Scope.STATEMENT and not _rolled_back(run):
        return Left(StateLeft.DIRTY, f"{tool.name} marks a failed migration on this database and refuses the next run")
    return None


def _not_taken_back(run: _Run) -> Left | None:
    """Statements that no transaction covers, seen in the log."""
    if run.cause.category in _HARMLESS_BEFORE:
        return None
    kept = [f for f in run.log.saying(Says.KEPT) if f.signature.left is not None or family(run.database) == "postgres"]
    named = naming.concurrently(run.migration or "")  # no transaction would have taken it
    if (kept or (named and family(run.database) == "postgres")) and run.begun:
        return Left(
            StateLeft.PARTIAL, "a statement outside any transaction was running; an invalid index may stay behind"
        )
    return None


def _done_beside(run: _Run) -> Left | None:
    """A script that ran before the tool: no transaction of the tool's takes its statements back."""
    sent_beside = [*run.log.saying(Says.STEP), *(f for f in run.log.saying(Says.TOOL) if "echo" in f.groups)]
    if run.tool is not None and any(f.signature.tool != run.tool.name for f in sent_beside):
        return Left(StateLeft.PARTIAL, "the log shows statements that another program had done, and they stay")
    return None


def _ended_well(run: _Run) -> bool:
    """The last migration that was begun was also finished; something else failed after it."""
    last = run.log.saying(Says.STARTED, Says.FINISHED)
    return bool(last) and last[-1].signature.says is Says.FINISHED


def _rolled_back(run: _Run) -> bool:
    return bool(run.log.saying(Says.ROLLED_BACK))


def _by_scope(run: _Run) -> Left | None:
    tool = run.tool
    if tool is None:
        return _finished_before(run)
    if run.database is None and tool.scope:
        return _on_any_database(run, tool)
    if run.reconnecting and not run.finished:
        return Left(
            StateLeft.UNKNOWN, "a new connection failed after migrations had begun; what became of them is not shown"
        )
    if run.scope is Scope.RUN:
        single = len(run.started) <= 1 and not run.finished and _migrates(run)
        return Left(
            StateLeft.NONE, f"{tool.name} runs all migrations in one transaction here", single and _covered(run)
        )
    if tool.steps and run.steps and not run.started:
        return Left(StateLeft.PARTIAL, "statements outside any migration were done and stay", shown=True)
    if run.finished or len(run.started) > 1:
        return Left(
            StateLeft.PARTIAL, "migrations before the failing one were applied in this run and stay", shown=True
        )
    if run.scope is Scope.MIGRATION:
        shown = _announced(run) and _covered(run)
        return Left(StateLeft.NONE, f"{tool.name} rolled the migration back: one transaction on this database", shown)
    return _by_statement(run, tool)


def _finished_before(run: _Run) -> Left | None:
    return Left(StateLeft.PARTIAL, "the log shows migrations that were applied in this run") if run.finished else None


def _on_any_database(run: _Run, tool: Tool) -> Left | None:
    """An error of the program's own names no database, and what a transaction covers depends on it."""
    if run.finished or run.torn or run.reconnecting or not run.begun:
        return _finished_before(run)
    if _rolled_back(run):
        return Left(StateLeft.NONE, f"{tool.name} says that it took the migration back")
    if run.log.saying(Says.KEPT):
        return _by_statement(run, tool)
    return Left(StateLeft.NONE, "nothing that was done before is shown, nor the database: look all the same")


def _announced(run: _Run) -> bool:
    """Most tools can be told to be quiet, or run as a library that says nothing of what it has committed. Where it said
    what it begins, the run began no more than it shows; not where it named what it had begun when that failed (late).
    """
    started = run.log.saying(Says.STARTED)
    if any("announced" in f.groups for f in started):
        return True
    each = run.tool is not None and run.tool.shows is Shows.EACH
    return each and (_not_told_to_be_quiet(run) or any(not _LATE & f.groups.keys() for f in started))


def _covered(run: _Run) -> bool:
    """Tools let a migration opt out of its transaction (Django's `atomic = False`, goose's NO TRANSACTION, Alembic's
    `autocommit_block`), and few say so when it fails. People do so for what no transaction takes: an index built
    CONCURRENTLY, VACUUM, a value of an enum; and for backfills, which commit each batch. Such a statement in the log is
    never safe (see `_not_taken_back`); where the tool hides its statements, the migration's name may warn, by what it
    names beside the statement that failed, and a number is no name. What is left is a migration without any need to opt
    out, or with one statement alone, and none that could be told from an ordinary one: it is believed to be one.
    """
    if run.tool is not None and run.tool.silent_end and not _own_words(run):
        return False
    if run.cause.category is Category.LOCK_TIMEOUT and any("coded" in f.groups for f in run.log.saying(Says.TOOL)):
        return False  # code may commit as it goes; two locks of a deadlock were held in one transaction
    named = run.migration is None or not naming.is_number(run.migration)
    return _rolled_back(run) or (named and not any(_may_opt_out(run, name) for name in _names(run)))


def _may_opt_out(run: _Run, name: str) -> bool:
    lines = {f.line.number: f.line.text for f in run.log.found}
    return naming.needs_no_transaction(name) or naming.two_things(name) or naming.more_than(name, lines.values())


def _own_words(run: _Run) -> bool:
    """Did the tool itself speak after it had begun? Another program may have failed after it was done."""
    begun = max((f.order for f in run.log.saying(Says.STARTED) if not _LATE & f.groups.keys()), default=-(1 << 62))
    spoken = [f for f in run.log.saying(Says.TOOL, Says.STARTED) if f.signature.says is Says.TOOL or "late" in f.groups]
    own = (f.order for f in spoken if run.tool is not None and f.signature.tool == run.tool.name)
    return any(order > begun for order in own)


def _by_statement(run: _Run, tool: Tool) -> Left:
    """No transaction: what was done before the failing statement stays."""
    keeps = "each statement is kept as it is done"
    if run.steps or (_line(run.log) > 1 and not tool.steps):
        return Left(StateLeft.PARTIAL, f"{keeps}, and the log shows some before the failing one", shown=True)
    if run.torn:
        state = StateLeft.PARTIAL if run.begun else StateLeft.UNKNOWN
        return Left(state, f"{keeps}, and the run was cut off, nobody saw where")
    if tool.prints and (calls := _statements(run)):
        return Left(*sent.left_by(calls, tool.name, all_done=_raised_beside(run)))
    if _table_exists(run.cause.finding):
        return Left(StateLeft.PARTIAL, f"{keeps}; a table that exists already is what an earlier, half-done run leaves")
    if run.started and (tool.steps or _at_first_line(run)):
        reason = f"{tool.name} prints how far it came, and had done no statement"
        return Left(StateLeft.NONE, reason, shown=_at_first_line(run) and not _may_be_several(run))
    if any(naming.two_things(name) for name in _names(run)):
        return Left(StateLeft.PARTIAL, f"{keeps}, and {run.migration} does more than one thing")
    return Left(StateLeft.NONE, f"the log shows no statement before the failing one; look all the same, for {keeps}")


def _raised_beside(run: _Run) -> bool:
    """No statement failed: the code between them raised."""
    finding = run.cause.finding
    return run.cause.category in _RAISED and finding is not None and finding.signature.weight < _DATABASE


def _statements(run: _Run) -> list[Finding]:
    """Those of the migration that the tool printed as it sent them, the failing one last."""
    begun = max((f.order for f in run.log.saying(Says.STARTED) if not _at_failure(run, f)), default=-(1 << 62))
    return [f for f in sent.working(_sent(run.log, run.cause)) if f.order >= begun]


def _sent(log: Findings, cause: Cause) -> list[Finding]:
    failed = cause.finding.order if cause.finding is not None else 1 << 62
    return [f for f in log.saying(Says.TOOL) if "call" in f.groups and f.order <= failed]


def _at_failure(run: _Run, finding: Finding) -> bool:
    """A migration that is named only when it has failed: nothing of it comes after that line."""
    return run.cause.finding is not None and finding.order >= run.cause.finding.order


def _at_first_line(run: _Run) -> bool:
    """Code between the statements is not printed, and psql may be told to be quiet. What proves that nothing stands
    before: a script announced one file and failed on its first line (or the tool on its first step of all); or the
    tool announced one statement, and the traceback shows the place where a migration's first one stands."""
    started = run.log.saying(Says.STARTED)
    lines = [f.groups["line"] for f in started if "line" in f.groups]
    if len(started) > len(lines) > 0 and all(line == "1" for line in lines):
        return True
    frames = [f.groups["frame"] for f in run.log.saying(Says.TOOL) if "frame" in f.groups]
    calls = [f for f in run.log.saying(Says.TOOL) if "call" in f.groups]
    single = len(calls) == 1 and calls[0].groups["call"] in _ONE_STATEMENT and not _SEVERAL.search(calls[0].line.text)
    return bool(frames) and single and all(_FIRST_STATEMENT.fullmatch(frame) for frame in frames)


def _may_be_several(run: _Run) -> bool:
    """By the name of the migration alone, where the statement is not printed: one line may call a procedure."""
    if family(run.database) == "postgres":
        return not _covered(run)
    printed = any("call" in f.groups for f in run.log.saying(Says.TOOL))
    return not printed and naming.in_batches(run.migration or "")


def _names(run: _Run) -> list[str]:
    """All that the log calls the failing migration."""
    titles = [f.groups["title"] for f in run.log.saying(Says.TOOL, Says.STARTED) if "title" in f.groups]
    return [run.migration or "", *titles[-1:]]


def _line(log: Findings) -> int:
    lines = [f.groups["line"] for f in log.saying(Says.STARTED) if "line" in f.groups]
    return int(lines[0]) if lines and lines[0].isdigit() else 0


def _table_exists(finding: Finding | None) -> bool:
    if finding is None or finding.category is not Category.ALREADY_EXISTS:
        return False
    text = finding.line.text
    return "1050" in text or ("able '" in text and "already exists" in text)
