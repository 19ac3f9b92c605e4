"""Rows of results that count: of one line and time, the newest revision of each, as the views of `twin audit query`."""

import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twin.audit import models
from twin.audit.read import open_set
from twin.audit.rows import DAY_NS, integers, sort_key
from twin.results import IDENTITY, TIME_COLUMN

I64 = npt.NDArray[np.int64]
Row = dict[str, Any]
MOST_NS: Final = 9_223_372_036_854_775_807


def select(
    root: Path | str,
    set_name: str,
    start_ns: int = 0,
    end_ns: int = MOST_NS,
    *,
    line: str | None = None,
    where: pc.Expression | None = None,
    as_of_ns: int | None = None,
    revisions: bool = False,
) -> pa.Table:
    """Rows of a set that reach into [start_ns, end_ns), or whose instant lies in it. Times in ns since 1970 UTC.

    Of rows of results the newest revision, unless `revisions`; `as_of_ns`: as was believed when the line stood there.
    Raises AuditError.
    """
    time = TIME_COLUMN[set_name]
    ends = pc.field(time)
    first = datetime.date(1970, 1, 1) + datetime.timedelta(days=max(start_ns, 0) // DAY_NS)
    # The folder's date spares files; it is that of the end, so later ones may hold a row that began in the span.
    wanted = (pc.field("date") >= pa.scalar(first)) if start_ns > 0 else pc.scalar(True)
    if "start" in IDENTITY.get(set_name, ()):
        wanted &= (ends > _instant(start_ns)) & (pc.field("start") < _instant(end_ns))
    else:
        wanted &= (ends >= _instant(start_ns)) & (ends < _instant(end_ns))
    if as_of_ns is not None:
        wanted &= ends <= _instant(as_of_ns)
    if line is not None:
        wanted &= pc.field("line") == line
    if where is not None:
        wanted &= where
    table = open_set(root, set_name).to_table(filter=wanted).drop_columns(["date"])
    if set_name not in IDENTITY:
        return table
    table = _with_line_models(root, table)
    return table if revisions else newest(set_name, table, as_of_ns)


def _with_line_models(root: Path | str, table: pa.Table) -> pa.Table:
    """Rows of version 2 do not say the hash of their line, by which they are told apart; the root's models do."""
    said = table.column("line_model")
    if said.null_count == 0:
        return table
    known = models.line_models(root)
    model, line = table.column("model").to_pylist(), table.column("line").to_pylist()
    filled = [
        one if one is not None else known.get((str(model[k]), str(line[k])), model[k])
        for k, one in enumerate(said.to_pylist())
    ]
    place = table.schema.get_field_index("line_model")
    return table.set_column(place, table.schema.field(place), pa.array(filled, pa.string()).dictionary_encode())


def any_row(root: Path | str, line: str, end_ns: int) -> bool:
    """Whether the line has a row of kpis that ends at `end_ns` or later; the first one found is enough."""
    day = datetime.date(1970, 1, 1) + datetime.timedelta(days=max(end_ns, 0) // DAY_NS)
    wanted = (pc.field("date") >= pa.scalar(day)) & (pc.field("end") >= _instant(end_ns)) & (pc.field("line") == line)
    return open_set(root, "kpis").head(1, columns=["end"], filter=wanted).num_rows > 0


def _instant(ns: int) -> "pa.Scalar[Any]":
    return pa.scalar(ns, pa.timestamp("ns", tz="UTC"))


def newest(set_name: str, table: pa.Table, as_of_ns: int | None = None) -> pa.Table:
    """Of each row the highest revision, and nothing where that one says that nothing stands there any more."""
    revision = integers(table.column("revision"))
    retracted = np.asarray(table.column("retracted"), np.bool_)
    if not revision.any() and not retracted.any():
        return table
    table = table.unify_dictionaries().combine_chunks()
    keys = [sort_key(table.column(name)) for name in IDENTITY[set_name]]
    # Of equal revisions the one that stands counts: it is sorted last.
    order = np.lexsort([~retracted, revision, *keys[::-1]])
    begins = np.zeros(len(order), np.bool_)
    begins[:1] = True
    for key in keys:
        begins[1:] |= np.diff(key[order]) != 0
    known = np.ones(len(order), np.bool_)
    if as_of_ns is not None:
        known = _since(integers(table.column("revised"))[order], begins) <= as_of_ns
    order, group = order[known], np.cumsum(begins)[known]
    last = np.append(np.diff(group) != 0, True)[: len(group)]
    kept = order[last]
    return table.take(pa.array(np.sort(kept[~retracted[kept]])))


def _since(revised: I64, begins: npt.NDArray[np.bool_]) -> I64:
    """From when each revision was believed. A first row that comes again after its retraction has no time itself."""
    since = revised.copy()
    for k in np.flatnonzero(~begins):
        since[k] = revised[k] or max(since[k], since[k - 1])
    return since


def dicts(table: pa.Table) -> list[Row]:
    """Rows as dictionaries of plain values; instants as integers, ns since 1970 UTC."""
    for i, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(i, field.name, table.column(i).cast(pa.int64()))
    return table.to_pylist()
