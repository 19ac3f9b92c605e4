"""Integers of more than 64 bits, as two: high x 2^60 + low, 0 <= low < 2^60. Exact, and added in any order."""

from typing import Final

import numpy as np
import numpy.typing as npt

from kernels.jit import hot

I64 = npt.NDArray[np.int64]
LIMB: Final = 60  # bits of `low`
_MASK: Final = (1 << LIMB) - 1
_HALF: Final = 30
_LOW_HALF: Final = (1 << _HALF) - 1


@hot
def product(a: int, b: int) -> tuple[int, int]:
    """a x b, high and low; 0 <= a < 2^60, 0 <= b < 2^63."""
    a1, a0, b1, b0 = a >> _HALF, a & _LOW_HALF, b >> _HALF, b & _LOW_HALF
    one, other = a1 * b0, a0 * b1
    low = a0 * b0 + ((one & _LOW_HALF) << _HALF) + ((other & _LOW_HALF) << _HALF)
    return a1 * b1 + (one >> _HALF) + (other >> _HALF) + (low >> LIMB), low & _MASK


@hot
def add(row: I64, column: int, high: int, low: int) -> None:
    """Add to the integer in `column` of a row and the one behind it; `high` and `low` may be negative, both."""
    summed = row[column + 1] + low
    row[column] += high + (summed >> LIMB)
    row[column + 1] = summed & _MASK


@hot
def share(size: int, part: int, whole: int) -> tuple[int, int]:
    """size x part / whole, whole and rest; 0 <= size < 2^60, 0 <= part <= whole, 0 < whole."""
    if part == 0 or size <= 9_223_372_036_854_775_807 // part:
        made = size * part
        quotient = made // whole
        return quotient, made - quotient * whole
    high, low = product(size, part)
    quotient = high // whole
    rest = high - quotient * whole
    for bit in range(LIMB - 1, -1, -1):
        one = (low >> bit) & 1
        above = whole - rest - one  # 2 x rest + one >= whole, where that may pass 63 bits
        quotient <<= 1
        if rest >= above:
            rest -= above
            quotient += 1
        else:
            rest += rest + one
    return quotient, rest
