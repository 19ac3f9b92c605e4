"""Distributions that charts, intervals and tests need, to about 1e-13 of their value.

Written out because an environment of this size does not carry scipy; the tests compare every function with it.
Sources: Abramowitz and Stegun 6.5 and 26.5; continued fractions by Lentz's method (Press et al., Numerical Recipes
6.2 and 6.4). ValueError for a parameter or probability outside its range.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from statistics import NormalDist

from twin.figures.exact import Number, exact, probability

_TINY = 1e-300
_EPS = 1e-16
_STANDARD = NormalDist()


def normal_pdf(x: float) -> float:
    return math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def normal_cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def normal_ppf(p: float) -> float:
    """The value below which a share `p` lies, 0 < p < 1. Near 1 use `-normal_ppf(1 - p)` with the exact rest."""
    if not 0 < p < 1:
        raise ValueError(f"a normal quantile at {p}: expected 0 < p < 1")
    return _STANDARD.inv_cdf(p)


def two_sided_z(confidence: Number) -> float:
    """z of a two-sided interval: 1.96 for 0.95."""
    return -normal_ppf(float((1 - confidence_level(confidence)) / 2))


def one_sided_z(confidence: Number) -> float:
    return -normal_ppf(float(1 - confidence_level(confidence)))


def confidence_level(confidence: Number) -> Fraction:
    level = exact(confidence)
    if not 0 < level < 1:
        raise ValueError(f"confidence is {confidence!r}: expected a share between 0 and 1, such as 0.95")
    return level


def log_gamma_q(a: float, x: float) -> float:
    """The logarithm of the regularised upper incomplete gamma function Q(a, x), a > 0, x >= 0."""
    if a <= 0 or x < 0:
        raise ValueError(f"the incomplete gamma function at a = {a}, x = {x}: expected a > 0 and x >= 0")
    if x == 0:
        return 0.0
    if x < a + 1:
        rest = 1 - _gamma_series(a, x)
        return math.log(rest) if rest > 0 else -math.inf
    return _gamma_front(a, x) + math.log(_gamma_fraction(a, x))


def gamma_p(a: float, x: float) -> float:
    """The regularised lower incomplete gamma function P(a, x)."""
    if a <= 0 or x < 0:
        raise ValueError(f"the incomplete gamma function at a = {a}, x = {x}: expected a > 0 and x >= 0")
    if x == 0:
        return 0.0
    return _gamma_series(a, x) if x < a + 1 else 1 - math.exp(_gamma_front(a, x)) * _gamma_fraction(a, x)


def _gamma_front(a: float, x: float) -> float:
    return a * math.log(x) - x - math.lgamma(a)


def _gamma_series(a: float, x: float) -> float:
    term = total = 1 / a
    above = a
    while abs(term) > abs(total) * _EPS:
        above += 1
        term *= x / above
        total += term
    return total * math.exp(_gamma_front(a, x))


def _gamma_fraction(a: float, x: float) -> float:
    b = x + 1 - a
    c = 1 / _TINY
    d = 1 / b
    value = d
    for i in range(1, 100_000):
        numerator = -i * (i - a)
        b += 2
        d = numerator * d + b
        d = 1 / (d if abs(d) > _TINY else _TINY)
        c = b + numerator / c
        c = c if abs(c) > _TINY else _TINY
        step = d * c
        value *= step
        if abs(step - 1) <= 3 * _EPS:
            break
    return value


def chi2_cdf(x: float, dof: float) -> float:
    return gamma_p(dof / 2, x / 2) if x > 0 else 0.0


def chi2_log_sf(x: float, dof: float) -> float:
    """The logarithm of the upper tail: exact far below the least float."""
    return log_gamma_q(dof / 2, x / 2) if x > 0 else 0.0


def chi2_sf(x: float, dof: float) -> float:
    return math.exp(chi2_log_sf(x, dof))


def chi2_ppf(p: float, dof: float) -> float:
    """The quantile of chi-square, 0 < p < 1. By bisection on the lesser tail."""
    if not 0 < p < 1 or dof <= 0:
        raise ValueError(f"a chi-square quantile at p = {p} with {dof} degrees of freedom")
    if dof > 100_000:  # Cornish and Fisher: the next term is below 1e-12 of the value
        z = normal_ppf(p)
        root = math.sqrt(2 * dof)
        return (
            dof
            + z * root
            + 2 / 3 * (z * z - 1)
            + (z**3 - 7 * z) / (9 * root)
            - (6 * z**4 + 14 * z * z - 32) / (405 * dof)
        )
    upper = p > 0.5
    target = 1 - p if upper else p

    def above(x: float) -> bool:
        return chi2_sf(x, dof) <= target if upper else chi2_cdf(x, dof) >= target

    return _bisect(above, max(dof, 1.0))


def _bisect(above: Callable[[float], bool], scale: float) -> float:
    """The least positive float at which `above` holds."""
    low, high = 0.0, scale
    while not above(high):
        low, high = high, high * 2
        if not math.isfinite(high):
            raise ValueError("the quantile is not finite")
    while low == 0.0 and high > 1e-300 and above(high / 2):
        high /= 2
    while True:
        middle = (low + high) / 2
        if not low < middle < high:
            return high
        if above(middle):
            high = middle
        else:
            low = middle


def beta_inc(a: float, b: float, x: float, rest: float | None = None) -> float:
    """The regularised incomplete beta function I_x(a, b), a, b > 0, 0 <= x <= 1; `rest` is 1 - x where it is known."""
    if a <= 0 or b <= 0 or not 0 <= x <= 1:
        raise ValueError(f"the incomplete beta function at a = {a}, b = {b}, x = {x}")
    rest = 1 - x if rest is None else rest
    if x == 0 or rest == 0:
        return float(x != 0)
    log_rest = math.log1p(-x) if x < 0.5 else math.log(rest)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * log_rest)
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(a, b, x) / a
    return 1 - front * _beta_fraction(b, a, rest) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    c = 1.0
    d = 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > _TINY else _TINY)
    value = d
    for m in range(1, 100_000):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + numerator * d
            d = 1 / (d if abs(d) > _TINY else _TINY)
            c = 1 + numerator / c
            c = c if abs(c) > _TINY else _TINY
            step = d * c
            value *= step
        if abs(step - 1) <= 3 * _EPS:
            break
    return value


def t_sf(t: float, dof: float) -> float:
    """The upper tail of Student's t."""
    total = dof + t * t
    tail = 0.5 * beta_inc(dof / 2, 0.5, dof / total, t * t / total)
    return tail if t >= 0 else 1 - tail


