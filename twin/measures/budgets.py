"""Alerts of what is used: more for a good part than its budget, and anything while the station is idle for long.

Both go from reading to reading. A look at a budget begins at one and ends at the first that comes `budget_over` later:
what was used in between is held against the good parts that the station has counted between the very same readings. A
station is idle for as long as it was starved, blocked or waiting all the time between two readings. What was used
between two readings of which nobody knows it ends both: nothing is told of such a time.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from kernels import codes
from kernels.fold import layout as at
from twin.alert_kinds import IDLE_USAGE, OVER_BUDGET
from twin.measures import meter
from twin.measures.catalogue import Declared
from twin.measures.integral import between, unit_of
from twin.measures.meter import HOUR_NS, Meter, Reading
from twin.measures.protocol import CLEARED, RAISED, Observed, Rows, Taken, Told
from twin.plant.model import Measure

I64 = npt.NDArray[np.int64]
LOOK_NS: Final = HOUR_NS  # where the plant says none
_IDLE: Final = (codes.STARVED, codes.BLOCKED, codes.WAITING)
_CLASSES: Final = codes.N_CLASSES + 1
_GOOD, _MADE = _CLASSES, _CLASSES + 1  # behind the time classes of a reading
_S: Final = 1e9


class Look(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A look at a budget since a reading. `amount` is a fraction, in the last decimal place of the measure."""

    budget: str
    start: int
    good: int  # parts counted until then
    made: int
    end: int  # the last reading so far
    amount: str = "0"


