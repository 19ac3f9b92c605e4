"""The fold: sorted events of a partition into state, and the rows that became certain."""

import numpy as np
import numpy.typing as npt

from kernels import bits
from kernels import layout as at
from kernels.arrays import Model, Out, State
from kernels.classes import accrue_line, choose_causal, settle
from kernels.codes import (
    BUFFER,
    COUNT,
    COUNTER,
    CYCLE,
    END,
    GOOD,
    HEARTBEAT,
    IDEAL_NS,
    ORDER,
    REWORK,
    SCRAP,
    STATE,
)
from kernels.counters import REPEAT, RESET, RISE, ROLLOVER, increment
from kernels.cuts import close_order, emit, open_scope
from kernels.flow import begin_cycles, complete, set_level, start, unblock
from kernels.index import natural
from kernels.jit import bare, hot
from kernels.out import alert
from kernels.path import reset_scope
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
        and o.alerts.shape[0] - o.n[at.N_ALERT] >= rows + group
        and o.active.shape[0] - o.n[at.N_ACTIVE] >= rows
    )


@hot
def add_parts(m: Model, x: State, s: int, good: int, scrap: int, rework: int, product: int) -> None:
    x.total[s, GOOD] += good
    x.total[s, SCRAP] += scrap
    x.total[s, REWORK] += rework
    x.total[s, IDEAL_NS] += (good + scrap + rework) * m.ideal[m.stations[s, at.SC_IDEAL] + product + 1]


