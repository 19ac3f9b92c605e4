"""The fold: sorted events of a partition into state, and the rows that became certain."""

import numpy as np
import numpy.typing as npt

from kernels import layout as at
from kernels.arrays import Model, Out, State
from kernels.classes import accrue_line, alert, choose_causal, settle
from kernels.codes import BUFFER, COUNT, COUNTER, CYCLE, END, GOOD, HEARTBEAT, IDEAL_NS, ORDER, REWORK, SCRAP, STATE
from kernels.counters import increment
from kernels.cuts import close_order, emit, open_scope
from kernels.flow import begin_cycles, complete, reset_scope, set_level, start, unblock
from kernels.jit import bare, hot
from kernels.timers import begin_line, run_timers, skip_silence

I64 = npt.NDArray[np.int64]


@hot
def room(m: Model, x: State, o: Out, line: int, group: int) -> bool:
    """Whether all that one instant can give, with `group` events, fits into the output and the closings."""
    n = m.lines[line, at.LC_STATIONS]
    slots = m.lines[line, at.LC_TICK_SLOTS] * m.lines[line, at.LC_WINDOWS] + x.closings.shape[1]
    rows = 4 * n + group
    return bool(
        x.closings.shape[1] - x.lines[line, at.L_CLOSINGS] >= 4
        and o.kpis.shape[0] - o.n[at.N_KPI] >= n * slots
        and o.intervals.shape[0] - o.n[at.N_INTERVAL] >= rows
        and o.paths.shape[0] - o.n[at.N_PATH] >= rows
        and o.alerts.shape[0] - o.n[at.N_ALERT] >= rows
        and o.active.shape[0] - o.n[at.N_ACTIVE] >= rows
    )


@hot
def add_parts(m: Model, x: State, s: int, good: int, scrap: int, rework: int, product: int) -> None:
    x.total[s, GOOD] += good
    x.total[s, SCRAP] += scrap
    x.total[s, REWORK] += rework
    x.total[s, IDEAL_NS] += (good + scrap + rework) * m.ideal[m.stations[s, at.SC_IDEAL] + product + 1]


@bare
def read_counter(m: Model, x: State, s: int, k: int, epoch: int, value: int, product: int) -> None:
    row = x.counters[k]
    previous = row[at.K_VALUE] if row[at.K_SEEN] else -1
    modulus = m.counters[k, at.KC_MODULUS] if row[at.K_EPOCH] == epoch else 0
    steps, _ = increment(previous, value, modulus)
    row[at.K_SEEN] = 1
    row[at.K_VALUE] = value
    row[at.K_EPOCH] = epoch
    if steps > m.stations[s, at.SC_MAX_PARTS] // m.counters[k, at.KC_SCALE]:
        # No station makes that much between two readings: another counter, or a glitch. A new baseline, and counted.
        x.lines[m.stations[s, at.SC_LINE], at.L_CONTRADICTIONS] += 1
        return
    parts = steps * m.counters[k, at.KC_SCALE]
    quality = m.counters[k, at.KC_QUALITY]
    good = parts if quality == GOOD else 0
    scrap = parts if quality == SCRAP else 0
    add_parts(m, x, s, good, scrap, parts - good - scrap, product)


@bare
def begin_order(m: Model, x: State, line: int, event: I64, t: int) -> None:
    row = x.lines[line]
    row[at.L_ORDER] = event[at.E_X]
    row[at.L_PRODUCT] = event[at.E_PRODUCT]
    row[at.L_PRODUCT_TEXT] = event[at.E_Y]
    row[at.L_ORDER_START] = t
    open_scope(m, x, line, at.SCOPE_ORDER)
    row[at.L_TOTAL_START] = t
    reset_scope(m, x, line, at.V_TOTAL)


@hot
def apply(m: Model, x: State, o: Out, line: int, event: I64, t: int) -> None:
    """One event at its instant. Classes of stations follow at the end of the instant."""
    row = x.lines[line]
    kind = event[at.E_TYPE]
    s = event[at.E_STATION]
    if kind == CYCLE:
        if row[at.L_CYCLES] == 0:
            begin_cycles(m, x, line, t)
            row[at.L_CYCLES] = 1
        product = event[at.E_PRODUCT] if event[at.E_PRODUCT] >= 0 else row[at.L_PRODUCT]
        if event[at.E_CODE] == END:
            if event[at.E_PRODUCT] < 0 and x.stations[s, at.S_CYCLE_PRODUCT] >= 0:
                product = x.stations[s, at.S_CYCLE_PRODUCT]
            complete(m, x, line, s, t)
            if m.stations[s, at.SC_PARTS_FROM_CYCLE]:
                add_parts(m, x, s, 1, 0, 0, product)
        else:
            x.stations[s, at.S_CYCLE_PRODUCT] = event[at.E_PRODUCT]
            start(m, x, line, s, t)
    elif kind == STATE:
        x.stations[s, at.S_REPORTED] = event[at.E_CODE]
        x.stations[s, at.S_WORD] = event[at.E_X]
        x.stations[s, at.S_REASON] = event[at.E_Y]
    elif kind == COUNT:
        if event[at.E_CODE] == COUNTER:
            read_counter(m, x, s, event[at.E_X], event[at.E_EPOCH], event[at.E_A], row[at.L_PRODUCT])
        else:
            add_parts(m, x, s, event[at.E_A], event[at.E_B], event[at.E_C], row[at.L_PRODUCT])
    elif kind == ORDER:
        if event[at.E_CODE] == END:
            # The end of an order that is not the running one says nothing about the running one.
            if row[at.L_ORDER] == event[at.E_X]:
                accrue_line(m, x, o, line, t)
                close_order(m, x, o, line, t)
        else:
            accrue_line(m, x, o, line, t)
            close_order(m, x, o, line, t)
            begin_order(m, x, line, event, t)
    elif kind == BUFFER:
        set_level(m, x, line, event[at.E_X], event[at.E_A], t)


