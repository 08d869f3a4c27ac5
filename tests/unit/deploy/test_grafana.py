import json
from itertools import combinations
from pathlib import Path

import pytest

from tests.unit.deploy.manifests import DEPLOY, Manifest
from tests.unit.deploy.promql import named_series, our_series, unreadable

DASHBOARD: Manifest = json.loads((DEPLOY / "grafana/responder.json").read_text(encoding="utf-8"))
PANELS: list[Manifest] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS: list[str] = [target["expr"] for panel in PANELS for target in panel["targets"]]
EXPRESSIONS += [annotation["expr"] for annotation in DASHBOARD["annotations"]["list"]]


def overlap(one: Manifest, other: Manifest) -> bool:
    a, b = one["gridPos"], other["gridPos"]
    return bool(
        a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]
    )


def test_every_query_names_series_that_we_really_show() -> None:
    assert {name for expression in EXPRESSIONS for name in named_series(expression)} <= our_series()


def test_nothing_that_an_operator_asks_for_is_missing() -> None:
    shown = {name for expression in EXPRESSIONS for name in named_series(expression)}
    assert shown >= {
        "responder_incidents_firing",
        "responder_incidents_opened_total",
        "responder_detection_duration_seconds_bucket",
        "responder_hook_attempts_total",
        "responder_evidence_gaps_total",
        "responder_deliveries_total",
        "responder_outbox_pending",
        "responder_outbox_oldest_seconds",
        "responder_watch_last_event_timestamp_seconds",
        "responder_killswitch_engaged",
        "responder_gate_requests_total",
    }


@pytest.mark.peer
def test_prometheus_can_read_every_query(tmp_path: Path) -> None:
    filled = [
        expression.replace("$__rate_interval", "1m").replace("$__range", "6h").replace("$namespace", ".*")
        for expression in EXPRESSIONS
    ]
    assert [expression for expression in filled if "$" in expression] == []
    assert unreadable(filled, tmp_path) == ""


def test_it_can_be_imported_anywhere_and_linked_to() -> None:
    assert DASHBOARD["uid"] == "hook-responder"
    assert "__inputs" not in DASHBOARD
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_panels_lie_side_by_side_and_never_on_one_another() -> None:
    pairs = combinations(DASHBOARD["panels"], 2)
    assert [(a["title"], b["title"]) for a, b in pairs if overlap(a, b)] == []
    assert max(panel["gridPos"]["x"] + panel["gridPos"]["w"] for panel in DASHBOARD["panels"]) == 24
