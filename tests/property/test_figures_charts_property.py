"""Figures of quality against scipy, numpy and the obvious computation."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from twin.figures import special
from twin.figures.attribute_charts import c_chart, np_chart, p_chart, u_chart
from twin.figures.capability import capability, cp_interval, cpk_interval
from twin.figures.charts import i_mr, within_sigma, xbar_r, xbar_s
from twin.figures.constants import c4, constants, d2, d3
from twin.figures.defects import chi_square, fisher_exact, mantel_haenszel, odds_ratio
from twin.figures.exact import deviation, exact, exacts, mean, percentile, percentile_linear, variance
from twin.figures.run_rules import LONGEST, run_rules
from twin.figures.sequential import cusum, cusum_arl, ewma, ewma_arl
from twin.figures.yields import pareto, sigma_level

SMALL = settings(max_examples=60)
shares = st.floats(1e-9, 1 - 1e-9)
freedoms = st.floats(0.5, 400)
tenths = st.integers(-500, 500).map(lambda n: n / 10)
counts = st.integers(0, 40)


@SMALL
@given(shares, freedoms, st.floats(1, 400))
def test_quantiles(p: float, dof: float, other: float) -> None:
    assert special.chi2_ppf(p, dof) == pytest.approx(stats.chi2.ppf(p, dof), rel=1e-10)
    assert special.t_ppf(p, dof) == pytest.approx(stats.t.ppf(p, dof), rel=1e-9, abs=1e-12)
    assert special.normal_ppf(p) == pytest.approx(stats.norm.ppf(p), rel=1e-12, abs=1e-12)
    if dof >= 1:
        assert special.f_ppf(p, dof, other) == pytest.approx(stats.f.ppf(p, dof, other), rel=1e-9)


@SMALL
@given(st.floats(0, 2000), freedoms, st.floats(1, 400))
def test_tails(x: float, dof: float, other: float) -> None:
    assert special.chi2_cdf(x, dof) == pytest.approx(stats.chi2.cdf(x, dof), rel=1e-11, abs=1e-14)
    if x < 1300:  # scipy says -inf beyond the least float
        assert special.chi2_log_sf(x, dof) == pytest.approx(stats.chi2.logsf(x, dof), rel=1e-10, abs=1e-10)
    if x > 1e-9:  # scipy rounds nearer to 0: of (1, 1) the tail is 1 - 2 atan(sqrt(x)) / pi
        assert special.f_sf(x, dof, other) == pytest.approx(stats.f.sf(x, dof, other), rel=1e-9, abs=1e-300)
    assert special.t_sf(x / 50, dof) == pytest.approx(stats.t.sf(x / 50, dof), rel=1e-9, abs=1e-300)


@SMALL
@given(st.integers(1, 200), st.integers(-1, 200), st.floats(0, 1), st.floats(0.0001, 0.2))
def test_binomial(n: int, k: int, p: float, tail: float) -> None:
    assert float(special.binomial_cdf(k, n, p)) == pytest.approx(stats.binom.cdf(k, n, p), rel=1e-9, abs=1e-300)
    low, high = special.binomial_band(n, p, tail)
    assert stats.binom.cdf(low, n, p) >= tail * (1 - 1e-9) and stats.binom.cdf(low - 1, n, p) <= tail * (1 + 1e-9)
    assert stats.binom.cdf(high, n, p) >= (1 - tail) * (1 - 1e-9)
    assert stats.binom.cdf(high - 1, n, p) <= (1 - tail) * (1 + 1e-9)


@pytest.mark.parametrize("n", [2, 3, 4, 7, 15, 25, 50, 100, 200])
def test_constants_by_other_integrals(n: int) -> None:
    """d2 from the distribution of the largest, d3 from that of the range, by scipy."""
    x = np.linspace(-12, 12, 20_001)
    largest = np.trapezoid(x * n * stats.norm.pdf(x) * stats.norm.cdf(x) ** (n - 1), x)
    assert d2(n) == pytest.approx(2 * largest, rel=1e-11)
    second = integrate.quad(lambda w: 2 * w * stats.studentized_range.sf(w, n, np.inf), 0, 16, epsabs=1e-9)[0]
    assert d3(n) == pytest.approx(math.sqrt(second - d2(n) ** 2), rel=1e-6)
    assert c4(n) == pytest.approx(stats.chi.mean(n - 1) / math.sqrt(n - 1), rel=1e-12)


def test_the_tail_of_f_near_zero() -> None:
    assert special.f_sf(1e-16, 1, 1) == pytest.approx(1 - 2 * math.atan(1e-8) / math.pi, rel=1e-15)


def test_closed_forms_of_small_subgroups() -> None:
    assert d2(2) == pytest.approx(2 / math.sqrt(math.pi), rel=1e-12)
    assert d3(2) == pytest.approx(math.sqrt(2 - 4 / math.pi), rel=1e-12)
    assert d2(3) == pytest.approx(3 / math.sqrt(math.pi), rel=1e-12)
    assert c4(2) == pytest.approx(math.sqrt(2 / math.pi), rel=1e-14)
    assert constants(1) is None
    for n in (300, 301, 1000, 10**6):
        assert c4(n) == pytest.approx(stats.chi.mean(n - 1) / math.sqrt(n - 1), rel=1e-10)


subgroups = st.integers(2, 6).flatmap(
    lambda n: st.lists(st.lists(tenths, min_size=n, max_size=n), min_size=2, max_size=8)
)


@SMALL
@given(subgroups, subgroups)
def test_subgroup_charts(first: list[list[float]], later: list[list[float]]) -> None:
    n = len(first[0])
    later = [[*group, *group, *group][:n] for group in later]
    values = np.array(first)
    ranges, deviations = np.ptp(values, axis=1), values.std(axis=1, ddof=1)
    by_range, by_s = xbar_r(first, later), xbar_s(first, later)
    assert float(by_range.center) == pytest.approx(values.mean(), abs=1e-9)
    assert by_range.sigma == pytest.approx(ranges.mean() / d2(n), abs=1e-9)
    assert by_s.sigma == pytest.approx(deviations.mean() / c4(n), abs=1e-9)
    for chart in (by_range, by_s):
        width = 3 * chart.sigma / math.sqrt(n)
        away = np.abs(np.array(later).mean(axis=1) - values.mean())
        clear = [i for i, one in enumerate(away) if abs(one - width) > 1e-9]
        assert [i for i in clear if i in chart.phase2_out] == [i for i in clear if away[i] > width]
    assert within_sigma(first, "pooled") == pytest.approx(
        math.sqrt((deviations**2).mean()) / c4(len(first) * (n - 1) + 1), abs=1e-9
    )


@SMALL
@given(st.lists(st.none() | tenths, min_size=3, max_size=20))
def test_single_values_and_gaps(values: list[float | None]) -> None:
    pairs = [(a, b) for a, b in itertools.pairwise(values) if a is not None and b is not None]
    if not pairs:
        with pytest.raises(ValueError, match="no moving range"):
            i_mr(values)
        return
    chart = i_mr(values)
    assert float(chart.mr_bar) == pytest.approx(np.mean([abs(a - b) for a, b in pairs]), abs=1e-9)
    assert chart.sigma == pytest.approx(float(chart.mr_bar) * math.sqrt(math.pi) / 2, rel=1e-9, abs=1e-12)


@SMALL
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 30)), min_size=1, max_size=12))
def test_attribute_charts(points: list[tuple[int, int]]) -> None:
    sizes = [n for n, _ in points]
    bad = [min(n, d) for n, d in points]
    chart = p_chart(bad, sizes)
    if not sum(sizes):
        assert chart.center is None and chart.out == []
        return
    middle = sum(bad) / sum(sizes)
    for i, (d, n) in enumerate(zip(bad, sizes, strict=True)):
        limits = chart.limits[i]
        if not n:
            assert limits is None and i not in chart.out
            continue
        width = 3 * math.sqrt(middle * (1 - middle) / n)
        assert limits is not None
        assert [float(one) for one in limits] == pytest.approx([max(0, middle - width), min(1, middle + width)])
        if abs(abs(d / n - middle) - width) > 1e-9:
            assert (i in chart.out) == (abs(d / n - middle) > width)
    defects = [d for _, d in points]
    assert c_chart(defects).center == Fraction(sum(defects), len(defects))
    units = u_chart(defects, [n + 1 for n in sizes])
    assert units.center == Fraction(sum(defects), sum(sizes) + len(sizes))
    same = np_chart([min(d, 30) for d in defects], 30)
    assert same.center == Fraction(sum(min(d, 30) for d in defects), len(defects))


def naive_rules(z: list[Fraction | None]) -> dict[str, list[int]]:
    """By slices that end at the point and hold no gap."""

    def window(i: int, n: int) -> list[Fraction] | None:
        part = z[i - n + 1 : i + 1] if i + 1 >= n else []
        return None if len(part) < n or None in part else [one for one in part if one is not None]

    found: dict[str, list[int]] = {f"WE{i}": [] for i in range(1, 5)} | {f"N{i}": [] for i in range(1, 9)}
    for i, now in enumerate(z):
        if now is None:
            continue
        for sign in (1, -1):
            for names, m, n, limit in ((("WE1", "N1"), 1, 1, 3), (("WE2", "N5"), 2, 3, 2), (("WE3", "N6"), 4, 5, 1)):
                part = window(i, n)
                if part and sign * now > limit and len([x for x in part if sign * x > limit]) >= m:
                    for name in names:
                        found[name].append(i)
            for name, n in (("WE4", 8), ("N2", 9)):
                part = window(i, n)
                if part and min(sign * x for x in part) > 0:
                    found[name].append(i)
            part = window(i, 6)
            if part and part == sorted(set(part), reverse=sign < 0):
                found["N3"].append(i)
        part = window(i, 14)
        if part:
            ups = [b - a for a, b in itertools.pairwise(part)]
            if all(a * b < 0 for a, b in itertools.pairwise(ups)):
                found["N4"].append(i)
        part = window(i, 15)
        if part and max(abs(x) for x in part) <= 1:
            found["N7"].append(i)
        part = window(i, 8)
        if part and min(abs(x) for x in part) > 1 and max(part) > 0 > min(part):
            found["N8"].append(i)
    return found


lively = st.one_of(
    st.lists(st.none() | st.integers(-13, 13), max_size=40),
    st.lists(st.integers(-4, 4), min_size=LONGEST, max_size=40),
    st.lists(st.sampled_from([-6, -5, 5, 6]), min_size=8, max_size=30),
    st.lists(st.integers(1, 9), min_size=6, max_size=30).map(lambda steps: np.cumsum(steps).tolist()),
    st.lists(st.integers(1, 6), min_size=14, max_size=24).map(lambda ys: [y * (-1) ** i for i, y in enumerate(ys)]),
)


@settings(max_examples=300)
@given(lively)
def test_every_rule_at_every_index(quarters: list[int | None]) -> None:
    values = [None if one is None else Fraction(one, 4) for one in quarters]
    assert run_rules(values) == naive_rules(values)
    shifted = [None if one is None else one * 2 + 7 for one in values]
    assert run_rules(shifted, center=7, sigma=2) == naive_rules(values)


@SMALL
@given(st.lists(tenths, max_size=25), st.sampled_from(["1/10", "3/10", "1"]))
def test_ewma_as_a_weighted_sum(values: list[float], lam: str) -> None:
    chart, weight = ewma(values, 5, 2, lam), Fraction(lam)
    numbers = exacts(values)
    for i in range(len(values)):
        weighted = sum(weight * (1 - weight) ** (i - j) * numbers[j] for j in range(i + 1))
        assert chart.ewma[i] == weighted + (1 - weight) ** (i + 1) * 5
        assert chart.variance[i] == 4 * sum((weight * (1 - weight) ** j) ** 2 for j in range(i + 1))
        away = chart.ewma[i] - 5
        assert (i in chart.out) == (away * away > 9 * chart.variance[i])


@SMALL
@given(st.lists(tenths, max_size=25), st.integers(0, 30), st.integers(0, 60))
def test_cusum_as_the_greatest_tail(values: list[float], k: int, h: int) -> None:
    chart = cusum(values, 3, Fraction(k, 10), h)
    numbers = exacts(values)
    for i in range(len(values)):
        tails = [sum((x - 3 - Fraction(k, 10) for x in numbers[j : i + 1]), Fraction()) for j in range(i + 1)]
        assert chart.upper[i] == max(0, *tails)
        falls = [sum((3 - Fraction(k, 10) - x for x in numbers[j : i + 1]), Fraction()) for j in range(i + 1)]
        assert chart.lower[i] == max(0, *falls)
    assert chart.upper_signals == [i for i, one in enumerate(chart.upper) if one > h]


@pytest.mark.parametrize(("lam", "width", "shift"), [(0.1, 2.7, 0.0), (0.2, 2.86, 1.0), (0.5, 3.0, 0.5)])
def test_run_lengths_by_a_markov_chain(lam: float, width: float, shift: float) -> None:
    """Brook and Evans: cells instead of nodes."""
    m = 801
    c = width * math.sqrt(lam / (2 - lam))
    edges = np.linspace(-c, c, m + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    at = (edges[None, :] - (1 - lam) * middles[:, None]) / lam - shift
    moves = np.diff(stats.norm.cdf(at), axis=1)
    lengths = np.linalg.solve(np.eye(m) - moves, np.ones(m))
    assert ewma_arl(lam, width, shift) == pytest.approx(lengths[m // 2], rel=2e-4)


@pytest.mark.parametrize(("k", "h", "shift"), [(0.5, 4.0, 0.0), (0.5, 5.0, 0.75), (0.25, 8.0, 0.5)])
def test_cusum_run_lengths_by_a_markov_chain(k: float, h: float, shift: float) -> None:
    m = 1200
    step = 2 * h / (2 * m - 1)
    states = np.arange(m) * step
    upper = stats.norm.cdf(states[None, :] + step / 2 - states[:, None] + k - shift)
    moves = np.diff(upper, axis=1, prepend=0)
    lengths = np.linalg.solve(np.eye(m) - moves, np.ones(m))
    assert cusum_arl(k, h, shift, two_sided=False) == pytest.approx(lengths[0], rel=1e-3)


@SMALL
@given(st.lists(tenths, min_size=2, max_size=30), st.floats(0.5, 0.999))
def test_moments_and_percentiles(values: list[float], p: float) -> None:
    numbers = exacts(values)
    assert float(mean(numbers)) == pytest.approx(np.mean(values), abs=1e-9)
    assert float(variance(numbers)) == pytest.approx(np.var(values, ddof=1), abs=1e-8)
    assert float(deviation(numbers)) == pytest.approx(np.std(values, ddof=1), abs=1e-6)
    assert float(percentile_linear(values, p)) == pytest.approx(np.percentile(values, 100 * p), abs=1e-8)
    ordered = sorted(values)
    assert float(percentile(values, p)) == ordered[max(1, math.ceil(exact(p) * len(values))) - 1]


@SMALL
@given(st.lists(st.lists(counts, min_size=3, max_size=3), min_size=2, max_size=5))
def test_chi_square(table: list[list[int]]) -> None:
    test = chi_square(table)
    rows = [row for row in table if any(row)]
    columns = [i for i in range(3) if any(row[i] for row in rows)]
    if len(rows) < 2 or len(columns) < 2:
        assert test is None
        return
    known = stats.chi2_contingency([[row[i] for i in columns] for row in rows], correction=False)
    assert test is not None
    assert float(test.chi2) == pytest.approx(known.statistic, rel=1e-9, abs=1e-12)
    assert test.p == pytest.approx(known.pvalue, rel=1e-8)
    assert test.dof == known.dof


@SMALL
@given(counts, counts, counts, counts)
def test_two_by_two(a: int, b: int, c: int, d: int) -> None:
    if a + b == 0 or c + d == 0:
        return
    assert float(fisher_exact(a, b, c, d)) == pytest.approx(stats.fisher_exact([[a, b], [c, d]]).pvalue, rel=1e-7)
    one = odds_ratio((a, b), (c, d))
    if a and b and c and d:
        known = stats.contingency.odds_ratio([[a, b], [c, d]], kind="sample")
        assert float(one.odds_ratio) == pytest.approx(known.statistic)
        assert one.interval == pytest.approx(tuple(known.confidence_interval(0.95)), rel=1e-9)
        assert mantel_haenszel([((a, b), (c, d))]) == one.odds_ratio
    else:
        assert one.interval is None


@SMALL
@given(tenths, st.floats(0.1, 10), st.integers(2, 200), st.sampled_from([0.9, 0.95, 0.99]))
def test_capability(at: float, sigma: float, n: int, level: float) -> None:
    one = capability(at, sigma, -10, 20, 5)
    assert float(one.cp) == pytest.approx(30 / 6 / sigma)
    assert float(one.cpk) == pytest.approx(min(20 - at, at + 10) / 3 / sigma)
    assert float(one.cpm) == pytest.approx(30 / 6 / math.hypot(sigma, at - 5))
    bounds = cp_interval(one.cp, n, level)
    assert bounds == pytest.approx(
        tuple(float(one.cp) * np.sqrt(stats.chi2.ppf([(1 - level) / 2, (1 + level) / 2], n - 1) / (n - 1))), rel=1e-8
    )
    z = stats.norm.ppf((1 + level) / 2)
    half = z * math.sqrt(1 / (9 * n) + float(one.cpk) ** 2 / (2 * (n - 1)))
    assert cpk_interval(one.cpk, n, level) == pytest.approx(
        (float(one.cpk) - half, float(one.cpk) + half), rel=1e-9, abs=1e-9
    )


@SMALL
@given(st.dictionaries(st.text("abcde", min_size=1, max_size=3), counts, max_size=8), st.integers(1, 999_999))
def test_pareto_and_sigma_level(by_name: dict[str, int], dpmo: int) -> None:
    order, cumulative = pareto(by_name)
    total = sum(by_name.values())
    if not total:
        assert order == cumulative == []
    else:
        assert [by_name[name] for name in order] == sorted(by_name.values(), reverse=True)
        assert cumulative[-1] == 1
        assert cumulative == [Fraction(sum(by_name[name] for name in order[: i + 1]), total) for i in range(len(order))]
    assert sigma_level(dpmo) == pytest.approx(stats.norm.isf(dpmo / 1e6) + 1.5, abs=1e-11)
