"""What each rule came to, counted over incidents: matched, done, asked, would have been done, denied."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from responder.core.incident import Incident
from responder.core.replaying import How, how_far
from responder.core.rules import Rule, Rulebook


class RuleHits(msgspec.Struct, frozen=True):
    name: str
    rule: Rule | None  # None: it is not in the file any more
    matched: int = 0  # incidents
    by_how: dict[How, int] = msgspec.field(default_factory=lambda: dict.fromkeys(How, 0))  # actions, alerts left out
    last_at: datetime | None = None
    last_incident: str = ""


def count_hits(rulebook: Rulebook, incidents: Iterable[Incident]) -> list[RuleHits]:
    """Those in the file in their order, then others that incidents remember."""
    counted = {rule.name: RuleHits(rule.name, rule) for rule in rulebook.rules}
    for incident in incidents:
        for hit in incident.hits:
            before = counted.get(hit.rule) or RuleHits(hit.rule, None)
            counted[hit.rule] = _with(before, incident, hit.at)
    return list(counted.values())


def _with(before: RuleHits, incident: Incident, at: datetime) -> RuleHits:
    by_how = dict(before.by_how)
    for decision in incident.decisions:
        if decision.rule == before.name:
            by_how[how_far(decision)] += 1
    newer = before.last_at is None or at > before.last_at
    return msgspec.structs.replace(
        before,
        matched=before.matched + 1,
        by_how=by_how,
        last_at=at if newer else before.last_at,
        last_incident=incident.id if newer else before.last_incident,
    )
