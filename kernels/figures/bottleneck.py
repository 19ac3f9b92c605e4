"""Bottleneck methods beside the critical path: arrow rule, turning point, active periods.

Each is named for what it is, because they may disagree; docs/kpis.md says what each is good and bad at.
"""

import numpy as np
import numpy.typing as npt

from kernels.codes import NONE
from kernels.jit import kernel

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
B1 = npt.NDArray[np.bool_]
# ns per station, or their shares.
Times = I64 | F64


@kernel
def arrow_rule(blocked: Times, starved: Times, up: I64, down: I64) -> tuple[B1, F64, int]:
    """Stations named by the arrow rule, their severities (unit of the input), and the most severe (-1: none).

    `up`, `down` int64 (links,): the stations before and after each buffer; for a series line 0..n-2 and 1..n-1.
    Between neighbours i and j the arrow points to j where i is blocked more than j is starved, to i where less. A
    station to which arrows point and from which none leaves is a bottleneck; its severity is the sum of
    |starved[j] - blocked[i]| over its links (Kuo, Lim and Meerkov 1996, Mathematical Problems in Engineering 2(3);
    assembly: Chiang, Kuo, Lim and Meerkov 2000, there 6(4)). Two equal values make no arrow, so a line without any
    blocked or starved time has no bottleneck by this rule. At equal severities the lowest index leads.
    """
    n = blocked.size
    named = np.zeros(n, np.bool_)
    severity = np.zeros(n, np.float64)
    leaves = np.zeros(n, np.bool_)
    for k in range(up.size):
        i, j = up[k], down[k]
        difference = float(blocked[i] - starved[j])
        severity[i] += abs(difference)
        severity[j] += abs(difference)
        if difference > 0.0:
            leaves[i] = True
            named[j] = True
        elif difference < 0.0:
            leaves[j] = True
            named[i] = True
    best = NONE
    for i in range(n):
        named[i] = named[i] and not leaves[i]
        if not named[i]:
            severity[i] = 0.0
        elif best == NONE or severity[i] > severity[best]:
            best = i
    return named, severity, best


@kernel
def turning_point(blocked: Times, starved: Times, up: I64, down: I64) -> B1:
    """Stations at which the line turns from blocked to starved (Li, Chang and Ni 2009, doi 10.1080/00207540701881860).

    `up`, `down` as in `arrow_rule`. A turning point has only neighbours before it that are blocked more than starved,
    only neighbours behind it that are starved more than blocked, and waits less (blocked + starved) than each of
    them. The first and the last station have neighbours on one side only. A line may have several turning points (the
    paper cuts it into segments there), or none. A station without neighbours is not one.
    """
    n = blocked.size
    named = np.zeros(n, np.bool_)
    refuted = np.zeros(n, np.bool_)
    for k in range(up.size):
        i, j = up[k], down[k]
        named[i] = True
        named[j] = True
        waits_i = blocked[i] + starved[i]
        waits_j = blocked[j] + starved[j]
        if not (starved[j] > blocked[j] and waits_i < waits_j):
            refuted[i] = True
        if not (blocked[i] > starved[i] and waits_j < waits_i):
            refuted[j] = True
    for i in range(n):
        named[i] = named[i] and not refuted[i]
    return named


@kernel
def _order(first: I64, second: I64, third: I64) -> I64:
    """Indices that sort by (first, second, third): stable sorts, from the least important key up."""
    order = np.argsort(third, kind="mergesort")
    order = order[np.argsort(second[order], kind="mergesort")]
    return order[np.argsort(first[order], kind="mergesort")]


