"""How parts move through a line: into buffers and out of them, and whose waits that ends.

Of several stations that are blocked on one buffer that one unloads which starts at that instant (the proof that it is
empty), else the one that has waited longest; the others stay blocked. Whose time it was is told to the critical path
(`kernels.fold.path`).

What changes marks what may follow from it, so that no event looks at every station of its line: `Out.pending` the
stations whose part may move now (`unblock`), `Out.touched` those whose cycle changed (`kernels.fold.fold` settles
them).
"""

import numpy as np
import numpy.typing as npt

from kernels.codes import CYCLE, START
from kernels.fold import bits
from kernels.fold.arrays import Model, Out, State
from kernels.fold.layout import (
    B_FED_TS,
    B_LAST_PUT,
    B_LEVEL,
    BC_CAPACITY,
    BC_CONSUMER,
    BC_CONSUMERS,
    BC_PRODUCER,
    BC_PRODUCERS,
    CYCLE_DONE,
    CYCLE_READY,
    CYCLE_STARVED,
    CYCLE_UNSEEN,
    E_CODE,
    E_STATION,
    E_TYPE,
    L_DONE,
    LC_STATION,
    LC_STATIONS,
    S_CYCLE,
    S_CYCLE_TS,
    S_EXTRA,
    S_PUT_TS,
    S_TAKE_TS,
    SC_INPUT,
    SC_INPUTS,
    SC_OUTPUT,
    SC_PLACES,
)
from kernels.fold.path import (
    FOUND,
    closers,
    counted,
    is_empty,
    join,
    owner,
    place_of,
    take_closed,
    take_mean,
    take_over,
    work,
)
from kernels.fold.places import done_place, find, has_idle, has_room, inputs_full, is_idle
from kernels.index import natural
from kernels.jit import bare, hot

I64 = npt.NDArray[np.int64]


@hot
def enter(x: State, o: Out, line: int, s: int, place: int, was: int, cycle: int, t: int) -> None:
    """`was`: the cycle that the place of s is in, which every caller knows."""
    if was == CYCLE_DONE:
        x.lines[line, L_DONE] -= 1
    if cycle == CYCLE_DONE:
        x.lines[line, L_DONE] += 1
    x.stations[place, S_CYCLE] = cycle
    x.stations[place, S_CYCLE_TS] = t
    bits.add(o.touched, s)


@hot
def make_room(m: Model, x: State, o: Out, b: int) -> None:
    """There may be room in b: what waits for it may move."""
    first = m.buffers[b, BC_PRODUCER]
    for k in range(first, first + m.buffers[b, BC_PRODUCERS]):
        p = natural(m.producers[natural(k)])
        if done_place(m, x, p) >= 0:
            bits.add(o.pending, p)


@hot
def become_idle(m: Model, x: State, o: Out, line: int, s: int, place: int, was: int, t: int) -> None:
    if place != s and counted(m, place) != place:
        enter(x, o, line, s, place, was, CYCLE_UNSEEN, t)
        return
    full = True
    first = m.stations[s, SC_INPUT]
    for k in range(first, first + m.stations[s, SC_INPUTS]):
        b = natural(m.inputs[natural(k)])
        there = not is_empty(m, x, b)
        full &= there
        if m.buffers[b, BC_CAPACITY] == 0 and not there:
            make_room(m, x, o, b)
    enter(x, o, line, s, place, was, CYCLE_READY if full else CYCLE_STARVED, t)


@hot
def put(m: Model, x: State, o: Out, line: int, s: int, place: int, events: I64, k: int, j: int, t: int) -> None:
    """The part in a place of s, which is done, leaves it; consumers that now have all inputs stop starving.

    `events` from k up to j are those of this instant that are still to come.
    """
    b = m.stations[s, SC_OUTPUT]
    mark = s if place == s else counted(m, place)
    if t > x.stations[place, S_CYCLE_TS] and mark == place:
        # Mostly the room was made at this instant, by a start: the vector of who made it is complete.
        source = m.consumers[natural(m.buffers[b, BC_CONSUMER])] if b >= 0 and m.buffers[b, BC_CONSUMERS] == 1 else -1
        if source >= 0 and m.stations[source, SC_PLACES] == 1:
            if x.stations[source, S_CYCLE_TS] >= t:
                take_over(m, x, line, place, source, t)
            else:
                take_closed(m, x, o, line, place, place, t)
        else:
            take_mean(m, x, o, line, place, room_makers(m, x, o, place, b, events, k, j, t), t)
    if b >= 0:
        if x.buffers[b, B_LEVEL] == 0:
            x.buffers[b, B_FED_TS] = t
        x.buffers[b, B_LEVEL] += 1
        x.buffers[b, B_LAST_PUT] = mark
        x.stations[mark, S_PUT_TS] = t
    become_idle(m, x, o, line, s, place, CYCLE_DONE, t)
    if b >= 0:
        feed(m, x, o, line, b, mark, t)


