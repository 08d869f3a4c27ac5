import re
from pathlib import Path

import pytest
import yaml

from responder.receivers.alertmanager import ALERTNAME, IDENTITY
from tests.unit.deploy.manifests import DEPLOY, Manifest
from tests.unit.deploy.promql import named_series, our_series, promtool, unreadable

PROMETHEUS = DEPLOY / "prometheus"
GROUPS = yaml.safe_load((PROMETHEUS / "rules.yaml").read_text(encoding="utf-8"))["groups"]
RULES: list[Manifest] = [rule for group in GROUPS for rule in group["rules"]]


def load(name: str) -> Manifest:
    content: Manifest = yaml.safe_load((PROMETHEUS / name).read_text(encoding="utf-8"))
    return content


def runbook_anchors() -> set[str]:
    titles = re.findall(r"^## (\w+)$", (PROMETHEUS / "runbooks.md").read_text(encoding="utf-8"), re.MULTILINE)
    return {title.lower() for title in titles}


@pytest.mark.peer
def test_prometheus_takes_the_rules() -> None:
    assert promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yaml", cwd=PROMETHEUS) == ""


@pytest.mark.peer
def test_each_alert_fires_when_it_should_and_not_before() -> None:
    assert promtool("test", "rules", "rules.test.yaml", cwd=PROMETHEUS) == ""


@pytest.mark.peer
def test_an_expression_that_prometheus_cannot_read_is_found(tmp_path: Path) -> None:
    assert unreadable(["sum(up)"], tmp_path) == ""
    assert "parse error" in unreadable(["sum(up"], tmp_path)


def test_no_alert_is_without_a_case() -> None:
    cases = {case["alertname"] for test in load("rules.test.yaml")["tests"] for case in test["alert_rule_test"]}
    firing = {
        case["alertname"]
        for test in load("rules.test.yaml")["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert cases == firing == {rule["alert"] for rule in RULES}


def test_every_alert_of_the_contract_is_there() -> None:
    assert {"ResponderDown", "ResponderBlind", "HookIncidentFiring"} <= {rule["alert"] for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_urgent_it_is_what_happens_and_where_to_read_on(rule: Manifest) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert anchor in runbook_anchors() if anchor else "/runbooks/{{ $labels." in page


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_looks_at_series_that_we_really_show(rule: Manifest) -> None:
    assert named_series(rule["expr"]) <= our_series()


def test_the_fallback_needs_nothing_of_ours() -> None:
    (fallback,) = [rule for rule in RULES if rule["alert"] == "ArgoCDSyncFailed"]
    assert "responder_" not in fallback["expr"]
    assert 'argocd_app_sync_total{phase=~"Error|Failed"}' in fallback["expr"]


def test_inhibitions_name_alerts_and_labels_that_exist() -> None:
    rules = load("alertmanager-inhibit.yaml")["inhibit_rules"]
    sources = {matcher for rule in rules for matcher in rule["source_matchers"]}
    assert sources == {f'alertname="{ALERTNAME}"', 'alertname="ResponderDown"'}
    assert {label for rule in rules for label in rule.get("equal", ())} <= set(IDENTITY)
