"""What was measured, summed: what meters used, what gauges come to over time, and how often, least, most, in all.

The rows of publishing intervals that are still open stand in one table, those of a measure chained, newest first. Texts
are numbers of the caller's, and he says where an observation holds what (`Columns`): the fold's layout is of another
wing.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from kernels.codes import DOWN, MINOR_STOP, N_CLASSES, STOPPED
from kernels.figures.wide import add, product, share
from kernels.index import natural
from kernels.jit import bare, hot

I64 = npt.NDArray[np.int64]
N_TIMES: Final = N_CLASSES + 1
FAR: Final = 9_223_372_036_854_775_807

# F: one measure. KIND_*: of another family; a meter; an amount; what has a value only.
F_KIND: Final = 0
F_MODULUS: Final = 1  # of a meter, 0 none
F_MOST: Final = 2  # of a meter, the most an hour, -1 not said
F_MADE: Final = 3  # of a gauge, its first integral in `Facts.made`, and the end
F_MADE_END: Final = 4
F_GAP: Final = 5  # of an integral, ns
F_STRAIGHT: Final = 6  # 1: straight from one reading to the next, 0: held
N_F: Final = 7
KIND_OTHER: Final = 0
KIND_METER: Final = 1
KIND_AMOUNT: Final = 2
KIND_VALUE: Final = 3

# A reading; then M: where a measure stands, from the first time it is heard.
G_KNOWN: Final = 0
G_VALUE: Final = 1
G_EPOCH: Final = 2
G_TS: Final = 3
G_MOVED: Final = 4  # since when it has been the value
G_TIMES: Final = 5  # ns in each class until then; MINOR_STOP and DOWN are in STOPPED
N_G: Final = G_TIMES + N_TIMES
M_HEAD: Final = 0  # 1 + its newest open row, 0 none
M_BASE: Final = 1  # the last reading that was believed
M_HELD: Final = M_BASE + N_G
N_M: Final = M_HELD + N_G

# R: one open row: what it is about, and its sums.
R_NEXT: Final = 0  # 1 + the next one of the measure, or the next free row
R_END: Final = 1
R_MEASURE: Final = 2
R_DAY: Final = 3
R_SHIFT: Final = 4
R_ORDER: Final = 5
R_PRODUCT: Final = 6
R_DURING: Final = 7
R_N: Final = 8
R_USED: Final = 9
R_AMOUNT: Final = 10  # two columns (kernels.figures.wide); of integrals twice the value x ns
R_LEAST: Final = 12
R_MOST: Final = 13
R_TOTAL: Final = 14  # two
R_SQUARES: Final = 16  # two
R_T1: Final = 18
R_T2: Final = 19
N_R: Final = 20

# C: counters of the tables.
C_MEASURES: Final = 0  # rows of `meters` in use
C_ROWS: Final = 1  # rows of `open` that were ever in use
C_FREE: Final = 2  # 1 + the first free one of them, 0 none
C_FREED: Final = 3  # how many are
C_DOUBTS: Final = 4
C_NEEDS: Final = 5  # what `add_up` has to be given before it goes on
N_C: Final = 6
NEEDS_ROOM: Final = 0  # for open rows
NEEDS_DATES: Final = 1  # for each observation, whatever its instant
NEEDS_NAMES: Final = 2  # one has an order or a product

# What a reading of a meter says beside its amount (twin.measures.meter), and of an integral that it was read too late.
SOUND: Final = 0
HELD: Final = 1
REFUTED: Final = 2
LEFT: Final = 3
GAP: Final = 4
_HOUR_NS: Final = 3_600_000_000_000
_NONE: Final = -1  # since no reading
_WAITS: Final = -2  # and the reading is not believed yet


class Columns(NamedTuple):
    """Where an observation holds what."""

    line: int
    station: int
    measure: int
    ts: int
    epoch: int
    value: int
    during: int
    counted: int
    order: int
    product: int
    times: int


class Facts(NamedTuple):
    """The measures of a plant. Never written."""

    of: I64  # (measures, N_F)
    made: I64  # measures that are integrals, gauge by gauge
    publish: I64  # (lines,) ns


class Books(NamedTuple):
    """What is known of the measures of a partition."""

    slot: I64  # (measures,) 1 + its row of `meters`, 0: never heard
    meters: I64  # (.., N_M)
    open: I64  # (.., N_R)
    counts: I64  # (N_C,)
    oldest: I64  # (lines,) the first end of its open rows, FAR none
    heard: I64  # (lines,) 1: something was observed
    spare: I64  # (2, N_TIMES) parts and rests of an amount


class Given(NamedTuple):
    """Observations, in each line's order."""

    rows: I64
    low: int  # what follows is right from here, ns
    high: int  # up to here
    shift: I64  # of each, or one of all
    day: I64
    order: I64  # numbers of the caller's texts, of each; or none at all
    product: I64
    errors: I64  # 1: below nominal - TNE, 2: below nominal - 2 TNE, 3: both; or none at all


