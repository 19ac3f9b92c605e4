"""Times as text: RFC 3339 to integer nanoseconds and back, exactly."""

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from twin.events.declare import YEAR_2200_NS

_DAY_NS: Final = 86_400 * 10**9
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{1,9}))?"
    r"(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)


@lru_cache(maxsize=4096)
def _midnight_ns(day: str) -> int:
    return (date(int(day[:4]), int(day[5:7]), int(day[8:])).toordinal() - _EPOCH_DAY) * _DAY_NS


def parse_rfc3339(text: str) -> int:
    """Nanoseconds since 1970 UTC (negative before it).

    Up to nine fraction digits, `Z` or a numeric offset. A time without an offset is no instant, and a leap second
    (`:60`) has no number of its own in UTC nanoseconds: both raise `ValueError`, as does everything else.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("not RFC 3339: write 2026-01-31T08:00:00.123Z or ...+01:00")
    day, hour, minute, second, fraction, sign, offset_hour, offset_minute = match.groups()
    seconds = int(hour) * 3600 + int(minute) * 60 + int(second)
    if sign is not None:
        offset = int(offset_hour) * 3600 + int(offset_minute) * 60
        seconds += offset if sign == "-" else -offset
    return _midnight_ns(day) + seconds * 10**9 + (int(fraction.ljust(9, "0")) if fraction else 0)


class _Unit(NamedTuple):
    """A way of writing times: so many ns each, since an instant (ns since 1970)."""

    name: str
    ns: float
    since_ns: int = 0


_UNITS: Final = (
    _Unit("seconds", 1e9),
    _Unit("milliseconds", 1e6),
    _Unit("microseconds", 1e3),
    _Unit("ticks of 100 ns since 1970", 100),
    _Unit("ticks of 100 ns since 1601 (Windows FILETIME)", 100, -11_644_473_600 * 10**9),
    _Unit("ticks of 100 ns since the year 1 (.NET)", 100, -62_135_596_800 * 10**9),
    _Unit("minutes", 60e9),
    _Unit("days since 1900 (a spreadsheet's)", 86_400e9, -2_209_161_600 * 10**9),
    _Unit("picoseconds", 1e-3),
)
_YEAR_2100_NS: Final = 4_102_444_800 * 10**9


def out_of_range(ts: int, earliest_ns: int) -> str | None:
    """Why `ts` (ns since 1970) can be no event's time: with the unit it looks like, where it looks like one."""
    if earliest_ns <= ts < YEAR_2200_NS:
        return None
    first = iso_utc(earliest_ns)
    side = f"before {first}" if ts < earliest_ns else "in 2200 or later"
    told = f"{ts if abs(ts) < 10**25 else 'of over 25 digits'} is {side}, read as ns since 1970"
    for unit in _UNITS:
        meant = ts * unit.ns + unit.since_ns
        if max(earliest_ns, 0) <= meant < _YEAR_2100_NS:
            return f"{told}; it looks like {unit.name} ({iso_utc(int(meant))}): send ns, or RFC 3339 text"
    if 0 <= ts < earliest_ns:
        return f"{told} ({iso_utc(ts)}): set the source's clock; the plant's key `earliest` allows older logs"
    return f"{told}: send ns since 1970, or RFC 3339 text"


def iso_utc(ts: int) -> str:
    """A time for people's eyes, to the second. `ts`: ns since 1970, of the years 1 to 9999."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=ts // 10**9)).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339(ns: int) -> str:
    """Of nanoseconds since 1970 UTC, with nine fraction digits, as result rows have it."""
    seconds, fraction = divmod(ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"
