"""Hooks that are no Jobs: AtlasMigration and AtlasSchema, whose operator runs the migration and tells by conditions.

Argo CD calls one Degraded, and the hook failed, as soon as its Ready condition is False for anything but work under
way, though the operator tries again by itself: Argo CD does not wait for what comes of that. Sources: atlas-operator's
``api/v1alpha1``, Argo CD's ``resource_customizations/db.atlasgo.io``.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from responder.core.hooks import JobCondition
from responder.core.hookwire import OperatedStatusWire, OperatedWire
from responder.core.sightings import Redact, SeenJob, marked
from responder.core.wire import utc

GROUP: Final = "db.atlasgo.io"
VERSION: Final = "v1alpha1"
KINDS: Final[Mapping[str, str]] = {"atlasmigrations": "AtlasMigration", "atlasschemas": "AtlasSchema"}  # by plural

_UNDER_WAY = frozenset({"Reconciling", "GettingDevDB", "ApprovalPending"})


def see_operated(wire: OperatedWire, kind: str, cluster: str, redact: Redact) -> SeenJob:
    """In the words of a Job: Complete, Failed, or Waiting for what the operator says."""
    meta = wire.metadata
    run = marked(meta, GROUP, kind, cluster)
    if run is not None:
        told = _condition(wire, redact)
        # nobody counts its Pods: while it has not ended something may run
        active = 0 if told is not None and told.type != "Waiting" else 1
        run = msgspec.structs.replace(run, conditions=(told,) if told is not None else (), active=active)
    return SeenJob(meta.namespace, meta.name, meta.uid, meta.resource_version, run, whole=True)


def _condition(wire: OperatedWire, redact: Redact) -> JobCondition | None:
    status = wire.status or OperatedStatusWire()
    held = {condition.type: condition for condition in status.conditions or ()}
    ready, stalled = held.get("Ready"), held.get("Stalled")
    outdated = status.observed_generation is not None and status.observed_generation < wire.metadata.generation
    if ready is None or outdated:
        return None
    message, at = redact(ready.message), utc(ready.last_transition_time)
    if ready.status == "True":
        return JobCondition("Complete", ready.reason, message, at)
    if ready.reason in _UNDER_WAY:
        return JobCondition("Waiting", ready.reason, message, at)
    # Ready was False before, while it ran: the moment of the failure stands in Stalled, where the operator has it
    failed_at = stalled.last_transition_time if stalled is not None and stalled.status == "True" else None
    return JobCondition("Failed", ready.reason, message, utc(failed_at))
