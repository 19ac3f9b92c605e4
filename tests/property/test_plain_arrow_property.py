"""Arrow records of known forms: `kernels.read` against its naive twin, the general path.

The one decoder learns the forms of what it reads and takes the kernels' way from then on; the other never does.
"""

import json
import random
from struct import pack_into
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.read import arrow_stream, payload
from tests.fuzz.mutate import arrow_mutated, mutated
from tests.property.test_wire_property import block_of, events
from tests.support.wire import PLANT, TS, events_of
from twin.events.block import DTYPES, EventBlock, Rejected
from twin.events.declare import ENTRY_FIELDS, MAX_DECODED_BYTES, MAX_EVENTS_PER_RECORD, WIRE, YEAR_2200_NS
from twin.wire.decode import ARROW, Decoder
from twin.wire.encode import arrow_record, events_table
from twin.wire.forms import _messages

KNOWING = Decoder(PLANT)
GENERAL = Decoder(PLANT, plain_arrow=False)
CHANCE = st.randoms(use_true_random=False)
LINE = st.lists(events(lines=("L1",)), min_size=1, max_size=12)
ODD_TEXTS = (None, "", "x", "ö€😀", "a" * 300, "L1", "L9", "M1", "state", "count", "RUN", "start", "B1", "parts")
ODD_NUMBERS = (None, 0, 1, -1, -2, 10, 11, 999, 1000, 2**62, 2**63 - 1, -(2**63), TS, YEAR_2200_NS, YEAR_2200_NS - 1)


def stream(table: pa.Table, most: int | None = None, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=most)
    return sink.getvalue().to_pybytes()


def told(found: tuple[EventBlock, list[Rejected], int]) -> tuple[Any, ...]:
    block, rejected, taken = found
    assert {name: getattr(block, name).dtype for name in DTYPES} == DTYPES
    assert len(set(block.words)) == len(block.words)
    return events_of(block), rejected, taken


def agree(values: list[bytes], most_bytes: int = MAX_DECODED_BYTES) -> tuple[Any, ...]:
    offsets = range(7, 7 + len(values))
    found = told(KNOWING.decode_some(values, offsets, None, most_bytes))
    assert found == told(GENERAL.decode_some(values, offsets, None, most_bytes))
    return found


def read_by_kernel(values: list[bytes]) -> set[int]:
    assert KNOWING._plain_arrow is not None
    return set(KNOWING._plain_arrow.read(range(len(values)), values, MAX_DECODED_BYTES).sizes)


def forms_of(table: pa.Table, chance: random.Random) -> pa.Table:
    """The same events in columns of other types, all of them plain."""
    for at, field in enumerate(table.schema):
        kind = field.type
        column = table.column(at)
        if pa.types.is_dictionary(kind):
            index = chance.choice((pa.int8(), pa.int16(), pa.int32(), None))
            column = column.cast(pa.string())
            column = column if index is None else column.cast(pa.dictionary(index, pa.string()))
        elif pa.types.is_timestamp(kind) and chance.random() < 0.5:
            column = column.cast(pa.int64())
        table = table.set_column(at, field.name, column)
    return table.combine_chunks()


@st.composite
def plain_tables(draw: st.DrawFn) -> pa.Table:
    """Sound events in up to some hundred rows."""
    table = pa.ipc.open_stream(arrow_record(block_of(draw(LINE)), PLANT)).read_all()
    rows = draw(st.integers(1, 40) | st.integers(500, 2000))
    chance = draw(CHANCE)
    picked = table.take([chance.randrange(table.num_rows) for _ in range(rows)])
    return forms_of(picked, chance) if draw(st.booleans()) else picked.unify_dictionaries().combine_chunks()


def odd_column(name: str, rows: int, chance: random.Random) -> Any:
    texts = [chance.choice(ODD_TEXTS) for _ in range(rows)]
    match WIRE[name].kind:
        case "text" | "choice":
            column = pa.array(texts, pa.string())
            if chance.random() < 0.3:
                return column
            entries = pa.array(list(dict.fromkeys([*texts, "idle"])), pa.string())  # a null may be one of them
            found = [entries.to_pylist().index(text) for text in texts]
            mask = np.array([chance.random() < 0.2 for _ in texts])
            return pa.DictionaryArray.from_arrays(pa.array(found, pa.int8(), mask=mask), entries)
        case kind:
            numbers = pa.array([chance.choice(ODD_NUMBERS) for _ in range(rows)], pa.int64())
            if kind == "time" and chance.random() < 0.6:
                return numbers.view(pa.timestamp(chance.choice(("s", "ms", "us", "ns")), "UTC"))
            return numbers


