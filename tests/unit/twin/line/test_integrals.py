"""What gauges come to over time, against sums by hand and the golden case; saved and restored between events."""

import json
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.unit.twin.line.test_line_stops import T0, S
from tests.unit.twin.line.test_station_orders import text
from twin.figures.usage import hold
from twin.line import PartitionTwin
from twin.plant import PlantError, loads
from twin.wire.decode import Decoder

GAUGE = """
[[line.station.measure]]
id = "power"
kind = "gauge"
unit = "kW"
decimals = 1
[[line.station.measure]]
id = "energy"
kind = "integral"
of = "power"
unit = "kWh"
decimals = 3
"""
HELD = text(1) + GAUGE + 'between = "hold"\ngap = "1h"\n'
POLLED = text(1) + GAUGE + 'between = "straight"\ngap = "200s"\n'


def measure(at_s: float, value: float | str, **more: Any) -> dict[str, Any]:
    ts = T0 + int(at_s * S)
    head = {"type": "measure", "ts": ts, "line": "L", "station": "s0", "measure": "power", "value": value}
    return head | more


def state(at_s: int, word: str) -> dict[str, Any]:
    return {"type": "state", "ts": T0 + at_s * S, "line": "L", "station": "s0", "state": word}


def order(at_s: int, action: str, name: str) -> dict[str, Any]:
    return {"type": "order", "ts": T0 + at_s * S, "line": "L", "action": action, "order": name}


