"""Small plants, events as tuples, and result rows as plain values."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from kernels import codes
from twin.events.block import DTYPES, INTEGER_COLUMNS, EventBlock
from twin.line import PartitionTwin, Results
from twin.plant.model import Buffer, Line, Plant, Station

S = 1_000_000_000
FOREVER = 10**15


class Ev(NamedTuple):
    """One event; x, y, z are the words themselves."""

    ts: int
    type: int
    station: int = -1
    code: int = 0
    a: int = 0
    b: int = 0
    c: int = 0
    x: str | None = None
    y: str | None = None
    z: str | None = None
    epoch: int = 0
    seq: int = -1
    line: int = 0
    pace: tuple[str | None, str | None, str | None] | None = None  # ideal cycle, rate, factor of its product
    defect: str | None = None


def said(e: Ev) -> str | None:
    """What is declared of a product, and the defect of parts, as a block has it."""
    if e.pace is None and e.defect is None:
        return None
    return json.dumps([None, None, None, None, *(e.pace or (None, None, None)), e.defect])


def block(events: Sequence[Ev], offset: int = 0) -> EventBlock:
    words = sorted({w for e in events for w in (e.x, e.y, e.z, said(e)) if w is not None})
    place: dict[str | None, int] = {word: k for k, word in enumerate(words)}
    place[None] = -1
    columns: dict[str, Any] = {}
    for name in INTEGER_COLUMNS:
        if name == "offset":
            values: list[int] = list(range(offset, offset + len(events)))
        elif name == "entry":
            values = [place[said(e)] for e in events]
        elif name in ("x", "y", "z"):
            values = [place[getattr(e, name)] for e in events]
        else:
            values = [getattr(e, name) for e in events]
        columns[name] = np.array(values, DTYPES[name])
    return EventBlock(**columns, words=words)


def heartbeat(ts: int, line: int = 0) -> Ev:
    return Ev(ts, codes.HEARTBEAT, line=line)


def one_line(
    stations: Sequence[Station], buffers: Sequence[Buffer] = (), more_lines: Sequence[Line] = (), **line: Any
) -> Plant:
    first = Line("L", "hall", "flow", tuple(stations), tuple(buffers), **line)
    return Plant("works", (first, *more_lines), "0123456789abcdef")


def rows(table: pa.Table, columns: Sequence[str] | None = None) -> list[tuple[Any, ...]]:
    """Rows as tuples; times in ns."""
    lists = []
    for name in columns or table.column_names:
        column = table.column(name)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        lists.append(column.to_pylist())
    return list(zip(*lists, strict=True))


def multisets(results: Iterable[Results]) -> dict[str, Counter[tuple[Any, ...]]]:
    found: dict[str, Counter[tuple[Any, ...]]] = {}
    for result in results:
        for name, table in result.tables.items():
            found.setdefault(name, Counter()).update(rows(table))
    return found


# A line's rows of a set keep their sequence (docs/client.md); of these sets those alike in this, too: rows of `states`
# go to no topic, and alerts have several sources that are told one after the other. Refused events have no sequence:
# one may be held for long, and those of a record that cannot be read are told before.
_ABOUT: Final = {"states": ("station",), "alerts": ("kind", "station", "subject")}


def sequences(results: Iterable[Results]) -> dict[tuple[Any, ...], list[tuple[Any, ...]]]:
    """Rows in the order in which they leave, by set, line and what else keeps its sequence."""
    found: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for result in results:
        for name, table in result.tables.items():
            if name == "rejected":
                continue
            keys = rows(table, ("line", *_ABOUT.get(name, ())))
            for key, row in zip(keys, rows(table), strict=True):
                found.setdefault((name, *key), []).append(row)
    return found


def dicts(results: Iterable[Results], name: str) -> list[dict[str, Any]]:
    return [
        dict(zip(table.column_names, row, strict=True))
        for result in results
        if (table := result.tables.get(name)) is not None
        for row in rows(table)
    ]


def fold_once(plant: Plant, events: Sequence[Ev]) -> tuple[PartitionTwin, Results]:
    twin = PartitionTwin(plant, 0)
    return twin, twin.fold(block(events))
