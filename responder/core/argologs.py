"""Lines of Argo CD's logs API (``GET /api/v1/applications/{name}/logs``): newline-delimited JSON, one log line each.

An error of the kubelet's comes as a line without a Pod at time 0001-01-01, one of the API's own as ``{"error": ...}``.
"""

import msgspec
import re2

_CHOICES = re2.compile(r"choose one of: \[([^\]]+)\](?: or one of the init containers: \[([^\]]+)\])?")
_NO_TIME = "0001-01-01"


class LogEntry(msgspec.Struct, frozen=True):
    """``pod`` empty: ``text`` is a complaint in place of a log. ``last``: nothing more comes."""

    pod: str = ""
    stamp: str = ""  # RFC 3339 with nanoseconds
    text: str = ""
    last: bool = False


class _Result(msgspec.Struct, rename="camel"):
    content: str = ""
    time_stamp_str: str = ""
    pod_name: str = ""
    last: bool = False


class _Error(msgspec.Struct):
    message: str = ""


class _Line(msgspec.Struct):
    result: _Result | None = None
    error: _Error | None = None


def parse_entry(line: bytes) -> LogEntry:
    """Raises ``msgspec.MsgspecError`` for what is none."""
    told = msgspec.json.decode(line, type=_Line)
    if told.error is not None or told.result is None:
        return LogEntry(text=told.error.message if told.error is not None else "an empty answer")
    result = told.result
    if result.last:
        return LogEntry(last=True)
    if not result.pod_name or result.time_stamp_str.startswith(_NO_TIME):
        return LogEntry(text=result.content or "an error without a text")
    return LogEntry(result.pod_name, result.time_stamp_str, result.content)


def containers_of(complaint: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Main and init containers, from the refusal of a Pod that has several; empty for any other complaint."""
    found = _CHOICES.search(complaint)
    if found is None:
        return (), ()
    return tuple(found.group(1).split()), tuple((found.group(2) or "").split())