def t_ppf(p: float, dof: float) -> float:
    """The quantile of Student's t, 0 < p < 1, dof > 0 (need not be whole: Welch)."""
    if not 0 < p < 1 or dof <= 0:
        raise ValueError(f"a quantile of t at p = {p} with {dof} degrees of freedom")
    if p == 0.5:
        return 0.0
    if p < 0.5:
        return -_bisect(lambda t: t_sf(t, dof) <= p, 1.0)
    return _bisect(lambda t: t_sf(t, dof) <= 1 - p, 1.0)


def two_sided_t(confidence: Number, dof: float) -> float:
    """t of a two-sided interval: 2.262 for 0.95 and 9 degrees of freedom."""
    return -t_ppf(float((1 - confidence_level(confidence)) / 2), dof)


def f_sf(x: float, dof1: float, dof2: float) -> float:
    """The upper tail of F."""
    total = dof2 + dof1 * x
    return beta_inc(dof2 / 2, dof1 / 2, dof2 / total, dof1 * x / total) if x > 0 else 1.0


def f_cdf(x: float, dof1: float, dof2: float) -> float:
    total = dof2 + dof1 * x
    return beta_inc(dof1 / 2, dof2 / 2, dof1 * x / total, dof2 / total) if x > 0 else 0.0


def f_ppf(p: float, dof1: float, dof2: float) -> float:
    if not 0 < p < 1 or dof1 <= 0 or dof2 <= 0:
        raise ValueError(f"a quantile of F at p = {p} with {dof1} and {dof2} degrees of freedom")
    if p < 0.5:
        return _bisect(lambda x: f_cdf(x, dof1, dof2) >= p, 1.0)
    return _bisect(lambda x: f_sf(x, dof1, dof2) <= 1 - p, 1.0)


def binomial_cdf(k: int, n: int, p: Number) -> Fraction:
    """P(X <= k) of n trials, exactly."""
    share = probability(p, "p")
    hit, below = share.numerator, share.denominator
    miss = below - hit
    total = sum(math.comb(n, i) * hit**i * miss ** (n - i) for i in range(min(k, n) + 1))
    return Fraction(total, below**n)


def binomial_band(n: int, p: Number, tail: Number) -> tuple[int, int]:
    """The least counts whose distribution reaches `tail` and 1 - `tail`: the band of n trials, both ends in it."""
    share, side = probability(p, "p"), probability(tail, "tail")
    hit, below = share.numerator, share.denominator
    miss = below - hit
    whole, running = below**n, 0
    low: int | None = None
    for k in range(n + 1):
        running += math.comb(n, k) * hit**k * miss ** (n - k)
        if low is None and running * side.denominator >= side.numerator * whole:
            low = k
        if running * side.denominator >= (side.denominator - side.numerator) * whole:
            return (k if low is None else low), k
    return n, n
