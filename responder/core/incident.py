"""Incident: one trouble with one Application, and its life."""

from datetime import datetime
from enum import StrEnum

import msgspec

from responder.core.actions import Decision, Mode
from responder.core.alert import AlertState, Severity
from responder.core.argocd import AppKey
from responder.core.failure import Diagnosis


class IncidentState(StrEnum):
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    SUPERSEDED = "superseded"

    @property
    def open(self) -> bool:
        return self in (IncidentState.FIRING, IncidentState.ACKNOWLEDGED)


class HookIdentity(msgspec.Struct, frozen=True, order=True):
    """The same hook over attempts and operations: what must end well before an incident is over (truth 7)."""

    cluster: str
    kind: str
    namespace: str
    name: str  # or the generateName prefix
    sync_phase: str

    def __str__(self) -> str:
        return f"{self.sync_phase} {self.kind} {self.namespace}/{self.name}"


class TimelineEntry(msgspec.Struct, frozen=True):
    at: datetime
    what: str
    by: str  # "argocd", "cluster", "responder", "rule <name>", a person


class FailingHook(msgspec.Struct, frozen=True):
    hook: HookIdentity
    failed_at: datetime  # of its newest failure
    succeeded_at: datetime | None = None


class AlertMark(msgspec.Struct, frozen=True):
    """What one receiver was last told."""

    receiver: str
    state: AlertState
    severity: Severity
    fingerprint: str  # of what was said: the same is not said twice
    at: datetime


class RuleHit(msgspec.Struct, frozen=True):
    """A rule that decided upon this incident, once, whatever it wanted."""

    rule: str
    mode: Mode  # of its acts; of a rule without any, of its alerts and blocks
    at: datetime


class Incident(msgspec.Struct, frozen=True):
    """What is decided and remembered; operations and hook runs are stored apart and joined for show."""

    id: str
    app: AppKey
    app_uid: str
    project: str
    argocd: str  # name of the Argo CD instance, from the configuration
    destination: str
    destination_namespace: str
    state: IncidentState
    opened_at: datetime
    updated_at: datetime
    opened_for: str  # why it was opened, a sentence
    sync_phase: str = ""  # of the first failing hook
    operations: tuple[datetime, ...] = ()  # startedAt of those that belong to it, oldest first
    revisions: tuple[str, ...] = ()
    diagnosis: Diagnosis | None = None
    failing: tuple[FailingHook, ...] = ()
    evidence_version: str = ""
    decisions: tuple[Decision, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()
    impact: str = ""
    changed: str = ""
    owner: str = ""
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None
    muted_until: datetime | None = None
    resolved_at: datetime | None = None
    resolved_by: str = ""
    alerts: tuple[AlertMark, ...] = ()
    correlation: str = ""  # key shared with other incidents; empty: none
    parent: str | None = None
    children: tuple[str, ...] = ()  # of a parent: incident ids
    service: str = ""  # as promotion names it; rules may ask for it when the Application is long gone
    environment: str = ""
    hits: tuple[RuleHit, ...] = ()
    seen_at: datetime | None = None  # when we first knew of it; it may have happened long before
