"""Exact answers that a simulation must meet: unreliable machines with a buffer, assembly, queues, closed lines, traces.

Sources: Gershwin, Manufacturing Systems Engineering (exponential model); Buzacott 1967; Kleinrock, Queueing Systems;
Hopp and Spearman. Rates per time unit. Machines fail only while working. Blocking before service unless a function says
otherwise.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from twin.figures.exact import Number, deviation, exact, exacts, mean, not_negative, positive, whole
from twin.figures.special import binomial_band, confidence_level, two_sided_t

State = tuple[int, ...]
MOST_STATES = 4000  # of a Markov chain that is solved as a dense system
MOST = 10_000  # places, servers, machines, pieces of the other exact answers


def stationary(start: State, moves: Callable[[State], Iterable[tuple[State, float]]]) -> dict[State, float]:
    """The stationary distribution of a finite Markov chain from its transition rates, by a linear solve."""
    index = {start: 0}
    order = [start]
    flows: list[tuple[int, int, float]] = []
    for state in order:  # grows while it is read
        for target, rate in moves(state):
            if rate > 0:
                if target not in index:
                    if len(order) >= MOST_STATES:
                        raise ValueError(f"a chain of more than {MOST_STATES} states is not computed: fewer places")
                    index[target] = len(order)
                    order.append(target)
                flows.append((index[state], index[target], rate))
    n = len(order)
    balance = np.zeros((n, n))
    for source, goal, rate in flows:
        balance[goal, source] += rate
        balance[source, source] -= rate
    balance[0, :] = 1.0
    right = np.zeros(n)
    right[0] = 1.0
    solution = np.linalg.solve(balance, right)
    return {state: float(solution[i]) for state, i in index.items()}


@dataclass(frozen=True, slots=True)
class Machine:
    """Service, failure (while working) and repair rate."""

    mu: Number
    p: Number
    r: Number

    def rates(self) -> tuple[float, float, float]:
        return (
            float(positive(self.mu, "a service rate")),
            float(not_negative(self.p, "a failure rate")),
            float(positive(self.r, "a repair rate")),
        )

    @property
    def alone(self) -> float:
        """mu r / (r + p): its throughput never starved and never blocked."""
        mu, p, r = self.rates()
        return mu * r / (r + p)


@dataclass(frozen=True, slots=True)
class TwoMachines:
    throughput: float
    mean_buffer: float
    starved_2: float  # the second is up and the buffer empty
    blocked_1: float  # the first is up and the buffer full
    down_1: float
    down_2: float
    infinite_buffer_limit: float


def two_machines(first: Machine, second: Machine, places: Number) -> TwoMachines:
    """Two machines with exponential times; `places` between them count the piece in the second machine."""
    n = whole(places, "places", 1)
    (mu1, p1, r1), (mu2, p2, r2) = first.rates(), second.rates()

    def moves(state: State) -> Iterable[tuple[State, float]]:
        level, up1, up2 = state
        if up1 and level < n:
            yield (level + 1, 1, up2), mu1
            yield (level, 0, up2), p1
        if not up1:
            yield (level, 1, up2), r1
        if up2 and level > 0:
            yield (level - 1, up1, 1), mu2
            yield (level, up1, 0), p2
        if not up2:
            yield (level, up1, 1), r2

    share = stationary((0, 1, 1), moves)

    def sum_of(holds: Callable[[int, int, int], bool]) -> float:
        return math.fsum(p for (level, up1, up2), p in share.items() if holds(level, up1, up2))

    return TwoMachines(
        mu2 * sum_of(lambda level, _, up2: up2 == 1 and level > 0),
        math.fsum(level * p for (level, _, _), p in share.items()),
        sum_of(lambda level, _, up2: up2 == 1 and level == 0),
        sum_of(lambda level, up1, _: up1 == 1 and level == n),
        sum_of(lambda _, up1, __: up1 == 0),
        sum_of(lambda _, __, up2: up2 == 0),
        min(first.alone, second.alone),
    )


@dataclass(frozen=True, slots=True)
class Merge:
    throughput: float
    starved_by_a_only: float
    starved_by_b_only: float
    starved_by_both: float
    blocked_a: float
    blocked_b: float
    mean_a: float
    mean_b: float


def assembly(mu_a: Number, mu_b: Number, mu_c: Number, places_a: Number, places_b: Number) -> Merge:
    """Two feeders that are never starved into one assembly station; a feeder stops when its buffer is full."""
    a, b, c = (float(positive(mu, "a service rate")) for mu in (mu_a, mu_b, mu_c))
    n, m = whole(places_a, "places", 1), whole(places_b, "places", 1)

    def moves(state: State) -> Iterable[tuple[State, float]]:
        i, j = state
        if i < n:
            yield (i + 1, j), a
        if j < m:
            yield (i, j + 1), b
        if i and j:
            yield (i - 1, j - 1), c

    share = stationary((0, 0), moves)

    def sum_of(holds: Callable[[int, int], bool]) -> float:
        return math.fsum(p for (i, j), p in share.items() if holds(i, j))

    return Merge(
        c * sum_of(lambda i, j: i > 0 and j > 0),
        sum_of(lambda i, j: i == 0 and j > 0),
        sum_of(lambda i, j: i > 0 and j == 0),
        sum_of(lambda i, j: i == 0 and j == 0),
        sum_of(lambda i, _: i == n),
        sum_of(lambda _, j: j == m),
        math.fsum(i * p for (i, _), p in share.items()),
        math.fsum(j * p for (_, j), p in share.items()),
    )


def zero_and_infinite_buffer(p: Sequence[Number], r: Sequence[Number]) -> tuple[Fraction, Fraction]:
    """Buzacott, synchronous machines: 1 / (1 + sum p / r) without buffers, min 1 / (1 + p / r) with endless ones."""
    loads = [not_negative(a, "p") / positive(b, "r") for a, b in zip(p, r, strict=True)]
    return 1 / (1 + sum(loads, Fraction())), min((1 / (1 + load) for load in loads), default=Fraction(1))


def birth_death(births: Sequence[Fraction], deaths: Sequence[Fraction]) -> list[Fraction]:
    """The distribution over 0 to n of a chain with `births[k]` from k to k + 1 and `deaths[k]` back."""
    weights = [Fraction(1)]
    for up, down in zip(births, deaths, strict=True):
        weights.append(weights[-1] * up / down)
    total = sum(weights, Fraction())
    return [one / total for one in weights]


@dataclass(frozen=True, slots=True)
class Waiting:
    """None where the queue grows without end."""

    utilisation: Fraction
    p_wait: Fraction | None
    wq: Fraction | None
    w: Fraction | None
    lq: Fraction | None
    l: Fraction | None  # noqa: E741 the field's letter


def mmc(servers: Number, arrival_rate: Number, service_rate: Number) -> Waiting:
    """M/M/c (Erlang C), exactly."""
    c = whole(servers, "servers", 1, MOST)
    lam, mu = not_negative(arrival_rate, "the arrival rate"), positive(service_rate, "the service rate")
    load, rho = lam / mu, lam / mu / c
    if rho >= 1:
        return Waiting(rho, None, None, None, None, None)
    below = sum((load**k / math.factorial(k) for k in range(c)), Fraction())
    full = load**c / math.factorial(c) / (1 - rho)
    wait = full / (below + full)
    wq = wait / (c * mu - lam)
    return Waiting(rho, wait, wq, wq + 1 / mu, lam * wq, lam * (wq + 1 / mu))


@dataclass(frozen=True, slots=True)
class Lossy:
    p_loss: Fraction
    throughput: Fraction
    l: Fraction  # noqa: E741 the field's letter
    w: Fraction | None  # of those who come in
    utilisation: Fraction
    lq: Fraction
    wq: Fraction | None


def mmck(arrival_rate: Number, service_rate: Number, places: Number, servers: Number = 1) -> Lossy:
    """M/M/c/K: `places` hold what is served, too; who comes to a full system is lost (or blocked before service)."""
    k, c = whole(places, "places", 1, MOST), whole(servers, "servers", 1, MOST)
    lam, mu = positive(arrival_rate, "the arrival rate"), positive(service_rate, "the service rate")
    share = birth_death([lam] * k, [mu * min(i + 1, c) for i in range(k)])
    inside = sum((i * p for i, p in enumerate(share)), Fraction())
    throughput = lam * (1 - share[-1])
    busy = sum((min(i, c) * p for i, p in enumerate(share)), Fraction()) / c
    waiting = inside - busy * c
    return Lossy(share[-1], throughput, inside, inside / throughput, busy, waiting, waiting / throughput)


def mg1_wait(arrival_rate: Number, service_mean: Number, scv: Number) -> Fraction | None:
    """Pollaczek and Khinchine: Wq = rho (1 + c^2) / (2 (1 - rho)) times the mean. None from a load of 1 on."""
    lam, time = not_negative(arrival_rate, "the arrival rate"), positive(service_mean, "the service time")
    rho = lam * time
    return rho * (1 + not_negative(scv, "scv")) / (2 * (1 - rho)) * time if rho < 1 else None


@dataclass(frozen=True, slots=True)
class Interference:
    p: list[Fraction]  # of k machines down
    mean_down: Fraction
    availability: Fraction
    repairer_busy: Fraction


def machine_repair(machines: Number, repairers: Number, failure_rate: Number, repair_rate: Number) -> Interference:
    """Machines that share repairers. The MTTR seen includes waiting: 1 / repair rate is only the wrench time."""
    n, c = whole(machines, "machines", 1, MOST), whole(repairers, "repairers", 1)
    lam, mu = not_negative(failure_rate, "the failure rate"), positive(repair_rate, "the repair rate")
    share = birth_death([(n - k) * lam for k in range(n)], [mu * min(k + 1, c) for k in range(n)])
    down = sum((k * p for k, p in enumerate(share)), Fraction())
    busy = sum((min(k, c) * p for k, p in enumerate(share)), Fraction()) / c
    return Interference(share, down, 1 - down / n, busy)


def conwip(times: Sequence[Number], wip: Number) -> tuple[Fraction, Fraction | None]:
    """Throughput and cycle time of a closed line of single exponential stations: mean value analysis, exactly."""
    means = [positive(one, "a mean time") for one in times]
    if not means:
        raise ValueError("a closed line needs a station")
    queues = [Fraction()] * len(means)
    throughput, cycle = Fraction(), None
    for pieces in range(1, whole(wip, "WIP", 0, MOST) + 1):
        stays = [time * (1 + queue) for time, queue in zip(means, queues, strict=True)]
        cycle = sum(stays, Fraction())
        throughput = pieces / cycle
        queues = [throughput * stay for stay in stays]
    return throughput, cycle


def trace(
    service: Sequence[Sequence[Number]], buffers: Sequence[Number], arrivals: Sequence[Number] = ()
) -> tuple[list[list[Fraction]], list[list[Fraction]], list[list[Fraction]]]:
    """Start, completion and departure of each piece at each station of a line with blocking after service.

    `buffers[i]` lie between station i and i + 1; the piece on a station is not among them. Without `arrivals` the first
    station is never starved.
    """
    times = [exacts(row) for row in service]
    gaps = [whole(one, "a buffer") for one in buffers]
    if len(gaps) != len(times) - 1 or len({len(row) for row in times}) > 1:
        raise ValueError(f"{len(times)} stations of as many pieces need {len(times) - 1} buffers, not {len(gaps)}")
    comes = exacts(arrivals) if arrivals else [Fraction()] * (len(times[0]) if times else 0)
    if times and len(comes) != len(times[0]):
        raise ValueError(f"{len(times[0])} pieces and {len(comes)} arrivals")
    start, done, leave = ([[Fraction()] * len(row) for row in times] for _ in range(3))
    for k in range(len(times[0])):
        for i, row in enumerate(times):
            arrives = leave[i - 1][k] if i else comes[k]
            start[i][k] = max(arrives, leave[i][k - 1] if k else Fraction())
            done[i][k] = start[i][k] + row[k]
            leave[i][k] = done[i][k]
            if i < len(gaps) and k - gaps[i] - 1 >= 0:  # room when that piece leaves the next station
                leave[i][k] = max(done[i][k], leave[i + 1][k - gaps[i] - 1])
    return start, done, leave


@dataclass(frozen=True, slots=True)
class MeanInterval:
    mean: Fraction
    s: float | None  # None of one value, and so the others
    half_width: float | None
    interval: tuple[float, float] | None
    relative_half_width: float | None  # None at a mean of 0


def mean_interval(values: Sequence[Number], confidence: Number = "0.95") -> MeanInterval | None:
    """Replications: mean +- t s / sqrt(n). None of nothing."""
    numbers = exacts(values)
    centre, s = mean(numbers), deviation(numbers)
    confidence_level(confidence)
    if centre is None:
        return None
    if s is None:
        return MeanInterval(centre, None, None, None, None)
    n = len(numbers)
    half = two_sided_t(confidence, n - 1) * float(s) / math.sqrt(n)
    middle = float(centre)
    return MeanInterval(centre, float(s), half, (middle - half, middle + half), half / abs(middle) if middle else None)


def welch_interval(
    base: Sequence[Number], variant: Sequence[Number], confidence: Number = "0.95"
) -> tuple[float, float] | None:
    """Of the difference variant - base of independent samples, with Welch's degrees of freedom. None below two each."""
    ones, others = exacts(base), exacts(variant)
    a, b = deviation(ones), deviation(others)
    if a is None or b is None:
        return None
    first, second = float(a) ** 2 / len(ones), float(b) ** 2 / len(others)
    middle = float((mean(others) or Fraction()) - (mean(ones) or Fraction()))
    if first + second == 0:
        return middle, middle
    freedom = (first + second) ** 2 / (first**2 / (len(ones) - 1) + second**2 / (len(others) - 1))
    half = two_sided_t(confidence, freedom) * math.sqrt(first + second)
    return middle - half, middle + half


def coverage_band(replications: Number, nominal: Number, confidence: Number = "0.999") -> tuple[int, int]:
    """How many of R intervals of a nominal level may hold the true value: a two-sided binomial band, ends included."""
    tail = (1 - confidence_level(confidence)) / 2
    return binomial_band(whole(replications, "replications", 1, 10 * MOST), exact(nominal), tail)
