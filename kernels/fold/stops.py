"""Stops: how long a station stands, whatever cuts the time in which it is seen to stand.

A stop begins when its class is first seen and ends when the station says something else than that it stands or that
it does not know. A planned stop, the end of a shift, the lack of an order and silence hide it (S_HIDDEN) and end
nothing: the time that they cut out is theirs, but the stop is as long as it is by the clock, and it is one stop.

A stop reported as STOPPED is undecided until its length says minor_stop or down; its time then moves from the column
STOPPED to that class, in the vector and in every cut since it began.
"""

from kernels.codes import DOWN, DOWNS, MINOR_STOP, MINOR_STOPS, N_COLUMNS, STOPPED, UNKNOWN
from kernels.fold import layout as at
from kernels.fold.arrays import Model, Out, State
from kernels.fold.layout import FAR
from kernels.fold.out import alert, interval
from kernels.jit import bare, hot


@hot
def is_stop(klass: int) -> bool:
    return klass in (STOPPED, MINOR_STOP, DOWN)


@hot
def standing(x: State, s: int) -> int:
    """Class of the stop that is on at s, hidden or not; UNKNOWN: none."""
    row = x.stations[s]
    if row[at.S_STOP_START] < 0:
        return UNKNOWN
    return int(row[at.S_HIDDEN]) if row[at.S_HIDDEN] != UNKNOWN else int(row[at.S_CLASS])


@bare
def decide(m: Model, x: State, o: Out, line: int, s: int, t: int, klass: int) -> None:
    """The open stop of s is now known to be `klass`: move its time, in the vector and in every cut since it began."""
    counter = MINOR_STOPS if klass == MINOR_STOP else DOWNS
    x.total[s, klass] += x.total[s, STOPPED]
    x.total[s, STOPPED] = 0
    x.total[s, counter] += 1
    local = s - m.lines[line, at.LC_STATION]
    first = m.lines[line, at.LC_WINDOW]
    for w in range(first, first + m.lines[line, at.LC_WINDOWS]):
        slots = m.windows[w, at.WC_SLOTS]
        step = m.windows[w, at.WC_STEP]
        ring = m.windows[w, at.WC_RING] + local * slots
        cut = x.steps[w] - step
        for _ in range(slots):
            row = ring + (cut // step) % slots
            if x.rings[row, STOPPED] == 0:
                break
            x.rings[row, klass] += x.rings[row, STOPPED]
            x.rings[row, STOPPED] = 0
            x.rings[row, counter] += 1
            cut -= step
        ticks = m.windows[w, at.WC_TICKS] + local * m.lines[line, at.LC_TICK_SLOTS]
        every = m.lines[line, at.LC_PUBLISH_NS]
        for tick in range(x.lines[line, at.L_EMIT_TICK], x.lines[line, at.L_NEXT_TICK], every):
            kept = x.tick_deltas[ticks + (tick // every) % m.lines[line, at.LC_TICK_SLOTS]]
            if kept[STOPPED] > 0:
                kept[klass] += kept[STOPPED]
                kept[STOPPED] = 0
                kept[counter] += kept[N_COLUMNS]
    for scope in range(at.N_SCOPES):
        if x.base[s, scope, STOPPED] > 0:
            x.base[s, scope, klass] += x.base[s, scope, STOPPED]
            x.base[s, scope, STOPPED] = 0
            x.base[s, scope, counter] += 1
    for k in range(x.lines[line, at.L_CLOSINGS]):
        if x.deltas[s, k, STOPPED] > 0:
            x.deltas[s, k, klass] += x.deltas[s, k, STOPPED]
            x.deltas[s, k, STOPPED] = 0
            x.deltas[s, k, counter] += x.deltas[s, k, N_COLUMNS]
    x.lines[line, at.L_UNDECIDED] -= 1
    row = x.stations[s]
    if row[at.S_SINCE] > row[at.S_STOP_START]:
        # Parts of it have left and wait for their class (twin.line.stops).
        interval(o, line, s, row, t, t, klass)


@bare
def end_stop(m: Model, x: State, o: Out, line: int, s: int, t: int) -> int:
    """The stop that is on at s ends at t. Returns its class; MINOR_STOP where nothing was seen of it."""
    row = x.stations[s]
    klass = standing(x, s)
    if klass == STOPPED:
        # As long as `minor_stop` it is mostly decided already (`turn_stops`), but not in a state of an older version.
        klass = MINOR_STOP if t - row[at.S_STOP_START] < m.stations[s, at.SC_MINOR_NS] else DOWN
        if t > row[at.S_STOP_START]:
            decide(m, x, o, line, s, t, klass)
        else:
            x.lines[line, at.L_UNDECIDED] -= 1
    if row[at.S_DOWN_ALERT]:
        row[at.S_DOWN_ALERT] = 0
        alert(o, line, s, at.ALERT_DOWN, at.CLEARED, t, row[at.S_STOP_START])
    row[at.S_STOP_START] = -1
    row[at.S_HIDDEN] = UNKNOWN
    return int(klass)


@bare
def next_turn(m: Model, x: State, line: int, s: int) -> int:
    """When the stop of s is to be looked at next: it becomes down, or down for too long; FAR: never."""
    row = x.stations[s]
    klass = standing(x, s)
    due = FAR
    if klass == STOPPED:
        due = row[at.S_STOP_START] + m.stations[s, at.SC_MINOR_NS]
    limit = m.lines[line, at.LC_DOWN_NS]
    if limit > 0 and klass in (STOPPED, DOWN) and row[at.S_HIDDEN] == UNKNOWN and row[at.S_DOWN_ALERT] == 0:
        # Nobody is called during a break; behind it, only to a station that is seen to stand.
        due = min(due, max(row[at.S_STOP_START] + limit, row[at.S_SINCE] + 1))
    return int(due)


@bare
def turn_stops(m: Model, x: State, o: Out, line: int, t: int) -> None:
    """What the length of a stop says at t, up to which the line's time is accounted."""
    lo = m.lines[line, at.LC_STATION]
    following = FAR
    for s in range(lo, lo + m.lines[line, at.LC_STATIONS]):
        row = x.stations[s]
        if row[at.S_STOP_START] < 0:
            continue
        if standing(x, s) == STOPPED and t - row[at.S_STOP_START] >= m.stations[s, at.SC_MINOR_NS]:
            decide(m, x, o, line, s, t, DOWN)
            row[at.S_HIDDEN if row[at.S_HIDDEN] == STOPPED else at.S_CLASS] = DOWN
        if next_turn(m, x, line, s) <= t:
            row[at.S_DOWN_ALERT] = 1
            ts = max(row[at.S_STOP_START] + m.lines[line, at.LC_DOWN_NS], row[at.S_SINCE])
            alert(o, line, s, at.ALERT_DOWN, at.RAISED, ts, row[at.S_STOP_START])
        following = min(following, next_turn(m, x, line, s))
    x.lines[line, at.L_NEXT_STOP] = following
