"""JSON records: what counts, what is refused and why, and that nothing is lost between the two."""

import json
from typing import Any

import numpy as np
import pytest

from kernels import codes
from kernels.read import arrow_stream, payload, plain_json
from kernels.read.arrow_frames import walk
from tests.support.wire import PLANT, TS, events_of
from twin.events.block import DTYPES, EventBlock, Rejected
from twin.events.declare import MAX_EVENTS_PER_RECORD, MAX_RECORD_BYTES
from twin.report.german_refusals import refusal_in_german
from twin.time.rfc3339 import parse_rfc3339
from twin.wire.decode import Decoder
from twin.wire.encode import json_records

HEAD = {"ts": TS, "line": "L1", "station": "M1"}


def event(kind: str, /, **fields: object) -> dict[str, object]:
    """An event at L1/M1; a field given as None is left out."""
    return {k: v for k, v in {"type": kind, **HEAD, **fields}.items() if v is not None}


def decode(*records: bytes | dict[str, object] | list[object]) -> tuple[EventBlock, list[Rejected]]:
    values = [r if isinstance(r, bytes) else json.dumps(r).encode() for r in records]
    return Decoder(PLANT).decode(values, range(100, 100 + len(values)))


def only(block: EventBlock) -> dict[str, object]:
    assert len(block) == 1
    (values,) = events_of(block)
    return dict(zip(DTYPES, values, strict=True))


GOOD = [
    (event("state", state="RUN"), {"type": 0, "line": 0, "station": 0, "ts": TS, "code": codes.RUNNING, "x": "RUN"}),
    (event("state", state="STOP", reason="jam", mode="auto"), {"code": codes.STOPPED, "y": "jam", "z": "auto"}),
    (event("state", line="L2", state="RUN"), {"line": 1, "station": 2, "code": codes.DOWN}),
    (event("state", line="L2", state="Störung", reason=""), {"x": "Störung", "y": ""}),
    (event("state", state="RUN", epoch=2, seq=7), {"epoch": 2, "seq": 7}),
    (event("count", good=5), {"type": 1, "code": codes.PARTS, "a": 5, "b": 0, "c": 0, "x": None, "seq": -1}),
    (event("count", scrap=1, rework=2), {"a": 0, "b": 1, "c": 2}),
    (event("count", counter="parts", value=999), {"code": codes.COUNTER, "a": 999, "b": 0, "c": 0, "x": "parts"}),
    (event("count", counter="bad", value=2**63 - 1), {"a": 2**63 - 1, "x": "bad"}),
    (event("cycle", phase="end", unit="u1", product="p"), {"type": 2, "code": codes.END, "x": "u1", "y": "p", "a": 0}),
    (event("cycle", phase="start"), {"code": codes.START, "x": None}),
    (event("order", station=None, action="start", order="o1", product="p", quantity=10),
     {"type": 3, "line": 0, "station": -1, "code": codes.START, "a": 10, "x": "o1", "y": "p"}),
    (event("order", action="end", order="o1"), {"station": 0, "code": codes.END, "a": -1}),
    (event("buffer", buffer="B1", level=10), {"type": 4, "a": 10, "x": "B1"}),
    (event("buffer", buffer="B2", level=10**9), {"a": 10**9}),
    (event("heartbeat", station=None), {"type": 5, "station": -1, "a": 0, "x": None}),
    (event("correction", corrects="e1", reason="tool"), {"type": 6, "x": "e1", "y": "tool", "a": -1, "c": -1}),
    (event("correction", corrects="e1", state="RUN", good=0), {"z": "RUN", "a": 0, "b": -1, "code": -1}),
    (event("state", state="RUN", colour="green", deep={"a": [1.5, None]}), {"x": "RUN"}),
    (event("heartbeat", ts="2023-11-14T22:13:20Z"), {"ts": TS}),
    (event("heartbeat", ts="2023-11-14T23:13:20.000000001+01:00"), {"ts": TS + 1}),
]  # fmt: skip


@pytest.mark.parametrize(("given", "expected"), GOOD)
def test_event_to_columns(given: dict[str, object], expected: dict[str, object]) -> None:
    block, refused = decode(given)
    assert refused == []
    found = only(block)
    assert {name: found[name] for name in expected} == expected
    assert found["offset"] == 100


