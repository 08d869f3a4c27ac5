"""What the documents tell people to type exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "config").glob("*.md"), *(ROOT / "deploy").rglob("*.md")])


def code(text: str) -> list[str]:
    """What stands in fences, indented blocks and backticks, line by line."""
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^ {4}(\S.*)$", prose, re.MULTILINE)
    spans = re.findall(r"`([^`\n]+)`", prose)
    return [line.strip().removeprefix("$ ") for block in [*fenced, *indented, *spans] for line in block.splitlines()]


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
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return {target.partition("#")[0] for target in targets if "://" not in target and not target.startswith("#")}


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
def test_every_link_within_the_tree_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert [link for link in local_links(text) if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_kustomization_to_apply_is_there(document: Path) -> None:
    folders = re.findall(r"kubectl apply -k (\S+?)[`'\s]", document.read_text(encoding="utf-8") + "\n")
    assert [folder for folder in folders if not (ROOT / folder / "kustomization.yaml").is_file()] == []


def test_the_make_file_s_help_names_every_target_that_people_use() -> None:
    told = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert {"demo", "test", "lint", "bench", "check"} <= set(re.findall(r"make ([a-z-]+)", told.stdout))


def test_commands_are_found_in_fences_indented_blocks_and_backticks_and_not_in_prose() -> None:
    text = "The responder wakes.\n\n```sh\n$ responder gate --wait\n```\n\n    make demo\n\nor `responder diagnose -`\n"
    assert code(text) == ["responder gate --wait", "make demo", "responder diagnose -"]


def test_the_license_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
