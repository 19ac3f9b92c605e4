"""A line that leaves the plant and comes again, and products that were declared when the plant changes."""

from dataclasses import replace

from kernels import codes
from kernels.fold import layout as at
from tests.property.test_plant_change_property import hashed
from tests.support.fold import Ev, S, block, dicts, heartbeat, one_line
from twin.line import PartitionTwin
from twin.line.change import carried
from twin.plant.model import Line, Plant, Product, Station, Window

MIN = 60 * S
T0 = 1_700_000_000 * S // MIN * MIN


def line(name: str, **more: object) -> Line:
    station = Station(f"{name}1", ideal_cycle_ns=10 * S, states={"RUN": codes.RUNNING}, staleness_ns=3_600 * S)
    made = one_line([station], windows=(Window("1min", MIN, MIN),), publish_every_ns=MIN, lateness_ns=0)
    return replace(made.lines[0], id=name, **more)  # type: ignore[arg-type]


def plant(*lines: Line) -> Plant:
    return hashed(Plant("works", (), ""), lines)


def run(t: int, k: int = 0) -> Ev:
    return Ev(T0 + t * S, codes.STATE, k, codes.RUNNING, x="RUN", line=k)


def test_a_line_that_comes_again_begins_anew() -> None:
    both, one = plant(line("L"), line("M")), plant(line("L"))
    twin = PartitionTwin(both, 0)
    order = Ev(T0 + 2 * S, codes.ORDER, -1, codes.START, -1, x="o", line=1)
    results = [twin.fold(block([run(0), run(0, 1), order, run(70), run(70, 1), run(100, 1)._replace(seq=5)]))]
    twin = carried(both, one, 0, twin.snapshot())
    results.append(twin.fold(block([run(130)])))
    ended = [r for r in dicts(results, "kpis") if r["line"] == "M" and r["window"] == "order"]
    assert [(r["start"], r["end"]) for r in ended if r["station"]] == [(T0 + 2 * S, T0 + 100 * S)]
    twin = carried(one, both, 0, twin.snapshot())
    assert not twin.engine.state.lines[1, at.L_SEEN]
    # Also a number that was seen then: nothing old is known.
    again = [run(200, 1)._replace(seq=5), run(260, 1), heartbeat(T0 + 320 * S, 1), heartbeat(T0 + 380 * S, 1)]
    results = [twin.fold(block(again))]
    rows = [r for r in dicts(results, "kpis") if r["line"] == "M" and r["station"]]
    assert rows
    assert min(r["start"] for r in rows) == T0 + 200 * S
    assert {r["order"] for r in rows} == {None}


def start(t: int, name: str, product: str, pace: str | None = None) -> Ev:
    said = None if pace is None else (pace, None, None)
    return Ev(T0 + t * S, codes.ORDER, -1, codes.START, -1, x=name, y=product, pace=said)


def count(t: int) -> Ev:
    return Ev(T0 + t * S, codes.COUNT, 0, codes.PARTS, 5)


def test_what_was_declared_goes_on_until_the_file_names_the_product() -> None:
    before = plant(line("L"))
    other = plant(line("L", products=(Product("else", {"*": S}), Product("late", {"*": 7 * S}))))
    twin = PartitionTwin(before, 0)
    results = [
        twin.fold(block([run(0), start(1, "o", "new", "4s"), count(30), start(40, "p", "late", "3s"), count(50)]))
    ]
    results.append(twin.fold(block([run(60)])))
    twin = carried(before, other, 0, twin.snapshot())
    again = PartitionTwin.restore(other, 0, twin.snapshot())
    assert again.snapshot() == twin.snapshot()
    events = [count(90), start(100, "q", "new"), count(120), start(130, "r", "else"), count(140)]
    end = Ev(T0 + 160 * S, codes.ORDER, -1, codes.END, -1, x="r")
    results.append(again.fold(block([*events, end, heartbeat(T0 + 400 * S), heartbeat(T0 + 460 * S)])))
    rows = [r for r in dicts(results, "kpis") if r["window"] == "order" and r["station"]]
    # The order that ran: 5 parts at 3 s, then 5 at the file's 7 s.
    assert [(r["order"], r["product"], r["ideal_ns"] // S) for r in rows] == [
        ("o", "new", 20),
        ("p", "late", 15 + 35),
        ("q", "new", 20),
        ("r", "else", 5),
    ]
