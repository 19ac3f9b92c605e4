"""Rows of the audited set `events` back to a block, where encoding the block would give these very rows.

What a twin wrote is nearly always so, and then decoding, checking every cell and asking whether the rows may be carried
on is one pass over each column. All else is `None`: the general decoder says what is wrong with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.codes import BUFFER, CORRECTION, COUNT, COUNTER, INVALID, MEASURE, NONE, ORDER, STATE
from kernels.read import parquet_cells
from twin.events.block import DTYPES, EventBlock
from twin.events.declare import ENTRY_FIELDS, EVENTS, NEEDS_STATION, PAYLOAD, TYPE_CODE, YEAR_2200_NS, Field
from twin.wire.lookup import I32, I64, Lookup, Words
from twin.wire.sound import DEFAULTS

I8 = npt.NDArray[np.int8]
U8 = npt.NDArray[np.uint8]
# Kinds are the types, and one more: a count that shows a counter has other fields than one of parts.
_SHOWS: Final = len(EVENTS)
_NEEDS: Final = np.array(NEEDS_STATION, np.int8)
_EVERYWHERE: Final = np.frombuffer(b"", np.uint8)  # no bitmap: every cell has a value
_SMALL: Final = 256


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a field goes: its declaration, and by kind whether an event has it."""

    field: Field
    wanted: I8


def _declared() -> dict[str, _Place]:
    places: dict[str, _Place] = {}
    for code, payload in enumerate(PAYLOAD):
        if code == MEASURE:  # left to the general decoder
            continue
        for f in payload:
            # Parts that name their order have it elsewhere, and what people enter is rare: left to the general decoder.
            if (f.name == "order" and code != ORDER) or f.name == "corrects" or f.column == "entry":
                continue
            place = places.setdefault(f.name, _Place(f, np.zeros(_SHOWS + 1, np.int8)))
            if code == CORRECTION:  # rare, and its fields go elsewhere, too
                continue
            assert (place.field.column, place.field.absent) == (f.column, f.absent), f"{f.name} has two places"
            # Encoding gives a count of parts all its numbers, and a counter both of its fields.
            always = f.required or f.absent != NONE or f.form == COUNTER
            kind = _SHOWS if code == COUNT and f.form == COUNTER else code
            place.wanted[kind] = parquet_cells.ALWAYS if always else parquet_cells.MAYBE
    return places


_PLACES: Final = _declared()


class _UnusualError(Exception):
    """Not as encoding gives it, or too odd to be worth a pass of its own."""


