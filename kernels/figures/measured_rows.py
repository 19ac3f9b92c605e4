"""Rows of what was measured leave their table: copied in their order, integrals cut, laid out as columns."""

from typing import Final

import numpy as np
import numpy.typing as npt

from kernels.figures.measured import (
    C_FREE,
    C_FREED,
    FAR,
    M_HEAD,
    N_R,
    R_AMOUNT,
    R_DAY,
    R_DURING,
    R_END,
    R_LEAST,
    R_MEASURE,
    R_MOST,
    R_N,
    R_NEXT,
    R_ORDER,
    R_PRODUCT,
    R_SHIFT,
    R_SQUARES,
    R_T1,
    R_T2,
    R_TOTAL,
    R_USED,
    Books,
    new_row,
    slot_of,
)
from kernels.figures.wide import LIMB
from kernels.jit import bare, hot

I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

# X: columns of whole numbers of a result, and what of them a measure may have.
X_START: Final = 0
X_END: Final = 1
X_N: Final = 2
X_AMOUNT: Final = 3
X_LEAST: Final = 4
X_MOST: Final = 5
X_TOTAL: Final = 6
X_HIGH: Final = 7  # of the squares, whole 10^18, and what is left
X_LOW: Final = 8
X_T1: Final = 9
X_T2: Final = 10
N_X: Final = 11
HIGH_STEP: Final = 10**18

# U: an integral. Its unit as a fraction, and what is left over of its rows, in parts of U_BELOW.
U_TIMES: Final = 0
U_BELOW: Final = 1  # 0: no integral
U_REST: Final = 2  # -1 none yet, -2 not in such parts
N_U: Final = 3
NO_REST: Final = -1
OTHER_REST: Final = -2

_MOST_MOVED: Final = 16  # a row, on average; else numpy sorts
NARROW: Final = 1 << 62  # units and what is left over, beyond Python does it


@bare
def rows_of(b: Books, first: int, stop: int, line: int, until: int, take: bool, out: I64) -> tuple[int, bool]:
    """Copy the open rows of a line's measures (`first` up to `stop`) that end before `until`, R_NEXT their own numbers;
    returns how many, and whether they are in the order of rows: by R_END up to R_DURING. `take`: they are open no
    longer. `out` (.., N_R) has room for all."""
    n = 0
    oldest = FAR
    sorts = True
    for number in range(first, stop):
        k = b.slot[number] - 1
        r = b.meters[k, M_HEAD] - 1 if k >= 0 else -1
        before = -1
        begin = n
        while r >= 0:
            after = b.open[r, R_NEXT] - 1
            if b.open[r, R_END] >= until:
                oldest = min(oldest, b.open[r, R_END])
                before = r
            else:
                out[n, R_NEXT] = r
                for column in range(R_END, N_R):
                    out[n, column] = b.open[r, column]
                # Texts have an order of their own.
                sorts = sorts and out[n, R_ORDER] < 0 and out[n, R_PRODUCT] < 0
                n += 1
                if take:
                    if before < 0:
                        b.meters[k, M_HEAD] = after + 1
                    else:
                        b.open[before, R_NEXT] = after + 1
                    b.open[r, R_NEXT] = b.counts[C_FREE]
                    b.open[r, R_ORDER] = -1
                    b.open[r, R_PRODUCT] = -1
                    b.counts[C_FREE] = r + 1
                    b.counts[C_FREED] += 1
                else:
                    before = r
            r = after
        sorts = sorts and _sort(out, begin, n)
        # Those of one measure are; those of another one may have ended before.
        sorts = sorts and (begin == 0 or begin == n or out[begin - 1, R_END] <= out[begin, R_END])
    if take:
        b.oldest[line] = oldest
    return n, sorts


@hot
def _sort(out: I64, begin: int, end: int) -> bool:
    """Sort rows of one measure, without order and product: few, the newest first. False: they are many."""
    left = _MOST_MOVED * (end - begin)
    for i in range(begin + 1, end):
        j = i
        while j > begin and _before(out, j, j - 1):
            if left == 0:
                return False
            left -= 1
            for column in range(N_R):
                out[j, column], out[j - 1, column] = out[j - 1, column], out[j, column]
            j -= 1
    return True


