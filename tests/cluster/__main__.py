"""The real cluster, by hand or for its tests: ``python -m tests.cluster up``, or ``run`` with arguments for pytest."""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.cluster import figures
from tests.cluster.binaries import Binaries, MissingBinariesError, check_machine, find_binaries
from tests.cluster.cluster import Cluster, started
from tests.cluster.databases import DatabaseError
from tests.cluster.processes import NotReadyError, tether
from tests.cluster.recording import VARIABLE as RECORDED
from tests.cluster.running import ABSENT, VARIABLE, Running
from tests.cluster.toolbox import ToolboxError, find_python

_STORIES, _CONTRACT = "tests/cluster", "tests/contract/kubernetes"
_WRITERS = ("argocd-application-controller", "argocd-notifications")  # they write to every Application they see
_PATIENT = ("-o", "timeout=180")  # every wait has a shorter deadline of its own
_TOGETHER = ("-n", "4", "--dist", "worksteal", *_PATIENT, "-m", "real_cluster and not alone")
_ALONE = ("-p", "no:xdist", *_PATIENT, "-m", "real_cluster and alone")
_NONE_CHOSEN = 5  # what pytest answers when no test was chosen


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave logs and data where they are")
    parser.add_argument("--record", type=Path, metavar="DIR", help="write down what happens in each story, for replays")
    parser.add_argument("act", choices=["build", "up", "run"], help="only build its programs; run it; run its tests")
    chosen, for_pytest = parser.parse_known_args(arguments)
    try:
        check_machine()
        binaries = find_binaries()
        if chosen.act != "up":
            find_python()
    except (MissingBinariesError, ToolboxError) as error:
        return _without_binaries(str(error), skippable=chosen.act == "run")
    if chosen.act == "build":
        print(binaries.folder)
        return 0
    if chosen.record:
        os.environ[RECORDED] = str(chosen.record.absolute())
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    folder.chmod(0o711)  # PostgreSQL and MariaDB run as users of their own
    ended_well = False
    try:
        code = asyncio.run(_up(folder, binaries) if chosen.act == "up" else _run(folder, binaries, for_pytest))
        ended_well = code == 0
    except* (NotReadyError, DatabaseError) as group:
        print(*_causes(group), sep="\n", file=sys.stderr)
        code = 1
    if ended_well and not chosen.keep:
        shutil.rmtree(folder)
    else:
        print(f"logs and data are left in {folder}")
    return code


def _causes(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _causes(one)
    else:
        yield error


def _without_binaries(why: str, *, skippable: bool) -> int:
    """Pytest skips each test with this reason, and counts. In CI nothing is skipped in silence."""
    if not skippable or os.environ.get("CI"):
        print(f"no real cluster: {why}", file=sys.stderr)
        return 1
    environment = {**os.environ, ABSENT: why}
    return asyncio.run(_pytest(environment, [*_TOGETHER[2:], _STORIES]))


async def _up(folder: Path, binaries: Binaries) -> int:
    async with started(folder, binaries) as cluster:
        running = cluster.running
        print(f"export {VARIABLE}={folder / 'cluster.json'}")
        print(f"export KUBECONFIG={running.kubeconfig}   # {binaries.path('kubectl')} get applications -A")
        print(f"Argo CD {running.argocd_url}, git {running.git_url} (below {running.git_root})")
        print(f"{running.postgres}\n{running.mariadb}\nCtrl-C ends it", flush=True)
        await _interrupted()
    return 0


async def _interrupted() -> None:
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()


async def _run(folder: Path, binaries: Binaries, for_pytest: Sequence[str]) -> int:
    """First the contract, while Argo CD stands still; then the stories that run side by side; then those that need the
    cluster for themselves. Tests that are named by their files run as stories do."""
    stories = list(for_pytest) if _named(for_pytest) else [_STORIES, *for_pytest]
    async with started(folder, binaries) as cluster:
        environment = _environment(cluster.running)
        codes = []
        if not _named(for_pytest):
            with _still(cluster):
                codes.append(await _phase("of the contract", environment, [*_TOGETHER, _CONTRACT, *for_pytest]))
        codes.append(await _phase("side by side", environment, [*_TOGETHER, *stories]))
        codes.append(await _phase("one at a time", environment, [*_ALONE, *stories]))
        _print_figures(cluster, Path(environment[figures.VARIABLE]))
    return max(code for code in codes if code != _NONE_CHOSEN) if set(codes) != {_NONE_CHOSEN} else _NONE_CHOSEN


async def _phase(name: str, environment: Mapping[str, str], arguments: Sequence[str]) -> int:
    print(f"\n== tests {name}", flush=True)
    began = time.monotonic()
    code = await _pytest(environment, arguments)
    figures.record(f"tests {name}", time.monotonic() - began, environ=environment)
    return code


@contextmanager
def _still(cluster: Cluster) -> Iterator[None]:
    """Else a version that a case has just read is an old one by chance."""
    for name in _WRITERS:
        cluster.programs[name].signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for name in _WRITERS:
            cluster.programs[name].signal(signal.SIGCONT)


def _named(for_pytest: Sequence[str]) -> bool:
    return any(Path(one.partition("::")[0]).exists() for one in for_pytest)


def _environment(running: Running) -> Mapping[str, str]:
    return {
        **os.environ,
        VARIABLE: str(running.folder / "cluster.json"),
        figures.VARIABLE: str(running.folder / "figures.jsonl"),
        "RESPONDER_TEST_KUBERNETES_URL": running.url,
        "RESPONDER_TEST_KUBERNETES_TOKEN": running.token,
        "RESPONDER_TEST_KUBERNETES_CA": str(running.ca),
    }


async def _pytest(environment: Mapping[str, str], arguments: Sequence[str]) -> int:
    process = await asyncio.create_subprocess_exec(
        *tether(), sys.executable, "-m", "pytest", *arguments, env=environment
    )
    return await process.wait()


def _print_figures(cluster: Cluster, file: Path) -> None:
    print("\n== figures")
    for program in cluster.programs.values():
        print(f"{program.name:28} ready in {program.started_in:5.1f} s, {program.memory() / 2**20:6.0f} MiB")
    print("\n".join(figures.table(figures.read_figures(file))), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
