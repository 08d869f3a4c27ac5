"""What a failed run left in the database, and whether the log proves it."""

from pathlib import Path

import pytest

from responder.core.diagnosis import diagnose_text
from responder.core.failure import Retry, StateLeft
from responder.core.findings import LogLine, collect
from responder.core.leftover import Left, assess
from responder.core.logcause import find_cause
from responder.shipped import signatures
from tests.bench.diagnose import shipped

SHIPPED = shipped()
LOCK = "ERROR:  canceling statement due to lock timeout"


def left(text: str, tool: str | None, database: str | None, exit_code: int = 1) -> Left:
    log = collect((LogLine(n, line) for n, line in enumerate(text.split("\n"), 1)), SHIPPED)
    migration = next((f.migration for f in log.found[::-1] if f.migration), None)
    return assess(log, find_cause(log, exit_code), SHIPPED.tools[tool] if tool else None, database, migration)


@pytest.mark.parametrize(
    ("text", "tool", "database", "state", "shown"),
    [
        ("connect: connection refused", "dbmate", None, StateLeft.NONE, True),
        (f"Applying: 3_x.sql\n{LOCK}", "dbmate", "postgres", StateLeft.NONE, True),
        (f"Applying: 3_x.sql\n{LOCK}", "dbmate", "mariadb", StateLeft.NONE, False),
        (f"Applying: 3_x.sql\n{LOCK}", "dbmate", None, StateLeft.NONE, False),
        (f"Applying: 3_x.sql\n{LOCK}", None, "postgres", StateLeft.UNKNOWN, False),
        (f"Applied: 2_w.sql\nApplying: 3_x.sql\n{LOCK}", "dbmate", "postgres", StateLeft.PARTIAL, True),
        (f"Applying: 3_x_index.sql\n{LOCK}", "dbmate", "postgres", StateLeft.NONE, False),
        (
            f"Applying: 3_x.sql\nCREATE INDEX CONCURRENTLY i ON x (y)\n{LOCK}",
            "dbmate", "postgres", StateLeft.PARTIAL, False,
        ),
        (f"executing 003_x.sql up\n---- tern: disable-tx ----\n{LOCK}", "tern", "postgres", StateLeft.PARTIAL, False),
        (f"error: while executing migration 3: {LOCK}", "sqlx-cli", "postgres", StateLeft.NONE, False),
        (f"INSERT 0 1\nApplying: 3_x.sql\n{LOCK}", "dbmate", "postgres", StateLeft.PARTIAL, False),
        (f"{'-' * 14}\nDROP TABLE w\n{'-' * 14}\n{LOCK}", "dbmate", "mariadb", StateLeft.PARTIAL, False),
        (
            f"Starting migration: 3 x\nRunning migration in transaction: false\n{LOCK}",
            "postgres-migrations", "postgres", StateLeft.PARTIAL, False,
        ),
        (f"20261103101500: up: {LOCK}", "bun", "postgres", StateLeft.DIRTY, False),
        (f"Applying: 3_x.sql\n{LOCK}\nApplying: 3_x.sql\n{LOCK}", "dbmate", "postgres", StateLeft.NONE, True),
        (f"Applying: 3_x.sql\nApplying: 3_x.sql\n{LOCK}", "dbmate", "postgres", StateLeft.UNKNOWN, False),
        (f"Migration failed: {LOCK} handling 3_x.sql\n" * 2, "sql-migrate", "postgres", StateLeft.NONE, False),
        (
            f'Applying: 3_x.sql\n{LOCK}\nApplying: 3_x.sql\nERROR:  relation "x" already exists',
            "dbmate", "postgres", StateLeft.UNKNOWN, False,
        ),
        ("error: Dirty database version 3. Fix", "golang-migrate", "postgres", StateLeft.DIRTY, True),
        (f"error: migration failed: {LOCK}", "golang-migrate", "postgres", StateLeft.DIRTY, False),
        (LOCK, "db-migrate", "mysql", StateLeft.NONE, False),
        (LOCK, "dbmate", "postgres", StateLeft.NONE, True),
        (LOCK, "alembic", "postgres", StateLeft.NONE, False),
        (LOCK, "db-migrate", "postgres", StateLeft.NONE, True),
        (f"[INFO] Processed migration 2_w\n{LOCK}", "db-migrate", "postgres", StateLeft.PARTIAL, True),
        (f"in process_steps\n{LOCK}\n(1305, 'SAVEPOINT sp_1 does not exist')", "yoyo", "mysql", StateLeft.NONE, True),
        (f"DrizzleQueryError: Failed query: \nALTER TABLE x\n{LOCK}", "drizzle-kit", "mysql", StateLeft.PARTIAL, True),
        (f"DrizzleQueryError: Failed query: ALTER TABLE x\n{LOCK}", "drizzle-kit", "mysql", StateLeft.NONE, False),
        (
            f"DrizzleQueryError: Failed query: \n\tcreate table if not exists `__drizzle_migrations` (\n{LOCK}",
            "drizzle-kit", "mysql", StateLeft.NONE, False,
        ),
        (f"\u276f migrating db/3_x\n{LOCK}", "lucid", "postgres", StateLeft.NONE, True),
        (f"\u276f migrated db/2_w\n\u276f migrating db/3_x\n{LOCK}", "lucid", "postgres", StateLeft.PARTIAL, True),
        (
            f"in process_steps\n{LOCK}\n(1305, 'SAVEPOINT sp_2 does not exist')",
            "yoyo", "mysql", StateLeft.PARTIAL, True,
        ),
    ],
)  # fmt: skip
def test_state_and_proof(text: str, tool: str | None, database: str | None, state: StateLeft, *, shown: bool) -> None:
    found = left(text, tool, database)
    assert (found.state, found.shown) == (state, shown)


