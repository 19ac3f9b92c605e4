"""Whatever comes over the wire: sound events survive every format, and broken bytes are refused, never raised."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.codes import EVENT_NAMES
from tests.support.wire import PLANT, events_of
from twin.events.block import DTYPES, EventBlock, Rejected
from twin.events.declare import INT64_MAX, JSON_NAME, YEAR_2200_NS
from twin.events.packed import Packed, unpacked
from twin.wire import explain
from twin.wire.decode import Decoder
from twin.wire.encode import ROWS, arrow_record, canonical_json, events_table, is_encoded, json_records
from twin.wire.lookup import Lookup
from twin.wire.measured import has_measures
from twin.wire.stored import StoredReader

DECODER = Decoder(PLANT)
LOOKUP = Lookup(PLANT)

# Short alphabets let words meet; the rest of Unicode must survive as well.
text = st.text(st.sampled_from("ab") | st.characters(exclude_categories=["Cs"]), max_size=8)
whole = st.integers(0, 5) | st.integers(0, INT64_MAX)
stations = st.sampled_from([("L1", "M1"), ("L1", "M2"), ("L2", "M1")])


def _optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={name: st.none() | values for name, values in fields.items()})


def _required(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(fields)


def _some(fields: dict[str, Any]) -> bool:
    return any(value is not None for value in fields.values())


@st.composite
def events(draw: st.DrawFn, lines: tuple[str, ...] = ("L1", "L2")) -> dict[str, Any]:
    """A sound event, as JSON."""
    line, station = draw(stations.filter(lambda place: place[0] in lines))
    states = next(x for x in PLANT.lines if x.id == line).stations[int(station[1]) - 1].states
    word = st.sampled_from(sorted(states))
    phase = st.sampled_from(["start", "end"])
    order = text.filter(bool)
    parts = _optional(good=whole, scrap=whole, rework=whole)
    time = st.integers(0, YEAR_2200_NS - 1)
    said = _optional(by=order, entered=time, note=st.sampled_from(["0" * 64, "9f" * 32]), cause=st.just(station))
    corrects = _optional(corrects=order)
    told = _optional(reason=text, state=word)
    kinds: dict[str, st.SearchStrategy[dict[str, Any]]] = {
        "state": st.builds(dict.__or__, _required(state=word), _optional(reason=text, mode=text)),
        "count": st.builds(
            lambda counted, corrects, unit: counted | corrects | unit,
            parts.filter(_some),
            corrects,
            _optional(unit=text),
        ),
        "cycle": st.builds(dict.__or__, _required(phase=phase), _optional(unit=text, product=text)),
        "order": st.builds(
            lambda what, fields, corrects: what | fields | corrects,
            _required(action=phase, order=order),
            _optional(product=text, quantity=whole, due=time),
            corrects,
        ),
        "heartbeat": st.just({}),
        "correction": st.builds(
            lambda what, fields, numbers: what | fields | numbers,
            _required(corrects=order),
            told,
            parts,
        ).filter(lambda e: any(v is not None for k, v in e.items() if k != "corrects"))
        | _required(corrects=order, verb=st.just("undo"))
        | st.builds(dict.__or__, _required(corrects=order, verb=st.just("stop"), reason=text), _optional(state=word)),
    }
    if line == "L1":
        kinds["buffer"] = _required(buffer=st.just("B1"), level=st.integers(0, 10)) | _required(
            buffer=st.just("B2"), level=whole
        )
    if (line, station) == ("L1", "M1"):
        kinds["count"] |= _required(counter=st.just("parts"), value=st.integers(0, 999))
        kinds["count"] |= _required(counter=st.just("bad"), value=whole)
        kinds["found"] = st.builds(
            dict.__or__, _required(scrap=st.integers(1, 9), defect=st.just("scratch")), _optional(good=whole, unit=text)
        )
        more_of = _optional(unit=text, order=order, n=whole)
        values = st.integers(0, 999_999_999).map(lambda v: f"{v // 1000}.{v % 1000:03}")
        meter = values | st.integers(0, 999_999) | st.floats(0, 9).map(lambda v: round(v, 3))
        gauge = st.floats(-(10.0**12), 10.0**12) | st.integers(-(10**13), 10**13) | values
        numbers = st.integers(-(10**14), 10**14)
        kinds["measure"] = st.one_of(
            st.builds(dict.__or__, _required(measure=st.just(name), value=of), more_of)
            for name, of in (("kwh", meter), ("t", gauge), ("w", numbers | numbers.map(str)))
        )
    if line == "L1":
        of_line = st.decimals(-(10**5), 10**5, places=9).map(str)
        kinds["of line"] = _required(measure=st.just("w"), value=of_line)
    kind = draw(st.sampled_from(sorted(kinds)))
    fields = draw(kinds[kind])
    event = {
        "type": {"of line": "measure", "found": "count"}.get(kind, kind),
        "ts": draw(st.integers(0, YEAR_2200_NS - 1)),
        "line": line,
        "station": station,
    }
    if kind == "of line" or (kind in ("order", "heartbeat") and draw(st.booleans())):
        del event["station"]
    more = draw(said) if kind in ("state", "count", "order", "correction") and draw(st.booleans()) else {}
    return event | draw(_optional(epoch=whole, seq=whole)) | fields | more


def decode(values: list[bytes]) -> tuple[EventBlock, list[Rejected]]:
    return DECODER.decode(values, range(len(values)))


def block_of(given_events: list[dict[str, Any]]) -> EventBlock:
    block, refused = decode([json.dumps(event).encode() for event in given_events])
    assert refused == []
    assert len(block) == len(given_events)
    return block


@given(st.lists(events(), max_size=30))
def test_json_round_trip(given_events: list[dict[str, Any]]) -> None:
    block = block_of(given_events)
    again, refused = decode(json_records(block, PLANT))
    assert refused == []
    assert events_of(again) == events_of(block)
    assert len(set(again.words)) == len(again.words)


@given(st.lists(events(lines=("L1",)), max_size=30), st.integers(1, 30))
def test_arrow_round_trip(given_events: list[dict[str, Any]], size: int) -> None:
    block = block_of(given_events)
    record = arrow_record(block, PLANT)
    again, refused = decode([record])
    assert refused == []
    block.offset[:] = 0
    assert events_of(again) == events_of(block)
    # The same in several batches, whose dictionaries replace each other.
    table = pa.ipc.open_stream(record).read_all()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        for start in range(0, len(table), size):
            part = block_of(given_events[start : start + size])
            writer.write(events_table(part, PLANT).select(table.column_names).cast(table.schema))
    again, refused = decode([sink.getvalue().to_pybytes()])
    assert refused == []
    assert events_of(again) == events_of(block)


@given(st.lists(events(), max_size=30))
def test_events_table_round_trip(given_events: list[dict[str, Any]]) -> None:
    block = block_of(given_events)
    rows = events_table(block, PLANT)
    rows.validate(full=True)
    again, refused = DECODER.decode_table(rows, block.offset)
    assert refused == []
    assert events_of(again) == events_of(block)
    canonical = [
        canonical_json({JSON_NAME.get(name, name) if row["type"] == "measure" else name: row[name] for name in row})
        for row in ({name: cell for name, cell in row.items() if cell is not None} for row in _rows(rows))
    ]
    assert [e[:-1] for e in events_of(decode(canonical)[0])] == [e[:-1] for e in events_of(block)]


@given(st.lists(events(), min_size=1, max_size=30), st.data())
def test_rows_are_carried_on_only_where_encoding_gives_them_again(
    given_events: list[dict[str, Any]], data: st.DataObject
) -> None:
    rows = events_table(block_of(given_events), PLANT)
    again, _ = DECODER.decode_table(rows, np.arange(len(rows)))
    assert is_encoded(rows, again) == (not has_measures(again))
    _read_alike(rows)
    # One cell more or less, and either the table is what the decoded block gives, or it is not taken for it.
    column = data.draw(st.sampled_from([name for name in rows.column_names if rows.schema.field(name).nullable]))
    cells = [cell[column] for cell in _rows(rows)]
    row = data.draw(st.integers(0, len(cells) - 1))
    field, position = rows.schema.field(column), rows.schema.get_field_index(column)
    timed = pa.types.is_timestamp(field.type)
    plain = pa.int64() if timed or field.type == pa.int64() else pa.string()
    other = 7 if plain == pa.int64() else "s"
    cells[row] = other if cells[row] is None else None
    changed = rows.set_column(position, field, pa.array(cells, plain).cast(field.type))
    block, refused = DECODER.decode_table(changed, np.arange(len(changed)))
    same = not refused and not has_measures(block) and _rows(events_table(block, PLANT)) == _rows(changed)
    assert is_encoded(changed, block) == same
    _read_alike(changed)


@given(st.lists(events(), min_size=3, max_size=30), st.data())
def test_a_part_of_a_table_is_read_as_the_whole(given_events: list[dict[str, Any]], data: st.DataObject) -> None:
    rows = events_table(block_of(given_events), PLANT)
    begin = data.draw(st.integers(0, len(rows) - 1))
    _read_alike(rows.slice(begin, data.draw(st.integers(1, len(rows)))))


def _read_alike(rows: pa.Table) -> None:
    """Read column by column or by the general decoder: the same events, and carried on in the same cases."""
    offsets = np.arange(len(rows))
    block, refused = DECODER.decode_rows(rows, offsets)
    expected, also_refused = DECODER.decode_table(rows, offsets)
    assert refused == also_refused
    assert events_of(block) == events_of(expected)
    assert (block.rows is rows) == (not refused and is_encoded(rows, expected))
    quick = StoredReader(LOOKUP, ROWS).read(rows, offsets)
    if quick is not None:
        assert block.rows is rows
        for name, dtype in DTYPES.items():
            assert getattr(quick, name).dtype == dtype


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    for position, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):  # to the nanosecond, which Python's datetime does not have
            table = table.set_column(position, field.name, table.column(position).cast(pa.int64()))
    return table.to_pylist()


@given(st.lists(st.lists(events(), max_size=3), max_size=8), st.data())
def test_mixed_runs_keep_the_order(groups: list[list[dict[str, Any]]], data: st.DataObject) -> None:
    values = []
    for group in groups:
        if data.draw(st.booleans()):
            table, sink = events_table(block_of(group), PLANT), pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write(table)
            values.append(sink.getvalue().to_pybytes())
        else:
            values.append(json.dumps(group).encode())
    block, refused = decode(values)
    assert refused == []
    expected = block_of([event for group in groups for event in group])
    assert [e[:-1] for e in events_of(block)] == [e[:-1] for e in events_of(expected)]
    assert block.offset.tolist() == [i for i, group in enumerate(groups) for _ in group]


# Values that a field of another kind has, or that no field has.
odd = st.sampled_from(
    [None, True, -1, 2**63, 10**30, 1.5, 5.0, "", "x" * 257, "nobody", "RUN", "\ud800", [], {}, "2024-01-01T00:00:00Z"]
)  # fmt: skip
FIELDS = (
    "type",
    "ts",
    "line",
    "station",
    "seq",
    "state",
    "good",
    "counter",
    "value",
    "measure",
    "measured",
    "defect",
    "n",
    "unit",
    "phase",
    "order",
    "buffer",
    "level",
)


@given(st.lists(st.tuples(events(), st.dictionaries(st.sampled_from(FIELDS), odd, max_size=2)), max_size=10))
def test_fast_decoder_and_slow_explanation_agree(pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    given_events = [event | changed for event, changed in pairs]
    expected = [explain.fault(explain.named_alike(event), LOOKUP) for event in given_events]
    reasons = [fault[0] for fault in expected if fault]
    single, refused = decode([json.dumps(event).encode() for event in given_events])
    # Half a pair in a field that does not matter is still no JSON.
    broken = sum(f is None and "\\ud800" in json.dumps(e) for e, f in zip(given_events, expected, strict=True))
    assert len(single) == len(given_events) - len(reasons) - broken
    if not broken:
        assert [r.reason for r in refused] == reasons
    whole_block, in_array = decode([json.dumps(given_events).encode()])
    assert [r.reason for r in in_array] == [r.reason for r in refused]
    assert [e[:-1] for e in events_of(whole_block)] == [e[:-1] for e in events_of(single)]


def _mutate(data: st.DataObject, value: bytes) -> bytes:
    changed = bytearray(value)
    for _ in range(data.draw(st.integers(1, 4))):
        if not changed:
            break
        at = data.draw(st.integers(0, len(changed) - 1))
        match data.draw(st.sampled_from(["flip", "set", "wide", "cut", "end", "put"])):
            case "flip":
                changed[at] ^= 1 << data.draw(st.integers(0, 7))
            case "set":
                changed[at] = data.draw(st.integers(0, 255))
            case "wide":
                changed[at : at + 8] = data.draw(st.sampled_from([b"\xff" * 8, b"\0" * 8, b"\xff" * 7 + b"\x7f"]))
            case "cut":
                del changed[at : at + data.draw(st.integers(1, 9))]
            case "end":
                del changed[at:]
            case "put":
                changed[at:at] = data.draw(
                    st.binary(min_size=1, max_size=4) | st.sampled_from([b'"', b"}", b"[", b"NaN"])
                )
    return bytes(changed)


def _sane(block: EventBlock, refused: list[Rejected], offsets: int) -> None:
    assert all(0 <= r.offset < offsets and r.reason and r.detail for r in refused)
    if len(block):
        assert (block.ts >= 0).all()
        assert (block.ts < YEAR_2200_NS).all()
        assert (block.line >= 0).all()
        assert set(block.type.tolist()) <= set(range(len(EVENT_NAMES)))
    # What is taken can be written again, and is then the same.
    again, lost = decode(json_records(block, PLANT))
    assert lost == []
    assert [e[:-1] for e in events_of(again)] == [e[:-1] for e in events_of(block)]


@given(st.lists(events(), min_size=1, max_size=4), st.data())
def test_mutated_json_is_decoded_or_refused(given_events: list[dict[str, Any]], data: st.DataObject) -> None:
    values = [_mutate(data, json.dumps(event).encode()) for event in given_events]
    good = json.dumps(given_events[0]).encode()
    block, refused = decode([good, *values, good])
    # A mutation may make an array of the record, with any number of events.
    touched = {0, len(values) + 1, *block.offset.tolist(), *(r.offset for r in refused)}
    assert touched == set(range(len(values) + 2)) or any(v.strip()[:1] == b"[" for v in values)
    assert block.offset[0] == 0
    assert block.offset[-1] == len(values) + 1
    _sane(block, refused, len(values) + 2)
    array = _mutate(data, json.dumps(given_events).encode())
    _sane(*decode([array]), 1)


@settings(max_examples=300)
@given(st.lists(events(lines=("L1",)), min_size=1, max_size=6), st.sampled_from([None, "zstd", "lz4"]), st.data())
def test_mutated_arrow_is_decoded_or_refused(
    given_events: list[dict[str, Any]], compression: str | None, data: st.DataObject
) -> None:
    table = pa.ipc.open_stream(arrow_record(block_of(given_events), PLANT)).read_all()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write(table)
    value = _mutate(data, sink.getvalue().to_pybytes())
    block, refused = decode([value])
    _sane(block, refused, 1)


@given(st.lists(st.binary(max_size=64) | st.binary(max_size=64).map(lambda b: b"\xff\xff\xff\xff" + b), max_size=5))
def test_any_bytes_are_refused_or_decoded(values: list[bytes]) -> None:
    _sane(*decode(values), len(values))


@given(st.lists(st.lists(events(), min_size=1, max_size=3), min_size=1, max_size=6))
def test_events_that_wait_for_their_rows_give_the_rows_of_each(several: list[list[dict[str, Any]]]) -> None:
    blocks = [DECODER.decode([json.dumps(one).encode() for one in few], np.arange(len(few)))[0] for few in several]
    together = unpacked([Packed.of(block) for block in blocks])
    assert {name: getattr(together, name).dtype for name in DTYPES} == DTYPES
    assert len(set(together.words)) == len(together.words)
    expected = pa.concat_tables([events_table(block, PLANT) for block in blocks])
    both = [table.unify_dictionaries().combine_chunks() for table in (events_table(together, PLANT), expected)]
    texts = pa.schema([f.with_type(pa.string()) if pa.types.is_dictionary(f.type) else f for f in ROWS])
    assert both[0].cast(texts).equals(both[1].cast(texts))
