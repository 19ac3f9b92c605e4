"""What the benchmarks run on: a generated plant and its events, the same for every subject."""

from collections.abc import Iterable, Iterator

import numpy as np

from kernels.codes import COUNT, CYCLE, END, MEASURE, PARTS, RUNNING, SETUP, START, STATE
from twin.events.block import DTYPES, I64, INTEGER_COLUMNS, EventBlock
from twin.plant import loads
from twin.plant.model import Plant

START_NS = 1_767_225_600_000_000_000  # 2026-01-01
WORDS = ("running", "setup")


def plant(lines: int, stations: int) -> Plant:
    """`lines` lines of `stations` linked stations, windows of 1 h/1 min and 1 min/1 s."""
    return loads(text(lines, stations), "bench.toml")


def text(lines: int, stations: int) -> str:
    rows = ['site = "bench"', '[[area]]\nid = "a"']
    for line in range(lines):
        rows.append(f'[[line]]\nid = "line-{line}"\narea = "a"\ntype = "flow"\nlateness = "1s"')
        rows += [f'[[line.station]]\nid = "s{s}"\nideal_cycle = "1s"' for s in range(stations)]
        rows += [
            f'[[line.buffer]]\nid = "b{s}"\nafter = ["s{s}"]\nbefore = ["s{s + 1}"]\ncapacity = 10'
            for s in range(stations - 1)
        ]
    return "\n".join(rows)


def metered(lines: int, stations: int, kind: str = "meter") -> Plant:
    """The same, with an electricity meter, or a gauge, at every station."""
    meter = f'measure = [{{ id = "kWh", kind = "{kind}", unit = "kWh", decimals = 3 }}]'
    return loads(text(lines, stations).replace('ideal_cycle = "1s"', f'ideal_cycle = "1s"\n{meter}'), "bench.toml")


def with_readings(block: EventBlock) -> EventBlock:
    """The block with every tenth event, of any station, a reading of its meter in place of its count or state."""
    columns = {name: getattr(block, name).copy() for name in INTEGER_COLUMNS}
    # By the rounds through the stations, so that each station has as many of them.
    read = np.flatnonzero((block.seq + block.station) % 10 == 5)
    columns["type"][read] = MEASURE
    columns["code"][read] = 0
    columns["a"][read] = 1_000 + block.seq[read]
    columns["b"][read] = columns["x"][read] = -1
    columns["y"][read] = len(block.words)
    return EventBlock(**columns, words=(*block.words, "kWh"))


def blocks(p: Plant, events: int, rate_hz: int, block: int = 65_536, seed: int = 1) -> Iterator[EventBlock]:
    """Counts and a state in every tenth event, spread over all stations, `rate_hz` events a second of event time."""
    random = np.random.default_rng(seed)
    line_of = np.repeat(np.arange(len(p.lines)), [len(line.stations) for line in p.lines]).astype(np.int32)
    n = len(line_of)
    for first in range(0, events, block):
        size = min(block, events - first)
        index = np.arange(first, first + size)
        station = ((index * 7919) % n).astype(np.int32)
        columns = {name: np.zeros(size, DTYPES[name]) for name in INTEGER_COLUMNS}
        # Each station sends both. By the index alone a tenth of them would send states only, the others no state.
        state = (index // n + station) % 10 == 0
        columns["line"] = line_of[station]
        columns["station"] = station
        columns["type"] = np.where(state, STATE, COUNT).astype(np.int8)
        columns["ts"] = START_NS + index * (1_000_000_000 // rate_hz)
        # n and 7919 share no factor, so each station comes once in n events.
        columns["seq"] = index // n
        setup = random.random(size) < 0.1
        columns["code"] = np.where(state, np.where(setup, SETUP, RUNNING), PARTS).astype(np.int32)
        columns["a"] = np.where(state, 0, 1)
        columns["x"] = np.where(state, np.where(setup, 1, 0), -1).astype(np.int32)
        for name in ("y", "z", "entry"):
            columns[name] = np.full(size, -1, np.int32)
        columns["offset"] = index
        yield EventBlock(**columns, words=WORDS)


def quiet_plant() -> Plant:
    """A line of two stations with one window, of which few rows come."""
    return loads(text(1, 2).replace('type = "flow"\n', 'type = "flow"\nwindows = ["1h/1min"]\n'), "bench.toml")


def slowed(blocks: Iterable[EventBlock], times: int) -> Iterator[EventBlock]:
    """The same events, so many times as far apart."""
    for block in blocks:
        block.ts[:] = START_NS + (block.ts - START_NS) * times
        yield block


def cycle_blocks(p: Plant, events: int, block: int = 65_536, seed: int = 1) -> Iterator[EventBlock]:
    """About `events` starts and ends of cycles of a serial plant of one line, by time: its simulation.

    Cycles take 0.5 to 1.5 s, one station's a fifth more. A station that has ended keeps its part until the buffer
    behind it has room (10 places, as in `text`).
    """
    n = len(p.stations)
    parts = max(events // (2 * n), 1)
    cycle = np.random.default_rng(seed).integers(500_000_000, 1_500_000_000, (parts, n))
    cycle[:, n // 2] += cycle[:, n // 2] // 5
    begin, end = _serial(cycle, capacity=10)
    ts = START_NS + np.concatenate([begin.ravel(), end.ravel()])
    station = np.tile(np.arange(n), 2 * parts)
    phase = np.repeat([START, END], parts * n)
    # At one instant a part is first put down, then taken.
    order = np.lexsort((phase == START, ts))
    for first in range(0, len(order), block):
        chosen = order[first : first + block]
        columns = {name: np.zeros(len(chosen), DTYPES[name]) for name in INTEGER_COLUMNS}
        columns["station"] = station[chosen].astype(np.int32)
        columns["type"][:] = CYCLE
        columns["ts"] = ts[chosen]
        columns["seq"][:] = -1
        columns["code"] = phase[chosen].astype(np.int32)
        for name in ("x", "y", "z", "entry"):
            columns[name][:] = -1
        columns["offset"] = np.arange(first, first + len(chosen))
        yield EventBlock(**columns, words=())


def _serial(cycle: I64, capacity: int) -> tuple[I64, I64]:
    """Start and end of every part at every station, ns from the first start; `cycle` (parts, stations)."""
    parts, n = cycle.shape
    work = cycle.tolist()
    begin = [[0] * n for _ in range(parts)]
    end = [[0] * n for _ in range(parts)]
    free = [0] * n  # when a station has parted with its last part
    for part in range(parts):
        ready = 0
        for s in range(n):
            begin[part][s] = max(ready, free[s])
            end[part][s] = begin[part][s] + work[part][s]
            ready = end[part][s]
            if s + 1 < n and part > capacity:
                # The place it needs is that of the part which the next station has taken by then.
                ready = max(ready, begin[part - capacity][s + 1])
            free[s] = ready
    return np.array(begin), np.array(end)