@kernel
def _longest(start: I64, end: I64, station: I64, t0: int, t1: int) -> tuple[I64, I64, I64]:
    """Times at which an active period begins or ends within [t0, t1]; per elementary segment between them the
    period that is longest (-1: none is active), and how many periods are active that are longest somewhere."""
    m = start.size
    times = np.empty(2 * m + 2, np.int64)
    for p in range(m):
        times[2 * p] = min(max(start[p], t0), t1)
        times[2 * p + 1] = min(max(end[p], t0), t1)
    times[2 * m] = t0
    times[2 * m + 1] = t1
    times = np.unique(times)
    segments = times.size - 1
    # Painted from the longest period down; `free[k]` leads to the first segment from k on that is not painted yet, so
    # every segment is painted once.
    owner = np.full(segments, NONE, np.int64)
    free = np.arange(segments + 1)
    steps = np.zeros(segments + 1, np.int64)
    for p in _order(start - end, station, start):
        if min(end[p], t1) <= max(start[p], t0):
            continue
        first = np.searchsorted(times, max(start[p], t0))
        last = np.searchsorted(times, min(end[p], t1))
        k = _find(free, first)
        if k < last:
            steps[first] += 1
            steps[last] -= 1
        while k < last:
            owner[k] = p
            free[k] = k + 1
            k = _find(free, k)
    return times, owner, np.cumsum(steps)[:segments]


@kernel
def _find(free: I64, k: int) -> int:
    """Root of k, halving the path on the way."""
    while free[k] != k:
        free[k] = free[free[k]]
        k = free[k]
    return k


@kernel
def hindsight(start: I64, end: I64, station: I64, n_stations: int, t0: int, t1: int) -> tuple[I64, I64, I64]:
    """Sole, shifting and longest ns per station within [t0, t1] (Roser, Nakano and Tanaka 2002, the shifting
    bottleneck), known only once the periods have ended.

    Intervals of activity, int64 (m,) each: `start`, `end`, `station`; those of one station do not overlap, their order
    does not matter, empty ones are left out. At each instant the station with the longest active period (its whole
    length, also outside the window; ties: lower station, then earlier) is the bottleneck: `longest`. A period that is
    longest at some instant of the window is a bottleneck period. Where just one such period runs, its station is the
    sole bottleneck; where several overlap, the bottleneck shifts, and each of them counts as shifting. O(m log m).
    """
    sole = np.zeros(n_stations, np.int64)
    shifting = np.zeros(n_stations, np.int64)
    longest = np.zeros(n_stations, np.int64)
    if t1 <= t0:
        return sole, shifting, longest
    times, owner, covers = _longest(start, end, station, t0, t1)
    is_bottleneck = np.zeros(start.size, np.bool_)
    shifted = np.zeros(times.size, np.int64)
    for k in range(owner.size):
        length = times[k + 1] - times[k]
        shifted[k + 1] = shifted[k]
        if owner[k] == NONE:
            continue
        longest[station[owner[k]]] += length
        is_bottleneck[owner[k]] = True
        if covers[k] == 1:
            sole[station[owner[k]]] += length
        else:
            shifted[k + 1] += length
    for p in range(start.size):
        if is_bottleneck[p]:
            first = np.searchsorted(times, max(start[p], t0))
            last = np.searchsorted(times, min(end[p], t1))
            shifting[station[p]] += shifted[last] - shifted[first]
    return sole, shifting, longest


@kernel
def causal(start: I64, end: I64, station: I64, n_stations: int, t0: int, t1: int) -> tuple[I64, I64, I64, I64]:
    """Ns per station as the longest active so far, and the same as a timeline (station, from, to), within [t0, t1].

    Intervals as in `hindsight`. At each instant the bottleneck is the station that has been active longest up to then,
    which can be said at once (ties: lower station). Time without any activity is left out. O(m log m).
    """
    m = start.size
    ns = np.zeros(n_stations, np.int64)
    who = np.empty(m, np.int64)
    since = np.empty(m, np.int64)
    until = np.empty(m, np.int64)
    n = 0
    t = t0
    # Active longest means begun first: once a period leads, none that began later can take over before it ends.
    for p in _order(start, station, end):
        a = max(start[p], t)
        b = min(end[p], t1)
        if b <= a:
            continue
        ns[station[p]] += b - a
        if n > 0 and who[n - 1] == station[p] and until[n - 1] == a:
            until[n - 1] = b
        else:
            who[n], since[n], until[n] = station[p], a, b
            n += 1
        t = b
    return ns, who[:n].copy(), since[:n].copy(), until[:n].copy()
