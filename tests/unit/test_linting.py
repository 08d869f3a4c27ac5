"""``responder lint``: files as people write them, with file, line and exit code."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from responder.cli import main
from responder.linting import Found, as_text, lint_files

ROOT = Path(__file__).parents[2]
SHAPES: list[dict[str, Any]] = list(yaml.safe_load_all((ROOT / "tests/data/hook-shapes.yaml").read_text()))
WEAK = """\
apiVersion: v1
kind: Secret
metadata:
  name: db
---
apiVersion: batch/v1
kind: Job
metadata:
  name: db-migrate
  annotations:
    argocd.argoproj.io/hook: PreSync
spec:
  backoffLimit: 0
  activeDeadlineSeconds: 600
  template:
    spec:
      restartPolicy: OnFailure
      containers:
        - name: migrate
          image: shop:1.2.3
          command: [alembic, upgrade, head]
          env:
            - name: URL
              valueFrom: {secretKeyRef: {name: db, key: url}}
"""


def write(folder: Path, text: str, name: str = "hooks.yaml") -> str:
    file = folder / name
    file.write_text(text)
    return str(file)


def found(*files: str) -> list[Found]:
    findings, problems = lint_files(files)
    assert problems == []
    return findings


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape["shape"])
def test_hooks_that_people_really_write(shape: dict[str, Any], tmp_path: Path) -> None:
    file = write(tmp_path, yaml.safe_dump_all(shape["objects"], sort_keys=False))

    assert sorted({f.rule for f in found(file)}) == shape["expect"]


@pytest.mark.parametrize("file", sorted((ROOT / "deploy/gate-hook").glob("*.yaml")), ids=lambda file: file.name)
def test_our_own_hook_has_no_findings(file: Path) -> None:
    assert found(str(file)) == []


def test_each_finding_has_its_line(tmp_path: Path) -> None:
    file = write(tmp_path, WEAK)

    assert [(f.file, f.line, f.object, f.rule) for f in found(file)] == [
        (file, 17, "Job/db-migrate", "restart-on-failure"),
        (file, 23, "Job/db-migrate", "needed-later"),
    ]


def test_a_list_is_its_items_and_several_files_are_one_sync(tmp_path: Path) -> None:
    secret, job = yaml.safe_load_all(WEAK)
    listed = write(tmp_path, json.dumps({"apiVersion": "v1", "kind": "List", "items": [job]}, indent=1), "list.json")
    beside = write(tmp_path, yaml.safe_dump(secret), "secret.yaml")

    assert [f.rule for f in found(listed)] == ["restart-on-failure"]
    assert {f.rule for f in found(listed, beside)} == {"restart-on-failure", "needed-later"}
    assert all(f.line > 1 for f in found(listed))


def test_a_kustomization_beside_the_file_counts(tmp_path: Path) -> None:
    shape = next(s for s in SHAPES if s["shape"].startswith("9c"))
    file = write(tmp_path, yaml.safe_dump(shape["objects"][1]))
    write(tmp_path, "resources: [hooks.yaml]\n", "kustomization.yaml")

    assert [f.rule for f in found(file)] == ["generate-name-kustomize"]


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Input:
        buffer = io.BytesIO(WEAK.encode())

    monkeypatch.setattr(sys, "stdin", Input)

    assert main(["lint", "--json", "-"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["file"], line["line"], line["rule"], line["severity"]) for line in lines] == [
        ("-", 17, "restart-on-failure", "warning"),
        ("-", 23, "needed-later", "error"),
    ]
    assert set(lines[0]) == {"file", "line", "object", "rule", "severity", "what", "why", "instead", "source"}


def test_without_findings_it_is_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, WEAK.replace("OnFailure", "Never").replace("kind: Secret", "kind: ConfigMap"))

    assert main(["lint", file]) == 0
    assert capsys.readouterr().out == "1 file looked at: no findings\n"


UNREADABLE = {
    "no YAML": ("a: [1,\n", "hooks.yaml:2:1: is no YAML: "),
    "a Helm template": ("{{- if .Values.x }}\nkind: Job\n{{- end }}\n", "has to be rendered first (helm template)"),
    "a template that is YAML by chance": (
        "kind: Job\nmetadata:\n  name: {{ .Release.Name }}\n",
        "hooks.yaml:3:10: is no YAML: a key that is no word; a Helm template has to be rendered first (helm template)",
    ),
    "no name": ("apiVersion: batch/v1\nkind: Job\n", "hooks.yaml:1:1: is a Job without metadata.name"),
    "no object": ("- one\n- two\n", "hooks.yaml:1:1: is no Kubernetes object"),
    "values of a chart": ("image: {tag: 1}\n", "hooks.yaml:1:1: is no Kubernetes object: no apiVersion and kind"),
    "nested too deep": ("[" * 200 + "]" * 200, "hooks.yaml: is no YAML: nested too deep"),
    "an anchor in itself": ("apiVersion: v1\nkind: &a [*a]\n", "hooks.yaml: is no YAML: nested too deep"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_read_is_said_with_its_place_and_the_rest_is_looked_at(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, said = UNREADABLE[what]

    assert main(["lint", write(tmp_path, WEAK, "weak.yaml"), write(tmp_path, text)]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert "needed-later" in told.out


def test_a_file_that_is_not_there_and_one_that_is_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")

    assert main(["lint", str(tmp_path / "absent.yaml"), str(binary)]) == 2
    told = capsys.readouterr().err
    assert "absent.yaml: cannot be read: No such file or directory" in told
    assert "binary: is no UTF-8 text" in told


@pytest.mark.parametrize("text", ["", "# nothing\n---\n---\n", "resources: [hooks.yaml]\n"])
def test_a_pipe_that_brought_no_object_is_not_called_good(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, text, "kustomization.yaml")

    assert main(["lint", file]) == 2
    assert capsys.readouterr().err == f"{file}: no Kubernetes object to look at\n"


def test_anchors_are_read_once_however_often_they_are_used(tmp_path: Path) -> None:
    bomb = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata0: &a0 [x, x]\n"
    bomb += "".join(f"data{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))

    assert found(write(tmp_path, bomb)) == []


def test_a_manifest_cannot_write_to_the_terminal_and_a_password_is_not_repeated(tmp_path: Path) -> None:
    text = WEAK.replace("name: db-migrate", 'name: "a\\e[2Jb"').replace("shop:1.2.3", '"sh\\eop:latest"')
    text = text.replace("valueFrom: {secretKeyRef: {name: db, key: url}}", "value: mysql://shop:hunter2@db/shop")
    shown = "\n".join(as_text(f, colours=False) for f in found(write(tmp_path, text)))

    assert "password-in-manifest" in shown
    assert "\x1b" not in shown
    assert "hunter2" not in shown
    assert "\x1b[1;31merror\x1b[0m" in "".join(as_text(f, colours=True) for f in found(write(tmp_path, text)))
