"""Deciding: ``plan()`` on a typical incident under 100 rules, and whole steps of the reconciler for it."""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import msgspec

from responder.core.argocd import AppKey
from responder.core.plan import plan
from responder.core.rulesfile import parse_rules
from responder.demo.recording import read_recording
from responder.demo.replay import Replay
from tests.replay.recorded import RECORDINGS

NAME = "s05b-retry-dirty-version"  # one operation, four attempts, four logs, four decisions
RULES = 100
PLANS, STEPS, ROUNDS = 300, 100, 5


def rules() -> str:
    """The last one matches: every condition of all others is tried."""
    others = "".join(
        f"  - name: rule {n}\n    when: {{category: [deadlock, lock-timeout], project: [team-{n}-*]}}\n"
        "    do: [{resync: {delay: 30s}}]\n"
        for n in range(RULES - 1)
    )
    last = (
        "  - name: half applied\n    when: {state_left: [partial, dirty]}\n    do: [{stop-retries: {}}, {alert: {}}]\n"
    )
    return f"version: 1\ndefaults: {{mode: live, budget: 2, cooldown: 2m}}\nrules:\n{others}{last}"


async def measured(folder: Path) -> tuple[list[float], list[float]]:
    """Seconds of one plan and of one step, by round."""
    replay = Replay(read_recording(RECORDINGS / NAME))
    async with replay.running(folder) as responder:
        await replay.play()
        key = AppKey("argocd", NAME)
        configured = responder._configured
        held = msgspec.structs.replace(configured.rules, rulebook=parse_rules(rules(), "rules.yaml", frozenset()))
        configured.rules = held
        situation = await responder.reconciler.loader.situation(key, held)
        plans, steps = [], []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            for _ in range(PLANS):
                plan(situation)
            plans.append((time.perf_counter() - began) / PLANS)
            began = time.perf_counter()
            for _ in range(STEPS):
                await responder.reconciler.step(key)
            steps.append((time.perf_counter() - began) / STEPS)
    return plans, steps


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="plan-") as folder:
        plans, steps = asyncio.run(measured(Path(folder)))
    ms = [1000 * seconds for seconds in plans]
    print(f"plan() under {RULES} rules: {statistics.median(ms):.2f} ms ({min(ms):.2f} to {max(ms):.2f})")
    rates = [1 / seconds for seconds in steps]
    print(
        f"steps of an open incident: {statistics.median(rates):,.0f} a second ({min(rates):,.0f} to {max(rates):,.0f})"
    )
    print(f"{ROUNDS} rounds of {PLANS} plans and {STEPS} steps on {NAME}")


if __name__ == "__main__":
    main()
