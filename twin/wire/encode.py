"""From event columns back to the wire, and to the audited set `events`."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.codes import EVENT_NAMES, MEASURE, NONE
from twin.events.block import EventBlock
from twin.events.declare import ENTRY_FIELDS, EVENTS, JSON_NAME, PAYLOAD, WIRE, Field
from twin.plant.model import Plant
from twin.plant.shared import once_a_plant
from twin.results import EVENTS as EVENTS_SET
from twin.results import ORIGIN
from twin.wire.canonical import canonical_json
from twin.wire.entries import unpack
from twin.wire.lookup import I64
from twin.wire.measured import has_measures, texts_of
from twin.wire.sound import Bools

__all__ = ["ROWS", "EventRows", "arrow_record", "canonical_json", "events_table", "is_encoded", "json_records"]

_MOST_KEPT: Final = 1 << 17  # rows: longer empty columns are made anew
_ENCODER: Final = msgspec.json.Encoder()
# The set `events` without the columns that say where a row came from.
ROWS: Final = pa.schema([f for f in EVENTS_SET if f.name not in ORIGIN])
# Asked of Arrow, a name and a type of each column were made anew for each table.
_TYPES: Final = {f.name: f.type for f in ROWS}
# Which events have which fields: by type, and by `code` where a type has several forms.
_FORMS: Final = [
    (code, form)
    for code, payload in enumerate(PAYLOAD)
    for form in sorted({f.form for f in payload}, key=lambda form: NONE if form is None else form)
]


# Which types of events have a field of this name.
_WITH: Final[dict[str, list[tuple[int, Field]]]] = {
    column.name: [(code, f) for code, payload in enumerate(PAYLOAD) for f in payload if f.name == column.name]
    for column in ROWS
}
_EVENT_NAMES: Final = pa.array(EVENT_NAMES, pa.string())


def _nulls(name: str, rows: int) -> "pa.Array[Any]":
    """A column without a value, as most are: a part of one that is kept. New memory for twenty of them, cleared by the
    system page by page, took more than all that is in the other columns.
    """
    if rows > _MOST_KEPT:
        empty: pa.Array[Any] = pa.nulls(rows, _TYPES[name])
        return empty
    return _kept_nulls(1 << max(rows - 1, 0).bit_length())[name].slice(0, rows)


@lru_cache(maxsize=32)
def _kept_nulls(rows: int) -> "dict[str, pa.Array[Any]]":
    """All columns, of a power of two of rows, so that few lengths are kept. Those of one type are one."""
    kinds = {str(kind): kind for kind in _TYPES.values()}
    empty: dict[str, pa.Array[Any]] = {text: pa.nulls(rows, kind) for text, kind in kinds.items()}
    return {name: empty[str(kind)] for name, kind in _TYPES.items()}


class _Rows:
    """Which rows of a block are of a type and form, asked once."""

    def __init__(self, block: EventBlock) -> None:
        self.block = block
        self._types = frozenset(np.flatnonzero(np.bincount(block.type)).tolist())
        self._found: dict[tuple[int, int | None], Bools | None] = {}

    def of(self, code: int, form: int | None) -> Bools | None:
        """None: not one of them."""
        if code not in self._types:
            return None
        key = code, form
        if key not in self._found:
            mask = self.block.type == code
            if form is not None:
                mask &= self.block.code == form
            self._found[key] = mask if mask.any() else None
        return self._found[key]

    def spread(self, name: str) -> tuple[Field, I64] | None:
        """A payload field over all rows, -1 where an event has none; None where no event of the block has it."""
        found: I64 | None = None
        declared: Field | None = None
        for code, f in _WITH[name]:
            mask = self.of(code, f.form)
            if mask is None:
                continue
            assert f.column is not None
            values = np.where(mask, getattr(self.block, f.column), NONE)
            found = values if found is None else np.where(mask, values, found)
            declared = f
        if found is None or declared is None or (declared.kind != "decimal" and found.max() < 0):
            return None
        return declared, found


def _texts(indices: npt.NDArray[Any], names: "pa.Array[Any]", kind: pa.DataType) -> "pa.Array[Any]":
    """A text column from indices into `names` (-1: null), with only the names in use in its dictionary."""
    if not pa.types.is_dictionary(kind):
        return names.take(pa.array(indices, pa.int64(), mask=indices < 0))
    mark = np.zeros(len(names) + 1, np.bool_)
    mark[indices] = True
    used = np.flatnonzero(mark[:-1])
    place = np.zeros(len(names) + 1, np.int32)
    place[used] = np.arange(len(used), dtype=np.int32)
    # The last place is that of -1.
    codes = pa.array(place[indices], mask=indices < 0) if mark[-1] else pa.array(place[indices])
    return pa.DictionaryArray.from_arrays(codes, names if len(used) == len(names) else names.take(used))


class EventRows:
    """Turns blocks of one plant into rows; a large plant's names are gathered once, not with every block."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._lines = pa.array([line.id for line in plant.lines], pa.string())
        # Lines may name their stations alike: one entry per different name.
        ids = pa.array([s.id for s in plant.stations], pa.string()).dictionary_encode()
        self._station_of = np.append(np.asarray(ids.indices), NONE)
        self._stations = ids.dictionary

    def table(self, block: EventBlock) -> pa.Table:
        """The block as rows of the audited set `events`, without the columns that say where they came from.

        An absent field is null; a count of parts has 0 for the qualities it did not name.
        """
        if block.rows is not None:
            return block.rows
        kind = _TYPES["line"]
        line = _texts(block.line, self._lines, kind)
        return _table(block, self._plant, line, _texts(self._station_of[block.station], self._stations, kind))


