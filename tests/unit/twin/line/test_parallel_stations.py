"""Stations that work side by side: who unloads first, whose time it is, and what is said of one never heard of."""

from collections.abc import Sequence
from typing import Any

import pytest

from kernels import codes
from tests.support.fold import FOREVER, Ev, S, dicts, fold_once, heartbeat, one_line
from twin.plant.model import Buffer, Plant, Station, Window

START = 1_767_254_400 * S
Links = dict[str, tuple[Sequence[str], str | None]]
Steps = list[tuple[float, str, str]]


def plant(stations: Links, capacity: dict[str, int | None], length_s: int = 60, **line: Any) -> Plant:
    """Stations by name, each with its inputs and its output; buffers with their capacity; one window."""
    made = [Station(name, inputs=tuple(i), output=o, staleness_ns=FOREVER) for name, (i, o) in stations.items()]
    window = Window("w", length_s * S, length_s * S)
    about = {"lateness_ns": 0, "windows": (window,), "publish_every_ns": length_s * S, "pane_ns": 60 * S, **line}
    return one_line(made, [Buffer(b, c) for b, c in capacity.items()], **about)


def log(where: Plant, steps: Steps, until_s: float) -> list[Ev]:
    """Steps: seconds, station, "start" or "end"; time passes until `until_s`."""
    place = {s.id: k for k, s in enumerate(where.stations)}
    code = {"start": codes.START, "end": codes.END}
    events = [Ev(START + round(t * S), codes.CYCLE, place[s], code[kind]) for t, s, kind in steps]
    return [*events, heartbeat(START + round(until_s * S)), heartbeat(START + round(until_s * S) + S)]


def seconds(where: Plant, events: Sequence[Ev], station: str) -> dict[str, float]:
    """What the station did in the first window."""
    (row,) = [
        r
        for r in dicts([fold_once(where, events)[1]], "kpis")
        if (r["station"], r["window"], r["start"]) == (station, "w", START)
    ]
    return {k.removesuffix("_ns"): v / S for k, v in row.items() if k.endswith("_ns") and v and k in TIMES}


TIMES = {f"{name}_ns" for name in codes.CLASS_NAMES}


def shares(where: Plant, events: Sequence[Ev], end_s: float) -> tuple[list[float], str]:
    """Shares of the window of panes that ends there, in the order of the stations, and its verdict."""
    rows = [r for r in dicts([fold_once(where, events)[1]], "bottlenecks") if r["window"] == "panes"]
    rows = [r for r in rows if r["end"] == START + end_s * S]
    assert sum(r["critical_path_ns"] for r in rows) == rows[0]["elapsed_ns"]
    return [r["share"] for r in rows], rows[0]["verdict"]


@pytest.mark.parametrize("first", ["p", "q"])
def test_two_blocked_on_one_buffer(first: str) -> None:
    """The one that has waited longest unloads first; the other stays blocked and is never starved."""
    second = "q" if first == "p" else "p"
    links: Links = {"p": (["in"], "b"), "q": (["in"], "b"), "r": (["b"], "out")}
    where = plant(links, {"in": None, "b": 1, "out": None}, 160)
    steps: Steps = [(0, first, "start"), (0, second, "start"), (10, first, "end"), (10, "r", "start")]
    steps += [(10, first, "start"), (12, second, "end"), (12, second, "start"), (20, first, "end"), (24, second, "end")]
    steps += [(60, "r", "end"), (60, "r", "start"), (60, first, "start"), (70, first, "end")]
    steps += [(110, "r", "end"), (110, "r", "start"), (110, second, "start"), (120, second, "end")]
    steps += [(160, "r", "end"), (160, "r", "start"), (160, first, "start"), (170, first, "end")]
    events = log(where, steps, 400)
    assert seconds(where, events, first) == {"running": 30, "blocked": 130}
    assert seconds(where, events, second) == {"running": 34, "blocked": 126}
    twin, _ = fold_once(where, events)
    assert twin.view()[0].contradictions == 0


def test_a_start_proves_who_has_unloaded() -> None:
    """q has waited less, and starts at the instant at which the place is free: its part is the one that left."""
    links: Links = {"p": (["in"], "b"), "q": (["in"], "b"), "r": (["b"], "out")}
    where = plant(links, {"in": None, "b": 1, "out": None}, 100)
    steps: Steps = [(0, "p", "start"), (0, "q", "start"), (1, "p", "end"), (1, "r", "start"), (1, "p", "start")]
    steps += [(2, "p", "end"), (2, "p", "start"), (10, "p", "end"), (12, "q", "end")]
    steps += [(50, "r", "end"), (50, "r", "start"), (50, "q", "start"), (60, "q", "end")]
    events = log(where, steps, 300)
    assert seconds(where, events, "p") == {"running": 10, "blocked": 90}
    assert seconds(where, events, "q") == {"running": 22, "blocked": 78}
    twin, _ = fold_once(where, events)
    assert twin.view()[0].contradictions == 0


def in_step(ahead_s: float, machines: Sequence[str], cycles: int) -> Steps:
    """Machines that start together every 30 s, the first always a little ahead, before C, which needs 12 s a part."""
    steps: Steps = []
    busy_until = 0.0
    for n in range(cycles):
        for k, name in enumerate(machines):
            late = 0.0 if k == 0 else ahead_s
            steps += [(30 * n + late, name, "start"), (30 * (n + 1) + late, name, "end")]
            begin = max(busy_until, 30 * (n + 1) + late)
            busy_until = begin + 8
            steps += [(begin, "C", "start"), (busy_until, "C", "end")]
    return sorted(steps, key=lambda step: (step[0], step[2] == "start"))


