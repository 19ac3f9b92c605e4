"""Admission: duplicate, late, suspect jump ahead. Event by event, from the line's own earlier events only."""

import numpy as np
import numpy.typing as npt

from kernels.codes import CORRECTION, COUNT, PARTS
from kernels.jit import bare, hot
from kernels.layout import (
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
    HELD,
    IMPOSSIBLE,
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
    LC_LATENESS_NS,
    LC_MAX_JUMP_NS,
    LC_PUBLISH_NS,
    LC_REVISE_NS,
    OVERFULL,
    Q_BITS,
    Q_EPOCH,
    Q_GAPS,
    Q_LEAP,
    Q_MAX,
    Q_WORDS,
    REVISES,
    SC_MAX_PARTS,
    STALE_EPOCH,
    UNCONFIRMED,
    UNCORRECTED,
)

I64 = npt.NDArray[np.int64]
I8 = npt.NDArray[np.int8]

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


@hot
def mark_seq(row: I64, epoch: int, seq: int) -> int:
    """Note a sequence number in a sliding window of the last 1,024; ADMITTED, DUPLICATE, LATE or STALE_EPOCH.

    A number further back than the window is LATE: whether it was seen can no longer be told. One that leaps ahead by
    more than MAX_LEAP is ADMITTED, and moves the window only when another one near it follows.
    """
    if epoch < row[Q_EPOCH]:
        return STALE_EPOCH
    if epoch > row[Q_EPOCH]:
        for w in range(row.size):
            row[w] = 0
        row[Q_EPOCH] = epoch
    newest = row[Q_MAX] - 1
    if row[Q_MAX] == 0:
        newest = seq - 1
        # Numbers before the first one seen count as seen: a twin may start in the middle of a source's life.
        for w in range(Q_WORDS):
            row[Q_BITS + w] = -1
    if seq <= newest:
        if newest - seq >= SEQ_WINDOW:
            return LATE
        word = Q_BITS + (seq >> 6) % Q_WORDS
        bit = np.int64(1) << np.int64(seq & 63)
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
        for w in range(Q_WORDS):
            row[Q_GAPS] += 64 - _ones(row[Q_BITS + w])
            row[Q_BITS + w] = 0
        # What lies between the old and the new window was never seen.
        row[Q_GAPS] += seq - newest - SEQ_WINDOW
    else:
        for number in range(newest + 1, seq + 1):
            word = Q_BITS + (number >> 6) % Q_WORDS
            bit = np.int64(1) << np.int64(number & 63)
            if not row[word] & bit:
                row[Q_GAPS] += 1
            row[word] &= ~bit
    row[Q_BITS + (seq >> 6) % Q_WORDS] |= np.int64(1) << np.int64(seq & 63)
    row[Q_MAX] = seq + 1


@bare
def _ones(word: int) -> int:
    n = 0
    for i in range(64):
        n += int((word >> np.int64(i)) & 1)
    return n


@bare
def admit(
    events: I64,
    held: int,
    lines: I64,
    line_config: I64,
    station_config: I64,
    seqs: I64,
    verdict: I8,
    held_head: I64,
    held_next: I64,
    due: I64,
) -> int:
    """Give every event a verdict, in order of arrival.

    The first `held` rows are events that earlier calls held back. `held_head` (one per line, -1) and `held_next`
    (one per event) are scratch: the held events of a line in order of arrival. `due` (one per event) gets, for an
    event that REVISES and for a correction, the publishing tick at which it takes effect: the first one behind the
    line's newest event, so that they take effect in the order of their arrival. Returns the number still held.

    A line's first event is held like a jump: one from a clock that is far ahead would make all that follows late.
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
        jump = line_config[line, LC_MAX_JUMP_NS]
        first = row[L_ADMITTED] == 0
        if not first and ts - row[L_NEWEST] <= jump:
            verdict[i] = _number(events[i], row, station_config, seqs)
            if verdict[i] != ADMITTED:
                continue
            if ts < row[L_NEWEST] - line_config[line, LC_LATENESS_NS]:
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
            if distance != 0 and -jump <= distance <= jump:
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
            if distance <= jump and not (first and distance < -jump):
                verdict[j] = _number(events[j], row, station_config, seqs)
                if verdict[j] == ADMITTED:
                    verdict[j] = _take(row, events[j, E_TS], line_config[line], events[j, E_TYPE], due, j)
            else:
                verdict[j] = UNCONFIRMED
            still -= 1
            j = held_next[j]
        held_head[line] = -1
        verdict[i] = _number(events[i], row, station_config, seqs)
        if verdict[i] != ADMITTED:
            continue
        if ts < row[L_NEWEST] - line_config[line, LC_LATENESS_NS]:
            verdict[i] = _late(row, line_config[line], ts, due, i)
        else:
            verdict[i] = _take(row, ts, line_config[line], events[i, E_TYPE], due, i)
    return still


@hot
def _number(event: I64, line: I64, station_config: I64, seqs: I64) -> int:
    """ADMITTED, or what the event's number says against it. A suspect event's is noted only once it is confirmed."""
    if event[E_SEQ] == NO_SEQ:
        return ADMITTED
    slot = event[E_STATION]
    if slot < 0:
        slot = station_config.shape[0] + event[E_LINE]
    seen = mark_seq(seqs[slot], event[E_EPOCH], event[E_SEQ])
    if seen == DUPLICATE:
        line[L_DUPLICATES] += 1
    elif seen != ADMITTED:
        line[L_LATE] += 1
    return int(seen)


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
