"""Material flow of a line: blocked and starved from cycles, topology and buffers.

Completions, then unblocks from downstream up, then starts, one by one. Of several stations that are blocked on one
buffer that one unloads which starts at that instant (the proof that it is empty), else the one that has waited longest;
the others stay blocked. Whose time it was is told to the critical path (`kernels.path`).

What changes marks what may follow from it, so that no event looks at every station of its line: `Out.pending` the
stations whose part may move now (`unblock`), `Out.touched` those whose cycle changed (`kernels.fold` settles them).
"""

import numpy as np
import numpy.typing as npt

from kernels import bits
from kernels.arrays import Model, Out, State
from kernels.codes import CYCLE, CYCLE_NS, CYCLES, START
from kernels.index import natural
from kernels.jit import bare, hot
from kernels.layout import (
    B_FED_TS,
    B_LAST_PUT,
    B_LAST_TAKE,
    B_LEVEL,
    B_SHORT,
    BC_CAPACITY,
    BC_CONSUMER,
    BC_CONSUMERS,
    BC_PRODUCER,
    BC_PRODUCERS,
    CYCLE_BUSY,
    CYCLE_DONE,
    CYCLE_READY,
    CYCLE_STARVED,
    E_CODE,
    E_STATION,
    E_TYPE,
    L_CONTRADICTIONS,
    L_DONE,
    LC_STATION,
    LC_STATIONS,
    S_CYCLE,
    S_CYCLE_TS,
    S_PUT_TS,
    S_TAKE_TS,
    SC_INPUT,
    SC_INPUTS,
    SC_OUTPUT,
)
from kernels.path import FOUND, closers, feeder, is_empty, join, leave, take_closed, take_mean, take_over, work

I64 = npt.NDArray[np.int64]


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
        if is_idle(x.stations[m.consumers[k], S_CYCLE]):
            return True
    return False


@hot
def enter(x: State, o: Out, line: int, s: int, was: int, cycle: int, t: int) -> None:
    """`was`: the cycle that it is in, which every caller knows."""
    if was == CYCLE_DONE:
        x.lines[line, L_DONE] -= 1
    if cycle == CYCLE_DONE:
        x.lines[line, L_DONE] += 1
    x.stations[s, S_CYCLE] = cycle
    x.stations[s, S_CYCLE_TS] = t
    bits.add(o.touched, s)


@hot
def make_room(m: Model, x: State, o: Out, b: int) -> None:
    """There may be room in b: what waits for it may move."""
    first = m.buffers[b, BC_PRODUCER]
    for k in range(first, first + m.buffers[b, BC_PRODUCERS]):
        p = natural(m.producers[natural(k)])
        if x.stations[p, S_CYCLE] == CYCLE_DONE:
            bits.add(o.pending, p)


@hot
def become_idle(m: Model, x: State, o: Out, line: int, s: int, was: int, t: int) -> None:
    full = True
    first = m.stations[s, SC_INPUT]
    for k in range(first, first + m.stations[s, SC_INPUTS]):
        b = natural(m.inputs[natural(k)])
        there = not is_empty(m, x, b)
        full &= there
        if m.buffers[b, BC_CAPACITY] == 0 and not there:
            make_room(m, x, o, b)
    enter(x, o, line, s, was, CYCLE_READY if full else CYCLE_STARVED, t)


@hot
def complete(m: Model, x: State, o: Out, line: int, s: int, t: int) -> bool:
    """End of a cycle. `unblock` has to follow, with s.

    False: no cycle was open; counted as a contradiction and otherwise ignored.
    """
    s = natural(s)
    if x.stations[s, S_CYCLE] != CYCLE_BUSY:
        x.lines[line, L_CONTRADICTIONS] += 1
        return False
    x.total[s, CYCLES] += 1
    x.total[s, CYCLE_NS] += t - x.stations[s, S_CYCLE_TS]
    work(m, x, line, s, t)
    enter(x, o, line, s, CYCLE_BUSY, CYCLE_DONE, t)
    return True