@pytest.mark.parametrize("count", [2, 3])
def test_parallel_machines_in_step_share_the_path(count: int) -> None:
    """Speed up one of n and the line gains an nth of it. (The first part takes half a minute to come.)"""
    machines = [f"B{k}" for k in range(count)]
    links: Links = {**{name: (["in"], "b") for name in machines}, "C": (["b"], "out")}
    where = plant(links, {"in": None, "b": 4, "out": None}, panes=3)
    got, verdict = shares(where, log(where, in_step(0, machines, 12), 400), 240)
    assert got == pytest.approx([1 / count] * count + [0], abs=1e-9)
    assert verdict == "undecided"


def test_of_machines_almost_in_step_none_is_named() -> None:
    """One is always 4 ms ahead: the path runs through it alone, and the other makes as much."""
    links: Links = {"B0": (["in"], "b"), "B1": (["in"], "b"), "C": (["b"], "out")}
    where = plant(links, {"in": None, "b": 4, "out": None}, panes=3)
    _, verdict = shares(where, log(where, in_step(0.004, ["B0", "B1"], 12), 400), 240)
    assert verdict == "undecided"


def test_a_slow_machine_beside_a_broken_one_is_named() -> None:
    """B1 makes nothing: its share is none of the parts, as the path says."""
    links: Links = {"B0": (["in"], "b"), "B1": (["in"], "b"), "C": (["b"], "out")}
    where = plant(links, {"in": None, "b": 4, "out": None}, panes=3)
    got, verdict = shares(where, log(where, in_step(0, ["B0"], 12), 400), 240)
    assert got[0] > 0.95
    assert verdict == "B0"


def test_parallel_machines_at_the_end_of_the_line_share_the_path() -> None:
    """A is faster than both together; D0 and D1 start together, and each makes half of what leaves the line."""
    links: Links = {"A": (["in"], "b"), "D0": (["b"], "out"), "D1": (["b"], "out")}
    where = plant(links, {"in": None, "b": 2, "out": None}, panes=3)
    steps: Steps = [(0, "A", "start"), (1, "A", "end"), (1, "A", "start"), (2, "A", "end"), (2, "A", "start")]
    steps += [(3, "A", "end"), (3, "A", "start"), (4, "A", "end"), (4, "A", "start"), (5, "A", "end")]
    steps = [(t - 2, s, kind) for t, s, kind in steps]
    steps = [(t, s, kind) for t, s, kind in steps if t >= 0]
    steps = [(0, "A", "start"), (1, "A", "end"), (1, "A", "start"), (2, "A", "end"), (2, "A", "start"), (3, "A", "end")]
    for n in range(12):
        for name in ("D0", "D1"):
            steps += [(2 + 30 * n, name, "start"), (32 + 30 * n, name, "end")]
        for extra in range(2):
            steps += [(32 + 30 * n + extra, "A", "start"), (33 + 30 * n + extra, "A", "end")]
    steps = sorted(steps, key=lambda step: (step[0], step[2] == "start"))
    got, verdict = shares(where, log(where, steps, 400), 300)
    assert got == pytest.approx([0, 0.5, 0.5], abs=0.02)
    assert verdict == "undecided"


def test_feeders_of_an_assembly_in_step_share_the_path() -> None:
    """A part of each is needed every 30 s, and all three come at one instant: none of them came last."""
    feeders = ["F0", "F1", "F2"]
    links: Links = {**{f: ([f"in{f}"], f"b{f}") for f in feeders}, "A": ([f"b{f}" for f in feeders], "out")}
    capacity: dict[str, int | None] = {f"in{f}": None for f in feeders} | {f"b{f}": 2 for f in feeders} | {"out": None}
    where = plant(links, capacity, panes=3)
    steps: Steps = []
    for n in range(12):
        steps += [(30 * n, f, "start") for f in feeders] + [(30 * (n + 1), f, "end") for f in feeders]
        steps += [(30 * (n + 1), "A", "start"), (30 * (n + 1) + 10, "A", "end")]
    steps = sorted(steps, key=lambda step: (step[0], step[2] == "start"))
    got, verdict = shares(where, log(where, steps, 400), 300)
    assert got == pytest.approx([1 / 3] * 3 + [0], abs=1e-9)
    assert verdict == "undecided"


def test_a_station_never_heard_of_is_unknown() -> None:
    """Its neighbours say that no part comes to it. That it would work if one came, nobody has said."""
    where = plant({"A": ((), "b"), "B": (("b",), "c"), "C": (("c",), None)}, {"b": 5, "c": 5})
    events = log(where, [(0, "A", "start"), (10, "A", "end"), (10, "B", "start"), (20, "B", "end")], 200)
    assert seconds(where, events, "C") == {"unknown": 60}
    assert seconds(where, events, "B") == {"unknown": 10, "running": 10, "starved": 40}
    row = next(r for r in dicts([fold_once(where, events)[1]], "kpis") if r["station"] == "C")
    assert row["availability"] is None


def test_what_comes_from_outside_never_runs_short_unless_it_is_said() -> None:
    where = plant({"A": (["in"], "b"), "B": (["b"], None)}, {"in": None, "b": 5})
    steps: Steps = [(0, "A", "start"), (10, "A", "end"), (20, "A", "start"), (30, "A", "end")]
    events = log(where, steps, 200)
    assert seconds(where, events, "A") == {"running": 20, "waiting": 40}
    assert fold_once(where, events)[0].view()[0].contradictions == 0
    empty = Ev(START + 12 * S, codes.BUFFER, -1, 0, 0, x="in")
    full = Ev(START + 15 * S, codes.BUFFER, -1, 0, 9, x="in")
    told = sorted([*events, empty, full], key=lambda e: e.ts)
    assert seconds(where, told, "A") == {"running": 20, "waiting": 37, "starved": 3}
