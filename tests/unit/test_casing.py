"""``responder rules test``."""

import json
import shutil
from pathlib import Path

import pytest

from responder.checking import problems_of
from responder.cli import main

ROOT = Path(__file__).parents[2]
EXPORTED = Path(__file__).parent / "exported"
RULES = """\
version: 1
rules:
  - {name: dirty, when: {state_left: dirty}, do: [{stop-retries: {}}, {alert: {severity: critical}}]}
  - {name: rest, when: {}, do: [{alert: {}}]}
"""
CASES = """\
version: 1
rules: rules.yaml
cases:
  - name: a marker was left
    incident: dirty-version.json
    expect: {rule: dirty, decisions: [stop-retries denied by mode, alert critical]}
  - name: a deadlock
    given: {category: deadlock, retry: safe}
    expect: {rule: dirty}
"""
SHIPPED = [
    ROOT / "config/rules.cases.yaml",
    ROOT / "responder/demo/rules.cases.yaml",
    ROOT / "tests/unit/deploy/rules.cases.yaml",
]


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    (tmp_path / "rules.yaml").write_text(RULES)
    shutil.copy(EXPORTED / "dirty-version.json", tmp_path)
    file = tmp_path / "cases.yaml"
    file.write_text(CASES)
    return file


@pytest.mark.parametrize("file", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_rule_that_we_ship_has_cases_and_decides_as_they_say(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rules", "test", "--every-rule", str(file)]) == 0, capsys.readouterr().out
    assert problems_of(file) == []


def test_a_difference_is_shown_and_is_exit_code_1(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "test", str(cases)]) == 1
    assert capsys.readouterr().out == (
        f"ok   {cases}:4: a marker was left\n"
        f"FAIL {cases}:7: a deadlock\n"
        "       - rule dirty\n"
        "       + rule rest\n"
        "       dirty: state_left dirty: none\n"
        "2 cases, 1 failed\n"
    )


def test_on_a_terminal_it_is_coloured(
    cases: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    main(["rules", "test", str(cases)])
    assert "\x1b[31m       - rule dirty\x1b[0m\n\x1b[32m       + rule rest\x1b[0m\n" in capsys.readouterr().out


def test_one_object_a_case(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "test", "--json", str(cases)]) == 1
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["name"], first["line"], first["passed"], first["differences"]) == ("a marker was left", 4, True, [])
    assert second["came"] == {"rules": ["rest"], "decisions": ["alert warning"]}
    assert (second["expected"], second["passed"]) == ({"rules": ["dirty"], "decisions": None}, False)


def test_other_rules_can_be_tried_on_the_same_cases(
    cases: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(RULES.replace("state_left: dirty", "state_left: [dirty, none]"))
    assert main(["rules", "test", "--rules", str(other), str(cases)]) == 0
    assert capsys.readouterr().out.endswith("2 cases, 0 failed\nrules that decided in no case:\n  other.yaml: rest\n")
    assert main(["rules", "test", "--rules", str(other), "--every-rule", str(cases)]) == 1


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "category: deadlock",
            "category: dedlock",
            "cases.yaml:8:23: 'dedlock' is no category, did you mean deadlock?",
        ),
        ("rules: rules.yaml\n", "", "cases.yaml:1:1: which rules? Write `rules: rules.yaml`"),
        ("rules: rules.yaml", "rules: gone.yaml", "gone.yaml: cannot be read: No such file or directory"),
        ("dirty-version.json", "rules.yaml", "cases.yaml:5:15: rules.yaml: is no JSON object"),
    ],
)
def test_what_is_not_right_is_told_and_is_exit_code_2(
    cases: Path, old: str, new: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cases.write_text(CASES.replace(old, new))
    assert main(["rules", "test", str(cases)]) == 2
    assert told in capsys.readouterr().err


def test_a_rules_file_that_is_refused_is_told_with_its_place(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cases.parent / "rules.yaml").write_text(RULES.replace("state_left", "state_lef"))
    assert main(["rules", "test", str(cases)]) == 2
    assert "rules.yaml:3:26: state_lef: unknown condition, did you mean state_left?" in capsys.readouterr().err


def test_with_a_configuration_its_receivers_have_to_be_known(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cases.parent / "rules.yaml").write_text(RULES.replace("{alert: {severity: critical}}", "{alert: {receiver: dba}}"))
    config = cases.parent / "responder.yaml"
    config.write_text("receivers: [{name: pager, type: slack, url_file: /run/secrets/absent}]\n")
    assert main(["rules", "test", "--config", str(config), str(cases)]) == 2
    assert "receiver 'dba' is not configured, expected one of: pager" in capsys.readouterr().err
    config.write_text("receivers: 7\n")
    assert main(["rules", "test", "--config", str(config), str(cases)]) == 2
    assert "responder.yaml:1:12: receivers: expected a list" in capsys.readouterr().err
