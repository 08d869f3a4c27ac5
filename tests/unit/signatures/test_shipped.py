"""The shipped signatures: every sample is found as a log would show it, every fact has a source, none fits one log."""

import json
import re

import msgspec
import pytest

from responder.core.diagnosis import diagnose_text
from responder.core.failure import Category, Retry
from responder.core.loglines import read
from responder.core.signaturefile import parse_signatures
from responder.core.signatures import Says
from tests.bench.diagnose import CORPUS, judge, measures, shipped, sources

SHIPPED = shipped()
FAMILIES = sorted({signature.id.partition(".")[0] for signature in SHIPPED.signatures})

# What the laboratory made up: nothing of it may stand in a pattern.
INVENTED = (
    "orders", "customers", "invoices", "order_items", "order_events", "coupon", "discount_cents", "total_cents",
    "uq_customers_email", "ck_orders_total", "fk_orders_customer", "orders_rw", "orders_prod", "orders_shared",
    "orders-db", "orders-bd", "orders-mysql", "redis-cache", "orders-api", "paymets", "partition-helper",
    "legacy_total",     "failed_jobs", "permission_denied_log", "schema_version", "example.org", "SUMMER", "B-7",
    "10.96.", "10.97.", "10.99.",
)  # fmt: skip


def test_they_pass_the_check_that_users_own_files_pass() -> None:
    assert len(parse_signatures(sources()).signatures) == len(SHIPPED.signatures)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_sample_is_found_as_a_log_prints_it(family: str) -> None:
    own = [signature for signature in SHIPPED.signatures if signature.id.partition(".")[0] == family]
    samples = [(signature.id, sample) for signature in own for sample in signature.samples]
    assert [s for s in samples if s[0] not in {m.signature.id for m in SHIPPED.matches(read(s[1]).body)}] == []
    printed = [form for _, sample in samples for form in as_printed(sample)]
    assert [line for line in printed if not SHIPPED.scan_line(line)] == []


def as_printed(sample: str) -> tuple[str, str, str]:
    return sample, f"2026-11-21T10:00:00.5Z {sample}", json.dumps({"msg": sample}, ensure_ascii=False)


def test_every_fact_has_a_source() -> None:
    facts = {s.id: s.source for s in SHIPPED.signatures} | {t.name: t.source for t in SHIPPED.tools.values()}
    assert [name for name, source in facts.items() if not source.startswith("https://")] == []


def test_no_pattern_holds_a_name_that_the_corpus_made_up() -> None:
    labels = [json.loads(line) for line in (CORPUS / "labels.jsonl").read_text().splitlines()]
    slugs = {re.sub(r"^[\dV_]*|\.\w+$", "", str(label["migration"])) for label in labels if label["migration"]}
    words = {*INVENTED, *(slug for slug in slugs if len(slug) > 6)}
    found = {(s.id, word) for s in SHIPPED.signatures for word in words if word.lower() in s.pattern.lower()}
    assert found == set()


def test_every_cause_from_a_log_has_advice_that_ends_in_an_act() -> None:
    causes = {s.category for s in SHIPPED.signatures if s.says is Says.FAILURE and s.category}
    causes |= {category for table in SHIPPED.tables.values() for category in table.values()} | {Category.KILLED}
    assert {category for category in causes if not SHIPPED.advice.get(category)} == set()


def test_the_corpus_is_judged_as_well_as_it_was() -> None:
    found = {name: (count, of) for name, (count, of, _) in measures(judge()).items()}
    assert found["safe though something was left (0)"][0] == 0
    assert found["safe though it fails again (1 %)"][0] == 0
    assert found["category right"][0] >= 219
    assert found["safe found where it is"][0] >= 50
    assert found["state left right"][0] >= 212
    assert found["migration right"][0] >= 112
    assert found["successes called none"] == (34, 34)
    assert found["named where it is stated (99 %)"] == (213, 213)
    assert found["key line shown"][0] >= 210
    assert found["certain is right (99 %)"][0] >= 0.99 * found["certain is right (99 %)"][1]
    assert found["likely is right (90 %)"][0] >= 0.9 * found["likely is right (90 %)"][1]


def test_tools_of_which_the_corpus_has_none_are_judged_well() -> None:
    found = {name: (count, of) for name, (count, of, _) in measures(judge(CORPUS / "more")).items()}
    right, failures = found["category right"]
    assert (right, found["successes called none"][0] > 0) == (failures, True)
    assert found["safe though something was left (0)"][0] == 0
    assert found["safe though it fails again (1 %)"][0] == 0
    assert found["safe found where it is"][0] >= 0.7 * found["safe found where it is"][1]
    assert found["state left right"][0] >= 0.9 * found["state left right"][1]
    assert found["migration right"][0] >= 0.95 * found["migration right"][1]
    assert found["key line shown"][0] >= 0.95 * found["key line shown"][1]


def test_a_diagnosis_can_be_stored() -> None:
    diagnosis = judge()[0].found
    assert msgspec.json.decode(msgspec.json.encode(diagnosis), type=type(diagnosis)) == diagnosis


# What anybody's own program may print. Taken for a tool's, it would say what a transaction covers that nobody began.
ORDINARY = (
    "Running migration 20240101_users", "Applying 001_init.sql...", "Applying migration 001_init.sql...",
    "Applying: 001_init.sql", "ERROR 001_init.sql: boom", "Running migrations:", "Running migrations...",
    "Migrating: users", "Nothing to migrate", 'migration file "001_init.sql" failed', "Migration failed: boom",
    "Migration failed: 001_users", "Migrating schema app to version 12", "migration failed: boom",
    "Error executing script: 001_init.sql", "Running '001_init.sql'", "!!! FAILED", "Applying migration '001_init'",
    'failed to execute migration "001_init"', "Unable to migrate: boom", "Error loading migrations: boom",
    "apply failed: boom", "Could not apply migrations: boom", "error executing 20240101000000_x.sql: boom",
    "Applying 001_init.js", "could not connect to postgres: timeout", 'Migration "users" failed',
    "Error during migration run: boom", "query: ALTER TABLE x", 'upgrade from version "3" failed',
    "Migrating to version 12 (from 11)", "An exception occurred while executing the migration",
    "Migration name: 001_users", "Migration `001` failed", "Deploy failed", "Processing 'Migration001'",
    "Failed to run 001_init.sql with exit code 3", "Waiting for database...", "unable to connect to database: x",
)  # fmt: skip


@pytest.mark.parametrize("words", ORDINARY)
def test_ordinary_words_are_no_tools_own(words: str) -> None:
    log = f"{words}\npsycopg2.errors.DeadlockDetected: deadlock detected\n"
    found = diagnose_text(log, SHIPPED, exit_code=1)
    assert (found.tool, found.category, found.retry) == (None, Category.DEADLOCK, Retry.UNKNOWN)
