"""Time of a line: accrual into classes, cuts at steps, panes, shifts, days and orders, rows when they are decided.

A station has one cumulative vector (kernels.codes). Every window, shift, day and order is the difference of that
vector between two cuts, so adding is O(1), expiring costs nothing, and the classes of a row sum to its length by
construction. A stop counts as STOPPED until its length says minor_stop or down; the cuts made meanwhile are then
corrected, and rows that need them wait for it.
"""

import numpy as np
import numpy.typing as npt

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
from kernels.flow import closing_vector, leave, reset_scope
from kernels.jit import kernel
from kernels.layout import *  # noqa: F403  column numbers only; naming the hundred of them would hide the code

I64 = npt.NDArray[np.int64]
FAR = np.int64(9_223_372_036_854_775_807)


@kernel
def align_up(ts: int, step: int) -> int:
    return -((-ts) // step) * step


@kernel
def is_active(klass: int) -> bool:
    """Active period method: working, or down for a reason of its own; not waiting for others."""
    return (
        klass == RUNNING
        or klass == SETUP
        or klass == STOPPED
        or klass == MINOR_STOP
        or klass == DOWN
        or klass == MAINTENANCE
    )


@kernel
def alert(o: Out, line: int, s: int, kind: int, action: int, ts: int, since: int) -> None:
    i = o.n[N_ALERT]
    o.alerts[i, AO_LINE] = line
    o.alerts[i, AO_STATION] = s
    o.alerts[i, AO_KIND] = kind
    o.alerts[i, AO_ACTION] = action
    o.alerts[i, AO_TS] = ts
    o.alerts[i, AO_SINCE] = since
    o.n[N_ALERT] += 1


@kernel
def decide(m: Model, x: State, line: int, s: int, klass: int) -> None:
    """The open stop of s is now known to be `klass`: move its time, in the vector and in every cut since it began."""
    counter = MINOR_STOPS if klass == MINOR_STOP else DOWNS
    x.total[s, klass] += x.total[s, STOPPED]
    x.total[s, STOPPED] = 0
    x.total[s, counter] += 1
    local = s - m.lines[line, LC_STATION]
    first = m.lines[line, LC_WINDOW]
    for w in range(first, first + m.lines[line, LC_WINDOWS]):
        slots = m.windows[w, WC_SLOTS]
        step = m.windows[w, WC_STEP]
        at = m.windows[w, WC_RING] + local * slots
        cut = x.steps[w] - step
        for _ in range(slots):
            row = at + (cut // step) % slots
            if x.rings[row, STOPPED] == 0:
                break
            x.rings[row, klass] += x.rings[row, STOPPED]
            x.rings[row, STOPPED] = 0
            x.rings[row, counter] += 1
            cut -= step
    for scope in range(N_SCOPES):
        if x.base[s, scope, STOPPED] > 0:
            x.base[s, scope, klass] += x.base[s, scope, STOPPED]
            x.base[s, scope, STOPPED] = 0
            x.base[s, scope, counter] += 1
    for k in range(x.lines[line, L_CLOSINGS]):
        if x.deltas[s, k, STOPPED] > 0:
            x.deltas[s, k, klass] += x.deltas[s, k, STOPPED]
            x.deltas[s, k, STOPPED] = 0
            x.deltas[s, k, counter] += x.deltas[s, k, N_COLUMNS]
    x.lines[line, L_UNDECIDED] -= 1


@kernel
def accrue(m: Model, x: State, o: Out, line: int, s: int, t: int) -> None:
    """Account the time of s up to t to its class."""
    row = x.stations[s]
    if t <= row[S_ACCRUED]:
        return
    klass = row[S_CLASS]
    x.total[s, klass] += t - row[S_ACCRUED]
    row[S_ACCRUED] = t
    if klass == STOPPED and t - row[S_STOP_START] >= m.stations[s, SC_MINOR_NS]:
        decide(m, x, line, s, DOWN)
        row[S_CLASS] = DOWN
        klass = DOWN
    limit = m.lines[line, LC_DOWN_NS]
    if (
        limit > 0
        and (klass == STOPPED or klass == DOWN)
        and row[S_DOWN_ALERT] == 0
        and t - row[S_STOP_START] >= limit
    ):
        row[S_DOWN_ALERT] = 1
        alert(o, line, s, ALERT_DOWN, RAISED, row[S_STOP_START] + limit, row[S_STOP_START])


@kernel
def accrue_line(m: Model, x: State, o: Out, line: int, t: int) -> None:
    lo = m.lines[line, LC_STATION]
    for s in range(lo, lo + m.lines[line, LC_STATIONS]):
        accrue(m, x, o, line, s, t)
    accrue_causal(x, line, t)


@kernel
def accrue_causal(x: State, line: int, t: int) -> None:
    leader = x.lines[line, L_CAUSAL]
    if leader >= 0:
        x.total[leader, CAUSAL_NS] += t - x.lines[line, L_CAUSAL_TS]
    x.lines[line, L_CAUSAL_TS] = t


@kernel
def choose_causal(m: Model, x: State, line: int) -> None:
    """The station that has been active longest so far; ties: the lower index (Roser's active period, causal)."""
    lo = m.lines[line, LC_STATION]
    leader = -1
    for s in range(lo, lo + m.lines[line, LC_STATIONS]):
        since = x.stations[s, S_ACTIVE_SINCE]
        if since >= 0 and (leader < 0 or since < x.stations[leader, S_ACTIVE_SINCE]):
            leader = s
    x.lines[line, L_CAUSAL] = leader
    x.lines[line, L_DIRTY] = 0


@kernel
def raw_class(x: State, line: int, s: int) -> int:
    """Class from what was reported and what the flow says, before schedule and silence."""
    row = x.stations[s]
    reported = row[S_REPORTED]
    if x.lines[line, L_CYCLES] == 0:
        return int(reported) if reported >= 0 else UNKNOWN
    if reported >= 0 and reported != RUNNING:
        return int(reported)
    cycle = row[S_CYCLE]
    if cycle == CYCLE_BUSY:
        return RUNNING
    if cycle == CYCLE_DONE:
        return BLOCKED
    if cycle == CYCLE_STARVED:
        return STARVED
    return WAITING if row[S_OWN] else UNKNOWN


@kernel
def resolve(m: Model, x: State, line: int, s: int) -> int:
    """The one class of s. Producing wins over the schedule, the schedule over silence, silence over the rest."""
    raw = raw_class(x, line, s)
    stale = x.stations[s, S_STALE] != 0
    if raw == RUNNING and not stale:
        return RUNNING
    if x.lines[line, L_CALENDAR] >= 0:
        return int(x.lines[line, L_CALENDAR])
    if m.lines[line, LC_REQUIRES_ORDER] and x.lines[line, L_ORDER] < 0:
        return NO_ORDER
    return UNKNOWN if stale else raw


@kernel
def interval(o: Out, line: int, s: int, row: I64, t: int, klass: int) -> None:
    i = o.n[N_INTERVAL]
    o.intervals[i, IO_LINE] = line
    o.intervals[i, IO_STATION] = s
    o.intervals[i, IO_START] = row[S_SINCE]
    o.intervals[i, IO_END] = t
    o.intervals[i, IO_CLASS] = klass
    o.intervals[i, IO_WORD] = row[S_INTERVAL_WORD]
    o.intervals[i, IO_REASON] = row[S_INTERVAL_REASON]
    o.intervals[i, IO_ORDER] = row[S_ORDER]
    o.n[N_INTERVAL] += 1


@kernel
def settle(m: Model, x: State, o: Out, line: int, s: int, t: int) -> None:
    """End of an instant for a station that something happened to: its class from here on.

    A reason that arrives during a stop belongs to the whole stop, as people on the floor enter it.
    """
    accrue(m, x, o, line, s, t)
    row = x.stations[s]
    old = row[S_CLASS]
    new = resolve(m, x, line, s)
    same_stop = new == STOPPED and (old == STOPPED or (old == DOWN and row[S_STOP_START] >= 0))
    same_words = row[S_INTERVAL_WORD] == row[S_WORD] and row[S_INTERVAL_REASON] == row[S_REASON]
    if same_stop or (new == old and same_words):
        row[S_INTERVAL_WORD] = row[S_WORD]
        row[S_INTERVAL_REASON] = row[S_REASON]
        return
    ended = old
    if old == STOPPED:
        decide(m, x, line, s, MINOR_STOP)
        ended = MINOR_STOP
    if t > row[S_SINCE]:
        interval(o, line, s, row, t, ended)
    row[S_SINCE] = t
    row[S_INTERVAL_WORD] = row[S_WORD]
    row[S_INTERVAL_REASON] = row[S_REASON]
    row[S_ORDER] = x.lines[line, L_ORDER]
    if new == old:
        return
    if row[S_DOWN_ALERT]:
        row[S_DOWN_ALERT] = 0
        alert(o, line, s, ALERT_DOWN, CLEARED, t, row[S_STOP_START])
    row[S_STOP_START] = -1
    if new == STOPPED:
        row[S_STOP_START] = t
        x.lines[line, L_UNDECIDED] += 1
    elif new == DOWN:
        row[S_STOP_START] = t
        x.total[s, DOWNS] += 1
    elif new == MINOR_STOP:
        x.total[s, MINOR_STOPS] += 1
    row[S_CLASS] = new
    set_active(x, o, line, s, t, is_active(new))
    if x.lines[line, L_CYCLES] == 0:
        # Without cycles the reported waits drive the critical path.
        leave(m, x, s, t)
        row[S_CYCLE] = CYCLE_STARVED if new == STARVED else (CYCLE_DONE if new == BLOCKED else CYCLE_BUSY)
        row[S_CYCLE_TS] = t


@kernel
def set_active(x: State, o: Out, line: int, s: int, t: int, active: bool) -> None:
    row = x.stations[s]
    if active == (row[S_ACTIVE_SINCE] >= 0):
        return
    accrue_causal(x, line, t)
    leader = x.lines[line, L_CAUSAL]
    if active:
        row[S_ACTIVE_SINCE] = t
        if leader < 0 or x.stations[leader, S_ACTIVE_SINCE] >= t:
            x.lines[line, L_DIRTY] = 1
        return
    period(o, line, s, row[S_ACTIVE_SINCE], t, 0)
    row[S_ACTIVE_SINCE] = -1
    if leader == s:
        x.lines[line, L_DIRTY] = 1


@kernel
def period(o: Out, line: int, s: int, start: int, end: int, still_open: int) -> None:
    if end <= start:
        return
    i = o.n[N_ACTIVE]
    o.active[i, PA_LINE] = line
    o.active[i, PA_STATION] = s
    o.active[i, PA_START] = start
    o.active[i, PA_END] = end
    o.active[i, PA_OPEN] = still_open
    o.n[N_ACTIVE] += 1


@kernel
def settle_line(m: Model, x: State, o: Out, line: int, t: int) -> None:
    lo = m.lines[line, LC_STATION]
    for s in range(lo, lo + m.lines[line, LC_STATIONS]):
        settle(m, x, o, line, s, t)
    if x.lines[line, L_DIRTY]:
        choose_causal(m, x, line)


# Silence


@kernel
def heard(x: State, line: int, s: int) -> int:
    """When the station was last heard of. Blocked and starved are derived from the others: the line speaks for it."""
    row = x.stations[s]
    if x.lines[line, L_CYCLES] == 0:
        return int(row[S_SEEN_TS])
    if row[S_CYCLE] == CYCLE_DONE or row[S_CYCLE] == CYCLE_STARVED:
        return int(max(row[S_SEEN_TS], x.lines[line, L_LAST]))
    return int(max(row[S_SEEN_TS], row[S_CYCLE_TS]))


@kernel
def next_silence(m: Model, x: State, line: int) -> int:
    lo = m.lines[line, LC_STATION]
    due = FAR
    for s in range(lo, lo + m.lines[line, LC_STATIONS]):
        if x.stations[s, S_STALE] == 0:
            due = min(due, heard(x, line, s) + m.stations[s, SC_STALE_NS])
    return int(due)


@kernel
def fall_silent(m: Model, x: State, o: Out, line: int, t: int) -> None:
    lo = m.lines[line, LC_STATION]
    for s in range(lo, lo + m.lines[line, LC_STATIONS]):
        row = x.stations[s]
        if row[S_STALE] == 0 and heard(x, line, s) + m.stations[s, SC_STALE_NS] <= t:
            row[S_STALE] = 1
            alert(o, line, s, ALERT_STALE, RAISED, t, row[S_SEEN_TS])
            settle(m, x, o, line, s, t)
    if x.lines[line, L_DIRTY]:
        choose_causal(m, x, line)


# Scopes: shift, day, order


@kernel
def open_scope(m: Model, x: State, line: int, scope: int) -> None:
    lo = m.lines[line, LC_STATION]
    for s in range(lo, lo + m.lines[line, LC_STATIONS]):
        x.base[s, scope] = x.total[s]


@kernel
def close_scope(m: Model, x: State, line: int, scope: int, start: int, t: int) -> None:
    """Put the totals of a scope among the closings; the line's time is accounted up to t."""
    k = x.lines[line, L_CLOSINGS]
    head = x.closings[line, k]
    head[X_SCOPE] = scope
    head[X_START] = start
    head[X_END] = t
    head[X_ORDER] = x.lines[line, L_ORDER]
    head[X_PRODUCT] = x.lines[line, L_PRODUCT_TEXT]
    head[X_SHIFT] = x.lines[line, L_SHIFT]
    head[X_LAST] = x.lines[line, L_LAST]
    lo = m.lines[line, LC_STATION]
    for s in range(lo, lo + m.lines[line, LC_STATIONS]):
        for c in range(N_COLUMNS):
            x.deltas[s, k, c] = x.total[s, c] - x.base[s, scope, c]
        began_inside = x.total[s, STOPPED] > 0 and x.base[s, scope, STOPPED] == 0
        x.deltas[s, k, N_COLUMNS] = 1 if began_inside else 0
    x.lines[line, L_CLOSINGS] = k + 1


@kernel
def path_row(
    o: Out, x: State, line: int, s: int, kind: int, start: int, t: int, path_ns: int, base: I64
) -> None:
    """`base`: blocked, starved, running, causal of s at `start`."""
    i = o.n[N_PATH]
    out = o.paths[i]
    out[PO_LINE] = line
    out[PO_STATION] = s
    out[PO_KIND] = kind
    out[PO_START] = start
    out[PO_END] = t
    out[PO_SHIFT] = x.lines[line, L_SHIFT]
    out[PO_ORDER] = x.lines[line, L_ORDER]
    out[PO_PRODUCT] = x.lines[line, L_PRODUCT_TEXT]
    out[PO_PATH_NS] = path_ns
    for k in range(4):
        out[PO_BLOCKED + k] = x.total[s, PANE_COLUMNS[k]] - base[k]
    o.n[N_PATH] += 1


@kernel
def close_pane(m: Model, x: State, o: Out, line: int, t: int) -> None:
    lo = m.lines[line, LC_STATION]
    n = m.lines[line, LC_STATIONS]
    start = x.lines[line, L_PANE_START]
    if m.lines[line, LC_BUFFERS] and t > start and x.lines[line, L_LAST] >= start:
        path = np.zeros(n, np.int64)
        closing_vector(m, x, line, V_PANE, t, path)
        for s in range(lo, lo + n):
            if x.stations[s, S_ACTIVE_SINCE] >= 0:
                period(o, line, s, x.stations[s, S_ACTIVE_SINCE], t, 1)
            path_row(o, x, line, s, PANE, start, t, path[s - lo], x.pane_base[s])
    x.lines[line, L_PANE_START] = t
    reset_scope(m, x, line, V_PANE)
    for s in range(lo, lo + n):
        for k in range(4):
            x.pane_base[s, k] = x.total[s, PANE_COLUMNS[k]]


@kernel
def close_order(m: Model, x: State, o: Out, line: int, t: int) -> None:
    if x.lines[line, L_ORDER] < 0:
        return
    start = x.lines[line, L_ORDER_START]
    close_scope(m, x, line, SCOPE_ORDER, start, t)
    n = m.lines[line, LC_STATIONS]
    if m.lines[line, LC_BUFFERS] and t > start:
        path = np.zeros(n, np.int64)
        base = np.zeros(4, np.int64)
        closing_vector(m, x, line, V_TOTAL, t, path)
        lo = m.lines[line, LC_STATION]
        for s in range(lo, lo + n):
            for k in range(4):
                base[k] = x.base[s, SCOPE_ORDER, PANE_COLUMNS[k]]
            path_row(o, x, line, s, ORDER_PATH, start, t, path[s - lo], base)
    x.lines[line, L_ORDER] = -1
    x.lines[line, L_PRODUCT] = -1
    x.lines[line, L_PRODUCT_TEXT] = -1


# Rows


@kernel
def decided_before(m: Model, x: State, line: int, t: int) -> bool:
    """Whether no stop of undecided length began before t."""
    if x.lines[line, L_UNDECIDED] == 0:
        return True
    lo = m.lines[line, LC_STATION]
    for s in range(lo, lo + m.lines[line, LC_STATIONS]):
        if x.stations[s, S_CLASS] == STOPPED and x.stations[s, S_STOP_START] < t:
            return False
    return True


@kernel
def kpi_row(
    o: Out, line: int, s: int, window: int, start: int, end: int, shift: int, order: int, product: int
) -> I64:
    out = o.kpis[o.n[N_KPI]]
    out[KO_LINE] = line
    out[KO_STATION] = s
    out[KO_WINDOW] = window
    out[KO_START] = start
    out[KO_END] = end
    out[KO_SHIFT] = shift
    out[KO_ORDER] = order
    out[KO_PRODUCT] = product
    o.n[N_KPI] += 1
    return out


@kernel
def emit_ticks(m: Model, x: State, o: Out, line: int) -> None:
    lo = m.lines[line, LC_STATION]
    n = m.lines[line, LC_STATIONS]
    every = m.lines[line, LC_PUBLISH_NS]
    t0 = x.lines[line, L_T0]
    first = m.lines[line, LC_WINDOW]
    while x.lines[line, L_EMIT_TICK] < x.lines[line, L_NEXT_TICK]:
        end = x.lines[line, L_EMIT_TICK]
        if not decided_before(m, x, line, end):
            return
        about = x.ticks[m.lines[line, LC_TICKS] + (end // every) % m.lines[line, LC_TICK_SLOTS]]
        for w in range(first, first + m.lines[line, LC_WINDOWS]):
            start = end - m.windows[w, WC_LENGTH]
            if about[T_LAST] < max(start, t0):
                continue
            slots = m.windows[w, WC_SLOTS]
            step = m.windows[w, WC_STEP]
            for s in range(lo, lo + n):
                at = m.windows[w, WC_RING] + (s - lo) * slots
                out = kpi_row(o, line, s, w, max(start, t0), end, about[T_SHIFT], about[T_ORDER], about[T_PRODUCT])
                newest = x.rings[at + (end // step) % slots]
                if start <= t0:
                    out[KO_COLUMNS:] = newest
                else:
                    out[KO_COLUMNS:] = newest - x.rings[at + (start // step) % slots]
        x.lines[line, L_EMIT_TICK] = end + every


@kernel
def emit_closings(m: Model, x: State, o: Out, line: int) -> None:
    lo = m.lines[line, LC_STATION]
    hi = lo + m.lines[line, LC_STATIONS]
    done = 0
    count = x.lines[line, L_CLOSINGS]
    while done < count and decided_before(m, x, line, x.closings[line, done, X_END]):
        head = x.closings[line, done]
        if head[X_END] > head[X_START] and head[X_LAST] >= head[X_START]:
            for s in range(lo, hi):
                window = -1 - head[X_SCOPE]
                out = kpi_row(
                    o, line, s, window, head[X_START], head[X_END], head[X_SHIFT], head[X_ORDER], head[X_PRODUCT]
                )
                out[KO_COLUMNS:] = x.deltas[s, done, :N_COLUMNS]
        done += 1
    if done == 0:
        return
    for k in range(done, count):
        x.closings[line, k - done] = x.closings[line, k]
        for s in range(lo, hi):
            x.deltas[s, k - done] = x.deltas[s, k]
    x.lines[line, L_CLOSINGS] = count - done


@kernel
def emit(m: Model, x: State, o: Out, line: int) -> None:
    emit_ticks(m, x, o, line)
    emit_closings(m, x, o, line)


# Timers


@kernel
def set_next(m: Model, x: State, line: int) -> None:
    row = x.lines[line]
    due = min(min(row[L_NEXT_TICK], row[L_NEXT_PANE]), min(row[L_NEXT_STALE], row[L_NEXT_CALENDAR]))
    first = m.lines[line, LC_WINDOW]
    for w in range(first, first + m.lines[line, LC_WINDOWS]):
        due = min(due, x.steps[w])
    row[L_NEXT] = due


@kernel
def read_calendar(m: Model, x: State, line: int, t: int) -> None:
    """Class, shift and day that hold at t, and when to look again."""
    calendar = m.lines[line, LC_CALENDAR]
    lo = m.calendar_row[calendar]
    hi = m.calendar_row[calendar + 1]
    at = lo + np.searchsorted(m.calendar_ts[lo:hi], t, side="right") - 1
    x.lines[line, L_CALENDAR] = m.calendar_class[at]
    x.lines[line, L_SHIFT] = m.calendar_shift[at]
    x.lines[line, L_DAY] = m.calendar_day[at]
    x.lines[line, L_NEXT_CALENDAR] = m.calendar_ts[at + 1] if at + 1 < hi else m.calendar_end[calendar]


@kernel
def turn_calendar(m: Model, x: State, o: Out, line: int, t: int) -> None:
    row = x.lines[line]
    shift = row[L_SHIFT]
    day = row[L_DAY]
    klass = row[L_CALENDAR]
    read_calendar(m, x, line, t)
    new_shift = row[L_SHIFT]
    if new_shift != shift:
        row[L_SHIFT] = shift
        if shift >= 0:
            close_scope(m, x, line, SCOPE_SHIFT, row[L_SHIFT_START], t)
    if row[L_DAY] != day:
        row[L_SHIFT] = -1
        close_scope(m, x, line, SCOPE_DAY, row[L_DAY_START], t)
        open_scope(m, x, line, SCOPE_DAY)
        row[L_DAY_START] = t
    row[L_SHIFT] = new_shift
    if new_shift != shift:
        open_scope(m, x, line, SCOPE_SHIFT)
        row[L_SHIFT_START] = t
    if row[L_CALENDAR] != klass:
        settle_line(m, x, o, line, t)


@kernel
def skip_silence(m: Model, x: State, line: int, due: int, t: int) -> None:
    """Nothing was said for longer than any window: leave out the steps that no row will need."""
    row = x.lines[line]
    if due <= row[L_LAST] + m.lines[line, LC_HORIZON_NS] or row[L_EMIT_TICK] < row[L_NEXT_TICK]:
        return
    first = m.lines[line, LC_WINDOW]
    for w in range(first, first + m.lines[line, LC_WINDOWS]):
        step = m.windows[w, WC_STEP]
        x.steps[w] = max(x.steps[w], align_up(t - m.windows[w, WC_LENGTH] - 2 * step, step))
    row[L_NEXT_TICK] = max(row[L_NEXT_TICK], align_up(t, m.lines[line, LC_PUBLISH_NS]))
    row[L_EMIT_TICK] = row[L_NEXT_TICK]
    pane = m.lines[line, LC_PANE_NS]
    row[L_NEXT_PANE] = max(row[L_NEXT_PANE], t // pane * pane)
    set_next(m, x, line)


@kernel
def run_timers(m: Model, x: State, o: Out, line: int, t: int) -> None:
    """All that is due at one instant t, in its fixed order."""
    row = x.lines[line]
    accrue_line(m, x, o, line, t)
    first = m.lines[line, LC_WINDOW]
    lo = m.lines[line, LC_STATION]
    for w in range(first, first + m.lines[line, LC_WINDOWS]):
        if x.steps[w] == t:
            slots = m.windows[w, WC_SLOTS]
            step = m.windows[w, WC_STEP]
            slot = m.windows[w, WC_RING] + (t // step) % slots
            for s in range(lo, lo + m.lines[line, LC_STATIONS]):
                x.rings[slot + (s - lo) * slots] = x.total[s]
            x.steps[w] = t + step
    if row[L_NEXT_TICK] == t:
        every = m.lines[line, LC_PUBLISH_NS]
        about = x.ticks[m.lines[line, LC_TICKS] + (t // every) % m.lines[line, LC_TICK_SLOTS]]
        about[T_ORDER] = row[L_ORDER]
        about[T_PRODUCT] = row[L_PRODUCT_TEXT]
        about[T_SHIFT] = row[L_SHIFT]
        about[T_LAST] = row[L_LAST]
        row[L_NEXT_TICK] = t + every
    if row[L_NEXT_PANE] == t:
        close_pane(m, x, o, line, t)
        row[L_NEXT_PANE] = t + m.lines[line, LC_PANE_NS]
    if row[L_NEXT_CALENDAR] == t:
        turn_calendar(m, x, o, line, t)
    if row[L_NEXT_STALE] <= t:
        fall_silent(m, x, o, line, t)
        row[L_NEXT_STALE] = next_silence(m, x, line)
    emit(m, x, o, line)
    set_next(m, x, line)


@kernel
def begin_line(m: Model, x: State, line: int, t: int) -> None:
    """The line's first event: its time starts at t."""
    row = x.lines[line]
    row[L_SEEN] = 1
    row[L_T0] = t
    row[L_LAST] = t
    row[L_PANE_START] = t
    row[L_TOTAL_START] = t
    row[L_SHIFT_START] = t
    row[L_DAY_START] = t
    row[L_ORDER_START] = t
    row[L_ORDER] = -1
    row[L_PRODUCT] = -1
    row[L_PRODUCT_TEXT] = -1
    row[L_CAUSAL] = -1
    row[L_CAUSAL_TS] = t
    row[L_NEXT_TICK] = align_up(t + 1, m.lines[line, LC_PUBLISH_NS])
    row[L_EMIT_TICK] = row[L_NEXT_TICK]
    row[L_NEXT_PANE] = align_up(t + 1, m.lines[line, LC_PANE_NS])
    first = m.lines[line, LC_WINDOW]
    for w in range(first, first + m.lines[line, LC_WINDOWS]):
        x.steps[w] = align_up(t + 1, m.windows[w, WC_STEP])
    read_calendar(m, x, line, t)
    lo = m.lines[line, LC_STATION]
    for s in range(lo, lo + m.lines[line, LC_STATIONS]):
        station = x.stations[s]
        station[S_ACCRUED] = t
        station[S_REPORTED] = -1
        station[S_WORD] = -1
        station[S_REASON] = -1
        station[S_INTERVAL_WORD] = -1
        station[S_INTERVAL_REASON] = -1
        station[S_SEEN_TS] = t
        station[S_SINCE] = t
        station[S_STOP_START] = -1
        station[S_CYCLE] = CYCLE_BUSY
        station[S_CYCLE_TS] = t
        station[S_ACTIVE_SINCE] = -1
        station[S_CYCLE_PRODUCT] = -1
        station[S_ORDER] = -1
    row[L_NEXT_STALE] = next_silence(m, x, line)
    set_next(m, x, line)
