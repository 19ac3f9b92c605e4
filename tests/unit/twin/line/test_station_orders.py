"""Orders of single stations beside those of the line, against figures worked out by hand."""

import json
from typing import Any

import pytest

from tests.unit.twin.line.test_line_stops import T0, S
from twin.line import PartitionTwin
from twin.plant import loads
from twin.plant.model import Plant
from twin.wire.decode import Decoder

Row = dict[str, Any]
MIN = 60

HEAD = """
site = "test"
area = [{ id = "a" }]
[[line]]
id = "L"
area = "a"
type = "batch"
lateness = "0s"
publish_every = "10min"
windows = ["10min/10min"]
staleness = "1d"
revise = "2h"
[line.states]
run = "running"
[[line.product]]
id = "slow"
ideal_cycle = "20s"
"""


def text(stations: int) -> str:
    return HEAD + "".join(f'[[line.station]]\nid = "s{k}"\nideal_cycle = "10s"\n' for k in range(stations))


def plant(stations: int) -> Plant:
    return loads(text(stations))


def order(minute: int, action: str, name: str, station: int | None = None, product: str | None = None) -> Row:
    where = {} if station is None else {"station": f"s{station}"}
    more = {} if product is None else {"product": product}
    return {"type": "order", "ts": T0 + minute * MIN * S, "line": "L", "action": action, "order": name} | where | more


def count(minute: int, station: int, good: int, name: str | None = None) -> Row:
    more = {} if name is None else {"order": name}
    head = {"type": "count", "ts": T0 + minute * MIN * S, "line": "L", "station": f"s{station}", "good": good}
    return head | more


def folded(where: Plant, events: list[Row]) -> list[Row]:
    """The rows of orders that count at the end; saved and restored after every event."""
    ends = [{"type": "heartbeat", "ts": T0 + minute * MIN * S, "line": "L"} for minute in (300, 301)]
    twin, decoder = PartitionTwin(where, 0), Decoder(where)
    rows: dict[Any, Row] = {}
    for event in [*events, *ends]:
        block, refused = decoder.decode([json.dumps(event).encode()], range(1))
        assert not refused
        tables = twin.fold(block).tables
        for row in tables["kpis"].to_pylist() if "kpis" in tables else []:
            if row["window"] == "order":
                rows[row["station"], row["start"], row["end"]] = row
        twin = PartitionTwin.restore(where, 0, twin.snapshot())
    return [row for row in rows.values() if not row["retracted"]]


