"""The shift calendar on the time line: when is a line in shift, in a planned stop, on which production day.

Local times become instants by the rule of `twin.time.zone`, so a night shift of 22:00 to 06:00 has 7 hours in the night
the clock goes forward and 9 in the night it goes back.
"""

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from kernels.codes import OFF_SHIFT, PLANNED_STOP
from twin.plant.model import Calendar, CalendarException
from twin.time.zone import to_utc_ns, to_utc_s

I8 = npt.NDArray[np.int8]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

SCHEDULED = -1  # in shift (or no shifts are declared) and no planned stop
NO_SHIFT = -1

_DAY_S = 86_400
_WEEK_S = 7 * _DAY_S
_NS = 1_000_000_000
_ORDINAL_1970 = date(1970, 1, 1).toordinal()
# Days read before the range: a weekly stop counts from its Monday, begins up to a week later and lasts up to a week.
_DAYS_BEFORE = 16
_DAYS_AFTER = 2


@dataclass(frozen=True, slots=True)
class CalendarTable:
    """Transitions of one calendar. Row i holds from `ts[i]` until `ts[i + 1]`; the arrays are read-only.

    The first row begins at or before the start that was asked for, the last one before the end. Neighbouring rows
    differ in `klass`, `shift` or `day`. A row does not depend on the range: the same instant has the same row in
    every table that covers it.
    """

    ts: I64  # ns since 1970 UTC, rising
    klass: I8  # SCHEDULED, or kernels.codes OFF_SHIFT or PLANNED_STOP
    shift: I32  # running number of the shift instance, or NO_SHIFT
    day: I32  # local production date, days since 1970-01-01
    first_shift_number: int
    shift_names: tuple[str, ...]  # of shift number n: [n - first_shift_number]; covers every number in `shift`

    def row(self, ts: int) -> int:
        """Index of the row that holds at this instant; IndexError before the first row."""
        index = int(np.searchsorted(self.ts, ts, side="right")) - 1
        if index < 0:
            raise IndexError(f"the calendar table begins at {self.ts[0]}, after {ts}; ask for an earlier start_ns")
        return index

    def shift_name(self, number: int) -> str | None:
        """Name of a shift instance, such as "2026-03-28 night"; None for NO_SHIFT."""
        return None if number == NO_SHIFT else self.shift_names[number - self.first_shift_number]


def shift_id(calendar: Calendar, number: int) -> tuple[str, date]:
    """Shift id and local start date of a shift instance, from its running number."""
    day, index = divmod(number, len(calendar.shifts))
    return calendar.shifts[index].id, date.fromordinal(day)


def shift_days(calendar: Calendar, numbers: I64) -> I64:
    """Local start dates, days since 1970-01-01, of shift instances by their running numbers."""
    return numbers // len(calendar.shifts) - _ORDINAL_1970


def shift_number(calendar: Calendar, index: int, day: date) -> int:
    """Running number of `calendar.shifts[index]` as it starts on this local date. The same for every range asked."""
    # Ordinals since year 1, not 1970: a number is then never negative and cannot be taken for NO_SHIFT.
    return day.toordinal() * len(calendar.shifts) + index