def is_encoded(table: pa.Table, block: EventBlock) -> bool:
    """Whether `table` is, cell by cell, what `EventRows.table` makes of `block`, which was decoded from it.

    Every value of the block is the table's, so what is left to ask is whether both have one in the same places.
    """
    # A value may be written in several ways.
    if not table.schema.equals(ROWS) or table.num_rows != len(block) or has_measures(block):
        return False
    present: dict[str, Bools] = {"station": block.station >= 0, "seq": block.seq >= 0}
    for code, form in _FORMS:
        rows = block.type == code
        if form is not None:
            rows &= block.code == form
        if not rows.any():
            continue
        for f in PAYLOAD[code]:
            if f.form == form and f.column != "entry":
                assert f.column is not None
                mine = rows if f.absent != NONE else rows & (getattr(block, f.column) >= 0)
                present[f.name] = present[f.name] | mine if f.name in present else mine
    if (block.entry >= 0).any():
        for name, values in zip(ENTRY_FIELDS, zip(*unpack(block.words, block.entry), strict=True), strict=True):
            present[name] = np.array([value is not None for value in values])
    return all(_has(table.column(f.name), f.nullable, present.get(f.name)) for f in ROWS)


def _has(column: "pa.ChunkedArray[Any]", nullable: bool, present: Bools | None) -> bool:
    """Whether a column has values where it must: everywhere, nowhere (None) or in these rows."""
    chunks: list[Any] = column.chunks
    if pa.types.is_dictionary(column.type) and any(chunk.dictionary.null_count for chunk in chunks):
        return False  # a null behind an index: the audit takes null indices only
    if not nullable:
        return not column.null_count
    if present is None:
        return column.null_count == len(column)
    return np.array_equal(np.asarray(column.is_valid()), present)


def events_table(block: EventBlock, plant: Plant) -> pa.Table:
    """As `EventRows.table`, for a single block."""
    return EventRows(plant).table(block)


def _table(block: EventBlock, plant: Plant, line: "pa.Array[Any]", station: "pa.Array[Any]") -> pa.Table:
    words = pa.array(block.words, pa.string())
    rows = _Rows(block)
    empty: Callable[[str], pa.Array[Any]] = partial(_nulls, rows=len(block))
    heads = {
        "line": line,
        "station": station,
        "type": _texts(block.type, _EVENT_NAMES, _TYPES["type"]),
        "ts": pa.array(block.ts).view(_TYPES["ts"]),
        "epoch": pa.array(block.epoch),
        "seq": pa.array(block.seq, mask=block.seq < 0),
    }
    arrays: list[pa.Array[Any]] = []
    said = _said(block) if (block.entry >= 0).any() else None
    for name, kind in _TYPES.items():
        if name in heads:
            arrays.append(heads[name])
            continue
        if name in ENTRY_FIELDS:
            arrays.append(empty(name) if said is None else said[name])
            continue
        spread = rows.spread(name)
        if spread is None:
            arrays.append(empty(name))
            continue
        field, values = spread
        if field.kind == "decimal":
            arrays.append(_measured(block, plant))
        elif field.kind == "integer":
            arrays.append(pa.array(values, mask=values < 0))
        elif field.kind == "time":
            arrays.append(pa.array(values, mask=values < 0).view(kind))
        else:
            names = pa.array(field.choices, pa.string()) if field.kind == "choice" else words
            arrays.append(_texts(values, names, kind))
    return pa.Table.from_arrays(arrays, schema=ROWS)


