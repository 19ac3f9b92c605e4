"""Orders begin and end: of the line, or of one station.

A station's own order wins over the line's; without one it follows the line. The line's end of an order that a station
has as its own ends it there, too; the line's start of it is the same order going on.

A start sent again changes nothing but the quantity, if it tells one: of a plan that was changed the newest counts.
"""

import numpy as np
import numpy.typing as npt

from kernels.codes import END
from kernels.fold import bits
from kernels.fold import layout as at
from kernels.fold.arrays import Model, Out, State
from kernels.fold.classes import accrue, accrue_causal, accrue_line
from kernels.fold.cuts import close_order, close_stretch, open_scope, open_stretch
from kernels.fold.out import alert
from kernels.fold.path import reset_scope
from kernels.fold.work_order import order_of, product_text_of
from kernels.jit import bare

I64 = npt.NDArray[np.int64]


@bare
def change_order(m: Model, x: State, o: Out, line: int, event: I64, t: int) -> None:
    s = event[at.E_STATION]
    if event[at.E_CODE] != END and event[at.E_Y] >= 0 and event[at.E_PRODUCT] < 0 and m.lines[line, at.LC_PRODUCTS] > 0:
        alert(o, line, s, at.DOUBT_PRODUCT, at.RAISED, t, event[at.E_Y])
    # The only station of a line is the line.
    if s < 0 or m.lines[line, at.LC_STATIONS] == 1:
        if s >= 0:
            bits.add(o.touched, s)
        if event[at.E_CODE] == END:
            end_of_line(m, x, o, line, event, t)
        else:
            start_of_line(m, x, o, line, event, t)
        return
    bits.add(o.touched, s)
    if event[at.E_CODE] == END:
        end_of_station(m, x, o, line, s, event, t)
    else:
        start_of_station(m, x, o, line, s, event, t)


@bare
def begins_too(m: Model, x: State, line: int, events: I64, k: int, j: int) -> bool:
    """Whether the order that events[k] ends is not open and begins at the same instant: it is ended behind its start.

    Ends come before starts, for mostly another order begins where one ends.
    """
    s = events[k, at.E_STATION]
    order = events[k, at.E_X]
    alone = m.lines[line, at.LC_STATIONS] == 1
    if s >= 0 and not alone:
        if order_of(x, line, s) == order:
            return False
    else:
        if x.lines[line, at.L_ORDER] == order:
            return False
        lo = m.lines[line, at.LC_STATION]
        for one in range(lo, lo + m.lines[line, at.LC_STATIONS]):
            if x.stations[one, at.S_STRETCH] == at.STRETCH_OWN and x.stations[one, at.S_OWN_ORDER] == order:
                return False
    for n in range(k + 1, j):
        other = events[n]
        if other[at.E_PHASE] > at.PHASE_ORDER_START:
            break
        whose = other[at.E_STATION]
        same = other[at.E_PHASE] == at.PHASE_ORDER_START and other[at.E_X] == order
        if same and (alone or s < 0 or whose < 0 or whose == s):
            return True
    return False


@bare
def note_due(row: I64, due: int, event: I64) -> None:
    """When the start of an order says that it is due, into this column; sent again, the news."""
    if event[at.E_B] > 0:
        row[due] = event[at.E_B]


@bare
def end_of_line(m: Model, x: State, o: Out, line: int, event: I64, t: int) -> None:
    row = x.lines[line]
    order = event[at.E_X]
    there = row[at.L_ORDER] >= 0 and row[at.L_ORDER] == order
    accrue_line(m, x, line, t)
    if there:
        close_order(m, x, o, line, t)
    lo = m.lines[line, at.LC_STATION]
    for s in range(lo, lo + m.lines[line, at.LC_STATIONS]):
        if x.stations[s, at.S_STRETCH] == at.STRETCH_OWN and x.stations[s, at.S_OWN_ORDER] == order:
            there = True
            close_stretch(m, x, line, s, t)
            open_stretch(x, s, at.STRETCH_AGAIN if row[at.L_ORDER] >= 0 else at.STRETCH_OF_LINE, t)
    alert(o, line, event[at.E_STATION], at.NOTE_ORDER_ENDED if there else at.DOUBT_ORDER_END, at.RAISED, t, order)


