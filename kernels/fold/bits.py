"""Sets of small numbers as bits of int64 words: what a call marks for itself, found again in order, both ways."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba.cpython.unsafe import numbers

from kernels.index import natural
from kernels.jit import hot

I64 = npt.NDArray[np.int64]
# One instruction each; seen as functions of two arguments, of which numba passes the first itself.
leading_zeros: Any = numbers.leading_zeros
trailing_zeros: Any = numbers.trailing_zeros


def words(size: int) -> int:
    """Words that a set of numbers below `size` takes."""
    return -(-size // 64)


@hot
def add(bits: I64, i: int) -> None:
    bits[i >> 6] |= 1 << (i & 63)


@hot
def discard(bits: I64, i: int) -> None:
    bits[i >> 6] &= ~(1 << (i & 63))


@hot
def has(bits: I64, i: int) -> bool:
    return bool((bits[i >> 6] >> (i & 63)) & 1)


@hot
def lowest(bits: I64, lo: int, hi: int) -> int:
    """The lowest member within [lo, hi), -1 if there is none."""
    w = lo >> 6
    word = bits[w] & (-1 << (lo & 63)) if lo < hi else 0
    while word == 0:
        w += 1
        if w << 6 >= hi:
            return -1
        word = bits[w]
    found = (w << 6) + trailing_zeros(word)
    return int(found) if found < hi else -1


@hot
def highest(bits: I64, lo: int, hi: int) -> int:
    """The highest member within [lo, hi), -1 if there is none."""
    w = (hi - 1) >> 6
    # 2 << 63 is 0 in 64 bits, and the mask then all ones.
    word = bits[w] & ((2 << ((hi - 1) & 63)) - 1) if lo < hi else 0
    while word == 0:
        w -= 1
        if w < lo >> 6:
            return -1
        word = bits[w]
    found = (w << 6) + 63 - leading_zeros(word)
    return int(found) if found >= lo else -1


@hot
def last(bits: I64, lo: int, hi: int) -> int:
    """The highest member, -1 if there is none, of a set that has none outside [lo, hi): `highest` without the masks."""
    first = natural(lo) >> 6
    w = natural(hi - 1) >> 6
    while bits[natural(w)] == 0:
        w -= 1
        if w < first:
            return -1
    return int((w << 6) + 63 - leading_zeros(bits[natural(w)]))
