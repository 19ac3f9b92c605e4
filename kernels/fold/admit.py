"""Admission: duplicate, late, suspect jump ahead. Event by event, from the line's own earlier events only."""

import numpy as np
import numpy.typing as npt

from kernels.codes import (
    BEGIN_WITHIN_NS,
    BELIEVED_JUMP_NS,
    BUFFER,
    CORRECTION,
    COUNT,
    END,
    HEARTBEAT,
    MEASURE,
    PARTS,
    PRODUCT,
    STATE,
)
from kernels.fold.arrays import Columns
from kernels.fold.layout import (
    ADMITTED,
    DUPLICATE,
    E_A,
    E_B,
    E_C,
    E_CODE,
    E_EPOCH,
    E_LINE,
    E_SEQ,
    E_STATION,
    E_TS,
    E_TYPE,
    E_X,
    HELD,
    IMPOSSIBLE,
    IN_ORDER,
    L_ADMITTED,
    L_BUCKET,
    L_BUCKET_BEFORE,
    L_BUCKET_TS,
    L_DUPLICATES,
    L_LATE,
    L_NEWEST,
    L_OLDEST,
    L_REVISING,
    LATE,
    LC_HORIZON_NS,
    LC_LATENESS_NS,
    LC_MAX_JUMP_NS,
    LC_PUBLISH_NS,
    LC_REVISE_NS,
    LC_SEQ_MODULUS,
    LC_STATION,
    LC_STATIONS,
    LC_WRAPPED,
    MIXED,
    OVERFULL,
    Q_BATCH,
    Q_BITS,
    Q_EPOCH,
    Q_EVENTS,
    Q_FIRST,
    Q_GAP_AT,
    Q_GAPS,
    Q_LAG_NS,
    Q_LATE,
    Q_LATE_AT,
    Q_LEAP,
    Q_LOW,
    Q_MAX,
    Q_REPEAT_AT,
    Q_REPEATS,
    Q_SKEW_NS,
    Q_SKEW_TOLD_NS,
    Q_WORDS,
    REVISES,
    RISING,
    SC_MAX_PARTS,
    STALE_EPOCH,
    TOGETHER,
    TOLD_COUNT,
    TOLD_GAPS,
    TOLD_LATE,
    TOLD_LINE,
    TOLD_REPEATS,
    TOLD_SKEW,
    TOLD_STATION,
    TOLD_TS,
    TOLD_WHAT,
    UNCONFIRMED,
    UNCORRECTED,
    W_KINDS,
    W_TS,
    WAITS,
)
from kernels.index import natural
from kernels.jit import bare, hot

I64 = npt.NDArray[np.int64]
I8 = npt.NDArray[np.int8]
I32 = npt.NDArray[np.int32]

SEQ_WINDOW = Q_WORDS * 64
NO_SEQ = -1
# Events of one line that may wait for its watermark; more, from a line that does not advance, are refused.
MAX_WAITING = 1 << 20
# Late events and corrections of one line that may wait for its next publishing tick.
MAX_REVISING = 1 << 18
# A number that leaps further ahead is believed when another one near it follows: one broken number would otherwise make
# all that the station sends later too old.
MAX_LEAP = 1 << 20
# Suspect events of one line that are held; of more the oldest is refused. Room for what all stations of the largest
# line may say in the instant in which it begins.
MAX_HELD = 4096
# The last number of 64 bits: nothing can follow it, and the window behind it would begin anew.
LAST_SEQ = (1 << 63) - 1
# Events of a station after which its clock is compared with those of its line.
CLOCK_BATCH = 64
LEAST_SKEW_NS = 1_000_000_000


