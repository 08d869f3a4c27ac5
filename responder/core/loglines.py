"""One line of a log as a person reads it: without colours and prefixes, JSON unpacked, and whether it complains."""

import re
from collections.abc import Iterator
from enum import IntEnum

import msgspec

_LONGEST = 16_000  # of a line that is looked at; a dump of a query must not cost seconds
_DEEPEST = 6

_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_STAMP = re.compile(
    r"\[?(?:time=\"?)?(?P<stamp>(?P<date>\d{4}[-/]\d\d[-/]\d\d)[T ](?P<time>\d\d:\d\d:\d\d))(?P<fraction>[.,]\d+)?"
    r"\"?(?: ?(?:Z|(?:UTC|GMT|[CEW]ES?T|[ECMP][SD]T|JST|IST|BST)\b|[+-]\d\d:?\d\d))?\]?(?:\s+-)?\s*"
)
_PREFIXES = (
    re.compile(r"(?P<source>[\w.@/-]{1,80})\s+\|\s"),  # docker compose
    re.compile(
        r"\[(?!(?i:trace|debug|info|notice|note|warn|warning|error|fatal|panic|ok)\])(?P<source>[\w.@/-]{1,80})\]\s+"
    ),  # concurrently, kubectl logs --prefix
    re.compile(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ (?P<source>[\w./@-]+)(?:\[\d+\])?:\s"),  # journald
)
_LEVEL = re.compile(
    r"(?i)^(?:psql:\S+:\d+: )?[\[<(]?(?:\S+\s+)?[\[<(]?"
    r"\b(?P<level>trace|debug|info|notice|note|warn|warning|log|hint)\b[\]>):\s|]"
)
_LOUD = re.compile(r"(?i)^[\[<(]?\b(?:error|fatal|critical|panic|severe|err)\b")
_LOGFMT = re.compile(r"(?i)\b(?:level|lvl|severity)=\"?(?P<level>\w+)")
_TOLERATED = re.compile(r"(?i)\b(?:skipping|skipped|ignored|ignoring|non-fatal)\b")
_REPEATED = re.compile(r"(?i)\b(?:retrying|will retry|retry in|trying again in|not ready|still waiting)\b")
# The database server's own log, run beside the migration: it repeats what the client says.
_SERVER = re.compile(
    r"\[\d+\](?: \S+@\S+)?(?: \[\w+\])?:? +(?:LOG|ERROR|FATAL|STATEMENT|DETAIL|HINT|PANIC|WARNING|CONTEXT):  "
)
_SILENT_LEVELS = frozenset({"trace", "debug", "notice", "note", "log", "hint", "10", "20"})
_QUIET_LEVELS = frozenset({"info", "warn", "warning", "30", "40"})


class Tone(IntEnum):
    """How much a complaint in the line is worth."""

    SILENT = 0  # it says itself that it is none: a notice, a debug line, a thing skipped
    QUIET = 1  # a warning, a try that will be repeated: worth something when nothing else complains
    LOUD = 2


class Reading(msgspec.Struct, frozen=True):
    """What a line says."""

    body: str
    tone: Tone = Tone.LOUD
    stamp: str = ""  # as printed, comparable within one log


def read(text: str) -> Reading:
    body = _ANSI.sub("", text[:_LONGEST]).replace("\r", " ").rstrip()
    body, stamp = _unprefixed(body)
    if body.startswith("{") and body.endswith("}"):
        unpacked = _unpacked(body)
        if unpacked is not None:
            return msgspec.structs.replace(unpacked, stamp=unpacked.stamp or stamp)
    if '\\"' in body:
        body = body.replace('\\"', '"')
    return Reading(body, _tone(body, text), stamp)


def _unprefixed(body: str) -> tuple[str, str]:
    stamp = ""
    for _ in range(4):
        at = _STAMP.match(body)
        if at is not None:
            stamp = stamp or at["stamp"].replace("/", "-").replace(" ", "T") + (at["fraction"] or "").replace(",", ".")
        else:
            at = next((m for m in (p.match(body) for p in _PREFIXES) if m is not None), None)
        if at is None or at.end() == len(body):
            return body, stamp
        body = body[at.end() :]
    return body, stamp


def _tone(body: str, text: str) -> Tone:
    if _SERVER.search(text[:200]):
        return Tone.QUIET
    head = body[:200]
    named = None if _LOUD.match(body) else _LOGFMT.search(head) or _LEVEL.match(head)
    return _by_level(named["level"] if named else "", body)


def _by_level(level: str, words: str) -> Tone:
    level = level.lower()
    if level in _SILENT_LEVELS or _TOLERATED.search(words):
        return Tone.SILENT
    return Tone.QUIET if level in _QUIET_LEVELS or _REPEATED.search(words) else Tone.LOUD


def _unpacked(body: str) -> Reading | None:
    """A JSON line: every text in it, named, in one line."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    level = next((str(value[k]).lower() for k in ("level", "severity", "lvl", "log.level") if k in value), "")
    stamp = next((str(value[k]) for k in ("time", "timestamp", "ts", "@timestamp") if k in value), "")
    flat = "; ".join(_texts(value, "", 0))[:_LONGEST].replace("\n", " ")
    return Reading(flat, _by_level(level, flat), stamp)


def _texts(value: object, name: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, str(key), depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, name, depth + 1)
    elif isinstance(value, str) and value:
        nested = _unpacked(value) if value.startswith("{") and value.endswith("}") and depth < _DEEPEST else None
        yield nested.body if nested else (value if name in {"msg", "message"} else f"{name}: {value}")
    elif isinstance(value, int) and not isinstance(value, bool):
        yield f"{name}: {value}"
