"""What was measured between two publishing ticks: amounts, numbers, extremes, sums. Additive, exact, in integers.

An interval (start, end] holds what came behind its start up to its end: a reading on the full minute ends a minute. Its
rows are written once the line's time has passed the end. Values of one interval stand in rows of their own for each
order, product, shift and time class, so that longer times of anything are sums of rows.

A meter's reading and an amount say what was used since the one before. That is divided among the time classes in which
the station was meanwhile, by time, to the last decimal (largest remainder; of equal ones the lower class). It stands
in the interval, the shift and the order of the reading.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from kernels import codes
from kernels.fold import layout as at
from twin.measures import meter
from twin.measures.catalogue import PASSED_AT_ONCE, Declared
from twin.measures.distribution import buckets_of, limits_of
from twin.measures.integral import DOUBT_GAP, between, unit_of
from twin.measures.meter import Meter, Reading
from twin.measures.protocol import Observed, Rows, Taken

I64 = npt.NDArray[np.int64]

# Observations summed at a time: of so many values up to twin.decimals.MAX_SCALED every sum fits into int64.
CHUNK: Final = 16_384
# Whether a stop is a minor one or a downtime is known when it ends; here both are `stopped`, for no row waits.
CLASSES: Final = (*codes.CLASS_NAMES[: codes.N_CLASSES], "stopped")
_BY_CLASS: Final = np.array([codes.STOPPED if c in (codes.MINOR_STOP, codes.DOWN) else c for c in range(len(CLASSES))])
_LIMB: Final = 24  # bits: squares are summed in three parts
_MOST: Final = np.iinfo(np.int64).max
N_OF, USED, AMOUNT, LEAST, MOST, TOTAL, SQUARES, T1_ERRORS, T2_ERRORS = range(9)
N_SUMS: Final = 9
_USES: Final = ("meter", "amount")


class Key(NamedTuple):
    """What a row is about; `measure` is the plant's number, `shift` the calendar's, `during` a class or -1."""

    end: int
    measure: int
    day: int
    shift: int
    order: str | None
    product: str | None
    during: int


class Row(NamedTuple):
    key: Key
    sums: list[int]  # by N_OF, ...; USED counts the amounts that are known
    buckets: dict[int, int] | None = None  # counts by bucket (twin.measures.distribution)


class _Saved(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A line's state; measures by their number within the line."""

    meters: list[tuple[int, Meter]] = []
    # The sums as hexadecimal texts: squares pass 64 bits, which msgpack does not hold.
    sums: list[tuple[int, int, int, int, str | None, str | None, int, list[str]]] = []
    rests: list[tuple[int, str]] = []  # of integrals, what is left over, as a fraction
    buckets: list[tuple[int, list[tuple[int, int]]]] = []  # by place in `sums`


_DECODER: Final = msgspec.msgpack.Decoder(_Saved)


class _Line:
    def __init__(self) -> None:
        self.meters: dict[int, Meter] = {}  # of an amount only the base, for when it came
        self.sums: dict[Key, list[int]] = {}
        self.rests: dict[int, Fraction] = {}
        self.buckets: dict[Key, dict[int, int]] = {}


