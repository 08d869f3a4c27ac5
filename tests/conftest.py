"""What holds for every test: traffic stays on this machine, and no test skips in silence."""

import gc
import ipaddress
import os
import socket
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A slow machine is no failure; what must be fast is measured in tests/bench.
settings.register_profile("responder", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("responder")


# Nobody out there is spoken to: reading the system's 140 authorities for each client would take 20 ms.
os.environ |= {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}


class OutsideTrafficError(Exception):
    """No OSError on purpose: code that survives a lost network must not hide it."""


def _is_loopback(host: object) -> bool:
    if host in (None, "", "localhost", b"localhost"):
        return True
    name = host.decode() if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _loopback_only(event: str, args: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.bind", "socket.sendto"):
        connection, address = args[0], args[-1]
        family = getattr(connection, "family", None)
        if family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
            return
        host: object = address[0]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = args[0]
    else:
        return
    if not _is_loopback(host):
        raise OutsideTrafficError(f"{event} {host}: tests speak to loopback only")


sys.addaudithook(_loopback_only)  # sees every socket of this process, however it is made


class Skips:
    """Holds each skip against tests/skips.txt."""

    def __init__(self, listed: frozenset[str]) -> None:
        self.listed = listed
        self.unlisted: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and report.nodeid not in self.listed:
            self.unlisted[report.nodeid] = report.longreprtext

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unlisted and os.environ.get("CI") and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for nodeid, reason in self.unlisted.items():
            terminalreporter.write_line(f"skipped and not in tests/skips.txt: {nodeid} {reason}", red=True)


def read_skips(text: str) -> frozenset[str]:
    """Ids of the tests that may skip. A line without a reason counts for nothing."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    pairs = (line.partition(" # ") for line in lines)
    return frozenset(nodeid.strip() for nodeid, _, reason in pairs if reason.strip())


# What takes seconds, the longest first.
_LONG = ("tests/service/", "tests/invariants/", "tests/replay/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests begin first, dealt to all workers: begun last, or all by one, they would keep the others waiting.

    ``--dist worksteal`` gives each worker an equal part of the list to begin with, the last ones the odd tests.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = sorted((item for item in items if item.nodeid.startswith(_LONG)), key=_length)
    others = [item for item in items if not item.nodeid.startswith(_LONG)]
    end = len(items)
    items.clear()
    for worker in range(workers):
        hand = long[worker::workers]
        part = (end - len(items)) // (workers - worker)
        items += [*hand, *others[: part - len(hand)]]
        del others[: part - len(hand)]


def _length(item: pytest.Item) -> int:
    return next(place for place, folder in enumerate(_LONG) if item.nodeid.startswith(folder))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What was collected stays to the end: the garbage collector need not walk through it again with every test."""
    gc.collect()
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    gc.set_threshold(20_000, 20, 20)  # else a sixth of all the time goes into looking for garbage
    if hasattr(config, "workerinput"):
        return  # the controller sees the reports of all workers
    listed = read_skips(Path(__file__).with_name("skips.txt").read_text(encoding="utf-8"))
    config.pluginmanager.register(Skips(listed), "skips")
