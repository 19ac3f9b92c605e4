"""First pass by unit: of the units that a station's counts name, which passed when they were there for the first time.

Additive: rows of `measures` with the number of units that came for the first time (`n`) and of those that passed
(`amount`). A unit that comes again was counted. A station remembers the units that it saw last; who comes again
after so many others counts as new.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from kernels.fold import layout as at
from twin.measures.catalogue import PASSED_AT_ONCE, Declared
from twin.measures.protocol import Observed, Rows, Taken
from twin.measures.rows import Key, Row, in_order
from twin.measures.totals import classes_of, ends_of

I64 = npt.NDArray[np.int64]
REMEMBERED: Final = 10_000


# The fields of a key, units, and how many of them passed.
_Sums = tuple[int, int, int, int, str | None, str | None, int, int, int]


class _Saved(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A line's state; measures by their number within the line."""

    seen: list[tuple[int, list[int]]] = []  # hashes, the one seen last stands last
    sums: list[_Sums] = []


_DECODER: Final = msgspec.msgpack.Decoder(_Saved)


class _Line:
    def __init__(self) -> None:
        self.seen: dict[int, dict[int, None]] = {}
        self.sums: dict[Key, list[int]] = {}  # units, and how many of them passed


class Units:
    """The units of a partition's lines."""

    def __init__(self, measures: Sequence[Declared], publish_ns: I64) -> None:
        self._measures = measures
        self._publish = publish_ns
        self._mine = np.array([one.measure.kind == PASSED_AT_ONCE for one in measures], np.bool_)
        self._first: dict[int, int] = {}
        for number, one in enumerate(measures):
            self._first.setdefault(one.line, number)
        self._lines: dict[int, _Line] = {}

    @classmethod
    def of(cls, measures: Sequence[Declared], publish_ns: I64) -> "Units | None":
        return cls(measures, publish_ns) if any(one.measure.kind == PASSED_AT_ONCE for one in measures) else None

    def take(self, observed: Observed, text: Callable[[int], str | None]) -> Taken:
        some = np.flatnonzero(self._mine[observed.rows[:, at.MO_MEASURE]])
        rows, shifts, days = observed.some(some)
        ends, classes = ends_of(rows, self._publish).tolist(), classes_of(rows[:, at.MO_CLASS]).tolist()
        about = zip(ends, days.tolist(), shifts.tolist(), classes, strict=True)
        for row, (end, day, shift, klass) in zip(rows.tolist(), about, strict=True):
            line, number, unit = row[at.MO_LINE], row[at.MO_MEASURE], row[at.MO_UNIT]
            mine = self._lines.setdefault(line, _Line())
            seen = mine.seen.setdefault(number, {})
            known = unit in seen
            seen.pop(unit, None)
            seen[unit] = None
            if known:
                continue
            if len(seen) > REMEMBERED:
                del seen[next(iter(seen))]
            key = Key(end, number, day, shift, text(row[at.MO_ORDER]), text(row[at.MO_PRODUCT]), klass)
            sums = mine.sums.setdefault(key, [0, 0])
            sums[0] += 1
            sums[1] += row[at.MO_VALUE]
        return Taken([], [])

    def rows(self, line: int, until: int) -> Rows:
        """The rows of intervals that ended before `until`."""
        mine = self._lines.get(line)
        if mine is None:
            return {}
        done = sorted((key for key in mine.sums if key.end < until), key=in_order)
        found = []
        for key in done:
            units, passed = mine.sums.pop(key)
            found.append(Row(key, [units, units, passed, 0, 0, 0, 0, 0, 0]))
        return {"measures": found}

    def go_on(self, other: "Units", measures: dict[int, int]) -> None:
        """Units of another plant's lines go on here; `measures`: their numbers there and here."""
        for theirs in other._lines.values():
            for number, seen in theirs.seen.items():
                if number in measures:
                    now = measures[number]
                    self._lines.setdefault(self._measures[now].line, _Line()).seen[now] = dict(seen)

    def save(self, line: int) -> bytes:
        mine, first = self._lines.get(line), self._first.get(line, 0)
        if mine is None:
            return b""
        keys = sorted(mine.sums, key=in_order)
        return msgspec.msgpack.encode(
            _Saved(
                [(number - first, list(mine.seen[number])) for number in sorted(mine.seen)],
                [_saved(key._replace(measure=key.measure - first), mine.sums[key]) for key in keys],
            )
        )

    def load(self, line: int, data: bytes) -> None:
        """Set a line back to what `save` gave. Raises msgspec.MsgspecError."""
        self._lines.pop(line, None)
        if not data:
            return
        saved, mine, first = _DECODER.decode(data), _Line(), self._first.get(line, 0)
        mine.seen = {number + first: dict.fromkeys(seen) for number, seen in saved.seen}
        for end, number, day, shift, order, product, klass, units, passed in saved.sums:
            mine.sums[Key(end, number + first, day, shift, order, product, klass)] = [units, passed]
        self._lines[line] = mine


def _saved(key: Key, sums: list[int]) -> _Sums:
    units, passed = sums
    return key.end, key.measure, key.day, key.shift, key.order, key.product, key.during, units, passed
