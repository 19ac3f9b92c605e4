"""Corrections: an operator's later word on an earlier event.

`corrects` names that event by its time (RFC 3339, or ns since 1970) or by its number: `seq`, or `epoch/seq` where that
is not the epoch of the correction itself. A `correction` changes what it gives of a state or a count, of all states of
a stop, or says that the event never was (undo). A `count` or an `order` with `corrects` stands in the event's place.

What is undone may be a correction, too: of every event that was corrected, the event as it came and all that was said
of it are kept (`Amended`), and an undone correction is left out when these are put together again.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from kernels.codes import (
    CORRECTION,
    COUNT,
    COUNTER,
    DOWN,
    HEARTBEAT,
    MINOR_STOP,
    NONE,
    ORDER,
    PARTS,
    STATE,
    STOPPED,
    UNKNOWN,
)
from kernels.fold import layout as at
from twin.events.declare import START_END, Count, Order
from twin.events.declare import Correction as Declared
from twin.events.pace import NOTHING, pace_of
from twin.line.engine import Engine
from twin.line.events import PHASES, in_order
from twin.line.texts import EVERYWHERE, unit_hashes, worded
from twin.measures.catalogue import defects, first_pass
from twin.time.rfc3339 import parse_rfc3339

I64 = npt.NDArray[np.int64]

# Corrections of a line that stand at once: all are kept, so that each can be undone.
MAX_STANDING: Final = 65_536

_NUMBER: Final = re.compile(r"(?:(\d{1,18})/)?(\d{1,19})", re.ASCII)
# A number from here on is a time (a second after 1970 in ns), below it a `seq`: no source counts that far.
_FIRST_TIME: Final = 1_000_000_000_000_000
_PARTS: Final = (("good", at.E_A), ("scrap", at.E_B), ("rework", at.E_C))
_STOPS: Final = (STOPPED, MINOR_STOP, DOWN)
_DECODER: Final = msgspec.json.Decoder(Declared | Count | Order)


@dataclass(slots=True)
class Correction:
    """One correction and the instant at which it was made; of a count or an order, the instant at which it was."""

    ts: int
    value: bytes  # JSON, as it came in
    offset: int  # of its record
    arrival: int
    event: Declared | Count | Order


@dataclass(slots=True)
class Amended:
    """An event as it came, and the corrections of it that stand, in the order of their arrival."""

    row: I64
    told: list[Correction]


@dataclass(slots=True)
class Corrected:
    rows: I64
    amended: list[Amended]
    changed: list[int] = field(default_factory=list)  # times at which events were changed


class _RefusedError(Exception):
    """With the verdict."""

    def __init__(self, verdict: int) -> None:
        super().__init__(verdict)
        self.verdict = verdict


def parse(value: bytes, offset: int, arrival: int) -> Correction:
    """`value` is the canonical JSON of an event that was decoded before."""
    event = _DECODER.decode(value)
    return Correction(_ns(event.ts), value, offset, arrival, event)


def apply_all(
    rows: I64, amended: Sequence[Amended], corrections: Sequence[Correction], engine: Engine, line: int
) -> tuple[Corrected, list[tuple[Correction, int]]]:
    """`rows` of one line with the corrections applied in their order, and those that are refused, with the verdict."""
    if not corrections:
        return Corrected(rows, list(amended)), []
    found = _Amender(rows.copy(), [Amended(one.row, list(one.told)) for one in amended], engine, line)
    refused = []
    for one in corrections:
        try:
            found.take(one)
        except _RefusedError as why:
            refused.append((one, why.verdict))
    return Corrected(in_order(found.rows), [one for one in found.amended if one.told], found.changed), refused


class _Amender:
    """The rows of a line while they are corrected: in any order."""

    def __init__(self, rows: I64, amended: list[Amended], engine: Engine, line: int) -> None:
        self.rows, self.amended, self.changed = rows, amended, list[int]()
        self._engine, self._line = engine, engine.plant.lines[line]
        self._first = int(engine.numbers.lines[line, at.LC_STATION])
        self._stations = {station.id: k for k, station in enumerate(self._line.stations)}
        self._standing = {one.arrival for about in amended for one in about.told}

    def take(self, one: Correction) -> None:
        """Raises _RefusedError, and then nothing is changed."""
        event = one.event
        station = -1 if event.station is None else self._first + self._stations[event.station]
        if isinstance(event, Declared) and event.verb == "undo":
            told = self._told(event, station)
            if told is not None:
                for about in [about for about in self.amended if any(told is each for each in about.told)]:
                    about.told = [each for each in about.told if each is not told]
                    self._standing.discard(told.arrival)
                    self._put(about, self._made(about.row, about.told))
                return
        if len(self._standing) >= MAX_STANDING:
            raise _RefusedError(at.OVERFULL)
        for row in self._meant(one, station):
            arrival = int(row[at.E_ARRIVAL])
            known = [each for each in self.amended if each.row[at.E_ARRIVAL] == arrival]
            about = known[0] if known else Amended(row.copy(), [])
            made = self._made(about.row, [*about.told, one])
            if not about.told:
                self.amended.append(about)
            about.told.append(one)
            self._standing.add(one.arrival)
            self._put(about, made)

    def _told(self, event: Declared, station: int) -> Correction | None:
        """The newest correction that `corrects` names."""
        names = _names(event.corrects, event.epoch)
        found = []
        for one in (one for about in self.amended for one in about.told):
            of = -1 if one.event.station is None else self._first + self._stations[one.event.station]
            seq = NONE if one.event.seq is None else one.event.seq
            if of in (station, -1) and names is not None and names(one.ts, one.event.epoch or 0, seq):
                found.append((of >= 0, one.arrival, one))
        return max(found, key=lambda each: each[:2])[2] if found else None

    def _meant(self, one: Correction, station: int) -> I64:
        """The events (n, N_E) that are corrected: the newest one that fits, or those of a whole stop."""
        event = one.event
        undo = isinstance(event, Declared) and event.verb == "undo"
        # What is undone may be the line's, where the station has nothing of that name.
        rows = self.rows[(self.rows[:, at.E_STATION] == station) | (undo & (self.rows[:, at.E_STATION] < 0))]
        kinds = rows[:, at.E_TYPE]
        if isinstance(event, Order):
            fits = (kinds == ORDER) & (rows[:, at.E_CODE] == START_END.index(event.action))
        elif isinstance(event, Count):
            fits = (kinds == COUNT) & (rows[:, at.E_CODE] == (PARTS if event.counter is None else COUNTER))
            if event.counter is not None:
                fits &= rows[:, at.E_X] == self._counter(station, event.counter)
        elif undo:
            fits = (kinds != HEARTBEAT) & (kinds != CORRECTION)
        else:
            told = event.reason is not None or event.state is not None
            counted = any(getattr(event, name) is not None for name, _ in _PARTS)
            if told and counted:
                raise _RefusedError(at.UNCORRECTED)
            fits = (kinds == STATE) if told else (kinds == COUNT) & (rows[:, at.E_CODE] == PARTS)
        whole = isinstance(event, Declared) and event.verb == "stop"
        names = _names(event.corrects or "", event.epoch, from_then=whole)
        if names is None:
            raise _RefusedError(at.UNCORRECTED)
        rows = in_order(rows[fits])
        found = [k for k, row in enumerate(rows) if names(row[at.E_TS], row[at.E_EPOCH], row[at.E_SEQ])]
        if undo:
            found = [k for k in found if rows[k, at.E_STATION] >= 0] or found
        if not found or (whole and rows[found[-1], at.E_CODE] not in _STOPS):
            raise _RefusedError(at.UNCORRECTED)
        begin, end = found[-1], found[-1] + 1
        # That nobody knows for a while ends no stop, and is no part of it.
        while whole and begin > 0 and rows[begin - 1, at.E_CODE] in (*_STOPS, UNKNOWN):
            begin -= 1
        while whole and end < len(rows) and rows[end, at.E_CODE] in (*_STOPS, UNKNOWN):
            end += 1
        # The entry that came last counts: a part that was said of the stop after this keeps its own.
        other = whole & (rows[:, at.E_ARRIVAL] > one.arrival) & (rows[:, at.E_TS] <= one.ts)
        other |= whole & ~np.isin(rows[:, at.E_CODE], _STOPS)
        return rows[begin:end][~other[begin:end]]

    def _made(self, row: I64, told: Sequence[Correction]) -> I64 | None:
        """The event after all that was said of it; None: it never was."""
        made = row.copy()
        for one in told:
            event = one.event
            if isinstance(event, Order):
                self._as_order(made, one.ts, event)
            elif isinstance(event, Count):
                self._as_count(made, one.ts, event)
            elif event.verb == "undo":
                return None
            elif made[at.E_TYPE] == STATE:
                if event.state is not None:
                    station = self._line.stations[made[at.E_STATION] - self._first]
                    made[at.E_CODE] = station.states[event.state]
                    made[at.E_X] = self._engine.texts.number(event.state)
                if event.reason is not None:
                    made[at.E_Y] = self._engine.texts.number(event.reason)
            else:
                self._count(made, {column: getattr(event, name) for name, column in _PARTS})
        return made

    def _as_order(self, made: I64, ts: int, event: Order) -> None:
        made[at.E_TS] = ts
        made[at.E_X] = self._engine.texts.number(event.order)
        made[at.E_Y] = NONE if event.product is None else self._product(event, int(made[at.E_STATION]))
        products = [product.id for product in self._line.products]
        made[at.E_PRODUCT] = products.index(event.product) if event.product in products else NONE
        made[at.E_A] = NONE if event.quantity is None else event.quantity
        made[at.E_B] = NONE if event.due is None else _ns(event.due)

    def _product(self, event: Order, station: int) -> int:
        """Number of the text of its product, with what it declares."""
        assert event.product is not None
        pace = pace_of(event.ideal_cycle, event.rate, event.factor)
        if pace == NOTHING or event.action == "end":
            return self._engine.texts.number(event.product)
        where = EVERYWHERE if station < 0 else self._line.stations[station - self._first].id
        return self._engine.texts.raw_number(worded(event.product, {where: pace}))

    def _as_count(self, made: I64, ts: int, event: Count) -> None:
        made[at.E_TS] = ts
        made[at.E_Y] = NONE if event.order is None else self._engine.texts.number(event.order)
        if event.counter is not None:
            assert event.value is not None  # the decoder has seen to it
            made[at.E_A] = event.value
        else:
            self._count(made, {column: getattr(event, name) or 0 for name, column in _PARTS})
            self._observed(made, event)

    def _observed(self, made: I64, event: Count) -> None:
        """Its defect and its unit, as twin.line.events says them."""
        plant, station = self._engine.plant, int(made[at.E_STATION])
        made[at.E_X] = NONE if event.defect is None else defects(plant)[station][event.defect]
        made[at.E_PRODUCT] = NONE if event.defect is None else 0
        if event.unit is not None and first_pass(plant)[station] >= 0:
            made[at.E_PRODUCT] = unit_hashes((event.unit,), np.zeros(1, np.int32))[0]

    def _count(self, made: I64, told: dict[int, int | None]) -> None:
        parts = {column: int(made[column]) if value is None else value for column, value in told.items()}
        if sum(parts.values()) > self._engine.numbers.stations[made[at.E_STATION], at.SC_MAX_PARTS]:
            raise _RefusedError(at.IMPOSSIBLE)
        made[list(parts)] = list(parts.values())

    def _put(self, about: Amended, made: I64 | None) -> None:
        """Let the event be `made` from now on."""
        mine = self.rows[:, at.E_ARRIVAL] == about.row[at.E_ARRIVAL]
        self.changed += [int(ts) for ts in self.rows[mine, at.E_TS]]
        self.rows = self.rows[~mine]
        if made is not None:
            made[at.E_PHASE] = PHASES[made[at.E_TYPE], int(made[at.E_CODE] == 1)]
            self.changed.append(int(made[at.E_TS]))
            self.rows = np.concatenate([self.rows, made[None, :]])

    def _counter(self, station: int, name: str) -> int:
        """Number of a counter of the plant, as event rows have it."""
        before = sum(len(one.counters) for one in self._engine.plant.stations[:station])
        return before + [c.id for c in self._engine.plant.stations[station].counters].index(name)


def _ns(time: int | str) -> int:
    return time if isinstance(time, int) else parse_rfc3339(time)


def _names(corrects: str, own_epoch: int | None, *, from_then: bool = False) -> Callable[[int, int, int], bool] | None:
    """Whether an event of such a ts, epoch and seq is named; None: nothing can be. `from_then`: then or before."""
    match = _NUMBER.fullmatch(corrects)
    if match is None or (match[1] is None and int(match[2]) >= _FIRST_TIME):
        try:
            named = int(match[2]) if match else parse_rfc3339(corrects)
        except ValueError:
            return None
        return lambda ts, _epoch, _seq: bool(ts <= named if from_then else ts == named)
    epoch, seq = int(match[1]) if match[1] else (own_epoch or 0), int(match[2])
    return lambda _ts, its_epoch, its_seq: bool(its_epoch == epoch and its_seq == seq)
