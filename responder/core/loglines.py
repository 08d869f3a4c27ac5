"""One line of a log as a person reads it: without colours and prefixes, JSON unpacked, and whether it complains."""

import re
from collections.abc import Iterator
from enum import IntEnum

import msgspec

_DIGITS = re.compile(rb"\d+")
_SHAPED = 1024  # bytes: lines that are alike so far are alike
_LONGEST = 16_000  # of a line that is looked at; a dump of a query must not cost seconds
_DEEPEST = 6

_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_STAMP = re.compile(
    r"\[?(?:time=\"?)?(?P<stamp>(?P<date>\d{4}[-/]\d\d[-/]\d\d)[T ](?P<time>\d\d:\d\d:\d\d))(?P<fraction>[.,]\d+)?"
    r"\"?(?: ?(?:Z|(?:UTC|GMT|[CEW]ES?T|[ECMP][SD]T|JST|IST|BST)\b|[+-]\d\d:?\d\d))?\"?\]?(?:\s+-)?\s*"
)
_PREFIXES = (
    re.compile(r"(?P<source>[\w.@/-]{1,80})\s+\|\s"),  # docker compose
    re.compile(  # Nest's logger
        r"\[Nest\] \d+ +- [\d/]+, [\d:]+(?: [AP]M)? +(?P<level>LOG|ERROR|WARN|DEBUG|FATAL) "
        r"(?:\[(?P<source>[\w.$-]+)\] )?"
    ),
    re.compile(
        r"\[(?!(?i:trace|debug|info|notice|note|warn|warning|error|fatal|panic|ok)\]|\d+/\d+\])(?P<source>[\w.@/-]{1,80})\]\s+"
    ),  # concurrently, kubectl logs --prefix
    re.compile(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ (?P<source>[\w./@-]+)(?:\[\d+\])?:\s"),  # journald
    re.compile(r"[\w.-]+ (?P<source>[\w./@-]+)\[\d+\]:\s"),  # journald with a stamp of its own
    re.compile(r"(?P<source>stdout|stderr) [FP] "),  # a container runtime's file
    re.compile(r"(?P<source>[\w.-]+) \u203a [\w.-]+ (?:\| )?"),  # stern
    re.compile(r"\d+\|(?P<source>[\w.-]+)\s*\| "),  # pm2
    re.compile(r"<\d{1,3}>(?:1 )?(?P<source>)"),  # syslog
    re.compile(r"[\w.-]+ (?P<source>[\w./-]+) (?:\d+|-) - - "),  # the rest of a syslog header
    re.compile(r"(?P<level>[IWEF])\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ (?P<source>[\w./-]+):\d+\] "),  # klog
    re.compile(r"\[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?\s+(?P<source>)"),
    re.compile(  # Spring Boot's logger; its process number is no code
        r"(?P<level>TRACE|DEBUG|INFO|WARN|ERROR|FATAL)\s+\d+ --- (?:\[[^\]\n]*\] *)+(?P<source>[\w.$/\[\]-]{1,80})\s+: "
    ),
    re.compile(  # Java's and zap's loggers
        r"(?P<level>TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|SEVERE)\s+(?:\[[^\]\n]*\]\s+)?"
        r"(?:(?P<source>(?:[\w$]+\.)+[\w$]+)(?:\s*[:-]\s+)|[\w./-]+:\d+\s+)"
    ),
)
_MESSAGE = re.compile(r'(?:(?:time|ts)=\S+ )?level="?(?P<level>\w+)"? (?:\S+=\S+ )*?msg="(?P<message>(?:[^"\\]|\\.)*)"')
_MESSAGES = frozenset({"msg", "message", "log", "text"})
_LEVEL = re.compile(
    r"(?i)^(?:[\s>]+(?=\[))?(?:psql:\S+:\d+: )?[\[<(]?(?:\S+\s+)?[\[<(]?"
    r"\b(?P<level>trace|debug|info|notice|note|warn|warning|log|hint)\b[\]>):!\s|]"
)
_LOUD = re.compile(r"(?i)^(?:[\s>]+(?=\[))?[\[<(]?\b(?:error|fatal|critical|panic|severe|err)\b")
_LOGFMT = re.compile(r"(?i)\b(?:level|lvl|severity)=\"?(?P<level>\w+)")
_TOLERATED = re.compile(
    r"(?i)(?<!you've )(?<!commands )(?<!' has been )"
    r"\b(?:skipping(?! applying migrations)|skipped|ignored|ignoring|non-fatal)\b"
)
_REPEATED = re.compile(r"(?i)\b(?:retrying|will retry|retry (?:in|after)|trying again in|not ready|still waiting)\b")
# The database server's own log, run beside the migration: it repeats what the client says.
_SERVER = re.compile(
    r"\[\d+\](?: \S+@\S+)?(?: \[\w+\])?:? +(?:LOG|ERROR|FATAL|STATEMENT|DETAIL|HINT|PANIC|WARNING|CONTEXT):  "
)
_SILENT_LEVELS = frozenset({"trace", "debug", "notice", "note", "log", "hint", "10", "20"})
_KLOG = {"I": "info", "W": "warn", "E": "error", "F": "fatal"}
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


def shape(raw: bytes) -> bytes:
    """Of lines that differ in their numbers alone, as those that tell of progress do, the same."""
    return _DIGITS.sub(b"0", raw[:_SHAPED])


def read(text: str) -> Reading:
    body = _ANSI.sub("", text[:_LONGEST]).replace("\r", " ").lstrip("\ufeff").rstrip()
    body, stamp, level = _unprefixed(body)
    if body.startswith("{") and body.endswith("}"):
        unpacked = _unpacked(body)
        if unpacked is not None:
            return msgspec.structs.replace(unpacked, stamp=unpacked.stamp or stamp)
    if '\\"' in body:
        body = body.replace('\\"', '"')
    return Reading(body, _by_level(level, body) if level else _tone(body, text), stamp)


def _unprefixed(body: str) -> tuple[str, str, str]:
    """What is left, the stamp and the level that stood before it."""
    stamp = level = ""
    for _ in range(5):
        at = _STAMP.match(body)
        if at is not None:
            stamp = stamp or at["stamp"].replace("/", "-").replace(" ", "T") + (at["fraction"] or "").replace(",", ".")
        else:
            at = next((m for m in (p.match(body) for p in _PREFIXES) if m is not None), None)
            level = level or (at.groupdict().get("level") or "" if at is not None else "")
        if at is None or at.end() == len(body):
            break
        body = body[at.end() :]
    said = _MESSAGE.match(body)
    if said is not None:
        level, body = said["level"], f"{said['message']} {body[said.end() :]}".rstrip()
    return body, stamp, level


def _tone(body: str, text: str) -> Tone:
    if _SERVER.search(text[:200]):
        return Tone.QUIET
    head = body[:200]
    named = None if _LOUD.match(body) else _LOGFMT.search(head) or _LEVEL.match(head)
    return _by_level(named["level"] if named else "", body)


def _by_level(level: str, words: str) -> Tone:
    level = _KLOG.get(level, level.lower())
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
    texts = sorted(_texts(value, "", 0), key=lambda text: text[0])
    flat = "; ".join(words for _, words in texts)[:_LONGEST].replace("\n", " ").strip()
    return Reading(flat, _by_level(level, flat), stamp)


def _texts(value: object, name: str, depth: int) -> Iterator[tuple[bool, str]]:
    """Each text, and whether it stands beside the message."""
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
        words = nested.body if nested else (value if name in _MESSAGES else f"{name}: {value}")
        yield name not in _MESSAGES, words
    elif isinstance(value, int) and not isinstance(value, bool):
        yield True, f"{name}: {value}"
