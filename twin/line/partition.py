"""The twin of one partition: event columns in, rows out. A pure function of the events, in any cut."""

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels import layout as at
from kernels.admit import admit
from kernels.arrays import Model, Out
from kernels.codes import COUNT, HEARTBEAT, PARTS
from kernels.fold import fold, pass_time
from twin.events.block import DTYPES, INTEGER_COLUMNS, EventBlock
from twin.line import snapshot as snap
from twin.line.alerts import Alerts
from twin.line.bottlenecks import Bottlenecks
from twin.line.events import Preparation, in_order
from twin.line.memory import LineMemory
from twin.line.numbers import empty_state, model, numbers
from twin.line.rows import RowMaker, first_stations, own
from twin.line.stops import decided
from twin.line.texts import Texts
from twin.line.view import LineView, line_view
from twin.plant.model import Plant
from twin.results import REJECTED, TS
from twin.wire.encode import json_records

I64 = npt.NDArray[np.int64]

_OUT_ROWS: Final = 8_192  # grows where one instant needs more
_REASONS: Final = {
    at.LATE: ("late", "older than the line's watermark (newest event less the allowed lateness)"),
    at.IMPOSSIBLE: ("impossible_value", "more parts than the station can make in a year, or over 1,000,000,000"),
    at.STALE_EPOCH: ("stale_epoch", "of an epoch before the station's newest one"),
    at.UNCONFIRMED: ("jump_unconfirmed", "ahead of the line by more than max_jump, and nothing confirmed it"),
}


@dataclass(slots=True)
class Results:
    """Rows by set (schemas of twin.results without ORIGIN), and what became of the events of the call."""

    tables: dict[str, pa.Table] = field(default_factory=dict)
    events: int = 0  # folded
    duplicates: int = 0
    late: int = 0


