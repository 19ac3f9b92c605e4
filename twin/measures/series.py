"""One series of a control chart: the points of one measure of one product, in order, and where they stand."""

from fractions import Fraction
from typing import Final

import msgspec

from twin.measures.fixed import SCALE, divided, root
from twin.measures.judged import LONGEST, broken, outside, rules_of
from twin.measures.limits import COUNTS, Shown, from_baseline, main, spread, spread_of, units_of
from twin.plant.model import Chart

WEIGHT: Final = Fraction(1, 5)  # of an EWMA that says none
WIDTH: Final = Fraction(3)


class First(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A point of phase I: the sum of its values, and its spread."""

    point: int
    total: int
    spread: int | None
    n: int = 0  # units that it is of; 0: as the chart says


class Series(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    values: list[int] = []  # of the open point
    since: int = 0  # ts of its first
    point: int = 0  # number of the next
    before: int | None = None  # the value before, from which a moving range goes on
    first: list[First] = []  # phase I, while it lasts
    center: int | None = None  # of limits that stand, and sigma of single values, in fixed point
    sigma: int | None = None
    recent: list[tuple[int, int]] = []  # the last points that were judged: number, distance from the centre
    held: dict[str, tuple[str, ...]] = {}  # chart -> rules that held at its last point
    average: int | None = None  # of ewma: the statistic, and how much of its variance is still to come
    left: int = SCALE
    above: int = 0  # of cusum: both sums
    below: int = 0
    units: list[int] = []  # one sigma of each of `recent`; of a state from before it was: of the next point

    @property
    def frozen(self) -> bool:
        return self.center is not None

    def freeze(self, chart: Chart) -> list[int]:
        """Make limits of phase I. Returns the numbers of its points that lie beyond them."""
        units = [units_of(chart, one.n) for one in self.first]
        spreads = [one.spread for one in self.first if one.spread is not None]
        made = from_baseline(chart, [one.total for one in self.first], units, spreads)
        if made is None:
            return []
        self.center, self.sigma = made
        out = []
        for one, n in zip(self.first, units, strict=True):
            shown = [main(chart, one.total, n, self.center, self.sigma)]
            if one.spread is not None and chart.type not in ("ewma", *COUNTS):
                shown.append(spread(chart, one.spread, self.sigma))
            if any(map(outside, shown)):
                out.append(one.point)
        self.first = []
        return out


def advance(chart: Chart, target: int | None, one: Series, values: list[int], n: int, excluded: bool) -> list[Shown]:
    """The next point, of `n` units: what its charts show. A point that is excluded leaves everything as it is."""
    total = sum(values)
    if chart.type == "cusum":
        return _cusum(chart, target or 0, one, total, excluded)
    spreading = spread_of(chart, values, one.before)
    if chart.type in ("i_mr", "ewma"):
        one.before = None if excluded else values[0]
    if not one.frozen and not excluded:
        one.first.append(First(one.point, total, spreading, n))
    if chart.type == "ewma":
        return _ewma(chart, one, total, excluded)
    found = [main(chart, total, n, one.center, one.sigma)]
    if spreading is not None:
        found.append(spread(chart, spreading, one.sigma))
    return found


def judge(chart: Chart, one: Series, shown: Shown, *, first: bool) -> tuple[str, ...]:
    """The rules that hold at this point of a chart, `first`: of its first chart, by run rules."""
    if not first or chart.type in ("ewma", "cusum"):
        return outside(shown)
    assert shown.center is not None
    before = [shown.unit] * (len(one.recent) - len(one.units)) + one.units
    one.recent = [*one.recent[1 - LONGEST :], (one.point, shown.value - shown.center)]
    one.units = [*before[1 - LONGEST :], shown.unit]
    return broken(rules_of(chart), [distance for _, distance in one.recent], one.units)


def _ewma(chart: Chart, one: Series, total: int, excluded: bool) -> list[Shown]:
    if one.center is None or one.sigma is None:
        return [Shown("ewma", total * SCALE)]
    weight = Fraction(chart.weight) if chart.weight else WEIGHT
    width = Fraction(chart.width) if chart.width else WIDTH
    p, q = weight.numerator, weight.denominator
    before = one.center if one.average is None else one.average
    if not excluded:
        before = divided((q - p) * before + p * total * SCALE, q)
        one.average, one.left = before, divided(one.left * (q - p) ** 2, q * q)
    unit = root(one.sigma * one.sigma * p * (SCALE - one.left), (2 * q - p) * SCALE)
    reach = divided(width.numerator * unit, width.denominator)
    return [Shown("ewma", before, one.center, one.center - reach, one.center + reach, unit)]


def _cusum(chart: Chart, target: int, one: Series, total: int, excluded: bool) -> list[Shown]:
    """Both sums go on after a signal."""
    slack, most = chart.k or 0, chart.h or 0
    if not excluded:
        one.above = max(0, total - (target + slack) + one.above)
        one.below = max(0, (target - slack) - total + one.below)
    return [
        Shown(name, value * SCALE, 0, None, most * SCALE)
        for name, value in (("cusum_upper", one.above), ("cusum_lower", one.below))
    ]
