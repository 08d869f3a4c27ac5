"""``kill -9`` at random moments of the real process: acknowledged wake-ups lost, acts doubled. Both must be 0.

``python -m tests.bench.kills [N]``: half of the N kills while it takes webhooks, half while it acts. About 2 s each.
"""

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from tests.service.killing import act, take

KILLS = 1000
_A_STORY = 9  # kills within one story; one more when it is over


class Counted(msgspec.Struct):
    taking: int = 0
    acknowledged: int = 0
    lost: int = 0
    acting: int = 0
    acts: int = 0
    doubled: int = 0
    unknown: int = 0  # the process died between the record and the answer: escalated, not repeated
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        return not self.lost and not self.doubled


async def count(kills: int, *, seed: int) -> Counted:
    counted, chance, began = Counted(), random.Random(seed), time.perf_counter()  # noqa: S311 - when to kill is no secret
    for _ in range(kills // 2):
        with tempfile.TemporaryDirectory(prefix="kills-") as folder:
            acknowledged, lost = await take(Path(folder), chance)
        counted.taking += 1
        counted.acknowledged += acknowledged
        counted.lost += lost
        _progress(counted, kills)
    while counted.acting < kills - kills // 2:
        with tempfile.TemporaryDirectory(prefix="kills-") as folder:
            came = await act(Path(folder), chance, kills=min(_A_STORY, kills - kills // 2 - counted.acting - 1))
        counted.acting += came.kills
        counted.acts += sum(came.operations.values()) + came.stops
        counted.doubled += sum(n - 1 for n in came.operations.values()) + max(0, came.stops - 1)
        counted.unknown += came.unknown
        _progress(counted, kills)
    counted.seconds = time.perf_counter() - began
    return counted


def _progress(counted: Counted, kills: int) -> None:
    print(f"\r{counted.taking + counted.acting} of {kills}", end="", file=sys.stderr, flush=True)


def main(kills: int = KILLS, seed: int | None = None) -> Counted:
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    print(f"seed {seed}", flush=True)
    counted = asyncio.run(count(kills, seed=seed))
    print(f"\n{counted.taking} kills while it took webhooks: {counted.acknowledged} acknowledged, {counted.lost} lost")
    print(
        f"{counted.acting} kills while it acted: {counted.acts} acts, {counted.doubled} doubled,"
        f" {counted.unknown} of unknown end (escalated, not repeated)"
    )
    print(f"{counted.seconds:.0f} s")
    return counted


if __name__ == "__main__":
    sys.exit(0 if main(int(sys.argv[1]) if len(sys.argv) > 1 else KILLS).good else 1)
