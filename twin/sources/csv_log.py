"""A CSV file as events: the mapping says what its columns mean."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kernels.codes import COUNT, COUNTER, HEARTBEAT, STATE, UNKNOWN
from twin.events.block import EventBlock
from twin.events.declare import YEAR_2000_NS, YEAR_2200_NS
from twin.plant.model import Plant
from twin.sources.blocks import Words, by_pair, slices
from twin.sources.clock import Clock
from twin.sources.csv_orders import Orders
from twin.sources.csv_rules import CounterRows, Rows, Rules
from twin.sources.csv_table import TableReader
from twin.sources.drafts import END, RULE, Draft, draft, ordered, split
from twin.sources.files import LogFile
from twin.sources.mapping import CsvMapping, check
from twin.sources.samples import LineRows, Samples, StateRows
from twin.sources.source import BLOCK_EVENTS, Batch, stem
from twin.sources.summary import Summary
from twin.sources.template import BAD, Column, Template
from twin.sources.times import TimeReader, iso, likely_unit
from twin.wire.lookup import Lookup

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_LONG_AGO = -(2**60)  # further back, and what lies between it and a late year is no int64


class CsvLog:
    """One CSV file. Raises MappingError or SourceError before the first row, and never for a row."""

    numbered = False
    closes = True

    def __init__(self, path: Path, plant: Plant, mapping: CsvMapping) -> None:
        check(mapping, plant)
        self.name = str(path)
        self.summary = Summary()
        self._mapping = mapping = _of_file(mapping, stem(path))
        self._file = LogFile(path, self.summary)
        self._lookup = Lookup(plant)
        self._line_index = {line.id: i for i, line in enumerate(plant.lines)}
        self._line_ids = [line.id for line in plant.lines]
        self._clock = Clock(plant, self.summary)
        self._rules = Rules(mapping.events, self._lookup, self.summary)
        hold = mapping.hold_ns
        self._samples = Samples(self.name, hold, mapping.tolerance_ns, self.summary) if hold is not None else None
        self._orders = Orders(mapping.order, hold or 0, self._rules) if mapping.order is not None else None
        self._lines: dict[int, LineRows] = {}
        self._last_event: dict[tuple[int, int], int] = {}
        self._held: Draft | None = None

    @property
    def position(self) -> int:
        return self._file.position

    @property
    def size(self) -> int:
        return self._file.size

    def __iter__(self) -> Iterator[Batch]:
        mapping = self._mapping
        wanted = [mapping.time_column, *_columns(mapping)]
        table = TableReader(self.name, mapping, wanted, self.summary)
        times = TimeReader(mapping.time)
        for piece in self._file.pieces():
            text = table.read(piece)
            if not len(text.lines):
                continue
            ts, good = times.read(text.columns[mapping.time_column])
            columns = {name: Column.of(array) for name, array in text.columns.items()}
            rows = self._placed(columns, text.lines, ts, good)
            for block in slices(self._events(rows), BLOCK_EVENTS):
                self.summary.count_events(block)
                yield block, []
        for block in slices(self._finish(), BLOCK_EVENTS):
            self.summary.count_events(block)
            yield block, []

    def _placed(self, columns: dict[str, Column], lines: I64, ts: I64, read: Mask) -> Rows:
        """The rows that have a time, a line and a station of the plant; the others are reported."""
        timed = read & (ts >= self._lookup.earliest_ns) & (ts < YEAR_2200_NS)
        n = len(ts)
        empty = np.logical_and.reduce(
            [column.spread(lambda text: not text).astype(bool) for column in columns.values()]
        )
        self.summary.rows += n - int(empty.sum())
        rows = Rows(self.name, columns, lines, ts, np.zeros(n, np.int64), np.full(n, -1, np.int64))
        everything = ~empty
        self._report_times(rows, everything & ~timed, read)
        ids = self._rules.text(rows, everything, self._mapping.line, "line")
        words = rows.words.list
        rows.line = by_pair(ids, ids, lambda word, _: self._line_index.get(words[word], BAD) if word >= 0 else BAD)
        unknown = everything & (rows.line == BAD)
        self._rules.report(rows, unknown & (ids >= 0), "unknown_line", "line is not in the plant", ids)
        self._rules.report(rows, unknown & (ids < 0), "missing_field", "the line is blank")
        keep = everything & timed & ~unknown
        if self._mapping.station is not None:
            ids = self._rules.text(rows, everything, self._mapping.station, "station")
            place = by_pair(np.where(keep, rows.line, -1), ids, lambda line, word: self._place(line, word, words))
            lost = keep & (place == BAD)
            self._rules.report(rows, lost & (ids >= 0), "unknown_station", "station is not in its line", ids)
            self._rules.report(rows, lost & (ids < 0), "missing_field", "the station is blank")
            rows.station, keep = place, keep & ~lost
        if keep.all():
            return rows
        index = np.flatnonzero(keep)
        kept = {name: column.rows(index) for name, column in columns.items()}
        return Rows(self.name, kept, lines[index], ts[index], rows.line[index], rows.station[index])

    def _report_times(self, rows: Rows, bad: Mask, read: Mask) -> None:
        """Those that are no time of the format, and those that can be no time of an event."""
        column, earliest = rows.columns[self._mapping.time_column], self._lookup.earliest_ns
        for some in (bad & ~read, bad & read):
            if not some.any():
                continue
            row = int(np.argmax(some))
            text = column.texts[column.index[row]][:60]
            about = "is not a time of the mapping's format"
            if read[row]:
                when, first = iso(int(rows.ts[row])), iso(earliest)
                about = f"is {when}: not from {first} (the plant's key `earliest`) to before 2200"
                if not rows.ts[row] // YEAR_2000_NS and self._mapping.time.pattern is None:
                    about += "; numbers that count from a start of their own need `origin`"
            if unit := likely_unit(text, self._mapping.time, earliest):
                about += f'; it looks like unit = "{unit}"'
            self._rules.report(rows, some, "bad_time", f"{self._mapping.time_column} {about}: {text!r}")

    def _place(self, line: int, word: int, words: list[str]) -> int:
        if line < 0 or word < 0:
            return BAD
        place = self._lookup.places.get((self._line_ids[line], words[word]))
        return BAD if place is None else int(self._lookup.station_of[place])

    def _events(self, rows: Rows) -> EventBlock | None:
        if not len(rows):
            return None
        newest = np.empty(len(rows), np.int64)
        drafts, counters = self._rules.events(rows)
        states = self._rules.states(rows)
        for line in np.unique(rows.line).tolist():
            index = np.flatnonzero(rows.line == line)
            self._clock.check(line, rows.ts[index], self.name, rows.at[index])
            newest[index] = self._lines.setdefault(line, LineRows()).add(rows.ts[index], rows.at[index])
            if self._orders is not None:
                drafts += self._orders.changes(line, index, rows, newest[index])
        drafts += self._states(rows, newest, states)
        drafts += [self._counters(rows, readings) for readings in counters]
        drafts += self._heartbeats(rows, states, drafts)
        return self._emit(drafts, rows.words, final=False)

    def _states(self, rows: Rows, newest: I64, states: StateRows) -> list[Draft]:
        if self._samples is None:
            index = np.flatnonzero(states.known)
            x, y, z = states.ids[index].T
            return [
                draft(
                    rows.words.list,
                    rows.at[index],
                    rows.ts[index],
                    rows.line[index],
                    RULE,
                    station=rows.station[index],
                    type=STATE,
                    code=states.code[index],
                    x=x,
                    y=y,
                    z=z,
                )
            ]
        drafts = []
        for station in np.unique(rows.station).tolist():
            index = np.flatnonzero(rows.station == station)
            line = int(rows.line[index[0]])
            around = self._lines[line]
            drafts += self._samples.changes(station, line, index, rows.at, rows.ts, newest, states, around, rows.words)
        return drafts

    def _counters(self, rows: Rows, readings: CounterRows) -> Draft:
        index = np.arange(len(readings.rows))
        if self._samples is not None and len(index):
            station = rows.station[readings.rows]
            pairs = station * len(rows.words.list) + readings.counter
            telling = np.empty(len(index), bool)
            for pair in np.unique(pairs).tolist():
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
            rows.ts[row],
            rows.line[row],
            readings.rank,
            station=rows.station[row],
            type=COUNT,
            code=COUNTER,
            a=readings.value[index],
            x=readings.counter[index],
        )

    def _heartbeats(self, rows: Rows, states: StateRows, drafts: list[Draft]) -> list[Draft]:
        """A heartbeat where a row gave no event and the last event is long ago; not while the state is unknown."""
        every = self._mapping.heartbeat_every_ns
        told = np.zeros(len(rows), bool)
        for one in drafts:
            own = one.rank >= RULE
            told[np.searchsorted(rows.at, one.at[own])] = True
        quiet = ~told
        beating = quiet & ~(states.known & (states.code == UNKNOWN))
        found: list[int] = []
        places = by_pair(rows.line, rows.station, lambda line, station: station if station >= 0 else -2 - line)
        for place in np.unique(places).tolist():
            index = np.flatnonzero(places == place)
            ts = rows.ts[index]
            key = (int(rows.line[index[0]]), int(rows.station[index[0]]))
            last = self._last_event.get(key, _LONG_AGO)
            event = np.maximum.accumulate(np.concatenate([[last], np.where(told[index], ts, _LONG_AGO)]))
            beat = _LONG_AGO
            for i in np.flatnonzero(beating[index] & (ts - event[1:] >= every)).tolist():
                if ts[i] - beat >= every:
                    beat = int(ts[i])
                    found.append(int(index[i]))
            self._last_event[key] = max(int(event[-1]), beat)
        self.summary.ignored += int(quiet.sum()) - len(found)
        at = np.sort(np.array(found, np.int64))
        return [
            draft(
                rows.words.list, rows.at[at], rows.ts[at], rows.line[at], RULE, station=rows.station[at], type=HEARTBEAT
            )
        ]

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


def _of_file(mapping: CsvMapping, file: str) -> CsvMapping:
    """Put the file's name where a constant says `{file}`."""

    def named(template: Template) -> Template:
        constant = template.constant
        return replace(template, constant=constant.replace("{file}", file)) if isinstance(constant, str) else template

    order = mapping.order
    return replace(
        mapping,
        line=named(mapping.line),
        station=named(mapping.station) if mapping.station is not None else None,
        order=replace(order, id=named(order.id)) if order is not None else None,
    )


def _columns(mapping: CsvMapping) -> list[str]:
    """Every column a mapping reads, besides the time."""
    templates = [mapping.line, mapping.station]
    if mapping.order is not None:
        templates += [mapping.order.id, mapping.order.product, mapping.order.quantity]
    for rule in mapping.events:
        templates += rule.fields.values()
    found = [template.column for template in templates if template is not None]
    found += [condition.column for rule in mapping.events for condition in rule.when]
    return [column for column in dict.fromkeys(found) if column is not None]
