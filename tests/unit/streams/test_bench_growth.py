"""How cost grows, as a number."""

import pytest

from streams.bench.growth import exponent


@pytest.mark.parametrize("power", [0.5, 1.0, 1.5, 2.0])
def test_the_exponent_is_that_of_what_grows(power: float) -> None:
    sizes = [4.0, 64.0, 256.0, 1_000.0]
    costs = [3.0 + 0.01 * size**power for size in sizes]
    # What the first step itself takes is in the constant: of sizes so far apart that hardly matters.
    assert exponent(sizes, costs) == pytest.approx(power, abs=0.1)


def test_what_does_not_grow_has_none() -> None:
    assert exponent([1, 10, 100], [5.0, 5.0, 4.9]) == 0.0
    assert exponent([1, 10, 100], [5.0, 5.0, 6.0]) == 0.0
