"""A recording of a real cluster, read from its folder: objects, log lines and webhooks in the order they happened.

Format: README of the recordings; ``recorder`` there means who watched the real cluster, not our recorder.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgspec

Json = dict[str, Any]
_KINDS = {"applications": "Application", "jobs": "Job", "pods": "Pod", "events": "Event"}


class RecordingError(Exception):
    """The folder is no recording; the message says what is missing or wrong."""


class Order(IntEnum):
    """Of things with one stamp: an object is there before its log, its log before its end, webhooks come last."""

    OBJECT = 0
    LINE = 1
    LOG_END = 2
    WEBHOOK = 3


class Happening(msgspec.Struct, frozen=True):
    """One thing that happened at ``at``; which fields are set depends on ``order``."""

    at: datetime
    order: Order
    kind: str = ""
    event_type: str = ""
    object: Json = msgspec.field(default_factory=dict)
    pod: str = ""
    container: str = ""
    restart: int = 0
    stamp: str = ""
    text: bytes = b""
    method: str = ""
    body: bytes = b""


class _Seen(msgspec.Struct):
    t: datetime
    type: str
    object: Json


class _Followed(msgspec.Struct):
    t: datetime
    pod: str
    container: str
    text: str = ""
    restart: int = 0
    ended: datetime | None = None


class _Webhook(msgspec.Struct):
    t: datetime
    method: str
    body: Json | str | None = None


def read_recording(folder: Path) -> list[Happening]:
    """Sorted by time. Raises ``RecordingError``."""
    if not (folder / "applications.jsonl").is_file():
        raise RecordingError(f"{folder} is no recording: it has no applications.jsonl")
    happenings = [
        *(h for name, kind in _KINDS.items() for h in _objects(folder / f"{name}.jsonl", kind)),
        *_logs(folder / "logs" / "followed.jsonl"),
        *_webhooks(folder / "webhooks.jsonl"),
    ]
    return sorted(happenings, key=lambda h: (h.at, h.order))


def _objects(path: Path, kind: str) -> Iterator[Happening]:
    for seen in _lines(path, _Seen):
        yield Happening(_utc(seen.t), Order.OBJECT, kind=kind, event_type=seen.type, object=seen.object)


def _logs(path: Path) -> Iterator[Happening]:
    for followed in _lines(path, _Followed):
        whose = {"pod": followed.pod, "container": followed.container, "restart": followed.restart}
        last = _utc(followed.t)
        for line in followed.text.splitlines(keepends=True):
            stamp, _, text = line.partition(" ")
            last = max(last, _instant(stamp))
            yield Happening(last, Order.LINE, stamp=stamp, text=text.encode(), **whose)
        ended = max(last, _utc(followed.ended)) if followed.ended is not None else last
        yield Happening(ended, Order.LOG_END, **whose)


def _webhooks(path: Path) -> Iterator[Happening]:
    for webhook in _lines(path, _Webhook):
        body = webhook.body.encode() if isinstance(webhook.body, str) else msgspec.json.encode(webhook.body)
        yield Happening(_utc(webhook.t), Order.WEBHOOK, method=webhook.method, body=body)


def _lines(path: Path, shape: type) -> Iterator[Any]:
    """An absent file is an empty one: a recording without hooks has no Pods."""
    if not path.is_file():
        return
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(shape)
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            yield decoder.decode(line)
        except msgspec.MsgspecError as error:
            raise RecordingError(f"{path}:{number}: {error}") from error


def _instant(stamp: str) -> datetime:
    """RFC 3339 with nanoseconds, cut to microseconds."""
    head, _, fraction = stamp.rstrip("Z").partition(".")
    try:
        microseconds = int((fraction or "0")[:6].ljust(6, "0"))
        return datetime.fromisoformat(head).replace(tzinfo=UTC) + timedelta(microseconds=microseconds)
    except ValueError as error:
        raise RecordingError(f"{stamp!r} is no time stamp of a log line") from error


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


def namespaces_of(happenings: list[Happening], kind: str = "") -> list[str]:
    """Of all objects, or of those of one kind."""
    objects = (h.object["metadata"] for h in happenings if h.order is Order.OBJECT and kind in ("", h.kind))
    return sorted({meta.get("namespace", "") for meta in objects} - {""})


def namespaces_of_pods(happenings: list[Happening]) -> dict[str, str]:
    """Namespace of each Pod by its name: log records do not carry it."""
    return {h.object["metadata"]["name"]: h.object["metadata"]["namespace"] for h in happenings if h.kind == "Pod"}
