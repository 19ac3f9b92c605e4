"""Rows of text with what every event needs: a time, a line and a station of the plant. The others are reported."""

import numpy as np
import numpy.typing as npt

from twin.events.declare import YEAR_2000_NS, YEAR_2200_NS
from twin.plant.model import Plant
from twin.sources.blocks import by_pair
from twin.sources.csv_rules import NOWHERE, Rows, Rules
from twin.sources.drafts import ORDER_START, RULE
from twin.sources.event_times import OwnTimes, RowTimes
from twin.sources.mapping_model import CsvMapping, EventRule, OrderRule
from twin.sources.repeats import RowNames
from twin.sources.row_order import REPEATED_HOUR
from twin.sources.samples import NEVER
from twin.sources.summary import Summary
from twin.sources.table import TextRows
from twin.sources.template import BAD, Column, Template
from twin.sources.times import iso, likely_unit
from twin.wire.lookup import Lookup

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_BEGINS_IN_IT = (
    "the log begins in the hour that the clocks repeat, and is taken to begin in its first pass: "
    "if that is wrong, export it with offsets or in UTC"
)
_BY_THE_HOUR = (
    "rows that come by the hour show one clock twice in the hour that the clocks repeat, and are taken to be of both "
    "passes: if that is wrong, export them with offsets or in UTC"
)
_NO_LENGTH = (
    "it ends at the clock at which it begins, and is taken to have no length: a whole day needs its end's own date"
)


