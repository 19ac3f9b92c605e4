"""Rows of states and alerts that leave the fold, as integers."""

import numpy as np
import numpy.typing as npt

from kernels.fold import layout as at
from kernels.fold.arrays import Out
from kernels.jit import bare, hot

I64 = npt.NDArray[np.int64]


@bare
def alert(o: Out, line: int, s: int, kind: int, action: int, ts: int, since: int) -> None:
    i = o.n[at.N_ALERT]
    o.alerts[i, at.AO_LINE] = line
    o.alerts[i, at.AO_STATION] = s
    o.alerts[i, at.AO_KIND] = kind
    o.alerts[i, at.AO_ACTION] = action
    o.alerts[i, at.AO_TS] = ts
    o.alerts[i, at.AO_SINCE] = since
    o.n[at.N_ALERT] += 1


@hot
def interval(o: Out, line: int, s: int, row: I64, start: int, end: int, klass: int) -> None:
    """An interval of station s (`row`) in one class. One without length tells what its stop is (kernels.fold.stops)."""
    i = o.n[at.N_INTERVAL]
    o.intervals[i, at.IO_LINE] = line
    o.intervals[i, at.IO_STATION] = s
    o.intervals[i, at.IO_START] = start
    o.intervals[i, at.IO_END] = end
    o.intervals[i, at.IO_CLASS] = klass
    o.intervals[i, at.IO_WORD] = row[at.S_INTERVAL_WORD]
    o.intervals[i, at.IO_REASON] = row[at.S_INTERVAL_REASON]
    o.intervals[i, at.IO_ORDER] = row[at.S_ORDER]
    o.intervals[i, at.IO_PRODUCT] = row[at.S_PRODUCT]
    o.n[at.N_INTERVAL] += 1