class About(NamedTuple):
    """What the row of an observation is about, beside its interval and class."""

    shift: int
    day: int
    order: int
    product: int


@bare
def add_up(b: Books, f: Facts, c: Columns, g: Given, where: I64, doubts: I64, first: int) -> int:
    """Add observations from `first` on; returns up to which that went (C_NEEDS says why). `where` (observations,)
    takes the open row of each, -1 of another family, or is empty; `doubts` (.., 3) observation, what it says, measure.
    """
    i = first
    while i < g.rows.shape[0]:
        seen = g.rows[i]
        number = natural(seen[c.measure])
        facts = f.of[number]
        kind = facts[F_KIND]
        if where.shape[0]:
            where[i] = -1
        if kind != KIND_OTHER:
            made = facts[F_MADE_END] - facts[F_MADE]
            if b.open.shape[0] - b.counts[C_ROWS] + b.counts[C_FREED] < 1 + N_TIMES * max(1, made):
                b.counts[C_NEEDS] = NEEDS_ROOM
                return i
            stands = seen[c.ts] + seen[c.counted]
            if not g.low < stands <= g.high:  # a value ends the time that it is of, parts begin it
                b.counts[C_NEEDS] = NEEDS_DATES
                return i
            if g.order.shape[0]:
                order, made_of = g.order[i], g.product[i]
            elif seen[c.order] >= 0 or seen[c.product] >= 0:
                b.counts[C_NEEDS] = NEEDS_NAMES
                return i
            else:
                order = made_of = -1
            dated = i if g.shift.shape[0] > 1 else 0
            a = About(g.shift[dated], g.day[dated], order, made_of)
            line = natural(seen[c.line])
            b.heard[line] = 1
            k = slot_of(b, number)
            end = _end(b, k, stands, f.publish[line])
            during = seen[c.during]
            if during in (MINOR_STOP, DOWN):
                during = STOPPED
            r = _row(b, a, k, line, number, end, during)
            if where.shape[0]:
                where[i] = r
            value = seen[c.value]
            row = b.open[r]
            row[R_N] += 1
            row[R_LEAST] = min(row[R_LEAST], value)
            row[R_MOST] = max(row[R_MOST], value)
            if kind != KIND_METER:
                size = abs(value)
                high, low = product(size, size)
                add(row, R_TOTAL, 0, value)
                add(row, R_SQUARES, high, low)
            if g.errors.size:
                row[R_T1] += g.errors[i] & 1
                row[R_T2] += g.errors[i] >> 1
            if kind in (KIND_METER, KIND_AMOUNT):
                _use(b, c, g, i, a, k, r, line, number, facts, end, during, doubts)
            else:
                for j in range(facts[F_MADE], facts[F_MADE_END]):
                    _integrate(b, f, c, g, i, a, line, natural(f.made[j]), end, during, doubts)
        i += 1
    return i


@hot
def slot_of(b: Books, number: int) -> int:
    """The row of `meters` of a measure, from the first time it is heard."""
    k = b.slot[number] - 1
    if k < 0:
        k = b.counts[C_MEASURES]
        b.counts[C_MEASURES] += 1
        b.slot[number] = k + 1
    return int(natural(k))


