"""Time of a station into classes: accrual, priority, stops of undecided length, active periods, silence.

A station has one cumulative vector (kernels.codes). Every window, shift, day and order is the difference of that
vector between two cuts (kernels.cuts), so adding is O(1), expiring costs nothing, and the classes of a row sum to its
length by construction. A stop counts as STOPPED until its length says minor_stop or down; the cuts made meanwhile are
then corrected, and rows that need them wait for it.
"""

import numpy as np
import numpy.typing as npt

from kernels import layout as at
from kernels.arrays import Model, Out, State
from kernels.codes import (
    BLOCKED,
    CAUSAL_NS,
    DOWN,
    DOWNS,
    MAINTENANCE,
    MINOR_STOP,
    MINOR_STOPS,
    N_COLUMNS,
    NO_ORDER,
    RUNNING,
    SETUP,
    STARVED,
    STOPPED,
    UNKNOWN,
    WAITING,
)
from kernels.flow import leave
from kernels.jit import bare, hot

I64 = npt.NDArray[np.int64]
FAR = np.int64(9_223_372_036_854_775_807)


@hot
def is_active(klass: int) -> bool:
    """Active period method: working, or down for a reason of its own; not waiting for others."""
    return klass in (RUNNING, SETUP, STOPPED, MINOR_STOP, DOWN, MAINTENANCE)


@hot
def is_work(klass: int) -> bool:
    """What people or the machine do between two orders, too; without an order it is not idleness."""
    return klass in (SETUP, DOWN, MAINTENANCE)


@bare
def alert(o: Out, line: int, s: int, kind: int, action: int, ts: int, since: int) -> None:
    i = o.n[at.N_ALERT]
    o.alerts[i, at.AO_LINE] = line
    o.alerts[i, at.AO_STATION] = s
    o.alerts[i, at.AO_KIND] = kind
    o.alerts[i, at.AO_ACTION] = action
    o.alerts[i, at.AO_TS] = ts
    o.alerts[i, at.AO_SINCE] = since
    o.n[at.N_ALERT] += 1


@bare
def decide(m: Model, x: State, line: int, s: int, klass: int) -> None:
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


@hot
def accrue(m: Model, x: State, o: Out, line: int, s: int, t: int) -> None:
    """Account the time of s up to t to its class."""
    row = x.stations[s]
    if t <= row[at.S_ACCRUED]:
        return
    klass = row[at.S_CLASS]
    x.total[s, klass] += t - row[at.S_ACCRUED]
    if row[at.S_ACCRUED] == row[at.S_STOP_START]:
        # Not when the class changes: what ends at the same instant, by another timer or event, was no stop.
        if klass == DOWN:
            x.total[s, DOWNS] += 1
        elif klass == MINOR_STOP:
            x.total[s, MINOR_STOPS] += 1
    row[at.S_ACCRUED] = t
    if klass == STOPPED and t - row[at.S_STOP_START] >= m.stations[s, at.SC_MINOR_NS]:
        decide(m, x, line, s, DOWN)
        row[at.S_CLASS] = DOWN
        klass = DOWN
    limit = m.lines[line, at.LC_DOWN_NS]
    if limit > 0 and klass in (STOPPED, DOWN) and row[at.S_DOWN_ALERT] == 0 and t - row[at.S_STOP_START] >= limit:
        row[at.S_DOWN_ALERT] = 1
        alert(o, line, s, at.ALERT_DOWN, at.RAISED, row[at.S_STOP_START] + limit, row[at.S_STOP_START])


@bare
def accrue_line(m: Model, x: State, o: Out, line: int, t: int) -> None:
    lo = m.lines[line, at.LC_STATION]
    for s in range(lo, lo + m.lines[line, at.LC_STATIONS]):
        accrue(m, x, o, line, s, t)
    accrue_causal(x, line, t)


@hot
def accrue_causal(x: State, line: int, t: int) -> None:
    leader = x.lines[line, at.L_CAUSAL]
    if leader >= 0:
        x.total[leader, CAUSAL_NS] += t - x.lines[line, at.L_CAUSAL_TS]
    x.lines[line, at.L_CAUSAL_TS] = t


