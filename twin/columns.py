"""The range of an integer column of a Parquet file, from its values.

Not from the statistics of the footer, which would be quicker: over damaged ones Arrow 26 ends the process (an exception
of C++ that nobody catches, found by fuzzing).
"""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


def value_range(parquet: pq.ParquetFile, column: str) -> tuple[int, int] | None:
    """Least and greatest value, times in ns; None: there is none. Raises OSError, pa.ArrowException."""
    found: list[int] = []
    for group in range(parquet.num_row_groups):
        values: Any = parquet.read_row_group(group, columns=[column]).column(0).cast(pa.int64())
        limits: Any = pc.min_max(values)
        found += [v for v in (limits["min"].as_py(), limits["max"].as_py()) if v is not None]
    return (min(found), max(found)) if found else None
