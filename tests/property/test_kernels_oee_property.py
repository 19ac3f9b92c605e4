import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import codes
from kernels.figures import oee, throughput
from tests import naive
from twin.oee import Subsystems, subsystems
from twin.plant.model import Buffer, Line, Station

UNTIMED = settings(deadline=None)  # the first call compiles
DAY_NS = 86_400 * 10**9
times = st.integers(0, DAY_NS) | st.just(0)
counts = st.integers(0, 10**6) | st.just(0)
policies = st.sampled_from(tuple(oee.POLICIES))


@st.composite
def vectors(draw: st.DrawFn) -> list[int]:
    row = [0] * codes.N_COLUMNS
    for column in range(codes.N_CLASSES):
        row[column] = draw(times)
    for column in (codes.GOOD, codes.SCRAP, codes.REWORK):
        row[column] = draw(counts)
    row[codes.IDEAL_NS] = draw(times)
    return row


def test_every_class_has_one_role_in_every_policy() -> None:
    matrix = oee.policy_matrix()
    assert matrix.shape == (4, codes.N_CLASSES)
    assert matrix.dtype == np.int8
    for policy, roles in zip(oee.POLICIES.values(), matrix, strict=True):
        assert roles.tolist() == list(policy.roles)
        assert roles[codes.UNKNOWN] == oee.NO_DATA
        assert roles[codes.OFF_SHIFT] == oee.NOT_SCHEDULED
        assert np.flatnonzero(roles == oee.PRODUCTION).tolist() == [codes.RUNNING]
        assert roles[codes.DOWN] == oee.AVAILABILITY_LOSS
        assert set(roles.tolist()) <= set(range(len(oee.ROLE_NAMES)))


def test_policy_that_is_not_shipped() -> None:
    with pytest.raises(KeyError, match="mine"):
        oee.policy_matrix(("mine",))


@UNTIMED
@given(st.lists(vectors(), max_size=5), policies)
def test_rows_are_those_of_the_twin(rows: list[list[int]], policy: str) -> None:
    matrix = np.array(rows, dtype=np.int64).reshape(len(rows), codes.N_COLUMNS)
    roles = oee.policy_matrix((policy,))[0]
    planned, operating, total, unknown = oee.factors(matrix, roles)
    ratios, suspect = oee.ratios(matrix, roles)
    for i, row in enumerate(rows):
        exact = naive.factors(row, policy)
        assert (planned[i], operating[i], total[i], unknown[i]) == (
            exact.planned,
            exact.operating,
            exact.total,
            exact.unknown,
        )
        for value, expected in zip(
            ratios[i], (exact.availability, exact.performance, exact.quality, exact.oee), strict=True
        ):
            if expected is None:
                assert math.isnan(value)
            else:
                assert value == pytest.approx(float(expected), rel=1e-14, abs=0)
        assert suspect[i] == (row[codes.IDEAL_NS] > exact.operating or row[codes.GOOD] < 0)


@UNTIMED
@given(vectors(), policies)
def test_roles_share_out_the_whole_time(row: list[int], policy: str) -> None:
    roles = oee.policy_matrix((policy,))[0]
    planned, operating, _, unknown = (int(x[0]) for x in oee.factors(np.array([row]), roles))
    rest = sum(row[c] for c in range(codes.N_CLASSES) if roles[c] in (oee.NOT_SCHEDULED, oee.PLANNED_DOWN))
    assert planned + unknown + rest == sum(row[: codes.N_CLASSES])
    assert row[codes.RUNNING] <= operating <= planned


@UNTIMED
@given(vectors(), st.integers(0, DAY_NS), policies)
def test_unknown_time_changes_no_ratio(row: list[int], unknown_ns: int, policy: str) -> None:
    roles = oee.policy_matrix((policy,))[0]
    other = list(row)
    other[codes.UNKNOWN] = unknown_ns
    a, b = oee.ratios(np.array([row, other]), roles)[0]
    assert np.array_equal(a, b, equal_nan=True)


