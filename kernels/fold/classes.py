"""Time of a station into classes: accrual, priority, stops of undecided length, active periods, silence.

A station has one cumulative vector (kernels.codes). Every window, shift, day and order is the difference of that
vector between two cuts (kernels.fold.cuts), so adding is O(1), expiring costs nothing, and the classes of a row sum to
its length by construction. A stop counts as STOPPED until its length says minor_stop or down (kernels.fold.stops); rows
that need it wait.
"""

import numpy as np
import numpy.typing as npt

from kernels.codes import (
    BLOCKED,
    CAUSAL_NS,
    DOWN,
    DOWNS,
    MAINTENANCE,
    MINOR_STOP,
    MINOR_STOPS,
    NO_ORDER,
    RUNNING,
    SETUP,
    STARVED,
    STOPPED,
    UNKNOWN,
    WAITING,
)
from kernels.fold import layout as at
from kernels.fold.arrays import Model, Out, State
from kernels.fold.layout import FAR
from kernels.fold.out import alert, interval
from kernels.fold.path import leave, place_of
from kernels.fold.stops import decide, end_stop, is_stop, next_turn, standing
from kernels.fold.work_order import order_of, product_text_of
from kernels.jit import bare, hot

I64 = npt.NDArray[np.int64]


@hot
def is_active(klass: int) -> bool:
    """Active period method: working, or down for a reason of its own; not waiting for others."""
    return klass in (RUNNING, SETUP, STOPPED, MINOR_STOP, DOWN, MAINTENANCE)


@hot
def is_work(klass: int) -> bool:
    """What people or the machine do between two orders, too; without an order it is not idleness."""
    return klass in (SETUP, DOWN, MAINTENANCE)


@hot
def accrue(x: State, s: int, t: int) -> None:
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


@bare
def accrue_line(m: Model, x: State, line: int, t: int) -> None:
    lo = m.lines[line, at.LC_STATION]
    for s in range(lo, lo + m.lines[line, at.LC_STATIONS]):
        accrue(x, s, t)
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


@bare
def together(m: Model, x: State, s: int) -> int:
    """The cycle of a station with several places: busy if one is, else done, else ready, else starved."""
    found = at.CYCLE_STARVED
    for i in range(1 + x.stations[s, at.S_EXTRA]):
        cycle = x.stations[place_of(m, s, i), at.S_CYCLE]
        if cycle == at.CYCLE_BUSY:
            return at.CYCLE_BUSY
        if cycle == at.CYCLE_DONE:
            found = at.CYCLE_DONE
        elif cycle == at.CYCLE_READY and found == at.CYCLE_STARVED:
            found = at.CYCLE_READY
    return found


@hot
def raw_class(m: Model, x: State, line: int, s: int) -> int:
    """Class from what was reported and what the flow says, before schedule and silence."""
    row = x.stations[s]
    reported = row[at.S_REPORTED]
    if x.lines[line, at.L_CYCLES] == 0:
        return int(reported) if reported >= 0 else UNKNOWN
    if row[at.S_OWN] == 0:
        # What its neighbours say of a station that was never heard of says nothing about the station.
        return UNKNOWN
    if reported >= 0 and reported != RUNNING:
        return int(reported)
    cycle = row[at.S_CYCLE] if row[at.S_EXTRA] == 0 else together(m, x, s)
    if cycle == at.CYCLE_BUSY:
        return RUNNING
    if cycle == at.CYCLE_DONE:
        return BLOCKED
    if cycle == at.CYCLE_STARVED:
        return STARVED
    return WAITING


@hot
def resolve(m: Model, x: State, line: int, s: int, raw: int) -> int:
    """The one class of s. Producing wins over the schedule, the schedule over silence, silence over the rest."""
    stale = x.stations[s, at.S_STALE] != 0
    if raw == RUNNING and not stale:
        return RUNNING
    if x.lines[line, at.L_CALENDAR] >= 0:
        return int(x.lines[line, at.L_CALENDAR])
    # Before its first order there is nothing that the work could lie between.
    works = is_work(raw) and not stale and x.stations[s, at.S_WORKED] != 0
    if m.lines[line, at.LC_REQUIRES_ORDER] and order_of(x, line, s) < 0 and not works:
        return NO_ORDER
    return UNKNOWN if stale else raw


@hot
def note_reason(x: State, s: int, event: I64, t: int) -> None:
    """The first reason of a stop may come at the very instant at which the stop ends, which is then all that is seen
    of the instant: it belongs to the stop all the same."""
    row = x.stations[s]
    if event[at.E_Y] < 0 or not is_stop(event[at.E_CODE]) or event[at.E_X] != row[at.S_INTERVAL_WORD]:
        return
    if is_stop(row[at.S_CLASS]) and row[at.S_REASONED] == 0 and t > row[at.S_STOP_START]:
        row[at.S_INTERVAL_REASON] = event[at.E_Y]
        row[at.S_REASONED] = 1


