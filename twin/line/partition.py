"""The twin of one partition: event columns in, rows out. A pure function of the events, in any cut."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.codes import HEARTBEAT
from kernels.figures.stats import batch_means, verdict
from kernels.fold import layout as at
from kernels.fold.admit import let_through, missing
from kernels.fold.arrays import Columns
from twin import rules
from twin.events.block import DTYPES, INTEGER_COLUMNS, EventBlock, pick
from twin.line import parting
from twin.line import snapshot as snap
from twin.line.admission import Admission, Admitted, Fact
from twin.line.compact import compacted
from twin.line.doubts import instant
from twin.line.engine import Engine, Held
from twin.line.events import Named, Preparation, Waiting, in_order
from twin.line.quality import against, of_admission
from twin.line.remembered import LineMemory
from twin.line.revision import Revisions, translated
from twin.line.shape import NAMES, Translation
from twin.line.still_open import StillOpen, still_open
from twin.line.texts import unit_hashes
from twin.line.view import LineView, line_view
from twin.plant.model import Plant
from twin.version import code_version

I64 = npt.NDArray[np.int64]
Pieces = dict[str, list[pa.Table]]

# Texts are looked through when there are so many, and twice as many as were needed the last time.
_FEW_TEXTS: Final = 4_096
# Events whose rows are made, admitted, put in order and folded before the next ones: they then stand in the cache
# (2 MiB). Of 65,536 each step waited for memory: putting them in order took twice as long.
_CACHED: Final = 16_384
# Of fewer events it does not pay to look whether they come in order; where most do not, nor for so many blocks.
_FEW_EVENTS: Final = 256
_MOST_RESTING: Final = 15


@dataclass(slots=True)
class Results:
    """Rows by set (schemas of twin.results without ORIGIN), and what became of the events of the call."""

    tables: dict[str, pa.Table] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)  # rows of kpis that are not made yet, where sets are left out
    events: int = 0  # folded
    duplicates: int = 0
    late: int = 0  # refused as late
    revising: int = 0  # late, and folded in at the line's next publishing tick


@dataclass(frozen=True, slots=True)
class _Ordered:
    """A block of which some events go in order."""

    events: Columns
    how: npt.NDArray[np.int8]
    arrival: int  # number of the first

    @property
    def whole(self) -> bool:
        """Whether none has to be admitted as a row."""
        return bool((self.how != at.BY_ROWS).all())


class PartitionTwin:
    """State of all lines of one partition.

    `fold` may be given any cut of the log: rows depend on the order of each line's events, never on the cut. Audited
    time is event time; nothing here reads a clock.
    """

    def __init__(self, plant: Plant, partition: int) -> None:
        self.plant = plant
        self.partition = partition
        self.engine = Engine(plant)
        self.admission = Admission(self.engine)
        self.revisions = Revisions(self.engine, self.admission)
        self._preparation = Preparation(plant, self.engine.texts)
        self.waiting = Waiting()
        self.arrival = 0
        # The lines that were seen, and their rows, when they were last shown.
        self._viewed: tuple[I64, I64] = (np.empty(0, np.int64), np.empty((0, at.N_L), np.int64))
        self._mixed = self._resting = 0  # for so many blocks nobody looks whether they are in order, and still does not
        self._marks: I64 | None = None  # watermarks of all lines
        self._texts_needed = 0  # when they were last looked through
        self._told: npt.NDArray[np.bool_] | None = None  # lines that an event named, or a state; None: not known
        self.parting: dict[str, bytes] = {}  # rows of a change of the plant model (twin.line.parting)

    def leave_out(self, sets: Collection[str]) -> None:
        """Make no rows of these sets from here on. No row of another depends on them; but the state does not hold what
        they would need, and is none to be saved."""
        self.engine.leave_out(sets)

    def fold(self, block: EventBlock) -> Results:
        """Take events in the order of their arrival; return the rows that became certain."""
        pieces: Pieces = {}
        results = Results()
        lines = self._lines_of(block)
        before = self.engine.state.lines[lines, at.L_ADMITTED]
        if self.parting and len(block):
            _add(pieces, parting.tables(self.parting))
            self.parting = {}
        named = self._preparation.named(block)
        ordered = self._in_order(named, lines)
        # Late events revise rows once for all that came together; and where none is a row there is nothing to cut.
        at_once = self.revisions.any or (ordered is not None and ordered.whole)
        step = max(len(block), 1) if at_once else _CACHED
        for begin in range(0, max(len(block), 1), step):
            end = min(begin + step, len(block))
            events, admitted = self._take(named, begin, end, ordered, lines, results)
            if admitted.rejected:
                pieces.setdefault("rejected", []).extend(admitted.rejected)
            if len(admitted.told):
                pieces.setdefault("alerts", []).append(self.engine.alerts_of_admission(admitted.told))
            watermarks = self._watermarks(lines)
            if end < len(block) or ordered is not None:
                self.engine.fold(events, watermarks)
                events = events[:0]
            if end < len(block):
                continue
            if ordered is not None:
                self.engine.fold_in_order(ordered.events, ordered.how, watermarks)
            heard = lines[self.engine.state.lines[lines, at.L_ADMITTED] != before]
            self._advance(events, heard, watermarks, admitted, pieces)
        # Each event counts as one thing, the last that became of it.
        results.events -= self.revisions.refused_folded
        results.revising -= self.revisions.refused_late
        self.revisions.refused_folded = self.revisions.refused_late = 0
        forgets = len(self.engine.texts.all) > max(_FEW_TEXTS, 2 * self._texts_needed)
        results.held = self.engine.held(all_of_them=forgets)
        results.tables = {name: _joined(tables) for name, tables in pieces.items()}
        if forgets:
            self._forget_texts()
        return results

    def held(self) -> list[Held]:
        """After the last `fold`: what has waited for more rows."""
        return self.engine.held(all_of_them=True)

    def _lines_of(self, block: EventBlock) -> I64:
        """The lines of these events, rising. No others can move: each line is admitted by its own events alone."""
        mark = np.zeros(len(self.plant.lines), np.bool_)
        mark[block.line] = True
        if self._told is not None:
            self._told |= mark
        return np.flatnonzero(mark)

    def _watermarks(self, lines: I64) -> I64:
        """Of every line; these alone may have moved since the last call.

        To ask all 10,000 of a plant was a third of the fold of one event.
        """
        if self._marks is None:
            self._marks = self.engine.watermarks
        else:
            self._marks[lines] = self.engine.watermarks_of(lines)
        return self._marks

    def _in_order(self, named: Named, lines: I64) -> "_Ordered | None":
        """Admit what comes in order, and say of each event how it goes. None: all as rows. `lines`: of these events.

        No number depends on it: it is the short way of most events of most plants.
        """
        n = len(named.block)
        # What is declared, or may be revised or confirmed, is looked at event by event.
        if self.revisions.any or self.engine.declares or len(self.admission.held):
            return None
        if n < max(_FEW_EVENTS, len(self.plant.lines)):
            return None
        if self._resting:
            self._resting -= 1
            return None
        events, how = named.columns(), np.zeros(n, np.int8)
        way = self.admission.in_order(events, how)
        let_through(events.line, events.ts, way, self._watermarks(lines), how)
        # Where most did not, it is tried again later and later: before a line's first event nothing is known of it.
        self._mixed = min(2 * self._mixed + 1, _MOST_RESTING) if np.count_nonzero(how) * 2 < n else 0
        self._resting = self._mixed
        return _Ordered(events, how, self.arrival)

    def _take(
        self, named: Named, begin: int, end: int, ordered: "_Ordered | None", lines: I64, results: Results
    ) -> tuple[I64, Admitted]:
        """What of all events is due after these, in the order of folding, but for what goes in order; and what became
        of these."""
        if ordered is None:
            new, block = named.rows(begin, end, self.arrival), pick(named.block, slice(begin, end))
            admitted = self.admission.admit(new, block)
        else:
            how = ordered.how[begin:end]
            waits, others = (begin + np.flatnonzero(how == one) for one in (at.WAITS, at.BY_ROWS))
            self.waiting.add(named.some(waits, ordered.arrival), np.arange(len(waits)))
            admitted = self.admission.admit(named.some(others, ordered.arrival), pick(named.block, others))
            results.events += int(np.count_nonzero(how == at.IN_ORDER))
        self.arrival += end - begin
        self.waiting.add(admitted.rows, admitted.admitted)
        events = self.waiting.take_due(self._watermarks(lines))
        results.events += len(events) + admitted.ended
        results.duplicates += admitted.duplicates
        results.late += admitted.late
        results.revising += len(admitted.revising)
        return events, admitted

    def _advance(self, events: I64, lines: I64, watermarks: I64, admitted: Admitted, pieces: Pieces) -> None:
        if self.revisions.any:
            self.revisions.take(admitted)
            keeping = self.revisions.keeping
            kept, mine = keeping[events[:, at.E_LINE]], lines[keeping[lines]]
            for tables in self.revisions.advance(events[kept], mine, watermarks[mine]):
                _add(pieces, tables)
            events, lines = events[~kept], lines[~keeping[lines]]
        _add(pieces, self.engine.run(events, lines, watermarks[lines]))

    def view(self, *, changed: bool = False) -> list[LineView]:
        """The provisional view of every line that was seen, as of the line's own newest folded event.

        `changed`: only of lines whose numbers are not those of the last call that asked so. Nothing happens to a line
        without a number of its row moving, so a quiet plant costs one comparison.
        """
        lines = self.engine.state.lines
        wanted = np.flatnonzero(lines[:, at.L_SEEN])
        if changed:
            seen, rows = wanted, lines[wanted]
            before, shown = self._viewed
            if np.array_equal(seen, before):  # nearly always
                moved = (rows != shown).any(axis=1)
            else:
                both = np.intersect1d(seen, before, assume_unique=True, return_indices=True)
                moved = np.ones(len(seen), np.bool_)
                moved[both[1]] = (rows[both[1]] != shown[both[2]]).any(axis=1)
            self._viewed, wanted = (seen, rows), seen[moved]
        views = []
        for number in wanted.tolist():
            mine = self.engine.memory.get(number, LineMemory())
            constraint = self.engine.rows.constraint(number, self.engine.products(number))
            views.append(
                line_view(
                    number,
                    self.plant.lines[number],
                    constraint,
                    self.engine.numbers,
                    self.engine.state,
                    self.engine.texts,
                    mine.shown,
                    mine.leader,
                )
            )
        return views

    def doubts(self) -> list[str]:
        """What casts doubt on the figures so far, a sentence each: also what was late, repeated or is missing,
        readings of counters that still wait, stations never heard of, cycles that contradict the buffers."""
        return [text for _, text in self.doubts_by_line()]

    def doubts_by_line(self, where: str = "") -> list[tuple[int, str]]:
        """Each with the number of its line, line by line. `where`: put behind offsets."""
        self.engine.remember_held()
        of = {line.id: k for k, line in enumerate(self.plant.lines)}
        found = [(of[one.line], str(one)) for one in self.engine.doubts.all(self.engine.memory)]
        counters = [(s, c.id) for s, station in enumerate(self.plant.stations) for c in station.counters]
        numbers = self.engine.numbers.stations
        for k in np.flatnonzero(self.engine.state.counters[:, at.K_HELD]).tolist():
            row = self.engine.state.counters[k]
            station, counter = counters[k]
            line = int(numbers[station, at.SC_LINE])
            text = (
                f"{self.plant.lines[line].id}/{self.plant.stations[station].id}: the last reading of counter "
                f"{counter}, {row[at.K_HELD_VALUE]} at {instant(int(row[at.K_HELD_TS]))}, is not counted: it does not "
                f"follow from {row[at.K_VALUE]}, and nothing has confirmed it yet"
            )
            found.append((line, text))
        found += of_admission(self.plant, self.facts(), where)
        found += against(self.plant, self.engine.numbers, self.engine.state, self.engine.memory)
        return sorted(found, key=lambda one: one[0])

    @property
    def event_time_ns(self) -> int:
        """Where the middle one of the lines that were heard stands, so that one wrong clock is no matter; 0: none."""
        newest = self.engine.state.lines[:, at.L_NEWEST]
        heard = np.sort(newest[newest > 0])
        return int(heard[(len(heard) - 1) // 2]) if len(heard) else 0

    def facts(self) -> list[Fact]:
        """What admission counted of every source that was heard."""
        return list(self.admission.facts())

    def still_open(self) -> list[StillOpen]:
        """Intervals that have not ended: they are in no audited row."""
        return still_open(self.engine)

    def warm(self) -> None:
        """Compile, or load, what a fold needs, in a twin that is thrown away. Inside a fold it would take a second, in
        which the worker does nothing else.

        By heartbeats on the way of every event, and past admission: what it holds back depends on the plant.
        """
        # Two the wrong way round, so that they have to be sorted; without numbers, or they would be repeats.
        columns: dict[str, Any] = {name: np.zeros(2, DTYPES[name]) for name in INTEGER_COLUMNS}
        columns["type"][:] = HEARTBEAT
        for absent in ("station", "entry", "seq", "x", "y", "z"):
            columns[absent][:] = -1
        columns["ts"][:] = 2, 1
        block = EventBlock(**columns)
        spare = PartitionTwin(self.plant, self.partition)
        engine, line = spare.engine, self.plant.lines[0]
        spare.fold(block)
        until = np.full(len(self.plant.lines), 2 + 3 * max(line.publish_every_ns, line.pane_ns))
        waiting = Waiting()
        waiting.add(spare._preparation.named(block).rows(0, 2, 0), np.arange(2))
        events = in_order(waiting.take_due(until))
        engine.compile_with(0, 1)
        engine.fold(events, until)
        those, how = spare._preparation.named(block).columns(), np.zeros(2, np.int8)
        let_through(those.line, those.ts, spare.admission.in_order(those, how), until, how)
        engine.fold_in_order(those, how, until)
        engine.run(events[:0], np.zeros(1, np.int64), until[:1])
        engine.rows.of_families(engine.families.warm())
        unit_hashes([""], np.zeros(1, np.int32))
        missing(spare.admission.sequences[0])
        self._warm_verdict()

    def _warm_verdict(self) -> None:
        """Needs several panes, which may be hours apart."""
        share = np.full(2, 0.5)
        batch_means(np.ones((2, 2), np.int64), np.full(2, 2))
        verdict(share, share, share, 2)

    def _forget_texts(self) -> None:
        """Orders, reasons and words of a source come and go: those that nothing names any more are dropped."""
        engine = self.engine
        lines = np.flatnonzero(engine.state.lines[:, at.L_SEEN]).tolist()
        kept = self.revisions.event_arrays()
        arrays = [self.admission.held, self.waiting.rows(), *kept]
        mine = compacted(engine.state, engine.numbers, lines, arrays, engine.memory, engine.texts.all)
        engine.state, engine.memory = mine.state, mine.memory
        engine.texts.replace(mine.texts)
        self.admission.held = mine.events[0]
        self.waiting.replace(mine.events[1])
        self.revisions.set_event_arrays(mine.events[2:])
        self._texts_needed = len(mine.texts)

    def snapshot(self) -> bytes:
        """The whole state; equal states give equal bytes."""
        return self.freeze().encode()

    def freeze(self) -> snap.Frozen:
        """The whole state as it is now; to `encode` it takes longer and may be done by another thread."""
        engine, sequences = self.engine, self.admission.sequences
        lines, heard = self._known()
        arrays = [self.admission.held, self.waiting.rows(), *self.revisions.event_arrays()]
        memory = engine.memory
        if engine.families:
            memory = {line: engine.remembered(line) for line in {*memory, *lines}}
        mine = compacted(engine.state, engine.numbers, lines, arrays, memory, engine.texts.all, only=True)
        wrapped = np.flatnonzero(self.admission.wrapped[:, at.W_TS])
        rounds = {"wrapped_rows": wrapped.tobytes(), "wrapped": self.admission.wrapped[wrapped].tobytes()}
        rounds = rounds if wrapped.size else {}
        width = snap.closings_width(mine.state, lines)
        return snap.Frozen(
            snap.SavedState(
                version=snap.VERSION,
                plant=self.plant.hash,
                lines=lines,
                arrays={},
                closings=width,
                texts=mine.texts,
                arrival=self.arrival,
                held=mine.events[0].tobytes(),
                held_values=self.admission.held_values.copy(),
                held_offsets=self.admission.held_offsets.tobytes(),
                waiting=mine.events[1].tobytes(),
                sequences={"rows": heard.tobytes(), "values": sequences[heard].tobytes(), **rounds},
                memory=dict(sorted(mine.memory.items())),
                histories=self.revisions.save(mine.events[2:]),
                names=NAMES,
                rules=rules.RULES,
                code=code_version(),
                parting=self.parting,
            ),
            snap.pack_arrays(mine.state, engine.numbers, lines, width),
        )

    def _known(self) -> tuple[list[int], I64]:
        """The lines of which something is known, and the rows of `Admission.sequences` where something stands. Repeats
        and late numbers are counted before the first event is admitted, too.

        Only lines that an event has named are looked at: of a large plant a partition hears few.
        """
        rows, sequences, n = self.engine.state.lines, self.admission.sequences, self.engine.numbers
        stations = len(self.plant.stations)
        if self._told is None:  # a new twin, or one that was restored
            mark, heard = np.zeros(len(rows), np.bool_), np.flatnonzero(sequences.any(axis=1))
            mark[np.flatnonzero(rows.any(axis=1))] = True
            mark[n.stations[heard[heard < stations], at.SC_LINE]] = True
            mark[heard[heard >= stations] - stations] = True
            self._told = mark
        told = np.flatnonzero(self._told)
        own = n.lines[told][:, [at.LC_STATION, at.LC_STATIONS]].tolist()
        places = np.concatenate([np.empty(0, np.int64), *(np.arange(lo, lo + k) for lo, k in own), stations + told])
        return told[rows[told].any(axis=1)].tolist(), places[sequences[places].any(axis=1)]

    @classmethod
    def restore(cls, plant: Plant, partition: int, data: bytes) -> "PartitionTwin":
        """Raises SnapshotError for bytes that are damaged, of another version or of another plant model."""
        saved = snap.decode(data)
        if saved.plant != plant.hash:
            raise snap.SnapshotError(f"belongs to plant model {saved.plant}, this one is {plant.hash}")
        try:
            return cls._restored(plant, partition, saved)
        except (KeyError, IndexError, ValueError, OverflowError) as fault:
            raise snap.SnapshotError(f"its parts do not fit together ({fault!r})") from fault

    @classmethod
    def carried(cls, before: Plant, plant: Plant, partition: int, data: bytes) -> "PartitionTwin":
        """The twin of `plant` that goes on from a snapshot made under the model `before`. Raises SnapshotError."""
        from twin.line.change import carried  # it makes twins

        try:
            return carried(before, plant, partition, data)
        except (KeyError, IndexError, ValueError, OverflowError) as fault:
            raise snap.SnapshotError(f"its parts do not fit together ({fault!r})") from fault

    @classmethod
    def _restored(cls, plant: Plant, partition: int, saved: snap.SavedState) -> "PartitionTwin":
        written = Translation(saved.names)
        twin = cls(plant, partition)
        engine, admission = twin.engine, twin.admission
        engine.widen(saved.closings)
        other = None if written.same else written
        snap.unpack_arrays(engine.state, engine.numbers, saved.lines, saved.arrays, saved.closings, other)
        engine.texts.replace(saved.texts)
        for line, memory in saved.memory.items():
            engine.remember(line, memory)
        twin.arrival = saved.arrival
        admission.held = _events(saved.held, other)
        admission.held_values = saved.held_values
        admission.held_offsets = np.frombuffer(saved.held_offsets, np.int64)
        twin.waiting.replace(_events(saved.waiting, other))
        heard = np.frombuffer(saved.sequences["rows"], np.int64)
        sequences = np.frombuffer(saved.sequences["values"], np.int64)
        admission.sequences[heard] = written.rows("sequence", sequences)
        wrapped = np.frombuffer(saved.sequences.get("wrapped_rows", b""), np.int64)
        values = np.frombuffer(saved.sequences.get("wrapped", b""), np.int64)
        admission.wrapped[wrapped] = values.reshape(-1, at.N_W)
        histories = saved.histories
        if other is not None:
            for mine in engine.memory.values():
                mine.stops = snap.translated_stops(mine.stops, other)
            histories = translated(histories, plant, other)
        twin.revisions.load(histories)
        parting.tables(saved.parting)
        twin.parting = saved.parting
        return twin


def _events(data: bytes, written: Translation | None) -> I64:
    cells = np.frombuffer(data, np.int64)
    return cells.reshape(-1, at.N_E).copy() if written is None else written.events(cells)


def _add(pieces: Pieces, tables: dict[str, pa.Table]) -> None:
    for name, table in tables.items():
        pieces.setdefault(name, []).append(table)


def _joined(tables: list[pa.Table]) -> pa.Table:
    return tables[0] if len(tables) == 1 else pa.concat_tables(tables).unify_dictionaries()
