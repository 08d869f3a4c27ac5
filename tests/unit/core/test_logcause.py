"""Which failure of a log is its cause."""

import pytest

from responder.core.failure import Category, Confidence
from responder.core.findings import LogLine, collect
from responder.core.logcause import Cause, find_cause
from tests.bench.diagnose import shipped

SHIPPED = shipped()


def cause(text: str, exit_code: int | None = 1) -> Cause:
    lines = (LogLine(n, line) for n, line in enumerate(text.split("\n"), 1))
    return find_cause(collect(lines, SHIPPED), exit_code)


REFUSED = "connect: connection refused"
GONE = 'ERROR:  relation "x" does not exist'


@pytest.mark.parametrize(
    ("text", "exit_code", "category", "confidence"),
    [
        ("", 0, Category.NONE, Confidence.CERTAIN),
        ("", None, Category.NONE, Confidence.CERTAIN),
        ("", 1, Category.UNKNOWN, Confidence.GUESS),
        (GONE, 1, Category.MISSING_OBJECT, Confidence.CERTAIN),
        (GONE, 0, Category.MISSING_OBJECT, Confidence.CERTAIN),
        (f"WARN {REFUSED}", 1, Category.CONNECTION_REFUSED, Confidence.GUESS),
        (f"{REFUSED}\n{GONE}", 1, Category.MISSING_OBJECT, Confidence.CERTAIN),
        (f'{REFUSED}\nFATAL:  database "ledger" does not exist', 1, Category.DATABASE_MISSING, Confidence.CERTAIN),
        (REFUSED, 0, Category.NONE, Confidence.CERTAIN),
        ("working", 137, Category.KILLED, Confidence.CERTAIN),
        (GONE, 137, Category.MISSING_OBJECT, Confidence.CERTAIN),
        ("migrating, at most 5 minutes", 124, Category.KILLED, Confidence.GUESS),
        (GONE, 124, Category.MISSING_OBJECT, Confidence.CERTAIN),
        ("ModuleNotFoundError: No module named 'x'", 1, Category.IMPORT_ERROR, Confidence.LIKELY),
        ("ledger.errors.RateMissing: no rate for that day", 1, Category.CODE_ERROR, Confidence.GUESS),
        ("Error: no rate\n    at exports.up (/app/migrations/3_x.js:3:9)", 1, Category.CODE_ERROR, Confidence.GUESS),
        ("Error: no rate\n    at load (/app/lib/rates.js:3:9)", 1, Category.UNKNOWN, Confidence.GUESS),
    ],
)
def test_cause_and_confidence(text: str, exit_code: int | None, category: Category, confidence: Confidence) -> None:
    found = cause(text, exit_code)
    assert (found.category, found.confidence) == (category, confidence)


def test_a_database_is_heard_before_a_runtime_whatever_comes_first() -> None:
    assert cause(f"ValueError: x\n{GONE}").category is Category.MISSING_OBJECT


def test_of_two_errors_of_the_database_the_first_is_the_cause_and_it_is_less_sure() -> None:
    found = cause(f"{GONE}\nERROR:  permission denied for schema public")
    assert (found.category, found.confidence) == (Category.MISSING_OBJECT, Confidence.LIKELY)


def test_an_error_that_is_told_over_several_lines_is_judged_by_its_message_not_by_its_wider_code() -> None:
    no_tls = 'FATAL: no pg_hba.conf entry for host "10.96.0.20", user "app", database "ledger", no encryption'
    block = f"SQL State  : 28000\nError Code : 0\nMessage    : {no_tls}"
    assert cause(block).category is Category.TLS_ERROR


