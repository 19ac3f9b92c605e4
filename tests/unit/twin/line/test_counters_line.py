"""Readings of running counters that are not believed: what is booked, and what is told."""

import json
from typing import Any

import pytest

from tests.unit.twin.line.test_line_stops import T0, S, state
from twin.line import PartitionTwin
from twin.plant import loads
from twin.plant.model import Plant
from twin.plant.tree import tree
from twin.wire.decode import Decoder

Row = dict[str, Any]

PLANT = """
site = "test"
area = [{{ id = "a" }}]
[[line]]
id = "L"
area = "a"
type = "flow"
lateness = "0s"
publish_every = "1h"
windows = ["1h/1h"]
staleness = "2h"
[[line.station]]
id = "s"
{station}
[[line.station.counter]]
id = "made"
{counter}
[line.states]
run = "running"
"""


def plant(station: str = 'ideal_cycle = "1s"', counter: str = "") -> Plant:
    return loads(PLANT.format(station=station, counter=counter))


def reading(second: int, value: int, epoch: int = 0) -> Row:
    at = {"type": "count", "ts": T0 + second * S, "line": "L", "station": "s", "epoch": epoch}
    return at | {"counter": "made", "value": value}


def folded(where: Plant, events: list[Row]) -> tuple[int, list[tuple[int, str]], list[str]]:
    """Good parts of the hour, data_quality alerts (how often so far, detail), and what is told at the end."""
    ends = [{"type": "heartbeat", "ts": T0 + second * S, "line": "L"} for second in (3_599, 3_601)]
    twin, decoder = PartitionTwin(where, 0), Decoder(where)
    good, alerts = 0, []
    for event in [state(0, "run"), *events, *ends]:
        block, refused = decoder.decode([json.dumps(event).encode()], range(1))
        assert not refused
        tables = twin.fold(block).tables
        for row in tables["kpis"].to_pylist() if "kpis" in tables else []:
            good += row["good"] if row["station"] else 0
        told = tables["alerts"].to_pylist() if "alerts" in tables else []
        alerts += [(int(row["value"]), row["detail"]) for row in told if row["kind"] == "data_quality"]
        twin = PartitionTwin.restore(where, 0, twin.snapshot())
    return good, alerts, twin.doubts()


@pytest.mark.parametrize(
    ("readings", "good", "told"),
    [
        ([(0, 500), (10, 510), (20, 3), (30, 13), (40, 23)], 33, ""),  # began again
        ([(0, 500), (10, 510), (20, 0), (30, 530)], 30, "was not believed"),
        ([(0, 500), (10, 9_000), (20, 520)], 20, "was not believed"),
        ([(0, 5), (10, 0), (20, 6)], 1, "was not believed"),  # both fit: the last believed
        ([(0, 0), (10, 21)], 21, ""),  # twice the rate and one more
        ([(0, 0), (10, 22), (20, 23)], 23, "was not believed"),  # the next one refutes it: 23 are possible by then
        ([(0, 0), (30, 0), (31, 50), (32, 50), (40, 58)], 58, "rose faster"),  # moved once in 30 s, sent oftener
        ([(0, 500), (10, 510), (20, 900_000), (30, 900_010)], 20, "went on from a value"),
        ([(0, 500), (10, 510), (20, 900_000), (30, 3), (40, 13)], 23, "was not believed"),  # a wild one, then a restart
        ([(0, 500), (10, 510), (20, 3), (20, 3), (30, 13)], 23, ""),  # one reading sent twice
    ],
)
def test_what_is_booked(readings: list[tuple[int, int]], good: int, told: str) -> None:
    found, alerts, doubts = folded(plant(), [reading(*one) for one in readings])
    assert found == good
    assert [told in detail for _, detail in alerts] == [True] * bool(told)
    assert len(doubts) == bool(told)


def test_a_new_epoch_falls_at_once() -> None:
    assert folded(plant(), [reading(0, 500), reading(10, 3, 1)])[:2] == (3, [])


def test_a_rollover_falls_at_once_where_it_can() -> None:
    where = plant(counter="modulus = 1000")
    assert folded(where, [reading(0, 995), reading(10, 5), reading(20, 15)])[:2] == (20, [])
    assert folded(where, [reading(0, 900), reading(10, 5), reading(20, 910)])[0] == 10


def test_the_plant_says_how_fast() -> None:
    events = [reading(0, 0), reading(10, 100), reading(20, 200)]
    assert folded(plant('ideal_cycle = "1s"\nfastest_cycle = "100ms"'), events) == (200, [], [])
    assert folded(plant(""), events) == (200, [], [])  # nobody knows
    assert "counters without a limit" in tree(plant(""))
    assert "without a limit" not in tree(plant())


def test_a_step_of_the_counter_is_always_possible() -> None:
    assert folded(plant(counter="scale = 1000"), [reading(0, 7), reading(1, 8)])[:2] == (1000, [])


def test_told_at_the_first_and_the_tenth_time() -> None:
    events = [reading(10 * k, 0 if k % 2 else 100 + k) for k in range(30)]
    found, alerts, doubts = folded(plant(), events)
    assert (found, [count for count, _ in alerts]) == (28, [1, 10])
    (*_, told, waits) = doubts
    assert "14 times, first at" in told
    assert "is not counted" in waits  # the last reading, a 0