@hot
def put(m: Model, x: State, o: Out, line: int, s: int, events: I64, k: int, j: int, t: int) -> None:
    """The part of s, which is done, leaves it; consumers that now have all inputs stop starving.

    `events` from k up to j are those of this instant that are still to come.
    """
    b = m.stations[s, SC_OUTPUT]
    if t > x.stations[s, S_CYCLE_TS]:
        # Mostly the room was made at this instant, by a start: the vector of who made it is complete.
        if b >= 0 and m.buffers[b, BC_CONSUMERS] == 1:
            source = m.consumers[natural(m.buffers[b, BC_CONSUMER])]
            if x.stations[source, S_CYCLE_TS] >= t:
                take_over(m, x, line, s, source, t)
            else:
                take_closed(m, x, o, line, s, s, t)
        else:
            take_mean(m, x, o, line, s, room_makers(m, x, o, s, b, events, k, j, t), t)
    if b >= 0:
        if x.buffers[b, B_LEVEL] == 0:
            x.buffers[b, B_FED_TS] = t
        x.buffers[b, B_LEVEL] += 1
        x.buffers[b, B_LAST_PUT] = s
        x.stations[s, S_PUT_TS] = t
    become_idle(m, x, o, line, s, CYCLE_DONE, t)
    if b >= 0:
        feed(m, x, o, line, b, s, t)


@bare
def room_makers(m: Model, x: State, o: Out, s: int, b: int, events: I64, k: int, j: int, t: int) -> int:
    """Into o.mix[FOUND] who has made the room for s at t: who takes a part from b at this instant, or now stands empty.

    Returns how many; where nobody has (a level was reported), those whose vector stands for s.
    """
    found = o.mix[FOUND]
    count = 0
    if b >= 0:
        first = m.buffers[b, BC_CONSUMER]
        for n in range(first, first + m.buffers[b, BC_CONSUMERS]):
            c = m.consumers[n]
            cycle = x.stations[c, S_CYCLE]
            taken = x.stations[c, S_TAKE_TS] == t
            emptied = m.buffers[b, BC_CAPACITY] == 0 and is_idle(cycle) and x.stations[c, S_CYCLE_TS] == t
            if taken or emptied or (cycle == CYCLE_READY and starts(events, k, j, c)):
                count = join(found, count, c)
    return count if count else closers(m, x, o, s, t)


@bare
def starts(events: I64, k: int, j: int, s: int) -> bool:
    """Whether a start of s is among the events from k up to j."""
    for i in range(k, j):
        if events[i, E_TYPE] == CYCLE and events[i, E_CODE] == START and events[i, E_STATION] == s:
            return True
    return False


@hot
def feed(m: Model, x: State, o: Out, line: int, b: int, source: int, t: int) -> None:
    """Consumers of b that waited for a part and have all of them now may start; -1: `source` is outside the line."""
    first = m.buffers[b, BC_CONSUMER]
    for k in range(first, first + m.buffers[b, BC_CONSUMERS]):
        c = natural(m.consumers[natural(k)])
        if x.stations[c, S_CYCLE] == CYCLE_STARVED and inputs_full(m, x, c):
            if t > x.stations[c, S_CYCLE_TS]:
                by = source if source >= 0 else c
                if m.buffers[b, BC_PRODUCERS] > 1 or m.stations[c, SC_INPUTS] > 1:
                    take_mean(m, x, o, line, c, bringers(m, x, o, c, b, by, t), t)
                elif x.stations[by, S_CYCLE_TS] >= t:
                    take_over(m, x, line, c, by, t)
                else:
                    take_closed(m, x, o, line, c, by, t)
            enter(x, o, line, c, CYCLE_STARVED, CYCLE_READY, t)


@bare
def bringers(m: Model, x: State, o: Out, c: int, b: int, source: int, t: int) -> int:
    """Into o.mix[FOUND] who has ended the wait of c at t by a part for b; returns how many.

    Whoever brings a part at this instant (also one that still waits for room) for b, or for another input that ran
    empty until this instant: none of them came before the others.
    """
    found = o.mix[FOUND]
    count = 0
    first = m.stations[c, SC_INPUT]
    for k in range(first, first + m.stations[c, SC_INPUTS]):
        one = m.inputs[k]
        if one != b and x.buffers[one, B_FED_TS] != t:
            continue
        begin = m.buffers[one, BC_PRODUCER]
        for n in range(begin, begin + m.buffers[one, BC_PRODUCERS]):
            p = m.producers[n]
            waits = x.stations[p, S_CYCLE] == CYCLE_DONE and x.stations[p, S_CYCLE_TS] == t
            if p == source or waits or x.stations[p, S_PUT_TS] == t:
                count = join(found, count, p)
    if count == 0 or (count == 1 and x.stations[source, S_CYCLE_TS] < t):
        return closers(m, x, o, source, t)
    return count


