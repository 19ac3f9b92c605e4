"""Few events in little memory, until they are made rows together with others."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from twin.events.block import DTYPES, I64, INTEGER_COLUMNS, EventBlock

_NAMES_WORDS: Final = [INTEGER_COLUMNS.index(name) for name in ("x", "y", "z", "entry")]


@dataclass(frozen=True, slots=True)
class Packed:
    """A block as one array: as columns one event takes 2 kB, as rows of the audit 38."""

    values: I64  # (columns, events)
    words: tuple[str, ...]

    @classmethod
    def of(cls, block: EventBlock) -> Self:
        values = np.empty((len(INTEGER_COLUMNS), len(block)), np.int64)
        for k, name in enumerate(INTEGER_COLUMNS):
            values[k] = getattr(block, name)
        return cls(values, tuple(block.words))

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return sum(map(sys.getsizeof, (self, self.values, self.words, *self.words)))


def unpacked(several: Sequence[Packed]) -> EventBlock:
    """All of them as one block, in this order; each word stands in its dictionary once."""
    numbers: dict[str, int] = {}
    parts = []
    for one in several:
        part = one.values
        if one.words:
            # The last one is for -1, which is no word.
            place = np.array([*(numbers.setdefault(word, len(numbers)) for word in one.words), -1])
            part = part.copy()
            part[_NAMES_WORDS] = place[part[_NAMES_WORDS]]
        parts.append(part)
    values = np.concatenate(parts, axis=1)
    columns = {name: values[k].astype(DTYPES[name]) for k, name in enumerate(INTEGER_COLUMNS)}
    return EventBlock(**columns, words=tuple(numbers))
