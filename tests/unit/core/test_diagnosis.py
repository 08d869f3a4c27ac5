"""What a log says to somebody who knows the tools: each case shaped after what real runs print."""

import json
from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.core.diagnosis import LogLine, Run, diagnose, diagnose_lines, diagnose_text
from responder.core.failure import Category, Confidence, Diagnosis, Retry
from tests.bench.diagnose import CORPUS, Label, judge, shipped

SHIPPED = shipped()


def of(text: str, exit_code: int | None = 1, database: str | None = None) -> Diagnosis:
    return diagnose_text(text, SHIPPED, exit_code=exit_code, database=database)


def verdict(found: Diagnosis) -> str:
    return f"{found.category}, {found.state_left}, {found.retry}"


# ---- the recordings of the real cluster


@pytest.mark.parametrize(
    ("text", "expected", "tool"),
    [
        (
            "error: dial tcp 10.0.0.7:5432: connect: connection refused",
            "connection-refused, none, safe",
            "golang-migrate",
        ),
        ("error: Dirty database version 42. Fix and force version.", "dirty-state, dirty, unsafe", "golang-migrate"),
        (
            'error: migration failed: syntax error at or near "ADDD" (column 21) in line 3',
            "syntax-error, dirty, unsafe",
            "golang-migrate",
        ),
        ('ERROR: relation "users" already exists (SQLSTATE 42P07)', "already-exists, unknown, unknown", None),
        (
            "INFO  Seeding database.\nSQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry",
            "constraint-violation, unknown, unknown",
            None,
        ),
        ("step 1\nERROR: boom", "unknown, unknown, unknown", None),
    ],
)
def test_what_the_recorded_hooks_printed(text: str, expected: str, tool: str | None) -> None:
    found = of(text)
    assert verdict(found) == expected
    assert found.tool == tool


# ---- how logs are printed


ALREADY_THERE = 'Error: pq: relation "ledger" already exists (42P07)'


@pytest.mark.parametrize(
    "text",
    [
        f"Applying: 003_add.sql\n{ALREADY_THERE}",
        f"app-migrate-1  | Applying: 003_add.sql\napp-migrate-1  | {ALREADY_THERE}",
        f"[0] Applying: 003_add.sql\n[0] {ALREADY_THERE}",
        f"Nov 21 10:00:00 n1 migrate[12]: Applying: 003_add.sql\nNov 21 10:00:01 n1 migrate[12]: {ALREADY_THERE}",
        f"2026-11-21T10:00:00.1Z Applying: 003_add.sql\n2026-11-21T10:00:00.2Z {ALREADY_THERE}",
        f"\x1b[32mApplying: 003_add.sql\x1b[0m\r\n\x1b[31m{ALREADY_THERE}\x1b[0m\r\n",
        json.dumps({"msg": "Applying: 003_add.sql"}) + "\n" + json.dumps({"level": "error", "msg": ALREADY_THERE}),
    ],
)
def test_prefixes_colours_and_json_change_nothing(text: str) -> None:
    found = of(text, exit_code=2)
    assert verdict(found) == "already-exists, none, futile"
    assert (found.tool, found.database, found.migration) == ("dbmate", "postgres", "003_add.sql")


def test_an_error_nested_in_json_with_an_empty_message_is_found() -> None:
    inner = {
        "level": "error",
        "msg": "",
        "err": {"cause": {"code": "42P07", "message": 'relation "ledger" already exists'}},
    }
    assert of(json.dumps(inner)).category is Category.ALREADY_EXISTS


def test_a_log_that_is_printed_newest_first_is_read_from_its_end() -> None:
    found = of(
        '2026-11-21T10:00:05Z ERROR cleanup failed: relation "scratch" does not exist\n'
        "2026-11-21T10:00:03Z psycopg2.errors.LockNotAvailable: canceling statement due to lock timeout\n"
        "2026-11-21T10:00:01Z INFO  [alembic.runtime.migration] Running upgrade a1 -> b2, x"
    )
    assert found.category is Category.LOCK_TIMEOUT


