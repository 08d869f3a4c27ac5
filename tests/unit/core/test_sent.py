"""Statements as they were sent: one transaction over all, and which was the first."""

import pytest

from responder.core import sent
from responder.core.failure import StateLeft
from responder.core.findings import Finding, LogLine, collect
from tests.bench.diagnose import shipped


def queries(*statements: str) -> list[Finding]:
    lines = (LogLine(n, f"query: {statement}") for n, statement in enumerate(statements, 1))
    return [f for f in collect(lines, shipped()).found if "call" in f.groups]


@pytest.mark.parametrize(
    ("statements", "outside"),
    [
        (("SELECT 1",), False),
        (("START TRANSACTION", "ALTER TABLE a"), False),
        (("CREATE TABLE migrations", "START TRANSACTION", "ALTER TABLE a"), False),
        (("ALTER TABLE a", "ALTER TABLE b"), True),
        (("START TRANSACTION", "ALTER TABLE a", "COMMIT", "START TRANSACTION", "ALTER TABLE b"), True),
        (("START TRANSACTION", "COMMIT"), False),
    ],
)
def test_whether_one_transaction_was_open_over_all(statements: tuple[str, ...], *, outside: bool) -> None:
    assert sent.outside_transaction(queries(*statements)) is outside


@pytest.mark.parametrize(
    ("statements", "state", "shown"),
    [
        (("ALTER TABLE a",), StateLeft.NONE, True),
        (("UPDATE a SET b = 1; UPDATE c SET d = 1",), StateLeft.NONE, False),
        (("CALL move_totals()",), StateLeft.NONE, False),
        (("SELECT 1", "ALTER TABLE a"), StateLeft.NONE, False),
        (("UPDATE a SET b = 1", "ALTER TABLE a"), StateLeft.PARTIAL, True),
        (('SELECT * FROM "information_schema"."tables"', "ALTER TABLE a"), StateLeft.NONE, True),
        (("SELECT fill(table_name) FROM information_schema.tables", "ALTER TABLE a"), StateLeft.NONE, False),
    ],
)
def test_what_each_left_before_the_one_that_failed(
    statements: tuple[str, ...], state: StateLeft, *, shown: bool
) -> None:
    found, _, proved = sent.left_by(queries(*statements), "typeorm")
    assert (found, proved) == (state, shown)


def test_code_that_raises_between_statements_leaves_those_before_it() -> None:
    before = queries("SELECT 1", "CREATE TABLE a")
    assert sent.left_by(before, "typeorm", all_done=True)[0] is StateLeft.PARTIAL
    assert sent.left_by(queries("SELECT 1"), "typeorm", all_done=True)[0] is StateLeft.NONE
