"""Material flow of a line: blocked and starved from cycles, topology and buffers; the critical path.

Every station has an int64 vector over the stations of its line: whose work the line has been waiting for. It sums to
the time since the scope began. At the end of busy (and of a wait that is the station's own fault) the duration is
added at the station's own place; at the end of starved the vector of the station that brought the part is taken, at
the end of blocked that of the station that made the room. The shares of the last station's vector are the
elasticities of throughput to each station's speed. Completions, then unblocks from downstream up, then starts.
"""

import numpy as np
import numpy.typing as npt

from kernels.arrays import Model, State
from kernels.codes import CYCLE_NS, CYCLES
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
)

I64 = npt.NDArray[np.int64]


@hot
def is_idle(cycle: int) -> bool:
    return cycle in (CYCLE_STARVED, CYCLE_READY)


@bare
def inputs_full(m: Model, x: State, s: int) -> bool:
    first = m.stations[s, SC_INPUT]
    for k in range(first, first + m.stations[s, SC_INPUTS]):
        if x.buffers[m.inputs[k], B_LEVEL] <= 0:
            return False
    return True


@bare
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


@bare
def waits_for(m: Model, x: State, s: int) -> int:
    """The station that s waits for: the taker of its full output, the feeder of its first empty input; -1 none."""
    if x.stations[s, S_CYCLE] == CYCLE_DONE:
        b = m.stations[s, SC_OUTPUT]
        if b < 0:
            return -1
        taker = x.buffers[b, B_LAST_TAKE]
        if taker < 0 and m.buffers[b, BC_CONSUMERS] > 0:
            taker = m.consumers[m.buffers[b, BC_CONSUMER]]
        return int(taker)
    first = m.stations[s, SC_INPUT]
    count = m.stations[s, SC_INPUTS]
    for k in range(first, first + count):
        b = m.inputs[k]
        # Reported starved with parts on hand: the books are off; the first input stands in.
        if x.buffers[b, B_LEVEL] <= 0 or k == first + count - 1:
            feeder = x.buffers[b, B_LAST_PUT]
            if feeder < 0 and m.buffers[b, BC_PRODUCERS] > 0:
                feeder = m.producers[m.buffers[b, BC_PRODUCER]]
            return int(feeder)
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


@bare
def copy_closed(m: Model, x: State, target: int, source: int, t: int) -> None:
    """vector[target] = vector[source] as if the source's open interval ended at t, in both scopes."""
    line = m.stations[target, SC_LINE]
    lo = m.lines[line, LC_STATION]
    n = m.lines[line, LC_STATIONS]
    to = m.lines[line, LC_VECTOR] + (target - lo) * n
    at = m.lines[line, LC_VECTOR] + (source - lo) * n
    for scope in range(2):
        if source != target:
            for j in range(n):
                x.vectors[scope, to + j] = x.vectors[scope, at + j]
        x.vectors[scope, to + source - lo] += t - max(x.stations[source, S_CYCLE_TS], scope_start(x, line, scope))


@bare
def scope_start(x: State, line: int, scope: int) -> int:
    if scope == V_PANE:
        return int(x.lines[line, L_PANE_START])
    return int(x.lines[line, L_TOTAL_START])


@bare
def leave(m: Model, x: State, s: int, t: int) -> None:
    """End the open interval of s at t: its vector then sums to the time since each scope began."""
    if t > x.stations[s, S_CYCLE_TS]:
        copy_closed(m, x, s, closed_by(m, x, s, t), t)


@bare
def enter(x: State, line: int, s: int, cycle: int, t: int) -> None:
    if x.stations[s, S_CYCLE] == CYCLE_DONE:
        x.lines[line, L_DONE] -= 1
    if cycle == CYCLE_DONE:
        x.lines[line, L_DONE] += 1
    x.stations[s, S_CYCLE] = cycle
    x.stations[s, S_CYCLE_TS] = t


@bare
def become_idle(m: Model, x: State, line: int, s: int, t: int) -> None:
    enter(x, line, s, CYCLE_READY if inputs_full(m, x, s) else CYCLE_STARVED, t)


@bare
def complete(m: Model, x: State, line: int, s: int, t: int) -> bool:
    """End of a cycle. False: no cycle was open; counted as a contradiction and otherwise ignored."""
    if x.stations[s, S_CYCLE] != CYCLE_BUSY:
        x.lines[line, L_CONTRADICTIONS] += 1
        return False
    x.total[s, CYCLES] += 1
    x.total[s, CYCLE_NS] += t - x.stations[s, S_CYCLE_TS]
    leave(m, x, s, t)
    enter(x, line, s, CYCLE_DONE, t)
    return True


