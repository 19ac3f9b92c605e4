"""The fold: sorted events of a partition into state, and the rows that became certain."""

import numpy as np
import numpy.typing as npt

from kernels.codes import BUFFER, COUNT, CYCLE, END, HEARTBEAT, MEASURE, ORDER, STATE
from kernels.fold import bits
from kernels.fold import layout as at
from kernels.fold.arrays import Columns, Gathered, Model, Out, State
from kernels.fold.classes import choose_causal, note_reason, settle
from kernels.fold.cuts import emit
from kernels.fold.flow import begin_cycles, complete, set_level, start
from kernels.fold.measured import observe
from kernels.fold.moves import unblock
from kernels.fold.order import gather
from kernels.fold.orders import begins_too, change_order
from kernels.fold.out import alert
from kernels.fold.parts import belongs_before, book_after, book_before, book_count, book_cycle, has_orders
from kernels.fold.timers import begin_line, follow_again, run_timers, skip_silence
from kernels.index import natural
from kernels.jit import bare, hot

I8 = npt.NDArray[np.int8]
I64 = npt.NDArray[np.int64]


@hot
def room(m: Model, x: State, o: Out, line: int, group: int) -> bool:
    """Whether all that one instant can give, with `group` events, fits into the output and the closings.

    What is as long as the alerts then has room for each event of the instant, too (`Out.begun`).
    """
    n = m.lines[line, at.LC_STATIONS]
    slots = m.lines[line, at.LC_TICK_SLOTS] * m.lines[line, at.LC_WINDOWS] + x.closings.shape[1]
    rows = 6 * n + group + 4
    return bool(
        x.closings.shape[1] - x.lines[line, at.L_CLOSINGS] >= (4 if group < 2 else 6)
        and o.kpis.shape[0] - o.n[at.N_KPI] >= n * slots
        and o.intervals.shape[0] - o.n[at.N_INTERVAL] >= rows
        and o.paths.shape[0] - o.n[at.N_PATH] >= rows
        and o.alerts.shape[0] - o.n[at.N_ALERT] >= rows + 4 * group
        and o.active.shape[0] - o.n[at.N_ACTIVE] >= rows
        and o.measured.shape[0] - o.n[at.N_MEASURED] >= 2 * group
    )


