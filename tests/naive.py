"""Slow, obvious twins of the kernels: plain Python, exact numbers, definitions rather than algorithms."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from kernels import codes
from kernels.oee import POLICIES


# Counters
def increment(previous: int, value: int, modulus: int) -> tuple[int, str]:
    if previous < 0:
        return 0, "baseline"
    if value == previous:
        return 0, "repeat"
    if value > previous:
        return value - previous, "rise"
    if modulus and previous < modulus and Fraction((value - previous) % modulus, modulus) <= Fraction(1, 2):
        return (value - previous) % modulus, "rollover"
    return value, "reset"


# OEE
@dataclass
class Factors:
    planned: int
    operating: int
    total: int
    unknown: int
    availability: Fraction | None
    performance: Fraction | None
    quality: Fraction | None
    oee: Fraction | None


def ratio(numerator: int, denominator: int) -> Fraction | None:
    return Fraction(numerator, denominator) if denominator else None


# What docs/kpis.md says, written a second time: classes per policy that are not planned time, and speed losses.
NOT_PLANNED = {
    "iso22400": {"off_shift", "planned_stop", "no_order"},
    "nakajima": {"off_shift", "planned_stop", "no_order", "maintenance"},
    "semi_e10": {"off_shift", "planned_stop"},
    "changeover_performance": {"off_shift", "planned_stop", "no_order"},
}
SPEED_LOSSES: dict[str, set[str]] = {
    "iso22400": set(),
    "nakajima": {"starved", "blocked", "minor_stop", "waiting"},
    "semi_e10": {"no_order", "starved", "blocked", "waiting"},
    "changeover_performance": {"setup", "minor_stop"},
}
assert set(POLICIES) == set(NOT_PLANNED) == set(SPEED_LOSSES)


def factors(vector: Sequence[int], policy: str) -> Factors:
    time = dict(zip(codes.CLASS_NAMES[: codes.N_CLASSES], vector, strict=False))
    unknown = time.pop("unknown")
    planned = sum(ns for name, ns in time.items() if name not in NOT_PLANNED[policy])
    operating = time["running"] + sum(time[name] for name in SPEED_LOSSES[policy])
    good = vector[codes.GOOD]
    total = good + vector[codes.SCRAP] + vector[codes.REWORK]
    a = ratio(operating, planned)
    p = ratio(vector[codes.IDEAL_NS], operating)
    q = ratio(good, total)
    oee = None if a is None or p is None or q is None else a * p * q
    return Factors(planned, operating, total, unknown, a, p, q, oee)


# Overall throughput effectiveness, the formulas of Muthiah and Huang 2007
def ote_series(rate: Sequence[Fraction], oee: Sequence[Fraction], quality: Sequence[Fraction]) -> tuple[Fraction, int]:
    candidates = [rate[i] * oee[i] * math.prod(quality[i + 1 :], start=Fraction(1)) for i in range(len(rate))]
    return min(candidates) / min(rate), candidates.index(min(candidates))


def ote_parallel(rate: Sequence[Fraction], oee: Sequence[Fraction]) -> Fraction:
    return sum((r * o for r, o in zip(rate, oee, strict=True)), Fraction(0)) / sum(rate)


def ote_assembly(rate: Sequence[Fraction], oee: Sequence[Fraction], quality: Sequence[Fraction]) -> Fraction:
    """The last station assembles one part of each of the others."""
    parts = [r * o * quality[-1] for r, o in zip(rate[:-1], oee[:-1], strict=True)]
    return min(*parts, rate[-1] * oee[-1]) / min(rate)


# Arrow rule and turning point of a series line
def arrow_rule(blocked: Sequence[float], starved: Sequence[float]) -> tuple[set[int], dict[int, float]]:
    n = len(blocked)
    right = {i for i in range(n - 1) if blocked[i] > starved[i + 1]}  # arrow i -> i + 1
    left = {i + 1 for i in range(n - 1) if blocked[i] < starved[i + 1]}  # arrow i -> i - 1
    named = {i for i in range(n) if i not in right | left and (i - 1 in right or i + 1 in left)}
    severity = {i: sum(abs(starved[k + 1] - blocked[k]) for k in (i - 1, i) if 0 <= k < n - 1) for i in named}
    return named, severity


def turning_points(blocked: Sequence[float], starved: Sequence[float]) -> set[int]:
    n = len(blocked)
    named = set()
    for j in range(n if n > 1 else 0):
        before = j == 0 or (blocked[j - 1] > starved[j - 1] and waits(blocked, starved, j, j - 1))
        behind = j == n - 1 or (starved[j + 1] > blocked[j + 1] and waits(blocked, starved, j, j + 1))
        if before and behind:
            named.add(j)
    return named


def waits(blocked: Sequence[float], starved: Sequence[float], j: int, other: int) -> bool:
    """Station j waits less than the other."""
    return blocked[j] + starved[j] < blocked[other] + starved[other]


# Active periods, unit of time by unit of time
Period = tuple[int, int, int]  # start, end, station


def longest_at(periods: Sequence[Period], t: int) -> Period | None:
    active = [p for p in periods if p[0] <= t < p[1]]
    return min(active, key=lambda p: (p[0] - p[1], p[2], p[0]), default=None)


def hindsight(periods: Sequence[Period], n: int, t0: int, t1: int) -> tuple[list[int], list[int], list[int]]:
    """Sole, shifting, longest."""
    leaders = {p for t in range(t0, t1) if (p := longest_at(periods, t)) is not None}
    sole, shifting, longest = [0] * n, [0] * n, [0] * n
    for t in range(t0, t1):
        leader = longest_at(periods, t)
        if leader is not None:
            longest[leader[2]] += 1
        running = [p for p in leaders if p[0] <= t < p[1]]
        for p in running:
            (sole if len(running) == 1 else shifting)[p[2]] += 1
    return sole, shifting, longest


def causal(periods: Sequence[Period], t0: int, t1: int) -> list[int | None]:
    """Per unit of time the station that has been active longest so far."""
    return [min(((p[0], p[2]) for p in periods if p[0] <= t < p[1]), default=(0, None))[1] for t in range(t0, t1)]


# Statistics
def t_probability(t: float, degrees: int) -> float:
    """P(|T| <= t) of Student's t: Abramowitz and Stegun 26.7.3 (odd degrees) and 26.7.4 (even), exact finite sums."""
    theta = math.atan(t / math.sqrt(degrees))
    total, term = 0.0, math.cos(theta) if degrees % 2 else 1.0
    for j in range(degrees % 2, degrees - 1, 2):
        total += term
        term *= (j + 1) / (j + 2) * math.cos(theta) ** 2
    if degrees % 2:
        return 2 / math.pi * (theta + math.sin(theta) * total)
    return math.sin(theta) * total