@hot
def mark_seq(row: I64, epoch: int, seq: int) -> int:
    """Note a sequence number in a sliding window of the last 1,024; ADMITTED, DUPLICATE, LATE or STALE_EPOCH.

    A number below all that were seen is news, however far back. Another one further back than the window is LATE:
    whether it was seen can no longer be told. One that leaps ahead by more than MAX_LEAP is ADMITTED, and moves the
    window only when another one near it follows.
    """
    if epoch < row[Q_EPOCH]:
        return STALE_EPOCH
    if seq == LAST_SEQ:
        return LATE
    if epoch > row[Q_EPOCH]:
        if row[Q_MAX] > 0:
            _move_far(row, row[Q_MAX] - 1 + SEQ_WINDOW, row[Q_MAX] - 1)
        row[Q_EPOCH] = epoch
        row[Q_MAX] = row[Q_LEAP] = 0
    newest = row[Q_MAX] - 1
    if row[Q_MAX] == 0:
        newest = seq - 1
        row[Q_FIRST] = row[Q_LOW] = seq
        for w in range(Q_WORDS):
            row[Q_BITS + w] = 0
    if seq <= newest:
        word = Q_BITS + (seq >> 6) % Q_WORDS
        bit = np.int64(1) << np.int64(seq & 63)
        if seq < row[Q_LOW]:
            row[Q_LOW] = seq
            if newest - seq < SEQ_WINDOW:
                row[word] |= bit
            return ADMITTED
        if newest - seq >= SEQ_WINDOW:
            return LATE
        if row[word] & bit:
            return DUPLICATE
        row[word] |= bit
        return ADMITTED
    if seq - newest > MAX_LEAP:
        leap = row[Q_LEAP] - 1
        if seq == leap:
            return DUPLICATE
        near = row[Q_LEAP] > 0 and abs(seq - leap) < SEQ_WINDOW
        row[Q_LEAP] = 0 if near else seq + 1
        if near:
            _move(row, min(seq, leap), newest)
            _move(row, max(seq, leap), min(seq, leap))
        return ADMITTED
    _move(row, seq, newest)
    return ADMITTED


@hot
def _move(row: I64, seq: int, newest: int) -> None:
    """Move the window up to `seq`, which lies ahead of the newest number, and mark it."""
    if seq - newest > SEQ_WINDOW:
        _move_far(row, seq, newest)
    else:
        for number in range(newest + 1, seq + 1):
            word = Q_BITS + (number >> 6) % Q_WORDS
            bit = np.int64(1) << np.int64(number & 63)
            # Before the first number seen there is no gap: a twin may start in the middle of a source's life.
            if not row[word] & bit and number - SEQ_WINDOW >= row[Q_FIRST]:
                row[Q_GAPS] += 1
            row[word] &= ~bit
    row[Q_BITS + (seq >> 6) % Q_WORDS] |= np.int64(1) << np.int64(seq & 63)
    row[Q_MAX] = seq + 1


@bare
def _move_far(row: I64, seq: int, newest: int) -> None:
    """Empty the window: what was never seen of it, and of what lies between it and that of `seq`, is missing."""
    row[Q_GAPS] += missing(row) + seq - newest - SEQ_WINDOW
    for w in range(Q_WORDS):
        row[Q_BITS + w] = 0


@bare
def missing(row: I64) -> int:
    """Numbers of the window that were not seen, from the first one of the epoch on."""
    n = 0
    newest = row[Q_MAX] - 1
    for number in range(max(row[Q_FIRST], newest - SEQ_WINDOW + 1), newest + 1):
        if not row[Q_BITS + (number >> 6) % Q_WORDS] >> np.int64(number & 63) & 1:
            n += 1
    return n


@hot
def mark_wrapped(slots: I64, row: int, event: I64) -> int:
    """ADMITTED or DUPLICATE for a number that wraps: a repeat has the number, the time and the kind of an event seen.

    The number alone comes again with every round; one message may hold several events.
    """
    kinds = _kinds(event)
    if slots[row, W_TS] != event[E_TS] + 1:
        slots[row, W_TS] = event[E_TS] + 1
        slots[row, W_KINDS] = kinds
        return ADMITTED
    if slots[row, W_KINDS] & kinds == kinds:
        return DUPLICATE
    slots[row, W_KINDS] |= kinds
    return ADMITTED


@hot
def _kinds(event: I64) -> int:
    """A bit for each thing that an event tells; of counters, measures (and defects) and buffers by their numbers.

    Those of a station are numbered one after the other, so a dozen of each are told apart. Each sort has bits of its
    own: by their numbers alone the first counter of a plant was a repeat of its first meter.
    """
    kind = event[E_TYPE]
    if kind == COUNT and event[E_CODE] == PARTS and event[E_X] < 0:
        bits = (event[E_A] > 0) | (event[E_B] > 0) << 1 | (event[E_C] > 0) << 2
        return int(np.int64(bits)) if bits else 8
    if kind in (COUNT, BUFFER, MEASURE):
        if kind == BUFFER:
            return int(np.int64(1) << np.int64(48 + event[E_X] % 14))
        first = 36 if kind == MEASURE or event[E_CODE] == PARTS else 24
        return int(np.int64(1) << np.int64(first + event[E_X] % 12))
    return int(np.int64(1) << np.int64(4 + 2 * kind + (event[E_CODE] == END and kind != STATE)))