def test_a_killed_runner_keeps_its_lock_where_the_lock_is_a_row() -> None:
    begun = "Running Changeset: c.sql::3::dev"
    assert left(begun, "liquibase", "postgres", 137).state is StateLeft.LOCKED
    assert left("Applying: 3_x.sql", "dbmate", "postgres", 137).state is StateLeft.NONE


REFUSED = "connect: connection refused"
RAISED = "ZeroDivisionError: division by zero"


@pytest.mark.parametrize(
    ("text", "tool", "state"),
    [
        (f"  Applying shop.0002_x...\n{RAISED}", "django", StateLeft.NONE),
        (f"  Applying shop.0002_x... OK\n  Applying shop.0003_y...\n{RAISED}", "django", StateLeft.PARTIAL),
        ("== 3 X: migrating ==\n   -> 0.1s\nthis and all later migrations canceled:\nNameError: x", "rails", None),
        (f"  Applying shop.0002_x...\n{RAISED}", None, StateLeft.UNKNOWN),
        (RAISED, "yoyo", StateLeft.NONE),
        ("  Applying shop.0002_x...\nKeyError: 'RATES_URL'", "django", StateLeft.NONE),
        (f"  Applying shop.0002_x...\n{REFUSED}", "django", StateLeft.UNKNOWN),
    ],
)
def test_an_error_that_names_no_database(text: str, tool: str | None, state: StateLeft | None) -> None:
    assert left(text, tool, None).state is (state or StateLeft.NONE)


def test_what_a_transaction_does_not_cover_stays_on_whatever_database() -> None:
    text = "== 3 X: migrating ==\n   -> 0.1s\nAn error has occurred, all later migrations canceled:\nNameError: x"
    assert left(text, "rails", None).state is StateLeft.PARTIAL


BEGUN = "1 migrations are new migrations must be executed.\nquery: START TRANSACTION"
ALTER = "query: ALTER TABLE x ADD y int\nquery failed: ALTER TABLE x ADD y int"


@pytest.mark.parametrize(
    ("sent", "state", "shown"),
    [
        ("", StateLeft.NONE, True),
        ("query: CREATE TABLE z (id int)", StateLeft.PARTIAL, True),
        ("query: SELECT count(*) FROM x", StateLeft.NONE, False),
    ],
)
def test_a_tool_that_prints_its_statements_shows_which_one_failed(sent: str, state: StateLeft, *, shown: bool) -> None:
    found = left("\n".join(filter(None, (BEGUN, sent, ALTER, f"error: {LOCK}"))), "typeorm", "mysql")
    assert (found.state, found.shown) == (state, shown)


def test_statements_before_the_first_migration_are_the_tools_own() -> None:
    own = "query: CREATE TABLE `migrations` (`id` int)"
    assert left(f"{own}\n{BEGUN}\n{ALTER}\nerror: {LOCK}", "typeorm", "mysql").shown


def test_a_signature_that_says_nothing_is_left_does_not_outweigh_what_the_log_shows(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    words = "ledger shop is closed"
    own = f"{{id: own, pattern: {words}, samples: [{words}], category: read-only, passes: true, left: none}}"
    file.write_text(f"signatures: [{own}]")
    known = signatures([file])
    applied = "Applied: 20261003101500_w.sql\nApplying: 20261003101600_x.sql\n"
    assert diagnose_text(f"{applied}Error: pq: {words}", known, exit_code=2).retry is Retry.UNSAFE
    assert diagnose_text(f"Inserted 3 rows\ndbmate: {words}", known, exit_code=2).retry is Retry.UNKNOWN
    assert diagnose_text(f"dbmate: {words}", known, exit_code=2).retry is Retry.SAFE
