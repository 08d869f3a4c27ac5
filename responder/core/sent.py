"""Statements that a tool printed as it sent them, by their first words: were they in one transaction, and was the one
that failed the first?
"""

import re
from collections.abc import Sequence

from responder.core.failure import StateLeft
from responder.core.findings import Finding

_FRAME = frozenset({"START", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"})
_WORK = frozenset(
    {
        "ALTER", "CREATE", "DROP", "INSERT", "UPDATE", "DELETE", "REPLACE", "RENAME", "TRUNCATE", "MERGE", "GRANT",
        "REVOKE",
    }
)  # fmt: skip
# What TypeORM asks of the catalog before it writes: it calls nothing that could change anything.
_CATALOG = re.compile(
    r'(?i): select (?:\*|true|columns\.\*|"(?:table_schema|ns|con)"[.,])[^;]*\bfrom '
    r'(?:["`]?(?:information_schema|pg_constraint|pg_class|pg_namespace)\b|current_(?:schema|database)\(\))[^;]*$'
    r"|: select (?:database|version)\(\)(?: as \S+)?$"
)
# What one of these did is not shown.
_SEVERAL = re.compile(r"(?i)(?::|Engine\]?) (?:call|do|begin|declare|exec\w*)\b|;\s*[a-z]")


def word(statement: Finding) -> str:
    return statement.groups["call"].strip(";").upper()


def outside_transaction(statements: Sequence[Finding]) -> bool:
    """Some of them write, and the printed ones show no transaction that was open over them all."""
    words = [word(s) for s in statements]
    opened = next((n for n, w in enumerate(words) if w in ("START", "BEGIN")), len(words))
    return bool(_WORK & set(words)) and (not _WORK & set(words[opened:]) or "COMMIT" in words[opened:])


def working(statements: Sequence[Finding]) -> list[Finding]:
    return [s for s in statements if word(s) not in _FRAME]


def left_by(statements: Sequence[Finding], tool: str, *, all_done: bool = False) -> tuple[StateLeft, str, bool]:
    """Each kept as it is done; the last one failed, unless `all_done`. The state, why, and whether that is shown."""
    statements = [s for s in statements if not _CATALOG.search(s.line.text)]
    if all_done and _WORK & {word(s) for s in statements}:
        return StateLeft.PARTIAL, f"each statement is kept as it is done, and {tool} printed what was done", True
    if len(statements) == 1 and not all_done and not _SEVERAL.search(statements[0].line.text):
        return StateLeft.NONE, f"{tool} prints every statement, and the first one failed", True
    if _WORK & {word(s) for s in statements[:-1]}:
        return (
            StateLeft.PARTIAL,
            f"each statement is kept as it is done, and {tool} printed some before the failing one",
            True,
        )
    return StateLeft.NONE, f"{tool} printed no statement before the failing one that writes", False
