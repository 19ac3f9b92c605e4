"""From the numbers of one plant model to those of another, by what is called the same in both."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from kernels.fold import layout as at
from twin.line import snapshot as snap
from twin.line.engine import Engine
from twin.line.shape import ARRAYS, ROOM

I64 = npt.NDArray[np.int64]
_LARGE: Final = frozenset({"rings", "tick_deltas", "tick_orders", "deltas", "closing_orders"})


@dataclass(slots=True)
class Ways:
    """New numbers by old ones, -1: it has no place any more. The last cell of each is that of -1."""

    lines: I64
    stations: I64  # and further places, as rows of State.stations
    buffers: I64
    counters: I64
    products: list[I64]  # of each old line, within the line


def ways(old: Engine, new: Engine) -> Ways:
    """By id: lines, then stations and products of a line, buffers of a line, counters of a station."""
    lines = {line.id: j for j, line in enumerate(new.plant.lines)}
    found = Ways(
        np.full(len(old.plant.lines) + 1, -1, np.int64),
        np.full(len(old.state.stations) + 1, -1, np.int64),
        np.full(len(old.numbers.buffers) + 1, -1, np.int64),
        np.full(len(old.numbers.counters) + 1, -1, np.int64),
        [],
    )
    for i, line in enumerate(old.plant.lines):
        j = lines.get(line.id, -1)
        found.lines[i] = j
        products = {one.id: k for k, one in enumerate(new.plant.lines[j].products)} if j >= 0 else {}
        found.products.append(np.array([*(products.get(one.id, -1) for one in line.products), -1], np.int64))
        if j < 0:
            continue
        for s, t in common_stations(old, i, new, j):
            found.stations[s] = t
            theirs, ours = old.numbers.stations[s], new.numbers.stations[t]
            for k in range(min(int(theirs[at.SC_ROWS]), int(ours[at.SC_ROWS]))):
                found.stations[theirs[at.SC_ROW] + k] = ours[at.SC_ROW] + k
        found.counters[_numbers(_counters(old, i))] = _found(_counters(old, i), _counters(new, j))
        found.buffers[_numbers(_buffers(old, i))] = _found(_buffers(old, i), _buffers(new, j))
    return found


def first_station(engine: Engine, line: int) -> int:
    return int(engine.numbers.lines[line, at.LC_STATION])


def common_stations(old: Engine, i: int, new: Engine, j: int) -> Iterable[tuple[int, int]]:
    """Old and new numbers of the stations that both have."""
    ours = {station.id: first_station(new, j) + k for k, station in enumerate(new.plant.lines[j].stations)}
    for k, station in enumerate(old.plant.lines[i].stations):
        if station.id in ours:
            yield first_station(old, i) + k, ours[station.id]


def _counters(engine: Engine, line: int) -> dict[tuple[str, ...], int]:
    ids = [(s.id, c.id) for s in engine.plant.lines[line].stations for c in s.counters]
    return {one: k for k, one in enumerate(ids, int(engine.numbers.counter_bounds[line]))}


def _buffers(engine: Engine, line: int) -> dict[tuple[str, ...], int]:
    ids = [(b.id,) for b in engine.plant.lines[line].buffers]
    return {one: k for k, one in enumerate(ids, int(engine.numbers.buffer_bounds[line]))}


def _numbers(found: dict[tuple[str, ...], int]) -> list[int]:
    return list(found.values())


def _found(theirs: dict[tuple[str, ...], int], ours: dict[tuple[str, ...], int]) -> list[int]:
    return [ours.get(one, -1) for one in theirs]


def same_line(old: Engine, i: int, new: Engine, j: int, found: Ways, *, fresh: bool) -> None:
    """The line itself is the same, in another place of the plant: other numbers, and nothing else. Both engines have
    the same texts. `fresh`: the new one holds zeros there, and those of a large array are left out: writing them takes
    memory."""
    x, y = old.state, new.state
    theirs, ours = snap.spans(old.numbers, i), snap.spans(new.numbers, j)
    for name in ARRAYS:
        source = snap.part(name, getattr(x, name), theirs[name])
        target = snap.part(name, getattr(y, name), ours[name])
        if ROOM in ARRAYS[name].axes:
            target[:, source.shape[1] :] = 0
            target = target[:, : source.shape[1]]
        if fresh and name in _LARGE:
            there = source.reshape(len(source), -1).any(axis=1)
            target[there] = source[there]
        else:
            target[...] = source
    y.lines[j, at.L_CAUSAL] = found.stations[x.lines[i, at.L_CAUSAL]]
    for column in (at.B_LAST_PUT, at.B_LAST_TAKE):
        mine = y.buffers[ours["buffers"]]
        mine[:, column] = found.stations[mine[:, column]]
