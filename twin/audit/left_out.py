"""Columns of a file of events that none of its rows fills: they are not in it.

Most fields belong to some types of events only. To write a column of nulls takes 1.4 ns a row whatever its type, of 26
of them more than a third of the time of writing events. The footer names them (`taktwin.absent`), and so does the list.

    ROOT/events/date=1970-01-01/columns-{version}.parquet

is a file of no rows that has all columns, so that other readers know those that no file has: it is the first of
`twin audit files`, and the first that those find who list the folders. It is no link of the chain: it says nothing but
what the version says, and `twin audit verify` looks whether it does.

Not so of results: their columns are filled, and people read single files of them.
"""

import contextlib
import os
import threading
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from twin.audit import durable, layout
from twin.columns import filled
from twin.results import OLDEST_SCHEMA, SCHEMA_VERSION, schema_of

SETS: Final = ("events",)


def absent(table: pa.Table) -> list[str]:
    """The columns without a value."""
    return [f.name for f in table.schema if f.nullable and table.column(f.name).null_count == table.num_rows]


def leaves_out(set_name: str, table: pa.Table, names: Sequence[str]) -> tuple[str, ...]:
    """Those of a table's `absent` columns that a file of its rows does not have."""
    return tuple(names) if set_name in SETS and table.num_rows else ()


def of_file(set_name: str, version: int, there: Sequence[str]) -> tuple[str, ...]:
    """The columns that a file with the columns `there` leaves out."""
    if set_name not in SETS:
        return ()
    return tuple(field.name for field in schema_of(set_name, version) if field.nullable and field.name not in there)


def schema_without(set_name: str, version: int, left_out: Collection[str]) -> pa.Schema:
    """The schema of a file that leaves them out."""
    return pa.schema([field for field in schema_of(set_name, version) if field.name not in left_out])


def whole(set_name: str, version: int, table: pa.Table) -> pa.Table:
    """The rows of a file with all columns of its version."""
    if not of_file(set_name, version, table.column_names):
        return table
    return filled(table, schema_of(set_name, version))


def columns_file(root: Path, set_name: str) -> Path | None:
    """The file of a set that has all columns, of the newest version that is there."""
    found = layout.columns_files(root, set_name)
    return max(found, key=lambda path: found[path], default=None)


def columns_files_of(root: Path | str, files: Iterable[layout.PublishedFile]) -> list[Path]:
    """Those of the sets of which a file leaves columns out."""
    sets = sorted({file.set for file in files if file.left_out})
    return [path for name in sets if (path := columns_file(layout.root_path(root), name)) is not None]


def place(root: Path, set_name: str) -> None:
    """Put that file there, of this version, if it is not. May be called by several workers at once. Raises OSError."""
    path = root / layout.columns_name(set_name, SCHEMA_VERSION)
    if set_name not in SETS or path.exists():
        return
    sink = pa.BufferOutputStream()
    pq.write_table(schema_of(set_name).empty_table(), sink)
    durable.make_folder(path.parent)
    staged = root / layout.staged_columns_name(set_name, f"{os.getpid()}-{threading.get_ident()}")
    durable.make_folder(staged.parent)
    durable.create(path, sink.getvalue().to_pybytes(), staged)
    for left in staged.parent.glob(f"{Path(layout.staged_columns_name(set_name)).name}*"):
        left.unlink(missing_ok=True)


def problem(path: Path, set_name: str, version: int) -> str:
    """What is wrong with such a file; empty: nothing."""
    if not OLDEST_SCHEMA <= version <= SCHEMA_VERSION:
        return f"is of version {version} of the columns, this code knows {OLDEST_SCHEMA} to {SCHEMA_VERSION}"
    with contextlib.suppress(OSError, pa.ArrowException, UnicodeDecodeError):
        with pq.ParquetFile(path) as parquet:
            rows, schema = parquet.metadata.num_rows, parquet.schema_arrow
        if rows:
            return f"has {rows} rows, but is only to name the columns of {set_name}"
        return "" if schema.equals(schema_of(set_name, version)) else f"names other columns than {set_name} has"
    return "is not readable; remove it: it holds no rows, and whoever writes here puts it there again"
