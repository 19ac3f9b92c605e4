"""Stops in which the source changes its word: several intervals, one class."""

import numpy as np
import numpy.typing as npt

from kernels import layout as at
from kernels.codes import STOPPED
from twin.line.memory import LineMemory

I64 = npt.NDArray[np.int64]


def decided(intervals: I64, memory: dict[int, LineMemory]) -> I64:
    """The intervals (rows, N_IO) whose class is known; earlier parts of a stop wait in `memory` for its end.

    They come before it, so each takes the class of the next decided interval of its station.
    """
    undecided = intervals[:, at.IO_CLASS] == STOPPED
    waiting = {row[at.IO_STATION] for mine in memory.values() for row in mine.stops}
    if not undecided.any() and not waiting:
        return intervals
    waiting.update(intervals[undecided, at.IO_STATION].tolist())
    concerned = np.isin(intervals[:, at.IO_STATION], list(waiting))
    ready: list[list[int]] = []
    for row in intervals[concerned].tolist():
        mine = memory.setdefault(row[at.IO_LINE], LineMemory())
        if row[at.IO_CLASS] == STOPPED:
            mine.stops.append(row)
            continue
        for part in mine.stops:
            if part[at.IO_STATION] == row[at.IO_STATION]:
                part[at.IO_CLASS] = row[at.IO_CLASS]
                ready.append(part)
        mine.stops = [part for part in mine.stops if part[at.IO_STATION] != row[at.IO_STATION]]
        ready.append(row)
    return np.concatenate([intervals[~concerned], np.array(ready, np.int64).reshape(-1, at.N_IO)])
