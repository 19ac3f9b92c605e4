"""A span made of rows: laid end to end without overlap, and what no row says named as such."""

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twin.audit.rows import integers

I64 = npt.NDArray[np.int64]
SCOPES: Final = ("shift", "day", "order")
# Rows looked at to get over one gap: beyond them it stays one.
_MOST_NEAR: Final = 20_000


@dataclass(frozen=True, slots=True)
class Cover:
    """`rows`: numbers of the rows that are added, `minus`: of those taken away. `gaps`: [start, end) ns of no row."""

    rows: tuple[int, ...]
    minus: tuple[int, ...]
    gaps: tuple[tuple[int, int], ...]

    @property
    def gap_ns(self) -> int:
        return sum(end - start for start, end in self.gaps)


def cover(table: pa.Table, start_ns: int, end_ns: int) -> Cover:
    """Of the rows of one station (kpis) within [start_ns, end_ns) those that cover most of it, none over another.

    Of two choices that cover as much the one of fewer rows. Rolling windows overlap: summed as they lie there, they
    would count parts many times. A minute in which nothing happened has no row of its own, but hours have it: gaps are
    bridged by rows that reach beyond them, less rows beside them. All are differences of one running sum, so that is
    exact (of a line as long as one station is its constraint).
    """
    starts, ends = integers(table.column("start")), integers(table.column("end"))
    chosen = _longest(starts, ends, _candidates(table, starts, ends, start_ns, end_ns))
    edges = [start_ns, *(int(edge) for row in chosen for edge in (starts[row], ends[row])), end_ns]
    plus, minus, gaps = list(chosen), list[int](), list[tuple[int, int]]()
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        if b <= a:
            continue
        way, first, last = _bridge(table, starts, ends, a, b), a, b
        if way is None and b == end_ns:  # no row reaches so far: as far as they reach
            last = int(ends[(ends > a) & (ends < b)].max(initial=a))
            way = _bridge(table, starts, ends, a, last) if last > a else None
        if way is None and a == start_ns:
            first, last = int(starts[(starts > a) & (starts < b)].min(initial=b)), b
            way = _bridge(table, starts, ends, first, b) if first < b else None
        if way is None:
            gaps.append((a, b))
        else:
            plus += way[0]
            minus += way[1]
            gaps += [(c, d) for c, d in ((a, first), (last, b)) if c < d]
    by_time = sorted(plus, key=lambda row: (int(ends[row]), int(starts[row])))
    return Cover(tuple(by_time), tuple(minus), tuple(gaps))


def _candidates(table: pa.Table, starts: I64, ends: I64, start_ns: int, end_ns: int) -> npt.NDArray[np.intp]:
    """Rows within the span; of windows only those that no row of a shift, day or order holds: they are many."""
    inside = (starts >= start_ns) & (ends <= end_ns) & (ends > starts)
    scope = np.asarray(pc.is_in(table.column("window").cast(pa.string()), pa.array(SCOPES)), np.bool_)
    for row in np.flatnonzero(inside & scope):
        inside &= scope | (starts < starts[row]) | (ends > ends[row])
    return np.flatnonzero(inside)


def _longest(starts: I64, ends: I64, rows: npt.NDArray[np.intp]) -> list[int]:
    """The choice of rows without overlap that covers most, by time."""
    order = rows[np.lexsort([starts[rows], ends[rows]])]
    lengths = (ends[order] - starts[order]).tolist()
    before = np.searchsorted(ends[order], starts[order], side="right").tolist()  # rows that end by its start
    # best[k]: of the first k rows by their end the longest choice, and how few rows it takes.
    best, taken = [(0, 0)], list[bool]()
    for k, length in enumerate(lengths):
        covered, fewer = best[before[k]]
        mine = (covered + length, fewer - 1)
        taken.append(mine > best[k])
        best.append(max(mine, best[k]))
    chosen, k = list[int](), len(lengths)
    while k:
        if taken[k - 1]:
            chosen.append(int(order[k - 1]))
            k = before[k - 1]
        else:
            k -= 1
    return chosen[::-1]


def _bridge(table: pa.Table, starts: I64, ends: I64, a: int, b: int) -> tuple[list[int], list[int]] | None:
    """Rows forward and rows backward that lead from `a` to `b`, as few as can be; None: there is no such way."""
    if not (((starts == a) | (ends == a)).any() and ((starts == b) | (ends == b)).any()):
        return None
    longest = int((ends - starts).max())
    near = np.flatnonzero((starts >= a - longest) & (ends <= b + longest) & (ends > starts))
    alike = table.select(["constraint", "model"]).take(pa.array(near, pa.int64())).unify_dictionaries()
    if len(near) > _MOST_NEAR or any(len(column.unique()) > 1 for column in alike.columns):
        return None
    ways: dict[int, list[tuple[int, int]]] = {}
    for row in near.tolist():
        ways.setdefault(int(starts[row]), []).append((row, int(ends[row])))
        ways.setdefault(int(ends[row]), []).append((row, int(starts[row])))
    came: dict[int, tuple[int, int]] = {a: (-1, a)}  # instant -> the row by which it was reached, and from where
    waiting = deque([a])
    while waiting and b not in came:
        at = waiting.popleft()
        for row, there in ways.get(at, ()):
            if there not in came:
                came[there] = (row, at)
                waiting.append(there)
    if b not in came:
        return None
    plus, minus, at = list[int](), list[int](), b
    while at != a:
        row, before = came[at]
        (plus if before < at else minus).append(row)
        at = before
    return plus, minus