def folded(plant_text: str, events: list[dict[str, Any]], end_s: int = 3_600) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of the integral that stand at the end, and what was told."""
    plant = loads(plant_text)
    beats = [{"type": "heartbeat", "ts": T0 + end_s * S + k, "line": "L"} for k in (0, 1)]
    twin, decoder = PartitionTwin(plant, 0), Decoder(plant)
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    told: list[str] = []
    for offset, event in enumerate([*events, *beats]):
        block, rejected = decoder.decode([json.dumps(event).encode()], [offset])
        assert not rejected, rejected
        result = twin.fold(block)
        for row in result.tables["measures"].to_pylist() if "measures" in result.tables else []:
            if row["measure"] == "energy":
                key = tuple(row[name] for name in ("start", "shift", "order", "product", "during"))
                if key not in rows or row["revision"] >= rows[key]["revision"]:
                    rows[key] = row
        if "alerts" in result.tables:
            told += [row["detail"] for row in result.tables["alerts"].to_pylist() if row["kind"] == "data_quality"]
        twin = PartitionTwin.restore(plant, 0, twin.snapshot())
    return [row for row in rows.values() if not row["retracted"]], told


def total(rows: list[dict[str, Any]], **where: Any) -> Fraction:
    return Fraction(
        sum(row["amount"] for row in rows if all(row[name] == value for name, value in where.items())), 1000
    )


def golden() -> dict[str, Any]:
    path = Path(__file__).parents[3] / "data/golden/mass-production/environment.json"
    found: dict[str, Any] = next(case for case in json.loads(path.read_text()) if case["kind"] == "power_integral")
    return found


def test_the_golden_case_held() -> None:
    """Up to its last reading before the gap: 60 s of 10 kW, 60 s of 12 kW, 210 s of 8 kW."""
    case = golden()
    samples = [sample for sample in case["given"]["samples_t_kw"] if sample[0] <= 330]
    rows, told = folded(HELD, [state(0, "run"), *(measure(*sample) for sample in samples)])
    exact = hold(samples, case["given"]["gap_limit_s"], [0, 330]).amount / 3_600
    assert exact == Fraction(60 * 10 + 60 * 12 + 210 * 8, 3_600)
    assert exact - Fraction(1, 1000) < total(rows) <= exact
    assert {row["during"] for row in rows} == {"running"}
    assert told == []


def test_the_golden_case_polled() -> None:
    """Without the value that is unknown, which a source that is polled does not send: its neighbours are 60 s apart."""
    case = golden()
    samples = [sample for sample in case["given"]["samples_t_kw"] if sample[0] <= 1_000]
    rows, told = folded(POLLED, [state(0, "run"), *(measure(*sample) for sample in samples)])
    exact = Fraction(case["expect"]["trapezoid_kwh"])
    assert exact - Fraction(1, 1000) < total(rows) <= exact
    assert [detail for detail in told if "was not read for longer" in detail]


def test_by_what_the_station_was_doing() -> None:
    """36 kW, 0.01 kWh a second, read every 600 s: it runs 700 s, stands 500 s; an order from 300 s to 900 s."""
    plant = HELD.replace('run = "running"', 'run = "running"\nstop = "down"')
    events = [
        state(0, "run"),
        order(300, "start", "o"),
        state(700, "stop"),
        order(900, "end", "o"),
        state(1_200, "run"),
    ]
    readings = [measure(at, 36) for at in (0, 600, 1_200)]
    rows, told = folded(plant, sorted([*events, *readings], key=lambda event: event["ts"]))
    by: dict[tuple[str | None, str], Fraction] = defaultdict(Fraction)
    for row in rows:
        by[row["order"], row["during"]] += Fraction(row["amount"], 1000)
    # That of the first reading lies in the order, that of the second behind it.
    assert by == {("o", "running"): 6, (None, "running"): 1, (None, "stopped"): 5}
    assert told == []


def test_a_late_reading_divides_what_was_held() -> None:
    readings = [measure(0, 36), measure(1_500, 0), measure(600, 72)]
    rows, _ = folded(HELD, [state(0, "run"), *readings])
    assert total(rows) == 6 + 18


def test_small_and_negative_values_lose_nothing() -> None:
    """1 kW read every 10 min for an hour, with no decimal: a sixth of a kWh each; and back into the grid."""
    plant = HELD.replace("decimals = 3", "decimals = 0")
    rows, _ = folded(plant, [state(0, "run"), *(measure(at, 1) for at in range(0, 3_601, 600))], 4_200)
    assert [row["amount"] for row in sorted(rows, key=lambda row: str(row["end"]))] == [0, 0, 0, 0, 0, 1]
    rows, _ = folded(plant, [state(0, "run"), *(measure(at, -1) for at in range(0, 3_601, 600))], 4_200)
    assert sum(row["amount"] for row in rows) == -1


def test_nothing_across_a_gap_and_it_is_told() -> None:
    plant = HELD.replace('gap = "1h"', 'gap = "10min"')
    rows, told = folded(plant, [state(0, "run"), *(measure(at, 36) for at in (0, 600, 1_201, 1_801))])
    assert total(rows) == 12
    assert len(told) == 1
    assert "the gauge of energy was not read for longer than its `gap`" in told[0]


def test_an_integral_cannot_be_sent() -> None:
    plant = loads(HELD)
    event = measure(0, 1) | {"measure": "energy"}
    _, (refused,) = Decoder(plant).decode([json.dumps(event).encode()], [0])
    assert refused.reason == "impossible_value"
    assert "cannot be sent: it is made of the gauge power" in refused.detail


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('of = "power"', 'of = "powr"'), r'there is no gauge beside it with the id "powr"; did you mean "power"'),
        (('between = "hold"', ""), r"between: missing"),
        (('gap = "1h"', ""), r"gap: missing"),
        (('between = "hold"', 'between = "hold"\nround = true'), r"round: belongs to what is sent"),
        (('kind = "integral"', 'kind = "meter"'), r"of: belongs to an integral, and this is a meter"),
        (('between = "hold"', 'between = "hold"\nmodulus = "9"'), r"modulus: belongs to a meter"),
    ],
)
def test_mistakes_in_the_plant(change: tuple[str, str], told: str) -> None:
    with pytest.raises(PlantError, match=told):
        loads(HELD.replace(*change))
