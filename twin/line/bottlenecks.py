"""Bottleneck rows: panes, the window of the last panes, orders; intervals from batch means."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from kernels.figures.bottleneck import arrow_rule, hindsight, turning_point
from kernels.figures.stats import batch_means, verdict
from kernels.fold import layout as at
from twin.line.remembered import LineMemory, Pane
from twin.plant.model import Line
from twin.plant.topology import links, peers

I64 = npt.NDArray[np.int64]

UNDECIDED: Final = "undecided"
# An order's panes are kept for its interval; beyond this many, neighbours are merged into longer ones (batch means).
MAX_ORDER_PANES: Final = 1_024
PATH, BLOCKED, STARVED, RUNNING, CAUSAL, SOLE, SHIFTING, CYCLES = range(8)
# Of two parallel stations the path names the one that came first, by however little. Their shares can be told apart
# only where they lie within this of the parts that each made.
PHASE_SHARE: Final = 0.1


@dataclass(slots=True)
class PathRows:
    """One interval of one line: what all its rows share, and the cells of each station."""

    line: int
    window: str
    start: int
    end: int
    elapsed: int  # less than end - start where panes without an event are left out
    shift: int
    order: int
    product: int
    cells: I64  # (stations, 8)
    panes: int
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    verdict: str
    turning: npt.NDArray[np.bool_]
    arrow: npt.NDArray[np.bool_]


class Bottlenecks:
    """Turns the paths and active periods that leave the fold into intervals with a verdict."""

    def __init__(self, lines: tuple[Line, ...], first: list[int]) -> None:
        self._lines = lines
        self._first = first  # plant-wide number of each line's first station
        self._links = [_neighbours(line) for line in lines]
        self._peers = [peers(line) for line in lines]

    def intervals(self, paths: I64, active: I64, memory: dict[int, LineMemory]) -> Iterator[PathRows]:
        """`paths` (rows, N_PO): the stations of an interval stand together, the intervals of a line in order."""
        i = 0
        while i < len(paths):
            number = int(paths[i, at.PO_LINE])
            j = i + len(self._lines[number].stations)
            mine = memory.setdefault(number, LineMemory())
            if paths[i, at.PO_KIND] == at.PANE:
                yield from self._pane(number, paths[i:j], active[active[:, at.PA_LINE] == number], mine)
            else:
                yield from self._order(number, paths[i:j], mine)
            i = j
        for number in np.unique(active[:, at.PA_LINE]).tolist():
            mine = memory.setdefault(number, LineMemory())
            if self._lines[number].buffers:
                _remember(active[active[:, at.PA_LINE] == number], mine, self._first[number])
            else:
                mine.periods.clear()  # no pane of this line ever uses one up (an older state may hold some)

    def _pane(self, number: int, rows: I64, active: I64, mine: LineMemory) -> Iterator[PathRows]:
        line = self._lines[number]
        start, end = int(rows[0, at.PO_START]), int(rows[0, at.PO_END])
        cells = _cells(rows)
        cells[:, SOLE], cells[:, SHIFTING] = self._hindsight(number, start, end, active, mine)
        mine.panes = [p for p in mine.panes if p.start >= end - line.panes * line.pane_ns]
        pane = Pane(start, end, cells.tolist())
        mine.panes.append(pane)
        if rows[0, at.PO_ORDER] >= 0:
            mine.order_panes.append(pane)
            if len(mine.order_panes) > MAX_ORDER_PANES:
                mine.order_panes = [_merged(*two) for two in zip(*[iter(mine.order_panes)] * 2, strict=False)]
        yield self._judged(number, "pane", rows[0], start, end, end - start, cells, [pane])
        window = _sum(mine.panes)
        known = sum(p.end - p.start for p in mine.panes)
        yield self._judged(number, "panes", rows[0], mine.panes[0].start, end, known, window, mine.panes)

    def _order(self, number: int, rows: I64, mine: LineMemory) -> Iterator[PathRows]:
        start, end = int(rows[0, at.PO_START]), int(rows[0, at.PO_END])
        cells = _cells(rows)
        anew, mine.path_from = mine.path_from, None
        if anew is not None and anew.start > start:
            start = anew.start
            cells[:, BLOCKED : CAUSAL + 1] -= np.array(anew.before, np.int64)
        panes = [p for p in mine.order_panes if p.start >= start]
        mine.order_panes = []
        if panes:
            cells[:, SOLE:CYCLES] = _sum(panes)[:, SOLE:CYCLES]
        if end > start:
            yield self._judged(number, "order", rows[0], start, end, end - start, cells, panes)

    def _judged(
        self, number: int, window: str, row: I64, start: int, end: int, elapsed: int, cells: I64, panes: list[Pane]
    ) -> PathRows:
        line = self._lines[number]
        share = cells[:, PATH] / elapsed
        low = high = np.full(len(share), np.nan)
        used, best = len(panes), -1
        if len(panes) > 1:
            paths = np.array([[c[PATH] for c in p.cells] for p in panes], np.int64)
            _, half, used = batch_means(paths, np.array([p.end - p.start for p in panes], np.int64))
            low, high = np.maximum(share - half, 0.0), np.minimum(share + half, 1.0)
            best = int(verdict(share, low, high, used))
            if best >= 0 and self._in_phase(number, best, cells):
                best = -1
        up, down = self._links[number]
        turning = turning_point(cells[:, BLOCKED], cells[:, STARVED], up, down)
        arrow, _, _ = arrow_rule(cells[:, BLOCKED], cells[:, STARVED], up, down)
        return PathRows(
            line=number,
            window=window,
            start=start,
            end=end,
            elapsed=elapsed,
            shift=int(row[at.PO_SHIFT]),
            order=int(row[at.PO_ORDER]),
            product=int(row[at.PO_PRODUCT]),
            cells=cells,
            panes=used,
            low=low,
            high=high,
            verdict=UNDECIDED if best < 0 else line.stations[best].id,
            turning=turning,
            arrow=arrow,
        )

    def _in_phase(self, number: int, best: int, cells: I64) -> bool:
        """Whether a station in parallel with `best` made more of the parts than the path says.

        Of two machines in step the one that is always a little ahead has the whole path, and the other made as much:
        either faster, the line gains the same.
        """
        for other in self._peers[number][best]:
            made = cells[[best, other], CYCLES if cells[[best, other], CYCLES].any() else RUNNING]
            paths = cells[[best, other], PATH]
            if made.any() and abs(paths[0] / paths.sum() - made[0] / made.sum()) > PHASE_SHARE:
                return True
        return False

    def _hindsight(self, number: int, start: int, end: int, active: I64, mine: LineMemory) -> tuple[I64, I64]:
        """Sole and shifting time within a pane; periods that are open at its end are cut there."""
        first = self._first[number]
        closed = active[(active[:, at.PA_OPEN] == 0) & (active[:, at.PA_END] <= end)]
        still = active[(active[:, at.PA_OPEN] == 1) & (active[:, at.PA_END] == end)]
        kept = np.array(mine.periods, np.int64).reshape(-1, 3)
        known = kept[kept[:, 1] <= end]
        found = np.concatenate([closed, still])[:, [at.PA_START, at.PA_END, at.PA_STATION]] - [0, 0, first]
        periods = np.concatenate([known, found])
        periods = periods[periods[:, 1] > start]
        columns = _distinct(periods)
        n = len(self._lines[number].stations)
        sole, shifting, _ = hindsight(columns[0], columns[1], columns[2], n, start, end)
        mine.periods = [p for p in mine.periods if p[1] > end]
        return sole, shifting


def _distinct(periods: I64) -> list[I64]:
    """Columns of rows (n, 3) by start, end, station; each row once."""
    starts, ends, stations = (np.ascontiguousarray(column) for column in periods.T)
    order = np.lexsort((stations, ends, starts))
    starts, ends, stations = starts[order], ends[order], stations[order]
    new = np.append(True, (np.diff(starts) != 0) | (np.diff(ends) != 0) | (np.diff(stations) != 0))[: len(order)]
    return [starts[new], ends[new], stations[new]]


def _remember(active: I64, mine: LineMemory, first: int) -> None:
    """Keep the closed periods that a later pane still needs."""
    done = mine.panes[-1].end if mine.panes else 0
    for row in active[(active[:, at.PA_OPEN] == 0) & (active[:, at.PA_END] > done)]:
        mine.periods.append((int(row[at.PA_START]), int(row[at.PA_END]), int(row[at.PA_STATION]) - first))


def _cells(rows: I64) -> I64:
    """(stations, 8) of one interval's paths, without sole and shifting."""
    cells = np.zeros((len(rows), 8), np.int64)
    cells[:, :SOLE] = rows[:, at.PO_PATH_NS : at.PO_CYCLES]
    cells[:, CYCLES] = rows[:, at.PO_CYCLES]
    return cells


def _sum(panes: list[Pane]) -> I64:
    """(stations, 8), all together. A pane of an older snapshot has no cycles."""
    found = np.zeros((len(panes[0].cells), 8), np.int64)
    for pane in panes:
        cells = np.array(pane.cells, np.int64)
        found[:, : cells.shape[1]] += cells
    return found


def _merged(a: Pane, b: Pane) -> Pane:
    return Pane(a.start, b.end, _sum([a, b]).tolist())


def _neighbours(line: Line) -> tuple[I64, I64]:
    number = {s.id: k for k, s in enumerate(line.stations)}
    pairs: list[tuple[int, int]] = [
        (number[u], number[d]) for link in links(line) for u in link.after for d in link.before
    ]
    table: Any = np.array(pairs, np.int64).reshape(-1, 2)
    return np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1])
