"""What the name of a migration tells of what it does: tools that let it go without a transaction rarely say so."""

import re

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
_STEM = 4  # letters: currency, currencies
# Words for what is done, not for what it is done to.
_VERBS = frozenset(
    {
        "add", "alter", "apply", "change", "changes", "check", "clean", "cleanup", "column", "columns", "create",
        "data", "delete", "drop", "extend", "field", "fields", "fill", "fix", "for", "foreign", "from", "init",
        "initial", "into", "key", "make", "migrate", "migration", "modify", "move", "new", "not", "null", "nullable",
        "old", "remove", "rename", "replace", "schema", "set", "table", "tables", "the", "type", "unique",
        "unused", "update", "with",
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


def more_than(name: str, failed: str) -> bool:
    """It names something that the statement in the line ``failed`` does not touch: there is another statement."""
    statement = _STATEMENT.search(failed)
    if statement is None:
        return False
    touched = statement.group().lower()
    return any(thing[:_STEM] not in touched for thing in _things(name))


def _things(name: str) -> set[str]:
    """Without folder, application, extension and, in Liquibase's ``file::id::author``, all but the id."""
    file, _, change = name.partition("::")
    change = change.partition("::")[0]
    title = change if any(c.isalpha() for c in change) else _AROUND.sub("", file)
    return {word.lower() for word in _WORD.findall(title)} - _VERBS
