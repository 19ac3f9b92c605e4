"""Constants of control charts as integrals, to 1e-12: no three-digit tables.

The relative range W of n standard normals has P(W <= w) = n int phi(x) (Phi(x + w) - Phi(x))^(n-1) dx;
d2 = E W and d3 = sqrt(E W^2 - d2^2). c4 = sqrt(2 / (n-1)) Gamma(n/2) / Gamma((n-1)/2) is E s.
Source: Montgomery, Introduction to Statistical Quality Control, appendix VI; ASTM MNL 7.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

_REACH = 9.5  # Phi(-9.5) is 1e-21
_STEPS_PER_UNIT = 16  # the trapezoid over a whole Gaussian: its error is far below 1e-16 from 4 steps on
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def _phi(x: F64) -> F64:
    return np.asarray(0.5 * _erfc(-x / math.sqrt(2)), np.float64)


def c4(n: int) -> float:
    """E s / sigma of n standard normals; n at least 2."""
    _size(n)
    if n > 300:  # the difference of two large logarithms loses digits; the series is good to 1e-16 here
        m = n - 1
        return 1 - 1 / (4 * m) + 1 / (32 * m**2) + 5 / (128 * m**3) - 21 / (2048 * m**4) - 399 / (8192 * m**5)
    if n % 2:
        return math.sqrt(2 / (n - 1)) * _half_gamma(n) / math.factorial((n - 3) // 2)
    return math.sqrt(2 / (n - 1)) * math.factorial(n // 2 - 1) / _half_gamma(n - 1)


def _half_gamma(n: int) -> float:
    """Gamma(n / 2) of an odd n."""
    k = n // 2
    return float(math.factorial(2 * k) / (4**k * math.factorial(k))) * math.sqrt(math.pi)


def d2(n: int) -> float:
    """E W of n standard normals; n at least 2."""
    return _range_moments(n)[0]


def d3(n: int) -> float:
    """The standard deviation of W of n standard normals."""
    first, second = _range_moments(n)
    return math.sqrt(second - first * first)


@lru_cache(maxsize=256)
def _range_moments(n: int) -> tuple[float, float]:
    """E W = int 1 - P(W <= w) dw and E W^2 = 2 int w (1 - P(W <= w)) dw over w > 0."""
    _size(n)
    step = 1 / _STEPS_PER_UNIT
    x = np.arange(-_REACH, _REACH + step / 2, step)
    density = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    below = _phi(x)
    nodes, weights = np.polynomial.legendre.leggauss(24)
    first = second = 0.0
    for panel in range(20):  # W beyond 20 has no weight that a double could hold
        w = panel + 0.5 + 0.5 * nodes
        inside = n * step * np.array([np.sum(density * (_phi(x + one) - below) ** (n - 1)) for one in w])
        outside = np.maximum(1 - inside, 0.0)
        first += float(np.sum(0.5 * weights * outside))
        second += float(np.sum(weights * w * outside))
    return first, second


def _size(n: int) -> None:
    if n < 2:
        raise ValueError(f"a subgroup of {n}: a range or a deviation needs at least 2 values")


@dataclass(frozen=True, slots=True)
class Constants:
    """Factors of three-sigma limits for subgroups of n."""

    d2: float
    d3: float
    c4: float
    a: float  # 3 / sqrt(n)
    a2: float  # mean from R
    a3: float  # mean from s
    b3: float  # s from s-bar
    b4: float
    b5: float  # s from sigma
    b6: float
    d1: float  # R from sigma, lower
    d2_upper: float  # R from sigma, upper (D2)
    d3_lower: float  # R from R-bar, lower (D3)
    d4: float  # R from R-bar, upper
    e2: float  # single values from R


def constants(n: int) -> Constants | None:
    """All factors for subgroups of n, lower ones not below 0. None below 2: no limits."""
    if n < 2:
        return None
    mean_range, spread_range, mean_s = d2(n), d3(n), c4(n)
    spread_s = math.sqrt(1 - mean_s * mean_s)
    a = 3 / math.sqrt(n)
    return Constants(
        d2=mean_range,
        d3=spread_range,
        c4=mean_s,
        a=a,
        a2=a / mean_range,
        a3=a / mean_s,
        b3=max(0.0, 1 - 3 * spread_s / mean_s),
        b4=1 + 3 * spread_s / mean_s,
        b5=max(0.0, mean_s - 3 * spread_s),
        b6=mean_s + 3 * spread_s,
        d1=max(0.0, mean_range - 3 * spread_range),
        d2_upper=mean_range + 3 * spread_range,
        d3_lower=max(0.0, 1 - 3 * spread_range / mean_range),
        d4=1 + 3 * spread_range / mean_range,
        e2=3 / mean_range,
    )
