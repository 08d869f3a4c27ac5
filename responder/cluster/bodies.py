"""What acts write, and what they read back: the JSON of the API server, kept apart from when it may be written."""

from collections.abc import Sequence
from typing import Any

import msgspec

from responder.cluster.errors import UNREADABLE
from responder.core.actions import ActionRecord, Resync
from responder.core.appwire import INFO_ACTION
from responder.core.argocd import OperationPhase

USERNAME = "argocd-hook-responder"
_HOOK_FINALIZER = "argocd.argoproj.io/hook-finalizer"
_INFO_TOUCHED = "hook-responder.io/touched"
TERMINATING: dict[str, Any] = {"status": {"operationState": {"phase": OperationPhase.TERMINATING.value}}}


class ConfigMap(msgspec.Struct):
    data: dict[str, str] | None = None


class _Named(msgspec.Struct):
    uid: str = ""
    finalizers: tuple[str, ...] = ()


class _Object(msgspec.Struct):
    metadata: _Named = msgspec.field(default_factory=_Named)


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""


class _JobStatus(msgspec.Struct):
    conditions: list[_Condition] | None = None


class Job(msgspec.Struct):
    metadata: _Named
    status: _JobStatus = msgspec.field(default_factory=_JobStatus)


def finalizers_of(answer: bytes) -> tuple[str, ...]:
    """What still holds the object of which the deletion was answered so; none when it is gone."""
    try:
        return msgspec.json.decode(answer, type=_Object).metadata.finalizers
    except UNREADABLE:
        return ()


def deleted(held: Sequence[str]) -> str:
    """Argo CD puts its finalizer back on a Job that it reuses and may overlook it in the end; its next sync takes it
    off, and the Job is gone before the hook is made anew."""
    if not held:
        return "deleted"
    until = "until the next sync" if tuple(held) == (_HOOK_FINALIZER,) else "until that is taken off"
    return f"deleted; its finalizer {', '.join(held)} holds it {until}"


def deletion(uid: str) -> dict[str, Any]:
    """Of this very object."""
    return {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Background",  # gone at once: no sync begins while it is only about to go
        "preconditions": {"uid": uid},
    }


def _info(action: ActionRecord) -> dict[str, str]:
    return {"name": INFO_ACTION, "value": action.id}


def touch(action: ActionRecord) -> dict[str, Any]:
    """Changes nothing of what was asked for, and wakes Argo CD."""
    return {"operation": {"info": [_info(action), {"name": _INFO_TOUCHED, "value": "1"}]}}


def operation(act: Resync, *, multi_source: bool) -> dict[str, Any]:
    """The same revisions, the spec's options, hooks always, no retry of Argo CD's own."""
    revisions = {"revisions": list(act.revisions)} if multi_source else {"revision": act.revisions[0]}
    return {
        "initiatedBy": {"username": USERNAME, **({} if act.manual else {"automated": True})},
        "info": [_info(act.action), {"name": "Reason", "value": f"{act.action.by}, incident {act.action.incident_id}"}],
        "retry": {"limit": 0},
        "sync": {
            **revisions,
            **({"prune": True} if act.prune else {}),
            **({"syncOptions": list(act.sync_options)} if act.sync_options else {}),
            "syncStrategy": {"hook": {}},
        },
    }
