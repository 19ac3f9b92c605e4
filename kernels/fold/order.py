"""Events as rows, and the order in which they are folded."""

import numpy as np
import numpy.typing as npt

from kernels.codes import END
from kernels.fold import layout as at
from kernels.fold.arrays import Columns, Gathered
from kernels.index import natural
from kernels.jit import bare, hot

I8 = npt.NDArray[np.int8]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

# Events of one line mostly come in order: so few places an event is moved by insertion, more are sorted by merging.
_INSERTED = 32


@bare
def fill_rows(
    rows: I64,
    phases: I64,
    arrival: int,
    line: I32,
    station: I32,
    kind: I8,
    ts: I64,
    epoch: I64,
    seq: I64,
    code: I32,
    a: I64,
    b: I64,
    c: I64,
    x: I64,
    y: I64,
    product: I64,
) -> None:
    """Columns (events,) into rows (events, N_E), in one pass: column by column every row would be fetched 15 times.

    `phases` (types, 2): phase of a type, and of its END. `arrival`: number of the first event.
    """
    for i in range(rows.shape[0]):
        row = rows[i]
        row[at.E_LINE] = line[i]
        row[at.E_TS] = ts[i]
        row[at.E_PHASE] = phases[kind[i], 1 if code[i] == END else 0]
        row[at.E_STATION] = station[i]
        row[at.E_EPOCH] = epoch[i]
        row[at.E_SEQ] = seq[i]
        row[at.E_TYPE] = kind[i]
        row[at.E_CODE] = code[i]
        row[at.E_A] = a[i]
        row[at.E_B] = b[i]
        row[at.E_C] = c[i]
        row[at.E_X] = x[i]
        row[at.E_Y] = y[i]
        row[at.E_PRODUCT] = product[i]
        row[at.E_ARRIVAL] = arrival + i


@bare
def note(rows: I64, places: I64, lines: I32, times: I64) -> int:
    """Line and time of the rows at these places, side by side: a row is two cache lines long. Returns the oldest."""
    oldest = rows[places[0], at.E_TS]
    for k in range(places.size):
        lines[k] = rows[places[k], at.E_LINE]
        times[k] = rows[places[k], at.E_TS]
        oldest = min(oldest, times[k])
    return int(oldest)


@bare
def count_due(lines: I32, times: I64, watermark: I64, counts: I64) -> int:
    """Add to counts[line] the waiting rows of a line that lie before its watermark. Returns how many there are."""
    n = 0
    for k in range(lines.size):
        if times[k] < watermark[lines[k]]:
            counts[lines[k]] += 1
            n += 1
    return n


@bare
def take_due(
    rows: I64, waiting: I64, lines: I32, times: I64, watermark: I64, to: I64, begins: I64, place: I64, mixed: I8
) -> int:
    """Copy what `count_due` counted into `to`, from place[line] on, in order; what still waits moves to the front.

    Returns how many still wait. `place` moves on. mixed[line] is set where a row is not later than the one before it
    (from begins[line] on): the others stand in the order of folding already.
    """
    still = 0
    for k in range(waiting.size):
        line = lines[k]
        if times[k] < watermark[line]:
            source = rows[waiting[k]]
            spot = place[line]
            target = to[spot]
            for column in range(at.N_E):
                target[column] = source[column]
            if spot > begins[line] and to[spot - 1, at.E_TS] >= times[k]:
                mixed[line] = 1
            place[line] = spot + 1
        else:
            waiting[still] = waiting[k]
            lines[still] = line
            times[still] = times[k]
            still += 1
    return still


@hot
def before(rows: I64, i: int, j: int) -> bool:
    """Whether row i is folded before row j of the same line. Cycles start from the last station up."""
    if rows[i, at.E_TS] != rows[j, at.E_TS]:
        return bool(rows[i, at.E_TS] < rows[j, at.E_TS])
    phase = rows[i, at.E_PHASE]
    if phase != rows[j, at.E_PHASE]:
        return bool(phase < rows[j, at.E_PHASE])
    if rows[i, at.E_STATION] != rows[j, at.E_STATION]:
        return bool((rows[i, at.E_STATION] < rows[j, at.E_STATION]) != (phase == at.PHASE_CYCLE_START))
    if rows[i, at.E_EPOCH] != rows[j, at.E_EPOCH]:
        return bool(rows[i, at.E_EPOCH] < rows[j, at.E_EPOCH])
    if rows[i, at.E_SEQ] != rows[j, at.E_SEQ]:
        return bool(rows[i, at.E_SEQ] < rows[j, at.E_SEQ])
    return bool(rows[i, at.E_ARRIVAL] < rows[j, at.E_ARRIVAL])


