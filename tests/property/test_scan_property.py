"""Plain JSON records: the kernel against its naive twin, and a run against the same records one by one."""

import json
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.read import plain_json
from tests.fuzz.mutate import json_mutated, mutated
from tests.naive_scan import naive_scan
from tests.property.test_wire_property import events
from tests.support.wire import PLANT, events_of
from twin.events.declare import PAYLOAD, WIRE
from twin.time.rfc3339 import parse_rfc3339
from twin.wire.decode import Decoder
from twin.wire.lookup import Lookup, Words
from twin.wire.plain import PlainReader
from twin.wire.sound import Rows
from twin.wire.values import Values

LOOKUP = Lookup(PLANT)
READER = PlainReader(LOOKUP)
DECODER = Decoder(PLANT)
EDGES = (
    b"", b" ", b"{}", b"{", b'{"', b'{"type', b'{"type"', b'{"type":', b'{"type":"heartbeat"', b"null", b"\0", b'"',
    b'{"type":"heartbeat","ts":1,"line":"L1"}', b'\t{ "type" :\r\n"heartbeat" , "ts":\n1 , "line" : "L1" } ',
    b'{"type":"heartbeat","ts":1,"line":"L1"}\0', b'{"type":"heartbeat","ts":1,"line":"L1"}x',
    b'{"type":"heartbeat","ts":1,"line":"L1",}', b'{"type":"heartbeat","ts":1,"line":"L1","a":-}',
    b'{"type":"heartbeat","ts":1,"ts":2,"line":"L1"}', b'{"type":"heartbeat","ts":01,"line":"L1"}',
    b'{"type":"heartbeat","ts":-0,"line":"L1"}', b'{"type":"heartbeat","ts":1.0,"line":"L1"}',
    b'{"type":"heartbeat","ts":1e3,"line":"L1"}', b'{"type":"heartbeat","ts":1,"line":"L1","seq":9223372036854775807}',
    b'{"type":"heartbeat","ts":1,"line":"L1","seq":9223372036854775808}',
    b'{"type":"heartbeat","ts":1,"line":"L1","a":99999999999999999999}', b'{"type":"heartbeat","ts":1,"line":null}',
    b'{"type":"heartbeat","ts":1,"line":"L1","good":"x","state":[],"a":1.50,"b":-1.5,"c":true,"d":null}',
    b'{"type":"heartbeat","ts":1,"line":"L1","a":1.50,"b":-1.5,"c":true,"d":null,"e":false,"b":-01}',
    b'{"type":"heartbeat","ts":1,"line":"L1","a":1.,"b":2}', b'{"type":"heartbeat","ts":1,"line":"L1","a":n}',
    b'{"type":"heartbeat","ts":1,"line":"L1","a":"' + b"{" * 200 + b'"}',
    b'{"type":"heartbeat","ts":1,"line":"L1","a":"' + b"}" * 200 + b'"}', b'{"type":7,"ts":1,"line":"L1"}',
    b'{"type":"heartbeat","ts":1,"line":"L1","a":"\xed\xa0\x80"}',
    b'{"type":"heartbeat","ts":1,"line":"L1","\xc0\xaf":1}',
    b'{"type":"heartbeat","ts":1,"line":"L1","a":"\xf4\x90\x80\x80"}',
    b'{"type":"heartbeat","ts":1,"line":"L1","a":"\xc3"}',
    b'{"type":"heartbeat","ts":1,"line":"L1","a":"\xf0\x9f\x98\x80\xe2\x82\xac\xc3\xb6"}', b'\xef\xbb\xbf{"type":"x"}',
)  # fmt: skip

RANDOM = st.randoms(use_true_random=False)
SPACED = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:\r")])


@st.composite
def times(draw: st.DrawFn) -> str:
    """RFC 3339, nearly."""
    parts = [draw(st.sampled_from(["1969", "1970", "2000", "2023", "2024", "2100", "2199", "2200", "0000"]))]
    parts += ["-", f"{draw(st.integers(0, 13)):02}", "-", f"{draw(st.integers(0, 32)):02}"]
    parts += [draw(st.sampled_from("Tt x")), f"{draw(st.integers(0, 24)):02}", ":", f"{draw(st.integers(0, 60)):02}"]
    parts += [
        ":",
        f"{draw(st.integers(0, 60)):02}",
        draw(st.sampled_from(["", "", ".", ".5", ".123456789", ".1234567890"])),
    ]
    parts += [draw(st.sampled_from(["Z", "z", "", "+01:00", "-23:59", "+24:00", "-00:60", "+1:00", "x"]))]
    return "".join(parts)


