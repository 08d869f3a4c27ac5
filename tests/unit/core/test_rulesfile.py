import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.core.actions import ActionKind, Mode
from responder.core.alert import Severity
from responder.core.covering import covered_by
from responder.core.rules import Condition, Facts, Rule, RuleAction, Rulebook, match
from responder.core.rulesfile import RulesError, parse_rules
from responder.core.signaturefile import parse_signatures

RECEIVERS = frozenset({"dba", "slack-shop"})

EXAMPLE = """\
version: 1
defaults: {mode: shadow, budget: 2, cooldown: 2m}
rules:
  - name: the database was away
    when: {category: [connection-refused, dns-failure], retry: safe, sync_phase: PreSync, project: ["shop-*"]}
    do:
      - resync: {delay: 30s}
      - alert: {severity: warning, after: 5m}
  - name: half applied
    when: {state_left: [partial, dirty]}
    mode: live
    budget: 0
    cooldown: 1h
    continue: true
    do:
      - stop-retries:
      - block: {environments: ["*"]}
      - alert: {severity: critical, receiver: dba}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(RulesError) as caught:
        parse_rules(text, "rules.yaml", RECEIVERS)
    return caught.value.problems


def one(when: str = "{}", do: str = "[alert: {}]", more: str = "") -> str:
    """A file of one rule."""
    return f"version: 1\nrules:\n  - name: r\n    when: {when}\n    do: {do}\n{more}"


def two(first: str, second: str, more: str = "") -> str:
    return one(first, more=f"{more}  - name: s\n    when: {second}\n    do: [alert: {{}}]\n")


def test_the_example_of_the_design_is_read() -> None:
    away, half = parse_rules(EXAMPLE, "rules.yaml", RECEIVERS).rules
    assert away.conditions == (
        Condition("category", ("connection-refused", "dns-failure")),
        Condition("retry", ("safe",)),
        Condition("sync_phase", ("PreSync",)),
        Condition("project", ("shop-*",)),
    )
    assert away.actions == (
        RuleAction(ActionKind.RESYNC, delay=30),
        RuleAction(ActionKind.ALERT, severity=Severity.WARNING, after=300),
    )
    assert (away.mode, away.own_mode, away.budget, away.cooldown, away.goes_on, away.line) == (
        Mode.SHADOW, None, 2, 120, False, 4,
    )  # fmt: skip
    assert half.actions == (
        RuleAction(ActionKind.STOP_RETRIES),
        RuleAction(ActionKind.BLOCK, environments=("*",)),
        RuleAction(ActionKind.ALERT, severity=Severity.CRITICAL, receiver="dba"),
    )
    assert (half.mode, half.own_mode, half.budget, half.cooldown, half.goes_on) == (Mode.LIVE, Mode.LIVE, 0, 3600, True)


def test_not_and_comparisons_are_read() -> None:
    (rule,) = parse_rules(
        one('{project: {not: ["shop-*", bank]}, tool: {not: flyway}, attempts: [3, ">=5"]}'), "f", RECEIVERS
    ).rules
    assert rule.conditions == (
        Condition("project", ("shop-*", "bank"), negated=True),
        Condition("tool", ("flyway",), negated=True),
        Condition("attempts", ("3", ">=5")),
    )


def test_any_receiver_is_taken_where_it_is_not_known_which_are_configured() -> None:
    assert len(parse_rules(EXAMPLE.replace("receiver: dba", "receiver: dbo"), "rules.yaml", None).rules) == 2


def test_where_no_receiver_is_configured_that_is_said() -> None:
    with pytest.raises(RulesError, match="receiver 'dba' is not configured, none is"):
        parse_rules(EXAMPLE, "rules.yaml", frozenset())


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("dns-failure", "dns-failur", "5:43: 'dns-failur' is no category, did you mean dns-failure?"),
        ("retry: safe", "retry: yes", "5:64: retry: expected text in quotes, found True"),
        ("retry: safe", "rety: safe", "5:57: rety: unknown condition, did you mean retry?"),
        ("PreSync", "presync", "5:82: 'presync' is no sync_phase, did you mean PreSync?"),
        ("[partial, dirty]", "[]", "10:24: state_left: an empty list matches nothing: leave the condition out, or"),
        ("receiver: dba", "receiver: dbo", "18:47: receiver 'dbo' is not configured, did you mean dba?"),
        ("version: 1", "version: 2", "1:10: version: expected 1"),
        ("mode: shadow", "mode: off", "2:18: defaults.mode: expected 'shadow', 'approve' or 'live'"),
        ("budget: 0", "budget: -1", "12:13: rules.1.budget: expected greater than or equal to 0"),
        ("delay: 30s", "delay: 30", "7:25: rules.0.do.0.resync.delay: no duration: write it like 30s, 2m, 1h30m or 7d"),
        ("delay: 30s", "dely: 30s", "7:18: rules.0.do.0.resync.dely: unknown key, did you mean delay?"),
        ("resync: {delay: 30s}", "restart: {}", "7:9: rules.0.do.0.restart: unknown key, expected one of: alert,"),
        ("severity: critical", "severity: fatal", "18:27: rules.1.do.2.alert.severity: expected 'critical', 'warning'"),
        (
            'environments: ["*"]',
            "environments: []",
            "17:31: rules.1.do.1.block.environments: expected at least 1 item, found 0",
        ),
        ("name: half applied", "name: the database was away", "9:11: 'the database was away': another rule has"),
        ("stop-retries:", "stop-retries: {now: true}", "16:24: rules.1.do.0.stop-retries.now: unknown key"),
        ("      - stop-retries:\n", "      - {alert: {}, terminate: {}}\n", "16:9: rules.1.do.0: one action an item"),
        ("    when: {state_left: [partial, dirty]}\n", "", "9:5: rules.1.when: missing"),
        ("continue: true", "continue: on it", "14:15: rules.1.continue: expected a valid boolean"),
    ],
)
def test_a_fault_is_told_with_its_place_and_what_would_be_right(old: str, new: str, problem: str) -> None:
    assert problems(EXAMPLE.replace(old, new, 1))[0].startswith(f"rules.yaml:{problem}")


def test_all_faults_are_told_at_once() -> None:
    text = EXAMPLE.replace("dns-failure", "x").replace("dirty", "y").replace("receiver: dba", "receiver: z")
    assert [problem.split(": ")[0] for problem in problems(text)] == [
        "rules.yaml:5:43",
        "rules.yaml:18:47",
        "rules.yaml:10:34",
    ]


@pytest.mark.parametrize(
    ("when", "do", "reason"),
    [
        ("{retry: [unsafe, futile]}", "[resync: {}]", "never done unless retry is safe"),
        ("{retry: {not: safe}}", "[resync: {}]", "never done unless retry is safe"),
        ("{state_left: [partial, dirty]}", "[resync: {}]", "retry is never safe where something was left behind"),
        ("{confidence: guess}", "[resync: {}]", "retry is never safe on a guess"),
        ("{category: [oom-killed, code-error]}", "[resync: {}]", "retry is never safe with code-error or oom-killed"),
        ("{retry: safe}", "[stop-retries: {}]", "only done where another attempt is unsafe or futile"),
        ("{confidence: guess}", "[stop-retries: {}]", "never done on a guess"),
        ("{state_left: dirty}", '[block: {environments: ["*"], for: 2h}]', "a block ends by time only where nothing"),
        ("{}", '[block: {environments: ["*"], for: 0s}]', "a block that lasts no time holds nothing"),
        (
            "{category: deadlock}",
            "[delete-hook: {}]",
            "only done where a finished Job stands in the way: write category",
        ),
        ("{sync_phase: PostDelete}", "[resync: {}]", "an Application that is being deleted is never resynced"),
        ("{}", "[terminate: {}, terminate: {}]", "written twice in one rule"),
        ("{}", "[resync: {}, stop-retries: {}]", "contradict each other"),
        ('{category: {not: "*"}}', "[alert: {}]", "leaves nothing that could match"),
        ("{retry: {not: [safe, futile, unsafe, unknown]}}", "[alert: {}]", "leaves nothing that could match"),
        ('{category: "*-tiemout"}', "[alert: {}]", "is no category"),
        ("{attempts: many}", "[alert: {}]", 'expected a number or a comparison like ">=3"'),
        (
            "{project: {no: shop}}",
            "[alert: {}]",
            "project: expected text in quotes, or {not: ...} for none of them, found a mapping",
        ),
    ],
)
def test_what_can_never_be_done_is_refused(when: str, do: str, reason: str) -> None:
    (problem,) = problems(one(when, do))
    assert reason in problem


@pytest.mark.parametrize(
    ("when", "do", "more"),
    [
        ("{}", "[resync: {}]", ""),
        ("{retry: [safe, futile]}", "[resync: {}]", ""),
        ("{retry: futile}", "[resync: {}]", "    mode: approve\n"),  # a named person may order it
        ("{retry: futile}", "[stop-retries: {}]", ""),
        ("{category: [stale-job, deadlock]}", "[delete-hook: {}]", ""),
        ("{sync_phase: [PostDelete, PreSync]}", "[resync: {}]", ""),
        ("{state_left: [none, dirty]}", '[block: {environments: ["*"], for: 2h}]', ""),
        ("{}", "[alert: {}, alert: {receiver: dba, after: 1h}]", ""),
        ('{category: "*-timeout"}', "[alert: {}]", ""),
    ],
)
def test_what_may_be_done_is_accepted(when: str, do: str, more: str) -> None:
    assert len(parse_rules(one(when, do, more), "rules.yaml", RECEIVERS).rules) == 1


def test_nobody_may_order_a_resync_where_it_is_unsafe() -> None:
    (problem,) = problems(one("{retry: unsafe}", "[resync: {}]", "    mode: approve\n"))
    assert "resolve what was left behind first" in problem


def test_a_resync_without_a_budget_is_refused() -> None:
    (problem,) = problems(one("{retry: safe}", "[resync: {}]", "    budget: 0\n"))
    assert problem == "rules.yaml:5:10: resync: a budget of 0 allows none: write budget: 1 or more, or leave resync out"


COVERED = [
    ("{}", "{retry: safe}"),
    ("{retry: safe}", "{retry: safe, project: shop}"),
    ("{retry: [safe, futile]}", "{retry: futile}"),
    ("{retry: {not: safe}}", "{retry: [futile, unknown]}"),
    ('{category: "*-timeout"}', "{category: [lock-timeout, statement-timeout]}"),
    ('{project: "shop-*"}', "{project: [shop-eu, shop-us]}"),
    ('{project: "*"}', "{project: {not: shop}}"),
    ('{project: "shop-*"}', '{project: "shop-*", tool: flyway}'),
    ("{project: {not: bank}}", "{project: shop}"),
    ("{project: {not: bank}}", "{project: {not: [bank, shop]}}"),
    ('{attempts: ">=2"}', "{attempts: [3, 4]}"),
    ('{attempts: ">=2"}', '{attempts: ">2"}'),
    ('{attempts: ">=1"}', '{attempts: "<9"}'),  # they count from 1
    ('{project: "shop-*"}', '{project: "shop-e*"}'),
    ('{project: ["shop-*", "pay-*"]}', '{project: ["pay-?u", "shop-*-test"]}'),
    ('{project: "*-eu-*"}', '{project: "shop-eu-?*"}'),
    ("{project: {not: bank}}", '{project: ["shop*", "pay?"]}'),
    ('{project: {not: "*-test"}}', '{project: "*-live"}'),
    ('{project: {not: "shop-eu*"}}', '{project: {not: "shop-*"}}'),
]


@pytest.mark.parametrize(("first", "second"), COVERED)
def test_a_rule_that_can_never_match_is_refused(first: str, second: str) -> None:
    (problem,) = problems(two(first, second))
    assert problem == (
        "rules.yaml:6:5: 's' can never match: 'r' (line 3) always matches first; "
        "put it before that one, or give that one continue: true"
    )


@pytest.mark.parametrize(("first", "second"), COVERED)
def test_unless_the_one_before_it_continues(first: str, second: str) -> None:
    assert len(parse_rules(two(first, second, more="    continue: true\n"), "rules.yaml", RECEIVERS).rules) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{retry: safe}", "{retry: [safe, futile]}"),
        ("{retry: safe}", "{category: deadlock}"),
        ("{retry: safe}", "{}"),
        ("{project: shop}", '{project: "shop*"}'),
        ('{project: "shop-e*"}', '{project: "shop-*"}'),
        ('{project: "shop-?"}', '{project: "shop-*"}'),
        ('{project: "shop-[ab]*"}', '{project: "shop-[ab]?"}'),  # covered indeed, but classes are not compared
        ('{project: {not: "*-eu"}}', '{project: "shop-*"}'),
        ("{project: shop}", "{project: {not: bank}}"),
        ("{project: {not: bank}}", '{project: "b*"}'),
        ("{project: {not: [bank, shop]}}", "{project: {not: bank}}"),
        ('{attempts: ">=3"}', '{attempts: ">=2"}'),
        ('{attempts: {not: ">=3"}}', '{attempts: ">=2"}'),
        ('{project: "*"}', "{}"),  # a project that is not known
    ],
)
def test_a_rule_that_may_match_is_accepted(first: str, second: str) -> None:
    assert len(parse_rules(two(first, second), "rules.yaml", RECEIVERS).rules) == 2


@pytest.mark.parametrize(
    ("first", "second", "third"),
    [
        ("{category: killed}", "{category: [deadlock, evicted]}", "{category: [killed, deadlock]}"),
        ("{retry: [safe, futile]}", '{retry: "un*", project: "shop-*"}', '{retry: "*", project: shop-eu}'),
        ("{state_left: none}", "{state_left: {not: none}}", "{state_left: {not: dirty}}"),
    ],
)
def test_nor_can_one_that_earlier_ones_divide_among_them(first: str, second: str, third: str) -> None:
    more = f"  - name: t\n    when: {third}\n    do: [alert: {{}}]\n"
    (problem,) = problems(two(first, second) + more)
    assert problem == (
        "rules.yaml:9:5: 't' can never match: 'r' (line 3) or 's' (line 6) always matches first; "
        "put it before them, or give them continue: true"
    )
    assert len(parse_rules(two(first, second, "    continue: true\n") + more, "rules.yaml", RECEIVERS).rules) == 3


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        ("{retry: safe, state_left: [partial, unknown]}", "retry is never safe where something was, or may be, left"),
        ("{retry: safe, confidence: guess}", "retry is never safe on a guess: write confidence: [certain, likely]"),
        ("{retry: safe, category: [syntax-error, data-error]}", "retry is never safe with data-error or syntax-error"),
        ("{attempts: 0}", "attempts: no number of attempts is meant by this, they count from 1"),
        ('{attempts: {not: ">=1"}}', "attempts: no number of attempts is meant by this"),
    ],
)
def test_conditions_that_never_hold_together_are_refused(when: str, reason: str) -> None:
    (problem,) = problems(one(when))
    assert problem.startswith(f"rules.yaml:4:11: 'r' can never match: {reason}")


SIGNATURES = parse_signatures(
    {
        "own.yaml": b"""