@hot
def _before(out: I64, i: int, j: int) -> bool:
    for column in (R_END, R_DAY, R_SHIFT, R_DURING):
        if out[i, column] != out[j, column]:
            return bool(out[i, column] < out[j, column])
    return False


@bare
def put_rows(b: Books, line: int, rows: I64) -> None:
    """Open rows as `rows_of` copied them, R_NEXT then their numbers; there is room for them."""
    b.heard[line] = 1
    for i in range(rows.shape[0]):
        r = new_row(b, slot_of(b, rows[i, R_MEASURE]))
        for column in range(R_END, N_R):
            b.open[r, column] = rows[i, column]
        b.oldest[line] = min(b.oldest[line], rows[i, R_END])
        rows[i, R_NEXT] = r


@bare
def cut(rows: I64, units: I64, first: int) -> int:
    """Cut what integrals come to, in rows from `first` on, to their last decimal place; what is left over goes to the
    next row of the measure. Returns the number of rows, or the first one that needs more than 64 bits."""
    for i in range(first, rows.shape[0]):
        unit = units[rows[i, R_MEASURE]]
        times, below, rest = unit[U_TIMES], unit[U_BELOW], unit[U_REST]
        if below == 0:
            continue
        high, low = rows[i, R_AMOUNT], rows[i, R_AMOUNT + 1]
        if rest == OTHER_REST or high < -1 or high > 0:
            return i
        exact = (high << LIMB) + low
        if abs(exact) >= (NARROW - below) // times:
            return i
        exact = exact * times + max(rest, 0)
        amount = exact // below
        unit[U_REST] = exact - amount * below
        rows[i, R_AMOUNT] = amount >> LIMB
        rows[i, R_AMOUNT + 1] = amount & ((1 << LIMB) - 1)
    return int(rows.shape[0])


@bare
def lay_out(rows: I64, told: Flags, every: I64, codes: I32, cells: I64, absent: Flags, named: I32) -> tuple[bool, bool]:
    """Columns of rows: whole numbers (N_X, rows) in `cells`, which of them are `absent`; in `named` the codes that a
    measure has, a column each, and behind them its class. `told` (measures, N_X): what a measure has at all; `every`
    (measures,): its publishing interval; `codes` (measures, ..).

    Returns whether all have one day and shift, and whether squares need more than 64 bits (HIGH and LOW of these rows
    are left to the caller).
    """
    alike, wide = True, False
    for i in range(rows.shape[0]):
        row = rows[i]
        has = told[row[R_MEASURE]]
        alike = alike and row[R_DAY] == rows[0, R_DAY] and row[R_SHIFT] == rows[0, R_SHIFT]
        cells[X_START, i] = row[R_END] - every[row[R_MEASURE]]
        cells[X_END, i] = row[R_END]
        cells[X_N, i] = row[R_N]
        for x, column in ((X_AMOUNT, R_AMOUNT), (X_TOTAL, R_TOTAL)):
            cells[x, i] = (row[column] << LIMB) + row[column + 1]
            # What no 64 bits hold would need millions of the largest values in one interval.
            absent[x, i] = not has[x] or row[column] < -8 or row[column] >= 8
        absent[X_AMOUNT, i] = absent[X_AMOUNT, i] or row[R_USED] == 0
        for x, column in ((X_LEAST, R_LEAST), (X_MOST, R_MOST), (X_T1, R_T1), (X_T2, R_T2)):
            cells[x, i] = row[column]
            absent[x, i] = not has[x] or row[R_N] == 0
        low = row[R_SQUARES + 1]
        whole = low // HIGH_STEP if low >= HIGH_STEP else 0
        cells[X_HIGH, i] = whole
        cells[X_LOW, i] = low - whole * HIGH_STEP
        absent[X_HIGH, i] = absent[X_LOW, i] = not has[X_HIGH]
        wide = wide or row[R_SQUARES] != 0
        for x in range(X_AMOUNT):
            absent[x, i] = False
        for k in range(codes.shape[1]):
            named[k, i] = codes[row[R_MEASURE], k]
        named[codes.shape[1], i] = row[R_DURING]
    return alike, wide
