"""Figures of energy, lives and sketches against scipy, squares and steps in time."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from twin.figures.continuous import reconcile, totalise
from twin.figures.cost import fit_learning
from twin.figures.exact import common, length, spans, union, without
from twin.figures.maintenance import change_point, mtbf, mtbf_bounds, page_hinkley
from twin.figures.monitoring import cusum_signals, hotelling
from twin.figures.simulation import (
    mean_interval,
    welch_interval,
)
from twin.figures.sketch import Histogram, bounds_of, ddsketch_key, index_of, of
from twin.figures.supply import newsvendor, starvation_causes
from twin.figures.usage import hold, meter, trapezoid
from twin.figures.weibull import fit

SMALL = settings(max_examples=60)
seconds = st.integers(0, 40)
samples = st.lists(st.tuples(seconds, st.none() | st.integers(-9, 9)), max_size=8)


@SMALL
@given(samples, st.integers(1, 15), seconds, seconds)
def test_hold_and_trapezoid_second_by_second(
    points: list[tuple[int, int | None]], limit: int, one: int, other: int
) -> None:
    start, end = sorted((one, other))
    last = dict(points)
    times = sorted(last)
    held = known = 0
    area, covered = Fraction(), 0
    for second in range(start, end):
        before = [t for t in times if t <= second]
        after = [t for t in times if t > second]
        value = last[before[-1]] if before else None
        if value is not None and second < before[-1] + limit:
            held, known = held + value, known + 1
        if before and after and after[0] - before[-1] <= limit:
            a, b = last[before[-1]], last[after[0]]
            if a is not None and b is not None:
                middle = Fraction(2 * second + 1, 2) - before[-1]
                area += a + Fraction(b - a, after[0] - before[-1]) * middle
                covered += 1
    zero_order = hold(points, limit, (start, end))
    assert (zero_order.amount, zero_order.known_s, zero_order.gap_s) == (held, known, end - start - known)
    linear = trapezoid(points, limit, (start, end))
    assert (linear.amount, linear.known_s) == (area, covered)


@SMALL
@given(st.lists(st.integers(0, 400), min_size=1, max_size=12), st.integers(0, 999))
def test_a_meter_that_rolls_over_counts_all(steps: list[int], first: int) -> None:
    registers = [sum(steps[:i], first) for i in range(len(steps) + 1)]
    found = meter([("m", one % 1000) for one in registers], 1000)
    assert found.increments == steps and found.known == sum(steps) and not found.suspect
    same = totalise([("e", "kg", one % 1000) for one in registers], {"kg": 1}, 1000)
    assert same.increments == steps


@SMALL
@given(st.lists(st.tuples(seconds, seconds), max_size=6), st.lists(st.tuples(seconds, seconds), max_size=6))
def test_intervals_second_by_second(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> None:
    a, b = (spans([sorted(pair) for pair in pairs]) for pairs in (first, second))

    def instants(of: list[tuple[Fraction, Fraction]]) -> set[int]:
        return {t for start, end in of for t in range(int(start), int(end))}

    assert instants(union(a)) == instants(a) and length(a) == len(instants(a))
    assert instants(common(a, b)) == instants(a) & instants(b)
    assert instants(without(a, b)) == instants(a) - instants(b)
    causes, total = starvation_causes(a, {"M": b}, [])
    assert total == sum(causes.values()) == len(instants(a))


@SMALL
@given(st.lists(st.integers(0, 2**62), max_size=60), st.integers(0, 9), st.fractions(0, 1))
def test_histogram(values: list[int], bits: int, p: Fraction) -> None:
    histogram = of(values, bits)
    for value in values:
        low, high = bounds_of(index_of(value, bits), bits)
        assert low <= value <= high and high - low <= low >> bits
        assert bounds_of(index_of(value, bits) + 1, bits)[0] == high + 1
    other = Histogram(bits)
    for part in (values[1::2], values[::2]):
        other.merge(of(part, bits))
    assert other.pairs() == histogram.pairs()
    bounds = histogram.quantile_bounds(p)
    if values:
        exact = sorted(values)[max(1, math.ceil(p * len(values))) - 1]
        assert bounds is not None and bounds[0] <= exact <= bounds[1]
        histogram.add(values[0], -1)
        assert histogram.pairs() == of(values[1:], bits).pairs()
    else:
        assert bounds is None


@SMALL
@given(st.integers(1, 10**9), st.integers(1, 40))
def test_ddsketch_key(x: int, percent: int) -> None:
    alpha = Fraction(percent, 100)
    key, gamma = ddsketch_key(x, alpha), (1 + alpha) / (1 - alpha)
    assert gamma ** (key - 1) < x <= gamma**key


networks = st.integers(2, 5).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(1, 100), min_size=n, max_size=n),
        st.lists(st.integers(1, 9), min_size=n, max_size=n),
        st.lists(st.lists(st.integers(-1, 1), min_size=n, max_size=n), min_size=1, max_size=n - 1),
    )
)


@SMALL
@given(networks)
def test_reconciliation(network: tuple[list[int], list[int], list[list[int]]]) -> None:
    """Against the quadratic programme's own equations, and every balance closed."""
    measured, sd, balances = network
    a = np.array(balances, float)
    if np.linalg.matrix_rank(a) < len(balances):
        with pytest.raises(ValueError, match="depend on each other"):
            reconcile(measured, sd, balances)
        return
    found = reconcile(measured, sd, balances)
    for row in balances:
        assert sum(k * x for k, x in zip(row, found.reconciled, strict=True)) == 0
    n, m = len(measured), len(balances)
    weights = np.diag(1 / np.array(sd, float) ** 2)
    system = np.block([[weights, a.T], [a, np.zeros((m, m))]])
    right = np.concatenate([weights @ measured, np.zeros(m)])
    solution = np.linalg.solve(system, right)[:n]
    assert [float(x) for x in found.reconciled] == pytest.approx(solution.tolist(), rel=1e-6, abs=1e-6)
    away = (np.array(measured) - solution) / np.array(sd)
    assert float(found.global_test) == pytest.approx(float(away @ away), rel=1e-6, abs=1e-8)


