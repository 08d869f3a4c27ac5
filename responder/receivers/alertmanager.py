"""Alertmanager, API v2: told to every peer, kept alive while it fires, resolved when it is over.

Alertmanager knows an alert by all of its labels, so only what stays the same is one; everything else is an annotation.
Severity must be a label, for routes and inhibition look at it, yet it may change. So the labels of the last send are
this receiver's reference: when they differ, the old set is resolved in the same request. Severity only ever rises:
lowering it would tell whoever holds the pager that an open incident was resolved.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from responder.core.alert import Alert, AlertState, Severity
from responder.ports import ReceiverError
from responder.receivers.http import Endpoint
from responder.receivers.template import Wording, three_lines

log = logging.getLogger(__name__)

ALERTNAME = "HookIncident"
IDENTITY = (
    "argocd", "project", "namespace", "application", "destination", "destination_namespace", "service", "environment",
    "owner",
)  # fmt: skip
ALIVE = 5  # endsAt is set this many repeats ahead: a few lost sends do not end an alert
DETAILS = 4096  # characters of log in an annotation: some receivers behind Alertmanager refuse more
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}

Labels = dict[str, str]


class Alertmanager:
    def __init__(
        self,
        name: str,
        peers: Sequence[Endpoint],
        *,
        repeat_every: float,
        wording: Wording | None = None,
        peer_failed: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.name = name
        self.repeat_every: float | None = repeat_every
        self._alive = timedelta(seconds=ALIVE * repeat_every)
        self._peers = peers
        self._wording = wording
        self._peer_failed = peer_failed
        self._now = now

    async def send(self, alert: Alert, reference: str) -> str:
        """Good when at least one peer took it: peers tell each other of notifications, not of alerts."""
        before = _labels_of(reference)
        labels = identity(alert, before)
        body = msgspec.json.encode(self._payload(alert, labels, before))
        async with asyncio.TaskGroup() as group:
            peers = [group.create_task(self._tell(peer, body)) for peer in self._peers]
        failures = [failure for peer in peers if (failure := peer.result())]
        if len(failures) == len(peers):
            raise _all_failed(failures)
        return msgspec.json.encode(labels).decode()

    async def _tell(self, peer: Endpoint, body: bytes) -> ReceiverError | None:
        try:
            await peer.post(body, {"Content-Type": "application/json"})
        except ReceiverError as error:
            self._peer_failed()
            log.warning("an Alertmanager peer did not take an alert", extra={"receiver": self.name, "why": str(error)})
            return error
        return None

    async def close(self) -> None:
        for peer in self._peers:
            await peer.close()

    def _payload(self, alert: Alert, labels: Labels, before: Labels) -> list[dict[str, object]]:
        now = self._now()
        over = max(alert.starts_at, alert.ends_at or now)  # an alert that ends before it starts is refused
        alive = max(alert.starts_at, now) + self._alive
        current = self._entry(alert, labels, over if alert.state is AlertState.RESOLVED else alive)
        if before and before != labels:
            return [self._entry(alert, before, max(alert.starts_at, now)), current]
        return [current]

    def _entry(self, alert: Alert, labels: Labels, ends_at: datetime) -> dict[str, object]:
        description = self._wording.render(alert) if self._wording else three_lines(alert)
        annotations = {
            "summary": alert.title,
            "description": description,
            "runbook_url": alert.runbook_url,
            "state": alert.state,
            "details": "\n".join(alert.details)[:DETAILS],
            "children": ", ".join(alert.children),
            **{name: value for name, value in alert.labels.items() if name not in labels and _NAME.fullmatch(name)},
        }
        entry: dict[str, object] = {
            "labels": labels,
            "annotations": {name: value for name, value in annotations.items() if value},
            "startsAt": alert.starts_at,
            "endsAt": ends_at,
        }
        linked = alert.incident_url.startswith(("http://", "https://"))  # it refuses the whole alert otherwise
        return entry | ({"generatorURL": alert.incident_url} if linked else {})


def _all_failed(errors: Sequence[ReceiverError]) -> ReceiverError:
    """The most hopeful of them decides whether, and when, to try again."""
    best = min(errors, key=lambda error: (error.final, error.retry_after or 0.0))
    return ReceiverError(str(best), reason=best.reason, retry_after=best.retry_after, final=best.final)


def identity(alert: Alert, before: Labels) -> Labels:
    stable = {name: alert.labels.get(name, "") for name in IDENTITY}
    severity = max(alert.severity, _severity(before), key=lambda s: _RANK[s])
    labels = {"alertname": ALERTNAME, "incident": alert.incident_id, **stable, "severity": str(severity)}
    return {name: value for name, value in labels.items() if value}


def _severity(labels: Labels) -> Severity:
    try:
        return Severity(labels.get("severity", ""))
    except ValueError:
        return Severity.INFO


def _labels_of(reference: str) -> Labels:
    try:
        return msgspec.json.decode(reference or "{}", type=Labels)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return {}