@pytest.mark.parametrize(
    ("text", "name", "last"),
    [
        (b'"good":1,"good":2', "a", 2),
        (b'"good":1,"go\\u006fd":2', "a", 2),  # the same key, written otherwise
        (b'"scrap":4,"good":1,"scrap":4,"scrap":3', "b", 3),
        (b'"good":1,"seq":5,"seq":6', "seq", 6),
        (b'"good":1,"ts":1700000000000000000,"ts":1700000000000000001', "ts", TS + 1),
        (b'"good":1,"type":"count"', "a", 1),
    ],
)
def test_of_a_key_that_stands_twice_the_last_value_counts_for_every_reader(text: bytes, name: str, last: int) -> None:
    """By itself, among plain records (the kernel), beside one that is refused (the lenient reader), in an array."""
    twice = b'{"type":"count","ts":1700000000000000000,"line":"L1","station":"M1",' + text + b"}"
    plain = json.dumps(event("count", good=9)).encode()
    other = json.dumps({**event("count", good=9), "note2": 1.5}).encode()
    for records in ([twice], [plain] * 40 + [twice] + [plain] * 40, [other, twice, b"{"], [b"[" + twice + b",5]"]):
        block, _ = decode(*records)
        found = [dict(zip(DTYPES, values, strict=True)) for values in events_of(block)]
        assert [one[name] for one in found if one["a"] != 9] == [last]
    assert json.loads(twice)[{"a": "good", "b": "scrap"}.get(name, name)] == last  # by which refusals are explained


DEEP = b'{"type":"heartbeat","ts":1,"line":"L1","x":' + b"[" * 200 + b"]" * 200 + b"}"
# The fragment of the detail makes sure that the reason is the intended one.
REFUSED: list[tuple[bytes | dict[str, object], str, str]] = [
    (b"", "not_json", "empty"),
    (b" \n", "not_json", "empty"),
    (b'{"type":"state","ts":1', "not_json", "not JSON"),
    (b'{"type":"heartbeat","ts":1,"line":"L1"} x', "not_json", "not JSON"),
    (b'{"type":"heartbeat","ts":NaN,"line":"L1"}', "not_json", "NaN"),
    (b'{"type":"heartbeat","ts":1,"line":"L1","q":-Infinity}', "not_json", "Infinity"),
    (b"\xef\xbb\xbf{}", "not_json", "not JSON"),
    (b"\x00\x01", "not_json", "not JSON"),
    (b'{"type":"heartbeat","type":"state","ts":1,"line":"L1"}', "missing_field", "station"),
    (b'[{"type":"heartbeat","ts":1,"line":"L1"},', "not_json", "not JSON"),
    (b'{"type":"heartbeat","ts":1,"line":"\xff"}', "bad_utf8", "byte"),
    (b'{"type":"heartbeat","ts":1,"line":"L1","unknown":"\xff"}', "bad_utf8", "byte"),
    (b'{"type":"heartbeat","ts":1,"line":"L1","station":"\\ud800"}', "bad_utf8", "station"),
    (b'{"type":"heartbeat","ts":1,"line":"L1","unknown":"\\udc00"}', "bad_utf8", "surrogate"),
    (b" " * MAX_RECORD_BYTES + b"{}", "too_large", "bytes"),
    (b"[" + b"1," * MAX_EVENTS_PER_RECORD + b"1]", "too_large", "events"),
    (DEEP, "too_large", "nested"),
    (b"[" * 100_000, "too_large", "nested"),
    (event("state", state="R" * 257), "too_large", "257"),
    (b"5", "wrong_type", "an integer"),
    (b"null", "wrong_type", "null"),
    (b'"text"', "wrong_type", "a text"),
    (b"[[]]", "wrong_type", "an array"),
    (event("count", good="5"), "wrong_type", "good"),
    (event("count", good=5.0), "wrong_type", "5.0"),
    (event("count", good=5.5), "wrong_type", "fraction"),
    (event("count", good=True), "wrong_type", "true or false"),
    (b'{"type":"count","ts":1,"line":"L1","station":"M1","good":1e400}', "wrong_type", "good"),
    (event("heartbeat", ts=1.5), "wrong_type", "ts"),
    (event("heartbeat", line=1), "wrong_type", "line"),
    ({**HEAD, "type": 1}, "wrong_type", "type"),
    (HEAD, "missing_field", "type"),
    (event("state"), "missing_field", "state"),
    (event("state", state="RUN", station=None), "missing_field", "station"),
    (event("heartbeat", line=None), "missing_field", "line"),
    (event("heartbeat", ts=None), "missing_field", "ts"),
    (event("count"), "missing_field", "good"),
    (event("count", counter="parts"), "missing_field", "alone"),
    (event("count", value=1), "missing_field", "alone"),
    (event("cycle"), "missing_field", "phase"),
    (event("buffer", buffer="B1"), "missing_field", "level"),
    (event("correction", corrects="e1"), "missing_field", "at least one"),
    (event("cycle", phase="pause"), "unknown_field_value", "'start', 'end'"),
    (event("order", order="o", action="hold"), "unknown_field_value", "action"),
    (event("heartbeat", line="L9"), "unknown_line", "'L1', 'L2'"),
    (event("state", station="M9", state="RUN"), "unknown_station", "'M1', 'M2'"),
    (event("state", line="L2", station="M2", state="RUN"), "unknown_station", "L2"),
    (event("speed", value=1), "unknown_type", "speed"),
    (event("state", state="DANCE"), "unknown_state", "'RUN', 'STOP', 'WAIT'"),
    (event("state", station="M2", state="STOP"), "unknown_state", "M2"),
    (event("correction", corrects="e1", state="P"), "unknown_state", "'P'"),
    (event("count", counter="volts", value=1), "unknown_counter", "volts"),
    (event("count", station="M2", counter="parts", value=1), "unknown_counter", "M2"),
    (event("buffer", buffer="B9", level=1), "unknown_buffer", "B9"),
    (event("buffer", line="L2", buffer="B1", level=1), "unknown_buffer", "L2"),
    (event("buffer", buffer="B1", level=11), "impossible_value", "over 10"),
    (event("count", counter="parts", value=1000), "impossible_value", "over 999"),
    (event("count", good=-1), "impossible_value", "good"),
    (event("count", good=2**63), "impossible_value", "good"),
    (event("count", good=10**400), "impossible_value", "good"),
    (event("count", good=1, counter="parts", value=1), "impossible_value", "not both"),
    (event("heartbeat", seq=-1), "impossible_value", "seq"),
    (event("heartbeat", ts=-1), "bad_time", "ts"),
    (event("heartbeat", ts=7_258_118_400 * 10**9), "bad_time", "ts"),
    (event("heartbeat", ts="1969-12-31T23:59:59Z"), "bad_time", "ts"),
    (event("heartbeat", ts="9999-01-01T00:00:00Z"), "bad_time", "ts"),
    (event("order", order="", action="end"), "impossible_value", "empty"),
    (event("heartbeat", ts="yesterday"), "bad_time", "yesterday"),
    (event("heartbeat", ts="2024-01-01T00:00:00"), "bad_time", "RFC 3339"),
    (event("heartbeat", ts="123"), "bad_time", "RFC 3339"),
]  # fmt: skip