@hot
def hear(m: Model, x: State, o: Out, line: int, s: int, t: int) -> None:
    row = x.stations[s]
    if row[at.S_STALE]:
        row[at.S_STALE] = 0
        due = t + m.stations[s, at.SC_STALE_NS]
        x.lines[line, at.L_NEXT_STALE] = min(x.lines[line, at.L_NEXT_STALE], due)
        x.lines[line, at.L_NEXT] = min(x.lines[line, at.L_NEXT], due)
        alert(o, line, s, at.ALERT_STALE, at.CLEARED, t, row[at.S_SEEN_TS])
    row[at.S_SEEN_TS] = t
    row[at.S_OWN] = 1


@hot
def instant(m: Model, x: State, o: Out, line: int, events: I64, i: int, j: int, t: int) -> None:
    """All events of a line at one instant, in order of phase; then every class it may have changed."""
    lo = m.lines[line, at.LC_STATION]
    hi = lo + m.lines[line, at.LC_STATIONS]
    x.lines[line, at.L_LAST] = t
    everywhere = x.lines[line, at.L_T0] == t
    completions = True
    for k in range(i, j):
        event = events[k]
        if completions and event[at.E_PHASE] > at.PHASE_COMPLETION:
            if x.lines[line, at.L_DONE] > 0:
                unblock(m, x, line, t)
            completions = False
        s = event[at.E_STATION]
        if s >= 0:
            hear(m, x, o, line, s, t)
        elif event[at.E_TYPE] == HEARTBEAT:
            for each in range(lo, hi):
                own = x.stations[each, at.S_OWN]
                hear(m, x, o, line, each, t)
                x.stations[each, at.S_OWN] = own
        if event[at.E_TYPE] == CYCLE or event[at.E_TYPE] == BUFFER or s < 0:
            everywhere = True
        apply(m, x, o, line, event, t)
    if completions and x.lines[line, at.L_DONE] > 0:
        unblock(m, x, line, t)
    x.lines[line, at.L_FOLDED] += j - i
    if everywhere:
        for s in range(lo, hi):
            settle(m, x, o, line, s, t)
    else:
        for k in range(i, j):
            settle(m, x, o, line, events[k, at.E_STATION], t)
    if x.lines[line, at.L_DIRTY]:
        choose_causal(m, x, line)


@bare
def advance(m: Model, x: State, o: Out, line: int, t: int, group: int) -> bool:
    """Run the line's timers up to and including t. False: no room; call again with the output emptied."""
    while x.lines[line, at.L_NEXT] <= t:
        if not room(m, x, o, line, group):
            return False
        due = x.lines[line, at.L_NEXT]
        skip_silence(m, x, line, due, t)
        due = x.lines[line, at.L_NEXT]
        if due > t:
            break
        run_timers(m, x, o, line, due)
    return room(m, x, o, line, group)


@bare
def fold(m: Model, x: State, o: Out, events: I64, begin: int) -> int:
    """Fold events[begin:], sorted by line, ts and the rest of the key; every instant of a line whole.

    Returns the index up to which they are folded: less than their number when the output has to be emptied (or the
    closings enlarged) first. Nothing depends on where it stops.
    """
    n = len(events)
    i = begin
    while i < n:
        line = events[i, at.E_LINE]
        t = events[i, at.E_TS]
        j = i + 1
        while j < n and events[j, at.E_LINE] == line and events[j, at.E_TS] == t:
            j += 1
        if x.lines[line, at.L_SEEN] == 0:
            begin_line(m, x, line, t)
        if x.lines[line, at.L_NEXT] <= t:
            if not advance(m, x, o, line, t, j - i):
                return i
        elif not room(m, x, o, line, j - i):
            return i
        instant(m, x, o, line, events, i, j, t)
        i = j
    return n


@bare
def pass_time(m: Model, x: State, o: Out, lines: I64, until: I64, begin: int) -> int:
    """Run the timers of lines[begin:] up to until[k]; then their rows. Returns how many lines are done."""
    for k in range(begin, lines.size):
        line = lines[k]
        if x.lines[line, at.L_SEEN] == 0:
            continue
        if not advance(m, x, o, line, until[k], 0):
            return k
        emit(m, x, o, line)
    return int(lines.size)