class Totals:
    """The sums of a partition's lines that are not written yet, and where their meters stand."""

    def __init__(self, measures: Sequence[Declared], publish_ns: I64) -> None:
        """`publish_ns`: of each line."""
        self._measures = measures
        self._publish = publish_ns
        self._uses = np.array([one.measure.kind in _USES for one in measures], np.bool_)
        self._others = np.array([one.measure.kind == PASSED_AT_ONCE for one in measures], np.bool_)
        self._summed = np.array([one.measure.kind != "meter" for one in measures], np.bool_)
        self._spread = np.array([bool(one.measure.histogram) for one in measures], np.bool_)
        self._packs = np.array([bool(one.measure.average_weight) for one in measures], np.bool_)
        self._first: dict[int, int] = {}
        for number, one in enumerate(measures):
            self._first.setdefault(one.line, number)
        # Integrals by the number of their gauge.
        self._made: dict[int, list[int]] = {}
        self._units: dict[int, Fraction] = {}
        owned = {(one.line, one.station, one.measure.id): number for number, one in enumerate(measures)}
        for number, one in enumerate(measures):
            if one.measure.kind == "integral":
                gauge = owned[one.line, one.station, one.measure.of or ""]
                self._made.setdefault(gauge, []).append(number)
                self._units[number] = unit_of(one.measure, measures[gauge].measure)
        self._integrated = np.array([number in self._made for number in range(len(measures))], np.bool_)
        self._lines: dict[int, _Line] = {}

    @classmethod
    def of(cls, measures: Sequence[Declared], publish_ns: I64) -> "Totals":
        """Every measure is summed."""
        return cls(measures, publish_ns)

    def take(self, observed: Observed, text: Callable[[int], str | None]) -> Taken:
        """Add what was observed."""
        doubts: list[list[int]] = []
        if self._others.any():  # of another family
            mine = np.flatnonzero(~self._others[observed.rows[:, at.MO_MEASURE]])
            observed = Observed(*(part[mine] for part in observed))
        for begin in range(0, len(observed.rows), CHUNK):
            doubts += self._add(Observed(*(part[begin : begin + CHUNK] for part in observed)), text)
        return Taken(doubts, [])

    def rows(self, line: int, until: int) -> Rows:
        """The rows of intervals that ended before `until`: nothing can come into them any more."""
        mine = self._lines.get(line)
        if mine is None:
            return {}
        keys = sorted((key for key in mine.sums if key.end < until), key=in_order)
        done = [Row(key, mine.sums.pop(key), mine.buckets.pop(key, None)) for key in keys]
        for key, sums, _ in done:
            if key.measure in self._units:
                exact = sums[AMOUNT] * self._units[key.measure] + mine.rests.get(key.measure, 0)
                sums[AMOUNT] = math.floor(exact)
                mine.rests[key.measure] = exact - sums[AMOUNT]
        return {"measures": done}

    def save(self, line: int) -> bytes:
        mine, first = self._lines.get(line), self._first.get(line, 0)
        if mine is None:
            return b""
        keys = sorted(mine.sums, key=in_order)
        return msgspec.msgpack.encode(
            _Saved(
                [(number - first, mine.meters[number]) for number in sorted(mine.meters)],
                [(*key._replace(measure=key.measure - first), [f"{n:x}" for n in mine.sums[key]]) for key in keys],
                [(number - first, str(mine.rests[number])) for number in sorted(mine.rests)],
                [(k, sorted(mine.buckets[key].items())) for k, key in enumerate(keys) if key in mine.buckets],
            )
        )

    def load(self, line: int, data: bytes) -> None:
        """Set a line back to what `save` gave. Raises msgspec.MsgspecError."""
        self._lines.pop(line, None)
        if not data:
            return
        saved, mine, first = _DECODER.decode(data), _Line(), self._first.get(line, 0)
        mine.meters = {number + first: one for number, one in saved.meters}
        keys = []
        for end, number, day, shift, order, product, klass, texts in saved.sums:
            keys.append(Key(end, number + first, day, shift, order, product, klass))
            sums = [int(text, 16) for text in texts]
            mine.sums[keys[-1]] = sums + [0] * (N_SUMS - len(sums))  # a state from before there were so many
        mine.buckets = {keys[k]: dict(counts) for k, counts in saved.buckets}
        mine.rests = {number + first: Fraction(rest) for number, rest in saved.rests}
        self._lines[line] = mine

    def go_on(self, other: "Totals", measures: dict[int, int]) -> None:
        """Meters of another plant's lines go on here; `measures`: their numbers there and here."""
        for number, one in measures.items():
            theirs = other._lines.get(other._measures[number].line)
            if theirs is not None and number in theirs.meters:
                mine = self._line(self._measures[one].line)
                mine.meters[one] = theirs.meters[number]
                mine.rests |= {one: theirs.rests[number]} if number in theirs.rests else {}

    def _add(self, observed: Observed, text: Callable[[int], str | None]) -> list[list[int]]:
        doubts = self._integrate(observed, text)
        rows, shifts, days = observed
        numbers, classes = rows[:, at.MO_MEASURE], classes_of(rows[:, at.MO_CLASS])
        who, used_in, amount, met = self._used(rows, classes)
        doubts += met
        n, m = len(rows), len(who)
        every = np.concatenate([np.arange(n), who])
        ends = ends_of(rows, self._publish)
        about = np.stack(
            [rows[:, at.MO_LINE], ends, numbers, days, shifts, rows[:, at.MO_ORDER], rows[:, at.MO_PRODUCT]]
        )
        keys = np.concatenate([about[:, every], np.concatenate([classes, used_in])[None, :]])
        place = np.lexsort(keys[::-1])
        keys = keys[:, place]
        begins = np.flatnonzero(np.concatenate([[True], (keys[:, 1:] != keys[:, :-1]).any(axis=0)]))
        value = rows[:, at.MO_VALUE]
        summed = np.where(self._summed[numbers], value, 0)
        high, low = summed >> _LIMB, summed & ((1 << _LIMB) - 1)
        nothing = np.zeros(m, np.int64)
        columns = [
            np.concatenate([np.ones(n, np.int64), nothing]),
            np.concatenate([np.zeros(n, np.int64), np.ones(m, np.int64)]),
            np.concatenate([np.zeros(n, np.int64), amount]),
            *(np.concatenate([part, nothing]) for part in (summed, high * high, high * low, low * low)),
            *(np.concatenate([part, nothing]) for part in self._errors(rows, text)),
        ]
        counts, used, amounts, total, squares, crossed, small, t1, t2 = (
            np.add.reduceat(column[place], begins).tolist() for column in columns
        )
        least = np.minimum.reduceat(np.concatenate([value, np.full(m, _MOST)])[place], begins).tolist()
        most = np.maximum.reduceat(np.concatenate([value, np.full(m, -_MOST)])[place], begins).tolist()
        for k, (line, end, number, day, shift, order, product, during) in enumerate(keys[:, begins].T.tolist()):
            square = (squares[k] << 2 * _LIMB) + (crossed[k] << _LIMB + 1) + small[k]
            new = [counts[k], used[k], amounts[k], least[k], most[k], total[k], square, t1[k], t2[k]]
            sums = self._line(line).sums
            made = Key(end, number, day, shift, text(order), text(product), during)
            sums[made] = _merged(sums[made], new) if made in sums else new
        self._spread_out(rows, np.concatenate([about, classes[None, :]]), text)
        return doubts

    def _errors(self, rows: I64, text: Callable[[int], str | None]) -> tuple[I64, I64]:
        """1 for each pack below nominal - TNE of its product, and for each below nominal - 2 TNE."""
        found = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
        some = np.flatnonzero(self._packs[rows[:, at.MO_MEASURE]])
        for number, product in np.unique(rows[some][:, [at.MO_MEASURE, at.MO_PRODUCT]], axis=0).tolist():
            measure = self._measures[number].measure
            limits = limits_of(measure, measure.specified(text(product)))
            if limits is not None:
                mine = some[(rows[some, at.MO_MEASURE] == number) & (rows[some, at.MO_PRODUCT] == product)]
                for flags, limit in zip(found, limits, strict=True):
                    flags[mine] = rows[mine, at.MO_VALUE] < limit
        return found

    def _spread_out(self, rows: I64, keys: I64, text: Callable[[int], str | None]) -> None:
        """Add values to the histograms of their rows; `keys` (8, n): what makes the row of each value."""
        some = np.flatnonzero(self._spread[rows[:, at.MO_MEASURE]])
        if not len(some):
            return
        about = np.concatenate([keys[:, some], buckets_of(rows[some, at.MO_VALUE])[None, :]])
        distinct, counts = np.unique(about, axis=1, return_counts=True)
        for (line, end, number, day, shift, order, product, during, bucket), n in zip(
            distinct.T.tolist(), counts.tolist(), strict=True
        ):
            made = Key(end, number, day, shift, text(order), text(product), during)
            mine = self._line(line).buckets.setdefault(made, {})
            mine[bucket] = mine.get(bucket, 0) + n

    def _integrate(self, observed: Observed, text: Callable[[int], str | None]) -> list[list[int]]:
        """Add what gauges come to, as exact numbers. Returns doubts."""
        doubts: list[list[int]] = []
        rows = observed.rows
        some = np.flatnonzero(self._integrated[rows[:, at.MO_MEASURE]])
        times, classes = _times(rows[some]), classes_of(rows[some, at.MO_CLASS]).tolist()
        for place, k in enumerate(some.tolist()):
            line, station, gauge, ts, epoch, value, order, product = rows[k, : at.MO_CLASS].tolist()
            mine, publish = self._line(line), int(self._publish[line])
            now = Reading(value, epoch, ts, times[place].tolist() if station >= 0 else [], ts)
            for number in self._made[gauge]:
                one, since = self._measures[number].measure, (mine.meters.get(number) or Meter()).base
                mine.meters[number] = Meter(now)
                if since is None:
                    continue
                if ts - since.ts > (one.gap_ns or 0):
                    doubts.append([line, station, DOUBT_GAP, at.RAISED, ts, number])
                    continue
                end, day, shift = -(-ts // publish) * publish, int(observed.day[k]), int(observed.shift[k])
                for during, exact in between(one, since, now, classes[place]):
                    key = Key(end, number, day, shift, text(order), text(product), during)
                    sums = mine.sums.setdefault(key, [0, 0, 0, _MOST, -_MOST, 0, 0, 0, 0])
                    sums[USED] += 1
                    sums[AMOUNT] += exact
        return doubts

    def _line(self, line: int) -> _Line:
        return self._lines.setdefault(line, _Line())

    def _used(self, rows: I64, during: I64) -> tuple[I64, I64, I64, list[list[int]]]:
        """What was used: by which observation, in which class, how much (several of one); and doubts."""
        times = _times(rows)
        found: list[tuple[int, int, int]] = []
        doubts: list[list[int]] = []
        for k in np.flatnonzero(self._uses[rows[:, at.MO_MEASURE]]).tolist():
            line, station, number, ts, epoch, value = rows[k, : at.MO_ORDER].tolist()
            measure = self._measures[number].measure
            mine = self._line(line).meters.setdefault(number, Meter())
            now = Reading(value, epoch, ts, times[k].tolist() if station >= 0 else [])
            if measure.kind == "amount":
                verdict, amount, since, mine.base = meter.SOUND, value, mine.base, now
                since = since or now
            else:
                verdict, amount, since = mine.take(now, measure.modulus, measure.most_per_hour)
            if verdict in (meter.REFUTED, meter.LEFT):
                kind = at.DOUBT_METER if verdict == meter.REFUTED else at.DOUBT_METER_LEFT
                doubts.append([line, station, kind, at.RAISED, ts, number])
            if since is not None:
                found += [(k, c, part) for c, part in _divided(amount, since.times, now.times, int(during[k]))]
        who, classes, amounts = np.array(found, np.int64).reshape(-1, 3).T
        return who, classes, amounts, doubts


def _times(rows: I64) -> I64:
    """ns in each of CLASSES."""
    times = rows[:, at.MO_TIMES :].copy()
    for c in (codes.MINOR_STOP, codes.DOWN):
        times[:, codes.STOPPED] += times[:, c]
        times[:, c] = 0
    return times


def _divided(amount: int, since: list[int], now: list[int], here: int) -> Iterator[tuple[int, int]]:
    """An amount among the classes between two readings, by time; all of it to `here` where there is no time."""
    spent = [(c, b - a) for c, (a, b) in enumerate(zip(since, now, strict=True)) if b > a]
    whole = sum(ns for _, ns in spent)
    if len(spent) < 2:
        yield (spent[0][0] if spent else here), amount
        return
    size, sign = abs(amount), -1 if amount < 0 else 1
    parts = [divmod(size * ns, whole) for _, ns in spent]
    left = size - sum(part for part, _ in parts)
    first = sorted(range(len(parts)), key=lambda k: -parts[k][1])[:left]
    for k, (c, _) in enumerate(spent):
        yield c, sign * (parts[k][0] + (k in first))


def _merged(one: list[int], other: list[int]) -> list[int]:
    sums = [a + b for a, b in zip(one, other, strict=True)]
    sums[LEAST], sums[MOST] = min(one[LEAST], other[LEAST]), max(one[MOST], other[MOST])
    return sums


def classes_of(classes: I64) -> I64:
    """Classes of observations as rows have them."""
    return np.where(classes >= 0, _BY_CLASS[classes], -1)


def ends_of(rows: I64, publish_ns: I64) -> I64:
    """End of the publishing interval of each observation; `publish_ns`: of each line. A value ends the time that it is
    of, and parts begin it: at a tick they are of the next interval."""
    every = publish_ns[rows[:, at.MO_LINE]]
    found: I64 = -(-(rows[:, at.MO_TS] + rows[:, at.MO_COUNTED]) // every) * every
    return found


def in_order(key: Key) -> tuple[object, ...]:
    return (*key[:4], key.order is not None, key.order or "", key.product is not None, key.product or "", key.during)