LOST = "server closed the connection unexpectedly"


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        (f'connection to server at "db" (10.0.0.7), port 5432 failed: {LOST}', True),
        (f"    connection = self.Database.connect(**conn_params)\n{LOST}", True),
        (f"  Applying a.0003_b...\n    connection = self.Database.connect(**conn_params)\n{LOST}", False),
        (LOST, False),  # the migration itself may have brought the server down
        (f"FATAL:  terminating connection due to administrator command\n{LOST}", True),
        (f"WARNING:  terminating connection because of crash of another server process\n{LOST}", False),
        ("FATAL:  the database system is shutting down", True),
        ("ERROR:  deadlock detected", True),
        ("connect ECONNREFUSED 10.0.0.7:5432", True),
        ("connect ECONNREFUSED 127.0.0.1:5432", False),
    ],
)
def test_what_is_known_to_pass_by_itself(text: str, *, passes: bool) -> None:
    assert cause(text).passes is passes


def test_a_signal_is_named() -> None:
    assert [cause("", code).signal for code in (130, 137, 139, 143)] == ["SIGINT", "SIGKILL", "SIGSEGV", "SIGTERM"]
    assert [cause("", code).passes for code in (137, 143)] == [False, True]


def test_a_setting_that_is_missing_is_not_over_because_other_output_was_buffered() -> None:
    unset = 'KeyError: key not found: "RATES_URL"'
    begun = "== 20261003101500 AddRates: migrating =="
    assert cause(f"rake aborted!\n{unset}\n{begun}").category is Category.MISSING_CONFIG
    assert cause(f"{unset}\n{begun}\n{GONE}").category is Category.MISSING_OBJECT


def test_an_attempt_that_a_loop_says_it_repeats_is_handled_once_another_has_begun() -> None:
    first = "applying 3_x.sql\nERROR:  canceling statement due to lock timeout\nfailed, attempt 1 of 2"
    assert cause(f"{first}\napplying 3_x.sql\nALTER TABLE", 0).category is Category.NONE
    assert cause(f"{first}\nmigrations finished", 0).category is Category.NONE
    assert cause(f"{first}\nstarting the application", 0).category is Category.LOCK_TIMEOUT
    assert cause(f"{first}\n{first}", 0).category is Category.LOCK_TIMEOUT


def test_a_tool_that_finds_its_own_table_goes_on() -> None:
    made = "Table 'tortoise_migrations' already exists"  # what asyncmy prints of CREATE TABLE IF NOT EXISTS
    assert cause(made, 0).category is Category.NONE
    assert cause(f"{made}\n  Applying shop.0003_x...\n{GONE}").category is Category.MISSING_OBJECT
    assert cause(f"  Applying shop.0003_x...\n{made}").category is Category.ALREADY_EXISTS
    assert cause("ERROR 1050 (42S01): Table 'orders' already exists", 0).category is Category.ALREADY_EXISTS


def test_nest_tries_again_and_says_when_it_got_through() -> None:
    nest = "[Nest] 17  - 11/21/2026, 10:00:00 AM  "
    again = "ERROR [TypeOrmModule] Unable to connect to the database. Retrying (1)..."
    failed = f"{nest} {again}\nQueryFailedError: deadlock detected"
    through = f"{nest}   LOG [InstanceLoader] TypeOrmCoreModule dependencies initialized +1952ms"
    assert cause(f"{failed}\n{through}", 0).category is Category.NONE
    assert cause(failed, 0).category is not Category.NONE


@pytest.mark.parametrize(
    "error",
    [
        'Applying: 3_x.sql\nError: pq: relation "x" already exists',  # the next tenant's database knew no x
        'psql:/sql/001.sql:4: ERROR:  relation "x" does not exist',  # psql went on, and another tool ended well
    ],
)
def test_what_ends_well_later_repairs_nothing_that_another_try_meets_again(error: str) -> None:
    applied = "Applying: 20261003101500_x.sql\nApplied: 20261003101500_x.sql in 3ms"
    assert cause(f"{error}\n{applied}", 0).category is not Category.NONE


def test_a_migration_may_be_called_after_a_failure() -> None:
    begun = 'Migrating schema "public" to version "3 - permission denied for log"'
    assert cause(f"{begun}\nSuccessfully applied 1 migration to schema x", 0).category is Category.NONE
