"""The closed vocabulary of failures, and what a diagnosis says.

Every word here is part of the contract (labels of metrics, conditions of rules, fields of the API): add, never rename.
"""

from enum import StrEnum

import msgspec


class Category(StrEnum):
    """What went wrong. The first block is read from logs, the second from the cluster."""

    CONNECTION_REFUSED = "connection-refused"
    DNS_FAILURE = "dns-failure"
    CONNECTION_TIMEOUT = "connection-timeout"
    AUTH_FAILED = "auth-failed"
    DATABASE_MISSING = "database-missing"
    PERMISSION_DENIED = "permission-denied"
    ALREADY_EXISTS = "already-exists"
    MISSING_OBJECT = "missing-object"
    SYNTAX_ERROR = "syntax-error"
    CONSTRAINT_VIOLATION = "constraint-violation"
    LOCK_TIMEOUT = "lock-timeout"
    STATEMENT_TIMEOUT = "statement-timeout"
    DEADLOCK = "deadlock"
    HISTORY_CONFLICT = "history-conflict"
    CHECKSUM_MISMATCH = "checksum-mismatch"
    DIRTY_STATE = "dirty-state"
    READ_ONLY = "read-only"
    DISK_FULL = "disk-full"
    TOO_MANY_CONNECTIONS = "too-many-connections"
    MISSING_CONFIG = "missing-config"
    IMPORT_ERROR = "import-error"
    CODE_ERROR = "code-error"
    VERSION_MISMATCH = "version-mismatch"
    KILLED = "killed"
    MIGRATION_LOCK_HELD = "migration-lock-held"
    SERVER_SHUTDOWN = "server-shutdown"
    TLS_ERROR = "tls-error"
    DATA_ERROR = "data-error"
    NONE = "none"
    UNKNOWN = "unknown"

    IMAGE_PULL = "image-pull"
    MISSING_REFERENCE = "missing-reference"
    OOM_KILLED = "oom-killed"
    DEADLINE_EXCEEDED = "deadline-exceeded"
    EVICTED = "evicted"
    UNSCHEDULABLE = "unschedulable"
    NODE_LOST = "node-lost"
    QUOTA_EXCEEDED = "quota-exceeded"
    ADMISSION_DENIED = "admission-denied"
    IMMUTABLE_JOB = "immutable-job"
    STALE_JOB = "stale-job"
    INIT_FAILED = "init-failed"
    SIDECAR_RUNNING = "sidecar-running"
    STUCK_DELETION = "stuck-deletion"
    HOOK_VANISHED = "hook-vanished"
    TERMINATED = "terminated"
    SYNC_TIMEOUT = "sync-timeout"
    MANIFEST_ERROR = "manifest-error"


class StateLeft(StrEnum):
    """What is left in the database after the run, whoever left it."""

    NONE = "none"
    PARTIAL = "partial"  # statements that stay
    DIRTY = "dirty"  # a marker that refuses the next run
    LOCKED = "locked"  # a lock that outlives its process
    UNKNOWN = "unknown"


class Retry(StrEnum):
    """May it run again?"""

    SAFE = "safe"  # harmless and may help
    FUTILE = "futile"  # harmless, but fails again until something is changed
    UNSAFE = "unsafe"  # may do harm
    UNKNOWN = "unknown"


class Confidence(StrEnum):
    CERTAIN = "certain"
    LIKELY = "likely"
    GUESS = "guess"


class Because(msgspec.Struct, frozen=True):
    """One thing a diagnosis rests on, already redacted."""

    text: str
    line: int = 0  # from 1 in the container's original log; 0: not a log line
    source: str = ""  # "pod/container", "event", "job condition", "argocd"; empty for a bare file


class Diagnosis(msgspec.Struct, frozen=True):
    """The cause, what was left behind, and whether the same may run again: each with its reason."""

    category: Category
    retry: Retry
    retry_reason: str
    state_left: StateLeft
    state_reason: str
    confidence: Confidence
    tool: str | None = None  # "alembic", "flyway"...; None: not recognised
    database: str | None = None  # "postgres", "mariadb", "mysql", "sqlite"...
    migration: str | None = None
    key_line: str | None = None  # the line that states the cause, redacted
    because: tuple[Because, ...] = ()
    advice: str = ""
    command: str = ""  # the next one to run, names filled in; it changes no database
    owner: str = ""  # who is likely to own it: "app team", "DBA", "platform"
    consequences: tuple[str, ...] = ()  # of an incident: what later attempts met of what the first one left


def undiagnosed(retry_reason: str, state_reason: str, because: tuple[Because, ...] = (), advice: str = "") -> Diagnosis:
    """No cause is known, and so nothing is known to be harmless."""
    return Diagnosis(
        category=Category.UNKNOWN,
        retry=Retry.UNKNOWN,
        retry_reason=retry_reason,
        state_left=StateLeft.UNKNOWN,
        state_reason=state_reason,
        confidence=Confidence.GUESS,
        because=because,
        advice=advice,
    )
