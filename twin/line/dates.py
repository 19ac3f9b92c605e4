"""Shift and local production date of instants: what people group rows by."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from twin.measures.protocol import Span
from twin.plant.calendar import CalendarTable, shift_days, table
from twin.plant.model import Calendar

I64 = npt.NDArray[np.int64]

# A calendar is read in pieces of this length and kept: some 70 days, so that most calls need one of them.
_PIECE_NS: Final = 6_000_000_000_000_000
_MOST_PIECES: Final = 64


class Dates:
    """Answers for lines by number; pieces of their calendars are kept."""

    def __init__(self, calendars: Sequence[Calendar]) -> None:
        """`calendars`: of each line."""
        distinct = list(dict.fromkeys(calendars))
        place = {calendar: k for k, calendar in enumerate(distinct)}
        self._calendars = distinct
        self._of = np.array([place[calendar] for calendar in calendars], np.int64)
        self._pieces: dict[tuple[int, int], CalendarTable] = {}

    def at(self, lines: I64, instants: I64) -> tuple[I64, I64]:
        """Of each row's line at its instant (ns): running number of the shift (NO_SHIFT: none), and the production day
        (days since 1970)."""
        if len(lines) and self.alike(lines):
            low, high = int(instants.min()), int(instants.max())
            one = self._around(int(lines[0]), low)
            if high < one.high:  # nearly always: a run is of minutes
                return np.full(len(lines), one.shift), np.full(len(lines), one.day)
        # As one number: pairs take a sort by columns, which was half the time of a row of `states`.
        which = (instants // _PIECE_NS) * len(self._calendars) + self._of[lines]
        if len(which) and (which == which[0]).all():  # nearly always
            held = self._piece(*divmod(int(which[0]), len(self._calendars))[::-1])
            row = np.searchsorted(held.ts, instants, side="right") - 1
            return held.shift[row].astype(np.int64), held.day[row].astype(np.int64)
        shifts, days = np.empty(len(lines), np.int64), np.empty(len(lines), np.int64)
        for one in np.unique(which).tolist():
            mine = which == one
            held = self._piece(one % len(self._calendars), one // len(self._calendars))
            row = np.searchsorted(held.ts, instants[mine], side="right") - 1
            shifts[mine], days[mine] = held.shift[row], held.day[row]
        return shifts, days

    def around(self, line: int, instant: int) -> Span | None:
        """Shift and day at an instant, and how long they are that; None: other lines have other calendars."""
        return self._around(line, instant) if len(self._calendars) == 1 else None

    def _around(self, line: int, instant: int) -> Span:
        piece = instant // _PIECE_NS
        held = self._piece(int(self._of[line]), piece)
        row = int(np.searchsorted(held.ts, instant, side="right")) - 1
        begin, end = int(held.ts[row]), int(held.ts[row + 1]) if row + 1 < len(held.ts) else (piece + 1) * _PIECE_NS
        return Span(begin, end, int(held.shift[row]), int(held.day[row]))

    def alike(self, lines: I64) -> bool:
        """Whether these lines (at least one) have one calendar."""
        if len(self._calendars) == 1:
            return True
        calendars = self._of[lines]
        return bool((calendars == calendars[0]).all())

    def of_shifts(self, lines: I64, shifts: I64, days: I64) -> I64:
        """The production date of each row, days since 1970: that of its shift's start, or `days` where it has none."""
        found = days.copy()
        if len(lines) and (shifts == shifts[0]).all() and self.alike(lines):  # nearly always
            return found if shifts[0] < 0 else shift_days(self._calendars[self._of[lines[0]]], shifts)
        calendars = self._of[lines]
        for calendar in np.unique(calendars).tolist():
            mine = (calendars == calendar) & (shifts >= 0)
            found[mine] = shift_days(self._calendars[calendar], shifts[mine])
        return found

    def _piece(self, calendar: int, piece: int) -> CalendarTable:
        key = calendar, piece
        if key not in self._pieces:
            if len(self._pieces) >= _MOST_PIECES * len(self._calendars):
                self._pieces.clear()
            self._pieces[key] = table(self._calendars[calendar], piece * _PIECE_NS, (piece + 1) * _PIECE_NS)
        return self._pieces[key]
