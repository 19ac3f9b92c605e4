"""Fixed point: integers in 10^-12 of a measure's last decimal place.

What depends on order is made of them alone, so that no machine, library or cut of the log gives another digit.

Constants of control charts are integrals (twin.figures.constants), rounded here to 12 places.
"""

import math
from fractions import Fraction
from functools import cache
from typing import Final

from twin.figures.constants import c4, d2, d3

SCALE: Final = 10**12


def divided(numerator: int, denominator: int) -> int:
    """Rounded half to even; `denominator` above 0."""
    whole, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return whole + (twice > denominator or (twice == denominator and whole % 2))


def root(value: int, below: int = 1) -> int:
    """The square root of value / below, rounded; both are squares of fixed point, or numbers without a unit."""
    return (math.isqrt(4 * value // below) + 1) // 2


def of_text(text: str, decimals: int) -> int:
    """A decimal in the unit of a measure."""
    value = Fraction(text) * 10**decimals * SCALE
    return divided(value.numerator, value.denominator)


def plain(value: int, decimals: int) -> float:
    """In the unit of the measure, correctly rounded."""
    return float(Fraction(value, SCALE * 10**decimals))


@cache
def factors(n: int) -> tuple[int, int, int]:
    """d2, d3 and c4 of subgroups of n, 10^-12."""
    return round(d2(n) * SCALE), round(d3(n) * SCALE), round(c4(n) * SCALE)
