"""The plant changes at a random place of a random log: who did not change has the rows of a plant that did not."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.random_logs import ended, late, logs, small_line, small_plant
from tests.support.alerts import check_alert
from tests.support.fold import Ev, S, block, dicts, multisets
from twin.line import PartitionTwin, Results
from twin.line.change import carried
from twin.plant.canonical import line_hashes, model_hash
from twin.plant.model import Buffer, CalendarException, Line, Plant, Product, Station, Window

Row = dict[str, Any]
REVISE: Final = 40_000 * S
_APART: Final = ("model", "line_model", "source_offset")


def hashed(plant: Plant, lines: Sequence[Line]) -> Plant:
    other = replace(plant, lines=tuple(lines), hash="")
    return replace(other, hash=model_hash(other))


def moved(events: Sequence[Ev], old: Plant, new: Plant) -> list[Ev | None]:
    """The events by the numbers of another plant; None: of what it does not have."""
    lines = {line.id: k for k, line in enumerate(new.lines)}
    numbers = {
        (line.id, station.id): k
        for k, (line, station) in enumerate((line, station) for line in new.lines for station in line.stations)
    }
    names = [(line.id, station.id) for line in old.lines for station in line.stations]
    found: list[Ev | None] = []
    for e in events:
        line = lines.get(old.lines[e.line].id)
        station = numbers.get(names[e.station]) if e.station >= 0 else -1
        buffers = [] if line is None else [b.id for b in new.lines[line].buffers]
        lost = line is None or station is None or (e.type == 4 and e.x not in buffers)
        found.append(None if lost else e._replace(line=line, station=station))
    return found


def folded(plant: Plant, events: Sequence[Ev], cuts: Sequence[int] = ()) -> list[Results]:
    twin, results = PartitionTwin(plant, 0), []
    for begin, end in zip((0, *cuts), (*cuts, len(events)), strict=True):
        if end > begin:
            results.append(twin.fold(block(events[begin:end], begin)))
    return results


def changing(old: Plant, new: Plant, events: Sequence[Ev], place: int, again: bool) -> list[Results]:
    """Folded up to `place` under the old plant, then under the new one; `again`: by way of another snapshot."""
    before = PartitionTwin(old, 0)
    results = [before.fold(block(events[:place], 0))] if place else []
    twin = carried(old, new, 0, before.snapshot())
    if again:
        saved = twin.snapshot()
        twin = PartitionTwin.restore(new, 0, saved)
        assert twin.snapshot() == saved
    rest = [e for e in moved(events[place:], old, new) if e is not None]
    pieces = (block(rest[begin : begin + 7], place + begin) for begin in range(0, len(rest), 7))
    return [*results, *map(twin.fold, pieces)]


def rows_of(results: Sequence[Results], lines: Sequence[str], keep: Callable[[Row], bool] = lambda _: True) -> Any:
    found: dict[str, Counter[tuple[Any, ...]]] = {}
    for alert in dicts(results, "alerts"):
        check_alert(alert)
    for name in ("states", "kpis", "bottlenecks", "alerts", "rejected", "measures", "samples"):
        found[name] = Counter(
            tuple(str(value) for column, value in row.items() if column not in _APART)
            for row in dicts(results, name)
            if row["line"] in lines and keep(row)
        )
    return found


def extra(name: str, links: bool) -> Line:
    return replace(small_line(links, True, False, "Z"), id=name)


def with_station(line: Line, k: int) -> Line:
    """One station more, of no buffer, in the place k."""
    added = Station("added", minor_stop_ns=7 * S, staleness_ns=20 * S, states=line.stations[0].states)
    return replace(line, stations=(*line.stations[:k], added, *line.stations[k:]))


def without_station(line: Line, k: int) -> Line:
    gone = line.stations[k]
    stations = tuple(
        replace(s, inputs=tuple(b for b in s.inputs if b != gone.output)) for s in line.stations if s is not gone
    )
    return replace(line, stations=stations, buffers=tuple(b for b in line.buffers if b.id != gone.output))


def another(line: Line, what: str, k: int) -> Line:
    match what:
        case "station added":
            return with_station(line, k)
        case "station removed":
            return without_station(line, k)
        case "products":
            return replace(line, products=(Product("first", {"*": 2 * S}), *line.products, Product("other", {"*": S})))
        case "windows":
            return replace(line, windows=(Window("20s", 20 * S, 5 * S), line.windows[1]))
        case "publish":
            return replace(line, publish_every_ns=5 * S)
        case "times":
            return replace(
                line,
                lateness_ns=9 * S,
                stations=tuple(replace(s, minor_stop_ns=3 * S, staleness_ns=8 * S) for s in line.stations),
            )
        case "calendar":
            shifts = tuple(replace(s, id=f"{s.id}{s.id}", end_s=s.end_s + 33) for s in line.calendar.shifts[:1])
            return replace(line, calendar=replace(line.calendar, shifts=shifts))
        case "order needed":
            return replace(line, requires_order=not line.requires_order)
        case "places":
            places = ((4, None, None), (None, 3, 1), (2, 2, 5))[k]
            return replace(
                line, stations=tuple(replace(s, places=n) for s, n in zip(line.stations, places, strict=True))
            )
        case "buffers":
            stations = tuple(replace(s, inputs=(), output=None) for s in line.stations)
            if line.buffers:
                return replace(line, stations=stations, buffers=())
            joined = (replace(stations[0], output="new"), replace(stations[1], inputs=("new",)), stations[2])
            return replace(line, stations=joined, buffers=(Buffer("new", 2),))
    raise AssertionError(what)


KINDS: Final = (
    "station added", "station removed", "products", "windows", "publish", "times", "calendar", "order needed", "places",
    "buffers",
)  # fmt: skip


@pytest.mark.parametrize("revise_ns", [None, REVISE])
@settings(deadline=None, max_examples=30)
@given(st.data())
def test_lines_that_did_not_change_have_the_rows_of_a_plant_that_did_not(
    revise_ns: int | None, data: st.DataObject
) -> None:
    draw = data.draw
    links, calendar = draw(st.booleans()), draw(st.booleans())
    plant = small_plant(links, calendar, draw(st.booleans()), 3, revise_ns)
    plant = hashed(plant, plant.lines)
    events = draw(logs(links, draw(st.booleans()), 3, 60))
    if revise_ns:
        events = draw(late(events))
    events = ended(events, 80_000 * S if revise_ns else 100 * S)
    place = draw(st.integers(0, len(events)))
    lines = list(plant.lines)
    which, k = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    what = draw(st.sampled_from(("line added", "line removed", *KINDS)))
    if what == "line added":
        lines.insert(which, extra("A", links))
    elif what == "line removed":
        del lines[which]
    else:
        lines[which] = another(lines[which], what, k)
    assume(lines != list(plant.lines))  # without shifts there are none to change
    new = hashed(plant, draw(st.permutations(lines)))
    same = [line.id for line, its in zip(new.lines, line_hashes(new), strict=True) if its in line_hashes(plant)]
    assert len(same) == (3 if what == "line added" else 2)
    results = changing(plant, new, events, place, draw(st.booleans()))
    assert rows_of(results, same) == rows_of(folded(plant, events), same)
    # And nothing depends on where the log is cut afterwards.
    rest = [e for e in moved(events[place:], plant, new) if e is not None]
    if rest:
        before = PartitionTwin(plant, 0)
        first = [before.fold(block(events[:place], 0))] if place else []
        other = carried(plant, new, 0, before.snapshot())
        whole = [*first, other.fold(block(rest, place))]
        assert {n: c for n, c in multisets(whole).items() if n != "rejected"} == {
            n: c for n, c in multisets(results).items() if n != "rejected"
        }
    sound(results)


def sound(results: Sequence[Results]) -> None:
    """What holds in every row, of whatever plant: classes sum to the interval, states follow each other."""
    for row in dicts(results, "kpis"):
        total = sum(
            value for column, value in row.items() if column.endswith("_ns") and column not in ("ideal_ns", "cycle_ns")
        )
        assert total == row["end"] - row["start"], row
    ends: dict[tuple[str, str], int] = {}
    for row in sorted(
        dicts(results, "states"), key=lambda row: (row["line"], row["station"], row["start"], row["end"])
    ):
        if row["revision"]:
            continue
        place = row["line"], row["station"]
        assert row["start"] >= ends.get(place, 0), row
        assert row["end"] > row["start"]
        ends[place] = row["end"]


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_an_exception_of_the_calendar_that_lies_ahead_changes_no_row(data: st.DataObject) -> None:
    """Not even of what is late from before: the kept history goes on, too."""
    draw = data.draw
    links = draw(st.booleans())
    plant = small_plant(links, True, draw(st.booleans()), 2, draw(st.sampled_from((None, 60 * S, REVISE))))
    plant = hashed(plant, plant.lines)
    events = ended(draw(late(draw(logs(links, draw(st.booleans()), 2, 60)))), 400 * S)
    place = draw(st.integers(0, len(events)))
    ahead = CalendarException("2023-11-16", shift="a", hours=(7 * 3_600, 8 * 3_600))
    calendar = replace(plant.lines[0].calendar, exceptions=(ahead,))
    new = hashed(plant, [replace(plant.lines[0], calendar=calendar), plant.lines[1]])
    assert (line_hashes(new), new.hash == plant.hash) == (line_hashes(plant), False)
    found = rows_of(changing(plant, new, events, place, draw(st.booleans())), ("L", "M"))
    assert found == rows_of(folded(plant, events), ("L", "M"))


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_a_change_that_changes_no_figure_changes_no_row(data: st.DataObject) -> None:
    """A product that nobody makes, and a station that nobody hears of: all else goes on, windows and paths included."""
    draw = data.draw
    links, calendar = draw(st.booleans()), draw(st.booleans())
    plant = small_plant(links, calendar, draw(st.booleans()), 2)
    plant = hashed(plant, plant.lines)
    events = ended(draw(logs(links, draw(st.booleans()), 2, 60)))
    place = draw(st.integers(0, len(events)))
    lines = list(plant.lines)
    what = draw(st.sampled_from(("product", "station", "window")))
    if what == "product":
        lines[0] = replace(lines[0], products=(Product("unused", {"*": 5 * S}), *lines[0].products))
    elif what == "window":
        lines[0] = replace(lines[0], windows=(Window("15s", 15 * S, 5 * S), *lines[0].windows))
    else:
        lines[0] = with_station(replace(lines[0], constraint="L0"), 3)
        lines[1] = replace(lines[1], constraint="M0")
        plant = hashed(plant, [replace(lines[0], stations=plant.lines[0].stations), lines[1]])
    new = hashed(plant, lines)
    flows = what != "station" or not links

    def compared(row: Row) -> bool:
        if (
            row.get("station") == "added"
            or row.get("window") == "15s"
            or row.get("kind") in ("plant_changed", "oee_low")
        ):
            return False
        # With a station more there is another path, and other throughput of the line.
        return what != "station" or ("verdict" not in row and ("ote" not in row or row["station"] is not None))

    results = changing(plant, new, events, place, draw(st.booleans()))
    expected = folded(plant, events)
    found, there = rows_of(results, ("L", "M"), compared), rows_of(expected, ("L", "M"), compared)
    assert found == there, flows
    sound(results)
