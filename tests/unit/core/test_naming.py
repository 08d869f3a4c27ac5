"""A migration that names more than the statement that failed has another statement, which may have been kept."""

import pytest

from responder.core import naming

FAILED = 'migration failed with error: alter table "loans" add column "fine" integer - canceling statement'


@pytest.mark.parametrize(
    "name",
    ["20261102_shelves_fine.js", "ShelvesFine1757702000000", "db/changelog.xml::shelves-fine::kai", "0002.shelves"],
)
def test_a_name_that_tells_of_another_table(name: str) -> None:
    assert naming.more_than(name, ["Error", FAILED])


@pytest.mark.parametrize(
    "name",
    [
        "20261102_add_fine.js", "catalog.0003_add_fines_to_loan", "changes/002-add_fine.sql::2::kai", "20261102073000",
        "AddFineColumn1757702000000", "V3__alter_loans.sql", "fffd5994beef",
    ],
)  # fmt: skip
def test_a_name_that_tells_of_that_statement_alone(name: str) -> None:
    assert not naming.more_than(name, ["Error", FAILED])


def test_all_that_it_names_may_stand_in_several_statements() -> None:
    assert not naming.more_than("20261102_shelves_fine.js", ["query: CREATE TABLE shelves (id int)", FAILED])


def test_nothing_is_told_where_the_statement_is_not_shown() -> None:
    assert not naming.more_than("20261102_shelves_fine.js", ["canceling statement due to lock timeout"])


def test_a_number_is_no_name() -> None:
    assert naming.is_number("20261102073000")
    assert naming.is_number("DoctrineMigrations\\Version20261102073000")
    assert not naming.is_number("002_fine")