@pytest.mark.parametrize(("record", "reason", "detail"), REFUSED)
def test_refused_with_reason(record: bytes | dict[str, object], reason: str, detail: str) -> None:
    value = record if isinstance(record, bytes) else json.dumps(record).encode()
    block, refused = decode(value)
    assert len(block) == 0
    (rejected,) = refused
    assert (rejected.reason, rejected.offset) == (reason, 100)
    assert detail in rejected.detail
    assert refusal_in_german(rejected.detail) != rejected.detail
    if not value.startswith(b"[["):
        assert rejected.value == value


def test_every_reason_of_the_wire_is_tested() -> None:
    wire = {"not_json", "bad_utf8", "too_large", "wrong_type", "missing_field", "unknown_field_value", "unknown_line",
            "unknown_station", "unknown_type", "unknown_state", "unknown_counter", "unknown_buffer", "impossible_value",
            "bad_time"}  # fmt: skip
    assert {reason for _, reason, _ in REFUSED} == wire


def test_a_refusal_tells_line_and_time_where_readable() -> None:
    _, refused = decode(event("state", state="DANCE", ts="2023-11-14T22:13:20Z"), event("heartbeat", line=5), b"{")
    assert [(r.line, r.ts) for r in refused] == [("L1", TS), (None, TS), (None, None)]


def test_array_counts_its_sound_elements_and_refuses_the_others() -> None:
    elements = [
        event("state", state="RUN"),
        event("state", state="DANCE"),
        7,
        event("count", good=-1),
        event("heartbeat"),
    ]
    whole = [event("state", state="RUN"), event("state", state="DANCE"), event("heartbeat")]
    block, refused = decode(elements, event("count", good=1), whole, [])
    assert block.offset.tolist() == [100, 100, 101, 102, 102]
    assert [codes.EVENT_NAMES[t] for t in block.type] == ["state", "heartbeat", "count", "state", "heartbeat"]
    assert [(r.offset, r.reason) for r in refused] == [
        (100, "unknown_state"),
        (100, "wrong_type"),
        (100, "impossible_value"),
        (102, "unknown_state"),
    ]
    assert [json.loads(r.value) for r in refused] == [elements[1], 7, elements[3], whole[1]]


