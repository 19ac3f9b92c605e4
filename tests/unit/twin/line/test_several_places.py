"""Stations that hold several parts at once: ovens, carousels, a worker with two machines; cycles that overlap."""

import heapq
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from kernels import codes
from tests.support.fold import FOREVER, Ev, S, dicts, fold_once, heartbeat, one_line
from twin.plant.model import Buffer, Plant, Station, Window

START = 1_767_254_400 * S


def alone(**station: Any) -> Plant:
    return one_line(
        [Station("m", **{"staleness_ns": FOREVER, "parts_from": "cycle", **station})],
        windows=(Window("w", 60 * S, 60 * S),),
        publish_every_ns=60 * S,
        lateness_ns=0,
    )


Steps = list[tuple[float, str, str | None]]


def log(steps: Steps, until_s: float = 7_200) -> list[Ev]:
    """Steps of one station: seconds, "start" or "end", unit."""
    code = {"start": codes.START, "end": codes.END}
    events = [Ev(START + round(t * S), codes.CYCLE, 0, code[kind], x=unit) for t, kind, unit in steps]
    return [*events, heartbeat(START + round(until_s * S)), heartbeat(START + round(until_s * S) + S)]


def windows(plant: Plant, events: list[Ev]) -> list[tuple[float, int, int, float]]:
    """Per minute: s running, good parts, cycles, s within them."""
    rows = [r for r in dicts([fold_once(plant, events)[1]], "kpis") if r["station"] and r["window"] == "w"]
    rows.sort(key=lambda r: r["end"])
    return [(r["running_ns"] / S, r["good"], r["cycles"], r["cycle_ns"] / S) for r in rows]


def contradictions(plant: Plant, events: list[Ev]) -> int:
    return fold_once(plant, events)[0].view()[0].contradictions


@pytest.mark.parametrize("places", [None, 2, 24])
def test_two_parts_at_once(places: int | None) -> None:
    """Running is the union, the time within cycles the sum of their true durations."""
    steps: Steps = [
        (0, "start", "A"),
        (10, "start", "B"),
        (20, "end", "A"),
        (30, "end", "B"),
    ]
    assert windows(alone(places=places), log(steps))[0] == (30, 2, 2, 40)
    steps = [(0, "start", "A"), (5, "start", "B"), (15, "end", "B"), (40, "end", "A")]
    assert windows(alone(places=places), log(steps))[0] == (40, 2, 2, 50)
    assert contradictions(alone(places=places), log(steps)) == 0


def test_what_has_no_unit_does_not_overlap() -> None:
    """A start while a part is there says that its end was lost, as ever."""
    steps: Steps = [(0, "start", None), (10, "start", "B"), (30, "end", "B")]
    assert windows(alone(), log(steps))[0] == (30, 1, 2, 30)
    assert contradictions(alone(), log(steps)) == 1
    # One place is declared: two units cannot be in it.
    steps = [(0, "start", "A"), (10, "start", "B"), (30, "end", "B")]
    assert windows(alone(places=1), log(steps))[0] == (30, 1, 2, 30)


def test_the_end_of_another_unit_ends_nothing() -> None:
    steps: Steps = [(0, "start", "A"), (10, "end", "Z"), (30, "end", "A")]
    assert windows(alone(), log(steps))[0] == (30, 2, 1, 30)
    assert contradictions(alone(), log(steps)) == 1


def test_an_end_without_unit_is_that_of_the_oldest_and_told() -> None:
    steps: Steps = [
        (0, "start", "A"),
        (10, "start", "B"),
        (20, "end", None),
        (50, "end", "B"),
    ]
    assert windows(alone(), log(steps))[0] == (50, 2, 2, 60)
    assert contradictions(alone(), log(steps)) == 1


@pytest.mark.parametrize("places", [None, 2])
def test_a_lost_end_is_given_up(places: int | None) -> None:
    """After ten times the ideal cycle and the places it has: 10 x 1 s x 2 = 20 s. No cycle is counted for it."""
    plant = alone(places=places, ideal_cycle_ns=S)
    steps: Steps = [
        (0, "start", "A"),
        (1, "start", "B"),
        (2, "end", "B"),
        (100, "start", "C"),
        (103, "end", "C"),
    ]
    assert windows(plant, log(steps))[:2] == [(20, 1, 1, 1), (3, 1, 1, 3)]
    assert contradictions(plant, log(steps)) == 1
    # Its end, if it comes after all, finds no cycle: the part is counted, its duration is not.
    assert windows(plant, log([*steps, (110, "end", "A")]))[1] == (3, 2, 1, 3)


