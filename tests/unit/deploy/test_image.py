import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.unit.deploy.manifests import DEPLOY, KUSTOMIZE, ROOT, documents, one

Instruction = tuple[str, str]


@pytest.fixture
def instructions() -> list[Instruction]:
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def final_stage(instructions: list[Instruction]) -> list[Instruction]:
    last = max(at for at, (word, _) in enumerate(instructions) if word == "FROM")
    return instructions[last:]


def test_both_stages_stand_on_the_same_pinned_python_so_that_the_environment_can_be_copied(
    instructions: list[Instruction],
) -> None:
    bases = [rest.split()[0] for word, rest in instructions if word == "FROM"]
    assert bases == ["python:3.13-slim-bookworm"] * 2


def test_everything_copied_exists_and_reaches_the_builder(instructions: list[Instruction]) -> None:
    sources = [
        source
        for word, rest in instructions
        if word == "COPY" and not rest.startswith("--from")
        for source in shlex.split(rest)[:-1]
    ]
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert {f"!{source}" for source in sources} == {line for line in ignore if line.startswith("!")}
    assert "*" in ignore


def test_nothing_is_fetched_without_a_hash(instructions: list[Instruction]) -> None:
    assert not [rest for word, rest in instructions if word == "ADD" or "curl" in rest or "wget" in rest]
    installs = [rest for _, rest in instructions if '"install"' in rest]
    assert len(installs) == 3
    assert [rest for rest in installs if '"--require-hashes"' not in rest and '"--no-index"' not in rest] == []


def test_it_runs_as_nobody_in_particular_the_same_as_the_deployment_says(instructions: list[Instruction]) -> None:
    users = [rest for word, rest in final_stage(instructions) if word == "USER"]
    pod = one(KUSTOMIZE / "base/deployment.yaml", "Deployment")["spec"]["template"]["spec"]["securityContext"]
    assert users == ["65532:65532"] == [f"{pod['runAsUser']}:{pod['runAsGroup']}"]


def test_bytecode_is_made_in_the_build_for_the_root_filesystem_is_read_only(instructions: list[Instruction]) -> None:
    made = [yaml.safe_load(rest) for word, rest in instructions if word == "RUN" and "bytecode.py" in rest]
    copied = [rest.split()[1:] for word, rest in final_stage(instructions) if word == "COPY"]
    assert made == [["python", "bytecode.py", "/opt/responder/lib", "/usr/local/lib"]]
    assert copied == [["/opt/responder", "/opt/responder"], ["/opt/bytecode", "/opt/bytecode"]]
    assert sum("PYTHONPYCACHEPREFIX=/opt/bytecode" in rest for word, rest in instructions if word == "ENV") == 2
    assert not [rest for word, rest in final_stage(instructions) if word == "RUN"]


def test_the_bytecode_is_never_checked_and_the_kubernetes_client_has_no_docstrings(tmp_path: Path) -> None:
    library = tmp_path / "lib"
    for name in ("kubernetes_asyncio/client/models/job.py", "kubernetes_asyncio/config/kube.py", "aiohttp/web.py"):
        (library / name).parent.mkdir(parents=True)
        (library / name).write_text('"""What it is."""\n', encoding="utf-8")
    names = ("kubernetes_asyncio.client.models.job", "kubernetes_asyncio.config.kube", "aiohttp.web")
    program = f"from importlib import import_module as load; print([load(name).__doc__ for name in {names!r}])"
    env = {"PYTHONPYCACHEPREFIX": str(tmp_path / "bytecode"), "PYTHONPATH": str(library)}
    subprocess.run([sys.executable, ROOT / "deploy/bytecode.py", library], check=True, env=env)
    for source in library.rglob("*.py"):
        source.write_text("not Python, and nobody looks", encoding="utf-8")
    done = subprocess.run([sys.executable, "-S", "-c", program], check=True, env=env, capture_output=True, text=True)
    assert done.stdout == "[None, 'What it is.', 'What it is.']\n"


def test_it_starts_the_service_without_a_shell(instructions: list[Instruction]) -> None:
    start = dict(final_stage(instructions))
    assert start["ENTRYPOINT"] == '["responder"]'
    assert yaml.safe_load(start["CMD"]) == ["serve", "--config", "/etc/hook-responder/responder.yaml"]
    assert start["EXPOSE"] == "8080"


def test_the_manifests_name_one_image_at_the_version_of_the_project() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert version is not None
    (image,) = documents(KUSTOMIZE / "base/kustomization.yaml")[0]["images"]
    gate = one(DEPLOY / "gate-hook/gate-job.yaml", "Job")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert gate == f"{image['newName']}:{image['newTag']}" == f"registry.example.com/hook-responder:{version[1]}"


def test_the_build_s_setuptools_is_the_one_that_is_tested_with() -> None:
    pinned = (ROOT / "requirements-build.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^\S+==\S+ \\(?:\n    --hash=\S+(?: \\)?)+", pinned, re.MULTILINE)
    assert [pin.split("==")[0] for pin in pins] == ["setuptools"]
    assert pins[0] in (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
