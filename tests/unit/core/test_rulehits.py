import msgspec

from responder.core.actions import ActionKind, Decision, Mode, Reason, Verdict, VerdictResult
from responder.core.incident import Incident, RuleHit
from responder.core.replaying import How
from responder.core.rulehits import count_hits
from responder.core.rules import Rule, Rulebook
from tests.unit.core.deciding import incident
from tests.unit.core.night import at

RULES = Rulebook(tuple(Rule(name, (), (), Mode.SHADOW, 2, 120) for name in ("first", "second")))


def decision(rule: str, verdict: Verdict) -> Decision:
    return Decision(f"{rule} {verdict}", rule, ActionKind.RESYNC, Mode.SHADOW, at(0), verdict, "", at(0))


def hit(identity: str, rule: str, seconds: float, *verdicts: Verdict) -> Incident:
    decisions = tuple(decision(rule, verdict) for verdict in verdicts)
    found = incident(hits=(RuleHit(rule, Mode.SHADOW, at(seconds)),), decisions=decisions)
    return msgspec.structs.replace(found, id=identity)


ALLOWED = Verdict(VerdictResult.ALLOWED)
SHADOWED = Verdict(VerdictResult.DENIED, (Reason("mode", "shadow"),))


def test_what_each_rule_came_to() -> None:
    incidents = [hit("b", "first", 90, ALLOWED, SHADOWED), hit("a", "first", 30, SHADOWED), hit("c", "forgotten", 5)]
    first, second, forgotten = count_hits(RULES, incidents)
    assert (first.name, first.matched, first.last_at, first.last_incident) == ("first", 2, at(90), "b")
    assert {how: n for how, n in first.by_how.items() if n} == {How.DONE: 1, How.SHADOW: 2}
    assert (second.matched, second.last_at) == (0, None)
    assert (forgotten.name, forgotten.rule, forgotten.matched) == ("forgotten", None, 1)