def test_the_database_servers_own_log_between_the_lines_is_not_the_cause() -> None:
    found = of(
        'db-1       | 2026-11-21 10:00:00.123 UTC [77] ERROR:  relation "old" does not exist at character 15\n'
        "db-1       | 2026-11-21 10:00:00.123 UTC [77] STATEMENT:  select 1 from old\n"
        "migrate-1  | psql:up.sql:3: ERROR:  permission denied for schema public",
        exit_code=3,
    )
    assert found.category is Category.PERMISSION_DENIED


def test_messages_in_other_languages_are_known_by_their_code() -> None:
    assert of("FEHLER:  Relation »ledger« existiert bereits (SQLSTATE 42P07)").category is Category.ALREADY_EXISTS


@pytest.mark.parametrize(
    "text", ["", "<!DOCTYPE html><html><h1>502 Bad Gateway</h1></html>", "[object Object]", "\x00\xff"]
)
def test_a_log_that_states_nothing_is_unknown(text: str) -> None:
    found = of(text)
    assert (found.category, found.confidence, found.retry) == (Category.UNKNOWN, Confidence.GUESS, Retry.UNKNOWN)


# ---- which of the complaints is the cause


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("ERROR:  current transaction is aborted, commands ignored until end of transaction block", Category.UNKNOWN),
        (
            'NOTICE:  relation "x" already exists, skipping\nNOTICE:  table "y" does not exist, skipping\nERR! 1',
            Category.UNKNOWN,
        ),
        (
            (
                "Error: P3009\n\nmigrate found failed migrations in the target database\n"
                "This is mostly caused by the database being unavailable."
            ),
            Category.DIRTY_STATE,
        ),
        (
            (
                "Can't take lock to run migrations: update x - cannot execute UPDATE in a read-only transaction\n"
                "If you are sure migrations are not running you can release the lock by running 'knex migrate:unlock'"
            ),
            Category.READ_ONLY,
        ),
        (
            "SQLSTATE[42000]: Syntax error or access violation: 1071 Specified key was too long; max key length is 767",
            Category.DATA_ERROR,
        ),
        (
            'FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "u", database "d", no encryption',
            Category.TLS_ERROR,
        ),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "u", database "d", SSL on', Category.AUTH_FAILED),
        ("SQLSTATE[HY000] [2002] No such file or directory", Category.CONNECTION_REFUSED),
        ("SQLSTATE[HY000] [2002] Connection refused", Category.CONNECTION_REFUSED),
        (
            "SQL State  : null\nMessage    : Connection to db:5432 refused. Check that the hostname",
            Category.CONNECTION_REFUSED,
        ),
        (
            (
                "pymysql.err.OperationalError: (1205, 'Lock wait timeout exceeded')\n"
                "During handling of the above exception, another exception occurred:\n"
                "pymysql.err.OperationalError: (1305, 'SAVEPOINT sp_1 does not exist')"
            ),
            Category.LOCK_TIMEOUT,
        ),
        (
            (
                "ERROR: Validate failed: Migrations have failed validation\n"
                "Migration checksum mismatch for migration R__views\n"
                "Detected applied migration not resolved locally: 5"
            ),
            Category.HISTORY_CONFLICT,
        ),
        (
            (
                "psycopg2.errors.ObjectInUse: cannot ALTER TABLE x because it has pending trigger events\n"
                "During handling of the above exception, another exception occurred:\ncode: '55006'"
            ),
            Category.CODE_ERROR,
        ),
        ("KeyError: 'DATABASE_URL'", Category.MISSING_CONFIG),
        ("KeyError: 'x-rate'", Category.CODE_ERROR),
        ("sh: 1: alembic: not found", Category.IMPORT_ERROR),
        ("FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory", Category.OOM_KILLED),
        ("PHP #5 /app/vendor/Connection.php(1064): call_user_func()", Category.UNKNOWN),
    ],
)
def test_the_true_cause_wins(text: str, category: Category) -> None:
    assert of(text).category is category


def test_a_wait_for_the_database_that_ended_well_is_no_cause() -> None:
    waited = "db:5432 - no response\nattempt 1: database not ready, retrying in 1s\ndb:5432 - accepting connections\n"
    assert of(waited + "psql:up.sql:3: ERROR:  syntax error at or near", 3).category is Category.SYNTAX_ERROR
    assert of(waited + "Applying: 3.sql\nApplied: 3.sql in 4ms", 0).category is Category.NONE
    assert of(waited + "Applying: 3.sql\nApplied: 3.sql in 4ms", None).category is Category.NONE


