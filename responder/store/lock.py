"""One process a store: a second one would undo what the first believes to be true."""

import fcntl
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from responder.ports import StoreError


class Lock:
    """Held by the kernel on ``<db>.lock`` and gone with the process, however that ends; the file itself stays."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".lock")
        self._fd = -1

    def acquire(self) -> None:
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{self._path}: {error.strerror}: is its folder there and ours?") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(fd, 300, 0).decode(errors="replace").strip() or "not known yet"
            os.close(fd)
            raise StoreError(
                f"the store is in use by another responder (pid {holder}; {self._path}): SQLite takes one process"
            ) from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()} on {socket.gethostname()}".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()