@bare
def admit(
    events: I64,
    held: int,
    lines: I64,
    line_config: I64,
    station_config: I64,
    seqs: I64,
    wrapped: I64,
    offset: I64,
    verdict: I8,
    told: I64,
    held_head: I64,
    held_next: I64,
    due: I64,
) -> int:
    """Give every event a verdict, in order of arrival.

    The first `held` rows are events that earlier calls held back. `held_head` (one per line, -1) and `held_next`
    (one per event) are scratch: the held events of a line in order of arrival. `due` (one per event) gets, for an
    event that REVISES and for a correction, the publishing tick at which it takes effect: the first one behind the
    line's newest event, so that they take effect in the order of their arrival. `offset` (one per event) is that of
    its record. `told` gets a row (N_TOLD) of each tally of a source that has become 1, 10, 100, ... by an event; its
    first cell is their number, to begin with 0. Returns the number still held.

    An event far ahead of its line is held. An ordinary one refutes it; what confirms it is another one far ahead: any
    that is later, or hardly earlier; it is held itself where it is ahead of that by more than `max_jump`. So a line
    that sends seldom goes on, and a clock that once ran wild, or stands still, moves nothing. A line's first event is
    held like a jump: one from a clock that is far ahead would make all that follows late. Whoever ends a log has seen
    all of it: its end confirms whatever is held and lies before it, and refutes the rest.
    """
    n = events.shape[0]
    still = 0
    for i in range(held):
        verdict[i] = HELD
        _append(held_head, held_next, events[i, E_LINE], i)
        still += 1
    for i in range(held, n):
        line = events[i, E_LINE]
        ts = events[i, E_TS]
        row = lines[line]
        refused = _impossible(events[i], line_config, station_config)
        if refused != ADMITTED:
            verdict[i] = refused
            continue
        jump = min(line_config[line, LC_MAX_JUMP_NS], BELIEVED_JUMP_NS)
        most = line_config[line, LC_MAX_JUMP_NS]  # behind what it confirms
        ahead, within = jump, BEGIN_WITHIN_NS
        ends = events[i, E_TYPE] == HEARTBEAT and events[i, E_CODE] == END
        if ends:
            # As far as closing a log can take is no jump, and nothing lies behind its end.
            jump = max(jump, line_config[line, LC_HORIZON_NS] + line_config[line, LC_LATENESS_NS])
            most = max(most, jump)
            ahead, within = 0, max(within, jump)
        first = row[L_ADMITTED] == 0
        if (
            not first
            and ts - row[L_NEWEST] <= jump
            and not (ends and _holds_before(events, held_head, held_next, line, ts))
        ):
            slot = seqs[_slot(events[i], station_config)]
            verdict[i] = _number(events[i], row, slot, line_config, station_config, wrapped, offset[i], told)
            if verdict[i] != ADMITTED:
                continue
            _look_at_clock(slot, max(row[L_NEWEST] - ts, 0), line_config[line, LC_LATENESS_NS], told, events[i])
            if ts < row[L_NEWEST] - line_config[line, LC_LATENESS_NS]:
                _note_late(slot, offset[i], told, events[i])
                verdict[i] = _late(row, line_config[line], ts, due, i)
                continue
            j = held_head[line]
            while j >= 0:
                verdict[j] = UNCONFIRMED
                still -= 1
                j = held_next[j]
            held_head[line] = -1
            verdict[i] = _take(row, ts, line_config[line], events[i, E_TYPE], due, i)
            continue
        confirms = False
        j = held_head[line]
        while j >= 0:
            distance = ts - events[j, E_TS]
            if distance != 0 and distance >= -ahead and not (first and distance > within):
                confirms = True
            j = held_next[j]
        if not confirms:
            verdict[i] = HELD
            oldest = _append(held_head, held_next, line, i)
            if oldest >= 0:
                verdict[oldest] = UNCONFIRMED
            else:
                still += 1
            continue
        j = held_head[line]
        while j >= 0:
            distance = events[j, E_TS] - ts
            if distance <= ahead and not (first and distance < -within):
                slot = seqs[_slot(events[j], station_config)]
                verdict[j] = _number(events[j], row, slot, line_config, station_config, wrapped, offset[j], told)
                if verdict[j] == ADMITTED:
                    verdict[j] = _take(row, events[j, E_TS], line_config[line], events[j, E_TYPE], due, j)
            else:
                verdict[j] = UNCONFIRMED
            still -= 1
            j = held_next[j]
        held_head[line] = -1
        if ts - row[L_NEWEST] > (jump if first else most):
            # It bears out what came before it, and is far ahead of that as well.
            verdict[i] = HELD
            _append(held_head, held_next, line, i)
            still += 1
            continue
        slot = seqs[_slot(events[i], station_config)]
        verdict[i] = _number(events[i], row, slot, line_config, station_config, wrapped, offset[i], told)
        if verdict[i] != ADMITTED:
            continue
        if ts < row[L_NEWEST] - line_config[line, LC_LATENESS_NS]:
            _note_late(slot, offset[i], told, events[i])
            verdict[i] = _late(row, line_config[line], ts, due, i)
        else:
            verdict[i] = _take(row, ts, line_config[line], events[i, E_TYPE], due, i)
    return still


