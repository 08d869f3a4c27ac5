"""The next command to run, with names filled in, and who is likely to own what has to be changed.

A command is one that looks, or one that is harmless; what repairs a database is told in words, never as a command.
A name that is not known leaves its command out: there is never a hole to fill.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from string import Formatter

import msgspec

from responder.core.failure import Category, Diagnosis, StateLeft
from responder.core.tooling import family


class Team(StrEnum):
    APP = "app team"
    DBA = "DBA"
    PLATFORM = "platform"


class Names(msgspec.Struct, frozen=True):
    """What commands may name; empty: not known."""

    application: str = ""
    namespace: str = ""
    job: str = ""
    pod: str = ""
    container: str = ""
    node: str = ""


_APPLICATION = "argocd app get {application} --show-operation"
_POD = "kubectl -n {namespace} describe pod {pod}"
_JOB = "kubectl -n {namespace} describe job {job}"
_LOG = "kubectl -n {namespace} logs {pod} -c {container}"
_EVENTS = "kubectl -n {namespace} get events --sort-by=.lastTimestamp"
_DELETE = "kubectl -n {namespace} delete job {job}"
_ENV = (
    "kubectl -n {namespace} get job {job} -o"
    " jsonpath='{{range .spec.template.spec.containers[*]}}{{.name}}: {{.env}} {{.envFrom}}{{\"\\n\"}}{{end}}'"
)

# Who owns it, and what to run first: the first command of which every name is known.
_PLAYS: dict[Category, tuple[Team, tuple[str, ...]]] = {
    Category.CONNECTION_REFUSED: (Team.DBA, ("kubectl -n {namespace} get endpointslices,pods",)),
    Category.DNS_FAILURE: (Team.PLATFORM, ("kubectl -n {namespace} get services", _ENV)),
    Category.CONNECTION_TIMEOUT: (Team.PLATFORM, ("kubectl -n {namespace} get networkpolicies",)),
    Category.AUTH_FAILED: (Team.DBA, (_ENV,)),
    Category.DATABASE_MISSING: (Team.DBA, (_ENV,)),
    Category.PERMISSION_DENIED: (Team.DBA, (_LOG,)),
    Category.ALREADY_EXISTS: (Team.APP, (_LOG,)),
    Category.MISSING_OBJECT: (Team.APP, (_LOG,)),
    Category.SYNTAX_ERROR: (Team.APP, (_LOG,)),
    Category.CONSTRAINT_VIOLATION: (Team.APP, (_LOG,)),
    Category.LOCK_TIMEOUT: (Team.DBA, (_LOG,)),
    Category.STATEMENT_TIMEOUT: (Team.APP, (_LOG,)),
    Category.DEADLOCK: (Team.APP, (_LOG,)),
    Category.HISTORY_CONFLICT: (Team.APP, ("argocd app history {application}",)),
    Category.CHECKSUM_MISMATCH: (Team.APP, ("argocd app history {application}",)),
    Category.DIRTY_STATE: (Team.APP, (_LOG,)),
    Category.READ_ONLY: (Team.DBA, (_ENV,)),
    Category.DISK_FULL: (Team.DBA, ("kubectl -n {namespace} get persistentvolumeclaims",)),
    Category.TOO_MANY_CONNECTIONS: (Team.DBA, (_LOG,)),
    Category.MISSING_CONFIG: (Team.APP, (_ENV,)),
    Category.IMPORT_ERROR: (Team.APP, (_LOG,)),
    Category.CODE_ERROR: (Team.APP, (_LOG,)),
    Category.VERSION_MISMATCH: (Team.APP, (_LOG,)),
    Category.KILLED: (Team.PLATFORM, (_EVENTS,)),
    Category.MIGRATION_LOCK_HELD: (Team.APP, ("kubectl get pods -A -l batch.kubernetes.io/job-name",)),
    Category.SERVER_SHUTDOWN: (Team.DBA, (_EVENTS,)),
    Category.TLS_ERROR: (Team.DBA, (_ENV,)),
    Category.DATA_ERROR: (Team.APP, (_LOG,)),
    Category.NONE: (Team.PLATFORM, (_APPLICATION,)),
    Category.UNKNOWN: (Team.APP, (_LOG, _APPLICATION)),
    Category.IMAGE_PULL: (Team.APP, (_POD, _JOB)),
    Category.MISSING_REFERENCE: (Team.APP, (_POD, _JOB)),
    Category.OOM_KILLED: (Team.APP, (_POD,)),
    Category.DEADLINE_EXCEEDED: (Team.APP, (_JOB,)),
    Category.EVICTED: (Team.PLATFORM, ("kubectl describe node {node}", _EVENTS)),
    Category.UNSCHEDULABLE: (Team.PLATFORM, (_POD, _EVENTS)),
    Category.NODE_LOST: (Team.PLATFORM, ("kubectl describe node {node}", "kubectl get nodes")),
    Category.QUOTA_EXCEEDED: (Team.PLATFORM, ("kubectl -n {namespace} describe resourcequota,limitrange",)),
    Category.ADMISSION_DENIED: (Team.PLATFORM, (_JOB, _APPLICATION)),
    Category.IMMUTABLE_JOB: (Team.APP, (_DELETE,)),
    Category.STALE_JOB: (Team.APP, (_DELETE,)),
    Category.INIT_FAILED: (Team.APP, (_LOG, _POD)),
    Category.SIDECAR_RUNNING: (Team.PLATFORM, (_POD,)),
    Category.STUCK_DELETION: (
        Team.PLATFORM,
        ("kubectl -n {namespace} get job {job} -o jsonpath='{{.metadata.finalizers}}'", _APPLICATION),
    ),
    Category.HOOK_VANISHED: (Team.PLATFORM, (_EVENTS,)),
    Category.TERMINATED: (Team.APP, (_APPLICATION,)),
    Category.SYNC_TIMEOUT: (Team.PLATFORM, (_APPLICATION,)),
    Category.MANIFEST_ERROR: (Team.APP, ("argocd app diff {application}",)),
}

# What the database itself can tell, by family.
_ASK: dict[str, dict[Category, str]] = {
    "postgres": {
        Category.LOCK_TIMEOUT: "select pid, state, xact_start, query from pg_stat_activity where state <> 'idle'"
        " order by xact_start",
        Category.DEADLOCK: "select pid, state, xact_start, query from pg_stat_activity where state <> 'idle'"
        " order by xact_start",
        Category.STATEMENT_TIMEOUT: "select relname, n_live_tup from pg_stat_user_tables order by 2 desc limit 10",
        Category.TOO_MANY_CONNECTIONS: "select usename, application_name, count(*) from pg_stat_activity group by 1, 2"
        " order by 3 desc",
        Category.MIGRATION_LOCK_HELD: "select l.pid, a.state, a.query_start from pg_locks l join pg_stat_activity a"
        " using (pid) where l.locktype = 'advisory'",
        Category.READ_ONLY: "select pg_is_in_recovery(), current_setting('default_transaction_read_only')",
        Category.PERMISSION_DENIED: "select current_user, session_user",
    },
    "mysql": {
        Category.LOCK_TIMEOUT: "show full processlist",
        Category.DEADLOCK: "show engine innodb status",
        Category.STATEMENT_TIMEOUT: "show full processlist",
        Category.TOO_MANY_CONNECTIONS: "select user, count(*) from information_schema.processlist group by user",
        Category.MIGRATION_LOCK_HELD: "show full processlist",
        Category.READ_ONLY: "select @@read_only, @@hostname",
        Category.PERMISSION_DENIED: "show grants",
    },
}

# The tool's own command that tells what is applied, what is marked and what is locked; it changes nothing.
STATUS: Mapping[str, str] = {
    "alembic": "alembic current --verbose",
    "atlas": 'atlas migrate status --url "$DATABASE_URL"',
    "db-migrate": "npx db-migrate check",
    "dbmate": "dbmate status",
    "diesel": "diesel migration list",
    "django": "python manage.py showmigrations",
    "doctrine": "php bin/console doctrine:migrations:status",
    "drupal": "drush updatedb:status",
    "ecto": "mix ecto.migrations",
    "ef-core": "dotnet ef migrations list",
    "flyway": "flyway info",
    "golang-migrate": 'migrate -path migrations -database "$DATABASE_URL" version',
    "goose": "goose status",
    "graphile-migrate": "npx graphile-migrate status",
    "hasura": "hasura migrate status",
    "knex": "npx knex migrate:list",
    "kong": "kong migrations list",
    "kysely": "npx kysely migrate:list",
    "laravel": "php artisan migrate:status",
    "liquibase": "liquibase status --verbose",
    "magento": "bin/magento setup:db:status",
    "migrate-mongo": "npx migrate-mongo status",
    "mikro-orm": "npx mikro-orm migration:pending",
    "pgroll": "pgroll status",
    "phinx": "vendor/bin/phinx status",
    "pop": "soda migrate status",
    "prisma": "npx prisma migrate status",
    "pyway": "pyway info",
    "rails": "bin/rails db:migrate:status",
    "sea-orm": "sea-orm-cli migrate status",
    "sequelize": "npx sequelize-cli db:migrate:status",
    "skeema": "skeema diff",
    "sql-migrate": "sql-migrate status",
    "sqitch": "sqitch status",
    "sqlx-cli": "sqlx migrate info",
    "tern": "tern status",
    "supabase": "supabase migration list",
    "typeorm": 'npx typeorm migration:show -d "$DATA_SOURCE"',
    "yoyo": "yoyo list",
}
_LOCKS: Mapping[str, str] = {
    "liquibase": "liquibase list-locks",
    "knex": "select * from knex_migrations_lock",
    "yoyo": "select * from yoyo_lock",
}
HISTORY = frozenset(
    {Category.HISTORY_CONFLICT, Category.CHECKSUM_MISMATCH, Category.DIRTY_STATE, Category.ALREADY_EXISTS,
     Category.MISSING_OBJECT}
)  # fmt: skip


_NAME = '"$MIGRATION"'  # within a command: a variable of the reader's shell
_BEGINS = re.compile(r"(?:^|[.:;?!] )the (?:failed migration|tool)\b")


def likely_owner(diagnosis: Diagnosis) -> Team:
    """What a migration left in a database is its authors' to tell, and the DBA's to help with."""
    return _PLAYS[diagnosis.category][0]


def next_command(diagnosis: Diagnosis, names: Names) -> str:
    """Empty when there is none of which everything is known."""
    own = _of_state(diagnosis) or _of_database(diagnosis)
    return own or next(filter(None, (_filled(c, names) for c in _PLAYS[diagnosis.category][1])), "")


def begin_with(category: Category) -> str:
    """For a page that belongs to no incident: names as a reader sees that they are to be filled in."""
    names = {name: name.upper() for name in Names.__struct_fields__}
    return _PLAYS[category][1][0].format_map(names)


def owner_of_category(category: Category) -> Team:
    return _PLAYS[category][0]


def by_database(category: Category) -> dict[str, str]:
    return {name: asked[category] for name, asked in _ASK.items() if category in asked}


def advised(diagnosis: Diagnosis, names: Names) -> Diagnosis:
    """With its command and its likely owner."""
    command, owner = next_command(diagnosis, names), likely_owner(diagnosis).value
    return msgspec.structs.replace(diagnosis, command=command, owner=owner)


def fill(text: str, migration: str | None, tool: str | None) -> str:
    """A text with `{migration}` and `{tool}` in it; what is not known is said in words that need no name."""
    pieces = text.split("`")
    pieces[0::2] = [piece.replace("{migration}", _named(migration)) for piece in pieces[0::2]]
    pieces[1::2] = [piece.replace("{migration}", migration or _NAME) for piece in pieces[1::2]]
    told = "`".join(pieces).replace("{tool}", tool or "the tool")
    return _BEGINS.sub(lambda match: match.group().replace("the ", "The "), told)


def named_later(text: str, migration: str | None) -> str:
    """A text that was filled when nobody knew the migration's name yet: a later attempt has told it."""
    if not migration:
        return text
    return text.replace(_named(None), _named(migration)).replace(_NAME, migration)


def _named(migration: str | None) -> str:
    return f"version {migration}" if migration and migration.isdigit() else migration or "the failed migration"


def _of_state(diagnosis: Diagnosis) -> str:
    """Before anything else is done, what is there has to be known."""
    tool = diagnosis.tool or ""
    if diagnosis.state_left is StateLeft.LOCKED:
        return _LOCKS.get(tool) or _of_database(diagnosis) or STATUS.get(tool, "")
    left = diagnosis.state_left in (StateLeft.PARTIAL, StateLeft.DIRTY)
    return STATUS.get(tool, "") if left or diagnosis.category in HISTORY else ""


def _of_database(diagnosis: Diagnosis) -> str:
    return _ASK.get(family(diagnosis.database) or "", {}).get(diagnosis.category, "")


def _filled(template: str, names: Names) -> str:
    needed = {name for _, name, _, _ in Formatter().parse(template) if name}
    known = {name: getattr(names, name) for name in needed}
    return template.format_map(known) if all(known.values()) else ""
