"""Material flow and critical path of the fold against the plain Python line."""

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kernels import codes
from kernels.fold.layout import L_CONTRADICTIONS, V_TOTAL
from kernels.fold.path import closers, mix
from tests import naive
from tests.support.fold import FOREVER, Ev, dicts, fold_once, heartbeat, one_line
from twin.plant.model import Buffer, Plant, Station

START = 1_700_000_000_000_000_000
Log = list[tuple[int, int, str, str | None]]


def buffer(capacity: int | None, initial: int = 0) -> naive.Buffer:
    return naive.Buffer(capacity, initial)


def station(inputs: tuple[int, ...], output: int | None) -> naive.Station:
    return naive.Station(inputs, output)


@st.composite
def topologies(draw: st.DrawFn) -> naive.Topology:
    found = draw(shapes())
    if draw(st.booleans()):
        places = [draw(st.sampled_from([None, None, 1, 2, 3])) for _ in found.stations]
        found.stations = [replace(one, places=n) for one, n in zip(found.stations, places, strict=True)]
    return found


@st.composite
def shapes(draw: st.DrawFn) -> naive.Topology:
    def buffers(n: int) -> list[naive.Buffer]:
        found = []
        for _ in range(n):
            capacity = draw(st.sampled_from([0, 0, 1, 2, None]))
            found.append(buffer(capacity, draw(st.integers(0, min(1 if capacity is None else capacity, 1)))))
        return found

    shape = draw(
        st.sampled_from(["serial", "assembly", "shared", "merge", "backward", "parallel", "ends", "three", "outside"])
    )
    if shape == "parallel":
        return naive.Topology(buffers(2), [station((), 0), *[station((0,), 1)] * 3, station((1,), None)])
    if shape == "ends":
        return naive.Topology(buffers(2), [station((), 0), station((), 0), station((0,), 1), station((0,), 1)])
    if shape == "outside":
        # A magazine that nobody in the line fills, also as the second input of an assembly.
        return naive.Topology(buffers(4), [station((0,), 1), station((1, 2), 3), station((3,), None)])
    if shape == "three":
        feeders = [station((), 0), station((), 1), station((), 2), station((), 2)]
        return naive.Topology(buffers(3), [*feeders, station((0, 1, 2), None)])
    if shape == "assembly":
        return naive.Topology(buffers(3), [station((), 0), station((), 1), station((0, 1), 2), station((2,), None)])
    if shape == "shared":
        return naive.Topology(buffers(2), [station((), 0), station((0,), 1), station((0,), 1), station((1,), None)])
    if shape == "merge":
        return naive.Topology(buffers(1), [station((), 0), station((), 0), station((0,), None)])
    if shape == "backward":
        # Numbered against the flow: what a move makes room for comes in the next sweep.
        return naive.Topology(buffers(2), [station((0,), None), station((1,), 0), station((), 1)])
    n = draw(st.integers(1, 4))
    return naive.Topology(buffers(n - 1), [station((i - 1,) if i else (), i if i < n - 1 else None) for i in range(n)])


def plant_of(topology: naive.Topology) -> Plant:
    stations = [
        Station(
            f"S{i}",
            inputs=tuple(f"B{b}" for b in s.inputs),
            output=None if s.output is None else f"B{s.output}",
            staleness_ns=FOREVER,
            places=s.places,
        )
        for i, s in enumerate(topology.stations)
    ]
    buffers = [Buffer(f"B{i}", b.capacity, b.initial) for i, b in enumerate(topology.buffers)]
    return one_line(stations, buffers, lateness_ns=1_000, pane_ns=20)


@st.composite
def nonsense(draw: st.DrawFn) -> tuple[naive.Topology, Log]:
    """Starts and ends at random: most of them contradict the books."""
    topology = draw(topologies())
    last = len(topology.stations) - 1
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from([0, 0, 1, 2, 7, 30]),
                st.integers(0, last),
                st.sampled_from(["start", "end"]),
                st.sampled_from(draw(st.sampled_from([(None,), (None, "a", "b"), ("a", "b", "c", "d")]))),
            ),
            min_size=1,
            max_size=40,
        )
    )
    log: Log = []
    t = START
    for gap, s, kind, unit in steps:
        t += gap
        log.append((t, s, kind, unit))
    return topology, log


