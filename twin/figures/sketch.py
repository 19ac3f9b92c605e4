"""Quantiles that merge: a log-linear histogram of integers in the layout of HdrHistogram.

With P sub-bucket bits a value below 2^(P+1) has a bucket of its own; above, e = bit_length(v) - 1 - P and the index is
(e << P) + (v >> e). A bucket is at most 2^-P of its values wide. Integers only: a float logarithm differs between
libraries and moves a value at a boundary. Merging adds counts, a retraction subtracts: order and partition do not
matter. DDSketch's mapping is here for comparison. Source: HdrHistogram; DDSketch, arXiv 1908.10693.
"""

import hashlib
from collections.abc import Iterable, Mapping
from fractions import Fraction

from twin.figures.exact import Number, ceiling, exact, nearest_rank

BITS = 7


def index_of(value: int, bits: int = BITS) -> int:
    """The bucket of a value of at least 0."""
    if value < 0 or bits < 0:
        raise ValueError(f"no bucket of {value} with {bits} sub-bucket bits: expected numbers of at least 0")
    e = max(0, value.bit_length() - 1 - bits)
    return (e << bits) + (value >> e)


def bounds_of(index: int, bits: int = BITS) -> tuple[int, int]:
    """The least and the greatest value of a bucket."""
    if index < 0 or bits < 0:
        raise ValueError(f"no bucket {index} with {bits} sub-bucket bits: expected numbers of at least 0")
    e = max(0, (index >> bits) - 1)
    low = (index - (e << bits)) << e
    return low, low + (1 << e) - 1


class Histogram:
    """Counts by bucket. Equal values in any order and partition give an equal histogram."""

    def __init__(self, bits: int = BITS) -> None:
        self.bits = bits
        self.counts: dict[int, int] = {}

    def add(self, value: int, n: int = 1) -> None:
        """`n` times `value`; a negative `n` takes back. ValueError if there were fewer."""
        self._add(index_of(value, self.bits), n)

    def merge(self, other: "Histogram") -> None:
        if other.bits != self.bits:
            raise ValueError(f"histograms of {self.bits} and {other.bits} sub-bucket bits do not merge")
        for index, n in other.counts.items():
            self._add(index, n)

    def _add(self, index: int, n: int) -> None:
        left = self.counts.get(index, 0) + n
        if left < 0:
            raise ValueError(f"bucket {index} would hold {left} values: more taken back than were added")
        if left:
            self.counts[index] = left
        else:
            self.counts.pop(index, None)

    @property
    def n(self) -> int:
        return sum(self.counts.values())

    def quantile_bounds(self, p: Number) -> tuple[int, int] | None:
        """The bucket that holds the value of nearest rank. None of nothing."""
        rank = nearest_rank(self.n, p)
        if rank is None:
            return None
        for index, n in sorted(self.counts.items()):
            rank -= n
            if rank <= 0:
                return bounds_of(index, self.bits)
        raise AssertionError("ranks end at n")

    def pairs(self) -> list[tuple[int, int]]:
        """(bucket, count) in order: what is stored and hashed."""
        return sorted(self.counts.items())


def of(values: Iterable[int], bits: int = BITS) -> Histogram:
    histogram = Histogram(bits)
    for value in values:
        histogram.add(value)
    return histogram


def digest(counts: Mapping[int, int], spelling: str = "json") -> str:
    """SHA-256 of the sorted pairs of bucket and count, written as `[[index, count], ...]` without blanks."""
    text = "[" + ",".join(f"[{index},{count}]" for index, count in sorted(counts.items())) + "]"
    return hashlib.sha256(text.encode()).hexdigest()


def ddsketch_gamma(alpha: Number) -> Fraction:
    """gamma = (1 + a) / (1 - a) of the relative error a, 0 < a < 1."""
    a = exact(alpha)
    if not 0 < a < 1:
        raise ValueError(f"alpha is {alpha}: expected a share between 0 and 1")
    return (1 + a) / (1 - a)


def ddsketch_key(value: Number, alpha: Number) -> int:
    """ceil(log_gamma x) in integers: the least k with gamma^k >= x, x > 0."""
    gamma, x = ddsketch_gamma(alpha), exact(value)
    if x <= 0:
        raise ValueError(f"no key of {value}: expected a number above 0")
    key, reach = 0, Fraction(1)
    while reach < x:
        key, reach = key + 1, reach * gamma
    while reach / gamma >= x:
        key, reach = key - 1, reach / gamma
    return key


def lcg(n: int, seed: int = 1) -> list[int]:
    """The made-up values of the merge test: s = 6364136223846793005 s + 1442695040888963407 mod 2^64, u = s >> 33."""
    values = []
    for _ in range(n):
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        u = seed >> 33
        values.append(1000 + u % 5000 + (200_000 if u % 97 == 0 else 0))
    return values


def rank(n: int, p: Number) -> int:
    """max(1, ceil(p n)) for n of at least 1."""
    return max(1, ceiling(exact(p) * n))
