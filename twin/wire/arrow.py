"""Arrow IPC streams to columns: batches of one schema together, each dictionary entry looked at once."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kernels.codes import INVALID, NONE
from twin.events.block import Rejected
from twin.events.declare import (
    EVENTS,
    MAX_ARROW_COLUMNS,
    MAX_ARROW_DECODED_BYTES,
    MAX_EVENTS_PER_RECORD,
    PAYLOAD,
    TYPE_CODE,
    WIRE,
    YEAR_2200_NS,
    Field,
)
from twin.wire import explain
from twin.wire.canonical import canonical_json
from twin.wire.forms import UNIT_NS, Forms
from twin.wire.framing import Frame, UnreadableError, check
from twin.wire.lookup import I32, I64, Lookup, Words, by_pair
from twin.wire.part import EVENT_BYTES, Offsets, Part, Refusal
from twin.wire.sound import Rows, finish

Layout = dict[str, int]  # field -> column
Texts = list[str | None]
_SMALL: Final = 256
SMALL_BYTES: Final = 4 << 20
_MAX_LAYOUTS: Final = 1024
_OPTIONS: Final = pa.ipc.IpcReadOptions(use_threads=False)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _misfit(field: Field, kind: pa.DataType) -> str | None:
    """What to send instead, when a column of this type cannot hold the field."""
    words = _is_text(kind) or (pa.types.is_dictionary(kind) and _is_text(kind.value_type))
    if field.kind in ("text", "choice"):
        return None if words else "send a string or a dictionary of strings"
    if field.kind == "decimal":
        fits = words or pa.types.is_int64(kind) or pa.types.is_float64(kind) or pa.types.is_decimal128(kind)
        return None if fits else "send a string, decimal128, float64 or int64"
    if pa.types.is_integer(kind):
        return None
    if field.kind == "time":
        zoned = pa.types.is_timestamp(kind) and kind.tz is not None
        return None if zoned else "send int64 (ns since 1970 UTC) or a timestamp with a time zone"
    return "send int64"


def layout(schema: pa.Schema) -> Layout:
    """Which column holds which field. A column of type null is absent, an unknown name is ignored.

    Raises `UnreadableError` where a column cannot hold its field.
    """
    if len(schema) > MAX_ARROW_COLUMNS:
        raise UnreadableError("too_large", f"{len(schema)} columns, at most {MAX_ARROW_COLUMNS} are taken")
    found: Layout = {}
    for index, (name, kind) in enumerate(zip(schema.names, schema.types, strict=True)):
        if name not in WIRE or pa.types.is_null(kind):
            continue
        if name in found:
            raise UnreadableError("not_arrow", f"column {name} is there twice")
        if instead := _misfit(WIRE[name], kind):
            raise UnreadableError("not_arrow", f"column {name} is {kind}: {instead}")
        found[name] = index
    return found


class Opened(NamedTuple):
    """One record: the key and the layout of its schema, its batches with rows, and how much they take at most."""

    key: bytes
    layout: Layout
    batches: list[pa.RecordBatch]
    decoded_bytes: int


class ArrowReader:
    """Opens records; remembers the layouts of the schemas it has seen, and the forms of the records."""

    def __init__(self, forms: Forms) -> None:
        self._layouts: dict[bytes, Layout] = {}
        self._forms = forms

    def read(self, value: bytes) -> Opened:
        """Open one record. Raises `UnreadableError`."""
        frame = check(value)
        try:
            return self._read(frame, value)
        except UnreadableError:
            raise
        except Exception as fault:  # whatever Arrow raises for hostile bytes, the record is not readable
            raise UnreadableError("not_arrow", f"not an Arrow IPC stream: {str(fault)[:200]}") from fault

    def _read(self, frame: Frame, value: bytes) -> Opened:
        key = frame.schema
        reader = pa.ipc.open_stream(value, options=_OPTIONS)
        found = self._layouts.get(key)
        if found is None:
            found = layout(reader.schema)
            if len(self._layouts) >= _MAX_LAYOUTS:
                self._layouts.clear()
            self._layouts[key] = found
        batches: list[pa.RecordBatch] = []
        rows = unfolded = 0
        for batch in reader:
            rows += batch.num_rows
            if rows > MAX_EVENTS_PER_RECORD:
                detail = f"over {MAX_EVENTS_PER_RECORD} events in one record: send several"
                raise UnreadableError("too_large", detail)
            batch.validate(full=True)
            if batch.num_rows:
                batches.append(batch)
                unfolded += _unfolded_bytes(batch, found, frame.dictionary_bytes)
            if unfolded > MAX_ARROW_DECODED_BYTES:
                detail = f"over {MAX_ARROW_DECODED_BYTES} bytes with every text written out: send several records"
                raise UnreadableError("too_large", detail)
        if batches:
            self._forms.learn(value, key, reader.schema)
        return Opened(key, found, batches, frame.decoded_bytes + unfolded)


def _unfolded_bytes(batch: pa.RecordBatch, columns: Layout, dictionary_bytes: int) -> int:
    """How long the texts of a batch are at most when each row has its own: many rows may name one long text."""
    rows = batch.num_rows
    kinds = batch.schema.types
    views = [i for i in columns.values() if pa.types.is_string_view(getattr(kinds[i], "value_type", kinds[i]))]
    if not views and rows * dictionary_bytes <= SMALL_BYTES:  # no text is longer than all together
        return rows * dictionary_bytes
    total = 0
    for i in columns.values():
        column: Any = batch.column(i)
        if pa.types.is_dictionary(column.type):
            lengths = _lengths(column.dictionary)
            total += int(lengths.sum()) if i in views else 0
            total += int(np.append(lengths, 0)[_codes(column.indices)].sum())
        elif i in views:
            total += int(_lengths(column).sum())
    return total


def _lengths(texts: "pa.Array[Any]") -> I64:
    """Bytes of each text. Views are read as the format has them: Arrow's kernels do not take them yet."""
    if pa.types.is_string_view(texts.type):
        views = texts.buffers()[1]
        if views is None:
            return np.zeros(len(texts), np.int64)
        # A view is four int32, the first of them its length.
        first = np.frombuffer(memoryview(views), np.int32)[4 * texts.offset :: 4][: len(texts)]
        return np.where(np.asarray(texts.is_valid()), first, 0).astype(np.int64)
    lengths: Any = pc.binary_length(cast("pa.StringArray", texts))  # or large_string
    return np.asarray(lengths.fill_null(0)).astype(np.int64)


