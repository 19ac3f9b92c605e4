"""What people enter: the events of `twin correct`, and what they make of a line, against figures worked out by hand."""

import hashlib
import json
from typing import Any

import pytest

from streams.tools.correct import CorrectionError, check, event_of, salted, until
from tests.unit.twin.line.test_line_stops import T0, S
from twin.line import PartitionTwin
from twin.plant import loads
from twin.time.rfc3339 import rfc3339
from twin.wire.decode import Decoder

Row = dict[str, Any]
MIN = 60 * S
PLANT = loads("""
site = "test"
area = [{ id = "a" }]
[[line]]
id = "L"
area = "a"
type = "flow"
lateness = "0s"
publish_every = "10min"
windows = ["10min/10min"]
staleness = "1d"
minor_stop = "2min"
revise = "2h"
[line.states]
RUN = "running"
HALT = "stopped"
CLEAN = "planned_stop"
[[line.product]]
id = "slow"
ideal_cycle = "20s"
[[line.station]]
id = "s0"
ideal_cycle = "10s"
[[line.station.counter]]
id = "n"
[[line.station]]
id = "s1"
ideal_cycle = "10s"
""")
SAID = {"line": "L", "station": "s0", "by": "op-7"}


def at(minute: int) -> int:
    return T0 + minute * MIN


def state(minute: int, word: str, reason: str | None = None) -> Row:
    more = {} if reason is None else {"reason": reason}
    return {"type": "state", "ts": at(minute), "line": "L", "station": "s0", "state": word, **more}


def count(minute: int, **fields: Any) -> Row:
    return {"type": "count", "ts": at(minute), "line": "L", "station": "s0", **fields}


def order(minute: int, action: str, name: str, **fields: Any) -> Row:
    return {"type": "order", "ts": at(minute), "line": "L", "action": action, "order": name, **fields}


def said(verb: str, now: int, **fields: Any) -> Row:
    """An entry as `twin correct` makes it, at minute `now` of the line."""
    given = dict(SAID) if verb != "order" else {"line": "L", "by": "op-7"}
    event = event_of(verb, given | fields, at(now))
    check(PLANT, event)
    assert (event["by"], "note" in event) == ("op-7", False)
    return event


def folded(events: list[Row]) -> tuple[list[Row], list[Row], list[str]]:
    """States of s0 and rows of orders that stand at the end, and reasons of refusals; saved after every event."""
    twin, decoder = PartitionTwin(PLANT, 0), Decoder(PLANT)
    found: dict[str, dict[Any, Row]] = {"states": {}, "kpis": {}}
    refused = []
    for event in [*events, *({"type": "heartbeat", "ts": at(minute), "line": "L"} for minute in (110, 111))]:
        block, wrong = decoder.decode([json.dumps(event).encode()], range(1))
        assert not wrong
        tables = twin.fold(block).tables
        for name, rows in found.items():
            for row in tables[name].to_pylist() if name in tables else []:
                rows[row["station"], row.get("window"), row["start"], row.get("end") if name == "kpis" else None] = row
        refused += [row["reason"] for row in tables["rejected"].to_pylist()] if "rejected" in tables else []
        twin = PartitionTwin.restore(PLANT, 0, twin.snapshot())
    states = [r for r in found["states"].values() if not r["retracted"] and r["station"] == "s0"]
    orders = [r for r in found["kpis"].values() if not r["retracted"] and r["window"] == "order"]
    return sorted(states, key=lambda r: r["start"]), [r for r in orders if r["station"] is None], refused


