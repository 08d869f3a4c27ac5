"""A recording of a real cluster, read from its folder: objects, log lines and webhooks in the order they happened.

Format: README of the recordings; ``recorder`` there means who watched the real cluster, not our recorder.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgspec

from responder.demo.logs import runs_of

Json = dict[str, Any]
_KINDS = {"applications": "Application", "jobs": "Job", "pods": "Pod", "events": "Event"}


_LINE = re.compile(r"[^\n]*\n|[^\n]+")  # a terminal's other ends of line are part of the text
_RunKey = tuple[str, str, int]  # Pod, container, restart


class RecordingError(Exception):
    """The folder is no recording; the message says what is missing or wrong."""


class Order(IntEnum):
    """Of things with one stamp: an object is there before its log, its log before its end, webhooks come last.

    But what a container wrote is there before it is told that it has ended, whenever somebody came to read it.
    """

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


class _Run(msgspec.Struct):
    """Of a container, as Pods tell of it: from when on, and by which of the objects it is over."""

    begun_at: datetime
    over_at: datetime | None = None
    place: int = 0


class _Webhook(msgspec.Struct):
    t: datetime
    method: str
    body: Json | str | None = None


def read_recording(folder: Path) -> list[Happening]:
    """Sorted by time. Raises ``RecordingError``."""
    if not (folder / "applications.jsonl").is_file():
        raise RecordingError(f"{folder} is no recording: it has no applications.jsonl")
    told = (h for name, kind in _KINDS.items() for h in _objects(folder / f"{name}.jsonl", kind))
    objects = sorted(told, key=lambda h: h.at)
    placed = [
        *((h, float(place)) for place, h in enumerate(objects)),
        *_logs(folder / "logs" / "followed.jsonl", _runs(objects)),
        *((h, math.inf) for h in _webhooks(folder / "webhooks.jsonl")),
    ]
    return [h for h, _ in sorted(placed, key=lambda one: (one[0].at, one[1], one[0].order))]


def _runs(objects: Sequence[Happening]) -> dict[_RunKey, _Run]:
    """When each run of a container was first told of, and to be over."""
    runs: dict[_RunKey, _Run] = {}
    for place, happening in enumerate(objects):
        for container, restart, over in runs_of(happening.object) if happening.kind == "Pod" else ():
            run = runs.setdefault((happening.object["metadata"]["name"], container, restart), _Run(happening.at))
            if over and run.over_at is None:
                run.over_at, run.place = happening.at, place
    return runs


def _objects(path: Path, kind: str) -> Iterator[Happening]:
    for seen in _lines(path, _Seen):
        yield Happening(_utc(seen.t), Order.OBJECT, kind=kind, event_type=seen.type, object=seen.object)


def _logs(path: Path, runs: Mapping[_RunKey, _Run]) -> Iterator[tuple[Happening, float]]:
    """Each with its place among the objects of its time: a line stands before the Pod that says it was the last."""
    read: dict[_RunKey, list[_Followed]] = {}
    for followed in _lines(path, _Followed):
        read.setdefault((followed.pod, followed.container, followed.restart), []).append(followed)
    for key, reads in read.items():
        pod, container, restart = key
        run = runs.get(key, _Run(_utc(reads[0].t)))
        last = run.begun_at
        for line in _once(reads):
            stamp, _, text = line.partition(" ")
            last, place = max(last, _instant(stamp)), math.inf
            if run.over_at is not None and run.over_at <= last:
                last, place = run.over_at, run.place - 0.5
            told = Happening(
                last, Order.LINE, pod=pod, container=container, restart=restart, stamp=stamp, text=text.encode()
            )
            yield told, place
        ended = max(last, *(_utc(followed.ended or followed.t) for followed in reads))
        yield Happening(ended, Order.LOG_END, pod=pod, container=container, restart=restart), math.inf


def _once(reads: Sequence[_Followed]) -> Iterator[str]:
    """The lines of a log that was read from its start, again where a connection broke."""
    known: set[str] = set()
    for followed in reads:
        lines = _LINE.findall(followed.text)
        yield from (line for line in lines if line not in known)
        known.update(lines)


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


def projects_of(happenings: list[Happening]) -> set[str]:
    """Their AppProjects: a recording says which, and not what they allow."""
    return {h.object.get("spec", {}).get("project") or "default" for h in happenings if h.kind == "Application"}
