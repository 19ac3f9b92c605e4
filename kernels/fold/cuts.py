"""Cuts through the cumulative vectors: shifts, days, orders, panes, and the rows once they are decided."""

import numpy as np
import numpy.typing as npt

from kernels.codes import CYCLES, GOOD, IDEAL_NS, N_COLUMNS, STOPPED
from kernels.fold import layout as at
from kernels.fold.arrays import Model, Out, State
from kernels.fold.classes import period
from kernels.fold.path import closing_vector, reset_scope
from kernels.fold.stops import standing
from kernels.fold.work_order import order_of, product_text_of, quantity_of, stretch_scope, stretch_start
from kernels.jit import bare

I64 = npt.NDArray[np.int64]


@bare
def copy(to: I64, source: I64) -> None:
    """Element by element: an assignment of arrays allocates where they might overlap."""
    for i in range(source.size):
        to[i] = source[i]


@bare
def open_scope(m: Model, x: State, line: int, scope: int) -> None:
    lo = m.lines[line, at.LC_STATION]
    for s in range(lo, lo + m.lines[line, at.LC_STATIONS]):
        copy(x.base[s, scope], x.total[s])


@bare
def close_scope(m: Model, x: State, line: int, scope: int, start: int, t: int) -> None:
    """Put the totals of a scope among the closings; the line's time is accounted up to t."""
    k = x.lines[line, at.L_CLOSINGS]
    head = x.closings[line, k]
    head[at.X_SCOPE] = scope
    head[at.X_START] = start
    head[at.X_END] = t
    head[at.X_ORDER] = x.lines[line, at.L_ORDER]
    head[at.X_PRODUCT] = x.lines[line, at.L_PRODUCT_TEXT]
    head[at.X_SHIFT] = x.lines[line, at.L_SHIFT]
    head[at.X_LAST] = x.lines[line, at.L_LAST]
    head[at.X_QUANTITY] = x.lines[line, at.L_QUANTITY] if scope == at.SCOPE_ORDER else -1
    lo = m.lines[line, at.LC_STATION]
    for s in range(lo, lo + m.lines[line, at.LC_STATIONS]):
        for c in range(N_COLUMNS):
            x.deltas[s, k, c] = x.total[s, c] - x.base[s, scope, c]
        began_inside = x.total[s, STOPPED] > 0 and x.base[s, scope, STOPPED] == 0
        x.deltas[s, k, N_COLUMNS] = 1 if began_inside else 0
        about = x.closing_orders[s, k]
        about[at.CO_START] = start
        about[at.CO_QUANTITY] = -1
        if x.stations[s, at.S_STRETCH] == at.STRETCH_OF_LINE:
            about[at.CO_ROW] = at.ROW_OF_LINE
            about[at.CO_ORDER] = -1
            about[at.CO_PRODUCT] = -1
        else:
            about[at.CO_ROW] = at.ROW_UNSEEN if scope == at.SCOPE_ORDER else at.ROW_OWN
            about[at.CO_ORDER] = order_of(x, line, s)
            about[at.CO_PRODUCT] = product_text_of(x, line, s)
    x.lines[line, at.L_CLOSINGS] = k + 1


@bare
def made_since(x: State, s: int, scope: int) -> bool:
    """Whether s has made parts in a scope: an order that begins and ends at one instant has a row if it has any."""
    for c in range(GOOD, IDEAL_NS + 1):
        if x.total[s, c] != x.base[s, scope, c]:
            return True
    return False


@bare
def close_stretch(m: Model, x: State, line: int, s: int, t: int) -> None:
    """Put what s did with its order among the closings: of all stations that leave one at t together."""
    start = stretch_start(x, line, s)
    if order_of(x, line, s) < 0 or (t <= start and not made_since(x, s, stretch_scope(x, s))):
        return
    lo = m.lines[line, at.LC_STATION]
    k = x.lines[line, at.L_CLOSINGS] - 1
    together = k >= 0 and x.closings[line, k, at.X_SCOPE] == at.SCOPE_STRETCH and x.closings[line, k, at.X_END] == t
    # Its second one of this instant is of an order that has begun at it, too.
    if not together or x.closing_orders[s, k, at.CO_ROW] != at.ROW_NONE:
        k += 1
        head = x.closings[line, k]
        head[at.X_SCOPE] = at.SCOPE_STRETCH
        head[at.X_START] = start
        head[at.X_END] = t
        head[at.X_ORDER] = -1
        head[at.X_PRODUCT] = -1
        head[at.X_SHIFT] = x.lines[line, at.L_SHIFT]
        head[at.X_LAST] = x.lines[line, at.L_LAST]
        head[at.X_QUANTITY] = -1
        for other in range(lo, lo + m.lines[line, at.LC_STATIONS]):
            for c in range(N_COLUMNS + 1):
                x.deltas[other, k, c] = 0
            about = x.closing_orders[other, k]
            about[at.CO_ROW] = at.ROW_NONE
            about[at.CO_ORDER] = -1
            about[at.CO_PRODUCT] = -1
            about[at.CO_START] = t
            about[at.CO_QUANTITY] = -1
        x.lines[line, at.L_CLOSINGS] = k + 1
    scope = stretch_scope(x, s)
    for c in range(N_COLUMNS):
        x.deltas[s, k, c] = x.total[s, c] - x.base[s, scope, c]
    began_inside = x.total[s, STOPPED] > 0 and x.base[s, scope, STOPPED] == 0
    x.deltas[s, k, N_COLUMNS] = 1 if began_inside else 0
    about = x.closing_orders[s, k]
    about[at.CO_ROW] = at.ROW_OWN
    about[at.CO_ORDER] = order_of(x, line, s)
    about[at.CO_PRODUCT] = product_text_of(x, line, s)
    about[at.CO_START] = start
    about[at.CO_QUANTITY] = quantity_of(x, line, s)