class Placing:
    """Reads the rows of one table in their order. `renumbered`: they no longer come in the file's."""

    def __init__(
        self,
        name: str,
        mapping: CsvMapping,
        plant: Plant,
        lookup: Lookup,
        rules: Rules,
        summary: Summary,
        typed: bool,
        names: RowNames,
        holes: bool,
    ) -> None:
        """`holes`: what is blank in the table is no row."""
        self._name = name
        self._mapping = mapping
        self._lookup = lookup
        self._rules = rules
        self._summary = summary
        self._line_index = {line.id: i for i, line in enumerate(plant.lines)}
        self._line_ids = [line.id for line in plant.lines]
        self._times = RowTimes(mapping.time, typed, lookup.lateness_ns, holes)
        timed: list[tuple[int, EventRule | OrderRule]] = [(RULE + i, rule) for i, rule in enumerate(mapping.events)]
        timed += [(ORDER_START, mapping.order)] if mapping.order is not None else []
        self._own = {
            (rank, key): OwnTimes(time, mapping.time, typed, lookup, key == "until")
            for rank, rule in timed
            for key, time in (("time", rule.time), ("until", rule.until))
            if time is not None
        }
        self._names = names
        self._at = 0  # the number of rows so far
        self._told = False

    def read(self, text: TextRows, renumbered: bool) -> Rows:
        """The rows that can be used, each once."""
        ts, read = self._times.read(text)
        timed = read & (ts >= self._lookup.earliest_ns) & (ts < YEAR_2200_NS)
        n, mapping, rules = len(ts), self._mapping, self._rules
        form = mapping.form
        columns = {name: Column.of(array, form.numbers, form.blank) for name, array in text.columns.items()}
        empty = np.zeros(n, bool)
        if not read.all() or not mapping.time.columns:  # a row whose cells hold a time is not empty
            empty = np.logical_and.reduce(
                [column.spread(lambda text: not text).astype(bool) for column in columns.values()]
            )
        self._summary.rows += n - int(empty.sum())
        at = np.arange(self._at + 1, self._at + 1 + n) if renumbered else text.lines
        self._at += n
        rows = Rows(self._name, columns, at, ts, np.zeros(n, np.int64), np.full(n, -1, np.int64), where=text.lines)
        everything = ~empty & ~self._left_out(rows, empty, read)
        self._report_times(rows, everything & ~timed, read, text)
        if self._times.first_pass_is_a_guess and not self._told:
            self._told = True
            self._rules.tell(rows, read & (np.cumsum(read) == 1), REPEATED_HOUR, _BEGINS_IN_IT)
        if self._times.by_the_hour:
            self._rules.tell(rows, np.isin(np.arange(n), self._times.by_the_hour), REPEATED_HOUR, _BY_THE_HOUR)
        ids = rules.text(rows, everything, mapping.line, "line")
        words = rows.words.list
        rows.line = by_pair(ids, ids, lambda word, _: self._line_index.get(words[word], BAD) if word >= 0 else BAD)
        unknown = everything & (rows.line == BAD)
        rules.report(rows, unknown & (ids >= 0), "unknown_line", "line is not in the plant", ids)
        rules.report(rows, unknown & (ids < 0), "missing_field", "the line is blank")
        keep = everything & timed & ~unknown
        if mapping.station is not None:
            ids, place = self._stations(rows, everything, keep, mapping.station)
            lost = keep & (place == BAD)
            rules.report(rows, lost & (ids < 0), "missing_field", "the station is blank")
            rows.station, keep = place, keep & ~lost
        self._summary.unusable += int((everything & ~keep).sum())
        if mapping.row:
            keep = keep & ~self._repeated(rows, keep)
        if mapping.seq is not None:
            number, present = rules.number(rows, keep, mapping.seq, "seq")
            wild = keep & present & (number >= rules.seq_limit)
            rules.report(rows, wild, "impossible_value", "seq is too large")
            rows.seq = np.where(present & ~wild, number, -1)
        self._own_times(rows, text, keep)
        for i, rule in enumerate(mapping.events):
            if rule.station is not None:
                _, place = self._stations(rows, keep, keep, rule.station)
                rows.of_station[RULE + i] = np.where(keep & (place >= 0), place, NOWHERE)
        if rows.of_station:
            for i in range(len(mapping.events)):
                rows.of_station.setdefault(RULE + i, rows.station)
        return rows if keep.all() else rows.take(np.flatnonzero(keep))

    def _stations(self, rows: Rows, asked: Mask, keep: Mask, template: Template) -> tuple[I64, I64]:
        """Per row the word of its station, and which of the plant it is; BAD: none. Unknown words are reported."""
        words = rows.words.list
        ids = self._rules.text(rows, asked, template, "station")
        place = by_pair(np.where(keep, rows.line, -1), ids, lambda line, word: self._place(line, word, words))
        lost = keep & (place == BAD) & (ids >= 0)
        self._rules.report(rows, lost, "unknown_station", "station is not in its line", ids)
        return ids, place

    def _place(self, line: int, word: int, words: list[str]) -> int:
        if line < 0 or word < 0:
            return BAD
        place = self._lookup.places.get((self._line_ids[line], words[word]))
        return BAD if place is None else int(self._lookup.station_of[place])

    def _repeated(self, rows: Rows, keep: Mask) -> Mask:
        """The rows whose name was read before: they count once."""
        name = [rows.columns[column] for column in self._mapping.row]
        others = [column for key, column in rows.columns.items() if key not in self._mapping.row]
        scope = np.where(rows.station >= 0, rows.station, -1 - rows.line)
        repeated, changed = self._names.look(name, others, scope, keep)
        count = int(repeated.sum())
        if count:
            first = int(np.argmax(repeated))
            shown = " ".join(column.texts[column.index[first]] for column in name)
            self._summary.left_out += count
            self._summary.repeats.add(count, f"{self._name}:{rows.place(first)}: {shown[:60]}")
        text = f"{' '.join(self._mapping.row)} named a row before that held something else; the one read first counts"
        self._rules.tell(rows, changed, "changed_row", text)
        return repeated

    def _own_times(self, rows: Rows, text: TextRows, keep: Mask) -> None:
        """Times of single events, and ends of intervals."""

        def tell(bad: Mask, reason: str, message: str) -> None:
            self._rules.report(rows, keep & bad, reason, message)

        for (rank, key), one in self._own.items():
            begin = rows.ts if key == "time" else rows.times.get(rank, rows.ts)
            found = one.read(text, rows.columns, rows.ts, keep, begin, tell)
            (rows.times if key == "time" else rows.ends)[rank] = found
        for rank, ends in rows.ends.items():
            starts = rows.times.get(rank, rows.ts)
            back = keep & (ends != NEVER) & (starts != NEVER) & (ends < starts)
            self._rules.report(rows, back, "impossible_value", "it ends before it begins")
            rows.times[rank] = np.where(back, NEVER, starts)
            if self._own[rank, "until"].over_midnight:
                # What ends where it begins is left out as if no time had passed; it may have been a whole day.
                self._rules.tell(rows, keep & (ends != NEVER) & (ends == starts), "no_length", _NO_LENGTH)

    def _left_out(self, rows: Rows, empty: Mask, timed: Mask) -> Mask:
        """The rows that `keep` and `ignore` leave out, and headers that come again."""
        mapping = self._mapping
        out = np.zeros(len(rows), bool)
        for one in self._rules.holds(rows, mapping.keep):
            out |= ~one
        for one in self._rules.holds(rows, mapping.ignore):
            out |= one
        if mapping.form.header and not timed.all():
            again = ~timed
            for name, column in rows.columns.items():
                again &= column.spread(lambda text: text == name).astype(bool)  # noqa: B023
            out |= again
        out &= ~empty
        self._summary.left_out += int(out.sum())
        return out

    def _report_times(self, rows: Rows, bad: Mask, read: Mask, text: TextRows) -> None:
        """Those that are no time of the format, and those that can be no time of an event."""
        time, earliest = self._mapping.time, self._lookup.earliest_ns
        for some in (bad & ~read, bad & read):
            if not some.any():
                continue
            row = int(np.argmax(some))
            shown = " ".join(str(text.columns[name][row].as_py()).strip() for name in time.columns)[:60]
            about = "is not a time of the mapping's format"
            if read[row]:
                when, first = iso(int(rows.ts[row])), iso(earliest)
                about = f"is {when}: not from {first} (the plant's key `earliest`) to before 2200"
                if not rows.ts[row] // YEAR_2000_NS and not time.form.patterns:
                    about += "; numbers that count from a start of their own need `origin`"
            if unit := likely_unit(shown, time.form, earliest):
                about += f'; it looks like unit = "{unit}"'
            self._rules.report(rows, some, "bad_time", f"{' '.join(time.columns)} {about}: {shown!r}")


def entries(rows: Rows) -> tuple[Rows, I64]:
    """Rows once for every station they speak of, and the row each is of."""
    every = np.arange(len(rows))
    if not rows.of_station:
        return rows, every
    pairs = [(every[of != NOWHERE], of[of != NOWHERE]) for of in rows.of_station.values()]
    row = np.concatenate([one for one, _ in pairs])
    station = np.concatenate([one for _, one in pairs])
    span = int(station.max(initial=0)) + 2
    used = np.unique(row * span + station + 1)
    index, place = used // span, used % span - 1
    entries = rows.take(index)
    entries.station = place
    return entries, index
