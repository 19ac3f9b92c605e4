"""Run rules of control charts: Western Electric (1956) and Nelson (1984), every rule at every index.

Beyond is strictly outside, within is not beyond. The point under judgement must itself be one of the m of n. A point
on the centre line, an equal successor, a gap and another product end runs and trends. Source: Western Electric,
Statistical Quality Control Handbook; Nelson, Journal of Quality Technology 16:238.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from twin.figures.exact import Number, exact, positive

Z = Sequence[Fraction]


def _m_of_n(m: int, n: int, sigmas: int) -> Callable[[Z], bool]:
    def holds(z: Z) -> bool:
        if len(z) < n or abs(z[-1]) <= sigmas:
            return False
        side = 1 if z[-1] > 0 else -1
        return sum(side * one > sigmas for one in z[-n:]) >= m

    return holds


def _one_side(n: int) -> Callable[[Z], bool]:
    return lambda z: len(z) >= n and (all(one > 0 for one in z[-n:]) or all(one < 0 for one in z[-n:]))


def _trend(n: int) -> Callable[[Z], bool]:
    def holds(z: Z) -> bool:
        if len(z) < n:
            return False
        steps = [after - before for before, after in itertools.pairwise(z[-n:])]
        return all(step > 0 for step in steps) or all(step < 0 for step in steps)

    return holds


def _alternating(n: int) -> Callable[[Z], bool]:
    def holds(z: Z) -> bool:
        if len(z) < n:
            return False
        steps = [after - before for before, after in itertools.pairwise(z[-n:])]
        return all(one * other < 0 for one, other in itertools.pairwise(steps))

    return holds


def _within(n: int) -> Callable[[Z], bool]:
    return lambda z: len(z) >= n and all(abs(one) <= 1 for one in z[-n:])


def _mixture(n: int) -> Callable[[Z], bool]:
    def holds(z: Z) -> bool:
        last = z[-n:]
        return len(z) >= n and all(abs(one) > 1 for one in last) and min(last) < 0 < max(last)

    return holds


RULES: dict[str, Callable[[Z], bool]] = {
    "WE1": _m_of_n(1, 1, 3),  # one point beyond 3 sigma
    "WE2": _m_of_n(2, 3, 2),  # two of three beyond 2 sigma on one side
    "WE3": _m_of_n(4, 5, 1),  # four of five beyond 1 sigma on one side
    "WE4": _one_side(8),  # eight in a row on one side
    "N1": _m_of_n(1, 1, 3),
    "N2": _one_side(9),  # nine in a row on one side
    "N3": _trend(6),  # six points, so five steps, in one direction
    "N4": _alternating(14),  # fourteen points up and down in turn
    "N5": _m_of_n(2, 3, 2),
    "N6": _m_of_n(4, 5, 1),
    "N7": _within(15),  # fifteen within 1 sigma
    "N8": _mixture(8),  # eight beyond 1 sigma, both sides among them
}
LONGEST = 15


def run_rules(
    values: Sequence[Number | None], center: Number = 0, sigma: Number = 1, rules: Iterable[str] = RULES
) -> dict[str, list[int]]:
    """For each rule the 0-based indices of every point at which it holds for the window that ends there.

    `values` are judged as (x - center) / sigma. None is a gap: windows begin anew behind it. ValueError for a sigma
    that is not above 0 or a rule of another name.
    """
    middle, spread = exact(center), positive(sigma, "sigma")
    found: dict[str, list[int]] = {}
    for name in rules:
        if name not in RULES:
            raise ValueError(f"no run rule {name!r}: expected one of {', '.join(RULES)}")
        found[name] = []
    window: list[Fraction] = []
    for index, value in enumerate(values):
        if value is None:
            window.clear()
            continue
        window = [*window[1 - LONGEST :], (exact(value) - middle) / spread]
        for name, indices in found.items():
            if RULES[name](window):
                indices.append(index)
    return found


def run_rules_by_product(
    events: Iterable[tuple[str, Number | None]], center: Number = 0, sigma: Number = 1, rules: Iterable[str] = RULES
) -> dict[str, dict[str, list[int]]]:
    """Rule -> product -> indices within the product's own sequence: runs are never read across products."""
    series: dict[str, list[Number | None]] = {}
    for product, value in events:
        series.setdefault(product, []).append(value)
    names = list(rules)
    judged = {product: run_rules(values, center, sigma, names) for product, values in series.items()}
    return {name: {product: found[name] for product, found in judged.items()} for name in names}


def subgroups(
    events: Iterable[tuple[Number, str, Number]], n: int, end: Number | None = None
) -> tuple[dict[str, list[list[Fraction]]], dict[str, list[Fraction]]]:
    """Rational subgroups of n consecutive readings (time, product, value) of one product, in order of time.

    Complete subgroups and the open one of each product: it is carried on, neither closed early nor dropped. Readings
    at or after `end` are not yet there. Equal times keep their order.
    """
    if n < 1:
        raise ValueError(f"subgroups of {n}: expected at least 1")
    complete: dict[str, list[list[Fraction]]] = {}
    open_groups: dict[str, list[Fraction]] = {}
    timed = sorted(((exact(t), product, exact(x)) for t, product, x in events), key=lambda event: event[0])
    for t, product, x in timed:
        if end is not None and t >= exact(end):
            continue
        group = open_groups.setdefault(product, [])
        done = complete.setdefault(product, [])
        group.append(x)
        if len(group) == n:
            done.append(group)
            open_groups[product] = []
    return complete, open_groups
