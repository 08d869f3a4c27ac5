"""A rule whose resyncs mostly fail is set to shadow, and judged by what it did since when it is released or changed."""

import msgspec

from responder.core.actions import ActionRecord, Outcome, OutcomeResult, VerdictResult
from responder.core.demoting import Demotion, alert_of, demoted, version_of
from responder.core.guards import judge
from tests.unit.core.deciding import LIVE, act, candidate, situation
from tests.unit.core.night import at

WELL, WRONG, UNKNOWN, UNDER_WAY, OVERLOOKED = (
    OutcomeResult.SUCCEEDED,
    OutcomeResult.FAILED,
    OutcomeResult.UNKNOWN,
    OutcomeResult.TAKEN,
    OutcomeResult.NOT_TAKEN,
)
replace = msgspec.structs.replace


def done(*results: OutcomeResult, since: float = 0, by: str = "rule again") -> list[ActionRecord]:
    return [replace(act(r, begun=since + n, by=by), outcome=Outcome(r)) for n, r in enumerate(results, start=1)]


def judged(resyncs: list[ActionRecord], before: Demotion | None = None, now: float = 100) -> Demotion | None:
    return demoted(LIVE, resyncs, before, at(now))


def test_three_of_five_that_failed_are_too_many() -> None:
    found = judged(done(WELL, WRONG, WRONG, WELL, WRONG))
    assert str(found) == "rule 'again' was set to shadow: 3 of its 5 resyncs of a day failed"
    assert found is not None
    assert found.incident == "incident-1"


def test_half_of_them_are_not_nor_are_four_in_all() -> None:
    assert judged(done(WELL, WRONG, WRONG, WELL, WRONG, WELL)) is None
    assert judged(done(WRONG, WRONG, WRONG, WRONG)) is None


def test_what_we_cannot_tell_the_end_of_failed_and_what_has_none_does_not_count() -> None:
    assert judged(done(UNKNOWN, UNKNOWN, UNKNOWN, WELL, WELL)) is not None
    assert judged(done(WRONG, WRONG, WRONG, WRONG, UNDER_WAY, OVERLOOKED)) is None


def test_another_rules_resyncs_and_those_of_yesterday_do_not_count() -> None:
    assert judged(done(*[WRONG] * 5, by="rule other")) is None
    assert judged(done(*[WRONG] * 5), now=86_500) is None


HELD = Demotion("again", version_of(LIVE), at(50), 5, 5, "i-1")


def test_it_is_demoted_once() -> None:
    assert judged(done(*[WRONG] * 9), HELD) is None


def test_when_a_person_released_it_only_what_it_does_from_then_on_counts() -> None:
    released = replace(HELD, released_at=at(60), released_by="ana")
    assert judged(done(*[WRONG] * 5), released) is None
    assert judged(done(*[WRONG] * 5, since=60), released) is not None


def test_a_rule_that_was_written_anew_is_another_one() -> None:
    narrower = replace(LIVE, budget=1)
    assert not HELD.holds(narrower)
    assert HELD.holds(replace(LIVE, line=LIVE.line + 7))  # it only moved in its file
    assert demoted(narrower, done(*[WRONG] * 5), HELD, at(100)) is None
    assert demoted(narrower, done(*[WRONG] * 5, since=50), HELD, at(100)) is not None


def test_the_guard_says_so_until_it_is_released_and_other_rules_are_free() -> None:
    verdict = judge(candidate(situation(demotions={"again": HELD})))
    (refused,) = [r for r in verdict.reasons if not r.passed]
    assert verdict.result is VerdictResult.DENIED
    assert (refused.guard, refused.text) == ("mode", str(HELD))
    for free in (replace(HELD, released_at=at(60)), replace(HELD, rule="other"), replace(HELD, version="older")):
        assert judge(candidate(situation(demotions={free.rule: free}))).result is VerdictResult.ALLOWED


def test_the_platform_is_told_with_what_to_do() -> None:
    told = alert_of(HELD, owner="platform", url="https://responder")
    assert (told.key, told.state, told.owner) == ("hook-responder/rule/again", "firing", "platform")
    assert told.incident_url == "https://responder/incidents/i-1"
    assert "reload the file, or release it" in told.next
