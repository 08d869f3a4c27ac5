"""What people are told to do: whole sentences, commands with every name filled in, and whose it is likely to be."""

import re

import msgspec
import pytest

from responder.core.advice import STATUS, Names, Team, advised, begin_with, fill, likely_owner, next_command
from responder.core.diagnosis import diagnose_text
from responder.core.failure import Category, Confidence, Diagnosis, Retry, StateLeft
from responder.shipped import signatures
from tests.bench.diagnose import CORPUS, Label

SHIPPED = signatures()
NAMES = Names(
    application="orders", namespace="shop", job="db-migrate", pod="db-migrate-x7", container="migrate", node="n1"
)
HOLES = re.compile(
    r"\{|\}|<[a-z ]+>|\bNone\b|\bthe migration the\b|version the\b|migration the failed|\bthe the\b|``|  |\. the\b"
    r"|\b(?:NAMESPACE|APPLICATION|JOB|POD|NODE|CONTAINER)\b"
)


def diagnosis(category: Category, **more: object) -> Diagnosis:
    plain = Diagnosis(category, Retry.UNKNOWN, "why", StateLeft.UNKNOWN, "why", Confidence.CERTAIN)
    return msgspec.structs.replace(plain, **more)


def test_over_the_corpus_no_advice_has_a_hole() -> None:
    """A third of it: each tool and each category is among them."""
    labels = [msgspec.json.decode(line, type=Label) for line in (CORPUS / "labels.jsonl").read_bytes().splitlines()]
    told = {
        label.file: diagnose_text(
            (CORPUS / "logs" / label.file).read_text(errors="replace"), SHIPPED, label.exit_code
        ).advice
        for label in labels[::3]
        if label.category != "none"
    }

    assert len(told) > 60
    assert {
        name: advice for name, advice in told.items() if HOLES.search(advice) or not advice.endswith((".", "`"))
    } == {}


ADVICE = [
    *SHIPPED.advice.values(),
    *(text for tool in SHIPPED.tools.values() for text in tool.advice.values()),
    *(s.advice for s in SHIPPED.signatures if s.advice),
]


@pytest.mark.parametrize("migration", [None, "42", "V3__add_currency.sql"])
@pytest.mark.parametrize("tool", [None, "flyway"])
def test_every_text_is_whole_with_and_without_its_names(migration: str | None, tool: str | None) -> None:
    filled = [fill(text, migration, tool) for text in ADVICE]

    assert [text for text in filled if HOLES.search(text)] == []
    names = ("`", *SHIPPED.tools, "kustomize", "pg_")
    assert [text for text in filled if not text[0].isupper() and not text.startswith(names)] == []


def test_a_version_is_told_as_one_and_what_is_not_known_needs_no_name() -> None:
    text = "{tool} keeps a marker of {migration}. `repair {migration}`"

    assert fill(text, "42", "goose") == "goose keeps a marker of version 42. `repair 42`"
    assert fill(text, "add_orders", None) == "The tool keeps a marker of add_orders. `repair add_orders`"
    assert fill(text, None, None) == 'The tool keeps a marker of the failed migration. `repair "$MIGRATION"`'


def test_a_dirty_version_that_the_log_does_not_name() -> None:
    found = diagnose_text('error: migration failed: syntax error at or near "ADDD" (column 21) in line 3', SHIPPED, 1)

    assert "Find out what of the failed migration was applied" in found.advice


@pytest.mark.parametrize("category", list(Category))
def test_every_category_has_an_owner_and_a_first_command_without_a_hole(category: Category) -> None:
    found = advised(diagnosis(category), NAMES)

    assert found.owner in set(Team)
    assert found.command
    assert not HOLES.search(found.command.replace("jsonpath='{", "").replace("}'", "")) or "{" in found.command
    assert begin_with(category)
    assert next_command(diagnosis(category), Names()) == "" or "  " not in next_command(diagnosis(category), Names())


def test_every_category_but_none_has_a_text() -> None:
    assert {c for c in Category if not SHIPPED.advice.get(c)} == {Category.NONE}


@pytest.mark.parametrize(
    ("category", "command", "owner"),
    [
        (Category.STALE_JOB, "kubectl -n shop delete job db-migrate", Team.APP),
        (Category.IMAGE_PULL, "kubectl -n shop describe pod db-migrate-x7", Team.APP),
        (Category.EVICTED, "kubectl describe node n1", Team.PLATFORM),
        (Category.SYNTAX_ERROR, "kubectl -n shop logs db-migrate-x7 -c migrate", Team.APP),
        (Category.TERMINATED, "argocd app get orders --show-operation", Team.APP),
        (Category.QUOTA_EXCEEDED, "kubectl -n shop describe resourcequota,limitrange", Team.PLATFORM),
    ],
)  # fmt: skip
def test_the_command_has_the_names_of_the_incident(category: Category, command: str, owner: Team) -> None:
    assert next_command(diagnosis(category), NAMES) == command
    assert likely_owner(diagnosis(category)) is owner


def test_a_command_of_which_a_name_is_not_known_is_left_out() -> None:
    assert next_command(diagnosis(Category.EVICTED), Names(namespace="shop")) == (
        "kubectl -n shop get events --sort-by=.lastTimestamp"
    )
    assert next_command(diagnosis(Category.STALE_JOB), Names()) == ""


@pytest.mark.parametrize("state", [StateLeft.PARTIAL, StateLeft.DIRTY])
def test_what_was_left_behind_is_looked_at_first(state: StateLeft) -> None:
    left = diagnosis(Category.SYNTAX_ERROR, state_left=state, tool="flyway")

    assert next_command(left, NAMES) == "flyway info"
    assert next_command(msgspec.structs.replace(left, tool=None), NAMES).startswith("kubectl -n shop logs")


def test_a_lock_is_looked_at_where_the_tool_keeps_it() -> None:
    assert next_command(diagnosis(Category.KILLED, state_left=StateLeft.LOCKED, tool="liquibase"), NAMES) == (
        "liquibase list-locks"
    )


@pytest.mark.parametrize(("database", "command"), [("postgres", "select l.pid"), ("mysql", "show full processlist")])
def test_a_lock_that_a_tool_keeps_in_its_session_is_asked_of_that_database(database: str, command: str) -> None:
    held = diagnosis(Category.MIGRATION_LOCK_HELD, state_left=StateLeft.LOCKED, tool="prisma", database=database)

    assert next_command(held, NAMES).startswith(command)


def test_what_only_the_database_can_tell_is_asked_of_it() -> None:
    assert next_command(diagnosis(Category.LOCK_TIMEOUT, database="postgres"), NAMES).startswith("select pid")
    assert next_command(diagnosis(Category.LOCK_TIMEOUT, database="mariadb"), NAMES) == "show full processlist"
    assert next_command(diagnosis(Category.LOCK_TIMEOUT), NAMES) == "kubectl -n shop logs db-migrate-x7 -c migrate"


def test_commands_of_tools_that_are_known_only_look() -> None:
    changing = re.compile(r"\b(?:up|migrate$|apply|deploy|force|repair|down|reset|unlock|release)\b")

    assert set(STATUS) <= set(SHIPPED.tools)
    assert [command for command in STATUS.values() if changing.search(command)] == []
