"""One line in plain Python: every class interval kept, every row summed from them. Slow and obvious."""

import itertools
import json
from collections import Counter as Counted
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from kernels import codes
from kernels.fold import layout as at
from tests.naive import Buffer, LineFlow, Topology, increment
from tests.naive import Station as Place
from tests.support.fold import Ev
from twin.events.declare import END_OF_LOG
from twin.plant.model import Counter, Line

Named = tuple[str | None, str | None, int | None]  # order, product, quantity
CalendarAt = Callable[[int], tuple[int, str | None, str]]  # class or -1, shift, day
SEQ_WINDOW = 1_024
BELIEVED_JUMP_NS = 30 * 60 * 10**9
DAY_NS = 86_400 * 10**9
MAX_LEAP = 1 << 20


@dataclass
class Numbered:
    epoch: int
    newest: int
    seen: set[int]
    leap: int | None = None


class Admission:
    def __init__(self, line: Line) -> None:
        self.line = line
        self.newest: int | None = None
        self.held: list[Ev] = []
        self.sequences: dict[int, Numbered] = {}
        self.admitted: list[Ev] = []
        self.rejected: list[tuple[str, int]] = []
        self.duplicates = 0
        self.rounds: dict[tuple[int, int], list[Ev]] = {}  # by station and number: the last events of it, of one time

    def wrapped(self, e: Ev, modulus: int) -> str | None:
        known = self.rounds.setdefault((e.station, e.seq % modulus), [])
        if known and known[0].ts != e.ts:
            known.clear()
        told = {what for one in known for what in self.told(one)}
        if known and set(self.told(e)) <= told:
            return "duplicate"
        known.append(e)
        return None

    def told(self, e: Ev) -> list[object]:
        if (e.type, e.code) == (codes.COUNT, codes.PARTS):
            return [e.defect] if e.defect else [name for name in "abc" if getattr(e, name)] or ["nothing"]
        if e.type == codes.MEASURE:
            return [(e.type, e.y)]
        return [(e.type, e.x if e.type in (codes.COUNT, codes.BUFFER) else e.code if e.type != codes.STATE else None)]

    def number(self, e: Ev) -> str | None:
        known = self.sequences.get(e.station)
        if known is None:
            known = self.sequences[e.station] = Numbered(0, -1, set())
        if e.epoch < known.epoch:
            return "stale_epoch"
        if self.line.seq_modulus is not None:
            known.epoch = e.epoch
            return self.wrapped(e, self.line.seq_modulus)
        if e.seq == 2**63 - 1:  # nothing can follow it
            return "late"
        if e.epoch > known.epoch or known.newest < 0:
            known = self.sequences[e.station] = Numbered(e.epoch, e.seq, {e.seq})
            return None
        if e.seq < min(known.seen):
            known.seen.add(e.seq)
            return None
        if e.seq <= known.newest - SEQ_WINDOW:
            return "late"
        if e.seq in known.seen:
            return "duplicate"
        if e.seq > known.newest + MAX_LEAP:
            if e.seq == known.leap:
                return "duplicate"
            if known.leap is None or abs(e.seq - known.leap) >= SEQ_WINDOW:
                known.leap = e.seq
                return None
            known.seen.add(known.leap)
            known.newest, known.leap = known.leap, None
        known.seen.add(e.seq)
        known.newest = max(known.newest, e.seq)
        return None

    def numbered(self, e: Ev) -> bool:
        verdict = self.number(e) if e.seq >= 0 else None
        if verdict == "duplicate":
            self.duplicates += 1
        elif verdict is not None:
            self.rejected.append((verdict, e.ts))
        return verdict is None

    def take(self, e: Ev) -> None:
        self.admitted.append(e)
        self.newest = e.ts if self.newest is None else max(self.newest, e.ts)

    def offer(self, e: Ev) -> None:
        jump, first = min(self.line.max_jump_ns, BELIEVED_JUMP_NS), self.newest is None
        if e.y == END_OF_LOG:
            self.end(e)
        elif self.newest is not None and e.ts <= self.newest + jump:
            if not self.numbered(e):
                return
            if e.ts < self.newest - self.line.lateness_ns:
                self.rejected.append(("late", e.ts))
                return
            self.rejected += [("jump_unconfirmed", h.ts) for h in self.held]
            self.held = []
            self.take(e)
        elif any(e.ts != h.ts <= e.ts + jump and not (first and h.ts < e.ts - DAY_NS) for h in self.held):
            lowest = e.ts - DAY_NS if first else 0
            for h in self.held:
                if lowest <= h.ts <= e.ts + jump:
                    if self.numbered(h):
                        self.take(h)
                else:
                    self.rejected.append(("jump_unconfirmed", h.ts))
            self.held = []
            # What it bore out may all have been refused by its number: then it is the first itself.
            if self.newest is None or e.ts > self.newest + (jump if first else self.line.max_jump_ns):
                self.held.append(e)
                return
            if not self.numbered(e):
                return
            if self.newest is not None and e.ts < self.newest - self.line.lateness_ns:
                self.rejected.append(("late", e.ts))
            else:
                self.take(e)
        else:
            self.held.append(e)

    def end(self, e: Ev) -> None:
        """Of a log: what is held and lies before it is so, the rest is not."""
        line, begun = self.line, self.newest is not None
        windows = [w.length_ns for w in line.windows] or [line.publish_every_ns]
        steps = [w.step_ns for w in line.windows] or [line.publish_every_ns]
        minor = max(station.minor_stop_ns for station in line.stations)
        closing = max(*windows, line.pane_ns) + line.publish_every_ns + minor + 2 * max(steps) + line.lateness_ns
        reach = max(min(line.max_jump_ns, BELIEVED_JUMP_NS), closing)
        within = e.ts + 1 if begun else max(DAY_NS, reach)
        borne_out = [h for h in self.held if h.ts <= e.ts and h.ts >= e.ts - within]
        if any(h.ts < e.ts for h in borne_out):
            for h in self.held:
                if h not in borne_out:
                    self.rejected.append(("jump_unconfirmed", h.ts))
                elif self.numbered(h):
                    self.take(h)
            self.held = []
            reach = max(reach, line.max_jump_ns) if begun else reach
        elif not begun:
            self.held.append(e)
            return
        if self.newest is None or e.ts > self.newest + reach:
            self.held.append(e)
        elif self.numbered(e):
            if self.newest is not None and e.ts < self.newest - line.lateness_ns:
                self.rejected.append(("late", e.ts))
            else:
                self.rejected += [("jump_unconfirmed", h.ts) for h in self.held]
                self.held = []
                self.take(e)


