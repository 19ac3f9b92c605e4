"""What the benchmarks run on: a generated plant and its events, the same for every subject."""

from collections.abc import Iterator

import numpy as np

from kernels.codes import COUNT, PARTS, RUNNING, SETUP, STATE
from twin.events.block import DTYPES, INTEGER_COLUMNS, EventBlock
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
        state = index % 10 == 0
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
        for name in ("y", "z"):
            columns[name] = np.full(size, -1, np.int32)
        columns["offset"] = index
        yield EventBlock(**columns, words=WORDS)
