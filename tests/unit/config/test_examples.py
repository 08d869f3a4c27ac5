"""The files in config/ are complete, valid examples."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from responder.config import ConfigError, Settings, load_settings, parse_settings
from responder.core.actions import ActionKind, Mode
from responder.core.diagnosis import diagnose_text
from responder.core.failure import Category
from responder.core.rules import Facts, Rulebook, match
from responder.core.rulesfile import FIELDS, parse_rules
from responder.core.strictyaml import models_in
from responder.receivers.template import SAMPLE, parse_template
from responder.shipped import signatures

CONFIG = Path(__file__).parents[3] / "config"
TEXT = (CONFIG / "responder.yaml").read_text(encoding="utf-8")
RULES = (CONFIG / "rules.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(CONFIG / "responder.yaml")


@pytest.fixture(scope="module")
def rulebook(settings: Settings) -> Rulebook:
    return parse_rules(RULES, "config/rules.yaml", frozenset(r.name for r in settings.receivers))


def keys(model: type[BaseModel]) -> set[str]:
    found = set(model.model_fields)
    for field in model.model_fields.values():
        for inner in models_in(field.annotation):
            found |= keys(inner)
    return found


@pytest.mark.parametrize("key", sorted(keys(Settings)))
def test_every_setting_is_shown(key: str) -> None:
    assert re.search(rf"(?m)^[ #{{-]*(?:.*[,{{] ?)?{key}[:,]", TEXT), f"{key} is missing"


def test_what_the_example_calls_defaults_are_the_defaults(settings: Settings) -> None:
    default = Settings()
    for part in ("store", "recorder", "actions", "killswitch", "retention"):
        assert getattr(settings, part) == getattr(default, part)


def test_an_unknown_setting_is_refused_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"responder.yaml:\d+:\d+: recorder.runing_limit: unknown key"):
        parse_settings(TEXT.replace("running_limit:", "runing_limit:"), "responder.yaml")


def test_every_condition_and_action_of_rules_is_explained() -> None:
    assert [field for field in FIELDS if field not in RULES] == []
    assert [kind for kind in ActionKind if f"{kind}:" not in RULES] == []


def test_shipped_rules_act_on_nothing_until_somebody_wants_it(rulebook: Rulebook) -> None:
    assert {rule.mode for rule in rulebook.rules} == {Mode.SHADOW}


@pytest.mark.parametrize(
    ("facts", "rule", "actions"),
    [
        (
            Facts(category="connection-refused", retry="safe", state_left="none", confidence="certain"),
            "the database was away",
            "resync alert",
        ),
        (
            Facts(category="lock-timeout", retry="safe", state_left="none", confidence="certain"),
            "somebody held a lock",
            "resync alert",
        ),
        (
            Facts(category="evicted", retry="safe", state_left="none", confidence="likely"),
            "the node went away",
            "resync alert",
        ),
        (
            Facts(category="already-exists", retry="unsafe", state_left="partial", confidence="certain"),
            "half applied",
            "stop-retries block annotate alert alert",
        ),
        (
            Facts(category="connection-refused", retry="unsafe", state_left="dirty", confidence="certain"),
            "half applied",
            "stop-retries block annotate alert alert",
        ),
        (
            Facts(category="connection-refused", retry="unknown", state_left="unknown", confidence="likely"),
            "anything else",
            "alert",
        ),
        (
            Facts(category="image-pull", retry="futile", state_left="none", confidence="certain"),
            "cannot start",
            "alert",
        ),
        (
            Facts(category="syntax-error", retry="futile", state_left="none", confidence="certain"),
            "no retry will help",
            "stop-retries alert",
        ),
        (
            Facts(category="syntax-error", retry="futile", state_left="none", confidence="guess"),
            "anything else",
            "alert",
        ),
        (
            Facts(category="stale-job", retry="futile", state_left="none", confidence="certain"),
            "an old Job is in the way",
            "delete-hook alert",
        ),
        (Facts(), "anything else", "alert"),
    ],
)
def test_shipped_rules_decide(rulebook: Rulebook, facts: Facts, rule: str, actions: str) -> None:
    (decided,) = match(rulebook, facts).matched
    assert decided.name == rule
    assert " ".join(action.kind for action in decided.actions) == actions


def test_the_template_words_an_alert() -> None:
    wording = parse_template((CONFIG / "templates" / "slack.j2").read_text(encoding="utf-8"), "slack.j2")

    said = wording.render(SAMPLE)

    assert said.splitlines()[0] == "*shop/orders: db-migrate failed: lock-timeout* (nobody)"
    assert "> ERROR: canceling statement due to lock timeout" in said


def test_the_signatures_are_read_with_the_shipped_ones_and_match_what_they_say(settings: Settings) -> None:
    assert settings.signatures == (CONFIG / "signatures.yaml",)
    both = signatures(settings.signatures)
    found = diagnose_text("ERROR: ledger books is closed for migrations until 06:00", both, exit_code=1)

    assert found.category is Category.READ_ONLY
    assert found.advice == "The ledger opens at six. Run it again then."