def batch_means(values: Sequence[Sequence[int]], elapsed: Sequence[int]) -> list[tuple[Fraction, Fraction]] | None:
    """Per station the share and the variance of its estimate (0 for one pane), from panes that lasted."""
    panes = [(row, e) for row, e in zip(values, elapsed, strict=True) if e > 0]
    if not panes:
        return None
    n, total = len(panes), sum(e for _, e in panes)
    result = []
    for s in range(len(values[0])):
        share = Fraction(sum(row[s] for row, _ in panes), total)
        squares = Fraction(sum((row[s] - share * e) ** 2 for row, e in panes))
        result.append((share, squares * n / ((n - 1) * total * total) if n > 1 else Fraction(0)))
    return result


# The line's flow
@dataclass
class Buffer:
    capacity: int | None
    initial: int = 0


@dataclass
class Station:
    inputs: tuple[int, ...] = ()
    output: int | None = None


@dataclass
class Topology:
    buffers: list[Buffer]
    stations: list[Station]


def serial_topology(capacities: Sequence[int | None], initial: int = 0) -> Topology:
    n = len(capacities) + 1
    return Topology(
        [Buffer(c, initial) for c in capacities],
        [Station((i - 1,) if i else (), i if i < n - 1 else None) for i in range(n)],
    )


@dataclass
class StationFlow:
    vector: list[int]
    state: str = "idle"
    since: int = 0
    available: int | None = None  # idle: since when every input has a part
    spans: list[tuple[str, int, int]] = field(default_factory=list)  # running, blocked, starved, waiting
    cycles: int = 0
    cycle_ns: int = 0  # running_ns without the open cycle
    put_ts: int | None = None
    take_ts: int | None = None

    def ns(self, kind: str, since: int = 0) -> int:
        return sum(max(0, end - max(start, since)) for one, start, end in self.spans if one == kind)

    @property
    def running_ns(self) -> int:
        return self.ns("running")

    @property
    def blocked_ns(self) -> int:
        return self.ns("blocked")

    @property
    def starved_ns(self) -> int:
        return self.ns("starved")

    @property
    def waiting_ns(self) -> int:
        return self.ns("waiting")