@dataclass(frozen=True, slots=True)
class _Column:
    """The buffers of a column without a copy."""

    values: Any  # indices, integers or times
    there: U8
    shift: int
    texts: Sequence[str]

    @classmethod
    def of(cls, column: "pa.ChunkedArray[Any]", dtype: type[np.generic]) -> "_Column":
        if column.num_chunks != 1:
            raise _UnusualError
        chunk: Any = column.chunk(0)
        texts: Sequence[str] = ()
        if pa.types.is_string(chunk.type):
            chunk.validate(full=True)
            chunk = chunk.dictionary_encode()
        if pa.types.is_dictionary(chunk.type):
            if chunk.dictionary.null_count or len(chunk.dictionary) > max(_SMALL, len(chunk) // 4):
                raise _UnusualError
            texts = chunk.dictionary.to_pylist()
            chunk = chunk.indices
        there, values = chunk.buffers()
        bitmap = np.frombuffer(there, np.uint8) if there is not None and chunk.null_count else _EVERYWHERE
        first = chunk.offset
        return cls(np.frombuffer(values, dtype)[first : first + len(chunk)], bitmap, first, texts)


class StoredReader:
    """Reads rows of one plant; remembers the places that the names of the last rows gave."""

    def __init__(self, lookup: Lookup, schema: pa.Schema) -> None:
        self._lookup = lookup
        self._schema = schema
        self._names: tuple[Sequence[str], Sequence[str]] = ((), ())
        self._places: I32 = np.empty((0, 1), np.int32)

    def read(self, table: pa.Table, offsets: I64) -> EventBlock | None:
        """The events of `table`, or None. Rows that are damaged in any way give None, too."""
        if not table.num_rows or not table.schema.equals(self._schema):
            return None
        try:
            return self._read(table, offsets)
        except (_UnusualError, pa.ArrowException, UnicodeDecodeError):
            return None

    def _read(self, table: pa.Table, offsets: I64) -> EventBlock:
        for f in self._schema:
            if not f.nullable and table.column(f.name).null_count:
                raise _UnusualError
        n = table.num_rows
        place, kinds = self._heads(table)
        columns: dict[str, npt.NDArray[Any]] = {
            "line": self._lookup.line_of.take(place),
            "station": self._lookup.station_of.take(place),
            "type": kinds,
            "ts": _whole(table, "ts", YEAR_2200_NS, self._lookup.earliest_ns),
            "epoch": _whole(table, "epoch"),
            "seq": _whole(table, "seq"),
            "offset": offsets,
        }
        columns |= {name: np.full(n, empty, DTYPES[name]) for name, empty in DEFAULTS.items()}
        if table.column("counter").null_count < n:
            counter = _Column.of(table.column("counter"), np.int32)
            kinds = kinds.copy()
            parquet_cells.mark(kinds, counter.there, counter.shift, COUNT, _SHOWS)
        numbers = np.zeros(_SHOWS + 1, np.int64)
        parquet_cells.tally(kinds, numbers)
        if (
            numbers[MEASURE]
            or numbers[CORRECTION]
            or any(
                table.column(name).null_count < n for name in ("corrects", "measure", "measured", "n", *ENTRY_FIELDS)
            )
        ):
            raise _UnusualError
        words = Words()
        for name, where in _PLACES.items():
            if table.column(name).null_count < n:
                _place(table.column(name), where, kinds, columns[str(where.field.column)], words)
            elif numbers[where.wanted == parquet_cells.ALWAYS].any():
                raise _UnusualError
            elif where.field.kind in ("integer", "time") and where.field.absent:
                for kind in np.flatnonzero((where.wanted == parquet_cells.MAYBE) & (numbers > 0)):
                    columns[str(where.field.column)][kinds == kind] = where.field.absent
        self._check(kinds, numbers, columns, words)
        block = EventBlock(**columns, words=tuple(words.texts))
        block.rows = table
        return block

    def _heads(self, table: pa.Table) -> tuple[I32, I8]:
        line, station, kind = (_Column.of(table.column(name), np.int32) for name in ("line", "station", "type"))
        if (line.texts, station.texts) != self._names:
            if len(line.texts) * (len(station.texts) + 1) > 4 * table.num_rows + 1024:
                raise _UnusualError
            found = self._lookup.places
            by_name = [[found.get((one, other), NONE) for other in (*station.texts, None)] for one in line.texts]
            self._places = np.array(by_name, np.int32).reshape(len(line.texts), -1)
            self._names = line.texts, station.texts
        types = np.array([TYPE_CODE.get(text, INVALID) for text in kind.texts], np.int8)
        place, kinds = np.empty(table.num_rows, np.int32), np.empty(table.num_rows, np.int8)
        if not parquet_cells.heads(
            line.values,
            station.values,
            station.there,
            station.shift,
            kind.values,
            self._places,
            types,
            _NEEDS,
            place,
            kinds,
        ):
            raise _UnusualError
        return place, kinds

    def _check(self, kinds: I8, numbers: I64, columns: dict[str, Any], words: Words) -> None:
        """The plant's rules that no column can tell by itself."""
        plant = self._lookup
        if numbers[STATE]:
            told = np.flatnonzero(kinds == STATE)
            classes = plant.states.find(columns["station"][told], columns["x"][told], words.texts)
            if classes.min() < 0:
                raise _UnusualError
            columns["code"][told] = classes
        for kind, owner, most in ((_SHOWS, "station", plant.counter_max), (BUFFER, "line", plant.buffer_max)):
            if numbers[kind]:
                told = np.flatnonzero(kinds == kind)
                if (columns["a"][told] > most.find(columns[owner][told], columns["x"][told], words.texts)).any():
                    raise _UnusualError
        if numbers[_SHOWS]:
            columns["code"][kinds == _SHOWS] = COUNTER


def _whole(table: pa.Table, name: str, end: int | None = None, first: int = 0) -> I64:
    """A column of integers from `first` on (below `end`), -1 where there is none."""
    column: Any = table.column(name)
    if column.num_chunks != 1:
        raise _UnusualError
    chunk = column.chunk(0)
    if pa.types.is_timestamp(chunk.type):
        chunk = chunk.view(pa.int64())
    nulls = chunk.null_count
    values: I64 = np.asarray(chunk.fill_null(NONE) if nulls else chunk)
    least = int(values.min())
    if least < (NONE if nulls else first) or (nulls and np.count_nonzero(values < 0) != nulls):
        raise _UnusualError
    if end is not None and values.max() >= end:
        raise _UnusualError
    return values


def _place(column: "pa.ChunkedArray[Any]", where: _Place, kinds: I8, to: npt.NDArray[Any], words: Words) -> None:
    f = where.field
    if f.kind in ("integer", "time"):
        cell = _Column.of(column, np.int64)
        sound = parquet_cells.counted(kinds, where.wanted, cell.there, cell.shift, cell.values, f.absent, to)
    else:
        cell = _Column.of(column, np.int32)
        if f.kind == "choice":
            numbers = [f.choices.index(text) if text in f.choices else INVALID for text in cell.texts]
        else:
            numbers = [words[text] if f.minimum <= len(text) <= f.maximum else INVALID for text in cell.texts]
        sound = parquet_cells.named(
            kinds, where.wanted, cell.there, cell.shift, cell.values, np.array(numbers, np.int32), to
        )
    if not sound:
        raise _UnusualError
