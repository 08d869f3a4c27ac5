"""The shape of ``GET /v1/incidents/{id}``: names that others rely on are there, whatever is known."""

import json
from typing import Any

import msgspec

from responder.core.alert import Delivery, Severity
from responder.core.argocd import OperationPhase, ResourceResult
from responder.core.deciding import Case, decide
from responder.core.evidence import Gap, GapReason
from responder.core.failure import Category
from responder.core.report import report
from responder.core.wording import ago, alert, next_step
from tests.unit.core.deciding import BROKEN, POLICY, SAFE, incident, situation
from tests.unit.core.night import at, hook, operation, told, views

Json = dict[str, Any]


def shown(**more: Any) -> Json:
    seen = situation(runs=(msgspec.structs.replace(BROKEN, gaps=(Gap("pod/x", GapReason.TTL, "gone"),)),))
    view = seen.views[0]
    diagnoses = {(view.record.id, 1, str(view.attempts[0].hooks[0].identity)): SAFE}
    out = report(incident(**more), seen.views, diagnoses, (delivery(),), url="https://responder.example.com")
    decoded: Json = json.loads(msgspec.json.encode(out))
    return decoded


def delivery() -> Delivery:
    said = alert(incident(), Severity.WARNING, POLICY, at(60))
    return Delivery("d-1", "pager", said, at(60), at(60), at(3600))


def test_the_names_of_the_contract_are_all_there() -> None:
    out = shown()

    assert set(out) >= {
        *("schema", "id", "state", "argocd", "destination", "application", "revisions", "impact", "changed"),
        *("diagnosis", "operations", "decisions", "deliveries", "timeline", "parent", "children", "links"),
    }
    assert set(out["application"]) == {"namespace", "name", "project", "uid"}
    (shown_operation,) = out["operations"]
    assert set(shown_operation) >= {"started_at", "initiated_by", "operation_phase", "attempts", "gaps"}
    (attempt,) = shown_operation["attempts"]
    assert set(attempt) >= {"number", "hooks"}
    (one,) = attempt["hooks"]
    assert set(one) >= {"kind", "namespace", "name", "uid", "sync_phase", "hook_phase", "pods", "diagnosis"}
    (shown_pod,) = one["pods"]
    assert set(shown_pod) >= {"name", "containers"}
    (shown_container,) = shown_pod["containers"]
    assert set(shown_container) >= {"name", "kind", "exit_code", "signal", "reason", "log"}
    assert set(shown_container["log"]) >= {"lines", "bytes", "dropped", "href"}
    assert shown_operation["gaps"] == [{"source": "pod/x", "reason": "ttl", "detail": "gone"}]


def test_absent_is_null_or_empty_and_never_missing() -> None:
    out = shown(diagnosis=None, operations=())

    assert (out["diagnosis"], out["parent"], out["operations"], out["children"], out["decisions"]) == (
        None,
        None,
        [],
        [],
        [],
    )


def test_a_decision_has_its_verdict_with_what_stands_in_the_way() -> None:
    denied = situation(now=at(20), window_open=False)
    decided = decide(Case(denied, incident(), SAFE, denied.views[0])).decisions
    (out,) = shown(decisions=decided)["decisions"]

    assert set(out) >= {"id", "rule", "action", "mode", "verdict", "outcome"}
    assert out["verdict"]["result"] == "denied"
    assert out["verdict"]["reasons"] == ["a sync window is closed", "cooling down until 03:00:35Z"]
    assert {"guard": "killswitch", "passed": True, "text": "the kill switch is released"} in out["verdict"]["guards"]
    assert out["outcome"] is None


def test_links_lead_to_the_page_and_to_the_runbook_of_the_cause() -> None:
    assert shown()["links"] == {
        "self": "https://responder.example.com/v1/incidents/incident-1",
        "page": "https://responder.example.com/incidents/incident-1",
        "runbook": "https://responder.example.com/runbooks/connection-refused",
    }


def test_a_job_that_answered_for_an_earlier_one_shows_no_pods_of_its_own() -> None:
    old = msgspec.structs.replace(BROKEN, created_at=at(-60), delete_policies=("HookSucceeded",))
    record = operation(situation().views[0].record.operation_phase, told(1, hook(), 2), finished=3)
    out = report(incident(), views([record], [old]), {})

    (one,) = out.operations[0].attempts[0].hooks
    assert (one.stale, one.pods, one.uid) == (True, [], old.uid)


