"""Migration tools: how each runs migrations and what it leaves when one fails. Facts are data in `signatures/`."""

from enum import StrEnum

import msgspec


class Scope(StrEnum):
    """What one transaction of the tool covers."""

    RUN = "run"  # all pending migrations: one fails, none stays
    MIGRATION = "migration"  # each on its own: those before the failing one stay
    STATEMENT = "statement"  # nothing is taken back


class Shows(StrEnum):
    """How much of its work the tool prints, failing or not."""

    NOTHING = "nothing"
    BEGINNING = "beginning"  # whether any migration was begun
    EACH = "each"  # every migration that it begins or has committed: a run that shows none kept none


class Lock(StrEnum):
    """How the tool keeps a second runner out."""

    NONE = "none"
    SESSION = "session"  # ends with its connection
    TABLE = "table"  # a row: outlives a process that was killed or lost its connection


class Runtime(StrEnum):
    """What a tool is written in, which its traces show."""

    PYTHON = "python"
    RUBY = "ruby"
    JAVA = "java"
    GO = "go"
    NODE = "node"
    PHP = "php"
    RUST = "rust"
    DOTNET = "dotnet"
    ELIXIR = "elixir"


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One migration tool."""

    name: str
    source: str
    scope: dict[str, Scope] = {}  # by family of databases; what is not listed is `statement`
    shows: Shows = Shows.NOTHING
    loud: bool = False  # cannot be told to be quiet: where it shows no migration, it began none
    announces: bool = False  # prints each migration before it begins it, unless it is told to be quiet
    opens: bool = False  # says something of its own (`opens`) before the first migration: else the log was cut
    silent_end: bool = False  # prints nothing when migrations are done: only its own words can show that they failed
    ends_anyway: bool = False  # prints that a migration is done, with its time, before it says that it failed
    stops_with: int | None = None  # exit code of a script that an error ended: with another one it may have gone on
    steps: bool = False  # prints every statement that is done
    prints: bool = False  # prints every statement as it is sent, when it prints any
    marks_failed: tuple[str, ...] = ()  # families on which a failed migration leaves a marker that refuses the next run
    lock: Lock = Lock.NONE
    runtime: Runtime | None = None
    commands: tuple[str, ...] = ()  # words in a container's command that mean this tool
    advice: dict[str, str] = {}  # by category or state left

    def scope_on(self, database: str | None) -> Scope:
        return self.scope.get(family(database) or "", Scope.STATEMENT)


# Databases that speak another one's language, and do not behave as it does.
SPEAK_LIKE = {"mariadb": "mysql", "cockroach": "postgres", "yugabyte": "postgres", "dsql": "postgres"}


def family(database: str | None) -> str | None:
    """MariaDB and MySQL fail alike; CockroachDB and its like speak PostgreSQL but have no DDL rollback."""
    return "mysql" if database == "mariadb" else database