STOPS = (codes.STOPPED, codes.MINOR_STOP, codes.DOWN)


@dataclass
class Stop:
    """A station stands, seen in one segment or, with breaks and silence between, in several."""

    start: int
    reported: int
    klass: int  # STOPPED until its length is known
    end: int | None = None


@dataclass
class Segment:
    start: int
    shown: int
    stop: Stop | None = None
    end: int | None = None

    @property
    def klass(self) -> int:
        return self.shown if self.stop is None else self.stop.klass


@dataclass
class Reading:
    value: int
    epoch: int
    ts: int
    fate: str = "believed"  # or held, or refused


@dataclass
class Work:
    """A time with one order, of the line or of a station."""

    order: str
    product: str | None
    start: int
    number: int
    quantity: int | None = None


@dataclass
class Measured:
    ts: int
    event: Ev
    order: str | None
    product: str | None
    segment: Segment | None  # of the station, until then
    good: int = 0  # parts that it has counted until then
    made: int = 0
    counted: bool = False  # a count has said it: it is of the time that begins then


@dataclass
class StationTwin:
    segment: Segment
    since: int
    seen: int
    segments: list[Segment]
    stops: list[Stop] = field(default_factory=list)
    stop: Stop | None = None  # the one that is on
    reported: int | None = None
    word: str | None = None
    reason: str | None = None
    shown: tuple[str | None, str | None] = (None, None)
    stood: dict[int, str | None] = field(default_factory=dict)  # the reason after each instant
    said: int = -1  # the instant at which the stop that is on got its first reason
    order: str | None = None
    product: str | None = None  # that of the order
    own_order: tuple[str, str | None] | None = None  # order and product of its own
    own_quantity: int | None = None
    worked: bool = False  # on an order, at the end of some instant
    left: bool = False  # the line's order has ended for it
    work: Work | None = None
    stale: bool = False
    own: bool = False
    counters: dict[str, list[Reading]] = field(default_factory=dict)


def named_by(product: str | None) -> str | None:
    """The name of a product, without what is declared of it."""
    return product and product.partition("|")[0]


def phase(e: Ev) -> int:
    if e.type == codes.CYCLE:
        return 0 if e.code == codes.END else 6
    if e.type == codes.MEASURE:
        return 0
    if e.type == codes.ORDER:
        return 1 if e.code == codes.END else 2
    return {codes.STATE: 3, codes.COUNT: 4, codes.BUFFER: 5}.get(e.type, 7)


