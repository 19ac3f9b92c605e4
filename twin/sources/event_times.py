"""Times that stand in a row beside its own: where an event was, how long something took."""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from twin.events.declare import YEAR_2200_NS
from twin.sources.mapping_model import TimeRule
from twin.sources.samples import NEVER
from twin.sources.table import TextRows
from twin.sources.template import Column, Columns
from twin.sources.time_format import ISO, ISO_BASIC, ISO_DATE, UNITS, TimeFormat
from twin.sources.times import Beside, TimeReader
from twin.sources.values import Numbers, stands_for_nothing
from twin.wire.lookup import Lookup

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
pc: Any = pyarrow.compute
Tell = Callable[[Mask, str, str], None]  # rows, reason, message

_CLOCK: Final = re.compile(r"(\d+):([0-5]?\d):([0-5]?\d)(?:[.,](\d{1,9}))?")
# "5 min", "1,5 Std.", "1h 30min": the cell's own units, whatever the mapping says.
_WITH_UNITS: Final = re.compile(r"(?:\d[\d.,'\s]*[a-zµ]+\.?\s*)+")
_PART: Final = re.compile(r"(\d[\d.,'\s]*)([a-zµ]+)")
_WORDS: Final = {"µs": "us", "sec": "s", "sek": "s", "std": "h", "d": "day", "tag": "day"} | {
    unit: unit for unit in UNITS
}
_MOST_NS: Final = 2**61
_MARK: Final = -(2**62)  # a length that is none


class RowTimes:
    """Reads one time of every row. The repeated hour of autumn is told apart by the rows before, time by time."""

    def __init__(self, rule: TimeRule, typed: bool = False, lateness_ns: int = 0, holes: bool = False) -> None:
        """`lateness_ns`: how far out of order the rows may be. `holes`: what is blank is no row."""
        form = rule.form
        if typed and form.patterns:
            # Cells that are times come as ISO, whatever the others look like; a midnight may come as its day.
            more = (ISO, ISO_BASIC, ISO_DATE) if len(rule.columns) == 1 else (ISO, ISO_BASIC)
            form = TimeFormat(tuple(dict.fromkeys((*form.patterns, *more))), form.zone)
        self.rule = rule
        self._reader = TimeReader(form, lateness_ns)
        self._holes = holes
        self._count = 0  # rows so far, where they have no times

    def texts(self, rows: TextRows) -> "pa.Array[Any]":
        """The text of every row's time."""
        parts = [rows.columns[name] for name in self.rule.columns]
        if len(parts) == 1:
            return parts[0]
        joined: pa.Array[Any] = pc.binary_join_element_wise(*(pc.utf8_trim_whitespace(part) for part in parts), " ")
        return joined

    @property
    def unsure(self) -> int:
        """Times so far that the clock showed twice."""
        return self._reader.unsure

    @property
    def first_pass_is_a_guess(self) -> bool:
        """Whether the rows began in the repeated hour, and nothing says in which pass of it."""
        return self._reader.first_pass_is_a_guess

    @property
    def by_the_hour(self) -> list[int]:
        """Of the rows read last those that begin the second pass of the repeated hour by nothing but their step."""
        return self._reader.by_the_hour

    def read(self, rows: TextRows, days: int = 0, beside: Beside | None = None) -> tuple[I64, Mask]:
        """ns and a mask of the rows that have a time, be it one of an event or not; `days` later by the clock."""
        if not self.rule.columns:
            return self._by_number(rows)
        return self._reader.read(self.texts(rows), days, beside)

    def _by_number(self, rows: TextRows) -> tuple[I64, Mask]:
        """Rows without a time: one step for each. Blank lines and headers that come again are none, what cannot be read
        was one."""
        found = np.ones(len(rows.lines), bool)
        if self._holes:
            cells = [pc.utf8_trim_whitespace(column) for column in rows.columns.values()]
            blank = np.logical_and.reduce([_same(one, "") for one in cells])
            header = np.logical_and.reduce([_same(one, name) for one, name in zip(cells, rows.columns, strict=True)])
            found = ~(blank | header)
        number = self._count + np.cumsum(found) - found + np.searchsorted(rows.lost, rows.lines)
        self._count += int(found.sum()) + len(rows.lost)
        return self.rule.form.origin_ns + number * self.rule.every_ns, found


