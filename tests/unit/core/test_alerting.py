"""When an alert goes out, and to whom."""

from typing import Any

import msgspec
import pytest

from responder.core.actions import (
    ActionKind,
    Decision,
    Mode,
    Outcome,
    OutcomeResult,
    Verdict,
    VerdictResult,
)
from responder.core.alert import Severity
from responder.core.alerting import Alerting, plan_alerts
from responder.core.failure import Category
from responder.core.incident import Incident, IncidentState
from responder.core.rules import Matching, RuleAction, RuleResult
from responder.core.situation import Routes
from tests.unit.core.deciding import DIRTY, LIVE, POLICY, SAFE, incident, situation
from tests.unit.core.night import at, container, failed, job, log, pod

replace = msgspec.structs.replace
INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL
ROUTED = replace(POLICY, routes=Routes(receivers={"team-orders": ("slack", "pager")}, default=("platform",)))
Told = list[tuple[str, str, str]]


def alerts(*actions: RuleAction, **more: Any) -> Matching:
    rule = replace(LIVE, actions=actions, **more)
    return Matching((RuleResult(rule, (), held=True, tried=True),))


def page(severity: Severity = WARNING, after: float = 0.0, receiver: str = "") -> RuleAction:
    return RuleAction(ActionKind.ALERT, severity=severity, after=after, receiver=receiver)


NOBODY = Matching()


def planned(now: float, of: Incident, matching: Matching | None = NOBODY, policy: Any = ROUTED) -> Alerting:
    return plan_alerts(situation(now=at(now), policy=policy), of, matching)


def told(found: Alerting) -> Told:
    return [(o.receiver, o.alert.severity.value, o.alert.state.value) for o in found.orders]


def after(of: Incident, found: Alerting, **more: Any) -> Incident:
    return replace(of, alerts=found.marks, **more)


# Rules, and the floor beneath them.


def test_a_rule_alerts_the_owners_receivers() -> None:
    assert told(planned(10, incident(), alerts(page()))) == [
        ("slack", "warning", "firing"),
        ("pager", "warning", "firing"),
    ]


def test_a_rule_may_name_its_receiver() -> None:
    assert told(planned(10, incident(), alerts(page(CRITICAL, receiver="dba")))) == [("dba", "critical", "firing")]


def test_an_owner_without_receivers_has_the_default_ones() -> None:
    assert told(planned(10, incident(owner="somebody"), alerts(page()))) == [("platform", "warning", "firing")]


def test_of_two_rules_the_graver_word_counts() -> None:
    both = Matching((*alerts(page(INFO, receiver="dba")).results, *alerts(page(CRITICAL, receiver="dba")).results))

    assert told(planned(10, incident(), both)) == [("dba", "critical", "firing")]


def test_after_means_only_if_still_open_then() -> None:
    rule = alerts(page(after=300.0))
    early, late = planned(303, incident(), rule), planned(304, incident(), rule)

    assert (told(early), early.wake_at) == ([], at(304))
    assert len(told(late)) == 2
    closed = incident(state=IncidentState.RESOLVED, resolved_at=at(200))
    assert told(planned(400, closed, rule)) == []


def test_what_no_rule_alerted_on_alerts_after_ten_minutes() -> None:
    early, late = planned(603, incident()), planned(604, incident())

    assert (told(early), early.wake_at) == ([], at(604))
    assert told(late) == [("slack", "warning", "firing"), ("pager", "warning", "firing")]


def test_a_rule_in_shadow_mode_alerts_nobody_and_the_floor_does() -> None:
    shadow = alerts(page(CRITICAL), own_mode=Mode.SHADOW)

    assert told(planned(603, incident(), shadow)) == []
    assert told(planned(604, incident(), shadow)) == [("slack", "warning", "firing"), ("pager", "warning", "firing")]


def test_the_mode_of_acts_is_not_that_of_alerts() -> None:
    assert len(told(planned(10, incident(), alerts(page(), mode=Mode.SHADOW)))) == 2


def test_an_incident_without_a_diagnosis_is_told_by_the_floor() -> None:
    assert len(told(planned(604, incident(diagnosis=None), None))) == 2


def test_the_floor_tells_nobody_else_once_a_rule_has_alerted() -> None:
    first = planned(10, incident(), alerts(page(receiver="dba")))

    assert told(planned(700, after(incident(), first, diagnosis=DIRTY))) == [("dba", "warning", "firing")]


# The same is not said twice.


def test_what_was_said_is_not_said_again() -> None:
    rule = alerts(page())
    first = planned(10, incident(), rule)

    assert told(planned(20, after(incident(), first, changed="more lines"), rule)) == []


@pytest.mark.parametrize(
    "change",
    [{"diagnosis": DIRTY}, {"state": IncidentState.ACKNOWLEDGED}, {"diagnosis": replace(SAFE, retry=DIRTY.retry)}],
)
def test_what_a_person_would_want_to_know_is(change: dict[str, Any]) -> None:
    rule = alerts(page(receiver="dba"))
    first = planned(10, incident(), rule)

    assert len(told(planned(20, after(incident(), first, **change), rule))) == 1


def test_an_acknowledgement_is_told_to_those_who_were_told() -> None:
    rule = alerts(page(receiver="dba"))
    first = planned(10, incident(), rule)

    seen = planned(20, after(incident(), first, state=IncidentState.ACKNOWLEDGED), rule)
    assert told(seen) == [("dba", "warning", "acknowledged")]