tools: [{name: ledgerctl, source: ours}]
signatures:
  - {id: a, pattern: closed, samples: [closed], category: permission-denied, tool: ledgerctl, passes: true}
  - {id: b, pattern: gone, samples: [gone], category: missing-object, database: ledgerdb}
"""
    },
    check_samples=True,
)


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        ("{tool: ledgerclt}", "4:18: 'ledgerclt': no signature knows this tool, did you mean ledgerctl?"),
        ("{database: oracle}", "4:22: 'oracle': no signature knows this database, expected one of: ledgerdb"),
    ],
)
def test_a_tool_or_database_that_nothing_recognises_is_refused(when: str, problem: str) -> None:
    with pytest.raises(RulesError) as caught:
        parse_rules(one(when), "rules.yaml", RECEIVERS, SIGNATURES)
    assert caught.value.problems == [f"rules.yaml:{problem}"]
    assert len(parse_rules(one(when), "rules.yaml", RECEIVERS).rules) == 1


def test_a_block_of_an_environment_that_there_is_not_is_refused() -> None:
    """It would hold nothing."""
    order = ("staging", "eu-production", "us-production")
    good = one(do='[block: {environments: ["*-production", staging]}]')

    with pytest.raises(RulesError) as caught:
        parse_rules(one(do='[block: {environments: ["*", stagign, "prod-*"]}]'), "rules.yaml", None, None, order)
    typo, pattern = caught.value.problems
    assert typo == "rules.yaml:5:38: 'stagign' is none of promotion.environments, did you mean staging?"
    assert pattern.endswith(
        "'prod-*' is none of promotion.environments, expected one of: eu-production, staging, us-production"
    )
    assert len(parse_rules(good, "rules.yaml", None, None, order).rules) == 1
    assert len(parse_rules(one(do="[block: {environments: [stagign]}]"), "rules.yaml", None).rules) == 1


def test_a_resync_of_what_somebody_has_to_change_first_is_refused_unless_a_signature_knows_better() -> None:
    text = one("{category: permission-denied}", "[resync: {}]")
    (problem,) = problems(text)
    assert problem == (
        "rules.yaml:5:10: resync: retry is never safe with permission-denied: leave resync out, or write mode: approve"
    )
    assert len(parse_rules(text, "rules.yaml", RECEIVERS, SIGNATURES).rules) == 1


OPEN = ["shop-eu", "shop-us", '"shop-*"', '"*"', "bank", '"shop-?u"', '"*-eu"', '"b*k"']
closed = st.sampled_from(["safe", "futile", "unsafe", "unknown", '"*"', '"un*"'])
counts = st.sampled_from(["1", "2", "3", '">=2"', '"<3"'])


def written(field: str, words: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    lists = st.lists(words, min_size=1, max_size=3).map(lambda items: f"[{', '.join(items)}]")
    return st.one_of(lists, lists.map(lambda items: f"{{not: {items}}}")).map(lambda value: f"{field}: {value}")


whens = st.lists(
    st.one_of(written("retry", closed), written("project", st.sampled_from(OPEN)), written("attempts", counts)),
    max_size=3,
    unique_by=lambda text: text.split(":")[0],
).map(lambda parts: f"{{{', '.join(parts)}}}")


@given(whens, whens, st.sampled_from(["shop-eu", "shop-us", "bank", "x", "shop-", None]), st.integers(1, 4))
def test_a_rule_called_unreachable_is_never_reached(
    first: str, second: str, project: str | None, attempts: int
) -> None:
    try:
        parse_rules(two(first, second), "rules.yaml", RECEIVERS)
    except RulesError as error:
        if ["'s' can never match: 'r'" in problem for problem in error.problems] != [True]:
            return
    else:
        return
    rulebook = parse_rules(two(first, second, more="    continue: true\n"), "rules.yaml", RECEIVERS)
    for retry in ("safe", "futile", "unsafe", "unknown", None):
        earlier, later = match(rulebook, Facts(retry=retry, project=project, attempts=attempts)).results
        assert earlier.held or not later.held


@settings(max_examples=100)
@given(whens, whens, whens, st.sampled_from(["shop-eu", "bank", None]), st.integers(1, 4))
def test_nor_is_one_that_several_divide_among_them(
    first: str, second: str, third: str, project: str | None, attempts: int
) -> None:
    names = iter("abc")
    rules = [Rule(next(names), parse_when(w), (), Mode.LIVE, 1, 60) for w in (first, second, third)]
    if not covered_by(rules[2], rules[:2]):
        return
    for retry in ("safe", "futile", "unsafe", "unknown", None):
        seen = Facts(retry=retry, project=project, attempts=attempts)
        one, two, three = match(Rulebook(tuple(msgspec.structs.replace(r, goes_on=True) for r in rules)), seen).results
        assert one.held or two.held or not three.held


def parse_when(when: str) -> tuple[Condition, ...]:
    text = one(when, more="    continue: true\n")
    try:
        return parse_rules(text, "rules.yaml", RECEIVERS).rules[0].conditions
    except RulesError:
        return (Condition("retry", ("nothing",)),)


mutations = st.lists(
    st.tuples(
        st.integers(0, len(EXAMPLE)), st.integers(0, 12), st.text(alphabet="[]{}:-, \n*'\"a1&!|x~\\%", max_size=4)
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=300)
@given(mutations)
def test_no_text_raises_anything_but_a_rules_error(changes: list[tuple[int, int, str]]) -> None:
    text = EXAMPLE
    for at, length, new in changes:
        text = text[:at] + new + text[at + length :]
    faults: list[str] = []
    try:
        parse_rules(text, "rules.yaml", RECEIVERS)
    except RulesError as error:
        faults = error.problems
    assert all(fault.startswith("rules.yaml:") for fault in faults)
