"""States with a start and an end in one row, as the changes of state they make together.

Where intervals of a station overlap or lie within each other, the one that began last counts; of two that began
together the one whose row comes last. When it ends, the one around it goes on. Outside of all of them the state is
the rule's `otherwise`. An interval without an end ends with the next one that begins.
"""

import heapq
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from kernels.codes import STATE, UNKNOWN
from twin.events.block import INTEGER_COLUMNS, EventBlock, pick
from twin.sources.blocks import Words, compact, empty, join
from twin.sources.drafts import draft

OPEN_END: Final = 2**63 - 1  # of an interval whose row has no end
LAST: Final = OPEN_END - 1  # behind all that end
# What an interval's block carries on its way here: `a` its end, `b` that it is one (1), `c` the class of `otherwise`.
Said = tuple[int, str | None, str | None, str | None]
Entry = tuple[int, int, int, Said, int]  # -start, -number, end, what it says, where it stands in the log


@dataclass(slots=True)
class _Station:
    line: int
    open: list[Entry] = field(default_factory=list)
    otherwise: Said = (UNKNOWN, "unknown", None, None)
    told: Said | None = None


class Intervals:
    """Blocks in order of time, intervals among them, in; blocks in order of time without them out."""

    def __init__(self, otherwise: str) -> None:
        self._word = otherwise
        self._stations: dict[int, _Station] = {}
        self._number = 0
        self._ends: list[tuple[int, int, int]] = []  # (end, station, where) of the intervals that have one

    def swept(self, block: EventBlock, until: int) -> EventBlock:
        """A block in order of time with the changes up to `until` (ns) in the place of its intervals; each has the
        `offset` of the one it comes from. `until`: no event to come is earlier or as early."""
        of_interval = (block.type == STATE) & (block.b == 1)
        if not of_interval.any() and not (self._ends and self._ends[0][0] <= until):
            return block
        made: list[list[_Change]] = []
        words = block.words

        def text(i: int) -> str | None:
            return words[i] if i >= 0 else None

        for i in np.flatnonzero(of_interval).tolist():
            ts, station = int(block.ts[i]), int(block.station[i])
            if block.a[i] <= ts:
                continue  # no time passed
            made.append(self._until(ts))
            one = self._stations.setdefault(station, _Station(int(block.line[i])))
            one.otherwise = (int(block.c[i]), self._word, None, None)
            said = (int(block.code[i]), text(block.x[i]), text(block.y[i]), text(block.z[i]))
            one.open = [entry for entry in one.open if entry[2] != OPEN_END]
            heapq.heapify(one.open)
            self._number += 1
            where = int(block.offset[i])
            heapq.heappush(one.open, (-ts, -self._number, int(block.a[i]), said, where))
            if block.a[i] != OPEN_END:
                heapq.heappush(self._ends, (int(block.a[i]), station, where))
            made.append(self._tell(one, station, ts, where))
        made.append(self._until(until))
        others = compact(pick(block, np.flatnonzero(~of_interval)))
        whole = join([others, self._made(made)])
        return compact(pick(whole, np.argsort(whole.ts, kind="stable")))

    def _until(self, ts: int) -> "list[_Change]":
        """The changes that ends of intervals make up to this time, in its order."""
        changes: list[_Change] = []
        while self._ends and self._ends[0][0] <= ts:
            end, station, where = heapq.heappop(self._ends)
            one = self._stations[station]
            one.open = [entry for entry in one.open if entry[2] > end]
            heapq.heapify(one.open)
            changes += self._tell(one, station, end, where)
        return changes

    def _tell(self, one: _Station, station: int, ts: int, where: int) -> "list[_Change]":
        said = one.open[0][3] if one.open else one.otherwise
        if said == one.told:
            return []
        one.told = said
        return [(ts, one.line, station, said, where)]

    def _made(self, changes: "list[list[_Change]]") -> EventBlock:
        flat = _last_of_an_instant([change for some in changes for change in some])
        if not flat:
            return empty()
        words = Words()
        texts = np.array([[-1 if word is None else words.add(word) for word in said[1:]] for *_, said, _ in flat]).T
        ts = np.array([change[0] for change in flat], np.int64)
        return draft(
            words.list,
            np.array([change[4] for change in flat], np.int64),
            ts,
            np.array([change[1] for change in flat]),
            0,
            station=np.array([change[2] for change in flat]),
            type=STATE,
            code=np.array([change[3][0] for change in flat]),
            x=texts[0],
            y=texts[1],
            z=texts[2],
        ).block


_Change = tuple[int, int, int, Said, int]  # time, line, station, what is true from then on, the row that says so


def _last_of_an_instant(changes: list[_Change]) -> list[_Change]:
    """Where an interval ends as another begins, the station was in no state between them."""
    last = {(change[0], change[2]): i for i, change in enumerate(changes)}
    return [change for i, change in enumerate(changes) if last[change[0], change[2]] == i]


assert {"a", "b", "c"} <= set(INTEGER_COLUMNS)
