from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.core.actions import ActionKind, Mode
from responder.core.alert import Severity
from responder.core.rules import Condition, Facts, Rule, RuleAction, Rulebook, compare, glob, match

ALERT = RuleAction(ActionKind.ALERT)


def rule(name: str, *conditions: Condition, goes_on: bool = False, own_mode: Mode | None = None) -> Rule:
    mode = own_mode or Mode.LIVE
    return Rule(name, conditions, (ALERT,), mode, budget=2, cooldown=120, goes_on=goes_on, own_mode=own_mode)


def names(rulebook: Rulebook, facts: Facts) -> list[str]:
    return [matched.name for matched in match(rulebook, facts).matched]


LOCK = rule("lock", Condition("category", ("lock-timeout", "deadlock")), Condition("project", ("shop-*",)))
POSTGRES = rule("postgres", Condition("database", ("postgres",)))
ALWAYS = rule("always")


def test_the_first_rule_that_holds_decides() -> None:
    facts = Facts(category="deadlock", project="shop-eu", database="postgres")
    assert names(Rulebook((LOCK, POSTGRES, ALWAYS)), facts) == ["lock"]


def test_a_rule_that_continues_lets_the_ones_after_it_be_tried() -> None:
    goes_on = rule("noted", Condition("database", ("postgres",)), goes_on=True)
    facts = Facts(category="deadlock", project="shop-eu", database="postgres")
    assert names(Rulebook((goes_on, LOCK, ALWAYS)), facts) == ["noted", "lock"]


def test_all_conditions_must_hold() -> None:
    assert names(Rulebook((LOCK,)), Facts(category="deadlock", project="bank")) == []
    assert names(Rulebook((LOCK,)), Facts(category="dns-failure", project="shop-eu")) == []


def test_what_is_not_known_matches_nothing_negated_or_not() -> None:
    for negated in (False, True):
        condition = Condition("project", ("shop-*",), negated)
        assert names(Rulebook((rule("r", condition),)), Facts()) == []
        assert names(Rulebook((rule("r", condition),)), Facts(project="")) == []


def test_every_rule_is_explained_also_those_not_tried() -> None:
    seen = match(Rulebook((ALWAYS, LOCK)), Facts(category="deadlock"))
    always, lock = seen.results
    assert (always.matched, always.tried) == (True, True)
    assert (lock.matched, lock.tried, lock.held) == (False, False, False)
    assert [str(result) for result in lock.conditions] == [
        "category lock-timeout or deadlock: deadlock",
        "project shop-*: not known",
    ]
    assert [result.held for result in lock.conditions] == [True, False]


def test_attempts_are_compared_as_numbers() -> None:
    many = Rulebook((rule("many", Condition("attempts", (">=3",))),))
    assert names(many, Facts(attempts=3)) == ["many"]
    assert names(many, Facts(attempts=10)) == ["many"]
    assert names(many, Facts(attempts=2)) == []
    assert names(many, Facts()) == []


@pytest.mark.parametrize(
    ("comparison", "holding"),
    [("2", [2]), (">=2", [2, 3]), (">2", [3]), ("<2", [0, 1]), ("<=2", [0, 1, 2]), (">= 2", [2, 3]), ("two", [])],
)
def test_comparisons(comparison: str, holding: list[int]) -> None:
    assert [number for number in range(4) if compare(comparison, number)] == holding


@pytest.mark.parametrize(
    ("pattern", "text", "same"),
    [
        ("shop", "shop", True),
        ("shop", "shop-eu", False),
        ("shop-*", "shop-eu", True),
        ("*", "anything", True),
        ("shop-??", "shop-eu", True),
        ("[ab]*", "bank", True),
        ("Shop", "shop", False),
        ("shop.eu", "shopXeu", False),
        ("shop*", "x\nshop", False),
    ],
)
def test_globs(pattern: str, text: str, same: bool) -> None:
    assert glob(pattern, text) is same


def test_alerts_and_blocks_are_done_unless_the_rule_itself_is_on_trial() -> None:
    by_default = Rule("r", (), (ALERT,), Mode.SHADOW, budget=2, cooldown=120)
    on_trial = rule("r", own_mode=Mode.SHADOW)
    assert [by_default.mode_of(kind) for kind in (ActionKind.RESYNC, ActionKind.BLOCK, ActionKind.ALERT)] == [
        Mode.SHADOW,
        Mode.LIVE,
        Mode.LIVE,
    ]
    assert [on_trial.mode_of(kind) for kind in (ActionKind.RESYNC, ActionKind.ALERT)] == [Mode.SHADOW, Mode.SHADOW]


@pytest.mark.parametrize(
    ("condition", "admits"),
    [
        (Condition("initiated_by", ("user",)), True),
        (Condition("initiated_by", ("automated", "user")), True),
        (Condition("initiated_by", ("automated",)), False),
        (Condition("initiated_by", ("automated",), negated=True), False),
        (Condition("initiated_by", ("*",)), False),
    ],
)
def test_operations_of_people_are_admitted_only_in_so_many_words(condition: Condition, admits: bool) -> None:
    assert rule("r", condition).admits_people is admits
    assert rule("r").admits_people is False


def test_params_tell_what_was_asked_for() -> None:
    assert RuleAction(ActionKind.RESYNC, delay=90).params() == {"delay": "1m30s"}
    assert RuleAction(ActionKind.ALERT, severity=Severity.CRITICAL, receiver="dba", after=300).params() == {
        "severity": "critical",
        "receiver": "dba",
        "after": "5m",
    }
    assert RuleAction(ActionKind.BLOCK, environments=("a", "b"), lasts=7200).params() == {
        "environments": "a,b",
        "for": "2h",
    }
    assert RuleAction(ActionKind.TERMINATE).params() == {}


TEXTS = ("category", "retry", "project", "tool")
values = st.lists(st.text(alphabet="ab*?[]!-\\", min_size=1, max_size=5), min_size=1, max_size=3).map(tuple)
conditions = st.builds(Condition, st.sampled_from(TEXTS), values, st.booleans())
rules = st.lists(st.tuples(st.lists(conditions, max_size=3), st.booleans()), max_size=6).map(
    lambda drawn: tuple(rule(str(at), *c, goes_on=g) for at, (c, g) in enumerate(drawn))
)
facts = st.builds(Facts, **{name: st.none() | st.text(alphabet="ab-", max_size=4) for name in TEXTS})


@given(rules, facts)
def test_matching_is_the_same_every_time_and_only_goes_on_where_it_may(drawn: tuple[Rule, ...], seen: Facts) -> None:
    first, second = match(Rulebook(drawn), seen), match(Rulebook(drawn), seen)
    assert first == second
    assert all(earlier.goes_on for earlier, _ in pairwise(first.matched))
    assert len(first.results) == len(drawn)


@given(conditions, st.text(alphabet="ab-", min_size=1, max_size=4))
def test_not_turns_the_answer_round_for_what_is_known(condition: Condition, seen: str) -> None:
    turned = Condition(condition.field, condition.values, not condition.negated)
    assert condition.holds(seen) is not turned.holds(seen)
    assert not condition.holds(None)
    assert not turned.holds(None)


@given(rules)
def test_nothing_known_is_matched_by_unconditional_rules_only(drawn: tuple[Rule, ...]) -> None:
    assert all(not matched.conditions for matched in match(Rulebook(drawn), Facts()).matched)
