"""Parts of stops that leave before the length of the stop is known: several intervals, one class."""

import numpy as np
import numpy.typing as npt

from kernels.codes import STOPPED
from kernels.fold import layout as at
from twin.line.remembered import LineMemory

I64 = npt.NDArray[np.int64]


def decided(intervals: I64, memory: dict[int, LineMemory]) -> I64:
    """The intervals (rows, N_IO) whose class is known; parts of an undecided stop wait in `memory`.

    An interval without length tells what the stop of its station is (kernels.fold.stops): its parts take that class.
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
        elif row[at.IO_END] > row[at.IO_START]:
            ready.append(row)
        else:
            theirs = [part for part in mine.stops if part[at.IO_STATION] == row[at.IO_STATION]]
            mine.stops = [part for part in mine.stops if part[at.IO_STATION] != row[at.IO_STATION]]
            for part in theirs:
                part[at.IO_CLASS] = row[at.IO_CLASS]
            ready += theirs
    return np.concatenate([intervals[~concerned], np.array(ready, np.int64).reshape(-1, at.N_IO)])
