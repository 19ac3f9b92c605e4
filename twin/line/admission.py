"""Which events of a block are folded, which are late, which are refused and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.codes import CORRECTION, END, HEARTBEAT
from kernels.fold import layout as at
from kernels.fold.admit import MAX_WAITING, admit, admit_in_order, missing
from kernels.fold.arrays import Columns
from kernels.read.parquet_cells import tally
from twin.events.block import EventBlock, pick
from twin.events.reasons import Name
from twin.line.correction import MAX_STANDING
from twin.line.engine import Engine
from twin.line.untouched import untouched
from twin.results import REFUSED, TS
from twin.wire.encode import json_records

I64 = npt.NDArray[np.int64]
Verdicts = npt.NDArray[np.int8]

_REASONS: Final[dict[int, tuple[Name, str]]] = {
    at.LATE: ("late", "older than what the line still keeps (newest event less `lateness`, less `revise`)"),
    at.IMPOSSIBLE: ("impossible_value", "more parts than the station can make in a year, or over 1,000,000,000"),
    at.STALE_EPOCH: ("stale_epoch", "of an epoch before the station's newest one"),
    at.UNCONFIRMED: (
        "jump_unconfirmed",
        "ahead of the line by more than max_jump or 30 min, or its first, and no later event confirmed it",
    ),
    at.OVERFULL: (
        "line_overfull",
        f"{MAX_WAITING} events of the line wait for its time to move on, or {MAX_STANDING} corrections of it stand",
    ),
    at.UNCORRECTED: ("nothing_to_correct", "no such event of the station is kept; give the line a `revise` time"),
}
# Those that only the fold can find; a decoder knows `impossible_value` too.
FOLD_REASONS: Final = frozenset(reason for reason, _ in _REASONS.values())


@dataclass(slots=True)
class Late:
    """A late event, or a correction, that revises the line's rows at its publishing tick `due`."""

    due: int
    row: I64
    value: bytes  # as JSON, in case it has to be refused after all
    offset: int  # of its record


@dataclass(slots=True)
class Admitted:
    """What became of the events of one block."""

    rows: I64
    admitted: I64  # places in `rows`
    revising: list[Late] = field(default_factory=list)
    corrections: list[Late] = field(default_factory=list)  # late or not, in order of arrival
    rejected: list[pa.Table] = field(default_factory=list)
    told: I64 = field(default_factory=lambda: np.empty((0, at.N_TOLD), np.int64))  # tallies of sources
    ended: int = 0  # ends of logs, corrections of whole lines: there is nothing of them to fold
    duplicates: int = 0
    late: int = 0


@dataclass(frozen=True, slots=True)
class Fact:
    """What admission counted of one source: a station, or a line's own events (`station` None).

    Part of the state: never folded again, and the same however the log was cut. Places are offsets of the record in
    which it was first seen.
    """

    line: int
    station: int | None  # plant-wide index
    events: int  # admitted, held ones once they are confirmed, and late ones
    late: int  # behind the watermark, of an old epoch, or of a number too far back
    late_at: int | None
    repeats: int  # the same number again
    repeat_at: int | None
    gaps: int  # numbers that were never seen and are over 1,024 back, or of an epoch that is over
    gap_at: int | None
    missing: int  # not seen among the last 1,024 numbers: they may still come
    lag_ns: int  # how little any of the last 64 events was behind its line's newest one: a clock that is behind


def _offset(stored: int) -> int | None:
    return int(stored) - 1 if stored else None


def _ends(events: I64) -> npt.NDArray[np.bool_]:
    """Heartbeats at which a log ends, and corrections of whole lines, which are no sign of life of any station: they
    move their line's time on, and nothing of them is folded."""
    ends: npt.NDArray[np.bool_] = (events[:, at.E_TYPE] == HEARTBEAT) & (events[:, at.E_CODE] == END)
    ends |= (events[:, at.E_TYPE] == CORRECTION) & (events[:, at.E_STATION] < 0)
    return ends


def room(events: int) -> I64:
    """For what a call of kernels.fold.admit may tell of so many events."""
    told = np.empty((1 + at.MOST_TOLD * events, at.N_TOLD), np.int64)
    told[0, 0] = 0
    return told


