"""A source's clock, watched: jumps are reported, and left to the twin to judge."""

import numpy as np
import numpy.typing as npt

from twin.plant.model import Plant
from twin.sources.summary import Summary
from twin.sources.times import iso

I64 = npt.NDArray[np.int64]


class Clock:
    """The newest time of every line. Back by more than `lateness`, or ahead by more than `max_jump`, is a problem."""

    def __init__(self, plant: Plant, summary: Summary) -> None:
        self._limits = [(line.lateness_ns, line.max_jump_ns) for line in plant.lines]
        self._newest: dict[int, int] = {}
        self._summary = summary

    def check(self, line: int, ts: I64, name: str, lines: I64) -> None:
        """Look at one plant line's next times, which stand on these lines of the file `name`."""
        if not len(ts):
            return
        lateness, max_jump = self._limits[line]
        before = np.maximum.accumulate(np.concatenate([[self._newest.get(line, int(ts[0]))], ts]))
        self._newest[line] = int(before[-1])
        step = ts - before[:-1]
        for reason, jumps, word in (
            ("jump_back", step < -lateness, "back"),
            ("jump_ahead", step > max_jump, "ahead"),
        ):
            count = int(jumps.sum())
            if count:
                i = int(np.argmax(jumps))
                seconds = abs(int(step[i])) / 1e9
                self._summary.problem(
                    reason, f"{name}:{lines[i]}: the clock jumps {word} by {seconds:,.3f} s to {iso(int(ts[i]))}", count
                )
