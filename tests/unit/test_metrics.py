import subprocess

import pytest
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from responder.cluster.reflector import Trouble
from responder.metrics import Metrics, content_type, show
from responder.ports import Trigger

# Written from the published contract: others build dashboards and rules on these names and labels.
CONTRACT = {
    "responder_webhooks_total": {"result"},
    "responder_webhook_duration_seconds": set(),
    "responder_webhooks_missed_total": set(),
    "responder_reconciles_total": {"trigger", "result"},
    "responder_reconcile_duration_seconds": set(),
    "responder_incidents_opened_total": {"sync_phase"},
    "responder_incidents_firing": {"category"},
    "responder_incident_open_seconds": set(),
    "responder_diagnoses_total": {"category", "retry"},
    "responder_hook_attempts_total": {"sync_phase", "result"},
    "responder_hook_duration_seconds": {"result"},
    "responder_hooks_running": set(),
    "responder_hooks_stuck": {"reason"},
    "responder_recorder_follows": set(),
    "responder_recorder_bytes_total": set(),
    "responder_recorder_lines_dropped_total": set(),
    "responder_evidence_gaps_total": {"reason"},
    "responder_detection_duration_seconds": set(),
    "responder_rule_matches_total": {"rule", "mode"},
    "responder_actions_total": {"action", "outcome"},
    "responder_actions_denied_total": {"action", "reason"},
    "responder_actions_pending": set(),
    "responder_killswitch_engaged": set(),
    "responder_blocks": {"environment"},
    "responder_gate_requests_total": {"result"},
    "responder_deliveries_total": {"receiver", "result"},
    "responder_outbox_pending": set(),
    "responder_outbox_oldest_seconds": set(),
    "responder_watch_last_event_timestamp_seconds": {"resource"},
    "responder_watch_restarts_total": {"resource", "reason"},
    "responder_kubernetes_requests_total": {"verb", "resource", "code"},
    "responder_leader": set(),
    "responder_store_commit_duration_seconds": set(),
    "responder_store_bytes": set(),
    "responder_loop_lag_seconds": set(),
    "responder_config_reload_success": set(),
    "responder_build_info": {"version"},
}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def touch_open_labels(metrics: Metrics) -> None:
    metrics.rule_matches_total("the database was away", "live").inc()
    metrics.actions_denied_total("resync", "budget").inc()
    metrics.blocks("production").set(1)
    metrics.deliveries_total("alertmanager", "sent").inc()
    metrics.watch_last_event_timestamp_seconds("jobs").set(1_763_733_600)
    metrics.watch_restarts_total("jobs", "expired").inc()
    metrics.kubernetes_requests_total("get", "pods", "200").inc()
    metrics.application_incidents_total("argocd", "orders").inc()


def exposed(metrics: Metrics) -> dict[str, set[str]]:
    """Label names by series name, `le` and the suffixes of histograms aside."""
    found: dict[str, set[str]] = {}
    for family in parse_text(metrics.render().decode()):
        for sample in family.samples:
            name = family.name if family.type == "histogram" else sample.name
            found.setdefault(name, set()).update(sample.labels.keys() - {"le"})
    return found


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_every_name_of_the_contract_is_there_with_exactly_its_labels(metrics: Metrics) -> None:
    touch_open_labels(metrics)
    found = exposed(metrics)
    assert {name: found.get(name) for name in CONTRACT} == CONTRACT


def test_closed_label_sets_stand_at_zero_before_anything_happened(metrics: Metrics) -> None:
    assert value(metrics, "responder_webhooks_total", result="stock-template") == 0
    assert value(metrics, "responder_incidents_firing", category="dirty-state") == 0
    assert value(metrics, "responder_diagnoses_total", category="deadlock", retry="safe") == 0
    assert value(metrics, "responder_evidence_gaps_total", reason="recorder-away") == 0
    assert value(metrics, "responder_actions_total", action="stop-retries", outcome="unknown") == 0
    assert value(metrics, "responder_hook_duration_seconds_count", result="failed") == 0
    assert value(metrics, "responder_gate_requests_total", result="pending") == 0


def test_the_closed_sets_are_the_words_that_their_owners_use(metrics: Metrics) -> None:
    for trouble in Trouble:
        metrics.watch_restarts_total("jobs", trouble)
    for trigger in Trigger:
        metrics.reconciles_total(trigger, "ok")
    assert '"other"' not in metrics.render().decode()


def test_a_watch_that_never_spoke_has_no_stamp_instead_of_1970(metrics: Metrics) -> None:
    assert "responder_watch_last_event_timestamp_seconds{" not in metrics.render().decode()


