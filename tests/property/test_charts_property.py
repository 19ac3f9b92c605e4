"""Charts of the stream against plain Python over all values at once, in exact fractions and floats (twin.figures)."""

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.fold import layout as at
from twin.figures.attribute_charts import c_chart, np_chart, p_chart, u_chart
from twin.figures.charts import i_mr, xbar_r, xbar_s
from twin.figures.run_rules import run_rules
from twin.figures.sequential import cusum, ewma
from twin.measures.catalogue import Declared
from twin.measures.charts import Charts
from twin.measures.points import Point
from twin.measures.protocol import Observed
from twin.plant.model import Chart, FrozenLimits, Measure

PRODUCTS: Final = (None, "p", "q")
VALUES: Final = st.lists(
    st.one_of(st.integers(-50, 50), st.integers(-3, 3), st.sampled_from((-(10**14), 10**14, 7))), max_size=60
)


def observed(values: Sequence[tuple[int, int]], units: Sequence[int] = (), first: int = 0) -> Observed:
    rows = np.full((len(values), at.N_MO), -1, np.int64)
    rows[:, at.MO_LINE] = rows[:, at.MO_MEASURE] = 0
    for k, (value, product) in enumerate(values):
        rows[k, [at.MO_TS, at.MO_VALUE, at.MO_PRODUCT]] = first + k, value, product
        rows[k, at.MO_N] = units[k] if units else -1
    return Observed(rows, lambda rows: (np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)))


def points(
    chart: Chart,
    values: Sequence[int | tuple[int, int]],
    cuts: Sequence[int] = (),
    units: Sequence[int] = (),
    **more: Any,
) -> list[Point]:
    """All points; the state goes through `save` and `load` at every cut. `units` that each value is of."""
    measure = Measure("x", "characteristic", "mm", chart=chart, **more)
    family = Charts([Declared(0, -1, measure)])
    every = [one if isinstance(one, tuple) else (one, 0) for one in values]
    found: list[Point] = []
    for begin, end in zip((0, *cuts), (*cuts, len(values)), strict=True):
        family.take(observed(every[begin:end], units[begin:end], begin), lambda k: PRODUCTS[k])
        found += family.rows(0, end).get("samples", [])
        saved = family.save(0)
        family = Charts([Declared(0, -1, measure)])
        family.load(0, saved)
        assert family.save(0) == saved
    return found + family.rows(0, at.FAR).get("samples", [])


def of(found: Sequence[Point], chart: str) -> list[Point]:
    return [one for one in found if one.chart == chart]


def near(got: float | None, wanted: Any, scale: float = 1.0) -> None:
    assert got == pytest.approx(float(wanted), rel=1e-7, abs=1e-7 * scale)


@settings(max_examples=150, deadline=None)
@given(VALUES, st.sampled_from(("xbar_s", "xbar_r")), st.integers(2, 7), st.integers(2, 6), st.data())
def test_subgroups(values: list[int], kind: Any, n: int, baseline: int, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=3)))
    found = points(Chart(kind, n, baseline=baseline), values, cuts)
    groups = [values[k : k + n] for k in range(0, len(values) - n + 1, n)]
    means, spreads = of(found, "xbar"), of(found, kind[-1])
    assert len(means) == len(spreads) == len(groups)
    assert [one.total for one in means] == [sum(group) for group in groups]
    for one, group in zip(means, groups, strict=True):
        near(one.figure, Fraction(sum(group), n))
    first, later = groups[:baseline], groups[baseline:]
    if not later:
        assert all(one.center is None for one in found)
        return
    wanted = (xbar_s if kind == "xbar_s" else xbar_r)(first, later)
    size = float(max(map(abs, (x for group in groups for x in group))))
    for one in means[baseline:]:
        near(one.center, wanted.center, size)
        near(one.sigma, wanted.sigma, size)
        near(one.lower, wanted.mean_limits[0], size)
        near(one.upper, wanted.mean_limits[1], size)
    for one in spreads[baseline:]:
        near(one.lower, wanted.spread_limits[0], size)
        near(one.upper, wanted.spread_limits[1], size)
    for rows, out, limits in (
        (means[baseline:], wanted.phase2_out, wanted.mean_limits),
        (spreads[baseline:], wanted.phase2_spread_out, wanted.spread_limits),
    ):
        for k, one in enumerate(rows):
            assert one.figure is not None
            # On the limit itself the float of the pure function decides by its last digit.
            if min(abs(one.figure - float(limit)) for limit in limits) > 1e-6 * max(size, 1):
                assert (one.signals == ("beyond",)) == (k in out)


@settings(max_examples=150, deadline=None)
@given(VALUES, st.integers(2, 9), st.data())
def test_single_values(values: list[int], baseline: int, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=3)))
    found = points(Chart("i_mr", baseline=baseline), values, cuts)
    singles, ranges = of(found, "i"), of(found, "mr")
    assert [one.figure for one in singles] == values
    assert [one.figure for one in ranges] == [abs(b - a) for a, b in itertools.pairwise(values)]
    if len(values) <= baseline:
        return
    wanted = i_mr(values[:baseline], values[baseline:])
    size = float(max(map(abs, values)))
    for one in singles[baseline:]:
        near(one.center, wanted.center, size)
        near(one.lower, wanted.limits[0], size)
        near(one.upper, wanted.limits[1], size)
    near(ranges[-1].upper, wanted.mr_ucl, size)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 2)), max_size=80), st.integers(1, 3), st.data())
