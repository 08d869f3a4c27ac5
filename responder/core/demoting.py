"""A rule whose resyncs mostly fail is set to shadow: it repeats what repeating does not help.

It stays so until a named person releases it, or the rule is written anew: what it did before is then not held
against it.
"""

import hashlib
import shlex
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from responder.core.actions import ActionKind, ActionRecord, OutcomeResult
from responder.core.alert import Alert, AlertState, Severity
from responder.core.rules import Rule

AT_LEAST = 5  # resyncs that ended
_DAY = timedelta(days=1)
_WRONG = (OutcomeResult.FAILED, OutcomeResult.UNKNOWN)
_ENDED = (*_WRONG, OutcomeResult.SUCCEEDED)
_IN_SHADOW = "Nothing is resynced by it any more."
_RELEASED = "{} has released it: it acts again, as its file says."
_NEXT = "Next: read what its resyncs met, narrow its conditions and reload the file, or release it as it is:"


class Demotion(msgspec.Struct, frozen=True):
    rule: str
    version: str  # of the rule as it was
    at: datetime
    ended: int
    failed: int
    incident: str = ""  # the last that it did not help
    released_at: datetime | None = None
    released_by: str = ""

    def holds(self, rule: Rule) -> bool:
        return self.released_at is None and self.version == version_of(rule)

    def __str__(self) -> str:
        return f"rule {self.rule!r} was set to shadow: {self.failed} of its {self.ended} resyncs of a day failed"


def version_of(rule: Rule) -> str:
    """Another one when anything but its place in the file changed."""
    text = repr(msgspec.structs.replace(rule, line=0))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def demoted(rule: Rule, resyncs: Sequence[ActionRecord], before: Demotion | None, now: datetime) -> Demotion | None:
    """The rule's demotion, when it is to be demoted now. ``resyncs``: ours of the last day."""
    if before is not None and before.holds(rule):
        return None
    since = now - _DAY
    if before is not None:
        since = max(since, before.released_at or before.at)
    ended = [
        a
        for a in resyncs
        if a.kind is ActionKind.RESYNC
        and a.by == f"rule {rule.name}"
        and a.begun_at > since
        and a.outcome.result in _ENDED
    ]
    failed = sum(1 for a in ended if a.outcome.result in _WRONG)
    if len(ended) < AT_LEAST or 2 * failed <= len(ended):
        return None
    last = max(ended, key=lambda a: a.outcome.at or a.begun_at)
    return Demotion(rule.name, version_of(rule), now, len(ended), failed, last.incident_id)


def alert_of(demotion: Demotion, *, owner: str, url: str) -> Alert:
    """For whoever owns the responder, at ``url``."""
    released = demotion.released_at is not None
    return Alert(
        key=f"hook-responder/rule/{demotion.rule}",
        incident_id=demotion.incident,
        state=AlertState.RESOLVED if released else AlertState.FIRING,
        severity=Severity.WARNING,
        title=f"rule {demotion.rule!r} is in shadow mode" if not released else f"rule {demotion.rule!r} is released",
        what=f"{demotion}. {_RELEASED.format(demotion.released_by) if released else _IN_SHADOW}",
        left=""
        if released
        else "Incidents that it matches are recorded and alerted as before; each waits for a person.",
        next="" if released else f"{_NEXT} responder rules release {shlex.quote(demotion.rule)}",
        labels={"rule": demotion.rule, "owner": owner},
        starts_at=demotion.at,
        updated_at=demotion.released_at or demotion.at,
        owner=owner,
        ends_at=demotion.released_at,
        incident_url=f"{url}/incidents/{demotion.incident}" if url and demotion.incident else "",
    )
