"""Process capability and performance: Cp, Cpk, Cpm from sigma within, Pp, Ppk, Ppm from the overall s, with intervals.

Sources: Montgomery, chapter 8; NIST/SEMATECH 6.1.6; Bissell 1990 for Cpk. One-sided specifications have no Cp and no
Cpm; without spread nothing is defined: None, not infinity. The sign stays where the mean lies outside.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from twin.figures.exact import Number, exact, not_negative, optional, root
from twin.figures.special import chi2_ppf, confidence_level, one_sided_z, two_sided_z

Value = Fraction | float
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Capability:
    """Indices of one sigma: of the Cp family if it is sigma within, of the Pp family if it is the overall s."""

    cp: Value | None
    cpl: Value | None
    cpu: Value | None
    cpk: Value | None
    cpm: Value | None


NONE = Capability(None, None, None, None, None)


def capability(
    mean: Number,
    sigma: Number,
    lsl: Number | None = None,
    usl: Number | None = None,
    target: Number | None = None,
    n: int | None = None,
) -> Capability:
    """Cp = (USL - LSL) / 6 sigma, Cpu = (USL - mean) / 3 sigma, Cpl = (mean - LSL) / 3 sigma, Cpk the lesser of them.

    Cpm = (USL - LSL) / (6 sqrt(sigma^2 + (mean - target)^2)). `n` below 2 values: nothing is defined. ValueError for
    LSL at or above USL or a negative sigma.
    """
    low, high, spread, at = optional(lsl), optional(usl), not_negative(sigma, "sigma"), exact(mean)
    if low is not None and high is not None and low >= high:
        raise ValueError(f"the lower limit {lsl} is not below the upper limit {usl}")
    if n is not None and n < 2:
        return NONE
    cp = cpl = cpu = cpm = None
    if spread:
        cpl = None if low is None else (at - low) / (3 * spread)
        cpu = None if high is None else (high - at) / (3 * spread)
    if low is not None and high is not None:
        cp = (high - low) / (6 * spread) if spread else None
        if target is not None and spread:
            cpm = (high - low) / (6 * root(spread * spread + (at - exact(target)) ** 2))
    sides = [side for side in (cpl, cpu) if side is not None]
    return Capability(cp, cpl, cpu, min(sides) if sides else None, cpm)


@dataclass(frozen=True, slots=True)
class Intervals:
    """Of the indices of the same names."""

    cp: Interval | None
    cpl: Interval | None
    cpu: Interval | None
    cpk: Interval | None
    cpm: Interval | None


def intervals(of: Capability, n: int, confidence: Number = "0.95", bias: Number = 0) -> Intervals:
    """Confidence intervals of every index that is defined; `bias` is (mean - target) / sigma, for Cpm.

    Cpl and Cpu take the one-sided z on either side, as is usual for them; Cpk the two-sided.
    """
    return Intervals(
        cp_interval(of.cp, n, confidence),
        _bissell(of.cpl, n, one_sided_z(confidence)),
        _bissell(of.cpu, n, one_sided_z(confidence)),
        cpk_interval(of.cpk, n, confidence),
        cpm_interval(of.cpm, n, bias, confidence),
    )


def cp_interval(cp: Number | None, n: int, confidence: Number = "0.95") -> Interval | None:
    """Cp sqrt(chi2(alpha/2; n-1) / (n-1)) to the same at 1 - alpha/2. None below two values."""
    tail = float((1 - confidence_level(confidence)) / 2)
    if cp is None or n < 2:
        return None
    index = float(exact(cp))
    low, high = (index * math.sqrt(chi2_ppf(p, n - 1) / (n - 1)) for p in (tail, 1 - tail))
    return low, high


def cpk_interval(cpk: Number | None, n: int, confidence: Number = "0.95") -> Interval | None:
    """Bissell: Cpk +- z sqrt(1 / (9 n) + Cpk^2 / (2 (n - 1))). None below two values."""
    return _bissell(cpk, n, two_sided_z(confidence))


def _bissell(cpk: Number | None, n: int, z: float) -> Interval | None:
    if cpk is None or n < 2:
        return None
    index = float(exact(cpk))
    half = z * math.sqrt(1 / (9 * n) + index * index / (2 * (n - 1)))
    return index - half, index + half


def cpm_interval(cpm: Number | None, n: int, bias: Number, confidence: Number = "0.95") -> Interval | None:
    """Boyles: chi-square with n (1 + a^2)^2 / (1 + 2 a^2) degrees of freedom, a = (mean - target) / sigma."""
    tail = float((1 - confidence_level(confidence)) / 2)
    if cpm is None or n < 2:
        return None
    a = float(exact(bias))
    freedom = n * (1 + a * a) ** 2 / (1 + 2 * a * a)
    low, high = (float(exact(cpm)) * math.sqrt(chi2_ppf(p, freedom) / freedom) for p in (tail, 1 - tail))
    return low, high
