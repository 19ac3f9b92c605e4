"""The critical path of a line: vectors over its stations, and whose vector is taken over at the end of a wait.

Every station has an int64 vector over the stations of its line: whose work the line has been waiting for. It sums to
the time since the scope began. At the end of busy (and of a wait that is the station's own fault) the duration is
added at the station's own place; at the end of starved the vector of the station that brought the part is taken, at
the end of blocked that of the station that made the room. Where several did so at one instant (machines in step), it
is the mean of their vectors: any one of them alone says nothing about the others. The line's answer is the vector of
the last station, or of all that work in parallel at the line's end, each weighing as much as it completed.

A station that holds several parts at once is, here and in `kernels.fold.flow`, several places in parallel: each has a
row of `State.stations` and a vector of its own, and all add to the one component of their station. Rows are numbered
like stations, further places after them.
"""

import numpy as np
import numpy.typing as npt

from kernels.codes import CYCLES
from kernels.fold.arrays import Model, Out, State
from kernels.fold.layout import (
    B_LAST_PUT,
    B_LAST_TAKE,
    B_LEVEL,
    B_SHORT,
    BC_CONSUMER,
    BC_CONSUMERS,
    BC_PRODUCER,
    BC_PRODUCERS,
    CYCLE_DONE,
    CYCLE_STARVED,
    L_CYCLES,
    L_PANE_START,
    L_TOTAL_START,
    LC_CELLS,
    LC_STATION,
    LC_STATIONS,
    LC_VECTOR,
    PC_STATION,
    PC_VECTOR,
    S_CYCLE,
    S_CYCLE_TS,
    S_PANE_CYCLES,
    S_PUT_TS,
    S_TAKE_TS,
    SC_END,
    SC_INPUT,
    SC_INPUTS,
    SC_OUTPUT,
    SC_PLACES,
    SC_ROW,
    V_PANE,
    V_TOTAL,
)
from kernels.index import natural
from kernels.jit import bare, hot

I64 = npt.NDArray[np.int64]
# Rows of the scratch `Out.mix`.
FOUND = 0  # stations whose vectors are mixed
SEEN = 1  # stations that were asked; then the weights
ONE = 2  # the vector of one of several ends of the line
REST = 3  # what the divisions leave, cell by cell
N_MIX = 4
# Weights are halved until their sum is below this: a remainder times a weight, summed over 512 stations, fits int64.
MAX_WEIGHT = 1 << 26


@hot
def owner(m: Model, place: int) -> int:
    """The station of a place."""
    n = m.stations.shape[0]
    return place if place < n else int(m.places[place - n, PC_STATION])


@hot
def place_of(m: Model, s: int, i: int) -> int:
    """The i-th place of a station: the station itself, then its further ones."""
    return s if i == 0 else int(m.stations[s, SC_ROW] + i - 1)


@hot
def counted(m: Model, place: int) -> int:
    """The place whose vector stands for this one: itself, or its station if it was not declared."""
    n = m.stations.shape[0]
    if place < n or m.places[place - n, PC_VECTOR] >= 0:
        return place
    return int(m.places[place - n, PC_STATION])


@hot
def cells_of(m: Model, line: int, place: int) -> int:
    """Where the vector of a place begins."""
    n = m.stations.shape[0]
    if place < n:
        return int(m.lines[line, LC_VECTOR] + (place - m.lines[line, LC_STATION]) * m.lines[line, LC_STATIONS])
    return int(m.places[place - n, PC_VECTOR])


@hot
def taker(m: Model, x: State, b: int) -> int:
    """The place that took from buffer b last, before the first take that of its first consumer; -1 none."""
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
def is_empty(m: Model, x: State, b: int) -> bool:
    """What nobody in the line fills is supplied from outside: it runs short only where a level of 0 is reported."""
    return bool(x.buffers[b, B_LEVEL] <= 0 and (m.buffers[b, BC_PRODUCERS] > 0 or x.buffers[b, B_SHORT] != 0))


@bare
def join(members: I64, count: int, s: int) -> int:
    """Add s to the set members[:count]; returns its new size."""
    for k in range(count):
        if members[k] == s:
            return count
    members[count] = s
    return count + 1


