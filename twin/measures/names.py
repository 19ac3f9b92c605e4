"""Texts of orders and products under numbers of a family's own: those of the partition are given out anew at times."""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
_FEW: Final = 4_096


class Names:
    """Of all that is named, until `forget`."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._number: dict[str, int] = {}
        self._most = _FEW

    def number(self, name: str | None) -> int:
        if name is None:
            return -1
        found = self._number.setdefault(name, len(self.all))
        if found == len(self.all):
            self.all.append(name)
        return found

    def name(self, number: int) -> str | None:
        return self.all[number] if number >= 0 else None

    def numbers(self, given: I64, text: Callable[[int], str | None]) -> I64:
        """Ours, of numbers of the partition's texts (-1 none)."""
        highest = int(given.max(initial=-1))
        if highest < 0:
            return np.full(len(given), -1, np.int64)
        named = np.zeros(highest + 2, np.bool_)
        named[given] = True  # -1 is the last
        ours = np.full(highest + 2, -1, np.int64)
        for one in np.flatnonzero(named[:-1]).tolist():
            ours[one] = self.number(text(one))
        return ours[given]

    def forget(self, columns: I64) -> None:
        """Where there are many, keep those that these columns (-1 none) name, and give them their new numbers."""
        if len(self.all) <= self._most:
            return
        used = np.unique(columns)
        used = used[used >= 0]
        columns[:] = np.where(columns < 0, -1, np.searchsorted(used, columns))
        self.all = [self.all[k] for k in used.tolist()]
        self._number = {name: k for k, name in enumerate(self.all)}
        self._most = max(_FEW, 2 * len(self.all))

    def ranked(self, *columns: I64) -> tuple[list[str], list[I64]]:
        """The names in these columns, rising, and the columns as places among them (-1 none)."""
        if max(int(column.max(initial=-1)) for column in columns) < 0:
            return [], list(columns)
        used = np.unique(np.concatenate(columns))
        numbers = sorted(used[used >= 0].tolist(), key=self.all.__getitem__)
        place = np.full(int(used[-1]) + 2, -1, np.int64)
        place[numbers] = np.arange(len(numbers))
        return [self.all[k] for k in numbers], [place[column] for column in columns]
