"""Rules over what happened, in the order of time: what would have been done counts for everything that comes after it.

The very code that decides, over one simulated state: budgets, cooldowns, ceilings, waves of recovery, common causes,
blocks, rules that are set to shadow. The record says what failed and when. What came of an act that was never done is
not in it: `ASSUMED` says how that is taken.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import count

import msgspec

from responder.core.actions import ActionKind, ActionRecord, Decision, Outcome, OutcomeResult
from responder.core.attempts import OperationView
from responder.core.course import Course, failed_again, lasted
from responder.core.deciding import Case, Decided, decide
from responder.core.demoting import Demotion, demoted
from responder.core.held import Incidents, Resyncs
from responder.core.incident import Incident
from responder.core.parenting import parent_of
from responder.core.past import Moment, Past, moments
from responder.core.promotion import Block
from responder.core.rules import Rulebook
from responder.core.situation import Policy, Situation
from responder.core.trial import Trial, World, situation_of
from responder.core.waves import turns, wave

ASSUMED = (
    "a resync ends as the record's own did; else badly when the same hook, or another with its cause, failed after it",
    "a person approves what was approved then, and nothing else; what people did they did all the same",
    "what Argo CD's own retries, where they were stopped, would have come to is not known",
    "a block of what was left behind is lifted when its incident was resolved",
    "rights are there, the kill switch is released and actions.mode is live, where the record does not say otherwise",
    "syncs that went well, and Applications without an incident, count towards no ceiling",
)
_ENDING = (ActionKind.STOP_RETRIES, ActionKind.TERMINATE)
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_LOOKS = 500  # at one incident, beside its own moments


class _Rank:
    """What comes first of the things that happen at one time."""

    APPROVED, HAPPENS, ENDS, LOOKS = range(4)


def reenact(history: Sequence[tuple[Past, World]], rulebook: Rulebook, policy: Policy) -> list[Trial]:
    """All incidents of one responder, in any order; the trials in the same."""
    courses = [Course(past, world, list(moments(past))) for past, world in history]
    Reenactment(courses, rulebook, policy).play()
    return [course.trial() for course in courses]


def tried(past: Past, rulebook: Rulebook, world: World, policy: Policy, *, settled: bool = False) -> Trial:
    """One incident by itself; each act that is allowed counts as well done. ``settled``: its last moment alone."""
    found = list(moments(past))
    course = Course(past, world, found[-1:] if settled else found)
    course.incident = msgspec.structs.replace(course.incident, correlation="")
    Reenactment([course], rulebook, policy, by_itself=True).play()
    return course.trial()


class Reenactment:
    def __init__(
        self, courses: Sequence[Course], rulebook: Rulebook, policy: Policy, *, by_itself: bool = False
    ) -> None:
        self._courses = {course.incident.id: course for course in courses}
        self._rulebook = rulebook
        self._policy = policy
        self._by_itself = by_itself
        self._incidents = Incidents()
        self._resyncs = Resyncs()
        self._actions: dict[str, dict[str, ActionRecord]] = {}  # by Application uid, then by their own id
        self._blocks: dict[str, Block] = {}
        self._demotions: dict[str, Demotion] = {}
        self._newest: dict[str, Course] = {}  # by Application uid
        self._agenda: list[tuple[datetime, int, int, Callable[[datetime], None]]] = []
        self._numbers = count()
        self._of_app: dict[str, list[Course]] = {}
        self._failures: dict[str, list[datetime]] = {}  # in the record, by cause
        for course in courses:
            self._enter(course)

    def _enter(self, course: Course) -> None:
        incident = course.past.incident
        self._of_app.setdefault(incident.app_uid, []).append(course)
        self._failures.setdefault(course.incident.correlation, []).extend(m.at for m in course.moments)
        for action in course.resynced_before():
            self._note(action)
        for moment in course.moments:
            self._plan(moment.at, _Rank.HAPPENS, partial(self._happens, course, moment))
        for decision in course.by_people:
            at = decision.decided_at.replace(microsecond=0)  # Argo CD's own times, the end of what it ended, are so
            self._plan(at, _Rank.APPROVED, partial(self._approved, course, decision))
        if incident.resolved_at is not None and not self._by_itself:
            self._plan(incident.resolved_at, _Rank.ENDS, partial(self._ends_as_recorded, course))

    def _plan(self, at: datetime, rank: int, what: Callable[[datetime], None]) -> None:
        heapq.heappush(self._agenda, (at, rank, next(self._numbers), what))

    def play(self) -> None:
        while self._agenda:
            at, _, _, what = heapq.heappop(self._agenda)
            what(at)

    # What happens.

    def _happens(self, course: Course, moment: Moment, now: datetime) -> None:
        record = moment.views[-1].record
        if course.ended_at is not None or record.started_at in course.stopped:
            return
        if course.made_by_a_rule(record) and not self._acted(course):
            return  # another rule's resync made it: under these it would not have begun
        before = self._newest.get(course.incident.app_uid)
        if before is not None and before is not course:
            before.followed = True
        self._newest[course.incident.app_uid] = course
        course.comes_to(moment)
        self._judge(course, moment, now)

    def _looks(self, course: Course, moment: Moment, now: datetime) -> None:
        if course.moment is moment and course.open and course.looks < _LOOKS:
            course.looks += 1
            self._judge(course, moment, now)

    def _approved(self, course: Course, decision: Decision, now: datetime) -> None:
        if course.moment is not None and course.open:
            course.approved(decision, now)
            self._judge(course, course.moment, now)

    def _ends_as_recorded(self, course: Course, now: datetime) -> None:
        if not course.ended_by_a_rule or self._acted(course):
            self._close(course, now)

    def _resync_ends(
        self, course: Course, answered: Moment, action: ActionRecord, now: datetime, *, well: bool
    ) -> None:
        result = OutcomeResult.SUCCEEDED if well else OutcomeResult.FAILED
        action = msgspec.structs.replace(action, outcome=Outcome(result, at=now))
        self._note(action)
        self._judge_rule(action, now)
        if well:
            self._close(course, now)
        elif course.open and course.moment is None and not course.told_later(now):
            self._happens(course, failed_again(answered, action, now), now)
        self._look_again(action.correlation, now)

    def _close(self, course: Course, now: datetime) -> None:
        if course.ended_at is not None:
            return
        course.ends(now)
        self._blocks = {b.id: b for b in self._blocks.values() if b.incident_id != course.incident.id}
        if not course.followed:
            self._keep(course, now)
        self._look_again(course.incident.correlation, now)

    def _look_again(self, correlation: str, now: datetime) -> None:
        """Whose turn it is among those that share a cause."""
        cause = self._resyncs.cause(correlation, self._incidents, now)
        seen = wave(cause, cap=self._policy.per_cause, breaks_after=self._policy.breaks_after, cooldown=0)
        for incident in turns(cause, seen, now)[: seen.free]:
            course = self._courses[incident.id]
            if course.moment is not None:
                self._plan(now, _Rank.LOOKS, partial(self._looks, course, course.moment))

    # What is decided upon it.

    def _judge(self, course: Course, moment: Moment, now: datetime) -> None:
        situation = self._situation(course, moment, now)
        decided = decide(Case(situation, course.incident, moment.diagnosis, situation.views[-1]))
        course.incident = msgspec.structs.replace(course.incident, decisions=decided.decisions)
        course.matched |= {rule.name: rule for rule in decided.matching.matched}
        course.last = decided.matching
        self._blocks |= {block.id: block for block in decided.blocks}
        self._keep(course, now)
        for act in decided.acts:
            self._begin(course, moment, act.action, now)
        later = min((*_due(decided, course.incident, now), *self._below_ceilings(decided, situation)), default=None)
        if later is not None and course.moment is moment:
            self._plan(later, _Rank.LOOKS, partial(self._looks, course, moment))

    def _below_ceilings(self, decided: Decided, situation: Situation) -> list[datetime]:
        """When what counts towards a ceiling that stands in the way counts no more."""
        refused = {r.guard for d in decided.decisions for r in d.verdict.reasons if not r.passed}
        if "ceiling" not in refused or self._by_itself:
            return []
        hour = [a.begun_at + _HOUR for a in self._resyncs.within_a_day(situation.now)]
        day = [v.record.started_at + _DAY for v in situation.views]
        return [min(ends) for times in (hour, day) if (ends := [at for at in times if at > situation.now])]

    def _situation(self, course: Course, moment: Moment, now: datetime) -> Situation:
        incident, uid = course.incident, course.incident.app_uid
        done = sorted(self._actions.get(uid, {}).values(), key=lambda a: a.begun_at)
        situation = situation_of(moment, incident, self._rulebook, course.world, self._policy, now, done)
        app = situation.app
        if app is not None and (running := course.begun_since(moment, now)) is not None:
            app = msgspec.structs.replace(app, operation=running)
        blocks = (b for b in self._blocks.values() if b.app_uid == uid and (b.expires_at is None or b.expires_at > now))
        return msgspec.structs.replace(
            situation,
            app=app,
            views=(*self._earlier(course, now), *situation.views),
            responder_hour=0 if self._by_itself else self._resyncs.in_an_hour(now),
            cause=self._resyncs.cause(incident.correlation, self._incidents, now),
            blocks=(*situation.blocks, *blocks),
            demotions=self._demotions,
        )

    def _earlier(self, course: Course, now: datetime) -> Iterator[OperationView]:
        """Of earlier incidents of the Application: what they ran within a day counts towards its ceiling."""
        first = min(course.past.incident.operations, default=course.past.incident.opened_at)
        for other in self._of_app[course.incident.app_uid]:
            if other is not course:
                yield from (v for v in other.past.views if now - _DAY < v.record.started_at < first)

    def _begin(self, course: Course, moment: Moment, action: ActionRecord, now: datetime) -> None:
        if action.kind in _ENDING:
            course.stopped.add(action.operation)
        if action.kind is ActionKind.RESYNC:
            course.moment = None  # what comes next is another operation
        if action.kind is not ActionKind.RESYNC or self._by_itself:
            self._note(msgspec.structs.replace(action, outcome=Outcome(OutcomeResult.SUCCEEDED, at=now)))
            return
        self._note(action)
        well, lasts = self._came_of(course, moment, now)
        self._plan(now + lasts, _Rank.ENDS, partial(self._resync_ends, course, moment, action, well=well))

    def _came_of(self, course: Course, moment: Moment, now: datetime) -> tuple[bool, timedelta]:
        """Of a resync that begins now: as `ASSUMED` says."""
        following = course.following(moment)
        if following is not None and course.made_by_a_rule(following.record):
            return not following.failed, lasted(following)
        until = course.past.incident.resolved_at or now + _HOUR
        shared = self._failures[course.incident.correlation] if course.incident.correlation else ()
        failed = any(m.at > now for m in course.moments) or any(now < at <= until for at in shared)
        return not failed, lasted(moment.views[-1])

    def _judge_rule(self, action: ActionRecord, now: datetime) -> None:
        rule = next((r for r in self._rulebook.rules if action.by == f"rule {r.name}"), None)
        if rule is None:
            return
        demotion = demoted(rule, self._resyncs.within_a_day(now), self._demotions.get(rule.name), now)
        if demotion is not None:
            self._demotions = {**self._demotions, rule.name: demotion}

    # What is remembered of it.

    def _acted(self, course: Course) -> bool:
        """Have these rules resynced it?"""
        done = self._actions.get(course.incident.app_uid, {}).values()
        return any(a.kind is ActionKind.RESYNC and a.incident_id == course.incident.id for a in done)

    def _note(self, action: ActionRecord) -> None:
        self._actions.setdefault(action.app_uid, {})[action.id] = action
        self._resyncs.note(action)

    def _keep(self, course: Course, now: datetime) -> None:
        self._incidents.keep(course.incident)
        children, parent = self._incidents.sharing(course.incident.correlation)
        cause = self._resyncs.cause(course.incident.correlation, self._incidents, now)
        after = parent_of(children, parent, cause.resyncs, now)
        if after is None:
            return
        self._incidents.keep(after)
        for child in children:
            known = self._courses[child.id]
            known.parent_since = known.parent_since or now


def _due(decided: Decided, incident: Incident, now: datetime) -> list[datetime]:
    """When more may be said: of what is cooled down, of an alert that is shown as silenced."""
    alerts = [
        incident.opened_at + timedelta(seconds=action.after)
        for rule in decided.matching.matched
        for action in rule.actions
        if action.kind is ActionKind.ALERT
    ]
    return [at for at in (decided.wake_at, *alerts) if at is not None and at > now]
