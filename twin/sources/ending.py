"""The end of a log: how long what its last events left open needs to be closed."""

import numpy as np
import numpy.typing as npt

from kernels.codes import STATE, STOPPED, UNKNOWN
from twin.events.block import EventBlock
from twin.plant.model import Line, Plant

I64 = npt.NDArray[np.int64]


class LastWords:
    """The last word of every station, to know at the end which of them may stand in a stop of undecided length.

    A word the twin refuses as late is none; one of a time that nothing has confirmed counts once something has.
    """

    def __init__(self, plant: Plant) -> None:
        self._reach = np.array([line.lateness_ns + (line.revise_ns or 0) for line in plant.lines], np.int64)
        self._last: dict[int, tuple[int, bool]] = {}  # per station: time, whether it stands
        self._ahead: dict[int, list[tuple[int, int, bool]]] = {}  # per line: time, station, whether it stands

    def add(self, line: int, block: EventBlock, rows: I64, before: int | None, newest: int) -> None:
        """The line's next events, at these places of the block; its newest time before them and with them."""
        told = (block.type[rows] == STATE) & (block.code[rows] != UNKNOWN)  # who does not know says nothing new
        if not told.any():
            return
        ts = block.ts[rows]
        reached = np.minimum(np.maximum.accumulate(ts), newest)
        if before is not None:
            reached = np.maximum(reached, before)
        told &= ts >= reached - self._reach[line]
        mine = rows[told]
        times, stations, stands = block.ts[mine], block.station[mine], block.code[mine] == STOPPED
        ahead = times > newest
        if ahead.any():
            found = zip(times[ahead].tolist(), stations[ahead].tolist(), stands[ahead].tolist(), strict=True)
            self._ahead.setdefault(line, []).extend(found)
        order = np.flatnonzero(~ahead)[np.argsort(times[~ahead], kind="stable")]
        # Of a station's words the last one stays.
        for k, station in {int(stations[k]): int(k) for k in order}.items():
            self._say(int(times[station]), k, bool(stands[station]))

    def stopped(self, line: int, first: int, stations: int, newest: int) -> list[int]:
        """The line's stations (numbers within the line) whose last word up to `newest` is that they stand."""
        for ts, station, stands in sorted(self._ahead.get(line, []), key=lambda word: word[0]):
            if ts <= newest:
                self._say(ts, station, stands)
        return [k for k in range(stations) if self._last.get(first + k, (0, False))[1]]

    def _say(self, ts: int, station: int, stands: bool) -> None:
        if ts >= self._last.get(station, (ts, False))[0]:
            self._last[station] = ts, stands


def closing_ns(line: Line, newest: int, stopped: list[int]) -> int:
    """Where the heartbeat stands that closes a log of the line: when its time has passed to there, less the lateness,

    the rows of the next publishing tick are out, what waits for that tick is applied, and a stop is decided that began
    by then.
    """
    tick = (newest // line.publish_every_ns + 1) * line.publish_every_ns
    return tick + max((line.stations[k].minor_stop_ns for k in stopped), default=0) + line.lateness_ns
