"""Active periods with known answers: sole, shifting, longest at an instant, causal."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernels.figures.bottleneck import causal, hindsight

CASES = {
    case["id"]: case
    for case in json.loads((Path(__file__).parents[1] / "data/golden/oee.json").read_text())["active_period"]
}


def arrays(case: dict[str, Any]) -> tuple[Any, ...]:
    names = sorted(case["active"])
    rows = [(start, end, names.index(name)) for name in names for start, end in case["active"][name]]
    start, end, station = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    return names, start, end, station, int(start.min()), int(end.max())


def by_name(names: list[str], values: Any) -> dict[str, int]:
    return {name: int(value) for name, value in zip(names, values, strict=True)}


def test_three_nested() -> None:
    case = CASES["three-nested"]
    names, start, end, station, t0, t1 = arrays(case)
    sole, shifting, longest = hindsight(start, end, station, len(names), t0, t1)
    assert by_name(names, sole) == case["sole"]
    assert by_name(names, shifting) == case["shifting"]
    assert by_name(names, longest) == case["longest_at_instant"]


def test_three_machines_in_hindsight() -> None:
    case = CASES["three-machines"]
    names, start, end, station, t0, t1 = arrays(case)
    sole, _, longest = hindsight(start, end, station, len(names), t0, t1)
    assert by_name(names, sole) == case["sole_seconds"]
    assert longest.sum() - sole.sum() == case["shifting_seconds"]


def test_three_machines_causal() -> None:
    case = CASES["three-machines"]
    names, start, end, station, t0, t1 = arrays(case)
    ns, who, since, until = causal(start, end, station, len(names), t0, t1)
    assert [[names[s], a, b] for s, a, b in zip(who, since, until, strict=True)] == case["causal"]
    expected = dict.fromkeys(names, 0)
    for name, a, b in case["causal"]:
        expected[name] += b - a
    assert by_name(names, ns) == expected


@pytest.mark.parametrize("seed", range(5))
def test_order_of_the_periods_does_not_matter(seed: int) -> None:
    names, start, end, station, t0, t1 = arrays(CASES["three-machines"])
    shuffled = np.random.default_rng(seed).permutation(start.size)
    for method in (hindsight, causal):
        expected = method(start, end, station, len(names), t0, t1)
        got = method(start[shuffled], end[shuffled], station[shuffled], len(names), t0, t1)
        for a, b in zip(expected, got, strict=True):
            assert np.array_equal(a, b)