class PartitionTwin:
    """State of all lines of one partition.

    `fold` may be given any cut of the log: rows depend on the order of each line's events, never on the cut. Audited
    time is event time; nothing here reads a clock.
    """

    def __init__(self, plant: Plant, partition: int) -> None:
        self.plant = plant
        self.partition = partition
        self._numbers = numbers(plant)
        self._state = empty_state(plant, self._numbers)
        self._model: Model | None = None
        self._covered = (0, 0)
        self._texts = Texts()
        self._preparation = Preparation(plant, self._texts)
        first = first_stations(plant.lines)
        self._rows = RowMaker(plant, self._texts, first)
        self._bottlenecks = Bottlenecks(plant.lines, first)
        self._alerts = Alerts(plant)
        self._memory: dict[int, LineMemory] = {}
        self._sequences = np.zeros((len(plant.stations) + len(plant.lines), at.N_Q), np.int64)
        self._held = np.empty((0, at.N_E), np.int64)
        self._held_values: list[bytes] = []
        self._waiting: list[I64] = []
        self._arrival = 0
        self._out = _out(_OUT_ROWS, len(plant.stations))

    def fold(self, block: EventBlock) -> Results:
        """Take events in the order of their arrival; return the rows that became certain."""
        results = Results()
        new = self._preparation.rows(block, self._arrival)
        self._arrival += len(block)
        new, block, impossible = self._possible(new, block)
        admitted = self._admit(new, block, results)
        if impossible is not None:
            other = results.tables.get("rejected", impossible.slice(0, 0))
            results.tables["rejected"] = pa.concat_tables([impossible, other]).unify_dictionaries()
        if len(admitted):
            self._waiting.append(admitted)
        newest = self._state.lines[:, at.L_NEWEST]
        watermark = np.where(newest > 0, newest - self._numbers.lines[:, at.LC_LATENESS_NS], 0)
        events = in_order(self._due(watermark))
        results.events = len(events)
        lines = np.unique(admitted[:, at.E_LINE])
        self._run(events, lines, watermark[lines], results)
        return results

    def _possible(self, new: I64, block: EventBlock) -> tuple[I64, EventBlock, pa.Table | None]:
        """Without the counts that no station can have made in one go; those as refused rows."""
        limit = self._numbers.stations[new[:, at.E_STATION], at.SC_MAX_PARTS]
        # Each is cut first: the sum of three int64 may wrap.
        parts = sum(np.minimum(new[:, column], limit + 1) for column in (at.E_A, at.E_B, at.E_C))
        impossible = (new[:, at.E_TYPE] == COUNT) & (new[:, at.E_CODE] == PARTS) & (parts > limit)
        if not impossible.any():
            return new, block, None
        bad, good = np.flatnonzero(impossible), np.flatnonzero(~impossible)
        values = dict(zip(bad.tolist(), json_records(_pick(block, bad), self.plant), strict=True))
        verdict = np.full(len(bad), at.IMPOSSIBLE, np.int8)
        return new[good], _pick(block, good), self._rejected(new[bad], verdict, bad, values)

    def _due(self, watermark: I64) -> I64:
        """Take the waiting events that lie before their line's watermark.

        They wait in the pieces they came in: a piece is looked at only when its oldest event may be due. Copying all
        that waits with every block took a fifth of the time.
        """
        due = [np.empty((0, at.N_E), np.int64)]
        waiting = []
        highest = int(watermark.max())
        for piece in self._waiting:
            if int(piece[:, at.E_TS].min()) >= highest:
                waiting.append(piece)
                continue
            ready = piece[:, at.E_TS] < watermark[piece[:, at.E_LINE]]
            due.append(piece[ready])
            if not ready.all():
                waiting.append(piece[~ready])
        self._waiting = waiting
        return np.concatenate(due)

    def _admit(self, new: I64, block: EventBlock, results: Results) -> I64:
        held = len(self._held)
        events = np.concatenate([self._held, new])
        verdict = np.zeros(len(events), np.int8)
        admit(
            events,
            held,
            self._state.lines,
            self._numbers.lines,
            self._sequences,
            len(self.plant.stations),
            verdict,
            np.full(len(self.plant.lines), -1, np.int64),
            np.full(len(events), -1, np.int64),
        )
        results.duplicates = int((verdict == at.DUPLICATE).sum())
        results.late = int((verdict == at.LATE).sum())
        refused = np.flatnonzero((verdict != at.ADMITTED) & (verdict != at.DUPLICATE) & (verdict != at.HELD))
        kept = np.flatnonzero(verdict == at.HELD)
        if refused.size or kept.size or held:
            values = dict(enumerate(self._held_values))
            for index in (refused, kept):
                mine = index[index >= held]
                values.update(zip(mine.tolist(), json_records(_pick(block, mine - held), self.plant), strict=True))
            if refused.size:
                results.tables["rejected"] = self._rejected(events[refused], verdict[refused], refused, values)
            self._held = events[kept]
            self._held_values = [values[k] for k in kept.tolist()]
        admitted: I64 = events[verdict == at.ADMITTED]
        return admitted

    def _rejected(self, rows: I64, verdict: npt.NDArray[np.int8], index: I64, values: dict[int, bytes]) -> pa.Table:
        told = [_REASONS[int(v)] for v in verdict]
        return pa.table(
            [
                pa.array([reason for reason, _ in told], pa.string()).dictionary_encode(),
                pa.array([detail for _, detail in told], pa.string()),
                pa.array([self.plant.lines[k].id for k in rows[:, at.E_LINE].tolist()], pa.string()),
                pa.array(rows[:, at.E_TS]).cast(TS),
                pa.array([values[k] for k in index.tolist()], pa.binary()),
            ],
            schema=own(REJECTED),
        )

    def _cover(self, events: I64, until: I64) -> Model:
        """Calendars that reach over all time this call may run through."""
        seen = self._state.lines[:, at.L_SEEN] > 0
        ends = [int(until.max())] if until.size else []
        begins = [int(v) for v in (events[:, at.E_TS].min(),)] if len(events) else []
        if seen.any():
            begins.append(int(self._state.lines[seen, at.L_LAST].min()))
        low, high = min(begins, default=0), max([*ends, *begins], default=0)
        if self._model is None or low < self._covered[0] or high > self._covered[1]:
            self._covered = (low, high)
            self._model = model(self._numbers, low, high)
            self._covered = (low, int(self._model.calendar_end[0]) - 1)
        return self._model

    def _run(self, events: I64, lines: I64, until: I64, results: Results) -> None:
        """Fold, then let time pass to the watermark; empty the output whenever it is full."""
        if not len(events) and not len(lines):
            return
        m = self._cover(events, until)
        parts: list[list[I64]] = [[] for _ in range(5)]
        at_event = at_line = 0
        while at_event < len(events) or at_line < len(lines):
            before = (at_event, at_line)
            if at_event < len(events):
                at_event = int(fold(m, self._state, self._out, events, at_event))
            if at_event == len(events):
                at_line = int(pass_time(m, self._state, self._out, lines, until, at_line))
            empty = not self._out.n.any()
            for k, array in enumerate(self._out[:5]):
                if self._out.n[k]:
                    parts[k].append(array[: self._out.n[k]].copy())
            self._out.n[:] = 0
            if (at_event, at_line) == before and empty:
                self._grow()
        self._collect([np.concatenate(p) if p else None for p in parts], results)

    def _grow(self) -> None:
        """One instant needs more room than there is: more output rows, more closings."""
        self._out = _out(2 * len(self._out.kpis), len(self.plant.stations))
        x = self._state
        self._state = x._replace(closings=_wider(x.closings), deltas=_wider(x.deltas))

    def _collect(self, parts: list[I64 | None], results: Results) -> None:
        kpis, intervals, paths, alerts, active = parts
        tables = results.tables
        if intervals is not None:
            tables["states"] = self._rows.states(decided(intervals, self._memory))
        if alerts is not None:
            self._alerts.from_fold(alerts)
        if kpis is not None:
            tables["kpis"] = self._rows.kpis(kpis)
            self._alerts.from_kpis(tables["kpis"], self._memory)
        if paths is not None or active is not None:
            none = np.empty((0, at.N_PO), np.int64)
            idle = np.empty((0, at.N_PA), np.int64)
            found = list(
                self._bottlenecks.intervals(
                    none if paths is None else paths, idle if active is None else active, self._memory
                )
            )
            for one in found:
                assert one.cells[:, 0].sum() == one.elapsed, f"critical path of {one} does not sum to its time"
            if found:
                tables["bottlenecks"] = self._rows.bottlenecks(found)
                self._alerts.from_bottlenecks(found, self._memory)
        alarmed = self._alerts.table()
        if alarmed.num_rows:
            tables["alerts"] = alarmed

    def view(self, now_ns: int | None = None) -> list[LineView]:
        """The provisional view of every line that was seen. The first call also compiles the kernels.

        `now_ns` is not used: a view is as of the line's own newest folded event, which it carries.
        """
        if self._model is None:
            self._compile()
        views = []
        for number in np.flatnonzero(self._state.lines[:, at.L_SEEN]).tolist():
            mine = self._memory.get(number, LineMemory())
            product = int(self._state.lines[number, at.L_PRODUCT])
            constraint = self._rows.constraint(number, product)
            views.append(
                line_view(
                    number,
                    self.plant.lines[number],
                    constraint,
                    self._numbers,
                    self._state,
                    self._texts,
                    mine.shown,
                    mine.leader,
                )
            )
        return views

    def _compile(self) -> None:
        """Fold one heartbeat into a twin that is thrown away: machine code is then ready before events are."""
        columns: dict[str, Any] = {name: np.zeros(1, DTYPES[name]) for name in INTEGER_COLUMNS}
        columns["type"][:] = HEARTBEAT
        columns["station"][:] = -1
        spare = PartitionTwin(self.plant, self.partition)
        spare._model = model(spare._numbers, 0, 1)
        spare.fold(EventBlock(**columns))
        columns["ts"][:] = 3_600_000_000_000
        columns["seq"][:] = 1
        spare.fold(EventBlock(**columns))

    def snapshot(self) -> bytes:
        """The whole state; equal states give equal bytes."""
        lines = np.flatnonzero(self._state.lines[:, at.L_ADMITTED]).tolist()
        heard = np.flatnonzero(self._sequences[:, at.Q_MAX])
        return snap.encode(
            snap.Snapshot(
                version=snap.VERSION,
                plant=self.plant.hash,
                lines=lines,
                arrays=snap.pack_arrays(self._state, self._numbers, self.plant, lines),
                closings=snap.closings_width(self._state),
                texts=self._texts.all,
                arrival=self._arrival,
                held=self._held.tobytes(),
                held_values=self._held_values,
                waiting=b"".join(piece.tobytes() for piece in self._waiting),
                sequences={"rows": heard.tobytes(), "values": self._sequences[heard].tobytes()},
                memory=dict(sorted(self._memory.items())),
            )
        )

    @classmethod
    def restore(cls, plant: Plant, partition: int, data: bytes) -> "PartitionTwin":
        """Raises SnapshotError for bytes that are damaged, of another version or of another plant model."""
        saved = snap.decode(data)
        if saved.plant != plant.hash:
            raise snap.SnapshotError(f"belongs to plant model {saved.plant}, this one is {plant.hash}")
        twin = cls(plant, partition)
        while twin._state.closings.shape[1] < saved.closings:
            twin._grow()
        snap.unpack_arrays(twin._state, twin._numbers, plant, saved.lines, saved.arrays)
        twin._texts = Texts(saved.texts)
        twin._preparation = Preparation(plant, twin._texts)
        twin._rows = RowMaker(plant, twin._texts, first_stations(plant.lines))
        twin._arrival = saved.arrival
        twin._held = np.frombuffer(saved.held, np.int64).reshape(-1, at.N_E).copy()
        twin._held_values = saved.held_values
        twin._waiting = [np.frombuffer(saved.waiting, np.int64).reshape(-1, at.N_E).copy()] if saved.waiting else []
        heard = np.frombuffer(saved.sequences["rows"], np.int64)
        twin._sequences[heard] = np.frombuffer(saved.sequences["values"], np.int64).reshape(-1, at.N_Q)
        twin._memory = saved.memory
        return twin


def _out(rows: int, stations: int) -> Out:
    widths = (at.N_KO, at.N_IO, at.N_PO, at.N_AO, at.N_PA)
    arrays = [np.empty((rows, width), np.int64) for width in widths]
    return Out(
        arrays[0],
        arrays[1],
        arrays[2],
        arrays[3],
        arrays[4],
        np.zeros(5, np.int64),
        np.zeros(stations, np.int64),
        np.zeros(4, np.int64),
    )


def _wider(array: I64) -> I64:
    wider = np.zeros((array.shape[0], 2 * array.shape[1], array.shape[2]), np.int64)
    wider[:, : array.shape[1]] = array
    return wider


def _pick(block: EventBlock, index: I64) -> EventBlock:
    return replace(block, **{name: getattr(block, name)[index] for name in INTEGER_COLUMNS})
