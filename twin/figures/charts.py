"""Control charts of measured values: X-bar and R, X-bar and s, single values and moving range.

Limits are three sigma from exact d2, d3 and c4. Phase I makes the limits, phase II never moves them. A point is out
only strictly outside: the distance from the centre is compared, so that points on the limit are in and a chart without
any spread signals nothing by rounding. Sources: Montgomery, chapter 6; NIST/SEMATECH 6.3.2.

Values come as numbers in one unit, limits go out in it. Undefined is None: no limits from subgroups of one.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from twin.figures.constants import c4, constants, d2
from twin.figures.exact import Number, deviation, exact, exacts, mean, variance

Limits = tuple[Fraction | float, Fraction | float]
Subgroups = Sequence[Sequence[Number]]
SigmaWithin = Literal["rbar/d2", "sbar/c4", "pooled"]


@dataclass(frozen=True, slots=True)
class SubgroupChart:
    """Two charts of subgroups: of their means and of their ranges or deviations. Indices are 0-based."""

    center: Fraction  # mean of all values: of the subgroups' means where they have one size
    spread: Fraction | float  # R-bar or s-bar
    sigma: float
    mean_limits: Limits | list[Limits]  # one for each phase I subgroup where sizes differ
    spread_limits: Limits | list[Limits]
    phase1_out: list[int]
    phase1_spread_out: list[int]
    phase2_out: list[int]
    phase2_spread_out: list[int]


def xbar_r(phase1: Subgroups, phase2: Subgroups = ()) -> SubgroupChart:
    """X-bar and R: sigma = R-bar / d2(n), R between D3 R-bar and D4 R-bar. Subgroups of one size, 2 or more.

    ValueError where sizes differ: use `xbar_s`.
    """
    groups, later = _groups(phase1), _groups(phase2)
    n = _size(groups)
    if any(len(group) != n for group in later):
        raise ValueError(f"phase II has subgroups that are not of {n} values: X-bar and R need one size")
    factors = constants(n)
    assert factors is not None
    ranges = [max(group) - min(group) for group in groups]
    rbar = _mean(ranges)
    sigma = float(rbar) / factors.d2
    center = _mean([_mean(group) for group in groups])
    width = 3 * sigma / math.sqrt(n)
    low, high = factors.d3_lower * float(rbar), factors.d4 * float(rbar)
    return SubgroupChart(
        center,
        rbar,
        sigma,
        _around(center, width),
        (low, high),
        [i for i, group in enumerate(groups) if abs(_mean(group) - center) > width],
        [i for i, group in enumerate(groups) if _outside(max(group) - min(group), rbar, low, high)],
        [i for i, group in enumerate(later) if abs(_mean(group) - center) > width],
        [i for i, group in enumerate(later) if _outside(max(group) - min(group), rbar, low, high)],
    )


def xbar_s(phase1: Subgroups, phase2: Subgroups = ()) -> SubgroupChart:
    """X-bar and s: sigma = s-bar / c4(n) for one size; else the pooled s over c4, and limits for each size."""
    groups, later = _groups(phase1), _groups(phase2)
    sizes = {len(group) for group in groups}
    if not groups:
        raise ValueError("phase I has no subgroups: no limits")
    deviations = [float(_deviation(group)) for group in groups]
    sbar = math.fsum(deviations) / len(deviations)
    sigma = within_sigma(groups, "sbar/c4" if len(sizes) == 1 else "pooled")
    everything = [value for group in groups for value in group]
    center = _mean(everything)

    def limits(n: int) -> tuple[float, float, float]:
        mean_s = c4(n)
        wide = 3 * sigma * math.sqrt(1 - mean_s * mean_s)
        return 3 * sigma / math.sqrt(n), max(0.0, mean_s * sigma - wide), mean_s * sigma + wide

    def out(of: list[list[Fraction]]) -> tuple[list[int], list[int]]:
        means, spreads = [], []
        for i, group in enumerate(of):
            width, low, high = limits(len(group))
            if abs(_mean(group) - center) > width:
                means.append(i)
            s = float(_deviation(group))
            if (sigma > 0 and not low <= s <= high) or (sigma == 0 and s > 0):
                spreads.append(i)
        return means, spreads

    first, second = out(groups), out(later)
    by_group = [limits(len(group)) for group in groups]
    same = len(sizes) == 1
    return SubgroupChart(
        center,
        sbar,
        sigma,
        _around(center, by_group[0][0]) if same else [_around(center, width) for width, _, _ in by_group],
        by_group[0][1:] if same else [(low, high) for _, low, high in by_group],
        *first,
        *second,
    )


@dataclass(frozen=True, slots=True)
class SingleChart:
    """A chart of single values with moving ranges. Indices are those of the series, gaps counted."""

    center: Fraction
    mr_bar: Fraction
    sigma: float
    limits: Limits
    mr_ucl: float
    phase1_out: list[int]
    phase1_mr_out: list[int]
    phase2_out: list[int]
    phase2_mr_out: list[int]
    overall_sigma: float | None  # s / c4(n) of all of phase I: not used, shown for comparison


def i_mr(phase1: Sequence[Number | None], phase2: Sequence[Number | None] = ()) -> SingleChart:
    """Single values and moving range: sigma = MR-bar / d2(2), the range's upper limit D4(2) MR-bar.

    None is a gap (or a change of product): no moving range across it. ValueError without any moving range.
    """
    first, later = [_gap(value) for value in phase1], [_gap(value) for value in phase2]
    known = [value for value in first if value is not None]
    ranges = _moving_ranges(first)
    present = [one for one in ranges if one is not None]
    if not present:
        raise ValueError("phase I has no two neighbouring values: no moving range, so no limits")
    center, mr_bar = _mean(known), _mean(present)
    factors = constants(2)
    assert factors is not None
    sigma, mr_ucl = float(mr_bar) / factors.d2, factors.d4 * float(mr_bar)
    s = deviation(known)

    def out(values: list[Fraction | None]) -> tuple[list[int], list[int]]:
        moving = _moving_ranges(values)
        return (
            [i for i, value in enumerate(values) if value is not None and abs(value - center) > 3 * sigma],
            [i for i, one in enumerate(moving) if one is not None and _outside(one, mr_bar, 0.0, mr_ucl)],
        )

    return SingleChart(
        center,
        mr_bar,
        sigma,
        _around(center, 3 * sigma),
        mr_ucl,
        *out(first),
        *out(later),
        None if s is None else float(s) / c4(len(known)),
    )


def within_sigma(subgroups: Subgroups, how: SigmaWithin) -> float:
    """Sigma inside subgroups, in the unit of the values.

    `rbar/d2` and `sbar/c4` average each subgroup's R / d2(n) or s / c4(n), so sizes may differ. `pooled` weighs
    variances by n - 1 and divides by c4(1 + sum(n - 1)).
    """
    groups = _groups(subgroups)
    if how == "rbar/d2":
        return math.fsum(float(max(group) - min(group)) / d2(len(group)) for group in groups) / len(groups)
    if how == "sbar/c4":
        return math.fsum(float(_deviation(group)) / c4(len(group)) for group in groups) / len(groups)
    if how == "pooled":
        freedom = sum(len(group) - 1 for group in groups)
        squares = sum(((variance(group) or 0) * (len(group) - 1) for group in groups), Fraction())
        return math.sqrt(squares / freedom) / c4(freedom + 1)
    raise ValueError(f"sigma within is {how!r}: expected rbar/d2, sbar/c4 or pooled")


def _groups(subgroups: Subgroups) -> list[list[Fraction]]:
    groups = [exacts(group) for group in subgroups]
    for i, group in enumerate(groups):
        if len(group) < 2:
            raise ValueError(f"subgroup {i} has {len(group)} values: a range or a deviation needs at least 2")
    return groups


def _size(groups: list[list[Fraction]]) -> int:
    if not groups:
        raise ValueError("phase I has no subgroups: no limits")
    n = len(groups[0])
    for i, group in enumerate(groups):
        if len(group) != n:
            raise ValueError(f"subgroup {i} has {len(group)} values, the first {n}: use X-bar and s where sizes differ")
    return n


def _gap(value: Number | None) -> Fraction | None:
    return None if value is None else exact(value)


def _moving_ranges(values: Sequence[Fraction | None]) -> list[Fraction | None]:
    """One for each value: None for the first and after a gap."""
    ranges: list[Fraction | None] = [None] if values else []
    for before, now in itertools.pairwise(values):
        ranges.append(None if before is None or now is None else abs(now - before))
    return ranges


def _mean(values: Sequence[Fraction]) -> Fraction:
    found = mean(values)
    if found is None:
        raise ValueError("phase I has no values: no limits")
    return found


def _deviation(group: Sequence[Fraction]) -> Fraction | float:
    found = deviation(group)
    assert found is not None
    return found


def _around(center: Fraction, width: float) -> Limits:
    return float(center) - width, float(center) + width


def _outside(value: Fraction, center: Fraction, low: float, high: float) -> bool:
    """Strictly outside; without spread (all limits 0) only what differs from it."""
    return value != center if center == 0 else not low <= value <= high
