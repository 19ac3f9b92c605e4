"""Logs of lines whose answers are known."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kernels.jit import kernel

I64 = npt.NDArray[np.int64]

START, END = 0, 1


@kernel
def recursion(service: I64, capacity: I64) -> tuple[I64, I64]:
    """Starts and completions (parts, stations) of a line with blocking after service.

    Departures D, completions C, starts S of part k at station i, b[i] places behind station i:
    S[i,k] = max(D[i-1,k], D[i,k-1]), C = S + service, D[i,k] = max(C[i,k], D[i+1, k-b[i]-1]). The last term is a
    departure of the next station: with its start instead, the buffer would silently have one place more.
    """
    parts, stations = service.shape
    start = np.zeros((parts, stations), np.int64)
    done = np.zeros((parts, stations), np.int64)
    left = np.zeros((parts, stations), np.int64)
    for k in range(parts):
        for i in range(stations):
            ready = np.int64(0)
            if i > 0:
                ready = left[k, i - 1]
            if k > 0:
                ready = max(ready, left[k - 1, i])
            start[k, i] = ready
            done[k, i] = ready + service[k, i]
            left[k, i] = done[k, i]
            if i < stations - 1:
                before = k - capacity[i] - 1
                if before >= 0:
                    left[k, i] = max(left[k, i], left[before, i + 1])
    return start, done


def serial_line_log(mu: Sequence[float], capacity: Sequence[int], parts: int, seed: int) -> tuple[I64, I64, I64]:
    """Cycle events (ts, station, START | END), sorted by time, of a series line with exponential service.

    `mu` parts per second of each station, `capacity` places of the buffers between them, all empty at the start; the
    first station is never starved, the last never blocked. Service times are whole ns, at least 1.
    """
    random = np.random.default_rng(seed)
    mean_ns = 1e9 / np.asarray(mu, dtype=np.float64)
    service = np.maximum(1, np.rint(random.exponential(mean_ns, (parts, len(mu))))).astype(np.int64)
    start, done = recursion(service, np.asarray(capacity, dtype=np.int64))
    return _log(start, done)


def deterministic_line_log(service_ns: Sequence[int], capacity: Sequence[int], parts: int) -> tuple[I64, I64, I64]:
    """The same with one fixed service time per station."""
    service = np.tile(np.asarray(service_ns, dtype=np.int64), (parts, 1))
    start, done = recursion(service, np.asarray(capacity, dtype=np.int64))
    return _log(start, done)


def _log(start: I64, done: I64) -> tuple[I64, I64, I64]:
    """Ends with the last event of the first station: after it the line would only run empty."""
    parts, stations = start.shape
    station = np.tile(np.arange(stations, dtype=np.int64), 2 * parts)
    ts = np.concatenate([start.ravel(), done.ravel()])
    kind = np.repeat(np.array([START, END], dtype=np.int64), parts * stations)
    keep = ts <= done[-1, 0]
    ts, station, kind = ts[keep], station[keep], kind[keep]
    order = np.lexsort((station, -kind, ts))
    return ts[order], station[order], kind[order]
