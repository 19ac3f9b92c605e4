"""Orders of single stations in a mapping, and orders whose rows have a beginning and an end."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.sources import mapping, read, write
from twin.sources import MappingError

HEAD = """
line = "L1"
station = { column = "who" }
[time]
column = "t"
unit = "s"
origin = "2026-01-01T00:00:00Z"
[[event]]
type = "count"
good = { column = "n" }
"""
OF_STATION = HEAD + '[order]\nof = "station"\nid = { column = "o" }\nproduct = { column = "p" }\n'
SPANS = HEAD.replace('column = "t"', 'column = "to"') + (
    '[order]\nof = "station"\nid = { column = "o" }\ntime = { column = "from" }\n'
)


def orders(events: list[dict[str, Any]]) -> list[tuple[float, str | None, str, str]]:
    return [(e["at"], e["station"], e["phase"], e["order"]) for e in events if e["type"] == "order"]


def test_each_station_has_its_own(tmp_path: Path) -> None:
    text = "t,who,o,p,n\n0,A,x,red,1\n0,B,y,blue,1\n5,A,x,red,1\n5,B,z,blue,1\n9,A,,,1\n9,B,z,blue,1\n"
    events, logs = read(write(tmp_path, "a.csv", text), OF_STATION)
    assert orders(events) == [
        (0, "A", "start", "x"),
        (0, "B", "start", "y"),
        (5, "B", "end", "y"),
        (5, "B", "start", "z"),
        (9, "A", "end", "x"),
        (9, "B", "end", "z"),
    ]
    assert [e.get("product") for e in events if e["type"] == "order" and e["phase"] == "start"] == [
        "red",
        "blue",
        "blue",
    ]
    assert logs.summary.problems == {}


def test_orders_that_take_turns_are_told(tmp_path: Path) -> None:
    text = "t,who,o,p,n\n" + "".join(f"{i},{'AB'[i % 2]},{'xy'[i % 2]},,1\n" for i in range(6))
    _, logs = read(write(tmp_path, "a.csv", text), OF_STATION.replace('of = "station"\n', ""))
    problem = logs.summary.problems["several_orders"]
    assert problem.count == 3
    assert 'of = "station"' in problem.first
    events, logs = read(write(tmp_path, "a.csv", text), OF_STATION)
    assert logs.summary.problems == {}
    assert len(orders(events)) == 4
    # An order that is interrupted by another one comes back once, and nothing is told.
    text = "t,who,o,p,n\n0,A,x,,1\n1,A,y,,1\n2,A,x,,1\n3,A,z,,1\n"
    assert read(write(tmp_path, "b.csv", text), OF_STATION)[1].summary.problems == {}


def test_confirmations_are_of_the_order_from_their_beginning(tmp_path: Path) -> None:
    text = "from,to,who,o,n\n0,10,A,x,1\n12,20,A,x,1\n5,25,B,y,1\n30,40,A,z,1\n"
    events, logs = read(write(tmp_path, "a.csv", text), SPANS)
    assert orders(events) == [
        (0, "A", "start", "x"),
        (5, "B", "start", "y"),
        (20, "A", "end", "x"),
        (25, "B", "end", "y"),
        (30, "A", "start", "z"),
        (40, "A", "end", "z"),
    ]
    assert logs.summary.problems == {}


def test_an_order_that_begins_while_another_is_worked_on_is_refused(tmp_path: Path) -> None:
    text = "from,to,who,o,n\n0,10,A,x,1\n5,15,A,y,1\n10,20,A,x,1\n22,25,A,y,1\n30,29,A,w,1\n"
    events, logs = read(write(tmp_path, "a.csv", text), SPANS)
    assert orders(events) == [
        (0, "A", "start", "x"),
        (20, "A", "end", "x"),
        (22, "A", "start", "y"),
        (25, "A", "end", "y"),
    ]
    problem = logs.summary.problems["several_orders"]
    assert (problem.count, problem.first) == (
        1,
        f"{tmp_path}/a.csv:3: order y begins while order x is worked on: a station has one order at a time; it is not "
        "begun",
    )
    assert logs.summary.problems["impossible_value"].count == 1


OPEN = HEAD.replace('column = "t"', 'column = "from"') + (
    '[order]\nof = "station"\nid = { column = "o" }\ntime = { column = "from" }\nuntil = { column = "to" }\n'
)


@pytest.mark.parametrize("of", ["station", "line"])
def test_an_order_without_an_end_is_open_until_the_next_one(tmp_path: Path, of: str) -> None:
    rules, place = OPEN.replace('"station"\nid', f'"{of}"\nid'), "A" if of == "station" else None
    text = "from,to,who,o,n\n0,10,A,x,1\n10,,A,y,1\n30,40,A,z,1\n50,,A,w,1\n"
    events, logs = read(write(tmp_path, "a.csv", text), rules)
    began = [(0, place, "start", "x"), (10, place, "end", "x"), (10, place, "start", "y"), (30, place, "end", "y")]
    assert sorted(orders(events)) == sorted(
        [*began, (30, place, "start", "z"), (40, place, "end", "z"), (50, place, "start", "w")]
    )
    assert logs.summary.problems == {}


def test_an_end_that_cannot_be_read_is_told_and_not_known(tmp_path: Path) -> None:
    text = "from,to,who,o,n\n0,??,A,x,1\n30,40,A,y,1\n"
    events, logs = read(write(tmp_path, "a.csv", text), OPEN)
    assert (30, "A", "end", "x") in orders(events)
    assert logs.summary.problems["bad_time"].count == 1


def test_rows_of_one_order_without_ends_are_one(tmp_path: Path) -> None:
    # The last of its rows says when it ended; an end that lies further on still holds.
    text = "from,to,who,o,n\n0,20,A,x,1\n5,,A,x,1\n10,15,A,x,1\n30,,A,y,1\n40,45,A,y,1\n"
    events, logs = read(write(tmp_path, "a.csv", text), OPEN)
    assert orders(events) == [
        (0, "A", "start", "x"),
        (20, "A", "end", "x"),
        (30, "A", "start", "y"),
        (45, "A", "end", "y"),
    ]
    assert logs.summary.problems == {}


@pytest.mark.parametrize(("following", "ends"), [("x", [50]), ("y", [30, 50])])
def test_an_order_without_an_end_goes_on_in_the_next_file(tmp_path: Path, following: str, ends: list[float]) -> None:
    write(tmp_path, "1.csv", "from,to,who,o,n\n10,,A,x,1\n")
    write(tmp_path, "2.csv", f"from,to,who,o,n\n30,50,A,{following},1\n")
    events, _ = read(tmp_path, OPEN)
    assert [e["at"] for e in events if e["type"] == "order" and e["phase"] == "end"] == ends


def test_orders_in_columns_of_stations(tmp_path: Path) -> None:
    rules = """
