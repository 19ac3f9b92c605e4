"""Material flow of a line: blocked and starved from cycles, topology and buffers.

Completions, then unblocks from downstream up (`kernels.fold.moves`), then starts, one by one.

A station may hold several parts at once: then it has further places, numbered behind all stations, each with a cycle of
its own, told apart by `unit`. Where the plant declares them they are machines in parallel. Where it does not, a station
is one place, and cycles of other units that overlap it lie beside it until they end.
"""

import numpy as np
import numpy.typing as npt

from kernels.codes import CYCLE_NS, CYCLES
from kernels.fold import bits
from kernels.fold.arrays import Model, Out, State
from kernels.fold.layout import (
    B_LAST_TAKE,
    B_LEVEL,
    B_SHORT,
    BC_CONSUMERS,
    CYCLE_BUSY,
    CYCLE_DONE,
    CYCLE_READY,
    CYCLE_STARVED,
    DOUBT_CYCLES,
    L_CONTRADICTIONS,
    L_DONE,
    L_NEXT_LOST,
    LC_STATION,
    LC_STATIONS,
    RAISED,
    S_CYCLE,
    S_CYCLE_PRODUCT,
    S_CYCLE_TS,
    S_EXTRA,
    S_LOST_TS,
    S_TAKE_TS,
    S_UNIT,
    SC_INPUT,
    SC_INPUTS,
    SC_PLACES,
)
from kernels.fold.moves import become_idle, enter, feed, make_room, put, starve, unblock
from kernels.fold.out import alert
from kernels.fold.path import counted, feeder, is_empty, leave, place_of, take_over, work
from kernels.fold.places import beside, differs, done_place, expect, find, inputs_full, open_cycle, place_with
from kernels.index import natural
from kernels.jit import bare, hot

I64 = npt.NDArray[np.int64]


@hot
def complete(m: Model, x: State, o: Out, line: int, s: int, unit: int, t: int) -> int:
    """End of a cycle of `unit` (0: none is named). `unblock` has to follow, with s. Returns the place it was in.

    -1: no such cycle was open; counted as a contradiction and otherwise ignored.
    """
    s = natural(s)
    place = s
    if x.stations[s, S_EXTRA] > 0:
        place = open_cycle(m, x, line, s, unit)
    elif x.stations[s, S_CYCLE] != CYCLE_BUSY or differs(x, s, unit):
        place = -1
    if place < 0:
        x.lines[line, L_CONTRADICTIONS] += 1
        return -1
    x.total[s, CYCLES] += 1
    x.total[s, CYCLE_NS] += t - x.stations[place, S_CYCLE_TS]
    finish(m, x, o, line, s, place, t)
    return int(place)


@hot
def finish(m: Model, x: State, o: Out, line: int, s: int, place: int, t: int) -> None:
    """The work in a place of s ends; its part is still in it."""
    if place == s or counted(m, place) == place:
        work(m, x, line, place, t)
    enter(x, o, line, s, place, CYCLE_BUSY, CYCLE_DONE, t)


@bare
def place_for(m: Model, x: State, o: Out, line: int, s: int, unit: int, events: I64, k: int, j: int, t: int) -> int:
    """The place of s in which a cycle of `unit` begins, its wait ended.

    A start that the books do not allow is counted, and what was reported is believed: either no part was there, or no
    place was free. Then a part is still in it whose end was not reported, or that left a full buffer.
    """
    place = find(m, x, s, CYCLE_READY)
    if place >= 0:
        if t > x.stations[place, S_CYCLE_TS]:
            work(m, x, line, place, t)
        return place
    place = find(m, x, s, CYCLE_STARVED)
    if place >= 0:
        x.lines[line, L_CONTRADICTIONS] += 1
        leave(m, x, o, line, place, t)
        return place
    if m.stations[s, SC_PLACES] == 1:
        place = beside(m, x, s, unit)
        if place >= 0:
            x.lines[line, L_CONTRADICTIONS] += 0 if inputs_full(m, x, s) else 1
            return place
    x.lines[line, L_CONTRADICTIONS] += 1
    place = done_place(m, x, s)
    if place < 0:
        place = place_with(m, x, s, unit)
        if place < 0:
            place = find(m, x, s, CYCLE_BUSY)
        if x.stations[s, S_EXTRA] == 0:
            x.total[s, CYCLES] += 1
            x.total[s, CYCLE_NS] += t - x.stations[place, S_CYCLE_TS]
        finish(m, x, o, line, s, place, t)
    put(m, x, o, line, s, place, events, k, j, t)
    if x.stations[place, S_CYCLE] == CYCLE_STARVED:
        x.lines[line, L_CONTRADICTIONS] += 1
    return place


