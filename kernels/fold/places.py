"""Places of stations: which are free, which hold what, and which cycle an event means."""

import numpy as np
import numpy.typing as npt

from kernels.fold.arrays import Model, State
from kernels.fold.layout import (
    B_LEVEL,
    BC_CAPACITY,
    BC_CONSUMER,
    BC_CONSUMERS,
    CYCLE_BUSY,
    CYCLE_DONE,
    CYCLE_READY,
    CYCLE_STARVED,
    CYCLE_UNSEEN,
    L_CONTRADICTIONS,
    L_NEXT,
    L_NEXT_LOST,
    S_CYCLE,
    S_CYCLE_PRODUCT,
    S_CYCLE_TS,
    S_EXTRA,
    S_LOST_TS,
    S_UNIT,
    SC_IDEAL,
    SC_INPUT,
    SC_INPUTS,
    SC_OUTPUT,
    SC_PLACES,
    SC_ROWS,
)
from kernels.fold.path import is_empty, place_of
from kernels.fold.work_order import product_of
from kernels.index import natural
from kernels.jit import bare, hot

I64 = npt.NDArray[np.int64]
# The end of a cycle is given up after so many times its ideal time and the places of its station.
LOST_AFTER = 10
LONGEST_IDEAL_NS = 10**14  # beyond it the product would not fit


@hot
def is_idle(cycle: int) -> bool:
    return cycle in (CYCLE_STARVED, CYCLE_READY)


@hot
def inputs_full(m: Model, x: State, s: int) -> bool:
    first = m.stations[s, SC_INPUT]
    for k in range(first, first + m.stations[s, SC_INPUTS]):
        if is_empty(m, x, natural(m.inputs[natural(k)])):
            return False
    return True


@hot
def has_idle(m: Model, x: State, s: int) -> bool:
    """Whether a place of s is free."""
    return bool(
        is_idle(x.stations[s, S_CYCLE])
        or (m.stations[s, SC_PLACES] > 1 and find(m, x, s, CYCLE_READY) >= 0)
        or (m.stations[s, SC_PLACES] > 1 and find(m, x, s, CYCLE_STARVED) >= 0)
    )


@bare
def find(m: Model, x: State, s: int, cycle: int) -> int:
    """Of the places of s that are in use, the one that has been in this cycle longest; -1 none."""
    best = -1
    for i in range(1 + x.stations[s, S_EXTRA]):
        place = place_of(m, s, i)
        longest = best < 0 or x.stations[place, S_CYCLE_TS] < x.stations[best, S_CYCLE_TS]
        if x.stations[place, S_CYCLE] == cycle and longest:
            best = place
    return best


@hot
def done_place(m: Model, x: State, s: int) -> int:
    """The place of s that has waited longest with a completed part; -1 none."""
    if x.stations[s, S_EXTRA] == 0:
        return s if x.stations[s, S_CYCLE] == CYCLE_DONE else -1
    return find(m, x, s, CYCLE_DONE)


@hot
def has_room(m: Model, x: State, s: int) -> bool:
    """Whether station s can part with what it has made.

    A capacity of 0 is a hand-over: there is room once a consumer is idle and has not been given a part yet.
    """
    b = m.stations[s, SC_OUTPUT]
    if b < 0:
        return True
    capacity = m.buffers[b, BC_CAPACITY]
    level = x.buffers[b, B_LEVEL]
    if capacity > 0:
        return bool(level < capacity)
    if level > 0:
        return False
    first = m.buffers[b, BC_CONSUMER]
    for k in range(first, first + m.buffers[b, BC_CONSUMERS]):
        if has_idle(m, x, m.consumers[k]):
            return True
    return False


@hot
def differs(x: State, place: int, unit: int) -> bool:
    """Whether the cycle in a place is known to be that of another unit."""
    return bool(unit != 0 and x.stations[place, S_UNIT] != 0 and x.stations[place, S_UNIT] != unit)


@bare
def place_with(m: Model, x: State, s: int, unit: int) -> int:
    """The first place of s in which a cycle of `unit` is open; -1 none."""
    for i in range(1 + x.stations[s, S_EXTRA]):
        place = place_of(m, s, i)
        if unit != 0 and x.stations[place, S_CYCLE] == CYCLE_BUSY and x.stations[place, S_UNIT] == unit:
            return int(place)
    return -1


@bare
def open_cycle(m: Model, x: State, line: int, s: int, unit: int) -> int:
    """The place of s in which a cycle of `unit` is open, else (or without a unit) the oldest without; -1 none.

    An end without a unit where several units are open tells nothing of which: the oldest is taken, and it is counted.
    """
    best = place_with(m, x, s, unit)
    if best >= 0:
        return best
    several = 0
    for i in range(1 + x.stations[s, S_EXTRA]):
        place = place_of(m, s, i)
        if x.stations[place, S_CYCLE] != CYCLE_BUSY or differs(x, place, unit):
            continue
        several += 1
        if best < 0 or x.stations[place, S_CYCLE_TS] < x.stations[best, S_CYCLE_TS]:
            best = place
    if several > 1:
        x.lines[line, L_CONTRADICTIONS] += 1
    return best


@bare
def beside(m: Model, x: State, s: int, unit: int) -> int:
    """A place beside the one of s for a cycle of `unit` that overlaps others; -1: it does not, or there are too many.

    It does where all have units, other ones, and none is done: else the end of what is there was not reported.
    """
    if unit == 0:
        return -1
    free = -1
    for i in range(1 + m.stations[s, SC_ROWS]):
        place = place_of(m, s, i)
        cycle = x.stations[place, S_CYCLE]
        if cycle == CYCLE_UNSEEN:
            if free < 0:
                free = i
        elif cycle == CYCLE_DONE or x.stations[place, S_UNIT] == 0 or x.stations[place, S_UNIT] == unit:
            return -1
    if free < 0:
        return -1
    x.stations[s, S_EXTRA] = max(x.stations[s, S_EXTRA], free)
    return int(place_of(m, s, free))


@bare
def expect(m: Model, x: State, line: int, s: int, t: int) -> None:
    """When the ends of the cycles that are open at s are given up: a lost one would keep it running for ever."""
    places = max(m.stations[s, SC_PLACES], 1 + x.stations[s, S_EXTRA])
    for i in range(1 + x.stations[s, S_EXTRA]):
        place = place_of(m, s, i)
        row = x.stations[place]
        if row[S_CYCLE] != CYCLE_BUSY or row[S_LOST_TS] > 0:
            continue
        product = row[S_CYCLE_PRODUCT] if row[S_CYCLE_PRODUCT] >= 0 else product_of(x, line, s)
        ideal = min(m.ideal[m.stations[s, SC_IDEAL] + product + 1], LONGEST_IDEAL_NS)
        if ideal <= 0:
            continue
        row[S_LOST_TS] = max(row[S_CYCLE_TS] + LOST_AFTER * places * ideal, t + 1)
        due = x.lines[line, L_NEXT_LOST]
        x.lines[line, L_NEXT_LOST] = row[S_LOST_TS] if due == 0 else min(due, row[S_LOST_TS])
        x.lines[line, L_NEXT] = min(x.lines[line, L_NEXT], row[S_LOST_TS])
