"""A table as events, be it CSV, a sheet or Parquet: the mapping says what its columns mean."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from kernels.codes import COUNT, COUNTER, HEARTBEAT, PRODUCT, STATE, UNKNOWN
from twin.events.block import EventBlock
from twin.plant.model import Plant
from twin.sources import bind
from twin.sources.bind import LogPath
from twin.sources.blocks import Words, by_pair, distinct, empty, slices
from twin.sources.chain import Link
from twin.sources.clock import Clock, RowOrderClock
from twin.sources.csv_orders import EVERY, Orders, OrderSpans
from twin.sources.csv_rules import STATES, CounterRows, Rows, Rules
from twin.sources.csv_table import CsvTable
from twin.sources.drafts import END, RULE, Draft, draft, ordered, split
from twin.sources.files import LogFile
from twin.sources.intervals import LAST, OPEN_END, Intervals
from twin.sources.mapping import CsvMapping, check
from twin.sources.placing import Placing, entries
from twin.sources.repeats import RowNames
from twin.sources.row_order import RowOrder
from twin.sources.samples import LONG_AGO, NEVER, LineRows, Samples, StateRows
from twin.sources.sorting import Sorter, add_block, sorted_blocks
from twin.sources.source import BLOCK_EVENTS, Batch, SourceError, Stage
from twin.sources.summary import Summary
from twin.sources.table import Table, TextRows
from twin.sources.typed_tables import DamagedSheetError, ParquetTable, SheetTable
from twin.wire.lookup import Lookup

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class CsvLog:
    """One table. Raises MappingError or SourceError before the first row, and never for a row.

    `stage` is of a file that is followed: what is read of one that grows is, event for event, how that of the longer
    file begins; read to its end, how it goes on.
    """

    closes = True

    def __init__(
        self,
        log: LogPath,
        plant: Plant,
        mapping: CsvMapping,
        stage: Stage = None,
        names: RowNames | None = None,
        link: Link | None = None,
    ) -> None:
        """`names`: of the rows of all logs that are read together, where the mapping names rows. `link`: of logs that
        are merged; then an empty batch comes first, when it is known how the log begins, and before it ends."""
        self.link = link
        self._mapping = mapping = bind.to_file(mapping, log)
        check(mapping, plant)
        self.name = log.name
        if link is not None:
            link.name = self.name
        self.numbered = mapping.seq is not None
        self.named = self.numbered or bool(mapping.row)
        self._names = names if names is not None else RowNames()
        self.summary = Summary()
        self._stage = stage
        if stage is not None and (mapping.sort or mapping.own_times):
            raise SourceError(f"{log.name}: its events are sorted, so it cannot be read before it is complete")
        if stage is not None and mapping.row:
            raise SourceError(
                f"{log.name}: names of rows (`row`) are remembered within one reading only; follow files whose rows "
                "have numbers (`seq`), or feed the files together"
            )
        self._log = log
        self._table = self._open(log, self.summary)
        self._lookup = Lookup(plant)
        self._plant = plant
        self._clock = Clock(plant, self.summary)
        self._row_clock = RowOrderClock(plant, self.summary)
        self._rules = Rules((), self._lookup, self.summary)
        hold = mapping.hold_ns
        self._samples = Samples(self.name, hold, mapping.tolerance_ns, self.summary, link) if hold is not None else None
        self._orders: Orders | None = None
        self._spans: OrderSpans | None = None
        self._lines: dict[int, LineRows] = {}
        self._last_event: dict[tuple[int, int], int] = {}
        self._held: Draft | None = None
        # Of intervals what is true outside of them. Those of several logs are swept together, where these are merged.
        self.otherwise = next((rule.otherwise for rule in mapping.events if rule.until is not None), None)

    def peek(self, rows: int) -> list[tuple[int, dict[str, str]]]:
        """The first rows as they stand in the file: what an event's `offset` says, and the cells that are read."""
        table = self._open(self._log, Summary())
        order = RowOrder(table, self._mapping.time, self._mapping.sort, self.name, Summary())
        text = next(iter(order), None)
        if text is None:
            return []
        wanted = [name for name in self._wanted(table.names) if name in text.columns]
        cells = [text.columns[name].slice(0, rows).to_pylist() for name in wanted]
        at = range(1, rows + 1) if order.changed else text.lines[:rows].tolist()
        return [(line, dict(zip(wanted, values, strict=True))) for line, *values in zip(at, *cells, strict=False)]

    def _open(self, log: LogPath, summary: Summary) -> Table:
        form, document = self._mapping.form, self._mapping.document.name
        if log.sheet is not None:
            return SheetTable(log.path, log.sheet, form, self._wanted, summary, document)
        if log.member is None and log.path.suffix.lower() == ".parquet":
            return ParquetTable(log.path, form, self._wanted, document)
        growing = self._stage == "growing"
        file = LogFile(log.path, summary, log.member, form.encoding, growing)
        return CsvTable(file, form, self._wanted, summary, document, not growing)

    @property
    def zone(self) -> str | None:
        """Of times without an offset."""
        return self._mapping.time.form.zone

    @property
    def counted_from(self) -> str | None:
        """What the times of rows that have none are counted from, and whose they are; None: rows have times, or it is
        all one when they are."""
        mapping = self._mapping
        if not mapping.time.every_ns or all(rule.type == PRODUCT for rule in mapping.events):
            return None
        places = mapping.line, mapping.station, [rule.station for rule in mapping.events]
        return repr((mapping.document.name, mapping.time.form.origin_ns, places))

    def begins_as(self, other: str) -> None:
        """Tell that the rows of another log are counted from the same instant."""
        if other != self.name:
            text = f"{self.name}: its rows are counted from the same `origin` as those of {other}, so they lie side by "
            self.summary.problem(
                "one_origin", text + "side; if they follow each other, join the files, or give each its own"
            )

    @property
    def position(self) -> int:
        return self._table.position

    @property
    def size(self) -> int:
        return self._table.size

    def __iter__(self) -> Iterator[Batch]:
        for block in self._in_order(self._blocks()):
            if block is None:
                yield empty(), []
                continue
            for part in slices(block, BLOCK_EVENTS):
                self.summary.count_events(part)
                yield part, []

    def _in_order(self, blocks: "Iterable[EventBlock | None]") -> "Iterable[EventBlock | None]":
        """Events with times of their own do not come in the order of the rows: they are sorted. None: see `link`."""
        mapping = self._mapping
        if not mapping.own_times:
            yield from blocks
            return
        sorter = Sorter()
        for one in blocks:
            if one is not None:
                add_block(sorter, one)
        self._row_clock.tell()
        if self._spans is not None:
            self._spans.begin()
        if self.link is not None:
            yield None
        for made_of_spans in self._spans.drafts() if self._spans is not None else ():
            add_block(sorter, made_of_spans.block)
        self.summary.note(f"{self.name}: events have times of their own; they were sorted")
        together = self.link is not None and self.link.chain.several
        for block, swept in self._swept(sorted_blocks(sorter)):
            for line in distinct(swept.line).tolist():
                own = swept.line == line
                self._clock.check(line, swept.ts[own], self.name, swept.offset[own])
            yield block if together else swept

    def _swept(self, blocks: Iterable[EventBlock]) -> Iterator[tuple[EventBlock, EventBlock]]:
        """Each block as it is, and as the changes that its intervals make where they are all there are."""
        if self.otherwise is None:
            yield from ((block, block) for block in blocks)
            return
        intervals = Intervals(self.otherwise)
        for block in blocks:
            yield block, intervals.swept(block, int(block.ts[-1]) - 1)
        yield empty(), intervals.swept(empty(), LAST)

    def _blocks(self) -> Iterator[EventBlock | None]:
        order: Iterable[TextRows] = self._table
        if self._stage is None:
            order = RowOrder(self._table, self._mapping.time, self._mapping.sort, self.name, self.summary)
        placing: Placing | None = None
        for text in order:
            first = placing is None
            if placing is None:
                placing = self._begin()
            block = self._events(placing.read(text, isinstance(order, RowOrder) and order.changed))
            if first and self.link is not None:
                if not self._mapping.own_times:
                    yield None
                self.link.begun = True
            if block is not None:
                yield block
        block = self._finish() if self._stage != "growing" else None
        if block is not None:
            yield block

    def _begin(self) -> Placing:
        """Now that the columns are known: the rules."""
        places = [(key, int(self._lookup.station_of[place])) for key, place in self._lookup.places.items()]
        known = {station for _, station in self._lookup.places}
        found = bind.to_columns(self._mapping, self._table.names, lambda station: station in known)
        for column, station in found.unknown:
            self.summary.problem(
                "unknown_station",
                f'{self.name}: column "{column}": station "{station}" is not in the plant; its values are not read '
                "(give its id, or an empty text for none, under [stations])",
            )
        mapping = found.mapping
        orders = [(EVERY, mapping.order)] if mapping.order is not None else []
        orders += [(index, rule) for id_, rule in found.orders for (_, station), index in places if station == id_]
        self._rules = Rules(mapping.events, self._lookup, self.summary, [(of, rule.id) for of, rule in orders])
        if orders:
            self._orders = Orders(orders, mapping.hold_ns or 0, self._rules, self.link)
        if self._orders is not None and mapping.order is not None and mapping.order.time is not None:
            self._spans = OrderSpans(self._orders, self._rules, self.name, self.link)
        typed, holes = self._table.typed, not isinstance(self._table, ParquetTable)
        return Placing(
            self.name, mapping, self._plant, self._lookup, self._rules, self.summary, typed, self._names, holes
        )

    def _wanted(self, names: Sequence[str]) -> list[str]:
        wanted = bind.to_read(self._mapping, names)
        if self._mapping.time.every_ns and self._log.path.suffix.lower() != ".parquet":
            # Whether a line is a row, and so has a time, is told by all of its cells.
            wanted += [name for name in names if name and names.count(name) == 1 and name not in wanted]
        return wanted

    def _events(self, rows: Rows) -> EventBlock | None:
        if not len(rows):
            return None
        newest = np.empty(len(rows), np.int64)
        several, of_row = entries(rows)
        drafts, counters = self._rules.events(several)
        states = self._rules.states(several)
        for line in distinct(rows.line).tolist():
            index = np.flatnonzero(rows.line == line)
            if not self._mapping.own_times:
                self._clock.check(line, rows.ts[index], self.name, rows.where_at(index))
            else:
                self._look(line, rows, index)
            newest[index] = self._lines.setdefault(line, LineRows()).add(rows.ts[index], rows.at[index])
            if self._orders is not None:
                some, of = (several, of_row) if self._orders.of_stations else (rows, np.arange(len(rows)))
                mine = np.flatnonzero(some.line == line)
                own = some.take(mine)
                if self._spans is not None:
                    self._spans.add(line, own)
                else:
                    drafts += self._orders.changes(line, own, newest[of[mine]])
                some.bad[mine] |= own.bad
        drafts += self._states(several, newest[of_row], states)
        drafts += [self._counters(several, readings) for readings in counters]
        beats, told = self._heartbeats(several, states, drafts)
        self._account(rows, several, of_row, told)
        return self._emit(drafts + beats, several.words, final=False)

    def _look(self, line: int, rows: Rows, index: npt.NDArray[np.intp]) -> None:
        """Watch the order of one line's rows, whose events will be sorted."""
        begin = end = rows.ts[index]
        for one in (*rows.times.values(), *rows.ends.values()):
            times = one[index]
            begin = np.where(times == NEVER, begin, np.minimum(begin, times))
            end = np.maximum(end, times)
        of = rows.station[index]
        for station in distinct(of).tolist():
            own = np.flatnonzero(of == station)
            self._row_clock.look((line, station), begin[own], end[own], self.name, rows.where_at(index[own]))

    def _account(self, rows: Rows, entries: Rows, of_row: I64, told: Mask) -> None:
        """Each row once: it gave an event, or it could not be used, or nothing asks for what it says."""
        gave, bad = np.zeros(len(rows), bool), rows.bad.copy()
        gave[of_row[told]] = True
        bad[of_row[entries.bad]] = True
        self.summary.told += int(gave.sum())
        self.summary.unusable += int((bad & ~gave).sum())
        self.summary.ignored += int((~bad & ~gave).sum())

    def _states(self, rows: Rows, newest: I64, states: StateRows) -> list[Draft]:
        if self._samples is None:
            index = np.flatnonzero(states.known)
            x, y, z = states.ids[index].T
            # An interval goes on its way with its end, and comes out of it (twin.sources.intervals) as two changes.
            until = self.otherwise is not None
            ends = np.where(states.ends[index] == NEVER, OPEN_END, states.ends[index]) if until else 0
            return [
                draft(
                    rows.words.list,
                    rows.at[index],
                    states.ts[index],
                    rows.line[index],
                    RULE,
                    station=rows.station[index],
                    type=STATE,
                    code=states.code[index],
                    seq=self._rules.seq(rows, index, STATES),
                    a=ends,
                    b=int(until),
                    c=states.outside[index] if until else 0,
                    x=x,
                    y=y,
                    z=z,
                )
            ]
        drafts = []
        for station in distinct(rows.station).tolist():
            index = np.flatnonzero(rows.station == station)
            line = int(rows.line[index[0]])
            around = self._lines[line]
            drafts += self._samples.changes(
                station, line, index, rows.at, rows.ts, newest, states, around, rows.words, rows.where_at()
            )
        return drafts

    def _counters(self, rows: Rows, readings: CounterRows) -> Draft:
        index = np.arange(len(readings.rows))
        if self._samples is not None and len(index):
            station = rows.station[readings.rows]
            pairs = station * len(rows.words.list) + readings.counter
            telling = np.empty(len(index), bool)
            for pair in distinct(pairs).tolist():
                own = np.flatnonzero(pairs == pair)
                counter = rows.words.list[readings.counter[own[0]]]
                telling[own] = self._samples.counter_changes(
                    int(station[own[0]]), counter, readings.rows[own], readings.value[own]
                )
            index = np.flatnonzero(telling)
        row = readings.rows[index]
        return draft(
            rows.words.list,
            rows.at[row],
            rows.times.get(readings.rank, rows.ts)[row],
            rows.line[row],
            readings.rank,
            station=rows.station[row],
            type=COUNT,
            code=COUNTER,
            seq=self._rules.seq(rows, row, readings.rank),
            a=readings.value[index],
            x=readings.counter[index],
            z=readings.order[index],
        )

    def _heartbeats(self, rows: Rows, states: StateRows, drafts: list[Draft]) -> tuple[list[Draft], Mask]:
        """A heartbeat where a row gave no event and the last event is long ago; not while the state is unknown.

        Also the rows that gave an event, these among them.
        """
        every = self._mapping.heartbeat_every_ns
        told = np.zeros(len(rows), bool)
        several = bool(rows.of_station)
        span = int(rows.station.max(initial=0)) + 2
        places = rows.at * span + rows.station + 1 if several else rows.at
        for one in drafts:
            own = one.rank >= RULE
            at = one.at[own]
            told[np.searchsorted(places, at * span + one.block.station[own] + 1 if several else at)] = True
        quiet = ~told
        beating = quiet & ~(states.known & (states.code == UNKNOWN))
        found: list[int] = []
        places = by_pair(rows.line, rows.station, lambda line, station: station if station >= 0 else -2 - line)
        for place in distinct(places).tolist():
            index = np.flatnonzero(places == place)
            ts = rows.ts[index]
            key = (int(rows.line[index[0]]), int(rows.station[index[0]]))
            last = self._last_event.get(key, LONG_AGO)
            event = np.maximum.accumulate(np.concatenate([[last], np.where(told[index], ts, LONG_AGO)]))
            beat = LONG_AGO
            for i in np.flatnonzero(beating[index] & (ts - event[1:] >= every)).tolist():
                if ts[i] - beat >= every:
                    beat = int(ts[i])
                    found.append(int(index[i]))
            self._last_event[key] = max(int(event[-1]), beat)
        at = np.sort(np.array(found, np.int64))
        told[at] = True
        made = draft(
            rows.words.list, rows.at[at], rows.ts[at], rows.line[at], RULE, station=rows.station[at], type=HEARTBEAT
        )
        return [made], told

    def _finish(self) -> EventBlock | None:
        words = Words()
        drafts = self._orders.finish(words) if self._orders is not None else []
        return self._emit(drafts, words, final=True)

    def _emit(self, drafts: list[Draft], words: Words, final: bool) -> EventBlock | None:
        wait = END
        if self._samples is not None:
            closing, wait = self._samples.close(self._lines, words, final)
            drafts = drafts + closing
        if final:
            wait = END + 1
        for around in self._lines.values():
            around.forget(wait)
        whole = ordered([one for one in ([self._held] if self._held else []) + drafts if len(one.at)])
        if whole is None:
            return None
        block, self._held = split(whole, wait)
        return block


def fits(log: LogPath, mapping: CsvMapping) -> bool:
    """Whether a sheet has the columns of a mapping. What it is called is asked only of one that has."""

    def wanted(names: Sequence[str]) -> list[str]:
        return bind.to_read(mapping, names)

    table = SheetTable(log.path, log.sheet or "", mapping.form, wanted, Summary(), mapping.document.name)
    try:
        next(iter(table), None)
    except DamagedSheetError:
        raise
    except SourceError:
        return False
    return True
