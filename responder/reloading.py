"""What is made of files that others change while we run: rules, tokens, addresses.

A file is looked at every few seconds, not watched: files of a ConfigMap or a Secret are links to links that are
swapped, and what stands behind them shows by its inode. What is not right changes nothing: the last good one stays.
"""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from responder.config import ConfigError

T = TypeVar("T")

Mark = tuple[tuple[int, int, int, int] | None, ...]  # of each file device, inode, change and size; None: not there


class Reloaded(Generic[T]):
    def __init__(self, files: Iterable[Path], read: Callable[[], T]) -> None:
        """``read`` raises ``ConfigError``: here it is passed on, for without a good one nothing starts."""
        self._files = tuple(files)
        self._read = read
        self._seen = _marks(self._files)
        self.value = read()
        self.problems: tuple[str, ...] = ()  # of a newer version that was refused

    async def look(self) -> bool:
        """Is there news: another value, or another reason why there is none?"""
        marks = await asyncio.to_thread(_marks, self._files)
        if marks == self._seen:
            return False
        try:
            self.value = await asyncio.to_thread(self._read)
        except ConfigError as error:
            unreadable = isinstance(error.__cause__, OSError)  # nothing need change for the next try to be well
            self._seen = () if unreadable else marks
            known, self.problems = self.problems, tuple(error.problems)
            return self.problems != known
        self._seen, self.problems = marks, ()
        return True


def _marks(files: tuple[Path, ...]) -> Mark:
    return tuple(map(_mark, files))


def _mark(file: Path) -> tuple[int, int, int, int] | None:
    try:
        seen = file.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino, seen.st_ctime_ns, seen.st_size
