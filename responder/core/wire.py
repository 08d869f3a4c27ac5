"""What every object of the API server has in common on its way in."""

from datetime import UTC, datetime

import msgspec


class Wire(msgspec.Struct, rename="camel", gc=False):
    """Lenient: what others send may hold more than we know, and null where we expect nothing."""


def utc(stamp: datetime | None) -> datetime | None:
    """Aware and UTC; a stamp without a zone is read as UTC, as Kubernetes writes no others."""
    if stamp is None or stamp.tzinfo is UTC:
        return stamp
    return stamp.replace(tzinfo=UTC) if stamp.tzinfo is None else stamp.astimezone(UTC)
