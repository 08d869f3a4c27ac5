"""What Argo CD's Event on an Application may say of an operation, and what it may not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from responder.core.argocd import AppKey, OperationPhase, OperationRecord, SyncRequest
from responder.core.completions import Completion, ended_by, read_completion
from responder.core.hookwire import EventWire

AT = datetime(2026, 11, 21, 12, 53, 5, tzinfo=UTC)
REVISION = "c5797c6f09bc718772aa5ecf9d9ac73370cdb669"
FAILED = f"Sync operation to {REVISION} failed: Operation terminated (retried 1 times)."
TOLD = Completion(AppKey("argocd", "shop"), "app-uid", AT, REVISION, "Operation terminated (retried 1 times).")


def event(**more: Any) -> EventWire:
    """As a real Argo CD wrote it."""
    body = {
        "metadata": {"name": "shop.18ea1089deebc8e9", "namespace": "argocd"},
        "involvedObject": {"kind": "Application", "name": "shop", "uid": "app-uid"},
        "reason": "OperationCompleted",
        "message": FAILED,
        "source": {"component": "argocd-application-controller"},
        "type": "Warning",
        "lastTimestamp": "2026-11-21T12:53:05Z",
        **more,
    }
    return msgspec.json.decode(msgspec.json.encode(body), type=EventWire)


def record(started: datetime = AT - timedelta(seconds=9), **more: Any) -> OperationRecord:
    fields = {"revisions": (REVISION,), "replaced": True, **more}
    return OperationRecord(
        AppKey("argocd", "shop"), "app-uid", started, OperationPhase.RUNNING, SyncRequest(), started, started, **fields
    )


NEXT = record(AT, replaced=False, revisions=("f" * 40,))


def test_a_failure_is_read_with_its_message_redacted() -> None:
    assert read_completion(event(), lambda text: text) == TOLD
    hidden = read_completion(
        event(message=f"Sync operation to {REVISION} failed: at db:hunter2"), lambda _: "[redacted]"
    )
    assert hidden is not None
    assert hidden.message == "[redacted]"


@pytest.mark.parametrize(
    "more",
    [
        {"type": "Normal", "message": f"Sync operation to {REVISION} succeeded"},
        {"message": f"Sync operation to {REVISION} succeeded"},
        {"reason": "ResourceUpdated"},
        {"source": {"component": "somebody"}},
        {"involvedObject": {"kind": "Job", "name": "shop", "uid": "app-uid"}},
        {"lastTimestamp": None},
    ],
)
def test_a_success_and_what_is_not_argo_cds_say_nothing(more: dict[str, object]) -> None:
    assert read_completion(event(**more), lambda text: text) is None


def test_it_ends_an_operation_that_was_replaced_unseen() -> None:
    ended = ended_by(record(), NEXT, [TOLD])

    assert (ended.operation_phase, ended.finished_at, ended.replaced) == (OperationPhase.FAILED, AT, True)
    assert ended.message == "Operation terminated (retried 1 times)."


@pytest.mark.parametrize(
    ("held", "following"),
    [
        (record(replaced=False), NEXT),  # it may run: the watch tells
        (record(revisions=()), NEXT),  # it cannot be told apart
        (record(revisions=("f" * 40,)), NEXT),  # another revision's
        (record(), None),
        (record(AT + timedelta(seconds=1)), NEXT),  # it began after that
        (record(), record(AT - timedelta(seconds=1), replaced=False)),  # it was replaced before that
    ],
)
def test_it_says_nothing_of_any_other(held: OperationRecord, following: OperationRecord | None) -> None:
    assert ended_by(held, following, [TOLD]) is held


def test_an_end_that_was_seen_stays_and_another_applications_is_not_ours() -> None:
    seen = msgspec.structs.replace(record(), operation_phase=OperationPhase.SUCCEEDED)
    theirs = msgspec.structs.replace(TOLD, app_uid="another")

    assert ended_by(seen, NEXT, [TOLD]) is seen
    assert ended_by(record(), NEXT, [theirs]).operation_phase is OperationPhase.RUNNING
