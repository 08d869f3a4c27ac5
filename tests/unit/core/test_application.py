"""An Application as the API server sends it: what is read of it, and what of an odd one."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.core.appwire import NotAnApplicationError, decode_application
from responder.core.argocd import Application, OperationPhase
from tests.unit.core.night import at

SOURCE = {"repoURL": "https://git.example.com/orders", "path": "deploy", "targetRevision": "main"}
BEGUN = {"phase": "Failed", "startedAt": "2026-11-21T03:00:00Z"}


def decoded(**more: Any) -> Application:
    whole = {"metadata": {"name": "orders", "namespace": "argocd", "uid": "u", "resourceVersion": "7"}, **more}
    return decode_application(json.dumps(whole).encode(), lambda text: text.replace("hunter2", "[redacted]"))


def operated(**state: Any) -> Application:
    return decoded(spec={"source": SOURCE}, status={"operationState": {**BEGUN, **state}})


def test_one_without_spec_or_status_was_never_synced() -> None:
    app = decoded()

    assert (app.uid, app.project, app.operation, app.requested, app.automated) == ("u", "default", None, False, False)


def test_null_is_absence_wherever_it_may_stand() -> None:
    app = decoded(status={"operationState": None, "sync": None, "health": None, "history": None}, operation=None)

    assert (app.operation, app.history, app.health, app.requested) == (None, (), "", False)


NO_APPLICATIONS = [b"", b"[]", b'{"metadata": {}}', b"\xff", b"[" * 50_000, b'{"metadata": {"name": 1}}']


@pytest.mark.parametrize("body", NO_APPLICATIONS, ids=range(len(NO_APPLICATIONS)))
def test_what_is_no_application_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(NotAnApplicationError):
        decode_application(body, str)


def test_the_error_does_not_carry_a_value_of_the_body() -> None:
    with pytest.raises(NotAnApplicationError) as refused:
        decoded(status={"operationState": {"phase": 1, "message": "hunter2"}})

    assert "hunter2" not in str(refused.value)


def test_messages_are_redacted_wherever_they_stand() -> None:
    result = {"kind": "Job", "name": "j", "hookType": "PreSync", "message": "it failed: hunter2"}
    app = operated(message="failed: hunter2", syncResult={"resources": [result]})

    assert app.operation is not None
    assert app.operation.message == "failed: [redacted]"
    assert app.operation.results[0].message == "it failed: [redacted]"


def test_a_phase_that_nobody_knows_has_not_ended() -> None:
    app = operated(phase="Pondering")

    assert app.operation is not None
    assert app.operation.operation_phase is OperationPhase.RUNNING


def test_stamps_are_utc_whatever_their_zone() -> None:
    app = operated(finishedAt="2026-11-21T05:00:05+02:00")

    assert app.operation is not None
    assert (app.operation.started_at, app.operation.finished_at) == (at(0), at(5))


def test_hooks_are_kept_and_of_other_resources_those_that_went_wrong() -> None:
    resources = [
        {"kind": "Job", "name": "migrate", "hookType": "PreSync", "hookPhase": "Succeeded", "status": "Synced"},
        {"kind": "Deployment", "name": "web", "status": "Synced", "hookPhase": "Running", "syncPhase": "Sync"},
        {"kind": "Service", "name": "web", "status": "SyncFailed", "syncPhase": "Sync"},
        {"kind": "Deployment", "name": "api", "status": "Synced", "hookPhase": "Failed", "syncPhase": "Sync"},
    ]
    app = operated(syncResult={"resources": resources, "revision": "r"})

    assert app.operation is not None
    assert [(r.kind, r.name) for r in app.operation.results] == [
        ("Job", "migrate"),
        ("Service", "web"),
        ("Deployment", "api"),
    ]
    assert app.operation.results[0].sync_phase == "PreSync"


def test_our_own_mark_is_found_in_what_is_requested_and_in_what_runs() -> None:
    info = [{"name": "Reason", "value": "x"}, {"name": "hook-responder.io/action", "value": "act-0"}]
    asked, runs = decoded(operation={"info": info, "sync": {}}), operated(operation={"info": info})

    assert (asked.requested, asked.requested_action_id) == (True, "act-0")
    assert runs.operation is not None
    assert runs.operation.request.action_id == "act-0"


def test_several_sources_have_several_revisions() -> None:
    sources = [SOURCE, {**SOURCE, "targetRevision": "v2"}]
    app = decoded(spec={"sources": sources}, status={"sync": {"revisions": ["a", "b"]}})

    assert (app.multi_source, app.sync_revisions) == (True, ("a", "b"))
    assert decoded(spec={"source": SOURCE}).multi_source is False
    assert decoded(spec={"sources": [SOURCE]}).multi_source is True


@pytest.mark.parametrize(
    ("automated", "on"), [(None, False), ({}, True), ({"enabled": True}, True), ({"enabled": False}, False)]
)
def test_auto_sync_is_on_when_it_is_there_and_not_switched_off(automated: dict[str, bool] | None, on: bool) -> None:
    assert decoded(spec={"syncPolicy": {"automated": automated}}).automated is on


def test_equal_sources_have_one_fingerprint_whatever_their_order() -> None:
    def sources(**spec: Any) -> str:
        return decoded(spec=spec).sources

    turned = dict(reversed(SOURCE.items()))
    assert sources(source=SOURCE) == sources(source=turned) == sources(source=None, sources=[SOURCE])
    assert sources(source=SOURCE) != sources(source={**SOURCE, "path": "other"})
    assert sources() == sources(source=None, sources=None) == sources(source={}, sources=[]) == ""


def test_only_annotations_that_are_read_are_kept() -> None:
    kept = {"hook-responder.io/mode": "off", "argocd.argoproj.io/skip-reconcile": "true"}
    app = decoded(metadata={"name": "a", "annotations": {**kept, "kubectl.kubernetes.io/last-applied": "x" * 999}})

    assert dict(app.annotations) == kept


FIELDS = st.sampled_from(["name", "operationState", "phase", "startedAt", "sync", "source", "sources", "history"])
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status", "operation"]), ODD))
def test_an_odd_object_is_read_or_refused(odd: dict[str, Any]) -> None:
    """Nothing else is raised."""
    with contextlib.suppress(NotAnApplicationError):
        assert isinstance(decode_application(json.dumps(odd).encode(), str), Application)