def test_beyond_sixteen_the_oldest_ends() -> None:
    steps: Steps = [(k, "start", f"u{k}") for k in range(17)]
    steps += [(30, "end", f"u{k}") for k in range(1, 17)]
    assert windows(alone(), log(steps))[0] == (30, 16, 16, sum(30 - k for k in range(1, 17)))
    assert contradictions(alone(), log(steps)) == 1
    assert contradictions(alone(places=17), log([*steps, (31, "end", "u0")])) == 0


@pytest.mark.parametrize("declared", [None, 2])
def test_a_worker_with_two_machines(declared: int | None) -> None:
    """Random cycles of two machines under one worker's name, against unions of intervals."""
    chance = np.random.default_rng(5)
    steps: Steps = []
    spans = []
    for machine in "ab":
        t = int(chance.integers(0, 30))
        for k in range(60):
            end = t + int(chance.integers(5, 90))
            steps += [(t, "start", f"{machine}{k}"), (end, "end", f"{machine}{k}")]
            spans.append((t, end))
            t = end + int(chance.integers(1, 60))
    steps.sort(key=lambda step: (step[0], step[1] == "start"))
    rows = windows(alone(places=declared), log(steps, 10_000))
    busy = np.zeros(10_020, bool)
    for a, b in spans:
        busy[a:b] = True
    for k, row in enumerate(rows):
        lo, hi = 60 * k, 60 * k + 60
        ended = [b - a for a, b in spans if lo <= b < hi]
        assert row == (int(busy[lo:hi].sum()), len(ended), len(ended), sum(ended)), k
    assert contradictions(alone(places=declared), log(steps, 10_000)) == 0


@dataclass
class Work:
    """One part's time at one station, and what it had waited for: the work that ended when it began."""

    station: int
    begin: int
    end: int
    before: "Work | None"


@dataclass
class Carousel:
    """A loader, a station of several places, an unloader behind `room` places: simulated with its causes."""

    places: int
    room: int
    stays: list[int]
    loads: list[int]
    unloads: list[int]
    events: list[Ev] = field(default_factory=list)
    works: list[Work] = field(default_factory=list)
    waits: list[tuple[int, int]] = field(default_factory=list)  # of parts that were done and had no room

    def run(self) -> Work:
        heap: list[tuple[int, int, int]] = []  # time, station, part
        arrived: list[tuple[int, Work]] = []  # parts before the carousel
        free: list[Work | None] = [None] * self.places  # what emptied each place
        done: list[tuple[int, Work]] = []
        behind: list[tuple[int, Work]] = []  # parts before the unloader
        inside: dict[tuple[int, int], Work] = {}
        unloading: Work | None = None
        idle_since: Work | None = None
        last: Work | None = None
        unloaded = 0
        t = 0

        def begin(station: int, part: int, took: int, before: Work | None) -> None:
            made = Work(station, t, t + took, before)
            self.works.append(made)
            inside[station, part] = made
            self.events.append(Ev(START + t, codes.CYCLE, station, codes.START, x=f"p{part}"))
            heapq.heappush(heap, (t + took, station, part))

        begin(0, 0, self.loads[0], None)
        while heap:
            t, station, part = heapq.heappop(heap)
            work = inside.pop((station, part))
            self.events.append(Ev(START + t, codes.CYCLE, station, codes.END, x=f"p{part}"))
            if station == 0:
                arrived.append((part, work))
                if part + 1 < len(self.loads):
                    begin(0, part + 1, self.loads[part + 1], work)
            elif station == 1:
                done.append((part, work))
            else:
                last, unloading, idle_since = work, None, work
                unloaded += 1
            moved = True
            while moved:
                moved = False
                if done and len(behind) < self.room:
                    one, of = done.pop(0)
                    made_room = of if of.end == t else (unloading.before if unloading else None)
                    self.waits.append((of.end, t))
                    behind.append((one, of))
                    free.append(made_room)
                    moved = True
                if unloading is None and behind:
                    one, of = behind.pop(0)
                    begin(2, one, self.unloads[one], of if of.end == t or idle_since is None else idle_since)
                    unloading = inside[2, one]
                    moved = True
                if arrived and free:
                    one, of = arrived.pop(0)
                    place = free.pop(0)
                    begin(1, one, self.stays[one], of if of.end == t else place)
                    moved = True
        assert last is not None
        assert unloaded == len(self.loads)
        return last


