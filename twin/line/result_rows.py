"""What leaves the kernels as numbers becomes rows of the audited sets."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels import codes
from kernels.figures.oee import policy_matrix, ratios
from kernels.figures.throughput import ote_intervals
from kernels.fold import layout as at
from twin.line.bottlenecks import PATH, PathRows
from twin.line.cells import (
    F64,
    Labels,
    constant,
    first_revision,
    names,
    names_of,
    own,
    ratio_array,
    times,
    told,
)
from twin.line.dates import Dates
from twin.line.declared import product_of
from twin.line.measured_rows import MeasuredRows
from twin.line.numbers import ideal_of, worth
from twin.line.texts import Texts, declaration_of
from twin.measures.catalogue import declared
from twin.measures.points import Point
from twin.oee import subsystems
from twin.plant.calendar import NO_SHIFT, shift_id
from twin.plant.canonical import line_hashes
from twin.plant.model import Line, Plant
from twin.results import BOTTLENECKS, CLASS_COLUMNS, DATE, KPIS, SAMPLES, STATES

I64 = npt.NDArray[np.int64]
SCOPES: Final = ("shift", "day", "order")
_DAY: Final = -1 - SCOPES.index("day")  # as KO_WINDOW


_STATES: Final = own(STATES)
_KPIS: Final = own(KPIS)
_BOTTLENECKS: Final = own(BOTTLENECKS)
_SAMPLES: Final = own(SAMPLES)
_MOST_LIMITS: Final = 4_096  # products of a line's stations whose limits are kept
Made = int | str  # a product of the plant file by its number (-1: none), or the text of one that was declared


def _alike(products: I64) -> Iterator[tuple[list[int], I64]]:
    """The different rows of `products` (intervals, stations), and the places of each."""
    if (products == products[:1]).all():  # nearly always
        yield products[0].tolist(), np.arange(len(products))
        return
    texts, which = np.unique(products, axis=0, return_inverse=True)
    for k, some in enumerate(texts.tolist()):
        yield some, np.flatnonzero(which.reshape(-1) == k)


def _fits(value: int | None) -> int | None:
    """None where 64 bits do not hold it."""
    return value if value is not None and -(1 << 63) <= value < 1 << 63 else None


_CLASSES: Final = Labels(codes.CLASS_NAMES)


class RowMaker:
    """Knows the plant's names; makes tables of numbers."""

    def __init__(self, plant: Plant, first: Sequence[int]) -> None:
        self._plant = plant
        self._texts = Texts()
        self.dates = Dates([line.calendar for line in plant.lines])
        self._first = np.array(first, np.int64)
        self._measures = declared(plant)
        policies = sorted({line.policy for line in plant.lines})
        windows = [w.id for line in plant.lines for w in line.windows]
        self._lines = Labels([line.id for line in plant.lines])
        self._stations = Labels([s.id for s in plant.stations])
        self._line_models = Labels(line_hashes(plant))
        units = [station.unit or line.unit for line in plant.lines for station in line.stations]
        distinct = sorted({unit for unit in units if unit is not None})
        self._units = Labels(distinct)
        self._unit = np.array([-1 if unit is None else distinct.index(unit) for unit in units], np.int64)
        self._windows = len(windows)
        self._scopes = Labels([*windows, *SCOPES])
        self._policies = Labels(policies)
        self._policy = np.array([policies.index(line.policy) for line in plant.lines], np.int64)
        self._roles = policy_matrix(tuple(policies))
        self._paces: dict[tuple[int, int, int], Fraction] = {}
        self._limits: dict[tuple[Made, ...], tuple[int, F64 | None]] = {}
        self._constraint = [
            None if line.constraint is None else [s.id for s in line.stations].index(line.constraint)
            for line in plant.lines
        ]
        self._products = [{p.id: k for k, p in enumerate(line.products)} for line in plant.lines]
        self._network = [subsystems(line) for line in plant.lines]
        self._measured = MeasuredRows(plant, self._production_dates, self._shifts)

    def of(self, texts: Texts) -> "RowMaker":
        """The same for the texts of a partition; tables of the plant are shared."""
        made = copy.copy(self)
        made._texts = texts
        return made

    def states(self, rows: I64) -> pa.Table:
        line = rows[:, at.IO_LINE]
        word, reason, order, product = names_of(
            [rows[:, column] for column in (at.IO_WORD, at.IO_REASON, at.IO_ORDER, at.IO_PRODUCT)], self._texts.names
        )
        shift, day = self.dates.at(line, rows[:, at.IO_START])
        return pa.Table.from_arrays(
            [
                self._lines.array(rows[:, at.IO_LINE]),
                self._stations.array(rows[:, at.IO_STATION]),
                times(rows[:, at.IO_START]),
                times(rows[:, at.IO_END]),
                _CLASSES.array(rows[:, at.IO_CLASS]),
                word,
                reason,
                order,
                product,
                self._production_dates(line, shift, day),
                self._shifts(line, shift),
                *first_revision(len(rows)),
                constant(self._plant.hash, len(rows)),
                self._line_models.array(line),
            ],
            schema=_STATES,
        )

    def kpis(self, rows: I64) -> pa.Table:
        """Rows of stations, and behind those of each interval one of the line: that of its constraint, with OTE.

        A line's rows stand by their end, at one end as they left the kernels: in the order in which they became
        certain. So what leaves does not depend on where a run was cut.
        """
        vectors = np.ascontiguousarray(rows[:, at.KO_COLUMNS :])
        factors = np.full((len(rows), 4), np.nan)
        suspect = np.zeros(len(rows), np.bool_)
        policy = self._policy[rows[:, at.KO_LINE]]
        for k in range(len(self._roles)):
            mine = policy == k
            if mine.any():
                factors[mine], suspect[mine] = ratios(vectors[mine], self._roles[k])
        constraint, ote, representative, last = self._lines_of(rows, factors)
        own = np.flatnonzero(rows[:, at.KO_ROW] != at.ROW_UNSEEN)
        take = np.concatenate([own, representative])
        place = np.concatenate([2 * own, 2 * last + 1])
        order = np.lexsort((place, rows[take, at.KO_END], rows[take, at.KO_LINE]))
        take, whole = take[order], np.flatnonzero(order >= len(own))
        of = order[whole] - len(own)  # which of the lines' rows
        made = rows[take]
        station, constraints, otes = made[:, at.KO_STATION].copy(), np.full(len(take), -1), np.full(len(take), np.nan)
        station[whole], constraints[whole], otes[whole] = -1, constraint[of], ote[of]
        made[whole, at.KO_ORDER] = made[whole, at.KO_LINE_ORDER]
        made[whole, at.KO_PRODUCT] = made[whole, at.KO_LINE_PRODUCT]
        made[whole, at.KO_QUANTITY] = made[whole, at.KO_LINE_QUANTITY]
        return self._kpi_table(made, factors[take], suspect[take], station, constraints, otes)

    def _kpi_table(
        self, rows: I64, factors: F64, suspect: npt.NDArray[np.bool_], station: I64, constraint: I64, ote: F64
    ) -> pa.Table:
        window = rows[:, at.KO_WINDOW]
        number = np.where(window >= 0, window, self._windows - 1 - window)
        column = rows[:, at.KO_COLUMNS :].T
        order, product = names_of([rows[:, at.KO_ORDER], rows[:, at.KO_PRODUCT]], self._texts.names)
        counted = (
            codes.GOOD, codes.SCRAP, codes.REWORK, codes.IDEAL_NS,
            codes.CYCLES, codes.CYCLE_NS, codes.MINOR_STOPS, codes.DOWNS,
        )  # fmt: skip
        return pa.Table.from_arrays(
            [
                self._lines.array(rows[:, at.KO_LINE]),
                self._stations.array(station),
                self._scopes.array(number),
                times(rows[:, at.KO_START]),
                times(rows[:, at.KO_END]),
                self._ended(rows[:, at.KO_LINE], rows[:, at.KO_END], rows[:, at.KO_SHIFT], window == _DAY),
                self._shifts(rows[:, at.KO_LINE], rows[:, at.KO_SHIFT]),
                order,
                product,
                *first_revision(len(rows)),
                self._policies.array(self._policy[rows[:, at.KO_LINE]]),
                constant(self._plant.hash, len(rows)),
                self._line_models.array(rows[:, at.KO_LINE]),
                told(rows[:, at.KO_QUANTITY]),
                self._units.array(self._unit[rows[:, at.KO_STATION]]),
                *[pa.array(column[k]) for k in range(len(CLASS_COLUMNS))],
                *[pa.array(column[k]) for k in counted],
                *[ratio_array(np.ascontiguousarray(factors[:, k])) for k in range(4)],
                pa.array(suspect),
                self._stations.array(constraint),
                ratio_array(ote),
            ],
            schema=_KPIS,
        )

    def _lines_of(self, rows: I64, factors: F64) -> tuple[I64, F64, I64, I64]:
        """Per interval of a line: constraint (plant-wide number), OTE, the row of the constraint, that of the last
        station."""
        whole = rows[:, at.KO_ROW] != at.ROW_OWN
        firsts = np.flatnonzero(whole & (rows[:, at.KO_STATION] == self._first[rows[:, at.KO_LINE]]))
        constraint = np.empty(len(firsts), np.int64)
        last = np.empty(len(firsts), np.int64)
        ote = np.full(len(firsts), np.nan)
        lines = rows[firsts, at.KO_LINE]
        for line in np.unique(lines).tolist():
            of_line = np.flatnonzero(lines == line)
            stations = firsts[of_line, None] + np.arange(len(self._plant.lines[line].stations))
            last[of_line] = stations[:, -1]
            # A line makes many rows of the same products: they are taken together.
            for some, mine in _alike(rows[stations, at.KO_PRODUCT]):
                limit, rates = self._limits_of(line, [self._product(line, text) for text in some])
                constraint[of_line[mine]] = limit
                ote[of_line[mine]] = self._ote(line, rates, factors[stations[mine]])
        representative = firsts + constraint
        return rows[representative, at.KO_STATION], ote, representative, last

    def _limits_of(self, line: int, products: Sequence[Made]) -> tuple[int, F64 | None]:
        """The constraint, and of each station the units of the line in a second; None: of one there is no ideal.

        Kept, as exact fractions for every row of a line took half of the time of a slow one.
        """
        key = (line, *products)
        found = self._limits.get(key)
        if found is None:
            paces = self._pace(line, products)
            rates = np.array([float(10**9 / pace) for pace in paces]) if all(paces) else None
            if len(self._limits) >= _MOST_LIMITS:
                self._limits.clear()
            named = self._constraint[line]
            found = self._limits[key] = paces.index(max(paces)) if named is None else named, rates
        return found

    def _product(self, line: int, text: int) -> Made:
        if text < 0:
            return -1
        name = self._texts.all[text]
        return self._products[line].get(name, name if declaration_of(name) else -1)

    def constraint(self, line: int, products: Sequence[Made]) -> int:
        """Local number of the station that limits the line: the one named, else the longest ideal cycle, per unit of
        the line. `products`: of each station."""
        return self._limits_of(line, products)[0]

    def _pace(self, line: int, products: Sequence[Made]) -> list[Fraction]:
        """Per station the ideal ns for a unit of the line, in which stations can be compared; 0 without an ideal."""
        return [self._pace_of(line, k, product) for k, product in enumerate(products)]

    def _pace_of(self, line: int, k: int, product: Made) -> Fraction:
        one = self._plant.lines[line]
        if isinstance(product, str):
            made = product_of(product)
            return Fraction(ideal_of(one.stations[k], made)) / worth(one.stations[k], made)
        found = self._paces.get((line, k, product))
        if found is None:
            known = one.products[product] if product >= 0 else None
            found = Fraction(ideal_of(one.stations[k], known)) / worth(one.stations[k], known)
            self._paces[line, k, product] = found
        return found

    def _ote(self, line: int, rates: F64 | None, factors: F64) -> F64:
        """Per interval; `factors` (intervals, stations, 4)."""
        network = self._network[line]
        if network is None or rates is None:
            return np.full(len(factors), np.nan)
        oee, quality = np.ascontiguousarray(factors[:, :, 3]), np.ascontiguousarray(factors[:, :, 2])
        return ote_intervals(rates, oee, quality, network.stage, network.inputs, network.output, network.n_buffers)

    def _ended(self, line: I64, end: I64, shift: I64, days: npt.NDArray[np.bool_] | None = None) -> "pa.Array[Any]":
        """Production dates of rows that end there: of their shift's start, or of their last instant. `days`: rows of a
        whole production day, which is theirs whatever the shift."""
        _, day = self.dates.at(line, end - 1)
        return self._production_dates(line, shift if days is None else np.where(days, NO_SHIFT, shift), day)

    def _production_dates(self, line: I64, shift: I64, day: I64) -> "pa.Array[Any]":
        return pa.array(self.dates.of_shifts(line, shift, day).astype(np.int32)).cast(DATE)

    def _shifts(self, line: I64, shift: I64) -> "pa.Array[Any]":
        if not len(line):
            return names(line, [])
        if (shift == shift[0]).all() and self.dates.alike(line):  # nearly always
            if shift[0] == NO_SHIFT:
                return names(np.full(len(line), -1), [])
            return constant(self._shift_text(int(line[0]), int(shift[0])), len(line))
        # Rows of a line and shift come together: a look at each such run, not at each row.
        heads = np.flatnonzero(np.append(True, (line[1:] != line[:-1]) | (shift[1:] != shift[:-1])))
        keys = list(zip(line[heads].tolist(), shift[heads].tolist(), strict=True))
        label = {key: k for k, key in enumerate(dict.fromkeys(key for key in keys if key[1] != NO_SHIFT))}
        index = np.array([label.get(key, -1) for key in keys])
        texts = [self._shift_text(*key) for key in label]
        return names(np.repeat(index, np.diff(np.append(heads, len(line)))), texts)

    def _shift_text(self, line: int, instance: int) -> str:
        name, day = shift_id(self._plant.lines[line].calendar, instance)
        return f"{day.isoformat()} {name}"

    def of_families(self, rows: Mapping[str, Sequence[Any]]) -> dict[str, pa.Table]:
        """Tables of the rows that families give (twin.measures.protocol)."""
        made: dict[str, Callable[[Sequence[Any]], pa.Table]] = {
            "measures": self._measured.table,
            "samples": self.samples,
        }
        return {name: made[name](found) for name, found in rows.items()}

    def samples(self, rows: Sequence[Point]) -> pa.Table:
        """Points of series, in their order."""
        which = [self._measures[row.measure] for row in rows]
        asked = [one.measure.specified(row.product) for one, row in zip(which, rows, strict=True)]
        line, station, shift, day = np.array(
            [(one.line, one.station, row.shift, row.day) for one, row in zip(which, rows, strict=True)], np.int64
        ).T

        def named(values: list[str | None]) -> "pa.Array[Any]":
            return pa.array(values, pa.string()).dictionary_encode()

        return pa.Table.from_arrays(
            [
                self._lines.array(line),
                self._stations.array(station),
                named([one.measure.id for one in which]),
                named([row.chart for row in rows]),
                pa.array([row.point for row in rows], pa.int64()),
                times(np.array([row.start for row in rows], np.int64)),
                times(np.array([row.end for row in rows], np.int64)),
                self._production_dates(line, shift, day),
                self._shifts(line, shift),
                named([row.order for row in rows]),
                named([row.product for row in rows]),
                *first_revision(len(rows)),
                constant(self._plant.hash, len(rows)),
                self._line_models.array(line),
                named([one.measure.unit for one in which]),
                pa.array([one.measure.decimals for one in which], pa.int32()),
                pa.array([row.n for row in rows], pa.int64()),
                pa.array([_fits(row.total) for row in rows], pa.int64()),
                *[
                    pa.array(column, pa.float64())
                    for column in (
                        [row.figure for row in rows],
                        [row.center for row in rows],
                        [row.lower for row in rows],
                        [row.upper for row in rows],
                        [row.sigma for row in rows],
                        [one.measure.plain(said.lsl) for one, said in zip(which, asked, strict=True)],
                        [one.measure.plain(said.usl) for one, said in zip(which, asked, strict=True)],
                        [one.measure.plain(said.target) for one, said in zip(which, asked, strict=True)],
                    )
                ],
                pa.array([row.phase for row in rows], pa.int32()),
                named([row.version for row in rows]),
                named([" ".join(row.signals) or None for row in rows]),
                named([row.cause for row in rows]),
            ],
            schema=_SAMPLES,
        )

    def bottlenecks(self, intervals: Sequence[PathRows]) -> pa.Table:
        counts = [len(one.cells) for one in intervals]

        def each(values: list[Any]) -> Any:
            return np.repeat(np.array(values), counts)

        cells = np.concatenate([one.cells for one in intervals])
        elapsed = each([one.elapsed for one in intervals])
        line = each([one.line for one in intervals])
        stations = np.concatenate(
            [np.arange(n) + self._first[one.line] for n, one in zip(counts, intervals, strict=True)]
        )
        shift = each([one.shift for one in intervals])
        windows = [one.window for one in intervals]
        verdicts = [one.verdict for one in intervals]
        index = np.repeat(np.arange(len(intervals)), counts)
        busy = cells[:, 3] / elapsed
        return pa.Table.from_arrays(
            [
                self._lines.array(line),
                self._stations.array(stations),
                names(index, windows),
                times(each([one.start for one in intervals])),
                times(each([one.end for one in intervals])),
                self._ended(line, each([one.end for one in intervals]), shift),
                self._shifts(line, shift),
                names(each([one.order for one in intervals]), self._texts.names),
                names(each([one.product for one in intervals]), self._texts.names),
                *first_revision(len(cells)),
                self._policies.array(self._policy[line]),
                constant(self._plant.hash, len(cells)),
                self._line_models.array(line),
                pa.array(np.ascontiguousarray(cells[:, PATH])),
                pa.array(elapsed),
                ratio_array(cells[:, PATH] / elapsed),
                ratio_array(np.concatenate([one.low for one in intervals])),
                ratio_array(np.concatenate([one.high for one in intervals])),
                pa.array(each([one.panes for one in intervals]).astype(np.int32)),
                names(index, verdicts),
                *[pa.array(np.ascontiguousarray(cells[:, k])) for k in (1, 2, 3)],
                ratio_array(busy),
                pa.array(np.concatenate([one.turning for one in intervals])),
                pa.array(np.concatenate([one.arrow for one in intervals])),
                *[pa.array(np.ascontiguousarray(cells[:, k])) for k in (5, 6, 4)],
            ],
            schema=_BOTTLENECKS,
        )


def first_stations(lines: Sequence[Line]) -> list[int]:
    """Plant-wide number of each line's first station."""
    counts = [len(line.stations) for line in lines]
    return [0, *np.cumsum(counts).tolist()][: len(counts)]
