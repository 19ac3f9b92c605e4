"""Rows that were written against rows computed again, piece by piece: only hashes and what differs is kept."""

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twin.audit.compare import hashes_of

Hashes = npt.NDArray[np.bytes_]

# Computed rows without a stored one that are kept to be shown beside it; of more only the number.
_MOST_KEPT: Final = 100_000


class Expected:
    """How often each hash is written, and how often it has been computed so far."""

    def __init__(self, written: Hashes) -> None:
        self._written = written
        self._known, self._times = np.unique(written, return_counts=True)
        self._taken = np.zeros(len(self._known), np.int64)

    def take(self, computed: Hashes) -> npt.NDArray[np.bool_]:
        """bool[rows]: which of these rows are written nowhere, or were taken as often already."""
        if not len(self._known):
            return np.ones(len(computed), np.bool_)
        order = np.argsort(computed, kind="stable")
        ordered = computed[order]
        place = np.minimum(np.searchsorted(self._known, ordered), len(self._known) - 1)
        fits = self._known[place] == ordered
        number = np.arange(len(ordered))
        begins = np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)]
        nth = number - np.maximum.accumulate(np.where(begins, number, 0))
        fits[fits] = (self._taken[place] + nth < self._times[place])[fits]
        np.add.at(self._taken, place[fits], 1)
        lost = np.ones(len(ordered), np.bool_)
        lost[order[fits]] = False
        return lost

    def left(self) -> npt.NDArray[np.int64]:
        """Written rows that were not computed: of those alike the last."""
        if (self._taken == self._times).all():
            return np.empty(0, np.int64)
        place = np.searchsorted(self._known, self._written)
        order = np.argsort(place, kind="stable")
        begins = np.searchsorted(place[order], np.arange(len(self._known)))
        nth = np.empty(len(order), np.int64)
        nth[order] = np.arange(len(order)) - begins[place[order]]
        return np.flatnonzero(nth >= self._taken[place])


class Matching:
    """One set of one interval. `version`: of the schemas, whose columns are compared."""

    def __init__(self, set_name: str, version: int, written: Iterable[pa.Table], *, keep: bool) -> None:
        """`keep`: rows that are written nowhere are kept, to be shown."""
        self._set = set_name
        self._version = version
        self._keep = keep
        pieces = [hashes_of(set_name, table, version) for table in written]
        self.rows = sum(map(len, pieces))
        self._expected = Expected(np.concatenate(pieces) if pieces else np.empty(0, "S32"))
        self.lost: list[pa.Table] = []
        self.lost_rows = self.kept_rows = 0

    def take(self, computed: pa.Table) -> None:
        if not computed.num_rows:
            return
        lost = self._expected.take(hashes_of(self._set, computed, self._version))
        if not (rows := int(lost.sum())):
            return
        self.lost_rows += rows
        if self._keep and self.kept_rows < _MOST_KEPT:
            self.lost.append(computed.filter(pa.array(lost)))
            self.kept_rows += rows

    def left(self) -> npt.NDArray[np.int64]:
        """Written rows, counted along all of them, that were not computed."""
        return self._expected.left()
