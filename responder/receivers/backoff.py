"""How long a receiver that failed is left alone."""

import random

SHORTEST = 1.0
LONGEST = 60.0  # so that a receiver that is back after hours is told within a minute


def backoff(failures: int, retry_after: float | None = None) -> float:
    """Seconds: doubling, with jitter, never earlier than the receiver asked for."""
    bound = min(LONGEST, SHORTEST * 2.0 ** min(max(failures, 1) - 1, 16))
    return max(bound * random.uniform(0.5, 1.0), retry_after or 0.0)  # noqa: S311 - spreads load, guards nothing