@lru_cache(maxsize=256)
def table(calendar: Calendar, start_ns: int, end_ns: int) -> CalendarTable:
    """The calendar's transitions over [start_ns, end_ns), in ns since 1970 UTC. ValueError: the range is not rising."""
    if end_ns <= start_ns:
        raise ValueError(f"the range ends at {end_ns}, not after its start {start_ns}")
    day_ns = _DAY_S * _NS
    days = np.arange(start_ns // day_ns - _DAYS_BEFORE, end_ns // day_ns + _DAYS_AFTER, dtype=np.int64)
    day_starts = to_utc_s(calendar.zone, days * _DAY_S + calendar.day_start_s) * _NS
    starts, ends, numbers = _shifts(calendar, days)
    stop_starts, stop_ends = _stops(calendar, days)

    ts = np.unique(np.concatenate([day_starts, starts, ends, stop_starts, stop_ends]))
    # A dated stop may lie far away, where neither days nor shifts were read.
    ts = ts[(ts >= day_starts[0]) & (ts < end_ns)]

    day = days[np.searchsorted(day_starts, ts, side="right") - 1]
    shift = np.full(len(ts), NO_SHIFT, np.int64)
    if len(starts):
        last = np.searchsorted(starts, ts, side="right") - 1
        shift = np.where((last >= 0) & (ts < ends[last]), numbers[last], NO_SHIFT)
    # Stops may overlap: an instant is inside as long as more have begun than ended.
    stopped = np.searchsorted(stop_starts, ts, side="right") > np.searchsorted(stop_ends, ts, side="right")
    klass = np.where(stopped, PLANNED_STOP, SCHEDULED)
    if calendar.shifts:
        klass = np.where(shift == NO_SHIFT, OFF_SHIFT, klass)

    rows = np.stack([ts, klass, shift, day])
    changes = np.flatnonzero((rows[1:, 1:] != rows[1:, :-1]).any(axis=0)) + 1
    # Every day is a change, so the row that holds at the start lies behind the margin's first one.
    rows = rows[:, changes]
    return _freeze(calendar, rows[:, np.searchsorted(rows[0], start_ns, side="right") - 1 :])


def _freeze(calendar: Calendar, rows: I64) -> CalendarTable:
    ts, klass, shift, day = rows
    used = shift[shift != NO_SHIFT]
    first = int(used.min()) if len(used) else 0
    numbers = range(first, int(used.max()) + 1) if len(used) else range(0)
    names = []
    for number in numbers:
        shift_name, start = shift_id(calendar, number)
        names.append(f"{start.isoformat()} {shift_name}")
    frozen = CalendarTable(
        ts.copy(), klass.astype(np.int8), shift.astype(np.int32), day.astype(np.int32), first, tuple(names)
    )
    for column in (frozen.ts, frozen.klass, frozen.shift, frozen.day):
        column.flags.writeable = False  # one table serves every line of this calendar
    return frozen


def _shifts(calendar: Calendar, days: I64) -> tuple[I64, I64, I64]:
    """Start and end (ns), running number of every shift instance that starts on these local days, by start."""
    parts = [_one_shift(calendar, index, days) for index in range(len(calendar.shifts))]
    if not parts:
        nothing = np.empty(0, np.int64)
        return nothing, nothing, nothing
    starts, ends, numbers = (np.concatenate(column) for column in zip(*parts, strict=True))
    starts, ends = to_utc_s(calendar.zone, starts) * _NS, to_utc_s(calendar.zone, ends) * _NS
    real = ends > starts  # a shift inside the hour that is skipped does not take place
    starts, ends, numbers = starts[real], ends[real], numbers[real]
    order = np.argsort(starts, kind="stable")
    return starts[order], ends[order], numbers[order]


def _one_shift(calendar: Calendar, index: int, days: I64) -> tuple[I64, I64, I64]:
    """Local start and end (s), running number."""
    shift = calendar.shifts[index]
    own = days[np.isin((days + 3) % 7, shift.days)]  # 1970-01-01 was a Thursday
    other = [one for one in calendar.exceptions if one.stop is None and one.shift in (None, shift.id)]
    own = own[~np.isin(own, [_day(one) for one in other])]
    told = [(_day(one), *one.hours) for one in other if one.hours is not None and days[0] <= _day(one) <= days[-1]]
    own, begin, end = np.concatenate(
        [
            np.stack([own, np.full(len(own), shift.start_s), np.full(len(own), shift.end_s)]),
            np.array(told, np.int64).reshape(-1, 3).T,
        ],
        axis=1,
    )
    start = own * _DAY_S + begin
    length = (end - begin) % _DAY_S
    return start, start + np.where(length == 0, _DAY_S, length), (own + _ORDINAL_1970) * len(calendar.shifts) + index


def _day(one: CalendarException) -> int:
    """Days since 1970-01-01."""
    return date.fromisoformat(one.on).toordinal() - _ORDINAL_1970


def _stops(calendar: Calendar, days: I64) -> tuple[I64, I64]:
    """Starts and ends (ns) of the planned stops, each sorted by itself."""
    mondays = days[(days + 3) % 7 == 0]
    starts, ends = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for stop in calendar.planned_stops:
        if stop.weekly is not None:
            start, end = stop.weekly
            other = [one for one in calendar.exceptions if one.stop == stop.id]
            kept = mondays[~np.isin(mondays + start // _DAY_S, [_day(one) for one in other])]
            first = kept * _DAY_S + start
            starts.append(to_utc_s(calendar.zone, first) * _NS)
            ends.append(to_utc_s(calendar.zone, first + ((end - start) % _WEEK_S or _WEEK_S)) * _NS)
        if stop.dated is not None:
            begin, finish = (to_utc_ns(calendar.zone, datetime.fromisoformat(text)) for text in stop.dated)
            starts.append(np.array([begin], np.int64))
            ends.append(np.array([finish], np.int64))
    weekly = {stop.id for stop in calendar.planned_stops if stop.weekly is not None}
    for one in calendar.exceptions:
        if one.stop in weekly and one.hours is not None and days[0] <= _day(one) <= days[-1]:
            begin_s = _day(one) * _DAY_S + one.hours[0]
            length_s = (one.hours[1] - one.hours[0]) % _DAY_S or _DAY_S
            local = np.array([begin_s, begin_s + length_s], np.int64)
            begin, finish = (to_utc_s(calendar.zone, local) * _NS).tolist()
            starts.append(np.array([begin], np.int64))
            ends.append(np.array([finish], np.int64))
    return np.sort(np.concatenate(starts)), np.sort(np.concatenate(ends))
