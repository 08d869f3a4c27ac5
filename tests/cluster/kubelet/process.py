"""One run of a container: a process of its own session under a shim, its output written to a log."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.cluster.kubelet.logs import Log

_SHIM: Final = Path(__file__).with_name("shim.py")
_BLOCK: Final = 64 << 10
_START_SECONDS: Final = 60.0


class StartError(Exception):
    """The command did not come to run."""


class Process:
    """``on_output`` sees each block of bytes after it is in the log."""

    def __init__(self, specification: dict[str, Any], log: Log, on_output: Callable[[bytes], None]) -> None:
        self._specification = specification
        self._log = log
        self._on_output = on_output
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Raises StartError; the log is closed then."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours, theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", str(_SHIM), str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                pass_fds=[theirs.fileno()], start_new_session=True,
            )  # fmt: skip
            theirs.close()
            trouble = await self._hand_over(ours)
        if trouble:
            await self._process.wait()
            self._log.close()
            raise StartError(trouble)

    async def _hand_over(self, ours: socket.socket) -> str:
        """What the shim says is wrong; nothing when the command runs, which closes the socket."""
        loop = asyncio.get_running_loop()
        told = b""
        try:
            async with asyncio.timeout(_START_SECONDS):
                await loop.sock_sendall(ours, json.dumps(self._specification).encode() + b"\n")
                while data := await loop.sock_recv(ours, 4096):
                    told += data
        except (OSError, TimeoutError) as error:
            self.kill()
            return f"the shim ended or hangs: {error!r}"
        return told.decode(errors="replace")

    async def wait(self) -> int:
        """The exit code, as a runtime tells it, when all output is in the log."""
        process = self._process
        assert process is not None
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pump(process.stdout, b"stdout"))
            group.create_task(self._pump(process.stderr, b"stderr"))
            code = await process.wait()
        self._log.close()
        return code if code >= 0 else 128 - code

    async def _pump(self, source: asyncio.StreamReader | None, stream: bytes) -> None:
        assert source is not None
        while data := await source.read(_BLOCK):
            self._log.write(stream, data)
            self._on_output(data)

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """The shim passes it on as SIGKILL, and so lives to tell the exit code."""
        self._signal(signal.SIGUSR1)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)