@bare
def put(m: Model, x: State, line: int, s: int, t: int) -> None:
    """The part of s leaves it; consumers that now have all inputs stop starving."""
    leave(m, x, s, t)
    b = m.stations[s, SC_OUTPUT]
    if b >= 0:
        x.buffers[b, B_LEVEL] += 1
        x.buffers[b, B_LAST_PUT] = s
    become_idle(m, x, line, s, t)
    if b >= 0:
        feed(m, x, line, b, s, t)


@bare
def feed(m: Model, x: State, line: int, b: int, source: int, t: int) -> None:
    first = m.buffers[b, BC_CONSUMER]
    for k in range(first, first + m.buffers[b, BC_CONSUMERS]):
        c = m.consumers[k]
        if x.stations[c, S_CYCLE] == CYCLE_STARVED and inputs_full(m, x, c):
            if t > x.stations[c, S_CYCLE_TS]:
                copy_closed(m, x, c, closed_by(m, x, source, t), t)
            enter(x, line, c, CYCLE_READY, t)


@bare
def unblock(m: Model, x: State, line: int, t: int) -> None:
    """Parts move wherever there is room, from downstream up, until nothing moves."""
    lo = m.lines[line, LC_STATION]
    moved = True
    while moved and x.lines[line, L_DONE] > 0:
        moved = False
        for s in range(lo + m.lines[line, LC_STATIONS] - 1, lo - 1, -1):
            if x.stations[s, S_CYCLE] == CYCLE_DONE and has_room(m, x, s):
                put(m, x, line, s, t)
                moved = True


@bare
def start(m: Model, x: State, line: int, s: int, t: int) -> None:
    """Start of a cycle: one part of every input is taken.

    A start while a part is still at the station (its end was not reported, or it left a full buffer), and one from
    an empty buffer, contradict the books: both are counted, and what was reported is believed.
    """
    cycle = x.stations[s, S_CYCLE]
    if not is_idle(cycle):
        x.lines[line, L_CONTRADICTIONS] += 1
        if cycle == CYCLE_BUSY:
            complete(m, x, line, s, t)
        put(m, x, line, s, t)
    if x.stations[s, S_CYCLE] == CYCLE_STARVED:
        x.lines[line, L_CONTRADICTIONS] += 1
    leave(m, x, s, t)
    enter(x, line, s, CYCLE_BUSY, t)
    first = m.stations[s, SC_INPUT]
    for k in range(first, first + m.stations[s, SC_INPUTS]):
        b = m.inputs[k]
        if x.buffers[b, B_LEVEL] > 0:
            x.buffers[b, B_LEVEL] -= 1
        x.buffers[b, B_LAST_TAKE] = s
        if x.buffers[b, B_LEVEL] == 0:
            starve(m, x, line, b, t)
    unblock(m, x, line, t)


@bare
def starve(m: Model, x: State, line: int, b: int, t: int) -> None:
    """Consumers whose part another one has taken are starved again."""
    first = m.buffers[b, BC_CONSUMER]
    for k in range(first, first + m.buffers[b, BC_CONSUMERS]):
        c = m.consumers[k]
        if x.stations[c, S_CYCLE] == CYCLE_READY:
            leave(m, x, c, t)
            enter(x, line, c, CYCLE_STARVED, t)


@bare
def set_level(m: Model, x: State, line: int, b: int, level: int, t: int) -> None:
    """A reported level replaces the derived one."""
    x.buffers[b, B_LEVEL] = level
    if level == 0:
        starve(m, x, line, b, t)
    else:
        source = x.buffers[b, B_LAST_PUT]
        if source < 0 and m.buffers[b, BC_PRODUCERS] > 0:
            source = m.producers[m.buffers[b, BC_PRODUCER]]
        if source >= 0:
            feed(m, x, line, b, source, t)
    unblock(m, x, line, t)


@bare
def begin_cycles(m: Model, x: State, line: int, t: int) -> None:
    """The line's first cycle event: from here on its flow is derived."""
    lo = m.lines[line, LC_STATION]
    for s in range(lo, lo + m.lines[line, LC_STATIONS]):
        leave(m, x, s, t)
    for s in range(lo, lo + m.lines[line, LC_STATIONS]):
        become_idle(m, x, line, s, t)
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