@hot
def choose_causal(m: Model, x: State, line: int) -> None:
    """The station that has been active longest so far; ties: the lower index (Roser's active period, causal)."""
    lo = m.lines[line, at.LC_STATION]
    leader = -1
    for s in range(lo, lo + m.lines[line, at.LC_STATIONS]):
        since = x.stations[s, at.S_ACTIVE_SINCE]
        if since >= 0 and (leader < 0 or since < x.stations[leader, at.S_ACTIVE_SINCE]):
            leader = s
    x.lines[line, at.L_CAUSAL] = leader
    x.lines[line, at.L_DIRTY] = 0


@hot
def raw_class(x: State, line: int, s: int) -> int:
    """Class from what was reported and what the flow says, before schedule and silence."""
    row = x.stations[s]
    reported = row[at.S_REPORTED]
    if x.lines[line, at.L_CYCLES] == 0:
        return int(reported) if reported >= 0 else UNKNOWN
    if reported >= 0 and reported != RUNNING:
        return int(reported)
    cycle = row[at.S_CYCLE]
    if cycle == at.CYCLE_BUSY:
        return RUNNING
    if cycle == at.CYCLE_DONE:
        return BLOCKED
    if cycle == at.CYCLE_STARVED:
        return STARVED
    return WAITING if row[at.S_OWN] else UNKNOWN


@hot
def resolve(m: Model, x: State, line: int, s: int) -> int:
    """The one class of s. Producing wins over the schedule, the schedule over silence, silence over the rest."""
    raw = raw_class(x, line, s)
    stale = x.stations[s, at.S_STALE] != 0
    if raw == RUNNING and not stale:
        return RUNNING
    if x.lines[line, at.L_CALENDAR] >= 0:
        return int(x.lines[line, at.L_CALENDAR])
    if m.lines[line, at.LC_REQUIRES_ORDER] and x.lines[line, at.L_ORDER] < 0 and (stale or not is_work(raw)):
        return NO_ORDER
    return UNKNOWN if stale else raw


@hot
def interval(o: Out, line: int, s: int, row: I64, t: int, klass: int) -> None:
    i = o.n[at.N_INTERVAL]
    o.intervals[i, at.IO_LINE] = line
    o.intervals[i, at.IO_STATION] = s
    o.intervals[i, at.IO_START] = row[at.S_SINCE]
    o.intervals[i, at.IO_END] = t
    o.intervals[i, at.IO_CLASS] = klass
    o.intervals[i, at.IO_WORD] = row[at.S_INTERVAL_WORD]
    o.intervals[i, at.IO_REASON] = row[at.S_INTERVAL_REASON]
    o.intervals[i, at.IO_ORDER] = row[at.S_ORDER]
    o.n[at.N_INTERVAL] += 1


@hot
def settle(m: Model, x: State, o: Out, line: int, s: int, t: int) -> None:
    """End of an instant for a station that something happened to: its class from here on.

    The first reason that arrives during a stop belongs to the stop from its beginning, as people on the floor enter it;
    another reason, none after one, or another word of the source ends the interval, not the stop. Its class is then
    still STOPPED: that of the stop's last interval (twin.line.stops).
    """
    accrue(m, x, o, line, s, t)
    row = x.stations[s]
    old = row[at.S_CLASS]
    new = resolve(m, x, line, s)
    same_stop = new == STOPPED and (old == STOPPED or (old == DOWN and row[at.S_STOP_START] >= 0))
    same_word = row[at.S_INTERVAL_WORD] == row[at.S_WORD]
    same_reason = row[at.S_INTERVAL_REASON] == row[at.S_REASON]
    reasoned = row[at.S_REASONED] != 0 and t > row[at.S_STOP_START]
    row[at.S_REASONED] = 1 if reasoned or row[at.S_REASON] >= 0 else 0
    if same_word and ((same_stop and (same_reason or not reasoned)) or (new == old and same_reason)):
        row[at.S_INTERVAL_REASON] = row[at.S_REASON]
        if t == row[at.S_SINCE]:
            row[at.S_ORDER] = x.lines[line, at.L_ORDER]
        return
    ended = old
    if old == STOPPED and not same_stop:
        if t > row[at.S_STOP_START]:
            decide(m, x, line, s, MINOR_STOP)
        else:
            x.lines[line, at.L_UNDECIDED] -= 1
        ended = MINOR_STOP
    if t > row[at.S_SINCE]:
        interval(o, line, s, row, t, ended)
    row[at.S_SINCE] = t
    row[at.S_INTERVAL_WORD] = row[at.S_WORD]
    row[at.S_INTERVAL_REASON] = row[at.S_REASON]
    row[at.S_ORDER] = x.lines[line, at.L_ORDER]
    if new == old or same_stop:
        return
    if row[at.S_DOWN_ALERT]:
        row[at.S_DOWN_ALERT] = 0
        alert(o, line, s, at.ALERT_DOWN, at.CLEARED, t, row[at.S_STOP_START])
    row[at.S_STOP_START] = -1
    row[at.S_REASONED] = 1 if row[at.S_REASON] >= 0 else 0
    if new == STOPPED:
        row[at.S_STOP_START] = t
        x.lines[line, at.L_UNDECIDED] += 1
    elif new in (DOWN, MINOR_STOP):
        row[at.S_STOP_START] = t
    row[at.S_CLASS] = new
    set_active(x, o, line, s, t, is_active(new))
    if x.lines[line, at.L_CYCLES] == 0:
        # Without cycles the reported waits drive the critical path.
        leave(m, x, line, s, t)
        row[at.S_CYCLE] = at.CYCLE_STARVED if new == STARVED else (at.CYCLE_DONE if new == BLOCKED else at.CYCLE_BUSY)
        row[at.S_CYCLE_TS] = t


