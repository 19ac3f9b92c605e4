"""Additive: how often what is measured changed its direction, by publishing interval. Sums of integers."""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from kernels.fold import layout as at
from twin.measures.catalogue import Declared
from twin.measures.protocol import Observed, Rows, Taken
from twin.measures.rows import Key, Row

I64 = npt.NDArray[np.int64]


class Noise:
    def __init__(self, measures: Sequence[Declared], publish_ns: I64) -> None:
        self._lines = {k: one.line for k, one in enumerate(measures) if one.measure.quantity == "noise"}
        self._publish = publish_ns
        self._last: dict[int, tuple[int, int]] = {}  # value, direction
        self._turns: dict[tuple[int, int, int, int], int] = {}  # measure, end, day, shift

    @classmethod
    def of(cls, measures: Sequence[Declared], publish_ns: I64) -> "Noise | None":
        return cls(measures, publish_ns) if any(one.measure.quantity == "noise" for one in measures) else None

    def take(self, observed: Observed, text: Callable[[int], str | None]) -> Taken:
        for row, shift, day in zip(observed.rows.tolist(), observed.shift.tolist(), observed.day.tolist(), strict=True):
            number, value = row[at.MO_MEASURE], row[at.MO_VALUE]
            if number not in self._lines:
                continue
            before, way = self._last.get(number, (value, 0))
            now = (value > before) - (value < before) or way
            self._last[number] = value, now
            every = int(self._publish[row[at.MO_LINE]])
            key = number, -(-row[at.MO_TS] // every) * every, day, shift
            self._turns[key] = self._turns.get(key, 0) + (now * way < 0)
        return Taken([], [])

    def rows(self, line: int, until: int) -> Rows:
        done = sorted(key for key in self._turns if self._lines[key[0]] == line and key[1] < until)
        made = []
        for number, end, day, shift in done:
            turns = self._turns.pop((number, end, day, shift))
            # A class of its own, so that the row is none of the sums'.
            key = Key(end, number, day, shift, "noise", None, -1)
            made.append(Row(key, [turns, 1, turns, turns, turns, turns, turns * turns, 0, 0]))
        return {"measures": made}

    def go_on(self, other: "Noise", measures: dict[int, int]) -> None:
        self._last |= {measures[k]: last for k, last in other._last.items() if k in measures}

    def save(self, line: int) -> bytes:
        mine = [k for k, of in self._lines.items() if of == line]
        last = [(mine.index(k), *self._last[k]) for k in sorted(self._last) if k in mine]
        turns = [(mine.index(key[0]), *key[1:], self._turns[key]) for key in sorted(self._turns) if key[0] in mine]
        return msgspec.msgpack.encode((last, turns)) if last or turns else b""

    def load(self, line: int, data: bytes) -> None:
        mine = [k for k, of in self._lines.items() if of == line]
        self._last = {k: v for k, v in self._last.items() if k not in mine}
        self._turns = {k: v for k, v in self._turns.items() if k[0] not in mine}
        if data:
            saved = tuple[list[tuple[int, int, int]], list[tuple[int, int, int, int, int]]]
            last, turns = msgspec.msgpack.decode(data, type=saved)
            self._last |= {mine[k]: (value, way) for k, value, way in last}
            self._turns |= {(mine[k], end, day, shift): n for k, end, day, shift, n in turns}
