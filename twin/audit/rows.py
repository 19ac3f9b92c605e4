"""Rows on their way into the audit: origin columns, the checks every row passes, and the order within a file."""

import itertools
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kernels.read.parquet_cells import least_step
from twin.audit import AuditError
from twin.columns import in_order
from twin.events.block import Rejected
from twin.results import CLASS_COLUMNS, EVENTS, INDEX, NAME, ORIGIN, REJECTED, SETS, TIME_COLUMN

I64 = npt.NDArray[np.int64]
DAY_NS: Final = 86_400_000_000_000
# A refused time may be any time at all. Rows of one interval spread over more dates than this go to date=1970-01-01
# together: otherwise one broken clock could make a folder and a file per row.
MAX_REJECTED_DATES: Final = 31
NO_DATE: Final = "1970-01-01"
# Events and rejected rows keep the order of arrival, from which a recomputation reads them again.
ORDER: Final = {
    "events": ("source_offset", INDEX),
    "states": ("line", "station", "end", "start", "revision"),
    "kpis": ("line", "station", "window", "end", "start", "revision"),
    "bottlenecks": ("line", "station", "window", "end", "start", "revision"),
    "alerts": ("line", "station", "ts", "kind", "action", "revision"),
    "rejected": ("source_offset",),
    "measures": (
        *("line", "station", "measure", "end", "start", "production_date", "shift", "order", "product", "during"),
        "revision",
    ),
    "samples": ("line", "station", "measure", "chart", "product", "end", "point", "revision"),
}
BY_ARRIVAL: Final = ("events", "rejected")


def events_with_origin(table: pa.Table, topic: str, partition: int, offset: I64) -> pa.Table:
    """Rows of `events` with their origin, the place within the record included: records are whole and in order."""
    table = with_origin(table, topic, partition, offset)
    if least_step(offset) > 0:  # in a replay each event is a record of its own
        return table.append_column(EVENTS.field(INDEX), _alike(topic, 0, len(offset))[1])
    begins = np.flatnonzero(np.diff(offset, prepend=-1))
    index = np.arange(len(offset)) - np.repeat(begins, np.diff(begins, append=len(offset)))
    return table.append_column(EVENTS.field(INDEX), pa.array(index.astype(np.int32)))


def with_origin(table: pa.Table, topic: str, partition: int, offset: int | I64) -> pa.Table:
    """`table` with the columns of `twin.results.ORIGIN` behind its own, but for the place within the record.

    `offset` is the offset of the record each row came from: int64[rows], or one number for all rows.
    """
    rows = table.num_rows
    offsets = pa.array(np.full(rows, offset, np.int64) if isinstance(offset, int) else offset)
    for name, column in zip(ORIGIN, (*_alike(topic, partition, rows), offsets), strict=False):
        table = table.append_column(REJECTED.field(name), column)
    return table


@lru_cache(maxsize=16)
def _alike(topic: str, partition: int, rows: int) -> "tuple[pa.Array[Any], pa.Array[Any]]":
    """Topic and partition of so many rows. Blocks are mostly of one length, and what is there need not be filled."""
    topics = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([topic], pa.string()))
    return topics, pa.array(np.full(rows, partition, np.int32))


def refused_with_origin(table: pa.Table, topic: str, partition: int) -> pa.Table:
    """Rows of `twin.results.REFUSED`, each with its own offset, as rows of the set `rejected`."""
    own = table.drop_columns([ORIGIN[2]])
    return with_origin(own, topic, partition, integers(table.column(ORIGIN[2])))


def rejected_table(rejected: Sequence[Rejected], topic: str, partition: int) -> pa.Table:
    """Rows of the set `rejected`, origin columns included (each row has the offset of its own record)."""
    columns: list[Any] = [
        pa.array([r.reason for r in rejected], pa.string()).dictionary_encode().cast(NAME),
        pa.array([_text(r.detail) for r in rejected], pa.string()),
        pa.array([_text(r.line) for r in rejected], pa.string()),
        pa.array([_int64(r.ts) for r in rejected], pa.int64()).cast(REJECTED.field("ts").type),
        pa.array([r.value for r in rejected], pa.binary()),
    ]
    own = pa.schema([field for field in REJECTED if field.name not in ORIGIN])
    offsets = np.fromiter((r.offset for r in rejected), np.int64, len(rejected))
    return with_origin(pa.Table.from_arrays(columns, schema=own), topic, partition, offsets)


def _text(value: str | None) -> str | None:
    """Refused input may hold half a surrogate pair, which no UTF-8 column takes; the bytes stand in `value`."""
    return None if value is None else value.encode("utf-8", "replace").decode("utf-8")


def _int64(value: int | None) -> int | None:
    return value if value is not None and -(1 << 63) <= value < 1 << 63 else None


