"""Times as text: RFC 3339 to integer nanoseconds, exactly."""

import re
from datetime import date
from functools import lru_cache
from typing import Final

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
