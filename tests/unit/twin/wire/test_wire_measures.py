"""Values of measures: every reader gives the same integers, and refuses the same with the same reason."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.support.wire import PLANT, TS
from twin.events.block import EventBlock, Rejected
from twin.plant.model import Chart, Measure
from twin.wire.decode import Decoder
from twin.wire.encode import arrow_record, events_table, json_records

Read = tuple[EventBlock, list[Rejected]]


def raw(measure: str, value: str, station: str | None = "M1") -> bytes:
    """As a source writes it."""
    place = "" if station is None else f'"station": "{station}", '
    return f'{{"type": "measure", "ts": {TS}, "line": "L1", {place}"measure": "{measure}", "value": {value}}}'.encode()


def alone(events: Sequence[bytes]) -> Read:
    return Decoder(PLANT).decode(events, range(len(events)))


def in_array(events: Sequence[bytes]) -> Read:
    return Decoder(PLANT).decode([b"[" + b",".join(events) + b"]"], [0])


def among_plain(events: Sequence[bytes]) -> Read:
    """In a run of records that the kernel reads."""
    beat = json.dumps({"type": "heartbeat", "ts": TS, "line": "L1"}).encode()
    block, refused = Decoder(PLANT).decode([beat, *events, beat], range(len(events) + 2))
    assert len(block) + len(refused) == len(events) + 2
    return block, refused


READERS: list[Callable[[Sequence[bytes]], Read]] = [alone, in_array, among_plain]
TAKEN = [
    ("kwh", "12.5", 12_500),
    ("kwh", "0", 0),
    ("kwh", "-0.0", 0),
    ("kwh", "1e3", 1_000_000),
    ("kwh", "1.25E+2", 125_000),
    ("kwh", "1.2500", 1_250),
    ("kwh", '"12.5"', 12_500),
    ("kwh", "999999.999", 999_999_999),
    ("t", "12.300000190734863", 123),
    ("t", "0.25", 2),
    ("t", "0.35", 4),
    ("t", "-0.25", -2),
    ("t", "-40", -400),
    ("w", "100000000000000", 10**14),
    ("w", "-100000000000000", -(10**14)),
]
REFUSED = [
    ("kwh", "12.5001", "impossible_value", "has more than 3 decimals"),
    ("kwh", "-0.001", "impossible_value", "is below 0"),
    ("kwh", "1000000", "impossible_value", "where the meter wraps"),
    ("w", "1e15", "impossible_value", "is larger than"),
    ("w", '"12,5"', "impossible_value", "is not a decimal number"),
    ("w", '""', "impossible_value", "is not a decimal number"),
    ("w", '"NaN"', "impossible_value", "is not a decimal number"),
    ("w", f'"{"1" * 300}"', "impossible_value", "is not a decimal number"),
    ("w", "true", "wrong_type", "value is true or false"),
    ("w", "[1]", "wrong_type", "value is an array"),
    ("w", "{}", "wrong_type", "value is an object"),
    ("w", "null", "missing_field", "value is missing"),
    ("nothing", "1", "unknown_measure", "has no measure 'nothing': 'kwh', 't', 'w'"),
]


@pytest.mark.parametrize("read", READERS)
def test_values_of_json(read: Callable[[Sequence[bytes]], Read]) -> None:
    block, refused = read([raw(measure, value) for measure, value, _ in TAKEN])
    assert refused == []
    assert block.a[block.type == 7].tolist() == [scaled for *_, scaled in TAKEN]
    for measure, value, reason, what in REFUSED:
        _, (one,) = read([raw(measure, value)])
        assert (one.reason, what in one.detail) == (reason, True), one.detail


def test_a_measure_of_the_line_is_another() -> None:
    block, refused = alone([raw("w", "1.5", None), raw("w", "2")])
    assert refused == []
    assert (block.a.tolist(), block.station.tolist()) == ([1_500_000_000, 2], [-1, 0])
    _, (one,) = alone([raw("kwh", "1", None)])
    assert one.detail == "line 'L1' has no measure 'kwh': 'w'"


def test_the_name_of_the_column_is_none_of_json() -> None:
    _, (one,) = alone([raw("w", "1").replace(b'"value"', b'"measured"')])
    assert (one.reason, one.detail) == ("missing_field", "value is missing")


def stream(column: Any, measure: str) -> bytes:
    n = len(column)
    columns: dict[str, Any] = {
        "type": pa.array(["measure"] * n),
        "ts": pa.array([TS] * n),
        "line": pa.array(["L1"] * n),
        "station": pa.array(["M1"] * n),
        "measure": pa.array([measure] * n),
        "measured": column,
    }
    table, sink = pa.table(columns), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


ARROW = [
    (pa.array(["12.5", "1e1"]), "kwh", [12_500, 10_000]),
    (pa.array(["12.5", "12.5"]).dictionary_encode(), "kwh", [12_500, 12_500]),
    (pa.array([12.5, 0.1 + 0.2], pa.float64()), "t", [125, 3]),
    (pa.array([12, -7], pa.int64()), "w", [12, -7]),
    (pa.array([Decimal("12.50"), Decimal("-0.10")], pa.decimal128(9, 2)), "t", [125, -1]),
]


@pytest.mark.parametrize("column,measure,expected", ARROW)
def test_values_of_arrow(column: Any, measure: str, expected: list[int]) -> None:
    decoder = Decoder(PLANT)
    value = stream(column, measure)
    for _ in range(3):  # whatever was learned of the form
        block, refused = decoder.decode([value, value], [0, 1])
        assert refused == []
        assert block.a.tolist() == expected * 2


@pytest.mark.parametrize(
    "column,reason",
    [
        (pa.array([float("nan")]), "impossible_value"),
        (pa.array([0.1 + 0.2]), "impossible_value"),
        (pa.array(["1,5"]), "impossible_value"),
        (pa.array([None], pa.float64()), "missing_field"),
        (pa.array([1.5], pa.float32()), "not_arrow"),
        (pa.array([True]), "not_arrow"),
    ],
)
def test_values_that_arrow_is_refused_for(column: Any, reason: str) -> None:
    _, (one,) = Decoder(PLANT).decode([stream(column, "w")], [0])
    assert one.reason == reason, one.detail


def test_every_way_back_gives_the_same() -> None:
    block, _ = alone([raw(measure, value) for measure, value, _ in TAKEN])
    assert json.loads(json_records(block, PLANT)[0])["value"] == 12.5
    assert b'"value":12.500}' in json_records(block, PLANT)[0]
    table = events_table(block, PLANT)
    assert table.column("measured").to_pylist()[:3] == ["12.500", "0.000", "0.000"]
    again = [
        Decoder(PLANT).decode(json_records(block, PLANT), range(len(block)))[0],
        Decoder(PLANT).decode([arrow_record(block, PLANT)], [0])[0],
        Decoder(PLANT).decode_rows(table, np.arange(len(table)))[0],
    ]
    for one in again:
        assert one.a.tolist() == [scaled for *_, scaled in TAKEN]
        assert events_table(one, PLANT).equals(table)


def test_a_stored_value_of_another_form_is_written_again() -> None:
    """Rows of somebody else: what is kept has all the decimals that the plant declares."""
    block, _ = alone([raw("kwh", "1.5")])
    table = events_table(block, PLANT)
    place = table.schema.get_field_index("measured")
    other = table.set_column(place, table.schema.field(place), pa.array(["15e-1"]))
    read, refused = Decoder(PLANT).decode_rows(other, np.arange(1))
    assert refused == []
    assert read.rows is None
    assert events_table(read, PLANT).equals(table)


def test_a_chart_of_shares_needs_its_n() -> None:
    shares = tuple(Measure(kind, "amount", "defect", chart=Chart(kind, baseline=5)) for kind in ("p", "u"))
    station = replace(PLANT.lines[0].stations[0], measures=shares)
    line = replace(PLANT.lines[0], stations=(station, *PLANT.lines[0].stations[1:]))
    decoder = Decoder(replace(PLANT, lines=(line, *PLANT.lines[1:])))

    def said(kind: str, value: int, n: str) -> Read:
        event = raw(kind, str(value)).decode().replace("}", f"{n}}}").encode()
        return decoder.decode([event], [0])

    for kind, value, n in (("p", 3, 3), ("u", 4, 3)):
        block, refused = said(kind, value, f', "n": {n}')
        assert refused == [] and (block.a.tolist(), block.b.tolist()) == ([value], [n])
    for kind, value, more, detail in (
        ("p", 4, ', "n": 3', "4 of 3 there cannot be"),
        ("p", 0, "", "n, the units that were looked at, is at least 1"),
        ("u", 0, ', "n": 0', "is at least 1"),
    ):
        _, (one,) = said(kind, value, more)
        assert one.reason == "impossible_value" and detail in one.detail
