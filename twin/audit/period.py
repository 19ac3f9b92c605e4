"""Which intervals say something of a period, and from where they can be computed."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twin import rules
from twin.audit.intervals import Interval
from twin.audit.layout import PublishedFile
from twin.audit.read import UNREADABLE, damaged, keys_of, open_file
from twin.audit.rows import DAY_NS, integers
from twin.results import SETS, TIME_COLUMN

_SETS: Final = tuple(name for name in SETS if name != "rejected")


def says(interval: Interval, line: str | None, start_ns: int, end_ns: int) -> bool:
    """Whether an interval has a row of a line (None: of any) for event times [start_ns, end_ns). Raises AuditError."""

    def told(table: pa.Table, set_name: str) -> bool:
        """A row's time is the end of its interval."""
        column = TIME_COLUMN[set_name]
        times = integers(table.column(column))
        # The row that ends with the period belongs to it, the event at that instant does not.
        within = (times >= start_ns) & (times < end_ns if column == "ts" else times <= end_ns)
        if line is not None:
            within &= np.asarray(pc.equal(table.column("line"), pa.scalar(line)).fill_null(False))
        return bool(within.any())

    for file in interval.files:
        day = int(np.datetime64(file.date, "ns").astype(np.int64))
        if file.set in _SETS and day <= end_ns and day + DAY_NS > start_ns and told(_read(file, line), file.set):
            return True
    waiting = ((set_name, interval.rows.table(set_name)) for set_name in _SETS) if interval.rows is not None else ()
    return any(told(table, set_name) for set_name, table in waiting if table is not None)


def _read(file: PublishedFile, line: str | None) -> pa.Table:
    column = TIME_COLUMN[file.set]
    try:
        with open_file(file) as parquet:
            return parquet.read(["line", column] if line is not None else [column])
    except UNREADABLE as error:
        raise damaged(file, error) from error


def beginning(found: Sequence[Interval], first: int, *, whole: bool = False) -> int:
    """The place in a partition's intervals from which that at `first` can be computed: the nearest base before it, or
    (always, if `whole`) where its twin began: at offset 0, or with another plant model under rules by which lines then
    began anew. Raises AuditError.
    """
    keys = keys_of(found[first])
    while first and (whole or found[first].base is None):
        before = keys_of(found[first - 1])
        if before.get("model") != keys.get("model") and _began_anew(keys):
            break
        first, keys = first - 1, before
    return first


def _began_anew(keys: dict[str, str]) -> bool:
    try:
        return rules.begins_anew(rules.version(keys))
    except ValueError:  # of rules that this code knows nothing of: nothing before can be followed to it
        return True