@bare
def waits_for(m: Model, x: State, s: int, members: I64, count: int) -> int:
    """Add to members[:count] whom s waits for: who takes from its full output, or feeds its first empty input.

    That is who took or brought last, with all that did so at the same instant (which nobody has done yet: all). -1:
    there is nobody.
    """
    station = owner(m, s)
    if x.stations[s, S_CYCLE] == CYCLE_DONE:
        b = m.stations[station, SC_OUTPUT]
        last = taker(m, x, b) if b >= 0 else -1
        if last < 0:
            return -1
        count = join(members, count, last)
        first = m.buffers[b, BC_CONSUMER]
        for k in range(first, first + m.buffers[b, BC_CONSUMERS]):
            for i in range(m.stations[m.consumers[k], SC_PLACES]):
                c = place_of(m, m.consumers[k], i)
                if x.stations[c, S_TAKE_TS] == x.stations[last, S_TAKE_TS]:
                    count = join(members, count, c)
        return count
    last = -1
    first = m.stations[station, SC_INPUT]
    end = first + m.stations[station, SC_INPUTS]
    for k in range(first, end):
        b = m.inputs[k]
        # Reported starved with parts on hand: the books are off; the last input stands in.
        if not is_empty(m, x, b) and (last >= 0 or k < end - 1):
            continue
        if last < 0:
            last = feeder(m, x, b)
            if last < 0:
                return -1
            count = join(members, count, last)
        begin = m.buffers[b, BC_PRODUCER]
        for p in range(begin, begin + m.buffers[b, BC_PRODUCERS]):
            for i in range(m.stations[m.producers[p], SC_PLACES]):
                place = place_of(m, m.producers[p], i)
                if x.stations[place, S_PUT_TS] == x.stations[last, S_PUT_TS]:
                    count = join(members, count, place)
    return count if last >= 0 else -1


@bare
def closers(m: Model, x: State, o: Out, s: int, t: int) -> int:
    """Into o.mix[FOUND] the places whose vectors stand at t for place s while it waits; returns how many.

    From s along blocked and starved to those that work. A place whose wait begins at t is complete as it is. A ring
    of waiting places is charged to s itself.
    """
    o.mix[SEEN, 0] = s
    return ends_of_ways(m, x, o, 1, t)


@bare
def ends_of_ways(m: Model, x: State, o: Out, known: int, t: int) -> int:
    """As `closers`, for all places of o.mix[SEEN, :known] together."""
    found = o.mix[FOUND]
    seen = o.mix[SEEN]
    count = 0
    s = seen[0]
    k = 0
    while k < known:
        at = seen[k]
        k += 1
        cycle = x.stations[at, S_CYCLE]
        more = -1
        if cycle in (CYCLE_DONE, CYCLE_STARVED) and x.stations[at, S_CYCLE_TS] < t:
            more = waits_for(m, x, at, seen, known)
        if more < 0:
            found[count] = at
            count += 1
        else:
            known = more
    if count == 0:
        found[0] = s
        count = 1
    return count


@hot
def take_over(m: Model, x: State, line: int, target: int, source: int, t: int) -> None:
    """vector[target] = vector[source] as if the source's open interval ended at t, in both scopes."""
    n = m.lines[line, LC_STATIONS]
    to = natural(cells_of(m, line, target))
    at = natural(cells_of(m, line, source))
    own = natural(to + owner(m, source) - m.lines[line, LC_STATION])
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


@bare
def mix(m: Model, x: State, o: Out, line: int, scope: int, count: int, t: int, to: I64, begin: int) -> None:
    """to[begin:] = mean of the vectors of o.mix[FOUND, :count], as if their open intervals ended at t.

    The nanoseconds that the division leaves go to the lowest of them, so that the sum stays exact.
    """
    n = m.lines[line, LC_STATIONS]
    lo = m.lines[line, LC_STATION]
    found = o.mix[FOUND]
    lowest = found[0]
    for k in range(1, count):
        lowest = min(lowest, found[k])
    left = 0
    for j in range(n):
        whole = 0
        part = 0
        for k in range(count):
            s = found[k]
            cell = x.vectors[scope, cells_of(m, line, s) + j]
            if j == owner(m, s) - lo:
                cell += t - max(x.stations[s, S_CYCLE_TS], scope_start(x, line, scope))
            whole += cell // count
            part += cell % count
        to[begin + j] = whole + part // count
        left += part % count
    to[begin + owner(m, lowest) - lo] += left // count


