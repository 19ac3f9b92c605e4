"""Measures leave the fold as observations: what was measured, and what the line was doing. No state is theirs here."""

import numpy as np
import numpy.typing as npt

from kernels.codes import N_CLASSES
from kernels.fold import layout as at
from kernels.fold.arrays import Out, State
from kernels.fold.work_order import order_of, product_text_of
from kernels.jit import bare

I64 = npt.NDArray[np.int64]


@bare
def observe(x: State, o: Out, line: int, event: I64, t: int) -> None:
    """Write the observation of a measure event. Its context is that of the time up to t: orders and classes that change
    at t change behind it. An event that names another order than the open one belongs to that one, of which no product
    is known."""
    i = o.n[at.N_MEASURED]
    out = o.measured[i]
    s = event[at.E_STATION]
    out[at.MO_LINE] = line
    out[at.MO_STATION] = s
    out[at.MO_MEASURE] = event[at.E_X]
    out[at.MO_TS] = t
    out[at.MO_EPOCH] = event[at.E_EPOCH]
    out[at.MO_VALUE] = event[at.E_A]
    if s >= 0:
        order = order_of(x, line, s)
        product = product_text_of(x, line, s)
        row = x.stations[s]
        out[at.MO_CLASS] = row[at.S_CLASS]
        for c in range(N_CLASSES + 1):
            out[at.MO_TIMES + c] = x.total[s, c]
        out[at.MO_TIMES + row[at.S_CLASS]] += max(t - row[at.S_ACCRUED], 0)
    else:
        order = int(x.lines[line, at.L_ORDER])
        product = int(x.lines[line, at.L_PRODUCT_TEXT])
        out[at.MO_CLASS] = -1
        for c in range(N_CLASSES + 1):
            out[at.MO_TIMES + c] = 0
    named = event[at.E_Y]
    if named >= 0 and named != order:
        order = named
        product = -1
    out[at.MO_ORDER] = order
    out[at.MO_PRODUCT] = product
    o.n[at.N_MEASURED] += 1