def _same(column: "pa.Array[Any]", text: str) -> Mask:
    return np.array(pc.equal(column, text).to_numpy(zero_copy_only=False), bool)


class OwnTimes:
    """Reads a rule's own time: that of its columns, or the row's, plus or minus a length."""

    def __init__(self, rule: TimeRule, row: TimeRule, typed: bool, lookup: Lookup, until: bool) -> None:
        """`until`: the end of what began before."""
        self._rule = rule
        self._after = until or rule.over_midnight
        self._earliest_ns = lookup.earliest_ns
        # The row's own time has been read already.
        self._times = (
            None if rule.columns == row.columns and rule.form == row.form else RowTimes(rule, typed, lookup.lateness_ns)
        )

    @property
    def over_midnight(self) -> bool:
        """Whether a time before the beginning is one of the next day."""
        return self._rule.over_midnight

    def read(self, rows: TextRows, columns: Columns, row_ts: I64, row_ok: Mask, begin: I64, tell: Tell) -> I64:
        """ns, NEVER where there is none; what is there and cannot be read is told. `begin`: what it follows."""
        rule, what = self._rule, " ".join(self._rule.columns)
        ts, ok = row_ts, row_ok
        if self._times is not None:
            beside = Beside(begin, self._after)
            ts, ok = self._times.read(rows, beside=beside)
            if rule.over_midnight and (back := ok & (begin != NEVER) & (ts < begin)).any():
                later, good = self._times.read(rows, 1, beside)
                ts, ok = np.where(back, later, ts), np.where(back, good, ok)
            ok &= (ts >= self._earliest_ns) & (ts < YEAR_2200_NS)
            blank = np.logical_and.reduce([columns[name].spread(stands_for_nothing) for name in rule.columns])
            tell(~ok & ~blank.astype(bool), "bad_time", f"{what} is no time of an event in the mapping's format")
        if rule.shift is not None:
            length = _lengths(columns[rule.shift], rule.shift_unit)
            tell(ok & (length == _MARK), "unreadable_number", f"{rule.shift} is not a length of time")
            ok = ok & (length >= 0)
            ts = ts + rule.shift_sign * np.where(ok, length, 0)
            wild = ok & ((ts < self._earliest_ns) | (ts >= YEAR_2200_NS))
            tell(wild, "bad_time", f"{rule.shift} leads to a time of no event")
            ok &= ~wild
        return np.where(ok, ts, NEVER)


def _lengths(column: Column, unit: str) -> I64:
    return column.spread(lambda text: length_ns(text, unit, column.numbers))


def length_ns(text: str, unit: str, numbers: Numbers) -> int:
    """A length in ns: a number of `unit` or of the units it names, or hours:minutes:seconds; -1 where there is none,
    less where it is none."""
    if stands_for_nothing(text):
        return -1
    if _WITH_UNITS.fullmatch(text.lower()):
        parts = [(number.strip(), _WORDS.get(word)) for number, word in _PART.findall(text.lower())]
        lengths = [_MARK if named is None else length_ns(number, named, numbers) for number, named in parts]
        return _MARK if min(lengths) < 0 or sum(lengths) >= _MOST_NS else sum(lengths)
    if found := _CLOCK.fullmatch(text):
        seconds = int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3])
        return seconds * 10**9 + int((found[4] or "").ljust(9, "0")) if seconds < _MOST_NS // 10**9 else _MARK
    number = None if numbers.unsure(text) else numbers.read(text)
    digits, factor = UNITS[unit]
    if number is None or not 0 <= number < Fraction(_MOST_NS, 10**digits * factor):
        return _MARK
    return int(number * 10**digits * factor)
