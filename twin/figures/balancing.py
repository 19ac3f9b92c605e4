"""Line balancing: efficiency, delay, smoothness, ranked positional weights and the least number of stations (SALBP-1).

Sources: Helgeson and Birnie 1961; Scholl, Balancing and Sequencing of Assembly Lines; Hoffmann 1963. Tasks are numbered
from 1, times in one unit; precedence as (before, after).
"""

import math
from collections.abc import Sequence
from fractions import Fraction

from twin.figures.exact import Number, ceiling, exacts, not_negative, positive, ratio, root, whole

MOST_LOADS = 2_000_000  # station loads looked at before an optimum is given up as unproven


def efficiency(total: Number, stations: int, cycle: Number) -> Fraction | None:
    """sum t / (m c); the balance delay is 1 - efficiency."""
    return ratio(
        not_negative(total, "the sum of times"), whole(stations, "stations") * not_negative(cycle, "the cycle")
    )


def least_stations(total: Number, cycle: Number) -> int:
    """ceil(sum t / c): a lower bound."""
    return ceiling(not_negative(total, "the sum of times") / positive(cycle, "the cycle"))


def smoothness_squared(loads: Sequence[Number], against: Number | None = None) -> Fraction:
    """Sum of (against - load)^2; against the largest load, or the cycle: two definitions, name which."""
    times = exacts(loads)
    top = max(times, default=Fraction()) if against is None else positive(against, "the cycle")
    return sum(((top - one) ** 2 for one in times), Fraction())


def smoothness(loads: Sequence[Number], against: Number | None = None) -> Fraction | float:
    return root(smoothness_squared(loads, against))


class Tasks:
    """Times and precedence. ValueError for an unknown task, a cycle or a negative time."""

    def __init__(self, time: Sequence[Number], precedence: Sequence[Sequence[int]]) -> None:
        self.time = [not_negative(one, f"the time of task {i + 1}") for i, one in enumerate(time)]
        n = len(self.time)
        self.before: list[int] = [0] * n  # direct predecessors as bits
        after: list[list[int]] = [[] for _ in range(n)]
        for a, b in precedence:
            if not (1 <= a <= n and 1 <= b <= n) or a == b:
                raise ValueError(f"precedence {a} before {b}: expected two of the tasks 1 to {n}")
            self.before[b - 1] |= 1 << (a - 1)
            after[a - 1].append(b - 1)
        self.successors = self._all_successors(after)

    def _all_successors(self, after: list[list[int]]) -> list[int]:
        """All tasks behind each one, as bits, each once."""
        reach = [0] * len(after)
        state = [0] * len(after)
        for start in range(len(after)):
            stack = [start]
            while stack:
                task = stack[-1]
                if state[task] == 0:
                    state[task] = 1
                    for following in after[task]:
                        if state[following] == 1:
                            raise ValueError(f"the precedence of task {following + 1} goes in a circle")
                        if state[following] == 0:
                            stack.append(following)
                    continue
                stack.pop()
                if state[task] == 1:
                    state[task] = 2
                    for following in after[task]:
                        reach[task] |= reach[following] | 1 << following
        return reach

    @property
    def total(self) -> Fraction:
        return sum(self.time, Fraction())

    def weights(self) -> list[Fraction]:
        """Positional weights: own time and the times of all successors, each once."""
        return [
            own + sum((self.time[k] for k in range(len(self.time)) if self.successors[i] >> k & 1), Fraction())
            for i, own in enumerate(self.time)
        ]

    def ranked(self) -> list[int]:
        """Task indices by falling weight, ties to the lower number."""
        weights = self.weights()
        return sorted(range(len(weights)), key=lambda i: (-weights[i], i))


def station_oriented(tasks: Tasks, cycle: Number) -> list[list[int]]:
    """Ranked positional weights: fill the open station with the heaviest task that may follow and fits."""
    limit, order = _limit(tasks, cycle), tasks.ranked()
    stations: list[list[int]] = []
    done, load = 0, limit + 1
    left = list(order)
    while left:
        task = next((i for i in left if not tasks.before[i] & ~done and load + tasks.time[i] <= limit), None)
        if task is None:
            stations.append([])
            load = Fraction()
            continue
        stations[-1].append(task + 1)
        load += tasks.time[task]
        done |= 1 << task
        left.remove(task)
    return stations


