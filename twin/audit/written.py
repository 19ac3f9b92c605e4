"""The rows of an interval as they were written, of one line or of all: some at a time."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twin.audit import AuditError
from twin.audit.compare import Stored
from twin.audit.intervals import Interval
from twin.audit.layout import PublishedFile
from twin.audit.read import UNREADABLE, completed, footer, open_file
from twin.audit.report import Report
from twin.columns import filled
from twin.results import SETS

I64 = npt.NDArray[np.int64]
PIECE_ROWS: Final = 32_768  # read at a time


class Written:
    """Of one root; `line`: None: of all. What cannot be read is told in the report."""

    def __init__(self, root: Path, line: str | None, report: Report) -> None:
        self._root = root
        self._line = line
        self._report = report

    def of_line(self, table: pa.Table) -> pa.Table:
        if self._line is None:
            return table
        return table.filter(pc.equal(table.column("line"), pa.scalar(self._line)))

    def stored(self, set_name: str, interval: Interval) -> list[Stored]:
        """The interval's rows of a set as they were written, of the line that is asked for."""
        found = []
        for name, several in self.pieces(set_name, interval, said=True):
            pieces = list(several)
            table = pa.concat_tables(pieces) if pieces else SETS[set_name].empty_table()
            rows = self.rows_of_line(table)
            found.append(Stored(name, table if self._line is None else table.take(rows), rows))
        return found

    def pieces(self, set_name: str, interval: Interval, *, said: bool) -> Iterator[tuple[str, Iterable[pa.Table]]]:
        """Where the interval's rows of a set are written, and these rows some at a time, of all lines.

        Of events without the columns that have no value, which are most (`whole`). `said`: files are counted.
        """
        for file in interval.of(set_name):
            yield file.path.relative_to(self._root).as_posix(), self._read(file, said=said)
        table = interval.rows.table(set_name) if interval.rows is not None else None
        if table is not None:
            yield interval.name(self._root), [completed(set_name, table)]

    def _read(self, file: PublishedFile, *, said: bool) -> Iterator[pa.Table]:
        """What cannot be read is told."""
        name = file.path.relative_to(self._root).as_posix()
        self._report.checked["files"] += said
        try:
            with open_file(file) as parquet:
                columns = parquet.schema_arrow.names
                completed(file.set, parquet.schema_arrow.empty_table())
                if file.set == "events":
                    without = set(footer(parquet).get("absent", "").split(","))
                    columns = [column for column in columns if column not in without]
                for batch in parquet.iter_batches(PIECE_ROWS, columns=columns):
                    table = pa.Table.from_batches([batch])
                    yield table if file.set == "events" else completed(file.set, table)
        except (AuditError, *UNREADABLE) as error:
            unreadable = isinstance(error, UNREADABLE) or isinstance(error.__cause__, UNREADABLE)
            what = f"is not readable as published ({str(error).splitlines()[0]})" if unreadable else str(error)
            self._report.differs(name, what)

    def again(self, set_name: str, interval: Interval, wanted: I64) -> list[Stored]:
        """Those written rows that are to be shown: `wanted` counts along all of them."""
        found = []
        begin = 0
        for name, pieces in self.pieces(set_name, interval, said=False):
            above = 0  # rows of this file before the piece
            for piece in pieces:
                mine = self.rows_of_line(piece)
                some = mine[wanted[(wanted >= begin) & (wanted < begin + len(mine))] - begin]
                if len(some):
                    found.append(Stored(name, piece.take(some), some + above))
                begin, above = begin + len(mine), above + piece.num_rows
        return found

    def rows_of_line(self, table: pa.Table) -> I64:
        if self._line is None:
            return np.arange(table.num_rows)
        return np.flatnonzero(np.asarray(pc.equal(table.column("line"), pa.scalar(self._line)).fill_null(False)))


def whole(events: pa.Table) -> pa.Table:
    """With the columns that have no value."""
    return filled(events, SETS["events"])