@bare
def _holds_before(events: I64, head: I64, following: I64, line: int, ts: int) -> bool:
    """Whether an event of the line is held that lies before `ts`."""
    j = head[line]
    while j >= 0:
        if events[j, E_TS] < ts:
            return True
        j = following[j]
    return False


@hot
def _slot(event: I64, station_config: I64) -> int:
    """Where the event's source is in `seqs`: a station, or behind them a line."""
    return int(event[E_STATION] if event[E_STATION] >= 0 else station_config.shape[0] + event[E_LINE])


@hot
def _number(
    event: I64, line: I64, slot: I64, line_config: I64, station_config: I64, wrapped: I64, offset: int, told: I64
) -> int:  # fmt: skip
    """ADMITTED, or what the event's number says against it. A suspect event's is noted only once it is confirmed."""
    seen = ADMITTED
    if event[E_SEQ] != NO_SEQ:
        gaps = slot[Q_GAPS]
        config = line_config[event[E_LINE]]
        modulus = config[LC_SEQ_MODULUS]
        if modulus == 0:
            seen = mark_seq(slot, event[E_EPOCH], event[E_SEQ])
        elif event[E_EPOCH] < slot[Q_EPOCH]:
            seen = STALE_EPOCH
        else:
            slot[Q_EPOCH] = event[E_EPOCH]
            place = event[E_STATION] - config[LC_STATION] if event[E_STATION] >= 0 else config[LC_STATIONS]
            seen = mark_wrapped(wrapped, config[LC_WRAPPED] + place * modulus + event[E_SEQ] % modulus, event)
        if slot[Q_GAPS] > gaps:
            if slot[Q_GAP_AT] == 0:
                slot[Q_GAP_AT] = offset + 1
            _tell(told, event, TOLD_GAPS, gaps, slot[Q_GAPS])
    if seen == ADMITTED:
        slot[Q_EVENTS] += 1
    elif seen == DUPLICATE:
        line[L_DUPLICATES] += 1
        slot[Q_REPEATS] += 1
        if slot[Q_REPEAT_AT] == 0:
            slot[Q_REPEAT_AT] = offset + 1
        _tell(told, event, TOLD_REPEATS, slot[Q_REPEATS] - 1, slot[Q_REPEATS])
    else:
        line[L_LATE] += 1
        _note_late(slot, offset, told, event)
    return int(seen)


@hot
def _tell(told: I64, event: I64, what: int, before: int, count: int) -> None:
    """Put a tally down where it has become 1, 10, 100, ... or leapt over one of them: the highest."""
    reached = 1
    while reached <= before:
        reached *= 10
    if count < reached:
        return
    while count >= 10 * reached:
        reached *= 10
    _put(told, event, what, reached)


@bare
def _put(told: I64, event: I64, what: int, count: int) -> None:
    told[0, 0] += 1
    row = told[told[0, 0]]
    row[TOLD_LINE] = event[E_LINE]
    row[TOLD_STATION] = event[E_STATION]
    row[TOLD_TS] = event[E_TS]
    row[TOLD_WHAT] = what
    row[TOLD_COUNT] = count