@given(plain_tables())
def test_sound_records_are_read_by_the_kernel(table: pa.Table) -> None:
    value = stream(table)
    agree([value])
    # What people enter is rare, and left to the general decoder; so are decimals.
    left = set(table.column_names) & {*ENTRY_FIELDS, "measure", "measured"}
    assert read_by_kernel([value]) == (set() if left else {0})
    agree([value, value])


@settings(max_examples=50)
@given(st.lists(LINE, min_size=1, max_size=6))
def test_records_as_they_are_sent(groups: list[list[dict[str, Any]]]) -> None:
    values = [arrow_record(block_of(group), PLANT) for group in groups]
    for _ in range(2):
        agree(values)
    entered = [
        any(event.get(name) is not None for event in group for name in (*ENTRY_FIELDS, "measure")) for group in groups
    ]
    assert read_by_kernel(values) == {k for k, one in enumerate(entered) if not one}


@settings(max_examples=50)
@given(plain_tables(), st.sets(st.sampled_from(sorted(WIRE)), max_size=4), CHANCE)
def test_odd_values_are_refused_alike(table: pa.Table, names: set[str], chance: random.Random) -> None:
    table = table.slice(0, 30)
    values = [stream(table)]
    for name in sorted(names):
        column = odd_column(name, table.num_rows, chance)
        at = table.schema.get_field_index(name)
        table = table.append_column(name, column) if at < 0 else table.set_column(at, name, column)
        values.append(stream(table))
    for _ in range(2):
        agree(values)


@settings(max_examples=50)
@given(plain_tables(), CHANCE)
def test_damaged_records_are_refused_alike(table: pa.Table, chance: random.Random) -> None:
    value = stream(table.slice(0, 100).combine_chunks())
    agree([value])
    for _ in range(10):
        damaged = mutated(value, [value], chance)
        agree([damaged])
        agree([value, damaged, value])


def test_every_byte_of_a_record_may_be_damaged() -> None:
    events = [
        {"type": "state", "ts": TS, "line": "L1", "station": "M1", "state": "RUN", "reason": "ö"},
        {"type": "count", "ts": TS + 1, "line": "L1", "station": "M1", "good": 3, "seq": 7},
        {"type": "cycle", "ts": TS + 2, "line": "L1", "station": "M2", "phase": "end", "unit": "u-1"},
        {"type": "heartbeat", "ts": TS + 3, "line": "L1"},
    ]
    value = arrow_record(block_of(events), PLANT)
    agree([value])
    assert read_by_kernel([value]) == {0}
    chance = random.Random(3)  # noqa: S311  repeatable
    for at in range(len(value)):
        agree([value[:at] + bytes([value[at] ^ 1 << chance.randrange(8)]) + value[at + 1 :]])
    for at in range(0, len(value) - 8, 8):
        for number in (-1, 2**62, -(2**63), 8):
            agree([value[:at] + number.to_bytes(8, "little", signed=True) + value[at + 8 :]])
        agree([value[:at] + value[at + 8 :]])


@settings(max_examples=50)
@given(st.lists(LINE | st.just([]), max_size=6), st.integers(1, 40_000), st.data())
def test_mixed_runs(groups: list[list[dict[str, Any]]], most_bytes: int, data: st.DataObject) -> None:
    chance = data.draw(CHANCE)
    values: list[bytes] = []
    for group in groups:
        kind = data.draw(st.sampled_from(["arrow", "arrow", "json", "array", "odd", "chunks", "lz4", "garbage"]))
        table = events_table(block_of(group), PLANT)
        match kind:
            case "arrow":
                values.append(arrow_record(block_of(group), PLANT))
            case "json":
                values += [json.dumps(event).encode() for event in group]
            case "array":
                values.append(json.dumps(group).encode())
            case "odd":
                values.append(arrow_mutated(stream(table), [*WIRE, "note"], chance))
            case "chunks":
                values.append(stream(table, 3, emit_dictionary_deltas=chance.random() < 0.5))
            case "lz4":
                values.append(stream(table, compression="lz4"))
            case _:
                values.append(mutated(stream(table), [b"{}"], chance))
    for _ in range(2):
        agree(values)
        if values:
            agree(values, most_bytes)


