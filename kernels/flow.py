"""Material flow of a line: blocked and starved from cycles, topology and buffers; the critical path.

Every station has an int64 vector over the stations of its line: whose work the line has been waiting for. It sums to
the time since the scope began. At the end of busy (and of a wait that is the station's own fault) the duration is
added at the station's own place; at the end of starved the vector of the station that brought the part is taken, at
the end of blocked that of the station that made the room. The shares of the last station's vector are the
elasticities of throughput to each station's speed. Completions, then unblocks from downstream up, then starts.

What changes marks what may follow from it, so that no event looks at every station of its line: `Out.pending` the
stations whose part may move now (`unblock`), `Out.touched` those whose cycle changed (`kernels.fold` settles them).
"""

import numpy as np
import numpy.typing as npt

from kernels import bits
from kernels.arrays import Model, Out, State
from kernels.codes import CYCLE_NS, CYCLES
from kernels.index import natural
from kernels.jit import bare, hot
from kernels.layout import (
    B_LAST_PUT,
    B_LAST_TAKE,
    B_LEVEL,
    BC_CAPACITY,
    BC_CONSUMER,
    BC_CONSUMERS,
    BC_PRODUCER,
    BC_PRODUCERS,
    CYCLE_BUSY,
    CYCLE_DONE,
    CYCLE_READY,
    CYCLE_STARVED,
    L_CONTRADICTIONS,
    L_DONE,
    L_PANE_START,
    L_TOTAL_START,
    LC_STATION,
    LC_STATIONS,
    LC_VECTOR,
    S_CYCLE,
    S_CYCLE_TS,
    SC_INPUT,
    SC_INPUTS,
    SC_LINE,
    SC_OUTPUT,
    V_PANE,
    V_TOTAL,
)

I64 = npt.NDArray[np.int64]


@hot
def is_idle(cycle: int) -> bool:
    return cycle in (CYCLE_STARVED, CYCLE_READY)


@hot
def inputs_full(m: Model, x: State, s: int) -> bool:
    first = m.stations[s, SC_INPUT]
    for k in range(first, first + m.stations[s, SC_INPUTS]):
        if x.buffers[natural(m.inputs[natural(k)]), B_LEVEL] <= 0:
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
def taker(m: Model, x: State, b: int) -> int:
    """Who took from buffer b last, before the first take its first consumer; -1 none."""
    found = x.buffers[b, B_LAST_TAKE]
    if found < 0 and m.buffers[b, BC_CONSUMERS] > 0:
        found = m.consumers[m.buffers[b, BC_CONSUMER]]
    return int(found)


@hot
def feeder(m: Model, x: State, b: int) -> int:
    found = x.buffers[b, B_LAST_PUT]
    if found < 0 and m.buffers[b, BC_PRODUCERS] > 0:
        found = m.producers[m.buffers[b, BC_PRODUCER]]
    return int(found)


@hot
def waits_for(m: Model, x: State, s: int) -> int:
    """The station that s waits for: the taker of its full output, the feeder of its first empty input; -1 none."""
    if x.stations[s, S_CYCLE] == CYCLE_DONE:
        b = m.stations[s, SC_OUTPUT]
        return taker(m, x, b) if b >= 0 else -1
    first = m.stations[s, SC_INPUT]
    count = m.stations[s, SC_INPUTS]
    for k in range(first, first + count):
        b = m.inputs[k]
        # Reported starved with parts on hand: the books are off; the first input stands in.
        if x.buffers[b, B_LEVEL] <= 0 or k == first + count - 1:
            return feeder(m, x, b)
    return -1


@bare
def closed_by(m: Model, x: State, s: int, t: int) -> int:
    """The station whose vector stands at t for s while s waits: along blocked and starved to one that works.

    A station whose wait begins at t is complete as it is. A ring of waiting stations is charged to s itself.
    """
    at = s
    for _ in range(m.lines[m.stations[s, SC_LINE], LC_STATIONS]):
        cycle = x.stations[at, S_CYCLE]
        if (cycle != CYCLE_DONE and cycle != CYCLE_STARVED) or x.stations[at, S_CYCLE_TS] >= t:
            return at
        following = waits_for(m, x, at)
        if following < 0:
            return at
        at = following
    return s