@pytest.mark.parametrize(
    ("places", "room", "stay", "load", "unload"),
    [
        (
            24,
            10**6,
            2_400,
            50,
            40,
        ),  # an oven that is never full: the loader is the bottleneck, though the oven never rests
        # An oven that is never full and never rests: the loader is the bottleneck.
        (24, 10**6, 2_400, 110, 60),
        (24, 10**6, 2_400, 80, 90),
        (6, 1, 600, 90, 120),  # a carousel whose parts wait for the unloader
        (6, 2, 900, 100, 140),
        (2, 1, 100, 60, 45),  # a worker with two machines
    ],
)
@pytest.mark.parametrize("seed", range(2))
def test_places_against_a_simulation(places: int, room: int, stay: int, load: int, unload: int, seed: int) -> None:
    """Times, cycles, and the critical path to the nanosecond: followed back from the last part, cause by cause."""
    chance = np.random.default_rng(seed)
    n = 150

    def times(mean: int, spread: float) -> list[int]:
        return [int(v) for v in chance.uniform(mean * (1 - spread), mean * (1 + spread), n) * S]

    line = Carousel(places, room, times(stay, 0.2), times(load, 0.6), times(unload, 0.6))
    last = line.run()
    path = [0, 0, 0]
    work: Work | None = last
    while work is not None:
        path[work.station] += work.end - work.begin
        assert work.before is None or work.before.end == work.begin
        work = work.before
    assert sum(path) == last.end
    plant = one_line(
        [
            Station("load", output="a", staleness_ns=FOREVER),
            Station("oven", inputs=("a",), output="b", staleness_ns=FOREVER, places=places),
            Station("unload", inputs=("b",), staleness_ns=FOREVER),
        ],
        [Buffer("a", None), Buffer("b", room)],
        lateness_ns=0,
        pane_ns=3_600 * S,
    )
    end = START + last.end
    order = [Ev(START, codes.ORDER, code=codes.START, x="o"), Ev(end, codes.ORDER, code=codes.END, x="o")]
    events = sorted([order[0], *line.events, order[1], heartbeat(end + S)], key=lambda e: e.ts)
    twin, results = fold_once(plant, events)
    assert twin.view()[0].contradictions == 0
    shares = {r["station"]: r for r in dicts([results], "bottlenecks") if r["window"] == "order"}
    assert [shares[s.id]["critical_path_ns"] for s in plant.stations] == path
    row = next(r for r in dicts([results], "kpis") if r["window"] == "order" and r["station"] == "oven")
    mine = [w for w in line.works if w.station == 1]
    assert row["cycles"] == n
    assert row["cycle_ns"] == sum(w.end - w.begin for w in mine)
    busy = union([(w.begin, w.end) for w in mine])
    assert row["running_ns"] == length(busy)
    assert row["blocked_ns"] == length(union([*busy, *line.waits])) - length(busy)


def union(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for a, b in sorted(span for span in spans if span[1] > span[0]):
        if found and a <= found[-1][1]:
            found[-1] = (found[-1][0], max(b, found[-1][1]))
        else:
            found.append((a, b))
    return found


def length(spans: list[tuple[int, int]]) -> int:
    return sum(b - a for a, b in spans)


def test_a_batch_oven_that_is_filled_and_emptied_at_once() -> None:
    """24 parts go in and come out together: one cycle's worth of time, 24 cycles, and a path that sums."""
    plant = one_line(
        [
            Station("oven", output="b", places=24, staleness_ns=FOREVER),
            Station("pack", inputs=("b",), staleness_ns=FOREVER),
        ],
        [Buffer("b", 24)],
        lateness_ns=0,
    )
    events = [Ev(START, codes.ORDER, code=codes.START, x="o")]
    for batch in range(3):
        begin = START + batch * 700 * S
        for k in range(24):
            unit = f"{batch}-{k}"
            events += [
                Ev(begin, codes.CYCLE, 0, codes.START, x=unit),
                Ev(begin + 600 * S, codes.CYCLE, 0, codes.END, x=unit),
            ]
            taken = begin + (600 + 4 * k) * S
            events += [Ev(taken, codes.CYCLE, 1, codes.START), Ev(taken + 4 * S, codes.CYCLE, 1, codes.END)]
    end = START + (2 * 700 + 696) * S
    events += [Ev(end, codes.ORDER, code=codes.END, x="o"), heartbeat(end + S)]
    twin, results = fold_once(plant, sorted(events, key=lambda e: e.ts))
    assert twin.view()[0].contradictions == 0
    rows = {r["station"]: r for r in dicts([results], "kpis") if r["window"] == "order"}
    assert (rows["oven"]["running_ns"], rows["oven"]["cycles"], rows["oven"]["cycle_ns"]) == (
        1_800 * S,
        72,
        72 * 600 * S,
    )
    paths = {r["station"]: r["critical_path_ns"] for r in dicts([results], "bottlenecks") if r["window"] == "order"}
    # The oven's third batch, and before it the 100 s between two beginnings in which it stood ready or full.
    assert sum(paths.values()) == 2_096 * S
    assert paths["pack"] == 96 * S
