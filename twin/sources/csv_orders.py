"""Orders read from a column: a new id starts the order of the line or station, and the time of its last row ends it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from kernels.codes import END, ORDER, START
from twin.sources.blocks import Words
from twin.sources.chain import Link, Open, Place
from twin.sources.csv_rules import Rows, Rules
from twin.sources.drafts import END as LAST
from twin.sources.drafts import ORDER_END, ORDER_START, Draft, draft, draft_between
from twin.sources.intervals import OPEN_END
from twin.sources.mapping_model import OrderRule
from twin.sources.paces import declared
from twin.sources.samples import LONG_AGO, NEVER

I64 = npt.NDArray[np.int64]
Index = npt.NDArray[np.intp]
OrderOf = tuple[int, OrderRule]  # the station it holds for, EVERY: each place's own

EVERY: Final = -2
_FLIPS: Final = 2  # an order that is interrupted comes back once; two that take turns are worked on together
ONE_AT_A_TIME: Final = "a station has one order at a time"


class Orders:
    """The orders of every line, or of every station, of one log."""

    def __init__(self, orders: Sequence[OrderOf], hold_ns: int, rules: Rules, link: Link | None = None) -> None:
        self._orders = orders
        self._link = link
        self._hold = hold_ns
        self._rules = rules
        self._places: dict[tuple[int, int], Open] = {}
        self._newest: dict[int, int] = {}  # of each line
        self.of_stations = any(rule.of_station for _, rule in orders)

    def of(self, rows: Rows) -> list[tuple[int, OrderRule, Index]]:
        """Per place (a station; -1 the line's own) its rule and its rows. Rows of one line."""
        found = []
        for station, rule in self._orders:
            if not rule.of_station:
                found.append((-1, rule, np.arange(len(rows))))
                continue
            mine = rows.station if station == EVERY else np.where(rows.station == station, station, -1)
            found += [(one, rule, np.flatnonzero(mine == one)) for one in np.unique(mine[mine >= 0]).tolist()]
        return found

    def changes(self, line: int, rows: Rows, newest: I64) -> list[Draft]:
        """Starts and ends of orders at one line's rows; `newest` is the line's newest time at each of them."""
        drafts: list[Draft] = []
        self._newest[line] = max(self._newest.get(line, LONG_AGO), int(newest.max(initial=LONG_AGO)))
        if self._link is not None and len(rows):
            self._link.begin_line(line, int(rows.ts[0]))
        for station, rule, index in self.of(rows):
            drafts += self._changes(line, station, rule, rows, index, newest[index])
        return drafts

    def _changes(self, line: int, station: int, rule: OrderRule, rows: Rows, index: Index, newest: I64) -> list[Draft]:
        carry = self._open((line, station))
        ids, products, quantities, entry = (found[index] for found in fields(self._rules, rule, rows))
        ts, at = rows.ts[index], rows.at[index]
        if station >= 0:  # its own clock: the others of its line may be ahead
            newest = np.maximum.accumulate(ts if carry.newest is None else np.maximum(ts, carry.newest))
        # A row that comes late says what was made then, not what is made now.
        current = np.flatnonzero(ts == newest)
        if self._link is not None and len(current):
            row = int(current[0])
            self._link.begin_order((line, station), int(ts[row]), _text(int(ids[row]), rows.words))
        carried = -1 if carry.order is None else rows.words.add(carry.order)
        before = np.concatenate([[carried], ids[current[:-1]]]) if len(current) else np.empty(0, np.int64)
        drafts = []
        for k in np.flatnonzero(ids[current] != before).tolist():
            row = int(current[k])
            if before[k] >= 0:
                last = int(newest[row - 1]) if row else carry.newest
                assert last is not None, "an order is open, so a row has been seen"
                product = int(products[current[k - 1]]) if k else _number(carry.product, rows.words)
                # Of a station: when its next one begins, for its last row may lie far behind what its line has said.
                end = int(ts[row]) if station >= 0 else min(last + self._hold, int(ts[row]))
                drafts.append(self._end(rows.words, line, station, int(at[row]), end, int(before[k]), product))
                self._take_turns(carry, rows, int(index[row]), station, int(before[k]), int(ids[row]))
            if ids[row] >= 0:
                drafts.append(
                    draft(
                        rows.words.list,
                        at[row : row + 1],
                        ts[row : row + 1],
                        line,
                        ORDER_START,
                        station=station,
                        type=ORDER,
                        code=START,
                        a=quantities[row],
                        x=ids[row],
                        y=products[row],
                        entry=entry[row],
                    )
                )
        if len(index):
            carry.newest = int(newest[-1])
        if len(current):
            carry.order = _text(int(ids[current[-1]]), rows.words)
            carry.product = _text(int(products[current[-1]]), rows.words)
        return drafts

    def _open(self, place: Place) -> Open:
        """What is known of a place; of the first rows what the log before this one has left open."""
        if place not in self._places:
            left = self._link.open.pop(place, None) if self._link is not None else None
            self._places[place] = left or Open()
        return self._places[place]

    def _take_turns(self, carry: Open, rows: Rows, row: int, station: int, before: int, now: int) -> None:
        """Tell of two orders that take each other's place again and again."""
        one, two = _text(before, rows.words), _text(now, rows.words)
        carry.flips = carry.flips + 1 if two is not None and two == carry.before else 0
        carry.before = one
        if carry.flips >= _FLIPS:
            bad = np.zeros(len(rows), bool)
            bad[row] = True
            advice = (
                ONE_AT_A_TIME
                if station >= 0
                else 'a line has one at a time; orders of its stations are read with of = "station" under [order]'
            )
            self._rules.tell(rows, bad, "several_orders", f"orders {one} and {two} take turns: {advice}")

    def finish(self, words: Words) -> list[Draft]:
        """The ends of the orders still open at the end of the log."""
        drafts = []
        for place in [*self._link.open] if self._link is not None else ():
            self._open(place)
        for (line, station), carry in self._places.items():
            if carry.order is not None and carry.newest is not None:
                newest = carry.newest if station < 0 else self._newest[line]
                end: int | None = newest + self._hold
                if self._link is not None:
                    end = self._link.end_of_order((line, station), carry, self._newest[line], newest + self._hold)
                if end is None:
                    continue
                product = _number(carry.product, words)
                drafts.append(self._end(words, line, station, LAST, end, words.add(carry.order), product))
        self._places.clear()
        return drafts

    def _end(self, words: Words, line: int, station: int, at: int, ts: int, order: int, product: int) -> Draft:
        place, time = np.array([at], np.int64), np.array([ts], np.int64)
        return draft_between(
            words.list,
            place,
            time,
            line,
            ORDER_END,
            station=station,
            type=ORDER,
            code=END,
            a=-1,
            x=order,
            y=product,
        )


def fields(rules: Rules, rule: OrderRule, rows: Rows) -> tuple[I64, I64, I64, I64]:
    """Per row its order and product as words of the rows, its quantity, and the word of what is said of the product; -1
    where there is none."""
    everything = np.ones(len(rows), bool)
    ids = rules.text(rows, everything, rule.id, "order id")
    products = rules.text(rows, everything, rule.product, "product")
    quantities = np.full(len(rows), -1, np.int64)
    if rule.quantity is not None:
        values, present = rules.number(rows, everything, rule.quantity, "quantity")
        quantities = np.where(present, values, -1)
    return ids, products, quantities, declared(rules, rows, products, ids >= 0, rule.paces)


@dataclass(slots=True)
class _Spans:
    """Rows of one order each, with a beginning and an end."""

    place: I64  # shape (rows, 2): line, station
    begin: I64
    end: I64
    what: I64  # shape (rows, 4): words of order and product, quantity, word of what is said of the product
    where: I64  # the line in the file


class OrderSpans:
    """Orders whose rows are intervals: begun with the first of them, ended with the last.

    A row without an end lasts until the next one of its place begins; the last one stays open, for nobody said that it
    has ended. An order that begins at a place where another one still runs is refused: what it made is counted without
    an order.
    """

    def __init__(self, orders: Orders, rules: Rules, name: str, link: Link | None = None) -> None:
        self._orders = orders
        self._rules = rules
        self._link = link
        self._name = name
        self._words = Words()
        self._spans: list[_Spans] = []

    def add(self, line: int, rows: Rows) -> None:
        """One line's rows."""
        for station, rule, index in self._orders.of(rows):
            ids, products, quantities, entry = (found[index] for found in fields(self._rules, rule, rows))
            begin = rows.times[ORDER_START][index]
            end = rows.ends.get(ORDER_START, rows.ts)[index]
            end = np.where(end == NEVER, OPEN_END, end)
            bad = np.zeros(len(rows), bool)
            bad[index] = (ids >= 0) & (begin != NEVER) & (end < begin)
            self._rules.report(rows, bad, "impossible_value", "the order's work ends before it begins")
            keep = (ids >= 0) & (begin != NEVER) & (end >= begin)
            table = self._words.table(rows.words.list)
            what = np.stack([table[ids], table[products], quantities, table[entry]], axis=1)[keep]
            place = np.full((int(keep.sum()), 2), (line, station), np.int64)
            self._spans.append(_Spans(place, begin[keep], end[keep], what, rows.where_at(index)[keep]))

    def begin(self) -> None:
        """Say how the log begins: its first order at each place. All rows are there."""
        if self._link is None or not self._spans:
            return
        spans = self._whole()
        for row in np.lexsort((spans.end, spans.begin)).tolist():
            line, station = spans.place[row].tolist()
            self._link.begin_order((line, station), int(spans.begin[row]), self._words.list[spans.what[row, 0]])

    def _whole(self) -> _Spans:
        return _Spans(*(np.concatenate([getattr(one, key) for one in self._spans]) for key in _Spans.__slots__))

    def _last_end(self, spans: _Spans, row: int, begin: int, end: int) -> int:
        """When the last order of a place has ended, whose last row begins at `begin`; OPEN_END: it is open, or is the
        first one there of another log."""
        if self._link is None:
            return end
        line, station = spans.place[row].tolist()
        order = self._words.list[spans.what[row, 0]]
        if end != OPEN_END:
            return OPEN_END if self._link.order_goes_on((line, station), order, end) else end
        found = self._link.end_of_order((line, station), Open(order, newest=begin), begin, end)
        return OPEN_END if found is None else found

    def drafts(self) -> list[Draft]:
        """The starts and ends, not yet in order."""
        if not self._spans:
            return []
        spans = self._whole()
        starts: list[int] = []
        ends: list[tuple[int, int]] = []  # (the row that began it, when it ended)
        refused: list[int] = []
        open_row, open_end, last = -1, 0, 0
        order = np.lexsort((spans.end, spans.begin, spans.place[:, 1], spans.place[:, 0]))
        lasting = _until_the_next(spans, order)
        for row in order.tolist():
            if open_row >= 0 and (spans.place[row] != spans.place[open_row]).any():
                ends.append((open_row, self._last_end(spans, open_row, last, open_end)))
                open_row = -1
            begin, end = int(spans.begin[row]), int(lasting[row])
            last = begin
            if open_row >= 0 and spans.what[row, 0] == spans.what[open_row, 0]:
                open_end = max(open_end, end)
            elif open_row >= 0 and begin < open_end:
                refused.append(row)
            else:
                if open_row >= 0:
                    ends.append((open_row, open_end))
                starts.append(row)
                open_row, open_end = row, end
        if open_row >= 0:
            ends.append((open_row, self._last_end(spans, open_row, last, open_end)))
        ends = [one for one in ends if one[1] != OPEN_END]
        if refused:
            self._refuse(spans, refused, starts)
        return [
            self._made(spans, np.array(starts, np.int64), spans.begin[starts], START, ORDER_START),
            self._made(
                spans,
                np.array([row for row, _ in ends], np.int64),
                np.array([end for _, end in ends], np.int64),
                END,
                ORDER_END,
            ),
        ]

    def _refuse(self, spans: _Spans, refused: list[int], starts: list[int]) -> None:
        row = min(refused, key=lambda one: int(spans.where[one]))
        same = [one for one in starts if (spans.place[one] == spans.place[row]).all()]
        before = max((one for one in same if spans.begin[one] <= spans.begin[row]), key=lambda one: spans.begin[one])
        names = [self._words.list[spans.what[one, 0]] for one in (row, before)]
        self._rules.problem(
            "several_orders",
            f"{self._name}:{spans.where[row]}: order {names[0]} begins while order {names[1]} is worked on: "
            f"{ONE_AT_A_TIME}; it is not begun",
            len(refused),
        )

    def _made(self, spans: _Spans, rows: I64, ts: I64, code: int, rank: int) -> Draft:
        return draft(
            self._words.list,
            spans.where[rows],
            ts,
            spans.place[rows, 0],
            rank,
            station=spans.place[rows, 1],
            type=ORDER,
            code=code,
            a=spans.what[rows, 2] if code == START else -1,
            x=spans.what[rows, 0],
            y=spans.what[rows, 1],
            entry=spans.what[rows, 3] if code == START else -1,
        )


def _until_the_next(spans: _Spans, order: Index) -> I64:
    """The ends of the rows; one that has none ends where the next of its place begins. `order`: by place and time."""
    end = spans.end.copy()
    row, following = order[:-1], order[1:]
    ended = (end[row] == OPEN_END) & (spans.place[row] == spans.place[following]).all(axis=1)
    end[row[ended]] = spans.begin[following[ended]]
    return end


def _number(text: str | None, words: Words) -> int:
    return -1 if text is None else words.add(text)


def _text(number: int, words: Words) -> str | None:
    return words.list[number] if number >= 0 else None