def task_oriented(tasks: Tasks, cycle: Number) -> list[list[int]]:
    """Ranked positional weights: each task into the first station that fits, not before its predecessors."""
    limit = _limit(tasks, cycle)
    stations: list[list[int]] = []
    loads: list[Fraction] = []
    place: dict[int, int] = {}
    for task in tasks.ranked():
        first = max((place[i] for i in place if tasks.before[task] >> i & 1), default=0)
        at = next((k for k in range(first, len(stations)) if loads[k] + tasks.time[task] <= limit), len(stations))
        if at == len(stations):
            stations.append([])
            loads.append(Fraction())
        stations[at].append(task + 1)
        loads[at] += tasks.time[task]
        place[task] = at
    return stations


def _limit(tasks: Tasks, cycle: Number) -> Fraction:
    limit = positive(cycle, "the cycle")
    for i, time in enumerate(tasks.time):
        if time > limit:
            raise ValueError(f"task {i + 1} takes {time}, more than the cycle {limit}")
    return limit


def optimum(tasks: Tasks, cycle: Number) -> int | None:
    """The least number of stations, proven: one less is impossible. None if the proof was given up after MOST_LOADS."""
    best = min(len(station_oriented(tasks, cycle)), len(task_oriented(tasks, cycle)))
    for m in range(least_stations(tasks.total, cycle), best):
        verdict = _Search(tasks, _limit(tasks, cycle)).fits(m)
        if verdict is None:
            return None
        if verdict:
            return m
    return best


class _GivenUpError(Exception):
    pass


class _Search:
    """Depth first over maximal station loads, fullest first; idle time is bounded by m c - sum t.

    Sets of tasks from which the rest did not fit are kept: what follows depends on the set and the idle time left, and
    that is the same for one set, since it follows from the stations used.
    """

    def __init__(self, tasks: Tasks, limit: Fraction) -> None:
        scale = math.lcm(limit.denominator, *(one.denominator for one in tasks.time))
        self.time = [int(one * scale) for one in tasks.time]
        self.cycle = int(limit * scale)
        self.before = tasks.before
        weights = tasks.weights()
        # Whoever goes before has at least the weight and more successors: every load has one order of its tasks.
        self.order = sorted(range(len(weights)), key=lambda i: (-weights[i], -tasks.successors[i].bit_count(), i))
        self.everything = (1 << len(self.time)) - 1
        self.failed: dict[int, int] = {}
        self.looked = 0

    def fits(self, m: int) -> bool | None:
        """Whether m stations suffice; None if given up."""
        try:
            return self._station(0, m * self.cycle - sum(self.time))
        except _GivenUpError:
            return None

    def _station(self, done: int, idle: int) -> bool:
        if idle < 0:
            return False
        if done == self.everything:
            return True
        if self.failed.get(done, -1) >= idle:
            return False
        loads: dict[int, int] = {}
        self._loads(done, 0, self.cycle, idle, 0, loads)
        for load in sorted(loads, key=lambda one: loads[one]):
            if self._station(done | load, idle - loads[load]):
                return True
        self.failed[done] = idle
        return False

    def _loads(self, done: int, load: int, left: int, idle: int, start: int, found: dict[int, int]) -> None:
        """Maximal loads with at most `idle` left over, by bits: each set once, its tasks in ranked order."""
        self.looked += 1
        if self.looked > MOST_LOADS:
            raise _GivenUpError
        full = True
        for place, task in enumerate(self.order):
            bit = 1 << task
            if (done | load) & bit or self.before[task] & ~(done | load) or self.time[task] > left:
                continue
            full = False
            if place >= start:
                self._loads(done, load | bit, left - self.time[task], idle, place + 1, found)
        if full and left <= idle:
            found[load] = left