@hot
def start(
    m: Model, x: State, o: Out, line: int, s: int, unit: int, product: int, events: I64, k: int, j: int, t: int
) -> None:
    """Start of a cycle of `unit` (0: none is named): one part of every input is taken. `unblock` has to follow.

    `events` from k up to j are those of this instant that are still to come.
    """
    s = natural(s)
    place = s
    if x.stations[s, S_CYCLE] == CYCLE_READY and m.stations[s, SC_PLACES] == 1:
        if t > x.stations[s, S_CYCLE_TS]:
            work(m, x, line, s, t)
    else:
        place = natural(place_for(m, x, o, line, s, unit, events, k, j, t))
    enter(x, o, line, s, place, CYCLE_READY, CYCLE_BUSY, t)
    x.stations[place, S_UNIT] = unit
    x.stations[place, S_CYCLE_PRODUCT] = product
    x.stations[place, S_LOST_TS] = 0
    mark = s if place == s else counted(m, place)
    x.stations[mark, S_TAKE_TS] = t
    several = m.stations[s, SC_PLACES] > 1
    first = m.stations[s, SC_INPUT]
    for n in range(first, first + m.stations[s, SC_INPUTS]):
        b = natural(m.inputs[natural(n)])
        if x.buffers[b, B_LEVEL] > 0:
            x.buffers[b, B_LEVEL] -= 1
            make_room(m, x, o, b)
        x.buffers[b, B_LAST_TAKE] = mark
        # Whether a buffer is empty now cannot be foreseen; that no other place takes from it can.
        if (several or m.buffers[b, BC_CONSUMERS] > 1) and is_empty(m, x, b):
            starve(m, x, o, line, b, t)
    if x.stations[s, S_EXTRA] > 0:
        expect(m, x, line, s, t)


@bare
def give_up(m: Model, x: State, o: Out, line: int, t: int) -> None:
    """Ends that have not come until t will not come: the parts have left unseen, and no cycle is counted.

    The whole line has to be settled after it: nothing stays marked in `Out.touched`.
    """
    lo = m.lines[line, LC_STATION]
    hi = lo + m.lines[line, LC_STATIONS]
    for s in range(lo, hi):
        before = x.lines[line, L_CONTRADICTIONS]
        for i in range(1 + x.stations[s, S_EXTRA]):
            place = place_of(m, s, i)
            row = x.stations[place]
            if row[S_CYCLE] == CYCLE_BUSY and 0 < row[S_LOST_TS] <= t:
                x.lines[line, L_CONTRADICTIONS] += 1
                finish(m, x, o, line, s, place, t)
                bits.add(o.pending, s)
        if x.lines[line, L_CONTRADICTIONS] > before:
            alert(o, line, s, DOUBT_CYCLES, RAISED, t, x.lines[line, L_CONTRADICTIONS] - before)
    unblock(m, x, o, line, -1, x.counters, 0, 0, t)
    due = 0
    for s in range(lo, hi):
        for i in range(1 + x.stations[s, S_EXTRA]):
            row = x.stations[place_of(m, s, i)]
            if row[S_CYCLE] == CYCLE_BUSY and row[S_LOST_TS] > 0:
                due = row[S_LOST_TS] if due == 0 else min(due, row[S_LOST_TS])
    x.lines[line, L_NEXT_LOST] = due
    for s in range(lo, hi):
        bits.discard(o.touched, s)


@bare
def set_level(m: Model, x: State, o: Out, line: int, b: int, level: int, t: int) -> None:
    """A reported level replaces the derived one. `unblock` has to follow."""
    x.buffers[b, B_LEVEL] = level
    x.buffers[b, B_SHORT] = 1 if level == 0 else 0
    if level == 0:
        starve(m, x, o, line, b, t)
    else:
        feed(m, x, o, line, b, feeder(m, x, b), t)
    # Waits that were only reported say nothing of parts that could move.
    if x.lines[line, L_DONE] > 0:
        make_room(m, x, o, b)


@bare
def begin_cycles(m: Model, x: State, o: Out, line: int, t: int) -> None:
    """The line's first cycle event: from here on its flow is derived."""
    lo = m.lines[line, LC_STATION]
    # First those that wait: they take the vectors of those that work, which must not be complete yet.
    for waits in (True, False):
        for s in range(lo, lo + m.lines[line, LC_STATIONS]):
            if (x.stations[s, S_CYCLE] in (CYCLE_DONE, CYCLE_STARVED)) == waits:
                leave(m, x, o, line, s, t)
    for s in range(lo, lo + m.lines[line, LC_STATIONS]):
        become_idle(m, x, o, line, s, s, CYCLE_BUSY, t)
        for i in range(1, m.stations[s, SC_PLACES]):
            place = place_of(m, s, i)
            take_over(m, x, line, place, s, t)
            become_idle(m, x, o, line, s, place, CYCLE_BUSY, t)
    # Waits that were reported so far were not counted there: only parts that are known are.
    x.lines[line, L_DONE] = 0
