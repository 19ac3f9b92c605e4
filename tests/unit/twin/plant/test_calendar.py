"""The calendar table and the time zones behind it."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from kernels.codes import OFF_SHIFT, PLANNED_STOP
from twin.plant.calendar import NO_SHIFT, SCHEDULED, CalendarTable, shift_id, shift_number, table
from twin.plant.model import Calendar, PlannedStop, Shift
from twin.time.zone import names, to_utc_ns, to_utc_s, zone

H = 3600
DAY = 86_400
WEEKDAYS = (0, 1, 2, 3, 4)
EARLY, LATE = Shift("early", WEEKDAYS, 6 * H, 14 * H), Shift("late", WEEKDAYS, 14 * H, 22 * H)
NIGHT = Shift("night", (0, 1, 2, 3, 6), 22 * H, 6 * H)


def ns(text: str) -> int:
    """Of an RFC 3339 text."""
    return int(datetime.fromisoformat(text).timestamp()) * 10**9


def rows(calendar: Calendar, start: str, end: str) -> list[tuple[str, int, str | None, str]]:
    got = table(calendar, ns(start), ns(end))
    return [
        (
            datetime.fromtimestamp(int(got.ts[i]) // 10**9, UTC).strftime("%m-%d %H:%M"),
            int(got.klass[i]),
            got.shift_name(int(got.shift[i])),
            (date(1970, 1, 1) + timedelta(int(got.day[i]))).strftime("%m-%d"),
        )
        for i in range(len(got.ts))
    ]


def test_no_shifts_is_one_row_a_day() -> None:
    assert rows(Calendar(), "2026-03-01T12:00Z", "2026-03-03T00:01Z") == [
        ("03-01 00:00", SCHEDULED, None, "03-01"),
        ("03-02 00:00", SCHEDULED, None, "03-02"),
        ("03-03 00:00", SCHEDULED, None, "03-03"),
    ]


def test_the_end_is_not_in_the_range() -> None:
    assert len(rows(Calendar(), "2026-03-01T12:00Z", "2026-03-02T00:00Z")) == 1


def test_shifts_of_a_weekend() -> None:
    calendar = Calendar("Europe/Berlin", (EARLY, LATE, NIGHT), day_start_s=6 * H)
    assert rows(calendar, "2026-01-16T15:00Z", "2026-01-19T06:00Z") == [
        ("01-16 13:00", SCHEDULED, "2026-01-16 late", "01-16"),
        ("01-16 21:00", OFF_SHIFT, None, "01-16"),
        ("01-17 05:00", OFF_SHIFT, None, "01-17"),
        ("01-18 05:00", OFF_SHIFT, None, "01-18"),
        ("01-18 21:00", SCHEDULED, "2026-01-18 night", "01-18"),
        ("01-19 05:00", SCHEDULED, "2026-01-19 early", "01-19"),
    ]


def test_a_planned_stop_shows_inside_shifts_only() -> None:
    stop = PlannedStop("x", dated=("2026-01-16T21:00:00", "2026-01-19T07:00:00"))
    calendar = Calendar("UTC", (EARLY, LATE), (stop,))
    got = rows(calendar, "2026-01-16T20:00Z", "2026-01-19T08:00Z")
    assert [(when, klass) for when, klass, _, _ in got] == [
        ("01-16 14:00", SCHEDULED),
        ("01-16 21:00", PLANNED_STOP),
        ("01-16 22:00", OFF_SHIFT),
        ("01-17 00:00", OFF_SHIFT),
        ("01-18 00:00", OFF_SHIFT),
        ("01-19 00:00", OFF_SHIFT),
        ("01-19 06:00", PLANNED_STOP),
        ("01-19 07:00", SCHEDULED),
    ]


def test_without_shifts_a_planned_stop_is_one() -> None:
    stop = PlannedStop("weekend", weekly=(4 * DAY + 22 * H, 6 * DAY + 22 * H))
    got = rows(Calendar("Europe/Berlin", (), (stop,)), "2026-03-27T12:00Z", "2026-03-29T23:00Z")
    # Two days on paper; the clock goes forward in between.
    assert [(when, klass) for when, klass, _, _ in got] == [
        ("03-26 23:00", SCHEDULED),
        ("03-27 21:00", PLANNED_STOP),
        ("03-27 23:00", PLANNED_STOP),
        ("03-28 23:00", PLANNED_STOP),
        ("03-29 20:00", SCHEDULED),
        ("03-29 22:00", SCHEDULED),
    ]


def test_overlapping_stops_are_one_stop() -> None:
    stops = tuple(
        PlannedStop("x", dated=(f"2026-01-05T0{a}:00:00", f"2026-01-05T0{b}:00:00")) for a, b in ("14", "23", "37")
    )
    got = rows(Calendar("UTC", (), stops), "2026-01-05T00:00Z", "2026-01-05T12:00Z")
    assert [(when, klass) for when, klass, _, _ in got] == [
        ("01-05 00:00", SCHEDULED),
        ("01-05 01:00", PLANNED_STOP),
        ("01-05 07:00", SCHEDULED),
    ]


def test_a_weekly_stop_that_lasts_almost_a_week_is_seen_to_its_end() -> None:
    stop = PlannedStop("x", weekly=(6 * DAY + 23 * H, 6 * DAY + 22 * H))
    got = table(Calendar("UTC", (), (stop,)), ns("2026-01-18T21:30Z"), ns("2026-01-18T23:30Z"))
    assert got.klass.tolist() == [PLANNED_STOP, SCHEDULED, PLANNED_STOP]


def test_a_dated_stop_longer_than_the_margin() -> None:
    stop = PlannedStop("x", dated=("2026-01-01T00:00:00", "2026-06-01T00:00:00"))
    got = table(Calendar("UTC", (), (stop,)), ns("2026-03-10T10:00Z"), ns("2026-03-10T11:00Z"))
    assert got.klass.tolist() == [PLANNED_STOP]


def test_numbers_and_names_are_absolute() -> None:
    calendar = Calendar("Europe/Berlin", (EARLY, LATE, NIGHT))
    wide = table(calendar, ns("2024-01-01T00:00Z"), ns("2027-01-01T00:00Z"))
    for start in ("2026-03-27T20:00Z", "2026-03-29T22:30Z", "2026-10-24T23:00Z"):
        narrow = table(calendar, ns(start), ns(start) + 10**14)
        at = wide.row(int(narrow.ts[0]))
        for name in ("ts", "klass", "shift", "day"):
            expected = getattr(wide, name)[at : at + len(narrow.ts)]
            assert getattr(narrow, name).tolist() == expected.tolist()
        for number in set(narrow.shift.tolist()):
            assert narrow.shift_name(number) == wide.shift_name(number)
    number = shift_number(calendar, 2, date(2026, 3, 29))
    assert shift_id(calendar, number) == ("night", date(2026, 3, 29))
    assert wide.shift_name(number) == "2026-03-29 night"
    assert number in wide.shift.tolist()


def test_row_and_bounds() -> None:
    got = table(Calendar(), ns("2026-03-01T12:00Z"), ns("2026-03-03T12:00Z"))
    assert [got.row(ns(f"2026-03-0{d}T00:00Z") + extra) for d in (1, 2, 3) for extra in (0, 1)] == [0, 0, 1, 1, 2, 2]
    assert got.row(ns("2026-03-02T00:00Z") - 1) == 0
    with pytest.raises(IndexError, match="earlier start_ns"):
        got.row(ns("2026-02-28T23:59Z"))
    with pytest.raises(ValueError, match="not after its start"):
        table(Calendar(), 5, 5)


def test_a_table_is_shared_and_cannot_be_written() -> None:
    calendar = Calendar("Europe/Berlin", (EARLY,))
    got = table(calendar, ns("2026-03-01T12:00Z"), ns("2026-03-03T12:00Z"))
    assert table(Calendar("Europe/Berlin", (EARLY,)), ns("2026-03-01T12:00Z"), ns("2026-03-03T12:00Z")) is got
    with pytest.raises(ValueError, match="read-only"):
        got.klass[0] = 1
    assert [c.dtype for c in (got.ts, got.klass, got.shift, got.day)] == [np.int64, np.int8, np.int32, np.int32]


def spans(got: CalendarTable) -> dict[str | None, list[float]]:
    hours: dict[str | None, list[float]] = {}
    for i in range(len(got.ts) - 1):
        name = got.shift_name(int(got.shift[i]))
        hours.setdefault(name, []).append((int(got.ts[i + 1]) - int(got.ts[i])) / 3.6e12)
    return hours


def test_a_shift_inside_the_skipped_hour_does_not_take_place() -> None:
    calendar = Calendar("Europe/Berlin", (Shift("odd", tuple(range(7)), 2 * H + 900, 2 * H + 2700),))
    got = table(calendar, ns("2026-03-28T00:00Z"), ns("2026-03-31T00:00Z"))
    assert sorted(name for name in spans(got) if name) == ["2026-03-28 odd", "2026-03-30 odd"]


def test_a_shift_that_ends_in_the_repeated_hour_ends_at_its_first_pass() -> None:
    calendar = Calendar(
        "Europe/Berlin", (Shift("odd", (6,), 1 * H, 2 * H + 1800), Shift("next", (6,), 2 * H + 1800, 4 * H))
    )
    hours = spans(table(calendar, ns("2026-10-24T12:00Z"), ns("2026-10-26T12:00Z")))
    assert hours["2026-10-25 odd"] == [1.5]
    assert hours["2026-10-25 next"] == [2.5]


def test_a_day_that_a_zone_skipped_has_no_row() -> None:
    got = table(Calendar("Pacific/Apia"), ns("2011-12-28T12:00Z"), ns("2012-01-02T12:00Z"))
    days = [(date(1970, 1, 1) + timedelta(int(d))).isoformat() for d in got.day]
    assert "2011-12-30" not in days
    assert {"2011-12-29", "2011-12-31"} <= set(days)
    assert NO_SHIFT in got.shift


# --- time zones


def test_zones_come_from_the_package_and_only_real_ones() -> None:
    assert zone("Europe/Berlin").key == "Europe/Berlin"
    assert {"UTC", "America/New_York", "Asia/Kolkata"} <= names()
    for bad in ("", "Europe", "europe/berlin", "../tzdata/zones", "/etc/localtime", "Europe//Berlin", "zone.tab"):
        with pytest.raises(KeyError):
            zone(bad)


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2026-03-29T01:59:59", "2026-03-29T00:59:59Z"),
        ("2026-03-29T02:00:00", "2026-03-29T01:00:00Z"),  # the gap's end, for the whole gap
        ("2026-03-29T02:59:59", "2026-03-29T01:00:00Z"),
        ("2026-03-29T03:00:00", "2026-03-29T01:00:00Z"),
        ("2026-03-29T03:00:01", "2026-03-29T01:00:01Z"),
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),  # the first pass
        ("2026-10-25T03:00:00", "2026-10-25T02:00:00Z"),
        ("2026-12-31T23:59:59", "2026-12-31T22:59:59Z"),
        ("2027-01-01T00:30:00", "2026-12-31T23:30:00Z"),
    ],
)
def test_local_times_around_a_change(local: str, utc: str) -> None:
    assert to_utc_ns("Europe/Berlin", datetime.fromisoformat(local)) == ns(utc)


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/St_Johns", "Africa/Casablanca", "Australia/Lord_Howe"])
def test_every_hour_of_thirty_years_as_zoneinfo_has_it(name: str) -> None:
    """Where zoneinfo is unambiguous, it and `to_utc_s` agree."""
    own = ZoneInfo(name) if name not in names() else zone(name)
    instants = np.arange(0, 30 * 365 * DAY, 7 * H + 1800, dtype=np.int64) + int(ns("1996-01-01T00:00Z") // 10**9)
    local = [datetime.fromtimestamp(int(s), UTC).astimezone(own) for s in instants]
    wall = np.array([int(t.replace(tzinfo=UTC).timestamp()) for t in local], np.int64)
    first_pass = np.array([t.fold == 0 for t in local])
    assert (to_utc_s(name, wall)[first_pass] == instants[first_pass]).all()


def test_no_local_times() -> None:
    assert len(to_utc_s("UTC", np.empty(0, np.int64))) == 0
