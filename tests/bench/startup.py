"""How long ``responder diagnose`` takes to start, and what ``responder serve`` holds while nothing happens.

The service runs twice: as pip installs it, and with the bytecode that the image has, without the Kubernetes client's
docstrings.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import sysconfig
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
_ROOT = Path(__file__).parents[2]


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


def make_bytecode(folder: Path) -> None:
    """Of all that processes started from now on import, as ``Dockerfile`` makes it."""
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what they import of Python's own library, they compile
    libraries = (sysconfig.get_path("purelib"), _ROOT / "responder")
    subprocess.run([sys.executable, _ROOT / "deploy/bytecode.py", *libraries], check=True)


def measure_idle(how: str) -> None:
    idle_once()  # compiles
    ready, memory = idle_once()
    print(f"serve, {how}: ready after {ready:.2f} s, {memory:.0f} MiB resident after {_IDLE_SECONDS:g} s of nothing")


def idle_once() -> tuple[float, float]:
    with tempfile.TemporaryDirectory(prefix="startup-") as folder:
        return asyncio.run(idle(Path(folder)))


def main() -> None:
    diagnose()  # bytecode is compiled
    took = [diagnose() for _ in range(ROUNDS)]
    print(
        f"diagnose, start to end: {statistics.median(took):.2f} s ({min(took):.2f} to {max(took):.2f}), {ROUNDS} runs"
    )
    measure_idle("as pip installs it")
    with tempfile.TemporaryDirectory(prefix="bytecode-") as folder:
        make_bytecode(Path(folder))
        measure_idle("as the image has it")


if __name__ == "__main__":
    main()