def test_the_severity_never_falls_by_itself() -> None:
    first = planned(10, incident(diagnosis=DIRTY), alerts(page(CRITICAL, receiver="dba")))
    later = planned(20, after(incident(), first), alerts(page(INFO, receiver="dba")))

    assert told(later) == [("dba", "critical", "firing")]


def test_the_key_is_the_same_for_its_whole_life() -> None:
    rule = alerts(page(receiver="dba"))
    first = planned(10, incident(), rule)
    last = planned(90, after(incident(), first, state=IncidentState.RESOLVED, resolved_at=at(80)), rule)

    assert {o.alert.key for o in (*first.orders, *last.orders)} == {"hook-responder/incident-1"}


# Its end.


def test_only_those_who_were_told_are_told_of_the_end_and_once() -> None:
    first = planned(10, incident(), alerts(page(receiver="dba")))
    over = after(incident(), first, state=IncidentState.RESOLVED, resolved_at=at(80))
    last = planned(90, over, alerts(page(receiver="dba"), page(receiver="slack")))

    assert told(last) == [("dba", "warning", "resolved")]
    assert told(planned(95, after(over, last))) == []


def test_a_retry_that_recovers_before_anybody_was_told_pages_nobody() -> None:
    over = incident(state=IncidentState.RESOLVED, resolved_at=at(30))

    assert told(planned(40, over, alerts(page(after=60.0)))) == []


def test_an_application_that_is_gone_is_told_as_resolved() -> None:
    first = planned(10, incident(), alerts(page(receiver="dba")))

    assert told(planned(90, after(incident(), first, state=IncidentState.SUPERSEDED, resolved_at=at(80)))) == [
        ("dba", "warning", "resolved")
    ]


# Silence.


def test_a_muted_incident_speaks_again_when_its_time_is_over() -> None:
    muted = incident(muted_until=at(500))
    quiet = planned(499, muted, alerts(page()))

    assert (told(quiet), quiet.wake_at) == ([], at(500))
    assert len(told(planned(500, muted, alerts(page())))) == 2


def test_a_child_leaves_it_to_its_parent() -> None:
    assert told(planned(9999, incident(parent="parent-1"), alerts(page()))) == []


def test_what_may_have_a_common_cause_waits_a_moment_for_the_others() -> None:
    shares = incident(correlation="database/db/connection-refused")
    early = planned(13, shares, alerts(page()))

    assert (told(early), early.wake_at) == ([], at(14))
    assert len(told(planned(14, shares, alerts(page())))) == 2


# Acts of which nobody knows what came.


def lost(result: OutcomeResult = OutcomeResult.UNKNOWN) -> Incident:
    decision = Decision(
        "d", "again", ActionKind.RESYNC, Mode.LIVE, at(0), Verdict(VerdictResult.ALLOWED), "seen", at(10),
        outcome=Outcome(result, at=at(20)),
    )  # fmt: skip
    return incident(decisions=(decision,))


def test_an_act_of_unknown_outcome_is_told_at_once_and_urgently() -> None:
    found = planned(30, lost())

    assert told(found) == [("slack", "critical", "firing"), ("pager", "critical", "firing")]
    assert found.orders[0].alert.next.startswith("What came of our resync is not known and it is not repeated")
    assert told(planned(30, lost(OutcomeResult.FAILED))) == []


def test_it_is_told_also_to_those_who_had_the_gravest_word_already() -> None:
    rule: Matching = alerts(page(CRITICAL))
    first = planned(10, incident(), rule)

    assert len(told(planned(30, after(lost(), first), rule))) == 2


# After we were away, all that failed meanwhile is seen at once.


def watching(now: float, of: Incident, *, since: float, **more: Any) -> Told:
    seen = situation(**{"now": at(now), "policy": ROUTED, "watching_since": at(since), **more})
    return told(plan_alerts(seen, of, alerts(page(receiver="dba"))))


def test_others_with_its_cause_are_waited_for_since_it_was_seen_and_not_since_it_happened() -> None:
    found_late = incident(correlation="database/db/refused", seen_at=at(300))
    assert watching(309, found_late, since=-600) == []
    assert watching(310, found_late, since=-600) == [("dba", "warning", "firing")]


def test_nor_since_an_earlier_life_of_ours_saw_it() -> None:
    untold = incident(correlation="database/db/refused", seen_at=at(5))
    assert watching(309, untold, since=300) == []
    assert watching(310, untold, since=300) == [("dba", "warning", "firing")]


def test_whoever_shares_its_cause_with_nobody_is_told_at_once() -> None:
    assert watching(301, incident(seen_at=at(300)), since=300) == [("dba", "warning", "firing")]


def test_a_cause_that_is_not_known_yet_is_waited_for_while_a_log_is_being_read() -> None:
    unsure = incident(diagnosis=replace(SAFE, category=Category.UNKNOWN), seen_at=at(300))
    reading = job(1, failed(4), pods=(pod(container(log=log(0, whole=False))),))
    read = job(1, failed(4), pods=(pod(container()),))

    assert watching(301, unsure, since=300, runs=(reading,)) == []
    assert watching(310, unsure, since=300, runs=(reading,)) == [("dba", "warning", "firing")]
    assert watching(301, unsure, since=300, runs=(read,)) == [("dba", "warning", "firing")]
