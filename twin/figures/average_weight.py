"""Prepackages by weight (the e-mark): tolerable negative error, reference test, double sampling.

Sources: Directive 76/211/EEC, annexes I and II; OIML R 87 (table 2, single sampling 50/80/125); SI 2006/659. Grams.
A pack exactly at nominal - TNE is not below T1. Negative giveaway is shown, not clipped.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from twin.figures.exact import Number, ceiling, deviation, exact, exacts, mean, positive, whole
from twin.figures.special import t_ppf

# Up to which nominal quantity: a share of it or grams. From 5 g.
_TNE: list[tuple[int, Fraction | None, Fraction | None]] = [
    (50, Fraction(9, 100), None),
    (100, None, Fraction(9, 2)),
    (200, Fraction(9, 200), None),
    (300, None, Fraction(9)),
    (500, Fraction(3, 100), None),
    (1000, None, Fraction(15)),
    (10_000, Fraction(3, 200), None),
    (15_000, None, Fraction(150)),
    (50_000, Fraction(1, 100), None),
]
# OIML R 87, single sampling: lot up to, sample, packs allowed below T1.
PLANS: list[tuple[int | None, int, int]] = [(500, 50, 3), (3200, 80, 5), (None, 125, 7)]


def tne(nominal_g: Number) -> Fraction | None:
    """The tolerable negative error; shares are rounded up to 0.1 g, above 1 kg to 1 g. None below 5 g, above 50 kg."""
    nominal = positive(nominal_g, "the nominal quantity")
    if nominal < 5:
        return None
    for most, share, grams in _TNE:
        if nominal <= most:
            if grams is not None:
                return grams
            assert share is not None
            unit = Fraction(1, 10) if nominal <= 1000 else Fraction(1)
            return ceiling(nominal * share / unit) * unit
    return None


def mean_factor(n: int) -> float | None:
    """k of the mean test, t(0.995; n - 1) / sqrt(n). Regulations print three digits: use theirs for a legal verdict."""
    return t_ppf(0.995, n - 1) / math.sqrt(n) if n > 1 else None


@dataclass(frozen=True, slots=True)
class Reference:
    """A sample against nominal."""

    n: int
    mean: Fraction | None
    s: float | None
    below_t1: int | None
    below_t2: int | None
    mean_limit: float | None  # nominal - k s
    mean_ok: bool | None
    count_ok: bool | None
    t2_ok: bool | None
    accepted: bool | None
    giveaway_per_pack: Fraction | None
    giveaway_share: Fraction | None


def reference_test(
    weights_g: Sequence[Number], nominal_g: Number, allowed: Number | None = None, k: Number | None = None
) -> Reference:
    """Mean at least nominal - k s, at most `allowed` packs below T1 = Q - TNE, none below T2 = Q - 2 TNE.

    Without `allowed`, OIML's number for the sample (50: 3, 80: 5, 125: 7); without `k`, `mean_factor`. What cannot be
    judged (no tolerance in the table, one pack) is None.
    """
    weights, nominal = exacts(weights_g), positive(nominal_g, "the nominal quantity")
    n = len(weights)
    most = whole(allowed, "allowed") if allowed is not None else {size: ac for _, size, ac in PLANS}.get(n)
    middle, s = mean(weights), deviation(weights)
    error = tne(nominal)
    t1 = t2 = None
    if error is not None:
        t1 = sum(one < nominal - error for one in weights)
        t2 = sum(one < nominal - 2 * error for one in weights)
    factor = float(exact(k)) if k is not None else mean_factor(n)
    limit = None if s is None or factor is None else float(nominal) - factor * float(s)
    verdicts = (
        None if limit is None or middle is None else float(middle) >= limit,
        None if t1 is None or most is None else t1 <= most,
        None if t2 is None else t2 == 0,
    )
    return Reference(
        n,
        middle,
        None if s is None else float(s),
        t1,
        t2,
        limit,
        *verdicts,
        False if False in verdicts else None if None in verdicts else True,
        None if middle is None else middle - nominal,
        None if middle is None else (middle - nominal) / nominal,
    )


def counts_test(lot: Number, n: int, mean_g: Number, nominal_g: Number, below_t1: int, below_t2: int) -> bool:
    """The verdict from printed counts: mean at least nominal, packs below T1 within the plan of the lot, none below T2.

    ValueError for another sample than the plan's.
    """
    size = whole(lot, "the lot", 1)
    _, wanted, allowed = next(plan for plan in PLANS if plan[0] is None or size <= plan[0])
    if n != wanted:
        raise ValueError(f"a sample of {n} from a lot of {size}: the plan takes {wanted}")
    return exact(mean_g) >= exact(nominal_g) and below_t1 <= allowed and below_t2 == 0


def double_sampling(plan: Sequence[Sequence[Number]], defective: Sequence[int | None]) -> tuple[str, int]:
    """`accept`, `reject` or `open` with the packs looked at; `defective` are those of each sample (None: not taken).

    Between the numbers a further sample is owed and the batch stays open.
    """
    total = looked = 0
    for (n, accept, reject), bad in zip(plan, defective, strict=False):
        if bad is None:
            break
        total, looked = total + whole(bad, "defective packs"), whole(n, "packs", 1)
        if total <= whole(accept, "accept"):
            return "accept", looked
        if total >= whole(reject, "reject"):
            return "reject", looked
    return "open", looked