@hot
def set_active(x: State, o: Out, line: int, s: int, t: int, active: bool) -> None:
    row = x.stations[s]
    if active == (row[at.S_ACTIVE_SINCE] >= 0):
        return
    accrue_causal(x, line, t)
    leader = x.lines[line, at.L_CAUSAL]
    if active:
        row[at.S_ACTIVE_SINCE] = t
        if leader < 0 or x.stations[leader, at.S_ACTIVE_SINCE] >= t:
            x.lines[line, at.L_DIRTY] = 1
        return
    period(o, line, s, row[at.S_ACTIVE_SINCE], t, 0)
    row[at.S_ACTIVE_SINCE] = -1
    if leader == s:
        x.lines[line, at.L_DIRTY] = 1


@hot
def period(o: Out, line: int, s: int, start: int, end: int, still_open: int) -> None:
    if end <= start:
        return
    i = o.n[at.N_ACTIVE]
    o.active[i, at.PA_LINE] = line
    o.active[i, at.PA_STATION] = s
    o.active[i, at.PA_START] = start
    o.active[i, at.PA_END] = end
    o.active[i, at.PA_OPEN] = still_open
    o.n[at.N_ACTIVE] += 1


@bare
def settle_line(m: Model, x: State, o: Out, line: int, t: int) -> None:
    lo = m.lines[line, at.LC_STATION]
    for s in range(lo, lo + m.lines[line, at.LC_STATIONS]):
        settle(m, x, o, line, s, t)
    if x.lines[line, at.L_DIRTY]:
        choose_causal(m, x, line)


@bare
def heard(x: State, line: int, s: int) -> int:
    """When the station was last heard of. Blocked and starved are derived from the others: the line speaks for it."""
    row = x.stations[s]
    if x.lines[line, at.L_CYCLES] == 0:
        return int(row[at.S_SEEN_TS])
    if row[at.S_CYCLE] == at.CYCLE_DONE or row[at.S_CYCLE] == at.CYCLE_STARVED:
        return int(max(row[at.S_SEEN_TS], x.lines[line, at.L_LAST]))
    return int(max(row[at.S_SEEN_TS], row[at.S_CYCLE_TS]))


@bare
def next_silence(m: Model, x: State, line: int) -> int:
    lo = m.lines[line, at.LC_STATION]
    due = FAR
    for s in range(lo, lo + m.lines[line, at.LC_STATIONS]):
        if x.stations[s, at.S_STALE] == 0:
            due = min(due, heard(x, line, s) + m.stations[s, at.SC_STALE_NS])
    return int(due)


@bare
def fall_silent(m: Model, x: State, o: Out, line: int, t: int) -> None:
    lo = m.lines[line, at.LC_STATION]
    for s in range(lo, lo + m.lines[line, at.LC_STATIONS]):
        row = x.stations[s]
        if row[at.S_STALE] == 0 and heard(x, line, s) + m.stations[s, at.SC_STALE_NS] <= t:
            row[at.S_STALE] = 1
            alert(o, line, s, at.ALERT_STALE, at.RAISED, t, row[at.S_SEEN_TS])
            settle(m, x, o, line, s, t)
    if x.lines[line, at.L_DIRTY]:
        choose_causal(m, x, line)
