"""How long ``responder diagnose`` takes to start, and what ``responder serve`` holds while nothing happens."""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from responder.demo.api import Api
from responder.demo.apiserver import ApiServer
from responder.demo.objects import Objects
from responder.demo.settings import prepare
from responder.wallclock import WallClock
from tests.service.process import Service, write_config

ROUNDS = 9
_IDLE_SECONDS = 5.0
_LOG = "ERROR: relation users already exists (SQLSTATE 42P07)\n"


def diagnose() -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "responder", "diagnose", "--json", "--exit-code", "1", "-"],
        input=_LOG, text=True, capture_output=True, check=True,
    )  # fmt: skip
    return time.perf_counter() - began


async def idle(folder: Path) -> tuple[float, float]:
    """Seconds until it is ready, and MiB resident after a while."""
    objects = Objects(WallClock())
    prepare(objects, [])
    async with ApiServer(Api(objects)) as server:
        service = Service(write_config(folder, server.url, "version: 1\nrules: []\n"))
        began = time.perf_counter()
        async with service:
            await service.until_ready()
            took = time.perf_counter() - began
            await asyncio.sleep(_IDLE_SECONDS)
            return took, resident(service.pid)


def resident(pid: int) -> float:
    """MiB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def main() -> None:
    diagnose()  # bytecode is compiled
    took = [diagnose() for _ in range(ROUNDS)]
    print(
        f"diagnose, start to end: {statistics.median(took):.2f} s ({min(took):.2f} to {max(took):.2f}), {ROUNDS} runs"
    )
    with tempfile.TemporaryDirectory(prefix="startup-") as folder:
        ready, memory = asyncio.run(idle(Path(folder)))
    print(f"serve: ready after {ready:.2f} s, {memory:.0f} MiB resident after {_IDLE_SECONDS:g} s of nothing; one run")


if __name__ == "__main__":
    main()