class Admission:
    """Decides event by event, in order of arrival, from the line's own earlier events."""

    def __init__(self, engine: Engine) -> None:
        plant = engine.plant
        self._engine = engine
        self._plant = plant
        self.sequences = untouched((len(plant.stations) + len(plant.lines), at.N_Q), len(plant.lines))
        self.wrapped = np.zeros((engine.numbers.wrapped_rows, at.N_W), np.int64)
        self.held = np.empty((0, at.N_E), np.int64)
        self.held_values: list[bytes] = []
        self.held_offsets = np.empty(0, np.int64)

    def admit(self, new: I64, block: EventBlock) -> Admitted:
        """`new`: the block's rows (twin.line.events)."""
        held = len(self.held)
        events = np.concatenate([self.held, new]) if held else new
        verdict = np.zeros(len(events), np.int8)
        due = np.zeros(len(events), np.int64)
        told_of = room(len(events))
        offsets = np.concatenate([self.held_offsets, block.offset])
        admit(
            events,
            held,
            self._engine.state.lines,
            self._engine.numbers.lines,
            self._engine.numbers.stations,
            self.sequences,
            self.wrapped,
            offsets,
            verdict,
            told_of,
            np.full(len(self._plant.lines), -1, np.int64),
            np.empty(len(events), np.int64),
            due,
        )
        given = np.zeros(at.N_VERDICTS, np.int64)
        tally(verdict, given)
        folded, ended = verdict == at.ADMITTED, 0
        corrects = (events[:, at.E_TYPE] == CORRECTION).any()
        if held or corrects or (block.type == HEARTBEAT).any():
            ends = _ends(events) & folded
            folded &= ~ends
            ended = int(ends.sum())
        result = Admitted(
            events,
            np.flatnonzero(folded),
            ended=ended,
            duplicates=int(given[at.DUPLICATE]),
            late=int(given[at.LATE]),
            told=told_of[1 : 1 + told_of[0, 0]],
        )
        plain = int(given[at.ADMITTED] + given[at.DUPLICATE]) == len(events)
        if held or not plain or corrects:
            told = np.flatnonzero(
                ((verdict != at.ADMITTED) & (verdict != at.DUPLICATE))
                | ((events[:, at.E_TYPE] == CORRECTION) & (verdict == at.ADMITTED))
            )
            self._tell(result, events, verdict, due, told, block, offsets)
        return result

    def in_order(self, events: Columns, how: Verdicts) -> Verdicts:
        """Admit what comes in order, as long as nothing is to be told of it (`kernels.fold.admit.admit_in_order`), and
        say of each event how it goes. Nothing may be held."""
        n = self._engine.numbers
        way, together = np.zeros(len(n.lines), np.int8), np.zeros(len(n.lines), np.int64)
        admit_in_order(events, self._engine.state.lines, n.lines, n.stations, self.sequences, way, together, how)
        return way

    def _tell(
        self, result: Admitted, events: I64, verdict: Verdicts, due: I64, told: I64, block: EventBlock, offsets: I64
    ) -> None:
        """What is refused, held, late or a correction is needed as it came."""
        held = len(self.held)
        values = dict(enumerate(self.held_values))
        fresh = told[told >= held]
        values.update(zip(fresh.tolist(), json_records(pick(block, fresh - held), self._plant), strict=True))
        known = (at.ADMITTED, at.DUPLICATE, at.HELD, at.REVISES)
        refused = np.flatnonzero(~np.isin(verdict, known))
        if refused.size:
            theirs = [values[k] for k in refused.tolist()]
            result.rejected.append(self.rejected(events[refused], verdict[refused], theirs, offsets[refused]))
        for k in np.flatnonzero(verdict == at.REVISES).tolist():
            result.revising.append(Late(int(due[k]), events[k].copy(), values[k], int(offsets[k])))
        takes_effect = np.isin(verdict, (at.ADMITTED, at.REVISES)) & (events[:, at.E_TYPE] == CORRECTION)
        for k in np.flatnonzero(takes_effect).tolist():
            result.corrections.append(Late(int(due[k]), events[k].copy(), values[k], int(offsets[k])))
        kept = np.flatnonzero(verdict == at.HELD)
        self.held = events[kept]
        self.held_values = [values[k] for k in kept.tolist()]
        self.held_offsets = offsets[kept]

    def facts(self) -> Iterator[Fact]:
        """What is known of every source that was heard, beside its events; sources in the order of the plant."""
        stations = len(self._plant.stations)
        for slot in np.flatnonzero(self.sequences.any(axis=1)).tolist():
            row = self.sequences[slot]
            line = slot - stations if slot >= stations else int(self._engine.numbers.stations[slot, at.SC_LINE])
            yield Fact(
                line,
                slot if slot < stations else None,
                events=int(row[at.Q_EVENTS]),
                late=int(row[at.Q_LATE]),
                late_at=_offset(row[at.Q_LATE_AT]),
                repeats=int(row[at.Q_REPEATS]),
                repeat_at=_offset(row[at.Q_REPEAT_AT]),
                gaps=int(row[at.Q_GAPS]),
                gap_at=_offset(row[at.Q_GAP_AT]),
                missing=int(missing(row)) if row[at.Q_MAX] else 0,
                lag_ns=int(row[at.Q_SKEW_NS]),
            )

    def rejected(self, rows: I64, verdict: Verdicts, values: Sequence[bytes], offsets: I64) -> pa.Table:
        """Rows of the schema REFUSED."""
        told = [_REASONS[int(v)] for v in verdict]
        return pa.table(
            [
                pa.array([reason for reason, _ in told], pa.string()).dictionary_encode(),
                pa.array([detail for _, detail in told], pa.string()),
                pa.array([self._plant.lines[k].id for k in rows[:, at.E_LINE].tolist()], pa.string()),
                pa.array(rows[:, at.E_TS]).cast(TS),
                pa.array(values, pa.binary()),
                pa.array(offsets),
            ],
            schema=REFUSED,
        )
