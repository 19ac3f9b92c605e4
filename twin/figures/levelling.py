"""Mixed models: changeovers, set-up sequences, goal chasing, level schedules, variety, rate of a mix.

Sources: Monden, Toyota Production System (goal chasing I); Miltenburg 1989; Held and Karp 1962. Squared distances are
compared as exact fractions: ties are exact and go to the first product.
"""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from twin.figures.exact import Number, exact, exacts, not_negative, percentile, positive, ratio, whole
from twin.figures.flow import runs

MOST_PRODUCTS = 18  # of an exact set-up sequence: 2^17 x 17 sums
MOST_STATES = 200_000  # of an exact level schedule


@dataclass(frozen=True, slots=True)
class Changeovers:
    """From one product to another: nearest-rank quantiles of the closed ones. Publish n: few values have no p95."""

    n: int
    p50: Fraction | None
    p95: Fraction | None
    sum: Fraction


def changeover_matrix(events: Sequence[tuple[str, str, Number | None]]) -> dict[tuple[str, str], Changeovers]:
    """(from, to, duration) by pair. From a product to itself is a restart, None a changeover that is still open."""
    by_pair: dict[tuple[str, str], list[Fraction]] = {}
    for before, after, duration in events:
        if before != after and duration is not None:
            by_pair.setdefault((before, after), []).append(not_negative(duration, "a changeover"))
    return {
        pair: Changeovers(len(all_of), percentile(all_of, "1/2"), percentile(all_of, "19/20"), sum(all_of, Fraction()))
        for pair, all_of in sorted(by_pair.items())
    }


@dataclass(frozen=True, slots=True)
class Found:
    changeovers: list[tuple[str, str, Fraction, Fraction, Fraction]]  # from, to, last good, first good, duration
    open: tuple[str, str, Fraction] | None  # from, to, last good


def find_changeovers(pieces: Sequence[tuple[Number, str, bool]]) -> Found:
    """Pieces (time, product, good) in order of time: from the last good piece of one to the first good of the next."""
    found: list[tuple[str, str, Fraction, Fraction, Fraction]] = []
    last: tuple[str, Fraction] | None = None
    still: tuple[str, str, Fraction] | None = None
    timed = sorted(((exact(t), product, good) for t, product, good in pieces), key=lambda piece: piece[0])
    for t, product, good in timed:
        if last is not None and product != last[0]:
            still = (last[0], product, last[1])
            if good:
                found.append((last[0], product, last[1], t, t - last[1]))
        if good:
            last, still = (product, t), None
        elif last is not None and product == last[0]:
            still = None
    return Found(found, still)


@dataclass(frozen=True, slots=True)
class SetupSequence:
    """Of equal optima the lexicographically smallest. A repeating cycle and one campaign have different ones."""

    best_cycle: Fraction
    best_cycle_order: list[int]
    best_path: Fraction
    best_path_order: list[int]
    nearest_neighbour_order: list[int]
    nearest_neighbour_cycle: Fraction
    fifo_cycle: Fraction


def setup_sequence(matrix: Sequence[Sequence[Number]]) -> SetupSequence:
    """Set-up time from row to column; cycle and path begin with product 0. Exact by dynamic programming.

    ValueError for a matrix that is not square, has a negative time or more than MOST_PRODUCTS products.
    """
    times = [exacts(row) for row in matrix]
    n = len(times)
    if not 1 <= n <= MOST_PRODUCTS or any(len(row) != n for row in times):
        raise ValueError(f"a set-up matrix of {n} rows: expected a square one of 1 to {MOST_PRODUCTS}")
    if any(one < 0 for row in times for one in row):
        raise ValueError("a set-up time is negative")
    scale = math.lcm(*(one.denominator for row in times for one in row))
    costs = np.array([[int(one * scale) for one in row] for row in times], np.int64)
    if int(costs.max()) * (n + 1) >= 2**62:
        raise ValueError("the set-up times have too many digits to be added in 64 bits")
    cycle, path = _best_order(costs, closed=True), _best_order(costs, closed=False)
    order = [0]
    while len(order) < n:
        order.append(min((i for i in range(n) if i not in order), key=lambda i: (times[order[-1]][i], i)))
    return SetupSequence(
        _length(times, cycle, True),
        cycle,
        _length(times, path, False),
        path,
        order,
        _length(times, order, True),
        _length(times, list(range(n)), True),
    )


def _length(times: list[list[Fraction]], order: list[int], closed: bool) -> Fraction:
    steps = list(itertools.pairwise([*order, order[0]] if closed and len(order) > 1 else order))
    return sum((times[a][b] for a, b in steps), Fraction())


