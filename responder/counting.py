"""What one step tells the metrics; and webhooks that should have come."""

from collections import OrderedDict
from datetime import datetime, timedelta

from responder.core.argocd import AppKey
from responder.core.incident import Incident
from responder.core.plan import Plan
from responder.core.situation import Situation
from responder.metrics import Metrics
from responder.ports import Clock

_GRACE = timedelta(seconds=60)
_REMEMBERED = 10_000  # Applications that were heard of: a webhook may name any


class Tally:
    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._heard: OrderedDict[AppKey, datetime] = OrderedDict()  # the newest last
        self._awaited: dict[AppKey, datetime] = {}  # a webhook is expected until then

    def heard(self, key: AppKey) -> None:
        self._heard[key] = self._clock.now()
        self._heard.move_to_end(key)
        if len(self._heard) > _REMEMBERED:
            self._heard.popitem(last=False)

    def awaited(self, key: AppKey) -> datetime | None:
        return self._awaited.get(key)

    def look(self, key: AppKey) -> None:
        """A webhook that should have come and did not is counted, so that a broken notifications config is noticed."""
        until = self._awaited.get(key)
        if until is None:
            return
        heard = self._heard.get(key)
        if heard is not None and heard >= until - 2 * _GRACE:
            del self._awaited[key]
        elif self._clock.now() >= until:
            del self._awaited[key]
            self._metrics.webhooks_missed_total.inc()

    def planned(self, situation: Situation, planned: Plan, incident: Incident) -> None:
        """What is new in it."""
        metrics, diagnosis = self._metrics, incident.diagnosis
        if planned.opened:
            metrics.incidents_opened_total(incident.sync_phase).inc()
            metrics.application_incidents_total(incident.app.namespace, incident.app.name).inc()
            lag = (situation.now - incident.opened_at).total_seconds()
            metrics.detection_duration_seconds.observe(max(0.0, lag))
            if diagnosis is not None:
                metrics.diagnoses_total(diagnosis.category.value, diagnosis.retry.value).inc()
            if any(view.failed for view in situation.views):
                self._awaited[incident.app] = situation.now + _GRACE
        if planned.closed and incident.resolved_at is not None:
            metrics.incident_open_seconds.observe((incident.resolved_at - incident.opened_at).total_seconds())
        known = len(situation.incident.hits) if situation.incident else 0
        for hit in incident.hits[known:]:
            metrics.rule_matches_total(hit.rule, hit.mode.value).inc()
        before = {d.id: d.verdict for d in situation.incident.decisions} if situation.incident else {}
        for decision in incident.decisions:
            if before.get(decision.id) == decision.verdict:
                continue
            for reason in decision.verdict.reasons:
                if not reason.passed and decision.action.acts:
                    metrics.actions_denied_total(decision.action.value, reason.guard).inc()