@bare
def open_stretch(x: State, s: int, mode: int, t: int) -> None:
    """From t on s works on another order than so far (`mode`: STRETCH_*), or on none."""
    row = x.stations[s]
    row[at.S_STRETCH] = mode
    row[at.S_STRETCH_START] = t
    copy(x.base[s, at.SCOPE_STRETCH], x.total[s])
    if mode != at.STRETCH_OWN:
        row[at.S_OWN_ORDER] = -1
        row[at.S_OWN_PRODUCT] = -1
        row[at.S_OWN_PRODUCT_TEXT] = -1
        row[at.S_OWN_QUANTITY] = -1
    row[at.S_OWN_DUE] = 0


@bare
def path_row(o: Out, x: State, line: int, s: int, kind: int, start: int, t: int, path_ns: int, base: I64) -> None:
    """`base`: blocked, starved, running, causal of s at `start`."""
    i = o.n[at.N_PATH]
    out = o.paths[i]
    out[at.PO_LINE] = line
    out[at.PO_STATION] = s
    out[at.PO_KIND] = kind
    out[at.PO_START] = start
    out[at.PO_END] = t
    out[at.PO_SHIFT] = x.lines[line, at.L_SHIFT]
    out[at.PO_ORDER] = x.lines[line, at.L_ORDER]
    out[at.PO_PRODUCT] = x.lines[line, at.L_PRODUCT_TEXT]
    out[at.PO_PATH_NS] = path_ns
    for k in range(4):
        out[at.PO_BLOCKED + k] = x.total[s, at.PANE_COLUMNS[k]] - base[k]
    out[at.PO_CYCLES] = x.total[s, CYCLES] - x.stations[s, at.S_PANE_CYCLES if kind == at.PANE else at.S_TOTAL_CYCLES]
    o.n[at.N_PATH] += 1


@bare
def close_pane(m: Model, x: State, o: Out, line: int, t: int) -> None:
    lo = m.lines[line, at.LC_STATION]
    n = m.lines[line, at.LC_STATIONS]
    start = x.lines[line, at.L_PANE_START]
    if m.lines[line, at.LC_BUFFERS] and t > start and x.lines[line, at.L_LAST] >= start:
        path = o.path
        closing_vector(m, x, o, line, at.V_PANE, t, path)
        for s in range(lo, lo + n):
            if x.stations[s, at.S_ACTIVE_SINCE] >= 0:
                period(o, line, s, x.stations[s, at.S_ACTIVE_SINCE], t, 1)
            path_row(o, x, line, s, at.PANE, start, t, path[s - lo], x.pane_base[s])
    x.lines[line, at.L_PANE_START] = t
    reset_scope(m, x, line, at.V_PANE)
    for s in range(lo, lo + n):
        for k in range(4):
            x.pane_base[s, k] = x.total[s, at.PANE_COLUMNS[k]]