@hot
def take_over(m: Model, x: State, line: int, target: int, source: int, t: int) -> None:
    """vector[target] = vector[source] as if the source's open interval ended at t, in both scopes."""
    n = m.lines[line, LC_STATIONS]
    first = m.lines[line, LC_VECTOR]
    lo = m.lines[line, LC_STATION]
    to = natural(first + (target - lo) * n)
    at = natural(first + (source - lo) * n)
    own = natural(to + source - lo)
    since = x.stations[source, S_CYCLE_TS]
    pane = x.vectors[V_PANE]
    total = x.vectors[V_TOTAL]
    # Unsigned, because a sum of two naturals may be negative for all that is known. Cell by cell, both scopes in one
    # loop: memmove cost an event 6 % more, four cells at once 14 %, probably because a wide load of a cell that `work`
    # has just stored waits until the store is through. Views check their bounds for as long as the copy takes.
    for j in range(np.uint64(n)):
        of_pane = pane[np.uint64(at) + j]
        of_total = total[np.uint64(at) + j]
        pane[np.uint64(to) + j] = of_pane
        total[np.uint64(to) + j] = of_total
    pane[own] += t - max(since, scope_start(x, line, V_PANE))
    total[own] += t - max(since, scope_start(x, line, V_TOTAL))


@hot
def scope_start(x: State, line: int, scope: int) -> int:
    if scope == V_PANE:
        return int(x.lines[line, L_PANE_START])
    return int(x.lines[line, L_TOTAL_START])


@hot
def work(m: Model, x: State, line: int, s: int, t: int) -> None:
    """End an interval that is the station's own: its duration is added at its own place, in both scopes."""
    n = m.lines[line, LC_STATIONS]
    own = natural(m.lines[line, LC_VECTOR] + (s - m.lines[line, LC_STATION]) * (n + 1))
    since = x.stations[s, S_CYCLE_TS]
    x.vectors[V_PANE, own] += t - max(since, scope_start(x, line, V_PANE))
    x.vectors[V_TOTAL, own] += t - max(since, scope_start(x, line, V_TOTAL))


@bare
def leave(m: Model, x: State, line: int, s: int, t: int) -> None:
    """End the open interval of s at t, whatever it is: its vector then sums to the time since each scope began."""
    if t > x.stations[s, S_CYCLE_TS]:
        take_over(m, x, line, s, closed_by(m, x, s, t), t)


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
        there = x.buffers[b, B_LEVEL] > 0
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
def put(m: Model, x: State, o: Out, line: int, s: int, t: int) -> None:
    """The part of s, which is done, leaves it; consumers that now have all inputs stop starving."""
    b = m.stations[s, SC_OUTPUT]
    if t > x.stations[s, S_CYCLE_TS]:
        # Mostly the room was made at this instant, by a start: the vector of who made it is complete.
        source = taker(m, x, b) if b >= 0 else s
        if source < 0 or x.stations[source, S_CYCLE_TS] < t:
            source = closed_by(m, x, s, t)
        take_over(m, x, line, s, source, t)
    if b >= 0:
        x.buffers[b, B_LEVEL] += 1
        x.buffers[b, B_LAST_PUT] = s
    become_idle(m, x, o, line, s, CYCLE_DONE, t)
    if b >= 0:
        feed(m, x, o, line, b, s, t)


@hot
def feed(m: Model, x: State, o: Out, line: int, b: int, source: int, t: int) -> None:
    first = m.buffers[b, BC_CONSUMER]
    for k in range(first, first + m.buffers[b, BC_CONSUMERS]):
        c = natural(m.consumers[natural(k)])
        if x.stations[c, S_CYCLE] == CYCLE_STARVED and inputs_full(m, x, c):
            if t > x.stations[c, S_CYCLE_TS]:
                by = source if x.stations[source, S_CYCLE_TS] >= t else closed_by(m, x, source, t)
                take_over(m, x, line, c, by, t)
            enter(x, o, line, c, CYCLE_STARVED, CYCLE_READY, t)


