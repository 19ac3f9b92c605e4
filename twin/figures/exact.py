"""Exact numbers: what is written as a decimal or a ratio stays one until a root or a logarithm needs floats.

Undefined is None, never 0 and never infinity.
"""

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction

Number = int | Fraction | Decimal | float | str
"""A float stands for the shortest decimal that names it: 74.03 is 7403/100, not its binary neighbour."""


def exact(value: Number) -> Fraction:
    """`value` as it is written. ValueError for what is no finite number."""
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is no number")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value!r} is no finite number")
        return Fraction(repr(float(value)))
    try:
        return Fraction(value)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        raise ValueError(f"{value!r} is no number: expected an integer, a decimal or a ratio such as '31/48'") from None


def optional(value: Number | None) -> Fraction | None:
    return None if value is None else exact(value)


def exacts(values: Iterable[Number]) -> list[Fraction]:
    return [exact(value) for value in values]


def ratio(numerator: Number, denominator: Number) -> Fraction | None:
    """None where the denominator is zero."""
    below = exact(denominator)
    return exact(numerator) / below if below else None


def root(value: Fraction) -> Fraction | float:
    """The square root: exact where it is rational. ValueError below zero."""
    if value < 0:
        raise ValueError(f"no square root of {value}")
    top, below = math.isqrt(value.numerator), math.isqrt(value.denominator)
    if top * top == value.numerator and below * below == value.denominator:
        return Fraction(top, below)
    return math.sqrt(value)


def whole(value: Number, what: str, least: int = 0, most: int | None = None) -> int:
    """An integer of at least `least` (and at most `most`); ValueError names it as `what`."""
    number = exact(value)
    if number.denominator != 1 or number < least:
        raise ValueError(f"{what} is {value!r}: expected an integer of at least {least}")
    if most is not None and number > most:
        raise ValueError(f"{what} is {value!r}: more than {most} are not computed")
    return int(number)


def positive(value: Number, what: str) -> Fraction:
    number = exact(value)
    if number <= 0:
        raise ValueError(f"{what} is {value!r}: expected a number above 0")
    return number


def not_negative(value: Number, what: str) -> Fraction:
    number = exact(value)
    if number < 0:
        raise ValueError(f"{what} is {value!r}: expected a number of at least 0")
    return number


def probability(value: Number, what: str) -> Fraction:
    number = exact(value)
    if not 0 <= number <= 1:
        raise ValueError(f"{what} is {value!r}: expected a share from 0 to 1")
    return number


def mean(values: Sequence[Fraction]) -> Fraction | None:
    return sum(values, Fraction()) / len(values) if values else None


def variance(values: Sequence[Fraction]) -> Fraction | None:
    """Of a sample (n - 1), exactly: (n Sxx - Sx^2) / (n (n - 1)). None below two values."""
    n = len(values)
    if n < 2:
        return None
    total = sum(values, Fraction())
    return (n * sum((x * x for x in values), Fraction()) - total * total) / (n * (n - 1))


def deviation(values: Sequence[Fraction]) -> Fraction | float | None:
    """The standard deviation of a sample (n - 1): exact where it is rational. None below two values."""
    squared = variance(values)
    return None if squared is None else root(squared)


def ceiling(value: Fraction) -> int:
    return -((-value.numerator) // value.denominator)


def nearest_rank(n: int, p: Number) -> int | None:
    """The 1-based rank max(1, ceil(p n)) in integers; None of nothing. ValueError unless 0 <= p <= 1."""
    share = probability(p, "p")
    return max(1, ceiling(share * n)) if n > 0 else None


def percentile(values: Sequence[Number], p: Number) -> Fraction | None:
    """The nearest-rank percentile (Hyndman and Fan, type 1): one of the values. None of nothing."""
    rank = nearest_rank(len(values), p)
    return None if rank is None else sorted(exacts(values))[rank - 1]


def percentile_linear(values: Sequence[Number], p: Number) -> Fraction | None:
    """Hyndman and Fan, type 7 (numpy and R by default): between two values. None of nothing."""
    share = probability(p, "p")
    if not values:
        return None
    ordered = sorted(exacts(values))
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


Span = tuple[Fraction, Fraction]
"""A half-open interval [start, end)."""


def spans(pairs: Iterable[Sequence[Number]]) -> list[Span]:
    """Pairs as intervals. ValueError where an end lies before its start."""
    found = []
    for start, end in pairs:
        first, last = exact(start), exact(end)
        if last < first:
            raise ValueError(f"the interval [{start}, {end}) ends before it starts")
        found.append((first, last))
    return found


def union(of: Iterable[Span]) -> list[Span]:
    """The same instants as disjoint intervals in order."""
    joined: list[Span] = []
    for start, end in sorted(span for span in of if span[0] < span[1]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def common(one: Iterable[Span], other: Iterable[Span]) -> list[Span]:
    """The instants in both."""
    others = union(other)
    return union((max(a, c), min(b, d)) for a, b in union(one) for c, d in others if max(a, c) < min(b, d))


def without(one: Iterable[Span], other: Iterable[Span]) -> list[Span]:
    """The instants of `one` that are not in `other`."""
    left = union(one)
    for start, end in union(other):
        left = [piece for a, b in left for piece in ((a, min(b, start)), (max(a, end), b)) if piece[0] < piece[1]]
    return left


def length(of: Iterable[Span]) -> Fraction:
    return sum((end - start for start, end in union(of)), Fraction())
