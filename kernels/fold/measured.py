"""Measures leave the fold as observations: what was measured, and what the line was doing. No state is theirs here.

So does what a count says beside its parts: a defect that was found, and the unit that passed or did not.
"""

import numpy as np
import numpy.typing as npt

from kernels.codes import COUNT, GOOD, N_CLASSES, REWORK, SCRAP
from kernels.fold import layout as at
from kernels.fold.arrays import Model, Out, State
from kernels.fold.work_order import order_of, product_text_of
from kernels.jit import bare

I64 = npt.NDArray[np.int64]


@bare
def observe(x: State, o: Out, line: int, event: I64, t: int, measure: int, value: int, units: int) -> None:
    """Write an observation, `value` of so many `units`. Its context is that of the time up to t: orders and classes
    that change at t change behind it. An event that names another order than the open one belongs to that one, of
    which no product is known."""
    i = o.n[at.N_MEASURED]
    out = o.measured[i]
    s = event[at.E_STATION]
    out[at.MO_LINE] = line
    out[at.MO_STATION] = s
    out[at.MO_MEASURE] = measure
    out[at.MO_TS] = t
    out[at.MO_EPOCH] = event[at.E_EPOCH]
    out[at.MO_VALUE] = value
    out[at.MO_N] = units
    counted = event[at.E_TYPE] == COUNT
    out[at.MO_COUNTED] = 1 if counted else 0
    out[at.MO_UNIT] = event[at.E_PRODUCT] if counted else 0
    if s >= 0:
        order = order_of(x, line, s)
        product = product_text_of(x, line, s)
        row = x.stations[s]
        out[at.MO_CLASS] = row[at.S_CLASS]
        out[at.MO_GOOD] = x.total[s, GOOD]
        out[at.MO_MADE] = x.total[s, GOOD] + x.total[s, SCRAP] + x.total[s, REWORK]
        for c in range(N_CLASSES + 1):
            out[at.MO_TIMES + c] = x.total[s, c]
        out[at.MO_TIMES + row[at.S_CLASS]] += max(t - row[at.S_ACCRUED], 0)
    else:
        order = int(x.lines[line, at.L_ORDER])
        product = int(x.lines[line, at.L_PRODUCT_TEXT])
        out[at.MO_CLASS] = -1
        out[at.MO_GOOD] = 0
        out[at.MO_MADE] = 0
        for c in range(N_CLASSES + 1):
            out[at.MO_TIMES + c] = 0
    named = event[at.E_Y]
    if named >= 0 and named != order:
        order = named
        product = -1
    out[at.MO_ORDER] = order
    out[at.MO_PRODUCT] = product
    o.n[at.N_MEASURED] += 1


@bare
def observe_parts(m: Model, x: State, o: Out, line: int, event: I64, t: int) -> None:
    """Of parts that name a defect or a unit: how many have it, and whether the unit passed. Two rows at most."""
    bad = event[at.E_B] + event[at.E_C]
    if event[at.E_X] >= 0 and bad > 0:
        observe(x, o, line, event, t, event[at.E_X], bad, -1)
    first = m.stations[event[at.E_STATION], at.SC_FIRST_PASS]
    if first >= 0 and event[at.E_PRODUCT] > 0 and event[at.E_A] + bad > 0:
        observe(x, o, line, event, t, first, 1 if bad == 0 else 0, 1)
