"""What a tool's transaction covers, by the family of the database."""

from responder.core.tooling import Scope, Tool, family

FERRY = Tool("ferry", "https://example.org/ferry", scope={"postgres": Scope.MIGRATION})


def test_mariadb_fails_as_mysql_does() -> None:
    assert [family(name) for name in ("mariadb", "mysql", "postgres", None)] == ["mysql", "mysql", "postgres", None]


def test_a_database_that_is_not_listed_keeps_each_statement() -> None:
    assert FERRY.scope_on("postgres") is Scope.MIGRATION
    assert FERRY.scope_on("mariadb") is Scope.STATEMENT
    assert FERRY.scope_on(None) is Scope.STATEMENT
