"""Argo CD's sync windows: cron schedules with a duration. Source: ``SyncWindows.CanSync`` of Argo CD v3.5."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo

import msgspec

from responder.core.duration import parse_duration
from responder.core.globs import glob_matches

Zones = Callable[[str], tzinfo | None]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_STEP = re.compile(r"(\*|\?|[\w]+(?:-[\w]+)?)(?:/(\d{1,4}))?")
_LONGEST = timedelta(days=366)


class WindowError(ValueError):
    """A window that Argo CD would refuse, or that we cannot read."""


class Cron(msgspec.Struct, frozen=True):
    """Five fields, as robfig/cron reads them: minute, hour, day of month, month, day of week (0 is Sunday)."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool  # both day fields are restricted: one that fits is enough

    def on(self, day: datetime) -> bool:
        fits = (day.day in self.days, (day.isoweekday() % 7) in self.weekdays)
        return day.month in self.months and (any(fits) if self.either_day else all(fits))


def parse_cron(text: str) -> Cron:
    fields = text.split()
    if len(fields) != 5:
        raise WindowError(f"a schedule has five fields, not {len(fields)}")
    sets = [_field(f, low, high, _names(at)) for at, (f, (low, high)) in enumerate(zip(fields, _BOUNDS, strict=True))]
    restricted = [not re.fullmatch(r"[*?](?:/1)?", fields[at]) for at in (2, 4)]
    minutes, hours, days, months, weekdays = sets
    return Cron(minutes, hours, days, months, weekdays, either_day=all(restricted))


def _names(field: int) -> tuple[str, ...]:
    return {3: ("", *_MONTHS), 4: _DAYS}.get(field, ())


def _field(text: str, low: int, high: int, names: Sequence[str]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        match = _STEP.fullmatch(part)
        if match is None:
            raise WindowError(f"{part!r} is no part of a schedule")
        step = int(match[2]) if match[2] else 1
        if match[1] in "*?":
            first, last = low, high
        else:
            begin, _, end = match[1].partition("-")
            first = _number(begin, names)
            last = _number(end, names) if end else (high if match[2] else first)
        if not low <= first <= last <= high or step == 0:
            raise WindowError(f"{part!r} is out of range")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(word: str, names: Sequence[str]) -> int:
    if word.lower() in names:
        return names.index(word.lower())
    if not word.isdecimal():
        raise WindowError(f"{word!r} is no number")
    return int(word)


class SyncWindow(msgspec.Struct, frozen=True):
    allow: bool
    schedule: str
    duration: str
    applications: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    manual_sync: bool = False
    zone: str = "UTC"
    all_must_match: bool = False  # of the selectors that are given

    def concerns(self, application: str, namespace: str, clusters: Sequence[str]) -> bool:
        given = [
            any(glob_matches(pattern, text) for pattern in patterns for text in texts)
            for patterns, texts in (
                (self.applications, (application,)),
                (self.namespaces, (namespace,)),
                (self.clusters, clusters),
            )
            if patterns
        ]
        return bool(given) and (all(given) if self.all_must_match else any(given))

    def active(self, now: datetime, zones: Zones) -> bool:
        """Did it begin less than its duration ago? Raises ``WindowError``."""
        zone = zones(self.zone)
        if zone is None:
            raise WindowError(f"time zone {self.zone!r} is not known")
        try:
            duration = parse_duration(self.duration)
        except ValueError as error:
            raise WindowError(str(error)) from error
        if "d" in self.duration:
            raise WindowError("Argo CD knows no days: 24h is one")
        # On the wall's clock with the offset of now, as Argo CD reckons: where that clock jumps, so does the end.
        wall = now.astimezone(zone).replace(tzinfo=None)
        return _last_start(parse_cron(self.schedule), wall, min(duration, _LONGEST)) is not None


def _last_start(cron: Cron, now: datetime, duration: timedelta) -> datetime | None:
    """The newest start that lies before ``now`` by less than ``duration``. Walks back by days, hours, minutes."""
    at = now.replace(second=0, microsecond=0)
    if at == now:
        at -= timedelta(minutes=1)
    while at > now - duration:
        if not cron.on(at):
            at = at.replace(hour=0, minute=0) - timedelta(minutes=1)
        elif at.hour not in cron.hours:
            at = at.replace(minute=0) - timedelta(minutes=1)
        elif at.minute not in cron.minutes:
            at -= timedelta(minutes=1)
        else:
            return at
    return None


def may_sync(windows: Sequence[SyncWindow], *, automated: bool, now: datetime, zone: Zones) -> bool | None:
    """An active deny wins, an active allow opens, an allow that is not active closes. None: not known."""
    try:
        active = [window.active(now, zone) for window in windows]
    except WindowError:
        return None
    denying = [w for w, on in zip(windows, active, strict=True) if on and not w.allow]
    if denying:
        return not automated and all(w.manual_sync for w in denying)
    if any(on and w.allow for w, on in zip(windows, active, strict=True)):
        return True
    closed = [w for w in windows if w.allow]
    return not closed or (not automated and all(w.manual_sync for w in closed))
