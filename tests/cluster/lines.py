"""Lines that Pods wrote, by the kubelet's own files, against lines that the responder recorded, by its store."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from responder.core.evidence import LogSummary
from responder.core.hooks import HookRun
from responder.core.logblock import unfold
from responder.store.encoding import unpack, unpack_log
from responder.store.schema import connect

_BUSY = 5.0  # seconds that the responder's writer may hold its file


class Recorded(msgspec.Struct, frozen=True):
    """Of one run of a container: what its summary says, and the lines that can really be read."""

    scanned: int
    dropped: int  # scanned, counted, not kept
    readable: int

    @property
    def accounted(self) -> int:
        return self.readable + self.dropped


class Comparison(msgspec.Struct, frozen=True):
    """By ``pod uid/container/restart``."""

    written: Mapping[str, int]
    recorded: Mapping[str, Recorded]

    @property
    def lines_written(self) -> int:
        return sum(self.written.values())

    @property
    def lines_recorded(self) -> int:
        return sum(one.accounted for one in self.recorded.values())

    @property
    def differing(self) -> dict[str, tuple[int, Recorded]]:
        nothing = Recorded(0, 0, 0)
        keys = self.written.keys() | self.recorded.keys()
        pairs = {key: (self.written.get(key, 0), self.recorded.get(key, nothing)) for key in sorted(keys)}
        return {key: pair for key, pair in pairs.items() if not pair[0] == pair[1].scanned == pair[1].accounted}


def compare(kept: Path, database: Path, ignored: frozenset[str] = frozenset()) -> Comparison:
    """``kept``: the namespace's folder in the kubelet's; ``ignored``: runs that ended before there was a responder."""
    written = {key: lines for key, lines in count_written(kept).items() if key not in ignored}
    recorded = {key: ours for key, ours in count_recorded(database, kept.name).items() if key not in ignored}
    return Comparison(written, recorded)


def count_written(kept: Path) -> dict[str, int]:
    runs = (folder for folder in kept.glob("*/*/*") if folder.is_dir())
    return {str(folder.relative_to(kept)): _lines(folder) for folder in runs}


def _lines(run: Path) -> int:
    """Whole lines, and a last one without its end. A line in pieces may go on in the next file."""
    files = sorted(run.glob("*.log"), key=lambda file: int(file.stem))
    tags = [entry.split(b" ", 3)[2] for file in files for entry in file.read_bytes().splitlines()]
    return tags.count(b"F") + (tags[-1:] == [b"P"])


def count_recorded(database: Path, namespace: str) -> dict[str, Recorded]:
    """Of this namespace: a responder that watches them all also sees what other stories left behind."""
    with contextlib.closing(connect(database, busy=_BUSY, write=False)) as db:
        runs = [unpack(body, HookRun) for (body,) in db.execute("SELECT body FROM hook_runs")]
        chunks = db.execute("SELECT key, body FROM logs").fetchall()
    readable: dict[str, set[int]] = {}
    for key, body in chunks:
        readable.setdefault(key, set()).update(unfold(unpack_log(body)).numbers)
    logs = (log for run in runs if run.namespace == namespace for log in _logs(run))
    return {log.key: Recorded(log.lines, log.dropped, len(readable.get(log.key, ()))) for log in logs}


def _logs(run: HookRun) -> Iterator[LogSummary]:
    return (container.log for pod in run.pods for container in pod.containers if container.log is not None)
