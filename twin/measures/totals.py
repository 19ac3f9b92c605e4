"""What was measured between two publishing ticks: amounts, numbers, extremes, sums. Additive, exact, in integers.

An interval (start, end] holds what came behind its start up to its end: a reading on the full minute ends a minute. Its
rows are written once the line's time has passed the end. Values of one interval stand in rows of their own for each
order, product, shift and time class, so that longer times of anything are sums of rows.

A meter's reading and an amount say what was used since the one before. That is divided among the time classes in which
the station was meanwhile, by time, to the last decimal (largest remainder; of equal ones the lower class). It stands
in the interval, the shift and the order of the reading.

All that is added for each value is compiled (kernels.figures.measured). Python sees rows that are written, and states.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from kernels import codes
from kernels.figures import measured as tables
from kernels.figures import measured_rows as leaving
from kernels.fold import layout as at
from twin.measures.catalogue import PASSED_AT_ONCE, Declared
from twin.measures.distribution import buckets_of, limits_of
from twin.measures.integral import DOUBT_GAP, unit_of
from twin.measures.meter import Meter, Reading
from twin.measures.names import Names
from twin.measures.protocol import Observed, Rows, Taken
from twin.measures.rows import N_SUMS, Block, kept, limbs, sums_of, wide
from twin.plant.shared import once_a_plant

I64 = npt.NDArray[np.int64]

# Whether a stop is a minor one or a downtime is known when it ends; here both are `stopped`, for no row waits.
CLASSES: Final = (*codes.CLASS_NAMES[: codes.N_CLASSES], "stopped")
_BY_CLASS: Final = np.array([codes.STOPPED if c in (codes.MINOR_STOP, codes.DOWN) else c for c in range(len(CLASSES))])
_KINDS: Final = {"meter": tables.KIND_METER, "amount": tables.KIND_AMOUNT, PASSED_AT_ONCE: tables.KIND_OTHER}
_DOUBTS: Final = {tables.REFUTED: at.DOUBT_METER, tables.LEFT: at.DOUBT_METER_LEFT, tables.GAP: DOUBT_GAP}
_COLUMNS: Final = tables.Columns(
    at.MO_LINE,
    at.MO_STATION,
    at.MO_MEASURE,
    at.MO_TS,
    at.MO_EPOCH,
    at.MO_VALUE,
    at.MO_CLASS,
    at.MO_COUNTED,
    at.MO_ORDER,
    at.MO_PRODUCT,
    at.MO_TIMES,
)
_NOTHING: Final = np.empty(0, np.int64)
_ROOM: Final = 256  # open rows; grows


class _Saved(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A line's state; measures by their number within the line."""

    meters: list[tuple[int, Meter]] = []  # of an amount only the base, for when it came
    # The sums as hexadecimal texts: squares pass 64 bits, which msgpack does not hold.
    sums: list[tuple[int, int, int, int, str | None, str | None, int, list[str]]] = []
    rests: list[tuple[int, str]] = []  # of integrals, what is left over, as a fraction
    buckets: list[tuple[int, list[tuple[int, int]]]] = []  # by place in `sums`


_DECODER: Final = msgspec.msgpack.Decoder(_Saved)


class _Known(NamedTuple):
    """What is known of a plant's measures."""

    lines: I64
    spread: npt.NDArray[np.bool_]  # which have histograms, and which are packs
    packs: npt.NDArray[np.bool_]
    unit: dict[int, Fraction]  # of integrals
    units: I64  # the same, and what is left over of none yet (kernels.figures.measured_rows U)
    facts: I64  # kernels.figures.measured F
    made: I64  # integrals, gauge by gauge


