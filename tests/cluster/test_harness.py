"""What starts the cluster, as far as it can be tried without one."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from tests.cluster.binaries import BUILT, MissingBinariesError, find_binaries
from tests.cluster.figures import VARIABLE, read_figures, record, table
from tests.cluster.git import Repository
from tests.cluster.kubernetes import path
from tests.cluster.processes import NotReadyError, Process
from tests.cluster.running import find_running


async def at_once() -> bool:
    return True


async def never() -> bool:
    return False


def test_a_folder_that_lacks_programs_is_refused_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "etcd").touch()
    with pytest.raises(MissingBinariesError, match="lacks kube-apiserver, kube-controller-manager, kubectl, argocd"):
        find_binaries({"RESPONDER_TEST_BIN": str(tmp_path)})


def test_a_folder_that_has_them_all_is_taken_as_it_is(tmp_path: Path) -> None:
    crds = ["application-crd.yaml", "applicationset-crd.yaml", "appproject-crd.yaml"]
    programs = [name for tool in BUILT for name in tool.packages]
    for name in (*programs, *crds, "install.yaml", "git-verify-wrapper.sh"):
        (tmp_path / name).touch()
    binaries = find_binaries({"RESPONDER_TEST_BIN": str(tmp_path)})
    assert binaries.path("argocd") == tmp_path / "argocd"
    assert [file.name for file in binaries.custom_resources] == crds


def test_without_a_cluster_it_is_said_what_to_run() -> None:
    with pytest.raises(LookupError, match="make test-cluster"):
        find_running({})


@pytest.mark.parametrize(
    ("kind", "namespace", "expected"),
    [
        (("v1", "Pod"), "shop", "/api/v1/namespaces/shop/pods"),
        (
            ("networking.k8s.io/v1", "NetworkPolicy"),
            "shop",
            "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies",
        ),
        (("v1", "Namespace"), "shop", "/api/v1/namespaces"),
        (("storage.k8s.io/v1", "StorageClass"), "", "/apis/storage.k8s.io/v1/storageclasses"),
    ],
)
def test_where_objects_are(kind: tuple[str, str], namespace: str, expected: str) -> None:
    assert path(*kind, namespace) == expected


def test_figures_are_gathered_over_processes(tmp_path: Path) -> None:
    file = tmp_path / "figures.jsonl"
    for value in range(1, 101):
        record("hook failed to incident", value / 100, environ={VARIABLE: str(file)})
    [_, line, *_] = table(read_figures(file))
    assert line.split() == ["hook", "failed", "to", "incident", "100", "0.500", "0.990", "1.000", "50.500", "s"]


def test_the_slowest_are_printed_with_their_stories(tmp_path: Path) -> None:
    file = tmp_path / "figures.jsonl"
    for value in range(1, 8):
        story = {"PYTEST_CURRENT_TEST": f"tests/cluster/test_acts.py::test_number_{value} (teardown)"}
        record("hook failed to incident", value, environ={VARIABLE: str(file), **story})
    [_, _, _, first, *others] = table(read_figures(file))
    assert first.split() == ["7.000", "s", "test_number_7"]
    assert len(others) == 4


async def test_a_program_that_ends_at_once_is_shown_with_its_last_words(tmp_path: Path) -> None:
    program = Process("talker", ["sh", "-c", "echo no such flag; exit 2"], log=tmp_path / "log", probe=never)
    with pytest.raises(NotReadyError, match=r"talker ended before it was ready(.|\n)*no such flag"):
        await program.start()


async def test_one_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    stubborn = ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"]
    log = tmp_path / "log"
    program = Process("stubborn", stubborn, log=log, probe=lambda: asyncio.to_thread(_said, log, "up"), grace=0.2)
    await program.start()
    await program.stop()
    assert program.pid is None


def _said(log: Path, what: str) -> bool:
    return what in log.read_text()


async def test_a_program_dies_with_whoever_started_it(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys, time; from pathlib import Path; from tests.cluster.processes import Process\n"
        "log = Path(sys.argv[1])\n"
        "async def is_up(): return 'up' in log.read_text()\n"  # before that it is setpriv, which may not have asked yet
        "child = Process('child', ['sh', '-c', 'echo up; exec sleep 100'], log=log, probe=is_up)\n"
        "asyncio.run(child.start()) or print(child.pid, flush=True) or time.sleep(100)"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(tmp_path / "log"), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child = int(await asyncio.wait_for(parent.stdout.readline(), 30))
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    async with asyncio.timeout(10):
        while _runs(child):  # noqa: ASYNC110 - a grandchild cannot be awaited
            await asyncio.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


async def test_a_repository_has_what_was_committed(tmp_path: Path) -> None:
    root = tmp_path / "repositories"
    root.mkdir()
    repository = Repository(root, "git://127.0.0.1:1", "shop")
    await repository.create()
    first = await repository.commit({"a/hook.yaml": "kind: Job\n", "b.yaml": "kind: Secret\n"})
    second = await repository.commit({"b.yaml": None})
    assert first != second
    assert repository.url == "git://127.0.0.1:1/shop.git"
    assert await repository.files() == ["a/hook.yaml"]
