"""Which lines of a log are one share's: those that the topic's partitioner puts into the partition of its number."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twin.plant.model import Plant

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Share:
    """Share `number` of `of`, counted from 0. A line is in one share whole: never is its time divided."""

    number: int
    of: int
    choose: Callable[[bytes, int], int]  # (key, partitions) -> partition

    def owns(self, line: str | None) -> bool:
        """Whether what belongs to this line is of the share; what belongs to none that can be read is of the first."""
        if line is None:
            return self.number == 0
        return self.choose(line.encode("utf-8", "replace"), self.of) == self.number

    def lines(self, plant: Plant) -> Mask:
        """bool[lines] of a plant."""
        return np.array([self.owns(line.id) for line in plant.lines], bool)

    def rows(self, column: "pa.ChunkedArray[Any]") -> Mask:
        """bool[rows] of a column of line ids."""
        found = [np.empty(0, bool)]
        for chunk in column.chunks:
            words: Any = chunk if isinstance(chunk, pa.DictionaryArray) else chunk.dictionary_encode()
            owned = np.array([*map(self.owns, words.dictionary.to_pylist()), self.owns(None)], bool)
            found.append(owned[words.indices.fill_null(len(words.dictionary)).to_numpy(zero_copy_only=False)])
        return np.concatenate(found)
