"""The tool itself took a lock away: in its own words, in a whole log, where nothing else can be left."""

import msgspec
import pytest

from responder.core.evidence import LogChunk, LogSummary
from responder.core.repair import unlocked
from responder.shipped import signatures
from tests.unit.core.night import complete, container, job, pod

SIGNATURES = signatures(())
RELEASED = "Successfully released all database change log locks for 'ledger@jdbc:postgresql://db:5432/ledger'"
UPDATED = (
    "Liquibase Community 4.29.2 by Liquibase",
    "Running Changeset: changes/003-x.sql::3::dev",
    "Liquibase command 'update' was executed successfully.",
)
KNEX = ("> knex migrate:unlock && knex migrate:latest", "Succesfully unlocked the migrations lock table(s)")
WHOLE = LogSummary(key="log", lines=4, bytes=200, complete=True)


def took_it_away(*lines: str, exit_code: int = 0, log: LogSummary = WHOLE) -> bool:
    chunk = LogChunk("log", tuple(range(1, len(lines) + 1)), ("",) * len(lines), lines)
    run = job(61, complete(64), pods=(pod(container(exit_code, log=log)),))
    return unlocked(run, {"log": chunk}.get, SIGNATURES)


def test_a_lock_that_the_tool_released_on_a_database_that_takes_the_rest_back() -> None:
    assert took_it_away(RELEASED, *UPDATED)
    assert took_it_away(*KNEX, "Using pg: node_modules/pg/lib/client.js", "Batch 3 run: 1 migrations")


def test_every_run_gives_back_the_lock_that_it_took_itself() -> None:
    assert not took_it_away(*UPDATED, "jdbc:postgresql://db:5432/ledger", "Successfully released change log lock")


@pytest.mark.parametrize("url", ["jdbc:mariadb://db:3306/ledger", "jdbc:mysql://db:3306/ledger", "jdbc:h2:mem:x"])
def test_where_statements_stay_more_than_the_lock_can_be_left(url: str) -> None:
    assert not took_it_away(RELEASED.replace("jdbc:postgresql://db:5432/ledger", url), *UPDATED)


def test_a_statement_that_no_transaction_covers_leaves_more_too() -> None:
    assert not took_it_away(RELEASED, *UPDATED, "CREATE INDEX CONCURRENTLY invoices_total ON invoices (total)")


@pytest.mark.parametrize(
    "log", [msgspec.structs.replace(WHOLE, dropped=1), msgspec.structs.replace(WHOLE, complete=False)]
)
def test_a_log_that_is_not_whole_says_nothing(log: LogSummary) -> None:
    assert not took_it_away(RELEASED, *UPDATED, log=log)


def test_nor_does_a_container_that_failed_or_a_log_that_is_forgotten() -> None:
    assert not took_it_away(RELEASED, *UPDATED, exit_code=1)
    forgotten: dict[str, LogChunk] = {}
    run = job(61, complete(64), pods=(pod(container(0, log=WHOLE)),))
    assert not unlocked(run, forgotten.get, SIGNATURES)
    assert not unlocked(job(61, complete(64)), forgotten.get, SIGNATURES)


def test_a_marker_that_was_taken_away_is_no_lock() -> None:
    repaired = (
        'Successfully repaired schema history table "public"."flyway_schema_history" (execution time 00:00.036s).'
    )
    assert not took_it_away("Flyway Community Edition 10.20.1 by Redgate", repaired, "jdbc:postgresql://db:5432/ledger")
