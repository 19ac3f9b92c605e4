"""Edges of figures: nothing, one, zero, unequal; and what is wrong is refused with a ValueError."""

import copy
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from twin.figures import KINDS, tables
from twin.figures.attribute_charts import c_chart, p_chart, u_chart
from twin.figures.average_weight import reference_test, tne
from twin.figures.balancing import Tasks, optimum
from twin.figures.batch import Genealogy, envelope, isa88_times, resample
from twin.figures.capability import capability, cp_interval
from twin.figures.charts import i_mr, xbar_r, xbar_s
from twin.figures.continuous import mass_balance, run_lengths, totalise
from twin.figures.cost import break_even, fit_learning, process, scale_exponent
from twin.figures.defects import chi_square, odds_ratio
from twin.figures.exact import deviation, exact, nearest_rank, percentile, root
from twin.figures.flow import epei, line_cases, vut
from twin.figures.inspection import Numbers, Switching, judge_lots, plan
from twin.figures.levelling import find_changeovers, mix_rate, variety
from twin.figures.maintenance import crow_amsaa, mtbf
from twin.figures.run_rules import run_rules, subgroups
from twin.figures.sequential import cusum, ewma
from twin.figures.simulation import Machine, mean_interval, mg1_wait, mmc, two_machines
from twin.figures.supply import days_of_supply, trace_lots
from twin.figures.takt import andon, cycle_adherence
from twin.figures.transition import ramp_up, smallest_buffer
from twin.figures.usage import co2e_by_period, demand, hold, meter
from twin.figures.weibull import Weibull, fit
from twin.figures.yields import pareto, rolled_yield, sigma_level, unit_yield

SLOW = ("salbp-tonge70", "arl", "merge-20000", "library-evidence")
CASES = [
    case
    for path in sorted((Path(__file__).parents[2] / "data/golden/mass-production").glob("*.json"))
    for case in json.loads(path.read_text(encoding="utf-8"))
    if not {"file", "files", "train"} & set(case["given"]) and case["id"] not in SLOW
]


def test_numbers_as_they_are_written() -> None:
    assert exact(74.03) == Fraction(7403, 100)
    assert exact("31/48") == Fraction(31, 48) and exact("-18.5") == Fraction(-37, 2)
    assert root(Fraction(25, 4)) == Fraction(5, 2) and root(Fraction(2)) == pytest.approx(2**0.5)
    for wrong in (None, True, "x", "1/0", float("nan"), float("inf"), [1]):
        with pytest.raises(ValueError, match="number"):
            exact(wrong)  # type: ignore[arg-type]


def test_nothing_is_undefined_not_zero() -> None:
    assert nearest_rank(0, "1/2") is None and percentile([], "1/2") is None
    assert nearest_rank(100, "0.07") == nearest_rank(100, 0.07) == 7  # in floats 0.07 x 100 is above 7
    assert deviation([Fraction(1)]) is None and mean_interval([]) is None
    one = mean_interval([5])
    assert one is not None and one.interval is None
    assert pareto({"a": 0}) == ([], [])
    assert unit_yield(0, 0, 3, 0, 0).fpy is None
    assert rolled_yield(["1/2", None]) is None
    assert sigma_level(0) is None and sigma_level(1_000_000) is None
    assert capability(5, 0, 0, 10).cp is None and capability(5, 1, 0, 10, n=1).cpk is None
    assert capability(9, "1/2", usl=10).cp is None
    assert cp_interval(1, 1) is None
    assert p_chart([0, 0], [0, 0]).center is None
    assert c_chart([]).center is None
    assert variety([]).mean_lot is None and mix_rate({}, {}) is None
    assert fit([], [3]) is None and fit([7, 7], [7]) is None and crow_amsaa([], 10, False) is None
    assert fit_learning([1], [10]) is None and scale_exponent(1, 2, 3, 2) is None
    assert break_even(process(10, 5), 5) is None
    assert vut("4/5", 1, "5/4").ct_queue is None and mmc(2, 2, 1).wq is None and mg1_wait(1, 1, 0) is None
    assert epei(100, [(10, 10, 5)]).epei_days is None
    assert line_cases("1/2", 8, [0]).best[0].cycle_time is None
    assert days_of_supply(10, [0, 0]).days_by_mean_demand is None
    assert tne("4.9") is None and tne(60_000) is None
    assert plan(1, "II", "1.0") is None
    assert chi_square([[1, 2], [0, 0]]) is None
    assert odds_ratio((0, 5), (2, 9)).interval is None
    assert smallest_buffer(Machine(1, "0.01", "0.09"), Machine(1, "0.01", "0.09"), "0.9").smallest_buffer is None
    assert mtbf([(0, "up"), (10, "end")]).mtbf is None and mtbf([(0, "up"), (10, "end")]).mtbf_iso == 10


