"""One incident as it goes under rules that are tried, and what its record says of the times between its moments."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from responder.core.actions import ActionKind, ActionRecord, Decision, Outcome, OutcomeResult, VerdictResult
from responder.core.argocd import OperationRecord, OperationState
from responder.core.attempts import OperationView
from responder.core.incident import FailingHook, IncidentState
from responder.core.past import Moment, Past
from responder.core.rules import Matching, Rule
from responder.core.trial import Trial, World

_DAY = timedelta(days=1)
_SHORTEST, _LONGEST = timedelta(seconds=1), timedelta(hours=1)  # that a resync is taken to last


class Course:
    def __init__(self, past: Past, world: World, found: Sequence[Moment]) -> None:
        self.past = past
        self.world = world
        self.moments = found
        self.incident = msgspec.structs.replace(
            past.incident,
            decisions=(),
            state=IncidentState.FIRING,
            resolved_at=None,
            alerts=(),
            parent=None,
        )
        self.moment: Moment | None = None  # the last that came; None while a resync of ours answers it
        self.matched: dict[str, Rule] = {}
        self.last: Matching | None = None
        self.stopped: set[datetime] = set()  # operations that would have ended early
        self.looks = 0
        self.ended_at: datetime | None = None
        self.followed = False  # the next incident of its Application has begun
        self.parent_since: datetime | None = None

    @property
    def open(self) -> bool:
        return self.ended_at is None and not self.followed

    def trial(self) -> Trial:
        return Trial(
            self.past,
            tuple(self.matched.values()),
            self.incident.decisions,
            self.last,
            self.ended_at,
            self.parent_since,
        )

    def resynced_before(self) -> Iterator[ActionRecord]:
        """What the circumstances name, long enough ago to have cooled down."""
        incident = self.incident
        for number in range(self.world.resyncs):
            yield ActionRecord(
                id=f"before-{number}",
                decision_id=f"before-{number}",
                incident_id="",
                kind=ActionKind.RESYNC,
                app=incident.app,
                app_uid=incident.app_uid,
                operation=incident.opened_at - 2 * _DAY,
                revisions=incident.revisions,
                begun_at=incident.opened_at - 2 * _DAY,
                by="before",
                outcome=Outcome(OutcomeResult.FAILED),
            )

    def comes_to(self, moment: Moment) -> None:
        """With the hooks that had failed by then."""
        newest: dict[object, datetime] = {}
        for hook in (h for view in moment.views for a in view.attempts for h in a.hooks if h.failed):
            newest[hook.identity] = max(hook.failed_at, newest.get(hook.identity, hook.failed_at))
        failing = self.past.incident.failing
        known = tuple(FailingHook(f.hook, newest[f.hook]) for f in failing if f.hook in newest)
        first = tuple(FailingHook(f.hook, min(f.failed_at, moment.at)) for f in failing)
        operations = tuple(view.record.started_at for view in moment.views)
        self.moment = moment
        self.incident = msgspec.structs.replace(self.incident, failing=known or first, operations=operations)

    def ends(self, at: datetime) -> None:
        self.ended_at = at
        failing = tuple(msgspec.structs.replace(f, succeeded_at=at) for f in self.incident.failing)
        self.incident = msgspec.structs.replace(
            self.incident, state=IncidentState.RESOLVED, resolved_at=at, failing=failing
        )

    def made_by_a_rule(self, record: OperationRecord) -> bool:
        """A resync of the record that no person ordered or approved."""
        decided, _, _ = record.request.action_id.rpartition("-")
        return bool(record.request.action_id) and all(d.id != decided for d in self.by_people)

    @property
    def by_people(self) -> list[Decision]:
        return [d for d in self.past.incident.decisions if d.approved_by]

    def approved(self, person: Decision, now: datetime) -> None:
        """What these rules ask a person for, where that person said yes to it."""
        self.incident = msgspec.structs.replace(
            self.incident,
            decisions=tuple(
                msgspec.structs.replace(d, approved_by=person.approved_by, approved_at=now)
                if d.verdict.result is VerdictResult.NEEDS_APPROVAL
                and (d.action, d.operation) == (person.action, person.operation)
                else d
                for d in self.incident.decisions
            ),
        )

    @property
    def ended_by_a_rule(self) -> bool:
        """In the record a rule's resync was the last that it ran."""
        return bool(self.past.views) and self.made_by_a_rule(self.past.views[-1].record)

    def following(self, moment: Moment) -> OperationView | None:
        """The operation that the record has next."""
        judged = moment.views[-1].record.started_at
        return next((v for v in self.past.views if v.record.started_at > judged), None)

    def begun_since(self, moment: Moment, now: datetime) -> OperationState | None:
        """An operation of the record that is not the one that is judged, and no other rule's resync."""
        judged = moment.views[-1].record.started_at
        begun = [v.record for v in self.past.views if judged < v.record.started_at <= now]
        newest = next((r for r in reversed(begun) if not self.made_by_a_rule(r)), None)
        if newest is None:
            return None
        return OperationState(newest.started_at, newest.operation_phase, newest.finished_at)

    def told_later(self, now: datetime) -> bool:
        """The record has a failure of a rule's resync that is still to come."""
        return any(m.at >= now and self.made_by_a_rule(m.views[-1].record) for m in self.moments)


def failed_again(moment: Moment, action: ActionRecord, now: datetime) -> Moment:
    """The operation that the resync began, and that ended like the one before it."""
    view = moment.views[-1]
    request = msgspec.structs.replace(view.record.request, action_id=action.id)
    record = msgspec.structs.replace(
        view.record, started_at=action.begun_at, first_seen_at=action.begun_at, finished_at=now, request=request
    )
    return Moment(now, (*moment.views, msgspec.structs.replace(view, record=record)), moment.diagnosis)


def lasted(view: OperationView) -> timedelta:
    record = view.record
    lasted = record.finished_at - record.started_at if record.finished_at is not None else _SHORTEST
    return min(max(lasted, _SHORTEST), _LONGEST)