@bare
def take_mean(m: Model, x: State, o: Out, line: int, target: int, count: int, t: int) -> None:
    """vector[target] = mean of those of o.mix[FOUND, :count] as if their open intervals ended at t, in both scopes."""
    if count == 1:
        take_over(m, x, line, target, o.mix[FOUND, 0], t)
        return
    begin = cells_of(m, line, target)
    mix(m, x, o, line, V_PANE, count, t, x.vectors[V_PANE], begin)
    mix(m, x, o, line, V_TOTAL, count, t, x.vectors[V_TOTAL], begin)


@bare
def take_closed(m: Model, x: State, o: Out, line: int, target: int, s: int, t: int) -> None:
    """vector[target] = what stands at t for s, in both scopes."""
    take_mean(m, x, o, line, target, closers(m, x, o, s, t), t)


@hot
def scope_start(x: State, line: int, scope: int) -> int:
    if scope == V_PANE:
        return int(x.lines[line, L_PANE_START])
    return int(x.lines[line, L_TOTAL_START])


@hot
def work(m: Model, x: State, line: int, s: int, t: int) -> None:
    """End an interval that is the station's own: its duration is added at its own place, in both scopes."""
    own = natural(cells_of(m, line, s) + owner(m, s) - m.lines[line, LC_STATION])
    since = x.stations[s, S_CYCLE_TS]
    x.vectors[V_PANE, own] += t - max(since, scope_start(x, line, V_PANE))
    x.vectors[V_TOTAL, own] += t - max(since, scope_start(x, line, V_TOTAL))


@bare
def leave(m: Model, x: State, o: Out, line: int, s: int, t: int) -> None:
    """End the open interval of s at t, whatever it is: its vector then sums to the time since each scope began."""
    if t > x.stations[s, S_CYCLE_TS]:
        take_closed(m, x, o, line, s, s, t)


@bare
def reset_scope(m: Model, x: State, line: int, scope: int) -> None:
    n = m.lines[line, LC_STATIONS]
    at = m.lines[line, LC_VECTOR]
    for cell in range(at, at + m.lines[line, LC_CELLS]):
        x.vectors[scope, cell] = 0
    lo = m.lines[line, LC_STATION]
    for s in range(lo, lo + n):
        x.stations[s, S_PANE_CYCLES + scope] = x.total[s, CYCLES]


@bare
def closing_vector(m: Model, x: State, o: Out, line: int, scope: int, t: int, out: I64) -> None:
    """The vector of the line's end as if every open interval ended at t, into out[stations]. Sums to t - scope start.

    Stations in parallel at the end weigh what they completed in the scope; all the same where none has.
    """
    lo = m.lines[line, LC_STATION]
    n = m.lines[line, LC_STATIONS]
    ends = 0
    made = 0
    for s in range(lo, lo + n):
        if m.stations[s, SC_END]:
            ends += 1
            made += x.total[s, CYCLES] - x.stations[s, S_PANE_CYCLES + scope]
    if ends == 1:
        mix(m, x, o, line, scope, closers_of_all(m, x, o, line, lo + n - 1, t), t, out, 0)
        return
    halved = 0
    while made >> halved >= MAX_WEIGHT:
        halved += 1
    total = 0
    for s in range(lo, lo + n):
        if m.stations[s, SC_END]:
            total += weight(x, s, scope, made, halved)
    one = o.mix[ONE]
    rest = o.mix[REST]
    for j in range(n):
        out[j] = 0
        rest[j] = 0
    for s in range(lo, lo + n):
        share = weight(x, s, scope, made, halved) if m.stations[s, SC_END] else 0
        if share:
            mix(m, x, o, line, scope, closers_of_all(m, x, o, line, s, t), t, one, 0)
            for j in range(n):
                out[j] += one[j] // total * share
                rest[j] += one[j] % total * share
    left = 0
    for j in range(n):
        out[j] += rest[j] // total
        left += rest[j] % total
    out[n - 1] += left // total


@bare
def closers_of_all(m: Model, x: State, o: Out, line: int, s: int, t: int) -> int:
    """As `closers`, for all places of a station (only one where its waits are reported)."""
    places = m.stations[s, SC_PLACES] if x.lines[line, L_CYCLES] else 1
    for i in range(places):
        o.mix[SEEN, i] = place_of(m, s, i)
    return ends_of_ways(m, x, o, places, t)


@bare
def weight(x: State, s: int, scope: int, made: int, halved: int) -> int:
    """What a station at the line's end weighs, of `made` cycles of all of them."""
    if made == 0:
        return 1
    return int((x.total[s, CYCLES] - x.stations[s, S_PANE_CYCLES + scope]) >> halved)