def repeated(rows: int, entries: list[str]) -> pa.Table:
    reason = pa.DictionaryArray.from_arrays(pa.array(np.arange(rows) % len(entries), pa.int32()), entries)
    alike = {"type": "state", "line": "L1", "station": "M1", "state": "RUN"}
    columns = {name: pa.array([text] * rows).dictionary_encode() for name, text in alike.items()}
    return pa.table({"ts": pa.array(np.arange(rows)), "reason": reason} | columns)


@pytest.mark.parametrize(
    ("rows", "entries", "by_kernel"),
    [
        (1, ["r"], True),
        (MAX_EVENTS_PER_RECORD, ["r"], True),
        (MAX_EVENTS_PER_RECORD + 1, ["r"], False),
        (40_000, [f"{i:0200}" for i in range(30)], True),  # what rows name is measured, and fits
        (40_000, [f"{i:0256}" for i in range(30)], True),
        (MAX_EVENTS_PER_RECORD, ["€" * 254, "ö" * 256, *"abc"], True),
        (MAX_EVENTS_PER_RECORD, ["y" * 1020], False),  # over the limit with every text written out
        (5_000, [f"{i}" for i in range(5_000)], False),  # more words than there is room for
    ],
)  # fmt: skip
def test_limits(rows: int, entries: list[str], by_kernel: bool) -> None:
    value = stream(repeated(rows, entries))
    agree([stream(repeated(2, entries[:1]))])
    agree([value])
    assert read_by_kernel([value]) == ({0} if by_kernel else set())
    agree([value])
    for most_bytes in (1, 10**6, 3 * 10**7):
        agree([value] * 3, most_bytes)


def test_buffers_that_lie_over_each_other() -> None:
    """More rows than the bytes have room for: all columns share one buffer of zeros."""
    n = 10_000
    kinds = {name: pa.array([0, 0]) for name in ("ts", "epoch", "seq", "good", "scrap", "rework")}
    texts = {"type": "count", "line": "L1", "station": "M1"}
    value = stream(pa.table(kinds | {k: pa.array([v, v]).dictionary_encode() for k, v in texts.items()}))
    agree([value])
    start = 8 + int.from_bytes(value[4:8], "little")
    messages = _messages(value, start)
    start += sum(len(m.data) + m.body for m in messages[:-1])
    data, (body, rows, nodes, buffers) = bytearray(messages[-1].data), messages[-1].places
    pack_into("<q", data, body, 8 * n)
    pack_into("<q", data, rows, n)
    for k in range(messages[-1].counts[0]):
        pack_into("<qq", data, nodes + 16 * k, n, 0)
    for k in range(messages[-1].counts[1]):
        pack_into("<qq", data, buffers + 16 * k, 0, 8 * n)
    lying = value[:start] + bytes(data) + bytes(8 * n) + value[-8:]
    found, refused, _ = agree([lying])
    assert (len(found), refused) == (n, [])
    found, refused, _ = agree([stream(repeated(n, ["r"])), lying])
    assert (len(found), refused) == (2 * n, [])


@pytest.mark.parametrize("name", ["type", "ts", "line", "station", "state"])
def test_a_column_may_be_missing(name: str) -> None:
    value = stream(repeated(3, ["r"]).drop_columns([name]))
    for _ in range(2):
        agree([stream(repeated(100, ["r", "s"])), value])


def test_bytes_that_only_the_header_calls_arrow() -> None:
    for decoder in (KNOWING, Decoder(PLANT)):
        for value in (bytes(8), bytes(64), b"\xff" * 8, b"x" * 16, b""):
            block, (refused,) = decoder.decode([value], [0], [ARROW])
            assert (len(block), refused.value) == (0, value)


def test_kernels_are_compiled_once() -> None:
    """Arrays of another layout would compile them again, in the middle of a run."""
    agree([stream(repeated(2, ["r"]))] * 2)
    kernels: list[Any] = [arrow_stream.read, payload.lay_out]
    assert [len(kernel.signatures) for kernel in kernels] == [1, 1]


def test_a_form_is_learned_by_schema() -> None:
    """Streams of one schema may differ in form: one has empty dictionaries, another one does not."""
    text = pa.dictionary(pa.int32(), pa.string())
    for reason in ([None, None], ["a", None], [None, None], ["a", "b"]):
        table = repeated(2, ["x"]).set_column(1, "reason", pa.array(reason, pa.string()).cast(text))
        agree([stream(table)])
        assert read_by_kernel([stream(table)]) == {0}
