"""What is due in a line's own event time: steps, ticks, panes, the calendar, silence, stops that last too long."""

import numpy as np
import numpy.typing as npt

from kernels.codes import FOLLOWED_NS
from kernels.fold import layout as at
from kernels.fold.arrays import Model, Out, State
from kernels.fold.classes import accrue_line, fall_silent, next_silence, settle_line
from kernels.fold.cuts import close_pane, close_scope, copy, emit, keep_orders, keep_tick, open_scope
from kernels.fold.flow import give_up
from kernels.fold.out import alert
from kernels.fold.path import place_of
from kernels.fold.stops import turn_stops
from kernels.jit import bare

I64 = npt.NDArray[np.int64]


@bare
def align_up(ts: int, step: int) -> int:
    return -((-ts) // step) * step


@bare
def set_next(m: Model, x: State, line: int) -> None:
    row = x.lines[line]
    due = min(min(row[at.L_NEXT_TICK], row[at.L_NEXT_PANE]), min(row[at.L_NEXT_STALE], row[at.L_NEXT_CALENDAR]))
    due = min(due, row[at.L_NEXT_STOP])
    if row[at.L_NEXT_LOST] > 0:
        due = min(due, row[at.L_NEXT_LOST])
    first = m.lines[line, at.LC_WINDOW]
    for w in range(first, first + m.lines[line, at.LC_WINDOWS]):
        due = min(due, x.steps[w])
    row[at.L_NEXT] = due


@bare
def read_calendar(m: Model, x: State, line: int, t: int) -> None:
    """Class, shift and day that hold at t, and when to look again."""
    calendar = m.lines[line, at.LC_CALENDAR]
    lo = m.calendar_row[calendar]
    hi = m.calendar_row[calendar + 1]
    found = lo + np.searchsorted(m.calendar_ts[lo:hi], t, side="right") - 1
    x.lines[line, at.L_CALENDAR] = m.calendar_class[found]
    x.lines[line, at.L_SHIFT] = m.calendar_shift[found]
    x.lines[line, at.L_DAY] = m.calendar_day[found]
    x.lines[line, at.L_NEXT_CALENDAR] = m.calendar_ts[found + 1] if found + 1 < hi else m.calendar_end[calendar]


@bare
def tell_day(m: Model, x: State, o: Out, line: int, t: int) -> None:
    """What makes the figures of a day doubtful as a whole."""
    lo = m.lines[line, at.LC_STATION]
    for s in range(lo, lo + m.lines[line, at.LC_STATIONS]):
        if x.stations[s, at.S_OWN] == 0 and t - x.lines[line, at.L_T0] >= m.stations[s, at.SC_STALE_NS]:
            alert(o, line, s, at.DOUBT_UNHEARD, at.RAISED, t, -1)
    if m.lines[line, at.LC_UNITS]:
        alert(o, line, -1, at.DOUBT_UNITS, at.RAISED, t, -1)


@bare
def turn_calendar(m: Model, x: State, o: Out, line: int, t: int) -> None:
    row = x.lines[line]
    shift = row[at.L_SHIFT]
    day = row[at.L_DAY]
    klass = row[at.L_CALENDAR]
    resting = row[at.L_NEXT_CALENDAR] == at.FAR
    read_calendar(m, x, line, t)
    turned = row[at.L_SHIFT] != shift or row[at.L_DAY] != day or row[at.L_CALENDAR] != klass
    if turned and not resting and t - row[at.L_LAST] > FOLLOWED_NS:
        # From here on until something is said: what nobody follows is no planned time, and costs no rows.
        row[at.L_CALENDAR] = row[at.L_SHIFT] = -1
        row[at.L_NEXT_CALENDAR] = at.FAR
    new_shift = row[at.L_SHIFT]
    if new_shift != shift:
        row[at.L_SHIFT] = shift
        if shift >= 0:
            close_scope(m, x, line, at.SCOPE_SHIFT, row[at.L_SHIFT_START], t)
    if row[at.L_DAY] != day:
        row[at.L_SHIFT] = -1
        close_scope(m, x, line, at.SCOPE_DAY, row[at.L_DAY_START], t)
        open_scope(m, x, line, at.SCOPE_DAY)
        row[at.L_DAY_START] = t
        tell_day(m, x, o, line, t)
    row[at.L_SHIFT] = new_shift
    if new_shift != shift:
        open_scope(m, x, line, at.SCOPE_SHIFT)
        row[at.L_SHIFT_START] = t
    if row[at.L_CALENDAR] != klass:
        settle_line(m, x, o, line, t)


@bare
def follow_again(m: Model, x: State, o: Out, line: int, t: int) -> None:
    """Something is said again at t: the schedule counts from here on."""
    accrue_line(m, x, line, t)
    turn_calendar(m, x, o, line, t)
    set_next(m, x, line)


@bare
def skip_silence(m: Model, x: State, line: int, due: int, t: int) -> None:
    """Nothing was said for longer than any window: leave out the steps that no row will need."""
    row = x.lines[line]
    if due <= row[at.L_LAST] + m.lines[line, at.LC_HORIZON_NS] or row[at.L_EMIT_TICK] < row[at.L_NEXT_TICK]:
        return
    first = m.lines[line, at.LC_WINDOW]
    for w in range(first, first + m.lines[line, at.LC_WINDOWS]):
        step = m.windows[w, at.WC_STEP]
        x.steps[w] = max(x.steps[w], align_up(t - m.windows[w, at.WC_LENGTH] - 2 * step, step))
    row[at.L_NEXT_TICK] = max(row[at.L_NEXT_TICK], align_up(t, m.lines[line, at.LC_PUBLISH_NS]))
    row[at.L_EMIT_TICK] = row[at.L_NEXT_TICK]
    pane = m.lines[line, at.LC_PANE_NS]
    row[at.L_NEXT_PANE] = max(row[at.L_NEXT_PANE], t // pane * pane)
    set_next(m, x, line)


@bare
def run_timers(m: Model, x: State, o: Out, line: int, t: int) -> None:
    """All that is due at one instant t, in its fixed order."""
    row = x.lines[line]
    if row[at.L_NEXT_STALE] <= t:
        fall_silent(m, x, o, line, t - 1)
        row[at.L_NEXT_STALE] = next_silence(m, x, line)
    accrue_line(m, x, line, t)
    if row[at.L_NEXT_STOP] <= t:
        turn_stops(m, x, o, line, t)
    first = m.lines[line, at.LC_WINDOW]
    lo = m.lines[line, at.LC_STATION]
    for w in range(first, first + m.lines[line, at.LC_WINDOWS]):
        if x.steps[w] == t:
            slots = m.windows[w, at.WC_SLOTS]
            step = m.windows[w, at.WC_STEP]
            slot = m.windows[w, at.WC_RING] + (t // step) % slots
            for s in range(lo, lo + m.lines[line, at.LC_STATIONS]):
                copy(x.rings[slot + (s - lo) * slots], x.total[s])
            x.steps[w] = t + step
    if row[at.L_NEXT_TICK] == t:
        every = m.lines[line, at.LC_PUBLISH_NS]
        about = x.ticks[m.lines[line, at.LC_TICKS] + (t // every) % m.lines[line, at.LC_TICK_SLOTS]]
        about[at.T_ORDER] = row[at.L_ORDER]
        about[at.T_PRODUCT] = row[at.L_PRODUCT_TEXT]
        about[at.T_SHIFT] = row[at.L_SHIFT]
        about[at.T_LAST] = row[at.L_LAST]
        keep_orders(m, x, line, t)
        keep_tick(m, x, line, t)
        row[at.L_NEXT_TICK] = t + every
    if row[at.L_NEXT_PANE] == t:
        close_pane(m, x, o, line, t)
        row[at.L_NEXT_PANE] = t + m.lines[line, at.LC_PANE_NS]
    if row[at.L_NEXT_CALENDAR] == t:
        turn_calendar(m, x, o, line, t)
    if 0 < row[at.L_NEXT_LOST] <= t:
        give_up(m, x, o, line, t)
        settle_line(m, x, o, line, t)
    emit(m, x, o, line)
    set_next(m, x, line)


@bare
def begin_line(m: Model, x: State, line: int, t: int) -> None:
    """The line's first event: its time starts at t."""
    row = x.lines[line]
    row[at.L_SEEN] = 1
    row[at.L_T0] = t
    row[at.L_LAST] = t
    row[at.L_PANE_START] = t
    row[at.L_TOTAL_START] = t
    row[at.L_SHIFT_START] = t
    row[at.L_DAY_START] = t
    row[at.L_ORDER_START] = t
    row[at.L_ORDER] = -1
    row[at.L_PRODUCT] = -1
    row[at.L_PRODUCT_TEXT] = -1
    row[at.L_QUANTITY] = -1
    row[at.L_CAUSAL] = -1
    row[at.L_CAUSAL_TS] = t
    row[at.L_NEXT_TICK] = align_up(t + 1, m.lines[line, at.LC_PUBLISH_NS])
    row[at.L_EMIT_TICK] = row[at.L_NEXT_TICK]
    row[at.L_NEXT_PANE] = align_up(t + 1, m.lines[line, at.LC_PANE_NS])
    first = m.lines[line, at.LC_WINDOW]
    for w in range(first, first + m.lines[line, at.LC_WINDOWS]):
        x.steps[w] = align_up(t + 1, m.windows[w, at.WC_STEP])
    read_calendar(m, x, line, t)
    lo = m.lines[line, at.LC_STATION]
    for s in range(lo, lo + m.lines[line, at.LC_STATIONS]):
        station = x.stations[s]
        station[at.S_ACCRUED] = t
        station[at.S_REPORTED] = -1
        station[at.S_WORD] = -1
        station[at.S_REASON] = -1
        station[at.S_INTERVAL_WORD] = -1
        station[at.S_INTERVAL_REASON] = -1
        station[at.S_SEEN_TS] = t
        station[at.S_SINCE] = t
        station[at.S_STOP_START] = -1
        station[at.S_CYCLE] = at.CYCLE_BUSY
        station[at.S_CYCLE_TS] = t
        station[at.S_ACTIVE_SINCE] = -1
        station[at.S_CYCLE_PRODUCT] = -1
        station[at.S_ORDER] = -1
        station[at.S_PRODUCT] = -1
        station[at.S_OWN_ORDER] = -1
        station[at.S_OWN_PRODUCT] = -1
        station[at.S_OWN_PRODUCT_TEXT] = -1
        station[at.S_OWN_QUANTITY] = -1
        station[at.S_EXTRA] = m.stations[s, at.SC_PLACES] - 1
        for i in range(1, m.stations[s, at.SC_PLACES]):
            place = x.stations[place_of(m, s, i)]
            place[at.S_CYCLE] = at.CYCLE_BUSY
            place[at.S_CYCLE_TS] = t
            place[at.S_CYCLE_PRODUCT] = -1
    row[at.L_NEXT_STALE] = next_silence(m, x, line)
    row[at.L_NEXT_STOP] = at.FAR
    set_next(m, x, line)
