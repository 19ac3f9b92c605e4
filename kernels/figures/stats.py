"""How sure a share is: interval from batch means, and the verdict that may be drawn from it."""

from typing import Final

import numpy as np
import numpy.typing as npt

from kernels.codes import NONE
from kernels.jit import kernel

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

MIN_PANES: Final = 3  # fewer give no verdict: Student's t for two panes is 12.7 standard errors

# 97.5 % points of Student's t for 1..12 degrees of freedom; index 0 is unused.
_T975: Final = np.array(
    [
        np.nan,
        12.706204736,
        4.302652730,
        3.182446305,
        2.776445105,
        2.570581836,
        2.446911851,
        2.364624252,
        2.306004135,
        2.262157163,
        2.228138852,
        2.200985160,
        2.178812830,
    ]
)
_Z975: Final = 1.959963984540054  # 97.5 % point of the normal distribution


@kernel
def t975(degrees: int) -> float:
    """97.5 % point of Student's t (two-sided 95 %), off by less than 1e-5; NaN below one degree of freedom.

    A table to 12 degrees, beyond it the expansion in 1/degrees of Abramowitz and Stegun 26.7.5.
    """
    if degrees < 1:
        return np.nan
    if degrees < _T975.size:
        return float(_T975[degrees])
    z = _Z975
    z2 = z * z
    g1 = z * (z2 + 1.0) / 4.0
    g2 = z * ((5.0 * z2 + 16.0) * z2 + 3.0) / 96.0
    g3 = z * (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) / 384.0
    g4 = z * ((((79.0 * z2 + 776.0) * z2 + 1482.0) * z2 - 1920.0) * z2 - 945.0) / 92160.0
    d = float(degrees)
    return z + (g1 + (g2 + (g3 + g4 / d) / d) / d) / d


@kernel
def batch_means(values_ns: I64, elapsed_ns: I64) -> tuple[F64, F64, int]:
    """Share of each station over all panes, half width of its 95 % interval, and the number of panes used.

    `values_ns` (panes, stations), `elapsed_ns` (panes,). The share is the ratio of the sums, so that a pane cut short
    weighs what it lasted; its variance is the ratio estimator's (Cochran 1977, 6.13),
    n / (n - 1) * sum((x - share * e)^2) / sum(e)^2, which for panes of one length is the usual batch means
    (Law 2015, 9.5.3). Panes without elapsed time are left out. The share is NaN without any pane, the half width
    with fewer than two; it is good to 1e-15 of the whole, times the quantile. Neighbouring panes are taken as
    independent: they must be long against a part's way through the line.
    """
    panes, stations = values_ns.shape
    share = np.full(stations, np.nan)
    half = np.full(stations, np.nan)
    n = 0
    total = np.int64(0)
    for i in range(panes):
        if elapsed_ns[i] > 0:
            n += 1
            total += elapsed_ns[i]
    if n == 0:
        return share, half, n
    for s in range(stations):
        summed = np.int64(0)
        for i in range(panes):
            if elapsed_ns[i] > 0:
                summed += values_ns[i, s]
        share[s] = summed / total
        if n < 2:
            continue
        squares = 0.0
        for i in range(panes):
            if elapsed_ns[i] > 0:
                # Scaled by the total before squaring: ns squared would lose digits for nothing.
                residual = (values_ns[i, s] - share[s] * elapsed_ns[i]) / total
                squares += residual * residual
        half[s] = t975(n - 1) * np.sqrt(squares * n / (n - 1))
    return share, half, n


@kernel
def verdict(share: F64, low: F64, high: F64, panes: int) -> int:
    """Index of the station with the highest share, or -1 (undecided).

    Undecided with fewer than `MIN_PANES` panes, without intervals (NaN), and while the interval of any other station
    reaches into that of the highest. Any other, not only the second: a third with a wider interval may as well be
    the true first.
    """
    if panes < MIN_PANES or share.size == 0:
        return NONE
    best = 0
    for s in range(share.size):
        if not (low[s] <= share[s] <= high[s]):
            return NONE
        if share[s] > share[best]:
            best = s
    for s in range(share.size):
        if s != best and high[s] >= low[best]:
            return NONE
    return best
