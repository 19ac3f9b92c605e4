"""Rows of what was measured (twin.measures.rows) become a table of the set `measures`.

A run writes few of them, so what counts is how often numpy and Arrow are called: whole numbers are laid out in one
array and cut into columns, so are the texts that the plant gives, and columns that say one thing are kept.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.figures import measured_rows as leaving
from kernels.figures.measured import R_DAY, R_MEASURE, R_ORDER, R_PRODUCT, R_SHIFT
from twin.line.cells import Alike, Labels, constant, first_revision, names_of, own
from twin.measures.catalogue import PASSED_AT_ONCE, declared
from twin.measures.distribution import written
from twin.measures.rows import Block, Row, by_end, joined, laid_out
from twin.measures.totals import CLASSES
from twin.plant.canonical import line_hashes
from twin.plant.model import Plant
from twin.results import MEASURES, TS

I64 = npt.NDArray[np.int64]
_MEASURES: Final = own(MEASURES)
PUBLISH: Final = "publish"  # the window of these rows: from one publishing tick to the next


class MeasuredRows:
    """Knows what the plant says of its measures."""

    def __init__(
        self,
        plant: Plant,
        dates: "Callable[[I64, I64, I64], pa.Array[Any]]",
        shifts: "Callable[[I64, I64], pa.Array[Any]]",
    ) -> None:
        """`dates`: production dates by line, shift and day; `shifts`: by line and shift."""
        self._dates, self._shifts = dates, shifts
        measures = declared(plant)
        models, stations = line_hashes(plant), [station.id for station in plant.stations]
        # A column each of texts, and of each measure its place there; -1 none.
        texts: list[list[str | None]] = [
            [plant.lines[one.line].id for one in measures],
            [stations[one.station] if one.station >= 0 else None for one in measures],
            [models[one.line] for one in measures],
            [one.measure.id for one in measures],
            [one.measure.quantity for one in measures],
            [one.measure.unit for one in measures],
        ]
        labels = [Labels([text for text in column if text is not None]) for column in texts]
        self._texts = [*(one.texts for one in labels), Labels(CLASSES).texts]
        places = [{text: k for k, text in enumerate(one.texts.to_pylist())} for one in labels]
        self._codes = np.array(
            [
                [place.get(text, -1) for place, text in zip(places, row, strict=True)]
                for row in zip(*texts, strict=True)
            ],
            np.int32,
        ).reshape(-1, len(texts))
        self._line = np.array([one.line for one in measures], np.int64)
        self._publish = np.array([plant.lines[one.line].publish_every_ns for one in measures], np.int64)
        self._decimals = np.array([one.measure.decimals for one in measures], np.int32)
        valued = [one.measure.kind not in ("meter", PASSED_AT_ONCE) for one in measures]
        summed = [one.measure.kind in ("gauge", "characteristic") for one in measures]
        packed = [bool(one.measure.average_weight) for one in measures]
        self._told = np.ones((len(measures), leaving.N_X), np.bool_)
        self._told[:, [leaving.X_LEAST, leaving.X_MOST]] = np.array(valued)[:, None]
        self._told[:, [leaving.X_TOTAL, leaving.X_HIGH, leaving.X_LOW]] = np.array(summed)[:, None]
        self._told[:, [leaving.X_T1, leaving.X_T2]] = np.array(packed)[:, None]
        self._alike = [Alike(lambda rows: constant(PUBLISH, rows)), Alike(lambda rows: constant(plant.hash, rows))]
        self._revision = [Alike(lambda rows, k=k: first_revision(rows)[k]) for k in range(3)]  # type: ignore[misc]
        self._one_calendar = len({line.calendar for line in plant.lines}) == 1
        self._kept: tuple[tuple[int, int], Alike, Alike] | None = None  # of the day and shift that was written last
        self._unnamed = Alike(lambda rows: names_of([np.full(rows, -1)], [])[0])

    def table(self, rows: Sequence[Row | Block]) -> pa.Table:
        block = joined(rows)
        if len(rows) > 1:  # of several families, or lines
            block = by_end(block, self._line[block.sums[:, R_MEASURE]])
        n, number = len(block.sums), block.sums[:, R_MEASURE]
        laid = laid_out(block, self._told, self._publish, self._codes)
        cells: Any = pa.array(laid.cells.ravel(), mask=laid.absent.ravel())
        start, end, *whole = [cells.slice(k * n, n) for k in range(len(laid.cells))]
        codes: Any = pa.array(laid.named.ravel(), mask=laid.named.ravel() < 0)
        line, station, line_model, measure, quantity, unit, during = (
            pa.DictionaryArray.from_arrays(codes.slice(k * n, n), texts, safe=False)
            for k, texts in enumerate(self._texts)
        )
        window, model = (one.of(n) for one in self._alike)
        date, shift = self._when(block, alike=laid.alike)
        named = [self._unnamed.of(n)] * 2
        if block.texts:
            named = names_of([block.sums[:, column] for column in (R_ORDER, R_PRODUCT)], block.texts)
        return pa.Table.from_arrays(
            [
                line,
                station,
                window,
                start.view(TS),
                end.view(TS),
                date,
                shift,
                *named,
                *(one.of(n) for one in self._revision),
                model,
                line_model,
                measure,
                quantity,
                unit,
                during,
                pa.array(self._decimals[number]),
                *whole,
                pa.nulls(n, pa.string())
                if block.buckets is None
                else pa.array([None if one is None else written(one) for one in block.buckets], pa.string()),
            ],
            schema=_MEASURES,
        )

    def _when(self, block: Block, *, alike: bool) -> "tuple[pa.Array[Any], pa.Array[Any]]":
        """Production dates and shifts. `alike`: of one day and shift, as nearly always."""
        rows, n = block.sums, len(block.sums)
        if not (alike and self._one_calendar):
            line = self._line[rows[:, R_MEASURE]]
            day, shift = (np.ascontiguousarray(rows[:, column]) for column in (R_DAY, R_SHIFT))
            return self._dates(line, shift, day), self._shifts(line, shift)
        day_, shift_ = int(rows[0, R_DAY]), int(rows[0, R_SHIFT])
        kept = self._kept
        if kept is None or kept[0] != (day_, shift_):

            def dates(rows: int) -> "pa.Array[Any]":
                return self._dates(np.zeros(rows, np.int64), np.full(rows, shift_), np.full(rows, day_))

            def shifts(rows: int) -> "pa.Array[Any]":
                return self._shifts(np.zeros(rows, np.int64), np.full(rows, shift_))

            self._kept = kept = (day_, shift_), Alike(dates), Alike(shifts)
        _, date, shift_of = kept
        return date.of(n), shift_of.of(n)