def told(rows: list[Row]) -> list[tuple[str | None, str, int, int, int, int]]:
    def minute(value: Any) -> int:
        return (int(value.timestamp()) - T0 // S) // MIN

    found = [
        (r["station"], r["order"], minute(r["start"]), minute(r["end"]), r["good"], r["ideal_ns"] // S) for r in rows
    ]
    return sorted(found, key=lambda row: (row[0] or "", row[2]))


REACTORS = [
    order(0, "start", "A", 0),
    order(10, "start", "B", 1, "slow"),
    count(30, 0, 5),
    count(40, 1, 7),
    order(60, "end", "A", 0),
    count(60, 0, 1),
    order(60, "start", "C", 0),
    count(70, 0, 3),
    order(80, "end", "B", 1),
    count(80, 1, 2),
    order(90, "end", "C", 0),
]


OF_REACTORS = [("s0", "A", 0, 60, 6, 60), ("s0", "C", 60, 90, 3, 30), ("s1", "B", 10, 80, 9, 180)]


@pytest.mark.parametrize("late", [False, True])
def test_two_reactors(late: bool) -> None:
    events = REACTORS
    if late:  # B's start comes after everything
        events = [event for event in REACTORS if event is not REACTORS[1]] + [count(95, 0, 0), REACTORS[1]]
    assert told(folded(plant(2), events)) == OF_REACTORS


def walking_changeover() -> tuple[list[Row], list[tuple[str | None, str, int, int, int, int]]]:
    """Six stations go from A to B one after the other; the line is told when the last has changed."""
    events = [order(0, "start", "A"), *(count(5, k, 10) for k in range(6))]
    for k in range(6):
        events += [order(10 + k, "end", "A", k), count(10 + k, k, 1), order(12 + k, "start", "B", k, "slow")]
        events.append(count(20, k, 4))
    events += [order(20, "start", "B", None, "slow"), order(30, "end", "B")]
    events = sorted(events, key=lambda e: int(e["ts"]))
    of_a = [(f"s{k}", "A", 0, 10 + k, 11, 110) for k in range(6)]
    of_b = [(f"s{k}", "B", 12 + k, 30, 4, 80) for k in range(6)]
    line = [(None, "A", 0, 20, 15, 190), (None, "B", 20, 30, 0, 0)]
    stations = [row for pair in zip(of_a, of_b, strict=True) for row in pair]
    return events, line + stations


def test_a_changeover_walks_down_the_line() -> None:
    events, right = walking_changeover()
    assert told(folded(plant(6), events)) == right


def test_a_station_apart_for_a_while() -> None:
    events = [
        order(0, "start", "A"),
        count(10, 0, 1),
        order(20, "start", "X", 0),
        count(25, 0, 2),
        count(26, 0, 4, "A"),  # of the order it does not work on: of none
        order(30, "end", "X", 0),
        count(40, 0, 8),
        order(50, "end", "A"),
    ]
    assert told(folded(plant(2), events)) == [
        (None, "A", 0, 50, 15, 150),
        ("s0", "A", 0, 20, 1, 10),
        ("s0", "X", 20, 30, 2, 20),
        ("s0", "A", 30, 50, 8, 80),
        ("s1", "A", 0, 50, 0, 0),
    ]


def test_the_only_station_is_the_line() -> None:
    events = [order(0, "start", "A", 0), count(10, 0, 3), order(20, "end", "A", 0)]
    assert told(folded(plant(1), events)) == [(None, "A", 0, 20, 3, 30), ("s0", "A", 0, 20, 3, 30)]


def test_an_order_sent_again_is_one() -> None:
    events = [order(0, "start", "A"), count(10, 0, 3), order(15, "start", "A"), count(16, 0, 1), order(20, "end", "A")]
    assert told(folded(plant(2), events))[1] == ("s0", "A", 0, 20, 4, 40)
    again = [*events, order(30, "start", "A"), count(35, 0, 1), order(40, "end", "A")]
    assert told(folded(plant(2), again))[3] == ("s0", "A", 30, 40, 1, 10)


def test_setup_before_the_first_order_is_no_order() -> None:
    """Before its first order there is nothing that a changeover could lie between; the order is seen at once."""
    where = loads(
        HEAD.replace("revise", "requires_order = true\nrevise").replace('run = "running"', 'run = "setup"')
        + '[[line.station]]\nid = "s0"\n[[line.station]]\nid = "s1"\n'
    )
    begins = [{"type": "state", "ts": T0, "line": "L", "station": f"s{k}", "state": "run"} for k in range(2)]
    events = [*begins, order(1, "start", "A", 0), order(5, "end", "A", 0)]
    twin, decoder = PartitionTwin(where, 0), Decoder(where)
    ends = [{"type": "heartbeat", "ts": T0 + minute * MIN * S, "line": "L"} for minute in (10, 11)]
    block, _ = decoder.decode([json.dumps(event).encode() for event in [*events, *ends]], range(6))
    rows = {r["station"]: r for r in twin.fold(block).tables["kpis"].to_pylist() if r["window"] == "10min"}
    assert (rows["s0"]["no_order_ns"] // S, rows["s0"]["setup_ns"] // S) == (60, 540)
    assert (rows["s1"]["no_order_ns"] // S, rows["s1"]["setup_ns"] // S) == (600, 0)


def test_what_is_open_is_named_with_its_figures_so_far() -> None:
    twin, decoder = PartitionTwin(plant(2), 0), Decoder(plant(2))
    plan = {"quantity": 40, "due": "2026-01-02T00:00:00Z"}
    events = [order(0, "start", "A"), order(10, "start", "B", 1, "slow") | plan, count(20, 0, 3), count(20, 1, 7)]
    events += [{"type": "heartbeat", "ts": T0 + 30 * MIN * S, "line": "L"}]
    block, _ = decoder.decode([json.dumps(event).encode() for event in events], range(5))
    twin.fold(block)
    still = [(one.station, one.name, one.good) for one in twin.still_open() if one.kind == "order"]
    # The line's figures are those of its constraint, which is the station that makes what takes longest.
    assert still == [(None, "A", 7), ("s1", "B", 7)]
    (view,) = twin.view()
    assert [(one.station, one.order, one.product, one.quantity, one.good) for one in view.orders] == [
        (None, "A", None, None, 7),
        ("s1", "B", "slow", 40, 7),
    ]
    assert [one.due for one in view.orders] == [None, "2026-01-02T00:00:00.000000000Z"]