class NaiveTwin:
    def __init__(self, line: Line, calendar: CalendarAt, turns: Sequence[int]) -> None:
        self.line, self.calendar, self.turns = line, calendar, sorted(turns)
        self.flow: LineFlow | None = None
        self.states: list[tuple[int, int, int, Segment, str | None, str | None, str | None, str | None]] = []
        # ts, station, column, value, numbers of the station's and the line's work that it belongs to
        self.made: list[tuple[int, int, str, int, set[int]]] = []
        # window, start, end, shift, order and product by station, ts of the last event, number of the work
        self.closed: list[tuple[str, int, int, str | None, dict[int, Named], int, int | None]] = []
        self.of_line: list[tuple[Work, int, str | None]] = []  # with end and shift
        self.contexts: list[tuple[int, dict[int, Named]]] = []  # ts, order and product by station, after its events
        self.running: Work | None = None  # the line's
        self.works = 0  # begun so far
        self.emptied: tuple[str, str | None, int] | None = None  # the line's last order that ended as it began
        self.ended: set[tuple[int, str]] = set()
        self.doubts: Counted[str] = Counted()
        self.folded: list[int] = []
        self.alerts: list[tuple[str, str, int, int]] = []  # kind, action, ts, station
        self.measured: list[Measured] = []
        self.paces: dict[str, dict[str, int]] = {}  # what is declared now: ideal ns by station id, "*" the others
        self.used: set[str] = set()  # products as they were declared that were made so far
        self.levels = {b.id: b.initial for b in line.buffers}
        self.short: set[int] = set()  # buffers for which a level of 0 was reported last

    def run(self, events: Sequence[Ev]) -> None:
        self.admission = Admission(self.line)
        for e in events:
            self.admission.offer(e)
        assert self.admission.newest is not None
        self.until = self.admission.newest - self.line.lateness_ns
        ordered = sorted(
            (e for e in self.admission.admitted if e.ts < self.until),
            key=lambda e: (e.ts, phase(e), -e.station if phase(e) == 6 else e.station, e.epoch, e.seq),
        )
        while ordered:
            t = ordered[0].ts
            now = [e for e in ordered if e.ts == t]
            ordered = ordered[len(now) :]
            now = self.declared(now)
            if not now:
                continue
            if not self.folded:
                self.begin(t)
            self.timers(t)
            self.instant(t, now)
        if self.folded:
            self.timers(self.until)
            for i, station in enumerate(self.stations):
                for stop in station.stops:
                    self.too_long(i, stop)
                    self.decide(i, stop, self.until)

    def begin(self, t: int) -> None:
        self.t0 = self.shift_start = self.day_start = t
        self.scheduled, self.shift, self.day = self.calendar(t)
        self.turns = [x for x in self.turns if x > t]
        self.stations = []
        for _ in self.line.stations:
            first = Segment(t, codes.UNKNOWN)
            self.stations.append(StationTwin(first, t, t, [first]))

    # Silence and calendar
    def heard(self, i: int) -> int:
        station = self.stations[i]
        if self.flow is None or not station.own:
            return station.seen
        state = self.cycle_state(i)
        if state in ("done", "starved"):
            return max(station.seen, self.folded[-1])
        there = [place.entered for place in self.flow.places(i) if place.ready and state == "ready"]
        return max(station.seen, *there) if there else station.seen

    def cycle_state(self, i: int) -> str:
        """Of all places of a station: busy if one is, else done, else ready, else starved."""
        assert self.flow is not None
        places = self.flow.places(i)
        for state in ("busy", "done"):
            if any(place.state == state for place in places):
                return state
        return "ready" if any(place.ready for place in places) else "starved"

    def silent_at(self, i: int) -> int:
        return self.heard(i) + self.line.stations[i].staleness_ns

    def timers(self, until: int) -> None:
        """Turns of the calendar up to `until`, and silences before it: at `until` a station may still be heard."""
        while self.folded:
            silent = min((self.silent_at(i) for i, s in enumerate(self.stations) if not s.stale), default=until)
            lost = (self.flow.next_lost() if self.flow else None) or until + 1
            if self.turns and self.turns[0] <= min(silent, until, lost):
                self.turn(self.turns.pop(0))
            elif lost <= min(silent, until):
                assert self.flow is not None
                for i in self.flow.give_up(lost):
                    self.doubt(at.DOUBT_CYCLES, i, "")
                for i in range(len(self.stations)):
                    self.settle(i, lost)
            elif silent < until:
                for i, station in enumerate(self.stations):
                    if not station.stale and self.silent_at(i) <= silent:
                        station.stale = True
                        self.alerts.append(("stale", "raised", silent, i))
                        self.settle(i, silent)
            else:
                return

    def turn(self, t: int) -> None:
        before = self.scheduled
        self.scheduled, shift, day = self.calendar(t)
        if shift != self.shift:
            if self.shift is not None:
                self.closed.append(("shift", self.shift_start, t, self.shift, self.named(), self.folded[-1], None))
            self.shift, self.shift_start = shift, t
        if day != self.day:
            self.closed.append(("day", self.day_start, t, None, self.named(), self.folded[-1], None))
            self.day, self.day_start = day, t
            for i, station in enumerate(self.stations):
                if not station.own and t - self.t0 >= self.line.stations[i].staleness_ns:
                    self.doubt(at.DOUBT_UNHEARD, i, "")
        if before != self.scheduled:
            for i in range(len(self.stations)):
                self.settle(i, t)

    # Events
    def instant(self, t: int, events: Sequence[Ev]) -> None:
        self.folded.append(t)
        unblocked = False
        self.coming = [e.station for e in events if e.type == codes.CYCLE and e.code == codes.START]
        # Where orders change, parts belong to the one before, but for those that name another; where there was none,
        # and those, to the one that begins.
        self.later = None if any(e.type == codes.ORDER for e in events) else ()
        before = [station.work and station.work.order for station in self.stations]
        # By place: equal events may have ended cycles of different products.
        makers = [k for k, e in enumerate(events) if self.makes(e)]
        self.early = [
            k for k in makers if before[events[k].station] and events[k].z in (None, before[events[k].station])
        ]
        self.begun: dict[int, str | None] = {}  # what the cycle was begun with that an event has ended
        ending: list[Ev] = []  # ends of orders that begin at this instant, too
        for k, e in enumerate([*events, None]):
            if self.later is None and (e is None or phase(e) > 0):
                for one in self.early:
                    if events[one].type == codes.COUNT:
                        self.book(events[one], t, one)
                self.later = [one for one in makers if one not in self.early]
            if self.later is not None and (e is None or phase(e) > 2):
                for one in self.later:
                    self.book(events[one], t, one)
                if self.later:
                    self.later = []
                for one in ending:
                    self.order(one, t)
                ending = []
            if e is None:
                break
            if self.flow:
                self.flow.coming = self.coming
            if phase(e) > 0 and not unblocked:
                unblocked = True
                if self.flow:
                    self.flow._unblock(t)
            for i, station in enumerate(self.stations):
                if e.station == i or (e.station < 0 and e.type == codes.HEARTBEAT):
                    if station.stale:
                        self.alerts.append(("stale", "cleared", t, i))
                    station.stale, station.seen = False, t
                    station.own = station.own or e.station == i
            if self.begins_too(e, events):
                ending.append(e)
            else:
                self.apply(e, t, k)
        if not unblocked and self.flow:
            self.flow._unblock(t)
        for i in range(len(self.stations)):
            self.settle(i, t)
        self.contexts.append((t, self.named()))

    def declared(self, events: Sequence[Ev]) -> list[Ev]:
        """The events of an instant but for declarations, with their products as they are declared then."""
        known = {p.id: p for p in self.line.products}
        for e in sorted(events, key=lambda e: (phase(e) if e.type != codes.PRODUCT else 0, e.station)):
            of_order = e.type == codes.ORDER and e.code == codes.START
            if e.pace is None or e.y is None or not (of_order or e.type == codes.PRODUCT):
                continue
            every, rate, factor = e.pace
            if factor is not None:  # the line counts in one unit
                self.doubt(at.DOUBT_FACTOR, e.station, e.y)
            text = every or rate
            if text is None:
                continue
            ns = {"4s": 4, "1/s": 1, "2s": 2, "3s": 3}.get(text, 0) * 10**9 or 5 * 10**8
            if e.y in known:
                stations = self.line.stations if e.station < 0 else [self.line.stations[e.station]]
                ideals = known[e.y].ideal_cycle_ns
                if any(ideals.get(s.id, ideals.get("*")) != ns for s in stations):
                    self.doubt(at.DOUBT_DECLARED, e.station, e.y)
                continue
            self.paces.setdefault(e.y, {})["*" if e.station < 0 else self.line.stations[e.station].id] = ns
        found = []
        for e in events:
            if e.type == codes.PRODUCT:
                continue
            if e.y in self.paces and (e.type == codes.CYCLE or (e.type, e.code) == (codes.ORDER, codes.START)):
                e = e._replace(y=f"{e.y}|{json.dumps(dict(sorted(self.paces[e.y].items())))}")
                assert e.y
                self.used.add(e.y)
            found.append(e)
        return found

    def product_ideal(self, i: int, product: str | None) -> int:
        station = self.line.stations[i]
        ideal = station.ideal_cycle_ns or 0
        paces = {p.id: p.ideal_cycle_ns for p in self.line.products}
        if product and "|" in product:
            paces[product] = json.loads(product.partition("|")[2])
        known = paces.get(product or "", {})
        return known.get(station.id, known.get("*", ideal))

    def apply(self, e: Ev, t: int, k: int) -> None:
        if e.type == codes.CYCLE:
            unknown = e.y and "|" not in e.y and e.y not in {p.id for p in self.line.products}
            if e.y and unknown and (self.line.products or self.paces):
                self.doubt(at.DOUBT_PRODUCT, e.station, e.y)
            self.cycle(e, t, k)
        elif e.type == codes.STATE:
            station = self.stations[e.station]
            stop = station.segment.stop
            stands = stop is not None and stop.start < t and e.code in STOPS and e.x == station.shown[0]
            if stands and e.y and not self.reasoned(station, t):
                # Whatever else is said at this instant: the stop has its reason.
                station.shown = e.x, e.y
                station.said = t
            station.reported, station.word, station.reason = e.code, e.x, e.y
        elif e.type == codes.MEASURE:
            self.measure(e, t)
        elif e.type == codes.COUNT:
            if self.later == ():
                self.book(e, t, k)
        elif e.type == codes.ORDER:
            self.order(e, t)
        elif e.type == codes.BUFFER:
            self.level(e, t)

    def measure(self, e: Ev, t: int) -> None:
        good = made = 0
        if e.station >= 0:
            parts = [(column, value) for _, i, column, value, _ in self.made if i == e.station]
            good = sum(value for column, value in parts if column == "good")
            made = sum(value for column, value in parts if column in ("good", "scrap", "rework"))
            order, product, _ = self.named()[e.station]
            segment = self.stations[e.station].segment
        else:
            order, product = (self.running.order, self.running.product) if self.running else (None, None)
            segment = None
        if e.z not in (None, order):
            order, product = e.z, None
        self.measured.append(Measured(t, e, order, named_by(product), segment, good, made, e.type == codes.COUNT))

    def found(self, e: Ev, t: int) -> None:
        """What a count says beside its parts: as if it had been measured."""
        named = {one.kind if one.kind == "first_pass" else one.id for one in self.line.stations[e.station].measures}
        if e.defect in named and e.b + e.c:
            self.measure(e._replace(y=e.defect, a=e.b + e.c), t)
        if "first_pass" in named and e.x is not None and e.a + e.b + e.c:
            self.measure(e._replace(y="f", a=int(not e.b + e.c)), t)

    def named(self) -> dict[int, Named]:
        works = enumerate(station.work for station in self.stations)
        return {i: (work.order, work.product, None) if work else (None, None, None) for i, work in works}

    def order(self, e: Ev, t: int) -> None:
        assert e.x is not None
        unknown = e.y and "|" not in e.y and e.y not in {p.id for p in self.line.products}
        if e.code == codes.START and e.y and unknown and (self.line.products or self.paces):
            self.doubt(at.DOUBT_PRODUCT, e.station, e.y)
        if e.station < 0:
            self.order_of_line(e, t)
        else:
            self.order_of_station(e, t)
        # Who works on another order than before begins a row.
        for i, station in enumerate(self.stations):
            of_line = (self.running.order, self.running.product) if self.running and not station.left else None
            now = station.own_order or of_line
            was = (station.work.order, station.work.product) if station.work else None
            if now != was:
                self.end_work(i, t)
                if now:
                    self.works += 1
                    station.work = Work(*now, t, self.works)
            if station.work:
                of = self.running.quantity if self.running else None
                station.work.quantity = station.own_quantity if station.own_order else of

    def begins_too(self, e: Ev, events: Sequence[Ev]) -> bool:
        """Whether an order ends that is not open and begins at the same instant."""
        if e.type != codes.ORDER or e.code != codes.END:
            return False
        alone = len(self.stations) == 1
        works = [station.work for station in self.stations] if alone or e.station < 0 else []
        if e.station >= 0:
            works.append(self.stations[e.station].work)
        if any(work and work.order == e.x for work in [*works, self.running if e.station < 0 else None]):
            return False
        starts = [o.station for o in events if (o.type, o.code, o.x) == (codes.ORDER, codes.START, e.x)]
        return any(alone or e.station < 0 or station in (-1, e.station) for station in starts)

    def order_of_line(self, e: Ev, t: int) -> None:
        running = self.running
        if e.code == codes.END:
            own = [station for station in self.stations if station.own_order and station.own_order[0] == e.x]
            if running and running.order == e.x:
                self.end_order(t)
            elif not own:
                self.doubt(at.DOUBT_ORDER_END, -1, e.x)
                return
            self.ended.add((-1, e.x))
            for station in own:
                station.own_order = None
            return
        if running and (running.order, running.product) == (e.x, e.y):
            running.quantity = running.quantity if e.a < 0 else e.a
            self.doubt(at.DOUBT_ORDER_REPEATED, -1, e.x)
            return
        if running:
            self.ended.add((-1, running.order))
            self.end_order(t)
        if (-1, e.x) in self.ended:
            self.doubt(at.NOTE_ORDER_STARTED, -1, e.x)
        self.works += 1
        self.running = Work(e.x, e.y, t, self.works, None if e.a < 0 else e.a)
        for station in self.stations:
            if station.own_order and station.own_order[0] == e.x:
                station.own_order = None

    def order_of_station(self, e: Ev, t: int) -> None:
        i, station = e.station, self.stations[e.station]
        work = station.work
        if e.code == codes.END:
            if not work or work.order != e.x:
                self.doubt(at.DOUBT_ORDER_END, i, e.x)
                return
            station.own_order = None
            station.left = self.running is not None and self.running.order == e.x
            self.ended.add((i, e.x))
            return
        if work and (work.order, work.product) == (e.x, e.y):
            if station.own_order:
                station.own_quantity = station.own_quantity if e.a < 0 else e.a
                self.doubt(at.DOUBT_ORDER_REPEATED, i, e.x)
            return
        if station.own_order:
            self.ended.add((i, station.own_order[0]))
        if (i, e.x) in self.ended:
            self.doubt(at.NOTE_ORDER_STARTED, i, e.x)
        station.own_order, station.left = (e.x, e.y), False
        station.own_quantity = None if e.a < 0 else e.a

    def end_work(self, i: int, t: int) -> None:
        work = self.stations[i].work
        of_line = self.emptied and work and (work.order, work.product, work.start) == self.emptied
        if work and (t > work.start or of_line or self.has_parts(work.number)):
            about: dict[int, Named] = {i: (work.order, work.product, work.quantity)}
            self.closed.append(("order", work.start, t, self.shift, about, t, work.number))
        self.stations[i].work = None

    def end_order(self, t: int) -> None:
        assert self.running
        work = self.running
        if t > work.start or self.has_parts(work.number):
            self.of_line.append((work, t, self.shift))
            self.emptied = (work.order, work.product, work.start) if t == work.start else None
        self.running = None
        for station in self.stations:
            station.left = False

    def has_parts(self, number: int) -> bool:
        sums: Counted[tuple[int, str]] = Counted()
        for _, i, column, value, numbers in self.made:
            if number in numbers and column in ("good", "scrap", "rework", "ideal_ns"):
                sums[i, column] += value
        return any(sums.values())

    def ideal(self, i: int, product: str | None) -> int:
        work = self.stations[i].work
        return self.product_ideal(i, product or (work.product if work else None))

    def doubt(self, kind: int, i: int, subject: str) -> None:
        self.doubts["\0".join((str(kind), self.line.stations[i].id if i >= 0 else "", subject))] += 1

    # Parts
    def makes(self, e: Ev) -> bool:
        of_cycle = e.type == codes.CYCLE and e.code == codes.END
        return e.type == codes.COUNT or (of_cycle and self.line.stations[e.station].parts_from == "cycle")

    def book(self, e: Ev, t: int, k: int) -> None:
        work = self.stations[e.station].work
        product = work.product if work else None
        numbers = self.numbers(e.station)
        if e.z and (not work or e.z != work.order):
            self.doubt(at.DOUBT_ORDER_NAMED, e.station, e.z)
            product = None
            numbers -= {work.number} if work else set()
            if self.is_of_line(e.station):
                numbers = set()
        known = {p.id: p.parts_per_cycle for p in self.line.products}
        station = self.line.stations[e.station]
        made = {"good": e.a, "scrap": e.b, "rework": e.c}
        every = station.parts_from == "cycle" or any(c.quality == "total" for c in station.counters)
        counted = False
        if e.type == codes.CYCLE:
            product = (e.y if e.y in known or "|" in (e.y or "") else None) or self.begun[k] or product
            made = {"good": known.get(product or "") or station.cycle_parts or 1, "scrap": 0, "rework": 0}
            counted = True
        elif e.code == codes.COUNTER:
            rule = next(c for c in station.counters if c.id == e.x)
            steps = self.steps(
                e.station, rule, self.stations[e.station].counters.setdefault(rule.id, []), Reading(e.a, e.epoch, t)
            )
            if rule.counts == "cycles":
                steps *= known.get(product or "") or station.cycle_parts or 1
            made = {"good": 0, "scrap": 0, "rework": 0}
            made["good" if rule.quality == "total" else rule.quality] = steps * rule.scale
            counted = rule.quality == "total" and station.parts_from != "cycle"
        if every and made["good"] and not counted:
            self.doubt(at.DOUBT_GOOD, e.station, "")
            made["good"] = 0
        total = made["good"] if every else sum(made.values())
        ideal = self.product_ideal(e.station, product)
        if every:
            made["good"] -= made["scrap"] + made["rework"]
        made["ideal_ns"] = ideal * total
        self.made += [(t, e.station, column, value, numbers) for column, value in made.items()]
        if (e.type, e.code) == (codes.COUNT, codes.PARTS):
            self.found(e, t)

    def numbers(self, i: int) -> set[int]:
        return {work.number for work in (self.stations[i].work, self.running) if work}

    def is_of_line(self, i: int) -> bool:
        """Whether the station follows the line's order, since that began."""
        work, running = self.stations[i].work, self.running
        own = self.stations[i].own_order or self.stations[i].left
        return not own and (running is None or (work is not None and work.start == running.start))

    def steps(self, i: int, rule: Counter, seen: list[Reading], new: Reading) -> int:
        """Steps to book. `seen`: every reading so far, with what became of it."""
        station = self.line.stations[i]
        ideals = [station.ideal_cycle_ns] + [
            p.ideal_cycle_ns.get(station.id, p.ideal_cycle_ns.get("*")) for p in self.line.products
        ]
        ideals += [self.product_ideal(i, product) for product in self.used]
        fastest = station.fastest_cycle_ns or min((n // 2 for n in ideals if n), default=0)

        def possible(steps: int, ns: int) -> bool:
            return steps <= 1 or Fraction((steps - 1) * rule.scale * fastest) <= ns

        def between(a: Reading, b: Reading) -> tuple[int, str]:
            return increment(a.value, b.value, (rule.modulus or 0) if a.epoch == b.epoch else 0)

        believed = [r for r in seen if r.fate == "believed"]
        held = next((r for r in seen if r.fate == "held"), None)
        if not believed:
            seen.append(new)
            return 0
        last = believed[-1]
        steps, kind = between(last, new)
        if possible(steps, new.ts - last.ts) and (kind != "reset" or new.epoch != last.epoch):
            if held:
                held.fate = "refused"
                self.doubt(at.DOUBT_READING, i, rule.id)
            seen.append(new)
            return steps
        if held and (held.ts, held.value, held.epoch) == (new.ts, new.value, new.epoch):
            return 0
        seen.append(new)
        if held:
            more, kind = between(held, new)
            if held.ts < new.ts and kind != "reset" and possible(more, new.ts - held.ts):
                held.fate = "believed"
                same = list(itertools.takewhile(lambda r: r.value == last.value, reversed(believed)))
                first, kind = between(last, held)
                if kind == "rollover" and not possible(first, held.ts - same[-1].ts):
                    first = held.value
                moved = possible(first, held.ts - same[-1].ts)
                if not moved or kind == "rise":
                    self.doubt(at.DOUBT_STEP if moved else at.DOUBT_BASELINE, i, rule.id)
                return more + (first if moved else 0)
            held.fate = "refused"
            self.doubt(at.DOUBT_READING, i, rule.id)
        new.fate = "held"
        return 0

    def topology(self) -> Topology:
        place = {b.id: k for k, b in enumerate(self.line.buffers)}
        return Topology(
            [Buffer(b.capacity, self.levels[b.id]) for b in self.line.buffers],
            [
                Place(tuple(place[b] for b in s.inputs), None if s.output is None else place[s.output], s.places)
                for s in self.line.stations
            ],
        )

    def cycle(self, e: Ev, t: int, k: int) -> None:
        if self.flow is None:
            self.flow = LineFlow(self.topology(), t, short=set(self.short), ideal_of=self.ideal)
        flow = self.flow.stations[e.station]
        known = {p.id for p in self.line.products}
        named = e.y if e.y in known or "|" in (e.y or "") else None
        before = flow.cycles, flow.cycle_ns
        contradictions = self.flow.contradictions
        if e.code == codes.END:
            place = self.flow._complete(e.station, t, e.x)
            self.begun[k] = None if place is None else place.product
            if self.makes(e) and (self.later == () or k in self.early):
                self.book(e, t, k)
        else:
            self.coming.remove(e.station)
            self.flow.coming = self.coming
            self.flow._start(e.station, t, e.x, named)
            self.flow._unblock(t)
        for _ in range(self.flow.contradictions - contradictions):
            self.doubt(at.DOUBT_CYCLES, e.station, "")
        numbers = self.numbers(e.station)
        self.made.append((t, e.station, "cycles", flow.cycles - before[0], numbers))
        self.made.append((t, e.station, "cycle_ns", flow.cycle_ns - before[1], numbers))

    def level(self, e: Ev, t: int) -> None:
        assert e.x is not None
        self.levels[e.x] = e.a
        place = [b.id for b in self.line.buffers].index(e.x)
        (self.short.add if e.a == 0 else self.short.discard)(place)
        if self.flow is None:
            return
        self.flow.levels[place] = e.a
        self.flow.short = set(self.short)
        self.flow._robbed(t)
        for one in self.flow.all():
            if one.starved and self.flow._inputs_full(one.of):
                one.available = t
        self.flow._unblock(t)

    # Classes
    def raw(self, i: int) -> int:
        station = self.stations[i]
        raw = codes.UNKNOWN if station.reported is None else station.reported
        if self.flow is not None and (station.reported is None or raw == codes.RUNNING):
            if not station.own:
                raw = codes.UNKNOWN  # never heard of
            else:
                of = {"busy": codes.RUNNING, "done": codes.BLOCKED, "ready": codes.WAITING, "starved": codes.STARVED}
                raw = of[self.cycle_state(i)]
        return raw

    def resolve(self, i: int) -> int:
        station, raw = self.stations[i], self.raw(i)
        if raw == codes.RUNNING and not station.stale:
            return raw
        if self.scheduled >= 0:
            return self.scheduled
        busy = raw in (codes.SETUP, codes.DOWN, codes.MAINTENANCE) and station.worked and not station.stale
        if self.line.requires_order and station.work is None and not busy:
            return codes.NO_ORDER
        return codes.UNKNOWN if station.stale else raw

    def decide(self, i: int, stop: Stop, t: int, raw: int = codes.UNKNOWN) -> None:
        long = t - stop.start >= self.line.stations[i].minor_stop_ns
        if stop.klass == codes.STOPPED and (long or (raw == codes.DOWN and t > stop.start)):
            stop.klass = codes.DOWN

    def too_long(self, i: int, stop: Stop) -> None:
        """One alert for a stop over its limit, where it is seen; nobody is called during a break."""
        limit = self.line.limits.down_ns
        if limit is None or stop.reported == codes.MINOR_STOP:
            return
        over = stop.start + limit
        for seen in self.stations[i].segments:
            end = self.until if seen.end is None else seen.end
            if seen.stop is stop and seen.start < end and (seen.start >= over or over <= end):
                self.alerts.append(("down", "raised", max(over, seen.start), i))
                if stop.end is not None:
                    self.alerts.append(("down", "cleared", stop.end, i))
                return

    def settle(self, i: int, t: int) -> None:
        station = self.stations[i]
        segment, stop, raw = station.segment, station.stop, self.raw(i)
        station.worked |= station.work is not None
        shown = self.resolve(i)
        if stop is not None:
            self.decide(i, stop, t, raw)
            # A station that is not known to do anything else still stands, whatever else its time counts as.
            on = raw in (stop.klass, codes.UNKNOWN) or (raw, stop.klass) == (codes.STOPPED, codes.DOWN)
            if not on or (stop.start == t and shown not in STOPS):
                stop.end = t
                if stop.klass == codes.STOPPED:
                    stop.klass = codes.MINOR_STOP
                station.stop = None
        if station.stop is None and shown in STOPS:
            station.stop = Stop(t, shown, shown)
            station.stops.append(station.stop)
        seen = station.stop if shown in STOPS else None
        order, product = (station.work.order, station.work.product) if station.work else (None, None)
        words = station.word, station.reason
        same = (segment.shown, segment.stop) == (shown, None) if seen is None else segment.stop is seen
        station.stood[t] = station.reason
        reasoned = seen is not None and self.reasoned(station, t)
        whole = words == station.shown or (seen is not None and raw in STOPS and not reasoned)
        if same and words[0] == station.shown[0] and whole:
            station.shown = words
            if t == station.since:
                station.order, station.product = order, product
            return
        if t > station.since:
            self.states.append((i, station.since, t, segment, *station.shown, station.order, station.product))
        station.since, station.shown, station.order, station.product = t, words, order, product
        if not same:
            segment.end = t
            station.segment = Segment(t, shown, seen)
            station.segments.append(station.segment)

    def reasoned(self, station: StationTwin, t: int) -> bool:
        """Whether a reason of the stop that is seen was given before what is looked at of the instant t."""
        stop = station.segment.stop
        if stop is None:
            return False
        given = any(stop.start <= u < t and reason for u, reason in station.stood.items())
        return given or stop.start < station.said <= t

    # Rows
    def vector(self, i: int, start: int, end: int, order: int | None) -> dict[str, int]:
        row = dict.fromkeys([f"{name}_ns" for name in codes.CLASS_NAMES[: codes.N_CLASSES]], 0)
        row |= dict.fromkeys(["good", "scrap", "rework", "ideal_ns", "cycles", "cycle_ns", "minor_stops", "downs"], 0)
        for segment in self.stations[i].segments:
            until = end if segment.end is None else segment.end
            row[f"{codes.CLASS_NAMES[segment.klass]}_ns"] += max(0, min(end, until) - max(start, segment.start))
        for stop in self.stations[i].stops:
            if start <= stop.start < end and stop.end != stop.start:
                row["downs" if stop.klass == codes.DOWN else "minor_stops"] += 1
        for t, station, column, value, numbers in self.made:
            inside = start <= t < end if order is None else order in numbers
            if station == i and inside:
                row[column] += value
        return row

    def kpis(self, before: int) -> list[dict[str, Any]]:
        """Rows that end at or before `before`, stations only."""
        if not self.folded:  # declarations alone begin nothing
            return []
        wanted = list(self.closed)
        every = self.line.publish_every_ns
        for end in range(self.t0 // every * every + every, self.until + 1, every):
            last = max((t for t in self.folded if t < end), default=-1)
            _, named = max((c for c in self.contexts if c[0] < end), key=lambda c: c[0])
            shift = self.calendar(end - 1)[1]
            wanted += [
                (w.id, max(end - w.length_ns, self.t0), end, shift, named, last, None) for w in self.line.windows
            ]
        found = []
        for window, start, end, shift, named, last, number in wanted:
            if (end > start or number is not None) and last >= start and end <= before:
                for i, (order, product, quantity) in named.items():
                    head = {"station": self.line.stations[i].id, "window": window, "start": start, "end": end}
                    about = {"shift": shift, "order": order, "product": named_by(product), "quantity": quantity}
                    found.append(head | about | self.vector(i, start, end, number))
        return found

    def line_orders(self, before: int) -> list[tuple[dict[str, Any], Work]]:
        """What rows of the line's orders say but for the figures, which are those of one of its stations."""
        return [
            (
                {"start": work.start, "end": end, "shift": shift}
                | {"order": work.order, "product": named_by(work.product), "quantity": work.quantity},
                work,
            )
            for work, end, shift in self.of_line
            if end <= before
        ]

    def state_rows(self, before: int) -> list[tuple[Any, ...]]:
        return [
            (
                self.line.stations[i].id,
                start,
                end,
                codes.CLASS_NAMES[segment.klass],
                word,
                reason,
                order,
                named_by(product),
            )
            for i, start, end, segment, word, reason, order, product in self.states
            if end <= before
        ]
