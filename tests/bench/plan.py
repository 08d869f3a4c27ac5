"""Deciding: ``plan()`` on a typical incident under 100 and 500 rules, and whole steps of the reconciler for it."""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import msgspec

from responder.core.argocd import AppKey
from responder.core.plan import plan
from responder.core.rulesfile import parse_rules
from responder.core.situation import Situation
from responder.demo.recording import read_recording
from responder.demo.replay import Replay
from tests.replay.recorded import RECORDINGS

NAME = "s05b-retry-dirty-version"  # one operation, four attempts, four logs, four decisions
RULES = (100, 500)
PLANS, STEPS, ROUNDS = 300, 100, 5


def rules(count: int) -> str:
    """The last one matches: every condition of all others is tried."""
    others = "".join(
        f"  - name: rule {n}\n    when: {{category: [deadlock, lock-timeout], project: [team-{n}-*]}}\n"
        "    do: [{resync: {delay: 30s}}]\n"
        for n in range(count - 1)
    )
    last = (
        "  - name: half applied\n    when: {state_left: [partial, dirty]}\n    do: [{stop-retries: {}}, {alert: {}}]\n"
    )
    return f"version: 1\ndefaults: {{mode: live, budget: 2, cooldown: 2m}}\nrules:\n{others}{last}"


class Measured(msgspec.Struct, frozen=True):
    plans: dict[int, list[float]]  # seconds of one plan, by round, under so many rules
    steps: list[float]  # of one step


async def measured(folder: Path) -> Measured:
    replay = Replay(read_recording(RECORDINGS / NAME))
    async with replay.running(folder) as responder:
        await replay.play()
        key = AppKey("argocd", NAME)
        plans: dict[int, list[float]] = {}
        for count in RULES:
            book = parse_rules(rules(count), "rules.yaml", frozenset())
            held = msgspec.structs.replace(responder.reconciler._rules(), rulebook=book)
            responder.reconciler._rules = lambda held=held: held  # type: ignore[misc] # bound at once
            situation = await responder.reconciler.loader.situation(key, held)
            plans[count] = [_plan_for(situation) for _ in range(ROUNDS)]
        steps = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            for _ in range(STEPS):
                await responder.reconciler.step(key)
            steps.append((time.perf_counter() - began) / STEPS)
    return Measured(plans, steps)


def _plan_for(situation: Situation) -> float:
    began = time.perf_counter()
    for _ in range(PLANS):
        plan(situation)
    return (time.perf_counter() - began) / PLANS


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="plan-") as folder:
        found = asyncio.run(measured(Path(folder)))
    for count, seconds in found.plans.items():
        ms = [1000 * one for one in seconds]
        print(f"plan() under {count} rules: {statistics.median(ms):.2f} ms ({min(ms):.2f} to {max(ms):.2f})")
    rates = [1 / seconds for seconds in found.steps]
    told = f"{statistics.median(rates):,.0f} a second ({min(rates):,.0f} to {max(rates):,.0f})"
    print(f"steps of an open incident under {RULES[-1]} rules: {told}")
    print(f"{ROUNDS} rounds of {PLANS} plans and {STEPS} steps on {NAME}")


if __name__ == "__main__":
    main()