def _measured(block: EventBlock, plant: Plant) -> "pa.Array[Any]":
    rows = np.flatnonzero(block.type == MEASURE)
    place = np.full(len(block), NONE, np.int64)
    place[rows] = np.arange(len(rows))
    return _texts(place, pa.array(texts_of(block, rows, plant), pa.string()), pa.string())


def _said(block: EventBlock) -> "dict[str, pa.Array[Any]]":
    """The columns of what people have entered."""
    columns = zip(*unpack(block.words, block.entry), strict=True)
    found = {}
    for name, values in zip(ENTRY_FIELDS, columns, strict=True):
        kind = _TYPES[name]
        plain = pa.array(values, pa.int64() if pa.types.is_timestamp(kind) else pa.string())
        found[name] = plain.view(kind) if pa.types.is_timestamp(kind) else plain.dictionary_encode().cast(kind)
    return found


def arrow_record(block: EventBlock, plant: Plant) -> bytes:
    """All events of the block as one Arrow IPC stream, without the columns that are null throughout.

    One record holds the events of one line (its key): raises `ValueError` for several.
    """
    if len(block) and (block.line != block.line[0]).any():
        raise ValueError("an Arrow record holds the events of one line: divide the block by line first")
    table = events_table(block, plant)
    full = [name for name in WIRE if name in ("type", "ts", "line") or table.column(name).null_count < len(table)]
    table = table.select(full)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


@once_a_plant
def _ids(plant: Plant) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    """Ids of the lines; ids of the stations, behind them None."""
    lines = np.array([line.id for line in plant.lines], object)
    return lines, np.array([*(s.id for s in plant.stations), None], object)


def json_records(block: EventBlock, plant: Plant) -> list[bytes]:
    """Each event as canonical JSON, in the block's order."""
    words = np.array([*block.words, None], object)
    lines, stations = _ids(plant)
    records: list[bytes] = [b""] * len(block)
    for code in range(len(EVENTS)):
        forms = sorted({f.form for f in PAYLOAD[code]} - {None}, key=int) or [None]  # type: ignore[arg-type]  # no None
        for form in forms:
            mask = block.type == code
            rows = np.flatnonzero(mask if form is None else mask & (block.code == form))
            columns: dict[str, list[object]] = {
                "type": [EVENT_NAMES[code]] * len(rows),
                "ts": block.ts[rows].tolist(),
                "line": lines[block.line[rows]].tolist(),
                "station": stations[block.station[rows]].tolist(),
                "epoch": [v or None for v in block.epoch[rows].tolist()],
                "seq": _optional(block.seq[rows]),
            }
            if any(f.column == "entry" for f in PAYLOAD[code]):
                said = unpack(block.words, block.entry[rows])
                columns |= {name: [one[k] for one in said] for k, name in enumerate(ENTRY_FIELDS)}
            for f in PAYLOAD[code]:
                if f.kind == "decimal":
                    columns[f.name] = [msgspec.Raw(text.encode()) for text in texts_of(block, rows, plant)]
                elif f.form in (None, form) and f.column != "entry":
                    columns[f.name] = _values(f, block, rows, words)
            names = tuple(name for name in WIRE if name in columns)
            keys = tuple(JSON_NAME.get(name, name) for name in names)
            for row, values in zip(rows.tolist(), zip(*(columns[n] for n in names), strict=True), strict=True):
                records[row] = _ENCODER.encode({k: v for k, v in zip(keys, values, strict=True) if v is not None})
    return records


def _optional(values: I64) -> list[object]:
    return [None if v < 0 else v for v in values.tolist()]


def _values(field: Field, block: EventBlock, rows: I64, words: npt.NDArray[np.object_]) -> list[object]:
    assert field.column is not None
    values = getattr(block, field.column)[rows]
    match field.kind:
        case "integer" | "time":
            return _optional(values)
        case "choice":
            return [field.choices[v] if v >= 0 else None for v in values.tolist()]
        case _:
            listed: list[object] = words[values].tolist()  # -1 finds the None at the end
            return listed