@hot
def unblock(m: Model, x: State, o: Out, line: int, s: int, t: int) -> None:
    """Parts move wherever there is room, from downstream up, again and again until nothing moves.

    Only s, which has just completed a part (-1: none has), and pending stations can move: room comes from a take, a
    level that is reported, or an idle consumer, and each marks those that wait for it. s is not marked, because mostly
    it is alone: to be marked and found again was a twelfth of an event's time.
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
            put(m, x, o, line, s, t)
        top = bits.last(o.pending, lo, hi)
        below = top if top < s else bits.highest(o.pending, lo, s)
        s = below if below >= 0 else top


@bare
def contradict(m: Model, x: State, o: Out, line: int, s: int, t: int) -> None:
    """A start that the books do not allow: counted, and what was reported is believed.

    Either a part is still at the station (its end was not reported, or it left a full buffer), or there is none.
    """
    cycle = x.stations[s, S_CYCLE]
    if not is_idle(cycle):
        x.lines[line, L_CONTRADICTIONS] += 1
        if cycle == CYCLE_BUSY:
            complete(m, x, o, line, s, t)
        put(m, x, o, line, s, t)
    if x.stations[s, S_CYCLE] == CYCLE_STARVED:
        x.lines[line, L_CONTRADICTIONS] += 1
    leave(m, x, line, s, t)


@hot
def start(m: Model, x: State, o: Out, line: int, s: int, t: int) -> None:
    """Start of a cycle: one part of every input is taken. `unblock` has to follow."""
    s = natural(s)
    if x.stations[s, S_CYCLE] == CYCLE_READY:
        if t > x.stations[s, S_CYCLE_TS]:
            work(m, x, line, s, t)
    else:
        contradict(m, x, o, line, s, t)
    enter(x, o, line, s, CYCLE_READY, CYCLE_BUSY, t)
    first = m.stations[s, SC_INPUT]
    for k in range(first, first + m.stations[s, SC_INPUTS]):
        b = natural(m.inputs[natural(k)])
        if x.buffers[b, B_LEVEL] > 0:
            x.buffers[b, B_LEVEL] -= 1
            make_room(m, x, o, b)
        x.buffers[b, B_LAST_TAKE] = s
        # Whether a buffer is empty now cannot be foreseen; that it has no other consumer can.
        if m.buffers[b, BC_CONSUMERS] > 1 and x.buffers[b, B_LEVEL] == 0:
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
    if level == 0:
        starve(m, x, o, line, b, t)
    else:
        source = feeder(m, x, b)
        if source >= 0:
            feed(m, x, o, line, b, source, t)
    # Waits that were only reported say nothing of parts that could move.
    if x.lines[line, L_DONE] > 0:
        make_room(m, x, o, b)


@bare
def begin_cycles(m: Model, x: State, o: Out, line: int, t: int) -> None:
    """The line's first cycle event: from here on its flow is derived."""
    lo = m.lines[line, LC_STATION]
    for s in range(lo, lo + m.lines[line, LC_STATIONS]):
        leave(m, x, line, s, t)
    for s in range(lo, lo + m.lines[line, LC_STATIONS]):
        become_idle(m, x, o, line, s, CYCLE_BUSY, t)
    # Waits that were reported so far were not counted there: only parts that are known are.
    x.lines[line, L_DONE] = 0


@bare
def reset_scope(m: Model, x: State, line: int, scope: int) -> None:
    n = m.lines[line, LC_STATIONS]
    at = m.lines[line, LC_VECTOR]
    for cell in range(at, at + n * n):
        x.vectors[scope, cell] = 0


@bare
def closing_vector(m: Model, x: State, line: int, scope: int, t: int, out: I64) -> None:
    """The last station's vector as if every open interval ended at t, into out[stations]. Sums to t - scope start."""
    lo = m.lines[line, LC_STATION]
    n = m.lines[line, LC_STATIONS]
    source = closed_by(m, x, lo + n - 1, t)
    at = m.lines[line, LC_VECTOR] + (source - lo) * n
    for j in range(n):
        out[j] = x.vectors[scope, at + j]
    out[source - lo] += t - max(x.stations[source, S_CYCLE_TS], scope_start(x, line, scope))