@bare
def close_order(m: Model, x: State, o: Out, line: int, t: int) -> None:
    if x.lines[line, at.L_ORDER] < 0:
        return
    start = x.lines[line, at.L_ORDER_START]
    n = m.lines[line, at.LC_STATIONS]
    for s in range(m.lines[line, at.LC_STATION], m.lines[line, at.LC_STATION] + n):
        if x.stations[s, at.S_STRETCH] == at.STRETCH_AGAIN:
            close_stretch(m, x, line, s, t)
    lo = m.lines[line, at.LC_STATION]
    made = t > start
    for s in range(lo, lo + n):
        made = made or made_since(x, s, at.SCOPE_ORDER)
    if made:
        close_scope(m, x, line, at.SCOPE_ORDER, start, t)
    if m.lines[line, at.LC_BUFFERS] and t > start:
        path = o.path
        base = o.pane
        closing_vector(m, x, o, line, at.V_TOTAL, t, path)
        for s in range(lo, lo + n):
            for k in range(4):
                base[k] = x.base[s, at.SCOPE_ORDER, at.PANE_COLUMNS[k]]
            path_row(o, x, line, s, at.ORDER_PATH, start, t, path[s - lo], base)
    x.lines[line, at.L_ORDER] = -1
    x.lines[line, at.L_PRODUCT] = -1
    x.lines[line, at.L_PRODUCT_TEXT] = -1
    x.lines[line, at.L_QUANTITY] = -1
    x.lines[line, at.L_DUE] = 0
    for s in range(m.lines[line, at.LC_STATION], m.lines[line, at.LC_STATION] + n):
        if x.stations[s, at.S_STRETCH] in (at.STRETCH_AGAIN, at.STRETCH_LEFT):
            open_stretch(x, s, at.STRETCH_OF_LINE, t)


@bare
def decided_before(m: Model, x: State, line: int, t: int) -> bool:
    """Whether no stop of undecided length began before t."""
    if x.lines[line, at.L_UNDECIDED] == 0:
        return True
    lo = m.lines[line, at.LC_STATION]
    for s in range(lo, lo + m.lines[line, at.LC_STATIONS]):
        if standing(x, s) == STOPPED and x.stations[s, at.S_STOP_START] < t:
            return False
    return True


@bare
def kpi_row(o: Out, line: int, s: int, window: int, start: int, end: int, shift: int, order: int, product: int) -> int:
    """Of one of all stations, with the order of the line; `own_row` says otherwise."""
    i = o.n[at.N_KPI]
    out = o.kpis[i]
    out[at.KO_LINE] = line
    out[at.KO_STATION] = s
    out[at.KO_WINDOW] = window
    out[at.KO_START] = start
    out[at.KO_END] = end
    out[at.KO_SHIFT] = shift
    out[at.KO_ORDER] = order
    out[at.KO_PRODUCT] = product
    out[at.KO_LINE_ORDER] = order
    out[at.KO_LINE_PRODUCT] = product
    out[at.KO_ROW] = at.ROW_OF_LINE
    out[at.KO_QUANTITY] = -1
    out[at.KO_LINE_QUANTITY] = -1
    o.n[at.N_KPI] += 1
    return int(i)


@bare
def own_row(out: I64, order: int, product: int, row: int) -> None:
    out[at.KO_ORDER] = order
    out[at.KO_PRODUCT] = product
    out[at.KO_ROW] = row


