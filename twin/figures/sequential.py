"""Charts with a memory: EWMA and CUSUM, in exact fractions, and average run lengths.

Sources: Montgomery, chapter 9; NIST/SEMATECH 6.3.2.3 and 6.3.2.4. Both depend on order: a late value changes all that
follow. The run lengths are solutions of the integral equations (Page 1954, Crowder 1987) by Gauss-Legendre nodes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from twin.figures.exact import Number, exact, not_negative, positive, root
from twin.figures.special import normal_cdf


@dataclass(frozen=True, slots=True)
class Ewma:
    """`variance` is that of the statistic at each point, `limits` the exact ones: they widen from the first point."""

    ewma: list[Fraction | None]
    variance: list[Fraction | None]
    limits: list[tuple[Fraction | float, Fraction | float] | None]
    asymptotic_limits: tuple[Fraction | float, Fraction | float]
    out: list[int]
    out_asymptotic: list[int]


def ewma(values: Sequence[Number | None], start: Number, sigma: Number, lam: Number, width: Number = 3) -> Ewma:
    """z_i = lambda x_i + (1 - lambda) z_(i-1), z_0 = start (the target or phase I mean, never the first value).

    Variance sigma^2 lambda / (2 - lambda) (1 - (1 - lambda)^(2 i)), limits start +- width times its root. None is a
    gap: the chart starts anew behind it, with it the factor. Fractions grow with every point: some thousands at most.
    ValueError unless 0 < lambda <= 1.
    """
    first, spread, weight = exact(start), not_negative(sigma, "sigma"), exact(lam)
    reach = not_negative(width, "the width of the limits")
    if not 0 < weight <= 1:
        raise ValueError(f"lambda is {lam!r}: expected a share above 0 and at most 1")
    final = spread * spread * weight / (2 - weight)
    z, left = first, Fraction(1)
    chart = Ewma([], [], [], _around(first, reach, final), [], [])
    for i, value in enumerate(values):
        if value is None:
            z, left = first, Fraction(1)
            chart.ewma.append(None)
            chart.variance.append(None)
            chart.limits.append(None)
            continue
        z = weight * exact(value) + (1 - weight) * z
        left *= (1 - weight) ** 2
        now = final * (1 - left)
        chart.ewma.append(z)
        chart.variance.append(now)
        chart.limits.append(_around(first, reach, now))
        if (z - first) ** 2 > reach * reach * now:
            chart.out.append(i)
        if (z - first) ** 2 > reach * reach * final:
            chart.out_asymptotic.append(i)
    return chart


def _around(center: Fraction, width: Fraction, variance: Fraction) -> tuple[Fraction | float, Fraction | float]:
    half = root(width * width * variance)
    return center - half, center + half


@dataclass(frozen=True, slots=True)
class Cusum:
    """Both sides at every point, before any reset; signals are 0-based indices."""

    upper: list[Fraction]
    lower: list[Fraction]
    upper_signals: list[int]
    lower_signals: list[int]

    @property
    def signals(self) -> list[int]:
        return sorted({*self.upper_signals, *self.lower_signals})

    @property
    def first_signal(self) -> int | None:
        return min(self.signals, default=None)


def cusum(
    values: Sequence[Number | None],
    target: Number,
    k: Number,
    h: Number,
    head_start: Number = 0,
    reset_after_signal: bool = False,
) -> Cusum:
    """C+ = max(0, x - (T + K) + C+), C- = max(0, (T - K) - x + C-); a signal is strictly above H.

    `k` and `h` are in the unit of the values. `head_start` is the start of both sums (fast initial response). A sum is
    reset only where `reset_after_signal` says so, then that side alone. None is a gap: the sums stay as they are.
    """
    middle, slack = exact(target), not_negative(k, "K")
    limit, start = not_negative(h, "H"), not_negative(head_start, "the head start")
    chart = Cusum([], [], [], [])
    above = below = start
    for i, value in enumerate(values):
        if value is not None:
            x = exact(value)
            above = max(Fraction(), x - (middle + slack) + above)
            below = max(Fraction(), (middle - slack) - x + below)
        chart.upper.append(above)
        chart.lower.append(below)
        if value is None:
            continue
        if above > limit:
            chart.upper_signals.append(i)
            above = Fraction() if reset_after_signal else above
        if below > limit:
            chart.lower_signals.append(i)
            below = Fraction() if reset_after_signal else below
    return chart


def shewhart_arl(shift: Number = 0, width: Number = 3, two_sided: bool = True) -> float:
    """Points until one lies beyond `width` sigma, the mean shifted by `shift` sigma."""
    at, reach = float(exact(shift)), float(positive(width, "the width of the limits"))
    beyond = normal_cdf(at - reach) + (normal_cdf(-reach - at) if two_sided else 0.0)
    return 1 / beyond


def cusum_arl(k: Number, h: Number, shift: Number = 0, two_sided: bool = True) -> float:
    """The average run length of a CUSUM from 0; k, h and shift in sigma. Two sides: 1/L = 1/L+ + 1/L-."""
    slack, limit, at = float(exact(k)), float(positive(h, "h")), float(exact(shift))
    upper = _cusum_one_side(slack, limit, at)
    return 1 / (1 / upper + 1 / _cusum_one_side(slack, limit, -at)) if two_sided else upper


def _cusum_one_side(k: float, h: float, shift: float) -> float:
    """L(x) = 1 + L(0) Phi(k - x - shift) + int_0^h L(y) phi(y + k - x - shift) dy, at x = 0."""
    return _run_length(0.0, h, 0.0, lambda x: normal_cdf(k - x - shift), lambda x, y: y + k - x - shift, 1.0)


def ewma_arl(lam: Number, width: Number, shift: Number = 0, two_sided: bool = True) -> float:
    """The average run length of an EWMA from its centre with asymptotic limits; shift in sigma.

    One side: the statistic is held at the centre from below (a reflecting barrier).
    """
    weight, reach, at = float(positive(lam, "lambda")), float(positive(width, "the width of the limits")), exact(shift)
    if weight > 1:
        raise ValueError(f"lambda is {lam!r}: expected at most 1")
    c, delta = reach * math.sqrt(weight / (2 - weight)), float(at)

    def scaled(x: float, y: float) -> float:
        return (y - (1 - weight) * x) / weight - delta

    low = -c if two_sided else 0.0
    held = (lambda _: 0.0) if two_sided else (lambda x: normal_cdf(scaled(x, 0.0)))
    return _run_length(low, c, 0.0, held, scaled, weight)


def _run_length(
    low: float,
    high: float,
    start: float,
    held: Callable[[float], float],
    argument: Callable[[float, float], float],
    width: float,
) -> float:
    """L(start) of L(x) = 1 + L(0) held(x) + int L(y) phi(argument(x, y)) dy / width."""
    n = min(600, max(40, round(12 * (high - low) / width)))
    nodes, weights = np.polynomial.legendre.leggauss(n)
    y = (low + high) / 2 + (high - low) / 2 * nodes
    w = (high - low) / 2 * weights / width

    def row(x: float) -> list[float]:
        return [
            float(one) * math.exp(-0.5 * argument(x, float(at)) ** 2) / math.sqrt(2 * math.pi)
            for one, at in zip(w, y, strict=True)
        ]

    points = [start, *(float(at) for at in y)]
    matrix = np.eye(n + 1)
    for i, x in enumerate(points):
        matrix[i, 0] -= held(x)
        matrix[i, 1:] -= row(x)
    return float(np.linalg.solve(matrix, np.ones(n + 1))[0])