def _best_order(costs: np.ndarray, closed: bool) -> list[int]:
    """Held and Karp from the end: rest[mask of visited, last] is the least time still to come."""
    n = len(costs)
    if n == 1:
        return [0]
    rest = np.full((1 << (n - 1), n), 2**62, np.int64)
    rest[-1, 1:] = costs[1:, 0] if closed else 0
    for mask in range((1 << (n - 1)) - 2, -1, -1):
        free = [i for i in range(1, n) if not mask >> (i - 1) & 1]
        ahead = np.array([rest[mask | 1 << (i - 1), i] for i in free])
        rest[mask] = (costs[:, free] + ahead).min(axis=1)
    order, mask = [0], 0
    while len(order) < n:
        free = [i for i in range(1, n) if not mask >> (i - 1) & 1]
        left = [int(costs[order[-1], i] + rest[mask | 1 << (i - 1), i]) for i in free]
        order.append(free[left.index(min(left))])
        mask |= 1 << (order[-1] - 1)
    return order


@dataclass(frozen=True, slots=True)
class Level:
    """A sequence of product indices, the squared distance after each step, their sum and the least possible sum."""

    sequence: list[int]
    distance_squared: list[Fraction]
    total: Fraction
    optimal_total: Fraction | None  # None: too many states to prove it
    first_step: list[Fraction]  # squared distance for each product as the first


def goal_chasing(quantity: Sequence[Number], use: Sequence[Sequence[Number]]) -> Level:
    """Goal chasing I: each step takes the product after which the parts used are nearest to the even use.

    `use` is parts by product (one row each). Distance^2 = sum over parts of (k N_j / Q - used_j)^2. Greedy is not
    optimal in general.
    """
    amounts, parts = [whole(one, "a quantity", 0, 100_000) for one in quantity], [exacts(row) for row in use]
    if len(parts) != len(amounts) or len({len(row) for row in parts}) > 1:
        raise ValueError(f"{len(amounts)} quantities and {len(parts)} rows of parts, of one length each")
    total = sum(amounts)
    needs = (
        [sum((n * row[j] for n, row in zip(amounts, parts, strict=True)), Fraction()) for j in range(len(parts[0]))]
        if parts
        else []
    )

    def squared(made: Sequence[int]) -> Fraction:
        k = sum(made)
        used = [sum((n * row[j] for n, row in zip(made, parts, strict=True)), Fraction()) for j in range(len(needs))]
        return sum(((k * need / total - one) ** 2 for need, one in zip(needs, used, strict=True)), Fraction())

    return _level(amounts, squared)


def level_schedule(quantity: Sequence[Number]) -> Level:
    """At product level: squared deviation of each running total from its even share (Miltenburg)."""
    n = len(quantity)
    return goal_chasing(quantity, [[int(i == j) for j in range(n)] for i in range(n)])


def _level(amounts: list[int], squared: Callable[[Sequence[int]], Fraction]) -> Level:
    made = [0] * len(amounts)
    sequence: list[int] = []
    distances: list[Fraction] = []

    def after(i: int) -> list[int]:
        return [n + (i == j) for j, n in enumerate(made)]

    first = [squared(after(i)) for i in range(len(amounts)) if amounts[i]]
    for _ in range(sum(amounts)):
        choices = [(squared(after(i)), i) for i in range(len(amounts)) if made[i] < amounts[i]]
        distance, chosen = min(choices)
        made[chosen] += 1
        sequence.append(chosen)
        distances.append(distance)
    return Level(sequence, distances, sum(distances, Fraction()), _least_total(amounts, squared), first)


def _least_total(amounts: list[int], squared: Callable[[Sequence[int]], Fraction]) -> Fraction | None:
    if math.prod(n + 1 for n in amounts) > MOST_STATES:
        return None
    least: dict[tuple[int, ...], Fraction] = {}
    for made in itertools.product(*(range(n + 1) for n in amounts)):
        before = [least[(*made[:i], n - 1, *made[i + 1 :])] for i, n in enumerate(made) if n]
        least[made] = min(before) + squared(made) if before else Fraction()
    return least[tuple(amounts)]


@dataclass(frozen=True, slots=True)
class Variety:
    """Lots cut by the ends of the window are counted as they are: they are open."""

    variants: int
    changeovers: int
    lots: int
    mean_lot: Fraction | None
    entropy_bits: float | None


def variety(pieces: Sequence[str]) -> Variety:
    """Variants, changeovers and lots of a sequence of pieces; entropy of the shares in bits."""
    counts, lots = Counter(pieces), runs(pieces)
    n = len(pieces)
    entropy = -math.fsum(c / n * math.log2(c / n) for c in counts.values()) if n else None
    return Variety(
        len(counts), max(0, len(lots) - 1), len(lots), ratio(n, len(lots)), abs(entropy) if entropy == 0 else entropy
    )


def mix_rate(pieces: Mapping[str, Number], ideal_s: Mapping[str, Number]) -> Fraction | None:
    """Pieces per hour of a mix at ideal cycle times in seconds: the harmonic mean by pieces. None without pieces."""
    amounts = {name: not_negative(n, f"pieces of {name}") for name, n in pieces.items()}
    for name in amounts:
        if name not in ideal_s:
            raise ValueError(f"no ideal cycle time of {name}")
    time = sum(
        (n * positive(ideal_s[name], f"the ideal cycle time of {name}") for name, n in amounts.items()), Fraction()
    )
    return ratio(sum(amounts.values(), Fraction()) * 3600, time)
