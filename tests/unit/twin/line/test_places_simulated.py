"""Ovens, carousels, a worker with two machines, feeders in step: a simulation in whole seconds that knows what each
place does, against what the twin finds out from starts and ends alone."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from kernels import codes
from tests.support.fold import FOREVER, Ev, S, dicts, fold_once, heartbeat, one_line
from twin.plant.model import Buffer, Plant, Station

START: Final = 1_767_254_400 * S
HOURS: Final = 6 * 3_600
RUNNING, BLOCKED, STARVED = "running", "blocked", "starved"


@dataclass
class Place:
    """What stands in it: nothing, a part in work until `end`, or one that waits since `end`."""

    unit: int | None = None
    start: int = 0
    end: int = 0


@dataclass
class Made:
    """A station of the simulation. `work`: seconds of its k-th part."""

    name: str
    work: Callable[[int], int]
    inputs: tuple[str, ...] = ()
    output: str | None = None
    places: int = 1
    held: list[Place] = field(default_factory=list)
    seconds: dict[str, int] = field(default_factory=lambda: {RUNNING: 0, BLOCKED: 0, STARVED: 0})
    cycles: int = 0
    cycle_s: int = 0
    begun: int = 0


def simulated(stations: list[Made], capacity: dict[str, int]) -> list[Ev]:
    """Second by second; buffers are empty at first, and what comes from outside is always there."""
    level = dict.fromkeys(capacity, 0)
    events: list[Ev] = []
    for one in stations:
        one.held = [Place() for _ in range(one.places)]

    def unload() -> None:
        moved = True
        while moved:
            moved = False
            for one in reversed(stations):
                done = [p for p in one.held if p.unit is not None and p.end <= now]
                room = one.output is None or level[one.output] < capacity[one.output]
                if done and room:
                    min(done, key=lambda p: p.end).unit = None
                    if one.output is not None:
                        level[one.output] += 1
                    moved = True

    for now in range(HOURS):
        ts = START + now * S
        for s, one in enumerate(stations):
            for place in one.held:
                if place.unit is not None and place.end == now:
                    events.append(Ev(ts, codes.CYCLE, s, codes.END, x=f"{one.name}-{place.unit}"))
                    one.cycles += 1
                    one.cycle_s += place.end - place.start
        unload()
        for s, one in reversed(list(enumerate(stations))):
            while any(p.unit is None for p in one.held) and all(level[b] for b in one.inputs):
                place = next(p for p in one.held if p.unit is None)
                place.unit, place.start, place.end = one.begun, now, now + one.work(one.begun)
                one.begun += 1
                for b in one.inputs:
                    level[b] -= 1
                events.append(Ev(ts, codes.CYCLE, s, codes.START, x=f"{one.name}-{place.unit}"))
                unload()
        for one in stations:
            busy = any(p.unit is not None and p.end > now for p in one.held)
            done = any(p.unit is not None and p.end <= now for p in one.held)
            one.seconds[RUNNING if busy else BLOCKED if done else STARVED] += 1
    return events


def plant_of(stations: list[Made], capacity: dict[str, int]) -> Plant:
    made = [
        Station(
            one.name,
            inputs=one.inputs,
            output=one.output,
            staleness_ns=FOREVER,
            places=one.places if one.places > 1 else None,
        )
        for one in stations
    ]
    return one_line(made, [Buffer(b, n) for b, n in capacity.items()], lateness_ns=0, pane_ns=600 * S)


def oven() -> tuple[list[Made], dict[str, int]]:
    """24 places; its loader is quick, its unloader sometimes away."""
    line = [
        Made("load", lambda k: 9 + k % 5, (), "in"),
        Made("oven", lambda k: 280 + 37 * k % 90, ("in",), "out", places=24),
        Made("unload", lambda k: 400 if k % 60 == 59 else 8 + k % 7, ("out",)),
    ]
    return line, {"in": 6, "out": 4}


def carousel() -> tuple[list[Made], dict[str, int]]:
    """Eight places that are filled and emptied in turn."""
    line = [
        Made("fill", lambda _: 10, (), "on"),
        Made("carousel", lambda _: 70, ("on",), "off", places=8),
        Made("take", lambda k: 10 if k % 25 else 150, ("off",)),
    ]
    return line, {"on": 1, "off": 1}


def two_machines() -> tuple[list[Made], dict[str, int]]:
    """A worker who loads one machine while the other works."""
    line = [
        Made("saw", lambda k: 20 + k % 11, (), "cut"),
        Made("worker", lambda k: 50 + 13 * k % 29, ("cut",), "turned", places=2),
        Made("wash", lambda k: 24 + k % 3, ("turned",)),
    ]
    return line, {"cut": 2, "turned": 2}


def feeders(in_step: bool) -> tuple[list[Made], dict[str, int]]:
    """An assembly that needs a part of each of three feeders."""

    def work(k: int, which: int) -> int:
        return 30 if in_step else 25 + (7 * k + which) % 13

    line = [Made(f"f{n}", lambda k, n=n: work(k, n), (), f"b{n}") for n in range(3)]  # type: ignore[misc]
    line += [
        Made("join", lambda k: 12 if in_step else 10 + k % 25, ("b0", "b1", "b2"), "out"),
        Made("pack", lambda _: 9, ("out",)),
    ]
    return line, {"b0": 2, "b1": 2, "b2": 2, "out": 3}


def figures(stations: list[Made], capacity: dict[str, int]) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    events = simulated(stations, capacity)
    end = START + HOURS * S
    around = [Ev(START, codes.ORDER, code=codes.START, x="job"), *events, Ev(end, codes.ORDER, code=codes.END, x="job")]
    twin, results = fold_once(plant_of(stations, capacity), [*around, heartbeat(end + 10 * S), heartbeat(end + 11 * S)])
    kpis = {r["station"]: r for r in dicts([results], "kpis") if r["window"] == "order" and r["station"]}
    paths = {r["station"]: r for r in dicts([results], "bottlenecks") if r["window"] == "order"}
    return twin, kpis, paths


@pytest.mark.parametrize("make", [oven, carousel, two_machines, lambda: feeders(True), lambda: feeders(False)])
def test_what_each_station_did(make: Callable[[], tuple[list[Made], dict[str, int]]]) -> None:
    stations, capacity = make()
    twin, kpis, paths = figures(stations, capacity)
    assert twin.view()[0].contradictions == 0
    for one in stations:
        row = kpis[one.name]
        # Of a station nothing is known before its first own event.
        got = {kind: row[f"{kind}_ns"] // S for kind in one.seconds}
        got[STARVED] += row["unknown_ns"] // S
        assert got == one.seconds, one.name
        assert (row["cycles"], row["cycle_ns"] // S) == (one.cycles, one.cycle_s), one.name
    assert sum(row["critical_path_ns"] for row in paths.values()) == HOURS * S
    # Whoever limits the line has most of the path, and works most of the time that it could.
    most = max(paths.values(), key=lambda row: row["critical_path_ns"])
    assert most["running_ns"] > 0.9 * HOURS * S


def test_feeders_in_step_share_the_path() -> None:
    _, _, paths = figures(*feeders(True))
    shares = [paths[f"f{n}"]["critical_path_ns"] for n in range(3)]
    assert max(shares) - min(shares) <= HOURS
    assert sum(shares) > 0.99 * HOURS * S
