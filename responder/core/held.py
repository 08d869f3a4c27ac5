"""What is asked at every step and so held in memory: open incidents, those that closed lately, our resyncs of a day."""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta

from responder.core.actions import ActionKind, ActionRecord
from responder.core.argocd import AppKey
from responder.core.incident import Incident
from responder.core.limiting import SPENT
from responder.core.waves import Cause

_CLOSED_KEPT = 1000
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


class Incidents:
    """Open ones by Application uid, parents by their own id; found by Application and by cause without a search."""

    def __init__(self) -> None:
        self.open: dict[str, Incident] = {}
        self._of_app: dict[AppKey, dict[str, Incident]] = {}
        self._of_cause: dict[str, dict[str, Incident]] = {}
        self._closed: OrderedDict[str, Incident] = OrderedDict()  # the newest of each Application uid

    def replace(self, stored: Iterable[Incident], back: Iterable[Incident], *, asked_at: datetime) -> None:
        """The store knows better, but for what was kept since it was asked. ``back``: closed children of parents."""
        known = {i.id: i for i in stored}
        for mine in (*self.open.values(), *self._closed.values()):
            held = known.get(mine.id)
            if mine.updated_at >= (asked_at if held is None else held.updated_at):
                known[mine.id] = mine
        self.open.clear()
        self._of_app.clear()
        self._of_cause.clear()
        for incident in sorted(known.values(), key=lambda i: i.state.open):  # one may follow another of its Application
            self.keep(incident)
        for incident in back:
            self._closed.setdefault(incident.app_uid, incident)

    def keep(self, incident: Incident) -> None:
        key = incident.app_uid or incident.id
        if (before := self.open.pop(key, None)) is not None:
            _drop(self._of_app, before.app, key)
            _drop(self._of_cause, before.correlation, key)
        if not incident.state.open:
            self._close(key, incident)
            return
        self.open[key] = incident
        self._of_app.setdefault(incident.app, {})[key] = incident
        if incident.correlation:
            self._of_cause.setdefault(incident.correlation, {})[key] = incident

    def _close(self, key: str, incident: Incident) -> None:
        self._closed[key] = incident
        self._closed.move_to_end(key)
        while len(self._closed) > _CLOSED_KEPT:
            self._closed.popitem(last=False)

    def of(self, key: AppKey) -> Incident | None:
        return next((i for i in self._of_app.get(key, {}).values() if not i.children), None)

    def closed_of(self, uid: str) -> Incident | None:
        return self._closed.get(uid)

    def sharing(self, correlation: str) -> tuple[list[Incident], Incident | None]:
        """Open incidents with this key, and their parent."""
        same = self._of_cause.get(correlation, {}).values() if correlation else ()
        return [i for i in same if not i.children], next((i for i in same if i.children), None)

    def recovering(self, correlation: str) -> tuple[Incident, ...]:
        """All that share it: also the children that are back already, while others are not."""
        children, parent = self.sharing(correlation)
        if parent is None:
            return tuple(children)
        back = [i for i in self._closed.values() if i.id in parent.children]
        return (*children, *back)


def _drop(index: dict, name: object, key: str) -> None:  # type: ignore[type-arg] # of either kind of key
    if name in index:
        index[name].pop(key, None)
        if not index[name]:
            del index[name]


class Resyncs:
    """Ours of the last day. What is about to be recorded counts already: a place taken is taken at once."""

    def __init__(self) -> None:
        self._held: dict[str, ActionRecord] = {}

    def note(self, action: ActionRecord) -> None:
        if action.kind is not ActionKind.RESYNC:
            return
        if action.outcome.result in SPENT:
            self._held.pop(action.id, None)
        else:
            self._held[action.id] = action

    def release(self, action: ActionRecord) -> None:
        """It was not recorded, and so is not done."""
        self._held.pop(action.id, None)

    def in_an_hour(self, now: datetime) -> int:
        self._prune(now)
        return sum(1 for a in self._held.values() if now - a.begun_at < _HOUR)

    def within_a_day(self, now: datetime) -> list[ActionRecord]:
        self._prune(now)
        return sorted(self._held.values(), key=lambda a: (a.begun_at, a.id))

    def cause(self, correlation: str, incidents: Incidents, now: datetime) -> Cause:
        if not correlation:
            return Cause()
        ours = tuple(a for a in self.within_a_day(now) if a.correlation == correlation)
        return Cause(correlation, incidents.recovering(correlation), ours)

    def _prune(self, now: datetime) -> None:
        over = [a.id for a in self._held.values() if now - a.begun_at >= _DAY and not a.under_way]
        for action_id in over:
            del self._held[action_id]
