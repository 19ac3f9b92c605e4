"""What is told of a point of a control chart: the rules that hold there, and the alert where one begins to."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from twin.figures.run_rules import LONGEST as LONGEST
from twin.figures.run_rules import RULES
from twin.measures.limits import Shown
from twin.plant.model import Chart

BEYOND: Final = "beyond"
SETS: Final = {
    "western_electric": ("WE1", "WE2", "WE3", "WE4"),
    "nelson": ("N1", "N2", "N3", "N4", "N5", "N6", "N7", "N8"),
}
# Rule -> points that it looks at, and what it says.
SAYS: Final = {
    BEYOND: (1, "beyond the limit"),
    "WE1": (1, "one point beyond 3 sigma"),
    "WE2": (3, "two of three beyond 2 sigma on one side"),
    "WE3": (5, "four of five beyond 1 sigma on one side"),
    "WE4": (8, "eight in a row on one side"),
    "N1": (1, "one point beyond 3 sigma"),
    "N2": (9, "nine in a row on one side"),
    "N3": (6, "six in a row up or down"),
    "N4": (14, "fourteen in turn up and down"),
    "N5": (3, "two of three beyond 2 sigma on one side"),
    "N6": (5, "four of five beyond 1 sigma on one side"),
    "N7": (15, "fifteen in a row within 1 sigma"),
    "N8": (8, "eight in a row beyond 1 sigma, on both sides"),
}
_FAR: Final = Fraction(10**9)  # where there is no spread at all, what differs from the centre is beyond everything


def rules_of(chart: Chart) -> tuple[str, ...]:
    """Those that the first chart of a point is judged by."""
    return tuple(name for one in chart.rules for name in SETS[one]) or (BEYOND,)


def in_sigmas(distance: int, unit: int) -> Fraction:
    if unit:
        return Fraction(distance, unit)
    return _FAR if distance > 0 else -_FAR if distance < 0 else Fraction()


def broken(rules: Sequence[str], distances: Sequence[int], units: Sequence[int]) -> tuple[str, ...]:
    """The rules that hold at the last of these points: their distances from the centre, and one sigma of each."""
    z = [in_sigmas(one, unit) for one, unit in zip(distances, units, strict=True)]
    return tuple(name for name in rules if (abs(z[-1]) > 3 if name == BEYOND else RULES[name](z)))


def outside(shown: Shown) -> tuple[str, ...]:
    """Of a chart without run rules."""
    low = shown.lower is not None and shown.value < shown.lower
    high = shown.upper is not None and shown.value > shown.upper
    return (BEYOND,) if low or high else ()