def test_a_second_try_that_went_well_is_a_success() -> None:
    tried = "Applying: 3.sql\nError: pq: canceling statement due to lock timeout\n"
    assert of(tried + "Applying: 3.sql\nApplied: 3.sql in 4ms", 0).category is Category.NONE


def test_a_loop_in_the_container_tells_the_first_failure_and_the_marker_it_left() -> None:
    found = of(
        'error: migration failed: syntax error at or near "X"\nerror: Dirty database version 3. Fix and force version.'
    )
    assert verdict(found) == "syntax-error, dirty, unsafe"


def test_tries_counted_at_info_level_are_told_as_a_guess_when_nothing_else_complains() -> None:
    found = of('INFO try 1/2 failed: FATAL:  password authentication failed for user "u"\nINFO try 2/2 failed\n')
    assert (found.category, found.confidence) == (Category.AUTH_FAILED, Confidence.GUESS)
    assert found.retry is Retry.UNKNOWN


# ---- success


@pytest.mark.parametrize(
    "text",
    [
        "",
        'psql:up.sql:1: NOTICE:  relation "x" already exists, skipping\nCREATE TABLE',
        "== 20261004101500 AddErrorCodeAndDeadlockCount: migrated (0.0034s) ===",
        "mysqladmin: connect to server at 'db' failed\nerror: 'Can't connect to server on 'db' (115)'\nmysqld is alive",
        "WARN retrying metrics push: connection timed out",
    ],
)
def test_a_success_is_called_none(text: str) -> None:
    found = of(text, exit_code=0)
    assert verdict(found) == "none, none, unknown"
    assert (found.key_line, found.because, found.advice) == (None, (), "")


def test_a_statement_that_failed_is_a_failure_though_the_tool_went_on_and_exits_0() -> None:
    found = of('psql:up.sql:1: ERROR:  relation "x" does not exist\ndone', exit_code=0)
    assert found.category is Category.MISSING_OBJECT
    assert found.retry is not Retry.SAFE


# ---- what is left behind, and whether it may run again

