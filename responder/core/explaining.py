"""Why a rule did, or did not, decide: every condition with the value that was seen, every guard with its word.

What was decided is told as it was recorded. What was not is judged by the very code that decides, as if that rule alone
had matched, where the world is known well enough.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from responder.core.actions import ActionKind, Decision
from responder.core.deciding import Case, decide, facts_of
from responder.core.report import decision_out
from responder.core.reportshape import DecisionOut
from responder.core.rules import Rule, RuleAction, Rulebook, RuleResult, match


class ConditionOut(msgspec.Struct):
    condition: str  # "category deadlock or killed"
    seen: str | None  # null: not known
    held: bool


class ActionOut(msgspec.Struct):
    action: str
    mode: str
    params: dict[str, str]
    recorded: bool  # the decision is that of its moment; else it was judged for this answer
    decision: DecisionOut | None  # null: an alert, which no guard is asked about, or nothing that could be judged


class RuleOut(msgspec.Struct):
    name: str
    line: int  # in the rules file
    matched: bool
    says: str  # what became of it, a sentence
    conditions: list[ConditionOut]
    actions: list[ActionOut]


class ExplainOut(msgspec.Struct):
    incident: str
    judged_at: datetime
    facts: dict[str, str | int | None]
    rules: list[RuleOut]


def explain(case: Case, *, judge_now: bool) -> ExplainOut:
    situation, incident = case.situation, case.incident
    facts = facts_of(situation, incident, case.diagnosis, case.view)
    results = match(situation.rulebook, facts).results
    return ExplainOut(
        incident=incident.id,
        judged_at=situation.now,
        facts=msgspec.structs.asdict(facts),
        rules=[_rule(result, case, judge_now=judge_now) for result in results],
    )


def _rule(result: RuleResult, case: Case, *, judge_now: bool) -> RuleOut:
    rule = result.rule
    return RuleOut(
        name=rule.name,
        line=rule.line,
        matched=result.matched,
        says=_said(result),
        conditions=[ConditionOut(str(c.condition), c.seen or None, c.held) for c in result.conditions],
        actions=[_action(rule, action, case, judge_now=judge_now) for action in rule.actions],
    )


def _said(result: RuleResult) -> str:
    if result.matched:
        return "decides, and goes on" if result.rule.goes_on else "decides"
    return "would hold, an earlier rule decided" if result.held else "does not hold"


def _action(rule: Rule, action: RuleAction, case: Case, *, judge_now: bool) -> ActionOut:
    recorded = _recorded(case, rule, action.kind)
    decision = recorded or (_judged(case, rule, action) if judge_now else None)
    return ActionOut(
        action=action.kind.value,
        mode=rule.mode_of(action.kind).value,
        params=action.params(),
        recorded=recorded is not None,
        decision=decision_out(decision) if decision is not None else None,
    )


def _recorded(case: Case, rule: Rule, kind: ActionKind) -> Decision | None:
    """The newest one for this operation."""
    operation = case.view.record.started_at
    same = [d for d in case.incident.decisions if d.rule == rule.name and d.action is kind and d.operation == operation]
    return max(same, key=lambda d: d.decided_at, default=None)


def _judged(case: Case, rule: Rule, action: RuleAction) -> Decision | None:
    """As if this rule wanted this alone, and held."""
    held = tuple(c for c in rule.conditions if c.field == "initiated_by" and rule.admits_people)  # a guard reads it
    alone = msgspec.structs.replace(rule, conditions=held, actions=(action,))
    situation = msgspec.structs.replace(case.situation, rulebook=Rulebook((alone,)))
    incident = msgspec.structs.replace(case.incident, decisions=())
    decisions = decide(msgspec.structs.replace(case, situation=situation, incident=incident)).decisions
    return next((d for d in decisions if d.rule == rule.name), None)


def told_lines(told: Mapping[str, Any]) -> list[str]:
    """The answer of the API, or one made here, for a terminal."""
    facts = ", ".join(f"{name} {value}" for name, value in told["facts"].items() if value is not None)
    lines = [f"{told['incident']}: {facts}"]
    for rule in told["rules"]:
        lines.append(f"{'*' if rule['matched'] else ' '} {rule['name']} (line {rule['line']}): {rule['says']}")
        for condition in rule["conditions"]:
            seen = condition["seen"] if condition["seen"] is not None else "not known"
            lines.append(f"    {_mark(condition['held'])} {condition['condition']}: it is {seen}")
        if not rule["conditions"]:
            lines.append("    + it has no condition")
        for action in rule["actions"]:
            lines += _action_lines(action, whole=rule["matched"] or action["recorded"])
    return lines


def _action_lines(action: Mapping[str, Any], *, whole: bool) -> list[str]:
    """``whole``: with the guards that pass, too."""
    params = " ".join(f"{name} {value}" for name, value in action["params"].items())
    decision = action["decision"]
    if decision is None:
        return [f"    {action['action']} {params}".rstrip() + f" ({action['mode']})"]
    how = "" if action["recorded"] else ", were it to decide now"
    lines = [f"    {action['action']} ({action['mode']}): {decision['verdict']['result']}{how}"]
    if decision["outcome"] is not None:
        lines[0] += f"; {decision['outcome']['result']} {decision['outcome']['detail']}".rstrip()
    guards = [guard for guard in decision["verdict"]["guards"] if whole or not guard["passed"]]
    return lines + [f"        {_mark(g['passed'])} {g['guard']}: {g['text']}" for g in guards]


def _mark(held: object) -> str:
    return "+" if held else "-"
