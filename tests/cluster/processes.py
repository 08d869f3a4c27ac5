"""A program of the cluster, as a process that can be stopped, frozen and started again, and that never outlives us."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import aiohttp

from tests.cluster.kubernetes import Kubernetes

_PATIENCE = 60.0  # seconds until a program must be ready
Probe = Callable[[], Awaitable[bool]]


class NotReadyError(RuntimeError):
    """Names the program, what became of it, and the end of its log."""


class Process:
    def __init__(
        self,
        name: str,
        command: Sequence[object],
        *,
        log: Path,
        probe: Probe,
        environment: Mapping[str, str] | None = None,
        user: str = "",
        end: signal.Signals = signal.SIGTERM,
        grace: float = 10.0,  # seconds that this end gets
    ) -> None:
        self.name = name
        self.started_in = 0.0  # seconds until it was ready, the last time
        self._command = [*tether(user), *map(str, command)]
        self._log = log
        self._probe = probe
        self._environment = environment
        self._end = end
        self._grace = grace
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    async def start(self) -> None:
        """Until it is ready."""
        started = time.monotonic()
        environment = {**os.environ, **(self._environment or {})}
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self._log.parent,
                start_new_session=True,  # Ctrl-C on the terminal is for us alone; we stop them in order
            )
        await self._ready()
        self.started_in = time.monotonic() - started

    async def _ready(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                while not await self._probe():
                    if self.pid is None:
                        raise NotReadyError(f"{self.name} ended before it was ready. {self._last_words()}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise NotReadyError(f"{self.name} was not ready after {_PATIENCE:.0f} s. {self._last_words()}") from None

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join([f"The end of {self._log}:", *lines[-15:]])

    async def stop(self, how: signal.Signals | None = None) -> None:
        """Until it is gone; SIGKILL when it takes its time. One that is frozen is let go first."""
        if self._process is None or self.pid is None:
            return
        self.signal(signal.SIGCONT)
        self._process.send_signal(how or self._end)
        try:
            await asyncio.wait_for(self._process.wait(), self._grace)
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """To it and to whatever it started, which may stand in sessions of their own."""
        if self.pid is not None:
            for pid in [self.pid, *descendants(self.pid)]:
                with suppress(ProcessLookupError):  # it ended just now
                    os.kill(pid, number)

    def memory(self) -> int:
        """Resident bytes, of it and of whatever it started."""
        if self.pid is None:
            return 0
        return sum(_resident(pid) for pid in [self.pid, *descendants(self.pid)])


def tether(user: str = "") -> list[str]:
    """``setpriv`` becomes the program: it dies when the thread that started it does, so we start from the main one."""
    other = user and os.geteuid() == 0
    return ["setpriv", "--pdeathsig", "KILL", *(["--reuid", user, "--regid", user, "--init-groups"] if other else [])]


def descendants(pid: int) -> Iterator[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return  # it ended just now
    for child in children:
        yield child
        yield from descendants(child)


def _resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


class Ports:
    """Free ports, no two the same. Held until all are chosen: what is given back at once is given out again."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def free(self) -> int:
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        self._held.append(held)
        port: int = held.getsockname()[1]
        return port

    def release(self) -> None:
        for held in self._held:
            held.close()


def listens(port: int) -> Probe:
    async def probe() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    return probe


def is_there(kubernetes: Kubernetes, where: str) -> Probe:
    async def probe() -> bool:
        return await kubernetes.get(where) is not None

    return probe


def answers(session: aiohttp.ClientSession, url: str) -> Probe:
    async def probe() -> bool:
        try:
            async with session.get(url, timeout=aiohttp.ClientTimeout(total=2)) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    return probe
