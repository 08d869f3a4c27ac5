"""I1 to I12 on 50,000 nights: ``python -m tests.bench.invariants [examples] [seed]``. A failure prints its night."""

import logging
import secrets
import sys
import time

from hypothesis import seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.invariants.test_machine import Night, played
from tests.invariants.test_waves import Recovery

EXAMPLES = 50_000
_BATCH = 1_000  # the engine keeps every night that it has drawn


def main(examples: int = EXAMPLES, start: int | None = None) -> None:
    begun, first = time.perf_counter(), secrets.randbelow(1 << 32) if start is None else start
    logging.disable(logging.CRITICAL)
    sys.stdout.write(f"invariants: {examples} nights, seed {first}\n")
    shares: tuple[tuple[type[RuleBasedStateMachine], int], ...] = (
        (Night, examples * 9 // 10),
        (Recovery, examples // 10),
    )
    for machine, count in shares:
        for done in range(0, count, _BATCH):
            _play(machine, min(_BATCH, count - done), first + done)
            sys.stdout.write(f"  {machine.__name__}: {min(done + _BATCH, count)} of {count}\n")
            sys.stdout.flush()
    sys.stdout.write(f"invariants: nothing broken in {time.perf_counter() - begun:.0f} s\n")


def _play(machine: type[RuleBasedStateMachine], examples: int, number: int) -> None:
    run_state_machine_as_test(
        seed(number)(machine),
        settings=settings(played(examples), stateful_step_count=16, database=None, print_blob=True),
    )


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
