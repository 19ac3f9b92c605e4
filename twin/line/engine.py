"""The state of a partition's lines and the kernels that move it: sorted events and time in, rows out."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.fold import bits
from kernels.fold import layout as at
from kernels.fold.arrays import Columns, Gathered, Model, Out
from kernels.fold.fold import fold, fold_in_order, pass_time
from kernels.fold.path import N_MIX
from twin.line import snapshot as snap
from twin.line.alerts import Alerts
from twin.line.bottlenecks import Bottlenecks
from twin.line.compact import compacted, renumber
from twin.line.declared import Declarations
from twin.line.doubts import Doubts
from twin.line.numbers import Numbers, cut_at_ticks, model, numbers
from twin.line.remembered import LineMemory
from twin.line.result_rows import Made, RowMaker, first_stations
from twin.line.shape import Translation, empty_state
from twin.line.stops import decided
from twin.line.texts import Texts
from twin.line.untouched import untouched
from twin.measures.catalogue import declared
from twin.measures.families import Families
from twin.measures.protocol import Observed
from twin.plant.model import Plant
from twin.plant.shared import once_a_plant

I8 = npt.NDArray[np.int8]
I64 = npt.NDArray[np.int64]
Tables = dict[str, pa.Table]

_OUT_ROWS: Final = 8_192  # grows where one instant needs more
# Where rows may wait for each other: making them costs by the call, and of 4,000 half of it was that.
_ENOUGH_ROWS: Final = 16_384
# Events that go in order and are rows at a time: they stand in the second cache of a core.
_GATHERED: Final = 4_096


@dataclass(frozen=True, slots=True)
class Held:
    """Rows of key figures that are numbers yet. They are to be made one after the other, in whatever thread."""

    rows: int
    table: Callable[[], pa.Table]


class _SavedLine(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """One line's rows of every array, with the texts they name: of use whatever the partition's texts are by then."""

    closings: int
    arrays: dict[str, bytes]
    texts: list[str]
    memory: LineMemory


_SAVED_LINE: Final = msgspec.msgpack.Decoder(_SavedLine)


@once_a_plant
def _row_maker(plant: Plant) -> RowMaker:
    return RowMaker(plant, first_stations(plant.lines))


@once_a_plant
def _bottlenecks(plant: Plant) -> Bottlenecks:
    return Bottlenecks(plant.lines, first_stations(plant.lines))


class Engine:
    """Folds what admission let through. Rows depend on the order of each line's events, never on the calls."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.numbers = self.plant_numbers = numbers(plant)
        self.state = empty_state(plant, self.numbers)
        self.texts = Texts()
        self.memory: dict[int, LineMemory] = {}
        self.rows = _row_maker(plant).of(self.texts)
        self._bottlenecks = _bottlenecks(plant)
        self.doubts = Doubts(plant, self.texts)
        self.alerts = Alerts(plant, self.doubts)
        self.declarations = Declarations(self)
        self._measures = declared(plant)
        self.families = Families(plant, self.numbers.lines[:, at.LC_PUBLISH_NS])
        self.left_out: frozenset[str] = frozenset()  # sets of which no rows are made
        self.hold_rows = False  # rows of key figures may wait until there are enough, or `held` asks for them
        self._apart = False  # and may be made by another thread
        self._handed: list[Held] = []
        self._memory_apart: dict[int, LineMemory] = {}
        self.model: Model | None = None
        self._covered = (0, 0)
        self._out = _out(_OUT_ROWS, plant, len(self.numbers.places))
        self._given: list[list[I64]] = [[] for _ in range(at.N_OUT)]  # rows put aside
        self._gathered: Gathered | None = None

    def leave_out(self, sets: Collection[str]) -> None:
        """See `twin.line.PartitionTwin.leave_out`; before the first event."""
        self.left_out = frozenset(sets)
        # A revision compares the rows of two folds, so it wants them at once.
        self.hold_rows = not (self.numbers.lines[:, at.LC_REVISE_NS] > 0).any()
        # What families are asked stands in the same calendars.
        self._apart = self.hold_rows and "alerts" in sets and not self.families
        self.numbers = self.plant_numbers = cut_at_ticks(self.numbers)

    @property
    def watermarks(self) -> I64:
        """Per line: newest admitted event less the lateness; 0 before the first."""
        return self.watermarks_of(slice(None))

    def watermarks_of(self, lines: I64 | slice) -> I64:
        newest = self.state.lines[lines, at.L_NEWEST]
        return np.where(newest > 0, newest - self.numbers.lines[lines, at.LC_LATENESS_NS], 0)

    def _cover(self, times: I64, until: I64) -> Model:
        """Calendars that reach over all time this call may run through. `times`: of events to be folded."""
        ends = [int(until.max())] if until.size else []
        known = self.model is not None and max(ends, default=0) <= self._covered[1]
        # What was folded lies within it.
        if self.model is not None and known and (not len(times) or int(times.min()) >= self._covered[0]):
            return self.model
        seen = self.state.lines[:, at.L_SEEN] > 0
        begins = []
        if len(times) and not seen.all():  # a line that was seen has no event before its last one
            begins.append(int(times.min()))
        if seen.any():
            begins.append(int(self.state.lines[seen, at.L_LAST].min()))
        low, high = min(begins, default=0), max([*ends, *begins], default=0)
        if self.model is None or low < self._covered[0] or high > self._covered[1]:
            self._covered = (low, high)
            self.model = model(self.numbers, low, high)
            self._covered = (low, int(self.model.calendar_end[0]) - 1)
        return self.model

    def products(self, line: int) -> list[Made]:
        """What each station of a line makes."""
        lo, count = self.numbers.lines[line, [at.LC_STATION, at.LC_STATIONS]].tolist()
        of_line = int(self.state.lines[line, at.L_PRODUCT])
        stations = self.state.stations[lo : lo + count]
        modes = stations[:, at.S_STRETCH].tolist()
        if at.STRETCH_LEFT not in modes and at.STRETCH_OWN not in modes:  # nearly always
            return [self.declarations.text(line, of_line) or of_line] * count
        own = {at.STRETCH_LEFT: np.full(count, -1), at.STRETCH_OWN: stations[:, at.S_OWN_PRODUCT]}
        made = [int(own[mode][k]) if mode in own else of_line for k, mode in enumerate(modes)]
        return [self.declarations.text(line, number) or number for number in made]

    def fold(self, events: I64, until: I64) -> Model:
        """Fold sorted events and put aside what they give, for `run`. No line comes to stand behind `until`.

        Returns the model, with calendars as far as that.
        """
        m = self._cover(events[:, at.E_TS], until)
        for piece in self.declarations.pieces(events) if self.declares else (events,):
            done = 0
            while done < len(piece):
                m = self.model or m  # what is declared changes it
                before, done = done, int(fold(m, self.state, self._out, piece, done, len(piece)))
                self._put_aside(done > before, all_done=done == len(piece))
        return self.model or m

    def fold_in_order(self, events: Columns, how: I8, until: I64) -> None:
        """Fold the events that go IN_ORDER. Those of their lines that wait, and are due, must be folded before."""
        lines = len(self.numbers.lines)
        if self._gathered is None:
            rows = np.empty((2, _GATHERED + lines * at.TOGETHER, at.N_E), np.int64)
            begin, to, end = (np.zeros(lines, np.int64) for _ in range(3))
            self._gathered = Gathered(rows, begin, to, end, np.zeros(at.N_G, np.int64))
        work = self._gathered
        for array in work[1:]:
            array[:] = 0
        unseen = not (self.state.lines[:, at.L_SEEN] > 0).all()
        m = self._cover(events.ts[how == at.IN_ORDER] if unseen else events.ts[:0], until)
        whole = False
        while not whole:
            before = int(work.begin.sum()), work.turn.tolist()
            whole = bool(fold_in_order(m, self.state, self._out, events, how, work))
            moved = whole or before != (int(work.begin.sum()), work.turn.tolist())
            self._put_aside(moved, all_done=whole)

    @property
    def declares(self) -> bool:
        return self.texts.declared or self.declarations.any

    def doubt(self, line: int, station: int, kind: int, ts: int, subject: str) -> None:
        """What casts doubt on figures, seen beside the fold; as the fold would say it."""
        row = [line, station, kind, at.RAISED, ts, self.texts.number(subject)]
        self._given[at.N_ALERT].append(np.array([row], np.int64))

    def own_numbers(self) -> Numbers:
        """The numbers of the plant, to be changed for what is declared of products."""
        if self.numbers is self.plant_numbers:
            n = self.numbers
            self.numbers = replace(n, stations=n.stations.copy(), ideal=n.ideal.copy(), made=n.made.copy())
        return self.numbers

    def renew_model(self) -> None:
        """After a change of the numbers."""
        if self.model is not None:
            n = self.numbers
            self.model = self.model._replace(stations=n.stations, ideal=n.ideal, made=n.made)

    def alerts_of_admission(self, told: I64) -> pa.Table:
        return self.alerts.of_admission(told)

    def run(self, events: I64, lines: I64, until: I64) -> Tables:
        """Fold sorted events, then let time of `lines` pass up to `until`, timers at that instant included.

        Returns the rows that became certain, by set, those put aside included.
        """
        if len(events) or len(lines):
            m = self.fold(events, until)
            done = 0
            while done < len(lines):
                before, done = done, int(pass_time(m, self.state, self._out, lines, until, done))
                self._put_aside(done > before, all_done=done == len(lines))
        given, self._given = self._given, [[] for _ in self._given]
        if self.hold_rows and given[at.N_KPI]:
            kpis = given[at.N_KPI]
            if sum(map(len, kpis)) < _ENOUGH_ROWS:
                self._given[at.N_KPI], given[at.N_KPI] = kpis, []
            elif self._apart:
                self._handed.append(self._held(kpis))
                given[at.N_KPI] = []
        # Observations that stand in the output are read there, before anything else is folded.
        if n := int(self._out.n[at.N_MEASURED]):
            given[at.N_MEASURED].append(self._out.measured[:n])
            self._out.n[at.N_MEASURED] = 0
        tables = self._collect([_one(parts) if parts else None for parts in given])
        if self.families and len(lines):
            rows = self.families.rows(zip(lines.tolist(), until.tolist(), strict=True))
            tables |= self.rows.of_families(rows)
        return tables

    def held(self, *, all_of_them: bool = False) -> "list[Held]":
        """Rows that waited for others, when there are enough, or whatever there is."""
        if all_of_them and self._given[at.N_KPI]:
            kpis, self._given[at.N_KPI] = self._given[at.N_KPI], []
            self._handed.append(self._held(kpis))
        handed, self._handed = self._handed, []
        return handed

    def _held(self, kpis: list[I64]) -> "Held":
        texts = Texts(self.texts.all)  # these go on
        maker, alerts = self.rows.of(texts), Alerts(self.plant, self.doubts) if self._apart else self.alerts
        memory = self._memory_apart if self._apart else self.memory

        def table() -> pa.Table:
            made = maker.kpis(_one(kpis))
            alerts.from_kpis(made, memory)
            return made

        return Held(sum(map(len, kpis)), table)

    def remember_held(self) -> None:
        """What rows that were made apart say of their stations."""
        for line, mine in self._memory_apart.items():
            self.memory.setdefault(line, LineMemory()).suspects = mine.suspects

    def _put_aside(self, moved: bool, *, all_done: bool) -> None:
        """Empty the output. Where nothing moved although it was empty, one instant needs more room.

        `all_done`: observations stay where they are. They are wide, and copies of them were a sixth of what they cost.
        """
        if not moved and not self._out.n.any():
            self._grow()
            return
        kinds = at.N_MEASURED if all_done else at.N_OUT
        for parts, array, n in zip(self._given[:kinds], self._out[:kinds], self._out.n, strict=False):
            if n:
                parts.append(array[:n].copy())
        self._out.n[:kinds] = 0

    def _grow(self) -> None:
        """One instant needs more room than there is: more output rows, more closings."""
        if self._out.n.any():
            self._put_aside(True, all_done=False)
        self._out = _out(2 * len(self._out.kpis), self.plant, len(self.numbers.places))
        x = self.state
        self.state = x._replace(
            closings=_wider(x.closings), deltas=_wider(x.deltas), closing_orders=_wider(x.closing_orders)
        )

    def _collect(self, parts: list[I64 | None]) -> Tables:
        kpis, intervals, paths, alerts, active, measured = parts
        tables: Tables = {}
        if intervals is not None and "states" not in self.left_out:
            tables["states"] = self.rows.states(decided(intervals, self.memory))
        beside = self.declares
        if measured is not None:
            doubts = self._observed(measured)
            beside |= bool(len(doubts))
            alerts = doubts if alerts is None else np.concatenate([alerts, doubts])
        if alerts is not None:
            if beside:
                _by_time(alerts)
            self.alerts.from_fold(alerts, self.memory)
        if kpis is not None:
            tables["kpis"] = self.rows.kpis(kpis)
            self.alerts.from_kpis(tables["kpis"], self.memory)
        judged = not {"bottlenecks", "alerts"} <= self.left_out
        if judged and (paths is not None or active is not None):
            none = np.empty((0, at.N_PO), np.int64)
            idle = np.empty((0, at.N_PA), np.int64)
            found = list(
                self._bottlenecks.intervals(
                    none if paths is None else paths, idle if active is None else active, self.memory
                )
            )
            for one in found:
                assert one.cells[:, 0].sum() == one.elapsed, f"critical path of {one} does not sum to its time"
            if found:
                tables["bottlenecks"] = self.rows.bottlenecks(found)
                self.alerts.from_bottlenecks(found, self.memory)
        alarmed = self.alerts.table()
        if alarmed.num_rows:
            tables["alerts"] = alarmed
        return tables

    def _observed(self, rows: I64) -> I64:
        """Hand observations to the families. What casts doubt on them, as alerts of the fold."""
        dates, first = self.rows.dates, rows[0]
        # A value ends the time that it is of: shift and day are those of the instant before. Parts begin it.
        span = dates.around(int(first[at.MO_LINE]), int(first[at.MO_TS] - 1 + first[at.MO_COUNTED]))

        def asked(rows: I64) -> tuple[I64, I64]:
            return dates.at(rows[:, at.MO_LINE], rows[:, at.MO_TS] - 1 + rows[:, at.MO_COUNTED])

        doubts, told = self.families.take(Observed(rows, asked, span), self.texts.text)
        self.alerts.from_families(told)
        for row in doubts:
            row[at.AO_SINCE] = self.texts.number(self._measures[row[at.AO_SINCE]].measure.id)
        return doubts

    def measured_so_far(self, line: int) -> Tables:
        """Rows of all that was measured of a line and is not written yet, whatever may still come."""
        rows = self.families.rows([(line, at.FAR)])
        return self.rows.of_families(rows)

    def remembered(self, line: int) -> LineMemory:
        """What the line remembers, with the states of its families, for what is saved."""
        mine, families = self.memory.get(line, LineMemory()), self.families.save(line)
        return msgspec.structs.replace(mine, families=families) if families else mine

    def remember(self, line: int, saved: LineMemory) -> None:
        """Take back what was saved. Raises ValueError."""
        self.families.load(line, saved.families)
        saved.families = {}
        self.memory[line] = saved
        self.declarations.load(line)

    def save_line(self, line: int) -> bytes:
        """All that one line is, but for what admission knows of it. Equal states give equal bytes."""
        memory = {line: self.remembered(line)}
        mine = compacted(self.state, self.numbers, [line], [], memory, self.texts.all, only=True)
        mine.state.lines[line, list(at.ADMISSION)] = 0
        width = snap.closings_width(mine.state, [line])
        arrays = snap.joined(snap.pack_arrays(mine.state, self.numbers, [line], width))
        return snap.squeeze(_SavedLine(width, arrays, mine.texts, mine.memory[line]))

    def load_line(self, line: int, data: bytes, written: Translation | None = None) -> None:
        """Set a line back to what `save_line` gave; what admission knows of it stays.

        `written`: in the names of another version. Raises SnapshotError.
        """
        saved = snap.unsqueeze(data, _SAVED_LINE)
        self.widen(saved.closings)
        row = self.state.lines[line]
        known = row[list(at.ADMISSION)]
        snap.unpack_arrays(self.state, self.numbers, [line], saved.arrays, saved.closings, written, fresh=False)
        if written is not None:
            saved.memory.stops = snap.translated_stops(saved.memory.stops, written)
        row[list(at.ADMISSION)] = known
        mapping = np.array([*map(self.texts.raw_number, saved.texts), -1], np.int64)
        renumber(self.state, self.numbers, line, saved.memory, mapping)
        try:
            self.remember(line, saved.memory)
        except ValueError as fault:
            raise snap.SnapshotError(str(fault)) from fault

    def widen(self, closings: int) -> None:
        while self.state.closings.shape[1] < closings:
            self._grow()

    def fold_with(self, made: Model) -> None:
        """Take this model from here on, whatever the time."""
        self.model, self._covered = made, (0, at.FAR)

    def compile_with(self, start_ns: int, end_ns: int) -> None:
        """Calendars for a time of which no event has told yet."""
        self.model = model(self.numbers, start_ns, end_ns)