@UNTIMED
@given(vectors())
def test_policies_that_plan_the_same_time_give_the_same_oee(row: list[int]) -> None:
    """Moving a loss from availability to performance moves no OEE, and that is all in which these two differ."""
    both = oee.policy_matrix(("iso22400", "changeover_performance"))
    iso, vendor = (oee.ratios(np.array([row]), roles)[0][0, oee.OEE] for roles in both)
    if not (math.isnan(iso) or math.isnan(vendor)):
        assert vendor == pytest.approx(iso, rel=1e-13, abs=0)


fractions = st.fractions(0, 1, max_denominator=1000)
some_rates = st.fractions(Fraction(1, 10), 1000, max_denominator=10)
stations = st.lists(st.tuples(some_rates, fractions, fractions), min_size=1, max_size=6)
Rows = list[tuple[Fraction, Fraction, Fraction]]


def floats(rows: Rows) -> list[np.ndarray]:
    return [np.array([float(x) for x in column]) for column in zip(*rows, strict=True)]


def series(n: int) -> Subsystems:
    return chain([(i,) for i in range(n)])


def chain(stages: list[tuple[int, ...]]) -> Subsystems:
    """Subsystems of a line whose stages of parallel stations follow one another, from a plant model."""
    stage_of = {station: s for s, members in enumerate(stages) for station in members}
    line = Line(
        id="l",
        area="a",
        type="flow",
        stations=tuple(
            Station(
                id=f"s{i}",
                inputs=(f"b{stage_of[i] - 1}",) if stage_of[i] else ("raw",),
                output=f"b{stage_of[i]}",
            )
            for i in sorted(stage_of)
        ),
        buffers=(Buffer("raw", None), *(Buffer(f"b{s}", 1) for s in range(len(stages)))),
    )
    result = subsystems(line)
    assert result is not None
    return result


def network(rows: Rows, of: Subsystems) -> tuple[float, int]:
    return throughput.ote_network(*floats(rows), of.stage, of.inputs, of.output, of.n_buffers)


@UNTIMED
@given(stations)
def test_ote_of_a_series_line(rows: Rows) -> None:
    exact, constraint = naive.ote_series(*zip(*rows, strict=True))
    value, best, candidates = throughput.ote(*floats(rows))
    assert value == pytest.approx(float(exact), rel=1e-12)
    # Candidates that are equal as fractions may differ in the last digit as floats.
    assert best == constraint or candidates[best] == pytest.approx(candidates[constraint], rel=1e-12)
    assert network(rows, series(len(rows)))[0] == pytest.approx(float(exact), rel=1e-12)


@UNTIMED
@given(stations)
def test_ote_of_parallel_stations(rows: Rows) -> None:
    value, _ = network(rows, chain([tuple(range(len(rows)))]))
    assert value == pytest.approx(float(naive.ote_parallel([r[0] for r in rows], [r[1] for r in rows])), rel=1e-12)


@UNTIMED
@given(st.lists(st.tuples(some_rates, fractions, fractions), min_size=3, max_size=6))
def test_ote_of_an_assembly(rows: Rows) -> None:
    n = len(rows)
    line = Line(
        id="l",
        area="a",
        type="assembly",
        stations=(
            # The assembling station first: the order of stations is not the order of flow.
            Station("a", inputs=tuple(f"b{i}" for i in range(n - 1))),
            *(Station(f"s{i}", output=f"b{i}") for i in range(n - 1)),
        ),
        buffers=tuple(Buffer(f"b{i}", 1) for i in range(n - 1)),
    )
    of = subsystems(line)
    assert of is not None
    value, _ = network([rows[-1], *rows[:-1]], of)
    assert value == pytest.approx(float(naive.ote_assembly(*zip(*rows, strict=True))), rel=1e-12)


@UNTIMED
@given(stations, st.integers(0, 5))
def test_a_better_constraint_never_hurts(rows: Rows, other: int) -> None:
    value, constraint, _ = throughput.ote(*floats(rows))
    rate, _, quality = rows[constraint]
    better = [*rows]
    better[constraint] = (rate, Fraction(1), quality)
    assert throughput.ote(*floats(better))[0] >= value
    # A station that is not the constraint changes nothing by becoming perfect in time.
    other %= len(rows)
    if other != constraint:
        better = [*rows]
        better[other] = (rows[other][0], Fraction(1), rows[other][2])
        assert throughput.ote(*floats(better))[0] == value


