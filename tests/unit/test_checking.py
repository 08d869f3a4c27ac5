from pathlib import Path

import pytest

from responder.checking import problems_of
from responder.config import load_settings

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"


@pytest.mark.parametrize(
    "file",
    [
        CONFIG / "responder.yaml",
        CONFIG / "rules.yaml",
        ROOT / "deploy/kustomize/base/responder.yaml",
        ROOT / "deploy/kustomize/base/rules.yaml",
    ],
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_what_we_ship_has_no_faults(file: Path) -> None:
    assert problems_of(file) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("listen:\n  prot: 80\n", "2:3: listen.prot: unknown key, did you mean port?"),
        (
            "version: 1\nrules:\n  - name: a\n    when: {categry: killed}\n    do: [{alert: {}}]\n",
            "4:12: categry: unknown condition, did you mean category?",
        ),
        (
            "rules:\n  - name: a\n    when: {}\n    do: [{alert: {}}]\n",
            "1:1: version: missing",
        ),
        (
            "signatures:\n  - {id: a, pattern: '(', samples: [x], category: killed}\n",
            "2:22: a: RE2 refuses the pattern (no look-around, no back-references): missing ): (",
        ),
        (
            "signatures:\n  - {id: a, pattern: x, samples: [x], category: slow}\n",
            "2:49: 'slow' is no category, expected one of: admission-denied, already-exists, ",
        ),
        (
            "signatures:\n  - {id: a, pattern: x, samples: [x], category: killed, weight: 5000}\n",
            "2:65: a: weight: expected 1 to 100, found 5000; a tool's own words weigh 40, a database's 30, ",
        ),
        (
            "signatures:\n  - {id: a, pattern: x, samples: [x], category: killed, source: because}\n",
            "2:65: a: source: expected the address of a page that says so, found 'because'",
        ),
        (
            "defaults:\n  says: failure\nsignatures: [{id: a, pattern: x, samples: [x], category: killed}]\n",
            "2:3: says: unknown key, expected one of: database, source, tool, weight",
        ),
        ("listen: [\n", "2:1: "),
        (" \n", "1:1: is empty"),
        ("# rules come later\n", "1:1: is empty"),
        ("- a\n", "1:1: expected a configuration, rules, cases or signatures, found a list"),
        ("hello\n", "1:1: expected a configuration, rules, cases or signatures, found 'hello'"),
        (
            "apiVersion: batch/v1\nkind: Job\n",
            "1:1: is a Kubernetes object (Job): `responder lint` reads hook manifests",
        ),
    ],
    ids=[
        *(
            "configuration",
            "rules",
            "rules without a version",
            "pattern",
            "category",
            "weight",
            "source",
            "defaults",
            "no YAML",
            "empty",
        ),
        "comments alone",
        *("list", "text", "manifest"),
    ],
)
def test_a_fault_of_each_kind_of_file_has_line_and_column(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(text)
    (problem,) = problems_of(file)
    assert problem.startswith(f"{file}:{told}")


def test_every_fault_of_rules_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(
        "version: 1\nrules:\n"
        "  - name: a\n    when: {catagory: killed}\n    do: [{resnyc: {}}]\n"
        "  - name: b\n    when: {category: kiled}\n    mode: loud\n    do: [{alert: {}}]\n"
    )
    assert [problem.removeprefix(f"{file}:") for problem in problems_of(file)] == [
        "4:12: catagory: unknown condition, did you mean category?",
        "5:11: rules.0.do.0.resnyc: unknown key, did you mean resync?",
        "7:22: 'kiled' is no category, did you mean killed?",
        "8:11: rules.1.mode: expected 'shadow', 'approve' or 'live'",
    ]


def test_a_template_is_checked_by_itself(tmp_path: Path) -> None:
    file = tmp_path / "slack.j2"
    file.write_text("{{ title }}\n{% if %}\n")
    (problem,) = problems_of(file)
    assert problem.startswith(f"{file}:2")
    assert problems_of(CONFIG / "templates/slack.j2") == []


def test_what_a_configuration_names_is_checked_with_it(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(
        "version: 1\nrules:\n  - {name: a, when: {}, do: [{alert: {receiver: pager}}]}\n"
    )
    (tmp_path / "own.yaml").write_text("signatures:\n  - {id: a, pattern: x, samples: [y], category: killed}\n")
    (tmp_path / "slack.j2").write_text("{{ alert.titel }}\n")
    file = tmp_path / "responder.yaml"
    file.write_text(
        "rules: rules.yaml\nsignatures: [own.yaml, gone.yaml]\n"
        "receivers: [{name: dba, type: slack, url_file: /run/secrets/absent, template: slack.j2}]\n"
    )
    rules, own, gone, template = problems_of(file)
    assert rules.startswith(f"{tmp_path}/rules.yaml:3:49: receiver 'pager' is not configured, expected one of: dba")
    assert own == f"{tmp_path}/own.yaml:2:34: a: the sample 'y' does not match"
    assert gone == f"{tmp_path}/gone.yaml: cannot be read: No such file or directory"
    assert template.startswith(f"{tmp_path}/slack.j2:1:1: fails on a sample alert: ")


def test_files_that_cannot_be_read_are_told_by_name(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    assert problems_of(binary) == [f"{binary}:1:1: is no UTF-8 text: save it as UTF-8"]
    assert problems_of(tmp_path / "gone.yaml") == [f"{tmp_path}/gone.yaml: cannot be read: No such file or directory"]
    assert problems_of(tmp_path) == [f"{tmp_path}: cannot be read: Is a directory"]


def test_rules_alone_may_name_what_is_configured_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "tools: [{name: ledgerctl, source: ours}]\n"
        "signatures:\n"
        "  - {id: a, pattern: ledger closed, samples: [ledger closed], category: permission-denied, passes: true}\n"
    )
    rules = tmp_path / "rules.yaml"
    rules.write_text("version: 1\nrules:\n  - {name: a, when: {tool: ledgerctl}, do: [{alert: {receiver: pager}}]}\n")
    config = tmp_path / "responder.yaml"
    config.write_text("signatures: [own.yaml]\nreceivers: [{name: dba, type: slack, url_file: /run/secrets/absent}]\n")
    assert problems_of(rules) == []
    assert problems_of(rules, load_settings(config)) == [
        f"{rules}:3:64: receiver 'pager' is not configured, expected one of: dba"
    ]
    config.write_text("receivers: [{name: pager, type: slack, url_file: /run/secrets/absent}]\n")
    (unknown,) = problems_of(rules, load_settings(config))
    assert unknown.startswith(f"{rules}:3:28: 'ledgerctl': no signature knows this tool, expected one of: ")
