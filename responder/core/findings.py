"""All that the signatures find in one log, in the order in which it happened, in bounded memory."""

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise

import msgspec

from responder.core import loglines
from responder.core.failure import Category
from responder.core.loglines import Tone
from responder.core.signatures import Says, Signature, Signatures

_CHUNK_LINES = 8_192
_CHUNK_CHARS = 1 << 20
_WINDOW = 8_000  # of an endless line, around the place that may match
_EACH = 40  # findings of one signature kept from either end
_SHAPES = 256  # of lines that tell of ordinary work, remembered
_TAIL = 40
_HEAD = 40
# Lines of a traceback that never stand first: Java, Node, .NET, Python, PHP.
_IN_A_TRACE = re.compile(
    r"\s+at [\w$.<>]+[ (]|\s+\.\.\. \d+ more$|\s+File \"[^\"]+\", line \d+, in |#[1-9]\d* /|Caused by: "
)

# Causes that stand before a first statement was sent.
CONNECTING = frozenset(
    {
        Category.CONNECTION_REFUSED, Category.DNS_FAILURE, Category.CONNECTION_TIMEOUT, Category.AUTH_FAILED,
        Category.DATABASE_MISSING, Category.TOO_MANY_CONNECTIONS, Category.TLS_ERROR, Category.MISSING_CONFIG,
    }
)  # fmt: skip


class LogLine(msgspec.Struct, frozen=True):
    """`number` counts from 1 in the container's original log."""

    number: int
    text: str


class Finding(msgspec.Struct, frozen=True):
    """One signature on one line."""

    signature: Signature
    category: Category | None
    groups: dict[str, str]
    line: LogLine
    order: int  # when it happened, whichever way the log is printed
    quiet: bool  # at a level, or in words, that do not state a failure

    @property
    def connecting(self) -> bool:
        told = self.signature.connecting
        return self.category in CONNECTING if told is None else told

    @property
    def migration(self) -> str | None:
        return next((self.groups[k] for k in ("migration", "name", "failed") if k in self.groups), None)


class Findings(msgspec.Struct, frozen=True):
    """`tail`: the last lines that are not blank, in order. `beheaded`: the log begins in the middle of a trace."""

    found: tuple[Finding, ...]
    tail: tuple[LogLine, ...]
    beheaded: bool = False

    def saying(self, *says: Says) -> list[Finding]:
        return [f for f in self.found if f.signature.says in says]


def collect(lines: Iterable[LogLine], signatures: Signatures) -> Findings:
    """Reads each line once. A log whose stamps fall is read from its end."""
    collector = _Collector(signatures)
    for chunk in _chunks(lines):
        collector.feed(chunk)
    return collector.findings()


def _chunks(lines: Iterable[LogLine]) -> Iterator[list[LogLine]]:
    chunk: list[LogLine] = []
    size = 0
    for line in lines:
        chunk.append(line)
        size += len(line.text)
        if len(chunk) >= _CHUNK_LINES or size >= _CHUNK_CHARS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


class _Collector:
    def __init__(self, signatures: Signatures) -> None:
        self._signatures = signatures
        self._first: dict[str, list[Finding]] = {}
        self._last: dict[str, deque[Finding]] = {}
        self._routine: dict[bytes, int] = {}  # how often lines of a shape told of ordinary work and of nothing else
        self._newest: dict[bytes, tuple[LogLine, bytes, int]] = {}  # of each shape, once there were enough
        self._head: list[LogLine] = []
        self._tail: deque[LogLine] = deque(maxlen=_TAIL)
        self._seen = 0

    def feed(self, chunk: list[LogLine]) -> None:
        data = b"\n".join(line.text.replace("\n", " ").encode(errors="replace") for line in chunk)
        index = at = 0
        for begin, end in self._signatures.scan(data):
            index += data.count(b"\n", at, begin)
            at = begin
            raw, order = data[begin:end], self._seen + index
            shape = loglines.shape(raw)
            if self._routine.get(shape, 0) < 2 * _EACH:
                self._look(chunk[index], raw, shape, order)
            else:
                self._newest[shape] = (chunk[index], raw, order)
        self._remember(chunk)
        self._seen += len(chunk)

    def _look(self, line: LogLine, raw: bytes, shape: bytes, order: int) -> None:
        text = line.text
        if len(text) > 2 * _WINDOW:
            hit = self._signatures.first_hit(raw) or 0
            text = raw[max(0, hit - _WINDOW // 4) : hit + _WINDOW].decode(errors="replace")
            line = LogLine(line.number, text)
        reading = loglines.read(text)
        matches = self._signatures.matches(reading.body)
        if all(m.signature.says is Says.TOOL and not m.signature.tool for m in matches) and (
            shape in self._routine or len(self._routine) < _SHAPES
        ):
            self._routine[shape] = self._routine.get(shape, 0) + 1
        for match in matches:
            if match.signature.says is Says.FAILURE and reading.tone is Tone.SILENT:
                continue
            finding = Finding(match.signature, match.category, match.groups, line, order, reading.tone is Tone.QUIET)
            first = self._first.setdefault(match.signature.id, [])
            if len(first) < _EACH:
                first.append(finding)
            else:
                self._last.setdefault(match.signature.id, deque(maxlen=_EACH)).append(finding)

    def _remember(self, chunk: list[LogLine]) -> None:
        if len(self._head) < _HEAD:
            self._head += [line for line in islice(chunk, _HEAD) if line.text.strip()]
        ends = [line for line in chunk[-4 * _TAIL :] if line.text.strip()]
        self._tail.extend(LogLine(line.number, line.text[:_WINDOW]) for line in ends[-_TAIL:])

    def findings(self) -> Findings:
        for shape, (line, raw, order) in self._newest.items():
            self._look(line, raw, shape, order)
        found = [f for kept in self._first.values() for f in kept]
        found += [f for kept in self._last.values() for f in kept]
        tail = tuple(self._tail)
        if self._newest_first():
            found = [msgspec.structs.replace(f, order=-f.order) for f in found]
            tail = tuple(line for line in reversed(self._head[:_TAIL]))
        beheaded = bool(self._head) and _IN_A_TRACE.match(self._head[0].text) is not None
        return Findings(tuple(sorted(found, key=lambda f: f.order)), tail, beheaded)

    def _newest_first(self) -> bool:
        lines = (*self._head, *self._tail)
        first = next(_stamps(lines), "")
        if not first or first <= next(_stamps(reversed(lines))):
            return False
        steps = Counter((a > b) - (a < b) for a, b in pairwise(_stamps(lines)))
        return steps[1] > steps[-1]


def _stamps(lines: Iterable[LogLine]) -> Iterator[str]:
    return (stamp for line in lines if (stamp := loglines.read(line.text).stamp))
