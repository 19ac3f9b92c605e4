"""Shift and production date of rows: an independent reading of the calendar, across nights and clock changes."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from twin.line.dates import Dates
from twin.plant.calendar import NO_SHIFT, shift_id
from twin.plant.model import Calendar, Shift

H = 3600
BERLIN = ZoneInfo("Europe/Berlin")
WEEK = Calendar(
    "Europe/Berlin",
    (
        Shift("early", (0, 1, 2, 3, 4), 6 * H, 14 * H),
        Shift("late", (0, 1, 2, 3, 4), 14 * H, 22 * H),
        Shift("night", (0, 1, 2, 3, 4), 22 * H, 6 * H),
    ),
    day_start_s=6 * H,
)
PLAIN = Calendar("America/New_York")
NS = 1_000_000_000


def expected(instant: datetime) -> tuple[str | None, date]:
    """Shift and production date in Berlin, from the wall clock alone."""
    local = instant.astimezone(BERLIN)
    day = (local - timedelta(hours=6)).date() if local.hour < 6 else local.date()
    if day.weekday() > 4:
        return None, day
    name = "early" if 6 <= local.hour < 14 else "late" if 14 <= local.hour < 22 else "night"
    return name, day


@pytest.mark.parametrize("first", ["2026-03-27T00:00", "2026-10-23T00:00", "2026-12-31T00:00"])
def test_every_half_hour_of_four_days(first: str) -> None:
    begin = datetime.fromisoformat(first).replace(tzinfo=UTC)
    instants = [begin + timedelta(minutes=30 * k) for k in range(192)]
    dates = Dates([PLAIN, WEEK])
    ns = np.array([int(one.timestamp()) * NS for one in instants], np.int64)
    line = np.ones(len(ns), np.int64)
    shift, day = dates.at(line, ns)
    alone = [dates.at(line[:2], np.repeat(ns[k : k + 1], 2)) for k in range(len(ns))]
    assert [one[0].tolist() for one in alone] == [[number] * 2 for number in shift.tolist()]
    assert [one[1].tolist() for one in alone] == [[number] * 2 for number in day.tolist()]
    production = dates.of_shifts(line, shift, day)
    for instant, number, one in zip(instants, shift.tolist(), production.tolist(), strict=True):
        name, wanted = expected(instant)
        assert (None if number == NO_SHIFT else shift_id(WEEK, number)[0]) == name
        assert date(1970, 1, 1) + timedelta(days=one) == wanted, instant


def test_lines_of_several_zones_at_once() -> None:
    """An instant is of one date in Berlin and of another in New York; far apart instants need several pieces."""
    instants = [datetime(year, 6, 1, 2, tzinfo=UTC) for year in (1999, 2026, 2026)]
    ns = np.array([int(one.timestamp()) * NS for one in instants], np.int64)
    shift, day = Dates([PLAIN, WEEK]).at(np.array([0, 0, 1]), ns)
    assert shift[:2].tolist() == [NO_SHIFT, NO_SHIFT]
    assert [date(1970, 1, 1) + timedelta(days=int(one)) for one in day] == [
        date(1999, 5, 31),
        date(2026, 5, 31),
        date(2026, 5, 31),  # before 06:00: the night of Sunday
    ]