class ArrowRun:
    """The Arrow records of one run: `add` each, then `parts`."""

    def __init__(self, lookup: Lookup, words: Words, reader: ArrowReader, offsets: Offsets) -> None:
        self._lookup = lookup
        self._words = words
        self._reader = reader
        self._offsets = offsets
        self._groups: dict[bytes, tuple[Layout, list[pa.RecordBatch], list[int]]] = {}
        self._pending = 0
        self._parts: list[Part] = []
        self._refused: list[Refusal] = []

    def add(self, record: int, value: bytes) -> int:
        """Open record number `record` of the run. Returns about how many bytes it takes once decoded."""
        try:
            opened = self._reader.read(value)
        except UnreadableError as fault:
            rejected = Rejected(fault.reason, fault.detail, int(self._offsets[record]), value)
            self._refused.append((record, 0, rejected))
            return len(value)
        _, together, records = self._groups.setdefault(opened.key, (opened.layout, [], []))
        together += opened.batches
        records += [record] * len(opened.batches)
        # Hold no more than one record may unpack to, however many come in one run.
        self._pending += opened.decoded_bytes
        if self._pending > MAX_ARROW_DECODED_BYTES:
            self._flush()
        return opened.decoded_bytes + EVENT_BYTES * sum(batch.num_rows for batch in opened.batches)

    def _flush(self) -> None:
        for columns, batches, records in self._groups.values():
            record = np.repeat(np.array(records, np.int64), [b.num_rows for b in batches])
            chunks = {name: [b.column(i) for b in batches] for name, i in columns.items()}
            self._parts.append(part(chunks, record, self._offsets, self._lookup, self._words))
        self._groups.clear()
        self._pending = 0

    def parts(self) -> list[Part]:
        """One part for each schema, and one for the records that could not be read."""
        self._flush()
        return [*self._parts, Part.of_refusals(self._refused)]


Chunks = Mapping[str, Sequence["pa.Array[Any]"]]


