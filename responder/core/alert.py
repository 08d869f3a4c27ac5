"""What a person is told, for whom, how urgent; and what is still to be delivered."""

from datetime import datetime
from enum import StrEnum

import msgspec


class Severity(StrEnum):
    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class AlertState(StrEnum):
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Alert(msgspec.Struct, frozen=True):
    """One stable key per incident, everywhere; severity is no part of identity. Already redacted."""

    key: str  # "hook-responder/<incident id>"
    incident_id: str
    state: AlertState
    severity: Severity
    title: str  # "shop/orders: db-migrate failed: already-exists"
    what: str  # line 1: what failed and why
    left: str  # line 2: what is left behind, and whether the old version still serves
    next: str  # line 3: what changed since the last success, and the next command
    labels: dict[str, str]  # application, namespace, project, category, retry, state_left, owner...
    starts_at: datetime
    updated_at: datetime
    owner: str = ""
    ends_at: datetime | None = None
    incident_url: str = ""
    runbook_url: str = ""
    details: tuple[str, ...] = ()  # log lines and more: dropped first when a receiver's limit bites
    children: tuple[str, ...] = ()


class DeliveryState(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"  # given up
    SUPERSEDED = "superseded"  # a newer one of the same key and receiver replaced it unsent


class Delivery(msgspec.Struct, frozen=True):
    """One alert for one receiver, in the durable outbox."""

    id: str
    receiver: str
    alert: Alert
    created_at: datetime
    not_before: datetime
    expires_at: datetime
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    last_error: str = ""
    finished_at: datetime | None = None
    reference: str = ""  # what the receiver gave back, for updates in place
