"""Of single values: how they are distributed, and which packs hold too little. Additive, exact integers.

A histogram is that of `twin.figures.sketch`, 7 bits: a bucket is at most 1/128 of its values wide. A value below zero
has the bucket of its opposite, with a sign. Packs are held against the tolerable negative errors of the average weight
rule (`twin.figures.average_weight`) by the nominal quantity of their product.
"""

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from twin.figures.average_weight import tne
from twin.figures.exact import ceiling, nearest_rank
from twin.figures.sketch import BITS, bounds_of
from twin.plant.check_measures import GRAMS
from twin.plant.model import Measure, Specification

I64 = npt.NDArray[np.int64]
Limits = tuple[int, int]  # no pack is below them, in the last decimal place: nominal - TNE, nominal - 2 TNE


def buckets_of(values: I64) -> I64:
    """The bucket of each value: integers below 2^53."""
    size = np.abs(values)
    length = np.frexp(size.astype(np.float64))[1].astype(np.int64)
    e = np.maximum(length - 1 - BITS, 0)
    found: I64 = np.sign(values) * ((e << BITS) + (size >> e))
    return found


def written(counts: dict[int, int]) -> str:
    """Of a row: "bucket:count" by rising bucket."""
    return " ".join(f"{bucket}:{counts[bucket]}" for bucket in sorted(counts))


def read(text: str) -> dict[int, int]:
    """Raises ValueError."""
    pairs = (pair.split(":") for pair in text.split())
    return {int(bucket): int(n) for bucket, n in pairs}


def quantile(counts: dict[int, int], p: Fraction) -> Fraction | None:
    """The middle of the bucket that holds the value of nearest rank, in the last decimal place."""
    rank = nearest_rank(sum(counts.values()), p)
    if rank is None:
        return None
    for bucket, n in sorted(counts.items()):
        rank -= n
        if rank <= 0:
            low, high = bounds_of(abs(bucket))
            return Fraction(low + high, 2) * (-1 if bucket < 0 else 1)
    return None


def limits_of(measure: Measure, asked: Specification) -> Limits | None:
    """None: it is no pack that the rule is for."""
    if asked.nominal is None or measure.unit not in GRAMS:
        return None
    step = Fraction(GRAMS[measure.unit], 10**measure.decimals)
    nominal = asked.nominal * step
    error = tne(nominal) if nominal > 0 else None
    if error is None:
        return None
    return ceiling((nominal - error) / step), ceiling((nominal - 2 * error) / step)
