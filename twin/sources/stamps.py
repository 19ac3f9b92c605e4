"""Times that a log's own rhythm shows to be wrong: faults of exports that no reader of single rows can see.

Two are looked for, in the times of rows in the file's order, where nearly all follow each other by one step: midnight
under the date of the day that ends, and dates with day and month turned around (up to the 12th both are dates).
"""

import datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from twin.time.zone import zone

I64 = npt.NDArray[np.int64]
_DAY_NS: Final = 86_400 * 10**9
_LEAST_ROWS: Final = 20
_RHYTHM: Final = 0.5  # of the steps are the usual one
_LAST_MONTH: Final = 12


def faults(ts: I64, lines: I64, zone_name: str | None = None) -> list[str]:
    """Sentences about the times `ts` (ns since 1970 UTC) of rows that stand on these lines; none where all is well."""
    if len(ts) < _LEAST_ROWS:
        return []
    steps = np.diff(ts)
    known, counts = np.unique(steps[steps > 0], return_counts=True)
    if not len(known) or counts.max() < _RHYTHM * len(steps):
        return []
    step, found = int(known[np.argmax(counts)]), []
    turned = _turned(ts, zone_name)
    was, now = _breaks(_mended(ts, step), step), _breaks(_mended(turned, step), step)
    changed = np.flatnonzero(turned != ts)
    if len(changed) and 2 * now < was:
        found.append(
            f"day and month are turned around in {len(changed):,} rows, the first on line {lines[changed[0]]:,}: read "
            f"the other way {was - now:,} of {was:,} breaks in the rhythm of {step / 1e9:g} s vanish; turn %d and %m "
            "in `format`"
        )
        ts = turned
    midnight = _of_the_day_before(ts, step)
    if len(midnight) > 1:
        found.append(
            f"{len(midnight):,} rows, the first on line {lines[midnight[0]]:,}, lie 24 h before their place between "
            "their neighbours: midnight under the date of the day that ends; their times need a day more (correct the "
            "export; sorting would move them into the day before)"
        )
    return found


def _mended(ts: I64, step: int) -> I64:
    found = ts.copy()
    found[_of_the_day_before(ts, step)] += _DAY_NS
    return found


def _of_the_day_before(ts: I64, step: int) -> npt.NDArray[np.intp]:
    """Rows that lie a day before where the rows before and behind them have them."""
    back = np.diff(ts) == step - _DAY_NS
    inside = np.flatnonzero(back[:-1] & (np.diff(ts)[1:] > 0)) + 1
    return np.append(inside, len(ts) - 1) if back[-1] else inside


def _breaks(ts: I64, step: int) -> int:
    return int((np.diff(ts) != step).sum())


def _turned(ts: I64, zone_name: str | None) -> I64:
    """The times with day and month of the wall clock exchanged, where that is a date."""
    where = zone(zone_name) if zone_name else datetime.UTC
    found = ts.copy()
    for k, at in enumerate(ts.tolist()):
        second, rest = divmod(at, 10**9)
        local = datetime.datetime.fromtimestamp(second, where)
        if local.day <= _LAST_MONTH and local.day != local.month:
            other = local.replace(day=local.month, month=local.day)
            found[k] = int(other.timestamp()) * 10**9 + rest
    return found