@pytest.mark.parametrize("at", range(3))
def test_ote_without_a_number_is_nan(at: int) -> None:
    arrays = [np.array([1.0, 1.0]), np.array([0.5, 0.5]), np.array([1.0, 1.0])]
    arrays[at][1] = np.nan
    value, constraint = throughput.ote_network(*arrays, np.arange(2), np.array([[-1], [0]]), np.array([0, -1]), 1)
    assert math.isnan(value)
    assert constraint == -1
    if at < 2:
        value, constraint, _ = throughput.ote(*arrays)
        assert math.isnan(value)
        assert constraint == -1


def test_ote_of_nothing_possible() -> None:
    zero, one = np.zeros(1), np.ones(1)
    assert throughput.ote(zero, one, one)[1] == -1
    assert throughput.ote_network(zero, one, one, np.zeros(1, np.int64), np.array([[-1]]), np.array([-1]), 1)[1] == -1


def test_constraint_of_a_network() -> None:
    """Two presses in parallel feed one packer; the press that loses most is named, then the packer."""
    of = chain([(0, 1), (2,)])
    half, full = Fraction(1, 2), Fraction(1)
    rate = Fraction(10)
    assert network([(rate, half, full), (rate, Fraction(3, 10), full), (2 * rate, full, full)], of) == (0.4, 1)
    assert network([(rate, full, full), (rate, full, full), (2 * rate, half, full)], of) == (0.5, 2)


def test_constraint_where_two_branches_join() -> None:
    """A saw and a washer, and beside them a welder, fill one buffer; the branch that stays further behind is named."""
    of = subsystems(stations_of(((), "cut"), (("cut",), "parts"), (("sheets",), "parts"), (("parts",), None)))
    assert of is not None
    rate, full = Fraction(10), Fraction(1)
    for behind, (washer, welder) in ((1, (2, 9)), (2, (9, 2))):
        rows = [(rate, Fraction(tenths, 10), full) for tenths in (10, washer, welder)]
        assert network([*rows, (2 * rate, full, full)], of) == (0.55, behind)


def stations_of(*links: tuple[tuple[str, ...], str | None]) -> Line:
    names = sorted({b for inputs, output in links for b in (*inputs, output) if b is not None})
    return Line(
        id="l",
        area="a",
        type="flow",
        stations=tuple(Station(f"s{i}", inputs=inputs, output=out) for i, (inputs, out) in enumerate(links)),
        buffers=tuple(Buffer(name, 1) for name in names),
    )


@pytest.mark.parametrize(
    "line",
    [
        stations_of(((), "b"), (("b",), "x"), (("b",), "y"), (("x",), None), (("y",), None)),  # expansion
        stations_of((("r",), "b"), (("b",), "r")),  # circle
        stations_of(((), None), ((), None)),  # not linked
    ],
)
def test_lines_without_an_ote(line: Line) -> None:
    assert subsystems(line) is None


@UNTIMED
@given(st.lists(st.lists(st.tuples(fractions, fractions) | st.none(), min_size=3, max_size=3), max_size=5))
def test_ote_of_intervals_is_that_of_each(rows: list[list[tuple[Fraction, Fraction] | None]]) -> None:
    """None: a station without a figure."""
    of = series(3)
    rate = np.array([1.0, 2.0, 1.5])
    pairs = [[(np.nan, np.nan) if one is None else (float(one[0]), float(one[1])) for one in row] for row in rows]
    factors = np.array(pairs).reshape(-1, 3, 2)
    own = np.ascontiguousarray(factors[:, :, 0]), np.ascontiguousarray(factors[:, :, 1])
    found = throughput.ote_intervals(rate, *own, of.stage, of.inputs, of.output, of.n_buffers)
    single = [
        throughput.ote_network(rate, oee, quality, of.stage, of.inputs, of.output, of.n_buffers)[0]
        for oee, quality in zip(*own, strict=True)
    ]
    np.testing.assert_array_equal(found, np.array(single).reshape(-1))
