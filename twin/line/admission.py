"""Which events of a block are folded, which are late, which are refused and why."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels import layout as at
from kernels.admit import MAX_WAITING, admit
from kernels.codes import CORRECTION, COUNT, PARTS
from twin.events.block import INTEGER_COLUMNS, EventBlock
from twin.line.engine import Engine
from twin.line.rows import own
from twin.results import REJECTED, TS
from twin.wire.encode import json_records

I64 = npt.NDArray[np.int64]
Verdicts = npt.NDArray[np.int8]

_REASONS: Final = {
    at.LATE: ("late", "older than what the line still keeps (newest event less `lateness`, less `revise`)"),
    at.IMPOSSIBLE: ("impossible_value", "more parts than the station can make in a year, or over 1,000,000,000"),
    at.STALE_EPOCH: ("stale_epoch", "of an epoch before the station's newest one"),
    at.UNCONFIRMED: ("jump_unconfirmed", "ahead of the line by more than max_jump, and nothing confirmed it"),
    at.OVERFULL: ("line_overfull", f"{MAX_WAITING} events of the line wait for its time to move on; it does not"),
    at.UNCORRECTED: ("nothing_to_correct", "no such event of the station is kept; give the line a `revise` time"),
}
# Those that only the fold can find; a decoder knows `impossible_value` too.
FOLD_REASONS: Final = frozenset(reason for reason, _ in _REASONS.values())


@dataclass(slots=True)
class Late:
    """A late event that revises the line's rows at its publishing tick `due`."""

    due: int
    row: I64
    value: bytes  # as JSON, in case it has to be refused after all


@dataclass(slots=True)
class Admitted:
    """What became of the events of one block."""

    events: I64
    revising: list[Late] = field(default_factory=list)
    corrections: dict[int, bytes] = field(default_factory=dict)  # by arrival: JSON of those among the events
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

    def admit(self, new: I64, block: EventBlock) -> Admitted:
        """`new`: the block's rows (twin.line.events)."""
        new, block, refused = self._possible(new, block)
        held = len(self.held)
        events = np.concatenate([self.held, new])
        verdict = np.zeros(len(events), np.int8)
        due = np.zeros(len(events), np.int64)
        admit(
            events,
            held,
            self._engine.state.lines,
            self._engine.numbers.lines,
            self.sequences,
            len(self._plant.stations),
            verdict,
            np.full(len(self._plant.lines), -1, np.int64),
            np.full(len(events), -1, np.int64),
            due,
        )
        result = Admitted(
            events[verdict == at.ADMITTED],
            rejected=refused,
            duplicates=int((verdict == at.DUPLICATE).sum()),
            late=int((verdict == at.LATE).sum()),
        )
        corrections = events[:, at.E_TYPE] == CORRECTION
        plain = (verdict == at.ADMITTED) & ~corrections
        told = np.flatnonzero(~plain & (verdict != at.DUPLICATE))
        if told.size or held:
            self._tell(result, events, verdict, due, told, block)
        return result

    def _tell(self, result: Admitted, events: I64, verdict: Verdicts, due: I64, told: I64, block: EventBlock) -> None:
        """What is refused, held, late or a correction is needed as it came."""
        held = len(self.held)
        values = dict(enumerate(self.held_values))
        fresh = told[told >= held]
        values.update(zip(fresh.tolist(), json_records(_pick(block, fresh - held), self._plant), strict=True))
        known = (at.ADMITTED, at.DUPLICATE, at.HELD, at.REVISES)
        refused = np.flatnonzero(~np.isin(verdict, known))
        if refused.size:
            theirs = [values[k] for k in refused.tolist()]
            result.rejected.append(self.rejected(events[refused], verdict[refused], theirs))
        for k in np.flatnonzero(verdict == at.REVISES).tolist():
            result.revising.append(Late(int(due[k]), events[k].copy(), values[k]))
        for k in np.flatnonzero((verdict == at.ADMITTED) & (events[:, at.E_TYPE] == CORRECTION)).tolist():
            result.corrections[int(events[k, at.E_ARRIVAL])] = values[k]
        kept = np.flatnonzero(verdict == at.HELD)
        self.held = events[kept]
        self.held_values = [values[k] for k in kept.tolist()]

    def _possible(self, new: I64, block: EventBlock) -> tuple[I64, EventBlock, list[pa.Table]]:
        """Without what no station can have made in one go, and corrections of lines that keep nothing to correct."""
        numbers = self._engine.numbers
        limit = numbers.stations[new[:, at.E_STATION], at.SC_MAX_PARTS]
        # Each is cut first: the sum of three int64 may wrap.
        parts = sum(np.minimum(new[:, column], limit + 1) for column in (at.E_A, at.E_B, at.E_C))
        verdict = np.full(len(new), at.ADMITTED, np.int8)
        verdict[(new[:, at.E_TYPE] == COUNT) & (new[:, at.E_CODE] == PARTS) & (parts > limit)] = at.IMPOSSIBLE
        forgets = numbers.lines[new[:, at.E_LINE], at.LC_REVISE_NS] == 0
        verdict[(new[:, at.E_TYPE] == CORRECTION) & forgets] = at.UNCORRECTED
        bad = np.flatnonzero(verdict != at.ADMITTED)
        if not bad.size:
            return new, block, []
        good = np.flatnonzero(verdict == at.ADMITTED)
        refused = self.rejected(new[bad], verdict[bad], json_records(_pick(block, bad), self._plant))
        return new[good], _pick(block, good), [refused]

    def rejected(self, rows: I64, verdict: Verdicts, values: Sequence[bytes]) -> pa.Table:
        """Rows of the set `rejected` without their origin."""
        told = [_REASONS[int(v)] for v in verdict]
        return pa.table(
            [
                pa.array([reason for reason, _ in told], pa.string()).dictionary_encode(),
                pa.array([detail for _, detail in told], pa.string()),
                pa.array([self._plant.lines[k].id for k in rows[:, at.E_LINE].tolist()], pa.string()),
                pa.array(rows[:, at.E_TS]).cast(TS),
                pa.array(values, pa.binary()),
            ],
            schema=own(REJECTED),
        )


def _pick(block: EventBlock, index: I64) -> EventBlock:
    return replace(block, **{name: getattr(block, name)[index] for name in INTEGER_COLUMNS})
