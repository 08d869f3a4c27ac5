"""What of an operation decides whether it may be repeated, as real Argo CDs write it."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from responder.core.appwire import decode_application
from responder.core.argocd import SyncRequest

RECORDINGS = Path(__file__).parents[2] / "recordings"
SOURCE = {"repoURL": "https://git.example.com/shop", "path": ".", "targetRevision": "main"}
OLDER = {**SOURCE, "path": "before"}


def request(**operation: Any) -> SyncRequest:
    state = {"phase": "Failed", "startedAt": "2026-11-21T03:00:00Z", "operation": operation}
    app = {
        "metadata": {"name": "shop", "namespace": "argocd", "uid": "u"},
        "spec": {"source": SOURCE, "destination": {}, "project": "default"},
        "status": {"operationState": state},
    }
    decoded = decode_application(msgspec.json.encode(app), lambda text: text).operation
    assert decoded is not None
    return decoded.request


@pytest.mark.parametrize("by", [{"automated": True}, {"username": "alice"}], ids=["auto-sync", "argocd app sync"])
def test_a_copy_of_the_specs_source_is_no_rollback(by: dict[str, Any]) -> None:
    """Both send it along; a rollback alone brings another one."""
    assert not request(initiatedBy=by, sync={"revision": "a" * 40, "source": SOURCE}).rollback


def test_another_source_is_a_rollback() -> None:
    assert request(initiatedBy={"username": "alice"}, sync={"revision": "a" * 40, "source": OLDER}).rollback
    assert request(initiatedBy={"username": "alice"}, sync={"revisions": ["a"], "sources": [OLDER, SOURCE]}).rollback


def test_a_spec_that_changed_since_does_not_make_an_automatic_sync_a_rollback() -> None:
    assert not request(initiatedBy={"automated": True}, sync={"revision": "a" * 40, "source": OLDER}).rollback


def test_our_action_is_found_in_the_operations_info() -> None:
    info = [{"name": "Reason", "value": "x"}, {"name": "hook-responder.io/action", "value": "d-0"}]
    assert request(info=info, sync={"syncStrategy": {"hook": {}}}).action_id == "d-0"


@pytest.mark.parametrize(
    ("sync", "full"),
    [
        ({"syncStrategy": {"hook": {}}}, True),
        ({}, True),
        ({"syncStrategy": {"apply": {}}}, False),
        ({"resources": [{"kind": "ConfigMap", "name": "c"}]}, False),
        ({"dryRun": True}, False),
        ({"manifests": ["{}"]}, False),
    ],
    ids=["hooks", "empty", "apply", "selected", "dry run", "local manifests"],
)
def test_a_full_sync_is_one_that_runs_hooks_and_applies_everything(sync: dict[str, Any], full: bool) -> None:
    assert request(sync=sync).full is full


def test_a_message_about_an_immutable_field_does_not_carry_the_pod_template() -> None:
    last = json.loads(
        (RECORDINGS / "s04-fail-hooksucceeded-policy" / "applications.jsonl").read_bytes().splitlines()[-1]
    )
    told = last["object"]["status"]["operationState"]["message"]
    assert '"Command":["/bin/sh"' in told  # what the API server puts into it
    leaking = msgspec.json.encode(last["object"]).replace(b"/bin/sh", b"mysql -pw hunter2")

    app = decode_application(leaking, lambda text: text)

    assert app.operation is not None
    assert app.operation.message.startswith("one or more objects failed to apply, reason: error when patching")
    assert app.operation.message.endswith("spec.template: Invalid value: {...}: field is immutable")
    assert "hunter2" not in repr(app)