@once_a_plant
def _known(measures: Sequence[Declared]) -> _Known:
    facts = np.zeros((len(measures), tables.N_F), np.int64)
    facts[:, tables.F_MOST] = -1
    owned = {(one.line, one.station, one.measure.id): number for number, one in enumerate(measures)}
    made: dict[int, list[int]] = {}  # integrals by the number of their gauge
    unit: dict[int, Fraction] = {}
    for number, one in enumerate(measures):
        row, measure = facts[number], one.measure
        row[tables.F_KIND] = _KINDS.get(measure.kind, tables.KIND_VALUE)
        row[tables.F_MODULUS] = measure.modulus or 0
        if measure.most_per_hour is not None:
            row[tables.F_MOST] = measure.most_per_hour
        if measure.kind == "integral":
            gauge = owned[one.line, one.station, measure.of or ""]
            made.setdefault(gauge, []).append(number)
            unit[number] = unit_of(measure, measures[gauge].measure)
            row[tables.F_GAP], row[tables.F_STRAIGHT] = measure.gap_ns or 0, measure.between != "hold"
    every: list[int] = []
    for gauge, numbers in made.items():
        facts[gauge, [tables.F_MADE, tables.F_MADE_END]] = len(every), len(every) + len(numbers)
        every += numbers
    units = np.zeros((len(measures), leaving.N_U), np.int64)
    units[:, leaving.U_REST] = leaving.NO_REST
    for number, one_of in unit.items():
        small = max(one_of.numerator, one_of.denominator) < leaving.NARROW
        units[number, : leaving.U_REST] = (one_of.numerator, one_of.denominator) if small else (1, leaving.NARROW)
    return _Known(
        np.array([one.line for one in measures], np.int64),
        np.array([bool(one.measure.histogram) for one in measures], np.bool_),
        np.array([bool(one.measure.average_weight) for one in measures], np.bool_),
        unit,
        units,
        facts,
        np.array(every, np.int64),
    )


