"""What was seen, with source and time, and what could not be seen.

A gap is evidence too: any gap caps a retry at ``unknown``.
"""

from datetime import datetime
from enum import StrEnum

import msgspec


class GapReason(StrEnum):
    """What ate the evidence, or why we did not see it."""

    DELETE_POLICY = "delete-policy"
    TTL = "ttl"
    DEADLINE = "deadline"
    ON_FAILURE = "on-failure"
    TERMINATE = "terminate"
    REPLACED = "replaced"  # a newer operation took the hook away
    DELETED = "deleted"  # somebody deleted it, we cannot tell who
    RECORDER_AWAY = "recorder-away"
    RECORDER_BUSY = "recorder-busy"
    FORBIDDEN = "forbidden"
    LOG_UNREADABLE = "log-unreadable"
    LOG_ROTATED = "log-rotated"
    CLUSTER_UNREACHABLE = "cluster-unreachable"


class Gap(msgspec.Struct, frozen=True):
    source: str  # "pod/container", "pod", "job"
    reason: GapReason
    detail: str = ""
    at: datetime | None = None


class LogSummary(msgspec.Struct, frozen=True):
    """What is kept of one container run's log: a line is kept, or counted as dropped; one nobody scanned is a gap."""

    key: str  # names the log in the store: pod uid/container/restart
    lines: int = 0  # scanned
    bytes: int = 0
    dropped: int = 0  # scanned but not kept
    complete: bool = False  # read from the first line to the container's end


class LogChunk(msgspec.Struct, frozen=True):
    """Redacted lines of one log: ``numbers`` count from 1 in the original; stamps are RFC 3339 with nanoseconds."""

    key: str
    numbers: tuple[int, ...]
    stamps: tuple[str, ...]
    texts: tuple[str, ...]


class ClusterEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """A Kubernetes Event about a Job, a Pod or an Application; the message is redacted."""

    reason: str
    message: str
    type: str = "Normal"
    count: int = 1
    first_at: datetime | None = None
    last_at: datetime | None = None
    about: str = ""  # "Job/name", "Pod/name"


class Freshness(msgspec.Struct, frozen=True):
    """How current our picture of the cluster is."""

    synced: bool  # every needed watch has listed once
    observed_at: datetime | None  # the oldest of the watches' last words
    trouble: str = ""  # why not, a sentence