LOCKED = "canceling statement due to lock timeout"
DJANGO = "Operations to perform:\n  Apply all migrations: x\nRunning migrations:\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # nothing was started
        ("goose run: dial tcp 10.0.0.7:3306: connect: connection refused", "connection-refused, none, safe"),
        # one transaction, taken back
        (f"{DJANGO}  Applying x.0003_y...psycopg.errors.LockNotAvailable: {LOCKED}", "lock-timeout, none, safe"),
        (
            (
                "rails aborted!\nAn error has occurred, this and all later migrations canceled:\n"
                f"PG::LockNotAvailable: {LOCKED}\n== 20261003 AddX: migrating =="
            ),
            "lock-timeout, none, safe",
        ),
        # earlier migrations of the run stay
        (
            f"{DJANGO}  Applying x.0002_w... OK\n  Applying x.0003_y...psycopg.errors.LockNotAvailable: {LOCKED}",
            "lock-timeout, partial, unsafe",
        ),
        (
            f"OK   00002_a.sql (2ms)\ngoose run: ERROR 00003_b.sql: ERROR: {LOCKED} (SQLSTATE 55P03)",
            "lock-timeout, partial, unsafe",
        ),
        # an index that is built outside a transaction stays behind, invalid
        (
            (
                "== 20261003 AddX: migrating ==\n-- add_index(:ledger, :iban, {:algorithm=>:concurrently})\n"
                f"An error has occurred, all later migrations canceled:\nPG::LockNotAvailable: ERROR:  {LOCKED}"
            ),
            "lock-timeout, partial, unsafe",
        ),
        # the name of a migration warns of such an index, and the tool does not show the statement
        (f"Applying: 003_ledger_index.sql\nError: pq: {LOCKED}", "lock-timeout, none, unknown"),
        # the title says that more was done before
        (
            (
                "INFO  [alembic.runtime.migration] Context impl MySQLImpl.\n"
                "INFO  [alembic.runtime.migration] Running upgrade a1 -> b2, notes and unique iban\n"
                "pymysql.err.IntegrityError: (1062, 'Duplicate entry')"
            ),
            "constraint-violation, partial, unsafe",
        ),
        # the connection was lost before anything was begun, yet the tool may have been silent
        (
            "INFO  [alembic.runtime.migration] Context impl MySQLImpl.\npymysql.err.OperationalError: (2013, 'Lost')",
            "server-shutdown, none, unknown",
        ),
        ("error: failed to open database: EOF\nerror: golang-migrate", "server-shutdown, none, safe"),
        # no transaction holds DDL on MySQL
        (f"{DJANGO}  Applying x.0003_y...MySQLdb.OperationalError: (1205, 'Lock')", "lock-timeout, none, unknown"),
        ("applying 3.sql\nERROR 2013 (HY000) at line 7: Lost connection", "server-shutdown, partial, unsafe"),
        # a marker refuses the next run
        (
            (
                "Flyway Community Edition\nDatabase: jdbc:mariadb://db/l (MariaDB 10.11)\n"
                'Migrating schema `l` to version "3 - x"\nError Code : 1205'
            ),
            "lock-timeout, dirty, unsafe",
        ),
        # a lock that outlives its process
        ("yoyo.exceptions.LockTimeout: Process 7 has locked this database", "migration-lock-held, locked, futile"),
        # a tool that says nothing of what it begins, or was told to be quiet, proves nothing by its silence
        (
            "[ERROR] AssertionError [ERR_ASSERTION]: ifError got unwanted exception: Lock wait timeout exceeded",
            "lock-timeout, none, unknown",
        ),
        (
            (
                '  File "/opt/venv/lib/python3.11/site-packages/alembic/runtime/migration.py", line 9\n'
                "pymysql.err.OperationalError: (1205, 'Lock wait timeout exceeded; try restarting transaction')"
            ),
            "lock-timeout, none, unknown",
        ),
        ("sqlite3.OperationalError: database is locked\nbin/yoyo", "lock-timeout, none, safe"),
        # a lock in a table: nobody knows whether its holder lives
        ("Error: Migration table is already locked\nknex migrate:unlock", "migration-lock-held, none, unknown"),
        (
            "liquibase.exception.LockException: Could not acquire change log lock.  Currently locked by p since 3 AM",
            "migration-lock-held, none, unknown",
        ),
        # a lock that ends with its session
        ("ActiveRecord::ConcurrentMigrationError: another is at work", "migration-lock-held, none, safe"),
        # the migration may have crashed the server
        (
            (
                'Migrating schema "public" to version "3 - x"\n'
                "WARNING:  terminating connection because of crash of another server process\n"
                "Message    : server closed the connection unexpectedly"
            ),
            "server-shutdown, none, unknown",
        ),
        # a script that announces its files, and fails on the first line of the first one
        (f"apply 3.sql\npsql:m/3.sql:1: ERROR:  {LOCKED}", "lock-timeout, none, safe"),
        (f"psql:m/3.sql:1: ERROR:  {LOCKED}", "lock-timeout, none, unknown"),
        (f"apply 3.sql\npsql:m/3.sql:4: ERROR:  {LOCKED}", "lock-timeout, none, unknown"),
        (f"apply 2.sql\napply 3.sql\npsql:m/3.sql:1: ERROR:  {LOCKED}", "lock-timeout, partial, unsafe"),
        (f"apply 3.sql\nCREATE TABLE\npsql:m/3.sql:1: ERROR:  {LOCKED}", "lock-timeout, partial, unsafe"),
        # permanent causes
        (f"{DJANGO}  Applying x.0003_y...psycopg.errors.UniqueViolation: x", "constraint-violation, none, futile"),
        ("dial tcp: lookup db on 10.0.0.2:53: no such host\ngoose run: x", "dns-failure, none, futile"),
        ("dial tcp: lookup db on 10.0.0.2:53: server misbehaving\ngoose run: x", "dns-failure, none, safe"),
    ],
)
def test_state_and_retry(text: str, expected: str) -> None:
    exit_code = 2 if text.startswith("Applying: ") else 3 if "psql:" in text else 1
    assert verdict(of(text, exit_code=exit_code)) == expected


RAILS = "rails aborted!\nMysql2::Error::TimeoutError: Lock wait timeout exceeded; try restarting transaction\n"