@bare
def first_to_move(m: Model, x: State, s: int, events: I64, k: int, j: int) -> int:
    """Of all stations that hold a completed part for the buffer of s, the one that unloads next."""
    b = m.stations[s, SC_OUTPUT]
    best = s
    proof = starts(events, k, j, s)
    first = m.buffers[b, BC_PRODUCER]
    for n in range(first, first + m.buffers[b, BC_PRODUCERS]):
        p = m.producers[n]
        if p == s or x.stations[p, S_CYCLE] != CYCLE_DONE:
            continue
        mine = starts(events, k, j, p)
        longer = x.stations[p, S_CYCLE_TS] < x.stations[best, S_CYCLE_TS]
        same = x.stations[p, S_CYCLE_TS] == x.stations[best, S_CYCLE_TS] and p > best
        if (mine and not proof) or (mine == proof and (longer or same)):
            best = p
            proof = mine
    return best


@hot
def unblock(m: Model, x: State, o: Out, line: int, s: int, events: I64, k: int, j: int, t: int) -> None:
    """Parts move wherever there is room, from downstream up, again and again until nothing moves.

    Only s, which has just completed a part (-1: none has), and pending stations can move: room comes from a take, a
    level that is reported, or an idle consumer, and each marks those that wait for it. s is not marked, because mostly
    it is alone: to be marked and found again was a twelfth of an event's time. `events` from k up to j are those of
    this instant that are still to come.
    """
    lo = natural(m.lines[line, LC_STATION])
    hi = lo + m.lines[line, LC_STATIONS]
    top = bits.last(o.pending, lo, hi)
    if top > s:
        if s >= 0:
            bits.add(o.pending, s)
        s = top
    while s >= 0:
        bits.discard(o.pending, s)
        if x.stations[s, S_CYCLE] == CYCLE_DONE and has_room(m, x, s):
            b = m.stations[s, SC_OUTPUT]
            moved = s
            if b >= 0 and m.buffers[b, BC_PRODUCERS] > 1:
                moved = first_to_move(m, x, s, events, k, j)
                if moved != s:
                    # There may be more room.
                    bits.add(o.pending, s)
            put(m, x, o, line, moved, events, k, j, t)
        top = bits.last(o.pending, lo, hi)
        below = top if top < s else bits.highest(o.pending, lo, s)
        s = below if below >= 0 else top


@bare
def contradict(m: Model, x: State, o: Out, line: int, s: int, events: I64, k: int, j: int, t: int) -> None:
    """A start that the books do not allow: counted, and what was reported is believed.

    Either a part is still at the station (its end was not reported, or it left a full buffer), or there is none.
    """
    cycle = x.stations[s, S_CYCLE]
    if not is_idle(cycle):
        x.lines[line, L_CONTRADICTIONS] += 1
        if cycle == CYCLE_BUSY:
            complete(m, x, o, line, s, t)
        put(m, x, o, line, s, events, k, j, t)
    if x.stations[s, S_CYCLE] == CYCLE_STARVED:
        x.lines[line, L_CONTRADICTIONS] += 1
    leave(m, x, o, line, s, t)


@hot
def start(m: Model, x: State, o: Out, line: int, s: int, events: I64, k: int, j: int, t: int) -> None:
    """Start of a cycle: one part of every input is taken. `unblock` has to follow.

    `events` from k up to j are those of this instant that are still to come.
    """
    s = natural(s)
    if x.stations[s, S_CYCLE] == CYCLE_READY:
        if t > x.stations[s, S_CYCLE_TS]:
            work(m, x, line, s, t)
    else:
        contradict(m, x, o, line, s, events, k, j, t)
    enter(x, o, line, s, CYCLE_READY, CYCLE_BUSY, t)
    x.stations[s, S_TAKE_TS] = t
    first = m.stations[s, SC_INPUT]
    for n in range(first, first + m.stations[s, SC_INPUTS]):
        b = natural(m.inputs[natural(n)])
        if x.buffers[b, B_LEVEL] > 0:
            x.buffers[b, B_LEVEL] -= 1
            make_room(m, x, o, b)
        x.buffers[b, B_LAST_TAKE] = s
        # Whether a buffer is empty now cannot be foreseen; that it has no other consumer can.
        if m.buffers[b, BC_CONSUMERS] > 1 and is_empty(m, x, b):
            starve(m, x, o, line, b, t)


@hot
def starve(m: Model, x: State, o: Out, line: int, b: int, t: int) -> None:
    """Consumers whose part another one has taken are starved again."""
    first = m.buffers[b, BC_CONSUMER]
    for k in range(first, first + m.buffers[b, BC_CONSUMERS]):
        c = m.consumers[k]
        if x.stations[c, S_CYCLE] == CYCLE_READY:
            work(m, x, line, c, t)
            enter(x, o, line, c, CYCLE_READY, CYCLE_STARVED, t)


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
        become_idle(m, x, o, line, s, CYCLE_BUSY, t)
    # Waits that were reported so far were not counted there: only parts that are known are.
    x.lines[line, L_DONE] = 0
