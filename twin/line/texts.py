"""Texts that a partition remembers (orders, reasons, state words), as numbers."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from twin.events.block import I32, I64


class Texts:
    """Text to number and back. Unit ids never come here: only what state or a row of results may name."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self.all = list(texts)
        self._number = {text: k for k, text in enumerate(self.all)}

    def replace(self, texts: Sequence[str]) -> None:
        """Begin anew with these texts: the numbers given out before mean nothing any more."""
        self.all[:] = texts
        self._number = {text: k for k, text in enumerate(texts)}

    def number(self, text: str) -> int:
        found = self._number.get(text)
        if found is None:
            found = self._number[text] = len(self.all)
            self.all.append(text)
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
        return self.all[number] if number >= 0 else None


def by_owner(owner: I32, word: I32, words: Sequence[str], tables: Sequence[dict[str, int]]) -> I64:
    """tables[owner][word] for every pair, -1 where there is none; each distinct pair is looked up once."""
    if not len(word) or (word < 0).all():
        return np.full(len(word), -1, np.int64)
    key = owner.astype(np.int64) * (len(words) + 1) + word + 1
    distinct, inverse = np.unique(key, return_inverse=True)
    found = [
        tables[k // (len(words) + 1)].get(words[k % (len(words) + 1) - 1], -1) if k % (len(words) + 1) else -1
        for k in distinct.tolist()
    ]
    return np.array(found, np.int64)[inverse]