@SMALL
@given(
    st.lists(st.floats(0.5, 500).map(lambda x: round(x, 2)), min_size=2, max_size=12, unique=True),
    st.lists(st.floats(0.5, 500).map(lambda x: round(x, 2)), max_size=6),
)
def test_weibull_by_scipy(failures: list[float], censored: list[float]) -> None:
    assume(max(failures) / min(failures) > 1.3)
    found = fit(failures, censored)
    assert found is not None and found.loglik is not None

    def against(parameters: np.ndarray) -> float:
        beta, eta = np.exp(parameters)
        dead = stats.weibull_min.logpdf(failures, beta, scale=eta).sum()
        return float(-dead - stats.weibull_min.logsf(censored, beta, scale=eta).sum())

    start = np.log([found.beta * 1.05, found.eta * 0.97])
    other = optimize.minimize(
        against, start, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 4000}
    )
    assert found.loglik == pytest.approx(-other.fun, abs=1e-7)
    assert np.log([found.beta, found.eta]) == pytest.approx(other.x, abs=2e-4)


@SMALL
@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 900)), min_size=3, max_size=12))
def test_learning_fit_by_scipy(points: list[tuple[int, int]]) -> None:
    units, hours = [u for u, _ in points], [h for _, h in points]
    try:
        found = fit_learning(units, hours)
    except ValueError as error:
        slope, intercept, *_ = stats.linregress(np.log(units), np.log(hours))
        assert "too close together" in str(error)
        assert max(intercept, slope * np.log(2)) > 709
        return
    if len(set(units)) < 2:
        assert found is None
        return
    if len(set(hours)) < 2:
        assert found is not None and (found.b, found.r2) == (0, None)
        return
    known = stats.linregress(np.log(units), np.log(hours))
    assert found is not None
    assert found.b == pytest.approx(known.slope, rel=1e-7, abs=1e-9)
    # Of points on a line nothing but rounding is left: scipy's is that of the root of 1 - r squared, times the slope.
    assert found.se_b == pytest.approx(known.stderr, rel=1e-6, abs=1e-7 * max(1.0, abs(known.slope)))


numbers = st.lists(st.integers(-200, 200).map(lambda n: n / 10), min_size=2, max_size=12)


