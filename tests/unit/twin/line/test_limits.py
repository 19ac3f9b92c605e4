"""Every limit is named, in the table of docs/events.md, and tested with what is just over it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kernels.fold import admit
from tests.support.plant import HEAD, LINE, SMALL, problems
from tests.support.wire import PLANT
from twin.events import declare
from twin.line import PartitionTwin, correction, declared, numbers, revision
from twin.plant import shape
from twin.wire.decode import Decoder

T = 1_767_254_400_000_000_000
HEARTBEAT = b'{"type":"heartbeat","ts":%d,"line":"L1"}' % T


def event(**fields: Any) -> bytes:
    return json.dumps({"type": "count", "ts": T, "line": "L1", "station": "M1", "good": 1, **fields}).encode()


def orders(number: int) -> bytes:
    one = {"type": "order", "ts": T, "line": "L1", "action": "start", "order": "O-1"}
    return json.dumps([one] * number).encode()


def stream(batches: list[pa.RecordBatch], **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def arrow(rows: int = 1, **columns: Any) -> bytes:
    heads = {"type": pa.array(["heartbeat"] * rows), "ts": pa.array([T] * rows), "line": pa.array(["L1"] * rows)}
    return stream([pa.record_batch({**heads, **columns})])  # columns may replace a head


def named(text: str, rows: int, kind: pa.DataType | None = None) -> Any:
    """A column of many rows that all name one text."""
    texts = pa.array([text]).cast(kind) if kind else pa.array([text])
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), texts)


def shared(entries: int, batches: int) -> bytes:
    """Many batches that share one long dictionary."""
    words = pa.array([str(k) for k in range(entries)])
    return stream([
        pa.record_batch({"type": pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), words)})
        for _ in range(batches)
    ])  # fmt: skip


def deltas(entries: int, steps: int) -> bytes:
    """A long dictionary that grows by an entry at a time: each time it is copied."""
    words = [str(k) for k in range(entries + steps)]
    columns = [
        pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), pa.array(words[: entries + k])) for k in range(steps)
    ]
    return stream([pa.record_batch({"type": column}) for column in columns], emit_dictionary_deltas=True)


def viewed(rows: int, size: int) -> bytes:
    """Views that all show one long text."""
    view = np.array([size, int.from_bytes(b"xxxx", "little"), 0, 0], np.int32)  # length, start, buffer, offset
    data = pa.py_buffer(b"x" * size)
    views = pa.py_buffer(np.tile(view, rows).tobytes())
    column = pa.Array.from_buffers(pa.string_view(), rows, [None, views, data])
    return stream([pa.record_batch({"type": column})])


# (limit, what is just over it, reason, words of the sentence)
RECORDS: list[tuple[str, Callable[[], bytes], str, str]] = [
    ("MAX_RECORD_BYTES", lambda: b" " * declare.MAX_RECORD_BYTES + HEARTBEAT, "too_large", "bytes in one JSON record"),
    ("MAX_ARROW_BYTES", lambda: b"\xff" * 4 + bytes(declare.MAX_ARROW_BYTES), "too_large", "bytes in one Arrow record"),
    (
        "MAX_ARROW_DECODED_BYTES",
        lambda: stream(
            [pa.record_batch({"x": pa.array(np.zeros(declare.MAX_ARROW_DECODED_BYTES // 8 + 1, np.int64))})],
            compression="zstd",
        ),
        "too_large",
        "when decompressed",
    ),
    ("MAX_ARROW_DECODED_BYTES", lambda: shared(100_000, 200), "too_large", "when decompressed"),
    ("MAX_ARROW_DECODED_BYTES", lambda: deltas(100_000, 200), "too_large", "when decompressed"),
    (
        "MAX_ARROW_DECODED_BYTES",
        lambda: arrow(65, reason=named("x" * (1 << 20), 65)),
        "too_large",
        "with every text written out",
    ),
    ("MAX_ARROW_DECODED_BYTES", lambda: viewed(65, 1 << 20), "too_large", "with every text written out"),
    ("MAX_EVENTS_PER_RECORD", lambda: b"[" + b"0," * declare.MAX_EVENTS_PER_RECORD + b"0]", "too_large", "events in"),
    ("MAX_EVENTS_PER_RECORD", lambda: arrow(declare.MAX_EVENTS_PER_RECORD + 1), "too_large", "events in one record"),
    (
        "MAX_ORDERS_PER_RECORD",
        lambda: orders(declare.MAX_ORDERS_PER_RECORD + 1),
        "too_large",
        "257 order events in one",
    ),
    (
        "MAX_ORDERS_PER_RECORD",
        lambda: arrow(257, type=pa.array(["order"] * 257), action=named("start", 257), order=named("O-1", 257)),
        "too_large",
        "257 order events in one",
    ),
    ("MAX_NESTING", lambda: event(note=json.loads("[" * 128 + "]" * 128)), "too_large", "nested deeper than 128"),
    ("MAX_TEXT", lambda: event(type="state", state="x" * 257), "too_large", "257 characters"),
    ("MAX_ARROW_COLUMNS", lambda: arrow(**{f"c{k}": [0] for k in range(254)}), "too_large", "257 columns"),
    (
        "MAX_ARROW_MESSAGES",
        lambda: stream([pa.record_batch({"type": pa.array([], pa.string())})] * (declare.MAX_ARROW_MESSAGES + 1)),
        "too_large",
        "batches and dictionaries",
    ),
    ("YEAR_2200_NS", lambda: event(ts=declare.YEAR_2200_NS), "bad_time", "7258118400000000000 is in 2200 or later"),
    ("YEAR_2200_NS", lambda: event(ts="1969-12-31T23:59:59Z"), "bad_time", "is before 1970-01-01T00:00:00Z"),
    ("INT64_MAX", lambda: event(good=declare.INT64_MAX + 1), "impossible_value", "is not in 0.."),
]

PLANTS: list[tuple[str, Callable[[], str], str]] = [
    ("MAX_LINES", lambda: HEAD + "[[line]]\n" * (shape.MAX_LINES + 1), "line"),
    ("MAX_STATIONS_PER_LINE", lambda: LINE + "[[line.station]]\n" * (shape.MAX_STATIONS_PER_LINE + 1), "station"),
    ("MAX_BUFFERS_PER_LINE", lambda: SMALL + "[[line.buffer]]\n" * (shape.MAX_BUFFERS_PER_LINE + 1), "buffer"),
    ("MAX_PRODUCTS_PER_LINE", lambda: SMALL + "[[line.product]]\n" * (shape.MAX_PRODUCTS_PER_LINE + 1), "product"),
    (
        "MAX_COUNTERS_PER_STATION",
        lambda: SMALL + "[[line.station.counter]]\n" * (shape.MAX_COUNTERS_PER_STATION + 1),
        "counter",
    ),
    (
        "MAX_WORDS",
        lambda: SMALL + "[line.states]\n" + "".join(f'w{k} = "down"\n' for k in range(shape.MAX_WORDS + 1)),
        "states",
    ),
    (
        "MAX_WINDOWS_PER_LINE",
        lambda: LINE + f"windows = {json.dumps([f'{k}min/1min' for k in range(1, 10)])}\n" + SMALL[len(LINE) :],
        "windows",
    ),
    ("MAX_WINDOW_STEPS", lambda: LINE + 'windows = ["100001s/1s"]\n' + SMALL[len(LINE) :], "at most 100,000"),
]

# (limit, events that go over it when they are folded, reason)
FOLDED: list[tuple[str, Callable[[], list[bytes]], str]] = [
    ("MAX_PARTS", lambda: [event(good=numbers.MAX_PARTS + 1)], "impossible_value"),
    (
        "MAX_HELD",
        # Each earlier than the one before it: none confirms another.
        lambda: [HEARTBEAT, *(event(ts=T + k * 10**14) for k in range(admit.MAX_HELD + 1, 0, -1))],
        "jump_unconfirmed",
    ),
]
# Tested at length elsewhere: in tests/unit/twin/line/test_line_revision.py.
ELSEWHERE = {
    "MAX_WAITING": admit.MAX_WAITING,
    "MAX_REVISING": admit.MAX_REVISING,
    "MAX_KEPT": revision.MAX_KEPT,
    "MAX_STANDING": correction.MAX_STANDING,
}


@pytest.mark.parametrize(("limit", "make", "reason", "words"), RECORDS)
def test_a_record_over_a_limit(limit: str, make: Callable[[], bytes], reason: str, words: str) -> None:
    value = make()
    block, (refused, *more) = Decoder(PLANT).decode([value], [7])
    assert not len(block)
    assert not more
    assert (refused.reason, refused.offset) == (reason, 7)
    assert words in refused.detail
    assert refused.value == value


@pytest.mark.parametrize(("limit", "make", "words"), PLANTS, ids=[name for name, *_ in PLANTS])
def test_a_plant_over_a_limit(limit: str, make: Callable[[], str], words: str) -> None:
    most = f"{getattr(shape, limit):,}"
    found = [message for _, key, message in problems(make()) if words in f"{key} {message}"]
    assert any(most in message or most.replace(",", "") in message for message in found), found


@pytest.mark.parametrize(("limit", "make", "reason"), FOLDED, ids=[name for name, *_ in FOLDED])
def test_events_over_a_limit(limit: str, make: Callable[[], list[bytes]], reason: str) -> None:
    values = make()
    block, refused = Decoder(PLANT).decode(values, range(len(values)))
    assert not refused
    tables = PartitionTwin(PLANT, 0).fold(block).tables
    assert set(tables["rejected"]["reason"].to_pylist()) == {reason}


def test_as_many_orders_as_a_record_may_hold() -> None:
    """And a record over it takes nothing of its neighbours with it, nor is anything of it told twice."""
    most = declare.MAX_ORDERS_PER_RECORD
    over = orders(most + 1).replace(b"[", b"[{}, ")
    block, refused = Decoder(PLANT).decode([orders(most), over, HEARTBEAT, b"{"], [3, 4, 5, 6])
    assert np.unique(block.offset, return_counts=True)[1].tolist() == [most, 1]
    assert [(one.offset, one.reason) for one in refused] == [(4, "too_large"), (6, "not_json")]


def test_what_is_decoded_in_one_go_is_bounded() -> None:
    """Records that are small on the way and large when they are read: a few at a time, none left out or twice."""
    small = stream(
        [pa.record_batch({"type": pa.nulls(declare.MAX_EVENTS_PER_RECORD, pa.string())})], compression="zstd"
    )
    array = b"[" + b",".join([b"{}"] * declare.MAX_EVENTS_PER_RECORD) + b"]"
    values = [small, HEARTBEAT, array, HEARTBEAT, small, array, HEARTBEAT]
    decoder, at, goes, events, refused = Decoder(PLANT), 0, 0, 0, 0
    while at < len(values):
        block, rejected, taken = decoder.decode_some(values[at:], range(at, len(values)))
        assert 1 <= taken <= 3
        events, refused = events + len(block), refused + len(rejected)
        assert {*block.offset.tolist(), *(one.offset for one in rejected)} == set(range(at, at + taken))
        at, goes = at + taken, goes + 1
    assert (events, refused) == (3, 4 * declare.MAX_EVENTS_PER_RECORD)
    assert goes > 2


def test_ids_of_orders_and_units_may_be_as_many_as_there_are() -> None:
    """Each is said once and never again: neither the state nor its snapshot grows with them."""
    twin, sizes, number = PartitionTwin(PLANT, 0), [], 0
    for _ in range(12):
        values = []
        for _ in range(3_000):
            number += 1
            ts = T + number * 1_000_000_000
            unit = {"type": "cycle", "good": None, "phase": ("start", "end")[number % 2], "unit": f"unit-{number:09}"}
            values.append(event(ts=ts, **unit) if number % 3 else order(ts, f"order-{number:09}"))
        block, refused = Decoder(PLANT).decode(values, range(len(values)))
        assert not refused
        twin.fold(block)
        sizes.append(len(twin.snapshot()))
        assert len(twin.engine.texts.all) < 10_000
    assert sizes[-1] < 1.1 * sizes[1]


def order(ts: int, name: str) -> bytes:
    return json.dumps({"type": "order", "ts": ts, "line": "L1", "action": "start", "order": name}).encode()


def test_the_page_lists_every_limit_as_it_is() -> None:
    page = (Path(__file__).parents[4] / "docs" / "events.md").read_text("utf-8").partition("## Limits")[2]
    table = re.findall(r"^\| ([^|]+) \| ([\d,]+)[^|]* \| [^|]+ \| `(\w+)` \|", page, re.MULTILINE)
    told = {name: int(number.replace(",", "")) for _, number, name in table}
    known = {name: getattr(declare, name) for name, *_ in RECORDS if name not in ("YEAR_2200_NS", "INT64_MAX")}
    known |= {name: getattr(shape, name) for name, *_ in PLANTS} | ELSEWHERE
    known |= {
        "MAX_PARTS": numbers.MAX_PARTS,
        "MAX_HELD": admit.MAX_HELD,
        "MAX_DECODED_BYTES": declare.MAX_DECODED_BYTES,
    }
    known |= {name: getattr(declared, name) for name in ("MAX_DECLARED", "MAX_CELLS", "MAX_SLOTS")}
    assert told == known