@bare
def keep_orders(m: Model, x: State, line: int, t: int) -> None:
    """What the stations work on at tick t, where it is not what the line says."""
    slots = m.lines[line, at.LC_TICK_SLOTS]
    slot = m.lines[line, at.LC_OWN_TICKS] + (t // m.lines[line, at.LC_PUBLISH_NS]) % slots
    lo = m.lines[line, at.LC_STATION]
    for s in range(lo, lo + m.lines[line, at.LC_STATIONS]):
        about = x.tick_orders[slot + (s - lo) * slots]
        own = x.stations[s, at.S_STRETCH] not in (at.STRETCH_OF_LINE, at.STRETCH_AGAIN)
        about[at.TO_OWN] = 1 if own else 0
        about[at.TO_ORDER] = order_of(x, line, s) if own else -1
        about[at.TO_PRODUCT] = product_text_of(x, line, s) if own else -1


@bare
def keep_tick(m: Model, x: State, line: int, t: int) -> None:
    """Put aside what the windows that end at tick t hold; the line's time is accounted up to t.

    Rows may have to wait for undecided stops. To leave the cuts in the rings until then took five times their memory:
    a stop of five minutes is 300 steps of a second.
    """
    lo = m.lines[line, at.LC_STATION]
    first = m.lines[line, at.LC_WINDOW]
    tick_slots = m.lines[line, at.LC_TICK_SLOTS]
    slot = (t // m.lines[line, at.LC_PUBLISH_NS]) % tick_slots
    for w in range(first, first + m.lines[line, at.LC_WINDOWS]):
        start = t - m.windows[w, at.WC_LENGTH]
        slots = m.windows[w, at.WC_SLOTS]
        cut = m.windows[w, at.WC_RING] + (start // m.windows[w, at.WC_STEP]) % slots
        for local in range(m.lines[line, at.LC_STATIONS]):
            total = x.total[lo + local]
            row = x.tick_deltas[m.windows[w, at.WC_TICKS] + local * tick_slots + slot]
            began_inside = total[STOPPED] > 0
            if start <= x.lines[line, at.L_T0]:
                copy(row, total)
            else:
                oldest = x.rings[cut + local * slots]
                for c in range(N_COLUMNS):
                    row[c] = total[c] - oldest[c]
                began_inside = began_inside and oldest[STOPPED] == 0
            row[N_COLUMNS] = 1 if began_inside else 0


@bare
def emit_ticks(m: Model, x: State, o: Out, line: int) -> None:
    lo = m.lines[line, at.LC_STATION]
    n = m.lines[line, at.LC_STATIONS]
    every = m.lines[line, at.LC_PUBLISH_NS]
    tick_slots = m.lines[line, at.LC_TICK_SLOTS]
    t0 = x.lines[line, at.L_T0]
    first = m.lines[line, at.LC_WINDOW]
    while x.lines[line, at.L_EMIT_TICK] < x.lines[line, at.L_NEXT_TICK]:
        end = x.lines[line, at.L_EMIT_TICK]
        if not decided_before(m, x, line, end):
            return
        slot = (end // every) % tick_slots
        about = x.ticks[m.lines[line, at.LC_TICKS] + slot]
        for w in range(first, first + m.lines[line, at.LC_WINDOWS]):
            start = end - m.windows[w, at.WC_LENGTH]
            if about[at.T_LAST] < max(start, t0):
                continue
            for s in range(lo, lo + n):
                written = kpi_row(
                    o, line, s, w, max(start, t0), end, about[at.T_SHIFT], about[at.T_ORDER], about[at.T_PRODUCT]
                )
                own = x.tick_orders[m.lines[line, at.LC_OWN_TICKS] + (s - lo) * tick_slots + slot]
                if own[at.TO_OWN]:
                    own_row(o.kpis[written], own[at.TO_ORDER], own[at.TO_PRODUCT], at.ROW_OF_LINE)
                kept = x.tick_deltas[m.windows[w, at.WC_TICKS] + (s - lo) * tick_slots + slot]
                copy(o.kpis[written, at.KO_COLUMNS :], kept[:N_COLUMNS])
        x.lines[line, at.L_EMIT_TICK] = end + every


@bare
def emit_closings(m: Model, x: State, o: Out, line: int) -> None:
    lo = m.lines[line, at.LC_STATION]
    hi = lo + m.lines[line, at.LC_STATIONS]
    done = 0
    count = x.lines[line, at.L_CLOSINGS]
    while done < count and decided_before(m, x, line, x.closings[line, done, at.X_END]):
        head = x.closings[line, done]
        of_order = head[at.X_SCOPE] in (at.SCOPE_ORDER, at.SCOPE_STRETCH)
        if (of_order or head[at.X_END] > head[at.X_START]) and head[at.X_LAST] >= head[at.X_START]:
            alone = head[at.X_SCOPE] == at.SCOPE_STRETCH
            for s in range(lo, hi):
                about = x.closing_orders[s, done]
                if about[at.CO_ROW] == at.ROW_NONE:
                    continue
                written = kpi_row(
                    o,
                    line,
                    s,
                    -1 - (at.SCOPE_ORDER if alone else head[at.X_SCOPE]),
                    about[at.CO_START] if alone else head[at.X_START],
                    head[at.X_END],
                    head[at.X_SHIFT],
                    head[at.X_ORDER],
                    head[at.X_PRODUCT],
                )
                o.kpis[written, at.KO_QUANTITY] = about[at.CO_QUANTITY] if alone else head[at.X_QUANTITY]
                o.kpis[written, at.KO_LINE_QUANTITY] = head[at.X_QUANTITY]
                if about[at.CO_ROW] != at.ROW_OF_LINE:
                    row = at.ROW_UNSEEN if about[at.CO_ROW] == at.ROW_UNSEEN else at.ROW_OF_LINE
                    own_row(o.kpis[written], about[at.CO_ORDER], about[at.CO_PRODUCT], at.ROW_OWN if alone else row)
                copy(o.kpis[written, at.KO_COLUMNS :], x.deltas[s, done, :N_COLUMNS])
        done += 1
    if done == 0:
        return
    for k in range(done, count):
        copy(x.closings[line, k - done], x.closings[line, k])
        for s in range(lo, hi):
            copy(x.deltas[s, k - done], x.deltas[s, k])
            copy(x.closing_orders[s, k - done], x.closing_orders[s, k])
    x.lines[line, at.L_CLOSINGS] = count - done


@bare
def emit(m: Model, x: State, o: Out, line: int) -> None:
    emit_ticks(m, x, o, line)
    emit_closings(m, x, o, line)
