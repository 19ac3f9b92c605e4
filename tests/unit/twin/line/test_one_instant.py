"""Orders that begin and end at one instant, the first reason of a stop, empty texts, products that only cycles name."""

import json
from typing import Any

import pytest

from tests.unit.twin.line.test_line_stops import T0, S
from twin.line import PartitionTwin
from twin.plant import loads
from twin.wire.decode import Decoder

Row = dict[str, Any]
MIN = 60

PLANT = """
site = "test"
area = [{ id = "a" }]
[[line]]
id = "L"
area = "a"
type = "batch"
lateness = "0s"
minor_stop = "1min"
publish_every = "10min"
windows = ["10min/10min"]
staleness = "1d"
[line.states]
run = "running"
stop = "stopped"
fault = "down"
[[line.product]]
id = "p"
ideal_cycle = "20s"
[[line.station]]
id = "m"
ideal_cycle = "10s"
parts_from = "cycle"
[[line.station]]
id = "k"
ideal_cycle = "10s"
"""
_M = PLANT.index('[[line.station]]\nid = "m"')
ALONE = PLANT[:_M] + PLANT[PLANT.index('[[line.station]]\nid = "k"') :]


def event(minute: int, kind: str, station: str | None = None, **fields: Any) -> Row:
    head = {"type": kind, "ts": T0 + minute * MIN * S, "line": "L"}
    return head | ({} if station is None else {"station": station}) | fields


def order(minute: int, action: str, name: str, station: str | None = None) -> Row:
    return event(minute, "order", station, action=action, order=name)


def folded(events: list[Row], set_name: str, text: str = PLANT) -> tuple[list[Row], list[str]]:
    """Rows of a set, and what is doubted; saved and restored after every event."""
    plant = loads(text)
    twin, decoder = PartitionTwin(plant, 0), Decoder(plant)
    rows: list[Row] = []
    for offset, one in enumerate([*events, event(300, "heartbeat"), event(301, "heartbeat")]):
        block, refused = decoder.decode([json.dumps(one).encode()], [offset])
        assert not refused
        table = twin.fold(block).tables.get(set_name)
        rows += [] if table is None else table.to_pylist()
        twin = PartitionTwin.restore(plant, 0, twin.snapshot())
    return rows, [doubt for doubt in twin.doubts() if "order" in doubt or "product" in doubt]


def orders(events: list[Row], text: str = PLANT) -> tuple[list[tuple[Any, ...]], list[str]]:
    """Of each row of an order station, order, good parts, and minutes of start and end."""
    rows, doubts = folded(events, "kpis", text)
    return [
        (r["station"], r["order"], r["good"], *(int(r[at].timestamp() - T0 // S) // MIN for at in ("start", "end")))
        for r in rows
        if r["window"] == "order"
    ], doubts


@pytest.mark.parametrize("first", ["start", "end"])
@pytest.mark.parametrize("alone", [False, True])
def test_an_order_that_begins_and_ends_at_one_instant(first: str, alone: bool) -> None:
    events = [
        order(0, "start", "A"),
        event(2, "count", "k", good=3),
        order(2, "end", "A"),
        order(3, first, "B"),
        event(3, "count", "k", good=4, order="B"),
        order(3, "end" if first == "start" else "start", "B"),
        event(4, "count", "k", good=5),
        order(5, "start", "C"),
        order(6, "end", "C"),
    ]
    rows, doubts = orders(events, ALONE if alone else PLANT)
    assert [row for row in rows if row[0] == "k"] == [("k", "A", 3, 0, 2), ("k", "B", 4, 3, 3), ("k", "C", 0, 5, 6)]
    # The line's own rows are of its constraint, which is `m` where it is there.
    good = (3, 4, 0) if alone else (0, 0, 0)
    assert [row[1:3] for row in rows if row[0] is None] == list(zip("ABC", good, strict=True))
    assert doubts == []


def test_an_order_of_a_station_that_begins_where_another_ends_and_ends_at_once() -> None:
    events = [
        order(0, "start", "A", "k"),
        event(2, "count", "k", good=3),
        order(2, "end", "A", "k"),
        order(2, "start", "B", "k"),
        event(2, "count", "k", good=4, order="B"),
        order(2, "end", "B", "k"),
        event(4, "count", "k", good=5),
    ]
    found, doubts = orders(events)
    assert found == [("k", "A", 3, 0, 2), ("k", "B", 4, 2, 2)]
    assert doubts == []


def test_an_order_of_one_instant_without_parts_has_no_row() -> None:
    assert orders([order(0, "start", "A"), order(0, "end", "A"), event(4, "count", "k", good=5)]) == ([], [])


@pytest.mark.parametrize("word", ["stop", "fault"])
@pytest.mark.parametrize("none", [None, ""])
def test_the_first_reason_holds_for_the_whole_stop(word: str, none: str | None) -> None:
    def reasons(*minutes: int) -> list[tuple[str | None, int]]:
        events = [event(0, "state", "k", state="run"), event(1, "state", "k", state=word, reason=none)]
        events += [event(minute, "state", "k", state=word, reason=f"r{minute}") for minute in minutes]
        rows, _ = folded([*events, event(40, "state", "k", state="run")], "states")
        rows = [row for row in rows if row["station"] == "k" and row["class"] == "down"]
        return [(row["reason"], int((row["end"] - row["start"]).total_seconds()) // MIN) for row in rows]

    assert reasons(10) == [("r10", 39)]
    assert reasons(40) == [("r40", 39)]
    assert reasons(10, 30) == [("r10", 29), ("r30", 10)]
    assert reasons(10, 40) == [("r10", 39)]
    assert reasons() == [(None, 39)]


def test_a_product_that_only_cycles_name_and_nobody_knows_is_told() -> None:
    for product, told in (("p", []), ("", []), (None, []), ("P", ["product P is not in the plant file"])):
        events = [event(1, "cycle", "m", phase="start", product=product), event(2, "cycle", "m", phase="end")]
        _, doubts = folded(events, "kpis")
        assert [doubt.split(":")[1].strip() for doubt in doubts] == told
