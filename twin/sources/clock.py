"""A source's clock, watched: jumps are reported, and left to the twin to judge."""

from dataclasses import dataclass

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


@dataclass(slots=True)
class _Place:
    begin: int
    end: int
    steps: int = 0
    back: int = 0
    first: str = ""


class RowOrderClock:
    """Rows whose events are sorted, as the file has them: one that lies before the row above it may bear a wrong date.

    Told is one of a station that begins and ends earlier, by more than `lateness`: what ends later was entered when it
    was over. Where half of the rows go back, the file has another order than that of time.
    """

    def __init__(self, plant: Plant, summary: Summary) -> None:
        self._lateness = [line.lateness_ns for line in plant.lines]
        self._places: dict[tuple[int, int], _Place] = {}
        self._summary = summary

    def look(self, place: tuple[int, int], begin: I64, end: I64, name: str, lines: I64) -> None:
        """Look at the next rows of one line and station, which stand on these lines of the file `name`."""
        one = self._places.setdefault(place, _Place(int(begin[0]), int(end[0])))
        steps = [np.diff(times, prepend=last) for times, last in ((begin, one.begin), (end, one.end))]
        limit = -self._lateness[place[0]]
        back = (steps[0] < limit) & (steps[1] < limit)
        if back.any() and not one.back:
            i = int(np.argmax(back))
            length, to = -int(steps[0][i]) / 1e9, iso(int(begin[i]))
            one.first = f"{name}:{lines[i]}: the row lies {length:,.3f} s before the one above it, at {to}"
        one.back += int(back.sum())
        one.steps += len(begin)
        one.begin, one.end = int(begin[-1]), int(end[-1])

    def tell(self) -> None:
        """Say what was seen, when all rows are there."""
        for one in self._places.values():
            if one.back and 2 * one.back < one.steps:
                self._summary.problem("jump_back", one.first, one.back)