@hot
def settle(m: Model, x: State, o: Out, line: int, s: int, t: int) -> None:
    """End of an instant for a station that something happened to: its class from here on.

    The first reason that arrives during a stop belongs to the stop from its beginning, as people on the floor enter it;
    another reason, none after one, or another word of the source ends the interval, not the stop. Its class is then
    still STOPPED: that of the stop, once it is decided (twin.line.stops).
    """
    accrue(x, s, t)
    row = x.stations[s]
    old = row[at.S_CLASS]
    stop = standing(x, s)
    if order_of(x, line, s) >= 0:
        row[at.S_WORKED] = 1
    raw = raw_class(m, x, line, s)
    new = resolve(m, x, line, s, raw)
    if stop == STOPPED and raw == DOWN and t > row[at.S_STOP_START]:
        # It still stands, and the source says what the length of its stop was to say.
        decide(m, x, o, line, s, t, DOWN)
        row[at.S_HIDDEN if row[at.S_HIDDEN] == STOPPED else at.S_CLASS] = DOWN
        stop = DOWN
        old = row[at.S_CLASS]
    goes_on = stop != UNKNOWN and (raw in (stop, UNKNOWN) or (raw == STOPPED and stop == DOWN))
    if goes_on and t == row[at.S_STOP_START] and not is_stop(new):
        goes_on = False  # nothing was seen of it: it begins, if at all, when what hides it is over
    if goes_on and is_stop(new):
        new = stop
    ended = old
    if stop != UNKNOWN and not goes_on:
        klass = end_stop(m, x, o, line, s, t)
        if old == stop:
            ended = klass
    same_word = row[at.S_INTERVAL_WORD] == row[at.S_WORD]
    same_reason = row[at.S_INTERVAL_REASON] == row[at.S_REASON]
    reasoned = row[at.S_REASONED] != 0 and t > row[at.S_STOP_START]
    row[at.S_REASONED] = 1 if reasoned or row[at.S_REASON] >= 0 else 0
    first_reason = goes_on and is_stop(raw) and is_stop(new) and not reasoned
    if same_word and new == old and (same_reason or first_reason):
        row[at.S_INTERVAL_REASON] = row[at.S_REASON]
        if t == row[at.S_SINCE]:
            row[at.S_ORDER] = order_of(x, line, s)
            row[at.S_PRODUCT] = product_text_of(x, line, s)
        return
    if t > row[at.S_SINCE]:
        interval(o, line, s, row, row[at.S_SINCE], t, ended)
    row[at.S_SINCE] = t
    row[at.S_INTERVAL_WORD] = row[at.S_WORD]
    row[at.S_INTERVAL_REASON] = row[at.S_REASON]
    row[at.S_ORDER] = order_of(x, line, s)
    row[at.S_PRODUCT] = product_text_of(x, line, s)
    if new == old:
        return
    row[at.S_CLASS] = new
    if goes_on:
        row[at.S_HIDDEN] = UNKNOWN if is_stop(new) else stop
    elif is_stop(new):
        row[at.S_STOP_START] = t
        row[at.S_REASONED] = 1 if row[at.S_REASON] >= 0 else 0
        if new == STOPPED:
            x.lines[line, at.L_UNDECIDED] += 1
    if is_stop(new):
        due = next_turn(m, x, line, s)
        x.lines[line, at.L_NEXT_STOP] = min(x.lines[line, at.L_NEXT_STOP], due)
        x.lines[line, at.L_NEXT] = min(x.lines[line, at.L_NEXT], due)
    set_active(x, o, line, s, t, is_active(new))
    if x.lines[line, at.L_CYCLES] == 0:
        # Without cycles the reported waits drive the critical path.
        leave(m, x, o, line, s, t)
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
def heard(m: Model, x: State, line: int, s: int) -> int:
    """When the station was last heard of. Blocked and starved are derived from the others: the line speaks for it."""
    row = x.stations[s]
    if x.lines[line, at.L_CYCLES] == 0 or row[at.S_OWN] == 0:
        return int(row[at.S_SEEN_TS])
    cycle = together(m, x, s)
    if cycle in (at.CYCLE_DONE, at.CYCLE_STARVED):
        return int(max(row[at.S_SEEN_TS], x.lines[line, at.L_LAST]))
    found = row[at.S_SEEN_TS]
    for i in range(1 + row[at.S_EXTRA]):
        place = x.stations[place_of(m, s, i)]
        if place[at.S_CYCLE] == at.CYCLE_READY == cycle:
            # Since a part is there.
            found = max(found, place[at.S_CYCLE_TS])
    return int(found)


@bare
def next_silence(m: Model, x: State, line: int) -> int:
    """When a station next turns out to be silent: 1 ns behind its staleness, at which it may still be heard."""
    lo = m.lines[line, at.LC_STATION]
    due = FAR
    for s in range(lo, lo + m.lines[line, at.LC_STATIONS]):
        if x.stations[s, at.S_STALE] == 0:
            due = min(due, heard(m, x, line, s) + m.stations[s, at.SC_STALE_NS] + 1)
    return int(due)


@bare
def fall_silent(m: Model, x: State, o: Out, line: int, t: int) -> None:
    """Stations that by the end of the instant t were not heard for their staleness: unknown from t on.

    Nothing is accounted beyond t yet; what else is due at t and all events of that instant are done.
    """
    lo = m.lines[line, at.LC_STATION]
    for s in range(lo, lo + m.lines[line, at.LC_STATIONS]):
        row = x.stations[s]
        if row[at.S_STALE] == 0 and heard(m, x, line, s) + m.stations[s, at.SC_STALE_NS] <= t:
            row[at.S_STALE] = 1
            alert(o, line, s, at.ALERT_STALE, at.RAISED, t, row[at.S_SEEN_TS])
            settle(m, x, o, line, s, t)
    if x.lines[line, at.L_DIRTY]:
        choose_causal(m, x, line)