def minutes(row: Row) -> tuple[int, int]:
    return tuple(int(row[name].timestamp() * S - T0) // MIN for name in ("start", "end"))  # type: ignore[return-value]


STOP = [state(0, "RUN"), state(10, "HALT", "guard"), state(14, "HALT", "door"), state(20, "RUN"), state(50, "HALT")]


def stops(events: list[Row]) -> list[tuple[int, int, str | None]]:
    return [(*minutes(r), r["reason"]) for r in folded(events)[0] if r["class"] == "down"]


def test_a_reason_for_the_whole_stop_and_its_undo() -> None:
    assert stops(STOP) == [(10, 14, "guard"), (14, 20, "door")]
    whole = said("stop", 52, corrects=rfc3339(at(15)), reason="caps")
    assert stops([*STOP, whole]) == [(10, 20, "caps")]
    undone = said("undo", 53, corrects=str(at(52)))
    assert stops([*STOP, whole, undone]) == [(10, 14, "guard"), (14, 20, "door")]
    # Long after it was applied, too.
    assert stops([*STOP, whole, count(75, good=1), said("undo", 76, corrects=str(at(52)))]) == stops(STOP)
    again = said("undo", 78, corrects=str(at(76)))  # an undo is undone by saying it anew: it names no correction
    assert folded([*STOP, whole, said("undo", 76, corrects=str(at(52))), again])[2] == ["nothing_to_correct"]


def test_a_split_and_its_undo() -> None:
    split = said("split", 55, at=at(17), state="HALT", reason="jam")
    assert stops([*STOP, split]) == [(10, 14, "guard"), (14, 17, "door"), (17, 20, "jam")]
    assert stops([*STOP, split, said("undo", 56, corrects=str(at(17)))]) == stops(STOP)


@pytest.mark.parametrize("between", [None, 75])
def test_the_entry_that_came_last_counts(between: int | None) -> None:
    """A split that comes after the whole stop's reason, before the tick at which both are applied or after it."""
    whole = said("stop", 52, corrects=rfc3339(at(15)), reason="caps")
    split = said("split", 76 if between else 55, at=at(17), state="HALT", reason="jam")
    applied = [count(between, good=1)] if between else []
    assert stops([*STOP, whole, *applied, split]) == [(10, 17, "caps"), (17, 20, "jam")]
    assert stops([*STOP, split, whole]) == [(10, 20, "caps")]


ORDER = [
    order(0, "start", "A", quantity=50),
    count(10, good=6),
    count(20, good=4),
    order(40, "end", "A"),
    count(60, good=0),
]


def orders(events: list[Row]) -> list[tuple[int, int, str, str | None, int | None, int, int]]:
    rows = folded(events)[1]
    return [(*minutes(r), r["order"], r["product"], r["quantity"], r["good"], r["ideal_ns"] // S) for r in rows]


def test_an_orders_later_start_other_product_and_quantity() -> None:
    assert orders(ORDER) == [(0, 40, "A", None, 50, 10, 100)]
    start = rfc3339(at(0))
    later = said("order", 62, corrects=start, at=at(15), order="A", product="slow", quantity=70)
    assert orders([*ORDER, later]) == [(15, 40, "A", "slow", 70, 4, 80)]
    # The last word counts, and is itself undone; then nothing was said.
    more = said("order", 63, corrects=rfc3339(at(15)), at=at(5), order="A", quantity=60)
    assert orders([*ORDER, later, more]) == [(5, 40, "A", None, 60, 10, 100)]
    assert orders([*ORDER, later, more, said("undo", 64, corrects=str(at(5)))]) == [(15, 40, "A", "slow", 70, 4, 80)]


def test_an_order_is_cancelled() -> None:
    rows = orders([*ORDER, said("undo", 62, corrects=rfc3339(at(0)))])
    assert rows == []


def test_a_count_and_a_reading_of_another_size() -> None:
    parts = said("count", 62, corrects=rfc3339(at(20)), good=2, scrap=1)
    assert orders([*ORDER, parts])[0][-2] == 8
    readings = [order(0, "start", "A"), *(count(m, counter="n", value=v) for m, v in ((1, 100), (10, 104), (20, 190)))]
    readings += [count(30, counter="n", value=110), order(40, "end", "A"), count(60, good=0)]
    right = said("count", 62, corrects=rfc3339(at(20)), counter="n", value=108)
    assert orders([*readings, right])[0][-2] == 10


def test_what_cannot_be_corrected_is_told_before_it_is_sent() -> None:
    (line,) = PLANT.lines
    event = event_of("stop", SAID | {"corrects": rfc3339(at(0)), "reason": "x"}, at(100))
    assert until(line, event, at(100)) == at(120)
    with pytest.raises(CorrectionError, match="could be corrected until"):
        until(line, event, at(121))
    assert until(line, event_of("undo", SAID | {"corrects": "17"}, at(500)), at(500)) is None
    with pytest.raises(CorrectionError, match="has no state 'FLY'"):
        check(PLANT, event_of("split", SAID | {"at": at(0), "state": "FLY"}, at(1)))
    for verb, fields in (
        ("stop", {}),
        ("split", {}),
        ("count", {"good": 1}),
        ("count", {"corrects": "7", "counter": "n"}),
    ):
        with pytest.raises(CorrectionError):
            event_of(verb, SAID | fields, at(1))


def test_a_note_goes_out_as_a_salted_hash() -> None:
    one, two = salted("no caps"), salted("no caps")
    assert one.note != two.note
    assert one.note == hashlib.sha256(bytes.fromhex(one.salt) + b"no caps").hexdigest()
    assert salted("no caps", one.salt) == one
    event = event_of("stop", SAID | {"corrects": "7", "reason": "x", "note": one.note}, at(1))
    check(PLANT, event)
    with pytest.raises(CorrectionError, match="no SHA-256"):
        check(PLANT, event | {"note": "no caps"})
