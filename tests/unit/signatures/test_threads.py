"""What tools and applications beyond the corpus print, in the formats of public threads (`threads.yaml`)."""

from pathlib import Path

import msgspec
import pytest
import yaml

from responder.core.diagnosis import diagnose_text
from responder.core.failure import Category, Retry
from tests.bench.diagnose import shipped


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    case: str
    log: str
    category: Category
    tool: str | None = None
    exit_code: int = 1
    retry: Retry | None = None


SHIPPED = shipped()
CASES = msgspec.convert(
    yaml.load((Path(__file__).parent / "threads.yaml").read_bytes(), Loader=yaml.CSafeLoader),
    tuple[Case, ...],
)
PASSING = {
    Category.CONNECTION_REFUSED, Category.CONNECTION_TIMEOUT, Category.DNS_FAILURE, Category.TOO_MANY_CONNECTIONS,
    Category.LOCK_TIMEOUT, Category.DEADLOCK, Category.SERVER_SHUTDOWN, Category.MIGRATION_LOCK_HELD,
}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.case)
def test_the_cause_is_named_and_nothing_lasting_is_safe(case: Case) -> None:
    found = diagnose_text(case.log, SHIPPED, exit_code=case.exit_code)
    assert (found.category, found.tool if case.tool else None) == (case.category, case.tool)
    assert found.retry is not Retry.SAFE or case.category in PASSING
    assert case.retry in (None, found.retry)


def test_each_case_is_another() -> None:
    assert len({case.case for case in CASES}) == len({case.log for case in CASES}) == len(CASES) > 200
