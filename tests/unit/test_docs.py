"""What the documents tell people to type exists."""

import re
import shlex
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from responder.cli import build_parser
from responder.metrics import Metrics

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "base",
    "cluster",
    "components",
    "config",
    "core",
    "deploy",
    "receivers",
    "responder",
    "store",
    "tests",
    "web",
)
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "config").glob("*.md"), *(ROOT / "deploy").rglob("*.md")])


def fenced(text: str) -> list[str]:
    """Line by line, those that go on joined."""
    blocks = re.findall(r"^ *```[^\n]*\n(.*?)^ *```", text.replace("\\\n", " "), re.MULTILINE | re.DOTALL)
    return [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]


def spans(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(text))


def prose(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)


def code(text: str) -> list[str]:
    """What stands in fences, indented blocks and backticks, line by line."""
    indented = re.findall(r"^ {4}(\S.*)$", prose(text), re.MULTILINE)
    return [*fenced(text), *indented, *spans(text)]


def arguments(line: str) -> list[str] | None:
    """Of the responder, also at the end of a pipe or in a Pod; nothing of what the shell does with its output."""
    called = re.search(r"(?:^|-- +|\| |/)responder ([a-z].*)", line)
    return called and list(takewhile(lambda word: word[0] not in "<>|&;", shlex.split(called[1], comments=True)))


def typed(document: Path, program: str) -> set[str]:
    lines = code(document.read_text(encoding="utf-8"))
    found = (re.match(rf"{program} ([a-z][a-z-]*)\b", line) for line in lines)
    return {match[1] for match in found if match}


def help_of(*command: str) -> set[str]:
    """The words that the program's own help knows."""
    run = [sys.executable, "-m", "responder", *command, "--help"]
    told = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    return set(re.findall(r"[a-z][a-z-]*", told.stdout))


def local_links(text: str) -> set[str]:
    return {target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target}


def leads_somewhere(document: Path, link: str) -> bool:
    name, _, section = link.partition("#")
    target = document.parent / name if name else document
    if not section:
        return target.exists()
    titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
    return section in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_exists(document: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert typed(document, "make") - set(targets) == set()


def test_every_command_of_the_program_exists() -> None:
    named = {command for document in DOCUMENTS for command in typed(document, "responder")}
    assert named - help_of() == set()


def test_every_word_that_follows_a_command_is_one_it_knows() -> None:
    lines = [line for document in DOCUMENTS for line in code(document.read_text(encoding="utf-8"))]
    pairs = {match.groups() for line in lines if (match := re.match(r"responder ([a-z-]+) ([a-z]+)(?=\s|$)", line))}
    known = {command: help_of(command) for command in {command for command, _ in pairs}}
    assert [(command, word) for command, word in sorted(pairs) if word not in known[command]] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_in_a_block_is_taken_as_it_stands(document: Path) -> None:
    for words in filter(None, map(arguments, fenced(document.read_text(encoding="utf-8")))):
        assert callable(build_parser().parse_args(words).run)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_metric_exists(document: Path) -> None:
    exposed = Metrics(CollectorRegistry()).render().decode()
    named = re.findall(r"\bresponder_[a-z_]+", " ".join(code(document.read_text(encoding="utf-8"))))
    assert [name for name in named if f"# TYPE {name} " not in exposed] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_is_named_exists(document: Path) -> None:
    """From the top, from the page's own folder, from `responder/`, or from the kustomization."""
    told = [span for span in spans(document.read_text(encoding="utf-8")) if not span.startswith("kubectl")]
    named = re.findall(rf"(?<![\w./:-])(?:{FOLDERS})/[\w./*-]*", " ".join(told))
    places = [ROOT, document.parent, ROOT / "responder", ROOT / "deploy" / "kustomize"]
    assert [name for name in named if not any(list(place.glob(name.rstrip("/"))) for place in places)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_within_the_tree_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert [link for link in local_links(text) if not leads_somewhere(document, link)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_kustomization_to_apply_is_there(document: Path) -> None:
    folders = re.findall(r"kubectl apply -k (\S+?)[`'\s]", document.read_text(encoding="utf-8") + "\n")
    assert [folder for folder in folders if not (ROOT / folder / "kustomization.yaml").is_file()] == []


def test_the_make_file_s_help_names_every_target_that_people_use() -> None:
    told = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert {"demo", "test", "test-browser", "test-cluster", "lint", "bench", "check"} <= set(
        re.findall(r"make ([a-z-]+)", told.stdout)
    )


def test_commands_are_found_in_fences_indented_blocks_and_backticks_and_not_in_prose() -> None:
    text = "The responder wakes.\n\n```sh\n$ responder gate --wait\n```\n\n    make demo\n\nor `responder diagnose -`\n"
    assert code(text) == ["responder gate --wait", "make demo", "responder diagnose -"]


def test_a_command_in_a_list_in_a_pod_and_over_two_lines_is_one() -> None:
    (line,) = fenced(
        "1. Ask\n\n   ```sh\n   kubectl exec deploy/hook-responder -- \\\n     responder gate --wait > told\n   ```\n"
    )
    assert arguments(line) == ["gate", "--wait"]
    assert arguments("kubectl -n hook-responder get pods") is None


def test_the_license_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
