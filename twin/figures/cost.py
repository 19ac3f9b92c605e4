"""Cost: of a good piece, break-even, scale, learning curves, quality, loss.

Sources: Heizer and Render, Operations Management; Wright 1936, Crawford 1944; Williams 1947 (six-tenths rule). Money in
one unit, exact; powers and logarithms are floats.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from twin.figures.exact import Number, ceiling, exact, exacts, not_negative, positive, ratio, whole


def unit_cost(costs: Sequence[Number], good: Number) -> tuple[Fraction, Fraction | None]:
    """All cost and all cost / good pieces. Scrap is in the cost, not below; no good piece: None beside the total."""
    total = sum(exacts(costs), Fraction())
    return total, ratio(total, whole(good, "good pieces"))


@dataclass(frozen=True, slots=True)
class Process:
    fixed: Fraction
    variable: Fraction

    def cost(self, pieces: Number) -> Fraction:
        return self.fixed + self.variable * exact(pieces)

    def unit_cost(self, pieces: Number) -> Fraction | None:
        return ratio(self.cost(pieces), pieces)


def process(fixed: Number, variable: Number) -> Process:
    return Process(not_negative(fixed, "fixed cost"), not_negative(variable, "variable cost"))


def break_even(of: Process, price: Number) -> Fraction | None:
    """F / (p - v) pieces, as a ratio (whole pieces: round up). None where the price is not above the variable cost."""
    margin = exact(price) - of.variable
    return of.fixed / margin if margin > 0 else None


def indifference(one: Process, other: Process) -> Fraction | None:
    """The quantity at which both cost the same. None if there is none above or at 0."""
    point = ratio(other.fixed - one.fixed, one.variable - other.variable)
    return None if point is None or point < 0 else point


def cheapest(processes: Mapping[str, Process]) -> list[tuple[Fraction, str]]:
    """(from this quantity on, name), from 0: the lower envelope. Of equals the lower variable cost."""
    names = list(processes)
    points = {Fraction()}
    for one, other in itertools.combinations(names, 2):
        point = indifference(processes[one], processes[other])
        if point is not None:
            points.add(point)
    found: list[tuple[Fraction, str]] = []
    for point in sorted(points):
        best = min(names, key=lambda name: (processes[name].cost(point), processes[name].variable, names.index(name)))
        if not found or found[-1][1] != best:
            found.append((point, best))
    return found


def scaled_cost(cost: Number, size: Number, new_size: Number, exponent: Number = "0.6") -> float:
    """C2 = C1 (Q2 / Q1)^n, the six-tenths rule."""
    factor = positive(new_size, "the new size") / positive(size, "the size")
    return float(exact(cost)) * math.pow(factor, exact(exponent))


def scale_exponent(cost: Number, size: Number, other_cost: Number, other_size: Number) -> float | None:
    """ln(C2 / C1) / ln(Q2 / Q1) of two quotations. None for one size."""
    sizes = positive(other_size, "a size") / positive(size, "a size")
    costs = positive(other_cost, "a cost") / positive(cost, "a cost")
    return math.log(costs) / math.log(sizes) if sizes != 1 else None


def learning_exponent(rate: Number) -> float:
    """b = log2(rate) of the share that remains with every doubling, 0 < rate."""
    return math.log2(positive(rate, "the learning rate"))


@dataclass(frozen=True, slots=True)
class Learning:
    """Of the n-th unit, the first costing 1. Two models with different hours for one rate: store which."""

    crawford_unit: float  # n^b is the unit's
    crawford_total: float
    wright_average: float  # n^b is the average of the first n
    wright_total: float
    wright_unit: float


def learning(rate: Number, n: Sequence[Number]) -> list[Learning]:
    b = learning_exponent(rate)
    units = [whole(one, "a unit number", 1, 10_000_000) for one in n]
    most = max(units, default=0)
    powers = [float(k) ** b for k in range(1, most + 1)]
    found = []
    for k in units:
        total = k * powers[k - 1]
        before = (k - 1) * powers[k - 2] if k > 1 else 0.0
        found.append(Learning(powers[k - 1], math.fsum(powers[:k]), powers[k - 1], total, total - before))
    return found


@dataclass(frozen=True, slots=True)
class LearningFit:
    b: float
    first_unit: float
    rate: float
    se_b: float | None  # None of two points
    r2: float | None


def fit_learning(unit: Sequence[Number], hours: Sequence[Number]) -> LearningFit | None:
    """Crawford's model by least squares of logarithms. Units are numbered since the product's start. None below two.

    ValueError also where the fitted curve leaves the range of floats.
    """
    if len(unit) != len(hours):
        raise ValueError(f"{len(unit)} unit numbers and {len(hours)} values of hours")
    x = [math.log(positive(one, "a unit number")) for one in unit]
    y = [math.log(positive(one, "hours")) for one in hours]
    n = len(x)
    if n < 2 or len(set(x)) < 2:
        return None
    x_mean, y_mean = math.fsum(x) / n, math.fsum(y) / n
    sxx = math.fsum((a - x_mean) ** 2 for a in x)
    sxy = math.fsum((a - x_mean) * (c - y_mean) for a, c in zip(x, y, strict=True))
    syy = math.fsum((c - y_mean) ** 2 for c in y)
    b = sxy / sxx
    intercept = y_mean - b * x_mean
    rest = math.fsum((c - intercept - b * a) ** 2 for a, c in zip(x, y, strict=True))
    try:
        first_unit, rate = math.exp(intercept), 2**b
    except OverflowError:
        raise ValueError(
            f"the units {min(unit)} to {max(unit)} lie too close together for so different hours: the first unit would "
            "take more than 1e308 of them; give units further apart"
        ) from None
    return LearningFit(
        b,
        first_unit,
        rate,
        math.sqrt(rest / (n - 2) / sxx) if n > 2 else None,
        1 - rest / syy if syy else None,
    )


@dataclass(frozen=True, slots=True)
class QualityCost:
    total: Fraction
    share_of_sales: Fraction | None
    per_good_unit: Fraction | None
    failure_share: Fraction | None


def quality_cost(
    prevention: Number, appraisal: Number, internal: Number, external: Number, sales: Number = 0, good: Number = 0
) -> QualityCost:
    """Prevention, appraisal, internal and external failure; failures as a share of all four."""
    failures = exact(internal) + exact(external)
    total = exact(prevention) + exact(appraisal) + failures
    return QualityCost(total, ratio(total, sales), ratio(total, good), ratio(failures, total))


def loss_of_stop(
    hours: Number,
    direct_per_h: Number,
    contribution_per_piece: Number,
    bottleneck_rate_per_h: Number,
    critical_share: Number,
) -> Fraction:
    """h (direct + contribution x bottleneck rate x critical share).

    The share is 1 at the bottleneck and 0 where nothing is lost: full value for every stopped station counts the same
    pieces several times.
    """
    share = exact(critical_share)
    if not 0 <= share <= 1:
        raise ValueError(f"the critical share is {critical_share}: expected 0 to 1")
    lost = exact(contribution_per_piece) * not_negative(bottleneck_rate_per_h, "the bottleneck rate") * share
    return not_negative(hours, "hours") * (exact(direct_per_h) + lost)


def whole_pieces(quantity: Fraction | None) -> int | None:
    return None if quantity is None else ceiling(quantity)
