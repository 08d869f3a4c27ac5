"""Logs after which the same run must not be repeated by itself, though their cause looks as if it passes: something may
stay, or the same run fails again. Shaped as the tools and databases print."""

from pathlib import Path

import pytest

from responder.core.diagnosis import diagnose_text
from responder.core.failure import Retry
from tests.bench.diagnose import shipped

# "#### why", then the log as it was printed; "#### 137: why" for another exit code than 1.
CASES = (Path(__file__).parents[2] / "data" / "never-safe.txt").read_text().removeprefix("#### ").split("\n#### ")


@pytest.mark.parametrize("case", CASES, ids=[case.partition("\n")[0] for case in CASES])
def test_is_never_safe_because(case: str) -> None:
    why, _, log = case.partition("\n")
    code = why.partition(":")[0]
    found = diagnose_text(log, shipped(), exit_code=int(code) if code.isdigit() else 1)
    assert found.retry is not Retry.SAFE
    assert found.category != "none"
