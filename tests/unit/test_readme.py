"""What the README says is so: its examples are taken as they stand."""

import re
from pathlib import Path

import pytest

from responder.cli import main
from responder.config import ReceiverConfig
from responder.core.diagnosis import diagnose_lines
from responder.core.failure import Category
from responder.core.rules import Facts, match
from responder.core.rulesfile import parse_rules
from responder.receivers.template import SAMPLE, three_lines
from responder.shipped import signatures
from responder.web import events, gate, incidents, logs, pages, probes, rules

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
(RULES,) = [block for block in BLOCKS if block.startswith("version:")]
(SIGNATURES,) = [block for block in BLOCKS if block.startswith("signatures:")]


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize(
    ("facts", "decides"),
    [
        (
            Facts(category="connection-refused", retry="safe", state_left="none", project="shop-orders"),
            ["the shop's database was away"],
        ),
        (
            Facts(category="connection-refused", retry="unsafe", state_left="partial", project="shop-orders"),
            ["something was left behind"],
        ),
        (Facts(category="connection-refused", retry="safe", state_left="none", project="billing"), []),
        (Facts(category="connection-refused", retry="unknown", state_left="none", project="shop-orders"), []),
    ],
)
def test_the_example_rules_decide_as_is_said_beneath_them(facts: Facts, decides: list[str]) -> None:
    rulebook = parse_rules(RULES, "README.md", frozenset())
    assert [rule.name for rule in match(rulebook, facts).matched] == decides


def test_the_example_rule_acts_at_most_twice_and_two_minutes_apart() -> None:
    rule = parse_rules(RULES, "README.md", frozenset()).rules[1]
    assert (rule.budget, rule.cooldown, rule.actions[0].delay) == (2, 120, 30)


def test_the_example_signature_names_the_cause(tmp_path: Path) -> None:
    file = tmp_path / "ledger.yaml"
    file.write_text(SIGNATURES, encoding="utf-8")
    log = ["Applying 0042_add_price", "ERROR: ledger shop is closed for migrations until 06:00"]
    found = diagnose_lines(log, signatures([file]), exit_code=1)
    assert (found.category, found.key_line) == (Category.READ_ONLY, log[1])
    assert found.advice == "The ledger opens at six. Run it again then."


def test_the_log_in_the_tree_is_judged_as_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (shown,) = re.findall(r"^\$ \.venv/bin/responder (.*)\n((?:.*\n)*?)```", TEXT, re.MULTILINE)
    command, lines = shown
    monkeypatch.chdir(ROOT)
    assert main(command.split()) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line for line in lines.splitlines() if line not in (*told, "  ...")] == []


def test_every_route_exists() -> None:
    pages_and_api = (incidents.ROUTES, logs.ROUTES, gate.ROUTES, events.ROUTES, pages.ROUTES, rules.ROUTES)
    tables = (*pages_and_api, probes.routes(metrics_open=True))
    known = {"/v1/argocd/webhook", "/openapi.json", *(route.path for table in tables for route in table)}
    named = set(re.findall(r"`(?:[A-Z]+ )?(/[a-z{}/0-9.-]*)`", section("HTTP")))
    prefixes = {"/resolve", "/mute", "/stop-retries", "/terminate", "/delete-hook"}, {"/decline"}
    spelled = {f"/v1/incidents/{{id}}{end}" for end in prefixes[0]} | {
        f"/v1/decisions/{{id}}{end}" for end in prefixes[1]
    }
    assert "/v1/gate" in named
    assert (named - prefixes[0] - prefixes[1] | spelled) - known == set()


def test_every_module_of_the_path_of_data_exists() -> None:
    named = {name for row in section("How the data goes").splitlines() for name in re.findall(r"`([a-z_/]+\.py)`", row)}
    assert len(named) > 10
    assert [name for name in sorted(named) if not (ROOT / "responder" / name).exists()] == []


def test_every_receiver_that_is_named_can_be_configured() -> None:
    types = ReceiverConfig.model_fields["type"].annotation
    assert set(re.findall(r"'(\w+)'", str(types))) == {"alertmanager", "slack", "webhook"}
    assert "Alerts to Alertmanager, Slack and signed webhooks." in TEXT


def test_an_alert_has_three_lines() -> None:
    assert len(three_lines(SAMPLE).splitlines()) == 3
