"""What differs between the rows that stood and those that stand now."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from twin.columns import listed
from twin.results import IDENTITY, TS

Tables = dict[str, pa.Table]
_OF_REVISION: Final = ("revision", "revised", "retracted")


def changes(stood: Sequence[Tables], stand: Sequence[Tables], revision: int, ts: int) -> Tables:
    """Rows that stand now and did not, and rows that stood where nothing stands any more, these marked retracted.

    `ts` is the line's event time of the revision, ns.
    """
    found = {}
    for set_name in IDENTITY:
        old, new = _joined(stood, set_name), _joined(stand, set_name)
        identities_before, rows_before = _keys(old, set_name)
        known = Counter(rows_before)
        identities, rows = _keys(new, set_name)
        changed = []
        for k, row in enumerate(rows):
            if known[row]:
                known[row] -= 1
            else:
                changed.append(k)
        there = set(identities)
        gone = [k for k, identity in enumerate(identities_before) if identity not in there]
        parts = []
        if new is not None and changed:
            parts.append(_marked(new.take(changed), revision, ts, retracted=False))
        if old is not None and gone:
            parts.append(_marked(old.take(gone), revision, ts, retracted=True))
        if parts:
            found[set_name] = pa.concat_tables(parts).unify_dictionaries()
    return found


def stamped(tables: Tables, revisions: dict[str, int]) -> Tables:
    """First rows of lines that were revised before carry the number of the line's last revision.

    Otherwise a row that was retracted for the time being (a stop became undecided again, say) and comes out later would
    stand below its own retraction.
    """
    if not revisions:
        return tables
    return {name: _stamped(table, revisions) if name in IDENTITY else table for name, table in tables.items()}


def _stamped(table: pa.Table, revisions: dict[str, int]) -> pa.Table:
    numbers = [revisions.get(str(line), 0) for line in listed(table.column("line"))]
    at = table.schema.get_field_index("revision")
    return table.set_column(at, table.schema.field(at), pa.array(numbers, pa.int32()))


def _joined(tables: Sequence[Tables], set_name: str) -> pa.Table | None:
    parts = [one[set_name] for one in tables if set_name in one]
    return pa.concat_tables(parts).unify_dictionaries() if parts else None


def _keys(table: pa.Table | None, set_name: str) -> tuple[list[Any], list[Any]]:
    """(identity, whole row) of each row, as plain values that can be compared."""
    if table is None:
        return [], []
    columns = {}
    for name in table.column_names:
        if name not in _OF_REVISION:
            columns[name] = listed(table.column(name))  # no float is NaN in a row of results: those are null
    identities = list(zip(*(columns[name] for name in IDENTITY[set_name]), strict=True))
    return identities, list(zip(*columns.values(), strict=True))


def _marked(table: pa.Table, revision: int, ts: int, *, retracted: bool) -> pa.Table:
    n = table.num_rows
    values: dict[str, Any] = {
        "revision": pa.array(np.full(n, revision, np.int32)),
        "revised": pa.array(np.full(n, ts, np.int64)).cast(TS),
        "retracted": pa.array(np.full(n, retracted)),
    }
    for name, column in values.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(at), column)
    return table
