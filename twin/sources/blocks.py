"""Event blocks: take, join, and give them a dictionary of only the words they use."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from twin.events.block import DTYPES, I64, INTEGER_COLUMNS, EventBlock, pick

WORD_COLUMNS = ("x", "y", "z", "entry")
# What a column holds where an event has nothing to say (twin.events.block).
ABSENT: Mapping[str, int] = {"seq": -1, "x": -1, "y": -1, "z": -1, "entry": -1}


class Words:
    """A dictionary under construction: text to number."""

    def __init__(self) -> None:
        self.list: list[str] = []
        self._index: dict[str, int] = {}

    def add(self, word: str) -> int:
        index = self._index.get(word)
        if index is None:
            index = self._index[word] = len(self.list)
            self.list.append(word)
        return index

    def table(self, words: Sequence[str]) -> I64:
        """The numbers of these words, and -1 at the end so that index -1 (absent) stays absent."""
        return np.array([*map(self.add, words), -1], np.int64)


def empty() -> EventBlock:
    return EventBlock(**{name: np.empty(0, dtype) for name, dtype in DTYPES.items()})  # type: ignore[arg-type] # by column name


def join(blocks: Sequence[EventBlock]) -> EventBlock:
    """Blocks one after another under one dictionary."""
    if len(blocks) == 1:
        return blocks[0]
    words = Words()
    tables = [words.table(block.words) for block in blocks]
    columns = {}
    for name in INTEGER_COLUMNS:
        parts = [getattr(block, name) for block in blocks]
        if name in WORD_COLUMNS:
            parts = [table[part] for table, part in zip(tables, parts, strict=True)]
        columns[name] = np.concatenate(parts).astype(DTYPES[name], copy=False) if parts else np.empty(0, DTYPES[name])
    return EventBlock(**columns, words=words.list)


def distinct(values: npt.NDArray[np.integer[Any]]) -> I64:
    """The different values in their order; of numbers close to each other, as places in a list are, without sorting."""
    if not len(values):
        return np.empty(0, np.int64)
    low, high = int(values.min()), int(values.max())
    if high - low > 4 * len(values) + 1024:
        return np.unique(values).astype(np.int64)
    there = np.zeros(high - low + 1, bool)
    there[values - low] = True
    return np.flatnonzero(there) + low


def compact(block: EventBlock) -> EventBlock:
    """The same events with a dictionary of the words they use, in the order of their numbers."""
    used = distinct(np.concatenate([getattr(block, name) for name in WORD_COLUMNS]))
    used = used[used >= 0]
    if len(used) == len(block.words):
        return block
    table = np.full(len(block.words) + 1, -1, np.int32)
    table[used] = np.arange(len(used), dtype=np.int32)
    columns = {name: getattr(block, name) for name in INTEGER_COLUMNS}
    columns |= {name: table[columns[name]] for name in WORD_COLUMNS}
    return EventBlock(**columns, words=[block.words[i] for i in used])


def slices(block: EventBlock | None, size: int) -> list[EventBlock]:
    """The block in pieces of at most `size` events; none of an empty one."""
    if block is None:
        return []
    if len(block) <= size:
        return [block] if len(block) else []
    return [compact(pick(block, slice(i, i + size))) for i in range(0, len(block), size)]


def by_pair(left: I64, right: I64, get: Callable[[int, int], int]) -> I64:
    """`get(left[i], right[i])` for every i, called once per different pair. Both hold -1 or more."""
    if not len(left):
        return np.empty(0, np.int64)
    span = int(right.max()) + 2
    key = (left + 1) * span + right + 1
    domain = (int(left.max()) + 2) * span
    if domain > 4 * len(key) + 1024:
        used, index = np.unique(key, return_inverse=True)
        return np.array([get(k // span - 1, k % span - 1) for k in used.tolist()], np.int64)[index]
    mark = np.zeros(domain, bool)
    mark[key] = True
    used = np.flatnonzero(mark)
    table = np.zeros(domain, np.int64)
    table[used] = [get(k // span - 1, k % span - 1) for k in used.tolist()]
    found: I64 = table[key]
    return found