@bare
def room_makers(m: Model, x: State, o: Out, place: int, b: int, events: I64, k: int, j: int, t: int) -> int:
    """Into o.mix[FOUND] who has made the room at t: the places that take a part from b then, or now stand empty.

    Returns how many; where nobody has (a level was reported), those whose vector stands for `place`.
    """
    found = o.mix[FOUND]
    count = 0
    if b >= 0:
        first = m.buffers[b, BC_CONSUMER]
        for n in range(first, first + m.buffers[b, BC_CONSUMERS]):
            c = m.consumers[n]
            ready = find(m, x, c, CYCLE_READY)
            if ready >= 0 and starts(events, k, j, c):
                count = join(found, count, ready)
            for i in range(m.stations[c, SC_PLACES]):
                one = place_of(m, c, i)
                emptied = is_idle(x.stations[one, S_CYCLE]) and x.stations[one, S_CYCLE_TS] == t
                if x.stations[one, S_TAKE_TS] == t or (m.buffers[b, BC_CAPACITY] == 0 and emptied):
                    count = join(found, count, one)
    return count if count else closers(m, x, o, place, t)


@bare
def starts(events: I64, k: int, j: int, s: int) -> bool:
    """Whether a start of s is among the events from k up to j."""
    for i in range(k, j):
        if events[i, E_TYPE] == CYCLE and events[i, E_CODE] == START and events[i, E_STATION] == s:
            return True
    return False


@hot
def feed(m: Model, x: State, o: Out, line: int, b: int, source: int, t: int) -> None:
    """Places behind b that waited for a part and have all of them now may start; -1: `source` is outside the line."""
    first = m.buffers[b, BC_CONSUMER]
    for k in range(first, first + m.buffers[b, BC_CONSUMERS]):
        c = natural(m.consumers[natural(k)])
        if (x.stations[c, S_CYCLE] == CYCLE_STARVED or m.stations[c, SC_PLACES] > 1) and inputs_full(m, x, c):
            for i in range(m.stations[c, SC_PLACES]):
                feed_place(m, x, o, line, b, source, c, natural(place_of(m, c, i)), t)


@hot
def feed_place(m: Model, x: State, o: Out, line: int, b: int, source: int, c: int, place: int, t: int) -> None:
    if x.stations[place, S_CYCLE] != CYCLE_STARVED:
        return
    if t > x.stations[place, S_CYCLE_TS]:
        by = source if source >= 0 else place
        if m.buffers[b, BC_PRODUCERS] > 1 or m.stations[c, SC_INPUTS] > 1 or by >= m.stations.shape[0]:
            take_mean(m, x, o, line, place, bringers(m, x, o, c, b, by, t), t)
        elif x.stations[by, S_CYCLE_TS] >= t and m.stations[by, SC_PLACES] == 1:
            take_over(m, x, line, place, by, t)
        elif m.stations[by, SC_PLACES] == 1:
            take_closed(m, x, o, line, place, by, t)
        else:
            take_mean(m, x, o, line, place, bringers(m, x, o, c, b, by, t), t)
    enter(x, o, line, c, place, CYCLE_STARVED, CYCLE_READY, t)


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
            for i in range(m.stations[m.producers[n], SC_PLACES]):
                p = place_of(m, m.producers[n], i)
                waits = x.stations[p, S_CYCLE] == CYCLE_DONE and x.stations[p, S_CYCLE_TS] == t
                if p == source or waits or x.stations[p, S_PUT_TS] == t:
                    count = join(found, count, p)
    if count == 0 or (count == 1 and x.stations[source, S_CYCLE_TS] < t):
        return closers(m, x, o, source, t)
    return count


@bare
def first_to_move(m: Model, x: State, s: int, events: I64, k: int, j: int) -> int:
    """Of all places that hold a completed part for the buffer of s, the one that is emptied next."""
    b = m.stations[s, SC_OUTPUT]
    best = done_place(m, x, s)
    last = s
    proof = starts(events, k, j, s) and not has_idle(m, x, s)
    first = m.buffers[b, BC_PRODUCER]
    for n in range(first, first + m.buffers[b, BC_PRODUCERS]):
        p = m.producers[n]
        place = done_place(m, x, p)
        if p == s or place < 0:
            continue
        mine = starts(events, k, j, p) and not has_idle(m, x, p)
        longer = x.stations[place, S_CYCLE_TS] < x.stations[best, S_CYCLE_TS]
        same = x.stations[place, S_CYCLE_TS] == x.stations[best, S_CYCLE_TS] and p > last
        if (mine and not proof) or (mine == proof and (longer or same)):
            best = place
            last = p
            proof = mine
    return int(best)


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
        place = done_place(m, x, s)
        if place >= 0 and has_room(m, x, s):
            b = m.stations[s, SC_OUTPUT]
            moved = s
            if b >= 0 and m.buffers[b, BC_PRODUCERS] > 1:
                place = first_to_move(m, x, s, events, k, j)
                moved = owner(m, place)
            if moved != s or x.stations[s, S_EXTRA] > 0:
                # It may hold another part, and there may be more room.
                bits.add(o.pending, s)
            put(m, x, o, line, moved, place, events, k, j, t)
        top = bits.last(o.pending, lo, hi)
        below = top if top < s else bits.highest(o.pending, lo, s)
        s = below if below >= 0 else top


@hot
def starve(m: Model, x: State, o: Out, line: int, b: int, t: int) -> None:
    """Places whose part another one has taken are starved again."""
    first = m.buffers[b, BC_CONSUMER]
    for k in range(first, first + m.buffers[b, BC_CONSUMERS]):
        c = m.consumers[k]
        for i in range(m.stations[c, SC_PLACES]):
            place = place_of(m, c, i)
            if x.stations[place, S_CYCLE] == CYCLE_READY:
                work(m, x, line, place, t)
                enter(x, o, line, c, place, CYCLE_READY, CYCLE_STARVED, t)
