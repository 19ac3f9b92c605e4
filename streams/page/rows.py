"""Rows of a set as JSON, CSV or Arrow, a page at a time."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twin.audit.rows import ORDER, sort_key
from twin.report import ReportError
from twin.report.rows import select
from twin.report.tables import defused
from twin.results import SETS, TIME_COLUMN
from twin.time.rfc3339 import parse_rfc3339, rfc3339

JSON: Final = "application/json"
CSV: Final = "text/csv"
ARROW: Final = "application/vnd.apache.arrow.stream"
MOST_ROWS: Final = 10_000
DEFAULT_ROWS: Final = 1_000
_FILTERS: Final = ("station", "window", "shift", "order", "class", "reason", "kind", "type")


def page(root: Path, set_name: str, query: Mapping[str, str], accept: str) -> tuple[str, bytes]:
    """Content type and body. Raises ReportError over a question that cannot be answered, AuditError over the root."""
    if set_name not in SETS:
        raise ReportError(f"{set_name!r}: the sets are {', '.join(SETS)}")
    limit, skip = _number(query, "limit", DEFAULT_ROWS, MOST_ROWS), _number(query, "skip", 0, 10**9)
    wanted: pc.Expression | None = None
    for name in _FILTERS:
        if name in query and name in SETS[set_name].names:
            one = pc.field(name) == query[name] if query[name] else pc.field(name).is_null()
            wanted = one if wanted is None else wanted & one
    found = select(
        root,
        set_name,
        _instant(query, "from", 0),
        _instant(query, "to", 2**63 - 1),
        line=query.get("line"),
        where=wanted,
        as_of_ns=_instant(query, "as_of", None),
        revisions=query.get("revisions") == "true",
    )
    keys = [sort_key(found.column(name)) for name in (TIME_COLUMN[set_name], "source_partition", *ORDER[set_name])]
    order = np.lexsort(keys[::-1])[skip : skip + limit]
    part = _texts(found.take(pa.array(order, pa.int64())))
    following = skip + limit if skip + limit < found.num_rows else None
    kind = negotiate(accept)
    if kind == ARROW:
        out = io.BytesIO()
        with pa.ipc.new_stream(out, part.schema) as writer:
            writer.write_table(part)
        return ARROW, out.getvalue()
    if kind == CSV:
        return f"{CSV}; charset=utf-8", _csv(part).encode()
    body = {"set": set_name, "total": found.num_rows, "skip": skip, "next": following, "rows": part.to_pylist()}
    return JSON, msgspec.json.encode(_plain(body))


def negotiate(accept: str) -> str:
    """The first of the media types named that is one of ours; JSON where none is."""
    for part in accept.split(","):
        kind = part.partition(";")[0].strip()
        if kind in (JSON, CSV, ARROW):
            return kind
    return JSON


def _number(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = query.get(name, str(default))
    if not text.isascii() or not text.isdecimal() or len(text) > 12 or int(text) > most:
        raise ReportError(f"{name}={text}: a whole number from 0 to {most}")
    return int(text)


def _instant(query: Mapping[str, str], name: str, default: Any) -> Any:
    if name not in query:
        return default
    try:
        return parse_rfc3339(query[name])
    except ValueError as error:
        raise ReportError(f"{name}={query[name]}: {error}") from error


def _texts(table: pa.Table) -> pa.Table:
    """Instants as RFC 3339, names as texts: no reader rounds them."""
    for i, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            values = table.column(i).cast(pa.int64()).to_pylist()
            made = pa.array([None if ns is None else rfc3339(ns) for ns in values], pa.string())
            table = table.set_column(i, field.name, made)
        elif pa.types.is_dictionary(field.type):
            table = table.set_column(i, field.name, table.column(i).cast(pa.string()))
    return table


def _csv(table: pa.Table) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(table.column_names)
    for row in table.to_pylist():
        writer.writerow([_cell(value) for value in row.values()])
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    return defused(value) if isinstance(value, str) else str(value)


def _plain(value: Any) -> Any:
    """Bytes that were refused are shown as text; NaN has no place in JSON."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if value - value == 0 else None
    return value