@pytest.mark.parametrize(
    ("frames", "calls", "retry"),
    [
        (["3:in `up'"], ["-- execute("], Retry.SAFE),
        (["3:in 'AddX#up'"], ["-- execute("], Retry.SAFE),
        (["4:in `up'"], ["-- execute("], Retry.UNKNOWN),  # something may stand on line 3
        (["3:in `up'"], [], Retry.UNKNOWN),  # a model's own writes are not announced
        (["3:in `block in up'", "3:in `up'"], ["-- execute("], Retry.UNKNOWN),  # a loop
        (["3:in `up'"], ["-- execute(", "   -> 0.1s", "-- execute("], Retry.UNSAFE),
    ],
)
def test_where_ddl_is_kept_a_rails_migration_is_untouched_only_at_its_first_statement(
    frames: list[str], calls: list[str], retry: Retry
) -> None:
    trace = "".join(f"/app/db/migrate/20261003101500_add_x.rb:{frame}\n" for frame in frames)
    steps = "\n".join(["== 20261003101500 AddX: migrating ===", *calls])
    assert of(RAILS + trace + steps).retry is retry


def test_a_refused_connection_after_migrations_had_begun_proves_nothing() -> None:
    found = of(
        "INFO  [alembic.runtime.migration] Will assume transactional DDL.\n"
        "INFO  [alembic.runtime.migration] Running upgrade a1 -> b2, x\n"
        'psycopg2.OperationalError: connection to server at "db", port 5432 failed: Connection refused'
    )
    assert verdict(found) == "connection-refused, unknown, unknown"


def test_another_program_that_fails_after_alembic_was_done_is_not_taken_for_it() -> None:
    found = of(
        "INFO  [alembic.runtime.migration] Running upgrade a1 -> b2, x\n"
        'Traceback (most recent call last):\n  File "/app/seed.py", line 3\n'
        f"psycopg2.errors.LockNotAvailable: {LOCKED}"
    )
    assert found.retry is Retry.UNKNOWN


def test_the_programs_own_error_after_a_good_migration_leaves_that_migration() -> None:
    found = of(
        f'{DJANGO}  Applying x.0003_y... OK\nTraceback (most recent call last):\n  File "/app/manage.py"\nValueError: x'
    )
    assert verdict(found) == "code-error, partial, unsafe"


def test_a_process_that_was_killed_says_so_by_its_exit_code() -> None:
    assert verdict(of(f"{DJANGO}  Applying x.0003_y...", 143, "postgres")) == "killed, none, safe"
    assert verdict(of(f"{DJANGO}  Applying x.0003_y...", 137, "postgres")) == "killed, none, unknown"
    assert verdict(of(f"{DJANGO}  Applying x.0003_y...", 137, "mysql")) == "killed, partial, unsafe"
    assert verdict(of("", 137)) == "killed, unknown, unknown"


def test_the_containers_command_names_a_tool_that_the_log_does_not() -> None:
    lines = (LogLine(7, 'connection to server at "db" failed: Connection refused'),)
    unknown = diagnose(Run(lines=lines, exit_code=1), SHIPPED)
    known = diagnose(Run(lines=lines, exit_code=1, command=("/bin/sh", "-c", "alembic upgrade head")), SHIPPED)
    assert (unknown.retry, known.retry) == (Retry.UNKNOWN, Retry.SAFE)
    assert known.because[0].line == 7


def test_the_advice_names_the_migration_and_the_tools_own_repair() -> None:
    advice = of(
        "error: migration 20261003 is partially applied; fix and remove row from `_sqlx_migrations` table"
    ).advice
    assert "delete its row from `_sqlx_migrations`" in advice
    assert "20261003" in advice


def test_lines_count_from_one_in_the_original() -> None:
    found = of("\n\nsqlite3.OperationalError: database is locked\n")
    assert [(b.line, b.text) for b in found.because] == [(3, "sqlite3.OperationalError: database is locked")]


# ---- what must hold for every log


@cache
def safe() -> list[Label]:
    return [j.label for j in judge() if j.found.retry is Retry.SAFE]


def log_of(label: Label) -> str:
    return (CORPUS / "logs" / label.file).read_text(errors="replace")


@cache
def last_lines() -> list[str]:
    return sorted({line for label in safe() for line in log_of(label).split("\n")[-40:]})


