import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kernels.figures import bottleneck
from tests import naive

UNTIMED = settings(deadline=None)  # the first call compiles
MAX = 2**63 - 1


# Arrow rule and turning point
@st.composite
def lines(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Blocked and starved ns of a series line; few values, so that ties are common."""
    n = draw(st.integers(1, 8))
    ns = st.integers(0, 4) | st.integers(0, 10**15)
    return draw(st.lists(ns, min_size=n, max_size=n)), draw(st.lists(ns, min_size=n, max_size=n))


def links(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(n - 1), np.arange(1, n)


@UNTIMED
@given(lines())
@example(([0, 0, 0], [0, 0, 0]))
@example(([0], [0]))
def test_arrow_rule(line: tuple[list[int], list[int]]) -> None:
    blocked, starved = (np.array(x, dtype=np.int64) for x in line)
    named, severity, most = bottleneck.arrow_rule(blocked, starved, *links(blocked.size))
    expected, expected_severity = naive.arrow_rule(*line)
    assert set(np.flatnonzero(named).tolist()) == expected
    assert {i: severity[i] for i in expected} == expected_severity
    assert not severity[~named].any()
    assert most == min(expected, key=lambda i: (-expected_severity[i], i), default=-1)


@UNTIMED
@given(lines())
@example(([1, 0], [0, 1]))  # both wait as long: neither turns
@example(([1, 0, 0], [0, 0, 2]))
def test_turning_point(line: tuple[list[int], list[int]]) -> None:
    blocked, starved = (np.array(x, dtype=np.int64) for x in line)
    named = bottleneck.turning_point(blocked, starved, *links(blocked.size))
    assert set(np.flatnonzero(named).tolist()) == naive.turning_points(*line)


@UNTIMED
@given(lines())
def test_no_two_turning_points_are_neighbours(line: tuple[list[int], list[int]]) -> None:
    blocked, starved = (np.array(x, dtype=np.int64) for x in line)
    named = bottleneck.turning_point(blocked, starved, *links(blocked.size))
    assert not (named[1:] & named[:-1]).any()


def test_assembly_is_judged_by_all_its_neighbours() -> None:
    """Stations 0 and 1 feed 2. Both blocked: 2 is the bottleneck; one of them starves it: that one is."""
    up, down = np.array([0, 1]), np.array([2, 2])
    blocked, starved = np.array([30, 40, 0]), np.array([0, 0, 5])
    named, severity, most = bottleneck.arrow_rule(blocked, starved, up, down)
    assert named.tolist() == [False, False, True]
    assert severity[2] == 25 + 35
    assert most == 2
    assert bottleneck.turning_point(blocked, starved, up, down).tolist() == [False, False, True]

    blocked, starved = np.array([1, 40, 0]), np.array([0, 0, 30])
    named, _, most = bottleneck.arrow_rule(blocked, starved, up, down)
    assert named.tolist() == [True, False, False]
    assert most == 0
    assert bottleneck.turning_point(blocked, starved, up, down).tolist() == [True, False, False]


# Active periods
@st.composite
def histories(draw: st.DrawFn) -> tuple[list[naive.Period], int, int, int]:
    """Active periods of up to four stations, those of one station apart or touching, also of no length, in any order;
    and a window."""
    n = draw(st.integers(1, 4))
    periods = []
    for station in range(n):
        t = draw(st.integers(-5, 10))
        for gap, length in draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=4)):
            periods.append((t + gap, t + gap + length, station))
            t += gap + length
    t0 = draw(st.integers(-6, 20))
    return draw(st.permutations(periods)), n, t0, t0 + draw(st.integers(0, 40))


def columns(periods: list[naive.Period]) -> list[np.ndarray]:
    return [np.array([p[i] for p in periods], dtype=np.int64) for i in range(3)]


@UNTIMED
@given(histories())
@example(([], 2, 0, 10))
@example(([(0, 5, 0), (0, 5, 1)], 2, 0, 5))
@example(([(0, 5, 0), (5, 10, 0), (2, 12, 1)], 2, 0, 12))
def test_hindsight(history: tuple[list[naive.Period], int, int, int]) -> None:
    periods, n, t0, t1 = history
    sole, shifting, longest = bottleneck.hindsight(*columns(periods), n, t0, t1)
    assert (sole.tolist(), shifting.tolist(), longest.tolist()) == naive.hindsight(periods, n, t0, t1)


@UNTIMED
@given(histories())
@example(([], 1, 3, 9))
@example(([(0, 5, 0), (5, 9, 0)], 1, 0, 9))
def test_causal(history: tuple[list[naive.Period], int, int, int]) -> None:
    periods, n, t0, t1 = history
    ns, who, since, until = bottleneck.causal(*columns(periods), n, t0, t1)
    expected = naive.causal(periods, t0, t1)
    assert ns.tolist() == [expected.count(s) for s in range(n)]
    told: list[int | None] = [None] * (t1 - t0)
    for s, a, b in zip(who.tolist(), since.tolist(), until.tolist(), strict=True):
        assert a < b
        told[a - t0 : b - t0] = [s] * (b - a)
    assert told == expected
    assert not ((who[1:] == who[:-1]) & (since[1:] == until[:-1])).any()


@UNTIMED
@given(histories(), st.integers(-(2**62), 2**62), st.integers(1, 2**50))
def test_active_periods_know_neither_epoch_nor_unit(
    history: tuple[list[naive.Period], int, int, int], epoch: int, unit: int
) -> None:
    periods, n, t0, t1 = history
    moved = [(a * unit + epoch, b * unit + epoch, s) for a, b, s in periods]
    window = (t0 * unit + epoch, t1 * unit + epoch)
    for method in (bottleneck.hindsight, bottleneck.causal):
        before = method(*columns(periods), n, t0, t1)
        after = method(*columns(moved), n, *window)
        assert np.array_equal(after[0], before[0] * unit)


@UNTIMED
@given(histories())
def test_every_active_instant_has_one_causal_and_one_longest_station(
    history: tuple[list[naive.Period], int, int, int],
) -> None:
    periods, n, t0, t1 = history
    active = sum(any(a <= t < b for a, b, _ in periods) for t in range(t0, t1))
    assert bottleneck.causal(*columns(periods), n, t0, t1)[0].sum() == active
    assert bottleneck.hindsight(*columns(periods), n, t0, t1)[2].sum() == active


# The twin of the line's flow: what must hold of every log, also of nonsense
@st.composite
def logs(draw: st.DrawFn) -> tuple[list[tuple[int, int, str]], naive.Topology]:
    n = draw(st.integers(1, 4))
    capacities = draw(st.lists(st.none() | st.integers(0, 2), min_size=n - 1, max_size=n - 1))
    topology = naive.serial_topology(capacities)
    for buffer in topology.buffers:
        buffer.initial = draw(st.integers(0, buffer.capacity if buffer.capacity is not None else 3))
    event = st.tuples(st.integers(0, 30), st.integers(0, n - 1), st.sampled_from(["start", "end"]))
    return sorted(draw(st.lists(event, min_size=1, max_size=40))), topology


@UNTIMED
@given(logs(), st.integers(0, 10))
def test_every_vector_and_every_station_accounts_for_the_whole_time(
    log: tuple[list[tuple[int, int, str]], naive.Topology], later: int
) -> None:
    events, topology = log
    end = events[-1][0] + later
    line = naive.naive_line_flow(events, topology, end=end, start=0)
    for station in line.stations:
        assert sum(station.vector) == end
        assert min(station.vector) >= 0
        assert station.running_ns + station.blocked_ns + station.starved_ns + station.waiting_ns == end
        assert station.cycle_ns <= station.running_ns
    assert min(line.levels, default=0) >= 0
