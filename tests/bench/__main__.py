"""``make bench``: what the design promises in numbers, measured here and now. ``make bench ARGS=scan``: that one.

Each bench is a process of its own and prints what was measured, how often, and the spread. Other work on the machine
makes every number worse. The last two take most of an hour each; ``python -m tests.bench.kills 100`` is a tenth of it.
"""

import platform
import subprocess
import sys
import time
from os import cpu_count

import msgspec


class Bench(msgspec.Struct, frozen=True):
    name: str
    goal: str
    arguments: tuple[str, ...] = ()


BENCHES = (
    Bench("store", "what was committed survives kill -9; commits a second"),
    Bench("web", "webhook p99 20 ms; intake 0.40 / 0.30, gate 0.5 and p99 5 ms, /metrics 50 ms and 5,000 series"),
    Bench("follow", "200 logs: 0.5 of reading and discarding them, 100 MB, loop held 25 ms at most"),
    Bench("scan", "1.0 of ripgrep with the same patterns"),
    Bench("redaction", "no line, however hostile, takes more than linear time"),
    Bench("listing", "20 times as fast as json.loads; 25 MB for 10,000, 1.3 KB each of 50,000"),
    Bench("plan", "plan() under 1 ms with 100 rules, and what it takes with 500; 500 wake-ups a second"),
    Bench("incidents", "10,000 open incidents: memory; what a step and the gate take among them"),
    Bench("startup", "diagnose 0.4 s; idle service 100 MB"),
    Bench("diagnose", "never retry: safe where something was left behind"),
    Bench("invariants", "I1 to I12 hold in 50,000 nights, whose seed is printed; about an hour"),
    Bench("kills", "acknowledged wake-ups lost: 0, acts doubled: 0, over 1,000 kills; most of an hour"),
)


def main(names: list[str]) -> int:
    known = {bench.name: bench for bench in BENCHES}
    if unknown := [name for name in names if name not in known]:
        print(f"no such bench: {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    print(f"{cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}")
    failed = 0
    for bench in [known[name] for name in names] or BENCHES:
        print(f"\n== {bench.name}: {bench.goal}", flush=True)
        began = time.monotonic()
        command = [sys.executable, "-m", f"tests.bench.{bench.name}", *bench.arguments]
        failed += subprocess.run(command, check=False).returncode != 0
        print(f"({time.monotonic() - began:.0f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