line = "L1"
[time]
column = "t"
unit = "s"
origin = "2026-01-01T00:00:00Z"
[order]
of = "station"
id = { column = "{station} order" }
[[event]]
type = "count"
good = { column = "{station} n" }
"""
    text = "t,A order,A n,B order,B n\n0,x,1,y,1\n5,x,1,z,1\n"
    events, _ = read(write(tmp_path, "a.csv", text), rules)
    assert orders(events) == [
        (0, "A", "start", "x"),
        (0, "B", "start", "y"),
        (5, "B", "end", "y"),
        (5, "B", "start", "z"),
        (5, "A", "end", "x"),
        (5, "B", "end", "z"),
    ]


def test_an_order_event_with_a_station_is_that_station_s(tmp_path: Path) -> None:
    rules = HEAD + (
        '[[event]]\ntype = "order"\nstation = { column = "who" }\n'
        'action = { column = "do" }\norder = { column = "o" }\n'
    )
    text = "t,who,o,do,n\n0,A,x,start,\n1,B,y,start,\n2,A,x,end,\n"
    assert orders(read(write(tmp_path, "a.csv", text), rules)[0]) == [
        (0, "A", "start", "x"),
        (1, "B", "start", "y"),
        (2, "A", "end", "x"),
    ]


def test_mistakes() -> None:
    for rules, message in (
        (OF_STATION.replace('station = { column = "who" }\n', ""), "needs to know which station a row is of"),
        (OF_STATION.replace('"station"', '"cell"'), "is not one of line, station"),
        (HEAD + '[order]\nid = { column = "{station} o" }\n', 'write of = "station"'),
        (HEAD + '[order]\nid = { column = "o" }\nuntil = { column = "x" }\n', "needs `time`"),
        (SPANS + '[sample]\nhold = "1s"\n', "are for rows that are events"),
    ):
        with pytest.raises(MappingError, match=message):
            mapping(rules)
