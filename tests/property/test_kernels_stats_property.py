import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kernels.figures import stats
from tests import naive

UNTIMED = settings(deadline=None)  # the first call compiles


@pytest.mark.parametrize("degrees", [*range(1, 41), 60, 120, 1000, 10_000])
def test_quantile_against_the_exact_distribution(degrees: int) -> None:
    """Between two points 1e-5 off to either side the exact distribution passes 95 %."""
    t = stats.t975(degrees)
    assert naive.t_probability(t - 1e-5, degrees) < 0.95 < naive.t_probability(t + 1e-5, degrees)


@pytest.mark.parametrize("degrees", [0, -1])
def test_quantile_without_degrees_of_freedom(degrees: int) -> None:
    assert math.isnan(stats.t975(degrees))


@st.composite
def panes(draw: st.DrawFn) -> tuple[list[list[int]], list[int]]:
    """Vectors that sum to the elapsed time of their pane; panes of unequal length, also of none."""
    n = draw(st.integers(1, 5))
    elapsed = draw(st.lists(st.just(0) | st.integers(1, 10) | st.integers(1, 10**15), max_size=8))
    rows = []
    for e in elapsed:
        cuts = sorted(draw(st.lists(st.integers(0, e), min_size=n - 1, max_size=n - 1)))
        rows.append([b - a for a, b in zip([0, *cuts], [*cuts, e], strict=True)])
    return rows, elapsed


@UNTIMED
@given(panes())
@example(([[0, 0]], [0]))
@example(([], []))
@example(([[3, 7]], [10]))
@example(([[3, 7], [3, 7]], [10, 10]))
@example(([[0, 0], [0, 1], [2, 23386]], [0, 1, 23388]))  # a share near 1 in a pane far longer than the other
def test_batch_means(history: tuple[list[list[int]], list[int]]) -> None:
    rows, elapsed = history
    values = np.array(rows, dtype=np.int64).reshape(len(elapsed), len(rows[0]) if rows else 1)
    share, half, used = stats.batch_means(values, np.array(elapsed, dtype=np.int64))
    expected = naive.batch_means(rows, elapsed)
    assert used == sum(e > 0 for e in elapsed)
    if expected is None:
        assert np.isnan(share).all()
        assert np.isnan(half).all()
        return
    assert share.sum() == pytest.approx(1)
    for s, (exact, variance) in enumerate(expected):
        assert share[s] == pytest.approx(float(exact), rel=1e-14, abs=0)
        if used < 2:
            assert math.isnan(half[s])
        else:
            # A residual is a difference of floats of up to e / total, so good to 3 eps of that; their root sum of
            # squares to 3 eps, and the factor n / (n - 1) is at most 2.
            t = stats.t975(used - 1)
            assert half[s] == pytest.approx(t * math.sqrt(variance), rel=1e-9, abs=t * 1e-15)


def test_panes_of_one_length_give_the_usual_interval() -> None:
    """Mean and t s / sqrt(n) by the textbook: shares 0.1 .. 0.4, s = 0.129099, t(3) = 3.182446."""
    share, half, _ = stats.batch_means(np.array([[1, 9], [2, 8], [3, 7], [4, 6]]), np.full(4, 10))
    assert share == pytest.approx([0.25, 0.75])
    assert half == pytest.approx([0.205426, 0.205426], abs=1e-6)


def judge(intervals: list[tuple[float, float]], count: int = 3) -> int:
    share, half = (np.array(x, dtype=np.float64) for x in zip(*intervals, strict=True))
    return stats.verdict(share, share - half, share + half, count)


def test_verdict() -> None:
    assert judge([(0.2, 0.1), (0.7, 0.1), (0.1, 0.05)]) == 1
    assert judge([(0.2, 0.1), (0.7, 0.1), (0.1, 0.05)], count=2) == -1
    assert judge([(0.4, 0.1), (0.5, 0.1), (0.1, 0.05)]) == -1
    assert judge([(0.25, 0.25), (0.75, 0.25)]) == -1  # touching is overlapping
    assert judge([(0.5, 0.0), (0.5, 0.0)]) == -1
    assert judge([(1.0, 0.0)]) == 0
    assert judge([(0.9, math.nan), (0.1, 0.1)]) == -1
    assert judge([(0.9, 0.1), (0.1, math.nan)]) == -1
    assert stats.verdict(np.empty(0), np.empty(0), np.empty(0), 9) == -1


def test_verdict_looks_past_the_second() -> None:
    """The second is clearly below the first, the third so uncertain that it may be above."""
    assert judge([(0.5, 0.01), (0.3, 0.01), (0.2, 0.3)]) == -1


intervals = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.3)), min_size=1, max_size=6)


@UNTIMED
@given(intervals, st.integers(0, 5))
def test_verdict_names_only_a_station_above_all_others(rows: list[tuple[float, float]], count: int) -> None:
    best = judge(rows, count)
    clear = [
        i
        for i, (share, half) in enumerate(rows)
        if all(share - half > other + wide for j, (other, wide) in enumerate(rows) if j != i)
    ]
    assert best == (clear[0] if clear and count >= 3 else -1)
