"""Subjects, blocks and the gate's answer."""

from datetime import datetime
from enum import StrEnum

import msgspec

from responder.core.argocd import AppKey
from responder.core.failure import StateLeft

LEFT_BEHIND = frozenset({StateLeft.PARTIAL, StateLeft.DIRTY, StateLeft.LOCKED})  # what a person has to look at


class Subject(msgspec.Struct, frozen=True):
    """What is promoted: a service, in an environment, at a revision."""

    service: str
    environment: str
    revision: str = ""


class Block(msgspec.Struct, frozen=True):
    """Holds a service back. Ends by the same hook's success, a named person, or time where nothing was left (I9).

    Where something was left it takes the hook's success and a named person; of a lock alone, or the tool's own word.
    """

    id: str
    service: str
    environment: str  # where it failed
    environments: tuple[str, ...]  # that are held, as globs; "*" is all that do not come before it
    revisions: tuple[str, ...]  # held in other environments; empty: every revision
    state_left: StateLeft
    reason: str
    incident_id: str
    app: AppKey
    app_uid: str
    hook: str  # identity of the hook that must end well
    owner: str
    created_at: datetime
    created_by: str  # "rule <name>" or a person
    images: tuple[str, ...] = ()
    expires_at: datetime | None = None
    proven_at: datetime | None = None  # the same hook ended well: a dirty state still needs a person
    flagged: bool = False  # its Application is gone
    ended_at: datetime | None = None
    ended_by: str = ""


class GateResult(StrEnum):
    SUCCESS = "success"
    FAILURE = "failure"
    PENDING = "pending"


class GateAnswer(msgspec.Struct, frozen=True):
    result: GateResult
    reason: str
    incident: str | None = None
    block: str | None = None
    owner: str | None = None
    expires_at: datetime | None = None
    observed_at: datetime | None = None
