"""The rules of a mapping applied to rows: which events each row gives, checked against the plant."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kernels.codes import BUFFER, COUNT, CYCLE, END, HEARTBEAT, ORDER, PARTS, START, STATE, UNKNOWN
from twin.events.declare import MAX_TEXT
from twin.sources.blocks import Words, by_pair
from twin.sources.drafts import RULE, Draft, draft
from twin.sources.mapping import EventRule
from twin.sources.samples import UNKNOWN_WORD, StateRows
from twin.sources.summary import Summary
from twin.sources.template import BAD, Columns, Template, matches, numbers_of, unreadable, words_of
from twin.wire.lookup import Lookup

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Index = npt.NDArray[np.intp]


@dataclass(slots=True)
class Rows:
    """Rows with a place and a time: columns, line in the file (`at`), event time, indices of the plant, words."""

    name: str
    columns: Columns
    at: I64
    ts: I64
    line: I64
    station: I64  # -1: the whole line
    words: Words = field(default_factory=Words)

    def __len__(self) -> int:
        return len(self.ts)


@dataclass(slots=True)
class CounterRows:
    """Readings of running counters: rows, the counter's number in the words, the value."""

    rows: Index
    counter: I64
    value: I64
    rank: int


class Rules:
    """Applies the `[[event]]` rules. Values that cannot be used are reported with the row they stand in."""

    def __init__(self, rules: tuple[EventRule, ...], lookup: Lookup, summary: Summary) -> None:
        self._states = [rule for rule in rules if rule.type == STATE]
        self._others = [(RULE + i, rule) for i, rule in enumerate(rules) if rule.type != STATE]
        self._lookup = lookup
        self._summary = summary

    def events(self, rows: Rows) -> tuple[list[Draft], list[CounterRows]]:
        """Every event but states; running counters apart, because a sampled one counts only when it changes."""
        drafts: list[Draft] = []
        counters: list[CounterRows] = []
        makers: dict[int, Callable[[Rows, Mask, EventRule, int], Draft]] = {
            COUNT: self._parts,
            CYCLE: self._cycles,
            ORDER: self._orders,
            BUFFER: self._buffers,
            HEARTBEAT: self._heartbeats,
        }
        for rank, rule in self._others:
            mask = self._holds(rows, rule)
            if rule.type == COUNT and "counter" in rule.fields:
                counters.append(self._counters(rows, mask, rule, rank))
            else:
                drafts.append(makers[rule.type](rows, mask, rule, rank))
        return drafts, counters

    def states(self, rows: Rows) -> StateRows:
        """The state each row reports: of several rules the first that holds."""
        n = len(rows)
        open_rows = np.ones(n, bool)
        ids = np.full((n, 3), -1, np.int64)
        for rule in self._states:
            mask = open_rows & self._holds(rows, rule)
            open_rows &= ~mask
            for i, name in enumerate(("state", "reason", "mode")):
                ids[mask, i] = self._text(rows, mask, rule, name)[mask]
        known = ~open_rows & (ids[:, 0] >= 0)
        code = by_pair(
            rows.station, np.where(known, ids[:, 0], -1), lambda station, word: self._class(rows, station, word)
        )
        bad = known & (code == BAD)
        self.report(rows, bad, "unknown_state", "state not known at this station", ids[:, 0])
        return StateRows(known & ~bad, np.maximum(code, UNKNOWN), ids)

    def report(self, rows: Rows, bad: Mask, reason: str, message: str, word: I64 | None = None) -> None:
        """Count the rows marked; the first of them is named."""
        count = int(bad.sum())
        if not count:
            return
        first = int(np.argmax(bad))
        text = f": {rows.words.list[word[first]]}" if word is not None and word[first] >= 0 else ""
        self._summary.problem(reason, f"{rows.name}:{rows.at[first]}: {message}{text}", count)

    def text(self, rows: Rows, mask: Mask, template: Template | None, name: str) -> I64:
        """Word numbers of a field, -1 where absent; what is not in its table, or too long, is reported where `mask`."""
        found = words_of(template, rows.columns, len(rows), rows.words)
        long = np.array([len(word) > MAX_TEXT for word in rows.words.list], bool)
        if long.any():
            found = np.where((found >= 0) & long[np.maximum(found, 0)], BAD, found)
        bad = mask & (found == BAD)
        if bad.any() and template is not None and template.column is not None:
            column = rows.columns[template.column]
            first = column.texts[column.index[int(np.argmax(bad))]]
            self.report(rows, bad, "unknown_field_value", f"{name} has no use for {template.column} {first[:60]!r}")
        return np.where(found == BAD, -1, found)

    def _text(self, rows: Rows, mask: Mask, rule: EventRule, name: str) -> I64:
        return self.text(rows, mask, rule.fields.get(name), name)

    def _holds(self, rows: Rows, rule: EventRule) -> Mask:
        for condition in rule.when:
            bad = unreadable(condition, rows.columns)
            self.report(rows, bad, "unreadable_number", f"{condition.column} is not a number")
        return matches(rule.when, rows.columns, len(rows))

    def _number(self, rows: Rows, mask: Mask, rule: EventRule, name: str) -> tuple[I64, Mask]:
        """The field's values, and where there is one (a number of at least 0)."""
        template = rule.fields.get(name)
        if template is None:
            return np.zeros(len(rows), np.int64), np.zeros(len(rows), bool)
        values, present, bad = numbers_of(template, rows.columns, len(rows))
        where = f"{name} (column {template.column})" if template.column else name
        self.report(rows, mask & bad, "unreadable_number", f"{where} is not a whole number")
        self.report(rows, mask & present & (values < 0), "impossible_value", f"{where} is below 0")
        return values, present & (values >= 0)

    def _counters(self, rows: Rows, mask: Mask, rule: EventRule, rank: int) -> CounterRows:
        counter = self._text(rows, mask, rule, "counter")
        value, present = self._number(rows, mask, rule, "value")
        ok = mask & present & (counter >= 0)
        most = by_pair(rows.station, counter, lambda s, word: self._counter_max(rows, s, word))
        unknown = ok & (most == BAD)
        self.report(rows, unknown, "unknown_counter", "counter not declared at this station", counter)
        above = ok & ~unknown & (value > most)
        self.report(rows, above, "impossible_value", "value at or above the modulus of the counter", counter)
        index = np.flatnonzero(ok & ~unknown & ~above)
        return CounterRows(index, counter[index], value[index], rank)

    def _parts(self, rows: Rows, mask: Mask, rule: EventRule, rank: int) -> Draft:
        columns = {}
        made = np.zeros(len(rows), bool)
        for column, name in (("a", "good"), ("b", "scrap"), ("c", "rework")):
            value, present = self._number(rows, mask, rule, name)
            columns[column] = np.where(present, value, 0)
            made |= columns[column] > 0
        return self._draft(rows, mask & made, rank, type=COUNT, code=PARTS, **columns)

    def _cycles(self, rows: Rows, mask: Mask, rule: EventRule, rank: int) -> Draft:
        phase = self._text(rows, mask, rule, "phase")
        unit, product = self._text(rows, mask, rule, "unit"), self._text(rows, mask, rule, "product")
        return self._draft(
            rows, mask & (phase >= 0), rank, type=CYCLE, code=_start_or_end(phase, rows.words), x=unit, y=product
        )

    def _orders(self, rows: Rows, mask: Mask, rule: EventRule, rank: int) -> Draft:
        action, order = self._text(rows, mask, rule, "action"), self._text(rows, mask, rule, "order")
        quantity, present = self._number(rows, mask, rule, "quantity")
        return self._draft(
            rows,
            mask & (action >= 0) & (order >= 0),
            rank,
            type=ORDER,
            station=-1,
            code=_start_or_end(action, rows.words),
            a=np.where(present, quantity, -1),
            x=order,
            y=self._text(rows, mask, rule, "product"),
        )

    def _buffers(self, rows: Rows, mask: Mask, rule: EventRule, rank: int) -> Draft:
        buffer = self._text(rows, mask, rule, "buffer")
        level, present = self._number(rows, mask, rule, "level")
        ok = mask & present & (buffer >= 0)
        most = by_pair(rows.line, buffer, lambda line, word: self._buffer_max(rows, line, word))
        unknown = ok & (most == BAD)
        self.report(rows, unknown, "unknown_buffer", "buffer not declared in this line", buffer)
        above = ok & ~unknown & (level > most)
        self.report(rows, above, "impossible_value", "level above the capacity of the buffer", buffer)
        return self._draft(rows, ok & ~unknown & ~above, rank, type=BUFFER, a=level, x=buffer)

    def _heartbeats(self, rows: Rows, mask: Mask, rule: EventRule, rank: int) -> Draft:
        return self._draft(rows, mask, rank, type=HEARTBEAT)

    def _draft(self, rows: Rows, mask: Mask, rank: int, **columns: npt.ArrayLike) -> Draft:
        index = np.flatnonzero(mask)
        picked = {name: value[index] if isinstance(value, np.ndarray) else value for name, value in columns.items()}
        picked.setdefault("station", rows.station[index])
        return draft(rows.words.list, rows.at[index], rows.ts[index], rows.line[index], rank, **picked)

    def _class(self, rows: Rows, station: int, word: int) -> int:
        if station < 0 or word < 0:
            return UNKNOWN
        text = rows.words.list[word]
        return self._lookup.states[station].get(text, UNKNOWN if text == UNKNOWN_WORD else BAD)

    def _counter_max(self, rows: Rows, station: int, word: int) -> int:
        return self._lookup.counter_max[station].get(rows.words.list[word], BAD) if station >= 0 and word >= 0 else BAD

    def _buffer_max(self, rows: Rows, line: int, word: int) -> int:
        return self._lookup.buffer_max[line].get(rows.words.list[word], BAD) if word >= 0 else BAD


def _start_or_end(word: I64, words: Words) -> I64:
    return np.where(word == words.add("end"), END, START)
