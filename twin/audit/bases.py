"""Bases: the state of a partition at one offset, kept in its audit root so that figures can be followed from there.

    ROOT/_bases/date=YYYY-MM-DD/p{partition}-{offset}-{offset}.parquet

A base is an interval of no offsets: it stands in the chain behind the files of the rows up to its offset and before
those of the rows that follow. It is written daily (by event time), and where the rows that follow come from another
plant model, other rules or another form of the state than those before: what follows then follows from the base.
Its footer is that of every file; the state is what `PartitionTwin.snapshot` gives, cut into rows of a megabyte.

The underscore hides the folder from readers of data sets.
"""

from typing import Any, Final

import numpy as np
import pyarrow as pa

from twin import rules
from twin.audit import AuditError
from twin.audit.layout import PublishedFile
from twin.audit.read import UNREADABLE, damaged, open_file

_FIELDS: Final[list[Any]] = [pa.field("part", pa.int32()), pa.field("state", pa.binary())]
SCHEMA: Final = pa.schema(_FIELDS)
_PART_BYTES: Final = 1 << 20
DAY_NS = 86_400_000_000_000  # tests have shorter days


def table(state: bytes) -> pa.Table:
    """The rows of a base."""
    parts = [state[begin : begin + _PART_BYTES] for begin in range(0, len(state), _PART_BYTES)]
    return pa.table([pa.array(range(len(parts)), pa.int32()), pa.array(parts, pa.binary())], schema=SCHEMA)


def read(file: PublishedFile) -> bytes:
    """The state a base holds. Raises AuditError."""
    try:
        with open_file(file) as parquet:
            found = parquet.read()
            if not found.schema.equals(SCHEMA):
                raise AuditError(f"{file.path}: its columns are not those of a base")
            numbers: list[Any] = found.column("part").to_pylist()
            parts: list[Any] = found.column("state").to_pylist()
    except UNREADABLE as error:
        raise damaged(file, error) from error
    if numbers != list(range(len(parts))):
        raise AuditError(f"{file.path}: its parts are not in order, or one is missing")
    return b"".join(parts)


def day_of(newest_ns: int) -> str:
    """The date (UTC) of a partition's newest event: what a base is daily by."""
    return str(np.datetime64(newest_ns // DAY_NS, "D"))


def kind_of(model: str, state_version: int) -> str:
    """What a base holds for: after another one than before, the next rows need a base of their own."""
    return f"{model} rules {rules.RULES} state {state_version}"