def _out(rows: int, plant: Plant, places: int) -> Out:
    stations, lines = len(plant.stations), len(plant.lines)
    widths = (at.N_KO, at.N_IO, at.N_PO, at.N_AO, at.N_PA, at.N_MO)
    # Observations stay here for a whole run, and where there are none their memory is never touched.
    lengths = (rows, rows, rows, rows, rows, 4 * rows)
    arrays = [np.empty((length, width), np.int64) for length, width in zip(lengths, widths, strict=True)]
    return Out(
        arrays[0],
        arrays[1],
        arrays[2],
        arrays[3],
        arrays[4],
        arrays[5],
        np.zeros(at.N_OUT, np.int64),
        np.zeros(stations, np.int64),
        untouched((N_MIX, stations + places), lines),  # 1 MB of 1,000 lines, in each partition
        np.zeros(len(at.PANE_COLUMNS), np.int64),
        np.zeros(bits.words(stations), np.int64),
        np.zeros(bits.words(stations), np.int64),
        np.zeros(rows, np.int64),
        np.zeros(stations, np.int64),
    )


def _one(parts: list[I64]) -> I64:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _by_time(alerts: I64) -> None:
    """Put what casts doubt into the order of its time: what is seen beside the fold came before or behind all else."""
    doubts = np.flatnonzero(alerts[:, at.AO_KIND] >= at.DOUBT_READING)
    alerts[doubts] = alerts[doubts[np.argsort(alerts[doubts, at.AO_TS], kind="stable")]]


def _wider(array: I64) -> I64:
    wider = np.zeros((array.shape[0], 2 * array.shape[1], array.shape[2]), np.int64)
    wider[:, : array.shape[1]] = array
    return wider
