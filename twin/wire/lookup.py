"""From the words on the wire to the indices of the plant, built once per plant."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from kernels.codes import NONE
from twin.events.declare import INT64_MAX, YEAR_2000_NS
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


class Tables:
    """A dictionary per owner. Many owners have the same, so each different one has a number of its own."""

    def __init__(self, tables: Sequence[dict[str, int]]) -> None:
        numbers: dict[tuple[tuple[str, int], ...], int] = {}
        of = [numbers.setdefault(tuple(table.items()), len(numbers)) for table in tables]
        self._all = tables
        self._different = [dict(items) for items in numbers]
        self._of = np.array([*of, NONE], np.int32)  # one more at the end: where owner -1 looks

    def __getitem__(self, owner: int) -> dict[str, int]:
        return self._all[owner]

    def find(self, owner: I32, word: I32, texts: Sequence[str]) -> I64:
        """What each owner's dictionary has for its word (an index into `texts`), -1 where there is none."""

        def get(table: int, at: int) -> int:
            return self._different[table].get(texts[at], NONE) if table >= 0 and at >= 0 else NONE

        return by_pair(self._of.take(owner), word, get)


class Lookup:
    """The plant's names as dictionaries.

    A place is a station of a line or, with station None, the whole line: `places[line, station]` numbers them, and
    `line_of[place]`, `station_of[place]` give the block's indices. Place -1 is an unknown one.
    """

    def __init__(self, plant: Plant) -> None:
        self.plant: Final = plant
        # How far out of order the events of its lines may be, at most.
        self.lateness_ns: Final = max((line.lateness_ns for line in plant.lines), default=0)
        # No event is older.
        self.earliest_ns: Final = YEAR_2000_NS if plant.earliest_ns is None else plant.earliest_ns
        self.places: Final[dict[tuple[str | None, str | None], int]] = {}
        states: list[dict[str, int]] = []
        counters: list[dict[str, int]] = []
        lines: list[int] = []
        stations: list[int] = []
        for index, line in enumerate(plant.lines):
            for station in line.stations:
                self.places[line.id, station.id] = len(lines)
                lines.append(index)
                stations.append(len(states))
                states.append(station.states)
                # A counter that wraps at its modulus never shows it.
                counters.append({c.id: INT64_MAX if c.modulus is None else c.modulus - 1 for c in station.counters})
        self.states: Final = Tables(states)
        self.counter_max: Final = Tables(counters)
        self.buffer_max: Final = Tables(
            [{b.id: INT64_MAX if b.capacity is None else b.capacity for b in line.buffers} for line in plant.lines]
        )
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