class Totals:
    """The sums of a partition's lines that are not written yet, and where their meters stand."""

    def __init__(self, measures: Sequence[Declared], publish_ns: I64) -> None:
        """`publish_ns`: of each line."""
        self._measures = measures
        known = _known(measures)
        self._spread, self._packs, self._unit = known.spread, known.packs, known.unit
        self._any_spread, self._any_packs = bool(self._spread.any()), bool(self._packs.any())
        self._facts = tables.Facts(known.facts, known.made, np.ascontiguousarray(publish_ns))
        self._most_made = int((known.facts[:, tables.F_MADE_END] - known.facts[:, tables.F_MADE]).max())
        # Of each line, its first measure and the end.
        self._bounds = np.searchsorted(known.lines, np.arange(len(publish_ns) + 1))
        self._names = Names()
        self._units = known.units.copy()  # of integrals, with what is left over
        self._rests: dict[int, Fraction] = {}  # what stands in no column there
        self._buckets: dict[int, dict[int, int]] = {}  # by the number of the open row
        self._books: tables.Books | None = None  # until there is something in them

    @classmethod
    def of(cls, measures: Sequence[Declared], publish_ns: I64) -> "Totals":
        """Every measure is summed."""
        return cls(measures, publish_ns)

    def take(self, observed: Observed, text: Callable[[int], str | None]) -> Taken:
        """Add what was observed."""
        rows = observed.rows
        errors = self._errors(rows, text) if self._any_packs else _NOTHING
        # Nearly always all are of one shift, in many plants of no order: what each one is of is asked when it counts.
        low, high, *one = observed.span or (-at.FAR, at.FAR)
        shift, day = np.array(one, np.int64).reshape(2, 1) if one else (observed.shift, observed.day)
        given = tables.Given(rows, low, high, shift, day, _NOTHING, _NOTHING, errors)
        where = np.empty(len(rows) if self._any_spread else 0, np.int64)
        doubts = np.empty((len(rows) * max(1, self._most_made), 3), np.int64)
        books = self._with_room(len(rows), 0)
        books.counts[tables.C_DOUBTS] = 0
        done = 0
        while (done := int(tables.add_up(books, self._facts, _COLUMNS, given, where, doubts, done))) < len(rows):
            needs = books.counts[tables.C_NEEDS]
            if needs == tables.NEEDS_ROOM:
                books = self._with_room(0, len(books.open))
            elif needs == tables.NEEDS_DATES:
                given = given._replace(low=-at.FAR, high=at.FAR, shift=observed.shift, day=observed.day)
            else:
                order, product = (self._names.numbers(rows[:, k], text) for k in (at.MO_ORDER, at.MO_PRODUCT))
                given = given._replace(order=order, product=product)
        if self._any_spread:
            self._spread_out(rows, where)
        told = doubts[: books.counts[tables.C_DOUBTS]].tolist()
        # Of integrals first: theirs were told first when they were added by themselves.
        told.sort(key=lambda one: one[1] != tables.GAP)
        about = [(rows[k], _DOUBTS[what], number) for k, what, number in told]
        return Taken(
            [
                [int(row[at.MO_LINE]), int(row[at.MO_STATION]), kind, at.RAISED, int(row[at.MO_TS]), number]
                for row, kind, number in about
            ],
            [],
        )

    def rows(self, line: int, until: int) -> Rows:
        """The rows of intervals that ended before `until`: nothing can come into them any more."""
        books = self._books
        if books is None or books.oldest[line] >= until:
            return {}
        open_rows, texts = self._open_rows(line, until, take=True)
        buckets = None
        if self._any_spread:
            buckets = [self._buckets.pop(row, None) for row in open_rows[:, tables.R_NEXT].tolist()]
        if self._unit:
            self._cut(open_rows)
        self._names.forget(books.open[: books.counts[tables.C_ROWS], tables.R_ORDER : tables.R_PRODUCT + 1])
        return {"measures": [Block(open_rows, texts, buckets)]}

    def _cut(self, open_rows: I64) -> None:
        """What integrals come to, in their last decimal place; what is left over goes to the next row."""
        done = 0
        while (done := int(leaving.cut(open_rows, self._units, done))) < len(open_rows):
            row = open_rows[done]
            number = int(row[tables.R_MEASURE])
            exact = wide(row.tolist(), tables.R_AMOUNT) * self._unit[number] + (self._rest(number) or 0)
            amount = exact.numerator // exact.denominator
            self._set_rest(number, exact - amount)
            row[tables.R_AMOUNT : tables.R_AMOUNT + 2] = limbs(amount)
            done += 1

    def _rest(self, number: int) -> Fraction | None:
        """What is left over of the rows of an integral; None: it has none yet."""
        rest = int(self._units[number, leaving.U_REST])
        if rest == leaving.NO_REST:
            return None
        return self._rests[number] if rest == leaving.OTHER_REST else Fraction(rest, self._unit[number].denominator)

    def _set_rest(self, number: int, rest: Fraction | None) -> None:
        self._rests.pop(number, None)
        kept = leaving.NO_REST
        if rest is not None:
            parts = rest * self._unit[number].denominator if number in self._unit else Fraction(-1)
            if parts.denominator == 1 and 0 <= parts < leaving.NARROW:
                kept = int(parts)
            else:
                kept, self._rests[number] = leaving.OTHER_REST, rest
        self._units[number, leaving.U_REST] = kept

    def save(self, line: int) -> bytes:
        books = self._books
        if books is None or not books.heard[line]:
            return b""
        first, stop = self._measures_of(line)
        open_rows, texts = self._open_rows(line, at.FAR, take=False)
        sums, rests = [], self._units[first:stop, leaving.U_REST]
        for row in open_rows.tolist():
            end, number, day, shift, order, product, during = row[tables.R_END : tables.R_DURING + 1]
            named = (texts[k] if k >= 0 else None for k in (order, product))
            sums.append((end, number - first, day, shift, *named, during, [f"{n:x}" for n in sums_of(row)]))
        return msgspec.msgpack.encode(
            _Saved(
                [(number - first, self._meter(number)) for number in range(first, stop) if self._known(number)],
                sums,
                [(k, str(self._rest(first + k))) for k in np.flatnonzero(rests != leaving.NO_REST).tolist()],
                [
                    (k, sorted(self._buckets[row].items()))
                    for k, row in enumerate(open_rows[:, tables.R_NEXT].tolist())
                    if row in self._buckets
                ],
            )
        )

    def load(self, line: int, data: bytes) -> None:
        """Set a line back to what `save` gave. Raises ValueError or msgspec.MsgspecError."""
        saved, (first, stop) = _DECODER.decode(data) if data else None, self._measures_of(line)
        if self._books is not None:
            for row in self._open_rows(line, at.FAR, take=True)[0][:, tables.R_NEXT].tolist():
                self._buckets.pop(row, None)
            for number in range(first, stop):
                self._rests.pop(number, None)
                if (slot := int(self._books.slot[number]) - 1) >= 0:
                    self._books.meters[slot, tables.M_BASE :] = 0
            self._units[first:stop, leaving.U_REST] = leaving.NO_REST
            self._books.heard[line] = 0
        if saved is None:
            return
        books = self._with_room(len(saved.meters) + len(saved.sums), len(saved.sums))
        for number, one in saved.meters:
            self._set_meter(self._within(line, number), one)
        rows = [
            (
                0,
                end,
                self._within(line, number),
                day,
                shift,
                *map(self._names.number, named),
                during,
                *kept(_numbers(texts)),
            )
            for end, number, day, shift, *named, during, texts in saved.sums
        ]
        placed = _row_of(rows).reshape(-1, tables.N_R)
        leaving.put_rows(books, line, placed)
        self._buckets |= {int(placed[k, tables.R_NEXT]): dict(counts) for k, counts in saved.buckets}
        for number, rest in saved.rests:
            self._set_rest(self._within(line, number), Fraction(rest))

    def _within(self, line: int, number: int) -> int:
        """The plant's number of a measure by that within its line."""
        first, stop = self._measures_of(line)
        if not first <= first + number < stop:
            raise ValueError(f"holds a measure {number} of a line that has none of that number")
        return first + number

    def _measures_of(self, line: int) -> tuple[int, int]:
        """The first measure of a line, and the end."""
        return int(self._bounds[line]), int(self._bounds[line + 1])

    def go_on(self, other: "Totals", measures: dict[int, int]) -> None:
        """Meters of another plant's lines go on here; `measures`: their numbers there and here."""
        for number, one in measures.items():
            if other._known(number):
                books = self._with_room(1, 0)
                self._set_meter(one, other._meter(number))
                books.heard[self._measures[one].line] = 1
                if (rest := other._rest(number)) is not None:
                    self._set_rest(one, rest)

    def _with_room(self, measures: int, rows: int) -> tables.Books:
        """The books, with room for so many measures and open rows more."""
        books = self._books
        if books is None:
            lines, known = len(self._facts.publish), len(self._measures)
            books = tables.Books(
                np.zeros(known, np.int64),
                np.zeros((0, tables.N_M), np.int64),
                np.empty((_ROOM, tables.N_R), np.int64),
                np.zeros(tables.N_C, np.int64),
                np.full(lines, at.FAR),
                np.zeros(lines, np.int64),
                np.zeros((2, tables.N_TIMES), np.int64),
            )
        # An observation of a gauge is one of its integrals, too.
        needed = min(int(books.counts[tables.C_MEASURES]) + measures * (1 + self._most_made), len(self._measures))
        if needed > len(books.meters):
            more = np.zeros((min(max(needed, 2 * len(books.meters)), len(self._measures)), tables.N_M), np.int64)
            more[: len(books.meters)] = books.meters
            books = books._replace(meters=more)
        most = max(rows, 2 * (1 + tables.N_TIMES * max(1, self._most_made)))
        while len(books.open) - books.counts[tables.C_ROWS] + books.counts[tables.C_FREED] < most:
            books = books._replace(open=np.concatenate([books.open, np.empty_like(books.open)]))
        self._books = books
        return books

    def _open_rows(self, line: int, until: int, *, take: bool) -> tuple[I64, list[str]]:
        """The open rows of a line that end before `until`, in the order of rows; order and product as places in the
        texts. `take`: they are open no longer."""
        books = self._books
        assert books is not None
        found = np.empty((int(books.counts[tables.C_ROWS]), tables.N_R), np.int64)
        n, sorts = leaving.rows_of(books, *self._measures_of(line), line, until, take, found)
        found = found[:n]
        if sorts:
            return found, []
        texts, named = self._names.ranked(found[:, tables.R_ORDER], found[:, tables.R_PRODUCT])
        found[:, tables.R_ORDER], found[:, tables.R_PRODUCT] = named
        return found[np.lexsort(found[:, tables.R_END : tables.R_DURING + 1].T[::-1])], texts

    def _known(self, number: int) -> bool:
        books = self._books
        return books is not None and bool(books.slot[number] and books.meters[books.slot[number] - 1, tables.M_BASE])

    def _meter(self, number: int) -> Meter:
        """Where a measure stands that is known."""
        assert self._books is not None
        row = self._books.meters[self._books.slot[number] - 1].tolist()
        held = row[tables.M_HELD :] if row[tables.M_HELD] else None
        of_line = self._measures[number].station < 0
        return Meter(_reading(row[tables.M_BASE : tables.M_HELD], of_line), _reading(held, of_line) if held else None)

    def _set_meter(self, number: int, one: Meter) -> None:
        books = self._books
        assert books is not None
        if not books.slot[number]:
            books.slot[number] = books.counts[tables.C_MEASURES] + 1
            books.counts[tables.C_MEASURES] += 1
        row = books.meters[books.slot[number] - 1]
        for place, reading in ((tables.M_BASE, one.base), (tables.M_HELD, one.held)):
            row[place : place + tables.N_G] = 0
            if reading is not None:
                times = reading.times or [0] * tables.N_TIMES
                if len(times) != tables.N_TIMES:
                    raise ValueError(f"holds a reading with {len(times)} time classes, and there are {tables.N_TIMES}")
                row[place : place + tables.N_G] = _row_of(
                    [1, reading.value, reading.epoch, reading.ts, reading.moved, *times]
                )

    def _errors(self, rows: I64, text: Callable[[int], str | None]) -> I64:
        """1 for each pack below nominal - TNE of its product, 3 for each below nominal - 2 TNE."""
        found = np.zeros(len(rows), np.int64)
        some = np.flatnonzero(self._packs[rows[:, at.MO_MEASURE]])
        for number, product in np.unique(rows[some][:, [at.MO_MEASURE, at.MO_PRODUCT]], axis=0).tolist():
            measure = self._measures[number].measure
            limits = limits_of(measure, measure.specified(text(product)))
            if limits is not None:
                mine = some[(rows[some, at.MO_MEASURE] == number) & (rows[some, at.MO_PRODUCT] == product)]
                for flag, limit in zip((1, 2), limits, strict=True):
                    found[mine] += flag * (rows[mine, at.MO_VALUE] < limit)
        return found

    def _spread_out(self, rows: I64, where: I64) -> None:
        """Add values to the histograms of their rows."""
        some = np.flatnonzero(self._spread[rows[:, at.MO_MEASURE]])
        if not len(some):
            return
        about = np.stack([where[some], buckets_of(rows[some, at.MO_VALUE])])
        distinct, counts = np.unique(about, axis=1, return_counts=True)
        for (row, bucket), n in zip(distinct.T.tolist(), counts.tolist(), strict=True):
            mine = self._buckets.setdefault(row, {})
            mine[bucket] = mine.get(bucket, 0) + n


