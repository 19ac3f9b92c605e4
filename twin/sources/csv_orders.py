"""Orders read from a column: a new id starts the line's order, and the time of the last row ends it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kernels.codes import END, ORDER, START
from twin.sources.blocks import Words
from twin.sources.csv_rules import Rows, Rules
from twin.sources.drafts import END as LAST
from twin.sources.drafts import ORDER_END, ORDER_START, Draft, draft, draft_between
from twin.sources.mapping import OrderRule

I64 = npt.NDArray[np.int64]
Index = npt.NDArray[np.intp]


@dataclass(slots=True)
class _Open:
    order: str | None = None
    product: str | None = None
    newest: int | None = None


class Orders:
    """The orders of every line of one log."""

    def __init__(self, rule: OrderRule, hold_ns: int, rules: Rules) -> None:
        self._rule = rule
        self._hold = hold_ns
        self._rules = rules
        self._lines: dict[int, _Open] = {}

    def changes(self, line: int, index: Index, rows: Rows, newest: I64) -> list[Draft]:
        """Starts and ends of orders at one line's rows; `newest` is the line's newest time at each of `index`."""
        carry = self._lines.setdefault(line, _Open())
        everything = np.ones(len(rows), bool)
        ids = self._rules.text(rows, everything, self._rule.id, "order id")[index]
        products = self._rules.text(rows, everything, self._rule.product, "product")[index]
        quantities = np.full(len(rows), -1, np.int64)
        if self._rule.quantity is not None:
            values, present = self._rules.number(rows, everything, self._rule.quantity, "quantity")
            quantities = np.where(present, values, -1)
        ts, at = rows.ts[index], rows.at[index]
        # A row that comes late says what was made then, not what is made now.
        current = np.flatnonzero(ts == newest)
        carried = -1 if carry.order is None else rows.words.add(carry.order)
        before = np.concatenate([[carried], ids[current[:-1]]]) if len(current) else np.empty(0, np.int64)
        drafts = []
        for k in np.flatnonzero(ids[current] != before).tolist():
            row = int(current[k])
            if before[k] >= 0:
                last = int(newest[row - 1]) if row else carry.newest
                assert last is not None, "an order is open, so a row has been seen"
                product = int(products[current[k - 1]]) if k else _number(carry.product, rows.words)
                end = min(last + self._hold, int(ts[row]))
                drafts.append(self._end(rows.words, line, int(at[row]), end, int(before[k]), product))
            if ids[row] >= 0:
                drafts.append(
                    draft(
                        rows.words.list,
                        at[row : row + 1],
                        ts[row : row + 1],
                        line,
                        ORDER_START,
                        station=-1,
                        type=ORDER,
                        code=START,
                        a=quantities[index[row]],
                        x=ids[row],
                        y=products[row],
                    )
                )
        carry.newest = int(newest[-1])
        if len(current):
            carry.order = _text(int(ids[current[-1]]), rows.words)
            carry.product = _text(int(products[current[-1]]), rows.words)
        return drafts

    def finish(self, words: Words) -> list[Draft]:
        """The ends of the orders still open at the end of the log."""
        drafts = []
        for line, carry in self._lines.items():
            if carry.order is not None and carry.newest is not None:
                end, product = carry.newest + self._hold, _number(carry.product, words)
                drafts.append(self._end(words, line, LAST, end, words.add(carry.order), product))
        self._lines.clear()
        return drafts

    def _end(self, words: Words, line: int, at: int, ts: int, order: int, product: int) -> Draft:
        place, time = np.array([at], np.int64), np.array([ts], np.int64)
        return draft_between(
            words.list,
            place,
            time,
            line,
            ORDER_END,
            station=-1,
            type=ORDER,
            code=END,
            a=-1,
            x=order,
            y=product,
        )


def _number(text: str | None, words: Words) -> int:
    return -1 if text is None else words.add(text)


def _text(number: int, words: Words) -> str | None:
    return words.list[number] if number >= 0 else None
