"""Lines a second on one core: `python -m tests.bench.redaction`."""

import statistics
import time
from collections.abc import Sequence

from responder.core.redaction import Redactor

ROUNDS = 7
LINES = 20_000

PLAIN = (
    "INFO  [alembic.runtime.migration] Running upgrade 4b7d20c9e613 -> 8ac3f15d6e02, add invoices",
    '2026-11-21T10:12:00.147Z {"level":"info","msg":"refreshed rates","n":9477,"pid":1,"took_ms":12}',
    "    at Parser.handlePacket (/app/node_modules/pg-protocol/dist/parser.js:143:27)",
    '  File "/opt/venv/lib/python3.11/site-packages/alembic/script/base.py", line 550, in run_env',
    "FATAL:  the database system is starting up",
)
REDACTED = (
    "DETAIL:  Key (email)=(ana@example.org) already exists.",
    "pymysql.err.IntegrityError: (1062, \"Duplicate entry 'ana@example.org' for key 'uq_email'\")",
    "connecting to postgres://app:hunter2@db:5432/orders?sslmode=require",
    "DB_PASSWORD=hunter2",
    'psql:migrations/003.sql:1: ERROR:  invalid input syntax for type integer: "SUMMER"',
    "[SQL: INSERT INTO customers (email, n) VALUES ('ana@example.org', 12)]",
)


def rates(lines: Sequence[str]) -> list[float]:
    """Lines a second, one figure a round."""
    several = list(lines) * (LINES // len(lines))
    figures = []
    for _ in range(ROUNDS):
        redact = Redactor(b"a key of this installation").stream().line
        started = time.perf_counter()
        for line in several:
            redact(line)
        figures.append(len(several) / (time.perf_counter() - started))
    return figures


def show(name: str, lines: Sequence[str]) -> None:
    figures = rates(lines)
    middle, low, high = statistics.median(figures), min(figures), max(figures)
    print(f"{name:28} {middle:>10,.0f} lines/s  ({low:,.0f} to {high:,.0f}, {ROUNDS} rounds of {LINES:,})")


def main() -> None:
    show("nothing to redact", PLAIN)
    show("one in twenty redacted", (*PLAIN * 4, REDACTED[0]))
    show("every line redacted", REDACTED)
    for size in (10_000, 100_000):
        show_long("hostile line", size)


def show_long(name: str, size: int) -> None:
    """Time a byte must not grow with the line."""
    hostile = ("password=\"' VALUES (' )=( Duplicate entry ' {\"a\": [" * size)[:size]
    redactor = Redactor(b"a key of this installation")
    started = time.perf_counter()
    redactor.line(hostile)
    print(f"{name} of {size:>9,} bytes {(time.perf_counter() - started) / size * 1e9:>10,.0f} ns a byte")


if __name__ == "__main__":
    main()