def test_half_a_surrogate_pair_refuses_its_element_only() -> None:
    good = json.dumps(event("heartbeat")).encode()
    block, refused = decode(b"[" + good + b' , {"type":"heartbeat","ts":1,"line":"\\ud800"},\n' + good + b"]")
    assert len(block) == 2
    assert [(r.reason, r.value) for r in refused] == [("bad_utf8", b'{"type":"heartbeat","ts":1,"line":"\\ud800"}')]


def test_an_array_may_be_as_long_as_the_limit() -> None:
    element = b'{"type":"z"}'
    block, refused = decode(b"[" + b",".join([element] * MAX_EVENTS_PER_RECORD) + b"]")
    assert (len(block), len(refused)) == (0, MAX_EVENTS_PER_RECORD)


def test_many_brackets_are_deep_only_when_nested() -> None:
    wide = event("heartbeat", flat=[[] for _ in range(500)])
    block, refused = decode(wide, [wide] * 3)
    assert (len(block), refused) == (4, [])


def test_words_stand_once_in_the_dictionary() -> None:
    block, _ = decode(*[event("state", state="RUN", reason="RUN", mode="RUN")] * 3)
    assert list(block.words) == ["RUN"]


def test_nothing_gives_nothing() -> None:
    block, refused = Decoder(PLANT).decode([], [])
    assert (len(block), refused) == (0, [])
    assert {name: getattr(block, name).dtype for name in DTYPES} == DTYPES


def test_columns_have_the_declared_dtypes() -> None:
    block, _ = decode(*(given for given, _ in GOOD))
    assert len(block) == len(GOOD)
    assert {name: getattr(block, name).dtype for name in DTYPES} == DTYPES
    assert all(getattr(block, name).flags.c_contiguous for name in DTYPES)


def test_round_trip_through_json() -> None:
    block, _ = decode(*(given for given, _ in GOOD))
    records = json_records(block, PLANT)
    again, refused = Decoder(PLANT).decode(records, block.offset.tolist())
    assert refused == []
    assert events_of(again) == events_of(block)
    assert json_records(again, PLANT) == records


def test_canonical_json_is_stable() -> None:
    block, _ = decode(event("count", good=5, seq=0), event("order", station=None, action="end", order="o", epoch=1))
    assert json_records(block, PLANT) == [
        b'{"type":"count","ts":1700000000000000000,"line":"L1","station":"M1","seq":0,"good":5,"scrap":0,"rework":0}',
        b'{"type":"order","ts":1700000000000000000,"line":"L1","epoch":1,"action":"end","order":"o"}',
    ]


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00.000000001z", 1),
        ("1970-01-01T00:00:01.5+00:00", 1_500_000_000),
        ("1970-01-01T05:30:00+05:30", 0),
        ("1969-12-31T23:00:00-01:00", 0),
        ("2024-02-29T00:00:00Z", int(np.datetime64("2024-02-29", "ns").astype(np.int64))),
        ("0001-01-01T00:00:00Z", -62_135_596_800 * 10**9),
    ],
)
def test_rfc3339(text: str, ns: int) -> None:
    assert parse_rfc3339(text) == ns


@pytest.mark.parametrize(
    "text",
    ["", "2024-01-01", "2024-02-30T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:00:60Z", "2024-01-01T00:00:00.Z",
     "2024-01-01T00:00:00.1234567890Z", "2024-01-01T00:00:00+1:00", "2024-01-01T00:00:00+24:00", "20240101T000000Z",
     "\u0662024-01-01T00:00:00Z", " 2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z\n", "0000-01-01T00:00:00Z"],
)  # fmt: skip
def test_not_rfc3339(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_rfc3339(text)


def test_a_warm_decoder_has_compiled_its_kernels() -> None:
    Decoder(PLANT).warm()
    compiled: list[Any] = [
        plain_json.scan,
        plain_json.enter_words,
        plain_json.enter_places,
        walk,
        arrow_stream.read,
        payload.lay_out,
    ]
    assert all(kernel.signatures for kernel in compiled)