@hot
def _note_late(slot: I64, offset: int, told: I64, event: I64) -> None:
    slot[Q_LATE] += 1
    if slot[Q_LATE_AT] == 0:
        slot[Q_LATE_AT] = offset + 1
    _tell(told, event, TOLD_LATE, slot[Q_LATE] - 1, slot[Q_LATE])


@hot
def _look_at_clock(slot: I64, lag_ns: int, lateness_ns: int, told: I64, event: I64) -> None:
    """The least lag behind the line's newest event, of every batch: where a clock is behind, none is without.

    Told where it comes to lie behind by more than half the lateness (and a second), or, told before, by twice as much.
    """
    if slot[Q_BATCH] == 0 or lag_ns < slot[Q_LAG_NS]:
        slot[Q_LAG_NS] = lag_ns
    slot[Q_BATCH] += 1
    if slot[Q_BATCH] == CLOCK_BATCH:
        slot[Q_SKEW_NS] = slot[Q_LAG_NS]
        slot[Q_BATCH] = 0
        if slot[Q_SKEW_NS] > max(lateness_ns // 2, LEAST_SKEW_NS, 2 * slot[Q_SKEW_TOLD_NS]):
            slot[Q_SKEW_TOLD_NS] = slot[Q_SKEW_NS]
            _put(told, event, TOLD_SKEW, slot[Q_SKEW_NS])


@hot
def _impossible(event: I64, line_config: I64, station_config: I64) -> int:
    """What no station can have made in one go, and corrections of lines that keep nothing to correct."""
    if event[E_TYPE] == COUNT and event[E_CODE] == PARTS:
        most = station_config[event[E_STATION], SC_MAX_PARTS]
        # One by one: the sum of three int64 may wrap.
        if event[E_A] > most or event[E_B] > most or event[E_C] > most:
            return IMPOSSIBLE
        if event[E_A] + event[E_B] + event[E_C] > most:
            return IMPOSSIBLE
    elif event[E_TYPE] == CORRECTION and line_config[event[E_LINE], LC_REVISE_NS] == 0:
        return UNCORRECTED
    return ADMITTED


@bare
def _late(row: I64, config: I64, ts: int, due: I64, i: int) -> int:
    """Refused, or folded in at the line's next publishing tick: what is late together is then revised together."""
    row[L_LATE] += 1
    watermark = row[L_NEWEST] - config[LC_LATENESS_NS]
    # Before the line's first event there is no state to begin from.
    if config[LC_REVISE_NS] == 0 or ts < watermark - config[LC_REVISE_NS] or ts < row[L_OLDEST]:
        return LATE
    if row[L_REVISING] >= MAX_REVISING:
        return OVERFULL
    row[L_REVISING] += 1
    due[i] = _tick_after(row[L_NEWEST], config)
    return REVISES


@hot
def _tick_after(ts: int, config: I64) -> int:
    return int((ts // config[LC_PUBLISH_NS] + 1) * config[LC_PUBLISH_NS])


@hot
def _take(row: I64, ts: int, config: I64, kind: int, due: I64, i: int) -> int:
    """Admit, unless too many wait already.

    What waits was admitted while the newest ts was at most the lateness behind that of now: it lies in the current
    bucket of that width or in the one before. An event that begins a new bucket is always taken, so a line that moves
    on is never stuck.
    """
    width = max(config[LC_LATENESS_NS], 1)
    newest = max(ts, row[L_NEWEST])
    if kind == CORRECTION and row[L_REVISING] >= MAX_REVISING:
        return OVERFULL
    if row[L_ADMITTED] == 0:
        row[L_NEWEST] = newest = ts
        row[L_OLDEST] = ts
        row[L_BUCKET_TS] = ts
    elif newest >= row[L_BUCKET_TS] + width:
        row[L_BUCKET_BEFORE] = row[L_BUCKET] if newest < row[L_BUCKET_TS] + 2 * width else 0
        row[L_BUCKET] = 0
        row[L_BUCKET_TS] = newest
    elif row[L_BUCKET] + row[L_BUCKET_BEFORE] >= MAX_WAITING:
        return OVERFULL
    row[L_NEWEST] = newest
    row[L_OLDEST] = min(row[L_OLDEST], ts)
    row[L_ADMITTED] += 1
    row[L_BUCKET] += 1
    if kind == CORRECTION:
        row[L_REVISING] += 1
        due[i] = _tick_after(newest, config)
    return ADMITTED


@bare
def _append(head: I64, following: I64, line: int, i: int) -> int:
    """Put i behind the held events of a line. Returns the oldest, taken out, where there are too many; else -1."""
    following[i] = -1
    j = head[line]
    if j < 0:
        head[line] = i
        return -1
    count = 1
    while following[j] >= 0:
        j = following[j]
        count += 1
    following[j] = i
    if count < MAX_HELD:
        return -1
    oldest = head[line]
    head[line] = following[oldest]
    return int(oldest)


@hot
def _plain(events: Columns, i: int, row: I64, slot: I64, line_config: I64, most: int) -> bool:
    """Whether event i is admitted, nothing is to be told of it, and nothing of `admit` is needed but the counting.
    `row`, `slot`, `line_config`: of its line and source; `most`: parts that one event may add."""
    kind, ts, seq = events.type[i], events.ts[i], events.seq[i]
    if kind in (CORRECTION, PRODUCT) or (kind == HEARTBEAT and events.code[i] == END):
        return False
    if row[L_ADMITTED] == 0 or ts - row[L_NEWEST] > min(line_config[LC_MAX_JUMP_NS], BELIEVED_JUMP_NS):
        return False
    if kind == COUNT and events.code[i] == PARTS:
        a, b, c = events.a[i], events.b[i], events.c[i]
        if a > most or b > most or c > most or a + b + c > most:
            return False
    if seq != NO_SEQ:
        if line_config[LC_SEQ_MODULUS] != 0 or events.epoch[i] != slot[Q_EPOCH]:
            return False
        if seq != slot[Q_MAX] or seq == 0 or seq == LAST_SEQ:
            return False
        lost = not slot[Q_BITS + (seq >> 6) % Q_WORDS] >> np.int64(seq & 63) & 1
        if lost and seq - SEQ_WINDOW >= slot[Q_FIRST]:
            return False
    width = max(line_config[LC_LATENESS_NS], 1)
    return bool(ts >= row[L_BUCKET_TS] + width or row[L_BUCKET] + row[L_BUCKET_BEFORE] < MAX_WAITING)


@bare
def admit_in_order(
    events: Columns, lines: I64, line_config: I64, station_config: I64, seqs: I64, way: I8, together: I64, how: I8
) -> None:
    """Admit the events of lines that are in order; no event of them may be held.

    `way` (lines), NONE_YET: RISING where every event of the line was admitted, none before the one in front of it, and
    the first behind all that were admitted before. Of a line that is MIXED the events up to the first other one are
    admitted (how[i] = WAITS), and those from it on are not (BY_ROWS). What is admitted is so as by `admit`. `together`
    (lines) is scratch: events of the line at its newest instant.
    """
    nothing_due = together[:0]
    for i in range(events.line.size):
        line = natural(events.line[i])
        if way[line] == MIXED:
            continue
        row = lines[line]
        config = line_config[line]
        s = events.station[i]
        slot = seqs[s if s >= 0 else station_config.shape[0] + line]
        ts = events.ts[i]
        same = ts == row[L_NEWEST] and way[line] == RISING
        together[line] = together[line] + 1 if same else 1
        most = station_config[s, SC_MAX_PARTS] if s >= 0 else 0
        rises = ts > row[L_NEWEST] or (same and together[line] <= TOGETHER)
        if not (rises and _plain(events, i, row, slot, config, most)):
            way[line] = MIXED
            continue
        way[line] = RISING
        how[i] = WAITS
        seq = events.seq[i]
        if seq != NO_SEQ:
            slot[Q_BITS + (seq >> 6) % Q_WORDS] |= np.int64(1) << np.int64(seq & 63)
            slot[Q_MAX] = seq + 1
        slot[Q_EVENTS] += 1
        # As `_look_at_clock` of one that is no bit behind.
        slot[Q_LAG_NS] = 0
        slot[Q_BATCH] += 1
        if slot[Q_BATCH] == CLOCK_BATCH:
            slot[Q_SKEW_NS] = 0
            slot[Q_BATCH] = 0
        _take(row, ts, config, events.type[i], nothing_due, i)


@bare
def let_through(line: I32, ts: I64, way: I8, watermark: I64, how: I8) -> int:
    """Of lines that are RISING, what lies before their watermark goes IN_ORDER. Returns how many do."""
    n = 0
    for i in range(line.size):
        if way[line[i]] == RISING and ts[i] < watermark[line[i]]:
            how[i] = IN_ORDER
            n += 1
    return n
