"""When Argo CD lets an Application sync."""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.core.syncwindows import SyncWindow, WindowError, may_sync, parse_cron

SATURDAY_NOON = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)


def zone(name: str) -> tzinfo | None:
    return ZoneInfo(name) if name in ("UTC", "Europe/Berlin", "America/New_York") else None


def window(
    schedule: str = "0 12 * * *", duration: str = "1h", *, allow: bool = False, manual: bool = False, **more: object
) -> SyncWindow:
    return SyncWindow(allow, schedule, duration, manual_sync=manual, **more)  # type: ignore[arg-type]  # strings


def active(schedule: str, duration: str = "1h", now: datetime = SATURDAY_NOON, **more: object) -> bool:
    return window(schedule, duration, **more).active(now, zone)  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize(
    ("schedule", "duration", "is_active"),
    [
        ("0 12 * * *", "1h", True),
        ("1 12 * * *", "1h", False),
        ("0 11 * * *", "1h", False),
        ("0 11 * * *", "1h1m", True),
        ("* * * * *", "24h", True),
        ("*/15 * * * *", "1m", True),
        ("7/15 * * * *", "5m", False),
        ("0 12 * * 6", "1h", True),
        ("0 12 * * sat", "1h", True),
        ("0 12 * * SUN", "1h", False),
        ("0 12 * * mon-fri", "1h", False),
        ("0 12 21 11 *", "1h", True),
        ("0 12 21 nov *", "1h", True),
        ("0 12 22 * *", "1h", False),
        ("0 12 22 * 6", "1h", True),  # both days restricted: one is enough
        ("0 12 ? * 6", "1h", True),
        ("0 0 * * 5", "48h", True),  # since Friday midnight
        ("0 0 1 1 *", "1h", False),
        ("0 8,12,16 * * *", "1h", True),
    ],
)
def test_a_window_is_active_from_its_start_for_its_duration(schedule: str, duration: str, is_active: bool) -> None:
    assert active(schedule, duration) is is_active


def test_schedules_are_read_in_the_windows_own_zone() -> None:
    assert active("0 13 * * *", zone="Europe/Berlin")
    assert active("0 7 * * *", zone="America/New_York")
    assert not active("0 12 * * *", zone="Europe/Berlin")


@pytest.mark.parametrize(
    ("now", "is_active"),
    [
        # Clocks go back at 03:00 on 25 October 2026: from 01:00 for 3h is until 04:00 on the wall, four hours.
        (datetime(2026, 10, 25, 2, 59, tzinfo=UTC), True),
        (datetime(2026, 10, 25, 3, 1, tzinfo=UTC), False),
        # They go forward at 02:00 on 29 March 2026: until 04:00 on the wall, two hours.
        (datetime(2026, 3, 29, 1, 59, tzinfo=UTC), True),
        (datetime(2026, 3, 29, 2, 1, tzinfo=UTC), False),
        # Of a start that lasts into the other time: the offset is that of now, as Argo CD reckons.
        (datetime(2026, 10, 24, 23, 1, tzinfo=UTC), True),
        (datetime(2026, 10, 24, 22, 59, tzinfo=UTC), False),
    ],
)
def test_where_the_clock_is_changed_the_wall_decides_as_for_argo_cd(now: datetime, is_active: bool) -> None:
    assert active("0 1 * * *", "3h", now, zone="Europe/Berlin") is is_active


@given(st.integers(0, 366 * 24 * 3600), st.sampled_from(["7 3 * * *", "*/7 * 1-20 * 2"]))
def test_the_walk_back_finds_what_trying_every_minute_finds(seconds: int, schedule: str) -> None:
    now, cron = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds), parse_cron(schedule)
    minute = now.replace(second=0, microsecond=0)
    tried = [minute - timedelta(minutes=back) for back in range(3 * 60)]
    began = [
        m
        for m in tried
        if now - timedelta(hours=2) < m < now and cron.on(m) and m.hour in cron.hours and m.minute in cron.minutes
    ]

    assert active(schedule, "2h", now) is bool(began)


@pytest.mark.parametrize(
    "schedule", ["", "* * * *", "61 * * * *", "* * * * 7", "a * * * *", "*/0 * * * *", "5-1 * * * *"]
)
def test_schedules_that_argo_cd_refuses_are_refused(schedule: str) -> None:
    with pytest.raises(WindowError):
        parse_cron(schedule)


NEVER = "0 3 1 1 *"


@pytest.mark.parametrize(
    ("windows", "automated", "open_"),
    [
        ([], True, True),
        ([window()], True, False),
        ([window()], False, False),
        ([window(manual=True)], False, True),
        ([window(manual=True)], True, False),
        ([window(manual=True), window()], False, False),
        ([window(NEVER)], True, True),
        ([window(allow=True)], True, True),
        ([window(allow=True), window()], True, False),
        ([window(NEVER, allow=True)], True, False),
        ([window(NEVER, allow=True, manual=True)], False, True),
        ([window(NEVER, allow=True, manual=True)], True, False),
        ([window(NEVER, allow=True), window(allow=True)], True, True),
        ([window("nonsense")], True, None),
        ([window(zone="Mars/Olympus")], True, None),
        ([window(duration="soon")], True, None),
        ([window(NEVER, "1d")], True, None),  # Go knows no days: Argo CD refuses to sync at all
    ],
)
def test_denies_win_and_allows_close_what_they_do_not_open(
    windows: list[SyncWindow], automated: bool, open_: bool | None
) -> None:
    assert may_sync(windows, automated=automated, now=SATURDAY_NOON, zone=zone) is open_


def test_a_window_concerns_what_one_of_its_selectors_names() -> None:
    either = window(applications=("shop-*",), namespaces=("prod",))
    both = window(applications=("shop-*",), namespaces=("prod",), all_must_match=True)
    cluster = window(clusters=("in-cluster",))

    assert either.concerns("shop-api", "dev", ())
    assert not both.concerns("shop-api", "dev", ())
    assert both.concerns("shop-api", "prod", ())
    assert cluster.concerns("x", "y", ("https://kubernetes.default.svc", "in-cluster"))
    assert not window().concerns("x", "y", ("in-cluster",))
