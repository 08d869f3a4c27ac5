"""config/RULES.md: each of its examples is a rules file without faults, and its cases come out as they say."""

import re
from pathlib import Path

import pytest

from responder.core.rulecases import holds_cases, parse_cases, run_case, untested
from responder.core.rulesfile import parse_rules
from responder.core.strictyaml import Document
from responder.shipped import signatures
from tests.unit.core.test_rulecases import no_export

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "config" / "RULES.md").read_text(encoding="utf-8")
EXAMPLES = re.split(r"^### (\d+\. .*)$", PAGE, flags=re.MULTILINE)[1:]
TITLED = list(zip(EXAMPLES[::2], EXAMPLES[1::2], strict=True))


def blocks(text: str) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_there_are_ten() -> None:
    assert [title.partition(".")[0] for title, _ in TITLED] == [str(n) for n in range(1, 11)]


@pytest.mark.parametrize(("title", "text"), TITLED, ids=[title for title, _ in TITLED])
def test_an_example_decides_as_it_says(title: str, text: str) -> None:
    rules, cases = blocks(text)
    assert not holds_cases(Document(rules, title).data)
    rulebook = parse_rules(rules, title, None, signatures())
    results = [run_case(case, rulebook) for case in parse_cases(cases, title, no_export).cases]
    assert [(r.case.name, r.differences, r.unmet) for r in results if not r.passed] == []
    assert untested(rulebook, results) == []


def test_every_circumstance_is_told() -> None:
    told = set(re.findall(r"`(\w+)`", PAGE[PAGE.index("| `world`") : PAGE.index("`expect.rule`")]))
    text = "version: 1\ncases: [{name: a, given: {}, world: {nothing: 1}, expect: {rule: a}}]\n"
    with pytest.raises(Exception, match="expected one of: ") as caught:
        parse_cases(text, "cases.yaml", no_export)
    known = str(caught.value).partition("expected one of: ")[2].split(", ")
    assert [name for name in known if name not in told] == []


def test_what_the_last_example_says_is_refused_is_refused() -> None:
    with pytest.raises(Exception, match="a block ends by time only where nothing was left behind"):
        parse_rules(
            "version: 1\nrules:\n  - name: r\n    when: {state_left: dirty}\n"
            "    do: [{block: {environments: [production], for: 2h}}]\n", "r", None,
        )  # fmt: skip


def test_the_readme_leads_there() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "(config/RULES.md)" in readme
    assert "(config/SAFETY.md)" in readme
