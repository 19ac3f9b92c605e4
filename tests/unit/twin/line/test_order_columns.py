"""The product of states and the quantity of orders: in rows, in the view, and over snapshots that do not have them."""

import json
from typing import Any

import msgspec
import numpy as np

from kernels.fold import layout as at
from tests.unit.twin.line.test_line_stops import T0, S
from tests.unit.twin.line.test_station_orders import HEAD, MIN, Row, count, order, plant
from twin.line import PartitionTwin, shape
from twin.line import snapshot as snap
from twin.line.shape import NAMES
from twin.plant import loads
from twin.plant.model import Plant
from twin.wire.decode import Decoder


def fold(where: Plant, twin: PartitionTwin, events: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for event in events:
        block, refused = Decoder(where).decode([json.dumps(event).encode()], range(1))
        assert not refused
        for name, table in twin.fold(block).tables.items():
            found.setdefault(name, []).extend(table.to_pylist())
    return found


def state(minute: int, word: str) -> Row:
    return {"type": "state", "ts": T0 + minute * MIN * S, "line": "L", "station": "s0", "state": word}


def beat(minute: int) -> Row:
    return {"type": "heartbeat", "ts": T0 + minute * MIN * S, "line": "L"}


def orders(rows: dict[str, list[Row]]) -> set[tuple[Any, ...]]:
    named = ("station", "order", "product", "quantity")
    return {tuple(row[name] for name in named) for row in rows["kpis"] if row["window"] == "order"}


ENDS = [beat(300), beat(301)]


def test_quantity_stands_in_rows_of_orders_and_only_there() -> None:
    where = plant(2)
    events = [
        {**order(0, "start", "A", product="slow"), "quantity": 500},
        count(5, 0, 3),
        {**order(10, "start", "B", 1), "quantity": 0},
        count(20, 1, 4),
        {**order(25, "start", "A", product="slow"), "quantity": 480},  # sent again with another plan
        order(28, "start", "A", product="slow"),  # and without one
        {**order(30, "end", "A"), "quantity": 7},
        order(40, "end", "B", 1),
        order(50, "start", "C"),
        count(55, 0, 1),
        order(60, "end", "C"),
    ]
    rows = fold(where, PartitionTwin(where, 0), [*events, *ENDS])
    assert orders(rows) == {
        (None, "A", "slow", 480),
        ("s0", "A", "slow", 480),
        ("s1", "A", "slow", 500),  # until it left the order, of which 500 was said by then
        ("s1", "B", None, 0),
        (None, "C", None, None),
        ("s0", "C", None, None),
        ("s1", "C", None, None),
    }
    assert {row["quantity"] for row in rows["kpis"] if row["window"] != "order"} == {None}


def test_a_state_has_the_product_of_its_order_at_its_start() -> None:
    where = plant(1)
    events = [state(0, "run"), order(10, "start", "A", product="slow"), state(20, "down"), order(30, "start", "B")]
    events += [state(40, "run"), order(50, "end", "B"), state(60, "down"), state(70, "run"), state(80, "down")]
    rows = fold(where, PartitionTwin(where, 0), [*events, *ENDS])
    found = [(row["start"], row["order"], row["product"]) for row in rows["states"]]
    assert [row[1:] for row in sorted(found)][:4] == [(None, None), ("A", "slow"), ("B", None), (None, None)]


def test_the_view_shows_product_and_quantity() -> None:
    where = plant(1)
    twin = PartitionTwin(where, 0)
    fold(where, twin, [beat(0), beat(1)])
    assert [(one.order, one.product, one.quantity) for one in twin.view()] == [(None, None, None)]
    fold(where, twin, [{**order(10, "start", "A", product="slow"), "quantity": 9}, beat(11)])
    assert [(one.order, one.product, one.quantity) for one in twin.view()] == [("A", "slow", 9)]
    fold(where, twin, [order(20, "end", "A"), beat(21)])
    assert [(one.order, one.product, one.quantity) for one in twin.view()] == [(None, None, None)]


def test_a_snapshot_from_before_them_knows_the_product_where_it_is_certain() -> None:
    where = loads(HEAD.replace('revise = "2h"\n', "") + '[[line.station]]\nid = "s0"\nideal_cycle = "10s"\n')
    twin = PartitionTwin(where, 0)
    fold(where, twin, [order(0, "start", "A", product="slow"), state(5, "down"), beat(10), beat(11)])
    older = without(twin.snapshot())
    again = PartitionTwin.restore(where, 0, older)
    rows = fold(where, again, [state(40, "run"), order(50, "end", "A"), *ENDS])
    assert [(row["order"], row["product"]) for row in rows["states"]][:1] == [("A", "slow")]
    assert {row[3] for row in orders(rows)} == {None}  # nobody kept how many were ordered
    # What the station is in began before the order that it works on now.
    twin = PartitionTwin(where, 0)
    fold(where, twin, [order(0, "start", "A", product="slow"), state(5, "down"), order(9, "end", "A")])
    fold(where, twin, [order(10, "start", "A"), beat(12), beat(13)])
    again = PartitionTwin.restore(where, 0, without(twin.snapshot()))
    rows = fold(where, again, [state(40, "run"), *ENDS])
    assert [(row["order"], row["product"]) for row in rows["states"]][:1] == [("A", None)]


GONE = {
    ("line", "quantity"),
    ("station", "product"),
    ("station", "own_quantity"),
    ("closing", "quantity"),
    ("own closing", "quantity"),
    ("interval", "product"),
}


def without(data: bytes) -> bytes:
    """A snapshot as the version before these columns wrote it."""
    saved = snap.decode(data)
    names = {axis: tuple(one for one in some if (axis, one) not in GONE) for axis, some in NAMES.items()}
    arrays = {}
    for name, given in saved.arrays.items():
        axes = shape.ARRAYS[name].axes
        if not any(axis in {one for one, _ in GONE} for axis in axes):
            arrays[name] = given
            continue
        cells = np.frombuffer(given, np.int64).reshape(
            [-1 if axis == shape.ROWS else saved.closings if axis == shape.ROOM else len(NAMES[axis]) for axis in axes]
        )
        for k, axis in enumerate(axes):
            gone = [NAMES[axis].index(one) for where, one in GONE if where == axis] if axis in NAMES else []
            cells = np.delete(cells, gone, axis=k)
        arrays[name] = cells.tobytes()
    for mine in saved.memory.values():
        mine.stops = [row[: at.IO_PRODUCT] for row in mine.stops]
    return snap.squeeze(msgspec.structs.replace(saved, names=names, arrays=arrays))
