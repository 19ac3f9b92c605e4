"""Facts: one row for each time that what is measured came to zero or above, and an alert of it."""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from kernels.fold import layout as at
from twin.measures.catalogue import Declared
from twin.measures.points import Point
from twin.measures.protocol import Observed, Rows, Taken, Told

I64 = npt.NDArray[np.int64]


class Beats:
    def __init__(self, measures: Sequence[Declared]) -> None:
        self._lines = {k: one.line for k, one in enumerate(measures) if one.measure.quantity == "beats"}
        self._low: dict[int, tuple[bool, int]] = {}  # below zero, beats so far
        self._done: list[Point] = []

    @classmethod
    def of(cls, measures: Sequence[Declared], publish_ns: I64) -> "Beats | None":
        return cls(measures) if any(one.measure.quantity == "beats" for one in measures) else None

    def take(self, observed: Observed, text: Callable[[int], str | None]) -> Taken:
        told = []
        for row, shift, day in zip(observed.rows.tolist(), observed.shift.tolist(), observed.day.tolist(), strict=True):
            line, station, number, ts = (row[k] for k in (at.MO_LINE, at.MO_STATION, at.MO_MEASURE, at.MO_TS))
            if number not in self._lines:
                continue
            low, n = self._low.get(number, (False, 0))
            now = row[at.MO_VALUE] < 0
            if low and not now:
                about = day, shift, text(row[at.MO_ORDER]), text(row[at.MO_PRODUCT])
                self._done.append(Point(number, "beats", n, ts, ts, *about, 1, row[at.MO_VALUE], None))
                told.append(Told(line, station, "beats", ts, ts, f"beat {n}", "it came back"))
            self._low[number] = now, n + (low and not now)
        return Taken([], told)

    def rows(self, line: int, until: int) -> Rows:
        out = [one for one in self._done if self._lines[one.measure] == line and one.end < until]
        self._done = [one for one in self._done if one not in out]
        return {"samples": out}

    def go_on(self, other: "Beats", measures: dict[int, int]) -> None:
        self._low |= {measures[k]: low for k, low in other._low.items() if k in measures}

    def save(self, line: int) -> bytes:
        mine = [k for k, of in self._lines.items() if of == line]
        low = [(mine.index(k), *self._low[k]) for k in sorted(self._low) if k in mine]
        done = [one._replace(measure=mine.index(one.measure)) for one in self._done if one.measure in mine]
        return msgspec.msgpack.encode((low, done)) if low or done else b""

    def load(self, line: int, data: bytes) -> None:
        mine = [k for k, of in self._lines.items() if of == line]
        self._low = {k: v for k, v in self._low.items() if k not in mine}
        self._done = [one for one in self._done if one.measure not in mine]
        if data:
            low, done = msgspec.msgpack.decode(data, type=tuple[list[tuple[int, bool, int]], list[Point]])
            self._low |= {mine[k]: (below, n) for k, below, n in low}
            self._done += [one._replace(measure=mine[one.measure]) for one in done]