@SMALL
@given(numbers, numbers, st.sampled_from([0.9, 0.95, 0.99]))
def test_intervals_by_scipy(first: list[float], second: list[float], level: float) -> None:
    assume(len(set(first)) > 1 and len(set(second)) > 1)
    found = mean_interval(first, level)
    known = stats.ttest_1samp(first, 0).confidence_interval(level)
    assert found is not None and found.interval == pytest.approx(tuple(known), rel=1e-9, abs=1e-9)
    welch = stats.ttest_ind(second, first, equal_var=False).confidence_interval(level)
    assert welch_interval(first, second, level) == pytest.approx(tuple(welch), rel=1e-8, abs=1e-8)


@SMALL
@given(st.lists(st.integers(0, 30), min_size=2, max_size=14))
def test_change_point_by_squares(values: list[int]) -> None:
    def rest(part: list[int]) -> Fraction:
        average = Fraction(sum(part), len(part))
        return sum((x - average) ** 2 for x in part)

    splits = [rest(values[:k]) + rest(values[k:]) for k in range(1, len(values))]
    if min(splits) == rest(values):
        assert change_point(values) is None
    else:
        assert change_point(values) == splits.index(min(splits)) + 1


@SMALL
@given(st.lists(st.integers(0, 30), max_size=40), st.integers(0, 3), st.integers(0, 60))
def test_page_hinkley_in_floats(values: list[int], delta: int, threshold: int) -> None:
    total = rise = fall = 0.0
    rises: list[float] = []
    falls: list[float] = []
    first = None
    for i, x in enumerate(values):
        total += x
        rise += x - total / (i + 1) - delta
        fall += x - total / (i + 1) + delta
        rises.append(rise)
        falls.append(fall)
        gap = max(rise - min(rises), max(falls) - fall)
        assume(abs(gap - threshold) > 1e-6)
        if first is None and i >= 9 and gap > threshold:
            first = i
    assert page_hinkley(values, delta, threshold, 10).first_signal == first


@SMALL
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=6), st.integers(0, 9))
def test_mtbf_of_cycles(cycles: list[tuple[int, int]], tail: int) -> None:
    states: list[tuple[int, str]] = []
    t = 0
    for up, down in cycles:
        states += [(t, "up"), (t + up, "down")]
        t += up + down
    states += [(t, "up"), (t + tail, "end")]
    found = mtbf(states)
    up, down = sum(u for u, _ in cycles) + tail, sum(d for _, d in cycles)
    assert (found.failures, found.up, found.down) == (len(cycles), up, down)
    assert found.mtbf_iso == Fraction(up, len(cycles) + 1)
    assert found.mttr == (Fraction(down, len(cycles)) if cycles else None)


def test_bounds_and_newsvendor_by_scipy() -> None:
    for hours, failed in ((600, 2), (90, 7)):
        (low, high), one = mtbf_bounds(hours, failed, "0.8")
        assert low == pytest.approx(2 * hours / stats.chi2.ppf(0.9, 2 * failed + 2))
        assert high == pytest.approx(2 * hours / stats.chi2.ppf(0.1, 2 * failed))
        assert one == pytest.approx(2 * hours / stats.chi2.ppf(0.8, 2 * failed + 2))
    stock = newsvendor(2, 7, 100, 15)
    wanted = stats.norm.ppf(7 / 9, 100, 15)
    assert stock.base_stock == pytest.approx(wanted)
    demand = np.linspace(0, 220, 200_001)
    costs = 2 * np.maximum(wanted - demand, 0) + 7 * np.maximum(demand - wanted, 0)
    assert stock.expected_cost == pytest.approx(np.trapezoid(costs * stats.norm.pdf(demand, 100, 15), demand), rel=1e-6)


def test_hotelling_and_cusum_against_the_obvious() -> None:
    random = np.random.default_rng(5)
    reference, test = random.normal(size=(60, 4)), random.normal(0.5, 1, size=(30, 4))
    found = hotelling(reference, test)
    inverse = np.linalg.inv(np.cov(reference.T))
    for row, t2 in zip(test, found.t2, strict=True):
        away = row - reference.mean(axis=0)
        assert t2 == pytest.approx(away @ inverse @ away)
    assert found.limit == pytest.approx(4 * 59 * 61 / (60 * 56) * stats.f.ppf(0.99, 4, 56))
    z = random.normal(0.4, 1, size=200)
    signals, up, down = [], 0.0, 0.0
    for i, value in enumerate(z):
        up, down = max(0.0, up + value - 0.5), max(0.0, down - value - 0.5)
        if max(up, down) > 4:
            signals.append(i)
            up = down = 0.0
    assert cusum_signals(z, 0.5, 4) == signals
