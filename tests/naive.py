"""Slow, obvious twins of the kernels: plain Python, exact numbers, definitions rather than algorithms."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from kernels import codes
from kernels.figures.oee import POLICIES


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
    timeless = total > 0 and vector[codes.IDEAL_NS] == 0  # parts of which nobody says how fast they should be made
    p = None if timeless else ratio(vector[codes.IDEAL_NS], operating)
    q = ratio(good, total) if good >= 0 else None
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
    places: int | None = None  # parts at once, where declared


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


@dataclass(eq=False)
class StationFlow:
    """A place of a station: the station itself, or one more beside it."""

    vector: list[int]
    of: int = 0
    slot: int = 0
    counted: bool = True  # False: beside a station that declared no places
    state: str = "idle"
    since: int = 0
    available: int | None = None  # idle: since when every input has a part
    unit: str | None = None
    product: str | None = None
    lost: int | None = None  # when its end is given up
    spans: list[tuple[str, int, int]] = field(default_factory=list)  # running, blocked, starved, waiting
    cycles: int = 0  # of the station
    cycle_ns: int = 0
    put_ts: int | None = None
    take_ts: int | None = None

    def _ns(self, kind: str) -> int:
        return sum(end - start for one, start, end in self.spans if one == kind)

    @property
    def running_ns(self) -> int:
        return self._ns("running")

    @property
    def blocked_ns(self) -> int:
        return self._ns("blocked")

    @property
    def starved_ns(self) -> int:
        return self._ns("starved")

    @property
    def waiting_ns(self) -> int:
        return self._ns("waiting")

    def __lt__(self, other: "StationFlow") -> bool:
        return (self.slot > 0, self.of, self.slot) < (other.slot > 0, other.of, other.slot)

    @property
    def ready(self) -> bool:
        return self.state == "idle" and self.available is not None

    @property
    def starved(self) -> bool:
        return self.state == "idle" and self.available is None

    @property
    def entered(self) -> int:
        return self.since if self.available is None else self.available


@dataclass
class LineFlow:
    """State of a line. Vectors are as of each place's last transition until `close`."""

    topology: Topology
    start: int
    stations: list[StationFlow] = field(init=False)  # the first place of each
    more: list[list[StationFlow]] = field(init=False)  # its further places
    left: list[list[StationFlow]] = field(init=False)  # places beside that are no more
    most: list[int] = field(init=False)  # further places that were ever in use
    levels: list[int] = field(init=False)
    fed: list[int | None] = field(init=False)  # when a part last came into the empty buffer
    last_put: list[StationFlow | None] = field(init=False)
    last_take: list[StationFlow | None] = field(init=False)
    coming: list[int] = field(default_factory=list)  # stations that start later at this instant
    short: set[int] = field(default_factory=set)  # buffers for which a level of 0 was reported last
    contradictions: int = 0
    ideal_of: Callable[[int, str | None], int] = lambda _s, _product: 0  # of a station and a cycle's product, ns
    answer: list[int] = field(default_factory=list)  # vector of the line, once it is closed

    def __post_init__(self) -> None:
        links = self.topology.stations
        n = len(links)
        self.levels = [b.initial for b in self.topology.buffers]
        self.fed = [None] * len(self.levels)
        self.last_put = [None] * len(self.levels)
        self.last_take = [None] * len(self.levels)
        self.stations = [StationFlow([0] * n, s) for s in range(n)]
        self.more = [[StationFlow([0] * n, s, k) for k in range(1, links[s].places or 1)] for s in range(n)]
        self.left = [[] for _ in range(n)]
        self.most = [len(more) for more in self.more]
        for place in self.all():
            self._idle(place, self.start)

    def places(self, s: int) -> list[StationFlow]:
        return [self.stations[s], *sorted(self.more[s])]

    def all(self) -> list[StationFlow]:
        return [place for s in range(len(self.stations)) for place in self.places(s)]

    def _idle(self, place: StationFlow, t: int) -> None:
        place.state, place.since = "idle", t
        place.available = t if self._inputs_full(place.of) else None

    def _inputs_full(self, s: int) -> bool:
        return not any(self.empty(b) for b in self.topology.stations[s].inputs)

    def empty(self, b: int) -> bool:
        """Parts that nobody in the line brings come from outside, as many as are needed, unless a 0 was reported."""
        return self.levels[b] == 0 and (bool(self.producers(b)) or b in self.short)

    def producers(self, b: int) -> list[int]:
        return [p for p, links in enumerate(self.topology.stations) if links.output == b]

    def consumers(self, b: int) -> list[int]:
        return [c for c, links in enumerate(self.topology.stations) if b in links.inputs]

    def _free(self, s: int) -> bool:
        return any(place.state == "idle" for place in self.places(s))

    def _room(self, s: int) -> bool:
        b = self.topology.stations[s].output
        if b is None:
            return True
        capacity = self.topology.buffers[b].capacity
        if capacity == 0:
            # No place between the stations: the part goes from hand to hand, once the next station is empty.
            return self.levels[b] == 0 and any(self._free(c) for c in self.consumers(b))
        return capacity is None or self.levels[b] < capacity

    def instant(self, t: int, ends: Sequence[int], starts: Sequence[int]) -> None:
        """Everything that happens at `t`, without units."""
        self.moment(t, [(s, None) for s in ends], [(s, None) for s in starts])

    def moment(self, t: int, ends: Sequence[tuple[int, str | None]], starts: Sequence[tuple[int, str | None]]) -> None:
        ahead = sorted(starts, key=lambda one: -one[0])
        self.coming = [s for s, _ in ahead]
        for s, unit in sorted(ends, key=lambda one: one[0]):
            self._complete(s, t, unit)
        self._unblock(t)
        for s, unit in ahead:
            self.coming.pop(0)
            self._start(s, t, unit)
            self._unblock(t)

    def _complete(self, s: int, t: int, unit: str | None = None) -> StationFlow | None:
        station = self.stations[s]
        busy = [place for place in self.places(s) if place.state == "busy"]
        fitting = [p for p in busy if not (unit is not None and p.unit is not None and p.unit != unit)]
        exact = [p for p in busy if unit is not None and p.unit == unit]
        if not fitting:
            self.contradictions += 1
            return None
        if not exact and len(fitting) > 1:
            self.contradictions += 1  # which of them is a guess
        place = exact[0] if exact else min(fitting, key=lambda p: (p.since, p.slot))
        station.cycles += 1
        station.cycle_ns += t - place.since
        self._finish(place, t)
        return place

    def _finish(self, place: StationFlow, t: int) -> None:
        place.vector[place.of] += t - place.since
        place.spans.append(("running", place.since, t))
        place.state, place.since = "done", t

    def _unblock(self, t: int) -> None:
        moved = True
        while moved:
            moved = False
            for s in reversed(range(len(self.stations))):
                if self._done(s) is not None and self._room(s):
                    self._put(self._first_to_move(s), t)
                    moved = True

    def _done(self, s: int) -> StationFlow | None:
        done = [place for place in self.places(s) if place.state == "done"]
        return min(done, key=lambda p: (p.since, p.slot), default=None)

    def _first_to_move(self, s: int) -> StationFlow:
        """Who starts at this instant has unloaded; else the longest wait goes first, then the last station."""
        b = self.topology.stations[s].output
        waiting = [self._done(p) for p in ([s] if b is None else self.producers(b))]
        there = [place for place in waiting if place is not None]
        return max(there, key=lambda p: (p.of in self.coming and not self._free(p.of), -p.since, p.of))

    def _mark(self, place: StationFlow) -> StationFlow:
        return place if place.counted else self.stations[place.of]

    def _put(self, place: StationFlow, t: int) -> None:
        b = self.topology.stations[place.of].output
        mark = self._mark(place)
        if b is not None:
            place.spans.append(("blocked", place.since, t))
            if t > place.since:
                place.vector = self.mean(self._room_makers(place, b, t), t)
            if self.levels[b] == 0:
                self.fed[b] = t
            self.levels[b] += 1
            self.last_put[b] = mark
            mark.put_ts = t
        if place.counted:
            self._idle(place, t)
        else:
            place.state = "gone"
            self.more[place.of].remove(place)
            self.left[place.of].append(place)
        for c in self.consumers(b) if b is not None else []:
            for near in self.places(c) if self._inputs_full(c) else []:
                if near.starved:
                    near.available = t
                    near.spans.append(("starved", near.since, t))
                    if t > near.since:
                        assert b is not None
                        near.vector = self.mean(self._bringers(c, b, mark, t), t)

    def _room_makers(self, place: StationFlow, b: int, t: int) -> set[StationFlow]:
        found = set()
        for c in self.consumers(b):
            ready = [one for one in self.places(c) if one.ready]
            if ready and c in self.coming:
                found.add(min(ready, key=lambda p: (p.entered, p.slot)))
            for one in self.places(c):
                emptied = self.topology.buffers[b].capacity == 0 and one.state == "idle" and one.entered == t
                if one.counted and (one.take_ts == t or emptied):
                    found.add(one)
        return found or self.closers([place], t)

    def _bringers(self, c: int, b: int, mark: StationFlow, t: int) -> set[StationFlow]:
        """Who brings a part at t, for b or for another input of c that was empty until t."""
        needed = [one for one in self.topology.stations[c].inputs if one == b or self.fed[one] == t]
        near = [place for one in needed for p in self.producers(one) for place in self.places(p) if place.counted]
        found = {p for p in near if p is mark or p.put_ts == t or (p.state == "done" and p.since == t)}
        return self.closers([mark], t) if found == {mark} and mark.entered < t else found

    def _start(self, s: int, t: int, unit: str | None = None, product: str | None = None) -> StationFlow:
        place = self._place_for(s, t, unit)
        mark = self._mark(place)
        for b in self.topology.stations[s].inputs:
            self.levels[b] = max(0, self.levels[b] - 1)
            self.last_take[b] = mark
        place.state, place.since, place.available = "busy", t, None
        place.unit, place.product, place.lost = unit, product, None
        mark.take_ts = t
        self._robbed(t)
        if self.most[s]:
            for one in self.places(s):
                ideal = min(self.ideal_of(s, one.product), 10**14)
                if one.state == "busy" and one.lost is None and ideal:
                    one.lost = max(one.since + 10 * (1 + self.most[s]) * ideal, t + 1)
        return place

    def _place_for(self, s: int, t: int, unit: str | None) -> StationFlow:
        places = self.places(s)
        for kind in ("waiting", "starved"):
            idle = [p for p in places if (p.ready if kind == "waiting" else p.starved)]
            if idle:
                place = min(idle, key=lambda p: (p.entered, p.slot))
                place.spans.append((kind, place.entered, t))
                if kind == "waiting":
                    place.vector[s] += t - place.entered
                else:
                    self.contradictions += 1
                    if t > place.since:
                        place.vector = self.closed(place, t)
                return place
        overlaps = unit is not None and all(p.state == "busy" and p.unit not in (None, unit) for p in places)
        if (self.topology.stations[s].places or 1) == 1 and overlaps and len(places) < self._most_at_once(s):
            if not self._inputs_full(s):
                self.contradictions += 1
            slot = next(k for k in range(1, 16) if k not in [p.slot for p in places])
            self.more[s].append(StationFlow([0] * len(self.stations), s, slot, counted=False))
            self.most[s] = max(self.most[s], slot)
            return self.more[s][-1]
        # A part still at the station is gone: its end was not reported, or it left a full buffer.
        self.contradictions += 1
        place_ = self._done(s)
        if place_ is None:
            busy = [p for p in places if p.state == "busy"]
            same = [p for p in busy if unit is not None and p.unit == unit]
            place_ = same[0] if same else min(busy, key=lambda p: (p.since, p.slot))
            if not self.most[s]:
                self.stations[s].cycles += 1
                self.stations[s].cycle_ns += t - place_.since
            self._finish(place_, t)
        self._put(place_, t)
        if not place_.counted:
            again = StationFlow([0] * len(self.stations), s, place_.slot, counted=False)
            self.more[s].append(again)
            return again
        if place_.starved:
            self.contradictions += 1
        return place_

    def _most_at_once(self, s: int) -> int:
        return 16 if self.topology.stations[s].places is None else 1

    def give_up(self, t: int) -> list[int]:
        """Ends that have not come until t: the parts have left unseen, and no cycle is counted. Of which stations."""
        lost = [p for p in self.all() if p.state == "busy" and p.lost is not None and p.lost <= t]
        for place in lost:
            self.contradictions += 1
            self._finish(place, t)
        self.coming = []
        self._unblock(t)
        return [place.of for place in lost]

    def next_lost(self) -> int | None:
        return min((p.lost for p in self.all() if p.state == "busy" and p.lost is not None), default=None)

    def _robbed(self, t: int) -> None:
        """Places whose part another one has taken are starved again."""
        for place in self.all():
            if place.ready and not self._inputs_full(place.of):
                place.spans.append(("waiting", place.entered, t))
                place.vector[place.of] += t - place.entered
                place.since, place.available = t, None

    def _waits_for(self, place: StationFlow) -> set[StationFlow]:
        """Who took from the full output last, or brought to the first empty input; with all who did at that instant."""
        links = self.topology.stations[place.of]
        if place.state == "done":
            assert links.output is not None
            stations, last = self.consumers(links.output), self.last_take[links.output]
            if last is None and not stations:
                return set()
            last = self.stations[stations[0]] if last is None else last
            near = [p for c in stations for p in self.places(c) if p.counted]
            return {last, *(p for p in near if p.take_ts == last.take_ts)}
        empty = [b for b in links.inputs if self.empty(b)]
        last = self.last_put[empty[0]]
        if last is None and not self.producers(empty[0]):
            return set()
        last = self.stations[self.producers(empty[0])[0]] if last is None else last
        near = [p for b in empty for s in self.producers(b) for p in self.places(s) if p.counted]
        return {last, *(p for p in near if p.put_ts == last.put_ts)}

    def closers(self, seeds: list[StationFlow], t: int) -> set[StationFlow]:
        """Places at the end of all ways along waits that began before t; the first if every way is a ring."""
        found: set[StationFlow] = set()
        seen: set[StationFlow] = set()
        ways = list(seeds)
        while ways:
            at = ways.pop()
            if at in seen:
                continue
            seen.add(at)
            waits = (at.state == "done" or at.starved) and at.since < t
            following = self._waits_for(at) if waits else set()
            ways += following
            if not following:
                found.add(at)
        return found or {seeds[0]}

    def mean(self, members: set[StationFlow], t: int) -> list[int]:
        """Of their vectors as if their open intervals ended at t; what does not divide goes to the lowest."""
        vectors = []
        for one in members:
            vectors.append(list(one.vector))
            vectors[-1][one.of] += t - one.entered
        found = [sum(cells) // len(vectors) for cells in zip(*vectors, strict=True)]
        found[min(members).of] += sum(vectors[0]) - sum(found)
        return found

    def closed(self, place: StationFlow, t: int) -> list[int]:
        return self.mean(self.closers([place], t), t)

    def _answer(self, t: int) -> list[int]:
        """Vector of the line: of the last station and those parallel to it, by what they made."""
        links = self.topology.stations
        last = len(links) - 1
        ends = [
            s
            for s, one in enumerate(links)
            if s == last
            or (one.output == links[-1].output is not None)
            or (set(one.inputs) == set(links[-1].inputs) != set() and one.output == links[-1].output)
        ]
        vectors = [self.mean(self.closers([p for p in self.places(s) if p.counted], t), t) for s in ends]
        weights = [self.stations[s].cycles for s in ends]
        if not any(weights):
            weights = [1] * len(ends)
        pairs = list(zip(vectors, weights, strict=True))
        found = [sum(w * vector[i] for vector, w in pairs) // sum(weights) for i in range(len(links))]
        found[-1] += sum(vectors[0]) - sum(found)
        return found

    def close(self, t: int) -> None:
        """End every open interval at t."""
        self.answer = self._answer(t)
        vectors = [self.closed(place, t) for place in self.all()]
        kinds = {"busy": "running", "done": "blocked"}
        for place, vector in zip(self.all(), vectors, strict=True):
            place.vector = vector
            kind = kinds.get(place.state, "starved" if place.starved else "waiting")
            place.spans.append((kind, place.entered, t))

    def ns(self, s: int, kind: str, since: int = 0) -> int:
        """Time of a station: running while one of its places is, else blocked, else waiting, else starved."""
        order = ("running", "blocked", "waiting", "starved")
        spans = [span for place in (*self.places(s), *self.left[s]) for span in place.spans]
        edges = sorted({since, *(t for _, *both in spans for t in both if t > since)})
        total = 0
        for a, b in itertools.pairwise(edges):
            there = {one for one, start, end in spans if start <= a and b <= end}
            if next((one for one in order if one in there), None) == kind:
                total += b - a
        return total


Step = tuple[int, int, str] | tuple[int, int, str, str | None]


def naive_line_flow(
    events: Sequence[Step], topology: Topology, end: int | None = None, start: int | None = None
) -> LineFlow:
    """Fold (ts, station, "start" | "end", unit) up to and including `end`, and close there (None: leave open)."""
    events = sorted(events, key=lambda event: event[:2])
    line = LineFlow(topology, events[0][0] if start is None else start)
    i = 0
    while i < len(events) and (end is None or events[i][0] <= end):
        t = events[i][0]
        now: dict[str, list[tuple[int, str | None]]] = {"start": [], "end": []}
        while i < len(events) and events[i][0] == t:
            _, s, kind, *unit = events[i]
            now[kind].append((s, unit[0] if unit else None))
            i += 1
        line.moment(t, now["end"], now["start"])
    if end is not None:
        line.close(end)
    return line
