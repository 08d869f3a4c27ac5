"""What the name of a migration tells of what it does: tools that let it go without a transaction rarely say so."""

import re
from collections.abc import Iterable

_OUTSIDE = re.compile(r"(?i)index|idx|concurrent|vacuum|enum|partition|backfill|batch|chunk|populate")
_BATCHES = re.compile(r"(?i)backfill|batch|chunk|populate")
_NUMBER = re.compile(r"(?:.*\\)?(?:Version|Migration)?[\d._-]*")  # as Doctrine and MikroORM call theirs
_CONCURRENTLY = re.compile(r"(?i)concurrently")
_TWO_THINGS = re.compile(r"[a-z0-9](?:_and_|-and-|And[A-Z]| and )|_and_", re.ASCII)
_STATEMENT = re.compile(
    r"(?i)\b(?:(?:alter|create|drop|lock|truncate)\s+(?:\w+\s+)?table|update\s+\S+\s+set|insert\s+into|delete\s+from)\b"
    r"[^\n]*"
)
_WORD = re.compile(r"[A-Z]?[a-z]{3,}|[A-Z]{3,}")
_AROUND = re.compile(r"^.*/|^\w+\.(?=\d{4}_)|(?:\.up)?\.(?:sql|[cm]?[jt]s|py|rb|php|go|xml|ya?ml|json)$")
_REVISION = re.compile(r"[0-9a-f]{8,}")  # of Alembic
_STEM = 4  # letters: currency, currencies
# Words for what is done, and how, not for what it is done to.
_NO_THING = frozenset(
    {
        "(", "add", "after", "allow", "alter", "apply", "assign", "before", "big", "change", "changes", "check",
        "clean", "cleanup", "column", "columns", "convert", "copy", "correct", "create", "data", "ddl",
        "default", "delete", "drop", "enlarge", "extend", "field", "fields", "fill", "first", "fix", "for",
        "foreign", "from", "increase", "init", "initial", "insert", "into", "key", "large", "lock", "locks",
        "long", "make", "mark", "merge", "migrate", "migration", "modify", "move", "new", "normalise",
        "normalize", "not", "null", "nullable", "old", "recalculate", "recompute", "reduce", "refresh",
        "remove", "rename", "replace", "require", "reset", "row", "rows", "schema", "second", "seed", "set",
        "shorten", "slow", "split", "sync", "table", "tables", "the", "third", "type", "unique", "unused",
        "update", "version", "widen", "with",
    }
)  # fmt: skip


def is_number(name: str) -> bool:
    return _NUMBER.fullmatch(name) is not None


def needs_no_transaction(name: str) -> bool:
    """An index built CONCURRENTLY, VACUUM, a value of an enum; or a backfill, which commits each batch."""
    return _OUTSIDE.search(name) is not None


def in_batches(name: str) -> bool:
    return _BATCHES.search(name) is not None


def concurrently(name: str) -> bool:
    return _CONCURRENTLY.search(name) is not None


def two_things(name: str) -> bool:
    return _TWO_THINGS.search(name) is not None


def more_than(name: str, lines: Iterable[str]) -> bool:
    """It names something that the statements in ``lines`` do not touch: there is another, which is not shown."""
    statements = [statement.group().lower() for line in lines if (statement := _STATEMENT.search(line))]
    return bool(statements) and any(
        not any(thing[:_STEM] in touched for touched in statements) for thing in _things(name)
    )


def _things(name: str) -> set[str]:
    """Without folder, application, extension and, in Liquibase's ``file::id::author``, all but the id."""
    file, _, change = name.partition("::")
    change = change.partition("::")[0]
    if _REVISION.fullmatch(name):
        return set()
    title = change if any(c.isalpha() for c in change) else _AROUND.sub("", file)
    return {word.lower() for word in _WORD.findall(title)} - _NO_THING
