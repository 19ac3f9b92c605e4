"""From the words on the wire to the indices of the plant, built once per plant."""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from kernels.codes import NONE
from twin.events.declare import INT64_MAX
from twin.plant.model import Plant

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]


class Words(dict[str | None, int]):
    """A block's dictionary while it grows: `words[text]` is the index of `text`, -1 for None."""

    def __init__(self) -> None:
        super().__init__({None: NONE})
        self.texts: list[str] = []

    def __missing__(self, word: str) -> int:
        index = len(self.texts)
        self[word] = index
        self.texts.append(word)
        return index


class Lookup:
    """The plant's names as dictionaries.

    A place is a station of a line or, with station None, the whole line: `places[line, station]` numbers them, and
    `line_of[place]`, `station_of[place]` give the block's indices. Place -1 is an unknown one.
    """

    def __init__(self, plant: Plant) -> None:
        self.plant: Final = plant
        self.places: Final[dict[tuple[str | None, str | None], int]] = {}
        self.states: Final[list[dict[str, int]]] = []
        self.counter_max: Final[list[dict[str, int]]] = []
        self.buffer_max: Final[list[dict[str, int]]] = []
        lines: list[int] = []
        stations: list[int] = []
        for index, line in enumerate(plant.lines):
            for station in line.stations:
                self.places[line.id, station.id] = len(lines)
                lines.append(index)
                stations.append(len(self.states))
                self.states.append(station.states)
                # A counter that wraps at its modulus never shows it.
                self.counter_max.append(
                    {c.id: INT64_MAX if c.modulus is None else c.modulus - 1 for c in station.counters}
                )
            self.buffer_max.append({b.id: INT64_MAX if b.capacity is None else b.capacity for b in line.buffers})
        for index, line in enumerate(plant.lines):
            self.places[line.id, None] = len(lines)
            lines.append(index)
            stations.append(NONE)
        # One more at the end: where place -1 looks.
        self.line_of: Final = np.array([*lines, NONE], np.int32)
        self.station_of: Final = np.array([*stations, NONE], np.int32)


def by_pair(left: I32, right: I32, get: Callable[[int, int], int]) -> I64:
    """`get(left[i], right[i])` for every i, called once per different pair. Both columns are >= -1."""
    if not len(left):
        return np.empty(0, np.int64)
    span = int(right.max()) + 2
    domain = (int(left.max()) + 2) * span
    if domain > 4 * len(left) + 1024:
        wide = (left.astype(np.int64) + 1) * span + (right + 1)
        used, inverse = np.unique(wide, return_inverse=True)
        return np.array([get(k // span - 1, k % span - 1) for k in used.tolist()], np.int64)[inverse]
    key = left * np.intp(span) + (right + np.intp(span + 1))
    mark = np.zeros(domain, np.bool_)
    mark[key] = True
    seen = np.flatnonzero(mark)
    table = np.empty(domain, np.int64)
    table[seen] = [get(k // span - 1, k % span - 1) for k in seen.tolist()]
    found: I64 = table.take(key)
    return found
