"""Control charts of counts: p and np (defective units), c and u (defects).

Points are judged in exact fractions: (x - centre)^2 against 9 times the variance, so that a point on a limit is in.
A lower limit below 0 is 0, an upper limit of a share above 1 is 1. Source: Montgomery, chapter 7; NIST/SEMATECH 6.3.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from twin.figures.exact import Number, exact, exacts, not_negative, root, whole

Limits = tuple[Fraction | float, Fraction | float]


@dataclass(frozen=True, slots=True)
class CountChart:
    """One limit for each point: None where nothing was inspected. `out` are 0-based indices."""

    center: Fraction | None  # None: nothing was inspected at all
    limits: list[Limits | None]
    out: list[int]


def p_chart(
    defectives: Sequence[Number], n: Sequence[Number], center: Number | None = None, skip: Sequence[int] = ()
) -> CountChart:
    """Shares of defective units: p-bar = sum d / sum n, limits p-bar +- 3 sqrt(p-bar (1 - p-bar) / n) of each n.

    `center` freezes p-bar of an earlier phase. `skip` are points excluded with a cause: they take no part, neither in
    p-bar nor in `out`. A point with n = 0 is no point. ValueError for d outside 0 to n.
    """
    d, sizes = _counts(defectives, n, "units inspected")
    for i, (bad, size) in enumerate(zip(d, sizes, strict=True)):
        if bad > size:
            raise ValueError(f"point {i} has {bad} defective of {size} units")
    middle = _center(d, sizes, center, skip)
    if middle is not None and middle > 1:
        raise ValueError(f"a share of defective units of {middle}: at most 1")
    return _chart(d, sizes, middle, None if middle is None else middle * (1 - middle), skip, Fraction(1))


def np_chart(defectives: Sequence[Number], n: Number, center: Number | None = None) -> CountChart:
    """Numbers of defective units in samples of one size n: centre n p-bar, limits +- 3 sqrt(n p-bar (1 - p-bar)).

    `center` is n p-bar of an earlier phase.
    """
    size = whole(n, "n", 1)
    shares = p_chart(defectives, [size] * len(defectives), None if center is None else exact(center) / size)
    return CountChart(
        None if shares.center is None else shares.center * size,
        [None if one is None else (one[0] * size, one[1] * size) for one in shares.limits],
        shares.out,
    )


def c_chart(defects: Sequence[Number], center: Number | None = None, skip: Sequence[int] = ()) -> CountChart:
    """Defects in equal areas: c-bar +- 3 sqrt(c-bar)."""
    return u_chart(defects, [1] * len(defects), center, skip)


def u_chart(
    defects: Sequence[Number], units: Sequence[Number], center: Number | None = None, skip: Sequence[int] = ()
) -> CountChart:
    """Defects per unit: u-bar = sum c / sum n, limits u-bar +- 3 sqrt(u-bar / n) of each n (may be broken: areas)."""
    d, sizes = _counts(defects, units, "units")
    middle = _center(d, sizes, center, skip)
    return _chart(d, sizes, middle, middle, skip, None)


def _counts(counts: Sequence[Number], sizes: Sequence[Number], what: str) -> tuple[list[Fraction], list[Fraction]]:
    if len(counts) != len(sizes):
        raise ValueError(f"{len(counts)} counts and {len(sizes)} numbers of {what}")
    found = [Fraction(whole(count, f"count {i}")) for i, count in enumerate(counts)]
    areas = exacts(sizes)
    for i, (count, area) in enumerate(zip(found, areas, strict=True)):
        not_negative(area, f"{what} of point {i}")
        if count and not area:
            raise ValueError(f"point {i} has {count} in no {what}")
    return found, areas


def _center(
    d: Sequence[Fraction], sizes: Sequence[Fraction], center: Number | None, skip: Sequence[int]
) -> Fraction | None:
    if center is not None:
        return not_negative(center, "the centre")
    used = [i for i in range(len(d)) if i not in skip]
    total = sum((sizes[i] for i in used), Fraction())
    return sum((d[i] for i in used), Fraction()) / total if total else None


def _chart(
    d: Sequence[Fraction],
    sizes: Sequence[Fraction],
    center: Fraction | None,
    spread: Fraction | None,
    skip: Sequence[int],
    most: Fraction | None,
) -> CountChart:
    if center is None or spread is None:
        return CountChart(None, [None] * len(d), [])
    limits: list[Limits | None] = []
    out = []
    for i, (count, size) in enumerate(zip(d, sizes, strict=True)):
        if not size:
            limits.append(None)
            continue
        width = root(9 * spread / size)
        low, high = center - width, center + width
        limits.append((max(low, Fraction()), high if most is None else min(high, most)))
        if i not in skip and (count / size - center) ** 2 > 9 * spread / size:
            out.append(i)
    return CountChart(center, limits, out)