@hot
def _end(b: Books, k: int, stands: int, every: int) -> int:
    """The end of the publishing interval of an instant: nearly always that of the measure's newest row, and a division
    takes as long as all that is added."""
    r = b.meters[k, M_HEAD] - 1
    if r >= 0:
        end = b.open[r, R_END]
        if end - every < stands <= end:
            return int(end)
    return int(-(-stands // every) * every)


@hot
def _row(b: Books, a: About, k: int, line: int, number: int, end: int, during: int) -> int:
    """The open row for an observation in a class, a new one where there is none."""
    r = b.meters[k, M_HEAD] - 1
    while r >= 0:
        row = b.open[r]
        if (
            row[R_END] == end
            and row[R_DURING] == during
            and row[R_SHIFT] == a.shift
            and row[R_DAY] == a.day
            and row[R_ORDER] == a.order
            and row[R_PRODUCT] == a.product
        ):
            return int(natural(r))
        r = row[R_NEXT] - 1
    r = new_row(b, k)
    row = b.open[r]
    row[R_END] = end
    row[R_MEASURE] = number
    row[R_DAY] = a.day
    row[R_SHIFT] = a.shift
    row[R_ORDER] = a.order
    row[R_PRODUCT] = a.product
    row[R_DURING] = during
    for column in range(R_N, N_R):
        row[column] = 0
    row[R_LEAST] = FAR
    row[R_MOST] = -FAR
    b.oldest[line] = min(b.oldest[line], end)
    return r


@hot
def new_row(b: Books, k: int) -> int:
    """A row for a measure; there is one."""
    r = b.counts[C_FREE] - 1
    if r >= 0:
        b.counts[C_FREE] = b.open[r, R_NEXT]
        b.counts[C_FREED] -= 1
    else:
        r = b.counts[C_ROWS]
        b.counts[C_ROWS] += 1
    b.open[r, R_NEXT] = b.meters[k, M_HEAD]
    b.meters[k, M_HEAD] = r + 1
    return int(natural(r))


@hot
def _use(
    b: Books,
    c: Columns,
    g: Given,
    i: int,
    a: About,
    k: int,
    r: int,
    line: int,
    number: int,
    facts: I64,
    end: int,
    during: int,
    doubts: I64,
) -> None:
    """What was used until the reading at hand: divided among the classes since the reading before."""
    seen, meter = g.rows[i], b.meters[k]
    step, since, moved = seen[c.value], M_BASE, 0
    if facts[F_KIND] == KIND_METER:
        verdict, step, since = _follow(meter, c, seen, facts[F_MODULUS], facts[F_MOST])
        moved = seen[c.ts]
        if verdict in (REFUTED, LEFT):
            _doubt(b, doubts, i, verdict, number)
        if since == _WAITS:
            _keep(meter, M_HELD, c, seen, moved)
            return
        if since != _NONE and step == 0:
            moved = meter[since + G_MOVED]
    if since != _NONE:
        n, whole, klass = 0, 0, during
        if meter[since + G_KNOWN]:
            n, whole, klass = _spent(b, meter, since, c, seen, during)
        if n > 1:
            _divide(b, a, k, line, number, end, whole, step)
        else:
            if klass != during:
                r = _row(b, a, k, line, number, end, klass)
            row = b.open[r]
            row[R_USED] += 1
            add(row, R_AMOUNT, 0, step)
    _keep(meter, M_BASE, c, seen, moved)
    meter[M_HELD + G_KNOWN] = 0


@hot
def _follow(meter: I64, c: Columns, seen: I64, modulus: int, most: int) -> tuple[int, int, int]:
    """What the reading at hand says, what was used, and since which reading (M_BASE, M_HELD, _NONE, _WAITS)."""
    base, held = meter[M_BASE + G_KNOWN] != 0, meter[M_HELD + G_KNOWN] != 0
    if base:
        follows, step = _step(meter, M_BASE, c, seen, modulus, most)
        if follows:
            return REFUTED if held else SOUND, step, M_BASE
    if held:
        follows, step = _step(meter, M_HELD, c, seen, modulus, most)
        if follows:
            return LEFT, step, M_HELD
    if not base:
        return SOUND, 0, _NONE
    if seen[c.epoch] != meter[M_BASE + G_EPOCH] and seen[c.value] < meter[M_BASE + G_VALUE]:
        return LEFT, 0, _NONE
    return REFUTED if held else HELD, 0, _WAITS


@hot
def _step(meter: I64, since: int, c: Columns, seen: I64, modulus: int, most: int) -> tuple[bool, int]:
    """Whether the reading at hand follows from another one, and by how much."""
    step = seen[c.value] - meter[since + G_VALUE]
    if step < 0:
        if modulus == 0 or seen[c.epoch] != meter[since + G_EPOCH] or 2 * -step < modulus:
            return False, 0
        step += modulus
    if most >= 0 and step > 0:
        elapsed = seen[c.ts] - meter[since + G_MOVED]
        high, low = product(step, _HOUR_NS)
        limit_high, limit_low = product(2 * most, max(elapsed, 0))
        if high > limit_high or (high == limit_high and low > limit_low):
            return False, 0
    return True, int(step)


@hot
def _keep(meter: I64, place: int, c: Columns, seen: I64, moved: int) -> None:
    """The reading at hand is the one that is believed, or held, from here on."""
    meter[place + G_KNOWN] = 1
    meter[place + G_VALUE] = seen[c.value]
    meter[place + G_EPOCH] = seen[c.epoch]
    meter[place + G_TS] = seen[c.ts]
    meter[place + G_MOVED] = moved
    now = natural(c.times)
    for klass in range(N_TIMES):
        meter[place + G_TIMES + klass] = seen[now + klass]
    meter[place + G_TIMES + STOPPED] += seen[now + MINOR_STOP] + seen[now + DOWN]
    meter[place + G_TIMES + MINOR_STOP] = 0
    meter[place + G_TIMES + DOWN] = 0


@hot
def _doubt(b: Books, doubts: I64, i: int, what: int, number: int) -> None:
    n = b.counts[C_DOUBTS]
    doubts[n, 0] = i
    doubts[n, 1] = what
    doubts[n, 2] = number
    b.counts[C_DOUBTS] = n + 1


@hot
def _spent(b: Books, meter: I64, since: int, c: Columns, seen: I64, during: int) -> tuple[int, int, int]:
    """ns in each class since a reading, put into `spare`; in how many there are any, how many in all, and the last of
    them: `during` where there are none."""
    parts = b.spare[0]
    now, then = natural(c.times), natural(since) + G_TIMES
    for klass in range(N_TIMES):
        parts[klass] = seen[now + klass] - meter[then + klass]
    parts[STOPPED] += seen[now + MINOR_STOP] + seen[now + DOWN]
    parts[MINOR_STOP] = 0
    parts[DOWN] = 0
    # Without a branch: several at once.
    n = whole = last = 0
    for klass in range(N_TIMES):
        some = parts[klass] > 0
        n += 1 if some else 0
        whole += parts[klass] if some else 0
        last = max(last, klass if some else 0)
    return n, whole, last if n else during


@bare
def _divide(b: Books, a: About, k: int, line: int, number: int, end: int, whole: int, amount: int) -> None:
    """An amount among the classes in which time was `spent`, `whole` in all, by time; what is left of whole steps to
    the largest rests, of equal ones to the lower class."""
    parts, rests = b.spare[0], b.spare[1]
    left = size = abs(amount)
    for klass in range(N_TIMES):
        rests[klass] = -1
        if parts[klass] > 0:
            part, rest = share(size, parts[klass], whole)
            parts[klass] = part
            rests[klass] = rest
            left -= part
        else:
            parts[klass] = -1
    for _ in range(left):
        best = -1
        for klass in range(N_TIMES):
            if rests[klass] >= 0 and (best < 0 or rests[klass] > rests[best]):
                best = klass
        parts[best] += 1
        rests[best] = -1
    for klass in range(N_TIMES):
        if parts[klass] >= 0:
            row = b.open[_row(b, a, k, line, number, end, klass)]
            row[R_USED] += 1
            add(row, R_AMOUNT, 0, -parts[klass] if amount < 0 else parts[klass])


@hot
def _integrate(
    b: Books,
    f: Facts,
    c: Columns,
    g: Given,
    i: int,
    a: About,
    line: int,
    number: int,
    end: int,
    during: int,
    doubts: I64,
) -> None:
    """Twice what a gauge comes to since it was read before, value x ns, to each class by its part of the time."""
    k = slot_of(b, number)
    seen, meter = g.rows[i], b.meters[k]
    if meter[M_BASE + G_KNOWN]:
        elapsed = seen[c.ts] - meter[M_BASE + G_TS]
        if elapsed > f.of[number, F_GAP]:
            _doubt(b, doubts, i, GAP, number)
        else:
            before = meter[M_BASE + G_VALUE]
            height = before + (seen[c.value] if f.of[number, F_STRAIGHT] else before)
            n, klass = 0, during
            if seen[c.station] >= 0:
                n, elapsed, klass = _spent(b, meter, M_BASE, c, seen, during)
            if n <= 1:
                _come_to(b, a, k, line, number, end, klass, height, elapsed)
            else:
                parts = b.spare[0]
                for klass in range(N_TIMES):
                    if parts[klass] > 0:
                        _come_to(b, a, k, line, number, end, klass, height, parts[klass])
    _keep(meter, M_BASE, c, seen, seen[c.ts])


@hot
def _come_to(b: Books, a: About, k: int, line: int, number: int, end: int, klass: int, height: int, ns: int) -> None:
    row = b.open[_row(b, a, k, line, number, end, klass)]
    high, low = product(abs(height), ns)
    if height < 0:
        high, low = -high, -low
    row[R_USED] += 1
    add(row, R_AMOUNT, high, low)