# Deferred: to judge the corpus takes seconds, which only these tests should cost.
corpus_lines = st.deferred(lambda: st.sampled_from(last_lines()))
safe_labels = st.deferred(lambda: st.sampled_from(safe()))
exit_codes = st.sampled_from([None, 0, 1, 2, 137, 143])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(corpus_lines, st.text(max_size=80)), max_size=30), exit_codes)
def test_no_text_raises_and_the_same_text_says_the_same(lines: list[str], exit_code: int | None) -> None:
    text = "\n".join(lines)
    assert of(text, exit_code) == of(text, exit_code)


@settings(max_examples=150, deadline=None)
@given(st.lists(corpus_lines, max_size=20), st.sampled_from([None, 0]))
def test_nothing_is_safe_without_a_failing_exit_code(lines: list[str], exit_code: int | None) -> None:
    assert of("\n".join(lines), exit_code).retry is not Retry.SAFE


def test_nothing_is_safe_on_a_text_with_a_gap() -> None:
    assert len(safe()) >= 50
    for label in safe():
        lines = tuple(LogLine(n, text) for n, text in enumerate(log_of(label).split("\n"), 1))
        whole = diagnose(Run(lines=lines, exit_code=label.exit_code), SHIPPED)
        cut = diagnose(Run(lines=lines, exit_code=label.exit_code, complete=False), SHIPPED)
        assert (label.file, whole.retry, cut.retry) == (label.file, Retry.SAFE, Retry.UNKNOWN)


@settings(max_examples=60, deadline=None)
@given(
    safe_labels,
    st.sampled_from(["Applied: 002_x.sql in 4ms", "  Applying x.0002_y... OK", "Batch 1 run: 2 migrations"]),
)
def test_nothing_is_safe_once_a_migration_was_committed(label: Label, committed: str) -> None:
    assert of(f"{committed}\n{log_of(label)}", label.exit_code).retry is not Retry.SAFE


def test_a_line_of_ten_megabytes_is_looked_into() -> None:
    found = of("x" * 5_000_000 + " psycopg2.errors.DeadlockDetected: deadlock detected " + "y" * 5_000_000)
    assert found.category is Category.DEADLOCK
    assert max(len(b.text) for b in found.because) <= 2_000


def test_a_long_log_is_read_as_a_stream() -> None:
    def lines() -> Iterator[str]:
        for n in range(200_000):
            yield f"2026-11-21T10:00:00Z INFO working on batch {n}"
        yield "sqlite3.OperationalError: database is locked"

    found = diagnose_lines(lines(), SHIPPED, exit_code=1)
    assert found.category is Category.LOCK_TIMEOUT
    assert found.because[0].line == 200_001


def test_how_far_it_came_is_told_in_the_tools_words_before_the_frames_of_a_trace() -> None:
    begun = "Migrating: 2026_10_03_101500_add_iban"
    error = "SQLSTATE[42S21]: Column already exists: 1060 Duplicate column name 'iban'"
    frame = "#6 /app/database/migrations/2026_10_03_101500_add_iban.php(21): Illuminate\\Support\\Facades\\Facade::x()"
    assert [b.text for b in of(f"{begun}\n{error}\n{frame}").because] == [begun, error]
    assert [b.text for b in of(f"{error}\n{frame}").because] == [error, frame]


def test_dbmate_says_applied_of_a_migration_that_failed() -> None:
    begun, ended = "Applying: 0003_x.sql", "Applied: 0003_x.sql in 1.2ms"
    failed = "Error: pq: canceling statement due to lock timeout (55P03)"
    assert verdict(of(f"{begun}\n{ended}\n{failed}", 2)) == "lock-timeout, none, safe"
    written = f"{begun}\n{ended}\nWriting: ./db/schema.sql\n{failed}"
    assert verdict(of(written, 2)) == "lock-timeout, partial, unsafe"


def test_an_unknown_host_of_java_may_be_a_resolver_that_was_away() -> None:
    connecting = "ERROR: Unable to obtain connection from database (jdbc:postgresql://db:5432/ledger) for user 'x'"
    assert verdict(of(f"{connecting}\nCaused by: java.net.UnknownHostException: db")) == "dns-failure, none, unknown"
    told = f"{connecting}\nCaused by: java.net.UnknownHostException: db: Name or service not known"
    assert verdict(of(told)) == "dns-failure, none, futile"