def test_no_created_series_and_nothing_of_ours_in_the_global_registry(metrics: Metrics) -> None:
    assert "_created" not in metrics.render().decode()
    assert not [family.name for family in REGISTRY.collect() if family.name.startswith("responder_")]


def test_a_value_outside_its_closed_set_counts_as_other(metrics: Metrics) -> None:
    metrics.webhooks_total("x" * 1000).inc()
    metrics.webhooks_total("another").inc()
    assert value(metrics, "responder_webhooks_total", result="other") == 2
    assert "xxx" not in metrics.render().decode()


def test_an_incident_without_a_hook_counts_as_none(metrics: Metrics) -> None:
    metrics.incidents_opened_total("").inc()
    assert value(metrics, "responder_incidents_opened_total", sync_phase="none") == 1


def test_applications_beyond_the_cap_share_one_series() -> None:
    metrics = Metrics(CollectorRegistry(), applications=2)
    for name in ("orders", "billing", "search", "mail", "orders"):
        metrics.application_incidents_total("argocd", name).inc()

    def count(namespace: str, name: str) -> float | None:
        return value(
            metrics, "responder_application_incidents_total", application_namespace=namespace, application=name
        )

    assert count("argocd", "orders") == 2
    assert count("argocd", "billing") == 1
    assert count("argocd", "search") is None
    assert count("other", "other") == 2


def test_beyond_the_cap_only_open_labels_become_other(metrics: Metrics) -> None:
    for number in range(1000):
        metrics.deliveries_total(f"receiver-{number}", "failed").inc()
    assert value(metrics, "responder_deliveries_total", receiver="other", result="failed") == 800
    assert metrics.render().decode().count("responder_deliveries_total{") == 201


def test_a_child_is_made_once_and_kept(metrics: Metrics) -> None:
    assert metrics.webhooks_total("accepted") is metrics.webhooks_total("accepted")


def test_showing_a_whole_picture_sets_what_is_absent_back_to_zero(metrics: Metrics) -> None:
    show(metrics.incidents_firing, {"deadlock": 3, "dns-failure": 1})
    show(metrics.incidents_firing, {"dns-failure": 2})
    assert value(metrics, "responder_incidents_firing", category="deadlock") == 0
    assert value(metrics, "responder_incidents_firing", category="dns-failure") == 2


def test_showing_adds_up_what_falls_into_other(metrics: Metrics) -> None:
    show(metrics.hooks_stuck, {"new-reason": 2, "newer-reason": 3})
    assert value(metrics, "responder_hooks_stuck", reason="other") == 5


def test_plain_text_unless_openmetrics_is_asked_for(metrics: Metrics) -> None:
    assert content_type("") == content_type("*/*") == "text/plain; version=0.0.4; charset=utf-8"
    assert not metrics.render("text/html").endswith(b"# EOF\n")


def test_openmetrics_carries_exemplars_and_ends_once(metrics: Metrics) -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"
    metrics.detection_duration_seconds.observe(0.4, exemplar={"incident": "inc-7"})
    text = metrics.render(accept).decode()
    assert content_type(accept).startswith("application/openmetrics-text; version=1.0.0")
    assert text.count("# EOF") == 1
    assert text.endswith("# EOF\n")
    families = parse_openmetrics(text)  # type: ignore[no-untyped-call]  # the library's annotation is missing
    exemplars = [s.exemplar for f in families for s in f.samples if s.exemplar]
    assert [(e.labels, e.value) for e in exemplars] == [({"incident": "inc-7"}, 0.4)]


@pytest.mark.parametrize("accept", ["application/openmetrics-text;version=x", "text/plain;version=;;=,,", "\udcff" * 9])
def test_a_strange_accept_header_still_gets_an_answer(metrics: Metrics, accept: str) -> None:
    assert b"responder_build_info" in metrics.render(accept)


def test_parts_are_small_so_that_a_scrape_does_not_hold_the_loop() -> None:
    metrics = Metrics(CollectorRegistry(), applications=500)
    for number in range(10_000):
        metrics.application_incidents_total("argocd", f"application-{number}").inc()
    touch_open_labels(metrics)
    parts = list(metrics.parts())
    lines = sum(part.count(b"\n") for part in parts)
    assert lines < 5000
    assert max(part.count(b"\n") for part in parts) <= 503


def test_process_and_build_are_told(metrics: Metrics) -> None:
    names = exposed(metrics)
    assert {"process_resident_memory_bytes", "python_gc_collections_total", "python_info"} <= names.keys()


@pytest.mark.peer
def test_prometheus_own_linter_has_no_complaint(metrics: Metrics) -> None:
    touch_open_labels(metrics)
    text = b"".join(part for part in metrics.parts() if part.startswith(b"# HELP responder_"))
    lint = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=30, check=False)
    assert (lint.returncode, lint.stderr.decode()) == (0, "")
