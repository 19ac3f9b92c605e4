"""Sequential: a sum of what is measured that forgets a half with each value. Every row depends on all before it."""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from kernels.fold import layout as at
from twin.measures.catalogue import Declared
from twin.measures.points import Point
from twin.measures.protocol import Observed, Rows, Taken

I64 = npt.NDArray[np.int64]


class Drift:
    def __init__(self, measures: Sequence[Declared]) -> None:
        self._lines = {k: one.line for k, one in enumerate(measures) if one.measure.quantity == "drift"}
        self._sum: dict[int, tuple[int, int]] = {}  # sum in 1/256, points so far
        self._done: list[Point] = []

    @classmethod
    def of(cls, measures: Sequence[Declared], publish_ns: I64) -> "Drift | None":
        return cls(measures) if any(one.measure.quantity == "drift" for one in measures) else None

    def take(self, observed: Observed, text: Callable[[int], str | None]) -> Taken:
        for row, shift, day in zip(observed.rows.tolist(), observed.shift.tolist(), observed.day.tolist(), strict=True):
            number, ts = row[at.MO_MEASURE], row[at.MO_TS]
            if number not in self._lines:
                continue
            before, n = self._sum.get(number, (0, 0))
            now = before // 2 + row[at.MO_VALUE] * 256
            self._sum[number] = now, n + 1
            about = day, shift, text(row[at.MO_ORDER]), text(row[at.MO_PRODUCT])
            self._done.append(Point(number, "drift", n, ts, ts, *about, 1, now, now / 256))
        return Taken([], [])

    def rows(self, line: int, until: int) -> Rows:
        out = [one for one in self._done if self._lines[one.measure] == line and one.end < until]
        self._done = [one for one in self._done if self._lines[one.measure] != line or one.end >= until]
        return {"samples": out}

    def go_on(self, other: "Drift", measures: dict[int, int]) -> None:
        self._sum |= {measures[k]: one for k, one in other._sum.items() if k in measures}

    def save(self, line: int) -> bytes:
        mine = [k for k, of in self._lines.items() if of == line]
        sums = [(mine.index(k), *self._sum[k]) for k in sorted(self._sum) if k in mine]
        done = [one._replace(measure=mine.index(one.measure)) for one in self._done if one.measure in mine]
        return msgspec.msgpack.encode((sums, done)) if sums or done else b""

    def load(self, line: int, data: bytes) -> None:
        mine = [k for k, of in self._lines.items() if of == line]
        self._sum = {k: v for k, v in self._sum.items() if k not in mine}
        self._done = [one for one in self._done if one.measure not in mine]
        if data:
            sums, done = msgspec.msgpack.decode(data, type=tuple[list[tuple[int, int, int]], list[Point]])
            self._sum |= {mine[k]: (total, n) for k, total, n in sums}
            self._done += [one._replace(measure=mine[one.measure]) for one in done]