def test_run_rules_by_product(values: list[tuple[int, int]], sigma: int, data: st.DataObject) -> None:
    """Every rule at every index: all at once over whole fractions, and point by point."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=3)))
    chart = Chart("i_mr", rules=("western_electric", "nelson"), limits=FrozenLimits("v", "1", str(sigma)))
    found = of(points(chart, values, cuts), "i")
    for number, product in enumerate(PRODUCTS):
        mine = [one for one in found if one.product == product]
        assert [one.point for one in mine] == list(range(len(mine)))
        wanted = run_rules([value for value, of_product in values if of_product == number], 1, sigma)
        got = {rule: [k for k, one in enumerate(mine) if rule in one.signals] for rule in wanted}
        assert got == wanted


@settings(max_examples=150, deadline=None)
@given(VALUES, st.sampled_from(("0.1", "0.2", "1", "0.3")), st.integers(0, 3), st.data())
def test_with_a_memory(values: list[int], weight: str, sigma: int, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=3)))
    limits = FrozenLimits("v", "-2", str(sigma))
    found = of(points(Chart("ewma", weight=weight, limits=limits), values, cuts), "ewma")
    wanted = ewma(values, -2, sigma, weight)
    size = float(max(map(abs, values), default=1))
    for one, statistic, bounds in zip(found, wanted.ewma, wanted.limits, strict=True):
        assert statistic is not None and bounds is not None
        near(one.figure, statistic, size)
        near(one.lower, bounds[0], size)
        near(one.upper, bounds[1], size)
    sums = points(Chart("cusum", k=1, h=4), values, cuts, target=-2)
    exact = cusum(values, -2, 1, 4)
    for side, signals in (("upper", exact.upper_signals), ("lower", exact.lower_signals)):
        rows = of(sums, f"cusum_{side}")
        assert [one.figure for one in rows] == [float(one) for one in getattr(exact, side)]
        assert [k for k, one in enumerate(rows) if one.signals] == signals


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=3, max_size=40), st.integers(1, 25), st.integers(2, 8), st.data())
def test_counts(values: list[int], n: int, baseline: int, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=3)))
    first = values[:baseline]
    for kind in ("p", "np", "c", "u"):
        if kind in ("p", "np"):
            n = max(n, *values)
        found = of(points(Chart(kind, None if kind == "c" else n, baseline=baseline), values, cuts), kind)  # type: ignore[arg-type]
        if len(values) <= baseline:
            assert all(one.center is None for one in found)
            continue
        if kind == "p":
            center = p_chart(first, [n] * len(first)).center
            wanted = p_chart(values, [n] * len(values), center)
        elif kind == "np":
            wanted = np_chart(values, n, np_chart(first, n).center)
        elif kind == "c":
            wanted = c_chart(values, c_chart(first).center)
        else:
            wanted = u_chart(values, [n] * len(values), u_chart(first, [n] * len(first)).center)
        for k, one in enumerate(found[baseline:], baseline):
            bounds = wanted.limits[k]
            assert bounds is not None and one.figure is not None
            near(one.center, wanted.center or 0, 1)
            near(one.lower, bounds[0])
            near(one.upper, bounds[1])
            if min(abs(one.figure - float(limit)) for limit in bounds) > 1e-6:
                assert (one.signals == ("beyond",)) == (k in wanted.out), (kind, k)


SAMPLES: Final = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 90)), min_size=3, max_size=40)


@settings(max_examples=200, deadline=None)
@given(SAMPLES, st.sampled_from(("p", "u")), st.integers(2, 8), st.booleans(), st.data())
def test_counts_of_varying_units(
    samples: list[tuple[int, int]], kind: Any, baseline: int, frozen: bool, data: st.DataObject
) -> None:
    """Every point by its own n: limits, what lies beyond, run rules in sigmas of each point. Of nothing no point."""
    samples = [(min(bad, n) if kind == "p" else bad, n) for bad, n in samples]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(samples)), max_size=3)))
    limits = FrozenLimits("v", "0.125") if frozen else None
    chart = Chart(kind, rules=("western_electric",), baseline=None if frozen else baseline, limits=limits)
    found = of(points(chart, [bad for bad, _ in samples], cuts, [n for _, n in samples]), kind)
    samples = [(bad, n) for bad, n in samples if n]
    assert [(one.total, one.n) for one in found] == samples
    if not samples:
        return
    first = samples[:0] if frozen else samples[:baseline]
    if not frozen and len(samples) <= baseline:
        assert all(one.center is None for one in found)
        return
    pure = p_chart if kind == "p" else u_chart
    center = Fraction(1, 8) if frozen else pure(*zip(*first, strict=True)).center
    wanted = pure(*zip(*samples, strict=True), center)
    z = []
    for k, one in enumerate(found):
        bad, n = samples[k]
        assert one.figure == pytest.approx(bad / n)
        if k < len(first):
            continue
        bounds = wanted.limits[k]
        assert bounds is not None and one.figure is not None and center is not None
        near(one.center, center)
        near(one.lower, bounds[0])
        near(one.upper, bounds[1])
        variance = (center * (1 - center) if kind == "p" else center) / n
        away = Fraction(bad, n) - center
        z.append(float(away) / float(variance) ** 0.5 if variance else float(away) * 1e9)
    rules = run_rules(z, 0, 1)
    for k, one in enumerate(found[len(first) :]):
        near_a_line = any(abs(abs(value) - line) < 1e-6 for value in z[max(k - 4, 0) : k + 1] for line in (1, 2, 3))
        if not near_a_line and all(abs(value) > 1e-9 or value == 0 for value in z[: k + 1]):
            assert list(one.signals) == [name for name in ("WE1", "WE2", "WE3", "WE4") if k in rules[name]], k
