"""Times that a log's rhythm shows to be wrong."""

import datetime

import numpy as np
import pytest

from twin.sources.stamps import faults
from twin.time.zone import zone

STEP = 3600
NS = 10**9


def hours(days: int, zone_name: str = "UTC") -> list[datetime.datetime]:
    start = datetime.datetime(2026, 1, 1, 1, tzinfo=zone(zone_name))
    return [start + datetime.timedelta(seconds=STEP * k) for k in range(24 * days)]


def of(times: list[datetime.datetime]) -> np.ndarray:
    return np.array([int(time.timestamp()) * NS for time in times], np.int64)


def found(times: list[datetime.datetime], zone_name: str | None = None) -> list[str]:
    return [text.split(",")[0].split(" in ")[0] for text in faults(of(times), np.arange(2, 2 + len(times)), zone_name)]


def turned(time: datetime.datetime) -> datetime.datetime:
    return time.replace(day=time.month, month=time.day) if time.day <= 12 else time


def midnight_behind(time: datetime.datetime) -> datetime.datetime:
    return time - datetime.timedelta(days=1) if time.hour == 0 else time


def test_a_sound_log_has_none() -> None:
    assert found(hours(90)) == []
    assert found([time for k, time in enumerate(hours(90)) if k % 7]) == []
    assert found(hours(90)[::-1]) == []
    assert found(hours(90)[:5]) == []


@pytest.mark.parametrize("zone_name", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_both(zone_name: str) -> None:
    times = hours(60, zone_name)
    assert found([midnight_behind(time) for time in times], zone_name) == ["60 rows"]
    told = found([turned(time) for time in times], zone_name)
    assert told == ["day and month are turned around"]
    assert found([turned(midnight_behind(time)) for time in times], zone_name) == [
        "day and month are turned around",
        "60 rows",
    ]


def test_one_row_a_day_before_is_no_habit() -> None:
    times = hours(30)
    times[100] -= datetime.timedelta(days=1)
    assert found(times) == []
