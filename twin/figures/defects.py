"""Defects by feature: chi-square, odds ratios, Mantel-Haenszel over stations, shares by feature, DFA index.

Sources: NIST/SEMATECH 7.4.5; Agresti, Categorical Data Analysis, chapters 2 and 6; Boothroyd, Dewhurst and Knight.
Whoever tests many features says how many: their number is part of the result.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from twin.figures.exact import Number, exact, exacts, not_negative, positive, ratio, whole
from twin.figures.special import chi2_log_sf, chi2_ppf, two_sided_z


@dataclass(frozen=True, slots=True)
class ChiSquare:
    """Pearson's test of independence, without a continuity correction."""

    chi2: Fraction
    dof: int
    p: float
    log10_p: float  # also far below the least float
    critical: float  # of the confidence asked for
    expected: list[list[Fraction]]
    least_expected: Fraction  # below 5: pool features or use an exact test


def chi_square(table: Sequence[Sequence[Number]], confidence: Number = "0.95") -> ChiSquare | None:
    """Of a table of counts. Rows and columns of zeros are left out; None if fewer than two of either remain."""
    counts = [[Fraction(whole(one, "a count")) for one in row] for row in table]
    if any(len(row) != len(counts[0]) for row in counts):
        raise ValueError("the rows of the table differ in length")
    counts = [row for row in counts if any(row)]
    columns = [column for column in zip(*counts, strict=True) if any(column)]
    if len(counts) < 2 or len(columns) < 2:
        return None
    of_row = [sum(row, Fraction()) for row in zip(*columns, strict=True)]
    of_column = [sum(column, Fraction()) for column in columns]
    total = sum(of_row, Fraction())
    expected = [[row * column / total for column in of_column] for row in of_row]
    chi2 = sum(
        (
            (count - wanted) ** 2 / wanted
            for row, wants in zip(zip(*columns, strict=True), expected, strict=True)
            for count, wanted in zip(row, wants, strict=True)
        ),
        Fraction(),
    )
    dof = (len(of_row) - 1) * (len(of_column) - 1)
    log_p = chi2_log_sf(float(chi2), dof)
    return ChiSquare(
        chi2,
        dof,
        math.exp(log_p),
        log_p / math.log(10),
        chi2_ppf(float(exact(confidence)), dof),
        expected,
        min(one for row in expected for one in row),
    )


@dataclass(frozen=True, slots=True)
class OddsRatio:
    """A 2 x 2 table: [[defect with, ok with], [defect without, ok without]]. An odds ratio is no risk ratio."""

    odds_ratio: Fraction | None
    log_se: float | None
    interval: tuple[float, float] | None  # None with a zero cell
    haldane_anscombe: Fraction  # 1/2 added to every cell
    risk_ratio: Fraction | None
    risk_difference: Fraction | None
    chi2: Fraction | None
    p_chi2: float | None
    p_fisher: float


def odds_ratio(
    with_feature: tuple[Number, Number], without: tuple[Number, Number], confidence: Number = "0.95"
) -> OddsRatio:
    """(defects, good) with and without a feature. Interval: exp(log OR +- z sqrt(1/a + 1/b + 1/c + 1/d)) (Woolf)."""
    a, b = (whole(one, "a count") for one in with_feature)
    c, d = (whole(one, "a count") for one in without)
    ratio_of_odds = ratio(a * d, b * c)
    se = bounds = None
    if a and b and c and d:
        assert ratio_of_odds is not None
        se = math.sqrt(sum((Fraction(1, one) for one in (a, b, c, d)), Fraction()))
        middle, half = math.log(ratio_of_odds), two_sided_z(confidence) * se
        bounds = math.exp(middle - half), math.exp(middle + half)
    risk, other = ratio(a, a + b), ratio(c, c + d)
    test = chi_square([[a, b], [c, d]])
    return OddsRatio(
        ratio_of_odds,
        se,
        bounds,
        Fraction((2 * a + 1) * (2 * d + 1), (2 * b + 1) * (2 * c + 1)),
        None if risk is None or not other else risk / other,
        None if risk is None or other is None else risk - other,
        None if test is None else test.chi2,
        None if test is None else test.p,
        float(fisher_exact(a, b, c, d)),
    )


