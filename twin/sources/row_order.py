"""The order in which a table's rows are read: as they stand, from the end, or sorted by their time."""

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np

from twin.sources.event_times import RowTimes
from twin.sources.mapping_model import TimeRule
from twin.sources.samples import LONG_AGO
from twin.sources.sorting import Sorter, add_rows, sorted_rows
from twin.sources.summary import Summary
from twin.sources.table import Table, TextRows

REPEATED_HOUR = "repeated_hour"  # reason of a problem: which pass of it a row is of is not known
_FEW_ROWS = 2000  # tell it; more only where they are all of one time
_NEWEST_FIRST = 0.9  # of the steps between rows go back in time: nobody's clock does that


class RowOrder:
    """The rows of one table in order. `changed` tells, from the first row on, whether it is not the file's."""

    def __init__(self, table: Table, time: TimeRule, sort: bool, name: str, summary: Summary) -> None:
        self.changed = sort
        self._table = table
        self._time = time
        self._sort = sort
        self._name = name
        self._summary = summary

    def __iter__(self) -> Iterator[TextRows]:
        rows = iter(self._table)
        first = next(rows, None)
        if first is None:
            return
        if self._newest_first(first):
            # Before the times are read: what tells apart the repeated hour of autumn is the rows before.
            self._summary.note(f"{self._name}: the newest row comes first; it was read from its end")
            self.changed = True
            rows = _turned(chain([first], rows))
        else:
            rows = chain([first], rows)
        yield from self._sorted(rows) if self._sort else rows

    def _sorted(self, rows: Iterable[TextRows]) -> Iterator[TextRows]:
        sorter, back, newest = Sorter(), 0, LONG_AGO
        reader = self._reader()
        for part in rows:
            ts, good = reader.read(part)
            before = np.maximum.accumulate(np.concatenate([[newest], np.where(good, ts, LONG_AGO)]))
            back += int((good & (ts < before[:-1])).sum())
            newest = int(before[-1])
            # A row without a time stays behind those before it: it will be told.
            add_rows(sorter, part, np.where(good, ts, before[1:]))
        if back:
            self._summary.note(f"{self._name}: {back:,} rows stood after a later one; they were sorted")
            if reader.unsure:
                text = (
                    f"{self._name}: in rows that are not in order nobody can tell the two passes of the hour that the "
                    "clocks repeat apart: export them with offsets, in UTC, or in the order of their times"
                )
                self._summary.problem(REPEATED_HOUR, text, reader.unsure)
        return sorted_rows(sorter)

    def _newest_first(self, rows: TextRows) -> bool:
        for few in (_FEW_ROWS, len(rows.lines)):
            columns = {name: column.slice(0, few) for name, column in rows.columns.items()}
            ts, good = self._reader().read(TextRows(columns, rows.lines[:few]))
            steps = np.diff(ts[good])
            steps = steps[steps != 0]
            if len(steps) >= 2:
                return float((steps < 0).mean()) >= _NEWEST_FIRST
        return False

    def _reader(self) -> RowTimes:
        return RowTimes(self._time, self._table.typed)


def _turned(rows: Iterable[TextRows]) -> Iterator[TextRows]:
    sorter = Sorter()
    for part in rows:
        add_rows(sorter, part, -part.lines)
    return sorted_rows(sorter)