def _reading(kept_as: list[int], of_line: bool) -> Reading:
    _, value, epoch, ts, moved = kept_as[: tables.G_TIMES]
    return Reading(value, epoch, ts, [] if of_line else kept_as[tables.G_TIMES :], moved)


def _row_of(values: Sequence[object]) -> I64:
    try:
        return np.array(values, np.int64)
    except OverflowError as fault:
        raise ValueError("holds a number of more than 64 bits") from fault


def _numbers(texts: list[str]) -> list[int]:
    sums = [int(text, 16) for text in texts]
    if len(sums) > N_SUMS:
        raise ValueError(f"holds {len(sums)} sums of a row, and there are {N_SUMS}")
    return sums + [0] * (N_SUMS - len(sums))  # a state from before there were so many


def classes_of(classes: I64) -> I64:
    """Classes of observations as rows have them."""
    return np.where(classes >= 0, _BY_CLASS[classes], -1)


def ends_of(rows: I64, publish_ns: I64) -> I64:
    """End of the publishing interval of each observation; `publish_ns`: of each line. A value ends the time that it is
    of, and parts begin it: at a tick they are of the next interval."""
    every = publish_ns[rows[:, at.MO_LINE]]
    found: I64 = -(-(rows[:, at.MO_TS] + rows[:, at.MO_COUNTED]) // every) * every
    return found
