"""Texts that a partition remembers (orders, reasons, state words), as numbers."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kernels.fold.units import unit_numbers
from twin.events.block import I32, I64
from twin.events.pace import Pace

# Behind the name of a product, before what is declared of it. A text of a source that holds it gets another one behind,
# with nothing declared.
_MARK: Final = "\x1f"
_BEGIN: Final = '{"'
EVERYWHERE: Final = "*"  # in place of a station's id: at every station that has no other
_FEW_PAIRS: Final = 4_096
_MOST_OWNED: Final = 262_144  # numbers that are kept, 2 MB
_CELLS: Final = msgspec.json.Decoder(dict[str, Pace])


def worded(name: str, cells: Mapping[str, Pace]) -> str:
    """The text of a product with what is declared of it: by station id, "*" all others."""
    return f"{name}{_MARK}{msgspec.json.encode(dict(sorted(cells.items()))).decode()}"


@lru_cache(maxsize=4_096)
def declaration_of(text: str) -> Mapping[str, Pace]:
    _, mark, tail = text.rpartition(_MARK)
    return _CELLS.decode(tail) if mark and tail.startswith(_BEGIN) else {}


def name_of(text: str) -> str:
    """What people call it."""
    if _MARK not in text:
        return text
    head, _, tail = text.rpartition(_MARK)
    return head if not tail or tail.startswith(_BEGIN) else text


class Texts:
    """Text to number and back. Unit ids never come here: only what state or a row of results may name.

    `all` are the texts as they are kept, `names` what rows show of them: of a product without what is declared of it.
    """

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self.all: list[str] = []
        self.names: list[str] = []
        self.replace(texts)

    def replace(self, texts: Sequence[str]) -> None:
        """Begin anew with these texts: the numbers given out before mean nothing any more."""
        self.all[:] = texts
        self.names[:] = map(name_of, texts)
        self._number = {text: k for k, text in enumerate(texts)}
        self.declared = any(_MARK in text for text in texts)  # whether anything was declared of a product

    def number(self, name: str) -> int:
        """Of a text that a source gave."""
        return self.raw_number(name if _MARK not in name else name + _MARK)

    def raw_number(self, text: str) -> int:
        """Of a text as it is kept."""
        found = self._number.get(text)
        if found is None:
            found = self._number[text] = len(self.all)
            self.all.append(text)
            self.names.append(name_of(text))
            self.declared |= _MARK in text
        return found

    def numbers(self, words: Sequence[str], used: npt.NDArray[np.int32]) -> I64:
        """Numbers of the words at indices `used` (-1 stays -1), same length as `used`.

        New words are numbered as they first appear: a block's own numbering depends on where the log was cut.
        """
        # Written backwards, the first place of a word is what stays; that of -1 is the last.
        first = np.full(len(words) + 1, -1, np.int64)
        first[used[::-1]] = np.arange(len(used) - 1, -1, -1)
        there = np.flatnonzero(first[:-1] >= 0)
        known = np.full(len(words) + 1, -1, np.int64)
        for word in there[np.argsort(first[there])].tolist():
            known[word] = self.number(words[word])
        return known[used]

    def text(self, number: int) -> str | None:
        return self.names[number] if number >= 0 else None


def unit_hashes(words: Sequence[str], used: I32) -> I64:
    """Numbers above 0 of the units at indices `used`: every unit is hashed once, and its text kept by nobody."""
    distinct, inverse = np.unique(used, return_inverse=True)
    texts = pa.array([words[k] for k in distinct.tolist()], pa.string())
    _, offsets, data = texts.buffers()
    assert offsets is not None
    found = np.empty(len(distinct), np.int64)
    bytes_ = np.frombuffer(memoryview(data), np.uint8) if data is not None and data.size else np.zeros(0, np.uint8)
    unit_numbers(np.frombuffer(memoryview(offsets), np.int32)[: len(distinct) + 1], bytes_, found)
    return found[inverse.reshape(-1)]


class Owned:
    """As `by_owner`, for names of which few are asked again and again: an array of all owners is kept for each."""

    def __init__(self, tables: Sequence[dict[str, int]]) -> None:
        self._tables, self._none = tables, np.full(len(tables), -1, np.int64)
        self._by_name: dict[str, list[tuple[int, int]]] = {}
        for owner, table in enumerate(tables):
            for name, number in table.items():
                self._by_name.setdefault(name, []).append((owner, number))
        self._kept: dict[str, I64] = {}

    def numbers(self, owner: I32, word: I32, words: Sequence[str]) -> I64:
        least = int(word.min()) if len(word) else -1
        if least >= 0 and least == word.max():
            one: I64 = self._of(words[least])[owner]
            return one
        there = np.zeros(len(words) + 1, np.bool_)
        there[word] = True  # -1 is the last
        used = np.flatnonzero(there[:-1]).tolist()
        if len(used) * len(self._tables) > _MOST_OWNED:
            return by_owner(owner, word, words, self._tables)
        place = np.full(len(words) + 1, len(used))
        place[used] = np.arange(len(used))
        found: I64 = np.stack([*(self._of(words[k]) for k in used), self._none])[place[word], owner]
        return found

    def _of(self, name: str) -> I64:
        """The number of the name at each owner, -1 none."""
        if name not in self._by_name:
            return self._none
        found = self._kept.get(name)
        if found is None:
            if (len(self._kept) + 1) * len(self._tables) > _MOST_OWNED:
                self._kept.clear()
            found = self._none.copy()
            owners, numbers = zip(*self._by_name[name], strict=True)
            found[list(owners)] = numbers
            self._kept[name] = found
        return found


def by_owner(owner: I32, word: I32, words: Sequence[str], tables: Sequence[dict[str, int]]) -> I64:
    """tables[owner][word] for every pair, -1 where there is none; each distinct pair is looked up once."""
    if not len(word) or (word < 0).all():
        return np.full(len(word), -1, np.int64)
    width = len(words) + 1
    key = owner.astype(np.int64) * width + word + 1
    highest = int(key.max())
    marked = highest <= 4 * len(key) + _FEW_PAIRS  # else sorted
    if marked:
        there = np.zeros(highest + 1, np.bool_)
        there[key] = True
        distinct = np.flatnonzero(there)
    else:
        distinct = np.unique(key)
    pairs = zip((distinct // width).tolist(), (distinct % width - 1).tolist(), strict=True)
    found: I64 = np.array([tables[one].get(words[k], -1) if k >= 0 else -1 for one, k in pairs], np.int64)
    if not marked:
        sought: I64 = found[np.searchsorted(distinct, key)]
        return sought
    by_key = np.empty(highest + 1, np.int64)
    by_key[distinct] = found
    answer: I64 = by_key[key]
    return answer