def check_rows(set_name: str, table: pa.Table) -> None:
    """Raise AuditError unless `table` has the set's schema, no null where none may be, and true sums."""
    expected = SETS[set_name]
    if not table.schema.equals(expected):
        wrong = sorted({f"{f.name}: {f.type}" for f in expected} ^ {f"{f.name}: {f.type}" for f in table.schema}) or [
            "the order of the columns, or which of them may be null"
        ]
        raise AuditError(
            f"set {set_name}: the table's schema is not the one in twin.results; they differ in {'; '.join(wrong)}"
        )
    for field, column in zip(expected, table.columns, strict=True):
        if not field.nullable and column.null_count:
            raise AuditError(f"set {set_name}: column {field.name} holds a null; every row must have one")
        if isinstance(field.type, pa.DictionaryType) and any(
            chunk.dictionary.null_count for chunk in cast("list[pa.DictionaryArray[Any, Any]]", column.chunks)
        ):
            raise AuditError(f"set {set_name}: the dictionary of column {field.name} holds a null; use a null index")
    if set_name == "kpis":
        _check_sums(table)


def has_revisions(table: pa.Table) -> bool:
    """Whether a row is a revision of another, or takes one back."""
    return "revision" in table.column_names and bool((integers(table.column("revision")) > 0).any())


def integers(column: "pa.ChunkedArray[Any]") -> I64:
    """A column of integers or times as int64, null as 0."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    if column.null_count:
        column = cast("pa.ChunkedArray[Any]", pc.fill_null(column, cast(Any, 0)))  # the stubs forget the scalar
    return cast(I64, column.to_numpy().astype(np.int64, copy=False))


def class_sums(table: pa.Table) -> tuple[I64, I64]:
    """Of each row of kpis the sum of its time classes and the length of its interval, ns: they must be equal."""
    length = integers(table.column("end")) - integers(table.column("start"))
    total = np.zeros(table.num_rows, np.int64)
    for name in CLASS_COLUMNS:
        total += integers(table.column(name))
    return total, length


def _check_sums(table: pa.Table) -> None:
    total, length = class_sums(table)
    wrong = np.flatnonzero(total != length)
    if wrong.size:
        row = int(wrong[0])
        line, station, window = (table.column(name)[row].as_py() for name in ("line", "station", "window"))
        start = np.datetime64(int(integers(table.column("start"))[row]), "ns")
        raise AuditError(
            f"set kpis: the time classes sum to {total[row]} ns but the interval is {length[row]} ns long "
            f"(line {line}, station {station or '(line)'}, window {window}, start {start}Z; {wrong.size} such rows). "
            "Nothing is written: a figure that does not add up proves nothing. Keep the input and report the fault"
        )


def sort_key(column: "pa.ChunkedArray[Any]") -> I64:
    """int64[rows] in the column's order; null comes first."""
    if not pa.types.is_dictionary(column.type):
        return integers(column)
    encoded = cast("pa.DictionaryArray[Any, Any]", column.combine_chunks())
    if isinstance(encoded, pa.ChunkedArray):
        encoded = cast("pa.DictionaryArray[Any, Any]", pa.concat_arrays(encoded.chunks))
    ranks = pc.rank(encoded.dictionary, tiebreaker="dense").to_numpy().astype(np.int64)
    codes = integers(pa.chunked_array([encoded.indices.fill_null(-1)]))
    return np.append(ranks, 0)[codes]


def days_of(set_name: str, table: pa.Table) -> I64:
    """Days since 1970 (UTC) of every row; 0 for a refused record without a time that could be read."""
    times = integers(table.column(TIME_COLUMN[set_name]))
    if len(times) and (first := times.min() // DAY_NS) == times.max() // DAY_NS:
        return np.full(len(times), first)  # to divide each takes more than all else that finds the rows' order
    return times // DAY_NS


def _folders(set_name: str, table: pa.Table) -> I64:
    """The day each row is foldered by."""
    days = days_of(set_name, table)
    if set_name == "rejected" and len(np.unique(days)) > MAX_REJECTED_DATES:
        days = np.zeros_like(days)
    return days


def by_date(set_name: str, tables: Sequence[pa.Table]) -> Iterator[tuple[str, pa.Table]]:
    """One sorted table per UTC date, dates rising. Rows equal in every sort key keep the order in which they came.

    Pieces of a table may each have dictionaries of their own.
    """
    if not tables:
        return
    table = pa.concat_tables(tables)
    if set_name not in BY_ARRIVAL:
        table = table.unify_dictionaries()
    days = _folders(set_name, table)
    keys = [days, *(sort_key(table.column(name)) for name in ORDER[set_name])]
    if not in_order(keys):  # the rule for events; to find out costs a tenth of sorting
        order = np.lexsort([key for key in keys[::-1] if key.min() < key.max()])
        table = table.unify_dictionaries().combine_chunks().take(pa.array(order, pa.int64()))
        days = days[order]
    bounds = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(days)]
    for start, end in itertools.pairwise(bounds):
        if end > start:
            yield str(np.datetime64(int(days[start]), "D")), table.slice(start, end - start)
