"""A handful of kills; ``python -m tests.bench.kills 1000`` does more of the same."""

import random
from pathlib import Path

import pytest

from tests.service.killing import AWAY, HALF, act, take


@pytest.mark.timeout(300)
async def test_acts_are_done_once_however_often_the_process_is_killed(tmp_path: Path) -> None:
    came = await act(tmp_path, random.Random(4), kills=4)  # noqa: S311 - when to kill is no secret

    assert came.kills == 5
    assert all(count == 1 for count in came.operations.values())  # never a second one for one failure
    assert len(came.operations) + came.unknown >= len(AWAY)
    assert came.stops <= 1
    assert {name: len(states) for name, states in came.incidents.items()} == dict.fromkeys((HALF, *AWAY), 1)
    assert came.incidents[HALF] == ["firing"]


async def test_a_webhook_that_was_acknowledged_is_there_after_kill_9(tmp_path: Path) -> None:
    acknowledged, lost = await take(tmp_path, random.Random(7))  # noqa: S311 - when to kill is no secret

    assert acknowledged > 0
    assert lost == 0