@bare
def start_of_line(m: Model, x: State, o: Out, line: int, event: I64, t: int) -> None:
    """A start ends the order that is open."""
    row = x.lines[line]
    order = event[at.E_X]
    product = event[at.E_Y]
    if row[at.L_ORDER] >= 0 and row[at.L_ORDER] == order and row[at.L_PRODUCT_TEXT] == product:
        if event[at.E_A] >= 0:
            row[at.L_QUANTITY] = event[at.E_A]
        note_due(row, at.L_DUE, event)
        alert(o, line, event[at.E_STATION], at.DOUBT_ORDER_REPEATED, at.RAISED, t, order)
        return
    accrue_line(m, x, line, t)
    if row[at.L_ORDER] >= 0:
        alert(o, line, event[at.E_STATION], at.NOTE_ORDER_ENDED, at.RAISED, t, row[at.L_ORDER])
        close_order(m, x, o, line, t)
    alert(o, line, event[at.E_STATION], at.NOTE_ORDER_STARTED, at.RAISED, t, order)
    row[at.L_ORDER] = order
    row[at.L_PRODUCT] = event[at.E_PRODUCT]
    row[at.L_PRODUCT_TEXT] = product
    row[at.L_QUANTITY] = event[at.E_A]
    note_due(row, at.L_DUE, event)
    row[at.L_ORDER_START] = t
    open_scope(m, x, line, at.SCOPE_ORDER)
    row[at.L_TOTAL_START] = t
    reset_scope(m, x, line, at.V_TOTAL)
    lo = m.lines[line, at.LC_STATION]
    for s in range(lo, lo + m.lines[line, at.LC_STATIONS]):
        station = x.stations[s]
        if station[at.S_STRETCH] == at.STRETCH_OWN and station[at.S_OWN_ORDER] == order:
            if station[at.S_OWN_PRODUCT_TEXT] == product:
                # The same order goes on; what the station did of it so far is in one row with the rest.
                station[at.S_STRETCH] = at.STRETCH_AGAIN
                station[at.S_OWN_ORDER] = -1
                station[at.S_OWN_PRODUCT] = -1
                station[at.S_OWN_PRODUCT_TEXT] = -1
                station[at.S_OWN_QUANTITY] = -1
                station[at.S_OWN_DUE] = 0
            else:
                close_stretch(m, x, line, s, t)
                open_stretch(x, s, at.STRETCH_OF_LINE, t)


@bare
def end_of_station(m: Model, x: State, o: Out, line: int, s: int, event: I64, t: int) -> None:
    order = event[at.E_X]
    if order_of(x, line, s) != order:
        alert(o, line, s, at.DOUBT_ORDER_END, at.RAISED, t, order)
        return
    accrue(x, s, t)
    accrue_causal(x, line, t)
    close_stretch(m, x, line, s, t)
    running = x.lines[line, at.L_ORDER]
    if running < 0:
        open_stretch(x, s, at.STRETCH_OF_LINE, t)
    else:
        open_stretch(x, s, at.STRETCH_LEFT if running == order else at.STRETCH_AGAIN, t)
    alert(o, line, s, at.NOTE_ORDER_ENDED, at.RAISED, t, order)


@bare
def start_of_station(m: Model, x: State, o: Out, line: int, s: int, event: I64, t: int) -> None:
    order = event[at.E_X]
    before = order_of(x, line, s)
    own = x.stations[s, at.S_STRETCH] == at.STRETCH_OWN
    if before == order and product_text_of(x, line, s) == event[at.E_Y]:
        if own:
            if event[at.E_A] >= 0:
                x.stations[s, at.S_OWN_QUANTITY] = event[at.E_A]
            note_due(x.stations[s], at.S_OWN_DUE, event)
            alert(o, line, s, at.DOUBT_ORDER_REPEATED, at.RAISED, t, order)
        return
    accrue(x, s, t)
    accrue_causal(x, line, t)
    close_stretch(m, x, line, s, t)
    if own:
        alert(o, line, s, at.NOTE_ORDER_ENDED, at.RAISED, t, before)
    open_stretch(x, s, at.STRETCH_OWN, t)
    x.stations[s, at.S_OWN_ORDER] = order
    x.stations[s, at.S_OWN_PRODUCT] = event[at.E_PRODUCT]
    x.stations[s, at.S_OWN_PRODUCT_TEXT] = event[at.E_Y]
    x.stations[s, at.S_OWN_QUANTITY] = event[at.E_A]
    note_due(x.stations[s], at.S_OWN_DUE, event)
    alert(o, line, s, at.NOTE_ORDER_STARTED, at.RAISED, t, order)