def test_flyway_had_begun_nothing_when_it_could_not_read_its_history() -> None:
    speaks = "Database: jdbc:postgresql://db:5432/ledger (PostgreSQL 15.20)"
    failed = "Flyway OSS Edition\n{}\nSQL State  : 55P03\nError Code : 0\nMessage    : ERROR: it is locked"
    assert verdict(of(failed.format(speaks))) == "lock-timeout, none, safe"
    assert verdict(of(failed.format("Executing SQL callback: beforeMigrate"))) == "lock-timeout, unknown, unknown"


def test_beside_a_code_the_line_that_has_the_message_is_shown() -> None:
    found = of("SQL State  : P0001\nError Code : 0\nMessage    : ERROR: the ledger is closed")
    assert found.key_line == "Message    : ERROR: the ledger is closed"
    assert [b.line for b in found.because] == [1, 3]


def test_what_is_built_concurrently_may_leave_an_invalid_index_though_only_the_name_tells() -> None:
    failed = "apply 003_{0}.sql\npsql:m/003_{0}.sql:1: ERROR:  canceling statement due to lock timeout"
    assert verdict(of(failed.format("index_iban_concurrently"), 3)) == "lock-timeout, partial, unsafe"
    assert verdict(of(failed.format("add_iban"), 3)) == "lock-timeout, none, safe"


def test_a_client_that_waited_for_the_database_is_not_the_tool_that_failed() -> None:
    waited = 'psql: error: connection to server at "db" (10.0.0.7), port 5432 failed: Connection refused\n' * 3
    found = of(f'{waited}error: migration failed: relation "ledger" does not exist in line 0: DROP TABLE ledger;')
    assert (found.tool, found.category, found.state_left) == ("golang-migrate", "missing-object", "dirty")


def test_what_a_line_says_of_a_login_is_no_statement_that_failed() -> None:
    refused = 'FATAL: role "ledger" does not exist'
    found = of(f"ERROR: Unable to obtain connection from database: {refused}\nMessage    : {refused}")
    assert verdict(found) == "auth-failed, none, futile"


def test_a_server_that_is_read_only_takes_no_marker_either() -> None:
    begun = 'Migrating schema `ledger` to version "3 - x"\nERROR: Migration failed! Please restore backups'
    failed = "Message    : (conn=7) The MariaDB server is running with the --read-only option"
    assert verdict(of(f"Flyway OSS Edition\n{begun}\n{failed}")) == "read-only, none, futile"


@pytest.mark.parametrize(
    ("text", "retry"),
    [
        ("SQL State  : 57014\nMessage    : ERROR: canceling statement due to user request", Retry.UNKNOWN),
        ("ERROR: canceling statement due to user request (SQLSTATE 57014)", Retry.UNKNOWN),
        ("java.sql.SQLTimeoutException: query timed out\nERROR: canceling statement due to user request", Retry.FUTILE),
        ("context deadline exceeded: ERROR: canceling statement due to user request", Retry.FUTILE),
        ("ERROR: canceling statement due to statement timeout", Retry.FUTILE),
    ],
)
def test_a_statement_that_somebody_cancelled_may_pass_where_no_limit_of_the_client_is_shown(
    text: str, retry: Retry
) -> None:
    begun = 'Migrating schema "public" to version "3 - fill names"\n'
    found = diagnose_text(begun + text, shipped(), exit_code=1)
    assert (found.category, found.retry) == (Category.STATEMENT_TIMEOUT, retry)


@pytest.mark.parametrize("server", ["db-1        | 2026-11-21 10:00:00.200 UTC [71] ERROR: ", "[db] ERROR: "])
def test_a_program_that_finds_itself_new_and_goes_on_has_not_failed_of_that(server: str) -> None:
    probe = f'{server} relation "directus_collections" does not exist at character 15\n'
    went_on = "directus-1  | [10:00:00.310] INFO: Installing Directus system tables...\n"
    end = "directus-1  | [10:00:00.500] ERROR: boom\n"
    assert diagnose_text(probe + went_on + end, shipped(), exit_code=1).category is Category.UNKNOWN
    assert diagnose_text(went_on + probe + end, shipped(), exit_code=1).category is Category.MISSING_OBJECT