def test_a_point_on_a_limit_is_in() -> None:
    assert c_chart([16] * 24 + [28, 4]).out == [] or c_chart([16] * 24 + [28, 4]).center != 16
    flat = xbar_r([["0.1", "0.1"]] * 3, [["0.1", "0.1"], ["0.1", "0.2"]])
    assert flat.sigma == 0 and flat.phase1_out == [] and flat.phase2_out == [1] and flat.phase2_spread_out == [1]
    same = xbar_s([["0.1", "0.1"]] * 3, [["0.1", "0.1"], ["0.1", "0.2"]])
    assert same.phase2_out == [1] and same.phase2_spread_out == [1]
    assert run_rules([3, "3.0000000000000000001"])["WE1"] == [1]
    assert cusum(["1.5"], 0, "0.5", 1).signals == []
    usual = envelope([[1, 5], [1, 6]], floor="1/2")
    assert usual.outside(["3/2", 5]) == [] and usual.outside([2, 5]) == [0]


def test_gaps_begin_anew() -> None:
    assert i_mr([1, 2, None, 9, 8]).mr_bar == 1
    assert run_rules([1] * 7 + [None, 1])["WE4"] == []
    restarted = ewma([12, None, 12], 10, 1, "1/2")
    assert restarted.ewma == [11, None, 11] and restarted.variance[0] == restarted.variance[2]
    assert cusum([3, None, 3], 0, 1, 10).upper == [2, 2, 4]
    assert hold([(0, 5), (10, None)], 100, (0, 50)).known_s == 10


def test_subgroups_of_unequal_size() -> None:
    chart = xbar_s([[1, 2, 3], [2, 4], [1, 3, 5]])
    assert isinstance(chart.mean_limits, list) and len(chart.mean_limits) == 3
    with pytest.raises(ValueError, match="use X-bar and s"):
        xbar_r([[1, 2, 3], [2, 4]])
    complete, still_open = subgroups([(1, "A", 5), (0, "A", 4), (2, "A", 6), (9, "A", 7)], 2, end=9)
    assert complete == {"A": [[4, 5]]} and still_open == {"A": [6]}


def test_meters() -> None:
    stepped_back = meter([("m", 100), ("m", 98), ("m", 103)], 1000)
    assert (stepped_back.increments, stepped_back.suspect) == ([None, 3], [1])
    reset = meter([("m", 100), ("m", 2), ("m", 5)], None)
    assert (reset.increments, reset.suspect) == ([None, 3], [1])
    assert meter([("a", 5), ("b", 50), ("b", None), ("b", 60)]).increments == [None, None, 10]
    with pytest.raises(ValueError, match="outside 0 to the modulus"):
        meter([("m", 1000)], 1000)
    pounds = totalise([("e1", "kg", 5), ("e2", "lb", 10)], {"kg": 1, "lb": "0.45359237"})
    assert pounds.increments == [Fraction("4.5359237")]


def test_a_missing_factor_is_not_the_last_one() -> None:
    one = co2e_by_period([10, 10], [500, None])
    assert (one.kg, one.kg_known, one.coverage, one.kg_by_period) == (None, 5, Fraction(1, 2), [5, None])
    assert demand([1, None, 3, 4, 5], 2).blocks_kw == [None, Fraction(7, 2)]
    assert demand([1, 2, 3, 4, 5], 2).open_block == [5]


def test_switching_by_name() -> None:
    plans = {"normal": Numbers(1, 2), "tightened": Numbers(0, 1), "reduced": Numbers(0, 2)}
    iso, z14 = Switching("iso2859-1:1999", plans, 0), Switching("z1.4-2003", plans, 0)
    for machine, lots in ((iso, 15), (z14, 10)):
        for _ in range(lots - 1):
            assert machine.lot(0).severity_next == "normal"
        assert machine.lot(0).severity_next == "reduced"
    assert iso.lot(1).accepted is False  # between Ac and Re there is no gap
    assert (z14.lot(1).accepted, z14.severity) == (True, "normal")
    stopped = Switching("z1.4-2003", plans, 0)
    for _ in range(7):
        stopped.lot(9)
    assert stopped.severity == "stopped" and stopped.lot(0).accepted is None
    with pytest.raises(ValueError, match="no switching policy"):
        Switching("iso", plans, 0)