@hot
def could_make(m: Model, s: int, k: int, steps: int, ns: int) -> bool:
    """Whether station s can have made so many steps of its counter k in `ns`: one step at any moment, and what its
    fastest part allows."""
    scale = m.counters[k, at.KC_SCALE]
    fastest = m.stations[s, at.SC_FASTEST_NS]
    if steps > m.stations[s, at.SC_MAX_PARTS] // scale:
        return False
    return bool(steps <= 1 or fastest == 0 or (steps - 1) * scale <= ns // fastest)


@bare
def doubt_reading(m: Model, x: State, o: Out, s: int, k: int, epoch: int, value: int, t: int) -> int:
    """A reading that does not follow from the last believed one: hold it, or let it confirm the one that is held.

    Returns the steps to book, -1 where the reading is held.
    """
    row = x.counters[k]
    line = m.stations[s, at.SC_LINE]
    if row[at.K_HELD]:
        held = row[at.K_HELD_VALUE]
        since = row[at.K_HELD_TS]
        if t == since and value == held and epoch == row[at.K_HELD_EPOCH]:
            return -1
        steps, kind = increment(held, value, m.counters[k, at.KC_MODULUS] if row[at.K_HELD_EPOCH] == epoch else 0)
        if t > since and kind != RESET and could_make(m, s, k, steps, t - since):
            modulus = m.counters[k, at.KC_MODULUS] if row[at.K_EPOCH] == row[at.K_HELD_EPOCH] else 0
            first, kind_of_first = increment(row[at.K_VALUE], held, modulus)
            if kind_of_first == ROLLOVER and not could_make(m, s, k, first, since - row[at.K_MOVED]):
                first = held  # it began again
            # A counter may be sent more often than it moves; what cannot have been made since is another counter.
            moved = could_make(m, s, k, first, since - row[at.K_MOVED])
            if not moved or kind_of_first == RISE:
                alert(o, line, s, at.DOUBT_STEP if moved else at.DOUBT_BASELINE, at.RAISED, t, k)
            row[at.K_VALUE] = value
            row[at.K_EPOCH] = epoch
            row[at.K_TS] = t
            row[at.K_MOVED] = t if kind != REPEAT else since
            row[at.K_HELD] = 0
            return steps + first if moved else steps
        alert(o, line, s, at.DOUBT_READING, at.RAISED, t, k)
    row[at.K_HELD] = 1
    row[at.K_HELD_VALUE] = value
    row[at.K_HELD_EPOCH] = epoch
    row[at.K_HELD_TS] = t
    return -1


@hot
def read_counter(m: Model, x: State, o: Out, s: int, k: int, epoch: int, value: int, t: int, product: int) -> None:
    """What a running counter shows: the parts made since the last reading, or a reading that is not believed yet."""
    row = x.counters[k]
    previous = row[at.K_VALUE] if row[at.K_SEEN] else -1
    modulus = m.counters[k, at.KC_MODULUS] if row[at.K_EPOCH] == epoch else 0
    steps, kind = increment(previous, value, modulus)
    # A fall waits, unless the source has started again.
    sound = kind != RESET or row[at.K_EPOCH] != epoch
    if not (sound and could_make(m, s, k, steps, t - row[at.K_TS])):
        steps = doubt_reading(m, x, o, s, k, epoch, value, t)
        if steps < 0:
            return
    else:
        if row[at.K_HELD]:
            row[at.K_HELD] = 0
            alert(o, m.stations[s, at.SC_LINE], s, at.DOUBT_READING, at.RAISED, t, k)
        if kind != REPEAT:
            row[at.K_MOVED] = t
        row[at.K_SEEN] = 1
        row[at.K_VALUE] = value
        row[at.K_EPOCH] = epoch
        row[at.K_TS] = t
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
def apply(m: Model, x: State, o: Out, line: int, events: I64, k: int, j: int, t: int) -> int:
    """events[k] at its instant, which ends at j. Classes of stations follow at the end of the instant.

    Returns the station that has completed a part by it, -1 none.
    """
    completed = -1
    row = x.lines[line]
    event = events[k]
    kind = event[at.E_TYPE]
    s = event[at.E_STATION]
    if kind == CYCLE:
        if row[at.L_CYCLES] == 0:
            begin_cycles(m, x, o, line, t)
            row[at.L_CYCLES] = 1
        product = event[at.E_PRODUCT] if event[at.E_PRODUCT] >= 0 else row[at.L_PRODUCT]
        if event[at.E_CODE] == END:
            place = complete(m, x, o, line, s, event[at.E_A], t)
            begun = x.stations[place if place >= 0 else s, at.S_CYCLE_PRODUCT]
            if event[at.E_PRODUCT] < 0 and begun >= 0:
                product = begun
            if place >= 0:
                completed = s
            if m.stations[s, at.SC_PARTS_FROM_CYCLE]:
                add_parts(m, x, s, 1, 0, 0, product)
        else:
            start(m, x, o, line, s, event[at.E_A], event[at.E_PRODUCT], events, k + 1, j, t)
    elif kind == STATE:
        x.stations[s, at.S_REPORTED] = event[at.E_CODE]
        x.stations[s, at.S_WORD] = event[at.E_X]
        x.stations[s, at.S_REASON] = event[at.E_Y]
        bits.add(o.touched, s)
    elif kind == COUNT:
        if event[at.E_CODE] == COUNTER:
            read_counter(m, x, o, s, event[at.E_X], event[at.E_EPOCH], event[at.E_A], t, row[at.L_PRODUCT])
        else:
            add_parts(m, x, s, event[at.E_A], event[at.E_B], event[at.E_C], row[at.L_PRODUCT])
    elif kind == ORDER:
        if event[at.E_CODE] == END:
            # The end of an order that is not the running one says nothing about the running one.
            if row[at.L_ORDER] == event[at.E_X]:
                accrue_line(m, x, line, t)
                close_order(m, x, o, line, t)
        else:
            accrue_line(m, x, line, t)
            close_order(m, x, o, line, t)
            begin_order(m, x, line, event, t)
    elif kind == BUFFER:
        set_level(m, x, o, line, event[at.E_X], event[at.E_A], t)
    return completed


@hot
def hear(m: Model, x: State, o: Out, line: int, s: int, t: int) -> None:
    row = x.stations[s]
    if row[at.S_STALE]:
        row[at.S_STALE] = 0
        due = t + m.stations[s, at.SC_STALE_NS] + 1
        x.lines[line, at.L_NEXT_STALE] = min(x.lines[line, at.L_NEXT_STALE], due)
        x.lines[line, at.L_NEXT] = min(x.lines[line, at.L_NEXT], due)
        alert(o, line, s, at.ALERT_STALE, at.CLEARED, t, row[at.S_SEEN_TS])
        bits.add(o.touched, s)
    row[at.S_SEEN_TS] = t
    if row[at.S_OWN] == 0:
        row[at.S_OWN] = 1
        bits.add(o.touched, s)


@bare
def hear_all(m: Model, x: State, o: Out, line: int, t: int) -> None:
    """A heartbeat of the line speaks for all its stations, but is no event of theirs."""
    lo = m.lines[line, at.LC_STATION]
    for s in range(lo, lo + m.lines[line, at.LC_STATIONS]):
        own = x.stations[s, at.S_OWN]
        hear(m, x, o, line, s, t)
        x.stations[s, at.S_OWN] = own


@bare
def touch_line(m: Model, x: State, o: Out, line: int) -> None:
    lo = m.lines[line, at.LC_STATION]
    for s in range(lo, lo + m.lines[line, at.LC_STATIONS]):
        bits.add(o.touched, s)


@hot
def instant(m: Model, x: State, o: Out, line: int, events: I64, i: int, j: int, t: int) -> None:
    """All events of a line at one instant, in order of phase; then every class it may have changed."""
    row = x.lines[line]
    row[at.L_LAST] = t
    row[at.L_FOLDED] += j - i
    everywhere = row[at.L_T0] == t
    flows = False
    completed = -1
    for k in range(i, j + 1):
        # Parts move once all completions are known, and after each event behind them.
        if flows and (k == j or events[k, at.E_PHASE] > at.PHASE_COMPLETION):
            unblock(m, x, o, line, completed, events, k, j, t)
            completed = -1
        if k == j:
            break
        event = events[k]
        s = event[at.E_STATION]
        kind = event[at.E_TYPE]
        if s >= 0:
            hear(m, x, o, line, s, t)
        else:
            everywhere = True
            if kind == HEARTBEAT:
                hear_all(m, x, o, line, t)
        if kind in (CYCLE, BUFFER):
            flows = True
            everywhere |= row[at.L_CYCLES] == 0
        if completed >= 0:
            bits.add(o.pending, completed)
        completed = apply(m, x, o, line, events, k, j, t)
    if everywhere:
        touch_line(m, x, o, line)
    settle_touched(m, x, o, line, events, i, everywhere or flows, t)
    if row[at.L_DIRTY]:
        choose_causal(m, x, line)


@hot
def settle_touched(m: Model, x: State, o: Out, line: int, events: I64, k: int, by_place: bool, t: int) -> None:
    """Settle what was touched at this instant, by place or in the order of the events from k on.

    What was not touched has the class that it had: settling it, too, would change nothing but how far its time is
    accounted.
    """
    lo = m.lines[line, at.LC_STATION]
    hi = lo + m.lines[line, at.LC_STATIONS]
    s = bits.lowest(o.touched, lo, hi)
    while s >= 0:
        if not by_place:
            while not bits.has(o.touched, events[k, at.E_STATION]):
                k += 1
            s = natural(events[k, at.E_STATION])
        bits.discard(o.touched, s)
        settle(m, x, o, line, s, t)
        s = bits.lowest(o.touched, lo, hi)


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
        line = natural(events[i, at.E_LINE])
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
