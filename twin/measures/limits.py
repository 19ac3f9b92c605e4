"""Limits of control charts in fixed point (twin.measures.fixed): from declared figures, or from the points of phase I.

X-bar, R, s and single values rest on sigma of single values; of counts the spread follows from the centre.
`twin.figures` has the same in exact fractions and floats: tests hold the two against each other.
"""

from typing import Final, NamedTuple

from twin.measures.fixed import SCALE, divided, factors, root
from twin.plant.model import Chart

COUNTS: Final = ("p", "np", "c", "u")
# Chart type -> the charts that a point of it is a row of.
CHARTS: Final = {
    "xbar_s": ("xbar", "s"),
    "xbar_r": ("xbar", "r"),
    "i_mr": ("i", "mr"),
    "ewma": ("ewma",),
    "cusum": ("cusum_upper", "cusum_lower"),
    "p": ("p",),
    "np": ("np",),
    "c": ("c",),
    "u": ("u",),
}


class Shown(NamedTuple):
    """What a chart shows at a point, and what it is judged by; `unit` is one sigma of it, -1: it has none."""

    chart: str
    value: int
    center: int | None = None
    lower: int | None = None
    upper: int | None = None
    unit: int = -1


def size_of(chart: Chart) -> int:
    """Values that make a point."""
    return chart.n or 5 if chart.type in ("xbar_s", "xbar_r") else 1


def spread_of(chart: Chart, values: list[int], before: int | None) -> int | None:
    """Range, standard deviation or moving range of a point; None: of a first single value."""
    if chart.type == "xbar_r":
        return (max(values) - min(values)) * SCALE
    if chart.type == "xbar_s":
        n = len(values)
        squares = n * sum(value * value for value in values) - sum(values) ** 2
        return root(squares * SCALE * SCALE, n * (n - 1))
    if chart.type in ("i_mr", "ewma"):
        return None if before is None else abs(values[0] - before) * SCALE
    return None


def units_of(chart: Chart, said: int) -> int:
    """Units that a value is of, on charts of counts: as the plant says, or as the value itself (`said`)."""
    if chart.type == "c":
        return 1
    return chart.n or max(said, 1)


def from_baseline(chart: Chart, totals: list[int], units: list[int], spreads: list[int]) -> tuple[int, int] | None:
    """Centre and sigma of single values, from the points of phase I: of their sums, of the units that each is of, and
    of the spreads there are."""
    if chart.type in COUNTS:
        return divided(sum(totals) * SCALE, sum(units)), 0
    if not spreads:
        return None
    n = size_of(chart)
    center = divided(sum(totals) * SCALE, len(totals) * n)
    ranged, _, deviated = factors(max(n, 2))
    expected = deviated if chart.type == "xbar_s" else ranged
    return center, divided(sum(spreads) * SCALE, len(spreads) * expected)


def main(chart: Chart, total: int, units: int, center: int | None, sigma: int | None) -> Shown:
    """The first chart of a point: its mean, its value, or its share of `units`."""
    name = CHARTS[chart.type][0]
    n = size_of(chart) if chart.type not in ("p", "u") else units
    value = divided(total * SCALE, n)
    if center is None or sigma is None:
        return Shown(name, value)
    if chart.type in COUNTS:
        return _count(chart, name, value, units, center)
    unit = root(sigma * sigma, n)
    return Shown(name, value, center, center - 3 * unit, center + 3 * unit, unit)


def _count(chart: Chart, name: str, value: int, n: int, share: int) -> Shown:
    """Of `n` units. `share`: of one unit; of c the number of defects itself."""
    if chart.type == "np":
        unit, center, most = root(n * share * (SCALE - share)), n * share, n * SCALE
    elif chart.type == "p":
        unit, center, most = root(share * (SCALE - share), n), share, SCALE
    else:
        unit, center, most = root(share * SCALE, n if chart.type == "u" else 1), share, -1
    upper = center + 3 * unit
    return Shown(name, value, center, max(0, center - 3 * unit), min(upper, most) if most >= 0 else upper, unit)


def spread(chart: Chart, value: int, sigma: int | None) -> Shown:
    """The second chart of a point: its range, standard deviation or moving range."""
    name = CHARTS[chart.type][1]
    if sigma is None:
        return Shown(name, value)
    n = max(size_of(chart), 2)
    ranged, deviating, deviated = factors(n)
    if chart.type == "xbar_s":
        center = divided(deviated * sigma, SCALE)
        wide = divided(root(SCALE * SCALE - deviated * deviated) * sigma, SCALE)
    else:
        center, wide = divided(ranged * sigma, SCALE), divided(deviating * sigma, SCALE)
    return Shown(name, value, center, max(0, center - 3 * wide), center + 3 * wide)
