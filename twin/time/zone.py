"""Time zones: the pinned `tzdata` package and nothing else.

The system's zone files (and PYTHONTZPATH) are not read: two workers with different system updates would cut the same
log into different shifts. `RULES` stands in the footers of the audit: a zone's rules for the past may change, too.

A local time stands for the first instant at which the local clock shows it or a later time. So an ambiguous time is
its first pass (fold=0) and a time inside a gap is the gap's end. The rule keeps order: of two local times the later
never comes first, so no shift gets a negative length and no two shifts overlap that did not overlap on paper.
(Python's own reading of a gap, the offset before it, does not keep order: 02:30 would come after 03:15.)
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import tzdata

I64 = npt.NDArray[np.int64]

RULES: str = tzdata.IANA_VERSION  # such as 2026f
_DAY_S = 86_400
_NAME = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """Every zone name that `zone` knows."""
    return frozenset((resources.files("tzdata") / "zones").read_text(encoding="utf-8").split())


@lru_cache(maxsize=512)
def zone(name: str) -> ZoneInfo:
    """The zone of this IANA name. KeyError: there is none."""
    if not _NAME.fullmatch(name) or name not in names():
        raise KeyError(name)
    with (resources.files("tzdata") / "zoneinfo" / name).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def _offset_s(name: str, utc_s: int) -> int:
    offset = datetime.fromtimestamp(utc_s, UTC).astimezone(zone(name)).utcoffset()
    assert offset is not None
    return offset.days * _DAY_S + offset.seconds


@lru_cache(maxsize=4096)
def _changes(name: str, year: int) -> tuple[tuple[int, int], ...]:
    """(instant, offset from there on) in s: the year's first instant, then every change within the year.

    zoneinfo does not show its table, so the offset is read once a day and a change is then found by bisection. Two
    changes that cancel out within one UTC day would be missed; the zone data since 1970 have none.
    """
    first = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    last = int(datetime(year + 1, 1, 1, tzinfo=UTC).timestamp())
    offset = _offset_s(name, first)
    found = [(first, offset)]
    for day in range(first, last, _DAY_S):
        # From the second before the day: a change may fall on its first instant.
        low, high = max(first, day - 1), min(day + _DAY_S, last) - 1
        while (after := _offset_s(name, high)) != offset:
            a, b = low, high  # offset(a) is the old one, offset(b) is not
            while b - a > 1:
                middle = (a + b) // 2
                a, b = (middle, b) if _offset_s(name, middle) == offset else (a, middle)
            offset = after if b == high else _offset_s(name, b)
            found.append((b, offset))
            low = b
    return tuple(found)


def to_utc_s(name: str, local_s: I64) -> I64:
    """Instants (s since 1970 UTC) of local times (s since 1970 on the local clock), by the rule of this module."""
    if not len(local_s):
        return local_s
    first = datetime.fromtimestamp(int(local_s.min()) - 2 * _DAY_S, UTC).year
    last = datetime.fromtimestamp(int(local_s.max()) + 2 * _DAY_S, UTC).year
    changes = np.array([c for year in range(first, last + 1) for c in _changes(name, year)], np.int64)
    start, offset = changes[:, 0], changes[:, 1]
    # Where the clock of one segment ends, the next segment answers: a second pass is never reached, and a time that
    # the clock jumps over is held at the instant of the jump.
    segment = np.searchsorted(start[1:] + offset[:-1], local_s, side="right")
    held: I64 = np.maximum(local_s - offset[segment], np.where(segment > 0, start[segment], local_s - offset[0]))
    return held


def to_utc_ns(name: str, local: datetime) -> int:
    """The instant (ns since 1970 UTC) of one local time without offset."""
    seconds = int(local.replace(tzinfo=UTC, microsecond=0).timestamp())
    return int(to_utc_s(name, np.array([seconds], np.int64))[0]) * 1_000_000_000 + local.microsecond * 1_000