def part(chunks: Chunks, record: I64, offsets: Offsets, lookup: Lookup, words: Words) -> Part:
    """Events of Arrow columns by field name. `record` gives each row's record, `offsets` each record's offset."""
    table = _Columns(chunks, len(record))
    rows = _rows(table, record, lookup, words)
    columns, ok = finish(rows, lookup, words)
    refused: list[Refusal] = []
    if not ok.all():
        bad = np.flatnonzero(~ok)
        for row, event in zip(bad.tolist(), table.events(bad), strict=True):
            reason, detail = explain.fault(event, lookup) or ("wrong_type", "not an event the decoder accepts")
            i = int(record[row])
            value = canonical_json(event)
            refused.append((i, row, Rejected(reason, detail, int(offsets[i]), value, *explain.claim(event, lookup))))
    return Part(columns, record, refused).keep(ok)


class _Columns:
    """Columns by field name, each of all the batches together."""

    def __init__(self, chunks: Chunks, length: int) -> None:
        self._chunks = chunks
        self._length = length
        self._texts: dict[str, tuple[I32, Texts]] = {}

    def integers(self, name: str) -> I64:
        """The values; -1 where null, below where negative or, for a time, out of range."""
        chunks = self._chunks.get(name)
        if not chunks:
            return np.full(self._length, NONE, np.int64)
        column = chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks)
        if column.null_count and pa.types.is_int64(column.type):
            filled: I64 = np.asarray(column.fill_null(NONE))
            if np.count_nonzero(filled < 0) == column.null_count:  # nothing negative was sent
                return filled
        valid = np.asarray(column.is_valid()) if column.null_count else None
        scale = 1
        if pa.types.is_timestamp(column.type):
            scale = UNIT_NS[column.type.unit]
            column = column.view(pa.int64())
        raw = np.asarray(column if valid is None else column.fill_null(0))
        # An unsigned integer above int64 turns negative here: refused all the same.
        values = raw.astype(np.int64, copy=False)
        if scale > 1:
            values = np.where((values >= 0) & (values < YEAR_2200_NS // scale), values, INVALID) * scale
        if len(values) and values.min() < 0:
            values = np.where(values < 0, INVALID, values)
        return values if valid is None else np.where(valid, values, NONE)

    def places(self, lookup: Lookup) -> I64:
        """The plant's number of each event's place, -1 where unknown."""
        line, lines = self.texts("line")
        station, stations = self.texts("station")

        def place(at_line: int, at_station: int) -> int:
            if at_line < 0:
                return NONE
            return lookup.places.get((lines[at_line], stations[at_station] if at_station >= 0 else None), NONE)

        return by_pair(line, station, place)

    def texts(self, name: str) -> tuple[I32, Texts]:
        """Indices into a list of texts, -1 (or a None in the list) where null."""
        if name not in self._texts:
            self._texts[name] = self._encode(name)
        return self._texts[name]

    def _encode(self, name: str) -> tuple[I32, Texts]:
        chunks = self._chunks.get(name)
        if not chunks:
            return np.full(self._length, NONE, np.int32), []
        if not pa.types.is_dictionary(chunks[0].type):
            chunks = [_plain(pa.concat_arrays(chunks)).dictionary_encode()]
        encoded = cast("Sequence[pa.DictionaryArray[Any, Any]]", chunks)
        codes = _codes(pa.concat_arrays([c.indices for c in encoded]) if len(encoded) > 1 else encoded[0].indices)
        entries = [c.dictionary for c in encoded]
        if len(entries) > 1:
            # Dictionaries one after the other: to unite them in Arrow fails on nulls and on int8 indices.
            sizes = np.array([len(e) for e in entries], np.int32)
            shift = np.repeat(np.cumsum(sizes, dtype=np.int32) - sizes, [len(c) for c in encoded])
            codes = codes + shift if codes.min() >= 0 else np.where(codes < 0, NONE, codes + shift)
        distinct = _plain(pa.concat_arrays(entries) if len(entries) > 1 else entries[0])
        if len(entries) > 1:
            united = distinct.dictionary_encode()
            distinct = united.dictionary
            codes = np.append(_codes(united.indices), np.int32(NONE)).take(codes)
        if len(distinct) <= _SMALL or len(distinct) * 4 <= len(codes):
            return codes, distinct.to_pylist()
        # A long dictionary may be mostly idle: only the entries in use become Python texts.
        mark = np.zeros(len(distinct) + 1, np.bool_)
        mark[codes] = True
        used = np.flatnonzero(mark[:-1])
        place = np.full(len(distinct) + 1, NONE, np.int32)
        place[used] = np.arange(len(used), dtype=np.int32)
        return place.take(codes), distinct.take(used).to_pylist()

    def mapped(self, name: str, codes: Mapping[str, int]) -> I32:
        """The code of each text: -1 where null, below where it has none."""
        at, texts = self.texts(name)
        return _pick([NONE if text is None else codes.get(text, INVALID) for text in texts], at)

    def words(self, field: Field, words: Words) -> I32:
        """The word of each text: -1 where null, below where the field does not allow it."""
        at, texts = self.texts(field.name)
        least, most = field.minimum, field.maximum
        return _pick([words[t] if t is None or least <= len(t) <= most else INVALID for t in texts], at)

    def decimals(self, field: Field, words: Words) -> I32:
        """The word of each value's text: -1 where null, below where it is too long."""
        chunks = self._chunks.get(field.name)
        if not chunks or pa.types.is_dictionary(chunks[0].type) or _is_text(chunks[0].type):
            return self.words(field, words)
        column: Any = pa.concat_arrays(chunks)
        if pa.types.is_float64(column.type):  # the shortest text that is this number
            texts = [None if value is None else repr(value) for value in column.to_pylist()]
        else:
            texts = column.cast(pa.string()).to_pylist()
        return np.fromiter((words[text] for text in texts), np.int32, self._length)

    def events(self, rows: npt.NDArray[np.int64]) -> list[dict[str, object]]:
        """These rows as events, without what is null; times in ns as far as a timestamp says."""
        listed: dict[str, list[object]] = {}
        for name, chunks in self._chunks.items():
            if not chunks:
                continue
            column = pa.chunked_array(chunks)
            if pa.types.is_timestamp(column.type):
                scale = UNIT_NS[column.type.unit]
                raw = pa.chunked_array([c.view(pa.int64()) for c in chunks]).take(rows).to_pylist()
                listed[name] = [None if v is None else v * scale for v in raw]
            elif pa.types.is_dictionary(column.type) or pa.types.is_string_view(column.type):
                at, texts = self.texts(name)
                listed[name] = [None if i < 0 else texts[i] for i in at[rows].tolist()]
            else:
                listed[name] = column.take(rows).to_pylist()
        return [{name: values[i] for name, values in listed.items() if values[i] is not None} for i in range(len(rows))]


def _pick(values: list[int], at: I32) -> I32:
    """`values[at]`; -1 where `at` is -1: it finds the -1 at the end. (`take` is thrice as fast as `[]` with int32.)"""
    values.append(NONE)
    return np.array(values, np.int32).take(at)


def _plain(texts: "pa.Array[Any]") -> "pa.Array[Any]":
    """Without the views that Arrow's kernels do not take yet."""
    return texts.cast(pa.string()) if pa.types.is_string_view(texts.type) else texts


def _codes(indices: "pa.Array[Any]") -> I32:
    """Indices as int32, -1 where null."""
    if indices.null_count and pa.types.is_signed_integer(indices.type):
        return np.asarray(indices.fill_null(NONE)).astype(np.int32, copy=False)
    if indices.null_count:
        valid = np.asarray(indices.is_valid())
        # First wider: an unsigned index has no -1, and 255 is a word of its own.
        return np.where(valid, np.asarray(indices.fill_null(0)).astype(np.int32), np.int32(NONE))
    return np.asarray(indices).astype(np.int32, copy=False)


def _rows(table: _Columns, record: I64, lookup: Lookup, words: Words) -> Rows:
    types = table.mapped("type", TYPE_CODE)
    rows = Rows(
        record=record,
        type=types,
        place=table.places(lookup),
        ts=table.integers("ts"),
        epoch=table.integers("epoch"),
        seq=table.integers("seq"),
    )
    for code in range(len(EVENTS)):
        where = np.flatnonzero(types == code)
        if not len(where):
            continue
        fields = {f.name: _payload(table, f, words) for f in PAYLOAD[code]}
        if len(where) == len(record):
            rows.payload[code] = (None, fields)
        else:
            rows.payload[code] = (where, {name: values.take(where) for name, values in fields.items()})
    return rows


def _payload(table: _Columns, field: Field, words: Words) -> npt.NDArray[Any]:
    match field.kind:
        case "integer" | "time":
            return table.integers(field.name)
        case "decimal":
            return table.decimals(field, words)
        case "choice":
            return table.mapped(field.name, {choice: i for i, choice in enumerate(field.choices)})
        case _:
            return table.words(field, words)