# Words.


def test_an_alert_says_what_what_is_left_and_what_now() -> None:
    said = alert(incident(impact="the old version serves", changed="a -> b"), Severity.WARNING, POLICY, at(60))

    assert said.title == "shop/orders: db-migrate connection-refused"
    assert said.what == "connection-refused: the hook failed"
    assert said.left == (
        "Nothing was left behind; running it again is harmless and may help (it passes by itself)."
        " The old version serves."
    )
    assert said.next == "a -> b. Next: read the log, then decide: argocd app get orders --show-operation"


def test_the_next_step_is_the_advice_or_follows_from_the_cause() -> None:
    assert next_step(msgspec.structs.replace(SAFE, advice="look there"), "orders") == "look there"
    assert next_step(None, "orders") == "argocd app get orders --show-operation"


def test_ages_are_told_in_one_unit() -> None:
    assert [ago(at(0), at(s)) for s in (-5, 59, 60, 3600, 90000)] == ["0 s", "59 s", "1 min", "1 h", "1 d"]


def test_what_the_sync_could_not_apply_is_told_beside_its_hooks() -> None:
    deployment = ResourceResult(
        "Deployment", "shop", "api", "apps", "SyncFailed", "spec.selector: field is immutable", sync_phase="Sync"
    )
    record = operation(
        OperationPhase.FAILED, told(1, hook(hook_phase="Succeeded"), 2), told(1, deployment, 3), finished=3
    )
    out = report(incident(), views([record]), {})

    assert [msgspec.to_builtins(r) for r in out.operations[0].attempts[0].resources] == [
        {
            "group": "apps",
            "kind": "Deployment",
            "namespace": "shop",
            "name": "api",
            "status": "SyncFailed",
            "sync_phase": "Sync",
            "message": "spec.selector: field is immutable",
        }
    ]


def test_weak_points_of_the_hook_that_was_seen_are_told_once() -> None:
    weak = shown()["findings"]

    assert {(f["hook"], f["rule"]) for f in weak} >= {("Job shop/db-migrate", "no-deadline")}
    assert len({(f["rule"], f["what"]) for f in weak}) == len(weak)
    assert set(weak[0]) == {"hook", "rule", "severity", "what", "why", "instead", "source"}


def test_a_secret_that_the_same_sync_brings_after_its_hook_is_a_weak_point() -> None:
    seen = situation(runs=(msgspec.structs.replace(BROKEN, secrets=("Secret/db", "ConfigMap/elsewhere")),))
    out = report(incident(), seen.views, {}, brings=(("Secret", "db"), ("Secret", "other")))

    assert [f.what for f in out.findings if f.rule == "needed-later"] == [
        "Secret db comes in the Sync phase, after this hook"
    ]


def test_an_alert_tells_the_first_consequences_and_keeps_the_others_as_details() -> None:
    later = ("attempt 2: one", "attempt 3: two", "attempt 4: three")
    told_so = msgspec.structs.replace(
        SAFE, consequences=later, advice="Look there.", command="kubectl get pods", owner="DBA", key_line="gone"
    )
    said = alert(incident(diagnosis=told_so, changed=""), Severity.WARNING, POLICY, at(60))

    assert said.what == "connection-refused: gone. Then attempt 2: one. Then attempt 3: two."
    assert said.details[0] == "attempt 4: three"
    assert said.next == "Next: Look there. Begin with: kubectl get pods (likely with: DBA)"


def test_what_is_no_failure_is_not_called_one() -> None:
    waits = msgspec.structs.replace(SAFE, category=Category.NONE, key_line="it has ended well")
    unsure = msgspec.structs.replace(SAFE, category=Category.UNKNOWN)

    assert alert(incident(diagnosis=waits), Severity.WARNING, POLICY, at(60)).title == (
        "shop/orders: db-migrate ended well, Argo CD still waits"
    )
    assert alert(incident(diagnosis=unsure), Severity.WARNING, POLICY, at(60)).title == (
        "shop/orders: db-migrate cause unknown"
    )