@hot
def apply(m: Model, x: State, o: Out, line: int, events: I64, i: int, k: int, j: int, t: int, booked: bool) -> int:
    """events[k] at its instant, events[i:j]. Classes of stations follow at the end of the instant.

    `booked`: its parts are booked.

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
        before = row[at.L_CONTRADICTIONS]
        if event[at.E_X] >= 0 and event[at.E_PRODUCT] < 0 and m.lines[line, at.LC_PRODUCTS] > 0:
            alert(o, line, s, at.DOUBT_PRODUCT, at.RAISED, t, event[at.E_X])
        if event[at.E_CODE] == END:
            place = complete(m, x, o, line, s, event[at.E_A], t)
            # Where none was open nothing is known of what ended: the product of an earlier cycle is not it.
            begun = x.stations[place, at.S_CYCLE_PRODUCT] if place >= 0 else -1
            o.begun[k - i] = begun
            if place >= 0:
                completed = s
            # Where orders change behind it, a part of the open order is booked before they do.
            if m.stations[s, at.SC_PARTS_FROM_CYCLE] and (not booked or belongs_before(x, o, line, event)):
                book_cycle(m, x, o, line, event, t, begun)
        else:
            start(m, x, o, line, s, event[at.E_A], event[at.E_PRODUCT], events, k + 1, j, t)
        if row[at.L_CONTRADICTIONS] > before:
            alert(o, line, s, at.DOUBT_CYCLES, at.RAISED, t, row[at.L_CONTRADICTIONS] - before)
    elif kind == STATE:
        note_reason(x, s, event, t)
        x.stations[s, at.S_REPORTED] = event[at.E_CODE]
        x.stations[s, at.S_WORD] = event[at.E_X]
        x.stations[s, at.S_REASON] = event[at.E_Y]
        bits.add(o.touched, s)
    elif kind == COUNT:
        if not booked:
            book_count(m, x, o, line, event, t)
    elif kind == ORDER:
        later = event[at.E_CODE] == END and begins_too(m, x, line, events, k, j)
        o.begun[k - i] = 1 if later else 0
        if not later:
            change_order(m, x, o, line, event, t)
    elif kind == BUFFER:
        set_level(m, x, o, line, event[at.E_X], event[at.E_A], t)
    elif kind == MEASURE:
        observe(x, o, line, event, t, event[at.E_X], event[at.E_A], event[at.E_B])
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


@bare
def end_begun(m: Model, x: State, o: Out, line: int, events: I64, i: int, j: int, t: int) -> None:
    """End the orders that begin and end at this one instant, whose parts are booked now. events[i:j] are applied."""
    for k in range(i, j):
        if events[k, at.E_TYPE] == ORDER and events[k, at.E_CODE] == END and o.begun[k - i]:
            change_order(m, x, o, line, events[k], t)


@hot
def instant(m: Model, x: State, o: Out, line: int, events: I64, i: int, j: int, t: int) -> None:
    """All events of a line at one instant, in order of phase; then every class it may have changed."""
    row = x.lines[line]
    row[at.L_LAST] = t
    row[at.L_FOLDED] += j - i
    everywhere = row[at.L_T0] == t
    flows = False
    completed = -1
    orders = j - i > 1 and has_orders(events, i, j)
    behind = -1  # the last phase that the parts made at this instant were looked at behind
    for k in range(i, j + 1):
        if orders and behind < at.PHASE_ORDER_START:
            phase = events[k, at.E_PHASE] if k < j else at.PHASE_OTHER
            if behind < 0 and phase > at.PHASE_COMPLETION:
                book_before(m, x, o, line, events, i, j, t)
                behind = at.PHASE_COMPLETION
            if phase > at.PHASE_ORDER_START:
                book_after(m, x, o, line, events, i, j, t)
                end_begun(m, x, o, line, events, i, k, t)
                behind = at.PHASE_ORDER_START
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
        completed = apply(m, x, o, line, events, i, k, j, t, orders)
    if everywhere:
        touch_line(m, x, o, line)
    settle_touched(m, x, o, line, events, i, everywhere or flows, t)
    if row[at.L_DIRTY]:
        choose_causal(m, x, line)


@hot
def is_count_alone(x: State, line: int, events: I64, i: int, j: int, t: int) -> bool:
    """Whether the instant events[i:j] is one count, of a station whose class it cannot change.

    Most events of most plants are. Then nothing of `instant` is needed but the booking: its loops, and what the
    compiler prepares for them, are a quarter of such an event's time.
    """
    event = events[i]
    if j - i > 1 or event[at.E_TYPE] != COUNT or x.lines[line, at.L_DIRTY] or x.lines[line, at.L_T0] == t:
        return False
    s = natural(event[at.E_STATION])
    return bool(x.stations[s, at.S_STALE] == 0 and x.stations[s, at.S_OWN] != 0)


@hot
def count_alone(m: Model, x: State, o: Out, line: int, event: I64, t: int) -> None:
    """As `instant`."""
    row = x.lines[line]
    row[at.L_LAST] = t
    row[at.L_FOLDED] += 1
    x.stations[natural(event[at.E_STATION]), at.S_SEEN_TS] = t
    book_count(m, x, o, line, event, t)


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
def fold(m: Model, x: State, o: Out, events: I64, begin: int, n: int) -> int:
    """Fold events[begin:n], sorted by line, ts and the rest of the key; every instant of a line whole.

    Returns the index up to which they are folded: less than their number when the output has to be emptied (or the
    closings enlarged) first. Nothing depends on where it stops.
    """
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
        if x.lines[line, at.L_NEXT_CALENDAR] == at.FAR:
            follow_again(m, x, o, line, t)
            if not room(m, x, o, line, j - i):
                return i
        if is_count_alone(x, line, events, i, j, t):
            count_alone(m, x, o, line, events[i], t)
        else:
            instant(m, x, o, line, events, i, j, t)
        i = j
    return n


@bare
def fold_in_order(m: Model, x: State, o: Out, events: Columns, how: I8, work: Gathered) -> bool:
    """Fold the events that go IN_ORDER. What of their lines waits, and is due, must be folded before.

    A few thousand at a time are gathered as rows, line by line, and stay in the cache until they are folded; a line's
    last instant of those goes on with the next ones, which may be of it. False: the output has to be emptied first.
    """
    lines = work.begin.size
    while True:
        for line in range(work.turn[at.G_LINE], lines):
            if work.begin[line] < work.to[line]:
                work.begin[line] = fold(m, x, o, work.rows[work.turn[at.G_HALF]], work.begin[line], work.to[line])
                if work.begin[line] < work.to[line]:
                    work.turn[at.G_LINE] = line
                    return False
        if work.turn[at.G_NEXT] >= how.size:
            return True
        gather(events, how, work)


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
