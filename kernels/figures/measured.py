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
N_C: Final = 5

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
    spare: I64  # (3, N_G) the reading at hand; parts and rests of an amount


class Given(NamedTuple):
    """Observations, in each line's order."""

    rows: I64
    shift: I64
    day: I64
    order: I64  # numbers of the caller's texts
    product: I64
    errors: I64  # 1: below nominal - TNE, 2: below nominal - 2 TNE, 3: both; or none at all


@bare
def add_up(b: Books, f: Facts, c: Columns, g: Given, where: I64, doubts: I64, first: int) -> int:
    """Add observations from `first` on; returns up to which there was room for their rows. `where` (observations,)
    takes the open row of each, -1 of another family; `doubts` (.., 3) observation, what it says, measure."""
    i = first
    while i < g.rows.shape[0]:
        number = g.rows[i, c.measure]
        kind = f.of[number, F_KIND]
        where[i] = -1
        if kind != KIND_OTHER:
            made = f.of[number, F_MADE_END] - f.of[number, F_MADE]
            if b.open.shape[0] - b.counts[C_ROWS] + b.counts[C_FREED] < 1 + N_TIMES * max(1, made):
                return i
            line = g.rows[i, c.line]
            b.heard[line] = 1
            every = f.publish[line]
            end = -(-(g.rows[i, c.ts] + g.rows[i, c.counted]) // every) * every
            during = g.rows[i, c.during]
            if during in (MINOR_STOP, DOWN):
                during = STOPPED
            r = _row(b, g, i, line, number, end, during)
            where[i] = r
            value = g.rows[i, c.value]
            b.open[r, R_N] += 1
            b.open[r, R_LEAST] = min(b.open[r, R_LEAST], value)
            b.open[r, R_MOST] = max(b.open[r, R_MOST], value)
            if kind != KIND_METER:
                size = abs(value)
                high, low = product(size, size)
                add(b.open, r, R_TOTAL, 0, value)
                add(b.open, r, R_SQUARES, high, low)
            if g.errors.size:
                b.open[r, R_T1] += g.errors[i] & 1
                b.open[r, R_T2] += g.errors[i] >> 1
            if kind in (KIND_METER, KIND_AMOUNT):
                _read(b, c, g, i)
                _use(b, f, g, i, r, line, number, kind, end, during, doubts)
            elif made:
                _read(b, c, g, i)
                for k in range(f.of[number, F_MADE], f.of[number, F_MADE_END]):
                    _integrate(b, f, c, g, i, line, f.made[k], end, during, doubts)
        i += 1
    return i


@hot
def _row(b: Books, g: Given, i: int, line: int, number: int, end: int, during: int) -> int:
    """The open row for an observation in a class, a new one where there is none."""
    k = b.slot[number] - 1
    if k < 0:
        k = b.counts[C_MEASURES]
        b.counts[C_MEASURES] += 1
        b.slot[number] = k + 1
    r = b.meters[k, M_HEAD] - 1
    while r >= 0:
        if (
            b.open[r, R_END] == end
            and b.open[r, R_DURING] == during
            and b.open[r, R_SHIFT] == g.shift[i]
            and b.open[r, R_DAY] == g.day[i]
            and b.open[r, R_ORDER] == g.order[i]
            and b.open[r, R_PRODUCT] == g.product[i]
        ):
            return int(r)
        r = b.open[r, R_NEXT] - 1
    r = _new(b, k)
    b.open[r, R_END] = end
    b.open[r, R_MEASURE] = number
    b.open[r, R_DAY] = g.day[i]
    b.open[r, R_SHIFT] = g.shift[i]
    b.open[r, R_ORDER] = g.order[i]
    b.open[r, R_PRODUCT] = g.product[i]
    b.open[r, R_DURING] = during
    for column in range(R_N, N_R):
        b.open[r, column] = 0
    b.open[r, R_LEAST] = FAR
    b.open[r, R_MOST] = -FAR
    b.oldest[line] = min(b.oldest[line], end)
    return r


@hot
def _new(b: Books, k: int) -> int:
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
    return int(r)


@hot
def _read(b: Books, c: Columns, g: Given, i: int) -> None:
    """Put the reading at hand into `spare`."""
    now = b.spare[0]
    now[G_KNOWN] = 1
    now[G_VALUE] = g.rows[i, c.value]
    now[G_EPOCH] = g.rows[i, c.epoch]
    now[G_TS] = g.rows[i, c.ts]
    now[G_MOVED] = g.rows[i, c.ts]
    for k in range(N_TIMES):
        now[G_TIMES + k] = g.rows[i, c.times + k]
    now[G_TIMES + STOPPED] += now[G_TIMES + MINOR_STOP] + now[G_TIMES + DOWN]
    now[G_TIMES + MINOR_STOP] = 0
    now[G_TIMES + DOWN] = 0


@hot
def _use(
    b: Books, f: Facts, g: Given, i: int, r: int, line: int, number: int, kind: int, end: int, during: int, doubts: I64
) -> None:
    """What was used until the reading at hand: divided among the classes since the reading before."""
    k = b.slot[number] - 1
    step, since = b.spare[0, G_VALUE], M_BASE
    if kind == KIND_AMOUNT:
        b.spare[0, G_MOVED] = 0
    else:
        verdict, step, since = _follow(b, k, f.of[number, F_MODULUS], f.of[number, F_MOST])
        if verdict in (REFUTED, LEFT):
            _doubt(b, doubts, i, verdict, number)
        if since == _WAITS:
            _keep(b, k, M_HELD)
            return
        if since != _NONE and step == 0:
            b.spare[0, G_MOVED] = b.meters[k, since + G_MOVED]
    if since != _NONE:
        n, whole, klass = _spent(b, k, since, during)
        if n > 1:
            _divide(b, g, i, line, number, end, whole, step)
        else:
            if klass != during:
                r = _row(b, g, i, line, number, end, klass)
            b.open[r, R_USED] += 1
            add(b.open, r, R_AMOUNT, 0, step)
    _keep(b, k, M_BASE)
    b.meters[k, M_HELD + G_KNOWN] = 0


@hot
def _follow(b: Books, k: int, modulus: int, most: int) -> tuple[int, int, int]:
    """What the reading at hand says, what was used, and since which reading (M_BASE, M_HELD, _NONE, _WAITS)."""
    base, held = b.meters[k, M_BASE + G_KNOWN] != 0, b.meters[k, M_HELD + G_KNOWN] != 0
    now = b.spare[0]
    if base:
        follows, step = _step(b, k, M_BASE, modulus, most)
        if follows:
            return REFUTED if held else SOUND, step, M_BASE
    if held:
        follows, step = _step(b, k, M_HELD, modulus, most)
        if follows:
            return LEFT, step, M_HELD
    if not base:
        return SOUND, 0, _NONE
    if now[G_EPOCH] != b.meters[k, M_BASE + G_EPOCH] and now[G_VALUE] < b.meters[k, M_BASE + G_VALUE]:
        return LEFT, 0, _NONE
    return REFUTED if held else HELD, 0, _WAITS


@hot
def _step(b: Books, k: int, since: int, modulus: int, most: int) -> tuple[bool, int]:
    """Whether the reading at hand follows from another one, and by how much."""
    now = b.spare[0]
    step = now[G_VALUE] - b.meters[k, since + G_VALUE]
    if step < 0:
        if modulus == 0 or now[G_EPOCH] != b.meters[k, since + G_EPOCH] or 2 * -step < modulus:
            return False, 0
        step += modulus
    if most >= 0 and step > 0:
        elapsed = now[G_TS] - b.meters[k, since + G_MOVED]
        high, low = product(step, _HOUR_NS)
        limit_high, limit_low = product(2 * most, max(elapsed, 0))
        if high > limit_high or (high == limit_high and low > limit_low):
            return False, 0
    return True, int(step)


@hot
def _keep(b: Books, k: int, at: int) -> None:
    """The reading at hand is the one that is believed, or held, from here on."""
    for column in range(N_G):
        b.meters[k, at + column] = b.spare[0, column]


@hot
def _doubt(b: Books, doubts: I64, i: int, what: int, number: int) -> None:
    n = b.counts[C_DOUBTS]
    doubts[n, 0] = i
    doubts[n, 1] = what
    doubts[n, 2] = number
    b.counts[C_DOUBTS] = n + 1


@hot
def _spent(b: Books, k: int, since: int, during: int) -> tuple[int, int, int]:
    """ns in each class since a reading, put into `spare`; in how many there are any, how many in all, and the last of
    them: `during` where there are none, or no reading."""
    now, parts = b.spare[0], b.spare[1]
    known = b.meters[k, since + G_KNOWN] != 0
    whole = n = 0
    last = during
    for klass in range(N_TIMES):
        ns = now[G_TIMES + klass] - b.meters[k, since + G_TIMES + klass] if known else 0
        parts[klass] = max(ns, 0)
        if ns > 0:
            whole += ns
            n += 1
            last = klass
    return n, whole, last


@bare
def _divide(b: Books, g: Given, i: int, line: int, number: int, end: int, whole: int, amount: int) -> None:
    """An amount among the classes in which time was `spent`, `whole` in all, by time; what is left of whole steps to
    the largest rests, of equal ones to the lower class."""
    parts, rests = b.spare[1], b.spare[2]
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
            r = _row(b, g, i, line, number, end, klass)
            b.open[r, R_USED] += 1
            add(b.open, r, R_AMOUNT, 0, -parts[klass] if amount < 0 else parts[klass])


@bare
def _integrate(
    b: Books, f: Facts, c: Columns, g: Given, i: int, line: int, number: int, end: int, during: int, doubts: I64
) -> None:
    """Twice what a gauge comes to since it was read before, value x ns, to each class by its part of the time."""
    k = b.slot[number] - 1
    if k < 0:
        k = b.counts[C_MEASURES]
        b.counts[C_MEASURES] += 1
        b.slot[number] = k + 1
    now = b.spare[0]
    known = b.meters[k, M_BASE + G_KNOWN] != 0
    elapsed = now[G_TS] - b.meters[k, M_BASE + G_TS]
    if known and elapsed > f.of[number, F_GAP]:
        _doubt(b, doubts, i, GAP, number)
    elif known:
        height = b.meters[k, M_BASE + G_VALUE] + (
            now[G_VALUE] if f.of[number, F_STRAIGHT] else b.meters[k, M_BASE + G_VALUE]
        )
        none = True
        if g.rows[i, c.station] >= 0:
            for klass in range(N_TIMES):
                ns = now[G_TIMES + klass] - b.meters[k, M_BASE + G_TIMES + klass]
                if ns > 0:
                    none = False
                    _come_to(b, g, i, line, number, end, klass, height, ns)
        if none:
            ns = 0 if g.rows[i, c.station] >= 0 else elapsed
            _come_to(b, g, i, line, number, end, during, height, ns)
    _keep(b, k, M_BASE)


@hot
def _come_to(b: Books, g: Given, i: int, line: int, number: int, end: int, klass: int, height: int, ns: int) -> None:
    r = _row(b, g, i, line, number, end, klass)
    high, low = product(abs(height), ns)
    if height < 0:
        high, low = -high, -low
    b.open[r, R_USED] += 1
    add(b.open, r, R_AMOUNT, high, low)


@bare
def rows_of(b: Books, first: int, stop: int, line: int, until: int, take: bool, out: I64) -> int:
    """Copy the open rows of a line's measures (`first` up to `stop`) that end before `until`, R_NEXT their own numbers;
    returns how many. `take`: they are open no longer. `out` (.., N_R) has room for all."""
    n = 0
    oldest = FAR
    for number in range(first, stop):
        k = b.slot[number] - 1
        r = b.meters[k, M_HEAD] - 1 if k >= 0 else -1
        before = -1
        while r >= 0:
            after = b.open[r, R_NEXT] - 1
            if b.open[r, R_END] >= until:
                oldest = min(oldest, b.open[r, R_END])
                before = r
            else:
                out[n, R_NEXT] = r
                for column in range(R_END, N_R):
                    out[n, column] = b.open[r, column]
                n += 1
                if take:
                    if before < 0:
                        b.meters[k, M_HEAD] = after + 1
                    else:
                        b.open[before, R_NEXT] = after + 1
                    b.open[r, R_NEXT] = b.counts[C_FREE]
                    b.open[r, R_ORDER] = -1
                    b.open[r, R_PRODUCT] = -1
                    b.counts[C_FREE] = r + 1
                    b.counts[C_FREED] += 1
                else:
                    before = r
            r = after
    if take:
        b.oldest[line] = oldest
    return n


@bare
def put_rows(b: Books, line: int, rows: I64) -> None:
    """Open rows as `rows_of` copied them, R_NEXT then their numbers; there is room for them."""
    b.heard[line] = 1
    for i in range(rows.shape[0]):
        number = rows[i, R_MEASURE]
        k = b.slot[number] - 1
        if k < 0:
            k = b.counts[C_MEASURES]
            b.counts[C_MEASURES] += 1
            b.slot[number] = k + 1
        r = _new(b, k)
        for column in range(R_END, N_R):
            b.open[r, column] = rows[i, column]
        b.oldest[line] = min(b.oldest[line], rows[i, R_END])
        rows[i, R_NEXT] = r
