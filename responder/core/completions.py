"""Argo CD's Events ``OperationCompleted`` on Applications: the one trace of an end that nobody saw.

A final failure may live 30 ms in the Application when a newer revision waits, and be gone when our watch comes back.
The Event tells when an operation ended and whether it failed, not which one, and whoever may write Events may write
this one. So it opens nothing by itself: it only ends, as failed, an operation that the watch has shown to begin, and to
be replaced with no end seen. That a sync succeeded is never taken from it.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from responder.core.argocd import AppKey, OperationPhase, OperationRecord
from responder.core.hookwire import EventWire
from responder.core.sightings import Redact
from responder.core.wire import utc

REASON: Final = "OperationCompleted"
CONTROLLER: Final = "argocd-application-controller"
_TOLD = re.compile(r"(?:Partial sync|Sync|sync) operation to (?P<revision>\S*) failed: (?P<message>.*)", re.DOTALL)


class Completion(msgspec.Struct, frozen=True):
    """A failed operation of one Application, as an Event tells of it."""

    app: AppKey
    app_uid: str
    at: datetime
    revision: str
    message: str  # redacted


def read_completion(wire: EventWire, redact: Redact) -> Completion | None:
    """None for what is no failed operation's."""
    about, at = wire.involved_object, utc(wire.last_timestamp or wire.event_time)
    told = _TOLD.fullmatch(wire.message)
    ours = about.kind == "Application" and wire.reason == REASON and wire.source.component == CONTROLLER
    if not ours or wire.type != "Warning" or told is None or at is None:
        return None
    app = AppKey(wire.metadata.namespace, about.name)
    return Completion(app, about.uid, at, told["revision"], redact(told["message"]))


def ended_by(
    record: OperationRecord, following: OperationRecord | None, completions: Iterable[Completion]
) -> OperationRecord:
    """The record with its end, where one of these tells it. ``following``: the operation that replaced it."""
    if not record.replaced or record.operation_phase.terminal or following is None:
        return record
    for told in completions:
        between = record.started_at <= told.at <= following.started_at
        if told.app_uid == record.app_uid and between and told.revision in record.revisions:
            return msgspec.structs.replace(
                record,
                operation_phase=OperationPhase.FAILED,
                finished_at=told.at,
                message=told.message,
                message_at=told.at,
            )
    return record
