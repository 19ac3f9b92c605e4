"""Arrow records: every tolerated form gives the same events, every broken one is refused as a whole or by its row."""

import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kernels import codes
from tests.support.wire import PLANT, TS, events_of
from tests.unit.twin.wire.test_wire_json import GOOD
from twin.events.block import DTYPES, EventBlock, Rejected
from twin.events.declare import MAX_ARROW_BYTES, MAX_ARROW_DECODED_BYTES, MAX_EVENTS_PER_RECORD
from twin.results import EVENTS, ORIGIN
from twin.wire.decode import ARROW, Decoder
from twin.wire.encode import arrow_record, events_table, json_records


def stream(*batches: pa.RecordBatch | pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for batch in batches:
            writer.write(batch)
    return sink.getvalue().to_pybytes()


def table(**columns: Any) -> pa.Table:
    """Two states of L1/M1, with columns replaced (None: left out) or added."""
    whole = {
        "type": ["state", "state"],
        "ts": [TS, TS + 1],
        "line": ["L1", "L1"],
        "station": ["M1", "M2"],
        "state": ["RUN", "P"],
    } | columns
    return pa.table({name: values for name, values in whole.items() if values is not None})


def decode(*values: bytes, encodings: list[str | None] | None = None) -> tuple[EventBlock, list[Rejected]]:
    return Decoder(PLANT).decode(values, range(100, 100 + len(values)), encodings)


def block_of(line: str | None = None) -> EventBlock:
    """All good JSON events (of one line)."""
    records = [json.dumps(event).encode() for event, _ in GOOD if line is None or event["line"] == line]
    block, refused = Decoder(PLANT).decode(records, range(len(records)))
    assert refused == []
    return block


DECODER = Decoder(PLANT)
EXPECTED = events_of(decode(stream(table()))[0])


def encoded(values: list[str | None], index: Any, text: Any = None) -> pa.Array:
    """A dictionary column with an entry twice and one that is not used."""
    entries = pa.array(["idle", "idle", *values], pa.string()).cast(text or pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(range(2, 2 + len(values)), index), entries)


@pytest.mark.parametrize(
    "columns",
    [
        {"type": encoded(["state", "state"], pa.int8())},
        {"state": encoded(["RUN", "P"], pa.int16()), "station": encoded(["M1", "M2"], pa.int32())},
        {"state": encoded(["RUN", "P"], pa.uint8()), "line": encoded(["L1", "L1"], pa.int64())},
        {"state": encoded(["RUN", "P"], pa.int8(), pa.large_string())},
        {"state": encoded(["RUN", "P"], pa.int8(), pa.string_view())},
        {"state": pa.array(["RUN", "P"], pa.large_string())},
        {"state": pa.array(["RUN", "P"], pa.string_view())},
        {"ts": pa.array([TS, TS + 1], pa.timestamp("ns", "UTC"))},
        {"ts": pa.array([TS, TS + 1], pa.timestamp("ns", "Europe/Berlin"))},
        {"ts": pa.array([TS, TS + 1], pa.uint64())},
        {"reason": pa.nulls(2), "seq": pa.nulls(2)},
        {"reason": pa.array([None, None], pa.string()), "seq": pa.array([None, None], pa.int64())},
        {"mode": pa.DictionaryArray.from_arrays(pa.array([0, None], pa.int8()), pa.array([None], pa.string()))},
        {"level": pa.array([5, -5]), "phase": ["x", None]},  # fields of other types do not matter
        {"colour": ["red", "blue"], "deep": [[1.5], None]},
    ],
)  # fmt: skip
def test_every_tolerated_form_gives_the_same_events(columns: dict[str, Any]) -> None:
    block, refused = decode(stream(table(**columns)))
    assert refused == []
    assert events_of(block) == EXPECTED


@pytest.mark.parametrize(("unit", "scale"), [("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1)])
def test_time_units(unit: str, scale: int) -> None:
    ts = pa.array([TS // scale, None], pa.timestamp(unit, "UTC"))
    block, refused = decode(stream(table(ts=ts)))
    assert block.ts.tolist() == [TS]
    assert [r.reason for r in refused] == ["missing_field"]
    ts = pa.array([2**63 - 1, -1], pa.int64()).cast(pa.timestamp(unit, "UTC"))
    block, refused = decode(stream(table(ts=ts)))
    assert len(block) == 0
    assert [r.reason for r in refused] == ["bad_time"] * 2


@pytest.mark.parametrize("options", [{}, {"compression": "zstd"}, {"compression": "lz4"}])
def test_round_trip_through_arrow(options: dict[str, Any]) -> None:
    for line in ("L1", "L2"):
        block = block_of(line)
        value = arrow_record(block, PLANT)
        if options:
            value = stream(pa.ipc.open_stream(value).read_all(), **options)
        again, refused = decode(value)
        assert refused == []
        block.offset[:] = 100
        assert events_of(again) == events_of(block)
        assert arrow_record(again, PLANT) == arrow_record(block, PLANT)


def test_an_arrow_record_is_of_one_line() -> None:
    with pytest.raises(ValueError, match="one line"):
        arrow_record(block_of(), PLANT)


def test_a_record_of_several_lines_is_taken() -> None:
    block = block_of()
    again, refused = decode(stream(events_table(block, PLANT)))
    assert refused == []
    block.offset[:] = 100
    assert events_of(again) == events_of(block)


def test_round_trip_through_the_events_table() -> None:
    block = block_of()
    rows = events_table(block, PLANT)
    assert rows.schema == pa.schema([f for f in EVENTS if f.name not in ORIGIN])
    rows.validate(full=True)
    again, refused = Decoder(PLANT).decode_table(rows, block.offset)
    assert refused == []
    assert events_of(again) == events_of(block)
    # As Parquet may give it back: several chunks, plain texts, more columns.
    plain = pa.table(
        {
            f.name: rows.column(f.name).cast(pa.string() if pa.types.is_dictionary(f.type) else f.type)
            for f in rows.schema
        }
    ).append_column("source_offset", pa.array(block.offset))
    chunked = pa.concat_tables([rows.slice(0, 3), rows.slice(3, 0), rows.slice(3)])
    for other in (plain, chunked):
        again, refused = Decoder(PLANT).decode_table(other, block.offset)
        assert refused == []
        assert events_of(again) == events_of(block)


def test_absent_is_null_in_the_events_table() -> None:
    records = [
        {"type": "count", "good": 2},
        {"type": "count", "counter": "parts", "value": 7},
        {"type": "correction", "corrects": "e", "scrap": 3},
        {"type": "order", "order": "o", "action": "end"},
    ]
    head = {"ts": TS, "line": "L1", "station": "M1"}
    block, _ = decode(*(json.dumps(head | r).encode() for r in records))
    rows = events_table(block, PLANT)
    assert rows.column("good").to_pylist() == [2, None, None, None]
    assert rows.column("scrap").to_pylist() == [0, None, 3, None]
    assert rows.column("value").to_pylist() == [None, 7, None, None]
    assert rows.column("quantity").to_pylist() == [None] * 4
    assert rows.column("seq").to_pylist() == [None] * 4
    assert rows.column("epoch").to_pylist() == [0] * 4
    # Only names in use, so that the files do not carry the words of others.
    assert rows.column("counter").combine_chunks().dictionary.to_pylist() == ["parts"]


def test_empty_tables_and_streams() -> None:
    empty, _ = decode()
    assert events_table(empty, PLANT).num_rows == 0
    again, refused = Decoder(PLANT).decode_table(events_table(empty, PLANT), [])
    assert (len(again), refused) == (0, [])
    block, refused = decode(stream(table().slice(0, 0)), arrow_record(empty, PLANT))
    assert (len(block), refused) == (0, [])
    assert {name: getattr(block, name).dtype for name in DTYPES} == DTYPES
    assert json_records(empty, PLANT) == []


def test_mixed_run_keeps_the_order_of_arrival() -> None:
    def beat(ts: int) -> bytes:
        return b'{"type":"heartbeat","line":"L1","ts":%d}' % ts

    int8 = {"state": encoded(["RUN", "P"], pa.int8())}
    values = [
        beat(1),
        stream(table(ts=[2, 3])),
        b"{",
        beat(4),
        stream(table(ts=[5, 6], **int8)),
        stream(table(ts=[7, 8], station=["M1", "M9"])),
        beat(9),
        stream(table(ts=[10, 11], **int8), table(ts=[12, 13], **int8)),
    ]
    block, refused = decode(*values)
    assert block.ts.tolist() == [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13]
    assert block.offset.tolist() == [100, 101, 101, 103, 104, 104, 105, 106, 107, 107, 107, 107]
    assert [(r.offset, r.reason) for r in refused] == [(102, "not_json"), (105, "unknown_station")]
    assert len(set(block.words)) == len(block.words)


def test_records_of_one_form_may_have_many_dictionaries() -> None:
    # Together they have more entries than int8 can index, and nulls among them.
    values = []
    for k in range(8):
        entries = pa.array([None, *(f"r{k}-{i}" for i in range(100))])
        reason = pa.DictionaryArray.from_arrays(pa.array([1 + k, 0], pa.int8()), entries)
        values.append(stream(table(reason=reason)))
    block, refused = decode(*values)
    assert refused == []
    assert [event[11] for event in events_of(block)] == [w for k in range(8) for w in (f"r{k}-{k}", None)]


def test_long_dictionaries_give_only_the_words_in_use() -> None:
    entries = pa.array([f"r{i}" for i in range(5000)])
    reason = pa.DictionaryArray.from_arrays(pa.array([4999, 7], pa.int16()), entries)
    block, refused = decode(stream(table(reason=reason)))
    assert refused == []
    assert [event[11] for event in events_of(block)] == ["r4999", "r7"]
    assert len(block.words) == 4


ROWS: list[tuple[dict[str, Any], str]] = [
    ({"type": ["state", "speed"]}, "unknown_type"),
    ({"type": ["state", None]}, "missing_field"),
    ({"line": ["L1", "L9"]}, "unknown_line"),
    ({"line": ["L1", None]}, "missing_field"),
    ({"station": ["M1", "M9"]}, "unknown_station"),
    ({"station": ["M1", None]}, "missing_field"),
    ({"state": ["RUN", "STOP"]}, "unknown_state"),
    ({"state": ["RUN", None]}, "missing_field"),
    ({"state": ["RUN", "x" * 257]}, "too_large"),
    ({"reason": ["", "x" * 257]}, "too_large"),
    ({"ts": [TS, -1]}, "bad_time"),
    ({"ts": pa.array([TS, 2**64 - 1], pa.uint64())}, "bad_time"),
    ({"seq": [None, -1]}, "impossible_value"),
    ({"seq": pa.array([None, 2**63], pa.uint64())}, "impossible_value"),
    ({"epoch": [None, -2]}, "impossible_value"),
    ({"type": ["state", "cycle"], "phase": [None, "pause"]}, "unknown_field_value"),
    ({"type": ["state", "order"], "action": [None, "start"], "order": ["", ""]}, "impossible_value"),
    ({"type": ["state", "count"]}, "missing_field"),
    ({"type": ["state", "count"], "good": [-1, -1]}, "impossible_value"),
    ({"type": ["state", "count"], "good": [None, 1], "value": [None, 1]}, "impossible_value"),
    ({"type": ["state", "count"], "counter": [None, "parts"], "value": [None, 1]}, "unknown_counter"),
    ({"type": ["state", "buffer"], "buffer": [None, "B9"], "level": [None, 1]}, "unknown_buffer"),
    ({"type": ["state", "buffer"], "buffer": [None, "B1"], "level": [None, 11]}, "impossible_value"),
]


@pytest.mark.parametrize(("columns", "reason"), ROWS)
def test_a_bad_row_is_refused_alone(columns: dict[str, Any], reason: str) -> None:
    given = table(**columns)
    block, refused = decode(stream(given))
    assert block.ts.tolist() == [TS]
    (rejected,) = refused
    assert (rejected.reason, rejected.offset) == (reason, 100)
    # The bytes are the row as JSON: what JSON itself would have been refused for.
    row = {name: column[1].as_py() for name, column in zip(given.column_names, given.columns, strict=True)}
    assert json.loads(rejected.value) == {name: value for name, value in row.items() if value is not None}
    assert decode(rejected.value)[1][0].reason == reason


def test_missing_columns_refuse_every_row() -> None:
    for name in ("type", "ts", "line", "station", "state"):
        block, refused = decode(stream(table(**{name: None})))
        assert len(block) == 0
        assert [r.reason for r in refused] == ["missing_field"] * 2
        assert name in refused[0].detail


def test_a_refused_row_shows_times_as_they_came() -> None:
    ts = pa.array([TS // 10**9, 2**63 - 1], pa.timestamp("s", "UTC"))
    _, (rejected,) = decode(stream(table(ts=ts)))
    assert json.loads(rejected.value)["ts"] == (2**63 - 1) * 10**9
    assert rejected.ts is None


@pytest.mark.parametrize(
    ("columns", "detail"),
    [
        ({"ts": [1.5, 2.5]}, "int64"),
        ({"ts": pa.array([1, 2], pa.timestamp("ns"))}, "time zone"),
        ({"ts": ["2024-01-01T00:00:00Z"] * 2}, "int64"),
        ({"seq": [1.0, 2.0]}, "int64"),
        ({"line": [1, 2]}, "string"),
        ({"state": [b"RUN", b"P"]}, "string"),
        ({"state": [["RUN"], ["P"]]}, "string"),
        ({"state": pa.array([1, 2]).dictionary_encode()}, "string"),
    ],
)
def test_a_column_of_a_wrong_type_refuses_the_record(columns: dict[str, Any], detail: str) -> None:
    value = stream(table(**columns))
    block, refused = decode(value)
    assert len(block) == 0
    assert [(r.reason, r.value) for r in refused] == [("not_arrow", value)]
    assert detail in refused[0].detail
    assert next(iter(columns)) in refused[0].detail
    with pytest.raises(ValueError, match="not an events table"):
        Decoder(PLANT).decode_table(table(**columns), [0, 0])


def test_a_column_there_twice_refuses_the_record() -> None:
    twice = pa.Table.from_arrays([*table().columns, table().column("ts")], names=[*table().column_names, "ts"])
    _, refused = decode(stream(twice))
    assert [r.reason for r in refused] == ["not_arrow"]


def test_every_cut_refuses_the_record() -> None:
    value = stream(table(state=encoded(["RUN", "P"], pa.int8())), table(state=encoded(["RUN", "P"], pa.int8())))
    for end in range(4, len(value)):
        block, refused = decode(value[:end])
        assert len(block) == 0, end
        assert [(r.reason, r.value) for r in refused] == [("not_arrow", value[:end])]


def _file() -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table().schema) as writer:
        writer.write(table())
    return sink.getvalue().to_pybytes()


def _without_schema(value: bytes) -> bytes:
    (size,) = struct.unpack_from("<i", value, 4)
    return value[8 + size :]


BROKEN = {
    "two streams": stream(table()) * 2,
    "absurd metadata length": b"\xff\xff\xff\xff\xff\xff\xff\x7f" + b"\0" * 64,
    "negative metadata length": b"\xff\xff\xff\xff\x00\x00\x00\x80" + b"\0" * 64,
    "metadata points away": b"\xff\xff\xff\xff\x10\x00\x00\x00" + b"\xff" * 16,
    "nothing but the end": b"\xff\xff\xff\xff\0\0\0\0",
    "no schema": _without_schema(stream(table())),
}


@pytest.mark.parametrize("value", BROKEN.values(), ids=BROKEN)
def test_broken_streams(value: bytes) -> None:
    block, refused = decode(value, encodings=[ARROW])
    assert len(block) == 0
    assert [(r.reason, r.value) for r in refused] == [("not_arrow", value)]


def test_the_header_decides_where_the_content_does_not() -> None:
    heartbeat = b'{"type":"heartbeat","line":"L1","ts":1}'
    values = [stream(table()), heartbeat, b"garbage", b"garbage", _file()]
    kinds: list[str | None] = ["application/json", ARROW, f"{ARROW}; x=y", "application/json", ARROW]
    block, refused = decode(*values, encodings=kinds)
    assert [codes.EVENT_NAMES[t] for t in block.type] == ["state", "state", "heartbeat"]
    assert [(r.offset, r.reason) for r in refused] == [(102, "not_arrow"), (103, "not_json"), (104, "not_arrow")]


def test_dictionary_indices_out_of_bounds_and_bad_utf8() -> None:
    state = pa.DictionaryArray.from_arrays(pa.array([0, 9], pa.int8()), pa.array(["RUN"]), safe=False)
    _, refused = decode(stream(table(state=state)))
    assert [r.reason for r in refused] == ["not_arrow"]
    offsets = pa.py_buffer(np.array([0, 1, 2], np.int32))
    state = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"\xff\xfe")])
    _, refused = decode(stream(table(state=state)))
    assert [r.reason for r in refused] == ["not_arrow"]


def test_limits_of_a_record() -> None:
    _, refused = decode(b"\xff\xff\xff\xff" + b"\0" * MAX_ARROW_BYTES)
    assert [r.reason for r in refused] == ["too_large"]
    n = MAX_EVENTS_PER_RECORD + 1
    long = table(
        **{name: [column[0].as_py()] * n for name, column in zip(table().column_names, table().columns, strict=True)}
    )
    _, refused = decode(stream(long))
    assert [r.reason for r in refused] == ["too_large"]
    block, refused = decode(stream(long.slice(0, n - 1)))
    assert (len(block), refused) == (n - 1, [])
    wide = table(**{f"extra{i}": [0, 0] for i in range(300)})
    _, refused = decode(stream(wide))
    assert [r.reason for r in refused] == ["too_large"]


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_a_bomb_is_refused_before_it_is_unpacked(compression: str) -> None:
    idle = pa.array(np.zeros(MAX_ARROW_DECODED_BYTES // 8 + 1, np.int64))
    entries = pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int8()), idle)
    dictionary = table().append_column("bomb", entries)
    rows = pa.table({f"c{i}": idle.slice(0, MAX_EVENTS_PER_RECORD) for i in range(200)})
    for bomb in (dictionary, rows):
        value = stream(bomb, compression=compression)
        assert len(value) < 1_000_000
        _, refused = decode(value)
        assert [r.reason for r in refused] == ["too_large"]
        assert "decompressed" in refused[0].detail


def test_a_compressed_buffer_that_lies_about_its_size() -> None:
    value = bytearray(stream(table(reason=["a" * 200, "b" * 200]), compression="zstd"))
    at = value.index(struct.pack("<q", 400))
    block, refused = decode(bytes(value[:at]) + struct.pack("<q", 2**62) + bytes(value[at + 8 :]))
    assert len(block) == 0
    assert [r.reason for r in refused] == ["too_large"]
    block, refused = decode(bytes(value[:at]) + struct.pack("<q", 2**20) + bytes(value[at + 8 :]))
    assert len(block) == 0
    assert [r.reason for r in refused] == ["not_arrow"]


def test_a_run_of_large_records_is_taken_piece_by_piece() -> None:
    # Compressed they are small; unpacked, four of them pass the limit of what is held at once.
    idle = pa.array(np.zeros(MAX_ARROW_DECODED_BYTES // 24, np.int64))
    entries = pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int8()), idle)
    values = [stream(table(ts=[k, k + 1]).append_column("x", entries), compression="zstd") for k in range(10, 80, 10)]
    block, refused = decode(*values)
    assert refused == []
    assert block.ts.tolist() == [k + i for k in range(10, 80, 10) for i in (0, 1)]
    assert block.offset.tolist() == [100 + i for i in range(7) for _ in (0, 1)]


INDICES = (pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64())


# As many words as an index of so many bits tells apart, and one more or less.
FULL = [
    (index, words)
    for index in INDICES
    for words in (1, 2, 127, 128, 254, 255, 256, 257, 65_535, 65_536)
    if words <= 2 ** (index.bit_width - pa.types.is_signed_integer(index))
]


@pytest.mark.parametrize(("index", "words"), FULL, ids=str)
@pytest.mark.parametrize("batches", [1, 2])
def test_every_index_with_as_many_words_as_it_holds(index: Any, words: int, batches: int) -> None:
    """A null is no word: not the last one, which an unsigned index of all ones names, and not the first."""
    entries = [f"r{k}" for k in range(words)]
    wanted: list[str | None] = [entries[-1], None, entries[0], None]
    codes = pa.array([words - 1, None, 0, None], index)
    reason = pa.DictionaryArray.from_arrays(codes, pa.array(entries, pa.string()))
    n = len(wanted)
    columns = {name: pa.array([text] * n) for name, text in
               {"type": "state", "line": "L1", "station": "M1", "state": "RUN"}.items()}  # fmt: skip
    value = stream(*[pa.table({"ts": pa.array([TS] * n), "reason": reason} | columns)] * batches)
    for _ in range(2):
        block, refused = DECODER.decode([value], [0])
        assert refused == []
        assert [block.words[y] if y >= 0 else None for y in block.y.tolist()] == wanted * batches


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (lambda: stream(table())[:-8], "no end-of-stream marker"),
        (lambda: stream(table())[8 + int.from_bytes(stream(table())[4:8], "little") :], "begins without its schema"),
        (lambda: legacy(table()), "before Arrow 0.15"),
        (lambda: file_of(table()), "Arrow file"),
    ],
)
def test_the_sentence_says_what_the_writer_should_do(value: Callable[[], bytes], words: str) -> None:
    block, (refused,) = DECODER.decode([value()], [0], [ARROW])
    assert (len(block), refused.reason) == (0, "not_arrow")
    assert words in refused.detail


def legacy(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(use_legacy_format=True)
    with pa.ipc.new_stream(sink, rows.schema, options=options) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()


def file_of(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()