@st.composite
def records(draw: st.DrawFn) -> list[bytes]:
    """Sound events in several spellings, some of them damaged."""
    chance = draw(RANDOM)
    found: list[bytes] = []
    for event in draw(st.lists(events(), min_size=2, max_size=12)):
        if draw(st.booleans()):
            event["ts"] = draw(times())
        value = json.dumps(event, ensure_ascii=chance.random() < 0.3, separators=draw(SPACED)).encode()
        if chance.random() < 0.3:
            value = json_mutated(value, [*WIRE, "note", ""], chance)
        if chance.random() < 0.3:
            value = mutated(value, [*EDGES, *found, value], chance)
        found.append(value)
    return found


def said(rows: Rows, words: Words) -> list[tuple[int, dict[str, Any]]]:
    """What the rows say, by record and field, without what is absent."""
    texts = [*words.texts, None]
    found: list[tuple[int, dict[str, Any]]] = []
    for n, code in enumerate(rows.type.tolist()):
        event: dict[str, Any] = {"type": code, "ts": int(rows.ts[n])}
        event |= {name: int(column[n]) for name, column in (("epoch", rows.epoch), ("seq", rows.seq))}
        where, columns = rows.payload[code]
        at = n if where is None else where.tolist().index(n)
        for field in PAYLOAD[code]:
            value = int(columns[field.name][at])
            event[field.name] = texts[value] if field.kind == "text" else value
        present = {name: value for name, value in event.items() if value not in (-1, None)}
        found.append((int(rows.record[n]), present | {"place": int(rows.place[n])}))
    return found


def check_against_twin(values: list[bytes]) -> None:
    plain, words = READER.read(Values.of(values), 1 << 40), Words()
    expected = []
    for i, value in enumerate(values):
        event = naive_scan(value)
        if event is not None:
            place = LOOKUP.places.get((event.pop("line"), event.pop("station", None)), -1)
            expected.append((i, event | {"place": place}))
    assert said(plain.decoded(words), words) == expected
    assert sorted([*plain.record.tolist(), *plain.rest]) == list(range(len(values)))


def check_against_one_by_one(values: list[bytes]) -> None:
    block, refused = DECODER.decode(values, range(len(values)))
    alone = [DECODER.decode([value], [i]) for i, value in enumerate(values)]
    assert events_of(block) == [event for one, _ in alone for event in events_of(one)]
    assert refused == [rejected for _, rejections in alone for rejected in rejections]


def test_edges() -> None:
    check_against_twin([*EDGES, *reversed(EDGES)])
    check_against_one_by_one([*EDGES, *reversed(EDGES)])


@settings(max_examples=300)
@given(records())
def test_kernel_and_twin(values: list[bytes]) -> None:
    check_against_twin(values)


@settings(max_examples=300)
@given(records())
def test_a_run_and_its_records_one_by_one(values: list[bytes]) -> None:
    check_against_one_by_one(values)


@given(st.lists(events(), min_size=2, max_size=10), SPACED)
def test_plain_events_are_taken(given_events: list[dict[str, Any]], spaced: tuple[str, str]) -> None:
    """Otherwise nothing would be gained. Measures are the general reader's: their values are decimals."""
    values = [json.dumps(event, ensure_ascii=False, separators=spaced).encode() for event in given_events]
    frills = sum(
        e["type"] == "measure" or any(c in json.dumps(e, ensure_ascii=False)[1:] for c in "\\[{") for e in given_events
    )
    assert len(READER.read(Values.of(values), 1 << 40).rest) == frills


@settings(max_examples=500)
@given(times())
def test_instant(text: str) -> None:
    data = np.frombuffer(b'"' + text.encode() + b'"\0', np.uint8)
    try:
        expected = parse_rfc3339(text)
    except ValueError:
        expected = -1
    found = plain_json.instant(data, 1, len(text) + 1)
    assert found == (expected if "1970" <= text[:4] < "2200" and expected >= 0 else -1)


def test_words_that_meet_on_purpose_are_left() -> None:
    """The hash of a text has no key. Whoever finds words that share one does not make the worker search for ever."""
    words = np.zeros((plain_json.N_WORD, 200), np.int64)
    table = np.full(512, -1, np.int32)
    data = np.frombuffer(b"".join(f"{k:03}".encode() for k in range(200)) + b"\0", np.uint8)
    numbers = [plain_json.numbered(data, 3 * k, 3 * k + 3, 7, words, table, min(k, 64)) for k in range(200)]
    assert numbers[:64] == list(range(64))
    assert set(numbers[64:]) == {-1}