@st.composite
def consistent(draw: st.DrawFn) -> tuple[naive.Topology, Log]:
    """A line that works: stations start when parts are there, sometimes later, and work for a while."""
    topology = draw(topologies())
    line = naive.LineFlow(topology, START)
    log: Log = []
    busy: dict[tuple[int, str | None], int] = {}
    t = START
    named = draw(st.booleans())
    for number in range(draw(st.integers(1, 25))):
        ends = [one for one, end in busy.items() if end == t]
        line.moment(t, ends, [])
        log += [(t, s, "end", unit) for s, unit in ends]
        for one in ends:
            del busy[one]
        starts: list[tuple[int, str | None]] = []
        for s in reversed(range(len(topology.stations))):
            ready = [place for place in line.places(s) if place.ready]
            # Of one that declares no places a part may begin beside another.
            beside = (
                named and topology.stations[s].places is None and not line._free(s) and draw(st.integers(0, 9)) == 0
            )
            if (ready and draw(st.integers(0, 3))) or beside:
                unit = f"u{number}" if named or topology.stations[s].places else None
                starts.append((s, unit))
                # Of those that wait for the place which this makes, any may be the one that unloads: its start says so.
                done = [p for b in topology.stations[s].inputs for p in line.producers(b)]
                done = [p for p in done if line._done(p) and not line._free(p) and p not in [one for one, _ in starts]]
                if len(done) > 1 and draw(st.booleans()):
                    starts.append((draw(st.sampled_from(done)), f"u{number}" if named else None))
        line.moment(t, [], starts)
        log += [(t, s, "start", unit) for s, unit in starts]
        busy |= {one: t + draw(st.integers(1, 9)) for one in starts}
        t = min(busy.values(), default=t + 1)
    if not log:
        log.append((START, 0, "end", None))
    return topology, log


def folded(topology: naive.Topology, log: Log, end: int) -> tuple[Any, list[dict[str, Any]], list[dict[str, Any]]]:
    start = min(t for t, *_ in log)
    kinds = {"start": codes.START, "end": codes.END}
    events = [
        Ev(start, codes.ORDER, code=codes.START, x="job"),
        *[Ev(t, codes.CYCLE, s, kinds[kind], x=unit) for t, s, kind, unit in log],
        Ev(end, codes.ORDER, code=codes.END, x="job"),
        heartbeat(end + 2_000),
    ]
    twin, results = fold_once(plant_of(topology), events)
    return twin, dicts([results], "kpis"), dicts([results], "bottlenecks")


def closed_vector(twin: Any, s: int, t: int) -> list[int]:
    m, x, o = twin.engine.model, twin.engine.state, twin.engine._out
    out = np.zeros(len(x.total), np.int64)
    mix(m, x, o, 0, V_TOTAL, closers(m, x, o, s, t), t, out, 0)
    return [int(v) for v in out]


def compare(topology: naive.Topology, log: Log, beyond: int) -> None:
    end = max(t for t, *_ in log) + beyond
    # An order that ends with the log's last instant ends before the starts of that instant.
    expected = naive.naive_line_flow(log, topology, end)
    twin, kpis, paths = folded(topology, log, end)
    start = min(t for t, *_ in log)
    elapsed = end - start
    assert int(twin.engine.state.lines[0, L_CONTRADICTIONS]) == expected.contradictions
    order = {row["station"]: row for row in kpis if row["window"] == "order" and row["station"] is not None}
    share = {row["station"]: row for row in paths if row["window"] == "order"}
    for i, one in enumerate(expected.stations):
        assert closed_vector(twin, i, end) == one.vector, i
        assert sum(one.vector) == elapsed
        row = order[f"S{i}"]
        assert (row["start"], row["end"]) == (start, end)
        # Until its first own event nobody knows whether the station is there.
        own = min((t for t, place, *_ in log if place == i), default=end)
        times = {kind: expected.ns(i, kind, own) for kind in ("running", "blocked", "starved", "waiting")}
        assert {kind: row[f"{kind}_ns"] for kind in times} == times
        assert row["unknown_ns"] == own - start
        assert (row["cycles"], row["cycle_ns"]) == (one.cycles, one.cycle_ns)
        if topology.buffers:
            assert share[f"S{i}"]["critical_path_ns"] == expected.answer[i]
            assert {kind: share[f"S{i}"][f"{kind}_ns"] for kind in times if kind != "waiting"} == {
                kind: ns for kind, ns in times.items() if kind != "waiting"
            }
    sums: dict[tuple[str, int, int, int], int] = {}
    for row in paths:
        key = (row["window"], row["start"], row["end"], row["elapsed_ns"])
        sums[key] = sums.get(key, 0) + row["critical_path_ns"]
    assert all(total == elapsed for (_, _, _, elapsed), total in sums.items())
    # Panes without an event have no row: the window of panes then says less than its length.
    assert all(elapsed == b - a for (window, a, b, elapsed) in sums if window != "panes")


@settings(max_examples=150)
@given(nonsense(), st.sampled_from([1, 5]))
@example((naive.serial_topology([1]), [(START, 0, "end", None)]), 1)
def test_nonsense_logs(case: tuple[naive.Topology, Log], beyond: int) -> None:
    compare(*case, beyond)


@settings(max_examples=150)
@given(consistent(), st.sampled_from([1, 5]))
def test_consistent_logs(case: tuple[naive.Topology, Log], beyond: int) -> None:
    compare(*case, beyond)
