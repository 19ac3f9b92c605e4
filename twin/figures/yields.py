"""Yield and defects: DPU, DPMO, first pass and rolled throughput yield, sigma level, Pareto.

A unit may have several defects: defects and defective units are different counts. First pass yield counts a reworked
unit as not first pass, final yield counts it as good. Source: Pyzdek, Six Sigma Handbook; Montgomery, chapter 1.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from twin.figures.exact import Number, exact, exacts, not_negative, ratio, whole
from twin.figures.special import normal_ppf

MILLION = 1_000_000
SHIFT = Fraction(3, 2)  # the long-term shift of the mean that the six-sigma tables assume


@dataclass(frozen=True, slots=True)
class Yield:
    """Ratios of one lot; None where nothing was made."""

    dpu: Fraction | None  # defects per unit
    dpo: Fraction | None  # defects per opportunity
    dpmo: Fraction | None
    fpy: Fraction | None  # (units - defective) / units
    final_yield: Fraction | None  # (units - scrap) / units
    throughput_yield_poisson: float | None  # exp(-DPU)
    ppm_defective: Fraction | None


def unit_yield(
    units: Number,
    defects: Number,
    opportunities_per_unit: Number | None = None,
    defective_units: Number | None = None,
    scrap: Number | None = None,
) -> Yield:
    """Of `units` made. What is not given leaves its figures None. ValueError for more defective or scrap than units."""
    made = whole(units, "units")
    dpu = ratio(whole(defects, "defects"), made)
    chances = None if opportunities_per_unit is None else whole(opportunities_per_unit, "opportunities per unit", 1)
    for name, count in (("defective units", defective_units), ("scrap", scrap)):
        if count is not None and whole(count, name) > made:
            raise ValueError(f"{count} {name} of {made} units")
    dpo = None if dpu is None or chances is None else dpu / chances
    return Yield(
        dpu,
        dpo,
        None if dpo is None else dpo * MILLION,
        None if defective_units is None else ratio(made - exact(defective_units), made),
        None if scrap is None else ratio(made - exact(scrap), made),
        None if dpu is None else math.exp(-float(dpu)),
        None if defective_units is None else ratio(exact(defective_units) * MILLION, made),
    )


def rolled_yield(first_pass: Iterable[Number | None]) -> Fraction | None:
    """RTY: the product of the steps' first pass yields. None if one of them is."""
    product = Fraction(1)
    for one in first_pass:
        if one is None:
            return None
        product *= exact(one)
    return product


def rolled_yield_dpmo(dpmo: Sequence[Number]) -> tuple[Fraction, float]:
    """RTY of steps with one opportunity each, two ways that differ in the fifth digit.

    The product of (1 - DPMO / 10^6), and exp(-sum DPMO / 10^6), which counts several defects on one unit.
    """
    shares = [not_negative(one, "DPMO") / MILLION for one in dpmo]
    if any(share > 1 for share in shares):
        raise ValueError("a DPMO above 1,000,000")
    return math.prod((1 - share for share in shares), start=Fraction(1)), math.exp(-float(sum(shares, Fraction())))


def first_pass_yields(visits: Iterable[tuple[str, str, bool]]) -> dict[str, Fraction]:
    """Step -> share of serials that passed at their first visit; visits are (serial, step, passed) in order of time."""
    first: dict[str, dict[str, bool]] = {}
    for serial, step, passed in visits:
        first.setdefault(step, {}).setdefault(serial, passed)
    return {step: Fraction(sum(serials.values()), len(serials)) for step, serials in first.items()}


def sigma_level(dpmo: Number, shift: Number = SHIFT) -> float | None:
    """Phi^-1(1 - DPMO / 10^6) + shift; publish it with and without the shift. None at 0 and at 10^6: infinite."""
    share = exact(dpmo) / MILLION
    if not 0 <= share <= 1:
        raise ValueError(f"DPMO is {dpmo}: expected 0 to 1,000,000")
    return -normal_ppf(float(share)) + float(exact(shift)) if 0 < share < 1 else None


def dpmo_upper_bound(opportunities: Number) -> Fraction | None:
    """The rule of three: no defect in so many opportunities bounds DPMO by 3 x 10^6 / opportunities (95 %)."""
    return ratio(3 * MILLION, whole(opportunities, "opportunities"))


def pareto(counts: Mapping[str, Number]) -> tuple[list[str], list[Fraction]]:
    """Names by falling count, ties by name, and the cumulative shares. Empty where all counts are 0."""
    numbers = dict(zip(counts, exacts(counts.values()), strict=True))
    for name, number in numbers.items():
        not_negative(number, f"the count of {name}")
    total = sum(numbers.values(), Fraction())
    if not total:
        return [], []
    order = sorted(numbers, key=lambda name: (-numbers[name], name))
    cumulative, running = [], Fraction()
    for name in order:
        running += numbers[name]
        cumulative.append(running / total)
    return order, cumulative