@dataclass
class LineFlow:
    """State of a line. Vectors are as of each station's last transition until `close`."""

    topology: Topology
    start: int
    stations: list[StationFlow] = field(init=False)
    levels: list[int] = field(init=False)
    fed: list[int | None] = field(init=False)  # when a part last came into the empty buffer
    last_put: list[int | None] = field(init=False)
    last_take: list[int | None] = field(init=False)
    coming: list[int] = field(default_factory=list)  # stations that start later at this instant
    short: set[int] = field(default_factory=set)  # buffers for which a level of 0 was reported last
    contradictions: int = 0

    def __post_init__(self) -> None:
        n = len(self.topology.stations)
        self.levels = [b.initial for b in self.topology.buffers]
        self.fed = [None] * len(self.levels)
        self.last_put = [None] * len(self.levels)
        self.last_take = [None] * len(self.levels)
        self.stations = [StationFlow([0] * n) for _ in range(n)]
        for s in range(n):
            self._idle(s, self.start)

    def _idle(self, s: int, t: int) -> None:
        station = self.stations[s]
        station.state, station.since = "idle", t
        station.available = t if self._inputs_full(s) else None

    def _inputs_full(self, s: int) -> bool:
        return not any(self.empty(b) for b in self.topology.stations[s].inputs)

    def empty(self, b: int) -> bool:
        """Parts that nobody in the line brings come from outside, as many as are needed, unless a 0 was reported."""
        return self.levels[b] == 0 and (bool(self.producers(b)) or b in self.short)

    def producers(self, b: int) -> list[int]:
        return [p for p, links in enumerate(self.topology.stations) if links.output == b]

    def consumers(self, b: int) -> list[int]:
        return [c for c, links in enumerate(self.topology.stations) if b in links.inputs]

    def _room(self, s: int) -> bool:
        b = self.topology.stations[s].output
        if b is None:
            return True
        capacity = self.topology.buffers[b].capacity
        if capacity == 0:
            # No place between the stations: the part goes from hand to hand, once the next station is empty.
            return self.levels[b] == 0 and any(self.stations[c].state == "idle" for c in self.consumers(b))
        return capacity is None or self.levels[b] < capacity

    def instant(self, t: int, ends: Sequence[int], starts: Sequence[int]) -> None:
        """Everything that happens at `t`."""
        self.coming = sorted(starts, reverse=True)
        for s in ends:
            self._complete(s, t)
        self._unblock(t)
        while self.coming:
            self._start(self.coming.pop(0), t)
            self._unblock(t)

    def _complete(self, s: int, t: int) -> None:
        station = self.stations[s]
        if station.state != "busy":
            self.contradictions += 1
            return
        station.vector[s] += t - station.since
        station.spans.append(("running", station.since, t))
        station.cycle_ns += t - station.since
        station.cycles += 1
        station.state, station.since = "done", t

    def _unblock(self, t: int) -> None:
        moved = True
        while moved:
            moved = False
            for s in reversed(range(len(self.stations))):
                if self.stations[s].state == "done" and self._room(s):
                    self._put(self._first_to_move(s), t)
                    moved = True

    def _first_to_move(self, s: int) -> int:
        """Who starts at this instant has unloaded; else the longest wait goes first, then the last station."""
        b = self.topology.stations[s].output
        waiting = [s] if b is None else [p for p in self.producers(b) if self.stations[p].state == "done"]
        return max(waiting, key=lambda p: (p in self.coming, -self.stations[p].since, p))

    def _put(self, s: int, t: int) -> None:
        station, b = self.stations[s], self.topology.stations[s].output
        if b is not None and t > station.since:
            station.spans.append(("blocked", station.since, t))
            station.vector = self.mean(self._room_makers(s, b, t), t)
        if b is not None:
            if self.levels[b] == 0:
                self.fed[b] = t
            self.levels[b] += 1
            self.last_put[b] = s
            station.put_ts = t
        self._idle(s, t)
        for c in self.consumers(b) if b is not None else []:
            consumer = self.stations[c]
            if consumer.state == "idle" and consumer.available is None and self._inputs_full(c):
                consumer.available = t
                consumer.spans.append(("starved", consumer.since, t))
                if t > consumer.since:
                    consumer.vector = self.mean(self._bringers(c, b, t), t)

    def _room_makers(self, s: int, b: int, t: int) -> set[int]:
        found = set()
        for c in self.consumers(b):
            one = self.stations[c]
            ready = one.state == "idle" and one.available is not None
            emptied = self.topology.buffers[b].capacity == 0 and one.state == "idle" and one.since == t
            if one.take_ts == t or emptied or (ready and c in self.coming):
                found.add(c)
        return found or self.closers(s, t)

    def _bringers(self, c: int, b: int, t: int) -> set[int]:
        """Who brings a part at t, for b or for another input of c that was empty until t."""
        needed = [one for one in self.topology.stations[c].inputs if one == b or self.fed[one] == t]
        return {
            p
            for one in needed
            for p in self.producers(one)
            if self.stations[p].put_ts == t or (self.stations[p].state == "done" and self.stations[p].since == t)
        }

    def _start(self, s: int, t: int) -> None:
        station = self.stations[s]
        if station.state != "idle":
            # A part still at the station is gone: its end was not reported, or it left a full buffer.
            self.contradictions += 1
            if station.state == "busy":
                self._complete(s, t)
            self._put(s, t)
        if station.available is not None:
            station.spans.append(("waiting", station.available, t))
            station.vector[s] += t - station.available
        else:
            self.contradictions += 1
            station.spans.append(("starved", station.since, t))
            if t > station.since:
                station.vector = self.closed(s, t)
        for b in self.topology.stations[s].inputs:
            self.levels[b] = max(0, self.levels[b] - 1)
            self.last_take[b] = s
        station.state, station.since, station.available, station.take_ts = "busy", t, None, t
        self._robbed(t)

    def _robbed(self, t: int) -> None:
        """Stations whose part another consumer of the same buffer has taken are starved again."""
        for c, consumer in enumerate(self.stations):
            if consumer.state == "idle" and consumer.available is not None and not self._inputs_full(c):
                consumer.spans.append(("waiting", consumer.available, t))
                consumer.vector[c] += t - consumer.available
                consumer.since, consumer.available = t, None

    def _waits_for(self, s: int) -> set[int]:
        """Who took from the full output last, or brought to the first empty input; with all who did at that instant."""
        links = self.topology.stations[s]
        if self.stations[s].state == "done":
            assert links.output is not None
            near, last = self.consumers(links.output), self.last_take[links.output]
            if last is None and not near:
                return set()
            last = near[0] if last is None else last
            return {last, *(c for c in near if self.stations[c].take_ts == self.stations[last].take_ts)}
        empty = [b for b in links.inputs if self.empty(b)]
        near, last = [p for b in empty for p in self.producers(b)], self.last_put[empty[0]]
        if last is None and not self.producers(empty[0]):
            return set()
        last = self.producers(empty[0])[0] if last is None else last
        return {last, *(p for p in near if self.stations[p].put_ts == self.stations[last].put_ts)}

    def closers(self, s: int, t: int) -> set[int]:
        """Stations at the end of all ways from s along waits that began before t; s itself if every way is a ring."""
        found: set[int] = set()
        seen: set[int] = set()
        ways = [s]
        while ways:
            at = ways.pop()
            if at in seen:
                continue
            seen.add(at)
            one = self.stations[at]
            waits = one.state == "done" or (one.state == "idle" and one.available is None)
            following = self._waits_for(at) if waits and one.since < t else set()
            ways += following
            if not following:
                found.add(at)
        return found or {s}

    def mean(self, members: set[int], t: int) -> list[int]:
        """Of their vectors as if their open intervals ended at t; what does not divide goes to the lowest."""
        vectors = []
        for s in members:
            one = self.stations[s]
            vectors.append(list(one.vector))
            vectors[-1][s] += t - (one.since if one.available is None else one.available)
        found = [sum(cells) // len(vectors) for cells in zip(*vectors, strict=True)]
        found[min(members)] += sum(vectors[0]) - sum(found)
        return found

    def closed(self, s: int, t: int) -> list[int]:
        return self.mean(self.closers(s, t), t)

    def end(self) -> list[int]:
        """Vector of the line, once it is closed: of the last station and those parallel to it, by what they made."""
        links = self.topology.stations
        last = len(links) - 1
        ends = [
            s
            for s, one in enumerate(links)
            if s == last
            or (one.output == links[-1].output is not None)
            or (set(one.inputs) == set(links[-1].inputs) != set() and one.output == links[-1].output)
        ]
        weights = [self.stations[s].cycles for s in ends]
        if not any(weights):
            weights = [1] * len(ends)
        pairs = list(zip(ends, weights, strict=True))
        found = [sum(w * self.stations[s].vector[i] for s, w in pairs) // sum(weights) for i in range(len(links))]
        found[-1] += sum(self.stations[last].vector) - sum(found)
        return found

    def close(self, t: int) -> None:
        """End every open interval at t."""
        vectors = [self.closed(s, t) for s in range(len(self.stations))]
        for station, vector in zip(self.stations, vectors, strict=True):
            station.vector = vector
            if station.state == "busy":
                station.spans.append(("running", station.since, t))
            elif station.state == "done":
                station.spans.append(("blocked", station.since, t))
            elif station.available is None:
                station.spans.append(("starved", station.since, t))
            else:
                station.spans.append(("waiting", station.available, t))


def naive_line_flow(
    events: Sequence[tuple[int, int, str]], topology: Topology, end: int | None = None, start: int | None = None
) -> LineFlow:
    """Fold (ts, station, "start" | "end") up to and including `end`, and close there (None: leave open)."""
    events = sorted(events)
    line = LineFlow(topology, events[0][0] if start is None else start)
    i = 0
    while i < len(events) and (end is None or events[i][0] <= end):
        t = events[i][0]
        now = []
        while i < len(events) and events[i][0] == t:
            now.append(events[i])
            i += 1
        line.instant(t, [s for _, s, kind in now if kind == "end"], [s for _, s, kind in now if kind == "start"])
    if end is not None:
        line.close(end)
    return line
