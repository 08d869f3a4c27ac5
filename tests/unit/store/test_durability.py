import random
from pathlib import Path

from tests.bench.store import killed_round

ROUNDS = 8


async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    chance = random.Random(20261121)  # noqa: S311  # moments, no secrets
    for round_number in range(ROUNDS):
        folder = tmp_path / str(round_number)
        folder.mkdir()
        acknowledged, lost = await killed_round(folder, after=chance.randrange(1, 400))
        assert acknowledged > 0
        assert lost == set()
