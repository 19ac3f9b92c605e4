"""Questions about whole columns."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kernels.read.parquet_cells import least_step


def value_range(parquet: pq.ParquetFile, column: str) -> tuple[int, int] | None:
    """Least and greatest value, times in ns; None: there is none. Raises OSError, pa.ArrowException.

    Not from the statistics of the footer, which would be quicker: over damaged ones Arrow 26 ends the process (an
    exception of C++ that nobody catches, found by fuzzing).
    """
    found: list[int] = []
    for group in range(parquet.num_row_groups):
        values: Any = parquet.read_row_group(group, columns=[column]).column(0).cast(pa.int64())
        limits: Any = pc.min_max(values)
        found += [v for v in (limits["min"].as_py(), limits["max"].as_py()) if v is not None]
    return (min(found), max(found)) if found else None


def filled(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns of a schema, null where the table has none of that name; what else the table has is left out."""
    there, rows = set(table.column_names), table.num_rows
    columns: list[Any] = [
        table.column(f.name) if f.name in there else pa.nulls(rows, cast(Any, f.type)) for f in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def listed(column: "pa.ChunkedArray[Any]") -> list[Any]:
    """As `to_pylist`, but times as ns and dates as days since 1970.

    Of dates and of a column of codes that takes a microsecond for each value, of numbers and texts a twentieth.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    elif pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    elif pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    return column.to_pylist()


def in_order(keys: Sequence[npt.NDArray[np.int64]]) -> bool:
    """Whether rows rise or stay by these keys of one length, the first the most important."""
    tied: npt.NDArray[np.intp] | None = None
    for key in keys:
        if tied is None:
            step = least_step(key)
            if step:  # by this key alone the rows fall, or no two are alike
                return step > 0
            if key[0] == key[-1]:  # one date, one partition: the next key decides alone, nothing is gathered for it
                continue
        before, after = (key[:-1], key[1:]) if tied is None else (key[tied], key[tied + 1])
        if (after < before).any():
            return False
        equal = after == before
        same = np.flatnonzero(equal)
        tied = same if tied is None else tied[same]
        if not tied.size:
            break
    return True