@bare
def sorted_places(rows: I64, lo: int, hi: int, order: I64, spare: I64) -> bool:
    """order[lo:hi] = the places of the rows lo..hi in the order of folding. False: they stand in it already.

    Merges runs that are there: events of a line mostly come in order. `spare` is scratch of the size of `order`.
    """
    already = True
    for i in range(lo, hi):
        order[i] = i
        if i > lo and before(rows, i, i - 1):
            already = False
    if already:
        return False
    width = _INSERTED
    for begin in range(lo, hi, width):
        for i in range(begin + 1, min(begin + width, hi)):
            moved = order[i]
            j = i - 1
            while j >= begin and before(rows, moved, order[j]):
                order[j + 1] = order[j]
                j -= 1
            order[j + 1] = moved
    while width < hi - lo:
        for begin in range(lo, hi, 2 * width):
            _merge(rows, order, spare, begin, min(begin + width, hi), min(begin + 2 * width, hi))
        width *= 2
    return True


@bare
def _merge(rows: I64, order: I64, spare: I64, begin: int, middle: int, end: int) -> None:
    if middle >= end or not before(rows, order[middle], order[middle - 1]):
        return
    for i in range(begin, middle):
        spare[i] = order[i]
    left, right, to = begin, middle, begin
    while left < middle:
        if right < end and before(rows, order[right], spare[left]):
            order[to] = order[right]
            right += 1
        else:
            order[to] = spare[left]
            left += 1
        to += 1


@bare
def sort_line(rows: I64, lo: int, hi: int, order: I64, spare: I64, copies: I64) -> None:
    """Put rows[lo:hi] of one line into the order of folding. `copies` is scratch of the shape of `rows`."""
    if not sorted_places(rows, lo, hi, order, spare):
        return
    for i in range(lo, hi):
        for column in range(at.N_E):
            copies[i, column] = rows[order[i], column]
    for i in range(lo, hi):
        for column in range(at.N_E):
            rows[i, column] = copies[i, column]


@bare
def sort_lines(rows: I64, bounds: I64, mixed: I8, order: I64, spare: I64, copies: I64) -> None:
    """Sort the rows of each line that is `mixed`: line k stands in rows[bounds[k]:bounds[k + 1]]."""
    for k in range(mixed.size):
        if mixed[k]:
            sort_line(rows, bounds[k], bounds[k + 1], order, spare, copies)


@hot
def put(rows: I64, k: int, events: Columns, i: int) -> None:
    """Event i as row k. Its number is that in the block: more is not asked of it here."""
    row = rows[k]
    kind = events.type[i]
    row[at.E_LINE] = events.line[i]
    row[at.E_TS] = events.ts[i]
    row[at.E_PHASE] = events.phases[kind, 1 if events.code[i] == END else 0]
    row[at.E_STATION] = events.station[i]
    row[at.E_EPOCH] = events.epoch[i]
    row[at.E_SEQ] = events.seq[i]
    row[at.E_TYPE] = kind
    row[at.E_CODE] = events.code[i]
    row[at.E_A] = events.a[i]
    row[at.E_B] = events.b[i]
    row[at.E_C] = events.c[i]
    row[at.E_X] = events.x[i]
    row[at.E_Y] = events.y[i]
    row[at.E_PRODUCT] = events.product[i]
    row[at.E_ARRIVAL] = i


@bare
def arrange(rows: I64, lo: int, hi: int) -> None:
    """Rows of one line, by ts already, into the order of folding: few are at one instant, and mostly in it."""
    for i in range(lo + 1, hi):
        j = i
        while j > lo and rows[j, at.E_TS] == rows[j - 1, at.E_TS] and before(rows, j, j - 1):
            for column in range(at.N_E):
                held = rows[j, column]
                rows[j, column] = rows[j - 1, column]
                rows[j - 1, column] = held
            j -= 1


@bare
def gather(events: Columns, how: I8, work: Gathered) -> None:
    """The next events that go IN_ORDER, as rows line by line, behind those of their line's last instant."""
    lines = work.begin.size
    first = work.turn[at.G_NEXT]
    behind = min(first + work.rows.shape[1] - lines * at.TOGETHER, how.size)
    last = behind == how.size
    old, new = work.rows[work.turn[at.G_HALF]], work.rows[1 - work.turn[at.G_HALF]]
    count = work.to  # how many rows each line gets
    for line in range(lines):
        count[line] = work.end[line] - work.begin[line]
    for i in range(first, behind):
        if how[i] == at.IN_ORDER:
            count[natural(events.line[i])] += 1
    place = 0
    for line in range(lines):
        begin = place
        for k in range(work.begin[line], work.end[line]):
            for column in range(at.N_E):
                new[place, column] = old[k, column]
            place += 1
        work.end[line] = place
        work.begin[line] = begin
        place = begin + count[line]
    for i in range(first, behind):
        if how[i] == at.IN_ORDER:
            line = natural(events.line[i])
            put(new, work.end[line], events, i)
            work.end[line] += 1
    for line in range(lines):
        lo, hi = work.begin[line], work.end[line]
        arrange(new, lo, hi)
        to = hi
        while not last and to > lo and new[to - 1, at.E_TS] == new[hi - 1, at.E_TS]:
            to -= 1
        work.to[line] = to
    work.turn[at.G_NEXT] = behind
    work.turn[at.G_LINE] = 0
    work.turn[at.G_HALF] = 1 - work.turn[at.G_HALF]
