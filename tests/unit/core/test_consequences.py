"""Later attempts are told as consequences of what the first one left."""

import msgspec

from responder.core.consequences import Told, consequences
from responder.core.failure import Category, Confidence, Diagnosis, Retry, StateLeft


def met(
    category: Category, left: StateLeft = StateLeft.NONE, migration: str | None = None, line: str = ""
) -> Diagnosis:
    return Diagnosis(
        category, Retry.UNKNOWN, "", left, "", Confidence.CERTAIN, migration=migration, key_line=line or None
    )


def attempts(*diagnoses: Diagnosis, operation: int = 1, hook: str = "shop/db-migrate") -> list[Told]:
    return [Told(operation, n, hook, d) for n, d in enumerate(diagnoses, start=1)]


HALF = met(Category.SYNTAX_ERROR, StateLeft.DIRTY)
DIRTY = met(Category.DIRTY_STATE, StateLeft.DIRTY, "42", "Dirty database version 42. Fix and force version.")
AWAY = met(Category.CONNECTION_REFUSED, line="Connection refused")


def test_one_attempt_has_none() -> None:
    assert consequences(attempts(HALF)) == ()


def test_attempts_that_met_the_same_marker_are_one_sentence() -> None:
    assert consequences(attempts(HALF, DIRTY, DIRTY, DIRTY, DIRTY)) == (
        "attempts 2 to 5: refused because attempt 1 left version 42 dirty",
    )


def test_two_attempts_and_a_migration_with_a_name() -> None:
    failed = met(Category.SYNTAX_ERROR, StateLeft.DIRTY, "V3__add.sql")
    refused = met(Category.DIRTY_STATE, StateLeft.DIRTY)

    assert consequences(attempts(failed, refused, refused)) == (
        "attempts 2 and 3: refused because attempt 1 left V3__add.sql dirty",
    )


def test_what_half_of_a_migration_left_is_met_by_the_next() -> None:
    failed = met(Category.LOCK_TIMEOUT, StateLeft.PARTIAL, "0042_orders")
    exists = met(Category.ALREADY_EXISTS, StateLeft.PARTIAL, "0042_orders")

    assert consequences(attempts(failed, exists)) == (
        "attempt 2: met what attempt 1 had left of 0042_orders (already exists)",
    )


def test_a_lock_that_outlived_its_runner() -> None:
    killed = met(Category.KILLED, StateLeft.LOCKED)

    assert consequences(attempts(killed, met(Category.MIGRATION_LOCK_HELD, StateLeft.LOCKED))) == (
        "attempt 2: refused because attempt 1 may still hold the migration lock",
    )


def test_what_left_nothing_behind_explains_nothing() -> None:
    clean = met(Category.CONNECTION_REFUSED)

    assert consequences(attempts(clean, DIRTY)) == (
        "attempt 2: failed otherwise, dirty state: Dirty database version 42. Fix and force version.",
    )


def test_the_same_again_and_another_cause() -> None:
    full = met(Category.DISK_FULL, line="No space left on device")

    assert consequences(attempts(AWAY, AWAY, full, AWAY)) == (
        "attempt 2: failed in the same way (connection refused)",
        "attempt 3: failed otherwise, disk full: No space left on device",
        "attempt 4: failed in the same way (connection refused)",
    )


def test_the_attempt_that_is_named_is_the_one_that_left_it() -> None:
    assert consequences(attempts(AWAY, HALF, DIRTY))[-1] == (
        "attempt 3: refused because attempt 2 left version 42 dirty"
    )


def test_several_operations_are_counted() -> None:
    stale = met(Category.STALE_JOB)
    told = [*attempts(HALF, DIRTY), *attempts(DIRTY, operation=2), Told(3, 1, "shop/db-migrate", stale)]

    assert consequences(told) == (
        "attempt 2 of operation 1: refused because attempt 1 of operation 1 left version 42 dirty",
        "attempt 1 of operation 2: refused because attempt 1 of operation 1 left version 42 dirty",
        "attempt 1 of operation 3: did not run, because the Job of attempt 1 of operation 1 still stood",
    )


def test_several_hooks_are_named() -> None:
    told = [*attempts(AWAY), *attempts(AWAY, hook="shop/seed")]

    assert consequences(told) == ("attempt 1, shop/seed: failed in the same way (connection refused)",)


def test_what_only_does_not_get_on_has_not_failed() -> None:
    waits = met(Category.UNKNOWN, line="shop/db-migrate has been running for longer than the limit, in attempt 2")
    told = [*attempts(AWAY), Told(1, 2, "shop/db-migrate", waits, failed=False)]

    assert consequences(told) == (
        "attempt 2: shop/db-migrate has been running for longer than the limit, in attempt 2",
    )


def test_a_flood_is_cut() -> None:
    differing = [met(Category.CODE_ERROR, line=f"error {n}") for n in range(30)]
    told = consequences(attempts(HALF, *differing))

    assert len(told) == 11
    assert told[-1] == "and 20 more"


def test_they_are_stored_with_the_diagnosis() -> None:
    told = msgspec.structs.replace(HALF, consequences=consequences(attempts(HALF, DIRTY)))

    assert msgspec.json.decode(msgspec.json.encode(told), type=Diagnosis) == told