class Idle(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The station is idle and draws something since a reading."""

    start: int
    end: int
    amount: str = "0"


class Watched(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """One measure."""

    meter: Meter
    look: Look | None = None
    over: bool = False  # the last look that said anything was over the budget
    idle: Idle | None = None
    told: bool = False  # that it draws while it is idle


_DECODER: Final = msgspec.json.Decoder(list[tuple[int, Watched]])


class _Now(NamedTuple):
    """A reading in its context."""

    line: int
    station: int
    reading: Reading
    product: str | None


class Budgets:
    """What is watched of a partition's lines. It gives no rows, alerts only."""

    def __init__(self, measures: Sequence[Declared]) -> None:
        self._measures = measures
        self._first: dict[int, int] = {}
        owned = {(one.line, one.station, one.measure.id): k for k, one in enumerate(measures)}
        self._of: dict[int, list[int]] = {}  # measures that are watched, by the number of what is observed
        self._units: dict[int, Fraction] = {}  # of integrals
        for k, one in enumerate(measures):
            self._first.setdefault(one.line, k)
            if not _watched(one.measure):
                continue
            seen = k
            if one.measure.kind == "integral":
                seen = owned[one.line, one.station, one.measure.of or ""]
                self._units[k] = unit_of(one.measure, measures[seen].measure)
            self._of.setdefault(seen, []).append(k)
        self._numbers = np.array(sorted(self._of), np.int64)
        self._lines: dict[int, dict[int, Watched]] = {}

    @classmethod
    def of(cls, measures: Sequence[Declared], publish_ns: I64) -> "Budgets | None":
        return cls(measures) if any(_watched(one.measure) for one in measures) else None

    def take(self, observed: Observed, text: Callable[[int], str | None]) -> Taken:
        told: list[Told] = []
        rows = observed.rows[np.isin(observed.rows[:, at.MO_MEASURE], self._numbers)]
        for row in rows.tolist():
            line, station, seen, ts = row[at.MO_LINE], row[at.MO_STATION], row[at.MO_MEASURE], row[at.MO_TS]
            times = [*row[at.MO_TIMES :], row[at.MO_GOOD], row[at.MO_MADE]]
            for k in self._of[seen]:
                now = Reading(row[at.MO_VALUE], row[at.MO_EPOCH], ts, times, ts)
                self._read(k, _Now(line, station, now, text(row[at.MO_PRODUCT])), told)
        return Taken([], told)

    def rows(self, line: int, until: int) -> Rows:
        return {}

    def go_on(self, other: "Budgets", measures: dict[int, int]) -> None:
        """Measures of another plant's lines go on here; `measures`: their numbers there and here."""
        for theirs in other._lines.values():
            for k, one in theirs.items():
                if k in measures:
                    now = measures[k]
                    self._lines.setdefault(self._measures[now].line, {})[now] = one

    def save(self, line: int) -> bytes:
        mine, first = self._lines.get(line), self._first.get(line, 0)
        return msgspec.json.encode([(k - first, mine[k]) for k in sorted(mine)]) if mine else b""

    def load(self, line: int, data: bytes) -> None:
        """Set a line back to what `save` gave. Raises msgspec.MsgspecError."""
        self._lines.pop(line, None)
        if data:
            first = self._first.get(line, 0)
            self._lines[line] = {k + first: one for k, one in _DECODER.decode(data)}

    def _read(self, k: int, now: _Now, told: list[Told]) -> None:
        """A reading: what was used since which other one, where that is known."""
        measure = self._measures[k].measure
        one = self._lines.setdefault(now.line, {}).setdefault(k, Watched(Meter()))
        if measure.kind == "meter":
            verdict, step, since = one.meter.take(now.reading, measure.modulus, measure.most_per_hour)
            if since is None and verdict in (meter.HELD, meter.REFUTED):
                return  # it waits for the next one
            amount = Fraction(step)
        else:
            since, one.meter.base = one.meter.base, now.reading
            amount = Fraction(now.reading.value)
            if measure.kind == "integral" and since is not None:
                if now.reading.ts - since.ts > (measure.gap_ns or 0):
                    since = None
                else:
                    amount = (
                        sum(parts for _, parts in between(measure, _timed(since), _timed(now.reading), 0))
                        * self._units[k]
                    )
        self._budget(k, one, now, since, amount, told)
        self._idle(k, one, now, since, amount, told)

    def _budget(
        self, k: int, one: Watched, now: _Now, since: Reading | None, amount: Fraction, told: list[Told]
    ) -> None:
        measure, reading = self._measures[k].measure, now.reading
        budget = measure.specified(now.product).budget
        if budget is None:
            one.look = None
            return
        look = one.look
        if since is None or look is None or look.end != since.ts or look.budget != budget:
            # Nobody knows what was used since, or it was for parts of two products.
            one.look = _looking(budget, reading)
            return
        used = Fraction(look.amount) + amount
        look.amount, look.end = str(used), reading.ts
        if reading.ts - look.start < (measure.budget_over_ns or LOOK_NS):
            return
        one.look = _looking(budget, reading)
        good, made = reading.times[_GOOD] - look.good, reading.times[_MADE] - look.made
        if made <= 0:  # nothing was made: nothing is per part
            return
        plain = used / 10**measure.decimals
        over = plain > Fraction(budget) * max(good, 0)
        if over == one.over:
            return
        one.over = over
        parts = f"{good} good of {made} parts" if good != made else f"{good} good parts"
        of = "" if now.product is None else f", product {now.product}"
        told.append(
            Told(
                now.line,
                now.station,
                OVER_BUDGET,
                reading.ts,
                look.start,
                measure.id,
                f"{_text(plain)} {measure.unit} of {measure.id} for {parts}{of}",
                float(plain / good) if good > 0 else None,
                float(Fraction(budget)),
                RAISED if over else CLEARED,
            )
        )

    def _idle(self, k: int, one: Watched, now: _Now, since: Reading | None, amount: Fraction, told: list[Told]) -> None:
        measure, reading = self._measures[k].measure, now.reading
        if measure.idle_for_ns is None:
            return
        draws = False
        if since is not None and (one.idle is None or one.idle.end == since.ts):
            ns = reading.ts - since.ts
            idle = sum(reading.times[c] - since.times[c] for c in _IDLE)
            least = Fraction(measure.idle_draw or 0) * 10**measure.decimals * ns
            draws = idle == ns and (amount * HOUR_NS > least if ns else one.idle is not None)
        if not draws or since is None:
            if one.told:
                self._tell_idle(measure, one, now, CLEARED, told)
            one.idle, one.told = None, False
            return
        if one.idle is None:
            one.idle = Idle(since.ts, since.ts)
        one.idle.amount, one.idle.end = str(Fraction(one.idle.amount) + amount), reading.ts
        if not one.told and reading.ts - one.idle.start > measure.idle_for_ns:
            one.told = True
            self._tell_idle(measure, one, now, RAISED, told)

    def _tell_idle(self, measure: Measure, one: Watched, now: _Now, action: str, told: list[Told]) -> None:
        """Raised where it is too long; cleared at the reading after which it is not known to go on."""
        idle = one.idle
        assert idle is not None and measure.idle_for_ns is not None
        used = Fraction(idle.amount) / 10**measure.decimals
        told.append(
            Told(
                now.line,
                now.station,
                IDLE_USAGE,
                now.reading.ts,
                idle.start,
                measure.id,
                f"{_text(used)} {measure.unit} of {measure.id} while it was idle",
                (idle.end - idle.start) / _S,
                measure.idle_for_ns / _S,
                action,
            )
        )


def _watched(measure: Measure) -> bool:
    budgets = measure.budget is not None or any(one.budget is not None for one in measure.products)
    return budgets or measure.idle_for_ns is not None


def _looking(budget: str, since: Reading) -> Look:
    return Look(budget, since.ts, since.times[_GOOD], since.times[_MADE], since.ts)


def _timed(reading: Reading) -> Reading:
    """With its time classes only."""
    return Reading(reading.value, reading.epoch, reading.ts, reading.times[:_CLASSES], reading.moved)


def _text(value: Fraction) -> str:
    """For people: six digits."""
    return f"{float(value):.6g}"