def fisher_exact(a: int, b: int, c: int, d: int) -> Fraction:
    """Fisher's two-sided p: all tables with these margins that are no likelier, in integers."""
    row, other, column = a + b, c + d, a + c
    weights = {
        k: math.comb(row, k) * math.comb(other, column - k) for k in range(max(0, column - other), min(row, column) + 1)
    }
    return Fraction(sum(one for one in weights.values() if one <= weights[a]), math.comb(row + other, column))


def mantel_haenszel(strata: Iterable[tuple[tuple[Number, Number], tuple[Number, Number]]]) -> Fraction | None:
    """The odds ratio over strata (stations, lines): sum(a d / n) / sum(b c / n). None where that is 0 below."""
    above = below = Fraction()
    for (a, b), (c, d) in strata:
        counts = [Fraction(whole(one, "a count")) for one in (a, b, c, d)]
        n = sum(counts, Fraction())
        if n:
            above += counts[0] * counts[3] / n
            below += counts[1] * counts[2] / n
    return ratio(above, below)


@dataclass(frozen=True, slots=True)
class Feature:
    made: int
    defects: int
    rate: Fraction | None
    rest_rate: Fraction | None  # of all pieces without the feature
    lift: Fraction | None  # rate / rest rate


def features(pieces: Iterable[tuple[Sequence[str], Number, Number]]) -> dict[str, Feature]:
    """Of variants (features, made, defects). A piece counts for each of its features: rows do not add up."""
    variants = [(set(names), whole(made, "made"), whole(bad, "defects")) for names, made, bad in pieces]
    order = list(dict.fromkeys(name for names, _, _ in variants for name in sorted(names)))
    found = {}
    for feature in order:
        made = sum(n for names, n, _ in variants if feature in names)
        bad = sum(n for names, _, n in variants if feature in names)
        rest = sum(n for names, n, _ in variants if feature not in names)
        rest_bad = sum(n for names, _, n in variants if feature not in names)
        rate, other = ratio(bad, made), ratio(rest_bad, rest)
        found[feature] = Feature(made, bad, rate, other, None if rate is None or not other else rate / other)
    return found


def dfa_index(least_parts: Number, total_time_s: Number, basic_time_s: Number = 3) -> Fraction | None:
    """Design for assembly: least number of parts x basic time / total time of all operations.

    Above 1 a count or a time is wrong: it stays above 1. None without any time.
    """
    return ratio(
        whole(least_parts, "the least number of parts") * positive(basic_time_s, "the basic time"),
        not_negative(total_time_s, "the total time"),
    )


@dataclass(frozen=True, slots=True)
class Assembly:
    """A worksheet of design for assembly; times in seconds."""

    parts: int
    part_types: int
    total_time_s: Fraction
    least_parts: int
    dfa_index: Fraction | None
    candidates_for_removal: list[str]
    time_share_of_candidates: Fraction | None


def dfa_worksheet(items: Sequence[tuple[str, Number, Number, Number, Number]], basic_time_s: Number = 3) -> Assembly:
    """Items (name, count, handling s, insertion s, essential parts among them). Repeated parts count as handled."""
    parts = least = 0
    total = removable = Fraction()
    candidates = []
    for name, count, handling, insertion, essential in items:
        n, needed = whole(count, f"the count of {name}"), whole(essential, f"the essential parts of {name}")
        if needed > n:
            raise ValueError(f"{name} has {needed} essential parts of {n}")
        time = n * sum(exacts((handling, insertion)), Fraction())
        parts, least, total = parts + n, least + needed, total + time
        if not needed:
            candidates.append(name)
            removable += time
    return Assembly(
        parts, len(items), total, least, dfa_index(least, total, basic_time_s), candidates, ratio(removable, total)
    )
