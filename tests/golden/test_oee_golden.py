"""Worked examples with known answers: OEE, ISO 22400-2, throughput effectiveness, counters."""

import itertools
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernels.codes import DOWN, GOOD, IDEAL_NS, N_COLUMNS, RUNNING, SCRAP
from kernels.figures.oee import POLICIES, policy_matrix, ratios
from kernels.figures.throughput import ote, ote_network
from kernels.fold.counters import RESET, ROLLOVER, increment
from tests import naive
from twin.oee import Elements

GOLDEN = json.loads((Path(__file__).parents[1] / "data/golden/oee.json").read_text())
OEE = {case["id"]: case for case in GOLDEN["oee"]}
COUNTERS = {case["id"]: case for case in GOLDEN["counters"]}
MINUTE_NS = 60_000_000_000
SECOND_NS = 1_000_000_000


def vector(*, running: int, down: int, ideal: int, good: int, scrap: int) -> list[int]:
    row = [0] * N_COLUMNS
    row[RUNNING], row[DOWN], row[IDEAL_NS], row[GOOD], row[SCRAP] = running, down, ideal, good, scrap
    return row


def check(row: list[int], availability: Any, performance: Any, quality: Any, oee: Any) -> None:
    """The twin exactly, the kernel to the last digits of float64, under every policy (running and down differ in none).

    Expected values: rational text, or a decimal rounded to seven digits.
    """
    for policy in POLICIES:
        exact = naive.factors(row, policy)
        floats, suspect = ratios(np.array([row]), policy_matrix((policy,))[0])
        assert not suspect[0]
        named = (exact.availability, exact.performance, exact.quality, exact.oee)
        for mine, kernels_, expected in zip(named, floats[0], (availability, performance, quality, oee), strict=True):
            assert mine is not None
            if isinstance(expected, str):
                assert mine == Fraction(expected)
            else:
                assert float(mine) == pytest.approx(expected, abs=5e-8)
            assert kernels_ == pytest.approx(float(mine), rel=1e-15)


def test_shift_vorne() -> None:
    c = OEE["shift-vorne"]
    row = vector(
        running=(c["planned_min"] - c["stop_min"]) * MINUTE_NS,
        down=c["stop_min"] * MINUTE_NS,
        ideal=round(c["total"] * c["ideal_cycle_s"] * SECOND_NS),
        good=c["total"] - c["reject"],
        scrap=c["reject"],
    )
    check(row, c["availability"], c["performance"], c["quality"], c["oee"])
    check(row, c["availability"], c["performance"], c["quality"], c["oee_exact"])


def test_flux_apq() -> None:
    c = OEE["flux-apq"]

    def instant(text: str) -> int:
        hours, minutes = text.split(":")
        return (int(hours) * 60 + int(minutes)) * MINUTE_NS

    ends = [*(instant(t) for t, _ in c["states"][1:]), instant(c["window"][1])]
    running = sum(end - instant(t) for (t, state), end in zip(c["states"], ends, strict=True) if state == "running")
    assert running == c["running_s"] * SECOND_NS

    def counted(readings: list[list[Any]]) -> int:
        values = [value for _, value in readings]
        return sum(increment(a, b, 0)[0] for a, b in itertools.pairwise(values))

    parts, bad = counted(c["parts_cumulative"]), counted(c["bad_cumulative"])
    row = vector(
        running=running,
        down=c["planned_h"] * 60 * MINUTE_NS - running,
        ideal=parts * c["ideal_cycle_s"] * SECOND_NS,
        good=parts - bad,
        scrap=bad,
    )
    check(row, c["availability"], c["performance"], c["quality"], c["oee"])


def test_nakajima() -> None:
    c = OEE["nakajima"]
    row = vector(
        running=(c["loading_min"] - c["down_min"]) * MINUTE_NS,
        down=c["down_min"] * MINUTE_NS,
        ideal=round(c["total"] * c["ideal_cycle_min"] * MINUTE_NS),
        good=c["good"],
        scrap=c["total"] - c["good"],
    )
    check(row, c["availability"], c["performance"], c["quality"], c["oee"])


def test_mixed_lines_sum_before_they_divide() -> None:
    c = OEE["mixed-lines"]
    rows = np.array(
        [
            vector(
                running=s["running"],
                down=s["planned"] - s["running"],
                ideal=s["total"] * c["ideal_cycle"],
                good=s["good"],
                scrap=s["total"] - s["good"],
            )
            for s in c["stations"]
        ]
    )
    whole = [int(x) for x in rows.sum(axis=0)]
    check(whole, "3/5", "5/6", "21/25", c["oee"])
    each, _ = ratios(rows, policy_matrix(("iso22400",))[0])
    assert each[:, 3].mean() == pytest.approx(0.60)  # both wrong, says the case
    assert each[:, :3].mean(axis=0).prod() == pytest.approx(0.5578, abs=5e-5)


def test_iso_elements() -> None:
    c = dict(OEE["iso-elements"])
    quantities = {key.lower(): Fraction(c.pop(key)) for key in list(c) if key.isupper()}
    elements = Elements(**quantities)
    del c["id"], c["origin"]
    assert len(c) == 14
    for name, expected in c.items():
        assert getattr(elements, name) == Fraction(expected), name


def test_iso_elements_without_denominator_are_none() -> None:
    nothing = Elements()
    assert nothing.availability is None
    assert nothing.oee is None
    assert Elements(pbt=10, apt=0).availability == 0
    assert Elements(pbt=10, apt=0).oee is None


def test_series_line_ote() -> None:
    c = OEE["serial-line-ote"]
    rate, oee, quality = (np.array(c[name], dtype=np.float64) for name in ("rate", "oee", "quality"))
    value, constraint, candidates = ote(rate, oee, quality)
    assert candidates == pytest.approx(np.array(c["candidates"]), rel=1e-15)
    assert value == pytest.approx(c["ote"], rel=1e-15)
    assert constraint == c["constraint"]
    exact = naive.ote_series(*([Fraction(str(x)) for x in c[name]] for name in ("rate", "oee", "quality")))
    assert exact == (Fraction("0.873"), c["constraint"])
    stages = np.arange(3)
    inputs, output = np.array([[-1], [0], [1]]), np.array([0, 1, -1])
    assert ote_network(rate, oee, quality, stages, inputs, output, 2) == (pytest.approx(c["ote"]), c["constraint"])


def test_counter_rollover() -> None:
    c = COUNTERS["rollover"]
    assert increment(*c["values"], c["modulus"]) == (c["increment"], ROLLOVER)


@pytest.mark.parametrize("modulus", [0, 65536])
def test_counter_reset_in_a_new_epoch(modulus: int) -> None:
    """Epochs of the case differ, so it would be called with modulus 0; 500 to 3 is a reset of a 16-bit counter too."""
    c = COUNTERS["reset-new-epoch"]
    assert increment(*c["values"], modulus) == (c["increment"], RESET)
