"""Parts: what counts, running counters and cycles say was made, and the order it belongs to.

At the instant at which an order ends or begins, parts were made before it: they belong to the order that was open at
the station, and where none was open to the one that begins. A count or cycle that names its order belongs to that one,
if it is open, ends or begins then; else to none.
"""

import numpy as np
import numpy.typing as npt

from kernels.codes import COUNT, COUNTER, CYCLE, END, GOOD, IDEAL_NS, ORDER, REWORK, SCRAP
from kernels.fold import layout as at
from kernels.fold.arrays import Model, Out, State
from kernels.fold.counters import REPEAT, RESET, RISE, ROLLOVER, increment
from kernels.fold.measured import observe_parts
from kernels.fold.out import alert
from kernels.fold.work_order import order_of, product_of, stretch_scope
from kernels.index import natural
from kernels.jit import bare, hot

I64 = npt.NDArray[np.int64]


@hot
def add_parts(m: Model, x: State, s: int, good: int, scrap: int, rework: int, product: int) -> None:
    """Parts made at s. Where all of them are counted already, scrap and rework only say what some of them were."""
    x.total[s, SCRAP] += scrap
    x.total[s, REWORK] += rework
    made = good
    if m.stations[s, at.SC_COUNTS_ALL]:
        good -= scrap + rework
    else:
        made += scrap + rework
    x.total[s, GOOD] += good
    ideal = m.ideal[m.stations[s, at.SC_IDEAL] + product + 1]
    # Of the plant's own products admission lets through no more than a year's work; a declared one lasts a day at most.
    if made > at.DAYS_OF_WORK and ideal > 0:
        made = min(made, at.DAYS_OF_WORK * at.LONGEST_DECLARED_NS // ideal)
    x.total[s, IDEAL_NS] += made * ideal


@hot
def could_make(m: Model, s: int, k: int, steps: int, ns: int) -> bool:
    """Whether station s can have made so many steps of its counter k in `ns`: one step at any moment, and what its
    fastest part allows."""
    scale = m.counters[k, at.KC_SCALE]
    fastest = m.stations[s, at.SC_FASTEST_NS]
    if steps > m.stations[s, at.SC_MAX_PARTS] // scale:
        return False
    return bool(steps <= 1 or fastest == 0 or (steps - 1) * scale <= ns // fastest)


@bare
def doubt_reading(m: Model, x: State, o: Out, s: int, k: int, epoch: int, value: int, t: int) -> int:
    """A reading that does not follow from the last believed one: hold it, or let it confirm the one that is held.

    Returns the steps to book, -1 where the reading is held.
    """
    row = x.counters[k]
    line = m.stations[s, at.SC_LINE]
    if row[at.K_HELD]:
        held = row[at.K_HELD_VALUE]
        since = row[at.K_HELD_TS]
        if t == since and value == held and epoch == row[at.K_HELD_EPOCH]:
            return -1
        steps, kind = increment(held, value, m.counters[k, at.KC_MODULUS] if row[at.K_HELD_EPOCH] == epoch else 0)
        if t > since and kind != RESET and could_make(m, s, k, steps, t - since):
            modulus = m.counters[k, at.KC_MODULUS] if row[at.K_EPOCH] == row[at.K_HELD_EPOCH] else 0
            first, kind_of_first = increment(row[at.K_VALUE], held, modulus)
            if kind_of_first == ROLLOVER and not could_make(m, s, k, first, since - row[at.K_MOVED]):
                first = held  # it began again
            # A counter may be sent more often than it moves; what cannot have been made since is another counter.
            moved = could_make(m, s, k, first, since - row[at.K_MOVED])
            if not moved or kind_of_first == RISE:
                alert(o, line, s, at.DOUBT_STEP if moved else at.DOUBT_BASELINE, at.RAISED, t, k)
            row[at.K_VALUE] = value
            row[at.K_EPOCH] = epoch
            row[at.K_TS] = t
            row[at.K_MOVED] = t if kind != REPEAT else since
            row[at.K_HELD] = 0
            return steps + first if moved else steps
        alert(o, line, s, at.DOUBT_READING, at.RAISED, t, k)
    row[at.K_HELD] = 1
    row[at.K_HELD_VALUE] = value
    row[at.K_HELD_EPOCH] = epoch
    row[at.K_HELD_TS] = t
    return -1


@hot
def read_counter(m: Model, x: State, o: Out, s: int, event: I64, t: int, product: int) -> None:
    """What a running counter shows: the parts made since the last reading, or a reading that is not believed yet."""
    k = natural(event[at.E_X])
    epoch = event[at.E_EPOCH]
    value = event[at.E_A]
    row = x.counters[k]
    previous = row[at.K_VALUE] if row[at.K_SEEN] else -1
    modulus = m.counters[k, at.KC_MODULUS] if row[at.K_EPOCH] == epoch else 0
    steps, kind = increment(previous, value, modulus)
    # A fall waits, unless the source has started again.
    sound = kind != RESET or row[at.K_EPOCH] != epoch
    if not (sound and could_make(m, s, k, steps, t - row[at.K_TS])):
        steps = doubt_reading(m, x, o, s, k, epoch, value, t)
        if steps < 0:
            return
    else:
        if row[at.K_HELD]:
            row[at.K_HELD] = 0
            alert(o, m.stations[s, at.SC_LINE], s, at.DOUBT_READING, at.RAISED, t, k)
        if kind != REPEAT:
            row[at.K_MOVED] = t
        row[at.K_SEEN] = 1
        row[at.K_VALUE] = value
        row[at.K_EPOCH] = epoch
        row[at.K_TS] = t
    parts = steps * m.counters[k, at.KC_SCALE]
    if m.counters[k, at.KC_OF_CYCLES]:
        parts *= m.made[m.stations[s, at.SC_IDEAL] + product + 1]
    quality = m.counters[k, at.KC_QUALITY]
    good = parts if quality == GOOD else 0
    scrap = parts if quality == SCRAP else 0
    rework = parts - good - scrap
    # Where cycles make the parts, a counter of all of them counts them once more.
    own = m.counters[k, at.KC_TOTAL] and not m.stations[s, at.SC_PARTS_FROM_CYCLE]
    if good and m.stations[s, at.SC_COUNTS_ALL] and not own:
        alert(o, m.stations[s, at.SC_LINE], s, at.DOUBT_GOOD, at.RAISED, t, -1)
        good = 0
    add_parts(m, x, s, good, scrap, rework, product)


@hot
def make_cycle(m: Model, x: State, event: I64, product: int, begun: int) -> None:
    """Book what the end of a cycle says was made. `product`: of the order it belongs to; `begun`: of the cycle, as its
    start said, -1 not said."""
    s = natural(event[at.E_STATION])
    if event[at.E_PRODUCT] >= 0:
        product = event[at.E_PRODUCT]
    elif begun >= 0:
        product = begun
    add_parts(m, x, s, m.made[m.stations[s, at.SC_IDEAL] + product + 1], 0, 0, product)


@hot
def make_count(m: Model, x: State, o: Out, line: int, event: I64, t: int, product: int) -> None:
    """Book what a count says was made. `product`: of the order it belongs to."""
    s = natural(event[at.E_STATION])
    if event[at.E_CODE] == COUNTER:
        read_counter(m, x, o, s, event, t, product)
        return
    good = event[at.E_A]
    if good and m.stations[s, at.SC_COUNTS_ALL]:
        alert(o, line, s, at.DOUBT_GOOD, at.RAISED, t, -1)
        good = 0
    add_parts(m, x, s, good, event[at.E_B], event[at.E_C], product)
    if event[at.E_PRODUCT] >= 0:
        observe_parts(m, x, o, line, event, t)


@bare
def make_apart(m: Model, x: State, o: Out, line: int, event: I64, t: int, begun: int) -> None:
    """Book parts that name another order than the one their station works on: of the station, and of no order."""
    s = event[at.E_STATION]
    base = x.base[s, stretch_scope(x, s)]
    for c in range(GOOD, IDEAL_NS + 1):
        base[c] -= x.total[s, c]
    if event[at.E_TYPE] == CYCLE:
        make_cycle(m, x, event, -1, begun)
    else:
        make_count(m, x, o, line, event, t, -1)
    for c in range(GOOD, IDEAL_NS + 1):
        base[c] += x.total[s, c]
    alert(o, line, s, at.DOUBT_ORDER_NAMED, at.RAISED, t, event[at.E_Y])


@hot
def names_another(x: State, line: int, event: I64) -> bool:
    """Whether parts name another order than the one that their station works on now."""
    named = event[at.E_Y]
    return bool(named >= 0 and named != order_of(x, line, event[at.E_STATION]))


@hot
def book_cycle(m: Model, x: State, o: Out, line: int, event: I64, t: int, begun: int) -> None:
    """Book what was made to the order that the station works on now. `begun`: product of the cycle that ended."""
    if names_another(x, line, event):
        make_apart(m, x, o, line, event, t, begun)
    else:
        make_cycle(m, x, event, product_of(x, line, natural(event[at.E_STATION])), begun)


@hot
def book_count(m: Model, x: State, o: Out, line: int, event: I64, t: int) -> None:
    if names_another(x, line, event):
        make_apart(m, x, o, line, event, t, -1)
    else:
        make_count(m, x, o, line, event, t, product_of(x, line, natural(event[at.E_STATION])))


@hot
def makes_parts(m: Model, event: I64) -> bool:
    if event[at.E_TYPE] == COUNT:
        return True
    return bool(
        event[at.E_TYPE] == CYCLE
        and event[at.E_CODE] == END
        and m.stations[natural(event[at.E_STATION]), at.SC_PARTS_FROM_CYCLE]
    )


@hot
def has_orders(events: I64, i: int, j: int) -> bool:
    """Whether an order begins or ends at the instant events[i:j]."""
    for k in range(i, j):
        if events[k, at.E_TYPE] == ORDER:
            return True
        if events[k, at.E_PHASE] > at.PHASE_ORDER_START:
            break
    return False


@bare
def book_before(m: Model, x: State, o: Out, line: int, events: I64, i: int, j: int, t: int) -> None:
    """Of an instant at which orders change, the parts that belong to the order that was open: all where one was, but
    for those that name another."""
    for k in range(i, j):
        event = events[k]
        if makes_parts(m, event):
            s = event[at.E_STATION]
            o.before[s] = order_of(x, line, s)
            if event[at.E_TYPE] == COUNT and is_before(o, event):
                book_count(m, x, o, line, event, t)


@hot
def belongs_before(x: State, o: Out, line: int, event: I64) -> bool:
    """Whether a part belongs to the order that is open at its station, at an instant at which orders have not changed
    yet."""
    s = event[at.E_STATION]
    o.before[s] = order_of(x, line, s)
    return is_before(o, event)


@hot
def is_before(o: Out, event: I64) -> bool:
    was = o.before[event[at.E_STATION]]
    return bool(was >= 0 and (event[at.E_Y] < 0 or event[at.E_Y] == was))


@bare
def book_after(m: Model, x: State, o: Out, line: int, events: I64, i: int, j: int, t: int) -> None:
    """And those that belong to the order that has begun: where none was open, or because they name it."""
    for k in range(i, j):
        event = events[k]
        if makes_parts(m, event) and not is_before(o, event):
            if event[at.E_TYPE] == CYCLE:
                book_cycle(m, x, o, line, event, t, o.begun[k - i])
            else:
                book_count(m, x, o, line, event, t)
