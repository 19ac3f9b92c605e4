"""Which events of a block are folded, which are late, which are refused and why."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels import layout as at
from kernels.admit import MAX_WAITING, admit
from kernels.cells import tally
from kernels.codes import CORRECTION
from twin.events.block import EventBlock, pick
from twin.line.engine import Engine
from twin.results import REFUSED, TS
from twin.wire.encode import json_records

I64 = npt.NDArray[np.int64]
Verdicts = npt.NDArray[np.int8]

_REASONS: Final = {
    at.LATE: ("late", "older than what the line still keeps (newest event less `lateness`, less `revise`)"),
    at.IMPOSSIBLE: ("impossible_value", "more parts than the station can make in a year, or over 1,000,000,000"),
    at.STALE_EPOCH: ("stale_epoch", "of an epoch before the station's newest one"),
    at.UNCONFIRMED: (
        "jump_unconfirmed",
        "ahead of the line by more than max_jump, or before its first event, and nothing confirmed it",
    ),
    at.OVERFULL: ("line_overfull", f"{MAX_WAITING} events of the line wait for its time to move on; it does not"),
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
    duplicates: int = 0
    late: int = 0


class Admission:
    """Decides event by event, in order of arrival, from the line's own earlier events."""

    def __init__(self, engine: Engine) -> None:
        plant = engine.plant
        self._engine = engine
        self._plant = plant
        self.sequences = np.zeros((len(plant.stations) + len(plant.lines), at.N_Q), np.int64)
        self.held = np.empty((0, at.N_E), np.int64)
        self.held_values: list[bytes] = []
        self.held_offsets = np.empty(0, np.int64)

    def admit(self, new: I64, block: EventBlock) -> Admitted:
        """`new`: the block's rows (twin.line.events)."""
        held = len(self.held)
        events = np.concatenate([self.held, new]) if held else new
        verdict = np.zeros(len(events), np.int8)
        due = np.zeros(len(events), np.int64)
        admit(
            events,
            held,
            self._engine.state.lines,
            self._engine.numbers.lines,
            self._engine.numbers.stations,
            self.sequences,
            verdict,
            np.full(len(self._plant.lines), -1, np.int64),
            np.empty(len(events), np.int64),
            due,
        )
        given = np.zeros(at.UNCORRECTED + 1, np.int64)
        tally(verdict, given)
        result = Admitted(
            events,
            np.flatnonzero(verdict == at.ADMITTED),
            duplicates=int(given[at.DUPLICATE]),
            late=int(given[at.LATE]),
        )
        plain = int(given[at.ADMITTED] + given[at.DUPLICATE]) == len(events)
        if held or not plain or (block.type == CORRECTION).any():
            told = np.flatnonzero(
                ((verdict != at.ADMITTED) & (verdict != at.DUPLICATE))
                | ((events[:, at.E_TYPE] == CORRECTION) & (verdict == at.ADMITTED))
            )
            self._tell(result, events, verdict, due, told, block)
        return result

    def _tell(self, result: Admitted, events: I64, verdict: Verdicts, due: I64, told: I64, block: EventBlock) -> None:
        """What is refused, held, late or a correction is needed as it came."""
        held = len(self.held)
        values = dict(enumerate(self.held_values))
        offsets = np.concatenate([self.held_offsets, block.offset])
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
