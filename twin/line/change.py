"""A partition's state goes over to another plant model.

It happens when a state is loaded, at its offset. A line whose own hash (`twin.plant.canonical`) did not change
keeps everything, kept history included. A line that did change keeps what still has a place (`twin.line.carried`); its
history begins anew, so that what is late from before is refused. Of a line, or a station, that is no more the open rows
are written (`twin.line.ended`). The rows that a change makes are part of the new state and leave with the next events:
so whoever begins from this state, a worker or a recomputation, writes the same.

Events that wait are given the new numbers. Of those whose station, counter or buffer is no more nothing is folded: they
stand in the set `events`, and the alert `plant_changed` of their line says how many.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kernels import codes
from kernels.fold import layout as at
from twin.line import parting
from twin.line.carried import Changed, ChangedLine
from twin.line.ended import last_rows
from twin.line.engine import Engine, Tables
from twin.line.events import in_order
from twin.line.partition import PartitionTwin
from twin.line.remembered import LineMemory
from twin.line.revised import stamped
from twin.line.revision import Base, History
from twin.line.ways import same_line, ways
from twin.measures.catalogue import declared, same
from twin.plant.calendar import table
from twin.plant.canonical import line_hashes
from twin.plant.model import Plant
from twin.results import NAME

I64 = npt.NDArray[np.int64]
_WEEK_NS: Final = 7 * 86_400_000_000_000
_NO_EVENTS: Final = np.empty((0, at.N_E), np.int64)


def carried(old_plant: Plant, plant: Plant, partition: int, data: bytes) -> PartitionTwin:
    """The twin of `plant` that goes on from a snapshot made under `old_plant`. Raises SnapshotError.

    The snapshot's bytes are all that it depends on.
    """
    return _Change(PartitionTwin.restore(old_plant, partition, data), plant).take()


class _Change:
    def __init__(self, old: PartitionTwin, plant: Plant) -> None:
        self._twin = old
        self._old, self._new_twin = old.engine, PartitionTwin(plant, old.partition)
        self._new = self._new_twin.engine
        self._ways = ways(self._old, self._new)
        hashes = line_hashes(old.plant), line_hashes(plant)
        lines = list(enumerate(self._ways.lines[:-1].tolist()))
        there = [(i, j) for i, j in lines if j >= 0]
        alike = [(i, j) for i, j in there if hashes[0][i] == hashes[1][j]]
        self._same = [(i, j) for i, j in alike if old.plant.lines[i].calendar == plant.lines[j].calendar]
        # Of these only the calendar has other exceptions.
        self._excepted = [one for one in alike if one not in self._same]
        self._other = [one for one in there if one not in self._same]
        self._kept = [one for one in self._excepted if self._as_before(*one)]
        self._gone = [i for i, j in lines if j < 0]
        self._tables: dict[str, list[pa.Table]] = {}
        self._waiting = old.waiting.rows()
        self._measures = same(old.plant, plant)

    def take(self) -> PartitionTwin:
        new = self._new_twin
        self._part_with(parting.tables(self._twin.parting))
        for i in self._gone:
            self._end(i)
        for i, j in self._other:
            if (i, j) in self._kept:
                continue
            # What is late, or corrects, is folded in before the history is given up.
            for tables in self._twin.revisions.at_once(i, self._until(i)):
                self._part_with(tables)
        self._texts()
        told = {}
        for i, j in self._same:
            same_line(self._old, i, self._new, j, self._ways, fresh=True)
            self._new.families.load(j, self._old.families.save(i))
            if i in self._old.memory:
                self._new.memory[j] = self._renumbered(self._old.memory[i], j)
        for i, j in self._other:
            told[j] = self._change(i, j)
        self._texts()
        lost = self._events()
        self._admission()
        self._histories()
        for j in list(self._new.memory):
            self._new.declarations.load(j)
        for j, changed in told.items():
            only_exceptions = j in {other for _, other in self._excepted}
            if (changed is not None and not only_exceptions) or lost[j]:
                self._tell(j, changed or Changed(), lost[j])
        new.parting = parting.packed(self._tables)
        return new

    def _until(self, i: int) -> int:
        """Where the time of an old line stands."""
        return max(int(self._old.watermarks[i]), int(self._old.state.lines[i, at.L_LAST]))

    def _texts(self) -> None:
        self._new.texts.replace(self._old.texts.all)

    # Lines that are no more.

    def _end(self, i: int) -> None:
        """Fold all that waits of the line, and write its open rows as of its newest event."""
        engine, newest = self._old, int(self._old.state.lines[i, at.L_NEWEST])
        mine = self._waiting[:, at.E_LINE] == i
        events, self._waiting = in_order(self._waiting[mine]), self._waiting[~mine]
        if i in self._twin.revisions.histories:
            for tables in self._twin.revisions.to_the_end(i, events, newest):
                self._part_with(tables)
        elif newest:
            self._part_with(engine.run(events, np.array([i]), np.array([newest])))
        admission = self._twin.admission
        held = np.flatnonzero(admission.held[:, at.E_LINE] == i)
        if held.size:
            verdict = np.full(len(held), at.UNCONFIRMED, np.int8)
            values = [admission.held_values[k] for k in held.tolist()]
            rejected = admission.rejected(admission.held[held], verdict, values, admission.held_offsets[held])
            self._part_with({"rejected": rejected})
        if engine.state.lines[i, at.L_SEEN]:
            self._part_with(last_rows(engine, i, newest), of=i)
            detail = f"the line is not in plant model {self._new.plant.hash}: its open rows end here"
            self._part_with({"alerts": engine.alerts.of_plant(i, newest, detail)}, of=i)
            self._part_with(engine.measured_so_far(i), of=i)

    def _part_with(self, tables: Tables, of: int | None = None) -> None:
        """`of`: first rows of this old line, which carry the number of its last revision."""
        if of is not None and (revision := int(self._old.state.lines[of, at.L_REVISION])):
            tables = stamped(tables, {self._old.plant.lines[of].id: revision})
        for name, rows in tables.items():
            if rows.num_rows:
                self._tables.setdefault(name, []).append(_under(self._new.plant.hash, rows))

    # Lines that are others now.

    def _change(self, i: int, j: int) -> Changed | None:
        """None: it has not begun."""
        if not self._old.state.lines[i, at.L_SEEN]:
            self._new.state.lines[j] = self._old.state.lines[i]
            if i in self._old.memory:
                self._new.memory[j] = self._renumbered(self._old.memory[i], j)
            return None
        ts = self._until(i)
        last = last_rows(self._old, i, ts)
        told = ChangedLine(self._old, i, self._new, j, self._ways, ts).take()
        parts: Tables = {}
        if told.removed:
            parts = {name: _of(last[name], told.removed) for name in ("states", "kpis") if name in last}
        if told.path and "bottlenecks" in last:
            parts["bottlenecks"] = last["bottlenecks"]
        if told.shift and "kpis" in last:
            parts["kpis"] = _shift_or_of(last["kpis"], told.removed)
        self._part_with(parts, of=i)
        if (i, j) in self._excepted:  # its rows are those of the same line
            self._new.families.load(j, self._old.families.save(i))
            return told
        self._part_with(self._old.measured_so_far(i), of=i)
        self._new.families.go_on(self._old.families, {k: n for k, n in self._measures.items() if self._is_of(k, i)})
        return told

    def _is_of(self, measure: int, i: int) -> bool:
        return declared(self._old.plant)[measure].line == i

    def _tell(self, j: int, changed: Changed, lost: int) -> None:
        said = [
            _said(changed.added, "new, unknown until now"),
            _said(changed.removed, "no more, its rows end here"),
            _said(changed.windows, "a new window, in which the time before counts as unknown"),
            "the critical path begins anew" if changed.path else "",
            "the shift ends, which the calendar does not know any more" if changed.shift else "",
            f"rows of windows at {changed.ticks} instants, which waited for a stop to be decided, are left out"
            if changed.ticks
            else "",
            f"{lost} waiting events of what is no more are not counted" if lost else "",
        ]
        detail = "; ".join(
            [f"plant model {self._new.plant.hash} replaces {self._old.plant.hash}", *(one for one in said if one)]
        )
        i = next(i for i, other in self._other if other == j)
        self._part_with({"alerts": self._new.alerts.of_plant(j, self._until(i), detail)}, of=i)

    # What is not in the arrays of lines.

    def _renumbered(self, mine: LineMemory, j: int) -> LineMemory:
        stops = [list(stop) for stop in mine.stops]
        for stop in stops:
            stop[at.IO_LINE], stop[at.IO_STATION] = j, int(self._ways.stations[stop[at.IO_STATION]])
        fields = {name: getattr(mine, name) for name in mine.__struct_fields__}
        return LineMemory(**{**fields, "stops": stops})

    def _events(self) -> Counter[int]:
        """Those that wait, and those that are held; per new line how many have no place any more."""
        rows, kept = self._moved(self._waiting)
        lost = Counter(self._ways.lines[self._waiting[~kept, at.E_LINE]].tolist())
        self._new_twin.waiting.replace(rows)
        self._new_twin.arrival = self._twin.arrival
        admission, new = self._twin.admission, self._new_twin.admission
        rows, kept = self._moved(admission.held)
        lost.update(self._ways.lines[admission.held[~kept, at.E_LINE]].tolist())
        new.held = rows
        new.held_values = [admission.held_values[k] for k in np.flatnonzero(kept).tolist()]
        new.held_offsets = admission.held_offsets[kept]
        return lost

    def _moved(self, events: I64) -> tuple[I64, npt.NDArray[np.bool_]]:
        """Events of lines that are still there, with new numbers; and which of those given these are."""
        rows, found = events.copy(), self._ways
        kind, line = events[:, at.E_TYPE], events[:, at.E_LINE]
        rows[:, at.E_LINE] = found.lines[line]
        rows[:, at.E_STATION] = found.stations[events[:, at.E_STATION]]
        kept = (rows[:, at.E_LINE] >= 0) & ((events[:, at.E_STATION] < 0) | (rows[:, at.E_STATION] >= 0))
        counted = (kind == codes.COUNT) & (events[:, at.E_CODE] == codes.COUNTER)
        for which, numbers in ((counted, found.counters), (kind == codes.BUFFER, found.buffers)):
            rows[which, at.E_X] = numbers[events[which, at.E_X]]
            kept &= ~which | (rows[:, at.E_X] >= 0)
        measured = np.flatnonzero(kind == codes.MEASURE)
        # Values are in the last decimal of the measure as it was declared.
        rows[measured, at.E_X] = [self._measures.get(k, -1) for k in events[measured, at.E_X].tolist()]
        kept[measured] &= rows[measured, at.E_X] >= 0
        parts = np.flatnonzero((kind == codes.COUNT) & (events[:, at.E_CODE] == codes.PARTS))
        # Parts whose defect is no more are parts all the same.
        rows[parts, at.E_X] = [self._measures.get(k, -1) for k in events[parts, at.E_X].tolist()]
        for k in np.flatnonzero(kept & (line >= 0)).tolist():
            rows[k, at.E_PRODUCT] = self._product(int(line[k]), int(rows[k, at.E_LINE]), events[k])
        return rows[kept], kept

    def _product(self, i: int, j: int, event: I64) -> int:
        """An order names its product by a text, too: the new plant may know it."""
        column = at.E_X if event[at.E_TYPE] == codes.CYCLE else at.E_Y
        if event[at.E_TYPE] in (codes.ORDER, codes.PRODUCT, codes.CYCLE) and event[column] >= 0:
            name = self._old.texts.text(int(event[column]))
            return next((k for k, one in enumerate(self._new.plant.lines[j].products) if one.id == name), -1)
        if event[at.E_TYPE] == codes.COUNT:
            return int(event[at.E_PRODUCT])
        return int(self._ways.products[i][event[at.E_PRODUCT]])

    def _admission(self) -> None:
        """What is known of every source: its numbers, and what was counted of it."""
        old, new, found = self._twin.admission, self._new_twin.admission, self._ways
        theirs, ours = len(self._old.plant.stations), len(self._new.plant.stations)
        places = np.concatenate([found.stations[:theirs], np.where(found.lines >= 0, ours + found.lines, -1)[:-1]])
        there = np.flatnonzero(places >= 0)
        new.sequences[places[there]] = old.sequences[there]
        for i, j in (*self._same, *self._other):
            a, b = self._old.numbers.lines[i], self._new.numbers.lines[j]
            modulus = int(a[at.LC_SEQ_MODULUS])
            if modulus == 0 or modulus != b[at.LC_SEQ_MODULUS]:
                continue
            pairs = [(int(a[at.LC_STATIONS]), int(b[at.LC_STATIONS]))]  # of the line's own events
            for k in range(int(a[at.LC_STATIONS])):
                to = int(found.stations[a[at.LC_STATION] + k])
                pairs += [(k, to - int(b[at.LC_STATION]))] if to >= 0 else []
            for k, to in pairs:
                source = slice(int(a[at.LC_WRAPPED]) + k * modulus, int(a[at.LC_WRAPPED]) + (k + 1) * modulus)
                target = slice(int(b[at.LC_WRAPPED]) + to * modulus, int(b[at.LC_WRAPPED]) + (to + 1) * modulus)
                new.wrapped[target] = old.wrapped[source]

    def _histories(self) -> None:
        """Kept events and bases of lines that are the same; the others begin one where they stand."""
        new = self._new_twin.revisions
        scratch, target = Engine(self._old.plant), Engine(self._new.plant)
        for i, j in (*self._same, *self._kept):
            history = self._twin.revisions.histories.get(i)
            if history is None:
                continue
            bases = []
            for base in history.bases:
                scratch.load_line(i, base.state)
                target.widen(scratch.state.closings.shape[1])
                target.texts.replace(scratch.texts.all)
                same_line(scratch, i, target, j, self._ways, fresh=False)
                target.memory[j] = self._renumbered(scratch.memory[i], j)
                target.families.load(j, scratch.families.save(i))
                if (i, j) in self._kept and base.ts:
                    self._look_again(target, j, base.ts)
                bases.append(Base(base.ts, target.save_line(j)))
            made = new.histories[j] = History(bases, _NO_EVENTS)
            made.keep(self._moved(history.events())[0])
            for to, source in ((made.late, history.late), (made.corrections, history.corrections)):
                for one in source:
                    one.row = self._moved(one.row[None, :])[0][0]
                    to.append(one)
            for about in history.amended:
                about.row = self._moved(about.row[None, :])[0][0]
                made.amended.append(about)
        for i, j in self._other:
            if (i, j) not in self._kept and new.keeping[j] and self._new.state.lines[j, at.L_SEEN]:
                new.histories[j] = History([Base(self._until(i), self._new.save_line(j))], _NO_EVENTS)

    def _as_before(self, i: int, j: int) -> bool:
        """Whether the new calendar says of all that the line's history reaches back to what the old one says."""
        history = self._twin.revisions.histories.get(i)
        row = self._old.state.lines[i]
        if history is None or not row[at.L_SEEN]:
            return False
        since = max(history.bases[0].ts, int(row[at.L_T0]))
        lines = self._old.plant.lines[i], self._new.plant.lines[j]
        both = [table(line.calendar, since, self._until(i) + 1) for line in lines]
        said = [(one.ts[1:].tolist(), one.klass.tolist(), one.shift.tolist(), one.day.tolist()) for one in both]
        return said[0] == said[1]

    def _look_again(self, target: Engine, j: int, ts: int) -> None:
        """A base of before has to meet what the new calendar says next."""
        row = target.state.lines[j]
        if row[at.L_NEXT_CALENDAR] == at.FAR:
            return
        following = int(table(self._new.plant.lines[j].calendar, ts, ts + _WEEK_NS).ts[1])
        row[at.L_NEXT_CALENDAR] = following
        row[at.L_NEXT] = min(int(row[at.L_NEXT]), following)


def _under(model: str, table: pa.Table) -> pa.Table:
    """Rows with the hash of the model under which they are written; `line_model` says what they were made with."""
    if "model" not in table.column_names:
        return table
    alike = pa.DictionaryArray.from_arrays(np.zeros(table.num_rows, np.int32), pa.array([model], pa.string()))
    return table.set_column(table.schema.get_field_index("model"), table.schema.field("model"), alike.cast(NAME))


def _of(table: pa.Table, stations: Sequence[str]) -> pa.Table:
    named: Any = pc.is_in(table.column("station").cast(pa.string()), value_set=pa.array(stations, pa.string()))
    return table.filter(named)


def _shift_or_of(kpis: pa.Table, stations: Sequence[str]) -> pa.Table:
    """Rows of the shift, and of these stations."""
    station, window = (kpis.column(name).to_pylist() for name in ("station", "window"))
    kept = [k for k, named in enumerate(station) if named in stations or window[k] == "shift"]
    return kpis.take(pa.array(kept, pa.int64()))


def _said(names: Sequence[str], what: str) -> str:
    return f"{', '.join(names)}: {what}" if names else ""