def test_lots_in_time() -> None:
    results = [(1, "A", True), (2, "A", False), (3, "A", False), (9, "A", True)]
    assert judge_lots(results, 3, 2)["A"].decision == "accept"
    assert judge_lots(results, 3, 1, {"A": 4})["A"].decision == "reject"
    assert judge_lots(results, 5, 2)["A"].decision == "open"
    assert trace_lots([], [(1, "P", 3)]).by_serial == {"P": {None: 3}}
    found = find_changeovers([(0, "A", True), (1, "B", False), (2, "A", True)])
    assert found.changeovers == [] and found.open is None
    assert find_changeovers([(0, "A", True), (1, "B", False), (2, "A", False)]).open is None
    assert find_changeovers([(0, "A", True), (1, "B", False)]).open == ("A", "B", 0)


def test_stops_and_cycles() -> None:
    one = run_lengths([(0, "run"), (10, "stop"), (70, "run"), (100, "stop"), (159, "end")], 60)
    assert (one.runs_s, one.stops_counted, one.stops_ignored, one.open_run_s) == ([10], 1, 1, 89)
    assert cycle_adherence([0, 10], [(20, 5)]).within == [None, None]
    pulls = andon([(1, "S", "pull"), (2, "S", "pull"), (3, "T", "release")], 5, (0, 20))
    assert (pulls.pulls, pulls.suspect, pulls.line_stops) == (1, [1, 2], [(6, 20)])
    still = isa88_times([("P", "start", 0), ("P/A", "start", 1), ("P/A", "hold", 2), ("P/A", "end", 5)])
    assert (still.open, still.held_s, still.elapsed_s) == (["P"], {"P/A": 3}, {"P/A": 4})
    ahead = ramp_up([10, 10, 10], [15])
    assert (ahead.behind_pieces, ahead.behind_days) == (-5, Fraction(-1, 2))
    assert ramp_up([10], [15]).behind_days is None


def test_weights() -> None:
    assert tne(60) == Fraction(9, 2) and tne("1000.1") == 16
    exactly = reference_test([500, 485, 515], 500, allowed=0, k="0.379")
    assert (exactly.below_t1, exactly.accepted) == (0, True)
    assert reference_test([500], 500).accepted is None
    assert mass_balance(0, 0, 0, 0, 0).loss_ratio is None


WRONG: list[Callable[[], object]] = [
    lambda: p_chart([5], [4]),
    lambda: p_chart([1, 2], [4]),
    lambda: u_chart([3], [0]),
    lambda: xbar_r([[1], [2]]),
    lambda: xbar_s([]),
    lambda: capability(1, 1, 5, 2),
    lambda: capability(1, -1, 0, 2),
    lambda: run_rules([1], sigma=0),
    lambda: run_rules([1], rules=["WE9"]),
    lambda: ewma([1], 0, 1, 0),
    lambda: Tasks([1, 2], [(1, 2), (2, 1)]),
    lambda: Tasks([1, 2], [(1, 3)]),
    lambda: optimum(Tasks([5], []), 4),
    lambda: Genealogy([("A", "B", 1), ("B", "A", 1)]),
    lambda: resample([0, 0], [1, 2], [0]),
    lambda: plan(100, "II", "1.1"),
    lambda: plan(100, "IV", "1.0"),
    lambda: two_machines(Machine(1, 0, 1), Machine(1, 0, 1), 0),
    lambda: two_machines(Machine(1, 0, 1), Machine(1, 0, 1), 10**6),
    lambda: Weibull(0, 1),
    lambda: fit([0, 3]),
    lambda: crow_amsaa([3, 12], 10, False),
    lambda: KINDS["yield"]({}),
    lambda: KINDS["p"]({"n": 5}),
]


@pytest.mark.parametrize("call", WRONG)
def test_what_is_wrong_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        call()


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_given_of_another_shape_is_refused_or_computed(case: dict[str, Any]) -> None:
    """Each key dropped or replaced: an answer or a ValueError, nothing else."""
    for key in case["given"]:
        for other in (..., None, "x", [], 0, -1, {}):
            given = copy.deepcopy(case["given"])
            if other is ...:
                del given[key]
            else:
                given[key] = other
            try:
                KINDS[case["kind"]](given)
            except ValueError as error:
                assert str(error)


def test_a_table_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tables, "FOLDERS", [tmp_path])
    with pytest.raises(FileNotFoundError, match=r"no table 'none\.csv'"):
        KINDS["real_steel"]({"file": "none.csv"})
